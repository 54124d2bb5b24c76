//! From a server's name to an open stream.
//!
//! Resolves, binds the source address, connects, shakes hands. Each step has an end in time and each failure
//! is one sentence that names the host and port. Never falls back: a server configured for TLS is not spoken
//! to in plain text, and a source address that cannot be used is an error, not a reason to take another.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tls::{TlsSetup, failure_words};
use crate::bridge::input::Wire;

/// A host name may have hundreds of addresses; so many are tried in one attempt.
const ADDRESSES_MAX: usize = 8;

/// A silent peer is asked for signs of life after this long, then every third of it, four times.
const KEEPALIVE_S: u64 = 90;

/// How to reach one network, for one puppet.
#[derive(Clone, Debug)]
pub struct DialPlan {
    /// Tried in turn, one for each attempt.
    pub servers: Vec<ServerAddr>,
    pub tls: TlsSetup,
    /// The address to connect from. An IPv6 one need not be on an interface of this host, only routed to it.
    pub source: Option<IpAddr>,
    /// The bound of each step: name resolution, each address tried, TLS handshake.
    pub timeout_ms: u64,
}

/// One server of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddr {
    /// A host name or an address, IPv6 without brackets.
    pub host: String,
    pub port: u16,
    pub transport: Transport,
}

/// What is spoken beneath IRC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Plain,
    Tls,
}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("the network has no server to connect to")]
    NoServer,
    #[error("{at} cannot be resolved: {words}")]
    Resolve { at: String, words: String },
    #[error("{at} refuses connections")]
    Refused { at: String },
    #[error("{at} did not answer within {timeout_ms} ms ({step})")]
    Timeout { at: String, step: &'static str, timeout_ms: u64 },
    #[error("{at} cannot be reached: {words}")]
    Unreachable { at: String, words: String },
    #[error("no secure connection to {at}: {words}")]
    Tls { at: String, words: String },
    #[error("{at} cannot be reached from source address {from}: {words}")]
    Source { at: String, from: IpAddr, words: String },
}

/// An open connection to a server, encrypted or not.
#[derive(Debug)]
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether somebody on the way can read it.
    pub fn wire(&self) -> Wire {
        match self {
            Self::Plain(_) => Wire::Plain,
            Self::Tls(_) => Wire::Tls,
        }
    }
}

/// Connects to the server whose turn it is at this attempt (they count from 0 and may wrap).
pub async fn dial(plan: &DialPlan, attempt: u32) -> Result<Stream, DialError> {
    let turn = attempt as usize % plan.servers.len().max(1);
    let server = plan.servers.get(turn).ok_or(DialError::NoServer)?;
    let call = Call { plan, server };
    let tcp = call.connect_any(&call.resolve().await?).await?;
    match server.transport {
        Transport::Plain => Ok(Stream::Plain(tcp)),
        Transport::Tls => Ok(Stream::Tls(Box::new(call.secure(tcp).await?))),
    }
}

/// One attempt at one server.
struct Call<'a> {
    plan: &'a DialPlan,
    server: &'a ServerAddr,
}

