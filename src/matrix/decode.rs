//! From an event's JSON text to what the machine understands.
//!
//! Never fails loudly: whatever cannot be understood is `MatrixEvent::Other`, which is settled and forgotten,
//! and only an event without a usable room or sender is `None`. The fields are taken one by one with
//! `serde_json` and not with ready-made event types, because those refuse a whole event for one wrong field
//! that nobody here reads; anybody in a room can send such an event. Content is left unparsed until its type
//! is known to matter, so that nesting of any depth costs nothing.
//!
//! Whether an event is state is told by the presence of `state_key`, never by its type.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bridge::input::{BodyKind, MatrixEvent, Member, Membership, MessageBody};
use crate::ids::{EventId, RoomId, UserId};

/// The longest text taken from one field, in bytes. Events end at 65,536 bytes, so a true one is never cut.
const TEXT_BYTES_MAX: usize = 65_536;

/// The longest name of a person, event type or message type taken, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// The types of events that mean something to the machine: those that [`decode`] knows.
pub const KINDS: [&str; 2] = ["m.room.message", "m.room.member"];

/// What this event is to the machine; `None` when it names no usable room or sender.
pub fn decode(json: &str) -> Option<MatrixEvent> {
    let event: Envelope<'_> = object(json)?;
    let room = RoomId::new(&text(event.room_id)?)?;
    let sender = UserId::new(&text(event.sender)?)?;
    let kind = name(event.kind).unwrap_or_default();
    let known = match (kind.as_str(), event.state_key) {
        ("m.room.message", None) => message(&event, &room, &sender),
        ("m.room.member", Some(_)) => member(&event, &room, &sender),
        (_, _) => None,
    };
    Some(known.unwrap_or(MatrixEvent::Other { room, kind }))
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    room_id: Option<&'a RawValue>,
    #[serde(borrow)]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    sender: Option<&'a RawValue>,
    /// `null` is no string, so it makes neither a message nor a member event: see `present`.
    #[serde(borrow, default, deserialize_with = "present")]
    state_key: Option<&'a RawValue>,
    #[serde(borrow)]
    origin_server_ts: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct MessageContent<'a> {
    #[serde(borrow)]
    msgtype: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow, rename = "m.relates_to")]
    relates_to: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Relation<'a> {
    #[serde(borrow)]
    rel_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "m.in_reply_to")]
    in_reply_to: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct MemberContent<'a> {
    #[serde(borrow)]
    membership: Option<&'a RawValue>,
    #[serde(borrow)]
    displayname: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
}

fn message(event: &Envelope<'_>, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    let event_id = EventId::new(&text(event.event_id)?)?;
    let content: MessageContent<'_> = object(event.content?.get())?;
    let relation: Relation<'_> = content.relates_to.and_then(|raw| object(raw.get())).unwrap_or_default();
    // An edit repeats what was said already; it is not a new thing to say.
    if text(relation.rel_type).as_deref() == Some("m.replace") {
        return None;
    }
    let written = text(content.body)?;
    let said = match relation.in_reply_to {
        Some(_) => without_reply_fallback(&written),
        None => &written,
    };
    let body = body(&name(content.msgtype)?, said)?;
    Some(MatrixEvent::Message {
        room: room.clone(),
        event_id,
        sender: sender.clone(),
        body,
        origin_ms: whole_number(event.origin_server_ts),
    })
}

/// What was said. An empty text says nothing; an empty caption still says that there is a picture.
fn body(msgtype: &str, said: &str) -> Option<MessageBody> {
    let plain = |kind| (!said.is_empty()).then(|| MessageBody { kind, text: said.to_owned() });
    match msgtype {
        "m.text" => plain(BodyKind::Text),
        "m.emote" => plain(BodyKind::Emote),
        "m.notice" => plain(BodyKind::Notice),
        other => {
            let what = other.strip_prefix("m.").unwrap_or(other);
            Some(MessageBody { kind: BodyKind::Text, text: format!("[{what}] {said}").trim_end().to_owned() })
        }
    }
}

/// `body` without the quotation that older clients put before a reply (client-server API, "Fallbacks for rich
/// replies", until v1.12). A line that merely starts with `>` is the writer's own and stays.
fn without_reply_fallback(body: &str) -> &str {
    if !body.starts_with("> <@") && !body.starts_with("> * <@") {
        return body;
    }
    let mut rest = body;
    while rest.starts_with('>') {
        rest = rest.split_once('\n').map_or("", |(_, after)| after);
    }
    rest = rest.strip_prefix('\n').unwrap_or(rest);
    if rest.is_empty() { body } else { rest }
}

fn member(event: &Envelope<'_>, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    let user = UserId::new(&text(event.state_key)?)?;
    let content: MemberContent<'_> = object(event.content?.get())?;
    let membership = match text(content.membership)?.as_str() {
        "join" => Membership::Join,
        "invite" => Membership::Invite,
        "leave" => Membership::Leave,
        "ban" => Membership::Ban,
        "knock" => Membership::Knock,
        _ => return None,
    };
    let display_name = name(content.displayname).filter(|name| !name.is_empty());
    Some(MatrixEvent::Member {
        room: room.clone(),
        sender: sender.clone(),
        target: Member { user, display_name },
        membership,
        reason: text(content.reason),
    })
}

/// A JSON object as `T`. Told from an array by its first character: serde takes an array for a struct too.
fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    let json = json.trim_start();
    json.starts_with('{').then(|| serde_json::from_str(json).ok())?
}

/// Tells a field that is `null` from one that is not there.
fn present<'de, D: serde::Deserializer<'de>>(raw: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(raw).map(Some)
}

/// A field's text, when it is a string, cut to what an event can hold.
fn text(raw: Option<&RawValue>) -> Option<String> {
    let mut text: String = serde_json::from_str(raw?.get()).ok()?;
    text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
    Some(text)
}

/// A field's text as a name: short, and without control characters.
fn name(raw: Option<&RawValue>) -> Option<String> {
    let mut name: String = text(raw)?.chars().filter(|c| !c.is_control()).collect();
    name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
    Some(name)
}

/// A field's number; 0 for anything that is none, and for negative ones.
fn whole_number(raw: Option<&RawValue>) -> u64 {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

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
            MatrixEvent::Member { .. } => panic!("not a member event"),
            MatrixEvent::Other { kind, .. } => {
                assert_eq!(kind, "m.room.message");
                None
            }
        }
    }

    #[test]
    fn the_three_kinds_of_chat() {
        let check =
            |content: &str, kind, text: &str| assert_eq!(said(content), Some((kind, text.to_owned())));
        check(r#"{"msgtype":"m.text","body":"hi\nyou"}"#, BodyKind::Text, "hi\nyou");
        check(r#"{"msgtype":"m.emote","body":"waves"}"#, BodyKind::Emote, "waves");
        check(r#"{"msgtype":"m.notice","body":"beep"}"#, BodyKind::Notice, "beep");
        check(r#"{"msgtype":"m.text","body":"x","formatted_body":17,"format":[]}"#, BodyKind::Text, "x");
    }

    #[test]
    fn pictures_and_unknown_kinds_say_what_they_are() {
        let check =
            |content: &str, text: &str| assert_eq!(said(content), Some((BodyKind::Text, text.to_owned())));
        check(r#"{"msgtype":"m.image","body":"cat.png","url":"mxc://x/y"}"#, "[image] cat.png");
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
        assert!(is_other(&event("m.room.encrypted", "", r#"{"algorithm":"m.megolm.v1.aes-sha2"}"#)));
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
}
