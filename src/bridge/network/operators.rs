//! The bot on IRC, and what operators of a channel have it do.
//!
//! ```text
//!   PRIVMSG to the bot ─▶ a command? ─▶ WHOIS: is it who wrote, with that rank, now? ─▶ done ─▶ NOTICE, rooms are told
//!         └ too many: silence    └ no: what to write        └ no: told so
//! ```
//!
//! A nick proves nothing: it may have changed hands between two streams. So the connection that shows who has which rank in
//! the channel asks WHOIS after the command came. In its answer stands the `user@host` that the command came from, and
//! what the same stream has shown of ranks until then is what counts. Where none of ours is in the channel the bot asks,
//! and the server says in which rank it sees them there.
//!
//! The bot is a puppet of the bridge's own user, and dials, waits and is held as any. It joins channels only of which a room
//! is another network's too (`neighbours`).

mod answered_here;
mod consent;
mod deeds;
mod gate;
mod rooms;
mod told;
mod unlinked;

use std::collections::BTreeMap;

use self::consent::Asking;
use self::gate::Limits;
use self::unlinked::Leaving;
use super::super::channel::Channel;
use super::super::effect::{CommandAnswer, Verdict};
use super::super::input::BodyKind;
use super::super::operators::answer::Answer;
use super::super::operators::command::{self, Deed, Order, Who};
use super::super::operators::pace::{Firsts, Pace, Turn};
use super::super::operators::rules::{Rule, Rules};
use super::super::queries::{Heard, Who as Known};
use super::super::session::Session;
use super::super::session::question::{Command, Giver};
use super::super::session::seen::{Person, Uttered};
use super::Network;
use super::queries::is_service;
use crate::ids::{ChannelName, ConnId, Nick, PuppetId};
use crate::text::irc_codes;
use crate::text::line::Line;
use crate::text::split::body_lines;

/// Commands whose givers' ranks are being asked for, at most. Full: the giver is told to come again.
const OPEN_MAX: usize = 16;
/// How often a rank is asked for, where the channel's owner changes meanwhile.
const TRIES_MAX: u32 = 2;
/// Notices of one answer, at most; what is more is left out.
const NOTICES_MAX: usize = 8;
/// `NOTICE`, blanks, a colon, and the line's end.
const AROUND_BYTES: usize = "NOTICE  :\r\n".len();
/// RPL_WHOISUSER and RPL_WHOISCHANNELS (RFC 2812 section 5.1).
const WHOIS_USER: &str = "311";
const WHOIS_CHANNELS: &str = "319";

/// The bot, what is kept of operators' commands, and those under way.
#[derive(Debug, Default)]
pub(super) struct Desk {
    bot: Option<PuppetId>,
    rules: Rules,
    pace: Pace,
    firsts: Firsts,
    limits: Limits,
    asking: Asking,
    leaving: Leaving,
    open: BTreeMap<u64, Open>,
    asked: u64,
}

/// A command whose giver's rank is being asked for.
#[derive(Debug)]
struct Open {
    from: Nick,
    /// Their `user@host` when they gave it.
    mask: String,
    /// The bot's connection, on which it came.
    conn: ConnId,
    /// The connection that asks.
    by: ConnId,
    channel: ChannelName,
    order: Order,
    tries: u32,
}

/// What a server's answer says of who gave a command.
enum Standing {
    /// It is them, with these modes in the channel.
    Modes(String),
    /// It is them, and whether they are in the channel is not shown.
    Hidden,
    /// Nobody has the nick now.
    Gone,
    /// Who has the nick now has another `user@host`.
    Another,
    /// Another connection speaks for the channel now.
    Moved,
    Unknown,
}

