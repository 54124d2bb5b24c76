//! Each form on its own, and what no field of any message can do.

use std::sync::Arc;

use proptest::prelude::*;

use super::compose::{BatchLimits, Limits, Rest, compose};
use super::*;
use crate::bridge::media::{MediaKind, MediaSource};
use crate::bridge::relay::memory::Author;
use crate::bridge::relay::to_irc::answer::Told;
use crate::ids::ChannelName;
use crate::text::casemap::CaseMap;
use crate::text::line::Line;

const LIMITS: Limits = Limits { source_bytes: 40, line_bytes_max: 512, lines_max: 4, batch: None };

fn saying(body: MessageBody) -> Saying {
    Saying {
        seq: InboxSeq(1),
        room: RoomId::new("!r").unwrap(),
        event_id: EventId::new("$e").unwrap(),
        sender: UserId::new("@a:b").unwrap(),
        target: ChannelName::new("#c", CaseMap::Ascii).unwrap().into(),
        kind: body.kind,
        text: spans(&body),
        media: body.media,
        answer: None,
        corrects: None,
        attribution: None,
        expires: Time(0),
    }
}

fn manner(codes: Codes) -> Manner<'static> {
    let nick = &|user: &UserId| (user.as_str() == "@bob:hs").then(|| "bob_".to_owned());
    Manner { codes, nick, link: Some("https://b/m") }
}

fn said(saying: Saying, limits: &Limits, link: Option<&str>) -> (Vec<String>, Rest) {
    let saying = Arc::new(saying);
    let composed = compose(&saying, &speak(&saying, &manner(Codes::On)), limits, link);
    (composed.lines.into_iter().map(|chat| chat.line).collect(), composed.rest)
}

fn lines(kind: BodyKind, text: &str) -> Vec<String> {
    said(saying(MessageBody::plain(kind, text)), &LIMITS, None).0
}

fn formatted(html: &str, codes: Codes) -> Vec<String> {
    let body = MessageBody { html: Some(html.into()), ..MessageBody::plain(BodyKind::Text, "plain") };
    speak(&saying(body), &manner(codes)).rows
}

#[test]
fn kinds_become_their_commands() {
    assert_eq!(lines(BodyKind::Text, "hello all"), ["PRIVMSG #c :hello all"]);
    assert_eq!(lines(BodyKind::Notice, "beep boop"), ["NOTICE #c :beep boop"]);
    assert_eq!(lines(BodyKind::Emote, "waves"), ["PRIVMSG #c :\u{1}ACTION waves\u{1}"]);
}

#[test]
fn no_field_makes_a_second_command_or_a_ctcp() {
    assert_eq!(
        lines(BodyKind::Text, "a\r\nQUIT :x\rJOIN #y\0"),
        ["PRIVMSG #c a", "PRIVMSG #c :QUIT :x", "PRIVMSG #c :JOIN #y"]
    );
    assert_eq!(lines(BodyKind::Text, "\u{1}DCC SEND x\u{1}"), ["PRIVMSG #c :DCC SEND x"]);
    assert_eq!(formatted("<b>a\u{1}&#13;&#10;QUIT</b>", Codes::On).join("|").matches('\u{1}').count(), 0);
}

#[test]
fn every_line_fits_with_its_source_and_ending() {
    let lines = lines(BodyKind::Emote, &"żółć ".repeat(400));
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| 40 + line.len() + 2 <= 512));
}

#[test]
fn of_a_long_message_the_beginning_is_said_and_a_link() {
    let long = (1..=100).map(|number| format!("line {number}\n")).collect::<String>();
    let body = || saying(MessageBody::plain(BodyKind::Text, long.clone()));
    let (lines, rest) = said(body(), &LIMITS, Some("https://b/t"));
    assert_eq!(
        lines,
        ["PRIVMSG #c :line 1", "PRIVMSG #c :line 2", "PRIVMSG #c :… 98 more lines: https://b/t"]
    );
    assert_eq!(rest, Rest::Linked);
    let (lines, rest) = said(body(), &LIMITS, None);
    assert_eq!((lines.len(), rest), (4, Rest::Cut(96)));
    let one = Limits { lines_max: 1, ..LIMITS };
    let single = saying(MessageBody::plain(BodyKind::Text, "word ".repeat(1_000)));
    let (lines, _) = said(single, &one, Some("https://b/t"));
    assert!(lines.len() == 1 && lines[0].ends_with("word … https://b/t") && lines[0].len() <= 470);
}

#[test]
fn several_lines_are_one_message_where_the_server_takes_that() {
    let batched = |kind, text: &str, bytes_max, lines_max| {
        let limits = Limits { batch: Some(BatchLimits { bytes_max, lines_max }), ..LIMITS };
        said(saying(MessageBody::plain(kind, text)), &limits, None).0
    };
    assert_eq!(
        batched(BodyKind::Text, "one\ntwo words", 99, 9),
        [
            "BATCH +b1 draft/multiline #c\n@batch=b1 PRIVMSG #c one\n@batch=b1 PRIVMSG #c :two words\nBATCH -b1"
        ]
    );
    assert_eq!(batched(BodyKind::Text, "one", 99, 9), ["PRIVMSG #c one"]);
    assert_eq!(batched(BodyKind::Text, "one\ntwo", 7, 9).len(), 2, "too many bytes");
    assert_eq!(batched(BodyKind::Text, "1\n2\n3", 99, 2).len(), 3, "too many lines");
    assert_eq!(batched(BodyKind::Emote, "1\n2", 99, 9).len(), 2, "each of them is an action");
}

