//! Why a connection ended, and what follows from it: told from what the server said before the close.
//!
//! ```text
//!   numerics (465 …), KILL, ERROR ─▶ LastWords ─┐
//!   how it closed ─────────────────▶ Closing ───┴▶ End { ending, words } ─▶ Comeback
//! ```
//!
//! Servers have no common code for it, so their words decide: [`phrases`] has those of InspIRCd, Solanum,
//! UnrealIRCd, ngIRCd, ircd-hybrid, Ergo, Bahamut and of services. Words that nobody knows are
//! [`Ending::Lost`]. Pure: it reads, it decides nothing about a puppet and keeps nothing but the last words.

pub mod hold;
mod phrases;

use self::phrases::by_words;
use crate::ids::Time;
use crate::text::irc_codes;

/// Why a connection is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// We wanted it.
    Asked,
    /// It never came up.
    Unreachable(DialFault),
    /// It broke, or the server closed it in words that say nothing to us.
    Lost,
    /// One side had not heard from the other for too long.
    Silent,
    /// The server did not let us in within the time for it.
    Unregistered,
    /// The server itself goes down or starts anew.
    ServerDown,
    /// The nick was wanted by somebody else, or no nick was to be had.
    NickTrouble,
    /// Connections come too fast for this server.
    Throttled,
    /// The server, or what it allows for our address, is full.
    Full,
    /// The server takes no such connections: no permission for our address, no TLS, a bad ident.
    NotServed,
    /// The password of the network (PASS, WEBIRC) is wrong: a matter of the bridge's operator.
    PasswordRefused,
    /// An operator removed this puppet.
    Killed,
    /// This puppet is not wanted here: K-, G-, Z-, D-line, AKILL, DNSBL.
    Banned,
    /// The puppet could not log in to its account.
    LoginRefused(LoginRefusal),
    /// Its person wanted it off the network.
    Quit,
    /// An admin of the bridge sent it away.
    SentAway,
}

/// Why there is no connection at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialFault {
    /// The name has no address.
    Name,
    Refused,
    Timeout,
    /// No secure connection: handshake or certificate.
    Tls,
    /// Our own source address cannot be used.
    Source,
    Other,
}

/// Why a puppet is not logged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoginRefusal {
    /// The account or its password or certificate was not taken.
    Credentials,
    /// The server has no way to log in that we may use.
    NoWay,
    /// The server takes only those who log in, and this puppet has no login.
    Wanted,
}

/// When a puppet may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comeback {
    /// As soon as it wants to be anywhere.
    AtOnce,
    /// First within a second, then as [`Comeback::Backoff`].
    Soon,
    /// Later each time.
    Backoff,
    /// Much later.
    Long,
    /// When a person says so.
    Never,
}

impl Ending {
    pub fn comeback(self) -> Comeback {
        match self {
            Self::Asked => Comeback::AtOnce,
            Self::Lost | Self::Silent | Self::ServerDown => Comeback::Soon,
            Self::Unreachable(fault) => match fault {
                DialFault::Name | DialFault::Refused | DialFault::Timeout | DialFault::Other => {
                    Comeback::Soon
                }
                // Certificates and addresses are not mended within seconds.
                DialFault::Tls | DialFault::Source => Comeback::Long,
            },
            Self::Unregistered | Self::NickTrouble => Comeback::Backoff,
            Self::Throttled | Self::Full | Self::NotServed | Self::PasswordRefused => Comeback::Long,
            Self::Killed | Self::Banned | Self::LoginRefused(_) | Self::Quit | Self::SentAway => {
                Comeback::Never
            }
        }
    }

    /// True where the network takes no connection for a while and says so; a person cannot change that by asking again.
    pub fn is_wall(self) -> bool {
        self.comeback() == Comeback::Long && !matches!(self, Self::Unreachable(_))
    }

