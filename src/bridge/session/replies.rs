//! Which commands a reply can answer, what it names, and which reply is a command's last.
//!
//! Facts only, of RFC 2812 section 5 and of the servers in use; which question a reply belongs to is decided in
//! `ask`. A number that is not here answers no command that is known, and may answer any that is not.

/// True when `code` (a numeric) is one of the answers to `command`.
pub fn answers(code: &str, command: &str) -> bool {
    number(code).is_some_and(|code| commands(code).contains(&command))
}

/// True when some command is known to be answered with `code`.
pub fn is_known(code: &str) -> bool {
    number(code).is_some_and(|code| !commands(code).is_empty())
}

/// True when the answers to `command` are known here.
pub fn knows(command: &str) -> bool {
    KNOWN.contains(&command)
}

/// The first parameter that can name what a reply is about, with our own nick as 0; `None` for a reply that names
/// nothing.
pub fn about(code: &str) -> Option<usize> {
    match number(code) {
        Some(
            211..=219
            | 221
            | 240..=259
            | 302
            | 303
            | 305
            | 306
            | 321..=323
            | 351
            | 364..=365
            | 371..=376
            | 391
            | 409
            | 411
            | 412
            | 422
            | 431
            | 447
            | 451
            | 462
            | 464
            | 472
            | 481
            | 484
            | 491
            | 501
            | 502
            | 723,
        )
        | None => None,
        Some(_) => Some(1),
    }
}

/// True for a reply whose parameter 1 is the command that it answers: try again, unknown error, unknown command,
/// too few parameters.
pub fn names_command(code: &str) -> bool {
    matches!(number(code), Some(263 | 400 | 421 | 461))
}

/// True when `code` says that something was not done.
pub fn is_trouble(code: &str) -> bool {
    matches!(
        number(code),
        Some(263 | 400..=599 | 696..=698 | 712..=714 | 716 | 723 | 734 | 742 | 902 | 904..=907 | 926 | 972)
    )
}

/// True for numerics that come unasked at any time: greeting, host hidden, logged in, logged out, MONITOR.
pub fn is_unasked(code: &str) -> bool {
    matches!(number(code), Some(1..=4 | 396 | 730 | 731 | 900 | 901))
}

/// True when nothing of the answer to `command` comes after `code`.
pub fn ends(code: &str, command: &str) -> bool {
    let Some(code) = number(code) else { return false };
    match command {
        "NAMES" | "JOIN" => code == 366,
        "WHO" => code == 315,
        "WHOIS" => code == 318,
        "WHOWAS" => code == 369,
        "USERHOST" => code == 302,
        "LIST" => code == 323,
        "LINKS" => code == 365,
        "STATS" => code == 219,
        "MOTD" => matches!(code, 376 | 422),
        "INFO" => code == 374,
        "MODE" => matches!(code, 347 | 349 | 368 | 729),
        _ => false,
    }
}

/// True when a command may be answered by another server, which no fence waits for. `params` counts the command's
/// parameters.
pub fn is_remote(command: &str, params: usize) -> bool {
    match command {
        "WHOIS" | "STATS" | "LINKS" => params >= 2,
        "MOTD" | "INFO" | "VERSION" | "TIME" | "ADMIN" => params >= 1,
        "WHOWAS" => params >= 3,
        _ => false,
    }
}

/// True when `code` is the last of another server's answer: its end, the one line it has, or that there is no such
/// server.
pub fn ends_remote(code: &str, command: &str) -> bool {
    match command {
        _ if code == "402" => true,
        "VERSION" => code == "351",
        "TIME" => code == "391",
        "ADMIN" => matches!(code, "259" | "423"),
        _ => ends(code, command),
    }
}

fn number(code: &str) -> Option<u16> {
    if code.len() == 3 { code.parse().ok() } else { None }
}

/// Commands of the table below.
const KNOWN: [&str; 29] = [
    "ADMIN", "AWAY", "INFO", "INVITE", "ISON", "JOIN", "KICK", "KNOCK", "LINKS", "LIST", "LUSERS", "MODE",
    "MONITOR", "MOTD", "NAMES", "NICK", "NOTICE", "OPER", "PART", "PRIVMSG", "STATS", "TAGMSG", "TIME",
    "TOPIC", "USERHOST", "VERSION", "WHO", "WHOIS", "WHOWAS",
];

const SPEECH: &[&str] = &["PRIVMSG", "NOTICE", "TAGMSG"];
const WHOIS: &[&str] = &["WHOIS"];
const MODE: &[&str] = &["MODE"];
const NICK: &[&str] = &["NICK"];
const JOIN: &[&str] = &["JOIN"];

