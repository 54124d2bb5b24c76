//! Sockets of ours before they are connected: where they are bound, and how they are tuned.
//!
//! **Ports.** A socket that is bound gets its port at once, out of the range that the system has for all
//! (28,000 on Linux): so many connections fit one source address, over all networks, with those among them
//! that we closed within the last minute. Without a source address and without an ident server nothing is
//! bound; then a port is chosen when connecting, and 28,000 fit for each server. Our ident server needs the
//! port before the server can ask for it, so bound it has to be. Ten thousand puppets fit either way, also
//! while ten thousand are still being put away; who needs more gives more addresses.

use std::io;
use std::net::SocketAddr;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpSocket, TcpStream};

/// A silent peer is asked for signs of life after this long, then every third of it, four times.
const KEEPALIVE_S: u64 = 90;

/// A socket of the family of `to`, bound to nothing.
pub(super) fn open(to: SocketAddr) -> io::Result<TcpSocket> {
    if to.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }
}

/// Binds to `from`; a port of 0 is one of the kernel's choice.
pub(super) fn bind(socket: &TcpSocket, from: SocketAddr) -> io::Result<()> {
    // A block that is only routed here (`ip -6 route add local PREFIX dev lo`) has no address on an
    // interface; without this each of its addresses would have to be added to one.
    #[cfg(target_os = "linux")]
    if from.is_ipv6() {
        SockRef::from(socket).set_freebind_v6(true)?;
    }
    // Else a listener on this host whose port we happen to get cannot start until we have been gone a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(from)
}

/// The address that the kernel would connect from, with port 0. A datagram socket that is connected sends
/// nothing, and knows.
pub(super) fn kernels_choice(to: SocketAddr) -> io::Result<SocketAddr> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    socket.connect(&to.into())?;
    let local = socket.local_addr()?.as_socket();
    let mut local = local.ok_or_else(|| io::Error::other("the kernel has no address towards it"))?;
    local.set_port(0);
    Ok(local)
}

/// Lines are short and wanted at once; a peer that vanished is noticed even while we say nothing.
pub(super) fn tune(stream: &TcpStream) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(KEEPALIVE_S))
        .with_interval(Duration::from_secs(KEEPALIVE_S / 3))
        .with_retries(4);
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// From how many waiting bytes on the kernel says that there is something to read (`SO_RCVLOWAT`, socket(7)); 1 at first.
/// The end of the stream is said at once. Linux looks again when this is set, from 4.18 on: what already waits is said then.
#[cfg(target_os = "linux")]
pub(super) fn readable_from(stream: &TcpStream, bytes: usize) -> io::Result<()> {
    let value = libc::c_int::try_from(bytes).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open for as long as `stream` is borrowed, and the kernel reads one int at `value`.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Elsewhere the first byte is said: more wakings, no harm.
#[cfg(not(target_os = "linux"))]
pub(super) fn readable_from(_stream: &TcpStream, _bytes: usize) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::listen;
    use super::*;

    /// A block that is routed to this host without being on an interface: RFC 3849's stands for it.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_ipv6_source_need_not_be_on_an_interface() {
        let from: SocketAddr = "[2001:db8::7]:0".parse().unwrap();
        // A kernel without IPv6 has no such sockets, and no such sources.
        let Ok(socket) = open(from) else { return };
        bind(&socket, from).unwrap();
        assert_eq!(socket.local_addr().unwrap().ip(), from.ip());
    }

    #[tokio::test]
    async fn the_kernels_choice_is_known_before_connecting() {
        let (listener, addr) = listen().await;
        let from = kernels_choice(addr).unwrap();
        assert_eq!(from, "127.0.0.1:0".parse().unwrap());
        let socket = open(addr).unwrap();
        bind(&socket, from).unwrap();
        let local = socket.local_addr().unwrap();
        let tcp = socket.connect(addr).await.unwrap();
        assert_eq!(tcp.local_addr().unwrap(), local);
        assert_eq!(listener.accept().await.unwrap().1, local);
    }
}
