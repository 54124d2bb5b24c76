//! The commands of channel operators: one row each, and how a line becomes one.
//!
//! A line comes from anybody on IRC, so nothing of it is trusted: codes and control characters are gone before it is read,
//! what is too long is cut or refused, and what is no command says so.

use super::answer::{Answer, examples};
use super::rules::LIMIT_MAX;
use crate::bridge::session::isupport::Prefixes;
use crate::ids::{RoomId, UserId};
use crate::text::whom::server_name;

/// Characters kept of a reason.
pub const REASON_CHARS_MAX: usize = 200;

/// One command.
#[derive(Debug)]
pub struct Command {
    pub name: &'static str,
    /// Another name for it; empty for none.
    pub also: &'static str,
    /// What follows the name, as people are shown it. Where [`who`](Self::who) is not everybody, the channel comes first.
    pub takes: &'static str,
    /// What it does, in one sentence.
    pub help: &'static str,
    pub who: Who,
    read: fn(&mut Rest<'_>) -> Result<Deed, Bad>,
    /// What it may be answered with, for docs/CHANNEL_OPERATORS.md.
    pub answers: fn() -> Vec<Answer>,
}

/// Which rank in the channel a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Everybody,
    /// Half-operators and whoever is above them; where a network has none, as operators.
    HalfOperators,
    Operators,
}

/// All of them, in the order in which people are shown them.
pub static COMMANDS: [Command; 10] = [
    Command {
        name: "help",
        also: "",
        takes: "[command]",
        help: "Says what I am and lists the commands, or explains one of them.",
        who: Who::Everybody,
        read: |rest| Ok(Deed::Help(rest.word().and_then(find))),
        answers: examples::help,
    },
    Command {
        name: "status",
        also: "",
        takes: "#channel",
        help: "Shows which rooms on Matrix the channel has, how many people are in them, who may read it, and what \
               operators have set.",
        who: Who::HalfOperators,
        read: |_| Ok(Deed::Status),
        answers: examples::status,
    },
    Command {
        name: "who",
        also: "",
        takes: "#channel",
        help: "Names the people of Matrix who are in the channel's rooms, with their nicks here.",
        who: Who::HalfOperators,
        read: |_| Ok(Deed::People),
        answers: examples::people,
    },
    Command {
        name: "mute",
        also: "",
        takes: "#channel @user:server|nick [reason]",
        help: "What this person of Matrix says does not reach the channel any more; they are told so.",
        who: Who::Operators,
        read: |rest| Ok(Deed::Mute { whom: rest.whom()?, reason: rest.reason() }),
        answers: examples::mute,
    },
    Command {
        name: "unmute",
        also: "",
        takes: "#channel @user:server|nick",
        help: "Lets a muted person speak again.",
        who: Who::Operators,
        read: |rest| Ok(Deed::Unmute(rest.whom()?)),
        answers: examples::unmute,
    },
    Command {
        name: "block",
        also: "",
        takes: "#channel homeserver [reason]",
        help: "As mute, for all people of one Matrix homeserver, such as example.org.",
        who: Who::Operators,
        read: |rest| Ok(Deed::Block { server: rest.server()?, reason: rest.reason() }),
        answers: examples::block,
    },
    Command {
        name: "unblock",
        also: "",
        takes: "#channel homeserver",
        help: "Lets the people of a homeserver speak again.",
        who: Who::Operators,
        read: |rest| Ok(Deed::Unblock(rest.server()?)),
        answers: examples::unblock,
    },
    Command {
        name: "limit",
        also: "",
        takes: "#channel lines|off",
        help: "Lets so many lines a minute through, of all people of Matrix together; what is more waits for its turn, \
               two minutes at most, and then does not come. off: no limit.",
        who: Who::Operators,
        read: |rest| rest.limit().map(Deed::Limit),
        answers: examples::limit,
    },
    Command {
        name: "dismiss",
        also: "deny",
        takes: "#channel [!room] [reason]",
        help: "Sends the bridge out of the channel, or keeps it out: all people of Matrix leave it and nothing of it is \
               read there, until an operator says welcome. With the id of a room: ends, or refuses, the bridge to that \
               room alone.",
        who: Who::Operators,
        read: |rest| match rest.room() {
            Some(room) => Ok(Deed::Refuse { room, reason: rest.reason() }),
            None => Ok(Deed::Dismiss(rest.reason())),
        },
        answers: examples::dismiss,
    },
    Command {
        name: "welcome",
        also: "allow",
        takes: "#channel [!room]",
        help: "Lets the bridge into the channel: calls it back where it was dismissed, and allows it where it asked. With \
               the id of a room: allows the bridge to that room, for which people have asked.",
        who: Who::Operators,
        read: |rest| Ok(rest.room().map_or(Deed::Welcome, Deed::Admit)),
        answers: examples::welcome,
    },
];

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    Help(Option<&'static Command>),
    Status,
    People,
    Mute {
        whom: Whom,
        reason: Option<String>,
    },
    Unmute(Whom),
    Block {
        server: String,
        reason: Option<String>,
    },
    Unblock(String),
    /// Lines a minute; `None`: as many as they like.
    Limit(Option<u32>),
    Dismiss(Option<String>),
    Welcome,
    /// The bridge to this room is allowed.
    Admit(RoomId),
    /// It is refused, or over.
    Refuse {
        room: RoomId,
        reason: Option<String>,
    },
}

