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

/// What TLS may hold for a server that does not read: one record. Then writing waits, as it does without.
const TLS_BUFFER_BYTES: usize = 16 * 1024;

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
        let from =
            source.map_err(|from| Miss::Source { from, words: "it is of another family".to_owned() })?;
        let socket = socket::open(to).map_err(unreachable)?;
        let ident = self.bind(&socket, from, to)?;
        let connecting = timeout(Duration::from_millis(self.plan.timeout_ms), socket.connect(to)).await;
        let tcp =
            connecting.map_err(|_| Miss::Silent { from })?.map_err(|error| connect_miss(&error, from))?;
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
        let shaken = self.bounded("TLS handshake", handshake).await?;
        let mut tls = shaken.map_err(|error| failed(handshake_words(&error)))?;
        tls.get_mut().1.set_buffer_limit(Some(TLS_BUFFER_BYTES));
        Ok(tls)
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
            Self::Source { from, words } => {
                format!("{to} cannot be reached from source address {from}: {words}")
            }
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
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::Poll;

    use rustls::version::{TLS12, TLS13};
    use rustls::{HandshakeKind, SupportedProtocolVersion};
    use socket2::SockRef;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::super::certificate::{Certificate, Fingerprint, generate};
    use super::super::identd;
    use super::super::testing::{
        Authority, Demand, Until, black_hole, listen, plain_plan, plan_with, unheard,
    };
    use super::super::tls::{TlsOptions, Verify};
    use super::*;

    /// Dials for nobody in particular.
    async fn dial_any(plan: &DialPlan) -> Result<Opened, DialError> {
        dial(plan, 0, &DialFor::default()).await
    }

    /// What went wrong, with `PORT` for the port.
    async fn failure(plan: &DialPlan, who: &DialFor) -> String {
        let error = dial(plan, 0, who).await.expect_err("the dial should have failed");
        error.to_string().replace(&plan.servers[0].port.to_string(), "PORT")
    }

    /// Shakes hands with the one who dials and says a line.
    async fn serve_tls(listener: TcpListener, acceptor: tokio_rustls::TlsAcceptor) {
        let (tcp, _) = listener.accept().await.unwrap();
        // A client that does not like the certificate makes this fail: what the client says is the test.
        if let Ok(mut tls) = acceptor.accept(tcp).await {
            tls.write_all(b"PING a\r\n").await.ok();
            tls.shutdown().await.ok();
        }
    }

    /// What comes of dialling `localhost`, which shows a certificate for `host`; `tls` is told its fingerprint.
    async fn secure(
        host: &str,
        until: Until,
        tls: impl FnOnce(&Authority, String) -> TlsSetup,
    ) -> Result<String, String> {
        let authority = Authority::new("ours");
        let (listener, addr) = listen().await;
        let host = authority.host(host, until);
        let server = tokio::spawn(serve_tls(listener, host.acceptor(Demand::Nothing, &TLS13)));
        let plan = plan_with(addr, Transport::Tls, tls(&authority, host.fingerprint()));
        let heard = match dial_any(&plan).await {
            Ok(mut opened) => {
                assert_eq!(opened.wire, Transport::Tls);
                let mut heard = String::new();
                opened.stream.read_to_string(&mut heard).await.unwrap();
                Ok(heard)
            }
            Err(error) => Err(error.to_string().replace(&addr.port().to_string(), "PORT")),
        };
        server.await.unwrap();
        heard
    }

    fn taken() -> Result<String, String> {
        Ok("PING a\r\n".to_owned())
    }

    fn refused(words: &str) -> Result<String, String> {
        Err(format!("no secure connection to localhost:PORT: the server's certificate {words}"))
    }

    #[tokio::test]
    async fn a_certificate_is_checked_for_issuer_dates_and_name() {
        let trust = |authority: &Authority, _| authority.trusted(TlsOptions::default());
        assert_eq!(secure("localhost", Until::LongFromNow, trust).await, taken());
        assert_eq!(
            secure("localhost", Until::LongAgo, trust).await,
            refused("has expired; the network has to renew it, or pin it in tls.fingerprints")
        );
        assert_eq!(
            secure("irc.example", Until::LongFromNow, trust).await,
            refused("is for another host (irc.example); set tls.server_name to its name")
        );
        let strangers = |_: &Authority, _| Authority::new("strangers").trusted(TlsOptions::default());
        assert_eq!(
            secure("localhost", Until::LongFromNow, strangers).await,
            refused(
                "is from an unknown issuer; name that authority in tls.ca_file, \
                 or pin the certificate in tls.fingerprints"
            )
        );
    }

    #[tokio::test]
    async fn another_server_name_can_be_asked_for() {
        let name = Some("irc.example".to_owned());
        let trust = |authority: &Authority, _| {
            authority.trusted(TlsOptions { server_name: name, ..TlsOptions::default() })
        };
        assert_eq!(secure("irc.example", Until::LongFromNow, trust).await, taken());
    }

    #[tokio::test]
    async fn a_laboratory_network_takes_any_certificate() {
        let blind = |_: &Authority, _| {
            TlsSetup::new(TlsOptions { verify: Verify::None, ..TlsOptions::default() }).unwrap()
        };
        assert_eq!(secure("irc.example", Until::LongAgo, blind).await, taken());
    }

    #[tokio::test]
    async fn a_pinned_certificate_is_good_whatever_else_it_says() {
        let pinned = |fingerprints: Vec<String>, verify: Verify| {
            TlsSetup::new(TlsOptions { fingerprints, verify, ..TlsOptions::default() }).unwrap()
        };
        let other = "00".repeat(32);
        let right = |_: &Authority, found: String| pinned(vec![other.clone(), found], Verify::Full);
        assert_eq!(secure("localhost", Until::LongFromNow, right).await, taken());
        assert_eq!(secure("irc.example", Until::LongAgo, right).await, taken());
        let found = std::cell::RefCell::new(String::new());
        // A pin is checked even where nothing else is.
        for verify in [Verify::Full, Verify::None] {
            let wrong = |_: &Authority, real: String| {
                found.replace(real);
                pinned(vec![other.clone()], verify)
            };
            let words = secure("localhost", Until::LongFromNow, wrong).await;
            let expected = format!(
                "is none of those in tls.fingerprints; if the network says that it has changed, add {}",
                found.borrow()
            );
            assert_eq!(words, refused(&expected));
        }
        // Nor does an authority make up for a wrong pin.
        let both = |authority: &Authority, _| {
            authority.trusted(TlsOptions { fingerprints: vec![other.clone()], ..TlsOptions::default() })
        };
        let words = secure("localhost", Until::LongFromNow, both).await.unwrap_err();
        assert!(words.contains("is none of those in tls.fingerprints"), "{words}");
    }

    #[test]
    fn settings_that_cannot_work_are_refused_at_once() {
        let words = |options: TlsOptions| TlsSetup::new(options).unwrap_err().to_string();
        assert_eq!(
            words(TlsOptions { ca_pem: Some(b"no pem".to_vec()), ..TlsOptions::default() }),
            "the CA certificates cannot be read: there is no PEM certificate in it"
        );
        assert_eq!(
            words(TlsOptions { server_name: Some("a b".to_owned()), ..TlsOptions::default() }),
            "\"a b\" is no host name that a certificate could have"
        );
        assert_eq!(
            words(TlsOptions { fingerprints: vec!["ab:cd".to_owned()], ..TlsOptions::default() }),
            "\"ab:cd\" is no SHA-256 fingerprint: that has 64 hex digits, with or without colons"
        );
    }

    fn client(made: &Certificate) -> Option<ClientCertificate> {
        Some(ClientCertificate::from_pem(&made.pem, &made.key_pem).unwrap())
    }

    /// Says to each who comes which certificate they showed, until the task is dropped.
    async fn serve_mirror(listener: TcpListener, acceptor: tokio_rustls::TlsAcceptor) {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            let shown =
                tls.get_ref().1.peer_certificates().map(|chain| Fingerprint::of(&chain[0]).to_string());
            let line = format!("{}\n", shown.as_deref().unwrap_or("nothing"));
            tls.write_all(line.as_bytes()).await.unwrap();
            tls.shutdown().await.unwrap();
        }
    }

    /// What the mirror said, and whether the session was a new one.
    async fn mirrored(plan: &DialPlan, own: Option<ClientCertificate>) -> (String, HandshakeKind) {
        let who = DialFor { certificate: own, ..DialFor::default() };
        let mut stream = dial(plan, 0, &who).await.unwrap().stream;
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        let Stream::Tls(tls) = stream else { panic!("not encrypted") };
        (said.trim_end().to_owned(), tls.get_ref().1.handshake_kind().unwrap())
    }

    #[tokio::test]
    async fn each_puppet_shows_its_own_certificate_and_resumes_nobody_elses_session() {
        let (alice, bob, network) = (generate("a").unwrap(), generate("b").unwrap(), generate("n").unwrap());
        for version in [&TLS12, &TLS13] {
            let authority = Authority::new("ours");
            let (listener, addr) = listen().await;
            let acceptor = authority.host("localhost", Until::LongFromNow).acceptor(Demand::MayShow, version);
            let server = tokio::spawn(serve_mirror(listener, acceptor));
            let plan = plan_with(addr, Transport::Tls, authority.trusted(TlsOptions::default()));
            let nothing = || "nothing".to_owned();
            assert_eq!(mirrored(&plan, None).await, (nothing(), HandshakeKind::Full));
            // Those who show nothing may share sessions: it is cheaper, and nobody gains by it.
            assert_eq!(mirrored(&plan, None).await, (nothing(), HandshakeKind::Resumed));
            for made in [&alice, &bob, &alice, &alice] {
                let (said, kind) = mirrored(&plan, client(made)).await;
                assert_eq!((said, kind), (made.fingerprint.clone(), HandshakeKind::Full));
            }
            assert_eq!(mirrored(&plan, None).await.0, "nothing");

            let options = TlsOptions { certificate: client(&network), ..TlsOptions::default() };
            let plan = plan_with(addr, Transport::Tls, authority.trusted(options));
            for (own, shown) in [(None, &network), (client(&bob), &bob), (None, &network)] {
                let (said, kind) = mirrored(&plan, own).await;
                assert_eq!((said, kind), (shown.fingerprint.clone(), HandshakeKind::Full));
            }
            server.abort();
        }
    }

    #[test]
    fn a_puppets_settings_share_the_large_parts_with_the_networks() {
        let setup = Authority::new("ours").trusted(TlsOptions::default());
        let own = setup.config_for(client(&generate("alice").unwrap()).as_ref());
        let shared = setup.config_for(None);
        assert!(Arc::ptr_eq(&shared, &setup.config_for(None)));
        assert!(Arc::ptr_eq(own.crypto_provider(), shared.crypto_provider()));
        assert!(size_of_val(&*own) <= 512, "{} bytes for each puppet", size_of_val(&*own));
    }

    async fn dialled_without_certificate(
        version: &'static SupportedProtocolVersion,
    ) -> Result<Opened, DialError> {
        let authority = Authority::new("ours");
        let (listener, addr) = listen().await;
        let acceptor = authority.host("localhost", Until::LongFromNow).acceptor(Demand::MustShow, version);
        let server = tokio::spawn(serve_tls(listener, acceptor));
        let plan = plan_with(addr, Transport::Tls, authority.trusted(TlsOptions::default()));
        let dialled = dial_any(&plan).await;
        server.await.unwrap();
        dialled
    }

    /// With TLS 1.3 the handshake is over by then: see `connection` for what is told then.
    #[tokio::test]
    async fn a_server_that_wants_a_certificate_is_understood() {
        let words = dialled_without_certificate(&TLS12).await.unwrap_err().to_string();
        assert!(words.contains("client certificate") && words.contains("tls.client_certificate"), "{words}");
        assert!(dialled_without_certificate(&TLS13).await.is_ok());
    }

    /// Answers one hello with `bytes`, and gives the hello.
    async fn serve_bytes(listener: TcpListener, bytes: Vec<u8>) -> Vec<u8> {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(&bytes).await.unwrap();
        let mut heard = Vec::new();
        tcp.read_to_end(&mut heard).await.ok();
        heard
    }

    #[tokio::test]
    async fn what_is_no_safe_tls_is_refused_with_the_next_step() {
        // A server hello of TLS 1.1 (RFC 4346 section 7.4.1.3), and the alert of a server that knows no 1.2.
        let mut old = vec![22, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
        old.extend([7; 32]);
        old.extend([0, 0xc0, 0x13, 0]);
        let too_old = "the server only speaks a TLS older than 1.2, which is not safe; \
            take another server of the network";
        let not_tls = "the server does not speak TLS on this port; \
            take its TLS port, mostly 6697, or set tls: false for it";
        let cases: [(&[u8], &str); 5] = [
            (&old, too_old),
            (&[21, 3, 1, 0, 2, 2, 70], too_old),
            (b":irc NOTICE * :*** Looking up your hostname...\r\n", not_tls),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", not_tls),
            (b"SSH-2.0-OpenSSH_9.6\r\n", not_tls),
        ];
        for (bytes, words) in cases {
            let (listener, addr) = listen().await;
            let server = tokio::spawn(serve_bytes(listener, bytes.to_vec()));
            let plan = plan_with(addr, Transport::Tls, plain_plan(addr).tls);
            let told = failure(&plan, &DialFor::default()).await;
            assert_eq!(told, format!("no secure connection to localhost:PORT: {words}"));
            // A TLS record of type handshake and nothing readable.
            assert_eq!(server.await.unwrap()[0], 22);
        }
    }

    #[tokio::test]
    async fn a_server_that_hangs_up_in_the_handshake_is_asked_about_its_port() {
        let (listener, addr) = listen().await;
        let server = tokio::spawn(async move { drop(listener.accept().await) });
        let plan = plan_with(addr, Transport::Tls, plain_plan(addr).tls);
        let words = failure(&plan, &DialFor::default()).await;
        assert!(
            words.ends_with("closed the connection during the handshake; is this its TLS port?"),
            "{words}"
        );
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_never_shakes_hands_times_out() {
        let (_listener, addr) = listen().await;
        let plan = plan_with(addr, Transport::Tls, plain_plan(addr).tls);
        let plan = DialPlan { timeout_ms: 50, ..plan };
        let words = failure(&plan, &DialFor::default()).await;
        assert_eq!(words, "localhost:PORT did not answer within 50 ms (TLS handshake)");
        let plan = DialPlan { timeout_ms: 20_000, total_ms: 50, ..plan };
        let words = failure(&plan, &DialFor::default()).await;
        assert_eq!(words, "localhost:PORT did not answer within 50 ms (all steps together)");
    }

    /// True when somebody has connected to it already.
    async fn was_called(listener: &TcpListener) -> bool {
        let mut accepting = pin!(listener.accept());
        poll_fn(|cx| Poll::Ready(accepting.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn a_server_that_promised_tls_is_not_spoken_to_in_plain_text() {
        let authority = Authority::new("ours");
        let (plain, plain_addr) = listen().await;
        let (tls, tls_addr) = listen().await;
        let server = tokio::spawn(serve_tls(tls, authority.acceptor("localhost", Until::LongFromNow)));
        let mut plan = plan_with(plain_addr, Transport::Plain, authority.trusted(TlsOptions::default()));
        plan.servers[0].host = "localhost".to_owned();
        let who = DialFor { upgrade: Some(tls_addr.port()), ..DialFor::default() };
        let opened = dial(&plan, 0, &who).await.unwrap();
        assert_eq!((opened.wire, opened.remote.port()), (Transport::Tls, tls_addr.port()));
        server.await.unwrap();

        // The promise is broken: nothing is not worse than plain text.
        let (_held, gone) = unheard();
        let who = DialFor { upgrade: Some(gone.port()), ..DialFor::default() };
        let words = dial(&plan, 0, &who).await.unwrap_err().to_string();
        assert_eq!(words, format!("localhost:{} refuses connections", gone.port()));
        assert!(!was_called(&plain).await);
        dial_any(&plan).await.unwrap();
        assert!(was_called(&plain).await);

        // Who is configured for TLS stays where they are.
        let configured = ServerAddr { host: "irc".to_owned(), port: 6697, transport: Transport::Tls };
        assert_eq!(configured.upgraded(Some(1)), configured);
    }

    #[tokio::test]
    async fn attempts_take_turns_over_the_servers() {
        let (_first, first) = listen().await;
        let (_second, second) = listen().await;
        let servers: Vec<_> = [first, second].iter().flat_map(|&addr| plain_plan(addr).servers).collect();
        let plan = DialPlan { servers, ..plain_plan(first) };
        for (attempt, index) in [(0, 0), (1, 1), (2, 0), (u32::MAX, 1)] {
            let opened = dial(&plan, attempt, &DialFor::default()).await.unwrap();
            assert_eq!((opened.server, opened.wire), (index, Transport::Plain));
            assert_eq!(plan.server(attempt), Some(&plan.servers[index]));
            let Stream::Plain(tcp) = opened.stream else { panic!("not plain") };
            assert_eq!(tcp.peer_addr().unwrap(), opened.remote);
            assert_eq!(tcp.local_addr().unwrap(), opened.local);
            assert_eq!(opened.remote, [first, second][index]);
            assert!(tcp.nodelay().unwrap() && SockRef::from(&tcp).keepalive().unwrap());
        }
        let none = DialPlan { servers: Vec::new(), ..plan };
        assert!(matches!(dial(&none, 7, &DialFor::default()).await, Err(DialError::NoServer)));
    }

    #[tokio::test]
    async fn a_closed_port_and_an_impossible_name_are_told_apart() {
        let (_held, addr) = unheard();
        let mut plan = plain_plan(addr);
        assert_eq!(failure(&plan, &DialFor::default()).await, "127.0.0.1:PORT refuses connections");
        // An empty label: refused by the resolver itself, without asking the network.
        plan.servers[0].host = "irc..invalid".to_owned();
        assert!(matches!(dial_any(&plan).await, Err(DialError::Resolve { .. })));
    }

    /// An attempt at the server of `plan`, for nobody.
    fn call<'a>(plan: &'a DialPlan, who: &'a DialFor) -> Call<'a> {
        Call { plan, server: plan.servers[0].clone(), who, turn: who.turn }
    }

    #[tokio::test]
    async fn an_address_that_leads_nowhere_is_overtaken() {
        let (_socket, _queued, hole) = black_hole();
        let (_listener, addr) = listen().await;
        let (plan, who) = (plain_plan(addr), DialFor::default());
        let wired = call(&plan, &who).connect_any(&[hole, addr]).await.unwrap();
        assert_eq!(wired.remote, addr);
    }

    #[tokio::test]
    async fn when_no_address_answers_one_sentence_tells_of_all() {
        let (_held, closed) = unheard();
        let (_socket, _queued, hole) = black_hole();
        let mut plan = DialPlan { timeout_ms: 50, ..plain_plan(closed) };
        let who = DialFor::default();
        let told = |result: Result<Wired, DialError>| result.err().expect("no connection").to_string();
        let at = format!("127.0.0.1:{}", closed.port());
        assert_eq!(
            told(call(&plan, &who).connect_any(&[hole, closed]).await),
            format!(
                "{at} cannot be reached: 127.0.0.1 did not answer within 50 ms; 127.0.0.1 refuses connections"
            )
        );
        assert_eq!(
            told(call(&plan, &who).connect_any(&[hole, hole]).await),
            format!("{at} did not answer within 50 ms (connecting)")
        );
        assert_eq!(told(call(&plan, &who).connect_any(&[closed]).await), format!("{at} refuses connections"));
        plan.source = SourcePlan::new(vec!["127.0.0.9".parse().unwrap()], None, 0).unwrap();
        assert_eq!(
            told(call(&plan, &who).connect_any(&[hole]).await),
            format!(
                "{at} cannot be reached from source address 127.0.0.9: no answer within 50 ms; \
                 is that address routed to this host?"
            )
        );
    }

    #[tokio::test]
    async fn plain_source_addresses_are_what_the_server_sees_in_turn() {
        let (listener, addr) = listen().await;
        let addresses = vec!["127.0.0.9".parse().unwrap(), "127.0.0.10".parse().unwrap()];
        let source = SourcePlan::new(addresses.clone(), None, 0).unwrap();
        let plan = DialPlan { source, ..plain_plan(addr) };
        for (attempt, turn, from) in [(0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 1, 0), (u32::MAX, 2, 1)] {
            let opened = dial(&plan, attempt, &DialFor { turn, ..DialFor::default() }).await.unwrap();
            assert_eq!(opened.local.ip(), addresses[from]);
            assert_eq!(listener.accept().await.unwrap().1, opened.local);
        }
    }

    #[tokio::test]
    async fn a_puppets_own_address_is_what_the_server_sees() {
        // A kernel without IPv6 has no such addresses.
        let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
        let mut plan = plain_plan(listener.local_addr().unwrap());
        // Its own goes before the network's.
        plan.source = SourcePlan::new(vec!["2001:db8::1".parse().unwrap()], None, 0).unwrap();
        let who = DialFor { source: Some("::1".parse().unwrap()), ..DialFor::default() };
        let opened = dial(&plan, 0, &who).await.unwrap();
        assert_eq!(opened.local.ip(), IpAddr::from(who.source.unwrap()));
        assert_eq!(listener.accept().await.unwrap().1, opened.local);
    }

    /// Both ends are told apart by the kernel's routes, which a test may not change: with
    /// `ip -6 route add local fd00:b0a:ca::/64 dev lo` the first arm runs, else the second.
    #[tokio::test]
    async fn an_address_out_of_a_prefix_is_of_use_where_the_prefix_is_routed_here() {
        let Ok(listener) = TcpListener::bind("[::1]:0").await else { return };
        let plan = plain_plan(listener.local_addr().unwrap());
        let source = SourcePlan::new(Vec::new(), Some("fd00:b0a:ca::/64".parse().unwrap()), 16).unwrap();
        let who = DialFor { source: source.address(3, 7).unwrap(), ..DialFor::default() };
        match dial(&DialPlan { timeout_ms: 300, ..plan }, 0, &who).await {
            Ok(opened) => {
                assert_eq!(opened.local.ip().to_string(), "fd00:b0a:ca::3:7");
                assert_eq!(listener.accept().await.unwrap().1, opened.local);
            }
            Err(error) => {
                let words = error.to_string();
                assert!(
                    words.ends_with(
                        "cannot be reached from source address fd00:b0a:ca::3:7: no answer within 300 ms; \
                         is that address routed to this host?"
                    ),
                    "{words}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_source_address_that_cannot_be_used_is_an_error() {
        let (listener, addr) = listen().await;
        let mut plan = plain_plan(addr);
        // TEST-NET-1 is on no interface.
        plan.source = SourcePlan::new(vec!["192.0.2.1".parse().unwrap()], None, 0).unwrap();
        assert_eq!(
            failure(&plan, &DialFor::default()).await,
            "127.0.0.1:PORT cannot be reached from source address 192.0.2.1: it is no address of this host"
        );
        let own = DialFor { source: Some("2001:db8::1".parse().unwrap()), ..DialFor::default() };
        assert_eq!(
            failure(&plan, &own).await,
            "127.0.0.1:PORT cannot be reached from source address 2001:db8::1: \
             the server has no address of that family"
        );
        assert!(!was_called(&listener).await);
    }

    /// What the ident server says about the one connection in the register.
    async fn asked(idents: &Idents) -> String {
        let (listener, addr) = listen().await;
        let cancel = CancellationToken::new();
        let server = tokio::spawn(identd::serve(listener, idents.clone(), cancel.clone()));
        let (ours, theirs) = idents.ports()[0];
        let mut tcp = TcpStream::connect(addr).await.unwrap();
        tcp.write_all(format!("{ours},{theirs}\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        BufReader::new(tcp).read_line(&mut answer).await.unwrap();
        cancel.cancel();
        server.await.unwrap();
        answer.trim_end().to_owned()
    }

    #[tokio::test]
    async fn the_ident_is_known_while_we_are_still_connecting() {
        let (_socket, _queued, hole) = black_hole();
        let idents = Idents::new();
        let plan = DialPlan { idents: Some(idents.clone()), ..plain_plan(hole) };
        let who = DialFor { ident: Some("alice".to_owned()), ..DialFor::default() };
        let dialling = tokio::spawn(async move { dial(&plan, 0, &who).await.map(|_| ()) });
        while idents.is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(asked(&idents).await.ends_with(&format!(", {} : USERID : UNIX : alice", hole.port())));
        assert!(!dialling.is_finished());
        dialling.abort();
        dialling.await.unwrap_err();
        assert!(idents.is_empty());
    }

    #[tokio::test]
    async fn the_ident_is_known_for_as_long_as_the_connection_lasts() {
        let (_listener, addr) = listen().await;
        let idents = Idents::new();
        let mut plan = DialPlan { idents: Some(idents.clone()), ..plain_plan(addr) };
        let who = DialFor { ident: Some("alice".to_owned()), ..DialFor::default() };
        // Bound where the kernel likes, and to an address of ours.
        let opened = dial(&plan, 0, &who).await.unwrap();
        assert_eq!(idents.ports(), [(opened.local.port(), addr.port())]);
        assert!(asked(&idents).await.ends_with(" : USERID : UNIX : alice"));
        drop(opened);
        assert!(idents.is_empty());
        plan.source = SourcePlan::new(vec!["127.0.0.1".parse().unwrap()], None, 0).unwrap();
        let opened = dial(&plan, 0, &who).await.unwrap();
        assert!(asked(&idents).await.ends_with(" : USERID : UNIX : alice"));
        drop(opened);

        // Nobody is announced who has no ident; nobody stays who did not get through.
        let _opened = dial_any(&plan).await.unwrap();
        assert!(idents.is_empty());
        let (_held, closed) = unheard();
        let plan = DialPlan { idents: Some(idents.clone()), ..plain_plan(closed) };
        dial(&plan, 0, &who).await.unwrap_err();
        assert!(idents.is_empty());
    }
}
