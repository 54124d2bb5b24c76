//! Numerics about channels: joining them, speaking in them, their members and modes.

use super::cases::*;
use super::{Meaning, row};

const JOIN: &[&str] = &["JOIN"];
const SAY: &[&str] = &["PRIVMSG", "NOTICE", "TAGMSG"];
const ENTER: &[&str] = &["JOIN", "PRIVMSG", "NOTICE", "TAGMSG"];
const MODE: &[&str] = &["MODE"];
const KICK: &[&str] = &["KICK", "MODE"];
const INVITE: &[&str] = &["INVITE"];
const KNOCK: &[&str] = &["KNOCK"];
const RANK: &[&str] = &["MODE", "KICK", "TOPIC", "INVITE", "NAMES"];
const FIRST: Option<usize> = Some(0);
const SECOND: Option<usize> = Some(1);

pub(super) const TABLE: &[Meaning] = &[
    row("403", NO_SUCH_CHANNEL, FIRST, &[]),
    row("404", SPEAK_REFUSED, FIRST, SAY),
    row("405", TOO_MANY_CHANNELS, FIRST, JOIN),
    row("437", NICK_HELD, FIRST, &["NICK", "JOIN", "TOPIC"]),
    row("441", THEY_ARE_NOT_IN, FIRST, KICK),
    row("442", NOT_IN_CHANNEL, FIRST, &["PART", "TOPIC", "INVITE", "KICK", "MODE", "NAMES"]),
    row("443", THEY_ARE_IN, FIRST, INVITE),
    row("448", FORBIDDEN_CHANNEL, FIRST, JOIN),
    row("460", OPERATOR_NEEDED, FIRST, MODE),
    row("467", KEY_SET, FIRST, MODE),
    row("470", FORWARDED, FIRST, JOIN),
    row("471", CHANNEL_FULL, FIRST, JOIN),
    row("472", UNKNOWN_MODE, FIRST, MODE),
    row("473", INVITE_ONLY, FIRST, JOIN),
    row("474", BANNED_JOIN, FIRST, JOIN),
    row("475", KEY_NEEDED, FIRST, JOIN),
    row("476", BAD_CHANNEL_NAME, FIRST, JOIN),
    row("477", ACCOUNT_JOIN, FIRST, ENTER),
    row("478", BAN_LIST_FULL, FIRST, MODE),
    row("479", BAD_CHANNEL_NAME, FIRST, JOIN),
    row("480", KNOCK_REFUSED, FIRST, &["KNOCK", "JOIN"]),
    row("482", OPERATOR_NEEDED, FIRST, RANK),
    row("484", PROTECTED, FIRST, &["KICK", "MODE", "JOIN", "INVITE", "NICK"]),
    row("485", FORBIDDEN_CHANNEL, FIRST, &["JOIN", "MODE", "KICK", "KILL"]),
    row("488", TLS_CHANNEL, FIRST, JOIN),
    row("489", TLS_CHANNEL, FIRST, ENTER),
    row("490", TLS_FOR_ALL, FIRST, &["MODE", "PRIVMSG", "NOTICE"]),
    row("495", JOINS_TOO_FAST, FIRST, JOIN),
    row("498", STAFF_CHANNEL, FIRST, JOIN),
    row("499", OWNER_NEEDED, FIRST, MODE),
    row("500", JOINS_TOO_FAST, FIRST, &["JOIN", "MODE"]),
    row("518", NO_INVITES, FIRST, INVITE),
    row("519", STAFF_CHANNEL, FIRST, JOIN),
    row("520", STAFF_CHANNEL, FIRST, JOIN),
    row("573", ROLE_REFUSED, FIRST, &["NPC", "NPCA", "SCENE"]),
    row("690", REDIRECT_REFUSED, FIRST, MODE),
    row("696", BAD_MODE_VALUE, FIRST, MODE),
    row("697", ENTRY_THERE, FIRST, MODE),
    row("698", ENTRY_NOT_THERE, FIRST, MODE),
    row("711", PLAIN_NEWS, FIRST, KNOCK),
    row("712", KNOCKS_TOO_FAST, FIRST, KNOCK),
    row("713", KNOCK_OPEN, FIRST, KNOCK),
    row("714", YOU_ARE_IN, FIRST, KNOCK),
    row("715", KNOCK_OFF, FIRST, &["KNOCK", "INVITE"]),
    row("742", MODE_LOCKED, FIRST, MODE),
    row("743", BAD_BAN, FIRST, MODE),
    row("744", TOPIC_LOCKED, FIRST, &["TOPIC"]),
    row("926", FORBIDDEN_CHANNEL, FIRST, JOIN),
    row("936", FILTERED, FIRST, SAY),
    row("937", ENTRY_THERE, FIRST, MODE),
    row("938", ENTRY_NOT_THERE, FIRST, MODE),
    row("939", BAN_LIST_FULL, FIRST, MODE),
    row("974", CANNOT_SET_MODE, FIRST, MODE),
    row("435", NICK_BANNED, SECOND, &["NICK"]),
    row("447", NICK_STUCK, FIRST, &["NICK"]),
];
