//! What the bot answers: plain sentences, each with the next step where there is one. One value for each answer, so that
//! docs/CHANNEL_OPERATORS.md shows the very sentences.

pub mod examples;
pub mod rooms;

use self::rooms::RoomAnswer;
use self::rooms::wish_words;
use super::command::{COMMANDS, Command, Who};
use super::rules::{Asked, BLOCKS_MAX, MUTES_MAX, Rule};
pub use crate::bridge::portal::origin::Whose;
use crate::ids::UserId;

/// Characters of a word that is given back.
const WORD_CHARS_MAX: usize = 30;
/// Rooms, people and rules that are named in one answer; more are counted.
const ROOMS_MAX: usize = 5;
pub const PEOPLE_MAX: usize = 60;
const RULES_MAX: usize = 15;

/// An answer. Channels are as the operator wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Whose bridge it is to which network, and what its operator wants to be said of it.
    Help {
        server: String,
        network: String,
        contact: String,
    },
    HelpOn(&'static Command),
    /// This is no command.
    Unknown(String),
    Usage(&'static Command),
    TooMany,
    NotAChannel(String),
    NotOperator {
        channel: String,
        who: Who,
    },
    /// The server does not show which rank they have.
    RankUnseen(String),
    /// Who has their nick now is not known to be them.
    Changed,
    Later,
    NotBridged(String),
    Status(Box<Status>),
    People {
        channel: String,
        people: Vec<Shown>,
    },
    Muted {
        channel: String,
        user: UserId,
        nick: Option<String>,
    },
    NobodyByNick {
        channel: String,
        nick: String,
    },
    NotOfMatrix {
        channel: String,
        nick: String,
    },
    NoMoreMutes(String),
    /// More channels have rules than may be.
    NoMoreChannels,
    Unmuted {
        channel: String,
        user: UserId,
    },
    NotMuted {
        channel: String,
        user: UserId,
    },
    Blocked {
        channel: String,
        server: String,
    },
    NoMoreBlocks(String),
    Unblocked {
        channel: String,
        server: String,
    },
    NotBlocked {
        channel: String,
        server: String,
    },
    Limited {
        channel: String,
        lines: u32,
    },
    Unlimited(String),
    NotLimited(String),
    Dismissed {
        channel: String,
        rooms: usize,
    },
    DismissedBefore {
        channel: String,
        by: String,
    },
    Welcomed {
        channel: String,
        people: usize,
    },
    NotDismissed(String),
    /// Not an answer: the question whether the bridge may come.
    Asked {
        channel: String,
        server: String,
    },
    /// About a room that people asked for.
    Room(RoomAnswer),
    /// There may be rooms for the channel, and is none yet.
    Allowed(String),
    Denied(String),
}

/// What a channel is on Matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub channel: String,
    pub rooms: Vec<Room>,
    /// People in any of the rooms.
    pub people: usize,
    /// Those of them whose puppets are in the channel.
    pub present: usize,
    pub rules: Vec<Rule>,
}

/// A room of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its alias, or its id.
    pub name: String,
    pub people: usize,
    pub whose: Whose,
}

/// Somebody of Matrix, as a channel's operators see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    pub user: UserId,
    /// Their nick; `None` while they are not in the channel.
    pub nick: Option<String>,
    pub is_silent: bool,
}

impl Answer {
    /// That a line is no command; a little of it is given back.
    pub fn unknown(word: &str) -> Self {
        Self::Unknown(word.chars().take(WORD_CHARS_MAX).collect())
    }

    /// That a word is no channel.
    pub fn not_a_channel(word: &str) -> Self {
        Self::NotAChannel(word.chars().take(WORD_CHARS_MAX).collect())
    }

    /// Its lines, each of which may still be too long for one NOTICE. `bot`: our nick.
    pub fn lines(&self, bot: &str) -> Vec<String> {
        match self {
            Self::Help { server, network, contact } => help(bot, server, network, contact),
            Self::HelpOn(command) => vec![command.explained()],
            Self::Status(status) => status.lines(bot),
            Self::People { channel, people } => people_lines(channel, people),
            one => vec![one.sentence(bot)],
        }
    }

