//! Connections and channels of the model IRC server, and what waits to be written.
//!
//! No await in here: one lock is held for one batch of input. A connection's output is one byte buffer;
//! marks say whether it is to be written at the end of the batch or with the next lazy turn. A connection
//! that does not read for 16 MB is cut, as a server's send queue does it.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::wire::{Taken, Wire};
use super::{Said, Settings};

/// Output that may wait for one connection, in bytes.
const SENDQ_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest input line taken: 512 bytes and the tags' 8191 (IRCv3 message-tags).
const LINE_BYTES_MAX: usize = 8191 + 512;
/// Buffers above this go back to the allocator when they are empty.
const BUFFER_BYTES_KEPT: usize = 512;

/// What a connection's task is to wait for.
pub enum Turn {
    Gone,
    Silenced,
    Read,
    ReadAndWrite,
    ReadUntil(Instant),
}

/// When a line is to be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    Now,
    Lazy,
}

/// How far a connection has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// NICK, USER or CAP END is missing.
    Registering {
        cap: CapStage,
    },
    Registered,
}

/// Whether the end of registration waits for `CAP END`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CapStage {
    None,
    Open,
}

pub struct Conn {
    stream: Arc<TcpStream>,
    wire: Wire,
    wake: Arc<Notify>,
    pub nick: Option<Arc<str>>,
    pub user: Option<Arc<str>>,
    pub stage: Stage,
    partial: Vec<u8>,
    out: Vec<u8>,
    held: VecDeque<(Instant, Vec<u8>)>,
    delay: Duration,
    line: Path,
    blocked: Blocked,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Path {
    Open,
    Silenced,
}

/// Whether the kernel refused output and the task waits until it takes some again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blocked {
    No,
    Yes,
}

#[derive(Default)]
pub struct Channel {
    pub name: String,
    pub members: BTreeSet<usize>,
    pub virtuals: BTreeSet<String>,
    pub topic: String,
}

pub struct State {
    pub settings: Settings,
    pub conns: Vec<Option<Conn>>,
    pub channels: HashMap<String, Channel>,
    /// Folded nick to connection.
    pub nicks: HashMap<String, usize>,
    pub said: Vec<Said>,
    pub pongs: usize,
    /// When connections came, since this was last taken.
    pub dialed: Vec<Instant>,
    /// When connections were registered, since this was last taken.
    pub welcomed: Vec<Instant>,
    urgent: Vec<usize>,
    lazy: Vec<usize>,
}

/// CASEMAPPING=ascii.
pub fn fold(text: &str) -> String {
    text.to_ascii_lowercase()
}

