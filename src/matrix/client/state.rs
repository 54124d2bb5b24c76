//! State of a room: what its topic is, who may what, and who made it.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Client, ClientError};
use crate::ids::{RoomId, UserId};

/// Who made a room, and by which rules it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creation {
    /// Those whom no level binds (room version 12, MSC4289); in older versions nobody.
    pub creators: Vec<UserId>,
    /// The room whose place it takes, by its own word.
    pub predecessor: Option<RoomId>,
    /// What it is, where it is not for talk: a space, for example.
    pub kind: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    sender: Option<String>,
    #[serde(default)]
    content: Map<String, Value>,
}

impl Client {
    /// The content of a state event without a key; `None` where the room has none. As the bot, who has to be in the room.
    pub async fn state(&self, room: &RoomId, kind: &str) -> Result<Option<Map<String, Value>>, ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/state").segment(kind);
        there(self.get(url.acting_as(self.bot())).await)
    }

    /// The content of a state event with a key, as [`state`](Self::state).
    pub async fn state_at(
        &self,
        room: &RoomId,
        kind: &str,
        key: &str,
    ) -> Result<Option<Map<String, Value>>, ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/state").segment(kind).segment(key);
        there(self.get(url.acting_as(self.bot())).await)
    }

    /// Which room this one says it is replaced by, and who says so.
    pub async fn tombstone(&self, room: &RoomId) -> Result<Option<(RoomId, UserId)>, ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/state/m.room.tombstone/");
        let event: Option<Event> = match self.get(url.acting_as(self.bot()).query("format", "event")).await {
            Ok(event) => Some(event),
            Err(ClientError::NotFound) => None,
            Err(error) => return Err(error),
        };
        let read = |event: Event| {
            let to = RoomId::new(event.content.get("replacement_room")?.as_str()?)?;
            Some((to, UserId::new(event.sender.as_deref()?)?))
        };
        Ok(event.and_then(read))
    }

    /// Who made a room.
    pub async fn creation(&self, room: &RoomId) -> Result<Creation, ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/state/m.room.create/");
        // The content does not say who sent it.
        let event: Event = self.get(url.acting_as(self.bot()).query("format", "event")).await?;
        let predecessor = event.content.get("predecessor").and_then(|room| room.get("room_id")?.as_str());
        Ok(Creation {
            creators: creators(&event),
            predecessor: predecessor.and_then(RoomId::new),
            kind: event.content.get("type").and_then(Value::as_str).map(str::to_owned),
        })
    }
}

/// Content, where there is any.
fn there(answer: Result<Map<String, Value>, ClientError>) -> Result<Option<Map<String, Value>>, ClientError> {
    match answer {
        Ok(content) => Ok(Some(content)),
        Err(ClientError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

fn creators(event: &Event) -> Vec<UserId> {
    // "If not present, defaults to 1" (client-server API, "m.room.create").
    let version = event.content.get("room_version").and_then(Value::as_str).unwrap_or("1");
    if super::rooms::powers(version) == super::rooms::Powers::Levels {
        return Vec::new();
    }
    let additional = event.content.get("additional_creators").and_then(Value::as_array).into_iter().flatten();
    let additional = additional.filter_map(Value::as_str);
    event.sender.as_deref().into_iter().chain(additional).filter_map(UserId::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(event: &str) -> Vec<String> {
        let event: Event = serde_json::from_str(event).expect("an event");
        creators(&event).iter().map(UserId::to_string).collect()
    }

    #[test]
    fn since_version_12_those_who_made_a_room_are_above_all() {
        let content = r#""content":{"room_version":"12","additional_creators":["@b:hs",7,"no id"]}"#;
        assert_eq!(made(&format!(r#"{{"sender":"@a:hs",{content}}}"#)), ["@a:hs", "@b:hs"]);
        assert_eq!(made(&format!("{{{content}}}")), ["@b:hs"]);
        assert!(made(r#"{"sender":"@a:hs","content":{"room_version":"11"}}"#).is_empty());
        assert!(made(r#"{"sender":"@a:hs","content":{}}"#).is_empty());
    }
}
