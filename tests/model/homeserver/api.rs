//! The state of the model homeserver and the endpoints that read and change it.
//!
//! One call is one lock, no await. What needs the network (the ping) or time is returned as an [`Action`].
//! Only what a bridge can notice is modelled: who is registered, who is in which room, what was sent.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::http::{Reply, Request, decode};
use super::rooms::Room;
use super::{Echo, Event, Fault, FaultKind, History, Sent, Settings, TransactionScope, Unregistered};

/// Largest event taken, in bytes (client-server API, "Size limits").
const EVENT_BYTES_MAX: usize = 65_536;

const VERSIONS: &str = r#"{"versions":["v1.1","v1.2","v1.3","v1.4","v1.5","v1.6","v1.7","v1.8","v1.9","v1.10","v1.11","v1.12","v1.13","v1.14","v1.15"],"unstable_features":{}}"#;
const CAPABILITIES: &str = r#"{"capabilities":{"m.change_password":{"enabled":false},"m.room_versions":{"default":"12","available":{"10":"stable","11":"stable","12":"stable"}}}}"#;
pub const EMPTY: Reply = Reply::fixed("{}");

/// How a request is to be answered.
pub enum Action {
    Reply(Reply),
    /// Call the application service's ping endpoint with this body first.
    Ping(String),
    Late(Duration, Reply),
    /// Close the connection instead.
    Lose,
}

pub struct State {
    pub settings: Settings,
    bot: String,
    users: HashSet<String>,
    devices: HashSet<(String, String)>,
    pub names: HashMap<String, String>,
    pub rooms: HashMap<String, Room>,
    pub aliases: HashMap<String, String>,
    transactions: HashMap<String, Remembered>,
    pub sent: Vec<Sent>,
    pub state_set: Vec<Sent>,
    pub echoes: VecDeque<Event>,
    /// The events of each room, oldest first, where they are kept.
    pub history: HashMap<String, Vec<Value>>,
    pub calls: HashMap<&'static str, u64>,
    pub faults: Vec<Fault>,
    last_number: u64,
}

/// One answered transaction id.
struct Remembered {
    event_id: String,
    memory: Memory,
}

/// Whether a transaction id survives a restart of the homeserver: in Synapse, when the sender has a device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    Lasting,
    Fleeting,
}

/// In whose name a request comes.
pub struct Caller<'a> {
    pub user: Cow<'a, str>,
    memory: Memory,
}

pub type Outcome = Result<Reply, Reply>;

impl State {
    pub fn new(settings: &Settings) -> Self {
        let bot = format!("@{}:{}", settings.sender_localpart, settings.domain);
        Self {
            settings: settings.clone(),
            users: HashSet::from([bot.clone()]),
            bot,
            devices: HashSet::new(),
            names: HashMap::new(),
            rooms: HashMap::new(),
            aliases: HashMap::new(),
            transactions: HashMap::new(),
            sent: Vec::new(),
            state_set: Vec::new(),
            echoes: VecDeque::new(),
            history: HashMap::new(),
            calls: HashMap::new(),
            faults: Vec::new(),
            last_number: 0,
        }
    }

    /// Does what a request asks for, unless a fault is due.
    pub fn handle(&mut self, request: &Request<'_>, at: Instant) -> Action {
        let fault = if self.faults.is_empty() { None } else { self.take_fault(request.path) };
        match fault {
            Some(FaultKind::Limited { retry_after_ms }) => Action::Reply(limited(retry_after_ms)),
            Some(FaultKind::Status(status)) => {
                Action::Reply(Reply::error(status, "M_UNKNOWN", "as asked for"))
            }
            Some(FaultKind::Slow(wait)) => match self.perform(request, at) {
                Action::Reply(reply) => Action::Late(wait, reply),
                action => action,
            },
            Some(FaultKind::LostAnswer) => {
                let _lost = self.perform(request, at);
                Action::Lose
            }
            None => self.perform(request, at),
        }
    }

    fn take_fault(&mut self, path: &str) -> Option<FaultKind> {
        self.faults.retain(|fault| fault.times > 0);
        let fault = self.faults.iter_mut().find(|fault| path.contains(&fault.path_contains))?;
        fault.times -= 1;
        Some(fault.kind.clone())
    }

