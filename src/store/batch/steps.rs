//! How changes that are committed together are run: step by step, boldly or with care.

use super::super::change::{Reply, Write};
use super::super::db::{Conn, Fault};
use super::super::outbox::OutboxRow;
use super::super::tallies::Lines;
use super::super::{inbox, now, outbox, tallies};
use super::{Early, Job};
use crate::bridge::effect::Outcome;
use crate::ids::{InboxSeq, RelaySeq};

/// How a batch is run.
#[derive(Clone, Copy)]
pub(in super::super) enum Care {
    /// As if nothing could be refused: the first refusal ends the try.
    Bold,
    /// Each step behind a savepoint; a refused step of many changes again, change by change.
    Careful,
}

/// A part of a batch.
pub(in super::super) enum Step<'a> {
    Mark(RelaySeq),
    Puts(Vec<&'a OutboxRow>),
    Single(&'a Write),
    Written(Vec<InboxSeq>),
    Settles(Vec<(InboxSeq, &'a Outcome)>),
    Dones(&'a [RelaySeq]),
    /// To be counted alone.
    Passed(&'a Lines),
}

/// What became of a committed batch.
#[derive(Default)]
pub(in super::super) struct Results {
    /// In the order of the batch's singles; the words of the database for a refused one.
    pub(super) singles: Vec<Result<Reply, String>>,
    /// Refusals of changes that came in masses.
    pub(super) refused: Vec<String>,
}

/// Runs the steps in the open transaction, and commits.
pub(in super::super) async fn attempt(
    conn: &mut Conn,
    steps: &[Step<'_>],
    care: Care,
) -> Result<Results, Fault> {
    let mut results = Results::default();
    for step in steps {
        match care {
            Care::Bold => results.note(step, Ok(step.run(conn).await?)),
            Care::Careful => run_carefully(conn, step, &mut results).await?,
        }
    }
    conn.commit().await?;
    Ok(results)
}

/// In the open transaction, takes one event in, gives it to whoever waits for it, and commits: what follows from it and the disk race.
/// Numbers are never used twice, so what is handled early can be told from all that comes later.
pub(in super::super) async fn attempt_early(conn: &mut Conn, job: &mut Job) -> Result<Results, Fault> {
    let reply = job.write.run(conn).await?;
    if let (Reply::Accepted(rows), Some(early)) = (&reply, &mut job.early)
        && let Some(row) = rows.first()
        && let Early::Waiting(sender) = std::mem::replace(early, Early::Given)
    {
        sender.send(row.clone()).ok();
    }
    conn.commit().await?;
    Ok(Results { singles: vec![Ok(reply)], refused: Vec::new() })
}

/// Runs a single step that is one statement, which the database commits by itself: the way of an event that
/// comes alone, and of nearly all of them on a calm day.
pub(in super::super) async fn attempt_alone(conn: &mut Conn, step: &Step<'_>) -> Result<Results, Fault> {
    let mut results = Results::default();
    results.note(step, Ok(step.run(conn).await?));
    Ok(results)
}

async fn run_carefully(conn: &mut Conn, step: &Step<'_>, results: &mut Results) -> Result<(), Fault> {
    let result = guarded(conn, step).await?;
    let parts = step.parts();
    if result.is_ok() || parts.len() < 2 {
        results.note(step, result);
        return Ok(());
    }
    for part in &parts {
        results.note(part, guarded(conn, part).await?);
    }
    Ok(())
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

impl Results {
    fn note(&mut self, step: &Step<'_>, result: Result<Reply, String>) {
        match step {
            Step::Single(_) => self.singles.push(result),
            Step::Mark(_)
            | Step::Puts(_)
            | Step::Written(_)
            | Step::Settles(_)
            | Step::Dones(_)
            | Step::Passed(_) => {
                self.refused.extend(result.err());
            }
        }
    }
}

impl Step<'_> {
    /// True when the step is one statement on the database, so that it needs no transaction around it.
    pub(in super::super) fn is_one_statement(&self) -> bool {
        matches!(self, Self::Single(Write::Accept { .. }) | Self::Written(_) | Self::Settles(_))
    }

    /// The changes of a step that one of them may have spoilt; nothing where it cannot be divided.
    fn parts(&self) -> Vec<Step<'_>> {
        match self {
            Self::Puts(rows) => rows.iter().map(|row| Step::Puts(vec![*row])).collect(),
            Self::Settles(rows) => rows.iter().map(|row| Step::Settles(vec![*row])).collect(),
            Self::Mark(_) | Self::Single(_) | Self::Written(_) | Self::Dones(_) | Self::Passed(_) => {
                Vec::new()
            }
        }
    }

    async fn run(&self, conn: &mut Conn) -> Result<Reply, Fault> {
        match self {
            Self::Mark(upto) => outbox::mark(conn, *upto).await.map(|()| Reply::Nothing),
            Self::Puts(rows) => outbox::put(conn, rows).await.map(|()| Reply::Nothing),
            Self::Single(write) => write.run(conn).await,
            Self::Written(seqs) => inbox::written(conn, seqs, now()).await.map(|()| Reply::Nothing),
            Self::Settles(rows) => inbox::settle(conn, rows, now()).await.map(|()| Reply::Nothing),
            Self::Dones(seqs) => outbox::done(conn, seqs).await.map(|()| Reply::Nothing),
            Self::Passed(lines) => tallies::passed(conn, lines).await.map(|()| Reply::Nothing),
        }
    }
}
