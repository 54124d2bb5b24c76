//! Stories at the socket: a homeserver, strangers, and broken clients.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::bridge::effect::Found;

/// A host that notes what it is given.
#[derive(Default)]
struct Notebook {
    busy: bool,
    taken: Mutex<Vec<(String, Vec<RawEvent>)>>,
    skipped: Mutex<usize>,
    typing: Mutex<Vec<RoomTyping>>,
}

impl Host for Notebook {
    async fn accept(&self, txn: &str, events: Vec<RawEvent>) -> Accepted {
        if self.busy {
            return Accepted::Busy;
        }
        self.taken.lock().unwrap().push((txn.to_owned(), events));
        Accepted::Done
    }

    async fn alias_exists(&self, alias: RoomAlias) -> Existence {
        if alias.as_str() == "#irc_#a/b:lab.test" { Existence::Exists } else { Existence::Absent }
    }

    async fn user_exists(&self, user: UserId) -> Existence {
        match user.as_str() {
            "@irc_never:lab.test" => std::future::pending().await,
            "@irc_al:lab.test" => Existence::Exists,
            _ => Existence::Absent,
        }
    }

    fn instances(&self) -> Vec<Instance> {
        let (network, name, domain) = ("net".to_owned(), "Net".to_owned(), "irc.net".to_owned());
        vec![Instance { network, name, domain }]
    }

    async fn look_up(&self, domain: Option<String>, what: LookUp) -> Vec<Hit> {
        let found = match what {
            LookUp::Channel(channel) if channel == "#a b" => {
                Found::Place { alias: RoomAlias::new("#irc_#a:lab.test").unwrap(), channel }
            }
            LookUp::Ghost(user) => Found::Person { user, nick: "al".into() },
            LookUp::Channel(_) | LookUp::Alias(_) | LookUp::Nick(_) => return Vec::new(),
        };
        vec![Hit { domain: domain.unwrap_or_else(|| "all".into()), found }]
    }

    fn typing(&self, rooms: Vec<RoomTyping>) {
        self.typing.lock().unwrap().extend(rooms);
    }

    fn skipped(&self, events: usize) {
        *self.skipped.lock().unwrap() += events;
    }
}

struct Service {
    host: Arc<Notebook>,
    address: std::net::SocketAddr,
}

