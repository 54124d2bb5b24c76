//! The content of the events that the outbox sends: an `m.room.message` that says one relayed line, and the signs
//! on people's messages.
//!
//! `m.mentions` is always there, and names whom the machine found to be named: a line from IRC rings nobody else,
//! whatever it spells, and never a whole room (client-server API, "User and room mentions").

use serde::Serialize;
use serde_json::json;

use crate::bridge::effect::{Fate, Mark, Redact, Relay, Sign, Speaker};
use crate::bridge::input::BodyKind;
use crate::ids::UserId;

#[derive(Serialize)]
struct Content<'a> {
    msgtype: &'static str,
    body: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    formatted_body: Option<&'a str>,
    #[serde(rename = "m.mentions")]
    mentions: Mentions<'a>,
    #[serde(rename = "m.relates_to", skip_serializing_if = "Option::is_none")]
    relates_to: Option<RelatesTo<'a>>,
}

#[derive(Serialize)]
struct Mentions<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    user_ids: Vec<&'a str>,
}

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
pub fn of_relay(relay: &Relay) -> String {
    let about =
        relay.about.as_ref().map(|event| RelatesTo { in_reply_to: InReplyTo { event_id: event.as_str() } });
    let (body, html) = (relay.text.as_str(), relay.html.as_deref());
    of_text(relay.kind, Body { body, html, mentions: &relay.mentions }, about)
}

/// What is sent as one event in place of several lines of one person in a row: their texts, a line each.
///
/// # Panics
/// When there are none.
pub(super) fn of_joined(relays: &[Relay]) -> String {
    let first = relays.first().expect("nothing is never joined");
    let about =
        first.about.as_ref().map(|event| RelatesTo { in_reply_to: InReplyTo { event_id: event.as_str() } });
    let body = relays.iter().map(|relay| relay.text.as_str()).collect::<Vec<_>>().join("\n");
    let is_formatted = relays.iter().any(|relay| relay.html.is_some());
    let html = is_formatted.then(|| relays.iter().map(html_of).collect::<Vec<_>>().join("<br>"));
    let mut mentions: Vec<UserId> = Vec::new();
    for user in relays.iter().flat_map(|relay| &relay.mentions) {
        if !mentions.contains(user) {
            mentions.push(user.clone());
        }
    }
    of_text(first.kind, Body { body: &body, html: html.as_deref(), mentions: &mentions }, about)
}

/// A line as the bot says it in the name of somebody who may not.
pub(super) fn quoted(relay: &Relay, nick: &str) -> Relay {
    let before = match relay.kind {
        BodyKind::Text | BodyKind::Notice => format!("<{nick}> "),
        BodyKind::Emote => format!("* {nick} "),
    };
    let kind = if relay.kind == BodyKind::Notice { BodyKind::Notice } else { BodyKind::Text };
    let html = relay.html.as_ref().map(|html| format!("{}{html}", escaped(&before)));
    Relay { speaker: Speaker::Bot, kind, text: format!("{before}{}", relay.text), html, ..relay.clone() }
}

/// A line's HTML, or its text as such.
fn html_of(relay: &Relay) -> String {
    relay.html.clone().unwrap_or_else(|| escaped(&relay.text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\n', "<br>")
}

/// The JSON text of a redaction.
pub fn of_redact(redact: &Redact) -> String {
    match &redact.reason {
        Some(reason) => json!({ "reason": reason }).to_string(),
        None => "{}".to_owned(),
    }
}

/// The type of the event that makes this mark.
pub fn mark_kind(sign: &Sign) -> &'static str {
    match sign {
        Sign::Reaction(_) => "m.reaction",
        Sign::Status { .. } => "com.beeper.message_send_status",
    }
}

/// The JSON text of the event that makes this mark.
pub fn of_mark(mark: &Mark) -> String {
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
    of_text(BodyKind::Notice, Body { body: text, html: None, mentions: &[] }, None)
}

/// The forms of a text.
struct Body<'a> {
    body: &'a str,
    html: Option<&'a str>,
    mentions: &'a [UserId],
}

fn of_text(kind: BodyKind, body: Body<'_>, relates_to: Option<RelatesTo<'_>>) -> String {
    let msgtype = match kind {
        BodyKind::Text => "m.text",
        BodyKind::Emote => "m.emote",
        BodyKind::Notice => "m.notice",
    };
    let content = Content {
        msgtype,
        body: body.body,
        format: body.html.map(|_| "org.matrix.custom.html"),
        formatted_body: body.html,
        mentions: Mentions { user_ids: body.mentions.iter().map(UserId::as_str).collect() },
        relates_to,
    };
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
            let mark = Mark { seq: RelaySeq(1), room, speaker: Speaker::Bot, event, sign };
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
        let room = RoomId::new("!r:s").unwrap();
        let text = "waves at @room <b>".into();
        let mut relay = Relay::plain(RelaySeq(1), room, Speaker::Bot, BodyKind::Emote, text);
        assert_eq!(of_relay(&relay), r#"{"msgtype":"m.emote","body":"waves at @room <b>","m.mentions":{}}"#);
        relay.about = EventId::new("$e");
        assert!(of_relay(&relay).ends_with(r#","m.relates_to":{"m.in_reply_to":{"event_id":"$e"}}}"#));
    }

    #[test]
    fn formatting_stands_beside_the_text_and_names_are_listed() {
        let room = RoomId::new("!r:s").unwrap();
        let mut relay = Relay::plain(RelaySeq(1), room, Speaker::Bot, BodyKind::Text, "hi ada".into());
        relay.html = Some("<b>hi</b> ada".into());
        relay.mentions = vec![UserId::new("@ada:s").unwrap()];
        let expected = r#"{"msgtype":"m.text","body":"hi ada","format":"org.matrix.custom.html","formatted_body":"<b>hi</b> ada","m.mentions":{"user_ids":["@ada:s"]}}"#;
        assert_eq!(of_relay(&relay), expected);
    }

    #[test]
    fn joined_lines_are_one_text_and_escape_what_had_no_formatting() {
        let room = RoomId::new("!r:s").unwrap();
        let plain = Relay::plain(RelaySeq(1), room, Speaker::Bot, BodyKind::Text, "a <b> & c".into());
        let ada = vec![UserId::new("@ada:s").unwrap()];
        let html = Relay { html: Some("<i>x</i>".into()), text: "x".into(), mentions: ada, ..plain.clone() };
        let alone: serde_json::Value =
            serde_json::from_str(&of_joined(&[plain.clone(), plain.clone()])).unwrap();
        assert_eq!((&alone["body"], alone.get("format")), (&json!("a <b> & c\na <b> & c"), None));
        let both: serde_json::Value = serde_json::from_str(&of_joined(&[plain, html.clone(), html])).unwrap();
        assert_eq!(both["body"], "a <b> & c\nx\nx");
        assert_eq!(both["formatted_body"], "a &lt;b&gt; &amp; c<br><i>x</i><br><i>x</i>");
        assert_eq!(both["m.mentions"], json!({ "user_ids": ["@ada:s"] }));
    }
}
