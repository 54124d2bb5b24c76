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
