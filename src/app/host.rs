//! What the homeserver's calls mean to the bridge: transactions go into the inbox, questions to the network
//! that owns the name.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
use tokio::time::{Instant, timeout_at};

use super::directory;
use super::heal::gaps::{Admission, Gap, Gaps};
use super::heal::read::{Head, newest, read_back};
use super::heal::strands::Patience;
use super::inbox_pump::Feed;
use super::routes::Way;
use super::shell::{Mailbox, Mailboxes, Shell};
use crate::bridge::effect::Existence;
use crate::bridge::input::{Input, LookUp};
use crate::bridge::policy::Shown;
use crate::ids::{RoomAlias, RoomId, Time, UserId};
use crate::matrix::appservice::thirdparty::{Hit, Instance};
use crate::matrix::appservice::{Accepted, Host, RawEvent, RoomTyping};
use crate::matrix::client::{Client, ClientError};
use crate::matrix::decode::{KINDS, is_message};
use crate::store::{InboxRow, Naming, NewEvent, StoreError, copy_name};

/// Open inbox rows at which the homeserver is told to keep its events (503): it does so durably, and tries
/// again by itself.
pub const OPEN_MAX: i64 = 20_000;

/// What was said so lately was not held up on its way.
const FRESH_MS: u64 = 10_000;

/// How long a transaction is held while its rooms are read for what the homeserver left lying; then it is refused.
const HOLD_MAX: Duration = Duration::from_secs(10);

/// What the ghosts of one network do that is told to others in the same room.
const PASSED_ON: [&str; 2] = ["m.room.message", "m.room.redaction"];

/// How an event came to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whence {
    /// The homeserver handed it over.
    Pushed,
    /// We found it in its room.
    Read,
}

/// The bridge as the homeserver sees it.
pub struct BridgeHost {
    intake: Arc<Intake>,
    mailboxes: Mailboxes,
}

/// The way of events into the inbox, be they pushed or read back.
pub struct Intake {
    shell: Arc<Shell>,
    mailboxes: Mailboxes,
    gaps: Arc<Gaps>,
    /// Held over a commit and the rows' way to the pump, so that they reach the pump in their order.
    feed: Mutex<Feed>,
}

impl BridgeHost {
    pub fn new(shell: Arc<Shell>, mailboxes: Mailboxes, feed: Feed, gaps: Arc<Gaps>) -> Self {
        let intake = Intake { shell, mailboxes: Arc::clone(&mailboxes), gaps, feed: Mutex::new(feed) };
        Self { intake: Arc::new(intake), mailboxes }
    }

    /// For events that come another way than by a transaction.
    pub fn intake(&self) -> Arc<Intake> {
        Arc::clone(&self.intake)
    }
}

impl Intake {
    /// Events without those that are of no use to us. What our own ghosts and bot say, and that they came or went, comes
    /// back to us like anybody's: nothing is to be done for it, so it needs no place in the inbox. But where networks share
    /// a room, what the ghosts of one say is news to the others.
    pub fn worth_taking(&self, events: Vec<RawEvent>) -> Vec<RawEvent> {
        events.into_iter().filter(|event| !self.is_own_doing(event)).collect()
    }

    fn is_own_doing(&self, event: &RawEvent) -> bool {
        let Some(head) = Head::of(event) else { return false };
        let ours = |mailbox: &Mailbox| {
            let policy = &mailbox.policy;
            head.sender == policy.bot || policy.ghosts.owns(&head.sender, &policy.server_name)
        };
        // Whom they invite or put out is somebody else.
        let is_of_itself =
            head.kind != "m.room.member" || head.state_key.as_deref() == Some(head.sender.as_str());
        is_of_itself
            && KINDS.contains(&head.kind.as_str())
            && self.mailboxes.iter().any(ours)
            && !self.is_for_neighbours(event, &head)
    }

