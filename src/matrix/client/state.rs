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
        match self.get(url.acting_as(self.bot())).await {
            Ok(content) => Ok(Some(content)),
            Err(ClientError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Who made a room.
    pub async fn creation(&self, room: &RoomId) -> Result<Creation, ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/state/m.room.create/");
        // The content does not say who sent it.
        let event: Event = self.get(url.acting_as(self.bot()).query("format", "event")).await?;
        Ok(Creation { creators: creators(&event) })
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
