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

pub mod isupport;
pub mod lines;
pub mod register;
pub mod seen;
pub mod send;

use std::collections::BTreeMap;

use self::isupport::Isupport;
use self::register::Registration;
use self::seen::Seen;
use self::send::{ChatLine, Class, Full, SendQueue};
use super::clock::Bucket;
use super::effect::Effect;
use super::policy::PingPace;
use crate::ids::{ChannelName, ConnId, Nick, Time};
use crate::text::line::Line;

/// How long a JOIN may stay without an answer before it is asked again.
const JOIN_ANSWER_MS_MAX: u64 = 30_000;
/// JOIN lines name as many channels as fit into so many bytes.
const JOIN_BYTES_MAX: usize = 400;
/// How long a connection may take to close after QUIT.
const CLOSE_MS_MAX: u64 = 10_000;
/// What stands between `nick!` and the end of a source where we have not seen our own yet: a user name of
/// ten bytes with `~`, `@`, and a host name of the longest legal length.
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
    bucket_opens: Option<Time>,
    heard: Time,
    pinged: Option<Time>,
    channels: BTreeMap<ChannelName, Standing>,
}

/// Where the connection is in its life.
#[derive(Debug)]
enum Phase {
    Dialing,
    Registering(Registration),
    Ready,
    /// QUIT was said; what the kernel still takes counts, what comes in does not.
    Closing {
        deadline: Time,
    },
}

/// Our place in one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// JOIN was asked at this time.
    Asked(Time),
    In,
}

