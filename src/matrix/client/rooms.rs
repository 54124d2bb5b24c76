//! Rooms: making them, who is in them, what they are called.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::request::{understood, well_formed};
use super::{Client, ClientError};
use crate::bridge::effect::Listing;
use crate::bridge::input::Member;
use crate::ids::{RoomAlias, RoomId, UserId};

/// A portal room to be made by the bot.
#[derive(Clone, Debug)]
pub struct CreateRoom {
    /// The part of its alias between `#` and the homeserver's name.
    pub alias_localpart: String,
    pub name: String,
    pub topic: Option<String>,
    /// Users with all power besides the bot. In room version 12 and later nobody can ever take it from them.
    pub admins: Vec<UserId>,
    pub federation: Federation,
    /// The homeserver's default where `None`.
    pub room_version: Option<String>,
}

/// Whether users of other homeservers can come into a room; settled for its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Federation {
    Open,
    LocalOnly,
}

/// What a room is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Talk,
    Space,
}

#[derive(Deserialize)]
struct Room {
    room_id: String,
}

impl Client {
    /// Makes a room that anybody may join by its alias, that is in no directory, and that shows people only
    /// what was said while they were in it: that is so from its first event on. [`ClientError::Exists`] when the
    /// alias is another room's.
    ///
    /// The room gets its alias when it is complete. Synapse gives out an alias named at creation before the room's
    /// first event is there, and tells who joins at that moment that no server is in the room. Not safe to
    /// repeat: after [`ClientError::Unavailable`] there may be a room without an alias, which nobody will find.
    pub async fn create_room(&self, wanted: &CreateRoom) -> Result<RoomId, ClientError> {
        self.create(wanted, Kind::Talk).await
    }

    /// As [`create_room`](Self::create_room), of a space, in which nobody but those with power says anything.
    pub async fn create_space(&self, wanted: &CreateRoom) -> Result<RoomId, ClientError> {
        self.create(wanted, Kind::Space).await
    }

    async fn create(&self, wanted: &CreateRoom, kind: Kind) -> Result<RoomId, ClientError> {
        let version = match &wanted.room_version {
            Some(version) => version.clone(),
            None => self.default_room_version().await?,
        };
        let url = self.url("/v3/createRoom").acting_as(self.bot());
        let room = room_id(&self.post(url, &creation(wanted, kind, &version, self.bot())).await?)?;
        match self.name_room(&room, wanted).await {
            Ok(()) => Ok(room),
            Err(error) => {
                // Nobody knows of it. That we are still in it harms nobody either.
                self.leave(self.bot(), &room, None).await.ok();
                Err(error)
            }
        }
    }

    /// Gives a new room its alias, then makes that the one it is known by.
    async fn name_room(&self, room: &RoomId, wanted: &CreateRoom) -> Result<(), ClientError> {
        let alias = format!("#{}:{}", wanted.alias_localpart, self.server_name());
        let alias = well_formed(RoomAlias::new(&alias))?;
        self.add_alias(room, &alias).await?;
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/state/m.room.canonical_alias/");
        let content = json!({ "alias": alias.as_str() }).to_string();
        if let Err(error) = self.put(url.acting_as(self.bot()), content).await {
            tracing::warn!(%room, %alias, %error, "a room's main alias could not be set; it is joined by it all the same");
        }
        Ok(())
    }

    /// Makes the bridge's own room, which nobody else is in.
    pub async fn create_control_room(&self) -> Result<RoomId, ClientError> {
        let body = json!({
            "visibility": "private",
            "preset": "private_chat",
            "name": "bunraku",
            "creation_content": { "m.federate": false },
        });
        room_id(&self.post(self.url("/v3/createRoom").acting_as(self.bot()), &body).await?)
    }