// The bot.
impl Network {
    /// The bot goes to IRC before all others, where it is to be there. It stays: it is there to be talked to. What rooms were
    /// granted goes on.
    pub(super) fn begin_bot(&mut self) {
        self.begin_wishes();
        if self.policy.operators.nick.is_none() {
            return;
        }
        let (bot, now) = (self.policy.bot.clone(), self.now);
        let id = self.ensure_puppet(&bot, None);
        self.operators.bot = Some(id);
        self.puppet(id).talked_at = Some(now);
        self.bot_goes();
        self.ask_to_dial(id);
    }

    pub(super) fn bot_puppet(&self) -> Option<PuppetId> {
        self.operators.bot
    }

    pub(super) fn is_bot(&self, id: PuppetId) -> bool {
        self.operators.bot == Some(id)
    }

    /// The bot's nick as the settings have it, for the bot.
    pub(super) fn bot_nick(&self, id: PuppetId) -> Option<String> {
        self.policy.operators.nick.clone().filter(|_| self.is_bot(id))
    }

    /// What WHOIS shows of a puppet; of the bot: that it is a bridge, and who runs it.
    pub(super) fn realname(&self, id: PuppetId, bytes_max: usize) -> String {
        let puppet = &self.puppets[id.0 as usize];
        if !self.is_bot(id) {
            let display = puppet.asked.realname.as_deref().or(puppet.display_name.as_deref());
            return self.policy.realnames.render(&puppet.user, display, bytes_max);
        }
        let (server, contact) = (&self.policy.server_name, &self.policy.operators.contact);
        let whole = match contact.as_str() {
            "" => format!("Matrix bridge of {server}; /msg me help"),
            contact => format!("Matrix bridge of {server}, {contact}; /msg me help"),
        };
        let texts = [whole, format!("Matrix bridge of {server}"), "Matrix bridge".to_owned()];
        texts.into_iter().find(|text| text.len() <= bytes_max).unwrap_or_else(|| "bridge".to_owned())
    }

    /// What an earlier run was asked for.
    pub(super) fn rule_known(&mut self, rule: Rule) {
        let Some(channel) = ChannelName::new(&rule.channel, self.map()) else { return };
        // More than may be kept was not kept.
        let _ = self.operators.rules.set(&channel, rule);
    }

    pub(super) fn refold_operators(&mut self) {
        let map = self.map();
        self.operators.rules.refold(map);
        self.operators.limits.refold(map);
    }
}

// Commands.
impl Network {
    /// Somebody writes to the bot alone.
    pub(super) fn bot_told(&mut self, conn: ConnId, from: &Person, account: Option<String>, heard: &Heard) {
        let Uttered::Words(words) = &heard.what else { return };
        let Some(mask) = from.mask().filter(|_| !self.nicks.is_ours(&from.nick)) else { return };
        let who = Known { account, mask: Some(mask.clone()) };
        // A NOTICE is never answered (RFC 2812 section 3.3.2).
        if words.kind != BodyKind::Text || is_service(&from.nick, &who) {
            return;
        }
        match self.operators.pace.take(self.now, &mask, who.account.as_deref()) {
            Turn::Dropped => return,
            Turn::Told => return self.notify(conn, &from.nick, &Answer::TooMany),
            Turn::Taken => {}
        }
        let line = irc_codes::strip(words.lines.first().unwrap_or(&words.text));
        match command::read(&line) {
            Err(answer) => self.notify(conn, &from.nick, &answer),
            Ok(order) => self.ordered(conn, from.nick.clone(), mask, order),
        }
    }

    fn ordered(&mut self, conn: ConnId, from: Nick, mask: String, order: Order) {
        if order.command.who == Who::Everybody {
            let answer = self.explain(&order);
            return self.notify(conn, &from, &answer);
        }
        let is_channel = self.isupport.is_channel(&order.channel);
        let channel = ChannelName::new(&order.channel, self.map()).filter(|_| is_channel);
        let Some(channel) = channel else {
            return self.notify(conn, &from, &Answer::not_a_channel(&order.channel));
        };
        self.ask_rank(Open { from, mask, conn, by: conn, channel, order, tries: 0 });
    }