async fn service(host: Notebook) -> Service {
    let host = Arc::new(host);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let router = router(Arc::clone(&host), Secret::new("good"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Service { host, address }
}

impl Service {
    /// Writes these bytes, and returns the status and the body of the answer.
    async fn raw(&self, bytes: &[u8]) -> (u16, String) {
        let mut socket = TcpStream::connect(self.address).await.expect("listening");
        // A refused body may be cut short by the other side; only the answer counts.
        let _ = socket.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).expect("ascii");
        let status = answer
            .get(9..12)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no answer: {answer:?}"));
        (status, answer.split_once("\r\n\r\n").expect("head and body").1.to_owned())
    }

    async fn ask(&self, line: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let length = body.len();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
        );
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    async fn expect(&self, line: &str, headers: &str, body: &[u8], expected: (u16, &str)) {
        let (status, answer) = self.ask(line, headers, body).await;
        let errcode = serde_json::from_str::<serde_json::Value>(&answer).expect("JSON")["errcode"].clone();
        assert_eq!((status, errcode.as_str().unwrap_or_default()), expected, "{line} {headers}");
    }
}

const GOOD: &str = "Authorization: Bearer good\r\n";
const TXN: &str = "PUT /_matrix/app/v1/transactions/1";

#[tokio::test]
async fn a_transaction_is_handed_over_with_its_events_untouched() {
    let service = service(Notebook::default()).await;
    let event = r#"{"event_id":"$1",  "room_id":"!r","content":{"é":[1.50]}}"#;
    let body = format!(r#"{{"events":[{event},17],"ephemeral":[{{}}]}}"#);
    service.expect("PUT /_matrix/app/v1/transactions/..%2F..%2Fx", GOOD, body.as_bytes(), (200, "")).await;
    let taken = service.host.taken.lock().unwrap();
    assert_eq!(taken[0].0, "../../x");
    assert_eq!(taken[0].1[0].json, event);
    assert_eq!((taken[0].1.len(), *service.host.skipped.lock().unwrap()), (1, 1));
}

#[tokio::test]
async fn typing_is_told_of_transactions_that_were_taken_alone() {
    // As Synapse writes it for a registration that asks for it by both names.
    let typing = r#"[{"type":"m.typing","room_id":"!r:hs","content":{"user_ids":["@ada:hs"]}}]"#;
    let body = format!(r#"{{"events":[],"ephemeral":{typing},"de.sorunome.msc2409.ephemeral":{typing}}}"#);
    let told = |busy| {
        let body = body.clone();
        async move {
            let service = service(Notebook { busy, ..Notebook::default() }).await;
            let status = service.ask(TXN, GOOD, body.as_bytes()).await.0;
            (status, service.host.typing.lock().unwrap().len())
        }
    };
    assert_eq!(told(false).await, (200, 1));
    assert_eq!(told(true).await, (503, 0));
    let service = service(Notebook::default()).await;
    let old = format!(r#"{{"de.sorunome.msc2409.ephemeral":{typing},"events":[]}}"#);
    service.expect(TXN, GOOD, old.as_bytes(), (200, "")).await;
    let user = UserId::new("@ada:hs").expect("a user");
    let room = crate::ids::RoomId::new("!r:hs").expect("a room");
    assert_eq!(*service.host.typing.lock().unwrap(), [RoomTyping { room, users: vec![user] }]);
}

#[tokio::test]
async fn only_who_knows_the_token_comes_in() {
    let service = service(Notebook::default()).await;
    let body = br#"{"events":[]}"#;
    let legacy = |token: &str| format!("{TXN}?x=1&access_token={token}");
    let (missing, wrong) = ((401, "M_UNAUTHORIZED"), (403, "M_FORBIDDEN"));
    for (line, headers, expected) in [
        (TXN, "", missing),
        (TXN, "Authorization: Bearer \r\n", missing),
        (TXN, "Authorization: Basic good\r\n", missing),
        (TXN, "Authorization: Bearer goo\r\n", wrong),
        (TXN, "Authorization: Bearer goodx\r\n", wrong),
        (TXN, "Authorization: Bearer good\r\nAuthorization: Bearer good\r\n", wrong),
        (TXN, "Authorization: Bearer \u{e9}\r\n", wrong),
        (&legacy("good"), "", missing),
        (&legacy("bad"), GOOD, wrong),
        (&legacy(""), GOOD, wrong),
        (&legacy("good&access_token=bad"), GOOD, wrong),
        (&legacy("g%6Fod"), GOOD, (200, "")),
        (TXN, "authorization: bearer good\r\n", (200, "")),
    ] {
        service.expect(line, headers, body, expected).await;
    }
    assert_eq!(service.host.taken.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_no_transaction_is_refused_with_its_code() {
    let service = service(Notebook::default()).await;
    let long = format!("PUT /_matrix/app/v1/transactions/{}", "9".repeat(10_000));
    let ok: &[u8] = br#"{"events":[]}"#;
    for (line, body, expected) in [
        (TXN, &b"{"[..], (400, "M_NOT_JSON")),
        (TXN, &b"{\"events\":[\"\xff\"]}"[..], (400, "M_NOT_JSON")),
        (TXN, &b"[]"[..], (400, "M_BAD_JSON")),
        (TXN, &br#"{"events":{}}"#[..], (400, "M_BAD_JSON")),
        ("POST /_matrix/app/v1/transactions/1", ok, (405, "M_UNRECOGNIZED")),
        ("DELETE /_matrix/app/v1/ping", ok, (405, "M_UNRECOGNIZED")),
        ("PUT /_matrix/app/v1/transactions/", ok, (404, "M_UNRECOGNIZED")),
        ("PUT /_matrix/app/v1/transactions/%ff", ok, (404, "M_UNRECOGNIZED")),
        ("GET /_matrix/app/v1/thirdparty/protocols", ok, (404, "M_UNRECOGNIZED")),
        ("GET /", ok, (404, "M_UNRECOGNIZED")),
        (&long, ok, (404, "M_UNRECOGNIZED")),
    ] {
        service.expect(line, GOOD, body, expected).await;
    }
    assert!(service.host.taken.lock().unwrap().is_empty());
}

#[tokio::test]
async fn questions_and_pings_are_answered() {
    let service = service(Notebook::default()).await;
    for (line, expected) in [
        ("GET /_matrix/app/v1/rooms/%23irc_%23a%2Fb%3Alab.test", (200, "")),
        ("GET /_matrix/app/v1/rooms/%23irc_%23a/b%3Alab.test", (200, "")),
        ("GET /_matrix/app/v1/rooms/%23irc_%23a%00b%3Alab.test", (404, "M_NOT_FOUND")),
        ("GET /_matrix/app/v1/rooms/nonsense", (404, "M_NOT_FOUND")),
        ("GET /_matrix/app/v1/users/@irc_al:lab.test", (200, "")),
        ("GET /_matrix/app/v1/users/@irc_bo:lab.test", (404, "M_NOT_FOUND")),
        ("GET /_matrix/app/v1/users/%FF", (404, "M_NOT_FOUND")),
    ] {
        service.expect(line, GOOD, b"", expected).await;
    }
    service.expect("POST /_matrix/app/v1/ping", GOOD, br#"{"transaction_id":"x"}"#, (200, "")).await;
    service.expect("POST /_matrix/app/v1/ping", "", b"{}", (401, "M_UNAUTHORIZED")).await;
}

#[tokio::test]
async fn a_busy_host_is_said_to_be_busy() {
    let service = service(Notebook { busy: true, ..Notebook::default() }).await;
    service.expect(TXN, GOOD, br#"{"events":[]}"#, (503, "M_UNKNOWN")).await;
}

#[tokio::test]
async fn a_body_without_measure_is_cut_off() {
    let service = service(Notebook::default()).await;
    let head = format!("{TXN} HTTP/1.1\r\nHost: x\r\n{GOOD}Content-Length: 209715200\r\n\r\n");
    let (status, answer) = service.raw(head.as_bytes()).await;
    assert_eq!((status, answer.as_str()), (413, r#"{"errcode":"M_TOO_LARGE"}"#));

    let mut socket = TcpStream::connect(service.address).await.expect("listening");
    let head = format!("{TXN} HTTP/1.1\r\nHost: x\r\n{GOOD}Transfer-Encoding: chunked\r\n\r\n");
    socket.write_all(head.as_bytes()).await.expect("open");
    let chunk = [b"100000\r\n".as_slice(), &[b' '; 1 << 20], b"\r\n"].concat();
    let mut sent = 0;
    while sent < 64 && socket.write_all(&chunk).await.is_ok() {
        sent += 1;
    }
    assert!(sent < 64, "64 MiB were swallowed");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_and_a_host_that_never_answers_are_given_up() {
    let service = service(Notebook::default()).await;
    let head =
        format!("{TXN} HTTP/1.1\r\nHost: x\r\n{GOOD}Connection: close\r\nContent-Length: 100\r\n\r\n{{");
    assert_eq!(service.raw(head.as_bytes()).await.0, 408);
    service.expect("GET /_matrix/app/v1/users/@irc_never:lab.test", GOOD, b"", (503, "M_UNKNOWN")).await;
}

#[tokio::test]
async fn more_transactions_at_once_than_there_are_places_are_sent_away() {
    let service = service(Notebook::default()).await;
    let head =
        format!("{TXN} HTTP/1.1\r\nHost: x\r\n{GOOD}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n");
    let mut waiting = Vec::new();
    for _ in 0..TRANSACTIONS_MAX {
        let mut socket = TcpStream::connect(service.address).await.expect("listening");
        socket.write_all(head.as_bytes()).await.expect("open");
        // The "100 Continue" tells that the handler has its place and reads.
        let mut line = [0; 12];
        socket.read_exact(&mut line).await.expect("an interim answer");
        waiting.push(socket);
    }
    service.expect(TXN, GOOD, br#"{"events":[]}"#, (503, "M_UNKNOWN")).await;
}

#[tokio::test]
async fn channels_and_people_are_looked_up_with_the_fields_that_count() {
    let service = service(Notebook::default()).await;
    let get = async |path: &str| {
        let line = format!("GET /_matrix/app/v1/thirdparty/{path}");
        let (status, body) = service.ask(&line, "Authorization: Bearer good\r\n", b"").await;
        (status, serde_json::from_str::<serde_json::Value>(&body).expect("JSON"))
    };
    let (status, protocol) = get("protocol/irc").await;
    assert_eq!((status, &protocol["instances"][0]["fields"]["domain"]), (200, &"irc.net".into()));
    assert_eq!(get("protocol/xmpp").await.0, 404);

    let (status, place) = get("location/irc?domain=irc.net&channel=%23a+b&access_token=good").await;
    assert_eq!((status, place[0]["alias"].as_str()), (200, Some("#irc_#a:lab.test")), "{place}");
    assert_eq!(place[0]["fields"], serde_json::json!({ "channel": "#a b", "domain": "irc.net" }));
    let (_, person) = get("user?userid=@irc_al:lab.test").await;
    assert_eq!(
        (person[0]["userid"].as_str(), &person[0]["fields"]["nick"]),
        (Some("@irc_al:lab.test"), &"al".into())
    );

    let long = format!("location/irc?channel={}", "x".repeat(600));
    let wide = format!("location/irc?{}&channel=%23a+b", "a=b&".repeat(2_000));
    for nothing in [
        "location/irc",
        "location/irc?channel=",
        "location/irc?channel=%ff",
        "location?alias=x",
        "user",
        &long,
        &wide,
    ] {
        assert_eq!(get(nothing).await, (200, serde_json::json!([])), "{nothing}");
    }
    assert_eq!(get("user/xmpp?nick=al").await.0, 404);
    assert_eq!(service.ask("GET /_matrix/app/v1/thirdparty/protocol/irc", "", b"").await.0, 401);
}
