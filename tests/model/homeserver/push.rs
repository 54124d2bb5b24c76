//! What the homeserver sends to the application service: transactions, the ping, the echo.
//!
//! One transaction is in flight at a time; after a failure the same one is sent again, under the same id,
//! until it is taken or a minute has passed. The pauses are shorter than Synapse's (20 ms doubling to 1 s,
//! not 2 s doubling to 512 s), so that a test of a failure takes no minutes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::super::http::{Client, Reply, encode};
use super::{Homeserver, Settings};

/// The most events Synapse puts into one transaction.
const TRANSACTION_EVENTS_MAX: usize = 100;
/// How long one transaction is tried.
const PUSH_TIME_MAX: Duration = Duration::from_secs(60);

/// One event as JSON text.
#[derive(Clone, Debug)]
pub struct Event(pub String);

/// A transaction that was taken.
#[derive(Clone, Copy, Debug)]
pub struct Pushed {
    pub transaction: u64,
    /// Just before its first byte was written, at the first attempt.
    pub written: Instant,
    /// When the 200 was here.
    pub answered: Instant,
    /// 1 when it was taken at once.
    pub attempts: u32,
}

/// A transaction that has a number, and was not sent.
#[derive(Clone, Debug)]
pub struct Stranded {
    transaction: u64,
    events: Vec<Event>,
}

/// A transaction that was not taken in a minute.
#[derive(Clone, Debug)]
pub struct PushError {
    pub transaction: u64,
    pub attempts: u32,
    /// The last failure.
    pub why: String,
}

impl std::fmt::Display for PushError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { transaction, attempts, why } = self;
        write!(f, "transaction {transaction} was not taken in {attempts} attempts: {why}")
    }
}

impl std::error::Error for PushError {}

/// The one connection to the application service, and the number of the next transaction.
pub struct Pusher {
    client: Client,
    next: u64,
}

impl Pusher {
    pub fn new(settings: &Settings) -> Self {
        Self { client: Client::new(&settings.appservice_url), next: 1 }
    }
}

/// Now, as an event says it.
pub fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The body of a transaction with these events.
pub fn transaction(events: &[Event]) -> Vec<u8> {
    let mut body = br#"{"events":["#.to_vec();
    for (n, event) in events.iter().enumerate() {
        if n > 0 {
            body.push(b',');
        }
        body.extend_from_slice(event.0.as_bytes());
    }
    body.extend_from_slice(b"]}");
    body
}

impl Homeserver {
    /// A text message, sent now, with a fresh event id.
    pub fn message(&self, room: &str, sender: &str, text: &str) -> Event {
        self.event(
            room,
            sender,
            "m.room.message",
            None,
            &serde_json::json!({"msgtype": "m.text", "body": text}),
        )
    }

    /// A membership change, sent now, with a fresh event id. It is also what the room's members are from now on.
    pub fn member(&self, room: &str, sender: &str, target: &str, membership: &str, name: &str) -> Event {
        self.state().set_member(room, target, membership, name);
        let content = serde_json::json!({"membership": membership, "displayname": name});
        self.event(room, sender, "m.room.member", Some(target), &content)
    }

    /// Any event, sent now, with a fresh event id.
    pub fn event(
        &self,
        room: &str,
        sender: &str,
        kind: &str,
        state_key: Option<&str>,
        content: &serde_json::Value,
    ) -> Event {
        let event_id = self.state().fresh_event_id();
        let mut event = serde_json::json!({
            "type": kind, "event_id": event_id, "room_id": room, "sender": sender,
            "origin_server_ts": now_ms(), "content": content, "unsigned": {"age": 1},
        });
        if let Some(key) = state_key {
            event["state_key"] = key.into();
        }
        self.state().remember(room, &event);
        Event(event.to_string())
    }

    /// Sends one transaction, after those before it were taken.
    ///
    /// # Errors
    /// When it was not taken in a minute.
    pub async fn push(&self, events: &[Event]) -> Result<Pushed, PushError> {
        self.push_body(&transaction(events)).await
    }

