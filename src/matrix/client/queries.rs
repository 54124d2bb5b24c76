//! Rooms of private chats: what a ghost does in its own name, because nobody else of ours is in them.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::rooms::{Powers, powers, room_id, state};
use super::{Client, ClientError, Federation};
use crate::bridge::input::Member;
use crate::ids::{RoomId, UserId};

/// The power of a ghost in its rooms.
const GHOST_POWER: i64 = 100;

/// A room for two to be made by a ghost.
#[derive(Clone, Debug)]
pub struct CreateQuery {
    pub ghost: UserId,
    pub user: UserId,
    pub federation: Federation,
    /// The homeserver's default where `None`.
    pub room_version: Option<String>,
}

impl Client {
    /// Makes a room for a ghost and a person, who is invited: without name, topic or alias, in no directory, and only the
    /// ghost may invite. Not safe to repeat: after [`ClientError::Unavailable`] there may be a room, and the homeserver
    /// tells us of its invitation.
    pub async fn create_query(&self, wanted: &CreateQuery) -> Result<RoomId, ClientError> {
        let version = match &wanted.room_version {
            Some(version) => version.clone(),
            None => self.default_room_version().await?,
        };
        let url = self.url("/v3/createRoom").acting_as(&wanted.ghost);
        room_id(&self.post(url, &creation(wanted, &version)).await?)
    }

    /// Invites a user in the name of a ghost that is in the room. Somebody who is in it already is
    /// [`ClientError::Forbidden`].
    pub async fn invite_as(&self, ghost: &UserId, room: &RoomId, user: &UserId) -> Result<(), ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/invite").acting_as(ghost);
        self.post(url, &json!({ "user_id": user.as_str() })).await.map(drop)
    }

    /// Who is in a room or invited, as `ghost`, which is in it, may see.
    pub async fn members_as(&self, ghost: &UserId, room: &RoomId) -> Result<Vec<Member>, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            chunk: Vec<Value>,
        }
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/members");
        let answer: Answer = self.get(url.query("not_membership", "leave").acting_as(ghost)).await?;
        Ok(answer.chunk.iter().filter_map(present).collect())
    }

    /// Gives `user` the power of a ghost, in the name of one that has it.
    pub async fn empower(&self, ghost: &UserId, room: &RoomId, user: &UserId) -> Result<(), ClientError> {
        let url = || {
            self.url("/v3/rooms").segment(room.as_str()).path("/state/m.room.power_levels/").acting_as(ghost)
        };
        let mut levels: Value = self.get(url()).await?;
        if !levels.is_object() {
            levels = json!({});
        }
        levels["users"][user.as_str()] = json!(GHOST_POWER);
        self.put(url(), levels.to_string()).await.map(drop)
    }
}

fn present(event: &Value) -> Option<Member> {
    let content = &event["content"];
    if !matches!(content["membership"].as_str()?, "join" | "invite") {
        return None;
    }
    let display_name = content["displayname"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    Some(Member { user: UserId::new(event["state_key"].as_str()?)?, display_name })
}

/// The body of `POST /createRoom`. Not `trusted_private_chat`: from room version 12 on it makes whoever is invited a
/// creator.
fn creation(wanted: &CreateQuery, version: &str) -> Value {
    let mut creation_content = Map::new();
    if wanted.federation == Federation::LocalOnly {
        creation_content.insert("m.federate".to_owned(), json!(false));
    }
    let mut levels = json!({
        "invite": GHOST_POWER,
        "state_default": GHOST_POWER,
        "events": { "m.room.encryption": GHOST_POWER, "m.room.history_visibility": GHOST_POWER },
    });
    if powers(version) == Powers::Levels {
        levels["users"] = json!({ wanted.ghost.as_str(): GHOST_POWER });
    }
    json!({
        "visibility": "private",
        "preset": "private_chat",
        "is_direct": true,
        "invite": [wanted.user.as_str()],
        "room_version": version,
        "creation_content": creation_content,
        "power_level_content_override": levels,
        "initial_state": [
            // Whoever is invited can read what is said until they come.
            state("m.room.history_visibility", &json!({ "history_visibility": "invited" })),
            state("m.room.guest_access", &json!({ "guest_access": "forbidden" })),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(federation: Federation) -> CreateQuery {
        let user = |id| UserId::new(id).unwrap();
        CreateQuery { ghost: user("@irc_eve:hs"), user: user("@ada:hs"), federation, room_version: None }
    }

    #[test]
    fn a_private_room_tells_nothing_and_lets_nobody_in() {
        let body = creation(&wanted(Federation::LocalOnly), "12");
        assert_eq!((&body["preset"], &body["visibility"]), (&json!("private_chat"), &json!("private")));
        assert_eq!((&body["invite"], &body["is_direct"]), (&json!(["@ada:hs"]), &json!(true)));
        assert_eq!(body["creation_content"], json!({ "m.federate": false }));
        assert_eq!(body["power_level_content_override"]["invite"], 100);
        assert_eq!(body["power_level_content_override"].get("users"), None, "creators are never named there");
        assert!(
            body.get("name").is_none()
                && body.get("topic").is_none()
                && body.get("room_alias_name").is_none()
        );
        let old = creation(&wanted(Federation::Open), "11");
        assert_eq!(old["power_level_content_override"]["users"], json!({ "@irc_eve:hs": 100 }));
        assert_eq!(old["creation_content"], json!({}));
    }

    #[test]
    fn who_left_or_is_banned_is_not_there() {
        let event =
            |id: &str, membership: &str| json!({ "state_key": id, "content": { "membership": membership } });
        let there = |event: Value| present(&event).map(|member| member.user.to_string());
        assert_eq!(there(event("@ada:hs", "join")).as_deref(), Some("@ada:hs"));
        assert_eq!(there(event("@bob:hs", "invite")).as_deref(), Some("@bob:hs"));
        assert_eq!(there(event("@eve:hs", "ban")), None);
        assert_eq!(there(json!({ "content": 7 })), None);
    }
}
