//! What the homeserver's calls mean to the bridge: transactions go into the inbox, questions to the network
//! that owns the name.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use tokio::sync::Mutex;

use super::inbox_pump::Feed;
use super::shell::{Mailboxes, Shell};
use crate::bridge::effect::Existence;
use crate::bridge::input::Input;
use crate::bridge::policy::Policy;
use crate::ids::{RoomAlias, UserId};
use crate::matrix::appservice::{Accepted, Host, RawEvent};
use crate::matrix::client::Client;
use crate::store::NewEvent;

/// Open inbox rows at which the homeserver is told to keep its events (503): it does so durably, and tries
/// again by itself.
pub const OPEN_MAX: i64 = 20_000;

/// The bridge as the homeserver sees it.
pub struct BridgeHost {
    shell: Arc<Shell>,
    mailboxes: Mailboxes,
    policies: Arc<Vec<Policy>>,
    /// Held over a transaction's commit and its way to the pump, so that rows reach the pump in their order.
    feed: Mutex<Feed>,
}

impl BridgeHost {
    pub fn new(shell: Arc<Shell>, mailboxes: Mailboxes, policies: Arc<Vec<Policy>>, feed: Feed) -> Self {
        Self { shell, mailboxes, policies, feed: Mutex::new(feed) }
    }

    /// Messages of our own ghosts and bot come back to us like anybody's. Nothing is to be done for them, so
    /// they need no place in the inbox.
    fn is_own_message(&self, event: &RawEvent) -> bool {
        #[derive(Deserialize)]
        struct Head<'a> {
            #[serde(borrow, rename = "type")]
            kind: std::borrow::Cow<'a, str>,
            #[serde(borrow)]
            sender: std::borrow::Cow<'a, str>,
        }
        let Ok(head) = serde_json::from_str::<Head>(&event.json) else { return false };
        let Some(sender) = UserId::new(&head.sender) else { return false };
        let ours = |policy: &Policy| sender == policy.bot || policy.ghosts.owns(&sender, &policy.server_name);
        head.kind == "m.room.message" && self.policies.iter().any(ours)
    }
}

impl Host for BridgeHost {
    async fn accept(&self, txn: &str, events: Vec<RawEvent>) -> Accepted {
        if self.shell.open.load(Ordering::Relaxed) > OPEN_MAX {
            tracing::warn!(txn, "too many events wait; the homeserver is told to keep these");
            return Accepted::Busy;
        }
        let fresh = events.into_iter().filter(|event| !self.is_own_message(event));
        let events: Vec<NewEvent> = fresh
            .map(|RawEvent { event_id, room_id, json }| NewEvent {
                event_id: event_id.to_string(),
                room_id: room_id.to_string(),
                json,
            })
            .collect();
        if events.is_empty() {
            return Accepted::Done;
        }
        let mut feed = self.feed.lock().await;
        match self.shell.store.accept(txn, events).await {
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

    async fn alias_exists(&self, alias: RoomAlias) -> Existence {
        let owner = self.policies.iter().position(|policy| {
            let localpart = alias.localpart(&policy.server_name);
            localpart.is_some_and(|local| policy.aliases.parse(local, Default::default()).is_some())
        });
        let Some(mailbox) = owner.and_then(|index| self.mailboxes.get(index)) else {
            return Existence::Absent;
        };
        let (ask, answer) = self.shell.asks.make();
        if mailbox.inputs.send(Input::AliasAsked { ask, alias }).await.is_err() {
            return Existence::Absent;
        }
        answer.await.unwrap_or(Existence::Absent)
    }

    /// A ghost exists once somebody asks for it, so that it can be invited.
    async fn user_exists(&self, user: UserId) -> Existence {
        let is_ghost = |policy: &Policy| {
            let localpart = user.localpart();
            user.server() == policy.server_name
                && policy.ghosts.parse(localpart, Default::default()).is_some()
        };
        if !self.policies.iter().any(is_ghost) {
            return Existence::Absent;
        }
        register(&self.shell.client, &user).await
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
