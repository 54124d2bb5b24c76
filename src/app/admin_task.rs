//! The task of the admin rooms: owns their machine, gives it inputs and time, and performs what it asks for.
//!
//! Its mailbox holds [`MAILBOX_MAX`] inputs. Full: the inbox pump waits (rows stay on the disk), and so does what was
//! asked. Nothing that it waits for waits for it.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::errands::Errands;
use super::keeping::{audit, keep};
use super::reload;
use super::shell::{Mailboxes, Shell};
use crate::bridge::admin::{Admin, AdminEffect, AdminInput, NetworkName, Place, Settings, in_room, is_call};
use crate::bridge::command::{Keeping, Kept, Upkeep, UpkeepReport};
use crate::bridge::errand::Errand;
use crate::bridge::input::{AskId, BodyKind, Input, MatrixEvent, Member, Membership};
use crate::bridge::network::RelaySeqs;
use crate::bridge::news::{News, Reach};
use crate::bridge::policy::Permissions;
use crate::ids::{EventId, NetworkId, RoomId, UserId};
use crate::matrix::client::{As, ClientError, DeviceUse};
use crate::store::StoreError;

/// Inputs waiting for the machine, at most.
pub const MAILBOX_MAX: usize = 1_024;
/// News of connections that wait, at most.
const NEWS_MAX: usize = 16_384;
/// Inputs handled before their effects are performed.
const BATCH_MAX: usize = 64;
/// How long the bot may take to get into a room, and to read who is in it.
const ENTER_WAIT: Duration = Duration::from_secs(60);
/// How often a message with a secret is tried to be taken away.
const HIDE_TRIES: usize = 3;

/// The way to the admin rooms, and which rooms they are.
pub struct AdminDoor {
    inputs: mpsc::Sender<AdminInput>,
    rooms: RwLock<HashSet<RoomId>>,
    /// News that nobody waits for: a network that waited here could be waited for itself.
    news: Mutex<VecDeque<AdminInput>>,
    has_news: Notify,
}

impl AdminDoor {
    /// The door, and what comes in by it.
    pub fn new() -> (Self, mpsc::Receiver<AdminInput>) {
        let (inputs, mailbox) = mpsc::channel(MAILBOX_MAX);
        (Self { inputs, rooms: RwLock::default(), news: Mutex::default(), has_news: Notify::new() }, mailbox)
    }

    /// Hands an input over; waits where the mailbox is full.
    pub async fn give(&self, input: AdminInput) {
        // It is gone when the bridge stops; an event is on the disk then.
        self.inputs.send(input).await.ok();
    }

    /// Hands over what happened to somebody's connection, at once. Full, the oldest news go: the next loss is news again,
    /// and `status` tells of all others.
    pub fn tell(&self, network: &NetworkId, user: UserId, news: News) {
        let mut waiting = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= NEWS_MAX {
            waiting.pop_front();
            tracing::warn!(%network, "too many news of connections wait for the admin rooms; the oldest is left out");
        }
        waiting.push_back(AdminInput::News { network: network.clone(), user, news });
        self.has_news.notify_one();
    }

    fn take_news(&self) -> VecDeque<AdminInput> {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Where an event belongs that is for the admin rooms; `None` for all others. `network` is that of its room.
    pub fn place(&self, event: &MatrixEvent, network: Option<&NetworkId>, bot: &UserId) -> Option<Place> {
        match (event, network) {
            (MatrixEvent::Message { body, .. }, Some(network)) => {
                let is_text = body.kind == BodyKind::Text && body.media.is_none();
                in_room(&body.text).filter(|_| is_text).map(|_| Place::Bridged(network.clone()))
            }
            (_, Some(_)) => None,
            (event, None) if self.has(event.room()) => Some(Place::Private),
            (MatrixEvent::Member { target, membership: Membership::Invite, .. }, None) => {
                (target.user == *bot).then_some(Place::Private)
            }
            (MatrixEvent::Message { body, .. }, None) if is_call(&body.text) => Some(Place::Private),
            (MatrixEvent::Message { body, .. }, None) => {
                let is_text = body.kind == BodyKind::Text && body.media.is_none();
                in_room(&body.text).filter(|_| is_text).map(|_| Place::Unbridged)
            }
            (_, None) => None,
        }
    }

    pub(super) fn has(&self, room: &RoomId) -> bool {
        self.rooms.read().unwrap_or_else(PoisonError::into_inner).contains(room)
    }

    fn add(&self, room: RoomId) {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner).insert(room);
    }

