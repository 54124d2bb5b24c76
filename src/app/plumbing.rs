//! Rooms that people bridge: what only the homeserver can say, and the pairing itself.
//!
//! ```text
//!   Plumb ─▶ looked at ─▶ the network ─▶ an operator says yes, perhaps days later ─▶ looked at once more ─▶ paired
//! ```
//!
//! It fails closed: what the homeserver does not say now is a reason not to do it, in words. A room that the bot went into
//! only to look is left again where nothing comes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::network_task::NetworkTask;
use super::routes::Way;
use super::shell::Shell;
use crate::bridge::errand::Errand;
use crate::bridge::errand::plumbing::Unplumbable;
use crate::bridge::input::{Input, Member, PortalOrigin, PortalRow};
use crate::bridge::policy::Policy;
use crate::ids::{NetworkId, RoomId, UserId};
use crate::matrix::client::{Client, ClientError};
use crate::matrix::room_state;
use crate::store::{Naming, Pairing, StoreError};

/// How long the homeserver may take for all that it is asked.
const LOOK_MAX: Duration = Duration::from_secs(60);
const ENCRYPTION: &str = "m.room.encryption";

/// What somebody has to be in a room for what they ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// In it.
    Joined(RoomId),
    /// In it, with the level for changing levels.
    Powerful(RoomId),
    /// That, and the room has to be fit to be bridged.
    Fit(RoomId),
}

impl Look {
    /// What is to be looked at before a network is asked this; `None`: nothing.
    pub(super) fn before(errand: &Errand) -> Option<Self> {
        match errand {
            Errand::Plumb { room, .. } => Some(Self::Fit(room.clone())),
            Errand::Unplumb { room, .. } => Some(Self::Powerful(room.clone())),
            Errand::Links { room: Some(room) } => Some(Self::Joined(room.clone())),
            Errand::Links { room: None }
            | Errand::Line(_)
            | Errand::Join { .. }
            | Errand::Part { .. }
            | Errand::Query { .. }
            | Errand::Nick(_)
            | Errand::Status
            | Errand::Quit { .. }
            | Errand::Reconnect
            | Errand::Stop
            | Errand::Retry
            | Errand::Portals { .. }
            | Errand::Users
            | Errand::Kill { .. }
            | Errand::Evict { .. }
            | Errand::Reap { .. }
            | Errand::Channel(_)
            | Errand::Active
            | Errand::Here(_)
            | Errand::Find(_)
            | Errand::Release(_)
            | Errand::Operators { .. }
            | Errand::Realname(_)
            | Errand::Ignore(_)
            | Errand::Mentions(_) => None,
        }
    }

    fn room(&self) -> &RoomId {
        match self {
            Self::Joined(room) | Self::Powerful(room) | Self::Fit(room) => room,
        }
    }
}

/// Looks at a room for somebody who asks something about it.
pub(super) async fn look(
    shell: &Shell,
    policy: &Policy,
    user: &UserId,
    wanted: &Look,
) -> Result<(), Unplumbable> {
    let looked = timeout(LOOK_MAX, looked(shell, policy, user, wanted)).await;
    looked.unwrap_or_else(|_| Err(silent())).map(drop)
}

async fn looked(
    shell: &Shell,
    policy: &Policy,
    user: &UserId,
    wanted: &Look,
) -> Result<Vec<Member>, Unplumbable> {
    let (client, room) = (&shell.client, wanted.room());
    let (members, is_new) = match client.joined_members(room).await {
        Ok(members) => (members, false),
        Err(ClientError::Forbidden { .. } | ClientError::NotFound) if matches!(wanted, Look::Fit(_)) => {
            client
                .join_through(client.bot(), room, &[user.server()])
                .await
                .map_err(|error| not_in(&error))?;
            (client.joined_members(room).await.map_err(|error| not_in(&error))?, true)
        }
        Err(error) => return Err(not_in(&error)),
    };
    let is_others = |user: &UserId| policy.directory.is_others(user);
    let judged = judge(client, user, wanted, (&members, &is_others)).await;
    let judged = judged.and_then(|()| known(shell, policy, wanted));
    if judged.is_err() && is_new {
        client.leave(client.bot(), room, Some("this room cannot be bridged now")).await.ok();
    }
    judged.map(|()| members)
}

