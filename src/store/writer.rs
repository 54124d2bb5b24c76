//! The one task that changes the database, and the queue in front of it.
//!
//! Changes that wait together are committed together (group commit): one disk flush for all of them.
//!
//! ```text
//!   callers --> queue (4096) --> batch --> BEGIN .. COMMIT --> replies
//!                                 ^ awaited change: committed as soon as the task is free
//!                                 ^ lazy change: rides along, or after 20 ms
//! ```
//!
//! A put into the outbox and its done that meet in one batch cancel each other: no disk work. A change the
//! database refuses is taken out and its neighbours are committed. When the database itself fails, awaiting
//! callers are told at once and lazy changes are tried again, with growing pauses, for 30 seconds; then
//! the store is broken: it says so to everybody and stores nothing more. It knows no SQL.
//!
//! Every change may be tried again after a commit of unknown end, so each is written to be harmless twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::db::{Conn, Fault, Source};
use super::inbox::{self, InboxRow, NewEvent};
use super::outbox::{self, OutboxRow};
use super::{StoreError, ghosts, members, meta, networks, now, portals};
use crate::bridge::effect::Outcome;
use crate::bridge::input::PortalRow;
use crate::ids::{InboxSeq, NetworkId, RelaySeq, RoomId, Time, UserId};

/// Changes that may wait in front of the task. Full: the caller waits, which slows what feeds it.
const QUEUE_LEN_MAX: usize = 4096;
/// Changes in one commit. Full: the batch is committed at once, the rest stays in the queue.
const BATCH_LEN_MAX: usize = 4096;
/// The longest a lazy change waits for company.
const LAZY_MS_MAX: u64 = 20;
/// The longest one commit may take before its connection is given up.
const ATTEMPT_MS_MAX: u64 = 10_000;
/// How long a failing database is tried before the store is broken.
const FAILING_MS_MAX: u64 = 30_000;
/// Pauses between tries: the first, and the longest.
const PAUSE_MS_MIN: u64 = 50;
const PAUSE_MS_MAX: u64 = 1_000;

/// One change. Matched without `_`.
#[derive(Debug)]
pub(super) enum Write {
    /// Only wait for what came before.
    Nothing,
    Accept {
        txn: String,
        events: Vec<NewEvent>,
        at: Time,
    },
    Settle {
        seq: InboxSeq,
        outcome: Outcome,
    },
    Prune {
        before: Time,
    },
    OutboxPut(OutboxRow),
    OutboxDone(RelaySeq),
    OutboxFail {
        seq: RelaySeq,
        reason: String,
        at: Time,
    },
    OutboxReserve,
    PortalSave {
        network: NetworkId,
        row: PortalRow,
    },
    PortalRemove {
        network: NetworkId,
        room: RoomId,
    },
    MemberSave {
        room: RoomId,
        user: UserId,
        display_name: Option<String>,
    },
    MemberRemove {
        room: RoomId,
        user: UserId,
    },
    GhostSave {
        user: UserId,
        display_name: String,
    },
    GhostJoined {
        room: RoomId,
        user: UserId,
    },
    GhostLeft {
        room: RoomId,
        user: UserId,
    },
    CaseMapSave {
        network: NetworkId,
        name: String,
    },
    MetaSet {
        name: String,
        value: String,
    },
}

/// What a change gives back.
#[derive(Debug)]
pub(super) enum Reply {
    Nothing,
    Accepted(Vec<InboxRow>),
    Pruned(u64),
    Reserved(Option<RelaySeq>),
}

type Answer = oneshot::Sender<Result<Reply, StoreError>>;

enum Message {
    Job(Job),
    Close(oneshot::Sender<()>),
}

struct Job {
    write: Write,
    /// Present when somebody waits.
    answer: Option<Answer>,
}

/// The callers' side of the queue.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    broken: Arc<OnceLock<String>>,
}

