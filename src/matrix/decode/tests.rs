//! Events as clients send them, and as nobody should.

use super::*;
use crate::bridge::input::{BodyKind, MessageBody, Relation};
use crate::bridge::media::MediaKind;

fn event(kind: &str, extra: &str, content: &str) -> String {
    format!(
        r#"{{"type":"{kind}","room_id":"!r","event_id":"$e","sender":"@a:b.c","origin_server_ts":7{extra},"content":{content}}}"#
    )
}

fn said(content: &str) -> Option<(BodyKind, String)> {
    match decode(&event("m.room.message", "", content)).expect("room and sender are fine") {
        MatrixEvent::Message { body, origin_ms, .. } => {
            assert_eq!(origin_ms, 7);
            Some((body.kind, body.text))
        }
        MatrixEvent::Other { kind, .. } => {
            assert_eq!(kind, "m.room.message");
            None
        }
        other => panic!("not what was said: {other:?}"),
    }
}

fn message(kind: &str, content: &str) -> (MessageBody, Relation) {
    match decode(&event(kind, "", content)) {
        Some(MatrixEvent::Message { body, relation, .. }) => (body, relation),
        other => panic!("not a message: {other:?}"),
    }
}

fn id(text: &str) -> EventId {
    EventId::new(text).unwrap()
}

