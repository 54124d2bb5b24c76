//! The routes, asked over sockets, with hands that say what they are told to.

use std::collections::BTreeSet;
use std::sync::Mutex;

use reqwest::Method as M;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::bridge::effect::Refusal;
use crate::bridge::errand::plumbing::{Link, LinkState, Plumbing, Unplumbable};
use crate::bridge::errand::{self, Errand, Joined, Reaping, Report, RoomDoor, Status, UserFact};
use crate::ids::{NetworkId, RoomId, Time, UserId};
use crate::web::media::{Door, Peer};

const PLAIN: &str = "plain-0123456789abcdef0123456789";
const ADMIN: &str = "admin-0123456789abcdef0123456789";

fn user(text: &str) -> UserId {
    UserId::new(text).expect("an id")
}

fn room(text: &str) -> RoomId {
    RoomId::new(text).expect("an id")
}

/// Gives one report to all errands, and remembers them.
struct Told {
    networks: Vec<Network>,
    bot: UserId,
    report: Mutex<Report>,
    errands: Mutex<Vec<(NetworkId, UserId, Errand)>>,
}

impl Hands for Told {
    fn may(&self, user: &UserId) -> May {
        match user.localpart() {
            "eve" => May::Blocked,
            "pia" => May::Plumber,
            "adm" => May::Admin,
            _ => May::User,
        }
    }

    fn networks(&self) -> &[Network] {
        &self.networks
    }

    async fn errand(&self, network: &NetworkId, user: &UserId, errand: Errand) -> Report {
        self.errands.lock().expect("whole").push((network.clone(), user.clone(), errand));
        self.report.lock().expect("whole").clone()
    }

    async fn login(&self, _: &NetworkId, user: &UserId) -> Result<Option<Login>, Fault> {
        let login = Login { account: "pia".into(), password: Kept::Yes, fingerprint: None };
        Ok((user.localpart() == "pia").then_some(login))
    }

    async fn presence(&self, room: &RoomId, _: &UserId) -> Result<InRoom, Fault> {
        Ok(if room.as_str() == "!in:hs" { InRoom::In } else { InRoom::Out })
    }

    fn links_max(&self) -> Option<usize> {
        Some(100)
    }

    fn bot(&self) -> &UserId {
        &self.bot
    }

    async fn reload(&self) -> String {
        "Nothing has changed.".into()
    }

    async fn audit(&self) -> Result<Vec<Tallied>, Fault> {
        let row = Tallied {
            network: "net".into(),
            direction: "to IRC",
            accepted: 3,
            delivered: 2,
            failed: 0,
            expired: 0,
            in_flight: 1,
        };
        Ok(vec![row])
    }
}

/// Both listeners, open, and a homeserver that vouches for whom the test wants.
struct Api {
    hands: Arc<Told>,
    base: String,
    admin: String,
    homeserver: MockServer,
    http: reqwest::Client,
}

async fn open(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let service = router.into_make_service_with_connect_info::<Peer>();
    tokio::spawn(async move { axum::serve(Door::new(listener), service).await });
    url
}

impl Api {
    async fn new() -> Self {
        Self::with(10_000).await
    }

    async fn with(per_minute: u32) -> Self {
        rustls::crypto::ring::default_provider().install_default().ok();
        let homeserver = MockServer::start().await;
        let network = |id: &str, host: &str| Network {
            id: NetworkId::new(id).expect("an id"),
            name: id.to_uppercase(),
            hosts: vec![host.into()],
        };
        let hands = Arc::new(Told {
            networks: vec![network("net", "irc.net.example"), network("oftc", "irc.oftc.example")],
            bot: user("@bot:hs"),
            report: Mutex::new(Report::Done),
            errands: Mutex::default(),
        });
        let token =
            |name: &str, secret: &str, may| Token { name: name.into(), secret: Secret::new(secret), may };
        let settings = Settings {
            tokens: vec![token("plain", PLAIN, TokenMay::Plain), token("admin", ADMIN, TokenMay::Admin)],
            requests_per_minute: NonZeroU32::new(per_minute).expect("not zero"),
            trusted_proxies: vec!["127.0.0.1".parse().expect("an address")],
            homeservers: Homeservers {
                given: [("hs".into(), homeserver.uri())].into(),
                others: Others::Refused,
            },
            widget: Some(Router::new().route("/widget", get(|| async { "a page" }))),
        };
        let (people, admins) = routers(Arc::clone(&hands), settings);
        Self {
            hands,
            base: open(people).await,
            admin: open(admins).await,
            homeserver,
            http: reqwest::Client::new(),
        }
    }