impl Deed {
    /// The one room that it is about; `None` where it is about the channel.
    pub fn room(&self) -> Option<&RoomId> {
        match self {
            Self::Admit(room) | Self::Refuse { room, .. } => Some(room),
            Self::Help(_)
            | Self::Status
            | Self::People
            | Self::Mute { .. }
            | Self::Unmute(_)
            | Self::Block { .. }
            | Self::Unblock(_)
            | Self::Limit(_)
            | Self::Dismiss(_)
            | Self::Welcome => None,
        }
    }
}

/// Somebody of Matrix, as an operator names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    User(UserId),
    /// By what may be the nick of their puppet.
    Nick(String),
}

/// A command as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub command: &'static Command,
    /// As it was written; empty where the command needs none.
    pub channel: String,
    pub deed: Deed,
}

impl PartialEq for Command {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Command {}

/// The words were not what the command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bad;

impl Command {
    /// The whole of it, as people write it.
    pub fn usage(&self) -> String {
        format!("{} {}", self.name, self.takes)
    }

    /// What it does, and whom it takes.
    pub fn explained(&self) -> String {
        let who = match self.who {
            Who::Everybody => "Anybody may.".to_owned(),
            who => format!("It takes {} of the channel.", who.name()),
        };
        format!("{}: {} {who}", self.usage(), self.help)
    }
}

impl Who {
    /// Whether somebody with these modes in the channel is one.
    pub fn has(self, modes: &str, prefixes: &Prefixes) -> bool {
        let operator = prefixes.rank('o');
        let least = match self {
            Self::Everybody => return true,
            Self::HalfOperators => prefixes.rank('h').or(operator),
            Self::Operators => operator,
        };
        let best = modes.chars().filter_map(|mode| prefixes.rank(mode)).min();
        best.zip(least).is_some_and(|(best, least)| best <= least)
    }

    /// As people are told it: "an operator of #c".
    pub fn name(self) -> &'static str {
        match self {
            Self::Everybody => "anybody",
            Self::HalfOperators => "a half-operator or operator",
            Self::Operators => "an operator",
        }
    }
}

/// The command of that name.
pub fn find(name: &str) -> Option<&'static Command> {
    let is_it = |own: &str| !own.is_empty() && own.eq_ignore_ascii_case(name);
    COMMANDS.iter().find(|command| is_it(command.name) || is_it(command.also))
}

/// Reads a line, which holds no codes any more; what to answer where it is no command.
pub fn read(line: &str) -> Result<Order, Answer> {
    let mut rest = Rest(line);
    let Some(word) = rest.word() else { return Err(Answer::unknown("")) };
    let name = word.trim_start_matches(['!', '/', '.']);
    let Some(command) = find(name) else { return Err(Answer::unknown(word)) };
    let channel = match command.who {
        Who::Everybody => "",
        Who::HalfOperators | Who::Operators => rest.word().ok_or(Answer::Usage(command))?,
    };
    let deed = (command.read)(&mut rest).map_err(|Bad| Answer::Usage(command))?;
    Ok(Order { command, channel: channel.to_owned(), deed })
}