    fn perform(&mut self, request: &Request<'_>, at: Instant) -> Action {
        let mut segments = [""; 8];
        let rest = request.path.strip_prefix("/_matrix/client/").unwrap_or_default();
        let mut count = 0;
        for (place, segment) in segments.iter_mut().zip(rest.split('/')) {
            *place = segment;
            count += 1;
        }
        if let ("GET", ["versions"]) = (request.method, &segments[..count]) {
            self.count("versions");
            return Action::Reply(Reply::fixed(VERSIONS));
        }
        let outcome = match self.caller(request) {
            Err(refusal) => Err(refusal),
            Ok(caller) => match (request.method, &segments[..count]) {
                ("POST", ["v1", "appservice", _, "ping"]) => {
                    self.count("ping");
                    return Action::Ping(String::from_utf8_lossy(request.body).into_owned());
                }
                (method, ["v3" | "r0", rest @ ..]) => self.endpoint(method, rest, &caller, request, at),
                _ => Err(unrecognized()),
            },
        };
        Action::Reply(outcome.unwrap_or_else(|refusal| refusal))
    }

    fn endpoint(
        &mut self,
        method: &str,
        segments: &[&str],
        caller: &Caller<'_>,
        request: &Request<'_>,
        at: Instant,
    ) -> Outcome {
        match (method, segments) {
            ("PUT", ["rooms", room, "send", kind, transaction]) => {
                self.count("send");
                self.send(caller, &decode(room), &decode(kind), transaction, request, at)
            }
            ("PUT", ["rooms", room, "state", kind, key @ ..]) => {
                self.count("state");
                let key = decode(key.first().copied().unwrap_or_default());
                self.set_state(caller, &decode(room), &decode(kind), &key, request.body, at)
            }
            ("GET", ["rooms", room, "state", kind, key @ ..]) => {
                self.count("state");
                let key = decode(key.first().copied().unwrap_or_default());
                self.get_state(&decode(room), &decode(kind), &key)
            }
            ("GET", ["account", "whoami"]) => {
                self.count("whoami");
                Ok(Reply::made(json!({"user_id": caller.user}).to_string()))
            }
            ("GET", ["capabilities"]) => Ok(Reply::fixed(CAPABILITIES)),
            ("POST", ["register"]) => {
                self.count("register");
                self.register(&body_of(request)?)
            }
            ("PUT", ["devices", device]) => {
                self.count("devices");
                self.devices.insert((caller.user.clone().into_owned(), decode(device).into_owned()));
                Ok(EMPTY)
            }
            ("PUT", ["profile", user, "displayname"]) => {
                self.count("displayname");
                self.set_name(caller, &decode(user), &body_of(request)?)
            }
            ("GET", ["profile", user, "displayname"]) => {
                let name = self.names.get(decode(user).as_ref()).ok_or_else(not_found)?;
                Ok(Reply::made(json!({"displayname": name}).to_string()))
            }
            ("POST", ["createRoom"]) => {
                self.count("createRoom");
                self.create_room(caller, &body_of(request)?)
            }
            ("POST", ["join", room] | ["rooms", room, "join"]) => {
                self.count("join");
                self.join(caller, &decode(room))
            }
            ("POST", ["rooms", room, change @ ("leave" | "invite" | "kick" | "ban")]) => {
                self.count("membership");
                self.change_member(caller, &decode(room), change, &body_of(request)?)
            }
            ("GET", ["rooms", room, "messages"]) => {
                self.count("messages");
                self.messages(caller, &decode(room), request)
            }
            ("GET", ["rooms", room, "joined_members"]) => {
                self.count("joined_members");
                self.joined_members(caller, &decode(room))
            }
            (_, ["directory", "room", alias]) => {
                self.count("directory");
                self.directory(method, &decode(alias), request)
            }
            _ => Err(unrecognized()),
        }
    }