    fn says(&self, report: Report) {
        *self.hands.report.lock().expect("whole") = report;
    }

    fn asked(&self) -> Vec<(NetworkId, UserId, Errand)> {
        std::mem::take(&mut self.hands.errands.lock().expect("whole"))
    }

    /// Status and body; `path` from the root.
    async fn ask(&self, method: M, path: &str, token: Option<&str>, body: Option<Value>) -> (u16, Value) {
        let base = if path.starts_with(ADMIN_BASE) { &self.admin } else { &self.base };
        let mut request = self.http.request(method, format!("{base}{path}"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// On behalf of somebody, by a token of the configuration.
    async fn by(&self, who: &str, method: M, path: &str, body: Option<Value>) -> (u16, Value) {
        let sign = if path.contains('?') { '&' } else { '?' };
        self.ask(method, &format!("{BASE}{path}{sign}user_id=@{who}:hs"), Some(PLAIN), body).await
    }

    /// A session of somebody.
    async fn session(&self, who: &str) -> String {
        self.vouch(&format!("@{who}:hs")).await;
        let body = json!({ "access_token": "x", "matrix_server_name": "hs", "token_type": "Bearer", "expires_in": 3600 });
        let (status, body) = self.ask(M::POST, &format!("{BASE}/openid"), None, Some(body)).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(
            (&body["user_id"], &body["expires_in_ms"]),
            (&json!(format!("@{who}:hs")), &json!(86_400_000))
        );
        body["token"].as_str().expect("a token").to_owned()
    }

    async fn vouch(&self, sub: &str) {
        self.homeserver.reset().await;
        let userinfo = Mock::given(method("GET")).and(path("/_matrix/federation/v1/openid/userinfo"));
        userinfo
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "sub": sub })))
            .mount(&self.homeserver)
            .await;
    }
}

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["errcode"].as_str().unwrap_or_default())
}

/// Fills the names of a path of the document.
fn filled(path: &str) -> String {
    let path =
        path.replace("{network}", "net").replace("{channel}", "%23c").replace("{user_id}", "%40ada%3Ahs");
    path.replace("{room_id}", "%21in%3Ahs")
}

fn document() -> Value {
    serde_json::from_str(OPENAPI).expect("JSON")
}

/// Each path of the document with its methods.
fn documented() -> Vec<(String, BTreeSet<String>)> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .map(|(path, methods)| {
            (path.clone(), methods.as_object().expect("methods").keys().cloned().collect())
        })
        .collect()
}

#[tokio::test]
async fn what_the_document_has_is_there_and_nothing_else_is() {
    let api = Api::new().await;
    for (path, methods) in documented() {
        for method in ["get", "put", "post", "delete", "patch"] {
            let bytes = method.to_uppercase();
            let method_of = M::from_bytes(bytes.as_bytes()).expect("a method");
            for path in [path.clone(), path.replace("/provision/v1/", "/provision/")] {
                let answer = api.ask(method_of.clone(), &filled(&path), None, None).await;
                let is_there = !matches!(code(&answer), (404 | 405, "M_UNRECOGNIZED"));
                assert_eq!(is_there, methods.contains(method), "{method} {path}: {answer:?}");
            }
        }
    }
    // The other way: what the router is made of.
    let source = include_str!("mod.rs");
    let known: BTreeSet<String> = documented().into_iter().map(|(path, _)| path).collect();
    let mut count = 0;
    let bases = [("fn people<", BASE), ("fn provisioning<", PROVISIONING[0]), ("fn admins<", ADMIN_BASE)];
    for (function, base) in bases {
        let (_, body) = source.split_once(function).expect("there");
        let (body, _) = body.split_once("\n}\n").expect("an end");
        let flat = body.replace(['\n', ' '], "");
        for route in flat.split(".route(\"").skip(1) {
            let path = format!("{base}{}", route.split('"').next().expect("a path"));
            assert!(known.contains(&path), "{path} is not in openapi.json");
            count += 1;
        }
    }
    assert_eq!(count, known.len());
}

