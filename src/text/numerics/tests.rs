//! Stories of answers: real lines of each server family, and hostile ones.
//!
//! Lines stand in the order InspIRCd, Solanum, UnrealIRCd, ngIRCd, ircd-hybrid, Ergo; one that says what another
//! before it says, letter for letter, is left out.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

const NETWORK: &str = "ExampleNet";

fn rows() -> impl Iterator<Item = &'static Meaning> {
    [channels::TABLE, people::TABLE, network::TABLE, replies::TABLE].into_iter().flatten()
}

/// The sentence for a line as it comes from a server.
fn of(line: &str) -> String {
    let line = Line::parse(line).unwrap();
    sentence(code(&line).unwrap(), &line.params, NETWORK)
}

fn trouble_of(line: &str) -> Trouble {
    let line = Line::parse(line).unwrap();
    trouble(code(&line).unwrap(), &line.params).unwrap()
}

/// All of these lines are one trouble and read alike.
fn check(trouble: Trouble, expected: &str, lines: &[&str]) {
    for line in lines {
        assert_eq!(of(line), expected, "{line}");
        assert_eq!(trouble_of(line), trouble, "{line}");
    }
}

#[test]
fn joins_are_refused_in_one_language_on_all_servers() {
    check(
        Trouble::InviteOnly,
        "#c is invite-only: ask somebody in it to invite you, then join again.",
        &[
            ":s 473 me #c :Cannot join channel (invite only)",
            ":s 473 me #c :Cannot join channel (+i) - you must be invited",
            ":s 473 me #c :Cannot join channel (+i)",
            ":s 473 me #c :Cannot join channel (+i) -- Invited users only",
        ],
    );
    check(
        Trouble::KeyNeeded,
        "#c has a key: join again with the right one.",
        &[
            ":s 475 me #c :Cannot join channel (incorrect channel key)",
            ":s 475 me #c :Cannot join channel (+k) - bad key",
            ":s 475 me #c :Cannot join channel (+k)",
            ":s 475 me #c :Cannot join channel (+k) -- Wrong channel key",
        ],
    );
    check(
        Trouble::ChannelFull,
        "#c is full: try again later.",
        &[
            ":s 471 me #c :Cannot join channel (channel is full)",
            ":s 471 me #c :Cannot join channel (+l) - channel is full, try again later",
            ":s 471 me #c :Cannot join channel (+l)",
            ":s 471 me #c :Cannot join channel (+l) -- Channel is full, try later",
        ],
    );
    check(
        Trouble::Banned,
        "#c has banned you: ask its operators to lift the ban.",
        &[
            ":s 474 me #c :Cannot join channel (you're banned)",
            ":s 474 me #c :Cannot join channel (+b) - you are banned",
            ":s 474 me #c :Cannot join channel (+b)",
            ":s 474 me #c :Cannot join channel (+b) -- You are banned",
        ],
    );
    check(
        Trouble::NeedsAccount,
        "#c wants a registered nick: register with ExampleNet and give the bridge your login.",
        &[
            ":s 477 me #c :You need to be identified to a registered account to join this channel",
            ":s 477 me #c :Cannot join channel (+r) - you need to be logged into your NickServ account",
            ":s 477 me #c :You need a registered nick to join that channel.",
            ":s 471 me #c :Cannot join channel (+R) -- Registered users only",
            ":s 477 me #c :You need to identify to a registered nick to join that channel.",
            ":s 477 me #c :You must be registered to join that channel",
        ],
    );
    check(
        Trouble::NeedsTls,
        "#c takes TLS connections only: ask whoever runs this bridge to use TLS for ExampleNet.",
        &[
            ":s 489 me #c :Cannot join channel; TLS users only (+z is set)",
            ":s 480 me #c :Cannot join channel (+S) - SSL/TLS required",
            ":s 489 me #c :Cannot join channel (Secure connection is required)",
            ":s 471 me #c :Cannot join channel (+z) -- SSL connections only",
            ":s 489 me #c :Cannot join channel (+S) - TLS required",
        ],
    );
    check(
        Trouble::StaffOnly,
        "#c is for the staff of ExampleNet only: choose another channel.",
        &[
            ":s 520 me #c :Only server operators may join #c (+O is set)",
            ":s 520 me #c :Cannot join channel (+O) - you are not an IRC operator",
            ":s 520 me :Cannot join channel #c (IRCops only)",
            ":s 471 me #c :Cannot join channel (+O) -- IRC opers only",
        ],
    );
    check(
        Trouble::TooManyChannels,
        "You are in as many channels as ExampleNet allows: leave one, then join #c again.",
        &[":s 405 me #c :You are on too many channels", ":s 405 me #c :You have joined too many channels"],
    );
    check(
        Trouble::Forwarded,
        "#c sends you on to ##d: it may want an invitation or a registered nick, so ask its operators.",
        &[":s 470 me #c ##d :Forwarding to another channel", ":s 470 me #c ##d :[Link] #c has become full"],
    );
    check(
        Trouble::TooFast,
        "#c takes no more joins just now: wait a minute, then try again.",
        &[
            ":s 480 me #c :Cannot join channel (+j) - throttle exceeded, try again later",
            ":s 500 me #c :Too many join requests. Please wait a while and try again.",
        ],
    );
}