/// What the bridge itself has the room for.
fn known(shell: &Shell, policy: &Policy, wanted: &Look) -> Result<(), Unplumbable> {
    let Look::Fit(room) = wanted else { return Ok(()) };
    if shell.admin.has(room) {
        return Err(unfit("it is somebody's admin room"));
    }
    if shell.routes.ways(room).is_some_and(|ways| ways.iter().any(|way| way.network != policy.network)) {
        return Err(unfit("it is bridged with a channel of another network"));
    }
    Ok(())
}

/// What the homeserver says of somebody and a room. `is_others` knows the ghosts of other bridges.
async fn judge(
    client: &Client,
    user: &UserId,
    wanted: &Look,
    (members, is_others): (&[Member], &impl Fn(&UserId) -> bool),
) -> Result<(), Unplumbable> {
    let room = wanted.room();
    if !members.iter().any(|member| member.user == *user) {
        return Err(Unplumbable::NotInRoom);
    }
    if matches!(wanted, Look::Joined(_)) {
        return Ok(());
    }
    let made = client.creation(room).await.map_err(|_| silent())?;
    let power = room_state::power_to_rule(client, room, &made.creators, user).await.map_err(|_| silent())?;
    power.map_err(|required| Unplumbable::NoPower { required })?;
    if matches!(wanted, Look::Powerful(_)) {
        return Ok(());
    }
    if made.kind.is_some() {
        return Err(unfit("it is a space, and nobody talks in one"));
    }
    if let Some((next, _)) = client.tombstone(room).await.map_err(|_| silent())? {
        return Err(unfit(&format!("it was replaced by {next}: ask there")));
    }
    if client.state(room, ENCRYPTION).await.map_err(|_| silent())?.is_some() {
        return Err(unfit("it is encrypted, and what is said on IRC cannot be"));
    }
    if room_state::is_for_all_the_world(client, room).await.map_err(|_| silent())? {
        let words = "anybody can read it without being in it: let its history be read by members only, then ask again";
        return Err(unfit(words));
    }
    let others = members.iter().find(|member| is_others(&member.user));
    if let Some(other) = others {
        return Err(Unplumbable::OtherBridge { name: other.user.to_string() });
    }
    let is_there = |user: &UserId| members.iter().any(|member| member.user == *user);
    match client.other_bridge(room, is_there).await.map_err(|_| silent())? {
        Some(name) => Err(Unplumbable::OtherBridge { name }),
        None => Ok(()),
    }
}

fn unfit(words: &str) -> Unplumbable {
    Unplumbable::Unfit { words: words.to_owned() }
}

fn silent() -> Unplumbable {
    unfit("the homeserver does not say now what room it is: try again in a minute")
}

fn not_in(error: &ClientError) -> Unplumbable {
    match error {
        ClientError::Forbidden { .. } | ClientError::NotFound | ClientError::Refused { .. } => {
            Unplumbable::NoRoom
        }
        ClientError::Limited { .. }
        | ClientError::Unavailable(_)
        | ClientError::Exists
        | ClientError::TooLarge
        | ClientError::WrongToken
        | ClientError::NoDevices(_)
        | ClientError::UnknownDevice => silent(),
    }
}

