//! From an event's JSON text to what the machine understands.
//!
//! Never fails loudly: whatever cannot be understood is `MatrixEvent::Other`, which is settled and forgotten,
//! and only an event without a usable room or sender is `None`. The fields are taken one by one with
//! `serde_json` and not with ready-made event types, because those refuse a whole event for one wrong field
//! that nobody here reads; anybody in a room can send such an event. Content is left unparsed until its type
//! is known to matter, so that nesting of any depth costs nothing.
//!
//! Whether an event is state is told by the presence of `state_key`, never by its type.

mod media;
mod message;
mod poll;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::bridge::input::{Doorway, MatrixEvent, Member, Membership};
use crate::ids::{EventId, RoomId, UserId};

/// The longest text taken from one field, in bytes. Events end at 65,536 bytes, so a true one is never cut.
const TEXT_BYTES_MAX: usize = 65_536;

/// The longest name of a person, event type or message type taken, in bytes.
const NAME_BYTES_MAX: usize = 255;

/// The types of events that mean something to the machine: those that [`decode`] knows.
pub const KINDS: [&str; 12] = [
    "m.room.message",
    "m.sticker",
    "m.poll.start",
    "org.matrix.msc3381.poll.start",
    "m.reaction",
    "m.room.redaction",
    "m.room.encrypted",
    "m.room.member",
    "m.room.topic",
    "m.room.power_levels",
    "m.room.tombstone",
    "m.room.join_rules",
];

/// True for the types of events by which people say something.
pub fn is_message(kind: &str) -> bool {
    KINDS[..4].contains(&kind)
}

/// What this event is to the machine; `None` when it names no usable room or sender.
pub fn decode(json: &str) -> Option<MatrixEvent> {
    let event: Envelope<'_> = object(json)?;
    let room = RoomId::new(&text(event.room_id)?)?;
    let sender = UserId::new(&text(event.sender)?)?;
    let kind = name(event.kind).unwrap_or_default();
    let known = match (kind.as_str(), event.state_key) {
        ("m.room.message", None) => message::said(&event, &room, &sender),
        ("m.sticker", None) => message::sticker(&event, &room, &sender),
        ("m.poll.start" | "org.matrix.msc3381.poll.start", None) => message::poll(&event, &room, &sender),
        ("m.reaction", None) => reaction(&event, &room, &sender),
        ("m.room.redaction", None) => redaction(&event, &room, &sender),
        ("m.room.encrypted", None) => encrypted(&event, &room, &sender),
        ("m.room.member", Some(_)) => member(&event, &room, &sender),
        ("m.room.topic", Some(key)) => topic(&event, key, &room, &sender),
        ("m.room.power_levels", Some(key)) => power_levels(key, &room, &sender),
        ("m.room.tombstone", Some(key)) => tombstone(&event, key, &room, &sender),
        ("m.room.join_rules", Some(key)) => join_rules(&event, key, &room, &sender),
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
    /// Of a redaction in room versions before 11.
    #[serde(borrow)]
    redacts: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct MemberContent<'a> {
    #[serde(borrow)]
    membership: Option<&'a RawValue>,
    #[serde(borrow)]
    displayname: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
    #[serde(borrow)]
    is_direct: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct TopicContent<'a> {
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct JoinRulesContent<'a> {
    #[serde(borrow)]
    join_rule: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct TombstoneContent<'a> {
    #[serde(borrow)]
    replacement_room: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ReactionContent<'a> {
    #[serde(borrow, rename = "m.relates_to")]
    relates_to: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct RedactionContent<'a> {
    /// From room version 11 on.
    #[serde(borrow)]
    redacts: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<&'a RawValue>,
}

/// `m.relates_to` of any kind (client-server API, "Forming relationships between events").
#[derive(Default, Deserialize)]
struct RelatesTo<'a> {
    #[serde(borrow)]
    rel_type: Option<&'a RawValue>,
    #[serde(borrow)]
    event_id: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    is_falling_back: Option<&'a RawValue>,
    #[serde(borrow, rename = "m.in_reply_to")]
    in_reply_to: Option<&'a RawValue>,
}

