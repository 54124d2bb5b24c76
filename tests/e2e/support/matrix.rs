//! A small Matrix client for tests: one user, one access token, one sync position.
//!
//! It keeps every timeline event it has synced, so that a test can wait for one and count all afterwards.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::eventually;

/// A logged-in user.
pub struct MatrixUser {
    pub id: String,
    api: Api,
    since: Option<String>,
    events: Vec<RoomEvent>,
    /// Who typed, each time a room said so.
    typing: Vec<(String, Vec<String>)>,
    /// Rooms the user was invited to, and by whom.
    invitations: Vec<(String, String)>,
}

/// One event as it came down `/sync`, with the room it is in.
#[derive(Clone, Debug)]
pub struct RoomEvent {
    pub room: String,
    pub event: Value,
}

/// A chat message, flattened for comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub sender: String,
    pub kind: String,
    pub body: String,
}

/// A membership with the words that came with it.
#[derive(Clone, Debug)]
pub struct Membership {
    pub state: String,
    pub sender: String,
    pub reason: String,
}

impl MatrixUser {
    /// Makes an account through the homeserver's open registration.
    pub async fn register(homeserver: &str, name: &str) -> MatrixUser {
        let mut api = Api { client: http(), base: homeserver.to_owned(), token: String::new() };
        let body = json!({ "username": name, "password": name, "auth": { "type": "m.login.dummy" } });
        let answer = api.ok(Method::POST, "register", &body).await;
        api.token = text(&answer, "access_token");
        let mut user = MatrixUser {
            id: text(&answer, "user_id"),
            api,
            since: None,
            events: Vec::new(),
            typing: Vec::new(),
            invitations: Vec::new(),
        };
        user.sync(Duration::ZERO).await;
        user
    }

    /// Joins by alias or room id; gives the room id. Retries nothing: an alias must work the first time.
    pub async fn join(&self, room_or_alias: &str) -> String {
        let answer = self.api.ok(Method::POST, &format!("join/{}", escape(room_or_alias)), &json!({})).await;
        text(&answer, "room_id")
    }

    /// Asks the homeserver which room an alias points to; the homeserver asks the bridge if it does not know.
    pub async fn resolve(&self, alias: &str) -> Result<String, StatusCode> {
        let (status, body) =
            self.api.call(Method::GET, &format!("directory/room/{}", escape(alias)), &Value::Null).await;
        if status.is_success() { Ok(text(&body, "room_id")) } else { Err(status) }
    }

    /// Makes a room that anybody may join, as a human would who wants a channel in it.
    pub async fn create_public_room(&self, name: &str) -> String {
        let body = json!({ "preset": "public_chat", "name": name });
        text(&self.api.ok(Method::POST, "createRoom", &body).await, "room_id")
    }

    /// Makes a room for those who are invited, which says that it takes another one's place.
    pub async fn create_closed_successor(&self, of: &str) -> String {
        self.create_successor(of, "private_chat").await
    }

    /// Makes a room for anybody, in which nobody but this user has a level, and which says that it takes another one's place.
    pub async fn create_open_successor(&self, of: &str) -> String {
        self.create_successor(of, "public_chat").await
    }

    async fn create_successor(&self, of: &str, preset: &str) -> String {
        let predecessor = json!({ "predecessor": { "room_id": of } });
        let body = json!({ "preset": preset, "creation_content": predecessor });
        text(&self.api.ok(Method::POST, "createRoom", &body).await, "room_id")
    }

    /// Begins a direct chat, as clients do.
    pub async fn begin_direct_chat(&self, with: &str) -> String {
        let body = json!({ "preset": "trusted_private_chat", "is_direct": true, "invite": [with] });
        text(&self.api.ok(Method::POST, "createRoom", &body).await, "room_id")
    }

    pub async fn invite(&self, room: &str, user: &str) {
        let path = format!("rooms/{}/invite", escape(room));
        self.api.ok(Method::POST, &path, &json!({ "user_id": user })).await;
    }

    /// Syncs until somebody has invited this user; gives the room.
    pub async fn wait_invited_by(&mut self, who: &str, limit: Duration) -> String {
        self.wait_invitations_by(who, 1, limit).await
    }