    /// The name under which a hold is remembered; `None` for endings that hold nobody.
    pub fn hold_name(self) -> Option<&'static str> {
        HOLD_NAMES.iter().find(|(_, ending)| *ending == self).map(|(name, _)| *name)
    }

    /// The ending of a remembered hold. A name of another version holds all the same.
    pub fn of_hold(name: &str) -> Self {
        HOLD_NAMES.iter().find(|(known, _)| *known == name).map_or(Self::Banned, |(_, ending)| *ending)
    }
}

const HOLD_NAMES: [(&str, Ending); 7] = [
    ("killed", Ending::Killed),
    ("banned", Ending::Banned),
    ("login", Ending::LoginRefused(LoginRefusal::Credentials)),
    ("no-login-way", Ending::LoginRefused(LoginRefusal::NoWay)),
    ("login-wanted", Ending::LoginRefused(LoginRefusal::Wanted)),
    ("quit", Ending::Quit),
    ("sent-away", Ending::SentAway),
];

/// An ending with the words that people are told, free of addresses; at most [`WORDS_BYTES_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub ending: Ending,
    pub words: String,
}

/// Longest words kept of a server, in bytes.
pub const WORDS_BYTES_MAX: usize = 300;
/// What was said longer ago than this has nothing to do with a close.
const SIGN_MS_MAX: u64 = 60_000;

