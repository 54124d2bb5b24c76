//! The models behave: what the other tests and the benches lean on is itself proven, over raw sockets.

#[path = "models/irc.rs"]
mod irc;
mod model;

use std::time::Duration;

use model::homeserver::{Echo, Fault, FaultKind, Homeserver, JoinRule, Settings as HomeserverSettings};
use model::http::{Answer, Client};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(10);
const ROOM: &str = "!r:model.test";

/// A plain client of the model homeserver, in the application service's name.
struct Bridge(Client);

impl Bridge {
    async fn call(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let answer = self.try_call(method, path, body).await.expect("the model answers");
        (answer.status, serde_json::from_slice(&answer.body).expect("the model answers in JSON"))
    }

    async fn try_call(&mut self, method: &str, path: &str, body: Value) -> std::io::Result<Answer> {
        let path = format!("/_matrix/client/{path}");
        self.0.call(method, &path, "as", body.to_string().as_bytes()).await
    }

    async fn register(&mut self, localpart: &str) -> (u16, Value) {
        let body =
            json!({"type": "m.login.application_service", "username": localpart, "inhibit_login": true});
        self.call("POST", "v3/register", body).await
    }

    async fn say(&mut self, ghost: &str, transaction: &str, extra: &str, text: &str) -> (u16, Value) {
        let path = format!("v3/rooms/{ROOM}/send/m.room.message/{transaction}?user_id={ghost}{extra}");
        self.call("PUT", &path, json!({"msgtype": "m.text", "body": text})).await
    }
}

async fn homeserver(appservice_url: &str) -> (Homeserver, Bridge) {
    let server =
        Homeserver::start(HomeserverSettings::new("model.test", appservice_url)).await.expect("a port");
    let alice = ("@alice:model.test".to_owned(), "Alice".to_owned());
    server.add_room(ROOM, JoinRule::Public, &[alice]);
    let bridge = Bridge(Client::new(&server.url()));
    (server, bridge)
}

/// A homeserver with two ghosts in its room.
async fn with_ghosts() -> (Homeserver, Bridge) {
    let (server, mut bridge) = homeserver("http://127.0.0.1:1").await;
    for localpart in ["irc_a", "irc_b"] {
        assert_eq!(bridge.register(localpart).await.0, 200);
        let path = format!("v3/join/{ROOM}?user_id=@{localpart}:model.test");
        assert_eq!(bridge.call("POST", &path, json!({})).await.0, 200);
    }
    (server, bridge)
}

#[tokio::test]
async fn a_ghost_must_be_registered_before_it_may_act_and_only_once() {
    let (server, mut bridge) = homeserver("http://127.0.0.1:1").await;
    let (status, body) =
        bridge.call("POST", &format!("v3/join/{ROOM}?user_id=@irc_a:model.test"), json!({})).await;
    assert_eq!((status, &body["errcode"]), (403, &json!("M_FORBIDDEN")));

    assert_eq!(bridge.register("irc_a").await, (200, json!({"user_id": "@irc_a:model.test"})));
    assert_eq!(bridge.register("irc_a").await.1["errcode"], "M_USER_IN_USE");
    assert_eq!(bridge.register("alice").await.1["errcode"], "M_EXCLUSIVE");

    let (status, _) =
        bridge.call("POST", &format!("v3/join/{ROOM}?user_id=%40irc_a%3Amodel.test"), json!({})).await;
    assert_eq!(status, 200);
    assert_eq!(server.joined(ROOM), ["@alice:model.test", "@irc_a:model.test"]);
}

#[tokio::test]
async fn a_transaction_id_used_by_two_ghosts_loses_the_second_message() {
    let (server, mut bridge) = with_ghosts().await;
    let first = bridge.say("@irc_a:model.test", "T1", "", "one").await;
    let second = bridge.say("@irc_b:model.test", "T1", "", "two").await;
    assert_eq!(first, second, "Synapse answers with the first ghost's event");
    let texts: Vec<String> = server.sent().iter().map(model::homeserver::Sent::text).collect();
    assert_eq!(texts, ["one"]);
}

#[tokio::test]
async fn a_restarted_homeserver_knows_only_the_transactions_of_devices() {
    let (server, mut bridge) = with_ghosts().await;
    let (ghost, device) = ("@irc_a:model.test", "&device_id=BRIDGE");
    assert_eq!(bridge.say(ghost, "T1", device, "early").await.1["errcode"], "M_UNKNOWN_DEVICE");
    bridge.call("PUT", &format!("v3/devices/BRIDGE?user_id={ghost}"), json!({})).await;
    bridge.say(ghost, "T1", device, "with").await;
    bridge.say(ghost, "T2", "", "without").await;

    server.forget_transactions();
    bridge.say(ghost, "T1", device, "with").await;
    bridge.say(ghost, "T2", "", "without").await;
    let texts: Vec<String> = server.sent().iter().map(model::homeserver::Sent::text).collect();
    assert_eq!(texts, ["with", "without", "without"]);
}

