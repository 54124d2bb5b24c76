//! One IRC connection's state: from the dial to the last line.
//!
//! ```text
//!   new ──opened──▶ Registering ──001, end of greeting──▶ Ready
//!    │                  │  433: next nick variant            │
//!    └── dial failed, registration too long, silence, ERROR ───┴─QUIT─▶ Closing ─▶ over (the puppet decides what then)
//! ```
//!
//! A session says what it wants written and when it wants to be woken; it knows no room, no other session and
//! no clock. What its stream shows becomes a [`Seen`](seen::Seen).

pub mod ask;
mod asking;
pub mod caps;
mod going;
mod hear;
pub mod identify;
pub mod isupport;
pub mod labels;
pub mod lines;
pub mod login;
pub mod multiline;
mod own;
pub mod places;
pub mod pulse;
pub mod question;
pub mod register;
mod registering;
pub mod replies;
pub mod seen;
pub mod send;
pub mod sent;
mod settling;
pub mod tags;
mod unsaid;
mod view;

use std::sync::Arc;

use self::ask::Asks;
use self::caps::Negotiation;
use self::hear::Heard;
use self::isupport::Isupport;
use self::multiline::{Fed, Multiline};
use self::own::Own;
use self::places::Places;
use self::pulse::{Beat, Pulse};
use self::register::{LoginEnd, Registration};
use self::registering::{Flow, Greeted};
use self::seen::{Greeting, Seen};
use self::send::{ChatLine, Full, Part, SendQueue};
use self::sent::Sent;
use super::clock::Bucket;
use super::effect::{Chat, Effect};
use super::policy::PingPace;
use crate::ids::{ChannelName, ConnId, Nick, Time};
use crate::text::{casemap::CaseMap, line::Line};

/// How long a connection may take to close after QUIT.
const CLOSE_MS_MAX: u64 = 10_000;
/// `user@host` where we have not seen our own yet: ten bytes with `~`, `@`, and the longest legal host name.
const SOURCE_REST_BYTES_GUESS: usize = 1 + 11 + 1 + 63;

/// One IRC connection's state machine.
#[derive(Debug)]
pub struct Session {
    pub conn: ConnId,
    phase: Phase,
    nick: Option<Nick>,
    /// A nick asked for and not yet given or refused.
    nick_asked: Option<Nick>,
    /// Bytes of `!user@host` as others see us.
    source_rest_bytes: usize,
    queue: SendQueue,
    asks: Asks,
    bucket_opens: Option<Time>,
    pulse: Pulse,
    places: Places,
    /// The server's own name, as its welcome gave it.
    server: Option<Arc<str>>,
    /// What the socket was last told about chat in channels.
    chat: Chat,
    caps: Negotiation,
    /// Messages of several lines that are coming in.
    multiline: Multiline,
    login: LoginEnd,
    talk: Talk,
    own: Own,
}

/// Whether a connection says more than it has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    Free,
    /// Only what was said is to be answered; the rest waits for the next run.
    Finishing,
}

/// Where the connection is in its life.
#[derive(Debug)]
enum Phase {
    Dialing,
    Registering(Box<Registration>),
    Ready,
    /// QUIT was said, and this is when it has to be over; what the kernel takes counts, what comes in does not.
    Closing(Time),
}

/// What a session's wake-up found.
#[derive(Debug, PartialEq, Eq)]
pub enum Woken {
    Fine,
    /// The connection may be used now.
    Ready,
    /// These channels did not answer; they are to be asked again.
    Late(Vec<ChannelName>),
    /// The connection is to be given up, in these words.
    GiveUp(&'static str),
}

impl Session {
    /// A session whose socket is being made.
    pub fn new(conn: ConnId, now: Time, bucket: Bucket) -> Self {
        Self {
            conn,
            phase: Phase::Dialing,
            nick: None,
            nick_asked: None,
            source_rest_bytes: SOURCE_REST_BYTES_GUESS,
            queue: SendQueue::new(bucket),
            asks: Asks::default(),
            bucket_opens: None,
            pulse: Pulse::new(now),
            places: Places::default(),
            server: None,
            chat: Chat::Read,
            caps: Negotiation::default(),
            multiline: Multiline::default(),
            login: LoginEnd::None,
            talk: Talk::Free,
            own: Own::default(),
        }
    }