    /// True for words of a ghost, and their taking back, in a room that its network shares with others.
    fn is_for_neighbours(&self, event: &RawEvent, head: &Head) -> bool {
        PASSED_ON.contains(&head.kind.as_str())
            && head.state_key.is_none()
            && self.mailboxes.iter().all(|mailbox| mailbox.policy.bot != head.sender)
            && self.shell.routes.is_shared(&event.room_id)
    }

    /// The newest event of each bridged room, among those of the homeserver's own users.
    fn heard(&self, events: &[RawEvent]) -> HashMap<RoomId, Time> {
        let mut heard = HashMap::new();
        for event in events.iter().filter(|event| self.shell.routes.has(&event.room_id)) {
            if let Some(said) = newest(std::slice::from_ref(event), self.shell.client.server_name()) {
                let newest = heard.entry(event.room_id.clone()).or_insert(said);
                *newest = said.max(*newest);
            }
        }
        heard
    }

    fn taken(&self, txn: &str, heard: HashMap<RoomId, Time>) {
        heard.into_iter().for_each(|(room, said)| self.gaps.strands.heard(&room, said));
        self.gaps.strands.taken(txn);
    }

    /// Stores events that were read in their rooms and gives them to the pump, with how many of them were new.
    pub async fn store(&self, events: Vec<RawEvent>) -> (Accepted, usize) {
        let mut feed = self.feed.lock().await;
        self.store_with(&mut feed, events, Whence::Read).await
    }

    async fn store_with(&self, feed: &mut Feed, events: Vec<RawEvent>, whence: Whence) -> (Accepted, usize) {
        let mut rows: Vec<NewEvent> = Vec::with_capacity(events.len());
        events.into_iter().for_each(|event| self.add_rows(event, whence, &mut rows));
        let events = rows;
        let stored = match <[NewEvent; 1]>::try_from(events) {
            Ok([event]) => self.store_one(event, feed).await,
            Err(events) => self.shell.store.accept(events).await.map(|rows| self.push(rows, feed)),
        };
        match stored {
            Ok(count) => (Accepted::Done, count),
            Err(error) => {
                tracing::error!(%error, "events could not be stored; the homeserver keeps them");
                // What was stored in spite of the error is found on the disk.
                feed.look_at_disk();
                (Accepted::Busy, 0)
            }
        }
    }

    /// With the network whose message it is; what is no message after all is found out by the pump. One row, or one for
    /// each network that shares the room and is to know of it.
    fn add_rows(&self, event: RawEvent, whence: Whence, rows: &mut Vec<NewEvent>) {
        let head = Head::of(&event);
        let is_message = head.as_ref().is_some_and(|head| is_message(&head.kind));
        let ways = self.shell.routes.ways(&event.room_id);
        let RawEvent { event_id, room_id, json } = event;
        let row = |way: &Way| NewEvent {
            event_id: match way.naming {
                Naming::Plain => event_id.to_string(),
                Naming::ByNetwork => copy_name(event_id.as_str(), &way.network),
            },
            room_id: room_id.to_string(),
            json: json.clone(),
            network: Some(way.network.clone()).filter(|_| is_message),
        };
        match ways.as_deref() {
            None => rows.push(NewEvent {
                event_id: event_id.to_string(),
                room_id: room_id.to_string(),
                json,
                network: None,
            }),
            Some([alone]) => rows.push(row(alone)),
            Some(several) => {
                rows.extend(several.iter().filter(|way| self.is_for(way, head.as_ref(), whence)).map(row))
            }
        }
    }

    /// Whether one of several networks of a room is to know of an event: not of what its own ghosts say, nor of what was
    /// said before the room was its.
    fn is_for(&self, way: &Way, head: Option<&Head>, whence: Whence) -> bool {
        let Some(head) = head else { return true };
        let mailbox = self.mailboxes.iter().find(|mailbox| mailbox.network == way.network);
        let is_its_own = mailbox
            .is_some_and(|mailbox| mailbox.policy.ghosts.owns(&head.sender, &mailbox.policy.server_name));
        let is_before = whence == Whence::Read && head.said < way.since;
        let knows = is_its_own && PASSED_ON.contains(&head.kind.as_str());
        !is_before && !knows
    }