impl Writer {
    /// Hands a change over and waits until it is committed.
    pub(super) async fn write(&self, write: Write) -> Result<Reply, StoreError> {
        let (answer, committed) = oneshot::channel();
        self.send(Job { write, answer: Some(answer) }).await?;
        committed.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Hands a change over; it will be committed soon.
    pub(super) async fn write_soon(&self, write: Write) -> Result<(), StoreError> {
        self.send(Job { write, answer: None }).await
    }

    /// Commits what was handed over before and ends the task.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let (done, closed) = oneshot::channel();
        self.queue.send(Message::Close(done)).await.map_err(|_| StoreError::Closed)?;
        closed.await.map_err(|_| StoreError::Closed)?;
        self.alive()
    }

    async fn send(&self, job: Job) -> Result<(), StoreError> {
        self.alive()?;
        self.queue.send(Message::Job(job)).await.map_err(|_| StoreError::Closed)
    }

    fn alive(&self) -> Result<(), StoreError> {
        self.broken.get().map_or(Ok(()), |why| Err(StoreError::Broken(why.clone())))
    }
}

/// The queue's two ends: the handle, and the task to be spawned.
pub(super) fn new(source: Source, conn: Conn) -> (Writer, impl Future<Output = ()> + Send) {
    with_patience(source, conn, Duration::from_millis(FAILING_MS_MAX))
}

fn with_patience(
    source: Source,
    conn: Conn,
    patience: Duration,
) -> (Writer, impl Future<Output = ()> + Send) {
    let (queue, incoming) = mpsc::channel(QUEUE_LEN_MAX);
    let broken = Arc::new(OnceLock::new());
    let task = Task {
        incoming,
        broken: Arc::clone(&broken),
        source,
        conn: Some(conn),
        batch: Batch::default(),
        mark: None,
        failing: None,
        patience,
        closing: Closing::No,
    };
    (Writer { queue, broken }, task.run())
}

struct Task {
    incoming: mpsc::Receiver<Message>,
    broken: Arc<OnceLock<String>>,
    source: Source,
    /// Given up after a failure, made again before the next try.
    conn: Option<Conn>,
    batch: Batch,
    /// Outbox numbers up to this one are reserved on disk, as far as this task knows.
    mark: Option<RelaySeq>,
    failing: Option<Failing>,
    /// How long a failing database is tried.
    patience: Duration,
    closing: Closing,
}

/// Since when, and how often, the database failed.
#[derive(Clone, Copy)]
struct Failing {
    since: Instant,
    pause_ms: u64,
}

enum Closing {
    No,
    /// Every handle is gone.
    Abandoned,
    Asked(oneshot::Sender<()>),
}

impl Task {
    async fn run(mut self) {
        loop {
            self.gather().await;
            if !self.batch.is_empty() {
                self.store_batch().await;
            }
            if self.batch.is_empty() && !matches!(self.closing, Closing::No) {
                break;
            }
        }
        self.incoming.close();
        if let Some(conn) = self.conn.take()
            && let Err(error) = conn.close().await
        {
            tracing::warn!(%error, "closing the database failed");
        }
        if let Closing::Asked(done) = self.closing {
            done.send(()).ok();
        }
    }

    /// Waits until there is something to commit, and for its company.
    async fn gather(&mut self) {
        while matches!(self.closing, Closing::No) && !self.batch.is_full() {
            let message = match self.batch.due() {
                Due::Never => self.incoming.recv().await,
                Due::Now => match self.incoming.try_recv() {
                    Ok(message) => Some(message),
                    Err(mpsc::error::TryRecvError::Empty) => return,
                    Err(mpsc::error::TryRecvError::Disconnected) => None,
                },
                Due::At(moment) => match timeout_at(moment, self.incoming.recv()).await {
                    Ok(message) => message,
                    Err(_) => return,
                },
            };
            match message {
                Some(Message::Job(job)) => self.take(job),
                Some(Message::Close(done)) => self.closing = Closing::Asked(done),
                None => self.closing = Closing::Abandoned,
            }
        }
    }

