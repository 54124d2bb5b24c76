//! Numbers that mean different things on different servers: the server's text decides.
//!
//! Texts are read for single words and mode letters only, as the server families write them today; a text that
//! says nothing known leaves the meaning of the table.

use super::cases::{self, Case};
use super::is_channel;

/// When the code is one of these and the text holds one of these signs, it is this case. The first rule holds. A
/// sign with a capital or a `+` has to stand in the text as it is; others stand in any letter case.
struct Rule {
    codes: &'static [&'static str],
    signs: &'static [&'static str],
    case: Case,
}

const fn rule(codes: &'static [&'static str], signs: &'static [&'static str], case: Case) -> Rule {
    Rule { codes, signs, case }
}

const SPEECH: &[&str] = &["404"];
const PERSON: &[&str] = &["492", "531"];
const TLS: &[&str] = &["tls", "ssl", "secure connection"];
const LOGIN: &[&str] = &["registered", "identif", "logged in", "log into", "NickServ"];

const RULES: &[Rule] = &[
    // 404: InspIRCd, UnrealIRCd, ircd-hybrid and Ergo say why, Solanum and ngIRCd do not.
    rule(
        SPEECH,
        &["phrase", "blocked", "filter", "censor", "swear", "spam", "text ban", "caps"],
        cases::FILTERED,
    ),
    rule(SPEECH, &["color", "colour", "formatting", "control codes", "(+c)"], cases::NO_FORMATTING),
    rule(SPEECH, &["ctcp", "(+C)"], cases::NO_CTCP),
    rule(SPEECH, &["notice", "(+T)"], cases::NO_NOTICES),
    rule(SPEECH, &["(+m)", "+m (", "moderated", "voice"], cases::MODERATED),
    rule(SPEECH, &["external", "(+n)", "+n ("], cases::EXTERNAL),
    rule(SPEECH, &["(+M)", "(+R)", "(+r)"], cases::ACCOUNT_SPEAK),
    rule(SPEECH, LOGIN, cases::ACCOUNT_SPEAK),
    rule(SPEECH, &["banned", "(+b)", "muted", "quieted", "extban"], cases::BANNED_SPEAK),
    rule(SPEECH, TLS, cases::TLS_SPEAK),
    rule(SPEECH, &["reserved"], cases::FORBIDDEN_CHANNEL),
    // 492 and 531: Solanum, ircd-hybrid, UnrealIRCd, InspIRCd.
    rule(PERSON, &["phrase", "blocked", "swear", "spam"], cases::FILTERED),
    rule(PERSON, &["you are +Z", "you have the +z"], cases::TLS_PM_THEIRS),
    rule(PERSON, LOGIN, cases::ACCOUNT_PM),
    rule(PERSON, TLS, cases::TLS_PM),
    rule(PERSON, &["common channel", "deaf_commonchan", "(commonchan"], cases::SHARED_CHANNEL),
    // 477: no modes in RFC 2812, registered nicks everywhere else; ngIRCd uses both.
    rule(&["477"], &["support modes", "support channel modes"], cases::NO_MODES),
    rule(&["477"], &["message this user", "direct message"], cases::ACCOUNT_PM),
    rule(
        &["477"],
        &["(+M)", "send to channel", "message this channel", "to talk", "to speak"],
        cases::ACCOUNT_SPEAK,
    ),
    // 415 is a bad mask in RFC 2812, and "registered nicks may speak" on Solanum.
    rule(&["415"], LOGIN, cases::ACCOUNT_SPEAK),
    rule(&["415"], &["+R", "+r"], cases::ACCOUNT_SPEAK),
    // ngIRCd has one number for four reasons.
    rule(&["471"], &["(+z)"], cases::TLS_CHANNEL),
    rule(&["471"], &["(+O)", "opers only"], cases::STAFF_CHANNEL),
    rule(&["471"], &["(+R)", "registered users only"], cases::ACCOUNT_JOIN),
    // 489 is TLS on InspIRCd, UnrealIRCd and ircd-hybrid, voice on Undernet and Solanum.
    rule(&["489"], &["voice"], cases::MODERATED),
    rule(&["490"], &["swear"], cases::FILTERED),
    // 480 is a refused KNOCK on most, a throttle (+j) on Solanum, and TLS in an extension of it.
    rule(&["480"], &["throttle", "(+j)"], cases::JOINS_TOO_FAST),
    rule(&["480"], TLS, cases::TLS_CHANNEL),
    rule(&["408"], &["color", "colour", "control codes"], cases::NO_FORMATTING),
    // 432 and 433 hold nicks back on some.
    rule(
        &["432", "433"],
        &["reserved", "different account", "forbidden", "registered"],
        cases::NICK_RESERVED,
    ),
    // 437 is a held nick or channel, a ban (UnrealIRCd, ircu), a topic that must wait (InspIRCd).
    rule(&["437"], &["banned", "quieted"], cases::NICK_BANNED),
    rule(&["437"], &["topic"], cases::TOPIC_LATER),
    rule(&["447"], &["locked"], cases::NICK_LOCKED),
    rule(&["447"], &["banned"], cases::NICK_BANNED),
    rule(&["468"], &["server"], cases::SERVERS_ONLY_MODE),
    rule(&["500"], &["server"], cases::SERVERS_ONLY_MODE),
    rule(&["484"], &["create new channels", "create channels"], cases::CREATE_REFUSED),
    rule(&["484"], &["desync"], cases::DESYNC),
    // 485 is a join with a reason on ircd-hybrid, and a protected person or the owner's right on others.
    rule(&["485"], &["cannot join"], cases::FORBIDDEN_CHANNEL),
    rule(&["485"], &["cannot kill", "to kill"], cases::CANNOT_KILL),
    rule(&["485"], &["kick", "real service"], cases::PROTECTED),
    rule(&["485"], &["original", "owner", "unique"], cases::OWNER_NEEDED),
    rule(&["487"], TLS, cases::TLS_PM),
    rule(&["494"], &["invite"], cases::INVITE_NOT_THERE),
    rule(&["524"], &["invite yourself"], cases::OPER_VERIFY),
    rule(&["715"], &["invite"], cases::INVITES_TOO_FAST),
    rule(&["440"], &["regist"], cases::REGISTER_REFUSED),
    rule(&["972", "974"], &["module"], cases::MODULE_FAULT),
    rule(&["464"], &["banned", "k-line", "g-line"], cases::NETWORK_BAN),
    rule(&["400"], &["nickname", "your nick"], cases::NICK_LOCKED),
    rule(&["904"], &["verif"], cases::LOGIN_VERIFY),
];

