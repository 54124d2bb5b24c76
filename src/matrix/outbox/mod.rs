//! Says what the machine relays: in order per room, each line exactly once, for as long as it takes.
//!
//! ```text
//! submit -> OutboxLog::put -> lane of the room -> a worker: register, device, name, join, send
//!                                  ^                 |- sent ------------> OutboxLog::done
//!                                  |                 |- refused for good -> OutboxLog::failed
//!                                  +-- parked <------+- not now (429, 5xx, no answer): same transaction id
//! ```
//!
//! Marks on people's messages go the same way, in the same lanes. A mark that is refused is counted and forgotten: it
//! is a comfort, not a line that somebody said.
//!
//! A room that is in trouble waits alone; the others go on, by turns, up to [`IN_FLIGHT_MAX`] at once. A line is
//! never given up because the homeserver is away. Kicks run in the same lanes, so that somebody is told why
//! before they are gone; they are not kept over a restart.
//!
//! The outbox writes nothing down itself: a line that was `put` and neither `done` nor `failed` is to be given
//! to [`OutboxHandle::restore`] at the next start, and the homeserver will know it by its transaction id.

mod book;
mod homeserver;
mod queue;
mod speak;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use book::{GhostBook, GhostFact, GhostLog};
pub use homeserver::Homeserver;
pub use queue::{LANE_MAX, TOTAL_MAX};

use super::client::{Client, ClientError};
use crate::bridge::effect::{Mark, Post, Relay};
use crate::ids::{RelaySeq, RoomId, UserId};
use queue::{Attempt, Queue, Work};
use speak::Voice;

/// Requests to the homeserver at once.
pub const IN_FLIGHT_MAX: usize = 32;

/// What is told to the log for a line that went because too many waited.
const TOO_MANY: &str = "too many lines were waiting for this room";

/// One thing to do in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    Say(Relay),
    Mark(Mark),
    Kick { room: RoomId, user: UserId, reason: String },
}

/// Where it is written down what became of each line and mark. Its methods must not block: they are called from the
/// machine's own task.
pub trait OutboxLog: Send + Sync {
    /// This is to be sent. Called before it can be, and not waited for.
    fn put(&self, post: &Post);
    /// The homeserver has it.
    fn done(&self, seq: RelaySeq);
    /// This line will never be said, in these words.
    fn failed(&self, seq: RelaySeq, why: &str);
    /// This mark will never be made, and need not be known any more.
    fn forgotten(&self, seq: RelaySeq);
}

/// The outbox, to be run. Generic over the homeserver for tests alone.
pub struct Outbox<H = Client> {
    desk: Arc<Desk>,
    voice: Voice<H>,
    /// Makes the transaction ids of our own notices differ from those of earlier runs.
    run: u64,
    /// The last attempt anywhere found the homeserver away. For the log alone.
    away: AtomicBool,
}

/// The side of those who have something to say. Cheap to clone.
#[derive(Clone)]
pub struct OutboxHandle {
    desk: Arc<Desk>,
}

/// What both sides share.
struct Desk {
    queue: Mutex<Queue>,
    log: Arc<dyn OutboxLog>,
    /// There is something to do, for one worker.
    work: Notify,
    /// An alarm was set that may be the first.
    alarm: Notify,
    /// Nothing waits any more.
    empty: Notify,
    dropped: AtomicU64,
    marks_lost: AtomicU64,
}

impl OutboxHandle {
    /// Takes a line, in the order of calls per room. Never blocks; above [`LANE_MAX`] lines for a room its
    /// oldest waiting line fails.
    pub fn submit(&self, relay: Relay) {
        self.take(Post::Line(relay));
    }

    /// As [`submit`](Self::submit), for a mark. One that is refused is counted and forgotten.
    pub fn mark(&self, mark: Mark) {
        self.take(Post::Mark(mark));
    }

    fn take(&self, post: Post) {
        self.desk.log.put(&post);
        self.restore(post);
    }

    /// As [`submit`](Self::submit), for what the log holds already: what an earlier run left behind.
    pub fn restore(&self, post: Post) {
        self.desk.push(match post {
            Post::Line(relay) => Job::Say(relay),
            Post::Mark(mark) => Job::Mark(mark),
        });
    }