    /// Takes one line: answers what needs no thought, keeps its own state, and returns what was seen.
    pub fn line(
        &mut self,
        now: Time,
        line: &Line,
        isupport: &mut Isupport,
        out: &mut Vec<Effect>,
    ) -> Option<Seen> {
        if matches!(self.phase, Phase::Closing(_)) {
            // What was said before QUIT is still answered.
            self.hears(line, isupport);
            return None;
        }
        self.pulse.heard(now);
        self.own.hears(line, self.nick.as_ref());
        if line.command == "PING" {
            let token = line.params.last().map_or("", String::as_str);
            self.control(Line::new("PONG", &[token]).build(), out);
            return self.multiline.late(now).and_then(|whole| lines::read_whole(whole, isupport));
        }
        if line.command == "PONG" {
            self.take_time(now, line);
        }
        let was_full = self.asks.are_full();
        let heard = self.hears(line, isupport);
        if was_full && !self.asks.are_full() {
            self.pump(out);
        }
        if let Fed::Taken(whole) = self.multiline.feed(now, line) {
            return whole.and_then(|whole| lines::read_whole(whole, isupport));
        }
        if heard == Heard::Answer {
            return self.multiline.late(now).and_then(|whole| lines::read_whole(whole, isupport));
        }
        if self.chat == Chat::Skip && matches!(line.command.as_str(), "353" | "366") {
            // Lists of names are for those who observe; in a large channel they are what costs most.
            return None;
        }
        if let Flow::Taken(seen) = self.registration_line(line, out) {
            return seen;
        }
        let seen = lines::read(line, isupport)?;
        if self.is_out_of_place(&seen) || (seen == Seen::Ready && self.greeted(now, out) == Greeted::NotYet) {
            return None;
        }
        self.keep(&seen, out);
        Some(seen)
    }

    /// Takes a line for an answer, where it is one.
    fn hears(&mut self, line: &Line, isupport: &Isupport) -> Heard {
        if line.command == "PONG" {
            self.queue.sent.lives();
        }
        self.asks.hears(line, isupport.casemap.unwrap_or_default(), self.nick.as_ref())
    }

    /// A greeting is taken once, and ends after it has begun: a server that shows its MOTD again starts nothing.
    fn is_out_of_place(&self, seen: &Seen) -> bool {
        let registering = matches!(self.phase, Phase::Registering(_));
        match seen.greeting() {
            Some(Greeting::Begins) => !registering,
            Some(Greeting::Ends) => !registering || self.nick.is_none(),
            None => false,
        }
    }

    /// Keeps this session's own state in step with what it saw.
    fn keep(&mut self, seen: &Seen, out: &mut Vec<Effect>) {
        match seen {
            Seen::Welcome { nick, server } => {
                self.nick = Some(nick.clone());
                self.server = server.as_deref().map(Arc::from);
                self.nick_asked = None;
            }
            Seen::NickRefused { why, .. } => self.nick_refused(*why, out),
            Seen::Joined { channel, who } if self.is_me(&who.nick) => {
                self.places.entered(channel);
                self.asks.entered(channel);
                if let (Some(user), Some(host)) = (&who.user, &who.host) {
                    self.source_rest_bytes = 1 + user.len() + 1 + host.len();
                }
            }
            Seen::HostChanged { who, user, host } => {
                if self.is_me(&who.nick) {
                    self.source_rest_bytes = 1 + user.len() + 1 + host.len();
                }
            }
            Seen::Renamed { who, to } if self.is_me(who) => {
                self.nick = Some(to.clone());
                self.nick_asked = None;
                self.asks.renamed(to);
            }
            Seen::Left { channel, who } if self.is_me(who) => self.asks.left(channel),
            Seen::Topic { channel, by: Some(who), .. } if self.is_me(who) => self.asks.topic_set(channel),
            Seen::Kicked { channel, who, by, .. } if self.is_called(by) => self.asks.kicked(channel, who),
            Seen::Joined { .. }
            | Seen::Left { .. }
            | Seen::Kicked { .. }
            | Seen::Renamed { .. }
            | Seen::ModesChanged { .. }
            | Seen::Quit { .. }
            | Seen::Names { .. }
            | Seen::NamesEnd { .. }
            | Seen::Said { .. }
            | Seen::SaidPrivately { .. }
            | Seen::CtcpAsked { .. }
            | Seen::JoinRefused { .. }
            | Seen::NotTaken { .. }
            | Seen::Farewell { .. }
            | Seen::Ready
            | Seen::Offline { .. }
            | Seen::LoginRefused { .. }
            | Seen::UpgradeAsked { .. }
            | Seen::Supports
            | Seen::Away { .. }
            | Seen::Killed { .. }
            | Seen::Typing { .. }
            | Seen::ModesAre { .. }
            | Seen::Topic { .. }
            | Seen::Invited { .. }
            | Seen::Online(_)
            | Seen::WatchRefused(_) => {}
        }
    }

    fn nick_refused(&mut self, why: seen::NickRefusal, out: &mut Vec<Effect>) {
        self.nick_asked = None;
        let Phase::Registering(registration) = &mut self.phase else { return };
        if let Some(nick) = registration.next_nick(why) {
            self.nick_asked = Some(nick.clone());
            self.control(Line::new("NICK", &[nick.as_str()]).build(), out);
        }
    }