/// What a session's wake-up found.
#[derive(Debug, PartialEq, Eq)]
pub enum Woken {
    Fine,
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
            bucket_opens: None,
            heard: now,
            pinged: None,
            channels: BTreeMap::new(),
        }
    }

    /// The socket is open: registration begins.
    pub fn opened(&mut self, now: Time, registration: Registration, out: &mut Vec<Effect>) {
        self.heard = now;
        for line in registration.opening_lines() {
            self.control(line, out);
        }
        self.nick_asked = Some(registration.nick());
        self.phase = Phase::Registering(registration);
    }

    /// Takes one line: answers what needs no thought, keeps its own state, and returns what was seen.
    pub fn line(
        &mut self,
        now: Time,
        line: &Line,
        isupport: &mut Isupport,
        out: &mut Vec<Effect>,
    ) -> Option<Seen> {
        if matches!(self.phase, Phase::Closing { .. }) {
            return None;
        }
        self.heard = now;
        self.pinged = None;
        if line.command == "PING" {
            let token = line.params.last().map_or("", String::as_str);
            self.control(Line::new("PONG", &[token]).build(), out);
            return None;
        }
        let seen = lines::read(line, isupport)?;
        self.keep(&seen, out);
        Some(seen)
    }

    /// Keeps this session's own state in step with what it saw.
    fn keep(&mut self, seen: &Seen, out: &mut Vec<Effect>) {
        match seen {
            Seen::Welcome { nick } => {
                self.nick = Some(nick.clone());
                self.nick_asked = None;
            }
            Seen::Ready => self.phase = Phase::Ready,
            Seen::NickRefused { why, .. } => self.nick_refused(*why, out),
            Seen::Joined { channel, who } if self.is_me(&who.nick) => {
                self.channels.insert(channel.clone(), Standing::In);
                if let (Some(user), Some(host)) = (&who.user, &who.host) {
                    self.source_rest_bytes = 1 + user.len() + 1 + host.len();
                }
            }
            Seen::Left { channel, who } if self.is_me(who) => {
                // While a JOIN is asked, this is the echo of a PART before it.
                if self.standing(channel) == Some(Standing::In) {
                    self.channels.remove(channel);
                }
            }
            Seen::Kicked { channel, who, .. } if self.is_me(who) => {
                self.channels.remove(channel);
            }
            Seen::Renamed { who, to } if self.is_me(who) => {
                self.nick = Some(to.clone());
                self.nick_asked = None;
            }
            Seen::ChannelRefused { channel, .. } => {
                if matches!(self.channels.get(channel), Some(Standing::Asked(_))) {
                    self.channels.remove(channel);
                }
            }
            Seen::Joined { .. }
            | Seen::Left { .. }
            | Seen::Kicked { .. }
            | Seen::Renamed { .. }
            | Seen::Quit { .. }
            | Seen::Names { .. }
            | Seen::NamesEnd { .. }
            | Seen::Said { .. }
            | Seen::SaidPrivately { .. }
            | Seen::Farewell { .. }
            | Seen::Supports => {}
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

    /// Asks for a new nick; the answer is a `Renamed` or a `NickRefused`.
    pub fn ask_nick(&mut self, nick: Nick, out: &mut Vec<Effect>) {
        self.command(Line::new("NICK", &[nick.as_str()]).build(), out);
        self.nick_asked = Some(nick);
    }

    /// Asks to join, with as few lines as fit.
    pub fn join(&mut self, now: Time, channels: &[ChannelName], out: &mut Vec<Effect>) {
        let mut list = String::new();
        for channel in channels {
            self.channels.insert(channel.clone(), Standing::Asked(now));
            if !list.is_empty() && list.len() + channel.as_str().len() >= JOIN_BYTES_MAX {
                self.command(Line::new("JOIN", &[&std::mem::take(&mut list)]).build(), out);
            }
            if !list.is_empty() {
                list.push(',');
            }
            list.push_str(channel.as_str());
        }
        if !list.is_empty() {
            self.command(Line::new("JOIN", &[&list]).build(), out);
        }
    }

    /// Leaves, after what was said there before.
    pub fn part(&mut self, channel: &ChannelName, out: &mut Vec<Effect>) {
        self.channels.remove(channel);
        let line = Line::new("PART", &[channel.as_str()]).build();
        // A full queue means the server is not taking lines; it will see us leave when it takes them again.
        let _ = self.say(vec![ChatLine { line, of: None, place: send::Place::Last }], out);
    }

    /// Asks who is in the channel.
    pub fn names(&mut self, channel: &ChannelName, out: &mut Vec<Effect>) {
        self.command(Line::new("NAMES", &[channel.as_str()]).build(), out);
    }

    /// Sets our own user modes.
    pub fn user_modes(&mut self, modes: &str, out: &mut Vec<Effect>) {
        if let Some(nick) = self.nick.clone() {
            self.command(Line::new("MODE", &[nick.as_str(), modes]).build(), out);
        }
    }

    /// Says goodbye and closes. Returns the channels that are left by it.
    pub fn quit(&mut self, now: Time, reason: &str, out: &mut Vec<Effect>) -> Vec<ChannelName> {
        if !matches!(self.phase, Phase::Closing { .. }) {
            self.control(Line::new("QUIT", &[reason]).build(), out);
            out.push(Effect::Close { conn: self.conn });
            self.phase = Phase::Closing { deadline: now.plus_ms(CLOSE_MS_MAX) };
        }
        std::mem::take(&mut self.channels).into_keys().collect()
    }

    /// Answers somebody with a NOTICE, which nothing may answer (RFC 2812 section 3.3.2).
    pub fn notice(&mut self, target: &Nick, text: &str, out: &mut Vec<Effect>) {
        self.command(Line::new("NOTICE", &[target.as_str(), text]).build(), out);
    }

    /// Queues the lines of a message, all or none.
    pub fn say(&mut self, lines: Vec<ChatLine>, out: &mut Vec<Effect>) -> Result<(), Full> {
        self.queue.push_chat(lines)?;
        self.pump(out);
        Ok(())
    }

    fn control(&mut self, line: String, out: &mut Vec<Effect>) {
        // Full only against a server that reads nothing: its silence ends the connection.
        let _ = self.queue.push(Class::Control, line);
        self.pump(out);
    }

    fn command(&mut self, line: String, out: &mut Vec<Effect>) {
        let _ = self.queue.push(Class::Command, line);
        self.pump(out);
    }

    fn pump(&mut self, out: &mut Vec<Effect>) {
        self.bucket_opens = self.queue.pump(self.conn, out);
    }

    /// The kernel took so many lines: returns the messages that are on their way now.
    pub fn written(
        &mut self,
        lines: u32,
        out: &mut Vec<Effect>,
    ) -> Vec<std::sync::Arc<super::relay::to_irc::Saying>> {
        let ended = self.queue.written(lines);
        self.pump(out);
        ended
    }

    /// When this session wants to be woken.
    pub fn poll_timeout(&self, pace: &PingPace) -> Option<Time> {
        let life = match &self.phase {
            Phase::Dialing => None,
            Phase::Registering(registration) => Some(registration.deadline),
            Phase::Closing { deadline } => Some(*deadline),
            Phase::Ready => Some(match self.pinged {
                Some(pinged) => pinged.plus_ms(pace.timeout_ms),
                None => self.heard.plus_ms(pace.after_ms),
            }),
        };
        let joins = self.channels.values().filter_map(|standing| match standing {
            Standing::Asked(since) => Some(since.plus_ms(JOIN_ANSWER_MS_MAX)),
            Standing::In => None,
        });
        joins.chain(life).chain(self.bucket_opens).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time, pace: &PingPace, out: &mut Vec<Effect>) -> Woken {
        if self.bucket_opens.is_some_and(|opens| opens <= now) {
            self.pump(out);
        }
        match &self.phase {
            Phase::Dialing => {}
            Phase::Registering(registration) if registration.deadline <= now => {
                return Woken::GiveUp("the server did not finish the registration in time");
            }
            Phase::Registering(_) => {}
            Phase::Closing { deadline } if *deadline <= now => {
                return Woken::GiveUp("the connection did not close in time");
            }
            Phase::Closing { .. } => {}
            Phase::Ready => match self.pinged {
                Some(pinged) if pinged.plus_ms(pace.timeout_ms) <= now => {
                    return Woken::GiveUp("the server has gone silent");
                }
                Some(_) => {}
                None if self.heard.plus_ms(pace.after_ms) <= now => {
                    self.pinged = Some(now);
                    self.control(Line::new("PING", &["bunraku"]).build(), out);
                }
                None => {}
            },
        }
        self.ask_late_joins_again(now, out);
        Woken::Fine
    }

    fn ask_late_joins_again(&mut self, now: Time, out: &mut Vec<Effect>) {
        let late = |standing: &Standing| matches!(standing, Standing::Asked(since) if since.plus_ms(JOIN_ANSWER_MS_MAX) <= now);
        let late: Vec<ChannelName> =
            self.channels.iter().filter(|(_, s)| late(s)).map(|(channel, _)| channel.clone()).collect();
        self.join(now, &late, out);
    }

    /// True when commands may be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// True for our present nick.
    pub fn is_me(&self, nick: &Nick) -> bool {
        self.nick.as_ref() == Some(nick)
    }

    /// Our present nick, once the server gave one.
    pub fn nick(&self) -> Option<&Nick> {
        self.nick.as_ref()
    }

    /// The nick we are asking for.
    pub fn nick_asked(&self) -> Option<&Nick> {
        self.nick_asked.as_ref()
    }

    /// Our place in a channel.
    pub fn standing(&self, channel: &ChannelName) -> Option<Standing> {
        self.channels.get(channel).copied()
    }

    /// The channels we are in or have asked for.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.channels.keys()
    }

    /// Bytes that stand before `COMMAND target :text` when others see our line: `:nick!user@host `.
    pub fn source_bytes(&self) -> usize {
        let nick = self.nick.as_ref().map_or(30, |nick| nick.as_str().len());
        1 + nick + self.source_rest_bytes + 1
    }

    /// Withdraws what waits to be said in a channel that is left.
    pub fn withdraw(&mut self, channel: &ChannelName) -> Vec<ChatLine> {
        self.queue.withdraw(|saying| saying.channel == *channel)
    }

    /// The connection is over: what the kernel has not taken, in order.
    pub fn into_unsent(self) -> impl Iterator<Item = ChatLine> {
        self.queue.into_unsent()
    }
}
