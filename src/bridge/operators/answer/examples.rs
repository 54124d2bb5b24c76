//! Answers as docs/CHANNEL_OPERATORS.md shows them: for each command those that it may be given. Nothing else uses them.

use super::rooms::RoomAnswer;
use super::{Answer, Asked, Room, Rule, Shown, Status, Whose};
use crate::bridge::operators::command::{Who, find};
use crate::ids::{RoomId, Time, UserId};

const CHANNEL: &str = "#example";
const SERVER: &str = "evil.example";

fn ada() -> UserId {
    UserId::new("@ada:example.org").expect("a user id")
}

fn room() -> RoomId {
    RoomId::new("!room:example.org").expect("a room id")
}

fn channel() -> String {
    CHANNEL.to_owned()
}

fn command(name: &str) -> &'static super::Command {
    find(name).expect("a row of the table")
}

pub fn help() -> Vec<Answer> {
    let (server, network) = ("example.org".to_owned(), "Libera Chat".to_owned());
    let contact = "irc-bridge@example.org".to_owned();
    vec![
        Answer::Help { server, network, contact },
        Answer::HelpOn(command("mute")),
        Answer::unknown("hello"),
        Answer::TooMany,
    ]
}

pub fn status() -> Vec<Answer> {
    let rooms = vec![
        Room { name: "#irc_#example:example.org".into(), people: 3, whose: Whose::Bridge },
        Room { name: "!room:example.org".into(), people: 1, whose: Whose::People },
    ];
    let rule = |asked, reason: Option<&str>| {
        let (by, reason) = ("eve".to_owned(), reason.map(str::to_owned));
        Rule { channel: channel(), asked, by, reason, since: Time(0) }
    };
    let rules = vec![rule(Asked::Mute(ada()), Some("flooding")), rule(Asked::Limit(20), None)];
    let status = Status { channel: channel(), rooms, people: 4, present: 3, rules };
    vec![
        Answer::Status(Box::new(status)),
        Answer::NotBridged(channel()),
        Answer::NotOperator { channel: channel(), who: Who::HalfOperators },
        Answer::RankUnseen(channel()),
        Answer::Changed,
        Answer::Later,
        Answer::not_a_channel("example"),
    ]
}

pub fn people() -> Vec<Answer> {
    let bob = UserId::new("@bob:example.net").expect("a user id");
    let people = vec![
        Shown { user: ada(), nick: Some("ada".into()), is_silent: true },
        Shown { user: bob, nick: None, is_silent: false },
    ];
    let nobody = Answer::People { channel: channel(), people: Vec::new() };
    vec![Answer::People { channel: channel(), people }, nobody]
}

pub fn mute() -> Vec<Answer> {
    let nick = || "ada".to_owned();
    vec![
        Answer::Muted { channel: channel(), user: ada(), nick: Some(nick()) },
        Answer::NobodyByNick { channel: channel(), nick: nick() },
        Answer::NotOfMatrix { channel: channel(), nick: nick() },
        Answer::NoMoreMutes(channel()),
        Answer::Usage(command("mute")),
    ]
}

pub fn unmute() -> Vec<Answer> {
    vec![
        Answer::Unmuted { channel: channel(), user: ada() },
        Answer::NotMuted { channel: channel(), user: ada() },
    ]
}

pub fn block() -> Vec<Answer> {
    let server = SERVER.to_owned();
    vec![Answer::Blocked { channel: channel(), server }, Answer::NoMoreBlocks(channel())]
}

pub fn unblock() -> Vec<Answer> {
    let server = || SERVER.to_owned();
    vec![
        Answer::Unblocked { channel: channel(), server: server() },
        Answer::NotBlocked { channel: channel(), server: server() },
    ]
}

pub fn limit() -> Vec<Answer> {
    vec![
        Answer::Limited { channel: channel(), lines: 20 },
        Answer::Unlimited(channel()),
        Answer::NotLimited(channel()),
    ]
}

pub fn dismiss() -> Vec<Answer> {
    vec![
        Answer::Dismissed { channel: channel(), rooms: 2 },
        Answer::Dismissed { channel: channel(), rooms: 0 },
        Answer::NoMoreChannels,
        Answer::DismissedBefore { channel: channel(), by: "eve".into() },
        Answer::Room(RoomAnswer::Refused { channel: channel(), room: room() }),
        Answer::Room(RoomAnswer::Ended { channel: channel(), room: room() }),
        Answer::Room(RoomAnswer::Unknown { channel: channel(), room: room() }),
        Answer::Room(RoomAnswer::Configured { channel: channel(), room: room() }),
    ]
}

/// What operators are asked where channels are bridged by consent only.
pub fn question() -> Answer {
    Answer::Asked { channel: channel(), server: "example.org".into() }
}

/// What operators are asked when people want to bridge a room of their own.
pub fn room_question() -> Answer {
    let server = "example.org".to_owned();
    Answer::Room(RoomAnswer::Asked { channel: channel(), room: room(), user: ada(), server })
}

pub fn welcome() -> Vec<Answer> {
    vec![
        Answer::Welcomed { channel: channel(), people: 3 },
        Answer::Allowed(channel()),
        Answer::NotDismissed(channel()),
        Answer::Denied(channel()),
        Answer::Room(RoomAnswer::Admitted { channel: channel(), room: room() }),
        Answer::Room(RoomAnswer::AdmittedBefore { channel: channel(), room: room() }),
        Answer::Room(RoomAnswer::Which { channel: channel(), rooms: vec![room()] }),
    ]
}