    /// Removes somebody from a room in the bot's name, after everything submitted for that room so far.
    pub fn kick(&self, room: RoomId, user: UserId, reason: String) {
        self.desk.push(Job::Kick { room, user, reason });
    }

    /// Things waiting and in hand.
    pub fn len(&self) -> usize {
        self.desk.queue().len()
    }

    /// True when everything has been said.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rooms that wait because the last attempt there failed.
    pub fn rooms_parked(&self) -> usize {
        self.desk.queue().parked()
    }

    /// Lines that went because too many waited, since the start.
    pub fn dropped(&self) -> u64 {
        self.desk.dropped.load(Ordering::Relaxed)
    }

    /// Marks that were refused or went because too much waited, since the start.
    pub fn marks_lost(&self) -> u64 {
        self.desk.marks_lost.load(Ordering::Relaxed)
    }

    /// Waits until everything has been said, at most so long. Returns how much is left; the log has it.
    pub async fn drain(&self, at_most: Duration) -> usize {
        let emptied = async {
            loop {
                let notified = self.desk.empty.notified();
                let mut notified = std::pin::pin!(notified);
                notified.as_mut().enable();
                if self.is_empty() {
                    return;
                }
                notified.await;
            }
        };
        let _ = tokio::time::timeout(at_most, emptied).await;
        self.len()
    }
}

impl Outbox<Client> {
    /// An outbox that speaks through `client`, and the handle to fill it.
    pub fn new(client: Client, log: Arc<dyn OutboxLog>, book: Arc<GhostBook>) -> (OutboxHandle, Self) {
        let bot = client.bot().clone();
        Self::with_homeserver(client, bot, log, book)
    }
}

impl<H: Homeserver> Outbox<H> {
    /// As [`Outbox::new`], over any homeserver.
    pub fn with_homeserver(
        homeserver: H,
        bot: UserId,
        log: Arc<dyn OutboxLog>,
        book: Arc<GhostBook>,
    ) -> (OutboxHandle, Self) {
        let desk = Arc::new(Desk {
            queue: Mutex::new(Queue::new(LANE_MAX, TOTAL_MAX)),
            log,
            work: Notify::new(),
            alarm: Notify::new(),
            empty: Notify::new(),
            dropped: AtomicU64::new(0),
            marks_lost: AtomicU64::new(0),
        });
        let outbox = Self {
            desk: Arc::clone(&desk),
            voice: Voice { homeserver, book, bot },
            run: rand::random(),
            away: AtomicBool::new(false),
        };
        (OutboxHandle { desk }, outbox)
    }

    /// Says everything until cancelled. Its workers live and die with this future. What is in flight when it
    /// ends may have reached the homeserver or not; it is neither done nor failed.
    pub async fn run(self, cancel: CancellationToken) {
        let this = Arc::new(self);
        let mut workers = JoinSet::new();
        for _ in 0..IN_FLIGHT_MAX {
            workers.spawn(Arc::clone(&this).work());
        }
        tokio::select! {
            () = cancel.cancelled() => {}
            () = this.desk.watch_alarms() => {}
            // Workers have no end of their own: this is a panic in one, and it is passed on.
            Some(ended) = workers.join_next() => {
                if let Err(error) = ended && error.is_panic() {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
        }
    }

    async fn work(self: Arc<Self>) {
        loop {
            let (room, mut work) = self.desk.next().await;
            loop {
                let attempt = self.attempt(&room, work).await;
                match self.desk.settle(&room, attempt) {
                    Some(next) => work = next,
                    None => break,
                }
            }
        }
    }

    async fn attempt(&self, room: &RoomId, work: Work) -> Attempt {
        let result = match &work {
            Work::Job(Job::Say(relay)) => self.voice.say(relay).await,
            Work::Job(Job::Mark(mark)) => self.voice.mark(mark).await,
            Work::Job(Job::Kick { user, reason, .. }) => self.voice.homeserver.kick(room, user, reason).await,
            Work::Missed { lines, notice } => {
                let txn = format!("bunraku.missed.{:x}.{notice}", self.run);
                let words =
                    format!("{lines} earlier lines from IRC are missing here: too many were waiting.");
                self.voice.tell(room, &txn, &words).await
            }
        };
        match result {
            Ok(()) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the homeserver takes messages again");
                }
                self.succeeded(&work);
            }
            Err(ClientError::Limited { retry_after }) => return Attempt::Again(work, Some(retry_after)),
            Err(error @ (ClientError::Unavailable(_) | ClientError::WrongToken)) => {
                self.note_away(room, &error);
                return Attempt::Again(work, None);
            }
            Err(error) => self.failed(room, &work, &error),
        }
        Attempt::Over
    }

