//! Our own ident server (RFC 1413): tells an IRC server which of our users a connection is.
//!
//! A server asks while we are still connecting, often before our `connect` has returned. So a connection is
//! announced when its socket is **bound**, before the first packet goes out: by then all four numbers of it
//! are known, and no question can be too early.
//!
//! ```text
//!   bind ---> announce ---> connect ---> ... ---> close ---> the guard is dropped
//!                |<------- questions about it are answered ------->|
//! ```
//!
//! Who asks learns only of their own connections: the addresses of the question are taken from its socket,
//! never from its text, so nobody else can find out who is who. What a stranger sends is read within bounds
//! of length, count and time, and never changes anything here.

use std::collections::HashMap;
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use memchr::memchr;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Connections served at once. One more is closed at once.
pub const CONNECTIONS_MAX: usize = 256;

/// Of these, how many may come from hosts that we have no connection to. Their answer is always `NO-USER`,
/// and they must not keep the servers of our networks from asking.
pub const STRANGERS_MAX: usize = 32;

/// The longest question, with its ending. Whoever sends a longer one is hung up on.
pub const QUESTION_BYTES_MAX: usize = 64;

/// Questions answered on one connection, which is then closed.
pub const QUESTIONS_MAX: usize = 16;

/// How long a connection may last.
pub const CONNECTION_MS_MAX: u64 = 10_000;

/// The longest ident given out. IRC servers take 9 or 10 of it.
pub const IDENT_BYTES_MAX: usize = 64;

/// After the kernel had no connection for us (too many files are open, say), this long a pause.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is behind which of our connections. All clones are one register.
#[derive(Clone, Debug, Default)]
pub struct Idents(Arc<Mutex<Register>>);

#[derive(Debug, Default)]
struct Register {
    /// As many as there are guards, so as many as connections.
    users: HashMap<Pair, User>,
    /// How many of `users` lead to each host.
    hosts: HashMap<IpAddr, usize>,
    generation: u64,
}

/// One connection, as both ends know it.
///
/// The local address belongs into it: two puppets with addresses of their own may well have the same port
/// towards the same server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pair {
    local: (IpAddr, u16),
    remote: (IpAddr, u16),
}

#[derive(Debug)]
struct User {
    ident: Box<str>,
    generation: u64,
}

/// Keeps a connection in the register until it is dropped.
///
/// The kernel may give the same port to the next connection while this one is still being put away. That
/// one's entry then stands already, with a later generation, and is left alone.
#[derive(Debug)]
pub struct IdentGuard {
    idents: Idents,
    pair: Pair,
    generation: u64,
}

impl Idents {
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the connection from `local` to `remote` is that of `ident`, while the guard is kept. To be
    /// called between bind and connect; `local` is the address and port that the socket is bound to.
    ///
    /// Of `ident` only printable ASCII without space, `:` and `@` is kept, up to [`IDENT_BYTES_MAX`]; when
    /// nothing is left, the answer is that there is no such user.
    pub fn announce(&self, local: SocketAddr, remote: SocketAddr, ident: &str) -> IdentGuard {
        let pair = Pair { local: place(local), remote: place(remote) };
        let legal = |c: &char| c.is_ascii_graphic() && !matches!(c, ':' | '@');
        let ident: String = ident.chars().filter(legal).take(IDENT_BYTES_MAX).collect();
        let mut register = self.lock();
        register.generation += 1;
        let generation = register.generation;
        if register.users.insert(pair, User { ident: ident.into(), generation }).is_none() {
            *register.hosts.entry(pair.remote.0).or_default() += 1;
        }
        drop(register);
        IdentGuard { idents: self.clone(), pair, generation }
    }

    /// How many connections are announced.
    pub fn len(&self) -> usize {
        self.lock().users.len()
    }

    /// True when no connection is announced.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The two ports of each connection.
    #[cfg(test)]
    pub(super) fn ports(&self) -> Vec<(u16, u16)> {
        self.lock().users.keys().map(|pair| (pair.local.1, pair.remote.1)).collect()
    }

    fn find(&self, pair: Pair) -> Option<String> {
        let register = self.lock();
        register.users.get(&pair).filter(|user| !user.ident.is_empty()).map(|user| user.ident.to_string())
    }