/// The case that the text (or what it is about) makes of a code; `None` leaves the table's.
pub(super) fn case(code: &str, about: Option<&str>, text: &str) -> Option<Case> {
    let names_channel = about.is_some_and(is_channel);
    match code {
        "401" if names_channel => return Some(cases::NO_SUCH_CHANNEL),
        "477" if about.is_some() && !names_channel => return Some(cases::ACCOUNT_PM),
        "437" if names_channel && !text.contains("anned") && !text.contains("opic") => {
            return Some(cases::CHANNEL_AWAY);
        }
        _ => {}
    }
    let lower = text.to_lowercase();
    let holds = |sign: &&str| -> bool {
        let exact = sign.contains(|c: char| c == '+' || c.is_ascii_uppercase());
        if exact { text.contains(*sign) } else { lower.contains(*sign) }
    };
    let rule = RULES.iter().find(|rule| rule.codes.contains(&code) && rule.signs.iter().any(holds));
    rule.map(|rule| rule.case)
}

/// Phrases that say no more than the number does.
const STOCK: &[&str] = &[
    "cannot send to channel",
    "cannot send to nick/channel",
    "erroneous nickname",
    "erroneous nick",
    "illegal nick name",
    "invalid nickname",
    "nickname is invalid",
    "sasl authentication failed",
    "you are banned from this server",
    "cannot join channel",
    "permission denied",
];

/// What a text says beyond its stock phrase: `You are banned from this server- spam` says `spam`.
pub(super) fn reason(text: &str) -> &str {
    let text = text.trim();
    for stock in STOCK {
        if let Some(front) = text.get(..stock.len()).filter(|front| front.eq_ignore_ascii_case(stock)) {
            let rest = text[front.len()..].trim_start_matches([' ', '-', ':', '.', '!']);
            return rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(rest);
        }
    }
    text
}