    fn sentence(&self, bot: &str) -> String {
        match self {
            Self::Help { .. } | Self::HelpOn(_) | Self::Status(_) | Self::People { .. } => String::new(),
            Self::Unknown(word) if word.is_empty() => format!("Say /msg {bot} help for what I can do."),
            Self::Unknown(word) => {
                format!("I do not know \"{word}\". Say /msg {bot} help for what I can do.")
            }
            Self::Usage(command) => format!("Write it so: /msg {bot} {}", command.usage()),
            Self::TooMany => "Too many commands. I listen again in a minute.".to_owned(),
            Self::NotAChannel(word) => {
                format!("\"{word}\" is no channel here. The channel comes first, such as #example.")
            }
            Self::NotOperator { channel, who } => format!(
                "That takes {} of {channel}, and the server does not show me that you are one. Get your rank \
                 there and say it again.",
                who.name()
            ),
            Self::RankUnseen(channel) => format!(
                "The server does not show me that you are in {channel}. If it is secret, or you hide your channels \
                 (mode +i or +I), show it for a moment (/mode {channel} -s, or your own mode) and say it again."
            ),
            Self::Changed => "Your nick or your host was another when you wrote. Say it again.".to_owned(),
            Self::Later => {
                "I cannot ask the server for your rank just now. Say it again in a minute.".to_owned()
            }
            Self::NotBridged(channel) => {
                format!("{channel} has no room on Matrix through me: there is nothing to be done.")
            }
            Self::Muted { channel, user, nick } => {
                let name = nick.as_ref().map(|nick| format!(" ({nick})")).unwrap_or_default();
                format!(
                    "{user}{name} is muted in {channel}: what they say on Matrix does not come here, and they are told. \
                     They can still read. To undo it: /msg {bot} unmute {channel} {user}"
                )
            }
            Self::NobodyByNick { channel, nick } => format!(
                "Nobody of Matrix has the nick {nick} now. /msg {bot} who {channel} names them; @user:server works \
                 for those who are away."
            ),
            Self::NotOfMatrix { channel, nick } => {
                format!("{nick} is not of Matrix: /kick or /mode {channel} +b is for people of IRC.")
            }
            Self::NoMoreMutes(channel) => format!(
                "{MUTES_MAX} people are muted in {channel}, and I keep no more. /msg {bot} block {channel} homeserver \
                 mutes all of one homeserver."
            ),
            Self::NoMoreChannels => {
                format!(
                    "I keep rules for no more channels now. Try again in an hour, or ask whoever runs me: /msg {bot} help says who."
                )
            }
            Self::Unmuted { channel, user } => format!("{user} can speak in {channel} again."),
            Self::NotMuted { channel, user } => {
                format!("{user} was not muted in {channel}. /msg {bot} status {channel} shows who is.")
            }
            Self::Blocked { channel, server } => format!(
                "All people of {server} are muted in {channel}, and are told. To undo it: /msg {bot} unblock {channel} \
                 {server}"
            ),
            Self::NoMoreBlocks(channel) => format!(
                "{BLOCKS_MAX} homeservers are muted in {channel}, and I keep no more. /msg {bot} dismiss {channel} sends \
                 me away."
            ),
            Self::Unblocked { channel, server } => {
                format!("People of {server} can speak in {channel} again.")
            }
            Self::NotBlocked { channel, server } => {
                format!("{server} was not blocked in {channel}. /msg {bot} status {channel} shows what is.")
            }
            Self::Limited { channel, lines } => format!(
                "At most {} a minute {channel} gets from Matrix now, and the people there are told. To undo it: /msg {bot} \
                 limit {channel} off",
                counted(*lines as usize, "line", "lines")
            ),
            Self::Unlimited(channel) => format!("{channel} has no limit any more."),
            Self::NotLimited(channel) => format!("{channel} had no limit."),
            Self::Dismissed { channel, rooms: 0 } => format!(
                "{channel} has no room on Matrix through me, and gets none until an operator says /msg {bot} welcome \
                 {channel}"
            ),
            Self::Dismissed { channel, rooms } => format!(
                "All people of Matrix leave {channel} now; {} told why. Nothing of {channel} is read on Matrix until \
                 an operator says /msg {bot} welcome {channel}",
                if *rooms == 1 { "its room is".to_owned() } else { format!("its {rooms} rooms are") }
            ),
            Self::DismissedBefore { channel, by } => format!(
                "{by} has dismissed me from {channel} already. To call me back: /msg {bot} welcome {channel}"
            ),
            Self::Welcomed { channel, people: 0 } => {
                format!("Thank you. Nobody is in a room of {channel} now; who joins one joins {channel}.")
            }
            Self::Welcomed { channel, people } => format!(
                "Thank you. {} {channel} again.",
                counted(*people, "person of Matrix joins", "people of Matrix join")
            ),
            Self::Allowed(channel) => format!(
                "Thank you. People of Matrix can open {channel} now, and each who does joins it. To undo it: /msg {bot} dismiss \
                 {channel}"
            ),
            Self::Asked { channel, server } => format!(
                "People of Matrix want to read and speak in {channel}, each with an IRC user of their own, through me, the \
                 bridge of {server}. Its operators decide: /msg {bot} allow {channel} or /msg {bot} deny {channel} (then I do \
                 not ask again). /msg {bot} help says more."
            ),
            Self::Room(answer) => answer.sentence(bot),
            Self::Denied(channel) => {
                format!("I make no room for {channel}. Undo it: /msg {bot} allow {channel}")
            }
            Self::NotDismissed(channel) => format!("Nobody has dismissed me from {channel}."),
        }
    }
}

fn help(bot: &str, server: &str, network: &str, contact: &str) -> Vec<String> {
    let names: Vec<String> = COMMANDS.iter().map(Command::usage).collect();
    let contact = if contact.is_empty() { String::new() } else { format!(" Who runs it: {contact}") };
    vec![
        format!(
            "I am the bridge between {network} and Matrix at {server}. Each person of Matrix has an IRC user of their \
             own here.{contact}"
        ),
        format!("Operators of a channel tell me by /msg {bot}: {}", names.join(" - ")),
        format!("/msg {bot} help COMMAND explains one."),
    ]
}