    fn remove(&self, room: &RoomId) {
        self.rooms.write().unwrap_or_else(PoisonError::into_inner).remove(room);
    }
}

/// The machine of the admin rooms with its hands.
pub struct AdminTask {
    admin: Admin,
    shell: Arc<Shell>,
    errands: Errands,
    mailboxes: Mailboxes,
    mailbox: mpsc::Receiver<AdminInput>,
}

impl AdminTask {
    /// With what was remembered.
    pub async fn new(
        shell: &Arc<Shell>,
        mailboxes: &Mailboxes,
        permissions: Permissions,
        seqs: RelaySeqs,
        mailbox: mpsc::Receiver<AdminInput>,
    ) -> Result<Self, StoreError> {
        let mut admin = Admin::new(settings(shell, mailboxes, permissions), seqs);
        for (user, room) in shell.store.admin_rooms().await? {
            shell.admin.add(room.clone());
            admin.handle(shell.clock.now(), AdminInput::Room { user, room });
        }
        let errands = Errands::new(Arc::clone(shell), Arc::clone(mailboxes));
        Ok(Self { admin, shell: Arc::clone(shell), errands, mailboxes: Arc::clone(mailboxes), mailbox })
    }

    /// Runs until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let (mut batch, mut effects) = (Vec::with_capacity(BATCH_MAX), Vec::new());
        loop {
            let wake = self.admin.poll_timeout().map(|time| self.shell.clock.instant(time));
            let sleep = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = self.mailbox.recv_many(&mut batch, BATCH_MAX) => {}
                () = self.shell.admin.has_news.notified() => batch.extend(self.shell.admin.take_news()),
                () = sleep => {}
            }
            for input in batch.drain(..) {
                self.admin.handle(self.shell.clock.now(), input);
            }
            self.admin.handle_timeout(self.shell.clock.now());
            self.admin.take_effects(&mut effects);
            for effect in effects.drain(..) {
                self.perform(effect).await;
            }
        }
    }

    /// Does one thing. Matched without `_`, so that a new effect shows this place.
    async fn perform(&self, effect: AdminEffect) {
        match effect {
            AdminEffect::Settle { seq, outcome } => self.shell.settle(seq, &outcome).await,
            AdminEffect::Say(relay) => self.shell.outbox.submit(relay),
            AdminEffect::Enter { room } => self.enter(room),
            AdminEffect::Leave { room, reason } => {
                self.shell.admin.remove(&room);
                self.shell.outbox.leave(room, self.shell.client.bot().clone(), reason);
            }
            AdminEffect::Ignore { room } => self.shell.admin.remove(&room),
            AdminEffect::Ask { ask, network, user, errand } => self.ask(ask, &network, user, errand).await,
            AdminEffect::Keep { ask, network, user, keeping } => self.keep(ask, network, user, keeping),
            AdminEffect::Upkeep { ask, upkeep } => self.upkeep(ask, upkeep),
            AdminEffect::Hide { room, event } => self.hide(room, event),
            AdminEffect::LeaveUnlessLinked { room, user } => self.leave_unless_linked(room, user),
            AdminEffect::SaveRoom { user, room } => {
                let saved = self.shell.store.admin_room_save(&user, &room).await;
                note(
                    saved,
                    "an admin room could not be remembered; after a restart its person invites the bot anew",
                );
                self.reach(&user, Reach::AdminRoom).await;
            }
            AdminEffect::DropRoom { user, room } => {
                self.shell.admin.remove(&room);
                let removed = self.shell.store.admin_room_remove(&user, &room).await;
                note(removed, "an admin room could not be forgotten");
                self.reach(&user, Reach::Rooms).await;
            }
        }
    }

    /// All networks learn where somebody is told what concerns only them.
    async fn reach(&self, user: &UserId, reach: Reach) {
        for mailbox in self.mailboxes.iter() {
            mailbox.inputs.send(Input::Reach { user: user.clone(), reach }).await.ok();
        }
    }

    fn enter(&self, room: RoomId) {
        // Before: what is said there from now on finds its way.
        self.shell.admin.add(room.clone());
        let shell = Arc::clone(&self.shell);
        self.shell.tasks.spawn(async move {
            let entering = timeout(ENTER_WAIT, entered(&shell, &room)).await;
            let result = match entering {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(_) => Err("the homeserver took too long".to_owned()),
            };
            if let Err(error) = &result {
                tracing::warn!(%room, error, "the bot was invited to a room and could not join it");
                shell.admin.remove(&room);
            }
            shell.admin.give(AdminInput::Entered { room, result }).await;
        });
    }

    async fn ask(&self, ask: AskId, network: &NetworkId, user: UserId, errand: Errand) {
        let report = self.errands.give(network, user, errand).await;
        let shell = Arc::clone(&self.shell);
        self.shell.tasks.spawn(async move {
            let report = report.await;
            shell.admin.give(AdminInput::Reported { ask, report }).await;
        });
    }

    fn keep(&self, ask: AskId, network: NetworkId, user: UserId, keeping: Keeping) {
        let shell = Arc::clone(&self.shell);
        self.shell.tasks.spawn(async move {
            let kept = keep(&shell.store, &shell.vault, &network, &user, keeping).await;
            let kept = kept.unwrap_or_else(|error| {
                tracing::error!(%network, %user, %error, "what somebody asked to keep could not be kept");
                Kept::Failed
            });
            shell.admin.give(AdminInput::Kept { ask, kept }).await;
        });
    }

    fn upkeep(&self, ask: AskId, upkeep: Upkeep) {
        let shell = Arc::clone(&self.shell);
        self.shell.tasks.spawn(async move {
            let report = match upkeep {
                Upkeep::Audit => audit(&shell.store).await,
                Upkeep::Reload => UpkeepReport::Reloaded(reload::reload(&shell).await.to_string()),
            };
            shell.admin.give(AdminInput::Upkept { ask, report }).await;
        });
    }

    /// Leaves a room for which nobody has named a channel. What is not known for sure keeps the bot there.
    fn leave_unless_linked(&self, room: RoomId, user: UserId) {
        let (shell, errands) = (Arc::clone(&self.shell), self.errands.clone());
        self.shell.tasks.spawn(async move {
            let is_free = !shell.routes.has(&room) && !shell.admin.has(&room);
            if is_free && errands.have_nothing_for(&room, &user).await {
                let reason = "nobody has bridged this room in ten minutes; invite me again for it";
                shell.outbox.leave(room, shell.client.bot().clone(), reason.to_owned());
            }
        });
    }

    fn hide(&self, room: RoomId, event: EventId) {
        let shell = Arc::clone(&self.shell);
        self.shell.tasks.spawn(async move {
            let result = hidden(&shell, &room, &event).await.map_err(|error| error.to_string());
            if let Err(error) = &result {
                tracing::warn!(%room, %event, error, "a message with a password could not be taken away");
            }
            shell.admin.give(AdminInput::Hidden { room, event, result }).await;
        });
    }
}

