//! A model IRC server: registration, channels, fan-out, and faults on request.
//!
//! It knows what a bridge's puppets do (RFC 2812 sections 3.1 to 3.3 and 3.7) and little else: no
//! operators, no bans, no other servers. Virtual users stand for people on IRC: they have no connection and
//! speak through [`Ircd::say`]. A line costs it microseconds and an idle connection about a kilobyte. What
//! puppets say is recorded with the moment it was read, until it is taken.
//!
//! Chat and answers are written at once. What goes to whole channels about somebody's coming and going
//! waits up to 5 ms and is written together, or a thousand joins would cost a million writes.

mod command;
mod people;
mod state;
mod wire;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use self::state::{State, Turn};
#[allow(unused_imports, reason = "each test or bench uses its own part of the models")]
pub use self::wire::TlsIdentity;
use super::{Bell, Short};

/// How long a line about coming and going may wait for others.
const LAZY: Duration = Duration::from_millis(5);
/// Connections that may wait to be accepted: a thousand puppets come at once.
const BACKLOG: u32 = 4096;
/// Between two turns of [`Ircd::ping_each`].
const PING_TURN: Duration = Duration::from_millis(100);

/// How the server behaves from the start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its own name, the prefix of its numerics.
    pub name: String,
    pub cap: CapAnswer,
    pub pings: Pings,
    /// Where given, TLS is all that is spoken.
    pub tls: Option<TlsIdentity>,
}

impl Default for Settings {
    fn default() -> Self {
        let (cap, pings) = (CapAnswer::EmptyList, Pings::Answered);
        Self { name: "irc.model".to_owned(), cap, pings, tls: None }
    }
}

/// What `CAP LS` is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapAnswer {
    /// An empty list; registration then waits for `CAP END`.
    EmptyList,
    /// 410, as a server that knows CAP but not this subcommand.
    InvalidSubcommand,
    /// 421, as a server that knows no CAP.
    UnknownCommand,
}

/// Whether PING is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pings {
    Answered,
    Ignored,
}

/// One PRIVMSG or NOTICE of a connection.
#[derive(Clone, Debug)]
pub struct Said {
    pub nick: Arc<str>,
    pub target: String,
    pub text: String,
    pub kind: ChatKind,
    /// When the bytes that completed it were read.
    pub at: Instant,
}

/// The two commands that carry chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatKind {
    Privmsg,
    Notice,
}

/// One line to be said by somebody without a connection.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub channel: &'a str,
    pub nick: &'a str,
    pub text: &'a str,
}

/// A running model IRC server. Clones are the same server; it runs until the runtime ends.
#[derive(Clone)]
pub struct Ircd(Arc<Inner>);

struct Inner {
    port: u16,
    state: Mutex<State>,
    bell: Bell,
    lazy: Notify,
    /// The task that accepts connections; none while the server is down.
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Ircd {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = listen(0)?;
        let server = Self(Arc::new(Inner {
            port: listener.local_addr()?.port(),
            state: Mutex::new(State::new(settings)),
            bell: Bell::default(),
            lazy: Notify::new(),
            accepting: Mutex::default(),
        }));
        server.accept_from(listener);
        tokio::spawn(server.clone().write_lazy());
        Ok(server)
    }

    /// A restart as others see it: nobody can connect, every connection is cut without a word, and after
    /// `down` a server listens on the same port that knows none of them.
    ///
    /// # Errors
    /// When somebody else took the port meanwhile.
    pub async fn restart(&self, down: Duration) -> io::Result<()> {
        let accepting = self.0.accepting.lock().expect("no model panics while it holds its state").take();
        if let Some(accepting) = accepting {
            accepting.abort();
            // It ends by that alone; with it the listener.
            let _aborted = accepting.await;
        }
        self.change(State::forget_connections);
        tokio::time::sleep(down).await;
        self.accept_from(listen(self.0.port)?);
        Ok(())
    }

    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Lets somebody without a connection join: they are in NAMES, and members see them come.
    pub fn join_virtual(&self, channel: &str, nick: &str) {
        self.change(|state| state.join_virtual(channel, nick));
    }