#[test]
fn the_three_kinds_of_chat() {
    let check = |content: &str, kind, text: &str| assert_eq!(said(content), Some((kind, text.to_owned())));
    check(r#"{"msgtype":"m.text","body":"hi\nyou"}"#, BodyKind::Text, "hi\nyou");
    check(r#"{"msgtype":"m.emote","body":"waves"}"#, BodyKind::Emote, "waves");
    check(r#"{"msgtype":"m.notice","body":"beep"}"#, BodyKind::Notice, "beep");
    check(r#"{"msgtype":"m.text","body":"x","formatted_body":17,"format":[]}"#, BodyKind::Text, "x");
}

#[test]
fn pictures_and_unknown_kinds_say_what_they_are() {
    let check =
        |content: &str, text: &str| assert_eq!(said(content), Some((BodyKind::Text, text.to_owned())));
    check(r#"{"msgtype":"m.image","body":"cat.png","url":"https://x/y"}"#, "[image] cat.png");
    check(r#"{"msgtype":"m.file","body":"a.pdf"}"#, "[file] a.pdf");
    check(r#"{"msgtype":"m.audio","body":""}"#, "[audio]");
    check(r#"{"msgtype":"org.example.poll","body":"tea?"}"#, "[org.example.poll] tea?");
    check(r#"{"msgtype":"x\r\ny","body":"z"}"#, "[xy] z");
}

#[test]
fn content_that_says_nothing_usable_is_other() {
    for content in [
        "{}",
        "[]",
        r#"["m.text","hello",null]"#,
        "null",
        r#"{"msgtype":"m.text"}"#,
        r#"{"msgtype":"m.text","body":7}"#,
        r#"{"msgtype":"m.text","body":["x"]}"#,
        r#"{"msgtype":"m.text","body":""}"#,
        r#"{"body":"x"}"#,
        r#"{"msgtype":"m.text","body":"a","body":"b"}"#,
        r#"{"msgtype":"m.text","body":"\ud800"}"#,
        r#"{"msgtype":"m.text","body":"* b","m.relates_to":{"rel_type":"m.replace","event_id":"$x"}}"#,
        r#"{"msgtype":"m.text","body":"* b","m.new_content":{"msgtype":"m.text","body":"b"},"m.relates_to":{"rel_type":"m.replace"}}"#,
        r#"{"msgtype":"m.key.verification.request","body":"please verify"}"#,
    ] {
        assert_eq!(said(content), None, "{content}");
    }
}

#[test]
fn a_reply_loses_its_quotation_and_nothing_else() {
    let reply = |body: &str| {
        said(&format!(
            r#"{{"msgtype":"m.text","body":{body:?},"m.relates_to":{{"m.in_reply_to":{{"event_id":"$x"}}}}}}"#
        ))
        .expect("a message")
        .1
    };
    assert_eq!(reply("> <@a:b> one\n> two\n\nanswer"), "answer");
    assert_eq!(reply("> * <@a:b> waves\n\nanswer\n> mine"), "answer\n> mine");
    assert_eq!(reply("> <@a:b> one\n\n> my own quotation"), "> my own quotation");
    assert_eq!(reply("> not a fallback"), "> not a fallback");
    assert_eq!(reply("> <@a:b> only a quotation"), "> <@a:b> only a quotation");
    assert_eq!(reply("plain"), "plain");
    let unrelated = said(r#"{"msgtype":"m.text","body":"> <@a:b> x\n\ny"}"#).expect("a message").1;
    assert_eq!(unrelated, "> <@a:b> x\n\ny");
}

#[test]
fn membership_names_its_target() {
    let json = event(
        "m.room.member",
        r#","state_key":"@t:b.c""#,
        r#"{"membership":"ban","displayname":"T","reason":"why"}"#,
    );
    let Some(MatrixEvent::Member { sender, target, membership, reason, .. }) = decode(&json) else {
        panic!("a member event")
    };
    assert_eq!(sender.as_str(), "@a:b.c");
    assert_eq!((target.user.as_str(), target.display_name.as_deref()), ("@t:b.c", Some("T")));
    assert_eq!((membership, reason.as_deref()), (Membership::Ban, Some("why")));
    let odd =
        event("m.room.member", r#","state_key":"@t:b.c""#, r#"{"membership":"join","displayname":[1]}"#);
    let Some(MatrixEvent::Member { target, .. }) = decode(&odd) else { panic!("a member event") };
    assert_eq!(target.display_name, None);
}

#[test]
fn state_is_told_by_its_key_and_not_by_its_type() {
    let is_other = |json: &str| matches!(decode(json), Some(MatrixEvent::Other { .. }));
    let text = r#"{"msgtype":"m.text","body":"x"}"#;
    assert!(is_other(&event("m.room.message", r#","state_key":"""#, text)));
    assert!(is_other(&event("m.room.message", r#","state_key":null"#, text)));
    assert!(is_other(&event("m.room.member", "", r#"{"membership":"join"}"#)));
    assert!(is_other(&event("m.room.member", r#","state_key":"nobody""#, r#"{"membership":"join"}"#)));
    assert!(is_other(&event("m.room.member", r#","state_key":"@t:b.c""#, r#"{"membership":"dance"}"#)));
    assert!(is_other(&event("m.room.encrypted", r#","state_key":"""#, "{}")));
    assert!(is_other(&event("m.sticker", r#","state_key":"x""#, r#"{"body":"x"}"#)));
    assert!(is_other(&event("m.room.topic", "", r#"{"topic":"x"}"#)));
}

#[test]
fn a_room_is_replaced_by_one_that_is_named_as_its_state_and_by_nothing_else() {
    let to = |key: &str, content: &str| match decode(&event("m.room.tombstone", key, content)) {
        Some(MatrixEvent::Tombstone { to, .. }) => Some(to.to_string()),
        Some(MatrixEvent::Other { .. }) => None,
        other => panic!("no tombstone: {other:?}"),
    };
    let only = r#","state_key":"""#;
    assert_eq!(to(only, r#"{"body":"moved","replacement_room":"!new:hs"}"#), Some("!new:hs".to_owned()));
    let huge = format!(r#"{{"body":"{}","replacement_room":"!new"}}"#, "x".repeat(60_000));
    assert_eq!(to(only, &huge), Some("!new".to_owned()));
    for key in ["", r#","state_key":null"#, r#","state_key":"x""#, r#","state_key":7"#] {
        assert_eq!(to(key, r#"{"replacement_room":"!new"}"#), None, "{key}");
    }
    let long = format!(r#"{{"replacement_room":"!{}"}}"#, "x".repeat(300));
    for content in ["{}", "[]", r#"{"replacement_room":7}"#, r##"{"replacement_room":"#new:hs"}"##, &long] {
        assert_eq!(to(only, content), None, "{content}");
    }
}

#[test]
fn a_door_is_open_or_shut() {
    let door = |content: &str| match decode(&event("m.room.join_rules", r#","state_key":"""#, content)) {
        Some(MatrixEvent::JoinRules { door, .. }) => door,
        other => panic!("a rule: {other:?}"),
    };
    for rule in ["public", "knock", "restricted", "knock_restricted"] {
        assert_eq!(door(&format!(r#"{{"join_rule":"{rule}"}}"#)), Doorway::Open, "{rule}");
    }
    for shut in [r#"{"join_rule":"invite"}"#, r#"{"join_rule":"private"}"#, r#"{"join_rule":[1]}"#, "{}", "7"]
    {
        assert_eq!(door(shut), Doorway::Shut, "{shut}");
    }
    let of_somebody = event("m.room.join_rules", r#","state_key":"x""#, r#"{"join_rule":"public"}"#);
    assert!(matches!(decode(&of_somebody), Some(MatrixEvent::Other { .. })));
}

#[test]
fn without_a_room_or_a_sender_there_is_no_event() {
    for json in [
        "",
        "[]",
        "17",
        r#"{"type":"m.room.message","sender":"@a:b"}"#,
        r#"{"type":"m.room.message","room_id":"!r"}"#,
        r#"{"type":"m.room.message","room_id":"r","sender":"@a:b"}"#,
        r#"{"type":"m.room.message","room_id":"!r","sender":7}"#,
        r#"["m.room.message","!r","$e","@a:b",null,1,{}]"#,
    ] {
        assert_eq!(decode(json), None, "{json}");
    }
    assert!(decode(r#"{"room_id":"!r","sender":"@a:b"}"#).is_some());
}

#[test]
fn deep_nesting_and_wild_numbers_are_harmless() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(said(&format!(r#"{{"msgtype":"m.text","body":{deep}}}"#)), None);
    let kept = format!(r#"{{"msgtype":"m.text","body":"x","extra":{deep},"n":1e999,"m":-0}}"#);
    assert_eq!(said(&kept), Some((BodyKind::Text, "x".to_owned())));
    let wild = event("m.room.message", "", r#"{"msgtype":"m.text","body":"x"}"#).replace(":7", ":-1e300");
    assert!(matches!(decode(&wild), Some(MatrixEvent::Message { origin_ms: 0, .. })));
}

#[test]
fn what_a_message_refers_to() {
    let of = |relates_to: &str| {
        message(
            "m.room.message",
            &format!(r#"{{"msgtype":"m.text","body":"x","m.relates_to":{relates_to}}}"#),
        )
        .1
    };
    assert_eq!(of(r#"{"m.in_reply_to":{"event_id":"$1"}}"#), Relation::Reply { to: id("$1") });
    assert_eq!(
        of(
            r#"{"rel_type":"m.thread","event_id":"$r","is_falling_back":true,"m.in_reply_to":{"event_id":"$1"}}"#
        ),
        Relation::Thread { root: id("$r"), to: None }
    );
    assert_eq!(
        of(r#"{"rel_type":"m.thread","event_id":"$r","m.in_reply_to":{"event_id":"$1"}}"#),
        Relation::Thread { root: id("$r"), to: Some(id("$1")) }
    );
    for nothing in
        ["{}", "[]", "7", r#"{"m.in_reply_to":"$1"}"#, r#"{"rel_type":"org.example.x","event_id":"$1"}"#]
    {
        assert_eq!(of(nothing), Relation::None, "{nothing}");
    }
}

#[test]
fn an_edit_is_what_it_puts_in_place() {
    let edit = r#"{"msgtype":"m.text","body":"* new","format":"org.matrix.custom.html","formatted_body":"* <b>new</b>",
        "m.new_content":{"msgtype":"m.emote","body":"new","format":"org.matrix.custom.html","formatted_body":"<b>new</b>"},
        "m.relates_to":{"rel_type":"m.replace","event_id":"$1"}}"#;
    let (body, relation) = message("m.room.message", edit);
    let html = Some("<b>new</b>".to_owned());
    assert_eq!(body, MessageBody { html, ..MessageBody::plain(BodyKind::Emote, "new") });
    assert_eq!(relation, Relation::Edit { of: id("$1") });
}

#[test]
fn formatting_is_taken_only_in_the_form_that_is_known() {
    let html = |extra: &str| {
        message("m.room.message", &format!(r#"{{"msgtype":"m.text","body":"x"{extra}}}"#)).0.html
    };
    assert_eq!(
        html(r#","format":"org.matrix.custom.html","formatted_body":"<i>x</i>""#),
        Some("<i>x</i>".to_owned())
    );
    assert_eq!(html(r#","format":"org.example.rtf","formatted_body":"{x}""#), None);
    assert_eq!(html(r#","format":"org.matrix.custom.html","formatted_body":7"#), None);
    assert_eq!(html(r#","formatted_body":"<i>x</i>""#), None);
}

#[test]
fn a_file_has_a_name_a_kind_and_a_caption() {
    let image = r#"{"msgtype":"m.image","body":"cat.png","url":"mxc://hs.test:8448/AbC_d-1","info":{"mimetype":"image/png","size":1234}}"#;
    let (body, _) = message("m.room.message", image);
    let media = body.media.expect("a file");
    assert_eq!((media.kind, media.name.as_str(), body.text.as_str()), (MediaKind::Image, "cat.png", ""));
    assert_eq!((media.mime.as_deref(), media.size_bytes), (Some("image/png"), Some(1234)));
    assert_eq!(media.source.mxc, "mxc://hs.test:8448/AbC_d-1");
    let captioned = r#"{"msgtype":"m.file","body":"read this","filename":"a.pdf","url":"mxc://hs/a","format":"org.matrix.custom.html","formatted_body":"<b>read</b> this"}"#;
    let (body, _) = message("m.room.message", captioned);
    assert_eq!((body.text.as_str(), body.html.as_deref()), ("read this", Some("<b>read</b> this")));
    assert_eq!(body.media.expect("a file").name, "a.pdf");
    let uncaptioned = r#"{"msgtype":"m.video","body":"a.mp4","filename":"a.mp4","url":"mxc://hs/a","info":{"duration":5000}}"#;
    let (body, _) = message("m.room.message", uncaptioned);
    assert_eq!((body.text.as_str(), body.media.expect("a file").duration_ms), ("", Some(5000)));
    for voice in ["m.voice", "org.matrix.msc3245.voice"] {
        let content = format!(r#"{{"msgtype":"m.audio","body":"v.ogg","url":"mxc://hs/a","{voice}":{{}}}}"#);
        assert_eq!(message("m.room.message", &content).0.media.expect("a file").kind, MediaKind::Voice);
    }
    let (body, _) = message("m.sticker", r#"{"body":"a cat","url":"mxc://hs/a","info":{}}"#);
    assert_eq!((body.media.expect("a file").kind, body.text), (MediaKind::Sticker, String::new()));
}

#[test]
fn an_encrypted_file_comes_with_all_that_opens_it_or_not_at_all() {
    let (key, iv) = ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "AAAAAAAAAAAAAAAAAAAAAA==");
    let hash = "//////////////////////////////////////////8";
    let file = |key: &str, iv: &str| {
        let content = format!(
            r#"{{"msgtype":"m.image","body":"cat.png","file":{{"url":"mxc://hs/a","key":{{"alg":"A256CTR","k":"{key}"}},"iv":"{iv}","hashes":{{"sha256":"{hash}"}},"v":"v2"}}}}"#
        );
        message("m.room.message", &content).0
    };
    let cipher = file(key, iv).media.expect("a file").source.cipher.expect("a key");
    let expected: Vec<u8> = (0..32).collect();
    assert_eq!((cipher.key.to_vec(), cipher.iv, cipher.sha256[0]), (expected, [0; 16], 0xff));
    assert!(!format!("{cipher:?}").contains('1'), "a key is never shown");
    for (key, iv) in [("AAEC", iv), (key, "AA"), ("", ""), ("!", iv)] {
        let body = file(key, iv);
        assert_eq!((body.media, body.text.as_str()), (None, "[image] cat.png"));
    }
}

#[test]
fn an_address_of_a_file_leads_nowhere_else() {
    for bad in [
        "https://x/y",
        "mxc://",
        "mxc://hs",
        "mxc://hs/",
        "mxc:///a",
        "mxc://hs/a/b",
        "mxc://hs/../x",
        "mxc://hs/a?b",
        "mxc://h s/a",
        "mxc://hs/a%2fb",
        "mxc://u@hs/a",
    ] {
        let content = format!(r#"{{"msgtype":"m.file","body":"f","url":"{bad}"}}"#);
        let (body, _) = message("m.room.message", &content);
        assert_eq!((body.media, body.text.as_str()), (None, "[file] f"), "{bad}");
    }
}

#[test]
fn a_place_is_a_link() {
    let place = |body: &str, uri: &str| {
        message("m.room.message", &format!(r#"{{"msgtype":"m.location","body":"{body}","geo_uri":"{uri}"}}"#))
            .0
            .text
    };
    let link = "https://www.openstreetmap.org/?mlat=51.5008&mlon=-0.12#map=15/51.5008/-0.12";
    assert_eq!(place("Big Ben", "geo:51.5008,-0.12;u=35"), format!("[location] Big Ben {link}"));
    assert_eq!(
        place("Location was shared at geo:51.5008,-0.12", "geo:51.5008,-0.12"),
        format!("[location] {link}")
    );
    assert_eq!(place("Big Ben", "geo:1e999,2"), "[location] Big Ben");
    assert_eq!(place("Big Ben", "javascript:alert(1)"), "[location] Big Ben");
}

#[test]
fn a_poll_is_its_question_and_its_answers() {
    let unstable = r#"{"org.matrix.msc3381.poll.start":{"question":{"org.matrix.msc1767.text":"Tea or\ncoffee?","body":"x"},
        "answers":[{"id":"1","org.matrix.msc1767.text":"tea"},{"id":"2","org.matrix.msc1767.text":"coffee"}]}}"#;
    assert_eq!(
        message("org.matrix.msc3381.poll.start", unstable).0.text,
        "[poll] Tea or coffee? (1) tea (2) coffee"
    );
    let stable = r#"{"m.poll":{"question":{"m.text":[{"body":"Tea?"}]},"answers":[{"m.id":"1","m.text":[{"body":"yes"}]},7,{}]}}"#;
    assert_eq!(message("m.poll.start", stable).0.text, "[poll] Tea? (1) yes");
    for nothing in ["{}", r#"{"m.poll":[]}"#, r#"{"m.poll":{"question":{}}}"#] {
        assert!(
            matches!(decode(&event("m.poll.start", "", nothing)), Some(MatrixEvent::Other { .. })),
            "{nothing}"
        );
    }
}

#[test]
fn signs_and_what_is_taken_back() {
    let reaction = r#"{"m.relates_to":{"rel_type":"m.annotation","event_id":"$1","key":"👍"}}"#;
    let Some(MatrixEvent::Reaction { about, key, event_id, .. }) = decode(&event("m.reaction", "", reaction))
    else {
        panic!("a reaction")
    };
    assert_eq!((about, key.as_str(), event_id), (id("$1"), "👍", id("$e")));
    for nothing in ["{}", r#"{"m.relates_to":{"rel_type":"m.annotation","event_id":"$1","key":" \n"}}"#] {
        assert!(matches!(decode(&event("m.reaction", "", nothing)), Some(MatrixEvent::Other { .. })));
    }
    let redacted = |extra: &str, content: &str| match decode(&event("m.room.redaction", extra, content)) {
        Some(MatrixEvent::Redaction { redacts, reason, .. }) => Some((redacts, reason)),
        _ => None,
    };
    assert_eq!(
        redacted(r#","redacts":"$1""#, r#"{"reason":"oops"}"#),
        Some((id("$1"), Some("oops".to_owned())))
    );
    assert_eq!(redacted("", r#"{"redacts":"$2"}"#), Some((id("$2"), None)));
    assert_eq!(redacted(r#","redacts":7"#, "{}"), None);
    let encrypted = event("m.room.encrypted", "", r#"{"algorithm":"m.megolm.v1.aes-sha2"}"#);
    assert!(matches!(decode(&encrypted), Some(MatrixEvent::Encrypted { .. })));
}

#[test]
fn every_kind_that_is_asked_for_is_known() {
    assert!(is_message("m.room.message") && is_message("m.sticker") && is_message("m.poll.start"));
    assert!(!is_message("m.reaction") && !is_message("m.room.member"));
}
