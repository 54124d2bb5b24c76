//! Rules of policy lists, as they stand in a room's state (client-server API, "Moderation policy lists").

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Client, ClientError};
use crate::bridge::input::{About, PolicyList, PolicyRule, RuleKey};
use crate::ids::RoomId;

#[derive(Deserialize)]
struct StateEvent {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    state_key: String,
    #[serde(default)]
    content: Option<Box<RawValue>>,
}

impl Client {
    /// All rules that a room has, as the bot, who has to be in it.
    pub async fn policy_list(&self, room: &RoomId) -> Result<PolicyList, ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/state");
        let state: Vec<StateEvent> = self.get(url.acting_as(self.bot())).await?;
        let read = |event: StateEvent| {
            let about = About::of_kind(&event.kind)?;
            // One that nobody can read (nested too deep, no object) is no rule.
            let content: Map<String, Value> = serde_json::from_str(event.content?.get()).ok()?;
            Some((RuleKey { kind: event.kind, key: event.state_key }, rule(about, &content)?))
        };
        Ok(state.into_iter().filter_map(read).collect())
    }

    /// What stands in one place of a list now; `None` for no rule.
    pub async fn policy_rule(&self, room: &RoomId, key: &RuleKey) -> Result<Option<PolicyRule>, ClientError> {
        let Some(about) = About::of_kind(&key.kind) else { return Ok(None) };
        let content = self.state_at(room, &key.kind, &key.key).await?;
        Ok(content.and_then(|content| rule(about, &content)))
    }
}

fn rule(about: About, content: &Map<String, Value>) -> Option<PolicyRule> {
    let text = |field: &str| content.get(field).and_then(Value::as_str);
    PolicyRule::new(about, text("entity"), text("recommendation"), text("reason"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn content_of_any_kind_is_a_rule_or_none() {
        let read = |content: Value| rule(About::Person, content.as_object().expect("an object"));
        let good = json!({"entity": "@eve:hs", "recommendation": "m.ban", "reason": "spam"});
        assert_eq!(read(good).map(|rule| rule.reason), Some("spam".into()));
        for none in
            [json!({}), json!({"entity": 5, "recommendation": "m.ban"}), json!({"entity": ["@eve:hs"]})]
        {
            assert_eq!(read(none), None);
        }
    }
}