#[test]
fn people_are_called_by_their_nicks() {
    let pill = r#"<a href="https://matrix.to/#/@bob:hs">Bob B.</a>: and <a href="https://matrix.to/#/@eve:hs">Eve</a>"#;
    assert_eq!(formatted(pill, Codes::On), ["bob_: and Eve"]);
}

#[test]
fn codes_are_used_where_they_may_be() {
    assert_eq!(formatted("<b>bold</b> x", Codes::On), ["\u{2}bold\u{2} x"]);
    assert_eq!(formatted("<b>bold</b> x", Codes::Off), ["*bold* x"]);
    assert_eq!(formatted("<b></b>", Codes::On), ["plain"], "HTML that shows nothing");
}

#[test]
fn what_is_answered_stands_where_it_reads_well() {
    let answered = |kind, told| {
        let to = Author::Matrix(UserId::new("@bob:hs").unwrap());
        let answer = Some(Answer { of: EventId::new("$o").unwrap(), to, told, msgid: None });
        said(Saying { answer, ..saying(MessageBody::plain(kind, "yes\nand no")) }, &LIMITS, None).0
    };
    assert_eq!(answered(BodyKind::Text, Told::Author), ["PRIVMSG #c :bob_: yes", "PRIVMSG #c :and no"]);
    assert_eq!(
        answered(BodyKind::Notice, Told::Quote("tea\u{1}?".into()))[0],
        "NOTICE #c :bob_: \"tea?\" <- yes"
    );
    assert_eq!(answered(BodyKind::Emote, Told::Author)[1], "PRIVMSG #c :\u{1}ACTION and no (to bob_)\u{1}");
    assert_eq!(answered(BodyKind::Text, Told::Nothing)[0], "PRIVMSG #c yes");
}

proptest! {
    /// Whatever the fields of a message hold, what goes on the wire are lines to its channel and nothing else.
    #[test]
    fn no_field_of_a_message_is_more_than_text(
        text in FIELD,
        html in proptest::option::of(FIELD),
        name in FIELD,
        quote in FIELD,
        author in "@[a-z\r\n\u{1} ]{1,9}:hs",
        kind in 0..3_usize,
        has_file in any::<bool>(),
    ) {
        let kind = [BodyKind::Text, BodyKind::Emote, BodyKind::Notice][kind];
        let source = MediaSource::new("mxc://hs/a", None).unwrap();
        let (mime, size_bytes, duration_ms) = (None, Some(7), None);
        let media = Media { kind: MediaKind::File, source, name, mime, size_bytes, duration_ms };
        let body = MessageBody { html, media: has_file.then(|| Box::new(media)), ..MessageBody::plain(kind, text) };
        let to = UserId::new(&author).map(Author::Matrix);
        let told = Told::Quote(quote);
        let answer = to.map(|to| Answer { of: EventId::new("$o").unwrap(), to, told, msgid: None });
        let batch = Some(BatchLimits { bytes_max: 9_999, lines_max: 9 });
        for batch in [None, batch] {
            let (lines, _) = said(Saying { answer: answer.clone(), ..saying(body.clone()) }, &Limits { batch, ..LIMITS }, None);
            let lines: Vec<&str> = match batch {
                None => lines.iter().map(String::as_str).collect(),
                Some(_) => lines.iter().flat_map(|line| line.split('\n')).collect(),
            };
            for line in lines {
                prop_assert!(!line.contains(['\r', '\n', '\0']));
                let read = Line::parse(line).unwrap();
                let is_begin_or_end = read.command == "BATCH" && batch.is_some();
                prop_assert!(is_begin_or_end || read.param(0) == "#c" && ["PRIVMSG", "NOTICE"].contains(&read.command.as_str()));
                let deed = read.param(1).strip_prefix("\u{1}ACTION ").and_then(|deed| deed.strip_suffix('\u{1}'));
                let said = deed.filter(|_| kind == BodyKind::Emote).unwrap_or(read.param(1));
                prop_assert!(!said.contains('\u{1}'), "{line:?}");
                prop_assert!(40 + line.len() + 2 <= 512 || batch.is_some());
            }
        }
    }
}

/// Text of all that is dangerous somewhere.
const FIELD: &str = "([a-z <>&\"':;,|!@#\r\n\0\u{1}\u{2}\u{3}\u{f}\u{85}\u{2028}\u{202e}é]|<b>|</b>|<br>|&#13;|&#10;|&#1;|QUIT :|\u{1}ACTION ){0,80}";