    /// The room version the homeserver makes when none is named (`/capabilities`); asked until answered once.
    pub async fn default_room_version(&self) -> Result<String, ClientError> {
        let ask = || async {
            let answer: Value = self.get(self.url("/v3/capabilities").acting_as(self.bot())).await?;
            let version = answer["capabilities"]["m.room_versions"]["default"].as_str();
            // "If absent, version 1 is the default" (client-server API, capabilities).
            Ok(version.unwrap_or("1").to_owned())
        };
        self.inner.room_version.get_or_try_init(ask).await.cloned()
    }

    /// Joins a room as `user`; being in it already is fine.
    pub async fn join(&self, user: &UserId, room: &RoomId) -> Result<(), ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/join").acting_as(user);
        self.post(url, &json!({})).await.map(drop)
    }

    /// Joins a room that this homeserver may not know, through others that do.
    pub async fn join_through(
        &self,
        user: &UserId,
        room: &RoomId,
        servers: &[&str],
    ) -> Result<(), ClientError> {
        let mut url = self.url("/v3/join").segment(room.as_str()).acting_as(user);
        for server in servers {
            // The older name, too: a homeserver takes the one that it knows.
            url = url.query("via", server).query("server_name", server);
        }
        self.post(url, &json!({})).await.map(drop)
    }

    /// Joins the room with this alias as `user`.
    pub async fn join_alias(&self, user: &UserId, alias: &RoomAlias) -> Result<RoomId, ClientError> {
        let url = self.url("/v3/join").segment(alias.as_str()).acting_as(user);
        room_id(&self.post(url, &json!({})).await?)
    }

    /// Invites a user, as the bot. Somebody who is in the room already is [`ClientError::Forbidden`].
    pub async fn invite(&self, room: &RoomId, user: &UserId) -> Result<(), ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/invite").acting_as(self.bot());
        self.post(url, &json!({ "user_id": user.as_str() })).await.map(drop)
    }

    /// As [`invite`](Self::invite), with words for who is invited.
    pub async fn invite_because(&self, room: &RoomId, user: &UserId, why: &str) -> Result<(), ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/invite").acting_as(self.bot());
        self.post(url, &json!({ "user_id": user.as_str(), "reason": why })).await.map(drop)
    }

    /// Leaves a room as `user`.
    pub async fn leave(&self, user: &UserId, room: &RoomId, why: Option<&str>) -> Result<(), ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/leave").acting_as(user);
        let body = why.map_or_else(|| json!({}), |why| json!({ "reason": why }));
        self.post(url, &body).await.map(drop)
    }

    /// Shows that a user of ours types in a room, for so long; 0: no longer (client-server API, "Typing Notifications").
    pub async fn typing(&self, user: &UserId, room: &RoomId, for_ms: u64) -> Result<(), ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/typing").segment(user.as_str());
        let body = match for_ms {
            0 => json!({ "typing": false }),
            timeout => json!({ "typing": true, "timeout": timeout }),
        };
        self.put(url.acting_as(user), body.to_string()).await.map(drop)
    }

    /// Removes a user from a room, as the bot. Somebody who is not in it need not be removed.
    pub async fn kick(&self, room: &RoomId, user: &UserId, reason: &str) -> Result<(), ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/kick").acting_as(self.bot());
        let kicked = self.post(url, &json!({ "user_id": user.as_str(), "reason": reason })).await.map(drop);
        match kicked {
            // One code for those whom we may not remove and for those who are gone.
            Err(ClientError::Forbidden { .. }) if !self.may_be_in(room, user).await => Ok(()),
            kicked => kicked,
        }
    }

    /// False for somebody of whom the homeserver says that they are not in a room.
    async fn may_be_in(&self, room: &RoomId, user: &UserId) -> bool {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/state/m.room.member");
        let member: Result<Value, ClientError> =
            self.get(url.segment(user.as_str()).acting_as(self.bot())).await;
        match member {
            Ok(member) => !matches!(member["membership"].as_str(), Some("leave" | "ban")),
            Err(error) => error != ClientError::NotFound,
        }
    }

    /// Lifts the ban of a user, as the bot. [`ClientError::Forbidden`] where there is none, too.
    pub async fn unban(&self, room: &RoomId, user: &UserId) -> Result<(), ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/unban").acting_as(self.bot());
        self.post(url, &json!({ "user_id": user.as_str() })).await.map(drop)
    }

    /// Gives a room one more alias, as the bot. [`ClientError::Exists`] when the alias is taken, be it by
    /// this room.
    pub async fn add_alias(&self, room: &RoomId, alias: &RoomAlias) -> Result<(), ClientError> {
        let url = self.url("/v3/directory/room").segment(alias.as_str()).acting_as(self.bot());
        self.put(url, json!({ "room_id": room.as_str() }).to_string()).await.map(drop)
    }

    /// The aliases of a room on this homeserver, as the bot. One that could be nobody's is left out.
    pub async fn aliases(&self, room: &RoomId) -> Result<Vec<RoomAlias>, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            aliases: Vec<String>,
        }
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/aliases").acting_as(self.bot());
        let answer: Answer = self.get(url).await?;
        Ok(answer.aliases.iter().filter_map(|alias| RoomAlias::new(alias)).collect())
    }

    /// Takes an alias of ours away, as the bot; one that is not there is gone.
    pub async fn remove_alias(&self, alias: &RoomAlias) -> Result<(), ClientError> {
        let url = self.url("/v3/directory/room").segment(alias.as_str()).acting_as(self.bot());
        match self.delete(url).await {
            Err(ClientError::NotFound) => Ok(()),
            removed => removed.map(drop),
        }
    }

    /// Takes a room out of the homeserver's directory, as the bot.
    pub async fn unlist(&self, room: &RoomId) -> Result<(), ClientError> {
        let url = self.url("/v3/directory/list/room").segment(room.as_str()).acting_as(self.bot());
        self.put(url, json!({ "visibility": "private" }).to_string()).await.map(drop)
    }

    /// Puts a room into the list of one of our networks in the homeserver's directory, or takes it out (application
    /// service API, "Room directory").
    pub async fn list_room(&self, network: &str, room: &RoomId, listing: Listing) -> Result<(), ClientError> {
        let url = self.url("/v3/directory/list/appservice").segment(network).segment(room.as_str());
        let visibility = match listing {
            Listing::Public => "public",
            Listing::Private => "private",
        };
        self.put(url, json!({ "visibility": visibility }).to_string()).await.map(drop)
    }

    /// The room of an alias; [`ClientError::NotFound`] when there is none. For an alias of ours that has no
    /// room, the homeserver first asks *us* (`Host::alias_exists`), and waits for the answer.
    pub async fn resolve_alias(&self, alias: &RoomAlias) -> Result<RoomId, ClientError> {
        let answer: Room =
            self.get(self.url("/v3/directory/room").segment(alias.as_str()).acting_as(self.bot())).await?;
        well_formed(RoomId::new(&answer.room_id))
    }

    /// Who is joined to a room the bot is in. Users with ids that nobody could have are left out.
    pub async fn joined_members(&self, room: &RoomId) -> Result<Vec<Member>, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            joined: Map<String, Value>,
        }
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/joined_members").acting_as(self.bot());
        let answer: Answer = self.get(url).await?;
        let member = |(user, profile): (String, Value)| {
            let display_name =
                profile["display_name"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
            Some(Member { user: UserId::new(&user)?, display_name })
        };
        Ok(answer.joined.into_iter().filter_map(member).collect())
    }
}

