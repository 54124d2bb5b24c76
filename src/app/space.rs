//! The space of a network: finds it, or makes it.
//!
//! It is known by its alias, so that one that was made before it could be remembered is found, and two starts at once make
//! one. A space that the bot is not in any more is given up, and another one takes its alias.

use std::sync::Arc;

use serde_json::{Value, json};

use super::network_task::NetworkTask;
use super::shell::Shell;
use crate::bridge::effect::{SpaceWish, WantedSpace};
use crate::bridge::input::Input;
use crate::bridge::network::Network;
use crate::bridge::policy::Policy;
use crate::ids::{NetworkId, RoomAlias, RoomId};
use crate::matrix::client::{Client, ClientError, CreateRoom, Federation};
use crate::store::StoreError;

const NAME: &str = "m.room.name";
const MEMBER: &str = "m.room.member";
/// The type of a room that is a space (client-server API, "Types").
const SPACE: &str = "m.space";

impl NetworkTask {
    /// Does what is wanted of the space.
    pub(super) async fn space(&self, wish: SpaceWish) {
        match wish {
            SpaceWish::Find(wanted) => self.find_space(wanted),
            SpaceWish::Forget => {
                let forgotten = self.shell.store.meta_set(&key(&self.id), "").await;
                self.note(forgotten, "a space could not be forgotten; it is emptied again at the next start");
            }
        }
    }

    fn find_space(&self, wanted: WantedSpace) {
        let room = CreateRoom {
            alias_localpart: wanted
                .alias
                .localpart(self.shell.client.server_name())
                .unwrap_or_default()
                .to_owned(),
            name: wanted.name.clone(),
            topic: None,
            admins: self.shell.admins.clone(),
            federation: if self.portals.federate { Federation::Open } else { Federation::LocalOnly },
            room_version: self.portals.room_version.clone(),
        };
        let (shell, inputs, network) = (Arc::clone(&self.shell), self.inputs.clone(), self.id.clone());
        self.shell.tasks.spawn(async move {
            let result = find(&shell.client, &wanted, &room).await;
            match &result {
                Ok(space) => remember_space(&shell, &network, space, &wanted).await,
                Err(error) => {
                    tracing::warn!(%network, alias = %wanted.alias, %error, "the network's space is neither found nor made");
                }
            }
            inputs.send(Input::SpaceFound(result.map_err(|error| error.to_string()))).await.ok();
        });
    }
}

/// Gives a machine the space of the last run.
pub(super) async fn remember(
    network: &mut Network,
    policy: &Policy,
    shell: &Shell,
) -> Result<(), StoreError> {
    let known = shell.store.meta_get(&key(&policy.network)).await?;
    if let Some(room) = known.and_then(|room| RoomId::new(&room)) {
        network.handle(shell.clock.now(), Input::Space(room));
    }
    Ok(())
}

fn key(network: &NetworkId) -> String {
    format!("space.{network}")
}

/// What is new of it; none of it keeps rooms out.
async fn remember_space(shell: &Shell, network: &NetworkId, space: &RoomId, wanted: &WantedSpace) {
    if wanted.known.as_ref() != Some(space) {
        tracing::info!(%network, %space, alias = %wanted.alias, "the network has a space");
        if let Err(error) = shell.store.meta_set(&key(network), space.as_str()).await {
            tracing::error!(%network, %error, "a space could not be remembered; its alias leads to it");
        }
    }
    let client = &shell.client;
    if let Err(error) = rename(client, space, &wanted.name).await {
        tracing::warn!(%network, %space, %error, "a space could not be given the network's name");
    }
    if let Err(error) = client.list_room(network.as_str(), space, wanted.listing).await {
        tracing::warn!(%network, %space, %error, "a space's place in the directory could not be set");
    }
}

async fn rename(client: &Client, space: &RoomId, name: &str) -> Result<(), ClientError> {
    let there = client.state(space, NAME).await?.unwrap_or_default();
    if there.get("name").and_then(Value::as_str) == Some(name) {
        return Ok(());
    }
    client.send_state(space, NAME, "", &json!({ "name": name })).await.map(drop)
}

async fn find(client: &Client, wanted: &WantedSpace, room: &CreateRoom) -> Result<RoomId, ClientError> {
    if let Some(known) = &wanted.known
        && is_ours(client, known).await?
    {
        return Ok(known.clone());
    }
    match by_alias(client, &wanted.alias).await? {
        Some(found) if is_ours(client, &found).await? => return Ok(found),
        Some(_) => client.remove_alias(&wanted.alias).await?,
        None => {}
    }
    match client.create_space(room).await {
        // Somebody was faster: another start of ours.
        Err(ClientError::Exists) => {
            let found = client.resolve_alias(&wanted.alias).await?;
            if is_ours(client, &found).await? { Ok(found) } else { Err(ClientError::Exists) }
        }
        made => made,
    }
}

