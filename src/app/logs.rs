//! Carries what the outbox and the book of ghosts report over to the store.
//!
//! They report from places that must not wait; the store's queue is bounded and may make one wait. Between them
//! stands one queue of [`QUEUE_MAX`] reports and one task. Full (the database has been stuck for long): a report
//! is dropped and counted. What that costs: a dropped `put` is a line that lives in memory only, a dropped `done`
//! is a line that is sent once more at the next start, under its old transaction id. Lines in memory only are counted
//! as accepted as soon as there is a place in the queue, and their ends when they come: if a crash takes them, the
//! audit misses them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::clock::Clock;
use super::naming::{self, Named};
use super::routes::Routes;
use crate::bridge::effect::Post;
use crate::ids::{EventId, RelaySeq, RoomId};
use crate::matrix::outbox::{GhostFact, GhostLog, OutboxLog};
use crate::store::{Direction, Figure, OutboxRow, Store, StoreError, Uncounted};

/// Reports waiting for the store, at most.
pub const QUEUE_MAX: usize = 65_536;

enum Report {
    Put(OutboxRow),
    Done(Vec<RelaySeq>),
    /// These are one event; answered when that is on the disk.
    Join(Vec<RelaySeq>, oneshot::Sender<()>),
    Failed(RelaySeq, String),
    Count(Vec<Uncounted>),
    Ghost(GhostFact),
}

/// Lines in memory only. No more than the outbox holds.
#[derive(Default)]
struct Unkept {
    lines: HashMap<RelaySeq, (String, Direction)>,
    counts: BTreeMap<(String, Direction, Figure), u64>,
}

impl Unkept {
    fn count(&mut self, (network, direction): (String, Direction), figure: Figure) {
        *self.counts.entry((network, direction, figure)).or_default() += 1;
    }
}

/// The reporting side.
pub struct Logs {
    reports: mpsc::Sender<Report>,
    clock: Clock,
    routes: Arc<Routes>,
    dropped: AtomicU64,
    unkept: Mutex<Unkept>,
    names: mpsc::Sender<Named>,
}

impl Logs {
    /// The reporting side, the names of events that it reports, and the task that carries all else to the store until the
    /// other is gone.
    pub fn new(
        store: Store,
        clock: Clock,
        routes: Arc<Routes>,
    ) -> (Arc<Self>, mpsc::Receiver<Named>, impl Future<Output = ()> + Send) {
        Self::with_queue(QUEUE_MAX, store, clock, routes)
    }

    fn with_queue(
        queue_max: usize,
        store: Store,
        clock: Clock,
        routes: Arc<Routes>,
    ) -> (Arc<Self>, mpsc::Receiver<Named>, impl Future<Output = ()> + Send) {
        let (reports, receiver) = mpsc::channel(queue_max);
        let (names, named) = mpsc::channel(naming::QUEUE_MAX);
        let (dropped, unkept) = (AtomicU64::new(0), Mutex::default());
        let logs = Arc::new(Self { reports, clock, routes, dropped, unkept, names });
        (logs, named, carry(store, receiver))
    }

    /// Reports dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Gives back what is dropped.
    fn report(&self, report: Report) -> Option<Report> {
        let Err(refused) = self.reports.try_send(report) else { return None };
        if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!("the database does not keep up: some lines are kept in memory only");
        }
        Some(refused.into_inner())
    }

    fn unkept(&self) -> MutexGuard<'_, Unkept> {
        self.unkept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self, row: OutboxRow) {
        let line = (row.network.clone(), row.direction());
        let mut unkept = self.unkept();
        unkept.count(line.clone(), Figure::Accepted);
        unkept.lines.insert(row.seq, line);
    }

    /// Counts the end of a line, if it is in memory only.
    fn ended(&self, seq: RelaySeq, figure: Figure) -> bool {
        if self.dropped() == 0 {
            return false;
        }
        let mut unkept = self.unkept();
        let Some(line) = unkept.lines.remove(&seq) else { return false };
        unkept.count(line, figure);
        true
    }

    /// Hands over what was counted, where there is a place for it.
    fn report_counts(&self) {
        if self.dropped() == 0 {
            return;
        }
        let mut unkept = self.unkept();
        if unkept.counts.is_empty() {
            return;
        }
        let Ok(place) = self.reports.try_reserve() else { return };
        let counts = std::mem::take(&mut unkept.counts).into_iter();
        let uncounted =
            |((network, direction, figure), lines)| Uncounted { network, direction, figure, lines };
        place.send(Report::Count(counts.map(uncounted).collect()));
    }
}

impl OutboxLog for Logs {
    fn put(&self, post: &Post) {
        let row = OutboxRow {
            seq: post.seq(),
            network: self.routes.says(post.room(), post.seq()).map(|id| id.to_string()).unwrap_or_default(),
            post: post.clone(),
            created: self.clock.now(),
            joined: None,
        };
        if let Some(Report::Put(row)) = self.report(Report::Put(row)) {
            self.remember(row);
        }
        self.report_counts();
    }