pub(super) fn room_id(answer: &[u8]) -> Result<RoomId, ClientError> {
    well_formed(RoomId::new(&understood::<Room>(answer)?.room_id))
}

/// The body of `POST /createRoom`.
fn creation(wanted: &CreateRoom, kind: Kind, version: &str, bot: &UserId) -> Value {
    let mut creation_content = Map::new();
    if wanted.federation == Federation::LocalOnly {
        creation_content.insert("m.federate".to_owned(), json!(false));
    }
    let mut body = json!({
        "visibility": "private",
        "preset": "public_chat",
        "name": wanted.name,
        "room_version": version,
        "initial_state": [
            state("m.room.history_visibility", &json!({ "history_visibility": "joined" })),
            state("m.room.guest_access", &json!({ "guest_access": "forbidden" })),
        ],
    });
    if let Some(topic) = &wanted.topic {
        body["topic"] = json!(topic);
    }
    let admins: Vec<&str> = wanted.admins.iter().filter(|admin| *admin != bot).map(UserId::as_str).collect();
    match powers(version) {
        Powers::Creators if admins.is_empty() => {}
        Powers::Creators => {
            creation_content.insert("additional_creators".to_owned(), json!(admins));
        }
        Powers::Levels => {
            let users = admins.into_iter().chain([bot.as_str()]).map(|user| (user.to_owned(), json!(100)));
            body["power_level_content_override"] = json!({ "users": users.collect::<Map<_, _>>() });
        }
    }
    if kind == Kind::Space {
        creation_content.insert("type".to_owned(), json!("m.space"));
        body["power_level_content_override"]["events_default"] = json!(50);
    }
    body["creation_content"] = Value::Object(creation_content);
    body
}

