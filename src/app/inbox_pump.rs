//! Moves accepted events from the inbox to the network that owns their room, in order.
//!
//! Fresh rows come straight from the transaction that stored them; when [`FRESH_MAX`] transactions wait already,
//! or after a start, they are read from the disk instead. Nothing is lost either way: a row stays in the inbox
//! until its network settles it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde::Deserialize;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::routes::Way;
use super::shell::{Mailbox, Mailboxes, Shell};
use crate::bridge::admin::AdminInput;
use crate::bridge::effect::Outcome;
use crate::bridge::input::{Input, MatrixEvent, Membership};
use crate::ids::{InboxSeq, NetworkId, RoomAlias, RoomId, UserId};
use crate::matrix::decode::decode;
use crate::store::{InboxRow, Naming};

/// Transactions that wait for the pump in memory, at most. Full: the pump reads them from the disk.
pub const FRESH_MAX: usize = 64;
/// Rows read from the disk at once.
const READ_ROWS: u32 = 512;
/// The wait after a read that failed.
const READ_RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// Where a transaction's rows go in.
pub struct Feed {
    fresh: mpsc::Sender<Vec<InboxRow>>,
    disk: Arc<Disk>,
}

/// Whether the disk has rows that the pump was not given.
#[derive(Default)]
struct Disk {
    ahead: AtomicBool,
    /// How often the pump has begun to read it: what came by memory before that was left to the disk.
    reads: AtomicU64,
    changed: Notify,
}

impl Feed {
    /// Gives rows to the pump, in the order of their numbers over all calls.
    pub fn push(&mut self, rows: Vec<InboxRow>) {
        if rows.is_empty() {
            return;
        }
        // Once the disk is ahead, everything goes that way until the pump has caught up.
        if self.disk.ahead.load(Ordering::Acquire) || self.fresh.try_send(rows).is_err() {
            self.look_at_disk();
        }
    }

    /// How often the pump has read the disk. Where it has not changed since a row was pushed, that row goes
    /// by memory.
    pub fn reads(&self) -> u64 {
        self.disk.reads.load(Ordering::Acquire)
    }

    /// True while rows that are pushed are left to the disk.
    pub fn is_behind(&self) -> bool {
        self.disk.ahead.load(Ordering::Acquire)
    }

    /// Makes the pump look for rows on the disk.
    pub fn look_at_disk(&mut self) {
        self.disk.ahead.store(true, Ordering::Release);
        self.disk.changed.notify_one();
    }
}

/// The pump, to be run.
pub struct InboxPump {
    shell: Arc<Shell>,
    mailboxes: Mailboxes,
    fresh: mpsc::Receiver<Vec<InboxRow>>,
    disk: Arc<Disk>,
    /// The last row that was moved.
    cursor: InboxSeq,
}

impl InboxPump {
    /// A pump that begins with what an earlier run left on the disk.
    pub fn new(shell: Arc<Shell>, mailboxes: Mailboxes) -> (Feed, Self) {
        let (sender, fresh) = mpsc::channel(FRESH_MAX);
        let disk = Arc::new(Disk::default());
        disk.ahead.store(true, Ordering::Release);
        disk.changed.notify_one();
        let feed = Feed { fresh: sender, disk: Arc::clone(&disk) };
        (feed, Self { shell, mailboxes, fresh, disk, cursor: InboxSeq(0) })
    }