#[tokio::test]
async fn nobody_comes_in_without_a_good_token() {
    let api = Api::new().await;
    let open = ["/openapi.json", "/openid", "/exchange_openid", "/health"];
    for (path, methods) in documented() {
        if open.iter().any(|end| path.ends_with(end)) {
            continue;
        }
        for method in methods {
            let method = M::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let body = (method != M::GET).then(|| json!({}));
            let missing = api.ask(method.clone(), &filled(&path), None, body.clone()).await;
            let expected = if path.contains("provision") { "M_AS_BAD_TOKEN" } else { "M_MISSING_TOKEN" };
            assert_eq!(code(&missing), (401, expected), "{path}");
            for wrong in ["x", "bunraku_x", &PLAIN[..20], &format!("{PLAIN}x")] {
                let answer = api.ask(method.clone(), &filled(&path), Some(wrong), body.clone()).await;
                assert_eq!(answer.0, 401, "{path}");
            }
        }
    }
    assert_eq!(api.asked(), []);
    // In the address a token counts for nothing: addresses are logged.
    let answer =
        api.ask(M::GET, &format!("{BASE}/whoami?access_token={PLAIN}&user_id=@ada:hs"), None, None).await;
    assert_eq!(answer.0, 401);
}

/// What somebody of each permission gets from each route of people's.
#[tokio::test]
async fn people_may_what_they_may_in_the_admin_room() {
    let api = Api::new().await;
    let routes = [
        (M::GET, "/whoami", [403, 200, 200, 200]),
        (M::GET, "/networks", [403, 200, 200, 200]),
        (M::GET, "/networks/net/login", [403, 200, 200, 200]),
        (M::POST, "/networks/net/channels/%23c/part", [403, 200, 200, 200]),
        (M::DELETE, "/rooms/!in:hs/links/net/%23c", [403, 403, 200, 200]),
        (M::PUT, "/rooms/!in:hs/links/net/%23c", [403, 403, 409, 409]),
        (M::GET, "/rooms/!in:hs/links", [403, 403, 409, 409]),
        (M::GET, "/networks/net/channels/%23c", [403, 403, 409, 409]),
    ];
    for (method, path, expected) in routes {
        // Part and unlink are done; where something is to be told they are refused.
        let is_told = expected[3] == 409;
        api.says(if is_told { Report::Refused(Refusal::ours("NO", "No.")) } else { Report::Done });
        for (who, status) in ["eve", "ada", "pia", "adm"].into_iter().zip(expected) {
            api.asked();
            let answer = api.by(who, method.clone(), path, None).await;
            assert_eq!(answer.0, status, "{who} {path} {answer:?}");
            assert!(status != 403 || api.asked().is_empty(), "{who} {path}: nothing is asked of the network");
        }
    }
    for (token, status) in [(PLAIN, 403), (ADMIN, 200)] {
        let answer = api.ask(M::GET, &format!("{ADMIN_BASE}/audit"), Some(token), None).await;
        assert_eq!(answer.0, status);
    }
    let session = api.session("adm").await;
    let answer = api.ask(M::POST, &format!("{ADMIN_BASE}/reload"), Some(&session), None).await;
    assert_eq!(code(&answer), (403, "M_FORBIDDEN"), "an admin's session is not the operator's token");
}