    /// Syncs until somebody has invited this user so often; gives the room of the last time.
    pub async fn wait_invitations_by(&mut self, who: &str, count: usize, limit: Duration) -> String {
        let end = Instant::now() + limit;
        while self.invitations_by(who) < count {
            assert!(Instant::now() < end, "{} was not invited by {who}: {:?}", self.id, self.invitations);
            self.sync(Duration::from_secs(1)).await;
        }
        let theirs = self.invitations.iter().rfind(|(_, sender)| sender == who);
        theirs.map(|(room, _)| room.clone()).expect("there are some")
    }

    /// How often somebody has invited this user, as far as was synced.
    pub fn invitations_by(&self, who: &str) -> usize {
        self.invitations.iter().filter(|(_, sender)| sender == who).count()
    }

    /// The content of a state event with an empty key.
    pub async fn state(&self, room: &str, kind: &str) -> Value {
        self.api.ok(Method::GET, &format!("rooms/{}/state/{kind}/", escape(room)), &Value::Null).await
    }

    /// The contents of all state events of a kind, whatever their keys.
    pub async fn state_of_kind(&self, room: &str, kind: &str) -> Vec<Value> {
        let all = self.api.ok(Method::GET, &format!("rooms/{}/state", escape(room)), &Value::Null).await;
        let events = all.as_array().into_iter().flatten();
        events.filter(|event| event["type"] == kind).map(|event| event["content"].clone()).collect()
    }

    pub async fn text(&self, room: &str, body: &str) -> String {
        self.send(room, "m.text", body).await
    }

    pub async fn emote(&self, room: &str, body: &str) -> String {
        self.send(room, "m.emote", body).await
    }

    pub async fn notice(&self, room: &str, body: &str) -> String {
        self.send(room, "m.notice", body).await
    }

    pub async fn leave(&self, room: &str) {
        self.api.ok(Method::POST, &format!("rooms/{}/leave", escape(room)), &json!({})).await;
    }

    pub async fn set_display_name(&self, name: &str) {
        let path = format!("profile/{}/displayname", escape(&self.id));
        self.api.ok(Method::PUT, &path, &json!({ "displayname": name })).await;
    }

    /// Membership of `user` in `room` as this user may see it; `None` if there is none to see.
    pub async fn membership(&self, room: &str, user: &str) -> Option<Membership> {
        let path = format!("rooms/{}/state/m.room.member/{}?format=event", escape(room), escape(user));
        let (status, event) = self.api.call(Method::GET, &path, &Value::Null).await;
        let state = event["content"]["membership"].as_str().filter(|_| status.is_success())?;
        let reason = event["content"]["reason"].as_str().unwrap_or_default().to_owned();
        Some(Membership { state: state.to_owned(), sender: text(&event, "sender"), reason })
    }

    /// How many are joined to a room, this user among them.
    pub async fn joined_count(&self, room: &str) -> usize {
        let path = format!("rooms/{}/joined_members", escape(room));
        let (_, answer) = self.api.call(Method::GET, &path, &Value::Null).await;
        answer["joined"].as_object().map_or(0, serde_json::Map::len)
    }

    /// Waits until `user` has the membership `state` in `room`.
    pub async fn wait_membership(&self, room: &str, user: &str, state: &str, limit: Duration) -> Membership {
        eventually(&format!("{user} has membership {state}"), limit, || async {
            self.membership(room, user).await.filter(|m| m.state == state)
        })
        .await
    }