    /// Writes events down as a transaction and sends it to nobody, as a Synapse does with what comes between the end
    /// of what it kept and the moment it takes the application service to be up.
    pub async fn strand(&self, events: Vec<Event>) -> Stranded {
        let mut pusher = self.0.pusher.lock().await;
        let transaction = pusher.next;
        pusher.next += 1;
        Stranded { transaction, events }
    }

    /// Sends it after all, as after the next outage.
    ///
    /// # Errors
    /// When it was not taken in a minute.
    pub async fn push_stranded(&self, stranded: &Stranded) -> Result<Pushed, PushError> {
        let mut pusher = self.0.pusher.lock().await;
        self.try_push(&mut pusher, stranded.transaction, &transaction(&stranded.events)).await
    }

    /// Sends one transaction whose body was made beforehand with [`transaction`].
    ///
    /// # Errors
    /// When it was not taken in a minute.
    pub async fn push_body(&self, body: &[u8]) -> Result<Pushed, PushError> {
        let mut pusher = self.0.pusher.lock().await;
        let transaction = pusher.next;
        pusher.next += 1;
        self.try_push(&mut pusher, transaction, body).await
    }

    async fn try_push(
        &self,
        pusher: &mut Pusher,
        transaction: u64,
        body: &[u8],
    ) -> Result<Pushed, PushError> {
        let path = format!("/_matrix/app/v1/transactions/{transaction}");
        let started = Instant::now();
        let mut written = None;
        let mut pause = Duration::from_millis(20);
        for attempts in 1.. {
            let answer = pusher.client.call("PUT", &path, &self.0.settings.hs_token, body).await;
            let why = match answer {
                Ok(answer) if answer.status == 200 => {
                    let written = written.unwrap_or(answer.written);
                    return Ok(Pushed { transaction, written, answered: answer.answered, attempts });
                }
                Ok(answer) => format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)),
                Err(error) => error.to_string(),
            };
            written.get_or_insert(started);
            if started.elapsed() > PUSH_TIME_MAX {
                return Err(PushError { transaction, attempts, why });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        unreachable!("the attempts end by return")
    }

    /// Asks the application service whether an alias exists; returns the status. Each question has its own
    /// connection, so that many can be asked at once.
    ///
    /// # Errors
    /// What the socket said.
    pub async fn ask_alias(&self, alias: &str) -> std::io::Result<u16> {
        let settings = &self.0.settings;
        let path = format!("/_matrix/app/v1/rooms/{}", encode(alias));
        let mut client = Client::new(&settings.appservice_url);
        Ok(client.call("GET", &path, &settings.hs_token, b"").await?.status)
    }

    /// Calls the application service's ping endpoint and says how that went, in the specification's words.
    pub(super) async fn ping(&self, body: &str) -> Reply {
        let settings = &self.0.settings;
        let mut client = Client::new(&settings.appservice_url);
        let call = client.call("POST", "/_matrix/app/v1/ping", &settings.hs_token, body.as_bytes());
        match call.await {
            Ok(answer) if answer.status == 200 => {
                let duration_ms = (answer.answered - answer.written).as_millis();
                Reply::made(format!(r#"{{"duration_ms":{duration_ms}}}"#))
            }
            Ok(answer) => Reply {
                status: 502,
                body: serde_json::json!({
                    "errcode": "M_BAD_STATUS", "error": "the application service refused", "status": answer.status,
                    "body": String::from_utf8_lossy(&answer.body),
                })
                .to_string()
                .into(),
            },
            Err(error) => Reply::error(502, "M_CONNECTION_FAILED", &error.to_string()),
        }
    }

    /// Sends back what the bot and the ghosts did, for as long as the runtime lives. A transaction that is
    /// given up is lost: the tests look at what the bridge does with those it got.
    pub(super) async fn echo(self) {
        loop {
            let waiting = || !self.state().echoes.is_empty();
            if !self.0.bell.until(Duration::from_secs(3600), waiting).await {
                continue;
            }
            let events: Vec<Event> = {
                let mut state = self.state();
                let count = state.echoes.len().min(TRANSACTION_EVENTS_MAX);
                state.echoes.drain(..count).collect()
            };
            let _given_up = self.push(&events).await;
        }
    }
}