impl State {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            conns: Vec::new(),
            channels: HashMap::new(),
            nicks: HashMap::new(),
            said: Vec::new(),
            pongs: 0,
            dialed: Vec::new(),
            welcomed: Vec::new(),
            urgent: Vec::new(),
            lazy: Vec::new(),
        }
    }

    pub fn add(&mut self, stream: Arc<TcpStream>, wake: Arc<Notify>) -> usize {
        self.dialed.push(Instant::now());
        self.conns.push(Some(Conn {
            stream,
            wire: Wire::new(self.settings.tls.as_ref()),
            wake,
            nick: None,
            user: None,
            stage: Stage::Registering { cap: CapStage::None },
            partial: Vec::new(),
            out: Vec::new(),
            held: VecDeque::new(),
            delay: Duration::ZERO,
            line: Path::Open,
            blocked: Blocked::No,
        }));
        self.conns.len() - 1
    }

    pub fn conn(&mut self, id: usize) -> Option<&mut Conn> {
        self.conns.get_mut(id)?.as_mut()
    }

    pub fn turn(&self, id: usize) -> Turn {
        let Some(conn) = self.conns[id].as_ref() else { return Turn::Gone };
        match (conn.line, conn.blocked, conn.held.front()) {
            (Path::Silenced, ..) => Turn::Silenced,
            (Path::Open, Blocked::Yes, _) => Turn::ReadAndWrite,
            (Path::Open, Blocked::No, Some((due, _))) => Turn::ReadUntil(*due),
            (Path::Open, Blocked::No, None) => Turn::Read,
        }
    }

    /// Splits what came into lines and performs each.
    pub fn take(&mut self, id: usize, bytes: &[u8], at: Instant) {
        let Some(conn) = self.conn(id) else { return };
        let Ok(text) = conn.wire.open(bytes) else { return self.remove(id, "TLS error") };
        let mut joined;
        let mut rest = &*text;
        if !conn.partial.is_empty() {
            joined = std::mem::take(&mut conn.partial);
            joined.extend_from_slice(&text);
            rest = &joined;
        }
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            self.perform(id, &String::from_utf8_lossy(line), at);
            rest = &rest[end + 1..];
        }
        if rest.len() > LINE_BYTES_MAX {
            return self.remove(id, "Input line too long");
        }
        if let (Some(conn), false) = (self.conn(id), rest.is_empty()) {
            conn.partial = rest.to_owned();
        }
    }

    /// Queues one line for one connection.
    pub fn tell(&mut self, id: usize, line: &str, urgency: Urgency) {
        let Some(conn) = self.conns[id].as_mut() else { return };
        if conn.line == Path::Silenced {
            return;
        }
        let buffer = if conn.delay.is_zero() {
            let marks = if urgency == Urgency::Now { &mut self.urgent } else { &mut self.lazy };
            if conn.out.is_empty() || urgency == Urgency::Now {
                marks.push(id);
            }
            &mut conn.out
        } else {
            conn.held.push_back((Instant::now() + conn.delay, Vec::new()));
            conn.wake.notify_one();
            &mut conn.held.back_mut().expect("pushed one line above").1
        };
        buffer.extend_from_slice(line.as_bytes());
        buffer.extend_from_slice(b"\r\n");
        if conn.out.len() > SENDQ_BYTES_MAX {
            self.remove(id, "SendQ exceeded");
        }
    }

    /// Queues one line for the connections in a channel, except one.
    pub fn tell_channel(&mut self, folded: &str, except: Option<usize>, line: &str, urgency: Urgency) {
        let Some(channel) = self.channels.get(folded) else { return };
        let members: Vec<usize> = channel.members.iter().copied().filter(|id| Some(*id) != except).collect();
        for id in members {
            self.tell(id, line, urgency);
        }
    }

    /// Queues one line, once, for every connection that shares a channel with this one.
    pub fn tell_neighbours(&mut self, id: usize, line: &str) {
        let shared = self.channels.values().filter(|channel| channel.members.contains(&id));
        let mut neighbours: BTreeSet<usize> =
            shared.flat_map(|channel| channel.members.iter().copied()).collect();
        neighbours.remove(&id);
        for neighbour in neighbours {
            self.tell(neighbour, line, Urgency::Lazy);
        }
    }

    pub fn has_lazy(&self) -> bool {
        !self.lazy.is_empty()
    }

    pub fn write_urgent(&mut self) {
        while let Some(id) = self.urgent.pop() {
            self.write(id);
        }
    }

    pub fn write_lazy(&mut self) {
        for id in std::mem::take(&mut self.lazy) {
            self.write(id);
        }
    }

    /// Moves lines of a delayed connection whose time has come into its output, and writes them.
    pub fn release(&mut self, id: usize) {
        let Some(conn) = self.conn(id) else { return };
        while conn.held.front().is_some_and(|(due, _)| *due <= Instant::now()) {
            let (_, line) = conn.held.pop_front().expect("looked at above");
            conn.out.extend_from_slice(&line);
        }
        self.write(id);
    }

    /// Gives the kernel what it takes of a connection's output.
    pub fn write(&mut self, id: usize) {
        let Some(conn) = self.conn(id) else { return };
        if conn.line == Path::Silenced || (conn.out.is_empty() && !conn.wire.has_output()) {
            return;
        }
        match conn.wire.write(&conn.stream, &mut conn.out) {
            Ok(Taken::All) => {
                conn.blocked = Blocked::No;
                if conn.out.capacity() > BUFFER_BYTES_KEPT {
                    conn.out = Vec::new();
                }
            }
            Ok(Taken::Part) => conn.wait_until_writable(),
            Err(_) => self.remove(id, "Write error"),
        }
    }

    /// The other side is gone.
    pub fn lost(&mut self, id: usize) {
        self.remove(id, "Connection closed");
    }

    /// Ends a connection: its channels see a QUIT, its task ends, the socket closes.
    pub fn remove(&mut self, id: usize, reason: &str) {
        let Some(conn) = self.conns[id].as_ref() else { return };
        conn.wake.notify_one();
        let quit = format!(":{} QUIT :{reason}", conn.prefix());
        if let Some(nick) = &conn.nick {
            self.nicks.remove(&fold(nick));
        }
        self.tell_neighbours(id, &quit);
        for channel in self.channels.values_mut() {
            channel.members.remove(&id);
        }
        self.conns[id] = None;
    }

    pub fn send_raw(&mut self, nick: &str, line: &str) {
        if let Some(&id) = self.nicks.get(&fold(nick)) {
            self.tell(id, line, Urgency::Now);
        }
    }

    pub fn kick(&mut self, channel: &str, nick: &str, reason: &str) {
        let Some(&id) = self.nicks.get(&fold(nick)) else { return };
        let wire = format!(":{} KICK {channel} {nick} :{reason}", self.settings.name);
        self.tell_channel(&fold(channel), None, &wire, Urgency::Now);
        if let Some(channel) = self.channels.get_mut(&fold(channel)) {
            channel.members.remove(&id);
        }
    }

    pub fn kill(&mut self, nick: &str, reason: &str) {
        if let Some(&id) = self.nicks.get(&fold(nick)) {
            self.close(id, &format!("Killed ({reason})"));
        }
    }

    /// Ends a connection with an ERROR line to it.
    pub fn close(&mut self, id: usize, reason: &str) {
        self.tell(id, &format!("ERROR :Closing Link: 127.0.0.1 ({reason})"), Urgency::Now);
        self.write(id);
        self.remove(id, reason);
    }

    pub fn cut(&mut self, nick: &str) {
        if let Some(&id) = self.nicks.get(&fold(nick)) {
            self.remove(id, "Connection reset by peer");
        }
    }

    pub fn silence(&mut self, nick: &str) {
        if let Some(&id) = self.nicks.get(&fold(nick))
            && let Some(conn) = self.conn(id)
        {
            conn.line = Path::Silenced;
            conn.wake.notify_one();
        }
    }

    pub fn delay(&mut self, nick: &str, by: Duration) {
        if let Some(&id) = self.nicks.get(&fold(nick))
            && let Some(conn) = self.conn(id)
        {
            conn.delay = by;
        }
    }

    /// Every connection is gone, and nobody was told. Those without one stay where they are.
    pub fn forget_connections(&mut self) {
        for conn in self.conns.iter_mut().filter_map(Option::take) {
            conn.wake.notify_one();
        }
        for channel in self.channels.values_mut() {
            channel.members.clear();
        }
        self.nicks.clear();
    }

    /// Asks those for a sign of life whose number, divided by `turns`, leaves `turn`.
    pub fn ping(&mut self, token: &str, turn: usize, turns: usize) {
        for id in (turn..self.conns.len()).step_by(turns) {
            if self.conns[id].as_ref().is_some_and(|conn| conn.stage == Stage::Registered) {
                self.tell(id, &format!("PING :{token}"), Urgency::Now);
            }
        }
    }

    pub fn registered(&self) -> usize {
        self.conns.iter().flatten().filter(|conn| conn.stage == Stage::Registered).count()
    }

    pub fn members(&self, channel: &str) -> Vec<Arc<str>> {
        let members = self.channels.get(&fold(channel)).into_iter().flat_map(|channel| &channel.members);
        members.filter_map(|id| self.conns[*id].as_ref()?.nick.clone()).collect()
    }

    pub fn members_len(&self, channel: &str) -> usize {
        self.channels.get(&fold(channel)).map_or(0, |channel| channel.members.len())
    }
}

impl Conn {
    /// `nick!user@host`, as others see it.
    pub fn prefix(&self) -> String {
        let nick = self.nick.as_deref().unwrap_or("*");
        format!("{nick}!{}@127.0.0.1", self.user.as_deref().unwrap_or("unknown"))
    }

    fn wait_until_writable(&mut self) {
        self.blocked = Blocked::Yes;
        self.wake.notify_one();
    }
}
