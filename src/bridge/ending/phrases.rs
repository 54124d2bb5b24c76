//! The words with which servers of each family close a connection, and what they mean.
//!
//! To teach the bridge a new one, add the phrase to its row and a line as the server sends it to the test below.

use super::{Ending, LoginRefusal};

/// What a server's reason says; `None` when nobody knows these words.
pub(super) fn by_words(reason: &str) -> Option<Ending> {
    let lower = reason.to_lowercase();
    let known = PHRASES.iter().find(|(_, phrases)| phrases.iter().any(|phrase| lower.contains(phrase)));
    let is_ban = || BANS.iter().any(|ban| lower.starts_with(ban));
    // A ban's reason may be about the nick; the ban is one all the same.
    known.map(|(ending, _)| if *ending == Ending::NickTrouble && is_ban() { Ending::Banned } else { *ending })
}

/// How servers begin to tell of a ban, before the words of the person who set it.
const BANS: [&str; 9] = [
    "k-line",
    "g-line",
    "z-line",
    "d-line",
    "x-line",
    "akill",
    "banned",
    "user has been banned",
    "you are banned",
];

/// Phrases in lower case; the first row with one that the reason contains decides. A person may have written
/// parts of a reason (of a ban, of a kill), so the rows that such text must not reach come later.
const PHRASES: &[(Ending, &[&str])] = &[
    // The nick's owner wants it, or two servers met: nobody has anything against the puppet.
    (
        Ending::NickTrouble,
        &[
            "nick collision",
            "nickname collision",
            "nick/server collision",
            "ghost command used",
            "recover command used",
            "regain command used",
            "release command used",
            "nickname regained by services",
            "nick kill enforced",
            "overridden by other sign on",
            "ghosted client",
            "svsnick collide",
            "svsnick override",
            "bad nickname",
            "badnick",
        ],
    ),
    // InspIRCd's connectban sets a short Z-line for who connects too often.
    (Ending::Throttled, &["attempting to connect too many times"]),
    // Services count the connections of an address and kill or ban the one too many.
    (Ending::Full, &["session limit"]),
    (
        Ending::Banned,
        &[
            "k-line",
            "kline",
            "g-line",
            "gline",
            "z-line",
            "zline",
            "d-line",
            "x-line",
            "akill",
            "autokill",
            "a-banned",
            "k-banned",
            "banned",
            "not welcome on this",
            "dnsbl",
            "blacklist",
            "open proxy",
        ],
    ),
    (Ending::Killed, &["killed", "local kill by", "svskill"]),
    (
        Ending::Throttled,
        &[
            "throttle",
            "throttling",
            "connecting too fast",
            "connect too fast",
            "connection rate",
            "too many recent connection",
            "too many connection attempts",
        ],
    ),
    (
        Ending::Full,
        &[
            "too many host connections",
            "too many user connections",
            "too many connections",
            "too many local connections",
            "too many global connections",
            "too many clients",
            "too many unknown connections",
            "too many sessions",
            "no more connections",
            "no more local connections",
            "no more global connections",
            "all connections in use",
            "connection class is full",
            "server is full",
            "server full",
        ],
    ),
    (
        Ending::LoginRefused(LoginRefusal::Wanted),
        &["sasl", "need to be logged in", "must authenticate", "requires authentication", "must log in"],
    ),
    (
        Ending::PasswordRefused,
        &[
            "bad password",
            "bad server password",
            "password incorrect",
            "incorrect password",
            "password mismatch",
        ],
    ),
    (Ending::Silent, &["ping timeout", "ping time out", "no ping reply"]),
    (
        Ending::Unregistered,
        &["registration timeout", "registration timed out", "connection timeout", "connection timed out"],
    ),
    (
        Ending::ServerDown,
        &[
            "server shutting down",
            "server is shutting down",
            "server going down",
            "server restarting",
            "server terminating",
            "terminated by",
            "restarted by",
            "die command",
            "restart command",
        ],
    ),
    (
        Ending::NotServed,
        &[
            "not authorized",
            "not authorised",
            "unauthorized",
            "unauthorised",
            "not allowed to connect",
            "no authorization",
            "access denied",
            "bad user info",
            "invalid username",
            "hostile username",
            "temporarily restricted",
            "tls required",
            "secure connection",
            "insecure connection",
            "ssl/tls",
            "tls-only",
            "webirc",
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::ending::{Closing, LastWords};
    use crate::ids::Time;

    /// What real servers send behind `ERROR :`, by family.
    #[test]
    fn each_family_of_servers_is_understood() {
        use Ending::*;
        let wanted = LoginRefused(LoginRefusal::Wanted);
        let lines = [
            // InspIRCd 3 and 4
            ("Closing link: (~ada@192.0.2.7) [K-lined: spam]", Banned),
            ("Closing link: (~ada@192.0.2.7) [K-lined: bad nickname]", Banned),
            ("Closing Link: ada[192.0.2.7] (User has been banned (badnick))", Banned),
            ("Closing link: (~ada@192.0.2.7) [G-lined: No bots]", Banned),
            ("Closing link: (unknown@192.0.2.7) [Z-lined: Proxy]", Banned),
            ("Closing link: (~ada@192.0.2.7) [Killed (oper (go away))]", Killed),
            ("Closing link: (unknown@192.0.2.7) [Throttled]", Throttled),
            (
                "Closing link: (unknown@192.0.2.7) [Z-lined: Your IP range has been attempting to connect too many \
                 times in too short a duration. Wait a while, and you will be able to connect.]",
                Throttled,
            ),
            (
                "Closing link: (~ada@192.0.2.7) [No more local connections allowed from your host via this connect \
                 class.]",
                Full,
            ),
            ("Closing link: (unknown@192.0.2.7) [No more connections allowed]", Full),
            ("Closing link: (~ada@192.0.2.7) [Ping timeout: 2 minutes]", Silent),
            ("Closing link: (ada@192.0.2.7) [Connection timeout]", Unregistered),
            ("Closing link: (~ada@192.0.2.7) [Server shutting down]", ServerDown),
            ("Closing link: (ada@192.0.2.7) [You are not allowed to connect to this server]", NotServed),
            ("*** DIE command from oper!o@host. Terminating.", ServerDown),
            ("Closing link: (~ada@192.0.2.7) [Nickname regained by services]", NickTrouble),
            // Solanum
            ("Closing Link: 192.0.2.7 (K-Lined)", Banned),
            ("Closing Link: (*** Banned (cache))", Banned),
            ("*** Banned: spam", Banned),
            ("You have been D-lined.", Banned),
            ("Closing Link: 192.0.2.7 (Banned (listed in a DNSBL))", Banned),
            ("Reconnecting too fast, throttled.", Throttled),
            ("All connections in use", Full),
            ("Closing Link: 192.0.2.7 (Too many host connections (local))", Full),
            ("Closing Link: 192.0.2.7 (Too many user connections (global))", Full),
            ("Closing Link: 192.0.2.7 (No more connections allowed in your connection class)", Full),
            ("Closing Link: 192.0.2.7 (Sorry, server is full - try later)", Full),
            ("Closing Link: 192.0.2.7 (Killed (oper (banned for spam)))", Banned),
            ("Closing Link: 192.0.2.7 (Killed (oper (spam)))", Killed),
            ("Closing Link: 192.0.2.7 (Killed (services. (GHOST command used by eve)))", NickTrouble),
            ("Closing Link: 192.0.2.7 (Nick collision (new))", NickTrouble),
            ("Closing Link: 192.0.2.7 (SASL access only)", wanted),
            ("Closing Link: 192.0.2.7 (Bad Password)", PasswordRefused),
            ("Closing Link: 192.0.2.7 (Ping timeout: 264 seconds)", Silent),
            ("Closing Link: 192.0.2.7 (Connection timed out)", Unregistered),
            ("Closing Link: 192.0.2.7 (You are not authorised to use this server.)", NotServed),
            ("Closing Link: 192.0.2.7 (Bad user info)", NotServed),
            ("Terminated by oper!o@host", ServerDown),
            // UnrealIRCd
            (
                "Closing Link: [192.0.2.7] (Throttled: Reconnecting too fast - Email a@b for more information.)",
                Throttled,
            ),
            (
                "Closing Link: [192.0.2.7] (Throttled: Too many users trying to connect, please wait a while and try \
                 again)",
                Throttled,
            ),
            (
                "Closing Link: ada[192.0.2.7] (You are not welcome on this network. G-Lined: spam. Email a@b for more \
                 information.)",
                Banned,
            ),
            ("Closing Link: ada[192.0.2.7] (Too many connections from your IP)", Full),
            ("Closing Link: ada[192.0.2.7] (This server is full)", Full),
            ("Closing Link: ada[192.0.2.7] (User has been banned (no clones))", Banned),
            ("Closing Link: ada[192.0.2.7] (Killed by oper (spam))", Killed),
            ("Closing Link: ada[192.0.2.7] ([irc.srv] Local kill by oper (spam))", Killed),
            ("Closing Link: ada[192.0.2.7] (Ping timeout: 180 seconds)", Silent),
            ("Restarted by oper: update", ServerDown),
            // ngIRCd
            ("Closing connection: ada[~ada@192.0.2.7] (\"spam\" (K-Line))", Banned),
            ("Closing connection: ada[~ada@192.0.2.7] (KILLed by oper: spam)", Killed),
            ("Connection refused, too many connections from your IP address", Full),
            ("Closing connection: ada[~ada@192.0.2.7] (Bad server password)", PasswordRefused),
            ("Closing connection: ada[~ada@192.0.2.7] (Server going down (restarting))", ServerDown),
            ("Closing connection: ada[~ada@192.0.2.7] (Ping timeout: 120 seconds)", Silent),
            ("Closing connection", Lost),
            // ircd-hybrid
            ("Your host is trying to (re)connect too fast -- throttled.", Throttled),
            ("Closing Link: 192.0.2.7 (Connection rejected - banned from server)", Banned),
            ("Closing Link: 192.0.2.7 (Connection rejected - too many connections on IP)", Full),
            ("Closing Link: 192.0.2.7 (Connection rejected - connection class is full)", Full),
            ("Closing Link: 192.0.2.7 (Connection rejected - not authorized)", NotServed),
            ("Closing Link: 192.0.2.7 (Registration timed out)", Unregistered),
            ("Closing Link: 192.0.2.7 (SVSKilled: go)", Killed),
            ("Closing Link: 192.0.2.7 (Overridden by other sign on)", NickTrouble),
            // Ergo
            ("You are banned from this server (spam)", Banned),
            ("Too many clients from your network", Full),
            ("Exceeded connection throttle for the Tor network", Throttled),
            ("Killed by oper: spam", Killed),
            ("You must authenticate with SASL to connect from this IP (abuse)", wanted),
            ("Ping timeout: 2m30s", Silent),
            ("New connections to this server are temporarily restricted", NotServed),
            // Bahamut
            ("Closing Link: irc.srv ada (A-banned: spam)", Banned),
            ("Closing Link: irc.srv ada (K-banned: spam)", Banned),
            ("Closing Link: irc.srv ada (Too many connections from your site)", Full),
            (
                "Closing Link: irc.srv ada (No more connections allowed in your connection class (the server is full))",
                Full,
            ),
            ("Closing Link: irc.srv ada (Killed (oper (spam)))", Killed),
            ("Closing Link: irc.srv ada (SVSNICK Collide)", NickTrouble),
            // Services
            ("Closing Link: 192.0.2.7 (AKILL: spam)", Banned),
            ("Closing Link: 192.0.2.7 (Killed (OperServ (Session limit exceeded)))", Full),
            // Nobody knows
            ("Closing Link: 192.0.2.7 (Excess Flood)", Lost),
            ("Closing Link: 192.0.2.7 (Read error: Connection reset by peer)", Lost),
            ("", Lost),
        ];
        for (line, ending) in lines {
            let mut last = LastWords::default();
            last.error(Time(0), line);
            let end = last.end(Time(10), Closing::Lost("end of stream"));
            assert_eq!(end.ending, ending, "{line}");
        }
    }
}