/// How a connection closed, as far as we know by ourselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing<'a> {
    Asked,
    DialFailed(&'a str),
    Lost(&'a str),
    /// We gave it up because nothing was heard.
    Silent(&'a str),
    /// We gave it up because registration took too long.
    Unregistered(&'a str),
}

/// What a server said last that may tell why it closes; the latest of each kind.
#[derive(Clone, Debug, Default)]
pub struct LastWords {
    numeric: Option<(Time, u16, String)>,
    kill: Option<(Time, String)>,
    error: Option<(Time, String)>,
}

impl LastWords {
    /// A numeric came that warns of a close: 433 and its like before registration, 463 to 466.
    pub fn numeric(&mut self, now: Time, numeric: u16, words: &str) {
        self.numeric = Some((now, numeric, words.to_owned()));
    }

    /// `KILL` was shown with our nick in it; `words` are its path and reason.
    pub fn kill(&mut self, now: Time, words: &str) {
        self.kill = Some((now, kill_reason(words).to_owned()));
    }

    /// `ERROR` came.
    pub fn error(&mut self, now: Time, words: &str) {
        self.error = Some((now, error_reason(words).to_owned()));
    }

    /// The connection is over: why?
    pub fn end(&self, now: Time, closing: Closing) -> End {
        let fresh = |at: Time| now.since_ms(at) <= SIGN_MS_MAX;
        let kill = self.kill.as_ref().filter(|(at, _)| fresh(*at)).map(|(_, words)| words.as_str());
        let error = self.error.as_ref().filter(|(at, _)| fresh(*at)).map(|(_, words)| words.as_str());
        let numeric = self.numeric.as_ref().filter(|(at, ..)| fresh(*at));
        let numeric =
            numeric.and_then(|(_, numeric, words)| Some((by_numeric(*numeric, closing)?, words.as_str())));
        let told = kill.map(|words| by_words(words).unwrap_or(Ending::Killed));
        let told = told.or_else(|| error.and_then(by_words)).or(numeric.map(|(ending, _)| ending));
        let ending = told.unwrap_or_else(|| by_close(closing));
        let words = clean(&spoken(kill.or(error), numeric.map(|(_, words)| words), closing));
        End { ending, words }
    }
}

/// The words for people: the server's reason, with what its numeric adds; else how it closed.
fn spoken(reason: Option<&str>, numeric: Option<&str>, closing: Closing) -> String {
    match (reason, numeric) {
        (Some(reason), Some(words)) if !words.contains(reason) && !reason.contains(words) => {
            let between = if words.ends_with(char::is_alphanumeric) { ": " } else { " " };
            format!("{words}{between}{reason}")
        }
        (Some(reason), _) if !reason.is_empty() => reason.to_owned(),
        (_, Some(words)) => words.to_owned(),
        (_, None) => match closing {
            Closing::Asked => String::new(),
            Closing::DialFailed(words)
            | Closing::Lost(words)
            | Closing::Silent(words)
            | Closing::Unregistered(words) => words.to_owned(),
        },
    }
}

/// A server's words as they may be shown: without colours and controls, bounded.
pub fn clean(words: &str) -> String {
    let mut text = irc_codes::strip(words);
    text.retain(|c| !c.is_control());
    while text.len() > WORDS_BYTES_MAX {
        text.pop();
    }
    text.trim().trim_end_matches('.').to_owned()
}

/// The reason inside an ERROR, without the host in front of it, which may be ours:
/// `Closing Link: ada[10.0.0.1] (K-Lined)`, InspIRCd's `Closing link: (~ada@10.0.0.1) [K-lined: spam]`.
fn error_reason(words: &str) -> &str {
    let is_closing = |words: &str| {
        let head = words.trim_start().get(..12).unwrap_or_default().to_ascii_lowercase();
        head.starts_with("closing link") || head.starts_with("closing conn")
    };
    if !is_closing(words) {
        return words;
    }
    let inside = |open: &str, close: char| {
        let from = words.find(open)? + open.len();
        let to = words.rfind(close).filter(|to| *to >= from)?;
        words.get(from..to)
    };
    inside(") [", ']').or_else(|| inside(" (", ')')).unwrap_or(words)
}

/// The reason inside a KILL, without its path: `irc.example!oper.host!oper (spam)`.
fn kill_reason(words: &str) -> &str {
    match words.split_once(" (") {
        Some((path, rest)) if !path.contains(' ') => rest.strip_suffix(')').unwrap_or(rest),
        Some(_) | None => words,
    }
}

fn by_numeric(numeric: u16, closing: Closing) -> Option<Ending> {
    match numeric {
        463 => Some(Ending::NotServed),
        464 => Some(Ending::PasswordRefused),
        465 | 466 => Some(Ending::Banned),
        // A nick that was refused matters where none was found in time.
        431..=438 | 447 | 484 if matches!(closing, Closing::Unregistered(_)) => Some(Ending::NickTrouble),
        _ => None,
    }
}

fn by_close(closing: Closing) -> Ending {
    match closing {
        Closing::Asked => Ending::Asked,
        Closing::DialFailed(words) => Ending::Unreachable(dial_fault(words)),
        Closing::Lost(_) => Ending::Lost,
        Closing::Silent(_) => Ending::Silent,
        Closing::Unregistered(_) => Ending::Unregistered,
    }
}

/// Which step of the dial failed, by the words of our own dialler.
fn dial_fault(words: &str) -> DialFault {
    const WORDS: [(&str, DialFault); 8] = [
        ("no secure connection", DialFault::Tls),
        ("certificate", DialFault::Tls),
        ("source address", DialFault::Source),
        ("cannot be resolved", DialFault::Name),
        ("refuses", DialFault::Refused),
        ("refused", DialFault::Refused),
        ("did not answer", DialFault::Timeout),
        ("timed out", DialFault::Timeout),
    ];
    WORDS.iter().find(|(phrase, _)| words.contains(phrase)).map_or(DialFault::Other, |(_, fault)| *fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: &str) -> End {
        let mut last = LastWords::default();
        last.error(Time(0), line);
        last.end(Time(10), Closing::Lost("end of stream"))
    }

    #[test]
    fn what_people_are_told_names_no_address() {
        let told = |line| error(line).words;
        assert_eq!(told("Closing link: (~ada@192.0.2.7) [K-lined: spam (again)]"), "K-lined: spam (again)");
        assert_eq!(told("Closing Link: 192.0.2.7 (Killed (oper (spam)))"), "Killed (oper (spam))");
        assert_eq!(told("Closing Link: ada[192.0.2.7] (\u{3}4Banned\u{f}\n)"), "Banned");
        assert_eq!(told("Reconnecting too fast, throttled."), "Reconnecting too fast, throttled");
        assert_eq!(told("Closing Link"), "Closing Link");
        assert!(told(&"ż".repeat(1000)).len() <= WORDS_BYTES_MAX);
    }

    #[test]
    fn a_numeric_counts_where_the_error_says_nothing_and_adds_its_words() {
        let end = |numeric, words: &str, error: Option<&str>| {
            let mut last = LastWords::default();
            last.numeric(Time(0), numeric, words);
            error.iter().for_each(|error| last.error(Time(1), error));
            last.end(Time(2), Closing::Lost("end of stream"))
        };
        let banned = |words: &str| End { ending: Ending::Banned, words: words.into() };
        assert_eq!(end(465, "You are banned", None), banned("You are banned"));
        assert_eq!(
            end(465, "You're banned! Mail us.", Some("Closing link: (a@b) [K-lined: spam]")),
            banned("You're banned! Mail us. K-lined: spam")
        );
        assert_eq!(end(465, "Bye", Some("Closing Link: h (Throttled)")).ending, Ending::Throttled);
        assert_eq!(end(464, "Password incorrect", None).ending, Ending::PasswordRefused);
        let lost = End { ending: Ending::Lost, words: "end of stream".into() };
        assert_eq!(end(433, "Nickname is already in use", None), lost);
    }

    #[test]
    fn a_kill_is_a_kill_unless_it_was_about_the_nick() {
        let end = |words: &str| {
            let mut last = LastWords::default();
            last.kill(Time(0), words);
            last.end(Time(0), Closing::Asked)
        };
        let killed = End { ending: Ending::Killed, words: "spam (and more)".into() };
        assert_eq!(end("irc.srv!oper.host!oper (spam (and more))"), killed);
        assert_eq!(end("irc.srv (Nick collision)").ending, Ending::NickTrouble);
        assert_eq!(end("services. (GHOST command used by eve)").ending, Ending::NickTrouble);
        assert_eq!(end("no path here").words, "no path here");
    }

    #[test]
    fn what_was_said_long_ago_is_no_reason() {
        let mut last = LastWords::default();
        last.numeric(Time(0), 465, "You are banned");
        last.error(Time(0), "K-lined");
        assert_eq!(last.end(Time(SIGN_MS_MAX), Closing::Lost("x")).ending, Ending::Banned);
        assert_eq!(last.end(Time(SIGN_MS_MAX + 1), Closing::Lost("x")).ending, Ending::Lost);
    }

    #[test]
    fn the_dial_tells_its_step() {
        let end = |words| LastWords::default().end(Time(0), Closing::DialFailed(words)).ending;
        for (words, fault) in [
            ("irc.example:6697 refuses connections", DialFault::Refused),
            ("irc.example:6697 cannot be resolved: no such host", DialFault::Name),
            ("irc.example:6697 did not answer within 10000 ms (connect)", DialFault::Timeout),
            ("no secure connection to irc.example:6697: the certificate has expired", DialFault::Tls),
            ("irc.example:6697 cannot be reached from source address ::1: no route", DialFault::Source),
            ("the network has no server to connect to", DialFault::Other),
        ] {
            assert_eq!(end(words), Ending::Unreachable(fault), "{words}");
        }
    }

    #[test]
    fn our_own_patience_has_its_endings() {
        let mut last = LastWords::default();
        assert_eq!(last.end(Time(0), Closing::Silent("x")).ending, Ending::Silent);
        assert_eq!(last.end(Time(0), Closing::Unregistered("x")).ending, Ending::Unregistered);
        assert_eq!(last.end(Time(0), Closing::Asked), End { ending: Ending::Asked, words: String::new() });
        last.numeric(Time(0), 433, "Nickname is already in use");
        assert_eq!(last.end(Time(0), Closing::Unregistered("x")).ending, Ending::NickTrouble);
    }

    #[test]
    fn a_hold_is_known_again_by_its_name() {
        for (name, ending) in HOLD_NAMES {
            assert_eq!((ending.hold_name(), Ending::of_hold(name)), (Some(name), ending));
            assert_eq!(ending.comeback(), Comeback::Never);
        }
        assert_eq!(Ending::Lost.hold_name(), None);
        assert_eq!(Ending::of_hold("something new"), Ending::Banned);
    }
}