/// `m.reaction` (client-server API, "Event annotations and reactions").
fn reaction(event: &Envelope<'_>, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    let content: ReactionContent<'_> = object(event.content?.get())?;
    let relation: RelatesTo<'_> = object(content.relates_to?.get())?;
    if text(relation.rel_type)? != "m.annotation" {
        return None;
    }
    let key = name(relation.key).filter(|key| !key.trim().is_empty())?;
    Some(MatrixEvent::Reaction {
        room: room.clone(),
        event_id: event_id(event.event_id)?,
        sender: sender.clone(),
        about: event_id(relation.event_id)?,
        key,
    })
}

fn redaction(event: &Envelope<'_>, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    let content: RedactionContent<'_> = event.content.and_then(|raw| object(raw.get())).unwrap_or_default();
    Some(MatrixEvent::Redaction {
        room: room.clone(),
        event_id: event_id(event.event_id)?,
        sender: sender.clone(),
        redacts: event_id(event.redacts).or_else(|| event_id(content.redacts))?,
        reason: text(content.reason),
    })
}

fn encrypted(event: &Envelope<'_>, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    let event_id = event_id(event.event_id)?;
    Some(MatrixEvent::Encrypted { room: room.clone(), event_id, sender: sender.clone() })
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
        is_direct: content.is_direct.is_some_and(|raw| raw.get() == "true"),
    })
}

/// Of state that a room has once, the key is empty (client-server API, "m.room.topic"); anything else is another's.
fn is_only(key: &RawValue) -> bool {
    text(Some(key)).is_some_and(|key| key.is_empty())
}

fn topic(event: &Envelope<'_>, key: &RawValue, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    let content: TopicContent<'_> = event.content.and_then(|raw| object(raw.get())).unwrap_or_default();
    is_only(key).then_some(MatrixEvent::Topic {
        room: room.clone(),
        event_id: event_id(event.event_id)?,
        sender: sender.clone(),
        topic: text(content.topic).unwrap_or_default(),
    })
}

fn power_levels(key: &RawValue, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    is_only(key).then(|| MatrixEvent::PowerLevels { room: room.clone(), sender: sender.clone() })
}

/// Only one that names a room; a room that is closed without another one is closed, and that is all.
fn tombstone(event: &Envelope<'_>, key: &RawValue, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    let content: TombstoneContent<'_> = object(event.content?.get())?;
    let to = RoomId::new(&text(content.replacement_room)?)?;
    is_only(key).then(|| MatrixEvent::Tombstone { room: room.clone(), sender: sender.clone(), to })
}

/// What is no rule that we know lets in who is invited, as homeservers have it (client-server API, "m.room.join_rules").
fn join_rules(event: &Envelope<'_>, key: &RawValue, room: &RoomId, sender: &UserId) -> Option<MatrixEvent> {
    let content: JoinRulesContent<'_> = event.content.and_then(|raw| object(raw.get())).unwrap_or_default();
    let door = match name(content.join_rule).unwrap_or_default().as_str() {
        "public" | "knock" | "restricted" | "knock_restricted" => Doorway::Open,
        _ => Doorway::Shut,
    };
    is_only(key).then_some(MatrixEvent::JoinRules {
        room: room.clone(),
        event_id: event_id(event.event_id)?,
        sender: sender.clone(),
        door,
    })
}

/// A JSON object as `T`. Told from an array by its first character: serde takes an array for a struct too.
fn object<'a, T: Deserialize<'a>>(json: &'a str) -> Option<T> {
    let json = json.trim_start();
    json.starts_with('{').then(|| serde_json::from_str(json).ok())?
}

/// The first of a JSON array's elements, at most `count_max` of them; none for anything that is no array.
fn elements(raw: Option<&RawValue>, count_max: usize) -> Vec<&RawValue> {
    let mut elements: Vec<&RawValue> =
        raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
    elements.truncate(count_max);
    elements
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

fn event_id(raw: Option<&RawValue>) -> Option<EventId> {
    EventId::new(&text(raw)?)
}

/// A field's number, when it is a whole one and not negative.
fn number(raw: Option<&RawValue>) -> Option<u64> {
    serde_json::from_str(raw?.get()).ok()
}
