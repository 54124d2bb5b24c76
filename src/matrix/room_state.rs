//! Sets what a room's state is to be, where it is not so: its topic, who may what, who may come in, and by which alias it is
//! found.
//!
//! What is there is read at that moment, and only what differs is changed: whatever else people have written into the same
//! event stays. Doing it twice is doing it once. In the moment between reading and writing somebody may write too; their
//! event comes to us, and it is compared again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::client::{Client, ClientError};
use crate::bridge::effect::{Door, JoinRule, Levels, Needs, Reach, RoomDoor, RoomPower, RoomTopic};
use crate::ids::{RoomAlias, RoomId, UserId};

/// Where a room of people's own remembers which levels the bridge gave: in the same event, so that both are always of one
/// moment, and nothing of it is lost with our database.
const GIVEN: &str = "org.bunraku.given";
const POWER_LEVELS: &str = "m.room.power_levels";
const TOPIC: &str = "m.room.topic";
const CANONICAL_ALIAS: &str = "m.room.canonical_alias";
const MESSAGE: &str = "m.room.message";
const JOIN_RULES: &str = "m.room.join_rules";
/// What a room's rule was before the bridge closed its door.
const BEFORE: &str = "org.bunraku.before";
const HISTORY: &str = "m.room.history_visibility";
/// Histories that are read by those who are there, or were invited, when something is said.
const FOR_MEMBERS: [&str; 2] = ["joined", "invited"];
/// Rules by which nobody comes in who is not invited.
const SHUT: [&str; 2] = ["invite", "private"];

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
    let there = levels(&content, &[], bot);
    if wanted.changes(&there).is_ok_and(|changes| changes.is_empty())
        && wanted.needs.changes(&there.needs, wanted.most).is_empty()
    {
        return Ok(());
    }
    let creators = client.creation(room).await?.creators;
    let there = levels(&content, &creators, bot);
    let (Ok(changes), Ok(needs)) = (wanted.changes(&there), wanted.new_needs(&there)) else {
        let words = "the bot may not change levels here".to_owned();
        return Err(ClientError::Forbidden { errcode: "M_FORBIDDEN".to_owned(), words });
    };
    if changes.is_empty() && needs.is_empty() {
        return Ok(());
    }
    need(&mut content, needs);
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

/// Lets in who might come before, or who is invited only. A rule that people made is kept in the event that takes its
/// place, so nothing else has to remember it; a room that somebody else closed is not opened.
pub async fn set_join_rule(client: &Client, room: &RoomId, wanted: JoinRule) -> Result<(), ClientError> {
    let there = client.state(room, JOIN_RULES).await?.unwrap_or_default();
    match join_rule(&there, wanted) {
        Some(content) => client.send_state(room, JOIN_RULES, "", &Value::Object(content)).await.map(drop),
        None => Ok(()),
    }
}

/// What `m.room.join_rules` has to say instead of what it says; `None` where it may stay.
fn join_rule(there: &Content, wanted: JoinRule) -> Option<Content> {
    // "invite" is what a room without the event has (client-server API, "m.room.join_rules").
    let rule =
        |content: &Content| content.get("join_rule").and_then(Value::as_str).unwrap_or("invite").to_owned();
    let is_shut = |content: &Content| SHUT.contains(&rule(content).as_str());
    let is_ours = there.contains_key(BEFORE);
    match wanted {
        JoinRule::Closed if is_shut(there) => None,
        JoinRule::Shared if is_shut(there) && is_ours => None,
        // Rooms that the bridge makes are open.
        JoinRule::Shared if is_shut(there) => Some(closed(&public())),
        JoinRule::Open if is_shut(there) => Some(public()),
        JoinRule::Open => None,
        JoinRule::Closed | JoinRule::Shared => {
            let mut before = there.clone();
            before.remove(BEFORE);
            Some(closed(&before))
        }
        JoinRule::AsBefore => {
            let before = there.get(BEFORE).and_then(Value::as_object)?;
            (rule(there) == "invite" && !is_shut(before)).then(|| before.clone())
        }
    }
}

fn closed(before: &Content) -> Content {
    [("join_rule".to_owned(), json!("invite")), (BEFORE.to_owned(), Value::Object(before.clone()))]
        .into_iter()
        .collect()
}

fn public() -> Content {
    [("join_rule".to_owned(), json!("public"))].into_iter().collect()
}

/// Whether somebody who may not speak in a room lacks no more than a level: people there have neither silenced them, nor
/// said who may send messages.
pub async fn is_heard(client: &Client, room: &RoomId, user: &UserId) -> Result<bool, ClientError> {
    let content = client.state(room, POWER_LEVELS).await?.unwrap_or_default();
    let is_silenced = people(&content, "users").get(user).is_some_and(|level| *level < 0);
    let events = content.get("events").and_then(Value::as_object);
    Ok(!is_silenced && events.is_none_or(|events| !events.contains_key(MESSAGE)))
}