#[tokio::test]
async fn a_session_is_its_persons_and_ends() {
    let api = Api::new().await;
    let token = api.session("ada").await;
    let who = format!("{BASE}/whoami");
    let (status, body) = api.ask(M::GET, &who, Some(&token), None).await;
    assert_eq!(
        (status, body),
        (200, json!({ "user_id": "@ada:hs", "permission": "user", "kind": "session" }))
    );
    let other = api.ask(M::GET, &format!("{who}?user_id=@adm:hs"), Some(&token), None).await;
    assert_eq!(code(&other), (403, "M_FORBIDDEN"), "it speaks for nobody else");
    let ended = api.ask(M::DELETE, &format!("{BASE}/session"), Some(&token), None).await;
    assert_eq!(ended, (200, json!({})));
    assert_eq!(code(&api.ask(M::GET, &who, Some(&token), None).await), (401, "M_UNKNOWN_TOKEN"));

    // As widgets of the other bridge do it; all sessions of a person end at once.
    api.vouch("@pia:hs").await;
    let body = json!({ "openIdToken": "x", "matrixServer": "hs" });
    let (status, body) = api.ask(M::POST, "/_matrix/provision/v1/exchange_openid", None, Some(body)).await;
    assert_eq!((status, &body["userId"]), (200, &json!("@pia:hs")));
    let (one, two) = (body["token"].as_str().expect("a token").to_owned(), api.session("pia").await);
    let known = api.ask(M::GET, "/_matrix/provision/session", Some(&one), None).await;
    assert_eq!(known, (200, json!({ "userId": "@pia:hs", "type": "widget" })));
    assert_eq!(api.ask(M::DELETE, "/_matrix/provision/v1/session/all", Some(&one), None).await.0, 200);
    assert_eq!(api.ask(M::GET, &who, Some(&two), None).await.0, 401);
}

#[tokio::test]
async fn who_is_blocked_or_of_another_server_gets_no_session() {
    let api = Api::new().await;
    let body = |server: &str| json!({ "access_token": "x", "matrix_server_name": server });
    let path = format!("{BASE}/openid");
    api.vouch("@eve:hs").await;
    assert_eq!(code(&api.ask(M::POST, &path, None, Some(body("hs"))).await), (403, "M_FORBIDDEN"));
    api.vouch("@ada:evil").await;
    assert_eq!(code(&api.ask(M::POST, &path, None, Some(body("hs"))).await), (403, "BUNRAKU_BAD_OPENID"));
    assert_eq!(code(&api.ask(M::POST, &path, None, Some(body("evil"))).await), (403, "BUNRAKU_BAD_OPENID"));
    let twin = json!({ "openIdToken": "x", "matrixServer": "evil" });
    let answer = api.ask(M::POST, "/_matrix/provision/v1/exchange_openid", None, Some(twin)).await;
    assert_eq!(code(&answer), (500, "M_AS_BAD_OPENID"));
}