    fn take(&mut self, job: Job) {
        if let Some(why) = self.broken.get() {
            if let Some(answer) = job.answer {
                answer.send(Err(StoreError::Broken(why.clone()))).ok();
            }
            return;
        }
        self.batch.add(job);
        if self.batch.is_empty() && self.batch.mark_wanted(self.mark).is_some() {
            // Cancelled puts use numbers up too.
            self.batch.add(Job { write: Write::Nothing, answer: None });
        }
    }

    /// One try to commit the batch, then what follows from its end.
    async fn store_batch(&mut self) {
        let limit = Duration::from_millis(ATTEMPT_MS_MAX);
        let tried = timeout(limit, self.try_batch()).await;
        let tried = tried.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        match tried {
            Ok(results) => {
                self.failing = None;
                self.batch.finish(results);
            }
            Err(why) => self.failed(why).await,
        }
    }

    /// All at once; where a change is refused, one by one so that only that change is lost.
    async fn try_batch(&mut self) -> Result<Results, String> {
        let mut conn = self.connected().await?;
        let mark = self.batch.mark_wanted(self.mark);
        let steps = self.batch.steps(mark, Grain::Bulk);
        let results = match attempt(&mut conn, &steps, Grain::Bulk).await {
            Ok(results) => results,
            Err(Fault::Database(why)) => return Err(why),
            Err(Fault::Change(_)) => {
                conn.rollback().await.map_err(words)?;
                let steps = self.batch.steps(mark, Grain::Single);
                attempt(&mut conn, &steps, Grain::Single).await.map_err(words)?
            }
        };
        self.mark = mark.or(self.mark);
        self.conn = Some(conn);
        Ok(results)
    }

    /// The connection, taken out: a try that fails or is cut short leaves none behind.
    async fn connected(&mut self) -> Result<Conn, String> {
        match self.conn.take() {
            Some(conn) => Ok(conn),
            None => self.source.connect().await.map_err(|error| error.to_string()),
        }
    }

    async fn failed(&mut self, why: String) {
        let first = Failing { since: Instant::now(), pause_ms: PAUSE_MS_MIN };
        let failing = *self.failing.get_or_insert(first);
        self.batch.refuse_awaited(&StoreError::Unavailable(why.clone()));
        if self.batch.is_empty() {
            tracing::warn!(%why, "a commit failed, its callers were told");
            self.failing = None;
            return;
        }
        if failing.since.elapsed() > self.patience {
            tracing::error!(%why, lost = self.batch.len(), "the database failed for too long, the store has stopped");
            self.broken.set(why).ok();
            self.batch = Batch::default();
            return;
        }
        tracing::warn!(%why, waiting = self.batch.len(), "a commit failed, trying again");
        sleep(Duration::from_millis(failing.pause_ms)).await;
        let pause_ms = (failing.pause_ms * 2).min(PAUSE_MS_MAX);
        self.failing = Some(Failing { pause_ms, ..failing });
    }
}

/// When a batch is to be committed.
enum Due {
    /// It is empty.
    Never,
    /// Somebody waits.
    Now,
    At(Instant),
}

/// Changes that will be committed together. Kinds that come in masses are kept apart, to be written with
/// one statement each: they touch rows that no other change in the batch depends on.
#[derive(Default)]
struct Batch {
    puts: BTreeMap<RelaySeq, OutboxRow>,
    singles: Vec<Job>,
    settles: HashMap<InboxSeq, Outcome>,
    dones: Vec<RelaySeq>,
    /// The highest outbox number seen, also of cancelled puts.
    highest: Option<RelaySeq>,
    due: Option<Instant>,
    awaited: usize,
}