#[test]
fn messages_are_refused_in_one_language_by_all_servers_that_say_why() {
    check(
        Trouble::Moderated,
        "#c is moderated: ask its operators for voice.",
        &[
            ":s 404 me #c :You cannot send messages to this channel whilst the +m (moderated) mode is set.",
            ":s 404 me #c :You need voice (+v) (#c)",
            ":s 404 me #c :Cannot send to channel: channel is moderated (+m)",
            ":s 404 me #c :Cannot send to channel (+m)",
            ":s 404 #c :Cannot send to channel (+m)",
            ":s 489 me #c :You're neither voiced nor channel operator",
        ],
    );
    check(
        Trouble::NotInChannel,
        "#c takes messages from its members only: join it first.",
        &[
            ":s 404 me #c :You cannot send external messages to this channel whilst the +n (noextmsg) mode is set.",
            ":s 404 me #c :No external channel messages (#c)",
            ":s 404 me #c :Cannot send to channel: external messages are not permitted",
            ":s 404 me #c :Cannot send to channel (+n)",
        ],
    );
    check(
        Trouble::Banned,
        "#c does not let you speak, because you are banned or muted there: ask its operators.",
        &[
            ":s 404 me #c :You cannot send messages to this channel whilst banned.",
            ":s 404 me #c :You are banned (#c)",
            ":s 404 me #c :Cannot send to channel: you are banned (+b)",
            ":s 404 me #c :Cannot send to channel (+b)",
        ],
    );
    check(
        Trouble::NeedsAccount,
        "#c lets registered nicks speak only: register with ExampleNet and give the bridge your login.",
        &[
            ":s 477 me #c :You need to be identified to a registered account to message this channel",
            ":s 415 me #c :Cannot send message to channel (+R) - you need to be logged into your NickServ account",
            ":s 404 me #c :You must have a registered nick (+r) to talk on this channel (#c)",
            ":s 477 me #c :Cannot send to channel (+M) -- You need to be identified to a registered account to message this channel",
            ":s 404 me #c :Cannot send to channel: you need to identify to a registered nick",
            ":s 404 me #c :Cannot send to channel (+M)",
        ],
    );
    check(
        Trouble::CannotSpeak,
        "#c did not take the message: make sure that you are in it, and ask its operators for voice.",
        &[
            ":s 404 me #c :Cannot send to nick/channel",
            ":s 404 me #c :Cannot send to channel",
            ":s 404 me #c",
        ],
    );
    check(
        Trouble::NoFormatting,
        "#c takes no colours or formatting: send it as plain text.",
        &[
            ":s 404 me #c :Color is not permitted in this channel (#c)",
            ":s 404 me #c :Cannot send to channel: control codes are not permitted",
            ":s 408 me #c :You cannot use control codes on this channel. Not sent: x",
        ],
    );
    let filtered = of(":s 404 me #c :Your message to this channel was blocked: no ads.");
    assert!(filtered.ends_with("(it says: Your message to this channel was blocked: no ads)."), "{filtered}");
}