impl NetworkTask {
    /// Pairs a room with a channel whose operators allow it, if it is still fit for that.
    pub(super) fn plumb(&self, room: RoomId, channel: String, user: UserId) {
        let (shell, inputs) = (Arc::clone(&self.shell), self.inputs.clone());
        let policy = Arc::clone(&self.policy);
        self.shell.tasks.spawn(async move {
            let pairing = pair(&shell, &policy, &inputs, (&room, &channel), &user);
            let result = timeout(LOOK_MAX, pairing).await.unwrap_or_else(|_| Err(silent()));
            match &result {
                Ok(()) => tracing::info!(network = %policy.network, %room, channel, %user, "a room of people's own is bridged"),
                Err(why) => tracing::info!(network = %policy.network, %room, channel, ?why, "a room is not bridged"),
            }
            inputs.send(Input::Plumbed { room, channel, result }).await.ok();
        });
    }

    /// A room is bridged no more.
    pub(super) async fn drop_portal(&self, room: &RoomId) {
        tracing::info!(network = %self.id, %room, "a room is bridged no more");
        self.shell.routes.leave(room, &self.id);
        let removed = self.shell.store.portal_remove(&self.id, room).await;
        self.note(removed, "a portal could not be forgotten; it is back at the next start");
    }
}

/// In the order of `startup`: what is said from now on finds its way, and the list of members is taken after it.
async fn pair(
    shell: &Shell,
    policy: &Policy,
    inputs: &mpsc::Sender<Input>,
    (room, channel): (&RoomId, &str),
    user: &UserId,
) -> Result<(), Unplumbable> {
    looked(shell, policy, user, &Look::Fit(room.clone())).await?;
    let row = PortalRow { room: room.clone(), channel: channel.to_owned(), origin: PortalOrigin::Plumbed };
    match shell.store.portal_save(&policy.network, &row).await {
        Ok(()) => {}
        Err(StoreError::Refused(_)) => return Err(unfit("it is bridged with a channel of another network")),
        Err(error) => {
            tracing::error!(%room, %error, "a room could not be remembered, so it is not bridged");
            return Err(unfit("the bridge cannot remember it now: try again later"));
        }
    }
    let way = way(shell, &policy.network, room).await;
    inputs.send(Input::Portal(row)).await.ok();
    shell.routes.share(room.clone(), way);
    match shell.client.joined_members(room).await {
        Ok(members) => {
            inputs.send(Input::Members { room: room.clone(), members }).await.ok();
            Ok(())
        }
        // The machine ends the pairing: nobody knows who would read along.
        Err(_) => Err(silent()),
    }
}

