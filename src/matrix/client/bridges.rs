//! Which other bridges a room says it has (MSC2346, and what came before it).

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Client, ClientError};
use crate::ids::{RoomId, UserId};

/// The names under which bridges say so. The last one is of bridges that took a room in before there was a proposal.
const KINDS: [&str; 3] = ["m.bridge", "uk.half-shot.bridge", "m.room.bridging"];
/// Letters of a bridge's name that are kept.
const NAME_CHARS_MAX: usize = 60;

#[derive(Deserialize)]
struct StateEvent {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    sender: String,
    #[serde(default)]
    content: Option<Box<RawValue>>,
}

impl Client {
    /// The name of another bridge that has this room, where its bot is still there: what it wrote stays when it is gone.
    pub async fn other_bridge(
        &self,
        room: &RoomId,
        is_there: impl Fn(&UserId) -> bool,
    ) -> Result<Option<String>, ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/state");
        let state: Vec<StateEvent> = self.get(url.acting_as(self.bot())).await?;
        Ok(state.iter().find_map(|event| other(event, self.bot(), &is_there)))
    }
}

fn other(event: &StateEvent, bot: &UserId, is_there: &impl Fn(&UserId) -> bool) -> Option<String> {
    if !KINDS.contains(&event.kind.as_str()) {
        return None;
    }
    let content: Map<String, Value> = serde_json::from_str(event.content.as_ref()?.get()).ok()?;
    if content.is_empty() {
        return None;
    }
    let named = content.get("bridgebot").and_then(Value::as_str).and_then(UserId::new);
    let who = named.or_else(|| UserId::new(&event.sender)).filter(|who| who != bot && is_there(who))?;
    let name = content.get("protocol").and_then(|protocol| protocol.get("displayname")?.as_str());
    let name: String =
        name.unwrap_or_default().chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    Some(if name.trim().is_empty() { who.to_string() } else { format!("{name} ({who})") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(event: Value) -> Option<String> {
        let event: StateEvent = serde_json::from_value(event).expect("an event");
        let bot = UserId::new("@bot:hs").expect("a user id");
        other(&event, &bot, &|user| user.as_str() != "@gone:hs")
    }

    #[test]
    fn a_bridge_counts_while_its_bot_is_there() {
        let event = |bot: &str| {
            let content = json!({ "bridgebot": bot, "protocol": { "displayname": "Slack\u{7}" } });
            json!({ "type": "m.bridge", "sender": "@ada:hs", "content": content })
        };
        assert_eq!(named(event("@slack:hs")).as_deref(), Some("Slack (@slack:hs)"));
        assert_eq!(named(event("@gone:hs")), None);
        assert_eq!(named(event("@bot:hs")), None, "that is us");
        let old =
            json!({ "type": "m.room.bridging", "sender": "@appservice:hs", "content": { "bridge": 1 } });
        assert_eq!(named(old).as_deref(), Some("@appservice:hs"));
    }

    #[test]
    fn content_of_any_kind_is_a_bridge_or_none() {
        for none in [
            json!({ "type": "m.bridge", "sender": "@x:hs", "content": {} }),
            json!({ "type": "m.bridge", "sender": "@x:hs", "content": [1] }),
            json!({ "type": "m.bridge", "sender": "nobody", "content": { "bridgebot": 5 } }),
            json!({ "type": "m.room.name", "sender": "@x:hs", "content": { "name": "x" } }),
            json!({}),
        ] {
            assert_eq!(named(none.clone()), None, "{none}");
        }
    }
}