    /// Says goodbye and closes. Returns the channels that are left by it.
    pub fn quit(&mut self, now: Time, reason: &str, out: &mut Vec<Effect>) -> Vec<ChannelName> {
        if !matches!(self.phase, Phase::Closing(_)) {
            self.control(Line::new("QUIT", &[reason]).build(), out);
            out.push(Effect::Close { conn: self.conn });
            self.phase = Phase::Closing(now.plus_ms(CLOSE_MS_MAX));
        }
        self.places.take_all()
    }

    /// Queues the lines of a message, all or none.
    pub fn say(&mut self, lines: Vec<ChatLine>, out: &mut Vec<Effect>) -> Result<(), Full> {
        self.queue.push_chat(lines)?;
        self.pump(out);
        Ok(())
    }

    fn control(&mut self, line: String, out: &mut Vec<Effect>) {
        // Full only against a server that reads nothing: its silence ends the connection.
        let _ = self.queue.push_control(line);
        self.pump(out);
    }

    fn pump(&mut self, out: &mut Vec<Effect>) {
        if self.talk == Talk::Finishing || matches!(self.phase, Phase::Closing(_)) {
            // Behind QUIT nothing is heard.
            self.queue.pump_control(self.conn, out);
            self.bucket_opens = None;
        } else {
            let tags = self.tags();
            self.bucket_opens = self.queue.pump(self.conn, tags, &mut self.asks, out);
        }
    }

    /// The kernel took so many lines: returns the parts of messages that are on their way now.
    pub fn written(&mut self, lines: u32, out: &mut Vec<Effect>) -> Vec<Part> {
        let parts = self.queue.written(lines);
        self.pump(out);
        parts
    }

    /// Another stream shows us quitting: we have a short time to show that we live. In a netsplit we do.
    pub fn suspect(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.is_ready() && self.pulse.suspect(now) == Beat::Ask {
            self.ping(now, out);
        }
    }

    fn ping(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.own.pinged(now);
        self.control(Line::new("PING", &[own::PING]).build(), out);
    }

    /// Tells the socket whether chat in channels is worth reading, where that has changed.
    pub fn observe(&mut self, chat: Chat, out: &mut Vec<Effect>) {
        if self.chat != chat {
            self.chat = chat;
            out.push(Effect::Observe { conn: self.conn, chat });
        }
    }

    /// When this session wants to be woken.
    pub fn poll_timeout(&self, pace: &PingPace) -> Option<Time> {
        let (life, asks) = match &self.phase {
            Phase::Dialing => (None, None),
            Phase::Registering(registration) => (Some(registration.deadline), self.asks.poll_timeout()),
            Phase::Closing(deadline) => (Some(*deadline), None),
            Phase::Ready => (Some(self.pulse.poll_timeout(pace)), self.asks.poll_timeout()),
        };
        self.places.poll_timeout().into_iter().chain(life).chain(asks).chain(self.bucket_opens).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time, pace: &PingPace, out: &mut Vec<Effect>) -> Woken {
        self.asks.check(now);
        self.queue.sent.rest(now);
        if self.bucket_opens.is_some_and(|opens| opens <= now) {
            self.pump(out);
        }
        match &self.phase {
            Phase::Registering(registration) if registration.deadline <= now => {
                if self.login_late(out) {
                    return Woken::Fine;
                }
                if self.ready_late() {
                    return Woken::Ready;
                }
                return Woken::GiveUp("the server did not finish the registration in time");
            }
            Phase::Closing(by) if *by <= now => return Woken::GiveUp("the connection did not close in time"),
            Phase::Dialing | Phase::Registering(_) | Phase::Closing(_) => {}
            Phase::Ready => match self.pulse.check(now, pace) {
                Beat::Dead => return Woken::GiveUp("the server has gone silent"),
                Beat::Ask => self.ping(now, out),
                Beat::Fine => {}
            },
        }
        let late = self.places.take_late(now);
        late.parts.iter().for_each(|channel| self.queue.push_part(channel, ""));
        self.pump(out);
        if late.joins.is_empty() { Woken::Fine } else { Woken::Late(late.joins) }
    }

    /// The network's case mapping is another: our own names are folded anew. Channels are asked for later.
    pub fn refold(&mut self, map: CaseMap) {
        for nick in [&mut self.nick, &mut self.nick_asked].into_iter().flatten() {
            *nick = nick.refolded(map);
        }
        if let Phase::Registering(registration) = &mut self.phase {
            registration.refold(map);
        }
        self.places.refold(map);
    }

    /// The connection is over: what the kernel has not taken, in order, and what it has.
    pub fn end(self) -> (Vec<ChatLine>, Sent) {
        self.queue.end()
    }
}