    /// Told once for all rooms: during an outage each of thousands would say the same every half minute.
    fn note_away(&self, room: &RoomId, error: &ClientError) {
        if self.away.swap(true, Ordering::Relaxed) {
            tracing::debug!(%room, %error, "will be tried again");
        } else {
            tracing::warn!(%room, %error, "the homeserver takes no messages; they are kept and tried again");
        }
    }

    fn succeeded(&self, work: &Work) {
        match work {
            Work::Job(Job::Say(relay)) => self.desk.log.done(relay.seq),
            Work::Job(Job::Mark(mark)) => self.desk.log.done(mark.seq),
            Work::Job(Job::Kick { .. }) | Work::Missed { .. } => {}
        }
    }

    fn failed(&self, room: &RoomId, work: &Work, error: &ClientError) {
        match work {
            Work::Job(Job::Say(relay)) => {
                tracing::warn!(%room, seq = relay.seq.0, %error, "a line was refused");
                self.desk.log.failed(relay.seq, &error.to_string());
            }
            Work::Job(Job::Mark(mark)) => {
                tracing::debug!(%room, seq = mark.seq.0, %error, "a mark was refused");
                self.desk.lose_mark(mark, &error.to_string());
            }
            Work::Job(Job::Kick { user, .. }) => {
                tracing::warn!(%room, %user, %error, "could not remove a user")
            }
            Work::Missed { lines, .. } => {
                tracing::warn!(%room, lines, %error, "could not tell of missing lines")
            }
        }
    }
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) {
        let dropped = self.queue().push(job);
        match dropped {
            None => {}
            Some(Job::Say(relay)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                self.log.failed(relay.seq, TOO_MANY);
            }
            Some(Job::Mark(mark)) => self.lose_mark(&mark, TOO_MANY),
            Some(Job::Kick { room, user, .. }) => {
                tracing::error!(%room, %user, "a user was not removed: too much is waiting");
            }
        }
        self.work.notify_one();
    }

    /// A mark will not be made. Told once for all of them: where the bot may not react, each would say the same.
    fn lose_mark(&self, mark: &Mark, why: &str) {
        self.log.forgotten(mark.seq);
        if self.marks_lost.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                room = %mark.room,
                why,
                "a message could not be marked, its sender is told in words alone; further ones are only counted"
            );
        }
    }

    /// Waits for something to do. A wake-up is never lost: a worker listens before it looks, and one that was
    /// called but found work by itself passes the call on.
    async fn next(&self) -> (RoomId, Work) {
        loop {
            let notified = self.work.notified();
            let mut notified = std::pin::pin!(notified);
            notified.as_mut().enable();
            if let Some(next) = self.queue().next() {
                return next;
            }
            notified.await;
        }
    }

    fn settle(&self, room: &RoomId, attempt: Attempt) -> Option<Work> {
        let mut queue = self.queue();
        let first_alarm = queue.next_alarm();
        let next = queue.settle(room, attempt, Instant::now(), rand::random());
        if queue.next_alarm() != first_alarm {
            self.alarm.notify_one();
        }
        if queue.len() == 0 {
            self.empty.notify_waiters();
        }
        next
    }

    async fn watch_alarms(&self) {
        loop {
            let first = self.queue().next_alarm();
            match first {
                None => self.alarm.notified().await,
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {
                        let woken = self.queue().ring(Instant::now());
                        (0..woken).for_each(|_| self.work.notify_one());
                    }
                    () = self.alarm.notified() => {}
                },
            }
        }
    }
}

#[cfg(test)]
mod tests;