    /// Who is asking: the bot, or the ghost in `user_id`, which must be ours and registered.
    fn caller<'a>(&self, request: &Request<'a>) -> Result<Caller<'a>, Reply> {
        match request.bearer {
            None => return Err(Reply::error(401, "M_MISSING_TOKEN", "Missing access token")),
            Some(token) if token != self.settings.as_token => {
                return Err(Reply::error(401, "M_UNKNOWN_TOKEN", "Unrecognised access token"));
            }
            Some(_) => {}
        }
        let user = request.parameter("user_id").unwrap_or_else(|| Cow::Owned(self.bot.clone()));
        if user != self.bot && !self.is_ghost(&user) {
            return Err(forbidden("Application service cannot masquerade as this user"));
        }
        if self.settings.unregistered == Unregistered::Refused && !self.users.contains(user.as_ref()) {
            return Err(forbidden("Application service has not registered this user"));
        }
        let Some(device) = request.parameter("device_id") else {
            return Ok(Caller { user, memory: Memory::Fleeting });
        };
        if !self.devices.contains(&(user.clone().into_owned(), device.into_owned())) {
            return Err(Reply::error(400, "M_UNKNOWN_DEVICE", "Unknown device"));
        }
        Ok(Caller { user, memory: Memory::Lasting })
    }

    fn is_ghost(&self, user: &str) -> bool {
        let localpart = user.strip_prefix('@').and_then(|rest| rest.split_once(':'));
        localpart.is_some_and(|(localpart, domain)| {
            localpart.starts_with(&self.settings.ghost_prefix) && domain == self.settings.domain
        })
    }

    fn register(&mut self, body: &Value) -> Outcome {
        if body["inhibit_login"] != true {
            return Err(Reply::error(400, "M_APPSERVICE_LOGIN_UNSUPPORTED", "inhibit_login must be true"));
        }
        let user = format!("@{}:{}", body["username"].as_str().unwrap_or_default(), self.settings.domain);
        if user != self.bot && !self.is_ghost(&user) {
            return Err(Reply::error(
                400,
                "M_EXCLUSIVE",
                "Invalid user localpart for this application service",
            ));
        }
        if !self.users.insert(user.clone()) {
            return Err(Reply::error(400, "M_USER_IN_USE", "User ID already taken."));
        }
        Ok(Reply::made(json!({"user_id": user}).to_string()))
    }

    fn set_name(&mut self, caller: &Caller<'_>, user: &str, body: &Value) -> Outcome {
        if user != caller.user {
            return Err(forbidden("Cannot set another user's display name"));
        }
        let name = body["displayname"].as_str().unwrap_or_default();
        self.names.insert(user.to_owned(), name.to_owned());
        Ok(EMPTY)
    }

    fn send(
        &mut self,
        caller: &Caller<'_>,
        room: &str,
        kind: &str,
        transaction: &str,
        request: &Request<'_>,
        at: Instant,
    ) -> Outcome {
        let key = match self.settings.transaction_scope {
            TransactionScope::Path => request.path.to_owned(),
            TransactionScope::PathAndSender => format!("{} {}", request.path, caller.user),
        };
        if let Some(known) = self.transactions.get(&key) {
            return Ok(event_reply(&known.event_id));
        }
        self.require_joined(room, &caller.user)?;
        check_event(request.body)?;
        let event_id = self.record(caller, room, kind, None, &decode(transaction), request.body, at);
        let reply = event_reply(&event_id);
        self.transactions.insert(key, Remembered { event_id, memory: caller.memory });
        Ok(reply)
    }

    fn set_state(
        &mut self,
        caller: &Caller<'_>,
        room: &str,
        kind: &str,
        key: &str,
        body: &[u8],
        at: Instant,
    ) -> Outcome {
        self.require_joined(room, &caller.user)?;
        check_event(body)?;
        let place = (kind.to_owned(), key.to_owned());
        let room_state = &mut self.rooms.get_mut(room).ok_or_else(not_found)?.state;
        room_state.insert(place, body.to_owned());
        let event_id = self.record(caller, room, kind, Some(key), "", body, at);
        Ok(event_reply(&event_id))
    }

    fn get_state(&self, room: &str, kind: &str, key: &str) -> Outcome {
        let room = self.rooms.get(room).ok_or_else(not_found)?;
        let content = room.state.get(&(kind.to_owned(), key.to_owned())).ok_or_else(not_found)?;
        Ok(Reply::made(String::from_utf8_lossy(content).into_owned()))
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one event")]
    fn record(
        &mut self,
        caller: &Caller<'_>,
        room: &str,
        kind: &str,
        state_key: Option<&str>,
        transaction: &str,
        body: &[u8],
        at: Instant,
    ) -> String {
        let event_id = self.fresh_event_id();
        self.echo(&event_id, room, &caller.user, kind, state_key, body);
        let record = if state_key.is_some() { &mut self.state_set } else { &mut self.sent };
        record.push(Sent {
            event_id: event_id.clone(),
            room: room.to_owned(),
            kind: kind.to_owned(),
            state_key: state_key.map(str::to_owned),
            sender: caller.user.clone().into_owned(),
            transaction: transaction.to_owned(),
            body: body.to_owned(),
            at,
        });
        event_id
    }

    pub fn echo(
        &mut self,
        event_id: &str,
        room: &str,
        sender: &str,
        kind: &str,
        key: Option<&str>,
        body: &[u8],
    ) {
        if self.settings.echo == Echo::Off && self.settings.history == History::Forgotten {
            return;
        }
        let content: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut event = json!({
            "type": kind, "event_id": event_id, "room_id": room, "sender": sender,
            "origin_server_ts": super::push::now_ms(), "content": content, "unsigned": {"age": 1},
        });
        if let Some(key) = key {
            event["state_key"] = key.into();
        }
        self.remember(room, &event);
        if self.settings.echo == Echo::On {
            self.echoes.push_back(Event(event.to_string()));
        }
    }

    /// Adds an event to its room's past, where there is one.
    pub fn remember(&mut self, room: &str, event: &Value) {
        if self.settings.history == History::Kept {
            self.history.entry(room.to_owned()).or_default().push(event.clone());
        }
    }

    /// `GET /rooms/{roomId}/messages?dir=b`. The token `tN` is the place before the N-th event.
    fn messages(&self, caller: &Caller<'_>, room: &str, request: &Request<'_>) -> Outcome {
        self.require_joined(room, &caller.user)?;
        let past = self.history.get(room).map_or(&[][..], Vec::as_slice);
        let number = |name: &str| request.parameter(name).map(|text| text.trim_start_matches('t').parse());
        let start = number("from").and_then(Result::ok).unwrap_or(past.len()).min(past.len());
        let limit = number("limit").and_then(Result::ok).unwrap_or(10);
        let filter: Value = request
            .parameter("filter")
            .map_or(Value::Null, |filter| serde_json::from_str(&filter).unwrap_or_default());
        let is_wanted =
            |event: &Value| filter["types"].as_array().is_none_or(|types| types.contains(&event["type"]));
        let wanted = past[..start].iter().enumerate().rev().filter(|(_, event)| is_wanted(event));
        let page: Vec<(usize, &Value)> = wanted.take(limit).collect();
        let mut answer = json!({
            "start": format!("t{start}"),
            "chunk": page.iter().map(|(_, event)| event).collect::<Vec<_>>(),
        });
        // The last page has no end.
        if let Some((last, _)) = page.last().filter(|_| page.len() == limit) {
            answer["end"] = format!("t{last}").into();
        }
        Ok(Reply::made(answer.to_string()))
    }

    pub fn forget_transactions(&mut self) {
        self.transactions.retain(|_, known| known.memory == Memory::Lasting);
    }

    pub fn fresh_event_id(&mut self) -> String {
        format!("$model{}", self.fresh_number())
    }

    pub fn fresh_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// A ghost as an earlier run of the bridge left it: registered, with a device and a name.
    pub fn add_ghost(&mut self, user: &str, device: &str, name: &str) {
        self.users.insert(user.to_owned());
        self.devices.insert((user.to_owned(), device.to_owned()));
        self.names.insert(user.to_owned(), name.to_owned());
    }

    fn count(&mut self, endpoint: &'static str) {
        *self.calls.entry(endpoint).or_insert(0) += 1;
    }
}

