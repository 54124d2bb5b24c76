//! Sets what a room's state is to be, where it is not so: its topic, who may what, and by which alias it is found.
//!
//! What is there is read at that moment, and only what differs is changed: whatever else people have written into the same
//! event stays. Doing it twice is doing it once. In the moment between reading and writing somebody may write too; their
//! event comes to us, and it is compared again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::client::{Client, ClientError};
use crate::bridge::effect::{Door, Levels, Reach, RoomDoor, RoomPower, RoomTopic};
use crate::ids::{RoomAlias, RoomId, UserId};

/// Where a room of people's own remembers which levels the bridge gave: in the same event, so that both are always of one
/// moment, and nothing of it is lost with our database.
const GIVEN: &str = "org.bunraku.given";
const POWER_LEVELS: &str = "m.room.power_levels";
const TOPIC: &str = "m.room.topic";
const CANONICAL_ALIAS: &str = "m.room.canonical_alias";

type Content = Map<String, Value>;

/// Gives a room this topic.
pub async fn set_topic(client: &Client, room: &RoomId, wanted: &RoomTopic) -> Result<(), ClientError> {
    let there = client.state(room, TOPIC).await?.unwrap_or_default();
    let there = there.get("topic").and_then(Value::as_str).unwrap_or_default();
    if wanted.is_met_by(there) {
        return Ok(());
    }
    client.send_state(room, TOPIC, "", &json!({ "topic": wanted.text })).await.map(drop)
}

/// Gives people in a room these levels.
pub async fn set_power(client: &Client, room: &RoomId, wanted: &RoomPower) -> Result<(), ClientError> {
    // A room without the event would lose what it has by default; there is none.
    let mut content = client.state(room, POWER_LEVELS).await?.ok_or(ClientError::NotFound)?;
    let bot = client.bot();
    if wanted.changes(&levels(&content, &[], bot)).is_ok_and(|changes| changes.is_empty()) {
        return Ok(());
    }
    let creators = client.creation(room).await?.creators;
    let Ok(changes) = wanted.changes(&levels(&content, &creators, bot)) else {
        let words = "the bot may not change levels here".to_owned();
        return Err(ClientError::Forbidden { errcode: "M_FORBIDDEN".to_owned(), words });
    };
    if changes.is_empty() {
        return Ok(());
    }
    write(&mut content, "users", &changes);
    if wanted.reach == Reach::Given {
        write(&mut content, GIVEN, &changes);
    }
    client.send_state(room, POWER_LEVELS, "", &Value::Object(content)).await.map(drop)
}

/// Lets people outside find a room by its alias, or takes away every alias of ours that leads to it.
pub async fn set_door(client: &Client, room: &RoomId, wanted: &RoomDoor) -> Result<(), ClientError> {
    let mut names = client.state(room, CANONICAL_ALIAS).await?.unwrap_or_default();
    let main = names.get("alias").and_then(Value::as_str).and_then(RoomAlias::new);
    let changed = match (wanted.door, main) {
        (Door::Open, main) => {
            match client.add_alias(room, &wanted.alias).await {
                Ok(()) | Err(ClientError::Exists) => {}
                Err(error) => return Err(error),
            }
            main.is_none().then(|| names.insert("alias".to_owned(), json!(wanted.alias.as_str())))
        }
        (Door::Shut, main) => {
            let is_ours = |alias: &RoomAlias| wanted.is_ours(alias, client.server_name());
            for alias in client.aliases(room).await?.iter().filter(|alias| is_ours(alias)) {
                client.remove_alias(alias).await?;
            }
            client.unlist(room).await?;
            main.filter(is_ours).map(|_| names.remove("alias"))
        }
    };
    match changed {
        Some(_) => client.send_state(room, CANONICAL_ALIAS, "", &Value::Object(names)).await.map(drop),
        None => Ok(()),
    }
}

/// What the event says of people's levels.
fn levels(content: &Content, creators: &[UserId], bot: &UserId) -> Levels {
    let (users, default) = (people(content, "users"), content.get("users_default").and_then(level));
    let users_default = default.unwrap_or(0);
    let of_bot = users.get(bot).copied().unwrap_or(users_default);
    let events = content.get("events").and_then(Value::as_object);
    let needed = events.and_then(|events| events.get(POWER_LEVELS)).or_else(|| content.get("state_default"));
    let untouchable: BTreeSet<UserId> = creators.iter().chain([bot]).cloned().collect();
    Levels {
        users,
        users_default,
        of_bot: (!creators.contains(bot)).then_some(of_bot),
        needed: needed.and_then(level).unwrap_or(50),
        untouchable,
        given: people(content, GIVEN),
    }
}

