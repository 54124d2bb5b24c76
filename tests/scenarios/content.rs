//! Events that are more than a line of text, from a story's words: decoded from JSON as the homeserver sends it.
//!
//! - `@ada sends in !r: {"msgtype":…}`, or `sends m.sticker in !r: {…}`
//! - `@ada replies to $e1 in !r: text`, `threads $e1 in !r: text`, `edits $e1 in !r: text`
//! - `@ada reacts 👍 to $e1 in !r`, `redacts $e1 in !r: why`, `encrypts in !r`

use bunraku::bridge::input::MatrixEvent;
use bunraku::ids::Time;
use bunraku::matrix::decode::decode;
use serde_json::{Value, json};

/// The event that `verb` and what follows make.
pub fn event(sender: &str, verb: &str, rest: &str, seq: i64, now: Time) -> MatrixEvent {
    let (before, rest) = rest.split_once("in !").expect("in ROOM");
    let (room, text) = rest.split_once(": ").unwrap_or((rest, ""));
    let words: Vec<&str> = before.split_whitespace().collect();
    let plain = |text: &str| json!({ "msgtype": "m.text", "body": text.replace("\\n", "\n") });
    let (kind, content) = match (verb, &words[..]) {
        ("sends", []) => ("m.room.message", serde_json::from_str(text).expect("JSON")),
        ("sends", [kind]) => (*kind, serde_json::from_str(text).expect("JSON")),
        ("replies", ["to", event]) => {
            let relation = json!({ "m.in_reply_to": { "event_id": event } });
            ("m.room.message", related(plain(text), relation))
        }
        ("threads", [event]) => {
            let relation = json!({ "rel_type": "m.thread", "event_id": event, "is_falling_back": true });
            ("m.room.message", related(plain(text), relation))
        }
        ("edits", [event]) => {
            let relation = json!({ "rel_type": "m.replace", "event_id": event });
            let mut content = related(plain(&format!("* {text}")), relation);
            content["m.new_content"] = plain(text);
            ("m.room.message", content)
        }
        ("reacts", [key, "to", event]) => {
            let relation = json!({ "rel_type": "m.annotation", "event_id": event, "key": key });
            ("m.reaction", related(json!({}), relation))
        }
        ("redacts", [event]) => ("m.room.redaction", json!({ "redacts": event, "reason": text })),
        ("encrypts", []) => ("m.room.encrypted", json!({ "algorithm": "m.megolm.v1.aes-sha2" })),
        _ => panic!("{sender} cannot {verb} {rest:?}"),
    };
    let sender = if sender.contains(':') { sender.to_owned() } else { format!("{sender}:hs") };
    let event = json!({
        "type": kind,
        "room_id": format!("!{room}"),
        "event_id": format!("$e{seq}"),
        "sender": sender,
        "origin_server_ts": now.0,
        "content": content,
    });
    decode(&event.to_string()).expect("an event")
}

fn related(mut content: Value, relation: Value) -> Value {
    content["m.relates_to"] = relation;
    content
}
