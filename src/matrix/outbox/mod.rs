//! Says what the machine relays: in order per room, each line exactly once, for as long as it takes.
//!
//! ```text
//! submit -> OutboxLog::put -> lane of the room -> a worker: register, device, name, join, send
//!                                  ^                 |- sent ------------> OutboxLog::done
//!                                  |                 |- refused for good -> OutboxLog::failed
//!                                  +-- parked <------+- not now (429, 5xx, no answer): same transaction id
//! ```
//!
//! Marks on people's messages and redactions go the same way, in the same lanes. A mark of the bot's that is refused is
//! counted and forgotten: it is a comfort, not something that somebody said.
//!
//! In a room that is behind, lines of one person in a row are said as one event. That they are is written down before
//! they are tried: whichever run goes on with them says the same under the same transaction id, and nothing twice.
//!
//! A room that is in trouble waits alone; the others go on, by turns, up to [`IN_FLIGHT_MAX`] at once. A line is
//! never given up because the homeserver is away. Kicks run in the same lanes, so that somebody is told why
//! before they are gone. One that is refused is tried again, and what was said after it
//! waits behind it: nobody reads on who should be gone. The room is told so once.
//!
//! The outbox writes nothing down itself: a line that was `put` and neither `done` nor `failed` is to be given
//! to [`OutboxHandle::restore`] at the next start, and the homeserver will know it by its transaction id.

mod bars;
mod book;
mod handle;
mod homeserver;
mod log;
mod queue;
mod removals;
pub(super) mod speak;
mod work;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use bars::{BARRED_MAX, REMOVALS_MAX, WITHHELD_MAX};
pub use book::{GhostBook, GhostFact, GhostLog};
pub use homeserver::Homeserver;
pub use log::{Job, OutboxLog, Removal};
pub use queue::{BEHIND_MIN, JOIN_LINES_MAX, LANE_MAX, TOTAL_MAX};

use super::client::{Client, ClientError};
use crate::bridge::effect::{Mark, Redact, Relay, Speaker};
use crate::ids::{RelaySeq, RoomId, UserId};
use queue::Queue;
use speak::Voice;
use work::{Attempt, Joined, Missing, Rule, Work};

/// Requests to the homeserver at once.
pub const IN_FLIGHT_MAX: usize = 32;

/// What is told to the log for a line that went because too many waited.
const TOO_MANY: &str = "too many lines were waiting for this room";
/// What is told to the log for a line that was kept back in a room which was replaced meanwhile.
const LEFT_BEHIND: &str =
    "it was kept back from somebody who could not be removed from the room until another one replaced it";

/// The outbox, to be run. Generic over the homeserver for tests alone.
pub struct Outbox<H = Client> {
    desk: Arc<Desk>,
    voice: Voice<H>,
    /// Makes the transaction ids of our own notices differ from those of earlier runs.
    run: u64,
    /// The last attempt anywhere found the homeserver away. For the log alone.
    away: AtomicBool,
    /// Rooms that were told that somebody cannot be removed, since the start.
    barred: AtomicU64,
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
            barred: AtomicU64::new(0),
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