#[tokio::test]
async fn reports_are_told_as_facts() {
    let api = Api::new().await;
    let status = Status {
        connection: errand::Connection::Ready { since: Some(Time(5)) },
        nick: Some("ada".into()),
        account: None,
        modes: "i".into(),
        server: None,
        lag_ms: Some(7),
        queued_lines: 0,
        waiting_messages: 1,
        channels: vec![errand::Place {
            channel: "#c".into(),
            standing: errand::InChannel::In,
            refused: None,
            rooms: vec![room("!in:hs")],
            carrier: Some("ada".into()),
        }],
        queries: 2,
    };
    api.says(Report::Status(Box::new(status)));
    let (_, body) = api.by("ada", M::GET, "/networks/net/connection", None).await;
    let expected = json!({
        "state": "ready", "since_ms": 5, "nick": "ada", "modes": "i", "lag_ms": 7, "queued_lines": 0, "waiting_messages": 1,
        "channels": [{ "channel": "#c", "standing": "in", "rooms": ["!in:hs"], "carrier": "ada" }], "queries": 2,
    });
    assert_eq!(body, expected);

    api.asked();
    api.says(Report::Joined(Joined { channel: "#C".into(), room: room("!in:hs"), door: RoomDoor::Invited }));
    let join =
        api.by("ada", M::POST, "/networks/net/channels/%23c/join", Some(json!({ "key": "k3y" }))).await;
    assert_eq!(join, (200, json!({ "channel": "#C", "room_id": "!in:hs", "door": "invited" })));
    let key = Some(Secret::new("k3y"));
    let errand = Errand::Join { channel: "#c".into(), key };
    assert_eq!(api.asked(), [(NetworkId::new("net").expect("an id"), user("@ada:hs"), errand)]);

    let link = |room_id: &str, state, by: Option<&str>| Link {
        room: room(room_id),
        channel: "#c".into(),
        state,
        by: by.map(user),
    };
    let links = vec![
        link("!in:hs", LinkState::Linked, Some("@pia:hs")),
        link("!in:hs", LinkState::Asked(Time(9)), Some("@pia:hs")),
        link("!in:hs", LinkState::Linked, None),
    ];
    api.says(Report::Links(links));
    let (_, body) = api.by("pia", M::GET, "/rooms/!in:hs/links", None).await;
    assert_eq!(body["links"].as_array().map(Vec::len), Some(6), "three of each network");
    assert_eq!(
        body["links"][1],
        json!({ "network": "net", "channel": "#c", "state": "asked", "since_ms": 9, "by": "@pia:hs" })
    );
    assert_eq!(api.by("ada", M::GET, "/limits", None).await, (200, json!({ "links": 2, "links_max": 100 })));
    let session = api.session("pia").await;
    let hidden = api.ask(M::GET, &format!("{BASE}/rooms/!other:hs/links"), Some(&session), None).await;
    assert_eq!(code(&hidden), (403, "BUNRAKU_NOT_IN_ROOM"));
    let listed = api.ask(M::GET, "/_matrix/provision/listlinks/!in:hs", Some(PLAIN), None).await;
    assert_eq!(
        listed.1[0],
        json!({ "matrix_room_id": "!in:hs", "remote_room_channel": "#c", "remote_room_server": "net" })
    );
    assert_eq!(listed.1.as_array().map(Vec::len), Some(4), "those that stand");
    let limits = api.ask(M::GET, "/_matrix/provision/v1/limits", Some(PLAIN), None).await;
    assert_eq!(limits, (200, json!({ "count": 2, "limit": 100 })));

    let put = |answer: Plumbing| {
        api.says(Report::Plumbing(answer));
        api.by("pia", M::PUT, "/rooms/!in:hs/links/net/%23c", Some(json!({ "operator": "op" })))
    };
    assert_eq!(
        put(Plumbing::Linked { channel: "#C".into() }).await,
        (200, json!({ "state": "linked", "channel": "#C" }))
    );
    let asked = put(Plumbing::Asked { channel: "#C".into(), operators: vec!["op".into()] }).await;
    assert_eq!(asked, (202, json!({ "state": "asked", "channel": "#C", "operators": ["op"] })));

    let fact = UserFact {
        user: user("@ada:hs"),
        nick: None,
        connection: errand::Connection::Asleep,
        active: None,
        channels: 0,
    };
    api.says(Report::Users(vec![fact.clone()]));
    let row = json!({ "user_id": "@ada:hs", "state": "asleep", "channels": 0 });
    let users = api.ask(M::GET, &format!("{ADMIN_BASE}/networks/net/users"), Some(ADMIN), None).await;
    assert_eq!(users, (200, json!({ "users": [row] })));
    api.says(Report::Ended(vec![fact]));
    api.asked();
    let reap = api
        .ask(
            M::POST,
            &format!("{ADMIN_BASE}/networks/net/reap"),
            Some(ADMIN),
            Some(json!({ "idle_ms": 60_000 })),
        )
        .await;
    assert_eq!(reap, (200, json!({ "dry_run": true, "users": [row] })));
    assert_eq!(
        api.asked()[0].2,
        Errand::Reap { idle_ms: 60_000, how: Reaping::Trial },
        "dry unless said otherwise"
    );
}