#[test]
fn people_who_take_no_messages_are_explained() {
    check(
        Trouble::NeedsAccount,
        "bob takes messages from registered nicks only: register with ExampleNet and give the bridge your login.",
        &[
            ":s 477 me bob :You need to be identified to a registered account to message this user",
            ":s 486 me bob :You must log into your NickServ account to message this user",
            ":s 531 me bob :You must identify to a registered nick to private message this user",
            ":s 531 me bob :You must identify to a registered account to message this user",
            ":s 477 me bob :You must be registered to send a direct message to this user",
        ],
    );
    check(
        Trouble::Unwanted,
        "bob has to allow your messages first: ask them in a channel to accept you.",
        &[
            ":s 716 me bob :is in +g mode (server-side ignore).",
            ":s 716 me bob :is in +g mode and must manually allow you to message them.",
        ],
    );
    check(
        Trouble::NoSuchNick,
        "Nobody on ExampleNet is called bob: check the nick.",
        &[
            ":s 401 me bob :No such nick",
            ":s 401 me bob :No such nick/channel",
            ":s 401 me bob :No such nick or channel name",
        ],
    );
    check(
        Trouble::NoSuchChannel,
        "ExampleNet has no channel #c: check the spelling.",
        &[":s 403 me #c :No such channel", ":s 401 me #c :No such nick/channel"],
    );
    assert_eq!(
        of(":s 485 me #c :Cannot join channel (reserved for the original owner)"),
        "ExampleNet does not allow #c: choose another channel (it says: reserved for the original owner)."
    );
    assert_eq!(of(":s 402 me bob :No such server"), "ExampleNet has no server bob: check the spelling.");
    assert_eq!(of(":s 441 me bob #c :They aren't on that channel"), "bob is not in #c: check the nick.");
    assert_eq!(of(":s 442 me #c :You're not on that channel"), "You are not in #c: join it first.");
    assert_eq!(
        of(":s 482 me #c :You must have channel op access or above to set channel mode t"),
        "You are not an operator of #c: ask one of them to do it."
    );
}

#[test]
fn nicks_are_taken_illegal_or_held() {
    check(
        Trouble::NickTaken,
        "The nick bob is in use on ExampleNet: choose another.",
        &[
            ":s 433 * bob :Nickname is already in use.",
            ":s 433 * bob :Nickname already in use",
            ":s 433 me bob :Nickname is already in use",
        ],
    );
    check(
        Trouble::NickIllegal,
        "The nick 1b is not allowed on ExampleNet: choose another.",
        &[":s 432 * 1b :Erroneous Nickname", ":s 432 * 1b :Erroneous nickname", ":s 432 me 1b"],
    );
    assert_eq!(
        of(":s 432 * abcdefghij :Nickname too long, max. 9 characters"),
        "The nick abcdefghij is not allowed on ExampleNet: choose another (it says: Nickname too long, max. 9 characters)."
    );
    check(
        Trouble::NickHeld,
        "The nick bob is reserved on ExampleNet: log in to the account that owns it, or choose another.",
        &[
            ":s 432 me bob :Services reserved nickname: owner away",
            ":s 432 me bob :Nickname is unavailable: Reserved for services",
            ":s 432 me bob :Nickname is forbidden/blocked",
            ":s 433 me bob :Nickname is reserved by a different account",
            ":s FAIL NICK NICKNAME_RESERVED bob :Nickname is reserved by a different account",
        ],
    );
    check(
        Trouble::NickHeld,
        "The nick bob is held back just now on ExampleNet: wait some minutes, or choose another.",
        &[":s 437 me bob :Nick/channel is temporarily unavailable"],
    );
    check(
        Trouble::Unavailable,
        "#c cannot be used just now: try again in some minutes.",
        &[":s 437 me #c :Nick/channel is temporarily unavailable"],
    );
    check(
        Trouble::NickStuck,
        "Your nick cannot change while you are banned or muted in #c: leave that first, or ask its operators.",
        &[
            ":s 437 me #c :Cannot change nickname while banned on channel",
            ":s 435 me bob #c :Cannot change nickname because you are banned or quieted while in this channel.",
            ":s 447 me :Cannot change nickname while on #c (you're banned)",
        ],
    );
    check(
        Trouble::NickStuck,
        "Your nick cannot change while you are in #c: leave that first, or ask its operators.",
        &[
            ":s 447 me :Can not change nickname while on #c (+N)",
            ":s 447 me :Cannot change nickname while on #c(+N)",
        ],
    );
}