fn check_event(body: &[u8]) -> Result<(), Reply> {
    if body.len() > EVENT_BYTES_MAX {
        return Err(Reply::error(413, "M_TOO_LARGE", "event too large"));
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        Ok(_) if body.starts_with(b"{") => Ok(()),
        _ => Err(Reply::error(400, "M_NOT_JSON", "Content not JSON.")),
    }
}

/// The request's body as JSON; an empty one counts as `{}`, as in Synapse's membership endpoints.
pub fn body_of(request: &Request<'_>) -> Result<Value, Reply> {
    if request.body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(request.body).map_err(|_| Reply::error(400, "M_NOT_JSON", "Content not JSON."))
}

fn event_reply(event_id: &str) -> Reply {
    Reply::made(format!(r#"{{"event_id":"{event_id}"}}"#))
}

fn limited(retry_after_ms: u64) -> Reply {
    let body = json!({"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": retry_after_ms});
    Reply { status: 429, body: body.to_string().into() }
}

pub fn forbidden(words: &str) -> Reply {
    Reply::error(403, "M_FORBIDDEN", words)
}

pub fn not_found() -> Reply {
    Reply::error(404, "M_NOT_FOUND", "Not found")
}

fn unrecognized() -> Reply {
    Reply::error(404, "M_UNRECOGNIZED", "Unrecognized request")
}
