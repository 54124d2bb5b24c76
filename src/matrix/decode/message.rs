//! What people say: `m.room.message` and its neighbours, stickers and polls.
//!
//! An edit is read as what it puts in the place of the old text: its own body is for clients that know no edits. A
//! message that carries a file has the file as [`Media`](crate::bridge::media::Media), and its caption as text.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::media::{MediaContent, media};
use super::{Envelope, RelatesTo, event_id, name, number, object, poll, text};
use crate::bridge::input::{BodyKind, MatrixEvent, MessageBody, Relation};
use crate::bridge::media::MediaKind;
use crate::ids::{RoomId, UserId};

#[derive(Deserialize)]
struct MessageContent<'a> {
    #[serde(borrow)]
    msgtype: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    format: Option<&'a RawValue>,
    #[serde(borrow)]
    formatted_body: Option<&'a RawValue>,
    #[serde(borrow)]
    geo_uri: Option<&'a RawValue>,
    #[serde(borrow, rename = "m.relates_to")]
    relates_to: Option<&'a RawValue>,
    #[serde(borrow, rename = "m.new_content")]
    new_content: Option<&'a RawValue>,
}

pub(super) fn said(event: &Envelope<'_>, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    let raw = event.content?;
    let outer: MessageContent<'_> = object(raw.get())?;
    let relation = relation(outer.relates_to)?;
    let body = match &relation {
        Relation::Edit { .. } => {
            let inner = outer.new_content?;
            body(inner, &object(inner.get())?, Quotation::Perhaps)
        }
        Relation::Reply { .. } | Relation::Thread { .. } => body(raw, &outer, Quotation::Perhaps),
        Relation::None => body(raw, &outer, Quotation::None),
    };
    message(event, room, sender, body?, relation)
}

/// `m.sticker` (client-server API, "Sticker Messages").
pub(super) fn sticker(event: &Envelope<'_>, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    let raw = event.content?;
    let content: MessageContent<'_> = object(raw.get())?;
    let relation = relation(content.relates_to)?;
    let sticker: MediaContent<'_> = object(raw.get())?;
    let body = match media(MediaKind::Sticker, &sticker) {
        Some(media) => MessageBody { media: Some(Box::new(media)), ..MessageBody::plain(BodyKind::Text, "") },
        None => labelled("sticker", &text(content.body)?),
    };
    message(event, room, sender, body, relation)
}

/// A poll, stable or not (client-server API, "Polls"; MSC3381).
pub(super) fn poll(event: &Envelope<'_>, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    let raw = event.content?;
    let content: MessageContent<'_> = object(raw.get())?;
    let body = MessageBody::plain(BodyKind::Text, poll::words(raw)?);
    message(event, room, sender, body, relation(content.relates_to)?)
}

fn message(
    event: &Envelope<'_>,
    room: &RoomId,
    sender: &UserId,
    body: MessageBody,
    relation: Relation,
) -> Option<MatrixEvent> {
    Some(MatrixEvent::Message {
        room: room.clone(),
        event_id: event_id(event.event_id)?,
        sender: sender.clone(),
        body,
        relation,
        origin_ms: number(event.origin_server_ts).unwrap_or(0),
    })
}

/// `None` for an edit of nothing: it would say again what was said already.
fn relation(raw: Option<&RawValue>) -> Option<Relation> {
    #[derive(Deserialize)]
    struct InReplyTo<'a> {
        #[serde(borrow)]
        event_id: Option<&'a RawValue>,
    }
    let relation: RelatesTo<'_> = raw.and_then(|raw| object(raw.get())).unwrap_or_default();
    let about = event_id(relation.event_id);
    let answered = relation.in_reply_to.and_then(|raw| object::<InReplyTo<'_>>(raw.get()));
    let answered = answered.and_then(|reply| event_id(reply.event_id));
    Some(match (text(relation.rel_type).as_deref(), about, answered) {
        (Some("m.replace"), of, _) => Relation::Edit { of: of? },
        (Some("m.thread"), Some(root), to) => {
            let falls_back = relation.is_falling_back.is_some_and(|raw| raw.get().trim() == "true");
            Relation::Thread { root, to: to.filter(|_| !falls_back) }
        }
        (_, _, Some(to)) => Relation::Reply { to },
        (_, _, None) => Relation::None,
    })
}

