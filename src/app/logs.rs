//! Carries what the outbox and the book of ghosts report over to the store.
//!
//! They report from places that must not wait; the store's queue is bounded and may make one wait. Between them
//! stands one queue of [`QUEUE_MAX`] reports and one task. Full (the database has been stuck for long): a report
//! is dropped and counted. What that costs: a dropped `put` is a line that lives in memory only, a dropped `done`
//! is a line that is sent once more at the next start, under its old transaction id.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::clock::Clock;
use super::shell::Routes;
use crate::bridge::effect::Relay;
use crate::ids::RelaySeq;
use crate::matrix::outbox::{GhostFact, GhostLog, OutboxLog};
use crate::store::{OutboxRow, Store, StoreError};

/// Reports waiting for the store, at most.
pub const QUEUE_MAX: usize = 65_536;

enum Report {
    Put(OutboxRow),
    Done(RelaySeq),
    Failed(RelaySeq, String),
    Ghost(GhostFact),
}

/// The reporting side.
pub struct Logs {
    reports: mpsc::Sender<Report>,
    clock: Clock,
    routes: Arc<Routes>,
    dropped: AtomicU64,
}

impl Logs {
    /// The reporting side, and the task that carries reports to the store until the other is gone.
    pub fn new(
        store: Store,
        clock: Clock,
        routes: Arc<Routes>,
    ) -> (Arc<Self>, impl Future<Output = ()> + Send) {
        let (reports, receiver) = mpsc::channel(QUEUE_MAX);
        let logs = Arc::new(Self { reports, clock, routes, dropped: AtomicU64::new(0) });
        (logs, carry(store, receiver))
    }

    /// Reports dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn report(&self, report: Report) {
        if self.reports.try_send(report).is_err() && self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!("the database does not keep up: some lines are kept in memory only");
        }
    }
}

impl OutboxLog for Logs {
    fn put(&self, relay: &Relay) {
        let row = OutboxRow {
            seq: relay.seq,
            network: self.routes.of(&relay.room).map(|id| id.to_string()).unwrap_or_default(),
            relay: relay.clone(),
            created: self.clock.now(),
        };
        self.report(Report::Put(row));
    }

    fn done(&self, seq: RelaySeq) {
        self.report(Report::Done(seq));
    }

    fn failed(&self, seq: RelaySeq, why: &str) {
        self.report(Report::Failed(seq, why.to_owned()));
    }
}

impl GhostLog for Logs {
    fn learned(&self, fact: &GhostFact) {
        self.report(Report::Ghost(fact.clone()));
    }
}

async fn carry(store: Store, mut reports: mpsc::Receiver<Report>) {
    let mut failed = 0u64;
    while let Some(report) = reports.recv().await {
        if let Err(error) = keep(&store, report).await {
            if failed == 0 {
                tracing::error!(%error, "the database does not take what the outbox reports");
            }
            failed += 1;
        }
    }
}

async fn keep(store: &Store, report: Report) -> Result<(), StoreError> {
    match report {
        Report::Put(row) => store.outbox_put(row).await,
        Report::Done(seq) => store.outbox_done(seq).await,
        Report::Failed(seq, why) => {
            tracing::warn!(seq = seq.0, why, "a line was given up");
            store.outbox_fail(seq, &why).await
        }
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
