//! The wire of IRC, read: one function for each command or numeric, from a [`Line`] to what it shows.
//!
//! To add a command, add a line to `read` and a function below it. A line with too few parameters, an
//! illegal name or of an unknown kind shows nothing: remote nonsense is not an error.

use irc::proto::Response;

use super::isupport::Isupport;
use super::seen::{NickRefusal, Person, Quitting, Seen, Speaking};
use crate::bridge::input::BodyKind;
use crate::ids::{ChannelName, Nick};
use crate::text::casemap::CaseMap;
use crate::text::irc_codes::{Ctcp, parse_ctcp};
use crate::text::line::Line;

/// Reads one line. `isupport` learns from 005; everything else comes back as a fact.
pub fn read(line: &Line, isupport: &mut Isupport) -> Option<Seen> {
    if line.command.len() == 3
        && let Ok(numeric) = line.command.parse::<u16>()
    {
        return read_numeric(numeric, line, isupport);
    }
    let reader = Reader { line, isupport, map: isupport.casemap.unwrap_or_default() };
    match line.command.as_str() {
        "PRIVMSG" | "NOTICE" => reader.said(),
        "JOIN" => reader.join(),
        "PART" => reader.part(),
        "KICK" => reader.kick(),
        "QUIT" => reader.quit(),
        "NICK" => reader.nick(),
        "CHGHOST" => reader.host_changed(),
        "ERROR" => reader.farewell(None),
        "KILL" => reader.kill(),
        _ => None,
    }
}

fn read_numeric(numeric: u16, line: &Line, isupport: &mut Isupport) -> Option<Seen> {
    let known = line.command.parse::<Response>().ok();
    if known == Some(Response::RPL_ISUPPORT) {
        isupport.learn(line.params.get(1..line.params.len().saturating_sub(1)).unwrap_or_default());
        return Some(Seen::Supports);
    }
    let reader = Reader { line, isupport, map: isupport.casemap.unwrap_or_default() };
    match known {
        Some(Response::RPL_WELCOME) => reader.welcome(),
        Some(Response::RPL_ENDOFMOTD | Response::ERR_NOMOTD) => Some(Seen::Ready),
        Some(Response::RPL_NAMREPLY) => reader.names(),
        Some(Response::RPL_ENDOFNAMES) => Some(Seen::NamesEnd { channel: reader.channel(1)? }),
        Some(Response::ERR_NICKNAMEINUSE | Response::ERR_NICKCOLLISION | Response::ERR_UNAVAILRESOURCE)
            if reader.channel(1).is_none() =>
        {
            reader.nick_refused(NickRefusal::Taken)
        }
        _ if numeric == MONITOR_OFFLINE => Some(reader.offline()),
        _ if NICK_REFUSALS.contains(&numeric) => reader.nick_refused(NickRefusal::Taken),
        Some(Response::ERR_ERRONEOUSNICKNAME) => reader.nick_refused(NickRefusal::Illegal),
        _ if FAREWELLS.contains(&numeric) => reader.farewell(Some(numeric)),
        _ if (400..600).contains(&numeric) => reader.channel_refused(numeric),
        _ => None,
    }
}

/// Numerics with which servers answer a JOIN: RFC 2812 (403, 405, 407, 437, 471, 473 to 476), and those of
/// today's servers (477 registration, 479 and 480 throttle or name, 482 to 489 and 495 modes, 500 throttle,
/// 519 and 520 staff only). Some of them answer a message as well: then we are in the channel.
const JOIN_REFUSALS: [u16; 19] =
    [403, 405, 407, 437, 470, 471, 473, 474, 475, 476, 477, 479, 480, 485, 489, 495, 500, 519, 520];

/// Numerics besides the well-known ones with which a NICK is refused: none given (431), banned here (435),
/// too fast (438), not now (447), restricted (484).
const NICK_REFUSALS: [u16; 5] = [431, 435, 438, 447, 484];

/// Numerics that come before a close: no permission for our host (463), wrong password (464), banned (465), about
/// to be banned (466).
const FAREWELLS: [u16; 4] = [463, 464, 465, 466];

/// RPL_MONOFFLINE (IRCv3 "monitor").
const MONITOR_OFFLINE: u16 = 731;

/// One line with what is needed to understand it.
struct Reader<'a> {
    line: &'a Line,
    isupport: &'a Isupport,
    map: CaseMap,
}