impl Batch {
    fn add(&mut self, job: Job) {
        let wait = Duration::from_millis(LAZY_MS_MAX);
        match job {
            Job { write: Write::OutboxPut(row), answer: None } => {
                self.highest = self.highest.max(Some(row.seq));
                self.puts.insert(row.seq, row);
            }
            Job { write: Write::OutboxDone(seq), answer: None } => {
                if self.puts.remove(&seq).is_none() {
                    self.dones.push(seq);
                }
            }
            Job { write: Write::Settle { seq, outcome }, answer: None } => {
                self.settles.entry(seq).or_insert(outcome);
            }
            job => {
                self.awaited += usize::from(job.answer.is_some());
                self.singles.push(job);
            }
        }
        match self.is_empty() {
            true => self.due = None,
            false => self.due = self.due.or(Some(Instant::now() + wait)),
        }
    }

    fn len(&self) -> usize {
        self.puts.len() + self.singles.len() + self.settles.len() + self.dones.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_full(&self) -> bool {
        self.len() >= BATCH_LEN_MAX
    }

    fn due(&self) -> Due {
        match self.due {
            Some(_) if self.awaited > 0 => Due::Now,
            Some(moment) => Due::At(moment),
            None => Due::Never,
        }
    }

    /// The number up to which to reserve now, when what is reserved comes to its end.
    fn mark_wanted(&self, mark: Option<RelaySeq>) -> Option<RelaySeq> {
        let highest = self.highest?;
        let enough = mark.is_some_and(|mark| mark.0 >= highest.0.saturating_add(outbox::MARK_MARGIN));
        (!enough).then_some(RelaySeq(highest.0.saturating_add(outbox::MARK_STEP)))
    }

    /// What to run, in order.
    fn steps(&self, mark: Option<RelaySeq>, grain: Grain) -> Vec<Step<'_>> {
        let puts: Vec<_> = self.puts.values().collect();
        let settles: Vec<_> = self.settles.iter().map(|(seq, outcome)| (*seq, outcome)).collect();
        let group = match grain {
            Grain::Bulk => BATCH_LEN_MAX,
            Grain::Single => 1,
        };
        let mut steps: Vec<_> = mark.map(Step::Mark).into_iter().collect();
        steps.extend(puts.chunks(group).map(|puts| Step::Puts(puts.to_vec())));
        steps.extend(self.singles.iter().map(|job| Step::Single(&job.write)));
        steps.extend(settles.chunks(group).map(|settles| Step::Settles(settles.to_vec())));
        steps.extend(self.dones.chunks(BATCH_LEN_MAX).map(Step::Dones));
        steps
    }

    /// Tells the callers, after the commit.
    fn finish(&mut self, results: Results) {
        let batch = std::mem::take(self);
        for (job, result) in batch.singles.into_iter().zip(results.singles) {
            match job.answer {
                Some(answer) => drop(answer.send(result.map_err(StoreError::Refused))),
                None => warn_refused(result.err()),
            }
        }
        for why in results.refused {
            warn_refused(Some(why));
        }
    }

    /// Tells everybody who waits that nothing is known to be stored, and keeps the rest.
    fn refuse_awaited(&mut self, error: &StoreError) {
        for job in self.singles.extract_if(.., |job| job.answer.is_some()) {
            if let Some(answer) = job.answer {
                answer.send(Err(error.clone())).ok();
            }
        }
        self.awaited = 0;
        if self.is_empty() {
            *self = Self { highest: self.highest, ..Self::default() };
        }
    }
}

/// Whether a batch is run with one statement per kind, or each change alone behind a savepoint.
#[derive(Clone, Copy)]
enum Grain {
    Bulk,
    Single,
}