fn people(content: &Content, key: &str) -> BTreeMap<UserId, i64> {
    let entries = content.get(key).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(user, value)| Some((UserId::new(user)?, level(value)?))).collect()
}

/// A level; rooms of versions before 10 may have it as text.
fn level(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn write(content: &mut Content, key: &str, changes: &BTreeMap<UserId, Option<i64>>) {
    let entries = content.entry(key).or_insert_with(|| json!({}));
    if !entries.is_object() {
        *entries = json!({});
    }
    let Some(entries) = entries.as_object_mut() else { return };
    for (user, level) in changes {
        match level {
            Some(level) => entries.insert(user.to_string(), json!(level)),
            None => entries.remove(user.as_str()),
        };
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{body_json, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::ids::NetworkId;
    use crate::matrix::Secret;
    use crate::matrix::client::ClientConfig;
    use crate::text::template::AliasTemplate;

    fn user(name: &str) -> UserId {
        UserId::new(&format!("@{name}:hs")).expect("a user id")
    }

    async fn client(server: &MockServer) -> Client {
        Client::new(ClientConfig {
            homeserver_url: server.uri(),
            as_token: Secret::new("token"),
            appservice_id: "bunraku".into(),
            server_name: "hs".into(),
            bot: user("bot"),
            device: "BUNRAKU".into(),
        })
        .expect("good")
    }

    fn room() -> RoomId {
        RoomId::new("!r").expect("a room id")
    }

    async fn has(server: &MockServer, kind: &str, answer: ResponseTemplate) {
        let place = path(format!("/_matrix/client/v3/rooms/%21r/state/{kind}"));
        Mock::given(method("GET")).and(place).respond_with(answer).mount(server).await;
    }

    /// Exactly one event of this content is to be written.
    async fn gets(server: &MockServer, kind: &str, content: Value) {
        let place = path(format!("/_matrix/client/v3/rooms/%21r/state/{kind}"));
        let answer = ResponseTemplate::new(200).set_body_json(json!({ "event_id": "$e" }));
        Mock::given(method("PUT"))
            .and(place)
            .and(body_json(content))
            .respond_with(answer)
            .expect(1)
            .mount(server)
            .await;
    }

    fn says(content: Value) -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_json(content)
    }

    fn topic(text: &str) -> RoomTopic {
        RoomTopic { text: text.into(), bytes_max: 300 }
    }

    fn power(reach: Reach) -> RoomPower {
        RoomPower::new([(user("ada"), 50), (user("maker"), 50)], 90, reach, |_| true)
    }

    #[tokio::test]
    async fn a_topic_is_set_only_where_it_is_another() {
        let server = MockServer::start().await;
        let client = client(&server).await;
        has(&server, "m.room.topic", says(json!({ "topic": "tea\nat five" }))).await;
        gets(&server, "m.room.topic", json!({ "topic": "coffee" })).await;
        set_topic(&client, &room(), &topic("tea at five")).await.expect("nothing to do");
        set_topic(&client, &room(), &topic("coffee")).await.expect("set");
    }

    #[tokio::test]
    async fn a_room_without_a_topic_gets_none_for_none() {
        let server = MockServer::start().await;
        let client = client(&server).await;
        let nothing = json!({ "errcode": "M_NOT_FOUND", "error": "no" });
        has(&server, "m.room.topic", ResponseTemplate::new(404).set_body_json(nothing)).await;
        gets(&server, "m.room.topic", json!({ "topic": "tea" })).await;
        set_topic(&client, &room(), &topic("")).await.expect("nothing to do");
        set_topic(&client, &room(), &topic("tea")).await.expect("set");
    }

    fn door(door: Door) -> RoomDoor {
        let aliases =
            AliasTemplate::new("#irc_$CHANNEL", &NetworkId::new("net").expect("an id")).expect("good");
        RoomDoor { door, alias: RoomAlias::new("#irc_#c:hs").expect("an alias"), aliases }
    }

    async fn takes(server: &MockServer, verb: &str, place: &str) {
        let answer = ResponseTemplate::new(200).set_body_json(json!({}));
        let place = path(format!("/_matrix/client/v3/{place}"));
        Mock::given(method(verb)).and(place).respond_with(answer).expect(1).mount(server).await;
    }

    #[tokio::test]
    async fn a_shut_door_takes_our_aliases_away_and_leaves_those_of_people() {
        let server = MockServer::start().await;
        let client = client(&server).await;
        let names = json!({ "alias": "#irc_#c:hs", "alt_aliases": ["#friends:hs"] });
        has(&server, "m.room.canonical_alias", says(names)).await;
        let aliases = json!({ "aliases": ["#irc_#c:hs", "#friends:hs", "#irc_#C:hs", "nothing"] });
        Mock::given(method("GET"))
            .and(path("/_matrix/client/v3/rooms/%21r/aliases"))
            .respond_with(says(aliases))
            .mount(&server)
            .await;
        takes(&server, "DELETE", "directory/room/%23irc_%23c%3Ahs").await;
        takes(&server, "DELETE", "directory/room/%23irc_%23C%3Ahs").await;
        takes(&server, "PUT", "directory/list/room/%21r").await;
        gets(&server, "m.room.canonical_alias", json!({ "alt_aliases": ["#friends:hs"] })).await;
        set_door(&client, &room(), &door(Door::Shut)).await.expect("shut");
    }

    #[tokio::test]
    async fn an_open_door_has_its_alias_and_is_known_by_it() {
        let server = MockServer::start().await;
        let client = client(&server).await;
        has(&server, "m.room.canonical_alias", says(json!({}))).await;
        takes(&server, "PUT", "directory/room/%23irc_%23c%3Ahs").await;
        gets(&server, "m.room.canonical_alias", json!({ "alias": "#irc_#c:hs" })).await;
        set_door(&client, &room(), &door(Door::Open)).await.expect("open");
    }

    #[tokio::test]
    async fn who_is_gone_need_not_be_removed() {
        let server = MockServer::start().await;
        let client = client(&server).await;
        let no = json!({ "errcode": "M_FORBIDDEN", "error": "not in the room, or too powerful" });
        Mock::given(method("POST"))
            .and(path("/_matrix/client/v3/rooms/%21r/kick"))
            .respond_with(ResponseTemplate::new(403).set_body_json(no))
            .mount(&server)
            .await;
        has(&server, "m.room.member/%40gone%3Ahs", says(json!({ "membership": "leave" }))).await;
        has(&server, "m.room.member/%40here%3Ahs", says(json!({ "membership": "join" }))).await;
        client.kick(&room(), &user("gone"), "unseen").await.expect("nothing to do");
        let error = client.kick(&room(), &user("here"), "unseen").await.expect_err("they are there");
        assert!(matches!(error, ClientError::Forbidden { .. }), "{error}");
    }

    async fn made(server: &MockServer, version: &str) {
        let event = json!({ "sender": "@maker:hs", "content": { "room_version": version } });
        has(server, "m.room.create/", says(event)).await;
    }

    #[tokio::test]
    async fn levels_change_and_all_else_that_people_wrote_stays() {
        let server = MockServer::start().await;
        let client = client(&server).await;
        made(&server, "12").await;
        let now = json!({
            "ban": 60, "events": { "m.room.topic": 10 }, "org.example": [1],
            "users": { "@bot:hs": 100, "@eve:hs": 50, "@admin:hs": 100, "no id": 3 },
        });
        has(&server, "m.room.power_levels", says(now.clone())).await;
        let mut then = now;
        then["users"] = json!({ "@bot:hs": 100, "@ada:hs": 50, "@admin:hs": 100, "no id": 3 });
        gets(&server, "m.room.power_levels", then).await;
        set_power(&client, &room(), &power(Reach::All)).await.expect("set");
    }

    #[tokio::test]
    async fn a_room_of_people_s_own_remembers_what_was_given() {
        let server = MockServer::start().await;
        let client = client(&server).await;
        made(&server, "11").await;
        let users = json!({ "@bot:hs": "100", "@maker:hs": 100, "@eve:hs": 50 });
        has(&server, "m.room.power_levels", says(json!({ "users": users }))).await;
        let then = json!({
            "users": { "@bot:hs": "100", "@maker:hs": 100, "@eve:hs": 50, "@ada:hs": 50 },
            "org.bunraku.given": { "@ada:hs": 50 },
        });
        gets(&server, "m.room.power_levels", then).await;
        set_power(&client, &room(), &power(Reach::Given)).await.expect("set");
    }

    #[tokio::test]
    async fn where_the_bot_may_not_nothing_is_tried() {
        let server = MockServer::start().await;
        let client = client(&server).await;
        made(&server, "11").await;
        has(&server, "m.room.power_levels", says(json!({ "users": { "@maker:hs": 100 } }))).await;
        let refused = set_power(&client, &room(), &power(Reach::Given)).await;
        assert!(matches!(refused, Err(ClientError::Forbidden { .. })), "{refused:?}");
    }
}