#[tokio::test]
async fn each_reason_has_its_code_in_both_families() {
    let api = Api::new().await;
    let by = Some(user("@pia:hs"));
    let plumbing = |why| Report::Plumbing(Plumbing::Refused(why));
    let table = [
        (plumbing(Unplumbable::Excluded), (403, "BUNRAKU_EXCLUDED"), (404, "IRC_UNKNOWN_CHANNEL")),
        (
            plumbing(Unplumbable::RoomTaken { channel: "#c".into() }),
            (409, "BUNRAKU_ROOM_TAKEN"),
            (409, "IRC_EXISTING_MAPPING"),
        ),
        (
            plumbing(Unplumbable::ChannelTaken { rooms: vec![] }),
            (409, "BUNRAKU_CHANNEL_TAKEN"),
            (409, "IRC_EXISTING_MAPPING"),
        ),
        (
            plumbing(Unplumbable::Waiting { since: Time(1), by }),
            (409, "BUNRAKU_WAITING"),
            (409, "IRC_EXISTING_REQUEST"),
        ),
        (plumbing(Unplumbable::Declined), (403, "BUNRAKU_DECLINED"), (409, "IRC_EXISTING_REQUEST")),
        (
            plumbing(Unplumbable::OtherBridge { name: "x".into() }),
            (409, "BUNRAKU_OTHER_BRIDGE"),
            (409, "IRC_DOUBLE_BRIDGE"),
        ),
        (
            plumbing(Unplumbable::NoPower { required: 50 }),
            (403, "BUNRAKU_NO_POWER"),
            (403, "IRC_NOT_ENOUGH_POWER"),
        ),
        (plumbing(Unplumbable::NotInRoom), (403, "BUNRAKU_NOT_IN_ROOM"), (404, "IRC_UNKNOWN_ROOM")),
        (plumbing(Unplumbable::NoRoom), (409, "BUNRAKU_NO_ROOM"), (404, "IRC_UNKNOWN_ROOM")),
        (
            plumbing(Unplumbable::Unfit { words: "x".into() }),
            (409, "BUNRAKU_UNFIT"),
            (400, "M_AS_UNSUPPORTED_OPERATION"),
        ),
        (
            plumbing(Unplumbable::NoOperator { nick: "x".into() }),
            (409, "BUNRAKU_NO_OPERATOR"),
            (400, "IRC_BAD_OPERATOR_TARGET"),
        ),
        (plumbing(Unplumbable::NoOperators), (409, "BUNRAKU_NO_OPERATORS"), (400, "IRC_BAD_OPERATOR_TARGET")),
        (plumbing(Unplumbable::Full { rooms_max: 1 }), (409, "BUNRAKU_FULL"), (500, "IRC_BRIDGE_AT_LIMIT")),
        (plumbing(Unplumbable::Busy), (429, "BUNRAKU_OPERATORS_BUSY"), (429, "M_AS_LIMIT_EXCEEDED")),
        (
            Report::Refused(Refusal::ours("474", "banned")),
            (409, "BUNRAKU_REFUSED"),
            (404, "IRC_UNKNOWN_CHANNEL"),
        ),
        (Report::Unknown, (504, "BUNRAKU_NO_ANSWER"), (500, "M_AS_UNKNOWN")),
    ];
    let body = json!({ "remote_room_channel": "#c", "remote_room_server": "irc.net.example", "matrix_room_id": "!in:hs", "op_nick": "op", "user_id": "@pia:hs" });
    for (report, own, provisioning) in table {
        api.says(report.clone());
        let answer = api.by("pia", M::PUT, "/rooms/!in:hs/links/net/%23c", None).await;
        assert_eq!(code(&answer), own, "{report:?}");
        assert!(answer.1["error"].as_str().is_some_and(|words| !words.is_empty()));
        let answer = api.ask(M::POST, "/_matrix/provision/link", Some(PLAIN), Some(body.clone())).await;
        assert_eq!(code(&answer), provisioning, "{report:?}");
    }
    api.says(plumbing(Unplumbable::NoPower { required: 50 }));
    let answer = api.ask(M::POST, "/_matrix/provision/link", Some(PLAIN), Some(body.clone())).await;
    assert_eq!(answer.1["requiredPower"], 50);
    for report in [
        Plumbing::Linked { channel: "#c".into() },
        Plumbing::Asked { channel: "#c".into(), operators: vec![] },
    ] {
        api.says(Report::Plumbing(report));
        assert_eq!(
            api.ask(M::POST, "/_matrix/provision/v1/link", Some(PLAIN), Some(body.clone())).await,
            (200, json!({}))
        );
    }
    api.says(Report::Refused(Refusal::ours("NOT_LINKED", "It is not.")));
    let answer = api.ask(M::POST, "/_matrix/provision/v1/unlink", Some(PLAIN), Some(body)).await;
    assert_eq!(code(&answer), (404, "IRC_UNKNOWN_ROOM"));
}