async fn by_alias(client: &Client, alias: &RoomAlias) -> Result<Option<RoomId>, ClientError> {
    match client.resolve_alias(alias).await {
        Ok(room) => Ok(Some(room)),
        Err(ClientError::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// True for a space that the bot is in. Of a room that it has left a homeserver still tells what it was.
async fn is_ours(client: &Client, room: &RoomId) -> Result<bool, ClientError> {
    let lost = |error| match error {
        ClientError::Forbidden { .. } | ClientError::NotFound | ClientError::Refused { .. } => Ok(false),
        error => Err(error),
    };
    match client.state_at(room, MEMBER, client.bot().as_str()).await {
        Ok(Some(member)) if member.get("membership").and_then(Value::as_str) == Some("join") => {}
        Ok(_) => return Ok(false),
        Err(error) => return lost(error),
    }
    match client.creation(room).await {
        Ok(made) => Ok(made.kind.as_deref() == Some(SPACE)),
        Err(error) => lost(error),
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::bridge::effect::Listing;
    use crate::ids::UserId;
    use crate::matrix::Secret;
    use crate::matrix::client::ClientConfig;

    const ALIAS: &str = "/_matrix/client/v3/directory/room/%23irc_space%3Ahs";

    async fn found(server: &MockServer, known: Option<&str>) -> Result<RoomId, ClientError> {
        let client = Client::new(ClientConfig {
            homeserver_url: server.uri(),
            as_token: Secret::new("token"),
            appservice_id: "bunraku".into(),
            server_name: "hs".into(),
            bot: UserId::new("@bot:hs").expect("a user id"),
            device: "BUNRAKU".into(),
        })
        .expect("good");
        let wanted = WantedSpace {
            known: known.and_then(RoomId::new),
            alias: RoomAlias::new("#irc_space:hs").expect("an alias"),
            name: "Net".into(),
            listing: Listing::Private,
        };
        let room = CreateRoom {
            alias_localpart: "irc_space".into(),
            name: "Net".into(),
            topic: None,
            admins: Vec::new(),
            federation: Federation::Open,
            room_version: Some("11".into()),
        };
        find(&client, &wanted, &room).await
    }

    async fn answers(server: &MockServer, verb: &str, at: &str, status: u16, content: Value) {
        let answer = ResponseTemplate::new(status).set_body_json(content);
        Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(server).await;
    }

    /// A room that the bot is in, or was.
    async fn room(server: &MockServer, id: &str, membership: &str) {
        let at = |what: &str| format!("/_matrix/client/v3/rooms/{}/state/{what}", id.replace('!', "%21"));
        answers(server, "GET", &at("m.room.member/%40bot%3Ahs"), 200, json!({ "membership": membership }))
            .await;
        let made = json!({ "sender": "@bot:hs", "content": { "type": "m.space" } });
        answers(server, "GET", &at("m.room.create/"), 200, made).await;
    }

    async fn makes(server: &MockServer) {
        answers(server, "POST", "/_matrix/client/v3/createRoom", 200, json!({ "room_id": "!new" })).await;
        answers(server, "PUT", ALIAS, 200, json!({})).await;
        let main = "/_matrix/client/v3/rooms/%21new/state/m.room.canonical_alias/";
        answers(server, "PUT", main, 200, json!({ "event_id": "$e" })).await;
    }

    #[tokio::test]
    async fn a_space_that_is_there_stays() {
        let server = MockServer::start().await;
        room(&server, "!known", "join").await;
        assert_eq!(found(&server, Some("!known")).await, Ok(RoomId::new("!known").unwrap()));
    }

    #[tokio::test]
    async fn one_that_was_not_remembered_is_found_by_its_alias() {
        let server = MockServer::start().await;
        room(&server, "!made", "join").await;
        answers(&server, "GET", ALIAS, 200, json!({ "room_id": "!made", "servers": ["hs"] })).await;
        assert_eq!(found(&server, None).await, Ok(RoomId::new("!made").unwrap()));
    }

    #[tokio::test]
    async fn one_that_is_lost_is_made_anew() {
        let server = MockServer::start().await;
        room(&server, "!lost", "leave").await;
        answers(&server, "GET", ALIAS, 200, json!({ "room_id": "!lost", "servers": ["hs"] })).await;
        answers(&server, "DELETE", ALIAS, 200, json!({})).await;
        makes(&server).await;
        assert_eq!(found(&server, Some("!lost")).await, Ok(RoomId::new("!new").unwrap()));
    }

    #[tokio::test]
    async fn the_first_start_makes_one() {
        let server = MockServer::start().await;
        answers(&server, "GET", ALIAS, 404, json!({ "errcode": "M_NOT_FOUND", "error": "no" })).await;
        makes(&server).await;
        assert_eq!(found(&server, None).await, Ok(RoomId::new("!new").unwrap()));
    }

    #[tokio::test]
    async fn a_homeserver_that_is_busy_loses_no_space() {
        let server = MockServer::start().await;
        let at = "/_matrix/client/v3/rooms/%21known/state/m.room.member/%40bot%3Ahs";
        answers(&server, "GET", at, 503, json!({})).await;
        assert!(matches!(found(&server, Some("!known")).await, Err(ClientError::Unavailable(_))));
    }
}