pub(super) fn state(kind: &str, content: &Value) -> Value {
    json!({ "type": kind, "state_key": "", "content": content })
}

/// Where a room version writes who has all power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Powers {
    /// In `m.room.power_levels`, the creator too.
    Levels,
    /// In `m.room.create`; naming a creator in the power levels is an error (room version 12, MSC4289).
    Creators,
}

/// Numbered versions count; the one unstable name that became version 12 is known; other names are taken for old ones.
pub(super) fn powers(version: &str) -> Powers {
    let numbered = version.parse().is_ok_and(|number: u32| number >= 12);
    if numbered || version == "org.matrix.hydra.11" { Powers::Creators } else { Powers::Levels }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> CreateRoom {
        CreateRoom {
            alias_localpart: "irc_#rust".into(),
            name: "#rust".into(),
            topic: None,
            admins: vec![UserId::new("@op:lab.test").unwrap(), UserId::new("@ircbot:lab.test").unwrap()],
            federation: Federation::Open,
            room_version: None,
        }
    }

    #[test]
    fn the_bot_is_never_named_among_the_users_of_a_version_12_room() {
        let bot = UserId::new("@ircbot:lab.test").unwrap();
        let body = creation(&wanted(), Kind::Talk, "12", &bot);
        assert_eq!(body["creation_content"]["additional_creators"], json!(["@op:lab.test"]));
        assert_eq!(body.get("power_level_content_override"), None);
        let old = creation(&wanted(), Kind::Talk, "11", &bot);
        assert_eq!(
            old["power_level_content_override"]["users"],
            json!({"@op:lab.test": 100, "@ircbot:lab.test": 100})
        );
        assert_eq!(old["creation_content"], json!({}));
    }

    #[test]
    fn history_is_closed_before_anybody_can_come() {
        let bot = UserId::new("@ircbot:lab.test").unwrap();
        let wanted = CreateRoom { federation: Federation::LocalOnly, ..wanted() };
        let body = creation(&wanted, Kind::Talk, "12", &bot);
        assert_eq!(body["visibility"], "private");
        assert_eq!(body["initial_state"][0]["content"]["history_visibility"], "joined");
        assert_eq!(body["initial_state"][1]["content"]["guest_access"], "forbidden");
        assert_eq!(body["creation_content"]["m.federate"], false);
    }

    #[test]
    fn a_space_is_a_room_in_which_nobody_talks() {
        let bot = UserId::new("@ircbot:lab.test").unwrap();
        let body = creation(&wanted(), Kind::Space, "12", &bot);
        assert_eq!(body["creation_content"]["type"], "m.space");
        assert_eq!(body["power_level_content_override"], json!({ "events_default": 50 }));
        let old = creation(&wanted(), Kind::Space, "11", &bot);
        assert_eq!(old["power_level_content_override"]["users"]["@ircbot:lab.test"], 100);
    }
}