#[test]
fn commands_are_refused_with_the_next_step() {
    assert_eq!(of(":s 421 me FOO :Unknown command"), "ExampleNet knows no command FOO: check the spelling.");
    check(
        Trouble::Incomplete,
        "The command KICK needs more words: look up how it is written.",
        &[":s 461 me KICK :Not enough parameters.", ":s 461 me KICK :Syntax error"],
    );
    check(
        Trouble::TooManyTargets,
        "That is too many at once for ExampleNet: name fewer.",
        &[
            ":s 407 me a,b :Too many targets. The maximum is 4 for PRIVMSG.",
            ":s 407 me :Too many recipients",
            ":s 407 me a :Too many recipients. Only 4 processed",
        ],
    );
    check(
        Trouble::WrongPassword,
        "ExampleNet does not accept the password: check the one that the bridge has for it.",
        &[":s 464 me :Password incorrect", ":s 464 * :Invalid password"],
    );
}

#[test]
fn a_ban_of_the_network_is_told_with_its_reason() {
    for (line, reason) in [
        (":s 465 me :You are banned from this server- spam", " (it says: spam)"),
        (":s 465 me :You are banned from this server.", ""),
        (":s 465 me :You're banned! Mail us", " (it says: You're banned! Mail us)"),
        (":s 465 me :\u{2}Open\u{2} proxy\u{1f}.", " (it says: Open proxy)"),
    ] {
        assert_eq!(of(line), format!("ExampleNet has banned you: write to its staff{reason}."));
        assert_eq!(trouble_of(line), Trouble::NetworkBan);
    }
}

#[test]
fn logins_end_in_words() {
    assert_eq!(
        of(":s 900 me me!u@h alice :You are now logged in as alice"),
        "You are logged in to ExampleNet as alice."
    );
    for (line, trouble) in [
        (":s 902 me :You must use a nick assigned to you", Trouble::LoginFailed),
        (":s 903 me :SASL authentication successful", Trouble::Fine),
        (":s 904 me :SASL authentication failed", Trouble::LoginFailed),
        (":s 904 me :SASL authentication failed: Invalid auth blob", Trouble::LoginFailed),
        (":s 905 me :SASL message too long", Trouble::LoginBroken),
        (":s 906 me :SASL authentication aborted", Trouble::LoginBroken),
        (":s 907 me :You have already completed SASL authentication", Trouble::AlreadyDone),
        (":s 908 me PLAIN,EXTERNAL :are available SASL mechanisms", Trouble::LoginBroken),
    ] {
        assert_eq!(trouble_of(line), trouble, "{line}");
        assert!(of(line).contains(NETWORK), "{line}");
    }
    let failed = of(":s 904 me :SASL authentication failed: Invalid auth blob");
    assert!(failed.ends_with("gave to the bridge (it says: Invalid auth blob)."), "{failed}");
    assert!(of(":s 908 me PLAIN,EXTERNAL :are available").contains("(PLAIN,EXTERNAL)"));
}

#[test]
fn standard_replies_are_read_by_their_code() {
    assert_eq!(trouble_of("FAIL * ACCOUNT_REQUIRED :You must log in"), Trouble::NeedsAccount);
    assert_eq!(of(":s FAIL JOIN CHANNEL_RENAMED #c #d :Renamed"), "#c has a new name, #d: join that.");
    assert_eq!(
        of(":s FAIL CHATHISTORY INVALID_TARGET LATEST #c :Messages could not be retrieved"),
        "ExampleNet cannot do this for #c: check the name."
    );
    assert_eq!(
        of(":s FAIL REDACT UNKNOWN_MSGID #c abc :This message does not exist"),
        "ExampleNet does not know that message of #c: it is too old or was deleted."
    );
    assert_eq!(
        of(":s FAIL ROCKET NO_FUEL moon :Out of fuel."),
        "The server answered NO_FUEL: moon Out of fuel."
    );
}

#[test]
fn what_is_not_known_is_shown_as_it_came() {
    assert_eq!(of(":s 999 me #c :Odd \u{2}thing\u{2}"), "The server answered 999: #c Odd thing.");
    assert_eq!(of(":s 999"), "The server answered 999.");
    assert_eq!(meaning("999").map(|meaning| meaning.code), None);
    assert_eq!(code(&Line::parse("PRIVMSG me :473").unwrap()), None);
    assert_eq!(code(&Line::parse("FAIL *").unwrap()), None);
}

