//! Numerics about people: nicks, private messages, the lists that say who may reach us.

use super::cases::*;
use super::{Meaning, row};

const NICK: &[&str] = &["NICK"];
const SAY: &[&str] = &["PRIVMSG", "NOTICE", "TAGMSG"];
const ACCEPT: &[&str] = &["ACCEPT"];
const DCC: &[&str] = &["DCCALLOW"];
const META: &[&str] = &["METADATA"];
const FIRST: Option<usize> = Some(0);

pub(super) const TABLE: &[Meaning] = &[
    row("401", NO_SUCH_NICK, FIRST, &[]),
    row("406", WAS_NO_NICK, FIRST, &["WHOWAS"]),
    row("415", BAD_MASK, FIRST, SAY),
    row("430", NICK_STUCK, None, NICK),
    row("431", NO_NICK_GIVEN, None, &["NICK", "WHOIS", "WHOWAS"]),
    row("432", NICK_ILLEGAL, FIRST, NICK),
    row("433", NICK_TAKEN, FIRST, NICK),
    row("436", NICK_COLLISION, FIRST, NICK),
    row("438", NICK_TOO_FAST, None, NICK),
    row("439", TARGETS_TOO_FAST, FIRST, &["PRIVMSG", "NOTICE", "JOIN", "INVITE"]),
    row("444", NOT_LOGGED_IN_THERE, FIRST, &["SUMMON"]),
    row("452", NICK_COLLISION, FIRST, NICK),
    row("453", NICK_COLLISION, FIRST, NICK),
    row("455", BAD_IDENT, None, &["USER"]),
    row("456", ACCEPT_FULL, None, ACCEPT),
    row("457", ACCEPT_THERE, FIRST, ACCEPT),
    row("458", ACCEPT_NOT_THERE, FIRST, ACCEPT),
    row("486", ACCOUNT_PM, FIRST, SAY),
    row("487", SERVERS_ONLY, FIRST, &[]),
    row("492", PM_REFUSED, FIRST, SAY),
    row("493", SHARED_CHANNEL, FIRST, SAY),
    row("494", NO_ANSWER_POSSIBLE, FIRST, &["PRIVMSG", "NOTICE", "UNINVITE"]),
    row("503", GHOSTED, FIRST, SAY),
    row("504", NOT_ON_SERVER, FIRST, &["PRIVMSG", "NOTICE", "KILL"]),
    row("511", SILENCE_FULL, None, &["SILENCE"]),
    row("512", WATCH_FULL, None, &["WATCH"]),
    row("514", DCC_FULL, None, DCC),
    row("531", PM_REFUSED, FIRST, SAY),
    row("707", TARGETS_TOO_FAST, FIRST, SAY),
    row("716", CALLER_ID, FIRST, SAY),
    row("717", CALLER_TOLD, FIRST, SAY),
    row("718", CALLER_WAITS, FIRST, &[]),
    row("734", WATCH_FULL, None, &["MONITOR"]),
    row("764", META_LIMIT, FIRST, META),
    row("765", BAD_TARGET, FIRST, META),
    row("766", META_NOT_SET, FIRST, META),
    row("767", META_KEY, FIRST, META),
    row("768", META_NOT_SET, FIRST, META),
    row("769", META_REFUSED, FIRST, META),
    row("942", NICK_ILLEGAL, FIRST, &["WATCH"]),
    row("946", NICK_NOT_LOCKED, FIRST, &["NICKUNLOCK"]),
    row("948", BAD_IDLE_TIME, None, &["SETIDLE"]),
    row("952", SILENCE_WRONG, FIRST, &["SILENCE"]),
    row("996", DCC_WRONG, FIRST, DCC),
    row("998", UNKNOWN_COMMAND, None, DCC),
];
