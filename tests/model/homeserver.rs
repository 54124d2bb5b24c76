//! A model homeserver: the part of the client-server API a bridge calls, and the application service push.
//!
//! It answers as a real Synapse does where a bridge could stumble: one idempotency cache for all ghosts,
//! refusal of unregistered ghosts, `M_USER_IN_USE`, version 12 rooms, one transaction in flight, the same
//! transaction again after a failure. Faults (429, 5xx, slowness, a lost answer) come on request. Every
//! send is recorded with the moment its first byte was read. It can go away and come back, and keep its rooms'
//! history, for which it is asked. It checks no power levels, federates with nobody, and forgets everything when dropped. The records grow until they are taken.

mod api;
mod push;
mod rooms;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use self::api::{Action, State};
use super::http::{After, Parsed, Reply, Request};
use super::{Bell, Short};

#[allow(unused_imports, reason = "each test or bench uses its own part of the models")]
pub use self::push::{Event, PushError, Pushed, Stranded, transaction};

/// Who the partners are, and which of Synapse's habits hold.
#[derive(Clone, Debug)]
pub struct Settings {
    pub domain: String,
    /// Where transactions go, without a trailing slash. The registration's id is not checked.
    pub appservice_url: String,
    pub as_token: String,
    pub hs_token: String,
    pub sender_localpart: String,
    /// What the localpart of every ghost starts with: the user namespace.
    pub ghost_prefix: String,
    pub transaction_scope: TransactionScope,
    pub unregistered: Unregistered,
    pub echo: Echo,
    pub history: History,
}

impl Settings {
    /// A homeserver as Synapse is: tokens `as` and `hs`, bot `@ircbot`, ghosts `@irc_…`, no echo.
    pub fn new(domain: &str, appservice_url: &str) -> Self {
        Self {
            domain: domain.to_owned(),
            appservice_url: appservice_url.trim_end_matches('/').to_owned(),
            as_token: "as".to_owned(),
            hs_token: "hs".to_owned(),
            sender_localpart: "ircbot".to_owned(),
            ghost_prefix: "irc_".to_owned(),
            transaction_scope: TransactionScope::Path,
            unregistered: Unregistered::Refused,
            echo: Echo::Off,
            history: History::Forgotten,
        }
    }
}

/// What makes two sends with one transaction id the same send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionScope {
    /// The path alone, as in Synapse: a second ghost's send is taken for the first one's and lost.
    Path,
    /// The path and the sender, as the specification has it.
    PathAndSender,
}

/// How a masquerade as a ghost that was never registered is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unregistered {
    /// 403, as in Synapse.
    Refused,
    Allowed,
}

/// Whether the events of the bot and the ghosts come back to the application service. Synapse does this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    On,
    Off,
}

/// Whether rooms have a past (`/messages`). It grows until the server is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    Kept,
    /// Every room is empty to who looks back.
    Forgotten,
}

/// A fault for the next `times` requests whose path, still encoded, contains `path_contains`.
#[derive(Clone, Debug)]
pub struct Fault {
    pub path_contains: String,
    pub times: u32,
    pub kind: FaultKind,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum FaultKind {
    /// 429 `M_LIMIT_EXCEEDED`; nothing is done.
    Limited { retry_after_ms: u64 },
    /// This status with `M_UNKNOWN`; nothing is done.
    Status(u16),
    /// It is done at once and answered after this time.
    Slow(Duration),
    /// It is done, and the connection closes without an answer.
    LostAnswer,
}

/// Who may join a room without an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinRule {
    Public,
    Invite,
}

/// One accepted event: a message, or state when `state_key` is there.
#[derive(Clone, Debug)]
pub struct Sent {
    pub event_id: String,
    pub room: String,
    pub kind: String,
    pub state_key: Option<String>,
    pub sender: String,
    /// Empty for state.
    pub transaction: String,
    /// The content as it came.
    pub body: Vec<u8>,
    /// When the first byte of the request was read.
    pub at: Instant,
}

impl Sent {
    /// The content's `body`, empty when it has none.
    pub fn text(&self) -> String {
        let content: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        content["body"].as_str().unwrap_or_default().to_owned()
    }
}

/// Whether it is there at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Up,
    Away,
}

/// A running model homeserver. Clones are the same server; it runs until the runtime ends.
#[derive(Clone)]
pub struct Homeserver(Arc<Inner>);

struct Inner {
    settings: Settings,
    port: u16,
    state: Mutex<State>,
    bell: Bell,
    presence: watch::Sender<Presence>,
    pusher: tokio::sync::Mutex<push::Pusher>,
}