/// A part of a batch.
enum Step<'a> {
    Mark(RelaySeq),
    Puts(Vec<&'a OutboxRow>),
    Single(&'a Write),
    Settles(Vec<(InboxSeq, &'a Outcome)>),
    Dones(&'a [RelaySeq]),
}

/// What became of a committed batch.
#[derive(Default)]
struct Results {
    /// In the order of the batch's singles; the words of the database for a refused one.
    singles: Vec<Result<Reply, String>>,
    /// Refusals of changes that came in masses.
    refused: Vec<String>,
}

async fn attempt(conn: &mut Conn, steps: &[Step<'_>], grain: Grain) -> Result<Results, Fault> {
    let mut results = Results::default();
    conn.begin().await?;
    for step in steps {
        let result = match grain {
            Grain::Bulk => Ok(step.run(conn).await?),
            Grain::Single => guarded(conn, step).await?,
        };
        match step {
            Step::Single(_) => results.singles.push(result),
            Step::Mark(_) | Step::Puts(_) | Step::Settles(_) | Step::Dones(_) => {
                results.refused.extend(result.err());
            }
        }
    }
    conn.commit().await?;
    Ok(results)
}

/// Runs a step so that its refusal leaves the others in place.
async fn guarded(conn: &mut Conn, step: &Step<'_>) -> Result<Result<Reply, String>, Fault> {
    conn.savepoint().await?;
    match step.run(conn).await {
        Ok(reply) => conn.end_savepoint().await.map(|()| Ok(reply)),
        Err(Fault::Change(why)) => conn.undo_savepoint().await.map(|()| Err(why)),
        Err(fault) => Err(fault),
    }
}

impl Step<'_> {
    async fn run(&self, conn: &mut Conn) -> Result<Reply, Fault> {
        match self {
            Self::Mark(upto) => outbox::mark(conn, *upto).await.map(|()| Reply::Nothing),
            Self::Puts(rows) => outbox::put(conn, rows).await.map(|()| Reply::Nothing),
            Self::Single(write) => write.run(conn).await,
            Self::Settles(rows) => inbox::settle(conn, rows, now()).await.map(|()| Reply::Nothing),
            Self::Dones(seqs) => outbox::done(conn, seqs).await.map(|()| Reply::Nothing),
        }
    }
}

impl Write {
    async fn run(&self, conn: &mut Conn) -> Result<Reply, Fault> {
        match self {
            Self::Nothing => Ok(()),
            Self::Accept { txn, events, at } => {
                return inbox::accept(conn, txn, events, *at).await.map(Reply::Accepted);
            }
            Self::Prune { before } => return inbox::prune(conn, *before).await.map(Reply::Pruned),
            Self::OutboxReserve => return outbox::reserve(conn).await.map(Reply::Reserved),
            Self::Settle { seq, outcome } => inbox::settle(conn, &[(*seq, outcome)], now()).await,
            Self::OutboxPut(row) => outbox::put(conn, &[row]).await,
            Self::OutboxDone(seq) => outbox::done(conn, &[*seq]).await,
            Self::OutboxFail { seq, reason, at } => outbox::fail(conn, *seq, reason, *at).await,
            Self::PortalSave { network, row } => portals::save(conn, network, row).await,
            Self::PortalRemove { network, room } => portals::remove(conn, network, room).await,
            Self::MemberSave { room, user, display_name } => {
                members::save(conn, room, user, display_name.as_deref()).await
            }
            Self::MemberRemove { room, user } => members::remove(conn, room, user).await,
            Self::GhostSave { user, display_name } => ghosts::save(conn, user, display_name).await,
            Self::GhostJoined { room, user } => ghosts::joined(conn, room, user).await,
            Self::GhostLeft { room, user } => ghosts::left(conn, room, user).await,
            Self::CaseMapSave { network, name } => networks::casemap_save(conn, network, name).await,
            Self::MetaSet { name, value } => meta::set(conn, name, value).await,
        }
        .map(|()| Reply::Nothing)
    }
}

fn words(fault: Fault) -> String {
    match fault {
        Fault::Change(why) | Fault::Database(why) => why,
    }
}

fn warn_refused(why: Option<String>) {
    if let Some(why) = why {
        tracing::warn!(%why, "the database refused a change, it is lost");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::effect::{Relay, Speaker};
    use crate::bridge::input::BodyKind;

    fn put(seq: i64) -> Job {
        let seq = RelaySeq(seq);
        let room = RoomId::new("!room:hs").unwrap();
        let relay =
            Relay { seq, room, speaker: Speaker::Bot, kind: BodyKind::Text, text: "hi".into(), about: None };
        let row = OutboxRow { seq, network: "net".into(), relay, created: Time(1) };
        Job { write: Write::OutboxPut(row), answer: None }
    }

    fn done(seq: i64) -> Job {
        Job { write: Write::OutboxDone(RelaySeq(seq)), answer: None }
    }

    #[test]
    fn a_done_cancels_the_put_it_meets() {
        let mut batch = Batch::default();
        batch.add(put(1));
        batch.add(put(2));
        batch.add(done(1));
        assert_eq!(batch.len(), 1, "only the second put is left");
        batch.add(done(2));
        assert!(batch.is_empty() && matches!(batch.due(), Due::Never), "nothing is left to commit");
        batch.add(done(2));
        assert_eq!(batch.len(), 1, "a done without its put is a delete");
    }

    #[test]
    fn numbers_of_cancelled_puts_count_as_used() {
        let mut batch = Batch::default();
        batch.add(put(7));
        batch.add(done(7));
        let wanted = batch.mark_wanted(None).unwrap();
        assert!(wanted.0 > 7);
        assert_eq!(batch.mark_wanted(Some(wanted)), None, "reserved far enough");
        batch.add(put(wanted.0 - outbox::MARK_MARGIN + 1));
        assert!(batch.mark_wanted(Some(wanted)) > Some(wanted));
    }

    #[test]
    fn the_first_outcome_of_a_row_stays() {
        let mut batch = Batch::default();
        for outcome in [Outcome::Expired, Outcome::Delivered] {
            batch.add(Job { write: Write::Settle { seq: InboxSeq(1), outcome }, answer: None });
        }
        assert_eq!(batch.settles[&InboxSeq(1)], Outcome::Expired);
    }

    const LOCK: &str = "BEGIN EXCLUSIVE";

    /// A store's file, a writer on it with this patience, and another process's grip on the file.
    async fn locked(dir: &tempfile::TempDir, patience: Duration) -> (Writer, Conn) {
        let url = format!("sqlite:{}", dir.path().join("db").display());
        super::super::Store::open(&url).await.unwrap().close().await.unwrap();
        let Source::Sqlite(options) = Source::parse(&url).unwrap() else { unreachable!() };
        let source = Source::Sqlite(options.busy_timeout(Duration::from_millis(20)));
        let mut other = source.connect().await.unwrap();
        let (writer, task) = with_patience(source.clone(), source.connect().await.unwrap(), patience);
        other.execute(LOCK, &[]).await.unwrap();
        tokio::spawn(task);
        (writer, other)
    }

    #[tokio::test]
    async fn a_database_that_fails_for_a_while_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, mut other) = locked(&dir, Duration::from_secs(60)).await;
        writer.write_soon(put(1).write).await.unwrap();
        let told = writer.write(Write::Nothing).await.unwrap_err();
        assert!(matches!(told, StoreError::Unavailable(_)), "who waits is told: {told}");
        other.rollback().await.unwrap();
        while writer.write(Write::Nothing).await.is_err() {}
        let rows = other.fetch("SELECT seq FROM outbox", &[]).await.unwrap();
        assert_eq!(rows.len(), 1, "the lazy change was kept and tried again");
    }

    #[tokio::test]
    async fn a_database_that_fails_for_too_long_breaks_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, _other) = locked(&dir, Duration::from_millis(100)).await;
        writer.write_soon(put(1).write).await.unwrap();
        let end = loop {
            match writer.write(Write::Nothing).await.unwrap_err() {
                StoreError::Unavailable(_) => {}
                end => break end,
            }
        };
        assert!(matches!(end, StoreError::Broken(_)), "{end}");
        assert!(matches!(writer.write_soon(put(2).write).await, Err(StoreError::Broken(_))));
        assert!(matches!(writer.close().await, Err(StoreError::Broken(_))));
    }
}