fn note(result: Result<(), StoreError>, what: &str) {
    if let Err(error) = result {
        tracing::error!(%error, "{what}");
    }
}

fn settings(shell: &Shell, mailboxes: &Mailboxes, permissions: Permissions) -> Settings {
    let networks = mailboxes.iter().map(|mailbox| NetworkName {
        id: mailbox.network.clone(),
        name: mailbox.policy.network_name.clone(),
        ghosts: mailbox.policy.ghosts.clone(),
    });
    Settings {
        bot: shell.client.bot().clone(),
        server_name: shell.client.server_name().to_owned(),
        networks: networks.collect(),
        permissions,
    }
}

async fn entered(shell: &Shell, room: &RoomId) -> Result<Vec<Member>, ClientError> {
    shell.client.join(shell.client.bot(), room).await?;
    shell.client.joined_members(room).await
}

async fn hidden(shell: &Shell, room: &RoomId, event: &EventId) -> Result<(), ClientError> {
    let txn = format!("bunraku.hide.{event}");
    let mut tries = 1;
    loop {
        let who = As::now(shell.client.bot(), DeviceUse::None);
        let result =
            shell.client.redact_event(who, room, event, &txn, r#"{"reason":"it held a password"}"#).await;
        match result {
            Err(ClientError::Unavailable(_) | ClientError::Limited { .. }) if tries < HIDE_TRIES => {
                tries += 1
            }
            result => return result.map(drop),
        }
        tokio::time::sleep_until(Instant::now() + Duration::from_secs(1)).await;
    }
}