    /// What help there is. Commands that everybody may give do nothing else.
    fn explain(&self, order: &Order) -> Answer {
        match &order.deed {
            Deed::Help(Some(command)) => Answer::HelpOn(command),
            Deed::Help(None)
            | Deed::Status
            | Deed::People
            | Deed::Mute { .. }
            | Deed::Unmute(_)
            | Deed::Block { .. }
            | Deed::Unblock(_)
            | Deed::Limit(_)
            | Deed::Dismiss(_)
            | Deed::Welcome
            | Deed::Admit(_)
            | Deed::Refuse { .. } => Answer::Help {
                server: self.policy.server_name.clone(),
                network: self.policy.network_name.clone(),
                contact: self.policy.operators.contact.clone(),
            },
        }
    }

    /// The connection that shows who is what in a channel, while it can ask.
    fn speaker_of(&self, channel: &ChannelName) -> Option<ConnId> {
        let owner = self.channels.get(channel).and_then(Channel::owner)?;
        let session = self.puppets[owner.puppet.0 as usize].session.as_ref()?;
        (session.conn == owner && session.is_ready()).then_some(owner)
    }

    /// Asks whether who gave a command has the rank for it.
    fn ask_rank(&mut self, open: Open) {
        let by = self.speaker_of(&open.channel).unwrap_or(open.conn);
        let open = Open { by, tries: open.tries + 1, ..open };
        // Who has no rank there by their nick makes nobody's connection ask.
        let answer = match self.standing_in_roster(&open) {
            _ if self.operators.open.len() >= OPEN_MAX => Some(Answer::Later),
            Standing::Modes(modes) => self.refused(&open, &modes),
            Standing::Unknown => Some(Answer::Later),
            Standing::Hidden | Standing::Gone | Standing::Another | Standing::Moved => None,
        };
        if let Some(answer) = answer {
            return self.notify(open.conn, &open.from, &answer);
        }
        self.operators.asked += 1;
        let number = self.operators.asked;
        let line = Line::new("WHOIS", &[open.from.as_str()]);
        let command = Command::new(Giver::Rank(number), &line);
        let (conn, from) = (open.conn, open.from.clone());
        self.operators.open.insert(number, open);
        let sent =
            self.with_session(by.puppet, |session, out| session.send_command(command, line.build(), out));
        match sent {
            Some(Ok(())) => self.take_answers(by),
            Some(Err(_)) | None => {
                self.operators.open.remove(&number);
                self.notify(conn, &from, &Answer::Later);
            }
        }
    }

    /// What somebody is told whose modes in the channel are not enough.
    fn refused(&self, open: &Open, modes: &str) -> Option<Answer> {
        let who = open.order.command.who;
        let refused = !who.has(modes, &self.isupport.prefixes);
        refused.then(|| Answer::NotOperator { channel: open.order.channel.clone(), who })
    }

    /// The server has said who has the nick that a command came from.
    pub(super) fn rank_heard(&mut self, by: ConnId, number: u64, answer: &CommandAnswer) {
        let Some(open) = self.operators.open.remove(&number).filter(|open| open.by == by) else { return };
        // Whoever gave it to another connection has seen that one end.
        if self.puppet_of(open.conn).is_none() {
            return;
        }
        let answer = match self.standing_of(&open, answer) {
            Standing::Modes(modes) => self.refused(&open, &modes).unwrap_or_else(|| self.obey(&open)),
            Standing::Hidden => Answer::RankUnseen(open.order.channel.clone()),
            Standing::Moved if open.tries < TRIES_MAX => return self.ask_rank(open),
            Standing::Moved | Standing::Unknown => Answer::Later,
            Standing::Another => Answer::Changed,
            Standing::Gone => return,
        };
        self.notify(open.conn, &open.from, &answer);
    }

