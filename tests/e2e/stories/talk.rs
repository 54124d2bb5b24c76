//! Joining by alias, and what is said in either direction.

use super::tell;
use crate::support::irc::IrcLine;
use crate::support::matrix::Message;
use crate::support::world::{Story, alias, ghost, puppet};
use crate::support::{PATIENT, QUIET, SOON};

tell!(alias_join, both_directions, long_lines, hostile_body, five_puppets_one_event_each);

/// Longest line on the wire, with CR LF (RFC 2812 2.3).
const LINE_BYTES_MAX: usize = 512;

/// A Matrix user joins a channel by its alias, and their puppet is there under their name.
async fn alias_join(story: Story) {
    let mut irc = story.irc("ajirc").await;
    irc.join("#aj-welcome").await;
    let user = story.user("ajuser").await;
    let room = user.join(&alias("#aj-welcome")).await;
    let nick = puppet("ajuser");
    irc.wait("the puppet's JOIN", PATIENT, |l| l.command == "JOIN" && l.source == nick).await;
    irc.wait_member("#aj-welcome", &nick).await;
    assert!(irc.whois(&nick).await.iter().any(|l| l.command == "311"), "the puppet is a user like others");
    // The IRC user is in the room under their own nick, once they have spoken.
    irc.say("#aj-welcome", "hello").await;
    user.wait_membership(&room, &ghost("ajirc"), "join", PATIENT).await;
}

/// Text, emote and notice cross both ways, each as what it is, and nothing comes back to where it was said.
async fn both_directions(story: Story) {
    let mut irc = story.irc("bdirc").await;
    irc.join("#bd-talk").await;
    let (mut user, room) = story.joined("bduser", "#bd-talk", &mut irc).await;
    let nick = puppet("bduser");

    user.text(&room, "hello from Matrix").await;
    user.emote(&room, "waves").await;
    user.notice(&room, "take note").await;
    assert_eq!(irc.wait_said(&nick, "#bd-talk").await, "hello from Matrix");
    assert_eq!(irc.wait_said(&nick, "#bd-talk").await, "\u{1}ACTION waves\u{1}");
    let note = irc.wait("the notice", SOON, |l| l.is_from("NOTICE", &nick, "#bd-talk")).await;
    assert_eq!(note.params[1], "take note");

    irc.say("#bd-talk", "hello from IRC").await;
    irc.action("#bd-talk", "bows").await;
    irc.notice("#bd-talk", "noted").await;
    irc.say("#bd-talk", "  :odd ünïcode \u{1f980}, colon: and  spaces").await;
    let said = [
        ("m.text", "hello from IRC"),
        ("m.emote", "bows"),
        ("m.notice", "noted"),
        ("m.text", "  :odd ünïcode \u{1f980}, colon: and  spaces"),
    ];
    user.wait_body(&room, said[3].1, SOON).await;
    user.drain(QUIET).await;
    let mut expected = vec![
        message(&user.id, "m.text", "hello from Matrix"),
        message(&user.id, "m.emote", "waves"),
        message(&user.id, "m.notice", "take note"),
    ];
    expected.extend(said.map(|(kind, body)| message(&ghost("bdirc"), kind, body)));
    assert_eq!(user.messages(&room), expected);
}

/// A long message arrives in pieces that fit the wire and join to the original, never cut inside a character.
async fn long_lines(story: Story) {
    let mut irc = story.irc("llirc").await;
    irc.join("#ll-long").await;
    let (user, room) = story.joined("lluser", "#ll-long", &mut irc).await;
    let nick = puppet("lluser");

    // 500 characters of three bytes, no place to break but between characters.
    let unbroken: String = (0..500_u32).filter_map(|i| char::from_u32(0x4e00 + i)).collect();
    assert_eq!(unbroken.len(), 1500);
    let words: String = (0..180).map(|i| format!("wört{i} ")).collect();

    user.text(&room, &unbroken).await;
    user.text(&room, words.trim_end()).await;
    user.text(&room, "end").await;
    irc.wait("the end", PATIENT, |l| l.is_from("PRIVMSG", &nick, "#ll-long") && l.params[1] == "end").await;

    let lines: Vec<IrcLine> =
        irc.lines().into_iter().filter(|l| l.is_from("PRIVMSG", &nick, "#ll-long")).collect();
    assert!(lines.iter().all(|l| l.len_bytes <= LINE_BYTES_MAX), "a line is longer than the wire allows");
    let joined: String = lines.iter().map(|l| l.params[1].as_str()).collect();
    // A break between words may take its space with it.
    let without_spaces = |text: &str| text.replace(' ', "");
    assert_eq!(without_spaces(&joined), without_spaces(&format!("{unbroken}{words}end")));
    assert!(joined.starts_with(&unbroken), "text without spaces joins to itself");
}

/// CR, LF and NUL in a body never become a command of their own.
async fn hostile_body(story: Story) {
    let mut irc = story.irc("hbirc").await;
    irc.join("#hb-safe").await;
    let (user, room) = story.joined("hbuser", "#hb-safe", &mut irc).await;
    let nick = puppet("hbuser");

    let from = irc.lines().len();
    user.text(
        &room,
        "one\r\nQUIT :gone\r\nPART #hb-safe\nNICK evil\rTOPIC #hb-safe :owned\u{0}KICK #hb-safe hbirc",
    )
    .await;
    user.emote(&room, "two\nQUIT :gone").await;
    user.text(&room, "\r\n\u{0}").await;
    user.text(&room, "end").await;
    irc.wait("the end", PATIENT, |l| l.is_from("PRIVMSG", &nick, "#hb-safe") && l.params[1] == "end").await;

    let lines = irc.lines().split_off(from);
    let of_puppet: Vec<&IrcLine> = lines.iter().filter(|l| l.source == nick).collect();
    assert!(of_puppet.iter().all(|l| l.is_from("PRIVMSG", &nick, "#hb-safe")), "{of_puppet:#?}");
    assert!(of_puppet.iter().all(|l| !l.params[1].contains(['\0', '\r'])), "{of_puppet:#?}");
    assert!(of_puppet.iter().any(|l| l.params[1].contains("one")), "{of_puppet:#?}");
    irc.wait_member("#hb-safe", &nick).await;
}

/// Five puppets see each IRC line five times, and Matrix sees it once, in order.
async fn five_puppets_one_event_each(story: Story) {
    let mut irc = story.irc("fpirc").await;
    irc.join("#fp-five").await;
    let (mut reader, room) = story.joined("fpone", "#fp-five", &mut irc).await;
    for name in ["fptwo", "fpthree", "fpfour", "fpfive"] {
        let (_, same_room) = story.joined(name, "#fp-five", &mut irc).await;
        assert_eq!(same_room, room);
    }

    // Some lines are alike on purpose: two that say the same are two.
    let lines: Vec<String> = (0..30).map(|i| format!("line {}", i - i % 3)).collect();
    for line in &lines {
        irc.say("#fp-five", line).await;
    }
    irc.say("#fp-five", "end").await;
    reader.wait_body(&room, "end", PATIENT).await;
    reader.drain(QUIET).await;
    let expected: Vec<String> = lines.into_iter().chain(["end".to_owned()]).collect();
    assert_eq!(reader.bodies_from(&room, &ghost("fpirc")), expected);
    assert_eq!(reader.messages(&room).len(), expected.len(), "nobody else said anything");
}

fn message(sender: &str, kind: &str, body: &str) -> Message {
    Message { sender: sender.to_owned(), kind: kind.to_owned(), body: body.to_owned() }
}