impl Homeserver {
    /// Listens on a free loopback port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let pusher = push::Pusher::new(&settings);
        let server = Self(Arc::new(Inner {
            port: listener.local_addr()?.port(),
            state: Mutex::new(State::new(&settings)),
            bell: Bell::default(),
            presence: watch::Sender::new(Presence::Up),
            pusher: tokio::sync::Mutex::new(pusher),
            settings,
        }));
        tokio::spawn(server.clone().accept(listener));
        if server.0.settings.echo == Echo::On {
            tokio::spawn(server.clone().echo());
        }
        Ok(server)
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.0.port)
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Makes a room with these members, `(user id, display name)`; nobody is told.
    pub fn add_room(&self, room: &str, rule: JoinRule, members: &[(String, String)]) {
        self.state().add_room(room, rule, members);
    }

    /// Gives a room an alias.
    pub fn add_alias(&self, alias: &str, room: &str) {
        self.state().aliases.insert(alias.to_owned(), room.to_owned());
    }

    /// Knows a ghost from before: registered, with this device and this display name.
    pub fn add_ghost(&self, user: &str, device: &str, name: &str) {
        self.state().add_ghost(user, device, name);
    }

    /// Lets requests fail from now on, before faults asked for earlier are used up.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.insert(0, fault);
    }

    /// What a restart of Synapse does to its idempotency cache: sends without a device are forgotten.
    pub fn forget_transactions(&self) {
        self.state().forget_transactions();
    }

    /// Ends every connection, as the end of the process does, and takes none until [`Self::come_back`]. What was made
    /// with [`Self::event`] and its like and not pushed is pushed by nobody then: a restart loses it.
    pub fn go_away(&self) {
        self.forget_transactions();
        self.0.presence.send_replace(Presence::Away);
    }

    /// Answers again.
    pub fn come_back(&self) {
        self.0.presence.send_replace(Presence::Up);
    }

    /// Who is joined to a room, in order; empty for an unknown room.
    pub fn joined(&self, room: &str) -> Vec<String> {
        self.state().joined(room)
    }

    /// The display name somebody gave themselves.
    pub fn display_name(&self, user: &str) -> Option<String> {
        self.state().names.get(user).cloned()
    }

    /// How often an endpoint was called, by its name in the specification's path, for example `register`.
    pub fn calls(&self, endpoint: &str) -> u64 {
        self.state().calls.get(endpoint).copied().unwrap_or(0)
    }

    /// How often each endpoint was called, by name; see [`Self::calls`].
    pub fn all_calls(&self) -> BTreeMap<&'static str, u64> {
        self.state().calls.iter().map(|(endpoint, count)| (*endpoint, *count)).collect()
    }

    /// The state events that were accepted, in order; they are not in [`Self::sent`].
    pub fn state_set(&self) -> Vec<Sent> {
        self.state().state_set.clone()
    }

    /// How many messages (events without a state key) were accepted since the last [`Self::take_sent`].
    pub fn sent_len(&self) -> usize {
        self.state().sent.len()
    }

    /// A copy of the messages that were accepted, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    /// The messages that were accepted, in order; the record starts anew.
    pub fn take_sent(&self) -> Vec<Sent> {
        std::mem::take(&mut self.state().sent)
    }

    /// Waits until `count` messages were accepted since the last [`Self::take_sent`].
    ///
    /// # Errors
    /// When fewer were accepted `within` this time.
    pub async fn wait_for(&self, count: usize, within: Duration) -> Result<(), Short> {
        match self.0.bell.until(within, || self.sent_len() >= count).await {
            true => Ok(()),
            false => Err(Short { wanted: count, have: self.sent_len() }),
        }
    }

    /// Waits until an endpoint was called `count` times; see [`Self::calls`].
    ///
    /// # Errors
    /// When it was called less often `within` this time.
    pub async fn wait_for_calls(&self, endpoint: &str, count: u64, within: Duration) -> Result<(), Short> {
        match self.0.bell.until(within, || self.calls(endpoint) >= count).await {
            true => Ok(()),
            false => Err(Short { wanted: count as usize, have: self.calls(endpoint) as usize }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().expect("no model panics while it holds its state")
    }

    async fn accept(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            if *self.0.presence.borrow() == Presence::Away {
                continue;
            }
            let (server, mut presence) = (self.clone(), self.0.presence.subscribe());
            tokio::spawn(async move {
                tokio::select! {
                    () = server.serve(stream) => {}
                    _ = presence.wait_for(|presence| *presence == Presence::Away) => {}
                }
            });
        }
    }

    /// One connection until it ends; an I/O error ends it as a close does.
    async fn serve(self, mut stream: TcpStream) {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let mut input = Vec::with_capacity(4096);
        let mut output = Vec::new();
        let mut first_byte = None;
        loop {
            match stream.read_buf(&mut input).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let at = *first_byte.get_or_insert_with(Instant::now);
            let after = self.answer_all(&mut input, at, &mut output).await;
            first_byte = (!input.is_empty()).then_some(at);
            if stream.write_all(&output).await.is_err() || after == After::Close {
                return;
            }
            output.clear();
        }
    }

    /// Answers every whole request in `input` and leaves the rest there.
    async fn answer_all(&self, input: &mut Vec<u8>, at: Instant, output: &mut Vec<u8>) -> After {
        let mut used = 0;
        let mut after = After::Keep;
        while used < input.len() && after == After::Keep {
            match Request::parse(&input[used..]) {
                Parsed::Partial => break,
                Parsed::Bad(why) => {
                    Reply::error(400, "M_NOT_JSON", why).write_to(output);
                    after = After::Close;
                }
                Parsed::Whole(request, length) => {
                    after = self.answer(&request, at, output).await;
                    used += length;
                }
            }
        }
        input.drain(..used);
        after
    }

    async fn answer(&self, request: &Request<'_>, at: Instant, output: &mut Vec<u8>) -> After {
        let action = self.state().handle(request, at);
        self.0.bell.ring();
        match action {
            Action::Reply(reply) => reply.write_to(output),
            Action::Ping(body) => self.ping(&body).await.write_to(output),
            Action::Late(wait, reply) => {
                tokio::time::sleep(wait).await;
                reply.write_to(output);
            }
            Action::Lose => return After::Close,
        }
        request.after
    }
}
