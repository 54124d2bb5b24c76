//! Stories with a small homeserver on loopback: what goes over the wire, and what comes of its answers.

use std::sync::Mutex;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;

use super::*;
use crate::ids::{RoomAlias, RoomId};

/// Notes each request as one line, and answers all of them alike.
struct Model {
    seen: Mutex<Vec<String>>,
    headers: Mutex<HeaderMap>,
    status: u16,
    answer: &'static str,
}

async fn homeserver(status: u16, answer: &'static str) -> (Arc<Model>, Client) {
    let model = Arc::new(Model { seen: Mutex::default(), headers: Mutex::default(), status, answer });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let router = Router::new().fallback(serve).with_state(Arc::clone(&model));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (model, client(&url))
}

async fn serve(State(model): State<Arc<Model>>, request: Request) -> impl IntoResponse {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
    let line = format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body));
    model.seen.lock().unwrap().push(line.trim_end().to_owned());
    *model.headers.lock().unwrap() = head.headers;
    (
        StatusCode::from_u16(model.status).expect("a status"),
        [("location", "http://127.0.0.1:9/")],
        model.answer,
    )
}

fn client(url: &str) -> Client {
    Client::new(config(url)).expect("a good configuration")
}

fn config(url: &str) -> ClientConfig {
    ClientConfig {
        homeserver_url: url.to_owned(),
        as_token: Secret::new("canary-token"),
        appservice_id: "bun/raku".to_owned(),
        server_name: "lab.test".to_owned(),
        bot: user("@ircbot:lab.test"),
        device: "BUNRAKU".to_owned(),
    }
}

fn user(text: &str) -> UserId {
    UserId::new(text).expect("a user id")
}