/// Inputs 8, 11, 12, 35, 45 and 46 of the list of hostile inputs.
#[tokio::test]
async fn what_would_break_a_line_or_a_path_is_refused_before_it_is_asked() {
    let api = Api::new().await;
    let long = "a".repeat(9_000);
    let names = [
        "%23a%0D%0AQUIT",
        "%23a%0AQUIT",
        "%23a%00b",
        "%23a%20b",
        "%23a%2C%23b",
        "%23a%07",
        "a",
        "%23%E2%80%A8x",
        "%20",
        "%FF%FE",
        "..%2F..%2Fx",
        "%2e%2e%2f",
        &format!("%23{long}"),
    ];
    for name in names {
        for (method, path) in [
            (M::POST, format!("/networks/net/channels/{name}/join")),
            (M::POST, format!("/networks/net/channels/{name}/part")),
            (M::GET, format!("/networks/net/channels/{name}")),
            (M::PUT, format!("/rooms/!in:hs/links/net/{name}")),
            (M::DELETE, format!("/rooms/!in:hs/links/net/{name}")),
        ] {
            let answer = api.by("pia", method, &path, None).await;
            assert_eq!(code(&answer), (400, "M_INVALID_PARAM"), "{path}");
        }
    }
    for name in ["%21a%0D%0Ab%3Ahs", "a", "%23a%3Ahs", "%FF", "..%2F..%2Fx"] {
        let answer = api.by("pia", M::GET, &format!("/rooms/{name}/links"), None).await;
        assert_eq!(code(&answer), (400, "M_INVALID_PARAM"), "{name}");
    }
    for name in ["x%0D%0Ay", "..%2Fnet", "NET", &long] {
        let answer = api.by("pia", M::GET, &format!("/networks/{name}/connection"), None).await;
        assert_eq!(code(&answer), (404, "BUNRAKU_UNKNOWN_NETWORK"), "{name}");
        assert!(answer.1["error"].as_str().is_some_and(|words| words.len() < 200));
    }
    let bodies = [
        ("join", json!({ "key": "a\r\nQUIT" })),
        ("join", json!({ "key": "a b" })),
        ("join", json!({ "key": ":a" })),
        ("join", json!({ "key": "" })),
        ("join", json!({ "key": 7 })),
        ("join", json!({ "keys": "a" })),
        ("join", json!([])),
        ("part", json!({ "reason": "a\nQUIT" })),
        ("part", json!({ "reason": "x".repeat(301) })),
    ];
    for (end, body) in bodies {
        let answer =
            api.by("pia", M::POST, &format!("/networks/net/channels/%23c/{end}"), Some(body.clone())).await;
        assert_eq!(code(&answer), (400, "M_INVALID_PARAM"), "{body}");
        assert!(!answer.1.to_string().contains("QUIT"), "what was sent is not repeated");
    }
    let big = json!({ "reason": "x".repeat(1 << 20) });
    assert_eq!(
        code(&api.by("pia", M::POST, "/networks/net/channels/%23c/part", Some(big)).await),
        (413, "M_TOO_LARGE")
    );
    let provision = |channel: &str, server: &str, room: &str, nick: &str| json!({ "remote_room_channel": channel, "remote_room_server": server, "matrix_room_id": room, "op_nick": nick, "user_id": "@pia:hs" });
    let wrong = [
        (provision("#a\r\nQUIT", "net", "!in:hs", "op"), "M_AS_BAD_VALUE"),
        (provision("#c", "net", "!in:hs", "op\nQUIT"), "M_AS_BAD_VALUE"),
        (provision("#c", "net", "in", "op"), "M_AS_BAD_VALUE"),
        (provision("#c", "net\r\n", "!in:hs", "op"), "IRC_UNKNOWN_NETWORK"),
        (json!({ "user_id": "@pia:hs" }), "M_AS_BAD_VALUE"),
        (json!({ "remote_room_channel": {}, "remote_room_server": [], "user_id": 7 }), "M_AS_BAD_VALUE"),
    ];
    for (body, expected) in wrong {
        let answer = api.ask(M::POST, "/_matrix/provision/link", Some(PLAIN), Some(body)).await;
        assert_eq!(answer.1["errcode"], expected);
    }
    for who in ["ada", "@ada", "@a%0D%0Ab:hs%0A", "@:hs"] {
        let answer = api.ask(M::GET, &format!("{BASE}/whoami?user_id={who}"), Some(PLAIN), None).await;
        assert!(matches!(answer.0, 400), "{who} {answer:?}");
    }
    assert_eq!(
        code(&api.ask(M::GET, &format!("{BASE}/whoami"), Some(PLAIN), None).await),
        (400, "M_INVALID_PARAM")
    );
    assert_eq!(api.asked(), [], "none of it went to a network");
    for path in [
        "/",
        "/_bunraku/api/v1",
        "/_bunraku/api/v1/../admin",
        "/_matrix/provision/v1/x",
        "/_bunraku/admin/v1x/audit",
    ] {
        assert_eq!(api.ask(M::GET, path, Some(PLAIN), None).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn who_asks_too_much_waits_and_nobody_else_does() {
    let api = Api::with(3).await;
    let whoami = |who: &'static str| api.by(who, M::GET, "/whoami", None);
    for _ in 0..3 {
        assert_eq!(whoami("ada").await.0, 200);
    }
    let limited = whoami("ada").await;
    assert_eq!(code(&limited), (429, "M_LIMIT_EXCEEDED"));
    assert!(limited.1["retry_after_ms"].as_u64().is_some_and(|wait_ms| (1..=60_000).contains(&wait_ms)));
    assert_eq!(whoami("pia").await.0, 200);
    let provision = async |who: &str| {
        let path = format!("/_matrix/provision/session?userId=@{who}:hs");
        api.ask(M::GET, &path, Some(PLAIN), None).await
    };
    // Somebody has one count, whichever family asks.
    let mut last = (0, Value::Null);
    for who in ["ada", "ada", "ada", "ada"] {
        last = provision(who).await;
    }
    assert_eq!(code(&last), (429, "M_AS_LIMIT_EXCEEDED"));
    // Strangers are counted by address, which a proxy of ours tells.
    let stranger = |from: &str| {
        let request = api
            .http
            .get(format!("{}{BASE}/whoami", api.base))
            .bearer_auth("wrong")
            .header("x-forwarded-for", from);
        async { request.send().await.expect("an answer").status().as_u16() }
    };
    for expected in [401, 401, 401, 429] {
        assert_eq!(stranger("192.0.2.1").await, expected);
    }
    assert_eq!(stranger("192.0.2.2").await, 401);
    let body = json!({ "access_token": "x", "matrix_server_name": "evil" });
    let mut codes = BTreeSet::new();
    for _ in 0..21 {
        codes.insert(api.ask(M::POST, &format!("{BASE}/openid"), None, Some(body.clone())).await.0);
    }
    assert_eq!(codes, [403, 429].into());
}

#[tokio::test]
async fn any_page_may_ask_and_no_answer_is_kept() {
    let api = Api::new().await;
    let url = format!("{}{BASE}/networks", api.base);
    let before = api
        .http
        .request(M::OPTIONS, &url)
        .header("origin", "https://page.example")
        .send()
        .await
        .expect("an answer");
    assert_eq!(before.status().as_u16(), 204);
    assert_eq!(before.headers()["access-control-allow-origin"], "*");
    assert!(before.headers().get("access-control-allow-credentials").is_none());
    assert!(
        before.headers()["access-control-allow-headers"].to_str().expect("text").contains("authorization")
    );
    let answer = api.http.get(&url).send().await.expect("an answer");
    for (name, value) in [
        ("access-control-allow-origin", "*"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("content-type", "application/json"),
        ("www-authenticate", "Bearer"),
    ] {
        assert_eq!(answer.headers()[name], value);
    }
    let admin = api.http.get(format!("{}{ADMIN_BASE}/audit", api.admin)).send().await.expect("an answer");
    assert!(admin.headers().get("access-control-allow-origin").is_none(), "no page asks for admins");
    let wrong = api.http.request(M::PATCH, &url).send().await.expect("an answer");
    assert_eq!(wrong.status().as_u16(), 405);
    assert!(wrong.headers()["allow"].to_str().expect("text").contains("GET"));
    assert_eq!(api.ask(M::GET, "/widget", None, None).await, (200, json!("a page")));
    // Admins' routes are nowhere else.
    let elsewhere = api
        .http
        .get(format!("{}{ADMIN_BASE}/audit", api.base))
        .bearer_auth(ADMIN)
        .send()
        .await
        .expect("an answer");
    assert_eq!(elsewhere.status().as_u16(), 404);
}
