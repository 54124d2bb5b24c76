//! From a server's name to an open stream.
//!
//! Resolves, binds the source address, tells the ident register, connects, shakes hands. Each step has an end
//! in time, as has the whole, and each failure is one sentence that names the host and port. Never falls
//! back: a server configured for TLS is not spoken to in plain text, and a source address that cannot be used
//! is an error, not a reason to take another.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificate::ClientCertificate;
use super::eyeballs::{interleave, race};
use super::identd::{IdentGuard, Idents};
use super::socket;
use super::source::SourcePlan;
pub use super::stream::Stream;
use super::tls::TlsSetup;
use super::tls_failure::handshake_words;

/// A host name may have hundreds of addresses; so many are tried in one attempt.
const ADDRESSES_MAX: usize = 8;

/// How to reach one network.
#[derive(Clone, Debug)]
pub struct DialPlan {
    /// Tried in turn, one for each attempt.
    pub servers: Vec<ServerAddr>,
    pub tls: TlsSetup,
    pub source: SourcePlan,
    /// Where connections are announced for our ident server; `None` where there is none.
    pub idents: Option<Idents>,
    /// The bound of each step: name resolution, each address tried, TLS handshake.
    pub timeout_ms: u64,
    /// The bound of all steps together.
    pub total_ms: u64,
}

/// For whom a connection is made. The default one is nobody in particular.
#[derive(Clone, Debug, Default)]
pub struct DialFor {
    /// What our ident server answers for it; without one it says that there is no such user.
    pub ident: Option<String>,
    /// The address that is this puppet's alone; the server is then reached over IPv6 or not at all. It need
    /// not be on an interface of this host, only routed to it.
    pub source: Option<Ipv6Addr>,
    /// Shown in place of the network's certificate.
    pub certificate: Option<ClientCertificate>,
    /// The port on which a server that is configured plain has promised to speak TLS (its STS policy, which
    /// somebody else remembers, by [`DialPlan::server`]'s host). Such a server is spoken to there, and not in
    /// plain text any more. Without meaning for a server that is configured for TLS.
    pub upgrade: Option<u16>,
    /// Spreads puppets over the plain source addresses: any number that differs between puppets.
    pub turn: u32,
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

/// What came of a dial.
#[derive(Debug)]
pub struct Opened {
    pub stream: Stream,
    /// What is spoken, which after an upgrade is more than was configured.
    pub wire: Transport,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The server's place in [`DialPlan::servers`].
    pub server: usize,
    /// To be kept for as long as the stream: our ident server speaks for the connection until it is dropped.
    pub ident: Option<IdentGuard>,
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

impl DialPlan {
    /// Source addresses are the kernel's choice, nobody asks for idents, each step gets 30 s and all of them
    /// together a minute.
    pub fn new(servers: Vec<ServerAddr>, tls: TlsSetup) -> Self {
        let source = SourcePlan::default();
        Self { servers, tls, source, idents: None, timeout_ms: 30_000, total_ms: 60_000 }
    }

    /// The server whose turn it is at this attempt (they count from 0 and may wrap).
    pub fn server(&self, attempt: u32) -> Option<&ServerAddr> {
        self.servers.get(self.server_index(attempt))
    }

    fn server_index(&self, attempt: u32) -> usize {
        attempt as usize % self.servers.len().max(1)
    }
}

impl ServerAddr {
    /// Where and how it is spoken to by somebody who knows its promise.
    fn upgraded(&self, promised: Option<u16>) -> Self {
        match (self.transport, promised) {
            (Transport::Plain, Some(port)) => Self { port, transport: Transport::Tls, ..self.clone() },
            (Transport::Plain, None) | (Transport::Tls, _) => self.clone(),
        }
    }
}

/// Connects to the server whose turn it is at this attempt. Dropping the future ends all that it began.
pub async fn dial(plan: &DialPlan, attempt: u32, who: &DialFor) -> Result<Opened, DialError> {
    let server = plan.server(attempt).ok_or(DialError::NoServer)?.upgraded(who.upgrade);
    let turn = who.turn.wrapping_add(attempt);
    let call = Call { plan, server, who, turn };
    let all = timeout(Duration::from_millis(plan.total_ms), call.open(plan.server_index(attempt))).await;
    all.unwrap_or_else(|_| {
        Err(DialError::Timeout { at: call.at(), step: "all steps together", timeout_ms: plan.total_ms })
    })
}

/// One attempt at one server.
struct Call<'a> {
    plan: &'a DialPlan,
    server: ServerAddr,
    who: &'a DialFor,
    turn: u32,
}

/// A connected socket, and what keeps it in the ident register.
struct Wired {
    tcp: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
    ident: Option<IdentGuard>,
}

/// Why one address did not take us.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Miss {
    Refused,
    Silent { from: Option<IpAddr> },
    Source { from: IpAddr, words: String },
    Other(String),
}