#[tokio::test]
async fn ids_of_any_shape_stay_in_their_place_and_the_token_in_its_header() {
    let (model, client) = homeserver(200, r#"{"event_id":"$e","room_id":"!r","duration_ms":5}"#).await;
    let (ghost, room) = (user("@irc_a/b:lab.test"), RoomId::new("!r?x#y").expect("a room id"));
    let alias = RoomAlias::new("#irc_##a/../é:lab.test").expect("an alias");
    let who = As::now(&ghost, DeviceUse::Named);
    client.send_event(who, &room, "m.room.message", "bunraku.1", "{}").await.expect("sent");
    let who = As { device: DeviceUse::None, ..who };
    client.send_event(who, &room, "m.room.message", "a/../b", "{}").await.expect("sent");
    let nowhere = client.send_state(&room, "m.room.topic", "..", &serde_json::json!({})).await;
    assert!(
        matches!(nowhere, Err(ClientError::Refused { .. })),
        "it would have been another path: {nowhere:?}"
    );
    client.resolve_alias(&alias).await.expect("there");
    assert_eq!(client.ping("t").await, Ok(Duration::from_millis(5)));
    client.kick(&room, &ghost, "why\n\"so\"").await.expect("done");
    client.typing(&ghost, &room, 6_000).await.expect("done");
    client.typing(&ghost, &room, 0).await.expect("done");
    let ghost = "user_id=%40irc_a%2Fb%3Alab.test";
    let typing = format!("PUT /_matrix/client/v3/rooms/%21r%3Fx%23y/typing/%40irc_a%2Fb%3Alab.test?{ghost} ");
    let bot = "user_id=%40ircbot%3Alab.test";
    assert_eq!(
        *model.seen.lock().unwrap(),
        [
            format!(
                "PUT /_matrix/client/v3/rooms/%21r%3Fx%23y/send/m.room.message/bunraku.1?{ghost}&device_id=BUNRAKU {{}}"
            ),
            format!("PUT /_matrix/client/v3/rooms/%21r%3Fx%23y/send/m.room.message/bunraku.1?{ghost} {{}}")
                .replace("bunraku.1", "a%2F..%2Fb"),
            format!("GET /_matrix/client/v3/directory/room/%23irc_%23%23a%2F..%2F%C3%A9%3Alab.test?{bot}"),
            r#"POST /_matrix/client/v1/appservice/bun%2Fraku/ping {"transaction_id":"t"}"#.to_owned(),
            format!("POST /_matrix/client/v3/rooms/%21r%3Fx%23y/kick?{bot} ")
                + r#"{"reason":"why\n\"so\"","user_id":"@irc_a/b:lab.test"}"#,
            format!(r#"{typing}{{"timeout":6000,"typing":true}}"#),
            format!(r#"{typing}{{"typing":false}}"#),
        ]
    );
    let headers = model.headers.lock().unwrap();
    assert_eq!(headers["authorization"], "Bearer canary-token");
    assert_eq!(headers["content-type"], "application/json");
}

#[tokio::test]
async fn the_token_is_in_no_error_and_no_debug() {
    let (_, client) =
        homeserver(500, r#"{"errcode":"M_UNKNOWN","error":"Bearer canary-token\r\nis odd"}"#).await;
    let refused = client.whoami().await.expect_err("500");
    let nobody = super::tests::client("http://127.0.0.1:9").whoami().await.expect_err("nobody listens");
    assert!(
        matches!(&nobody, ClientError::Unavailable(words) if words.contains("onnection refused")),
        "{nobody}"
    );
    for shown in [format!("{refused:?} {refused}"), format!("{nobody:?} {nobody}"), format!("{client:?}")] {
        assert!(!shown.contains("canary") && !shown.contains('\n'), "{shown}");
    }
    assert!(!format!("{:?}", config("http://x")).contains("canary"));
    assert!(!format!("{:?}", client.inner.http).contains("canary"));
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_nonsense_is_no_answer() {
    let (model, client) = homeserver(302, "").await;
    assert!(matches!(client.versions().await, Err(ClientError::Unavailable(_))));
    assert_eq!(model.seen.lock().unwrap().len(), 1);
    for nonsense in ["", "[]", r#"{"user_id":7}"#, r#"{"user_id":"x"}"#] {
        let (_, client) = homeserver(200, nonsense).await;
        assert!(matches!(client.whoami().await, Err(ClientError::Unavailable(_))), "{nonsense}");
    }
}

#[tokio::test]
async fn a_user_that_is_there_counts_as_registered_and_a_refused_device_as_none() {
    let (_, client) = homeserver(400, r#"{"errcode":"M_USER_IN_USE","error":"x"}"#).await;
    assert_eq!(client.register("irc_a").await, Ok(Registered::Before));
    for (status, answer) in [
        (404, r#"{"errcode":"M_NOT_FOUND","error":"No such device"}"#),
        (404, r#"{"errcode":"M_UNRECOGNIZED"}"#),
        (405, r#"{"errcode":"M_UNRECOGNIZED"}"#),
    ] {
        let (_, client) = homeserver(status, answer).await;
        let result = client.ensure_device(&user("@irc_a:lab.test")).await;
        assert!(matches!(result, Err(ClientError::NoDevices(_))), "{result:?}");
    }
}

#[tokio::test]
async fn members_with_odd_names_are_taken_and_impossible_ones_left_out() {
    let answer = r#"{"joined":{"@a:s":{"display_name":"A","avatar_url":null},"@b:s":{"display_name":7},"@c:s":null,"x":{}}}"#;
    let (_, client) = homeserver(200, answer).await;
    let members = client.joined_members(&RoomId::new("!r").expect("a room id")).await.expect("members");
    let shown: Vec<_> = members.iter().map(|m| (m.user.as_str(), m.display_name.as_deref())).collect();
    assert_eq!(shown, [("@a:s", Some("A")), ("@b:s", None), ("@c:s", None)]);
}

#[test]
fn a_configuration_that_cannot_work_is_refused() {
    for url in ["", "localhost:8008", "ftp://x", "http://", "http://u:p@x", "http://x?y", "http://x#y"] {
        assert!(matches!(Client::new(config(url)), Err(ConfigError::Url(_))), "{url}");
    }
    for token in ["", "a\nb"] {
        let config = ClientConfig { as_token: Secret::new(token), ..config("http://x") };
        assert!(matches!(Client::new(config), Err(ConfigError::Token)));
    }
}
