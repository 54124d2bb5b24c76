//! The content of the events that the outbox sends: an `m.room.message` that says one relayed line, and the signs
//! on people's messages.
//!
//! Plain text only, and an empty `m.mentions`: a line from IRC never rings anybody, whatever it spells
//! (client-server API, "User and room mentions").

use serde::Serialize;
use serde_json::json;

use crate::bridge::effect::{Fate, Mark, Relay, Sign};
use crate::bridge::input::BodyKind;

#[derive(Serialize)]
struct Content<'a> {
    msgtype: &'static str,
    body: &'a str,
    #[serde(rename = "m.mentions")]
    mentions: Nobody,
    #[serde(rename = "m.relates_to", skip_serializing_if = "Option::is_none")]
    relates_to: Option<RelatesTo<'a>>,
}

#[derive(Serialize)]
struct Nobody {}

#[derive(Serialize)]
struct RelatesTo<'a> {
    #[serde(rename = "m.in_reply_to")]
    in_reply_to: InReplyTo<'a>,
}

#[derive(Serialize)]
struct InReplyTo<'a> {
    event_id: &'a str,
}

/// The JSON text that says this line.
pub(super) fn of_relay(relay: &Relay) -> String {
    let about =
        relay.about.as_ref().map(|event| RelatesTo { in_reply_to: InReplyTo { event_id: event.as_str() } });
    of_text(relay.kind, &relay.text, about)
}

/// The type of the event that makes this mark.
pub(super) fn mark_kind(sign: &Sign) -> &'static str {
    match sign {
        Sign::Reaction(_) => "m.reaction",
        Sign::Status { .. } => "com.beeper.message_send_status",
    }
}

/// The JSON text of the event that makes this mark.
pub(super) fn of_mark(mark: &Mark) -> String {
    let event = mark.event.as_str();
    let content = match &mark.sign {
        // Client-server API, "Event annotations and reactions".
        Sign::Reaction(key) => {
            json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": event, "key": key } })
        }
        Sign::Status { network, fate } => {
            let mut content = status_of(fate);
            content["m.relates_to"] = json!({ "rel_type": "m.reference", "event_id": event });
            content["network"] = json!(network.as_str());
            content
        }
    };
    content.to_string()
}

/// What clients know of such events: `status` decides what they show, `message` is for people, `reason` one of a
/// list. It is retriable: whether it is to be said again, its sender decides.
fn status_of(fate: &Fate) -> serde_json::Value {
    let failure = |reason: &str, words: &str| json!({ "status": "FAIL_RETRIABLE", "reason": reason, "error": words, "message": words });
    match fate {
        Fate::Delivered => json!({ "status": "SUCCESS" }),
        Fate::Failed(words) => failure("m.foreign_network_error", words),
        Fate::Expired(words) => failure("m.event_too_old", words),
    }
}

/// The JSON text of a notice in the bridge's own words.
pub(super) fn of_notice(text: &str) -> String {
    of_text(BodyKind::Notice, text, None)
}

fn of_text(kind: BodyKind, body: &str, relates_to: Option<RelatesTo<'_>>) -> String {
    let msgtype = match kind {
        BodyKind::Text => "m.text",
        BodyKind::Emote => "m.emote",
        BodyKind::Notice => "m.notice",
    };
    let content = Content { msgtype, body, mentions: Nobody {}, relates_to };
    serde_json::to_string(&content).expect("strings always serialise")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::effect::Speaker;
    use crate::ids::{EventId, NetworkId, RelaySeq, RoomId};

    #[test]
    fn a_mark_names_its_message() {
        let of = |sign: Sign| {
            let (room, event) = (RoomId::new("!r:s").unwrap(), EventId::new("$\"e").unwrap());
            let mark = Mark { seq: RelaySeq(1), room, event, sign };
            let content: serde_json::Value = serde_json::from_str(&of_mark(&mark)).unwrap();
            (mark_kind(&mark.sign), content)
        };
        let annotation = json!({ "rel_type": "m.annotation", "event_id": "$\"e", "key": "❌" });
        assert_eq!(of(Sign::Reaction("❌".into())), ("m.reaction", json!({ "m.relates_to": annotation })));

        let status = |fate| {
            let (kind, content) = of(Sign::Status { network: NetworkId::new("net").unwrap(), fate });
            assert_eq!(kind, "com.beeper.message_send_status");
            assert_eq!(content["m.relates_to"], json!({ "rel_type": "m.reference", "event_id": "$\"e" }));
            assert_eq!(content["network"], "net");
            ["status", "reason", "message"].map(|key| content[key].as_str().unwrap_or("-").to_owned())
        };
        assert_eq!(status(Fate::Delivered), ["SUCCESS", "-", "-"]);
        assert_eq!(status(Fate::Failed("no".into())), ["FAIL_RETRIABLE", "m.foreign_network_error", "no"]);
        assert_eq!(status(Fate::Expired("late".into())), ["FAIL_RETRIABLE", "m.event_too_old", "late"]);
    }

    #[test]
    fn a_line_is_plain_mentions_nobody_and_shows_what_it_answers() {
        let mut relay = Relay {
            seq: RelaySeq(1),
            room: RoomId::new("!r:s").unwrap(),
            speaker: Speaker::Bot,
            kind: BodyKind::Emote,
            text: "waves at @room <b>".into(),
            about: None,
        };
        assert_eq!(of_relay(&relay), r#"{"msgtype":"m.emote","body":"waves at @room <b>","m.mentions":{}}"#);
        relay.about = EventId::new("$e");
        assert!(of_relay(&relay).ends_with(r#","m.relates_to":{"m.in_reply_to":{"event_id":"$e"}}}"#));
    }
}