/// What is left of a line.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn word(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        self.0 = rest;
        Some(word).filter(|word| !word.is_empty())
    }

    /// The id of a room, if one is next.
    fn room(&mut self) -> Option<RoomId> {
        let (mut ahead, rest) = (Rest(self.0), self.0);
        let room = ahead.word().filter(|word| word.starts_with('!')).and_then(RoomId::new);
        self.0 = if room.is_some() { ahead.0 } else { rest };
        room
    }

    fn whom(&mut self) -> Result<Whom, Bad> {
        let word = self.word().ok_or(Bad)?;
        if word.starts_with('@') && word.contains(':') {
            return UserId::new(word).map(Whom::User).ok_or(Bad);
        }
        Ok(Whom::Nick(word.to_owned()))
    }

    /// A server name (Matrix appendices, "Server Name"), in lower case.
    fn server(&mut self) -> Result<String, Bad> {
        let word = self.word().ok_or(Bad)?;
        server_name(word.trim_start_matches(':')).ok_or(Bad)
    }

    fn limit(&mut self) -> Result<Option<u32>, Bad> {
        let word = self.word().ok_or(Bad)?;
        if ["off", "none", "no"].iter().any(|off| word.eq_ignore_ascii_case(off)) {
            return Ok(None);
        }
        let lines: u32 = word.parse().map_err(|_| Bad)?;
        (1..=LIMIT_MAX).contains(&lines).then_some(Some(lines)).ok_or(Bad)
    }

    /// All that is left, as one line.
    fn reason(&mut self) -> Option<String> {
        let words: Vec<&str> = self.0.split_whitespace().collect();
        let reason: String = words.join(" ").chars().take(REASON_CHARS_MAX).collect();
        Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed(line: &str) -> Option<Deed> {
        read(line).ok().map(|order| order.deed)
    }

    fn ada() -> Whom {
        Whom::User(UserId::new("@ada:hs").unwrap())
    }

    #[test]
    fn a_line_becomes_a_command() {
        assert_eq!(deed("help"), Some(Deed::Help(None)));
        assert_eq!(deed(" !HELP  mute "), Some(Deed::Help(find("mute"))));
        assert_eq!(deed("help nonsense"), Some(Deed::Help(None)));
        let order = read("mute #C @ada:hs  stop   it").unwrap();
        assert_eq!((order.command.name, &*order.channel), ("mute", "#C"));
        assert_eq!(order.deed, Deed::Mute { whom: ada(), reason: Some("stop it".into()) });
        assert_eq!(
            deed("mute #c ada[m]"),
            Some(Deed::Mute { whom: Whom::Nick("ada[m]".into()), reason: None })
        );
        assert_eq!(
            deed("block #c Evil.Example:8448"),
            Some(Deed::Block { server: "evil.example:8448".into(), reason: None })
        );
        assert_eq!(deed("limit #c 12"), Some(Deed::Limit(Some(12))));
        assert_eq!(deed("limit #c OFF"), Some(Deed::Limit(None)));
        assert_eq!(deed("dismiss #c"), Some(Deed::Dismiss(None)));
        let room = RoomId::new("!r:hs").unwrap();
        assert_eq!(deed("allow #c !r:hs"), Some(Deed::Admit(room.clone())));
        assert_eq!(
            deed("deny #c !r:hs no  room"),
            Some(Deed::Refuse { room, reason: Some("no room".into()) })
        );
        assert_eq!(deed("allow #c !"), Some(Deed::Welcome));
        assert_eq!(deed("deny #c ! what"), Some(Deed::Dismiss(Some("! what".into()))));
    }

    #[test]
    fn what_is_no_command_says_so() {
        for line in [
            "mute",
            "mute #c",
            "mute #c @:x",
            "block #c",
            "block #c a/b",
            "limit #c",
            "limit #c 0",
            "limit #c -1",
        ] {
            let name = line.split(' ').next().unwrap();
            assert_eq!(read(line), Err(Answer::Usage(find(name).unwrap())), "{line}");
        }
        for line in ["", "   ", "hello there", "##", &"x".repeat(9_000)] {
            assert!(matches!(read(line), Err(Answer::Unknown(_))), "{line}");
        }
        let reason = deed(&format!("dismiss #c {}", "é".repeat(9_000)));
        assert_eq!(reason, Some(Deed::Dismiss(Some("é".repeat(REASON_CHARS_MAX)))));
    }

    #[test]
    fn ranks_are_those_of_the_network() {
        let usual = Prefixes::parse("(qaohv)~&@%+").unwrap();
        let old = Prefixes::default();
        let none = Prefixes::parse("").unwrap();
        for (who, modes, prefixes, expected) in [
            (Who::Operators, "o", &usual, true),
            (Who::Operators, "vq", &usual, true),
            (Who::Operators, "hv", &usual, false),
            (Who::HalfOperators, "h", &usual, true),
            (Who::HalfOperators, "v", &usual, false),
            (Who::HalfOperators, "o", &old, true),
            (Who::HalfOperators, "v", &old, false),
            (Who::Operators, "", &old, false),
            (Who::Operators, "o", &none, false),
            (Who::Everybody, "", &none, true),
        ] {
            assert_eq!(who.has(modes, prefixes), expected, "{who:?} {modes}");
        }
    }

    #[test]
    fn commands_have_names_of_their_own_and_say_what_they_take() {
        let names = COMMANDS.iter().flat_map(|command| [command.name, command.also]);
        let mut names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!((find("Allow"), find("")), (find("welcome"), None));
        for command in &COMMANDS {
            let takes_channel = command.takes.starts_with("#channel");
            assert_eq!(takes_channel, command.who != Who::Everybody, "{}", command.name);
            assert!(command.help.ends_with('.') && !(command.answers)().is_empty(), "{}", command.name);
        }
    }
}
