//! The one task that changes the database, and the queue in front of it.
//!
//! Changes that wait together are committed together (group commit): one disk flush for all of them.
//!
//! ```text
//!   callers --> queue (4096) --> batch --> BEGIN .. COMMIT --> replies
//!                                 ^ awaited change: committed as soon as the task is free
//!                                 ^ lazy change: rides along, or after 10 ms
//! ```
//!
//! A put into the outbox and its done that meet in one batch cancel each other: no disk work. A change the
//! database refuses is taken out and its neighbours are committed. When the database itself fails, awaiting
//! callers are told at once and lazy changes are tried again, with growing pauses, for 30 seconds; then
//! the store is broken: it says so to everybody and stores nothing more. It knows no SQL.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::StoreError;
use super::batch::{Batch, Care, Due, Early, Job, Results, attempt, attempt_alone, attempt_early};
use super::change::{Reply, Write};
use super::db::{Conn, Fault, Source};
use super::inbox::InboxRow;
use crate::ids::{InboxSeq, RelaySeq};

/// Changes that may wait in front of the task. Full: the caller waits, which slows what feeds it.
const QUEUE_LEN_MAX: usize = 4096;
/// The longest one commit may take before its connection is given up.
const ATTEMPT_MS_MAX: u64 = 10_000;
/// How long a failing database is tried before the store is broken.
const FAILING_MS_MAX: u64 = 30_000;
/// Pauses between tries: the first, and the longest.
const PAUSE_MS_MIN: u64 = 50;
const PAUSE_MS_MAX: u64 = 1_000;

#[expect(clippy::large_enum_variant, reason = "all but the last one are jobs")]
enum Message {
    Job(Job),
    Close(oneshot::Sender<()>),
}

/// The callers' side of the queue.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
    broken: Arc<OnceLock<String>>,
    /// How long commits took, in seconds.
    pub(super) commit_seconds: Histogram,
}

impl Writer {
    /// Hands a change over and waits until it is committed.
    pub(super) async fn write(&self, write: Write) -> Result<Reply, StoreError> {
        self.wait_for(write, None).await
    }

    /// As [`Self::write`]; what is accepted may be told of before it is committed.
    pub(super) async fn write_early(
        &self,
        write: Write,
        early: oneshot::Sender<InboxRow>,
    ) -> Result<Reply, StoreError> {
        self.wait_for(write, Some(Early::Waiting(early))).await
    }