#[tokio::test]
async fn faults_come_as_often_as_asked_for() {
    let (server, mut bridge) = with_ghosts().await;
    let fault = |kind| Fault { path_contains: "/send/".into(), times: 1, kind };
    server.fault(fault(FaultKind::LostAnswer));
    server.fault(fault(FaultKind::Limited { retry_after_ms: 7 }));

    let (status, body) = bridge.say("@irc_a:model.test", "T1", "", "hello").await;
    assert_eq!((status, &body["retry_after_ms"]), (429, &json!(7)));
    let path = format!("v3/rooms/{ROOM}/send/m.room.message/T1?user_id=@irc_a:model.test");
    let lost = bridge.try_call("PUT", &path, json!({"body": "hello"})).await;
    assert!(lost.is_err(), "the answer is lost");
    assert_eq!(server.sent_len(), 1, "but the event is there");
    assert_eq!(bridge.say("@irc_a:model.test", "T1", "", "hello").await.0, 200);
    assert_eq!(server.sent_len(), 1, "and the second attempt makes no other");
}

#[tokio::test]
async fn a_version_12_room_refuses_its_creator_in_the_power_levels() {
    let (_server, mut bridge) = homeserver("http://127.0.0.1:1").await;
    let levels = json!({"power_level_content_override": {"users": {"@ircbot:model.test": 100}}});
    assert_eq!(bridge.call("POST", "v3/createRoom", levels).await.0, 400);
    let (status, made) = bridge.call("POST", "v3/createRoom", json!({"room_alias_name": "irc_x"})).await;
    assert_eq!(status, 200);
    let (_, found) = bridge.call("GET", "v3/directory/room/%23irc_x%3Amodel.test", json!({})).await;
    assert_eq!(found["room_id"], made["room_id"]);
    let path = format!("v3/rooms/{}/joined_members", made["room_id"].as_str().expect("an id"));
    let (_, members) = bridge.call("GET", &path, json!({})).await;
    assert_eq!(members["joined"], json!({"@ircbot:model.test": {"display_name": null}}));
}

/// An application service that answers each request with the next of these statuses; gives back what it got.
async fn appservice(statuses: &'static [u16]) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("the homeserver connects");
        let mut heads = Vec::new();
        for status in statuses {
            let mut buffer = Vec::new();
            let length = loop {
                stream.read_buf(&mut buffer).await.expect("a request");
                if let model::http::Parsed::Whole(_, length) = model::http::Request::parse(&buffer) {
                    break length;
                }
            };
            let text = String::from_utf8_lossy(&buffer[..length]);
            heads.push(text.lines().next().expect("a request line").to_owned());
            let reply = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}");
            stream.write_all(reply.as_bytes()).await.expect("the homeserver reads");
        }
        heads
    });
    (url, task)
}

#[tokio::test]
async fn a_refused_transaction_is_sent_again_under_its_id() {
    let (url, requests) = appservice(&[500, 503, 200, 200]).await;
    let (server, _bridge) = homeserver(&url).await;
    let first =
        server.push(&[server.message(ROOM, "@alice:model.test", "hi")]).await.expect("taken in the end");
    let second = server.push(&[]).await.expect("taken at once");
    assert_eq!((first.attempts, second.attempts), (3, 1));
    assert!(first.answered - first.written >= Duration::from_millis(20 + 40), "with growing pauses");
    let path = |n: u32| format!("PUT /_matrix/app/v1/transactions/{n} HTTP/1.1");
    assert_eq!(requests.await.expect("ran"), [path(1), path(1), path(1), path(2)]);
}

#[tokio::test]
async fn the_ping_goes_to_the_application_service_and_back() {
    let (url, requests) = appservice(&[200]).await;
    let (_server, mut bridge) = homeserver(&url).await;
    let ping = json!({"transaction_id": "p"});
    let (status, body) = bridge.call("POST", "v1/appservice/irc/ping", ping.clone()).await;
    assert_eq!(status, 200);
    assert!(body["duration_ms"].is_u64());
    assert_eq!(requests.await.expect("ran"), ["POST /_matrix/app/v1/ping HTTP/1.1"]);

    let (_server, mut bridge) = homeserver("http://127.0.0.1:1").await;
    let (status, body) = bridge.call("POST", "v1/appservice/irc/ping", ping).await;
    assert_eq!((status, &body["errcode"]), (502, &json!("M_CONNECTION_FAILED")));
}

#[tokio::test]
async fn an_alias_is_asked_for_in_encoded_form() {
    let (url, requests) = appservice(&[404]).await;
    let (server, _bridge) = homeserver(&url).await;
    assert_eq!(server.ask_alias("#irc_x_#c:model.test").await.expect("answered"), 404);
    let path = "GET /_matrix/app/v1/rooms/%23irc_x_%23c%3Amodel.test HTTP/1.1";
    assert_eq!(requests.await.expect("ran"), [path]);
    assert_eq!(model::http::decode("%23irc_x_%23c%3Amodel.test%"), "#irc_x_#c:model.test%");
}

#[tokio::test]
async fn what_the_ghosts_do_comes_back_when_asked_for() {
    let (url, requests) = appservice(&[200]).await;
    let settings = HomeserverSettings { echo: Echo::On, ..HomeserverSettings::new("model.test", &url) };
    let server = Homeserver::start(settings).await.expect("a port");
    server.add_room(ROOM, JoinRule::Public, &[]);
    let mut bridge = Bridge(Client::new(&server.url()));
    assert_eq!(bridge.call("POST", &format!("v3/join/{ROOM}"), json!({})).await.0, 200);
    let heads = tokio::time::timeout(SOON, requests).await.expect("a transaction comes").expect("ran");
    assert_eq!(heads, ["PUT /_matrix/app/v1/transactions/1 HTTP/1.1"]);
}