    fn knows(&self, host: IpAddr) -> bool {
        self.lock().hosts.contains_key(&host)
    }

    /// Each change is whole before anything could panic, so a poisoned register is a good one.
    fn lock(&self) -> MutexGuard<'_, Register> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for IdentGuard {
    fn drop(&mut self) {
        let mut register = self.idents.lock();
        if register.users.get(&self.pair).is_none_or(|user| user.generation != self.generation) {
            return;
        }
        register.users.remove(&self.pair);
        let host = self.pair.remote.0;
        if let Some(count) = register.hosts.get_mut(&host) {
            *count -= 1;
            if *count == 0 {
                register.hosts.remove(&host);
            }
        }
    }
}

/// Address and port without what else an IPv6 socket address has; an IPv4 one in IPv6's clothes, as a
/// listener for both sees it, is the IPv4 one.
fn place(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

/// Answers questions on `listener` until `cancel`; then hangs up on everybody.
pub async fn serve(listener: TcpListener, idents: Idents, cancel: CancellationToken) {
    let door = Door {
        places: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        strangers: Arc::new(Semaphore::new(STRANGERS_MAX)),
    };
    let mut guests = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => return,
            Some(_) = guests.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => {
                // Without a place the socket is dropped here, and with it closed.
                if let Some(place) = door.admit(peer, &idents) {
                    guests.spawn(attend(tcp, peer, idents.clone(), place));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "an ident question could not be accepted");
                tokio::select! {
                    () = cancel.cancelled() => return,
                    () = sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
}

/// Who is let in.
struct Door {
    places: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
}

/// A place at the counter; dropped when its guest has gone.
struct Place {
    _place: OwnedSemaphorePermit,
    _stranger: Option<OwnedSemaphorePermit>,
}

impl Door {
    fn admit(&self, peer: SocketAddr, idents: &Idents) -> Option<Place> {
        let stranger = if idents.knows(peer.ip().to_canonical()) {
            None
        } else {
            Some(self.strangers.clone().try_acquire_owned().ok()?)
        };
        Some(Place { _place: self.places.clone().try_acquire_owned().ok()?, _stranger: stranger })
    }
}

async fn attend(mut tcp: TcpStream, peer: SocketAddr, idents: Idents, _place: Place) {
    let asker = Asker { idents, peer: peer.ip().to_canonical(), asked: asked_addresses(&tcp) };
    // However it ends, there is nobody to tell: who asked has gone, or hears that we hang up.
    let talk = timeout(Duration::from_millis(CONNECTION_MS_MAX), asker.talk(&mut tcp)).await;
    tracing::debug!(%peer, ?talk, "an ident connection ended");
}

/// Which of our addresses the question was sent to: the socket's own, and the one that the packets had
/// before a redirection on this host (port 113 to an unprivileged one, usually) changed it.
fn asked_addresses(tcp: &TcpStream) -> Vec<IpAddr> {
    let mut asked: Vec<IpAddr> = tcp.local_addr().map(|local| place(local).0).into_iter().collect();
    #[cfg(target_os = "linux")]
    {
        let socket = SockRef::from(tcp);
        let original = [socket.original_dst_v4(), socket.original_dst_v6()];
        let original = original.into_iter().filter_map(Result::ok).filter_map(|address| address.as_socket());
        asked.extend(original.map(|address| place(address).0));
    }
    asked
}

/// One connection that asks.
struct Asker {
    idents: Idents,
    peer: IpAddr,
    asked: Vec<IpAddr>,
}

impl Asker {
    async fn talk(&self, tcp: &mut TcpStream) -> io::Result<()> {
        let mut held = Vec::with_capacity(QUESTION_BYTES_MAX);
        let mut questions_left = QUESTIONS_MAX;
        loop {
            let mut answers = String::new();
            while let Some(end) = memchr(b'\n', &held).filter(|_| questions_left > 0) {
                self.answer(&held[..end], &mut answers);
                held.drain(..=end);
                questions_left -= 1;
            }
            tcp.write_all(answers.as_bytes()).await?;
            let room = QUESTION_BYTES_MAX - held.len();
            if questions_left == 0 || room == 0 {
                return tcp.shutdown().await;
            }
            if tcp.take(room as u64).read_buf(&mut held).await? == 0 {
                return Ok(());
            }
        }
    }

    fn answer(&self, question: &[u8], answers: &mut String) {
        let written = match Question::parse(question) {
            Question::Ports(ours, theirs) => match self.find(ours, theirs) {
                Some(ident) => write!(answers, "{ours} , {theirs} : USERID : UNIX : {ident}\r\n"),
                None => write!(answers, "{ours} , {theirs} : ERROR : NO-USER\r\n"),
            },
            Question::NoPorts(ours, theirs) => {
                write!(answers, "{ours} , {theirs} : ERROR : INVALID-PORT\r\n")
            }
            Question::Nonsense => write!(answers, "0 , 0 : ERROR : UNKNOWN-ERROR\r\n"),
        };
        written.expect("a String takes all text");
    }

    fn find(&self, ours: u16, theirs: u16) -> Option<String> {
        let remote = (self.peer, theirs);
        self.asked.iter().find_map(|&local| self.idents.find(Pair { local: (local, ours), remote }))
    }
}

/// `port here , port there` (RFC 1413 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Ports(u16, u16),
    /// Two numbers, at least one of which is no port.
    NoPorts(u64, u64),
    Nonsense,
}

impl Question {
    fn parse(line: &[u8]) -> Self {
        let number = |text: &str| {
            let text = text.trim_ascii();
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u64>().ok()).flatten()
        };
        let pair = std::str::from_utf8(line).ok().and_then(|text| text.split_once(','));
        let Some((Some(ours), Some(theirs))) = pair.map(|(ours, theirs)| (number(ours), number(theirs)))
        else {
            return Self::Nonsense;
        };
        match (u16::try_from(ours), u16::try_from(theirs)) {
            (Ok(ours @ 1..), Ok(theirs @ 1..)) => Self::Ports(ours, theirs),
            _ => Self::NoPorts(ours, theirs),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::net::TcpSocket;
    use tokio::task::JoinHandle;

    use super::super::testing::listen;
    use super::*;

    /// The answer to `1,1` where nobody is announced there.
    const NOBODY: &str = "1 , 1 : ERROR : NO-USER\r\n";

    struct Scene {
        idents: Idents,
        addr: SocketAddr,
        cancel: CancellationToken,
        task: JoinHandle<()>,
    }

    impl Scene {
        async fn start() -> Self {
            let (listener, addr) = listen().await;
            let (idents, cancel) = (Idents::new(), CancellationToken::new());
            let task = tokio::spawn(serve(listener, idents.clone(), cancel.clone()));
            Self { idents, addr, cancel, task }
        }

        fn announce(&self, ours: u16, remote: &str, ident: &str) -> IdentGuard {
            self.idents.announce(SocketAddr::new(self.addr.ip(), ours), remote.parse().unwrap(), ident)
        }

        async fn connect(&self, from: &str) -> TcpStream {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
            socket.connect(self.addr).await.unwrap()
        }

        /// All that is answered to `text` when it is sent from `from`.
        async fn ask(&self, from: &str, text: &[u8]) -> String {
            let mut tcp = self.connect(from).await;
            tcp.write_all(text).await.unwrap();
            tcp.shutdown().await.unwrap();
            heard(&mut tcp).await
        }
    }

    /// Until the other end hangs up; a reset is one way to.
    async fn heard(tcp: &mut TcpStream) -> String {
        let mut bytes = Vec::new();
        let mut piece = [0; 512];
        while let Ok(taken @ 1..) = tcp.read(&mut piece).await {
            bytes.extend_from_slice(&piece[..taken]);
        }
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn a_server_hears_who_its_connection_is() {
        let scene = Scene::start().await;
        let _alice = scene.announce(40_001, "127.0.0.1:6667", "alice");
        let _bob = scene.announce(40_002, "127.0.0.1:6667", "bob");
        let questions = b"40001,6667\r\n 40002 ,\t6667 \n40003, 6667\r\n40001, 6697\r\n";
        assert_eq!(
            scene.ask("127.0.0.1", questions).await,
            "40001 , 6667 : USERID : UNIX : alice\r\n40002 , 6667 : USERID : UNIX : bob\r\n\
             40003 , 6667 : ERROR : NO-USER\r\n40001 , 6697 : ERROR : NO-USER\r\n"
        );
    }

    #[tokio::test]
    async fn nobody_else_hears_it() {
        let scene = Scene::start().await;
        let _theirs = scene.announce(40_001, "127.0.0.7:6667", "alice");
        let _of_another_address = scene.idents.announce(
            "127.0.0.9:40002".parse().unwrap(),
            "127.0.0.1:6667".parse().unwrap(),
            "bob",
        );
        assert_eq!(scene.ask("127.0.0.7", b"40001,6667\n").await, "40001 , 6667 : USERID : UNIX : alice\r\n");
        assert_eq!(scene.ask("127.0.0.8", b"40001,6667\n").await, "40001 , 6667 : ERROR : NO-USER\r\n");
        // Sent to another of our addresses than the one the connection comes from.
        assert_eq!(scene.ask("127.0.0.1", b"40002,6667\n").await, "40002 , 6667 : ERROR : NO-USER\r\n");
    }

    #[test]
    fn a_port_that_is_used_again_is_its_new_owners() {
        let idents = Idents::new();
        let pair = ("127.0.0.1:4000".parse().unwrap(), "127.0.0.1:6667".parse().unwrap());
        let of = |(local, remote): (SocketAddr, SocketAddr)| {
            idents.find(Pair { local: place(local), remote: place(remote) })
        };
        let first = idents.announce(pair.0, pair.1, "first");
        let second = idents.announce(pair.0, pair.1, "second");
        drop(first);
        assert_eq!(of(pair).as_deref(), Some("second"));
        assert!(idents.knows(pair.1.ip()));
        drop(second);
        assert_eq!(of(pair), None);
        assert!(idents.is_empty() && !idents.knows(pair.1.ip()));
    }

    #[test]
    fn an_ident_is_one_word_of_ascii_or_nobody() {
        let idents = Idents::new();
        let pair: (SocketAddr, SocketAddr) = ("[::1]:1".parse().unwrap(), "[::1]:2".parse().unwrap());
        let told = |ident: &str| {
            let _guard = idents.announce(pair.0, pair.1, ident);
            idents.find(Pair { local: place(pair.0), remote: place(pair.1) })
        };
        assert_eq!(told("ali ce\r\n1 , 2 : USERID : UNIX : root").as_deref(), Some("alice1,2USERIDUNIXroot"));
        assert_eq!(told("é\0 :@"), None);
        assert_eq!(told(&"x".repeat(1000)).unwrap().len(), IDENT_BYTES_MAX);
    }

    #[test]
    fn an_ipv4_address_seen_by_a_listener_for_both_is_that_address() {
        let mapped: SocketAddr = "[::ffff:127.0.0.1]:113".parse().unwrap();
        assert_eq!(place(mapped), place("127.0.0.1:113".parse().unwrap()));
    }

    #[tokio::test]
    async fn odd_questions_get_an_error_and_the_next_one_its_answer() {
        let scene = Scene::start().await;
        let _alice = scene.announce(40_001, "127.0.0.1:6667", "alice");
        let cases: [(&[u8], &str); 8] = [
            (b"0,6667", "0 , 6667 : ERROR : INVALID-PORT"),
            (b"40001,65536", "40001 , 65536 : ERROR : INVALID-PORT"),
            (b"40001, 99999999999999999999999", "0 , 0 : ERROR : UNKNOWN-ERROR"),
            (b"40001,6667,1", "0 , 0 : ERROR : UNKNOWN-ERROR"),
            (b"+40001,6667", "0 , 0 : ERROR : UNKNOWN-ERROR"),
            (b"40001,-6667", "0 , 0 : ERROR : UNKNOWN-ERROR"),
            (b"", "0 , 0 : ERROR : UNKNOWN-ERROR"),
            (b"\xff\x00,\xc3", "0 , 0 : ERROR : UNKNOWN-ERROR"),
        ];
        for (question, answer) in cases {
            let text = [question, b"\r\n40001,6667\r\n"].concat();
            let expected = format!("{answer}\r\n40001 , 6667 : USERID : UNIX : alice\r\n");
            assert_eq!(scene.ask("127.0.0.1", &text).await, expected);
        }
    }

    #[tokio::test]
    async fn who_asks_too_long_or_too_often_is_hung_up_on() {
        let scene = Scene::start().await;
        let mut tcp = scene.connect("127.0.0.1").await;
        tcp.write_all(&[b'1'; QUESTION_BYTES_MAX]).await.unwrap();
        assert_eq!(heard(&mut tcp).await, "");
        let many = "1,1\r\n".repeat(QUESTIONS_MAX + 1);
        let mut tcp = scene.connect("127.0.0.1").await;
        tcp.write_all(many.as_bytes()).await.unwrap();
        assert_eq!(heard(&mut tcp).await.lines().count(), QUESTIONS_MAX);
    }

    #[tokio::test]
    async fn who_says_nothing_is_hung_up_on_in_time() {
        let scene = Scene::start().await;
        let mut tcp = scene.connect("127.0.0.1").await;
        tcp.write_all(b"1,1\n").await.unwrap();
        tcp.read_exact(&mut [0; NOBODY.len()]).await.unwrap();
        // The server waits for more now, and only the clock can end it.
        tokio::time::pause();
        assert_eq!(heard(&mut tcp).await, "");
    }

    #[tokio::test]
    async fn strangers_do_not_keep_servers_from_asking_and_nobody_takes_every_place() {
        let scene = Scene::start().await;
        let _alice = scene.announce(40_001, "127.0.0.7:6667", "alice");
        let mut strangers = Vec::new();
        for _ in 0..=STRANGERS_MAX {
            strangers.push(scene.connect("127.0.0.1").await);
        }
        // The last one is closed; the others are not answered for yet, but let in.
        assert_eq!(heard(strangers.last_mut().unwrap()).await, "");
        strangers[0].write_all(b"1,1\n").await.unwrap();
        strangers[0].read_exact(&mut [0; NOBODY.len()]).await.unwrap();
        assert_eq!(scene.ask("127.0.0.7", b"40001,6667\n").await, "40001 , 6667 : USERID : UNIX : alice\r\n");

        let mut servers = Vec::new();
        for _ in STRANGERS_MAX..=CONNECTIONS_MAX {
            servers.push(scene.connect("127.0.0.7").await);
        }
        assert_eq!(heard(servers.last_mut().unwrap()).await, "");
        drop(strangers);
        // A place is free again as soon as the server has seen one of them go.
        while scene.ask("127.0.0.7", b"40001,6667\n").await.is_empty() {}
    }

    #[tokio::test]
    async fn it_ends_when_asked_with_guests_at_the_door() {
        let scene = Scene::start().await;
        let mut tcp = scene.connect("127.0.0.1").await;
        tcp.write_all(b"1,1\n").await.unwrap();
        tcp.read_exact(&mut [0; NOBODY.len()]).await.unwrap();
        scene.cancel.cancel();
        scene.task.await.unwrap();
        assert_eq!(heard(&mut tcp).await, "");
    }

    #[tokio::test]
    async fn bytes_in_pieces_are_one_question() {
        let scene = Scene::start().await;
        let _alice = scene.announce(40_001, "127.0.0.1:6667", "alice");
        let mut tcp = scene.connect("127.0.0.1").await;
        tcp.set_nodelay(true).unwrap();
        for byte in b"40001 , 6667\r\n" {
            tcp.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        tcp.shutdown().await.unwrap();
        assert_eq!(heard(&mut tcp).await, "40001 , 6667 : USERID : UNIX : alice\r\n");
    }

    proptest! {
        #[test]
        fn every_question_is_one_kind_and_answered_with_one_line(
            question in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..QUESTION_BYTES_MAX),
                "[0-9]{0,6}[ ,]{0,3}[0-9]{0,6}".prop_map(String::into_bytes),
            ],
        ) {
            let asker = Asker { idents: Idents::new(), peer: IpAddr::from([127, 0, 0, 1]), asked: Vec::new() };
            let mut answer = String::new();
            asker.answer(&question, &mut answer);
            prop_assert!(answer.ends_with("\r\n") && answer.matches('\n').count() == 1, "{:?}", answer);
            prop_assert!(answer.contains(" : ERROR : "), "{:?}", answer);
        }
    }
}
