//! What all tasks of the wiring share: the adapters, and the two small registers between them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::admin_task::AdminDoor;
use super::clock::Clock;
use super::heap::Churn;
use super::host::Intake;
use super::policy_lists::PolicyRooms;
use super::reload::Reloader;
use super::routes::Routes;
use crate::bridge::effect::{Existence, Found, Outcome};
use crate::bridge::errand::Report;
use crate::bridge::input::{AskId, Input};
use crate::bridge::network::figures::Figures;
use crate::bridge::policy::{Permissions, Policy};
use crate::ids::{InboxSeq, NetworkId, RoomAlias, RoomId, UserId};
use crate::irc::identd::Idents;
use crate::matrix::client::Client;
use crate::matrix::outbox::OutboxHandle;
use crate::matrix::steps::StepsHandle;
use crate::matrix::typing::TypingHandle;
use crate::store::Store;
use crate::text::casemap::CaseMap;
use crate::vault::Vault;

/// The adapters and registers. Knows no network's state.
pub struct Shell {
    pub clock: Clock,
    pub store: Store,
    pub client: Client,
    pub outbox: OutboxHandle,
    pub typing: TypingHandle,
    pub steps: StepsHandle,
    pub admins: Vec<UserId>,
    pub tasks: TaskTracker,
    pub routes: Arc<Routes>,
    /// Who may what, as the configuration says now.
    pub permissions: RwLock<Permissions>,
    /// The way to the admin rooms.
    pub admin: AdminDoor,
    /// Which rooms are policy lists.
    pub policy_rooms: Arc<PolicyRooms>,
    /// Reads the configuration again, once everything runs.
    pub reloader: OnceLock<Reloader>,
    pub held: Held,
    /// The homeserver's questions for aliases.
    pub asks: Asks<Existence>,
    /// What people ask of networks.
    pub errands: Asks<Report>,
    /// What people look up.
    pub looked_up: Asks<Vec<Found>>,
    /// Opens stored passwords and keys.
    pub vault: Vault,
    /// How long a link for people on IRC is good; `None` where none are given.
    pub link_ms: Option<u64>,
    /// Who is behind which connection, where servers may ask.
    pub idents: Option<Idents>,
    /// Connections that came and went.
    pub churn: Churn,
    /// Inbox rows accepted and not settled, as far as this run knows.
    pub open: AtomicI64,
    /// The way of events into the inbox, for those that are read in rooms.
    pub intake: OnceLock<Weak<Intake>>,
}

impl Shell {
    /// In whose name a room of ours is read.
    pub fn reader(&self, room: &RoomId) -> UserId {
        self.routes.reader(room).unwrap_or_else(|| self.client.bot().clone())
    }

    /// Notes the end of an inbox row.
    pub async fn settle(&self, seq: InboxSeq, outcome: &Outcome) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        if let Err(error) = self.store.settle(seq, outcome).await {
            tracing::error!(seq = seq.0, %error, "an inbox row could not be settled; it comes again at the next start");
        }
    }
}

/// Whose holds are in the database, as far as this run knows.
#[derive(Default)]
pub struct Held(Mutex<HashSet<(NetworkId, UserId)>>);

impl Held {
    /// A hold is in the database.
    pub fn insert(&self, network: NetworkId, user: UserId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((network, user));
    }

    /// The machine knows of its end.
    pub fn remove(&self, network: NetworkId, user: UserId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(network, user));
    }

    /// Who is held on this network.
    pub fn of(&self, network: &NetworkId) -> Vec<UserId> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().filter(|(on, _)| on == network).map(|(_, user)| user.clone()).collect()
    }
}

/// Questions that wait for a network's answer.
pub struct Asks<A> {
    next: AtomicU64,
    waiting: Mutex<HashMap<AskId, oneshot::Sender<A>>>,
}

impl<A> Default for Asks<A> {
    fn default() -> Self {
        Self { next: AtomicU64::default(), waiting: Mutex::default() }
    }
}

impl<A> Asks<A> {
    /// Makes a question: its number, and where the answer will be.
    pub fn make(&self) -> (AskId, oneshot::Receiver<A>) {
        let ask = AskId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever asked may have gone away; their questions go with the next one.
        waiting.retain(|_, sender| !sender.is_closed());
        waiting.insert(ask, sender);
        (ask, receiver)
    }

    pub fn answer(&self, ask: AskId, answer: A) {
        let sender = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&ask);
        if let Some(sender) = sender {
            // Whoever asked may be gone; a homeserver that hung up will ask again.
            sender.send(answer).ok();
        }
    }
}

/// Questions for a network's figures.
pub type FiguresAsked = mpsc::Sender<oneshot::Sender<Figures>>;

/// The way into a network's task.
#[derive(Clone)]
pub struct Mailbox {
    pub network: NetworkId,
    pub inputs: mpsc::Sender<Input>,
    pub policy: Arc<Policy>,
    /// Where to ask for its figures.
    pub figures: FiguresAsked,
}

impl Mailbox {
    /// True when an alias is one of this network's.
    pub fn owns(&self, alias: &RoomAlias) -> bool {
        let localpart = alias.localpart(&self.policy.server_name);
        localpart.is_some_and(|local| self.policy.aliases.parse(local, CaseMap::default()).is_some())
    }

    /// True when a user is in the namespace of this network's ghosts.
    pub fn has_ghost(&self, user: &UserId) -> bool {
        self.policy.ghosts.owns(user, &self.policy.server_name)
    }

    /// True when a user is a ghost of this network's, by its canonical spelling.
    pub fn is_ghost(&self, user: &UserId) -> bool {
        user.server() == self.policy.server_name
            && self.policy.ghosts.parse(user.localpart(), CaseMap::default()).is_some()
    }
}

/// All networks' mailboxes.
pub type Mailboxes = Arc<Vec<Mailbox>>;