    async fn attempt(&self, room: &RoomId, mut work: Work) -> Attempt {
        if let Work::Joined(joined @ Joined { rule: Rule::Wanted, .. }) = &mut work {
            let seqs: Vec<RelaySeq> = joined.relays.iter().map(|relay| relay.seq).collect();
            if self.desk.log.join(&seqs).await.is_err() {
                return Attempt::Apart(std::mem::take(&mut joined.relays));
            }
            joined.rule = Rule::Kept;
        }
        if let Work::Fresh(Job::Kick(removal)) = &work
            && self.desk.is_pardoned(removal)
        {
            return Attempt::Over;
        }
        let result = match &work {
            Work::Fresh(job) | Work::Old(job) => self.attempt_job(room, job).await,
            Work::Joined(joined) => self.say(&joined.relays, Some(joined.first)).await,
            Work::Missed { lines, notice, why } => {
                let txn = format!("bunraku.missed.{:x}.{notice}", self.run);
                let why = match why {
                    Missing::TooMany => "too many were waiting",
                    Missing::LeftBehind => {
                        "in the room that this one replaces they were kept back from somebody who was not in the channel"
                    }
                };
                let words = format!("{lines} earlier lines from IRC are missing here: {why}.");
                self.voice.tell(room, &txn, &words).await
            }
        };
        match result {
            Ok(()) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the homeserver takes messages again");
                }
                self.succeeded(&work).await;
            }
            Err(ClientError::Limited { retry_after }) => return Attempt::Again(work, Some(retry_after)),
            Err(error @ (ClientError::Unavailable(_) | ClientError::WrongToken)) => {
                self.note_away(room, &error);
                return Attempt::Again(work, None);
            }
            Err(error) => match work {
                Work::Fresh(Job::Kick(removal)) => return self.not_removed(removal, &error).await,
                work => self.failed(room, &work, &error),
            },
        }
        Attempt::Over
    }

    async fn attempt_job(&self, room: &RoomId, job: &Job) -> Result<(), ClientError> {
        match job {
            Job::Say(relay) => self.say(std::slice::from_ref(relay), None).await,
            Job::Mark(mark) => {
                if let (Some(event), Speaker::Ghost(_)) = (self.voice.mark(mark).await?, &mark.speaker) {
                    self.desk.log.named(room, &[mark.seq], &event);
                }
                Ok(())
            }
            Job::Redact(redact) => self.voice.redact(redact).await,
            Job::Kick(removal) => self.voice.homeserver.kick(room, &removal.user, &removal.reason).await,
            Job::Leave { user, reason, .. } => self.voice.leave(user, room, reason).await,
        }
    }

    /// Says one line, or several that were joined under `first`.
    async fn say(&self, relays: &[Relay], first: Option<RelaySeq>) -> Result<(), ClientError> {
        let event = match (first, relays) {
            (None, [relay]) => self.voice.say(relay).await?,
            (Some(first), relays) => self.voice.say_joined(first, relays).await?,
            (None, _) => return Ok(()),
        };
        let seqs: Vec<RelaySeq> = relays.iter().map(|relay| relay.seq).collect();
        if let Some(relay) = relays.first() {
            self.desk.log.named(&relay.room, &seqs, &event);
        }
        Ok(())
    }

    /// Told once for all rooms: during an outage each of thousands would say the same every half minute.
    fn note_away(&self, room: &RoomId, error: &ClientError) {
        if self.away.swap(true, Ordering::Relaxed) {
            tracing::debug!(%room, %error, "will be tried again");
        } else {
            tracing::warn!(%room, %error, "the homeserver takes no messages; they are kept and tried again");
        }
    }

    async fn succeeded(&self, work: &Work) {
        match work {
            Work::Fresh(Job::Kick(removal)) | Work::Old(Job::Kick(removal)) => {
                self.desk.removal_over(removal);
                removal.answer(Ok(())).await;
            }
            Work::Fresh(job) | Work::Old(job) => {
                if let Some(seq) = job.seq() {
                    self.desk.log.done(&[seq]);
                }
            }
            Work::Joined(joined) => {
                self.desk.log.done(&joined.relays.iter().map(|relay| relay.seq).collect::<Vec<_>>());
            }
            Work::Missed { .. } => {}
        }
    }

    fn failed(&self, room: &RoomId, work: &Work, error: &ClientError) {
        match work {
            Work::Fresh(job) | Work::Old(job) => self.job_failed(room, job, error),
            Work::Joined(joined) => {
                tracing::warn!(%room, seq = joined.first.0, lines = joined.relays.len(), %error, "lines were refused");
                for relay in &joined.relays {
                    self.desk.log.failed(relay.seq, &error.to_string());
                }
            }
            Work::Missed { lines, .. } => {
                tracing::warn!(%room, lines, %error, "could not tell of missing lines")
            }
        }
    }
}

impl<H: Homeserver> Outbox<H> {
    fn job_failed(&self, room: &RoomId, job: &Job, error: &ClientError) {
        match job {
            Job::Say(relay) => {
                tracing::warn!(%room, seq = relay.seq.0, %error, "a line was refused");
                self.desk.log.failed(relay.seq, &error.to_string());
            }
            Job::Mark(mark) => {
                tracing::debug!(%room, seq = mark.seq.0, %error, "a mark was refused");
                self.desk.lose_mark(mark, &error.to_string());
            }
            Job::Redact(redact) => {
                tracing::warn!(%room, seq = redact.seq.0, event = %redact.event, %error, "a redaction was refused");
                self.desk.log.failed(redact.seq, &error.to_string());
            }
            Job::Kick(Removal { user, .. }) => {
                tracing::warn!(%room, %user, %error, "could not remove a user")
            }
            Job::Leave { user, .. } => tracing::debug!(%room, %user, %error, "a ghost could not leave"),
        }
    }
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, work: Work) {
        let Some(room) = work.room().cloned() else { return };
        let dropped = self.queue().push(&room, work);
        dropped.into_iter().for_each(|job| self.lose(job, TOO_MANY));
        self.work.notify_one();
    }

    /// Something will not be done.
    fn lose(&self, job: Job, why: &str) {
        match job {
            Job::Say(Relay { seq, .. }) | Job::Redact(Redact { seq, .. }) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                self.log.failed(seq, why);
            }
            Job::Mark(mark) => self.lose_mark(&mark, why),
            Job::Leave { room, user, .. } => {
                tracing::warn!(%room, %user, why, "a ghost does not leave");
            }
            // It has not begun: nothing is to end.
            Job::Kick(Removal { room, user, .. }) => {
                tracing::error!(%room, %user, why, "a user is not removed");
            }
        }
    }

    /// A mark will not be made. A person's own is a failure like any other; of the bot's is told once for all of them:
    /// where it may not react, each would say the same.
    fn lose_mark(&self, mark: &Mark, why: &str) {
        match mark.speaker {
            Speaker::Ghost(_) => return self.log.failed(mark.seq, why),
            Speaker::Bot => self.log.forgotten(mark.seq),
        }
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
mod testing;
#[cfg(test)]
mod tests;