    /// Moves rows until cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                Some(rows) = self.fresh.recv() => self.move_rows(rows).await,
                () = self.disk.changed.notified() => self.read_disk(&cancel).await,
            }
        }
    }

    /// Reads until the disk has nothing more. Rows that come by memory after that are known by their numbers.
    async fn read_disk(&mut self, cancel: &CancellationToken) {
        while !cancel.is_cancelled() {
            // What came by memory meanwhile is on the disk too, behind what was not read yet: in its order there.
            self.disk.reads.fetch_add(1, Ordering::AcqRel);
            while self.fresh.try_recv().is_ok() {}
            // Lowered before the read: a row that is stored after it raises the flag again.
            self.disk.ahead.store(false, Ordering::Release);
            match self.shell.store.inbox_after(self.cursor, READ_ROWS).await {
                Ok(rows) if rows.is_empty() => return,
                Ok(rows) => {
                    self.disk.ahead.store(true, Ordering::Release);
                    self.move_rows(rows).await;
                }
                Err(error) => {
                    tracing::error!(%error, "the inbox cannot be read");
                    self.disk.ahead.store(true, Ordering::Release);
                    tokio::time::sleep(READ_RETRY).await;
                }
            }
        }
    }

    async fn move_rows(&mut self, rows: Vec<InboxRow>) {
        for row in rows {
            if row.seq <= self.cursor {
                continue;
            }
            self.cursor = row.seq;
            self.move_row(row).await;
        }
    }

    async fn move_row(&self, row: InboxRow) {
        let Some(row) = self.give_to_admin(row).await else { return };
        let mailbox = self.mailbox_of(&row).await;
        let event = mailbox.and_then(|_| decode(&row.json)).filter(|event| has_room(event, &row.room_id));
        let (Some(mailbox), Some(event)) = (mailbox, event) else {
            return self.shell.settle(row.seq, &Outcome::Delivered).await;
        };
        if row.network.is_none() && matches!(event, MatrixEvent::Message { .. }) {
            self.count(row.seq, &mailbox.network).await;
        }
        if let MatrixEvent::Tombstone { room, to, .. } = &event {
            // What happens there from now on waits for the network's word, in its order.
            self.shell.routes.follow(room, to, &mailbox.network);
        }
        // A network that is gone means that the bridge is stopping; the row stays for the next start.
        mailbox.inputs.send(Input::Matrix { seq: row.seq, event, before: row.before }).await.ok();
    }

    /// Hands an event over that is for the admin rooms; gives back all others.
    async fn give_to_admin(&self, row: InboxRow) -> Option<InboxRow> {
        let Some(room) = RoomId::new(&row.room_id) else { return Some(row) };
        let ways = self.shell.routes.ways(&room);
        let network = ways.as_ref().map(|ways| way_of(ways, &row).or(ways.first()).map(|way| &way.network));
        let network = network.flatten().cloned();
        // A list's owners may invite the bot: that room becomes nobody's admin room.
        if network.is_none() && self.shell.policy_rooms.has(&room) {
            return Some(row);
        }
        // Told by its bytes first: in a bridged room a command is rare.
        if network.is_some() && !has_prefix(&row.json) {
            return Some(row);
        }
        let event = decode(&row.json).filter(|event| has_room(event, &row.room_id));
        let bot = self.shell.client.bot();
        let place = event.as_ref().and_then(|event| self.shell.admin.place(event, network.as_ref(), bot));
        let Some((event, place)) = event.zip(place) else { return Some(row) };
        if row.copy_for().is_some() {
            // Of an event that has a row of its own, and is one command.
            self.shell.settle(row.seq, &Outcome::Delivered).await;
            return None;
        }
        self.shell.admin.give(AdminInput::Event { seq: row.seq, event, before: row.before, place }).await;
        None
    }

    /// A message whose network was not known when it was accepted counts from now on.
    async fn count(&self, seq: InboxSeq, network: &NetworkId) {
        if let Err(error) = self.shell.store.inbox_route(seq, network).await {
            tracing::error!(seq = seq.0, %network, %error, "a message could not be counted");
        }
    }

    /// The way to the network that owns the row's room, or to the one of them that the row is for.
    async fn mailbox_of(&self, row: &InboxRow) -> Option<&Mailbox> {
        let room = RoomId::new(&row.room_id)?;
        self.shell.policy_rooms.hear(&room, &row.json, self.shell.client.bot());
        match self.shell.routes.ways(&room) {
            Some(ways) => {
                let way = way_of(&ways, row)?;
                self.mailboxes.iter().find(|mailbox| mailbox.network == way.network)
            }
            None if row.copy_for().is_some() => None,
            None => match self.of_invitation(&row.json) {
                Some(mailbox) => Some(mailbox),
                None => self.adopt(room, &row.json).await,
            },
        }
    }

    /// The network of a ghost that is invited to a room nobody knows, or has invited somebody there.
    fn of_invitation(&self, json: &str) -> Option<&Mailbox> {
        // Told by its bytes first: most events are none.
        if !json.contains("m.room.member") {
            return None;
        }
        let MatrixEvent::Member { sender, target, membership: Membership::Invite, .. } = decode(json)? else {
            return None;
        };
        self.mailboxes.iter().find(|mailbox| mailbox.has_ghost(&target.user) || mailbox.has_ghost(&sender))
    }

    /// Hands a room of ours that no network knows to the one that owns its alias.
    async fn adopt(&self, room: RoomId, json: &str) -> Option<&Mailbox> {
        let alias = own_alias(json, self.shell.client.bot())?;
        let mailbox = self.mailboxes.iter().find(|mailbox| mailbox.owns(&alias))?;
        mailbox.inputs.send(Input::RoomCreated { alias, result: Ok(room.clone()) }).await.ok();
        // Events that follow in this room find their way at once, not only when the network has saved it.
        self.shell.routes.set(room, mailbox.network.clone());
        Some(mailbox)
    }
}

/// True for an event that may hold a command, by its bytes.
fn has_prefix(json: &str) -> bool {
    // One byte is looked for, by words of the machine; an event has one or two of it, in its ids.
    let is_sign =
        |at: usize| json.as_bytes().get(at + 1..at + 4).is_some_and(|sign| sign.eq_ignore_ascii_case(b"irc"));
    json.match_indices('!').any(|(at, _)| is_sign(at))
}

/// The network that a row is for, while the room is its. What was accepted for a network that has the room no more is no
/// other's, where others have rows of their own.
fn way_of<'a>(ways: &'a [Way], row: &InboxRow) -> Option<&'a Way> {
    if let Some(network) = row.copy_for() {
        return ways.iter().find(|way| way.network == network);
    }
    let counted = ways.iter().find(|way| row.network.as_ref() == Some(&way.network));
    counted.or_else(|| ways.iter().find(|way| way.naming == Naming::Plain))
}

/// The room's main alias, from an event of our bot's in a room that no network knows: we made that room, and
/// either its network has not heard of it yet, or a run ended before it could remember it.
fn own_alias(json: &str, bot: &UserId) -> Option<RoomAlias> {
    #[derive(Deserialize)]
    struct Event {
        r#type: String,
        sender: String,
        content: Content,
    }
    #[derive(Deserialize)]
    struct Content {
        alias: String,
    }
    let event: Event = serde_json::from_str(json).ok()?;
    let is_ours = event.r#type == "m.room.canonical_alias" && event.sender == bot.as_str();
    is_ours.then(|| RoomAlias::new(&event.content.alias)).flatten()
}

/// The event's own word for its room has to be the one it was filed under.
fn has_room(event: &MatrixEvent, room_id: &str) -> bool {
    event.room().as_str() == room_id
}
