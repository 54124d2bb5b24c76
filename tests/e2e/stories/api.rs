//! The API on real servers: somebody signs in by Matrix and does over HTTP what they would in the admin room; and schemathesis asks
//! whatever the document allows, and what it does not.
//!
//! On InspIRCd only: routes know no IRC server.

use std::process::Command;

use reqwest::Method as M;
use serde_json::{Value, json};

use crate::support::ircd::{IrcdKind, Setup};
use crate::support::matrix::http;
use crate::support::process::{free_port, temp_dir};
use crate::support::world::{World, puppet};
use crate::support::{PATIENT, eventually, part};

const PLAIN: &str = "plain-0123456789abcdef0123456789";
const ADMIN: &str = "admin-0123456789abcdef0123456789";

/// A world whose bridge has an API, and where it is.
struct Api {
    world: World,
    base: String,
    admin: String,
}

impl Api {
    async fn new(per_minute: u32) -> Api {
        let (port, admin_port) = (free_port(), free_port());
        let line = format!(
            "api: {{ listen: \"127.0.0.1:{port}\", admin_listen: \"127.0.0.1:{admin_port}\", requests_per_minute: {per_minute}, \
             tokens: [ {{ name: plain, token: {PLAIN} }}, {{ name: admin, token: {ADMIN}, may: admin }} ] }}"
        );
        let change = |config: &mut crate::support::bridge::BridgeConfig, _: &crate::support::ircd::Ircd| {
            config.top_lines.push(line);
        };
        let world = World::with(IrcdKind::InspIrcd, &Setup::default(), change).await;
        Api {
            world,
            base: format!("http://127.0.0.1:{port}"),
            admin: format!("http://127.0.0.1:{admin_port}"),
        }
    }

    async fn ask(&self, method: M, path: &str, token: &str, body: Option<Value>) -> (u16, Value) {
        let base = if path.starts_with("/_bunraku/admin") { &self.admin } else { &self.base };
        let mut request = http().request(method, format!("{base}{path}")).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.timeout(PATIENT).send().await.expect("an answer");
        (answer.status().as_u16(), answer.json().await.unwrap_or(Value::Null))
    }

    /// By a session.
    async fn own(&self, method: M, path: &str, token: &str) -> (u16, Value) {
        let body = (method == M::POST).then(|| json!({}));
        self.ask(method, &format!("/_bunraku/api/v1/{path}"), token, body).await
    }
}