    /// An event that comes alone goes on its way while the disk still writes; the homeserver is answered when
    /// it has. A crash in between makes the homeserver send it again, and it may be said twice: one line.
    async fn store_one(&self, event: NewEvent, feed: &mut Feed) -> Result<usize, StoreError> {
        let (early, told) = oneshot::channel::<InboxRow>();
        let handing = async {
            let row = told.await.ok()?;
            // Asked before: a read that begins after it may miss the row.
            let reads = feed.reads();
            self.push(vec![row], feed);
            Some(reads)
        };
        let (stored, handed) = tokio::join!(self.shell.store.accept_early(event, early), handing);
        let rows = stored?;
        let Some(reads) = handed else { return Ok(self.push(rows, feed)) };
        if feed.reads() != reads || feed.is_behind() {
            // The pump has read the disk meanwhile, where the row was not to be seen yet.
            feed.look_at_disk();
        }
        // The one that was handed on.
        Ok(1)
    }

    /// Gives new rows to the pump, and says how many they are.
    fn push(&self, rows: Vec<InboxRow>, feed: &mut Feed) -> usize {
        let count = rows.len();
        self.shell.open.fetch_add(i64::try_from(count).unwrap_or(i64::MAX), Ordering::Relaxed);
        feed.push(rows);
        count
    }

    /// Takes a transaction, unless something older of its rooms may be missing.
    async fn take(&self, txn: &str, events: Vec<RawEvent>) -> Accepted {
        let mut feed = self.feed.lock().await;
        let bridged = events.iter().map(|event| &event.room_id);
        // Asked under the lock: what is read back goes through it too.
        if self.gaps.admit(bridged.filter(|room| self.shell.routes.has(room))) == Admission::Wait {
            tracing::debug!(txn, "a transaction has to wait until its rooms are read back");
            return Accepted::Busy;
        }
        if let Err(error) = self.take_stranded(&events, &mut feed).await {
            tracing::debug!(txn, %error, "a transaction has to wait: what was said before it cannot be read");
            self.gaps.refused();
            return Accepted::Busy;
        }
        let is_fresh = self.gaps.is_behind() && events.iter().any(|event| self.is_fresh(event));
        let (accepted, _) = self.store_with(&mut feed, events, Whence::Pushed).await;
        match accepted {
            Accepted::Done if is_fresh => self.gaps.caught_up(),
            Accepted::Done => {}
            Accepted::Busy => self.gaps.refused(),
        }
        accepted
    }

    /// Where the homeserver may have left something lying, the rooms of these events are read, and what was said there
    /// goes in before them. Under the lock, for nothing of these rooms may come between.
    async fn take_stranded(&self, events: &[RawEvent], feed: &mut Feed) -> Result<(), ClientError> {
        let bridged = events.iter().map(|event| &event.room_id).filter(|room| self.shell.routes.has(room));
        let mut stale: Vec<RoomId> =
            bridged.filter(|room| self.gaps.strands.is_stale(room)).cloned().collect();
        if stale.is_empty() {
            return Ok(());
        }
        stale.sort_unstable();
        stale.dedup();
        let since: HashMap<RoomId, Time> = match self.shell.store.rooms().await {
            Ok(rooms) => rooms.into_iter().collect(),
            Err(error) => return Err(ClientError::Unavailable(error.to_string())),
        };
        let end = Instant::now() + HOLD_MAX;
        for room in stale {
            let gap = self.gaps.stranded(&room, since.get(&room).copied().unwrap_or_default());
            // What was left lying before them is as old, and such a time was read long since.
            let mut of_room = events.iter().filter(|event| event.room_id == room);
            if of_room.all(|event| self.is_before(event, gap.floor)) {
                continue;
            }
            match self.read_stranded(&gap, end, feed).await {
                Ok(()) => {}
                Err(ClientError::Unavailable(_) | ClientError::Limited { .. })
                    if self.gaps.strands.unreadable() == Patience::Left =>
                {
                    return Err(ClientError::Unavailable(format!("{room} cannot be read now")));
                }
                Err(error) => {
                    tracing::warn!(%room, %error, "a room cannot be read, events may come out of order; is the bot in it?");
                    self.gaps.strands.read(&room, Instant::now(), None);
                }
            }
        }
        Ok(())
    }