async fn way(shell: &Shell, network: &NetworkId, room: &RoomId) -> Way {
    let pairing = shell.store.pairing(network, room).await.ok().flatten();
    let (since, naming) = match pairing {
        Some(Pairing { since, naming, .. }) => (since, naming),
        None => (shell.clock.now(), Naming::Plain),
    };
    Way { network: network.clone(), naming, since }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::matrix::Secret;
    use crate::matrix::client::ClientConfig;

    fn user(name: &str) -> UserId {
        UserId::new(&format!("@{name}:hs")).expect("a user id")
    }

    fn room() -> RoomId {
        RoomId::new("!r").expect("a room id")
    }

    /// A room that ada may have bridged.
    async fn good() -> MockServer {
        let server = MockServer::start().await;
        says(&server, "/m.room.create/", made("10")).await;
        says(&server, "/m.room.power_levels", json!({ "users": { "@ada:hs": 50 } })).await;
        server
    }

    fn made(version: &str) -> Value {
        json!({ "sender": "@maker:hs", "content": { "room_version": version } })
    }

    async fn says(server: &MockServer, kind: &str, content: Value) {
        let answer = ResponseTemplate::new(200).set_body_json(content);
        answers(server, kind, answer, 1).await;
    }

    /// All that is not said is not there; what is said later counts more by its priority.
    async fn answers(server: &MockServer, kind: &str, answer: ResponseTemplate, priority: u8) {
        let place = path(format!("/_matrix/client/v3/rooms/%21r/state{kind}"));
        Mock::given(method("GET"))
            .and(place)
            .respond_with(answer)
            .with_priority(priority)
            .mount(server)
            .await;
    }

    async fn judged(server: &MockServer, who: &str, wanted: Look) -> Result<(), Unplumbable> {
        says(server, "", json!([])).await;
        let nothing = json!({ "errcode": "M_NOT_FOUND", "error": "no" });
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(404).set_body_json(nothing))
            .with_priority(9)
            .mount(server)
            .await;
        let client = Client::new(ClientConfig {
            homeserver_url: server.uri(),
            as_token: Secret::new("token"),
            appservice_id: "bunraku".into(),
            server_name: "hs".into(),
            bot: user("bot"),
            device: "BUNRAKU".into(),
        })
        .expect("good");
        let member = |name: &str| Member { user: user(name), display_name: None };
        let members = ["ada", "maker", "slack_eve", "bot"].map(member);
        let is_others = |user: &UserId| user.localpart() == "telegram_bob";
        judge(&client, &user(who), &wanted, (&members, &is_others)).await
    }

    fn fit() -> Look {
        Look::Fit(room())
    }

    #[tokio::test]
    async fn a_room_is_bridged_by_who_is_in_it_and_has_the_level() {
        assert_eq!(judged(&good().await, "ada", fit()).await, Ok(()));
        assert_eq!(judged(&good().await, "eve", fit()).await, Err(Unplumbable::NotInRoom));
        assert_eq!(judged(&good().await, "eve", Look::Joined(room())).await, Err(Unplumbable::NotInRoom));
        let powerless = judged(&good().await, "slack_eve", Look::Powerful(room())).await;
        assert_eq!(powerless, Err(Unplumbable::NoPower { required: 50 }));
        assert_eq!(judged(&good().await, "slack_eve", Look::Joined(room())).await, Ok(()));
        // No level binds who made a room of version 12.
        let server = MockServer::start().await;
        says(&server, "/m.room.create/", made("12")).await;
        says(&server, "/m.room.power_levels", json!({ "events": { "m.room.power_levels": 150 } })).await;
        assert_eq!(judged(&server, "maker", fit()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_room_that_others_can_read_or_have_is_not_bridged() {
        let cases = [
            ("/m.room.encryption", json!({ "algorithm": "m.megolm.v1.aes-sha2" }), "encrypted"),
            (
                "/m.room.history_visibility",
                json!({ "history_visibility": "world_readable" }),
                "read it without",
            ),
            (
                "/m.room.tombstone/",
                json!({ "sender": "@ada:hs", "content": { "replacement_room": "!new:hs" } }),
                "replaced by !new:hs",
            ),
        ];
        for (kind, content, words) in cases {
            let server = good().await;
            says(&server, kind, content).await;
            let Err(Unplumbable::Unfit { words: why }) = judged(&server, "ada", fit()).await else {
                panic!("bridged in spite of {kind}");
            };
            assert!(why.contains(words), "{why}");
        }
        let server = good().await;
        let plate = json!({ "bridgebot": "@slack_eve:hs", "protocol": { "displayname": "Slack" } });
        says(&server, "", json!([{ "type": "m.bridge", "sender": "@x:hs", "content": plate }])).await;
        let other = judged(&server, "ada", fit()).await;
        assert_eq!(other, Err(Unplumbable::OtherBridge { name: "Slack (@slack_eve:hs)".into() }));
    }

    #[tokio::test]
    async fn what_the_homeserver_does_not_say_is_a_no() {
        for kind in
            ["/m.room.create/", "/m.room.power_levels", "/m.room.encryption", "/m.room.tombstone/", ""]
        {
            let server = MockServer::start().await;
            answers(&server, kind, ResponseTemplate::new(502), 1).await;
            for (other, content) in [
                ("/m.room.create/", made("10")),
                ("/m.room.power_levels", json!({ "users": { "@ada:hs": 50 } })),
            ] {
                let answer = ResponseTemplate::new(200).set_body_json(content);
                answers(&server, other, answer, 5).await;
            }
            let judged = judged(&server, "ada", fit()).await;
            assert_eq!(judged, Err(silent()), "{kind}");
        }
    }
}