/// Whether nobody reads what is said in a room who is not in it. With any other setting than these, who left or was removed can, too
/// (client-server API, "Room History Visibility").
pub async fn is_for_members(client: &Client, room: &RoomId) -> Result<bool, ClientError> {
    let content = client.state(room, HISTORY).await?.unwrap_or_default();
    let seen = content.get("history_visibility").and_then(Value::as_str);
    Ok(seen.is_some_and(|seen| FOR_MEMBERS.contains(&seen)))
}

/// Whether the bot may remove people from a room, those who have no level of their own at least. `creators` are those whom no
/// level binds.
pub async fn may_remove(client: &Client, room: &RoomId, creators: &[UserId]) -> Result<bool, ClientError> {
    let content = client.state(room, POWER_LEVELS).await?.unwrap_or_default();
    Ok(creators.contains(client.bot()) || removes(&content, client.bot()))
}

/// Whether people who never were in a room can read what is said there.
pub async fn is_for_all_the_world(client: &Client, room: &RoomId) -> Result<bool, ClientError> {
    let content = client.state(room, HISTORY).await?.unwrap_or_default();
    Ok(content.get("history_visibility").and_then(Value::as_str) == Some("world_readable"))
}

/// Whether somebody may change levels in a room, which is what it takes to have it bridged; else the level it takes.
/// `creators` are those whom no level binds.
pub async fn power_to_rule(
    client: &Client,
    room: &RoomId,
    creators: &[UserId],
    user: &UserId,
) -> Result<Result<(), i64>, ClientError> {
    let content = client.state(room, POWER_LEVELS).await?.unwrap_or_default();
    Ok(if creators.contains(user) { Ok(()) } else { rules(&content, user) })
}

fn rules(content: &Content, user: &UserId) -> Result<(), i64> {
    let there = levels(content, &[], user);
    match there.of_bot {
        Some(level) if level >= there.needed => Ok(()),
        Some(_) | None => Err(there.needed),
    }
}

fn removes(content: &Content, bot: &UserId) -> bool {
    let level_of = |key: &str| content.get(key).and_then(level);
    // "If there is no m.room.power_levels event …", and else: client-server API, "m.room.power_levels".
    let (needed, others) = (level_of("kick").unwrap_or(50), level_of("users_default").unwrap_or(0));
    let of_bot = people(content, "users").get(bot).copied().unwrap_or(others);
    of_bot >= needed && of_bot > others
}

/// Writes what it takes to do something.
fn need(content: &mut Content, needs: Needs) {
    if let Some(level) = needs.speak {
        content.insert("events_default".to_owned(), json!(level));
    }
    if let Some(level) = needs.topic {
        let events = content.entry("events").or_insert_with(|| json!({}));
        if !events.is_object() {
            *events = json!({});
        }
        events[TOPIC] = json!(level);
    }
}