#[test]
fn no_code_stands_twice_and_all_errors_of_the_standard_are_there() {
    let codes: HashSet<_> = rows().map(|row| row.code).collect();
    assert_eq!(codes.len(), rows().count());
    // RFC 2812 section 5.2, without those that no server sends to users.
    let standard = "401 402 403 404 405 406 407 408 409 411 412 413 414 415 421 422 423 424 431 432 433 436 437 \
                    441 442 443 444 445 446 451 461 462 463 464 465 466 467 471 472 473 474 475 476 477 478 481 \
                    482 483 484 485 491 501 502";
    for code in standard.split_whitespace() {
        assert!(codes.contains(code), "{code}");
    }
}

/// What every sentence keeps to.
fn assert_well_made(text: &str, what: &str) {
    assert!(text.ends_with('.') && !text.ends_with(".."), "{what}: {text}");
    assert!(!text.chars().any(char::is_control), "{what}: {text:?}");
    assert!(text.chars().count() <= SENTENCE_CHARS_MAX, "{what}: {} characters", text.chars().count());
    assert!(
        !text.starts_with(|c: char| c.is_ascii_lowercase() && c.is_alphabetic()) || text.starts_with("bob")
    );
}

#[test]
fn every_entry_makes_a_good_sentence_of_anything() {
    let full = ["me", "bob", "#other", "x", "Some words."];
    let hostile = ["me", "{}\r\n\u{2}[<$NETWORK>]\u{202e}", "\0", "", "QUIT\r\n:x\u{3}04,05 "];
    let endless = ["x".repeat(3_000), "#".repeat(3_000), "é".repeat(3_000), "w ".repeat(3_000)];
    for row in rows() {
        let of = |params: &[&str]| {
            let params: Vec<String> = params.iter().map(|&param| param.to_owned()).collect();
            let text = sentence(row.code, &params, "N");
            let other = sentence(row.code, &params, &"N".repeat(500));
            assert!(other.chars().count() <= SENTENCE_CHARS_MAX, "{}", row.code);
            assert!(trouble(row.code, &params).is_some());
            text
        };
        for kept in 0..=full.len() {
            let text = of(&full[..kept]);
            assert_well_made(&text, row.code);
            assert!(!text.contains(['[', ']', '<', '>', '{', '}', '$']), "{}: {text}", row.code);
            assert!(
                row.trouble == Trouble::Fine || text.contains(": "),
                "{} has no next step: {text}",
                row.code
            );
            assert!(kept > 0 || !text.starts_with(|c: char| c.is_ascii_lowercase()), "{}: {text}", row.code);
        }
        for kept in 0..=hostile.len() {
            assert_well_made(&of(&hostile[..kept]), row.code);
        }
        let standard = ["CMD", row.code, "bob", "#other", "Some words"];
        assert_well_made(&of(&standard), row.code);
        let endless: Vec<&str> = endless.iter().map(String::as_str).collect();
        assert_well_made(&of(&endless), row.code);
    }
}

#[test]
fn names_of_codes_and_tricks_are_shown_plain() {
    assert_eq!(of(":s 474 me #\u{3}04c\u{202e} :x"), "#c has banned you: ask its operators to lift the ban.");
    assert_eq!(of(":s 474 me $NETWORK :x"), "$NETWORK has banned you: ask its operators to lift the ban.");
    assert_eq!(of(":s 474 me * :x"), "That channel has banned you: ask its operators to lift the ban.");
}

proptest! {
    #[test]
    fn no_answer_breaks_it(
        index in 0_usize..400,
        params in prop::collection::vec("[#&+!]?[a-z ]{0,9}|\\PC{0,20}|[\u{0}-\u{20}]{0,4}|(kick|banned|ssl|voice)", 0..6),
    ) {
        let codes: Vec<&str> = rows().map(|row| row.code).chain(["999", "", "é", "NOPE"]).collect();
        let code = codes[index % codes.len()];
        let text = sentence(code, &params, NETWORK);
        prop_assert!(text.ends_with('.') && !text.chars().any(char::is_control));
        prop_assert!(text.chars().count() <= SENTENCE_CHARS_MAX);
        prop_assert_eq!(trouble(code, &params).is_some(), meaning(code).is_some());
    }
}