impl Reader<'_> {
    fn channel(&self, index: usize) -> Option<ChannelName> {
        let text = self.line.param(index);
        self.isupport.is_channel(text).then(|| ChannelName::new(text, self.map)).flatten()
    }

    fn nick_at(&self, index: usize) -> Option<Nick> {
        Nick::new(self.line.param(index), self.map)
    }

    /// The person a line comes from; `None` for a server (a name with a dot and no user or host).
    fn person(&self) -> Option<Person> {
        let source = self.line.source.as_ref()?;
        if source.user.is_none() && source.host.is_none() && source.name.contains('.') {
            return None;
        }
        let nick = Nick::new(&source.name, self.map)?;
        Some(Person { nick, user: source.user.clone(), host: source.host.clone() })
    }

    fn last(&self) -> String {
        self.line.params.last().cloned().unwrap_or_default()
    }

    /// `731 me :nick,nick!user@host` (IRCv3 "monitor").
    fn offline(&self) -> Seen {
        let list = self.line.param(1).split(',');
        let nick = |entry: &str| Nick::new(entry.split('!').next().unwrap_or_default(), self.map);
        Seen::Offline { nicks: list.filter_map(nick).collect() }
    }

    /// `CHGHOST user host` (IRCv3 "chghost").
    fn host_changed(&self) -> Option<Seen> {
        let (user, host) = (self.line.param(0), self.line.param(1));
        let rest_bytes = 1 + user.len() + 1 + host.len();
        Some(Seen::HostChanged { who: self.person()?.nick, rest_bytes })
    }

    fn welcome(&self) -> Option<Seen> {
        let server = self.line.source.as_ref().map(|source| source.name.clone());
        Some(Seen::Welcome { nick: self.nick_at(0)?, server })
    }

    fn nick_refused(&self, why: NickRefusal) -> Option<Seen> {
        Some(Seen::NickRefused { why, words: self.last() })
    }

    fn farewell(&self, numeric: Option<u16>) -> Option<Seen> {
        Some(Seen::Farewell { numeric, words: self.last() })
    }

    /// `KILL ada :irc.srv!oper.host!oper (spam)` (RFC 2812 section 3.7.1); servers send it to who is killed.
    fn kill(&self) -> Option<Seen> {
        Some(Seen::Killed { who: self.nick_at(0)?, words: self.line.param(1).to_owned() })
    }

    /// `353 me = #chan :@ada +bob` (RFC 2812 section 5.1).
    fn names(&self) -> Option<Seen> {
        let channel = self.channel(2)?;
        let list = self.line.param(3);
        let nick = |entry| {
            let (modes, nick) = self.isupport.prefixes.split(entry);
            // With userhost-in-names the entry goes on with `!user@host`.
            Some((modes, Nick::new(nick.split('!').next().unwrap_or_default(), self.map)?))
        };
        Some(Seen::Names { channel, nicks: list.split(' ').filter_map(nick).collect() })
    }

    fn join(&self) -> Option<Seen> {
        Some(Seen::Joined { channel: self.channel(0)?, who: self.person()? })
    }

    fn part(&self) -> Option<Seen> {
        Some(Seen::Left { channel: self.channel(0)?, who: self.person()?.nick })
    }

    fn kick(&self) -> Option<Seen> {
        Some(Seen::Kicked {
            channel: self.channel(0)?,
            who: self.nick_at(1)?,
            by: self.line.source.as_ref().map(|source| source.name.clone()).unwrap_or_default(),
            reason: self.line.param(2).to_owned(),
        })
    }

    fn quit(&self) -> Option<Seen> {
        Some(Seen::Quit { who: self.person()?, how: Quitting::of(self.line.param(0)) })
    }

    fn nick(&self) -> Option<Seen> {
        Some(Seen::Renamed { who: self.person()?.nick, to: self.nick_at(0)? })
    }

    fn said(&self) -> Option<Seen> {
        let text = self.line.params.get(1)?;
        let (kind, text) = match (parse_ctcp(text), self.line.command.as_str()) {
            (Ctcp::Action(text), "PRIVMSG") => (BodyKind::Emote, text.to_owned()),
            (Ctcp::Action(text), _) => (BodyKind::Notice, text.to_owned()),
            // CTCP requests and replies are between programs; nobody said anything.
            (Ctcp::Other { .. }, _) => return None,
            (Ctcp::None, "NOTICE") => (BodyKind::Notice, text.clone()),
            (Ctcp::None, _) => (BodyKind::Text, text.clone()),
        };
        let target = self.line.param(0);
        if self.isupport.channel_of_target(target) != target {
            // To those of the channel with a rank only (STATUSMSG): the room's people have none.
            return None;
        }
        if self.isupport.is_channel(target) {
            let channel = ChannelName::new(target, self.map)?;
            let person = self.person();
            let mask = person.as_ref().and_then(Person::mask);
            let from = match person {
                Some(person) => Speaking::Person(person.nick),
                None => Speaking::Server(self.line.source.as_ref()?.name.clone()),
            };
            let msgid = self.line.tag("msgid").filter(|id| !id.is_empty()).map(str::to_owned);
            return Some(Seen::Said { channel, from, mask, kind, text, msgid });
        }
        Some(Seen::SaidPrivately { from: self.person()?, kind })
    }

    /// An error numeric that names a channel: `471 me #chan :Cannot join channel (+l)`.
    fn channel_refused(&self, numeric: u16) -> Option<Seen> {
        let (channel, words) = (self.channel(1)?, self.last());
        if JOIN_REFUSALS.contains(&numeric) {
            return Some(Seen::JoinRefused { channel, numeric, words });
        }
        Some(Seen::NotTaken { channel, numeric, words })
    }
}