impl Call<'_> {
    async fn open(&self, server: usize) -> Result<Opened, DialError> {
        let addresses = self.resolve().await?;
        let Wired { tcp, local, remote, ident } = self.connect_any(&addresses).await?;
        let wire = self.server.transport;
        let stream = match wire {
            Transport::Plain => Stream::Plain(tcp),
            Transport::Tls => Stream::Tls(Box::new(self.secure(tcp).await?)),
        };
        Ok(Opened { stream, wire, local, remote, server, ident })
    }

    /// The addresses to try, in order, of the families that there are source addresses for.
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
        let source = |to: &SocketAddr| self.plan.source.towards(*to, self.who.source, self.turn);
        let mut usable: Vec<SocketAddr> = found.iter().copied().filter(|to| source(to).is_ok()).collect();
        if let (true, Err(from)) = (usable.is_empty(), source(&found[0])) {
            let words = "the server has no address of that family".to_owned();
            return Err(DialError::Source { at: self.at(), from, words });
        }
        usable = interleave(&usable);
        usable.truncate(ADDRESSES_MAX);
        Ok(usable)
    }

    /// The first address that takes us; else what became of all of them.
    async fn connect_any(&self, addresses: &[SocketAddr]) -> Result<Wired, DialError> {
        race(addresses, |to| self.connect(to)).await.map_err(|misses| self.sum_up(&misses))
    }

    async fn connect(&self, to: SocketAddr) -> Result<Wired, Miss> {
        let unreachable = |error: io::Error| Miss::Other(error.to_string());
        let source = self.plan.source.towards(to, self.who.source, self.turn);
        let from = source.map_err(|from| Miss::Source { from, words: "it is of another family".to_owned() })?;
        let socket = socket::open(to).map_err(unreachable)?;
        let ident = self.bind(&socket, from, to)?;
        let connecting = timeout(Duration::from_millis(self.plan.timeout_ms), socket.connect(to)).await;
        let tcp = connecting.map_err(|_| Miss::Silent { from })?.map_err(|error| connect_miss(&error, from))?;
        socket::tune(&tcp).map_err(unreachable)?;
        let local = tcp.local_addr().map_err(unreachable)?;
        Ok(Wired { tcp, local, remote: to, ident })
    }

    /// Binds where there is a source address, or somebody to be announced: from here on, before the first
    /// packet, an ident question about this socket has its answer.
    fn bind(
        &self,
        socket: &TcpSocket,
        from: Option<IpAddr>,
        to: SocketAddr,
    ) -> Result<Option<IdentGuard>, Miss> {
        let source_miss = |from: IpAddr, error: &io::Error| Miss::Source { from, words: bind_words(error) };
        let announced = self.plan.idents.as_ref().zip(self.who.ident.as_deref());
        let wanted = match (from, announced) {
            (Some(from), _) => SocketAddr::new(from, 0),
            (None, Some(_)) => socket::kernels_choice(to).map_err(|error| Miss::Other(error.to_string()))?,
            (None, None) => return Ok(None),
        };
        let miss = |error: io::Error| source_miss(wanted.ip(), &error);
        socket::bind(socket, wanted).map_err(miss)?;
        let local = socket.local_addr().map_err(miss)?;
        Ok(announced.map(|(idents, ident)| idents.announce(local, to, ident)))
    }

    async fn secure(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, DialError> {
        let failed = |words: String| DialError::Tls { at: self.at(), words };
        let name = self.plan.tls.server_name(&self.server.host).map_err(|error| failed(error.to_string()))?;
        let config = self.plan.tls.config_for(self.who.certificate.as_ref());
        let handshake = TlsConnector::from(config).connect(name, tcp);
        self.bounded("TLS handshake", handshake).await?.map_err(|error| failed(handshake_words(&error)))
    }

    async fn bounded<F: Future>(&self, step: &'static str, work: F) -> Result<F::Output, DialError> {
        let timeout_ms = self.plan.timeout_ms;
        timeout(Duration::from_millis(timeout_ms), work).await.map_err(|_| DialError::Timeout {
            at: self.at(),
            step,
            timeout_ms,
        })
    }

    /// One sentence on all addresses: what they have in common, else each with its own.
    fn sum_up(&self, misses: &[(SocketAddr, Miss)]) -> DialError {
        let (at, timeout_ms) = (self.at(), self.plan.timeout_ms);
        let first = misses.first().map(|(_, miss)| miss);
        match first.filter(|first| misses.iter().all(|(_, miss)| miss == *first)) {
            Some(Miss::Refused) => DialError::Refused { at },
            Some(Miss::Silent { from: None }) => DialError::Timeout { at, step: "connecting", timeout_ms },
            Some(Miss::Silent { from: Some(from) }) => {
                let words = format!("no answer within {timeout_ms} ms; is that address routed to this host?");
                DialError::Source { at, from: *from, words }
            }
            Some(Miss::Source { from, words }) => DialError::Source { at, from: *from, words: words.clone() },
            Some(Miss::Other(words)) => DialError::Unreachable { at, words: words.clone() },
            None => {
                let each = misses.iter().map(|(to, miss)| miss.words(*to, timeout_ms));
                DialError::Unreachable { at, words: each.collect::<Vec<_>>().join("; ") }
            }
        }
    }

    fn at(&self) -> String {
        let ServerAddr { host, port, .. } = &self.server;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

impl Miss {
    /// One clause of several.
    fn words(&self, to: SocketAddr, timeout_ms: u64) -> String {
        let to = to.ip();
        match self {
            Self::Refused => format!("{to} refuses connections"),
            Self::Silent { from: None } => format!("{to} did not answer within {timeout_ms} ms"),
            Self::Silent { from: Some(from) } => {
                format!("{to} did not answer within {timeout_ms} ms to source address {from}")
            }
            Self::Source { from, words } => format!("{to} cannot be reached from source address {from}: {words}"),
            Self::Other(words) => format!("{to}: {words}"),
        }
    }
}

fn connect_miss(error: &io::Error, from: Option<IpAddr>) -> Miss {
    match (error.kind(), from) {
        (io::ErrorKind::ConnectionRefused, _) => Miss::Refused,
        (io::ErrorKind::AddrNotAvailable | io::ErrorKind::AddrInUse, Some(from)) => {
            Miss::Source { from, words: bind_words(error) }
        }
        _ => Miss::Other(error.to_string()),
    }
}

fn bind_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => "it is no address of this host".to_owned(),
        io::ErrorKind::AddrInUse => "all its ports are in use; add source addresses".to_owned(),
        _ => error.to_string(),
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
        let heard = match dial(&plan, 0, &DialFor::default()).await {
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
        let words = dial(&plan, 0, &DialFor::default()).await.unwrap_err().to_string();
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
        let words = dial(&plan, 0, &DialFor::default()).await.unwrap_err().to_string();
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
            let Stream::Plain(tcp) = dial(&plan, attempt, &DialFor::default()).await.unwrap() else { panic!("not plain") };
            assert_eq!(tcp.peer_addr().unwrap().port(), port.port());
            assert!(tcp.nodelay().unwrap() && SockRef::from(&tcp).keepalive().unwrap());
        }
        let none = DialPlan { servers: Vec::new(), ..plan };
        assert!(matches!(dial(&none, 7, &DialFor::default()).await, Err(DialError::NoServer)));
    }

    #[tokio::test]
    async fn a_closed_port_and_an_impossible_name_are_told_apart() {
        let (_held, addr) = unheard();
        let words = dial(&plain_plan(addr), 0, &DialFor::default()).await.unwrap_err().to_string();
        assert_eq!(words, format!("127.0.0.1:{} refuses connections", addr.port()));

        let mut plan = plain_plan(addr);
        // An empty label: refused by the resolver itself, without asking the network.
        plan.servers[0].host = "irc..invalid".to_owned();
        assert!(matches!(dial(&plan, 0, &DialFor::default()).await, Err(DialError::Resolve { .. })));
    }

    #[tokio::test]
    async fn the_source_address_is_what_the_server_sees() {
        let (listener, addr) = listen().await;
        let plan = DialPlan { source: Some("127.0.0.9".parse().unwrap()), ..plain_plan(addr) };
        let _stream = dial(&plan, 0, &DialFor::default()).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1.ip(), plan.source.unwrap());
    }

    #[tokio::test]
    async fn a_source_address_that_cannot_be_used_is_an_error() {
        let (_listener, addr) = listen().await;
        let at = addr.to_string();
        let mut plan = plain_plan(addr);
        // TEST-NET-1 is on no interface.
        plan.source = Some("192.0.2.1".parse().unwrap());
        let words = dial(&plan, 0, &DialFor::default()).await.unwrap_err().to_string();
        assert!(
            words.starts_with(&format!("{at} cannot be reached from source address 192.0.2.1: ")),
            "{words}"
        );

        plan.source = Some("2001:db8::1".parse().unwrap());
        let words = dial(&plan, 0, &DialFor::default()).await.unwrap_err().to_string();
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