    /// The opposite of [`Self::join_virtual`], as a QUIT from all channels.
    pub fn quit_virtual(&self, nick: &str, reason: &str) {
        self.change(|state| state.quit_virtual(nick, reason));
    }

    /// Lets somebody without a connection take another nick.
    pub fn rename_virtual(&self, nick: &str, new: &str) {
        self.change(|state| state.rename_virtual(nick, new));
    }

    /// Lets somebody without a connection say a line, in the channel or not; returns the moment just before
    /// the first copy was written.
    pub fn say(&self, channel: &str, nick: &str, text: &str) -> Instant {
        self.say_all(&[Line { channel, nick, text }])
    }

    /// Several lines at once, each connection's copies in one write.
    pub fn say_all(&self, lines: &[Line<'_>]) -> Instant {
        self.change(|state| {
            for line in lines {
                state.say(line);
            }
            Instant::now()
        })
    }

    /// Writes one line as it is, without its line ending, to one connection.
    pub fn send_raw(&self, nick: &str, line: &str) {
        self.change(|state| state.send_raw(nick, line));
    }

    /// Throws somebody out of a channel in the server's name.
    pub fn kick(&self, channel: &str, nick: &str, reason: &str) {
        self.change(|state| state.kick(channel, nick, reason));
    }

    /// Ends a connection with an ERROR, as an operator's KILL.
    pub fn kill(&self, nick: &str, reason: &str) {
        self.change(|state| state.kill(nick, reason));
    }

    /// Closes a connection without a word to it; the channels see a QUIT.
    pub fn cut(&self, nick: &str) {
        self.change(|state| state.cut(nick));
    }

    /// From now on nothing is read from and nothing written to this connection, and it stays open: a path
    /// that died silently. The server still takes it for a member. [`Self::cut`] ends it.
    pub fn silence(&self, nick: &str) {
        self.change(|state| state.silence(nick));
    }

    /// From now on each line to this connection is written this much later, in order.
    pub fn delay(&self, nick: &str, by: Duration) {
        self.change(|state| state.delay(nick, by));
    }

    /// From now on PING is answered, or not.
    pub fn set_pings(&self, pings: Pings) {
        self.change(|state| state.settings.pings = pings);
    }

    /// Asks every connection for a PONG; [`Self::pongs`] counts them.
    pub fn ping_everyone(&self, token: &str) {
        self.change(|state| state.ping(token, 0, 1));
    }

    /// From now on asks every connection for a PONG once each `every`, spread evenly, as long as the runtime
    /// lives.
    pub fn ping_each(&self, every: Duration) {
        let server = self.clone();
        let turns = every.div_duration_f64(PING_TURN).ceil().max(1.0) as usize;
        tokio::spawn(async move {
            let mut clock = tokio::time::interval(PING_TURN);
            for turn in (0..turns).cycle() {
                clock.tick().await;
                server.change(|state| state.ping("turn", turn, turns));
            }
        });
    }

    /// How many PONGs came.
    pub fn pongs(&self) -> usize {
        self.state().pongs
    }

    /// How many connections are registered.
    pub fn registered(&self) -> usize {
        self.state().registered()
    }

    /// When connections came since this was last asked, in order.
    pub fn take_dialed(&self) -> Vec<Instant> {
        std::mem::take(&mut self.state().dialed)
    }

    /// When connections were registered since this was last asked, in order.
    pub fn take_welcomed(&self) -> Vec<Instant> {
        std::mem::take(&mut self.state().welcomed)
    }

    /// Nicks of the connections in a channel, in the order in which they connected.
    pub fn members(&self, channel: &str) -> Vec<Arc<str>> {
        self.state().members(channel)
    }

    /// How many connections are in a channel.
    pub fn members_len(&self, channel: &str) -> usize {
        self.state().members_len(channel)
    }

    /// How many chat lines came since the last [`Self::take_said`].
    pub fn said_len(&self) -> usize {
        self.state().said.len()
    }

    /// A copy of the chat lines that came, in order.
    pub fn said(&self) -> Vec<Said> {
        self.state().said.clone()
    }

    /// The chat lines that came, in order; the record starts anew.
    pub fn take_said(&self) -> Vec<Said> {
        std::mem::take(&mut self.state().said)
    }

    /// Waits until `count` chat lines came since the last [`Self::take_said`].
    ///
    /// # Errors
    /// When fewer came `within` this time.
    pub async fn wait_for(&self, count: usize, within: Duration) -> Result<(), Short> {
        match self.0.bell.until(within, || self.said_len() >= count).await {
            true => Ok(()),
            false => Err(Short { wanted: count, have: self.said_len() }),
        }
    }

    /// Waits until a channel holds exactly `count` connections.
    ///
    /// # Errors
    /// When it did not come to that `within` this time.
    pub async fn wait_for_members(&self, channel: &str, count: usize, within: Duration) -> Result<(), Short> {
        match self.0.bell.until(within, || self.members_len(channel) == count).await {
            true => Ok(()),
            false => Err(Short { wanted: count, have: self.members_len(channel) }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no model panics while it holds its state")
    }

    /// Changes the state, then writes what the change wants to be written.
    fn change<T>(&self, how: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = how(&mut state);
        state.write_urgent();
        if state.has_lazy() {
            self.0.lazy.notify_one();
        }
        drop(state);
        self.0.bell.ring();
        result
    }

    fn accept_from(&self, listener: TcpListener) {
        let task = tokio::spawn(self.clone().accept(listener));
        *self.0.accepting.lock().expect("no model panics while it holds its state") = Some(task);
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            if stream.set_nodelay(true).is_err() {
                continue;
            }
            let stream = Arc::new(stream);
            let wake = Arc::new(Notify::new());
            let id = self.state().add(stream.clone(), wake.clone());
            tokio::spawn(self.clone().serve(id, stream, wake));
        }
    }

    async fn write_lazy(self) {
        loop {
            self.0.lazy.notified().await;
            tokio::time::sleep(LAZY).await;
            self.state().write_lazy();
        }
    }

    /// One connection until it is gone from the state.
    async fn serve(self, id: usize, stream: Arc<TcpStream>, wake: Arc<Notify>) {
        loop {
            let turn = self.state().turn(id);
            let (interest, due) = match turn {
                Turn::Gone => return,
                Turn::Silenced => {
                    wake.notified().await;
                    continue;
                }
                Turn::Read => (Interest::READABLE, None),
                Turn::ReadAndWrite => (Interest::READABLE | Interest::WRITABLE, None),
                Turn::ReadUntil(due) => (Interest::READABLE, Some(due)),
            };
            let due = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ready = stream.ready(interest) => match ready {
                    Ok(ready) if ready.is_readable() => self.read(id, &stream),
                    Ok(_) => self.state().write(id),
                    Err(_) => self.change(|state| state.lost(id)),
                },
                () = wake.notified() => {}
                () = due => self.state().release(id),
            }
        }
    }

    /// Takes what the kernel has for us.
    fn read(&self, id: usize, stream: &TcpStream) {
        let mut scratch = [0; 8192];
        loop {
            match stream.try_read(&mut scratch) {
                Ok(0) => return self.change(|state| state.lost(id)),
                Ok(length) => {
                    let at = Instant::now();
                    self.change(|state| state.take(id, &scratch[..length], at));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return self.change(|state| state.lost(id)),
            }
        }
        self.state().write(id);
    }
}

/// A listener on this loopback port; 0 is any.
fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // Connections that were cut still occupy the port for a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    socket.listen(BACKLOG)
}