    async fn wait_for(&self, write: Write, early: Option<Early>) -> Result<Reply, StoreError> {
        let (answer, committed) = oneshot::channel();
        self.send(Job { write, answer: Some(answer), early }).await?;
        committed.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Hands a change over; what this gives waits until it is committed.
    pub(super) async fn hand_over(
        &self,
        write: Write,
    ) -> Result<impl Future<Output = Result<Reply, StoreError>> + use<>, StoreError> {
        let (answer, committed) = oneshot::channel();
        self.send(Job::new(write, Some(answer))).await?;
        Ok(async { committed.await.unwrap_or(Err(StoreError::Closed)) })
    }

    /// Hands a change over; it will be committed soon.
    pub(super) async fn write_soon(&self, write: Write) -> Result<(), StoreError> {
        self.send(Job::new(write, None)).await
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
/// `last` is the highest number of an accepted event.
pub(super) fn new(source: Source, conn: Conn, last: InboxSeq) -> (Writer, impl Future<Output = ()> + Send) {
    with_patience(source, conn, last, Duration::from_millis(FAILING_MS_MAX))
}

fn with_patience(
    source: Source,
    conn: Conn,
    last: InboxSeq,
    patience: Duration,
) -> (Writer, impl Future<Output = ()> + Send) {
    let (queue, incoming) = mpsc::channel(QUEUE_LEN_MAX);
    let broken = Arc::new(OnceLock::new());
    // Half a millisecond, doubled up to sixteen seconds.
    let commit_seconds = Histogram::new(exponential_buckets(0.0005, 2.0, 16));
    let task = Task {
        incoming,
        broken: Arc::clone(&broken),
        commit_seconds: commit_seconds.clone(),
        source,
        conn: Some(conn),
        batch: Batch::default(),
        mark: None,
        last,
        failing: None,
        patience,
        closing: Closing::No,
    };
    (Writer { queue, broken, commit_seconds }, task.run())
}

struct Task {
    incoming: mpsc::Receiver<Message>,
    broken: Arc<OnceLock<String>>,
    commit_seconds: Histogram,
    source: Source,
    /// Given up after a failure, made again before the next try.
    conn: Option<Conn>,
    batch: Batch,
    /// Outbox numbers up to this one are reserved on disk, as far as this task knows.
    mark: Option<RelaySeq>,
    /// The highest number given to an event.
    last: InboxSeq,
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
            if !self.batch.is_idle() {
                self.store_batch().await;
            }
            if self.batch.is_idle() && !matches!(self.closing, Closing::No) {
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

    fn take(&mut self, mut job: Job) {
        if let Some(why) = self.broken.get() {
            if let Some(answer) = job.answer {
                answer.send(Err(StoreError::Broken(why.clone()))).ok();
            }
            return;
        }
        if let Write::Accept { events, first, .. } = &mut job.write {
            *first = InboxSeq(self.last.0.saturating_add(1));
            self.last.0 = self.last.0.saturating_add(i64::try_from(events.len()).unwrap_or(i64::MAX));
        }
        self.batch.add(job);
        if self.batch.is_empty() && self.batch.mark_wanted(self.mark).is_some() {
            // Cancelled puts use numbers up too.
            self.batch.add(Job::new(Write::Nothing, None));
        }
    }

    /// One try to commit the batch, then what follows from its end.
    async fn store_batch(&mut self) {
        let aside = self.batch.set_aside();
        self.store_all().await;
        if let Some(aside) = aside {
            // The urgent part has been stored or refused, but for what is being handled already.
            self.batch.join(aside);
        }
    }

    async fn store_all(&mut self) {
        let (limit, begun) = (Duration::from_millis(ATTEMPT_MS_MAX), Instant::now());
        let tried = timeout(limit, self.try_batch()).await;
        let tried = tried.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        match tried {
            Ok(results) => {
                self.commit_seconds.observe(begun.elapsed().as_secs_f64());
                self.failing = None;
                self.batch.finish(results);
            }
            Err(why) => self.failed(why).await,
        }
    }

    /// Boldly; where a change is refused, carefully, so that only that change is lost.
    async fn try_batch(&mut self) -> Result<Results, String> {
        if let Some(results) = self.try_early().await {
            return Ok(results);
        }
        let mark = self.batch.mark_wanted(self.mark);
        if let Some(results) = self.try_alone(mark).await {
            return Ok(results);
        }
        let mut conn = self.begun().await?;
        let steps = self.batch.steps(mark);
        let results = match attempt(&mut conn, &steps, Care::Bold).await {
            Ok(results) => results,
            Err(Fault::Database(why)) => return Err(why),
            Err(Fault::Change(_)) => {
                conn.rollback().await.map_err(words)?;
                conn.begin().await.map_err(words)?;
                attempt(&mut conn, &steps, Care::Careful).await.map_err(words)?
            }
        };
        self.mark = mark.or(self.mark);
        self.conn = Some(conn);
        Ok(results)
    }

    /// A single event that somebody handles while the disk writes. `None` where there is none, or where it went
    /// wrong: then the usual way tells why.
    async fn try_early(&mut self) -> Option<Results> {
        self.batch.early()?;
        let mut conn = self.begun().await.ok()?;
        let results = attempt_early(&mut conn, self.batch.early()?).await;
        let usable = results.is_ok() || conn.rollback().await.is_ok();
        self.conn = Some(conn).filter(|_| usable);
        results.ok()
    }

    /// A batch of one statement needs no transaction around it: it is the fastest way from the homeserver to
    /// the disk. `None` where there is more to do, or where it went wrong: then the usual way tells why.
    async fn try_alone(&mut self, mark: Option<RelaySeq>) -> Option<Results> {
        let steps = self.batch.steps(mark);
        let ([step], Some(mut conn)) = (steps.as_slice(), self.conn.take_if(|_| steps.len() == 1)) else {
            return None;
        };
        let results = if step.is_one_statement() { attempt_alone(&mut conn, step).await.ok() } else { None };
        self.conn = Some(conn);
        results
    }

    /// The connection with a transaction open, taken out: a try that fails or is cut short leaves none
    /// behind. A server's connection that was lost meanwhile is made again at once, for nothing was at stake.
    async fn begun(&mut self) -> Result<Conn, String> {
        if let Some(mut conn) = self.conn.take() {
            match (conn.begin().await, &self.source) {
                (Ok(()), _) => return Ok(conn),
                (Err(fault), Source::Sqlite(_)) => return Err(words(fault)),
                (Err(fault), Source::Postgres(_)) => {
                    tracing::info!(why = words(fault), "the database connection was lost, making a new one");
                }
            }
        }
        let mut conn = self.source.connect().await.map_err(|error| error.to_string())?;
        conn.begin().await.map_err(words)?;
        Ok(conn)
    }

    async fn failed(&mut self, why: String) {
        let first = Failing { since: Instant::now(), pause_ms: PAUSE_MS_MIN };
        let failing = *self.failing.get_or_insert(first);
        self.batch.refuse_awaited(&StoreError::Unavailable(why.clone()));
        if self.batch.is_empty() {
            tracing::warn!(%why, "a commit failed, its callers were told");
            self.failing = None;
            match self.closing {
                Closing::No => self.batch.postpone_counts(),
                Closing::Abandoned | Closing::Asked(_) => self.batch = Batch::default(),
            }
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

fn words(fault: Fault) -> String {
    match fault {
        Fault::Change(why) | Fault::Database(why) => why,
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::tests::put;
    use super::super::inbox::NewEvent;
    use super::*;
    use crate::bridge::effect::Outcome;
    use crate::ids::Time;

    const LOCK: &str = "BEGIN EXCLUSIVE";

    /// A store's file, a writer on it with this patience, and another process's grip on the file.
    async fn locked(dir: &tempfile::TempDir, patience: Duration) -> (Writer, Conn) {
        let url = format!("sqlite:{}", dir.path().join("db").display());
        super::super::Store::open(&url).await.unwrap().close().await.unwrap();
        let Source::Sqlite(options) = Source::parse(&url).unwrap() else { unreachable!() };
        let source = Source::Sqlite(options.busy_timeout(Duration::from_millis(20)));
        let mut other = source.connect().await.unwrap();
        let (writer, task) =
            with_patience(source.clone(), source.connect().await.unwrap(), InboxSeq(0), patience);
        other.execute(LOCK, &[]).await.unwrap();
        tokio::spawn(task);
        (writer, other)
    }

    /// What a full disk says, and its end.
    #[tokio::test]
    async fn a_full_disk_refuses_events_and_takes_them_again_when_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("db").display());
        super::super::Store::open(&url).await.unwrap().close().await.unwrap();
        let Source::Sqlite(options) = Source::parse(&url).unwrap() else { unreachable!() };
        let mut conn = Source::Sqlite(options.clone()).connect().await.unwrap();
        let pages = conn.fetch("PRAGMA page_count", &[]).await.unwrap()[0].int(0).unwrap();
        let source = Source::Sqlite(options.pragma("max_page_count", (pages + 20).to_string()));
        let conn = source.connect().await.unwrap();
        let (writer, task) = with_patience(source, conn, InboxSeq(0), Duration::from_secs(60));
        tokio::spawn(task);
        let event = |number: i64| NewEvent {
            event_id: format!("${number}"),
            room_id: "!r".into(),
            json: "x".repeat(8_000),
            network: None,
        };
        let accept = async |number| {
            writer.write(Write::Accept { events: vec![event(number)], at: Time(1), first: InboxSeq(0) }).await
        };
        let mut taken = 0;
        let full = loop {
            match accept(taken + 1).await {
                Ok(_) => taken += 1,
                Err(error) => break error,
            }
        };
        assert!(taken > 0 && matches!(full, StoreError::Unavailable(_)), "{taken}: {full}");
        assert!(accept(taken + 1).await.is_err(), "and again");
        // What is settled needs its text no more: that makes room on the disk that is there.
        for seq in 1..=taken {
            let settle = Write::Settle { seq: InboxSeq(seq), outcome: Outcome::Delivered };
            writer.write_soon(settle).await.unwrap();
        }
        writer.write(Write::Nothing).await.unwrap();
        let Reply::Accepted(rows) = accept(taken + 1).await.unwrap() else { panic!("events were given") };
        assert_eq!(rows.len(), 1, "refused twice, taken once");
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

    #[tokio::test]
    async fn an_event_that_is_being_handled_is_not_forgotten_by_a_failure() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, mut other) = locked(&dir, Duration::from_secs(60)).await;
        let event = |id: &str| NewEvent {
            event_id: id.into(),
            room_id: "!r".into(),
            json: "{}".into(),
            network: None,
        };
        let accept = |id| Write::Accept { events: vec![event(id)], at: Time(1), first: InboxSeq(0) };
        let (early, told) = oneshot::channel();
        let refused = writer.write_early(accept("$a"), early).await;
        assert!(refused.is_err() && told.await.is_err(), "nothing was told of what could not be taken in");
        other.rollback().await.unwrap();
        let (early, told) = oneshot::channel();
        let rows = writer.write_early(accept("$b"), early).await.unwrap().accepted();
        assert_eq!(told.await.unwrap(), rows[0]);
        assert_eq!(rows[0].seq, InboxSeq(2), "the number of the one before is not used again");
    }

    #[tokio::test]
    async fn counts_alone_break_no_store_and_hold_up_no_end() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, mut other) = locked(&dir, Duration::from_millis(100)).await;
        other.rollback().await.unwrap();
        // The numbers are reserved: what comes and goes from here on is counts.
        writer.write_soon(put(1).write).await.unwrap();
        while writer.write(Write::Nothing).await.is_err() {}
        other.execute(LOCK, &[]).await.unwrap();
        writer.write_soon(put(2).write).await.unwrap();
        writer.write_soon(Write::OutboxDone(vec![RelaySeq(2)])).await.unwrap();
        let longer = Instant::now() + Duration::from_millis(300);
        while Instant::now() < longer {
            let told = writer.write(Write::Nothing).await.unwrap_err();
            assert!(matches!(told, StoreError::Unavailable(_)), "{told}");
        }
        other.rollback().await.unwrap();
        while writer.write(Write::Nothing).await.is_err() {}
        let sql = "SELECT count FROM tallies WHERE outcome = 'delivered'";
        assert_eq!(other.fetch(sql, &[]).await.unwrap()[0].int(0).unwrap(), 1, "it was counted in the end");
        other.execute(LOCK, &[]).await.unwrap();
        writer.write_soon(put(3).write).await.unwrap();
        writer.write_soon(Write::OutboxDone(vec![RelaySeq(3)])).await.unwrap();
        timeout(Duration::from_secs(30), writer.close()).await.expect("it ends").unwrap();
    }
}