#[tokio::test]
async fn somebody_signs_in_and_does_over_http_what_they_would_in_their_admin_room() {
    let api = Api::new(10_000).await;
    let mut op = api.world.irc("apiop").await;
    op.join("#api-in").await;
    let mut user = api.world.user("apiada").await;

    // A token of somebody's homeserver for a session; a forged one for nothing.
    let openid = user.openid().await;
    let mut forged = openid.clone();
    forged["access_token"] = "forged".into();
    let refused = api.ask(M::POST, "/_bunraku/api/v1/openid", "", Some(forged)).await;
    assert_eq!((refused.0, &refused.1["errcode"]), (403, &json!("BUNRAKU_BAD_OPENID")), "{refused:?}");
    let (status, session) = api.ask(M::POST, "/_bunraku/api/v1/openid", "", Some(openid)).await;
    assert_eq!((status, &session["user_id"]), (200, &json!(user.id)), "{session}");
    let token = session["token"].as_str().expect("a token");

    let (_, who) = api.own(M::GET, "whoami", token).await;
    assert_eq!(who, json!({ "user_id": user.id, "permission": "user", "kind": "session" }));
    let (_, networks) = api.own(M::GET, "networks", token).await;
    let network = networks["networks"][0]["id"].as_str().expect("a network").to_owned();
    assert_eq!(networks["networks"][0]["bot_user_id"], api.world.bridge.bot());
    let connection = format!("networks/{network}/connection");
    assert_eq!(api.own(M::GET, &connection, token).await.1["state"], "none");
    let login = api.own(M::GET, &format!("networks/{network}/login"), token).await;
    assert_eq!(login.1["has_password"], false);

    // In, on both sides.
    let channel = format!("networks/{network}/channels/%23api-in");
    let (status, joined) = api.own(M::POST, &format!("{channel}/join"), token).await;
    assert_eq!(
        (status, &joined["channel"], &joined["door"]),
        (200, &json!("#api-in"), &json!("invited")),
        "{joined}"
    );
    op.wait_member("#api-in", &puppet("apiada")).await;
    let room = joined["room_id"].as_str().expect("a room").to_owned();
    let bot = api.world.bridge.bot();
    assert_eq!(user.wait_invited_by(&bot, PATIENT).await, room);
    user.join(&room).await;
    let (_, status) = api.own(M::GET, &connection, token).await;
    assert_eq!((&status["state"], &status["nick"]), (&json!("ready"), &json!(puppet("apiada"))), "{status}");
    assert_eq!(status["channels"][0]["standing"], "in");

    // Who may not link rooms learns nothing of operators; nobody asks for somebody else.
    assert_eq!(api.own(M::GET, &channel, token).await.0, 403);
    assert_eq!(api.own(M::GET, "whoami?user_id=@other:lab.test", token).await.0, 403);
    // A word that the network refuses is told as it said it.
    op.send("MODE #api-in +b *!*@*").await;
    op.join("#api-shut").await;
    op.send("MODE #api-shut +k s3cret-key").await;
    let shut = format!("networks/{network}/channels/%23api-shut/join");
    eventually("the key counts", PATIENT, || async {
        (api.own(M::POST, &shut, token).await.0 == 409).then_some(())
    })
    .await;
    let refused = api.own(M::POST, &shut, token).await;
    assert_eq!(
        (&refused.1["errcode"], &refused.1["code"]),
        (&json!("BUNRAKU_REFUSED"), &json!("475")),
        "{refused:?}"
    );

    // Out again.
    assert_eq!(api.own(M::POST, &format!("{channel}/part"), token).await, (200, json!({})));
    op.wait_no_member("#api-in", &puppet("apiada")).await;

    // Admins see who is there, on their own listener.
    let users = format!("/_bunraku/admin/v1/networks/{network}/users");
    assert_eq!(api.ask(M::GET, &users, PLAIN, None).await.0, 403);
    let (_, found) = api.ask(M::GET, &users, ADMIN, None).await;
    assert!(
        found["users"].as_array().is_some_and(|all| all.iter().any(|one| one["user_id"] == user.id)),
        "{found}"
    );
    let (_, audit) = api.ask(M::GET, "/_bunraku/admin/v1/audit", ADMIN, None).await;
    assert!(audit["rows"].is_array(), "{audit}");
    let kill = format!("/_bunraku/admin/v1/networks/{network}/users/{}/kill", user.id);
    assert_eq!(api.ask(M::POST, &kill, ADMIN, Some(json!({ "reason": "enough" }))).await, (200, json!({})));
    eventually("their connection is held", PATIENT, || async {
        (api.own(M::GET, &connection, token).await.1["state"] == "held").then_some(())
    })
    .await;

    // The session ends, and no token is in the log.
    assert_eq!(api.own(M::DELETE, "session", token).await.0, 200);
    assert_eq!(api.own(M::GET, "whoami", token).await.0, 401);
    for secret in [token, PLAIN, ADMIN, "s3cret-key", "forged"] {
        assert_eq!(api.world.bridge.logged(&[secret]), 0, "no secret in the log");
    }
}

/// Whatever is asked, the answer is one of the document's.
#[tokio::test]
async fn the_running_bridge_answers_as_its_document_says() {
    let api = Api::new(1_000_000).await;
    let user = api.world.user("apifuzz").await;
    let dir = temp_dir();
    let (_, session) = api.ask(M::POST, "/_bunraku/api/v1/openid", "", Some(user.openid().await)).await;
    let session = session["token"].as_str().expect("a token");
    // What is asked for a session's person may end the session.
    let runs: [(&str, &str, &[&str]); 3] = [
        (&api.base, session, &["--include-tag", "api", "--exclude-operation-id", "end_session"]),
        (&api.base, PLAIN, &["--include-tag", "provisioning"]),
        (&api.admin, ADMIN, &["--include-tag", "admin"]),
    ];
    // Too large is wrong too.
    let config =
        "checks.negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 409, 413, 429]\n";
    std::fs::write(dir.path().join("schemathesis.toml"), config).expect("a file");
    let document = format!("{}/src/web/api/openapi.json", env!("CARGO_MANIFEST_DIR"));
    for (url, token, which) in runs {
        let mut command = Command::new(part("BUNRAKU_SCHEMATHESIS"));
        command.current_dir(dir.path()).args([
            "run",
            &document,
            "--url",
            url,
            "--seed",
            "7",
            "--max-time",
            "20",
        ]);
        // One: threads make Python 3.11 lose count in its own parser.
        command.args(["--workers", "1", "--checks", "all", "--exclude-checks", "positive_data_acceptance"]);
        command.args([
            "--phases",
            "examples,coverage,fuzzing",
            "--request-timeout",
            "130",
            "--warnings",
            "off",
        ]);
        command.args(["--header", &format!("Authorization: Bearer {token}")]).args(which);
        let run = tokio::task::spawn_blocking(move || command.output());
        let ended = run.await.expect("it runs").expect("schemathesis is installed");
        let told =
            String::from_utf8_lossy(&ended.stdout).into_owned() + &String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{told}");
    }
    // It is still itself.
    assert_eq!(api.own(M::GET, "whoami", session).await.0, 200);
}
