//! A transaction's body, taken apart without looking into its events.
//!
//! An event's text is kept as it came. One that is no object or names no usable event or room is left out and
//! counted; its neighbours live. Only a body that is no JSON, or holds no list of events, is refused: the
//! homeserver would send it again for ever, and everything after it would wait.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::ephemeral::{self, RoomTyping};
use crate::ids::{EventId, RoomId};

/// One event as the homeserver wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent {
    pub event_id: EventId,
    pub room_id: RoomId,
    /// The whole event, byte for byte.
    pub json: String,
}

/// The events of a transaction, in their order.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub(super) events: Vec<RawEvent>,
    pub(super) skipped: usize,
    pub(super) typing: Vec<RoomTyping>,
}

/// Why a body is no transaction.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("no list of events: {0}")]
    BadJson(String),
}

pub(super) fn parse(body: &[u8]) -> Result<Transaction, Broken> {
    let text = std::str::from_utf8(body).map_err(|error| Broken::NotJson(error.to_string()))?;
    if text.trim_start().starts_with('[') {
        // serde would take a list for a struct.
        return Err(match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Broken::BadJson("not an object".to_owned()),
            Err(error) => Broken::NotJson(error.to_string()),
        });
    }
    let outer: Outer<'_> = serde_json::from_str(text).map_err(|error| match error.classify() {
        Category::Data => Broken::BadJson(place(&error)),
        Category::Io | Category::Syntax | Category::Eof => Broken::NotJson(place(&error)),
    })?;
    let typing = outer.ephemeral.map(|list| ephemeral::typing(list.get())).unwrap_or_default();
    Ok(Transaction { typing, ..outer.events })
}

/// What of a body counts.
struct Outer<'a> {
    events: Transaction,
    ephemeral: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Events,
    Ephemeral,
    /// The same in a homeserver that knows it by its first name (MSC2409); some send both.
    #[serde(rename = "de.sorunome.msc2409.ephemeral")]
    EphemeralOnce,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Outer<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Body;
        impl<'de> Visitor<'de> for Body {
            type Value = Outer<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a transaction")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut body: A) -> Result<Outer<'de>, A::Error> {
                let (mut events, mut ephemeral) = (None, None);
                while let Some(key) = body.next_key()? {
                    match key {
                        Key::Events if events.is_some() => return Err(Error::duplicate_field("events")),
                        Key::Events => events = Some(body.next_value()?),
                        // Whatever stands there: nothing depends on it.
                        Key::Ephemeral | Key::EphemeralOnce => ephemeral = Some(body.next_value()?),
                        Key::Other => drop(body.next_value::<IgnoredAny>()?),
                    }
                }
                let events = events.ok_or_else(|| Error::missing_field("events"))?;
                Ok(Outer { events, ephemeral })
            }
        }
        deserializer.deserialize_map(Body)
    }
}

/// Where it went wrong; the error's own words may quote the body.
fn place(error: &serde_json::Error) -> String {
    format!("line {} column {}", error.line(), error.column())
}

impl<'de> Deserialize<'de> for Transaction {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Events;
        impl<'de> Visitor<'de> for Events {
            type Value = Transaction;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of events")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Transaction, A::Error> {
                let mut transaction = Transaction::default();
                while let Some(raw) = list.next_element::<&RawValue>()? {
                    match RawEvent::read(raw.get()) {
                        Some(event) => transaction.events.push(event),
                        None => transaction.skipped += 1,
                    }
                }
                Ok(transaction)
            }
        }
        deserializer.deserialize_seq(Events)
    }
}

impl RawEvent {
    /// One event's text; `None` when it is no object or names no usable event or room.
    pub fn read(json: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Ids {
            event_id: String,
            room_id: String,
        }
        if !json.starts_with('{') {
            return None;
        }
        let ids: Ids = serde_json::from_str(json).ok()?;
        let (event_id, room_id) = (EventId::new(&ids.event_id)?, RoomId::new(&ids.room_id)?);
        Some(Self { event_id, room_id, json: json.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_event_is_left_out_and_its_neighbours_live() {
        let long = format!(r#"{{"event_id":"${}","room_id":"!r"}}"#, "x".repeat(300));
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let body = format!(
            r#"{{"events":[{{"event_id":"$1","room_id":"!r","n":1e999 , "deep":{deep}}},7,null,"x",[],["$2","!r"],{{}},{long},
            {{"event_id":7,"room_id":"!r"}},{{"event_id":"$3"}},{{"event_id":"$a b","room_id":"!r"}},
            {{"event_id":"$4","room_id":"!r:s","content":{{"body":"\ud800"}}}}],"ephemeral":7}}"#
        );
        let transaction = parse(body.as_bytes()).expect("a transaction");
        let ids: Vec<_> = transaction.events.iter().map(|event| event.event_id.as_str()).collect();
        assert_eq!(ids, ["$1", "$4"]);
        assert_eq!(transaction.skipped, 10);
        assert!(transaction.events[0].json.contains("1e999 , "), "kept byte for byte");
    }

    #[test]
    fn only_a_body_without_a_list_of_events_is_refused() {
        let bad = |body: &[u8]| matches!(parse(body), Err(Broken::BadJson(_)));
        let not = |body: &[u8]| matches!(parse(body), Err(Broken::NotJson(_)));
        for body in [
            "{}",
            "[]",
            "[[]]",
            "7",
            "null",
            r#"{"events":{}}"#,
            r#"{"events":null}"#,
            r#"{"events":[],"events":[]}"#,
        ] {
            assert!(bad(body.as_bytes()), "{body}");
        }
        for body in ["", "{", "[", "x", r#"{"events":[}"#, r#"{"events":[]} x"#, r#"{"events":[{]}"#] {
            assert!(not(body.as_bytes()), "{body}");
        }
        assert!(not(b"{\"events\":[\"\xff\"]}"));
        assert_eq!(parse(br#" {"events":[]} "#).expect("empty is fine").events, []);
    }
}