    /// The connection that asked is over; so may be the one on which the command came.
    pub(super) fn rank_unheard(&mut self, by: ConnId, number: u64) {
        let Some(open) = self.operators.open.remove(&number) else { return };
        if open.conn != by && self.puppet_of(open.conn).is_some() {
            self.notify(open.conn, &open.from, &Answer::Later);
        }
    }

    fn standing_of(&self, open: &Open, answer: &CommandAnswer) -> Standing {
        let map = self.map();
        let of_them = |line: &&Line| map.eq(line.param(1), open.from.as_str());
        let lines = || answer.lines.iter().filter(of_them);
        let user = lines().find(|line| line.command == WHOIS_USER);
        match (&answer.verdict, user) {
            (Verdict::Unknown, None) => return Standing::Unknown,
            (_, None) => return Standing::Gone,
            (_, Some(line)) if format!("{}@{}", line.param(2), line.param(3)) != open.mask => {
                return Standing::Another;
            }
            (_, Some(_)) => {}
        }
        // The bot itself may speak for the channel.
        if open.by != open.conn || self.speaker_of(&open.channel) == Some(open.by) {
            return self.standing_in_roster(open);
        }
        // Somebody of ours has come in meanwhile, who is shown more.
        if self.speaker_of(&open.channel).is_some() {
            return Standing::Moved;
        }
        let entries = lines().filter(|line| line.command == WHOIS_CHANNELS);
        let entries: Vec<&str> = entries.flat_map(|line| line.param(2).split(' ')).collect();
        let is_it = |name: &str| map.eq(name, open.channel.as_str());
        let sure = entries.iter().map(|entry| self.signs_and_channel(entry)).find(|(_, name)| is_it(name));
        match sure {
            Some((modes, _)) => Standing::Modes(modes),
            // With a sign that may be a rank or the beginning of another channel's name: it counts as no rank.
            None if entries.iter().any(|entry| is_it(self.isupport.prefixes.split(entry).1)) => {
                Standing::Modes(String::new())
            }
            None => Standing::Hidden,
        }
    }

    /// The ranks and the channel of an entry of RPL_WHOISCHANNELS. A sign may begin channels too: `&#x` is a channel of its
    /// own and no rank in `#x`.
    fn signs_and_channel<'a>(&self, entry: &'a str) -> (String, &'a str) {
        let prefixes = &self.isupport.prefixes;
        let mut name = entry;
        while !self.isupport.is_channel(name)
            && let Some(sign) = name.chars().next()
            && prefixes.split(&name[..sign.len_utf8()]).1.is_empty()
        {
            name = &name[sign.len_utf8()..];
        }
        (prefixes.split(&entry[..entry.len() - name.len()]).0, name)
    }

    /// What the stream that has just answered has shown of them in the channel.
    fn standing_in_roster(&self, open: &Open) -> Standing {
        if self.speaker_of(&open.channel) != Some(open.by) {
            return Standing::Moved;
        }
        let Some(roster) = self.channels.get(&open.channel).map(Channel::roster) else {
            return Standing::Moved;
        };
        if !roster.is_known() {
            return Standing::Unknown;
        }
        Standing::Modes(roster.get(&open.from).map(|present| present.modes.clone()).unwrap_or_default())
    }

    /// Answers by NOTICE, which nothing may answer.
    fn notify(&mut self, conn: ConnId, to: &Nick, answer: &Answer) {
        let Some(session) = self.puppet_of(conn).and_then(|puppet| puppet.session.as_ref()) else { return };
        let bot = session.nick().map(Nick::as_str).unwrap_or_default().to_owned();
        let limits = self.limits(conn.puppet);
        let taken = limits.source_bytes + to.as_str().len() + AROUND_BYTES;
        let text = answer.lines(&bot).join("\n");
        let body = body_lines(&text, limits.line_bytes_max.saturating_sub(taken), NOTICES_MAX);
        for line in body.lines {
            self.with_session(conn.puppet, |session: &mut Session, out| session.notice(to, &line, out));
        }
    }
}