/// What the event says of people's levels.
fn levels(content: &Content, creators: &[UserId], bot: &UserId) -> Levels {
    let (users, default) = (people(content, "users"), content.get("users_default").and_then(level));
    let users_default = default.unwrap_or(0);
    let of_bot = users.get(bot).copied().unwrap_or(users_default);
    let events = content.get("events").and_then(Value::as_object);
    let needed = events.and_then(|events| events.get(POWER_LEVELS)).or_else(|| content.get("state_default"));
    let of_state = || content.get("state_default").and_then(level).unwrap_or(50);
    let topic = events.and_then(|events| events.get(TOPIC)).and_then(level).unwrap_or_else(of_state);
    let speak = content.get("events_default").and_then(level).unwrap_or(0);
    let untouchable: BTreeSet<UserId> = creators.iter().chain([bot]).cloned().collect();
    Levels {
        users,
        users_default,
        of_bot: (!creators.contains(bot)).then_some(of_bot),
        needed: needed.and_then(level).unwrap_or(50),
        untouchable,
        given: people(content, GIVEN),
        needs: Needs { speak: Some(speak), topic: Some(topic) },
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

    #[test]
    fn the_bot_may_remove_people_by_its_level_and_never_those_who_have_the_same() {
        let cases = [
            (json!({}), false),
            (json!({ "users": { "@bot:hs": 50 } }), true),
            (json!({ "users": { "@bot:hs": "50" } }), true),
            (json!({ "users": { "@bot:hs": 49 } }), false),
            (json!({ "users": { "@bot:hs": 10 }, "kick": 10 }), true),
            (json!({ "users": { "@bot:hs": 50 }, "kick": 100 }), false),
            (json!({ "users": { "@bot:hs": 50 }, "users_default": 50 }), false),
            (json!({ "users": { "@ada:hs": 100 }, "users_default": 50 }), false),
        ];
        for (content, may) in cases {
            let content = content.as_object().expect("content");
            assert_eq!(removes(content, &user("bot")), may, "{content:?}");
        }
    }

    #[test]
    fn a_room_is_bridged_by_those_who_may_change_its_levels() {
        let cases = [
            (json!({}), Err(50)),
            (json!({ "users": { "@ada:hs": 50 } }), Ok(())),
            (json!({ "users": { "@ada:hs": "50" } }), Ok(())),
            (json!({ "users": { "@ada:hs": 49 } }), Err(50)),
            (json!({ "users_default": 60 }), Ok(())),
            (json!({ "users": { "@ada:hs": 50 }, "events": { "m.room.power_levels": 100 } }), Err(100)),
            (json!({ "users": { "@ada:hs": 50 }, "state_default": 75 }), Err(75)),
            (json!({ "users": { "@ada:hs": 10 }, "state_default": 10, "events": "none" }), Ok(())),
        ];
        for (content, may) in cases {
            let content = content.as_object().expect("content");
            assert_eq!(rules(content, &user("ada")), may, "{content:?}");
        }
    }

    #[tokio::test]
    async fn a_history_that_others_can_read_is_found() {
        for (seen, is_for_members) in
            [("joined", true), ("invited", true), ("shared", false), ("world_readable", false)]
        {
            let server = MockServer::start().await;
            let client = client(&server).await;
            has(&server, "m.room.history_visibility", says(json!({ "history_visibility": seen }))).await;
            assert_eq!(super::is_for_members(&client, &room()).await, Ok(is_for_members), "{seen}");
        }
    }

    #[tokio::test]
    async fn a_creator_may_remove_people_without_a_level() {
        let server = MockServer::start().await;
        let client = client(&server).await;
        let nothing = json!({ "errcode": "M_NOT_FOUND", "error": "no" });
        has(&server, "m.room.power_levels", ResponseTemplate::new(404).set_body_json(nothing)).await;
        assert!(may_remove(&client, &room(), &[user("bot")]).await.expect("an answer"));
        assert!(!may_remove(&client, &room(), &[user("ada")]).await.expect("an answer"));
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
    async fn what_it_takes_to_speak_goes_with_who_may_and_admins_have_the_last_word() {
        let server = MockServer::start().await;
        let client = client(&server).await;
        made(&server, "12").await;
        let now = json!({ "users": { "@bot:hs": 100, "@ada:hs": 50 }, "events": { "m.room.topic": 95, "m.room.name": 50 } });
        has(&server, "m.room.power_levels", says(now.clone())).await;
        let mut then = now;
        then["events_default"] = json!(1);
        gets(&server, "m.room.power_levels", then).await;
        let needs = Needs { speak: Some(1), topic: Some(0) };
        set_power(&client, &room(), &power(Reach::All).with_needs(needs)).await.expect("set");
        let needs = Needs { speak: Some(0), topic: None };
        set_power(&client, &room(), &power(Reach::All).with_needs(needs)).await.expect("nothing to do");
    }

    #[test]
    fn a_door_that_the_bridge_closed_is_opened_as_it_was() {
        let content = |value: Value| value.as_object().cloned().expect("an object");
        let restricted = content(json!({ "join_rule": "restricted", "allow": [{ "room_id": "!space" }] }));
        let closed = join_rule(&restricted, JoinRule::Closed).expect("closed");
        assert_eq!(closed["join_rule"], "invite");
        assert_eq!(join_rule(&closed, JoinRule::Closed), None, "once");
        assert_eq!(join_rule(&closed, JoinRule::AsBefore), Some(restricted));
        let open = content(json!({ "join_rule": "public" }));
        assert_eq!(join_rule(&open, JoinRule::AsBefore), None);
        for theirs in [json!({ "join_rule": "invite" }), json!({}), json!({ "join_rule": "private" })] {
            let theirs = content(theirs);
            assert_eq!(
                (join_rule(&theirs, JoinRule::Closed), join_rule(&theirs, JoinRule::AsBefore)),
                (None, None)
            );
        }
        let shut = content(json!({ "join_rule": "invite" }));
        let shared = join_rule(&shut, JoinRule::Shared).expect("the channel is closed as well");
        assert_eq!(join_rule(&shared, JoinRule::Shared), None, "once");
        assert_eq!(
            (join_rule(&shared, JoinRule::AsBefore), join_rule(&shut, JoinRule::Open)),
            (Some(open.clone()), Some(open.clone()))
        );
        assert_eq!(join_rule(&open, JoinRule::Open), None);
        let odd = content(json!({ "join_rule": "public", "org.bunraku.before": { "join_rule": "knock" } }));
        assert_eq!(join_rule(&odd, JoinRule::AsBefore), None, "somebody opened it meanwhile");
        let deep = join_rule(&odd, JoinRule::Closed).expect("closed");
        assert_eq!(deep["org.bunraku.before"], json!({ "join_rule": "public" }));
    }

    #[tokio::test]
    async fn who_was_silenced_is_not_heard() {
        let server = MockServer::start().await;
        let client = client(&server).await;
        let levels = json!({ "events_default": 1, "users": { "@eve:hs": -1, "@ada:hs": 0 } });
        has(&server, "m.room.power_levels", says(levels)).await;
        assert!(!is_heard(&client, &room(), &user("eve")).await.expect("an answer"));
        assert!(is_heard(&client, &room(), &user("ada")).await.expect("an answer"));
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