/// The commands that a numeric answers.
fn commands(code: u16) -> &'static [&'static str] {
    match code {
        5 | 351 => &["VERSION"],
        211..=219 | 240..=249 => &["STATS"],
        221
        | 324
        | 329
        | 346..=349
        | 367
        | 368
        | 728
        | 729
        | 467
        | 472
        | 478
        | 501
        | 502
        | 696..=698
        | 742 => MODE,
        250..=255 | 265 | 266 => &["LUSERS"],
        256..=259 | 423 => &["ADMIN"],
        276
        | 307
        | 308
        | 310
        | 311
        | 313
        | 316..=320
        | 326
        | 330
        | 335
        | 337
        | 338
        | 339
        | 378
        | 379
        | 671 => WHOIS,
        301 => &["PRIVMSG", "TAGMSG", "WHOIS", "INVITE"],
        302 => &["USERHOST"],
        303 => &["ISON"],
        305 | 306 => &["AWAY"],
        312 => &["WHOIS", "WHOWAS"],
        314 | 369 | 406 => &["WHOWAS"],
        315 | 352 | 354 => &["WHO"],
        321..=323 => &["LIST"],
        328 => JOIN,
        331..=333 => &["JOIN", "TOPIC"],
        341 | 443 | 518 => &["INVITE"],
        353 | 366 => &["JOIN", "NAMES"],
        364 | 365 => &["LINKS"],
        371 | 374 => &["INFO"],
        372 | 375 | 376 | 422 => &["MOTD"],
        381 | 464 | 491 => &["OPER"],
        391 => &["TIME"],
        401 => &["PRIVMSG", "NOTICE", "TAGMSG", "WHOIS", "KICK", "MODE", "INVITE"],
        402 => &["WHOIS", "WHOWAS", "WHO", "STATS", "LINKS", "MOTD", "INFO", "VERSION", "TIME", "ADMIN"],
        403 => &[
            "JOIN", "PART", "PRIVMSG", "NOTICE", "TAGMSG", "KICK", "MODE", "TOPIC", "INVITE", "NAMES", "WHO",
            "KNOCK",
        ],
        404 | 408 | 411..=415 | 439 | 486 | 492..=494 | 531 | 716 | 717 => SPEECH,
        405 | 448 | 470 | 471 | 473..=476 | 479 | 495 | 500 | 519 | 520 | 926 => JOIN,
        407 => &["JOIN", "PRIVMSG", "NOTICE", "TAGMSG"],
        431..=433 | 435 | 436 | 438 | 447 => NICK,
        437 => &["NICK", "JOIN", "TOPIC"],
        441 => &["KICK", "MODE"],
        442 => &["PART", "PRIVMSG", "NOTICE", "TAGMSG", "KICK", "MODE", "TOPIC", "INVITE"],
        477 => &["JOIN", "PRIVMSG", "NOTICE", "TAGMSG", "MODE", "TOPIC"],
        480 => &["JOIN", "KNOCK"],
        482 => &["MODE", "KICK", "TOPIC", "INVITE", "PRIVMSG", "NOTICE", "TAGMSG"],
        484 => &["NICK", "KICK", "MODE"],
        485 | 489 => &["JOIN", "PRIVMSG", "NOTICE", "TAGMSG", "MODE", "KICK"],
        710..=714 => &["KNOCK"],
        732..=734 => &["MONITOR"],
        972 => &["KICK"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_answers_the_commands_that_servers_send_it_for() {
        for (code, yes, no) in [
            ("404", "PRIVMSG", "JOIN"),
            ("473", "JOIN", "PRIVMSG"),
            ("477", "PRIVMSG", "PART"),
            ("442", "PART", "JOIN"),
            ("433", "NICK", "JOIN"),
            ("482", "TOPIC", "JOIN"),
            ("401", "WHOIS", "JOIN"),
            ("318", "WHOIS", "WHOWAS"),
        ] {
            assert!(answers(code, yes) && !answers(code, no), "{code}");
        }
        assert!(is_trouble("404") && !is_trouble("318") && !is_trouble("PRIVMSG"));
    }

    #[test]
    fn every_command_of_the_table_is_known() {
        let named = (0..1000u16).flat_map(|code| commands(code).iter().copied());
        for command in named {
            assert!(knows(command), "{command}");
        }
        for command in KNOWN {
            assert!(
                (0..1000u16).any(|code| commands(code).contains(&command)),
                "{command} is answered by nothing"
            );
        }
    }

    #[test]
    fn another_server_ends_its_answer_or_is_not_there() {
        assert!(is_remote("WHOIS", 2) && !is_remote("WHOIS", 1));
        assert!(ends_remote("318", "WHOIS") && ends_remote("402", "WHOIS") && !ends_remote("401", "WHOIS"));
        assert!(ends_remote("351", "VERSION") && !ends("351", "VERSION"));
    }
}