impl Call<'_> {
    /// The addresses to try, in the resolver's order (RFC 6724), of the source address's family.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, DialError> {
        let asked = lookup_host((self.server.host.as_str(), self.server.port));
        let found: Vec<SocketAddr> = self
            .bounded("resolving the name", asked)
            .await?
            .map_err(|error| DialError::Resolve { at: self.at(), words: error.to_string() })?
            .collect();
        if found.is_empty() {
            return Err(DialError::Resolve { at: self.at(), words: "the name has no address".to_owned() });
        }
        let Some(from) = self.plan.source else { return Ok(found) };
        let usable: Vec<SocketAddr> = found.into_iter().filter(|to| to.is_ipv6() == from.is_ipv6()).collect();
        if usable.is_empty() {
            return Err(self.source_error(from, "the server has no address of that family"));
        }
        Ok(usable)
    }

    /// The first address that takes us; else what the last one said.
    async fn connect_any(&self, addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
        let mut last = DialError::Resolve { at: self.at(), words: "the name has no address".to_owned() };
        for &to in addresses.iter().take(ADDRESSES_MAX) {
            match self.connect(to).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn connect(&self, to: SocketAddr) -> Result<TcpStream, DialError> {
        let socket = self.socket(to)?;
        let stream = self
            .bounded("connecting", socket.connect(to))
            .await?
            .and_then(|stream| tune(&stream).map(|()| stream))
            .map_err(|error| self.connect_error(&error))?;
        Ok(stream)
    }

    /// A socket towards `to`, bound to the source address where there is one.
    fn socket(&self, to: SocketAddr) -> Result<TcpSocket, DialError> {
        let unreachable =
            |error: io::Error| DialError::Unreachable { at: self.at(), words: error.to_string() };
        let socket =
            Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP)).map_err(unreachable)?;
        socket.set_nonblocking(true).map_err(unreachable)?;
        if let Some(from) = self.plan.source {
            bind(&socket, from).map_err(|error| self.source_error(from, &error.to_string()))?;
        }
        Ok(TcpSocket::from_std_stream(socket.into()))
    }

    async fn secure(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, DialError> {
        let failed = |words: String| DialError::Tls { at: self.at(), words };
        let name = self.plan.tls.server_name(&self.server.host).map_err(|error| failed(error.to_string()))?;
        let handshake = TlsConnector::from(self.plan.tls.config.clone()).connect(name, tcp);
        self.bounded("TLS handshake", handshake).await?.map_err(|error| failed(failure_words(&error)))
    }

    async fn bounded<F: Future>(&self, step: &'static str, work: F) -> Result<F::Output, DialError> {
        let timeout_ms = self.plan.timeout_ms;
        timeout(Duration::from_millis(timeout_ms), work).await.map_err(|_| DialError::Timeout {
            at: self.at(),
            step,
            timeout_ms,
        })
    }

    fn connect_error(&self, error: &io::Error) -> DialError {
        let at = self.at();
        match (error.kind(), self.plan.source) {
            (io::ErrorKind::ConnectionRefused, _) => DialError::Refused { at },
            (io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse, Some(from)) => {
                self.source_error(from, &error.to_string())
            }
            _ => DialError::Unreachable { at, words: error.to_string() },
        }
    }

    fn source_error(&self, from: IpAddr, words: &str) -> DialError {
        DialError::Source { at: self.at(), from, words: words.to_owned() }
    }

    fn at(&self) -> String {
        let ServerAddr { host, port, .. } = self.server;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// Binds to `from` with a port of the kernel's choice.
fn bind(socket: &Socket, from: IpAddr) -> io::Result<()> {
    // A block that is only routed here has no address on an interface; without this each of its addresses
    // would have to be added to one.
    #[cfg(target_os = "linux")]
    if from.is_ipv6() {
        socket.set_freebind_v6(true)?;
    }
    // Else old connections in TIME_WAIT use up the ports of the address.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::new(from, 0).into())
}

/// Lines are short and wanted at once; a peer that vanished is noticed even while we say nothing.
fn tune(stream: &TcpStream) -> io::Result<()> {
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(KEEPALIVE_S))
        .with_interval(Duration::from_secs(KEEPALIVE_S / 3))
        .with_retries(4);
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::super::testing::{Authority, Until, listen, plain_plan, plan_with, unheard};
    use super::super::tls::{TlsOptions, Verify};
    use super::*;

    /// Shakes hands with the one who dials and says a line.
    async fn serve_tls(listener: TcpListener, acceptor: tokio_rustls::TlsAcceptor) {
        let (tcp, _) = listener.accept().await.unwrap();
        // A client that does not like the certificate makes this fail: what the client says is the test.
        if let Ok(mut tls) = acceptor.accept(tcp).await {
            tls.write_all(b"PING a\r\n").await.ok();
            tls.shutdown().await.ok();
        }
    }

    /// What comes of dialling `localhost`, which shows a certificate for `host`.
    async fn secure(
        host: &str,
        until: Until,
        tls: impl FnOnce(&Authority) -> TlsSetup,
    ) -> Result<String, String> {
        let authority = Authority::new("ours");
        let (listener, addr) = listen().await;
        let server = tokio::spawn(serve_tls(listener, authority.acceptor(host, until)));
        let plan = plan_with(addr, Transport::Tls, tls(&authority));
        let heard = match dial(&plan, 0).await {
            Ok(mut stream) => {
                let mut heard = String::new();
                stream.read_to_string(&mut heard).await.unwrap();
                Ok(heard)
            }
            Err(error) => Err(error.to_string().replace(&addr.port().to_string(), "PORT")),
        };
        server.await.unwrap();
        heard
    }

    fn refused(words: &str) -> Result<String, String> {
        Err(format!("no secure connection to localhost:PORT: the server's certificate {words}"))
    }

    #[tokio::test]
    async fn a_certificate_is_checked_for_issuer_dates_and_name() {
        let trust = |authority: &Authority| authority.trusted(TlsOptions::default());
        assert_eq!(secure("localhost", Until::LongFromNow, trust).await, Ok("PING a\r\n".to_owned()));
        assert_eq!(secure("localhost", Until::LongAgo, trust).await, refused("has expired"));
        assert_eq!(secure("irc.example", Until::LongFromNow, trust).await, refused("is for another host"));
        let strangers = |_: &Authority| Authority::new("strangers").trusted(TlsOptions::default());
        assert_eq!(
            secure("localhost", Until::LongFromNow, strangers).await,
            refused("is from an unknown issuer")
        );
    }

    #[tokio::test]
    async fn another_server_name_can_be_asked_for() {
        let name = Some("irc.example".to_owned());
        let trust = |authority: &Authority| {
            authority.trusted(TlsOptions { server_name: name, ..TlsOptions::default() })
        };
        assert_eq!(secure("irc.example", Until::LongFromNow, trust).await, Ok("PING a\r\n".to_owned()));
    }

    #[tokio::test]
    async fn a_laboratory_network_takes_any_certificate() {
        let blind = |_: &Authority| {
            TlsSetup::new(TlsOptions { verify: Verify::None, ..TlsOptions::default() }).unwrap()
        };
        assert_eq!(secure("irc.example", Until::LongAgo, blind).await, Ok("PING a\r\n".to_owned()));
    }

    #[test]
    fn settings_that_cannot_work_are_refused_at_once() {
        let ca = TlsOptions { extra_ca_pem: Some(b"no pem".to_vec()), ..TlsOptions::default() };
        let words = TlsSetup::new(ca).unwrap_err().to_string();
        assert_eq!(words, "the extra CA certificates cannot be read: there is no PEM certificate in it");
        let name = TlsOptions { server_name: Some("a b".to_owned()), ..TlsOptions::default() };
        let words = TlsSetup::new(name).unwrap_err().to_string();
        assert_eq!(words, "\"a b\" is no host name that a certificate could have");
    }

    #[tokio::test]
    async fn a_plain_server_is_not_spoken_to_when_tls_is_configured() {
        let (listener, addr) = listen().await;
        let server = tokio::spawn(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            tcp.write_all(b":irc NOTICE * :*** Looking up your hostname...\r\n").await.unwrap();
            let mut heard = Vec::new();
            tcp.read_to_end(&mut heard).await.ok();
            heard
        });
        let plan = DialPlan {
            servers: plan_with(addr, Transport::Tls, plain_plan(addr).tls).servers,
            ..plain_plan(addr)
        };
        let words = dial(&plan, 0).await.unwrap_err().to_string();
        let port = addr.port();
        assert_eq!(
            words,
            format!("no secure connection to localhost:{port}: the server does not speak TLS on this port")
        );
        // A TLS record of type handshake and nothing readable.
        assert_eq!(server.await.unwrap()[0], 22);
    }

    #[tokio::test]
    async fn a_server_that_never_shakes_hands_times_out() {
        let (_listener, addr) = listen().await;
        let servers = plan_with(addr, Transport::Tls, plain_plan(addr).tls).servers;
        let plan = DialPlan { servers, timeout_ms: 50, ..plain_plan(addr) };
        let words = dial(&plan, 0).await.unwrap_err().to_string();
        let port = addr.port();
        assert_eq!(words, format!("localhost:{port} did not answer within 50 ms (TLS handshake)"));
    }

    #[tokio::test]
    async fn attempts_take_turns_over_the_servers() {
        let (_first, first) = listen().await;
        let (_second, second) = listen().await;
        let servers = [first, second].iter().flat_map(|&addr| plain_plan(addr).servers).collect();
        let plan = DialPlan { servers, ..plain_plan(first) };
        for (attempt, port) in [(0, first), (1, second), (2, first), (u32::MAX, second)] {
            let Stream::Plain(tcp) = dial(&plan, attempt).await.unwrap() else { panic!("not plain") };
            assert_eq!(tcp.peer_addr().unwrap().port(), port.port());
            assert!(tcp.nodelay().unwrap() && SockRef::from(&tcp).keepalive().unwrap());
        }
        let none = DialPlan { servers: Vec::new(), ..plan };
        assert!(matches!(dial(&none, 7).await, Err(DialError::NoServer)));
    }

    #[tokio::test]
    async fn a_closed_port_and_an_impossible_name_are_told_apart() {
        let (_held, addr) = unheard();
        let words = dial(&plain_plan(addr), 0).await.unwrap_err().to_string();
        assert_eq!(words, format!("127.0.0.1:{} refuses connections", addr.port()));

        let mut plan = plain_plan(addr);
        // An empty label: refused by the resolver itself, without asking the network.
        plan.servers[0].host = "irc..invalid".to_owned();
        assert!(matches!(dial(&plan, 0).await, Err(DialError::Resolve { .. })));
    }

    #[tokio::test]
    async fn the_source_address_is_what_the_server_sees() {
        let (listener, addr) = listen().await;
        let plan = DialPlan { source: Some("127.0.0.9".parse().unwrap()), ..plain_plan(addr) };
        let _stream = dial(&plan, 0).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1.ip(), plan.source.unwrap());
    }

    #[tokio::test]
    async fn a_source_address_that_cannot_be_used_is_an_error() {
        let (_listener, addr) = listen().await;
        let at = addr.to_string();
        let mut plan = plain_plan(addr);
        // TEST-NET-1 is on no interface.
        plan.source = Some("192.0.2.1".parse().unwrap());
        let words = dial(&plan, 0).await.unwrap_err().to_string();
        assert!(
            words.starts_with(&format!("{at} cannot be reached from source address 192.0.2.1: ")),
            "{words}"
        );

        plan.source = Some("2001:db8::1".parse().unwrap());
        let words = dial(&plan, 0).await.unwrap_err().to_string();
        assert!(words.ends_with("the server has no address of that family"), "{words}");
    }

    /// A block that is routed to this host without being on an interface: RFC 3849's stands for it.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_ipv6_source_need_not_be_on_an_interface() {
        // A kernel without IPv6 has no such sockets, and no such sources.
        let Ok(socket) = Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)) else { return };
        let from: IpAddr = "2001:db8::7".parse().unwrap();
        bind(&socket, from).unwrap();
        assert_eq!(socket.local_addr().unwrap().as_socket().unwrap().ip(), from);
    }
}