/// Whether a text may begin with what older clients put before a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quotation {
    Perhaps,
    None,
}

/// What was said. An empty text says nothing; a file says that it is there.
fn body(raw: &RawValue, content: &MessageContent<'_>, quotation: Quotation) -> Option<MessageBody> {
    let (msgtype, written) = (name(content.msgtype)?, text(content.body)?);
    let said = match quotation {
        Quotation::Perhaps => without_reply_fallback(&written),
        Quotation::None => &written,
    };
    let html = (text(content.format).as_deref() == Some("org.matrix.custom.html"))
        .then(|| text(content.formatted_body).filter(|html| !html.is_empty()))
        .flatten();
    let chat = |kind| {
        let body = MessageBody { kind, text: said.to_owned(), html: html.clone(), media: None };
        (!said.is_empty() || html.is_some()).then_some(body)
    };
    let kind = match msgtype.as_str() {
        "m.text" => return chat(BodyKind::Text),
        "m.emote" => return chat(BodyKind::Emote),
        "m.notice" => return chat(BodyKind::Notice),
        // A step between two clients of one person; nobody says anything.
        "m.key.verification.request" => return None,
        "m.location" => return Some(location(said, content)),
        "m.image" => MediaKind::Image,
        "m.video" => MediaKind::Video,
        "m.audio" => MediaKind::Audio,
        "m.file" => MediaKind::File,
        other => return Some(labelled(other.strip_prefix("m.").unwrap_or(other), said)),
    };
    let file: MediaContent<'_> = object(raw.get())?;
    let kind = file.kind(kind);
    Some(match media(kind, &file) {
        Some(media) => {
            // Without a name of its own the body is the name (client-server API, "Media captions").
            let caption = file.filename().filter(|name| name != said).map_or("", |_| said);
            let html = html.filter(|_| !caption.is_empty());
            MessageBody { kind: BodyKind::Text, text: caption.to_owned(), html, media: Some(Box::new(media)) }
        }
        None => labelled(msgtype.strip_prefix("m.").unwrap_or(&msgtype), said),
    })
}

/// What is of no use to IRC says what it is, and its text.
fn labelled(what: &str, said: &str) -> MessageBody {
    MessageBody::plain(BodyKind::Text, format!("[{what}] {said}").trim_end())
}

/// A place, with a link that people can open: few IRC clients know what to do with `geo:` (RFC 5870).
fn location(said: &str, content: &MessageContent<'_>) -> MessageBody {
    let uri = text(content.geo_uri).unwrap_or_default();
    let words = if said.contains("geo:") { "" } else { said };
    let link = coordinates(&uri)
        .map(|(lat, lon)| format!("https://www.openstreetmap.org/?mlat={lat}&mlon={lon}#map=15/{lat}/{lon}"));
    match (words, link) {
        (_, None) => labelled("location", said),
        ("", Some(link)) => labelled("location", &link),
        (words, Some(link)) => labelled("location", &format!("{words} {link}")),
    }
}

/// Latitude and longitude of a `geo:` URI, both in decimal degrees.
fn coordinates(uri: &str) -> Option<(String, String)> {
    let place = uri.strip_prefix("geo:")?.split(';').next()?;
    let mut numbers = place.split(',').map(|number| number.trim().parse::<f64>().ok());
    let (lat, lon) = (numbers.next()??, numbers.next()??);
    let degrees = |number: f64| format!("{number:.5}").trim_end_matches('0').trim_end_matches('.').to_owned();
    (lat.abs() <= 90.0 && lon.abs() <= 180.0).then(|| (degrees(lat), degrees(lon)))
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
