//! The content of an `m.room.message` that says one relayed line.
//!
//! Plain text only, and an empty `m.mentions`: a line from IRC never rings anybody, whatever it spells
//! (client-server API, "User and room mentions").

use serde::Serialize;

use crate::bridge::effect::Relay;
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
    use crate::ids::{EventId, RelaySeq, RoomId};

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