    fn named(&self, room: &RoomId, seqs: &[RelaySeq], event: &EventId) {
        let named = Named { room: room.clone(), seqs: seqs.to_vec(), event: event.clone() };
        // Full: a network stands still, and what is said about these lines later stands alone.
        let _ = self.names.try_send(named);
    }

    fn done(&self, seqs: &[RelaySeq]) {
        let kept = seqs.iter().copied().filter(|seq| !self.ended(*seq, Figure::Delivered));
        let kept: Vec<RelaySeq> = kept.collect();
        if !kept.is_empty() {
            self.report(Report::Done(kept));
        }
        self.report_counts();
    }

    fn join(&self, seqs: &[RelaySeq]) -> oneshot::Receiver<()> {
        let (kept, answer) = oneshot::channel();
        self.report(Report::Join(seqs.to_vec(), kept));
        answer
    }

    fn failed(&self, seq: RelaySeq, why: &str) {
        if !self.ended(seq, Figure::Failed) {
            self.report(Report::Failed(seq, why.to_owned()));
        }
        self.report_counts();
    }

    /// A sign that cannot be made leaves like one that was: it is no message, and its sender hears in words.
    fn forgotten(&self, seq: RelaySeq) {
        self.done(&[seq]);
    }
}

impl GhostLog for Logs {
    fn learned(&self, fact: &GhostFact) {
        self.report(Report::Ghost(fact.clone()));
    }
}

async fn carry(store: Store, mut reports: mpsc::Receiver<Report>) {
    let (mut failed, mut joins) = (0u64, JoinSet::new());
    while let Some(report) = reports.recv().await {
        // Those that are answered; there are no more at once than the outbox has workers.
        while joins.try_join_next().is_some() {}
        if let Err(error) = keep(&store, report, &mut joins).await {
            if failed == 0 {
                tracing::error!(%error, "the database does not take what the outbox reports");
            }
            failed += 1;
        }
    }
}

async fn keep(store: &Store, report: Report, joins: &mut JoinSet<()>) -> Result<(), StoreError> {
    match report {
        Report::Put(row) => store.outbox_put(row).await,
        Report::Done(seqs) => store.outbox_done_all(seqs).await,
        Report::Join(seqs, kept) => {
            let committing = store.outbox_join(seqs).await?;
            joins.spawn(async move {
                if committing.await.is_ok() {
                    kept.send(()).ok();
                }
            });
            Ok(())
        }
        Report::Failed(seq, why) => {
            tracing::warn!(seq = seq.0, why, "a line was given up");
            store.outbox_fail(seq, &why).await
        }
        Report::Count(lines) => store.count_lines(lines).await,
        Report::Ghost(fact) => keep_fact(store, fact).await,
    }
}

async fn keep_fact(store: &Store, fact: GhostFact) -> Result<(), StoreError> {
    match fact {
        // A ghost is worth remembering once it has its name, which comes last.
        GhostFact::Registered { .. } | GhostFact::HasDevice { .. } | GhostFact::Forgotten { .. } => Ok(()),
        GhostFact::Named { user, display_name } => store.ghost_save(&user, &display_name).await,
        GhostFact::Joined { room, user } => store.ghost_joined(&room, &user).await,
        GhostFact::Left { room, user } => store.ghost_left(&room, &user).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::effect::{Relay, Speaker};
    use crate::bridge::input::BodyKind;
    use crate::ids::RoomId;

    fn line(seq: i64) -> Post {
        let room = RoomId::new("!r").unwrap();
        Post::Line(Relay::plain(RelaySeq(seq), room, Speaker::Bot, BodyKind::Text, "x".into()))
    }

    /// Waits for these figures: accepted, ended, in flight, missing.
    async fn comes_to(store: &Store, expected: (u64, u64, u64, i64)) {
        let coming = async {
            loop {
                let tallies = store.tallies().await.unwrap();
                let now =
                    tallies.iter().map(|t| (t.accepted, t.delivered + t.failed, t.in_flight, t.missing()));
                if now.eq([expected]) {
                    return;
                }
            }
        };
        let came = tokio::time::timeout(std::time::Duration::from_secs(60), coming).await;
        assert!(came.is_ok(), "{expected:?} never came: {:?}", store.tallies().await);
    }

    #[tokio::test]
    async fn lines_in_memory_only_are_missed_until_their_end_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite:{}", dir.path().join("db").display())).await.unwrap();
        let (logs, _names, carrying) = Logs::with_queue(5, store.clone(), Clock::start(), Arc::default());
        // Nobody carries yet: three lines too many, of which two end at once, without anybody to tell.
        (1..=8).for_each(|seq| logs.put(&line(seq)));
        logs.done(&[RelaySeq(6)]);
        logs.failed(RelaySeq(7), "no");
        assert_eq!(logs.dropped(), 3);
        let carrying = tokio::spawn(carrying);
        comes_to(&store, (5, 0, 5, 0)).await;
        logs.done(&[RelaySeq(1)]);
        // A crash now would lose one.
        comes_to(&store, (8, 3, 4, 1)).await;
        logs.done(&[RelaySeq(8)]);
        drop(logs);
        carrying.await.unwrap();
        comes_to(&store, (8, 4, 4, 0)).await;
    }
}
