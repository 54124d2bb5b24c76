//! What the homeserver's calls mean to the bridge: transactions go into the inbox, questions to the network
//! that owns the name.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use tokio::sync::Mutex;

use super::inbox_pump::Feed;
use super::shell::{Mailbox, Mailboxes, Shell};
use crate::bridge::effect::Existence;
use crate::bridge::input::Input;
use crate::ids::{RoomAlias, UserId};
use crate::matrix::appservice::{Accepted, Host, RawEvent};
use crate::matrix::client::Client;
use crate::store::NewEvent;

/// Open inbox rows at which the homeserver is told to keep its events (503): it does so durably, and tries
/// again by itself.
pub const OPEN_MAX: i64 = 20_000;

/// The bridge as the homeserver sees it.
pub struct BridgeHost {
    intake: Arc<Intake>,
    mailboxes: Mailboxes,
}

/// The way of a transaction into the inbox.
struct Intake {
    shell: Arc<Shell>,
    /// Held over a transaction's commit and its way to the pump, so that rows reach the pump in their order.
    feed: Mutex<Feed>,
}

impl BridgeHost {
    pub fn new(shell: Arc<Shell>, mailboxes: Mailboxes, feed: Feed) -> Self {
        Self { intake: Arc::new(Intake { shell, feed: Mutex::new(feed) }), mailboxes }
    }

    /// What of an event goes into the inbox. Messages of our own ghosts and bot come back to us like anybody's;
    /// nothing is to be done for them, so they need no place there.
    fn to_keep(&self, event: RawEvent) -> Option<NewEvent> {
        let sender = message_sender(&event.json);
        if sender.as_ref().is_some_and(|sender| self.is_ours(sender)) {
            return None;
        }
        // What is no message after all is found out by the pump, and is delivered by then.
        let network = sender.and_then(|_| self.intake.shell.routes.of(&event.room_id));
        let RawEvent { event_id, room_id, json } = event;
        Some(NewEvent { event_id: event_id.to_string(), room_id: room_id.to_string(), json, network })
    }

    fn is_ours(&self, sender: &UserId) -> bool {
        let ours = |mailbox: &Mailbox| {
            let policy = &mailbox.policy;
            *sender == policy.bot || policy.ghosts.owns(sender, &policy.server_name)
        };
        self.mailboxes.iter().any(ours)
    }
}

/// Who said it, where an event is a message.
fn message_sender(json: &str) -> Option<UserId> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(borrow, rename = "type")]
        kind: std::borrow::Cow<'a, str>,
        #[serde(borrow)]
        sender: std::borrow::Cow<'a, str>,
    }
    let head = serde_json::from_str::<Head>(json).ok()?;
    (head.kind == "m.room.message").then(|| UserId::new(&head.sender)).flatten()
}

impl Intake {
    async fn take(&self, txn: &str, events: Vec<NewEvent>) -> Accepted {
        let mut feed = self.feed.lock().await;
        match self.shell.store.accept(events).await {
            Ok(rows) => {
                self.shell.open.fetch_add(i64::try_from(rows.len()).unwrap_or(i64::MAX), Ordering::Relaxed);
                feed.push(rows);
                Accepted::Done
            }
            Err(error) => {
                tracing::error!(txn, %error, "a transaction could not be stored; the homeserver keeps it");
                // What was stored in spite of the error is found on the disk.
                feed.look_at_disk();
                Accepted::Busy
            }
        }
    }
}

impl Host for BridgeHost {
    async fn accept(&self, txn: &str, events: Vec<RawEvent>) -> Accepted {
        if self.intake.shell.open.load(Ordering::Relaxed) > OPEN_MAX {
            tracing::warn!(txn, "too many events wait; the homeserver is told to keep these");
            return Accepted::Busy;
        }
        let events: Vec<NewEvent> = events.into_iter().filter_map(|event| self.to_keep(event)).collect();
        if events.is_empty() {
            return Accepted::Done;
        }
        // In a task of its own: a homeserver that hangs up must not come between the disk and the pump.
        let (intake, txn) = (Arc::clone(&self.intake), txn.to_owned());
        let taking = tokio::spawn(async move { intake.take(&txn, events).await });
        taking.await.unwrap_or(Accepted::Busy)
    }

    async fn alias_exists(&self, alias: RoomAlias) -> Existence {
        let Some(mailbox) = self.mailboxes.iter().find(|mailbox| mailbox.owns(&alias)) else {
            return Existence::Absent;
        };
        let (ask, answer) = self.intake.shell.asks.make();
        if mailbox.inputs.send(Input::AliasAsked { ask, alias }).await.is_err() {
            return Existence::Absent;
        }
        answer.await.unwrap_or(Existence::Absent)
    }

    /// A ghost exists once somebody asks for it, so that it can be invited.
    async fn user_exists(&self, user: UserId) -> Existence {
        if !self.mailboxes.iter().any(|mailbox| mailbox.is_ghost(&user)) {
            return Existence::Absent;
        }
        register(&self.intake.shell.client, &user).await
    }
}

async fn register(client: &Client, user: &UserId) -> Existence {
    match client.register(user.localpart()).await {
        Ok(_) => Existence::Exists,
        Err(error) => {
            tracing::warn!(%user, %error, "a ghost that the homeserver asked for could not be registered");
            Existence::Absent
        }
    }
}
