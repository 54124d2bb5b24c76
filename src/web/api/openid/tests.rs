//! Whose token it is, as a homeserver tells it that answers as it likes.

use std::time::Duration;

use serde_json::json;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const USERINFO: &str = "/_matrix/federation/v1/openid/userinfo";

fn asking(url: &str) -> OpenId {
    OpenId::new(Homeservers {
        given: [("hs.org".to_owned(), url.to_owned())].into(),
        others: Others::Welcome,
    })
}

async fn homeserver(answer: ResponseTemplate) -> (MockServer, OpenId) {
    let server = MockServer::start().await;
    Mock::given(method("GET")).and(path(USERINFO)).respond_with(answer).mount(&server).await;
    let openid = asking(&server.uri());
    (server, openid)
}

fn is_refused(result: Result<UserId, Fault>, words: &str) {
    match result {
        Err(Fault::OpenId(why)) => assert!(why.contains(words) && !why.contains("t0ken"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_server_that_somebody_is_of_says_who_they_are() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_json(json!({ "sub": "@ada:hs.org" }));
    let asked = Mock::given(method("GET")).and(path(USERINFO)).and(query_param("access_token", "t0ken&x=1"));
    asked.respond_with(answer).mount(&server).await;
    let openid = asking(&server.uri());
    assert_eq!(openid.user("hs.org", "t0ken&x=1").await.unwrap().as_str(), "@ada:hs.org");
}

#[tokio::test]
async fn a_server_speaks_for_nobody_elses_people() {
    for sub in ["@ada:other.org", "@ada:hs.org:8448", "@ada:HS.org", "ada", "", "@ada:hs.org.evil.org"] {
        let answer = ResponseTemplate::new(200).set_body_json(json!({ "sub": sub }));
        let (_server, openid) = homeserver(answer).await;
        is_refused(openid.user("hs.org", "t0ken").await, "not of that server");
    }
}

#[tokio::test]
async fn nonsense_redirects_and_floods_are_no_answer() {
    let not_found = ResponseTemplate::new(401).set_body_json(json!({ "errcode": "M_UNKNOWN_TOKEN" }));
    let (_server, openid) = homeserver(not_found).await;
    is_refused(openid.user("hs.org", "t0ken").await, "401");

    let target = MockServer::start().await;
    let elsewhere =
        ResponseTemplate::new(302).insert_header("location", format!("{}{USERINFO}", target.uri()));
    let (_server, openid) = homeserver(elsewhere).await;
    is_refused(openid.user("hs.org", "t0ken").await, "302");
    assert!(target.received_requests().await.unwrap_or_default().is_empty(), "nobody was led anywhere");

    let huge = json!({ "sub": "@ada:hs.org", "more": "x".repeat(1 << 20) });
    let (_server, openid) = homeserver(ResponseTemplate::new(200).set_body_json(huge)).await;
    is_refused(openid.user("hs.org", "t0ken").await, "too long");

    for body in ["[]", "{\"sub\": 7}", "<html>", ""] {
        let (_server, openid) = homeserver(ResponseTemplate::new(200).set_body_string(body)).await;
        is_refused(openid.user("hs.org", "t0ken").await, "not what it should be");
    }
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(3_600));
    let (_server, openid) = homeserver(slow).await;
    let begun = std::time::Instant::now();
    is_refused(openid.user("hs.org", "t0ken").await, "in time");
    assert!(begun.elapsed() < ALL_WAIT);
}

#[tokio::test]
async fn no_name_leads_to_a_machine_beside_the_bridge() {
    let (server, openid) = homeserver(ResponseTemplate::new(200)).await;
    let port = server.address().port();
    for name in
        [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::ffff:127.0.0.1]:{port}")]
    {
        is_refused(openid.user(&name, "t0ken").await, "not of the world");
    }
    assert!(server.received_requests().await.unwrap_or_default().is_empty());
    assert!(matches!(openid.user("a/b", "t0ken").await, Err(Fault::Bad(_))));
}

#[tokio::test]
async fn strangers_servers_are_asked_where_the_configuration_says_so_only() {
    let openid = OpenId::new(Homeservers::default());
    is_refused(openid.user("other.org", "t0ken").await, "cannot sign in here");
}