    async fn read_stranded(&self, gap: &Gap, end: Instant, feed: &mut Feed) -> Result<(), ClientError> {
        let unavailable = |why: &str| ClientError::Unavailable(why.to_owned());
        let began = Instant::now();
        let reading =
            timeout_at(end, read_back(&self.shell.client, &self.shell.reader(&gap.room), gap)).await;
        let found = reading.unwrap_or_else(|_| Err(unavailable("it took too long")))?;
        let newest = newest(&found, self.shell.client.server_name());
        let (accepted, new) = self.store_with(feed, self.worth_taking(found), Whence::Read).await;
        if accepted == Accepted::Busy {
            return Err(unavailable("the database takes nothing"));
        }
        self.gaps.strands.read(&gap.room, began, newest);
        tracing::debug!(room = %gap.room, new, "a room was read before a transaction that is not the next");
        Ok(())
    }

    /// Said before by somebody whose clock we can trust.
    fn is_before(&self, event: &RawEvent, time: Time) -> bool {
        let said = newest(std::slice::from_ref(event), self.shell.client.server_name());
        said.is_some_and(|said| said < time)
    }

    /// Said a moment ago by somebody whose clock we can trust: the homeserver keeps nothing back.
    fn is_fresh(&self, event: &RawEvent) -> bool {
        let Some(head) = Head::of(event) else { return false };
        let now = self.shell.clock.now();
        head.sender.server() == self.shell.client.server_name() && now.since_ms(head.said) < FRESH_MS
    }
}

impl Host for BridgeHost {
    async fn accept(&self, txn: &str, events: Vec<RawEvent>) -> Accepted {
        if self.intake.shell.open.load(Ordering::Relaxed) > OPEN_MAX {
            tracing::warn!(txn, "too many events wait; the homeserver is told to keep these");
            self.intake.gaps.refused();
            return Accepted::Busy;
        }
        self.intake.gaps.strands.arrived(txn);
        let heard = self.intake.heard(&events);
        let events = self.intake.worth_taking(events);
        if events.is_empty() {
            self.intake.taken(txn, heard);
            return Accepted::Done;
        }
        // In a task of its own: a homeserver that hangs up must not come between the disk and the pump.
        let (intake, txn) = (Arc::clone(&self.intake), txn.to_owned());
        let taking = tokio::spawn(async move {
            let accepted = intake.take(&txn, events).await;
            if accepted == Accepted::Done {
                intake.taken(&txn, heard);
            }
            accepted
        });
        taking.await.unwrap_or(Accepted::Busy)
    }

    /// Now or never: a network that has much to do is not told.
    fn typing(&self, rooms: Vec<RoomTyping>) {
        for RoomTyping { room, users } in rooms {
            let Some(ways) = self.intake.shell.routes.ways(&room) else { continue };
            let is_its = |mailbox: &&Mailbox| ways.iter().any(|way| way.network == mailbox.network);
            for Mailbox { inputs, policy, .. } in self.mailboxes.iter().filter(is_its) {
                if policy.typing.to_irc == Shown::On && inputs.capacity() > inputs.max_capacity() / 2 {
                    // Full or gone: nobody waits for it.
                    let _ = inputs.try_send(Input::Typing { room: room.clone(), users: users.clone() });
                }
            }
        }
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

    fn instances(&self) -> Vec<Instance> {
        self.mailboxes.iter().map(directory::instance).collect()
    }

    async fn look_up(&self, domain: Option<String>, what: LookUp) -> Vec<Hit> {
        directory::look_up(&self.intake.shell, &self.mailboxes, domain.as_deref(), what).await
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