    /// Syncs until a message in `room` is what `wanted` says, and gives the first such one.
    pub async fn wait_message(
        &mut self,
        room: &str,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Message) -> bool,
    ) -> Message {
        self.wait_messages(room, what, limit, 1, wanted).await.swap_remove(0)
    }

    /// Syncs until `count` messages in `room` are what `wanted` says, and gives all that are.
    pub async fn wait_messages(
        &mut self,
        room: &str,
        what: &str,
        limit: Duration,
        count: usize,
        wanted: impl Fn(&Message) -> bool,
    ) -> Vec<Message> {
        let end = Instant::now() + limit;
        loop {
            let seen = self.messages(room);
            let found: Vec<Message> = seen.iter().filter(|m| wanted(m)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            assert!(
                Instant::now() < end,
                "{} did not get {what} within {limit:?}; it has {seen:#?}",
                self.id
            );
            self.sync(Duration::from_secs(1)).await;
        }
    }

    /// Waits for a text with exactly this body.
    pub async fn wait_body(&mut self, room: &str, body: &str, limit: Duration) -> Message {
        self.wait_message(room, &format!("{body:?}"), limit, |m| m.body == body).await
    }

    /// Syncs for `quiet`, so that what is still under way arrives.
    pub async fn drain(&mut self, quiet: Duration) {
        let end = Instant::now() + quiet;
        while Instant::now() < end {
            self.sync(Duration::from_millis(500)).await;
        }
    }

    /// Every message synced so far in `room`, in the room's order. Lines of a ghost that came as one event are messages of
    /// their own.
    pub fn messages(&self, room: &str) -> Vec<Message> {
        let events = self.events.iter().filter(|e| e.room == room && e.event["type"] == "m.room.message");
        events.flat_map(|e| Message::of(&e.event)).collect()
    }

    /// Every event synced so far in `room`, in the room's order.
    pub fn events(&self, room: &str) -> Vec<Value> {
        self.events.iter().filter(|e| e.room == room).map(|e| e.event.clone()).collect()
    }

    /// Syncs until an event in `room` is what `wanted` says.
    pub async fn wait_event(
        &mut self,
        room: &str,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) {
        let end = Instant::now() + limit;
        while !self.events(room).iter().any(&wanted) {
            assert!(Instant::now() < end, "{} did not get {what}: {:#?}", self.id, self.events(room));
            self.sync(Duration::from_secs(1)).await;
        }
    }

    /// Types in a room for half a minute, or no longer.
    pub async fn types(&self, room: &str, is_typing: bool) {
        let path = format!("rooms/{}/typing/{}", escape(room), escape(&self.id));
        self.api.ok(Method::PUT, &path, &json!({ "typing": is_typing, "timeout": 30_000 })).await;
    }

    /// Whether `who` was ever seen typing in a room.
    pub fn saw_typing(&self, room: &str, who: &str) -> bool {
        self.typing.iter().any(|(of, users)| of == room && users.iter().any(|user| user == who))
    }

    /// Syncs until `who` types in a room, or does not.
    pub async fn wait_typing(&mut self, room: &str, who: &str, is_typing: bool, limit: Duration) {
        let end = Instant::now() + limit;
        let types = |user: &Self| {
            let last = user.typing.iter().rfind(|(of, _)| of == room);
            last.is_some_and(|(_, users)| users.iter().any(|user| user == who))
        };
        while types(self) != is_typing {
            assert!(Instant::now() < end, "typing of {who} is not {is_typing}: {:?}", self.typing);
            self.sync(Duration::from_secs(1)).await;
        }
    }

    /// Sets the topic of a room, or is not allowed to.
    pub async fn set_topic(&self, room: &str, topic: &str) -> StatusCode {
        let path = format!("rooms/{}/state/m.room.topic", escape(room));
        self.api.call(Method::PUT, &path, &json!({ "topic": topic })).await.0
    }

    /// Waits until a room has this topic; "" for none.
    pub async fn wait_topic(&self, room: &str, topic: &str, limit: Duration) {
        self.wait_state(room, "m.room.topic", &format!("the topic {topic:?}"), limit, |content| {
            content["topic"].as_str().unwrap_or_default() == topic
        })
        .await;
    }

    /// Waits until a room names `user` with this level, or not at all.
    pub async fn wait_level(&self, room: &str, user: &str, level: Option<i64>, limit: Duration) {
        let what = format!("{user} with the level {level:?}");
        self.wait_state(room, "m.room.power_levels", &what, limit, |content| {
            content["users"].get(user).and_then(Value::as_i64) == level
        })
        .await;
    }

    /// Does something to somebody in a room (`kick`, `ban`, `unban`), or is not allowed to.
    pub async fn moderate(&self, room: &str, what: &str, who: &str, reason: &str) -> StatusCode {
        let path = format!("rooms/{}/{what}", escape(room));
        self.api.call(Method::POST, &path, &json!({ "user_id": who, "reason": reason })).await.0
    }

    /// Joins, or is not let in.
    pub async fn try_join(&self, room_or_alias: &str) -> StatusCode {
        self.api.call(Method::POST, &format!("join/{}", escape(room_or_alias)), &json!({})).await.0
    }

    /// Says something, or is not allowed to.
    pub async fn try_text(&self, room: &str, body: &str, txn: &str) -> StatusCode {
        let path = format!("rooms/{}/send/m.room.message/{txn}", escape(room));
        self.api.call(Method::PUT, &path, &json!({ "msgtype": "m.text", "body": body })).await.0
    }

    /// Says who may come into a room, or is not allowed to.
    pub async fn set_join_rule(&self, room: &str, rule: &str) -> StatusCode {
        let path = format!("rooms/{}/state/m.room.join_rules", escape(room));
        self.api.call(Method::PUT, &path, &json!({ "join_rule": rule })).await.0
    }

    /// Puts a room into the homeserver's directory.
    pub async fn list(&self, room: &str) {
        let path = format!("directory/list/room/{}", escape(room));
        self.api.ok(Method::PUT, &path, &json!({ "visibility": "public" })).await;
    }

    /// Waits until a room is not in the homeserver's directory.
    pub async fn wait_unlisted(&self, room: &str, limit: Duration) {
        let path = format!("directory/list/room/{}", escape(room));
        eventually(&format!("{room} is in no directory"), limit, || async {
            let (_, answer) = self.api.call(Method::GET, &path, &Value::Null).await;
            (answer["visibility"] == "private").then_some(())
        })
        .await;
    }

    /// Waits until a state event of a room is what `is_wanted` says.
    pub async fn wait_state(
        &self,
        room: &str,
        kind: &str,
        what: &str,
        limit: Duration,
        is_wanted: impl Fn(&Value) -> bool,
    ) {
        let path = format!("rooms/{}/state/{kind}", escape(room));
        eventually(&format!("{room} has {what}"), limit, || async {
            let (_, content) = self.api.call(Method::GET, &path, &Value::Null).await;
            is_wanted(&content).then_some(())
        })
        .await;
    }

    /// Waits until a room's state of this kind and key is what `is_wanted` says.
    pub async fn wait_state_at(
        &self,
        room: &str,
        (kind, key): (&str, &str),
        limit: Duration,
        is_wanted: impl Fn(&Value) -> bool,
    ) {
        let kind = format!("{kind}/{}", escape(key));
        self.wait_state(room, &kind, &format!("the wanted {kind}"), limit, is_wanted).await;
    }

    /// Sets state by hand.
    pub async fn put_state(&self, room: &str, kind: &str, content: &Value) {
        self.api.ok(Method::PUT, &format!("rooms/{}/state/{kind}", escape(room)), content).await;
    }

    /// Sets state with a key by hand; gives the event's id.
    pub async fn put_state_at(&self, room: &str, (kind, key): (&str, &str), content: &Value) -> String {
        let path = format!("rooms/{}/state/{kind}/{}", escape(room), escape(key));
        text(&self.api.ok(Method::PUT, &path, content).await, "event_id")
    }

    /// Replaces a room of the user's own by a new one, as clients do; gives the new one.
    pub async fn upgrade(&self, room: &str, version: &str) -> String {
        let path = format!("rooms/{}/upgrade", escape(room));
        text(&self.api.ok(Method::POST, &path, &json!({ "new_version": version })).await, "replacement_room")
    }

    /// Looks something up of other networks: `location/irc`, with these fields.
    pub async fn look_up(&self, what: &str, fields: &[(&str, &str)]) -> Value {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
        self.api.ok(Method::GET, &format!("thirdparty/{what}?{}", fields.join("&")), &Value::Null).await
    }

    /// The rooms that one network's list in the directory has.
    pub async fn listed(&self, network: &str) -> Vec<String> {
        let body = json!({ "third_party_instance_id": format!("bunraku|{network}") });
        let answer = self.api.ok(Method::POST, "publicRooms", &body).await;
        let rooms = answer["chunk"].as_array().cloned().unwrap_or_default();
        rooms.iter().map(|room| text(room, "room_id")).collect()
    }

    /// Lets only those with this power send such events in a room of the user's own.
    pub async fn allow(&self, room: &str, kind: &str, power: u64) {
        let path = format!("rooms/{}/state/m.room.power_levels", escape(room));
        let mut levels = self.api.ok(Method::GET, &path, &Value::Null).await;
        levels["events"][kind] = json!(power);
        self.api.ok(Method::PUT, &path, &levels).await;
    }

    /// Gives somebody a level in a room of the user's own.
    pub async fn give_level(&self, room: &str, who: &str, level: i64) {
        let path = format!("rooms/{}/state/m.room.power_levels", escape(room));
        let mut levels = self.api.ok(Method::GET, &path, &Value::Null).await;
        levels["users"][who] = json!(level);
        self.api.ok(Method::PUT, &path, &levels).await;
    }

    /// The bodies of what `sender` said in `room`, in the room's order.
    pub fn bodies_from(&self, room: &str, sender: &str) -> Vec<String> {
        self.messages(room).into_iter().filter(|m| m.sender == sender).map(|m| m.body).collect()
    }

    /// Says a text as a good client does: under one transaction id until the homeserver has answered with an event
    /// id. `None` when it has not after `limit`.
    pub async fn text_at_last(&self, room: &str, body: &str, limit: Duration) -> Option<String> {
        let (path, content) = (message_path(room), json!({ "msgtype": "m.text", "body": body }));
        let end = Instant::now() + limit;
        while Instant::now() < end {
            match self.api.attempt(Method::PUT, &path, &content).await {
                Ok((status, answer)) if status.is_success() => return Some(text(&answer, "event_id")),
                Ok((status, answer)) => {
                    assert!(status.is_server_error(), "PUT {path}: {status} {answer}");
                }
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        None
    }

    /// A place in the timeline of every room: now.
    pub async fn now(&mut self) -> String {
        self.sync(Duration::ZERO).await;
        self.since.clone().expect("a sync gives a place")
    }

    /// What is in a room's timeline behind `place`, with the place behind it; in the room's order. `None` when the
    /// homeserver does not answer.
    pub async fn timeline(&self, room: &str, place: &str) -> Option<(Vec<Value>, String)> {
        let (mut events, mut place) = (Vec::new(), place.to_owned());
        loop {
            let path = format!("rooms/{}/messages?dir=f&limit=1000&from={}", escape(room), escape(&place));
            let (status, answer) = self.api.attempt(Method::GET, &path, &Value::Null).await.ok()?;
            let chunk = answer["chunk"].as_array().filter(|_| status.is_success())?;
            let Some(end) = answer["end"].as_str().filter(|_| !chunk.is_empty()) else {
                return Some((events, place));
            };
            events.extend(chunk.iter().cloned());
            place = end.to_owned();
        }
    }

    /// Uploads a file; gives its `mxc` URI.
    pub async fn upload(&self, bytes: Vec<u8>) -> String {
        let url = format!("{}/_matrix/media/v3/upload", self.api.base);
        let request = self.api.client.post(url).bearer_auth(&self.api.token);
        let answer = request.header("content-type", "application/octet-stream").body(bytes).send().await;
        let answer = answer.expect("the homeserver answers").bytes().await.expect("a body");
        text(&serde_json::from_slice(&answer).expect("JSON"), "content_uri")
    }

    async fn send(&self, room: &str, kind: &str, body: &str) -> String {
        self.send_content(room, "m.room.message", &json!({ "msgtype": kind, "body": body })).await
    }

    /// Sends an event of any type; gives its id.
    pub async fn send_content(&self, room: &str, kind: &str, content: &Value) -> String {
        let path = message_path(room).replace("/send/m.room.message/", &format!("/send/{kind}/"));
        text(&self.api.ok(Method::PUT, &path, content).await, "event_id")
    }

    /// A token by which a server can be asked who this is, as clients send it on.
    pub async fn openid(&self) -> Value {
        let path = format!("user/{}/openid/request_token", self.id.replace('@', "%40").replace(':', "%3A"));
        self.api.ok(Method::POST, &path, &json!({})).await
    }

    /// Takes back an event.
    pub async fn redact(&self, room: &str, event: &str) {
        let path =
            message_path(room).replace("/send/m.room.message/", &format!("/redact/{}/", escape(event)));
        self.api.ok(Method::PUT, &path, &json!({})).await;
    }

    /// One `/sync`. A homeserver that is down for the moment is waited for by the caller's own limit.
    async fn sync(&mut self, timeout: Duration) {
        let filter = escape(r#"{"room":{"timeline":{"limit":1000}},"presence":{"types":[]}}"#);
        let mut path = format!("sync?filter={filter}&timeout={}", timeout.as_millis());
        if let Some(since) = &self.since {
            path.push_str(&format!("&since={}", escape(since)));
        }
        let answer = self.api.ok(Method::GET, &path, &Value::Null).await;
        self.since = Some(text(&answer, "next_batch"));
        for (room, value) in answer["rooms"]["invite"].as_object().into_iter().flatten() {
            let events = value["invite_state"]["events"].as_array().into_iter().flatten();
            let mut own =
                events.filter(|event| event["type"] == "m.room.member" && event["state_key"] == *self.id);
            if let Some(event) = own.next() {
                self.invitations.push((room.clone(), text(event, "sender")));
            }
        }
        for section in ["join", "leave"] {
            let Some(rooms) = answer["rooms"][section].as_object() else { continue };
            for (room, value) in rooms {
                let events = value["timeline"]["events"].as_array().cloned().unwrap_or_default();
                let fleeting = value["ephemeral"]["events"].as_array().cloned().unwrap_or_default();
                for typing in fleeting.iter().filter(|event| event["type"] == "m.typing") {
                    let users = typing["content"]["user_ids"].as_array().cloned().unwrap_or_default();
                    let users = users.iter().filter_map(|user| user.as_str().map(str::to_owned)).collect();
                    self.typing.push((room.clone(), users));
                }
                self.events.extend(events.into_iter().map(|event| RoomEvent { room: room.clone(), event }));
            }
        }
    }
}

impl Message {
    fn of(event: &Value) -> Vec<Message> {
        let (content, sender) = (&event["content"], text(event, "sender"));
        let (kind, body) = (text(content, "msgtype"), text(content, "body"));
        let bodies: Vec<&str> =
            if sender.starts_with("@irc_") { body.split('\n').collect() } else { vec![&body] };
        let message =
            |body: &str| Message { sender: sender.clone(), kind: kind.clone(), body: body.to_owned() };
        bodies.into_iter().map(message).collect()
    }
}

/// The HTTP side of one user.
struct Api {
    client: Client,
    base: String,
    token: String,
}

impl Api {
    async fn ok(&self, method: Method, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(method.clone(), path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {answer}");
        answer
    }

    async fn call(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        self.attempt(method.clone(), path, body).await.unwrap_or_else(|e| panic!("{method} {path}: {e}"))
    }

    async fn attempt(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<(StatusCode, Value), reqwest::Error> {
        let url = format!("{}/_matrix/client/v3/{path}", self.base);
        let mut request = self.client.request(method.clone(), &url).timeout(Duration::from_secs(90));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if method != Method::GET {
            request = request.json(body);
        }
        let answer = request.send().await?;
        let status = answer.status();
        // A body cut short is no answer.
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or(Value::Null)))
    }
}

/// Where to put a message; the transaction id is one of its own.
fn message_path(room: &str) -> String {
    static NEXT_TXN: AtomicU64 = AtomicU64::new(1);
    let txn = NEXT_TXN.fetch_add(1, Ordering::Relaxed);
    format!("rooms/{}/send/m.room.message/t{txn}", escape(room))
}

/// An HTTP client for plain loopback.
pub fn http() -> Client {
    static PROVIDER: Once = Once::new();
    // The client wants a TLS provider even where it never speaks TLS.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    Client::builder().no_proxy().build().expect("a plain HTTP client")
}

/// Percent-encodes one path segment or query value.
fn escape(segment: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    segment.bytes().map(|b| if keep(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