fn people_lines(channel: &str, people: &[Shown]) -> Vec<String> {
    if people.is_empty() {
        return vec![format!("Nobody of Matrix is in a room of {channel}.")];
    }
    let one = |shown: &Shown| {
        let silent = if shown.is_silent { ", muted" } else { "" };
        match &shown.nick {
            Some(nick) => format!("{nick} is {}{silent}", shown.user),
            None => format!("{} (not in {channel} now{silent})", shown.user),
        }
    };
    let mut named: Vec<String> = people.iter().take(PEOPLE_MAX).map(one).collect();
    if people.len() > PEOPLE_MAX {
        named.push(format!("and {} more", people.len() - PEOPLE_MAX));
    }
    vec![format!("People of Matrix in rooms of {channel}: {}.", named.join("; "))]
}

impl Status {
    fn lines(&self, bot: &str) -> Vec<String> {
        let channel = &self.channel;
        let mut lines = vec![self.rooms_line()];
        let is_dismissed = self.rules.iter().any(|rule| rule.asked == Asked::Dismissed);
        if is_dismissed {
            lines.push(format!("I am not in {channel}. To call me back: /msg {bot} welcome {channel}"));
        } else if !self.rooms.is_empty() {
            lines.push(format!(
                "{} there; {} in {channel} with an IRC user of their own (/msg {bot} who {channel} names all).",
                counted(self.people, "person of Matrix is", "people of Matrix are"),
                counted(self.present, "is", "are"),
            ));
        }
        if !is_dismissed && self.rooms.iter().any(|room| room.whose == Whose::Bridge) {
            lines.push(format!(
                "Anybody of Matrix may join the room that I made. Who joins it gets an IRC user that joins {channel}, and \
                 is put out of the room where {channel} refuses or kicks that."
            ));
        }
        if !self.rules.is_empty() {
            lines.push(format!("Set by operators: {}.", self.rules_words().join("; ")));
        }
        lines
    }

    fn rooms_line(&self) -> String {
        let channel = &self.channel;
        if self.rooms.is_empty() {
            return format!("{channel} has no room on Matrix through me.");
        }
        let one = |room: &Room| {
            let whose = match room.whose {
                Whose::Bridge => "made by me",
                Whose::People => "owned by people",
            };
            format!("{} ({whose}, {})", room.name, counted(room.people, "person", "people"))
        };
        let mut rooms: Vec<String> = self.rooms.iter().take(ROOMS_MAX).map(one).collect();
        if self.rooms.len() > ROOMS_MAX {
            rooms.push(format!("and {} more", self.rooms.len() - ROOMS_MAX));
        }
        format!(
            "{channel} has {} on Matrix: {}.",
            counted(self.rooms.len(), "room", "rooms"),
            rooms.join(", ")
        )
    }

    fn rules_words(&self) -> Vec<String> {
        let one = |rule: &Rule| {
            let what = match &rule.asked {
                Asked::Mute(user) => format!("{user} is muted"),
                Asked::Block(server) => format!("all of {server} are muted"),
                Asked::Limit(lines) => {
                    format!("{} a minute at most", counted(*lines as usize, "line", "lines"))
                }
                Asked::Dismissed => "I am dismissed".to_owned(),
                Asked::Allowed => "I am welcome".to_owned(),
                Asked::Requested if !rule.by.is_empty() => "I make no room of my own".to_owned(),
                Asked::Room(wish) => return wish_words(wish, &rule.by),
                Asked::Requested => return "I have asked to be let in, and nobody has answered".to_owned(),
            };
            let reason = rule.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("{what} (by {}{reason})", rule.by)
        };
        let mut words: Vec<String> = self.rules.iter().take(RULES_MAX).map(one).collect();
        if self.rules.len() > RULES_MAX {
            words.push(format!("and {} more", self.rules.len() - RULES_MAX));
        }
        words
    }
}

/// A number and its noun.
pub fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_of_every_command_says_something() {
        for command in &COMMANDS {
            for answer in (command.answers)() {
                let lines = answer.lines("bunraku");
                assert!(!lines.is_empty() && lines.iter().all(|line| !line.trim().is_empty()), "{answer:?}");
                assert!(lines.iter().all(|line| !line.contains(['\n', '\r', '\0'])), "{answer:?}");
            }
        }
    }

    #[test]
    fn a_list_of_thousands_names_a_few() {
        let user = |n| UserId::new(&format!("@u{n}:hs")).unwrap();
        let people: Vec<Shown> =
            (0..5_000).map(|n| Shown { user: user(n), nick: None, is_silent: false }).collect();
        let lines = Answer::People { channel: "#c".into(), people }.lines("bot");
        assert!(lines.concat().contains("and 4940 more") && lines.concat().len() < 4_000);
    }
}
