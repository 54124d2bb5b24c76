//! Changes that will be committed together.
//!
//! Kinds that come in masses (puts, dones, settlements, what sockets took) are kept apart, to be written with one
//! statement each. A put and its done that meet here cancel each other; what is left of them is that they are counted,
//! which rides along with the next commit. A settlement says more than that a socket took the row: whoever waits for
//! the one is told by the other. It waits for nothing and knows no SQL; how they are run is in `steps`.

mod steps;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use self::steps::Step;
pub(super) use self::steps::{Care, Results, attempt, attempt_alone, attempt_early};
use super::change::{Reply, Write};
use super::inbox::InboxRow;
use super::outbox::OutboxRow;
use super::tallies::Lines;
use super::{StoreError, outbox};
use crate::bridge::effect::Outcome;
use crate::ids::{InboxSeq, RelaySeq};

/// Changes in one commit. Full: the batch is committed at once, the rest stays in the queue.
const BATCH_LEN_MAX: usize = 4096;
/// Of these, changes that need statements of their own: with a server at some distance, each costs up to
/// four journeys there and back, and a commit has to end in time.
const SINGLES_LEN_MAX: usize = 512;
/// The longest a lazy change waits for company.
const LAZY_MS_MAX: u64 = 10;
/// The longest that counts of cancelled lines wait for another commit to ride along with. A crash forgets them; that
/// they came and went is forgotten together, so the audit holds.
const PASSED_MS_MAX: u64 = 5_000;

pub(super) type Answer = oneshot::Sender<Result<Reply, StoreError>>;
/// Told when it is on the disk that a socket has a row, or what became of the row. A failing database keeps it waiting.
pub(super) type Noted = oneshot::Sender<()>;

pub(super) struct Job {
    pub(super) write: Write,
    /// Present when somebody waits.
    pub(super) answer: Option<Answer>,
    /// Where an accepted event goes before it is durable.
    pub(super) early: Option<Early>,
}

/// The way of an event that somebody handles before it is durable.
pub(super) enum Early {
    Waiting(oneshot::Sender<InboxRow>),
    /// It is being handled: no failure may make the store forget it, or it would be handled again.
    Given,
}

impl Job {
    pub(super) fn new(write: Write, answer: Option<Answer>) -> Self {
        Self { write, answer, early: None }
    }
}

/// When a batch is to be committed.
pub(super) enum Due {
    /// It is empty.
    Never,
    /// Somebody waits.
    Now,
    At(Instant),
}

/// Changes that will be committed together. Kinds that come in masses are kept apart, to be written with
/// one statement each: they touch rows that no other change in the batch depends on.
#[derive(Default)]
pub(super) struct Batch {
    puts: BTreeMap<RelaySeq, OutboxRow>,
    singles: Vec<Job>,
    written: BTreeSet<InboxSeq>,
    settles: HashMap<InboxSeq, Outcome>,
    /// Who waits for changes of `written` and `settles`.
    waiting: Vec<Noted>,
    /// They had to wait for an event already.
    waited: bool,
    dones: Vec<RelaySeq>,
    /// Lines whose put and done cancelled each other, and when they are counted at the latest.
    passed: Lines,
    passed_due: Option<Instant>,
    /// The highest outbox number seen, also of cancelled puts.
    highest: Option<RelaySeq>,
    due: Option<Instant>,
    awaited: usize,
}

impl Batch {
    pub(super) fn add(&mut self, job: Job) {
        let wait = Duration::from_millis(LAZY_MS_MAX);
        match job {
            Job { write: Write::OutboxPut(row), answer: None, .. } => {
                self.highest = self.highest.max(Some(row.seq));
                self.puts.insert(row.seq, row);
            }
            Job { write: Write::OutboxDone(seqs), answer: None, .. } => {
                for seq in seqs {
                    match self.puts.remove(&seq) {
                        Some(row) => self.note_passed(row),
                        None => self.dones.push(seq),
                    }
                }
            }
            Job { write: Write::Written { seq, noted }, answer: None, .. } => {
                if !self.settles.contains_key(&seq) {
                    self.written.insert(seq);
                }
                self.waiting.push(noted);
            }
            Job { write: Write::Settle { seq, outcome }, answer: None, .. } => {
                self.written.remove(&seq);
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

    fn note_passed(&mut self, row: OutboxRow) {
        let direction = row.direction();
        *self.passed.entry((row.network, direction)).or_default() += 1;
        self.passed_due = self.passed_due.or(Some(Instant::now() + Duration::from_millis(PASSED_MS_MAX)));
    }

    /// Changes of rows.
    pub(super) fn len(&self) -> usize {
        self.puts.len() + self.singles.len() + self.written.len() + self.settles.len() + self.dones.len()
    }

    /// True when no row is to be changed; there may be counts.
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when there is nothing to commit, not even counts.
    pub(super) fn is_idle(&self) -> bool {
        self.is_empty() && self.passed.is_empty()
    }

    /// Lets counts wait once more: they alone are not worth a store that breaks.
    pub(super) fn postpone_counts(&mut self) {
        self.passed_due = self.passed_due.map(|_| Instant::now() + Duration::from_millis(PASSED_MS_MAX));
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= BATCH_LEN_MAX || self.singles.len() >= SINGLES_LEN_MAX
    }

    pub(super) fn due(&self) -> Due {
        match self.due.or(self.passed_due) {
            Some(_) if self.awaited > 0 || !self.waiting.is_empty() => Due::Now,
            Some(moment) => Due::At(moment),
            None => Due::Never,
        }
    }

    /// Leaves only what somebody waits for, where that is nothing but accepted events and the rest may wait
    /// longer: an event from the homeserver is one statement on its own, and the fewest steps from the disk. Who waits
    /// for anything else waits for one such event and no second.
    /// Gives what was set aside; it touches no row that the events do.
    pub(super) fn set_aside(&mut self) -> Option<Self> {
        let only_events = self.singles.iter().all(|job| matches!(job.write, Write::Accept { .. }));
        let is_due = self.due.or(self.passed_due).is_some_and(|due| due <= Instant::now());
        let is_all = self.len() == self.singles.len() && self.passed.is_empty();
        if self.awaited == 0 || is_all || !only_events || is_due || self.waited || self.is_full() {
            return None;
        }
        self.waited = !self.waiting.is_empty();
        let urgent = Self {
            singles: std::mem::take(&mut self.singles),
            awaited: std::mem::take(&mut self.awaited),
            due: self.due,
            ..Self::default()
        };
        if self.is_empty() {
            self.due = None;
        }
        Some(std::mem::replace(self, urgent))
    }

    /// Takes back what was set aside, and keeps what is left of the urgent part.
    pub(super) fn join(&mut self, aside: Self) {
        let urgent = std::mem::replace(self, aside);
        self.due = self.due.or(urgent.due.filter(|_| !urgent.singles.is_empty()));
        self.singles.extend(urgent.singles);
    }

    /// The number up to which to reserve now, when what is reserved comes to its end.
    pub(super) fn mark_wanted(&self, mark: Option<RelaySeq>) -> Option<RelaySeq> {
        let highest = self.highest?;
        let enough = mark.is_some_and(|mark| mark.0 >= highest.0.saturating_add(outbox::MARK_MARGIN));
        (!enough).then_some(RelaySeq(highest.0.saturating_add(outbox::MARK_STEP)))
    }

    /// The event that may be handled early: with nothing else to commit, and not tried before.
    pub(super) fn early(&mut self) -> Option<&mut Job> {
        let is_alone = self.len() == 1 && self.passed.is_empty();
        let job = self.singles.first_mut().filter(|_| is_alone)?;
        matches!(job.early, Some(Early::Waiting(_))).then_some(job)
    }

    /// What to run, in order.
    pub(super) fn steps(&self, mark: Option<RelaySeq>) -> Vec<Step<'_>> {
        let puts: Vec<_> = self.puts.values().collect();
        let settles: Vec<_> = self.settles.iter().map(|(seq, outcome)| (*seq, outcome)).collect();
        let mut steps: Vec<_> = mark.map(Step::Mark).into_iter().collect();
        steps.extend((!puts.is_empty()).then_some(Step::Puts(puts)));
        steps.extend(self.singles.iter().map(|job| Step::Single(&job.write)));
        let written: Vec<_> = self.written.iter().copied().collect();
        steps.extend((!written.is_empty()).then_some(Step::Written(written)));
        steps.extend((!settles.is_empty()).then_some(Step::Settles(settles)));
        steps.extend((!self.dones.is_empty()).then_some(Step::Dones(&self.dones)));
        steps.extend((!self.passed.is_empty()).then_some(Step::Passed(&self.passed)));
        steps
    }

    /// Tells the callers, after the commit.
    pub(super) fn finish(&mut self, results: Results) {
        let batch = std::mem::take(self);
        for noted in batch.waiting {
            noted.send(()).ok();
        }
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
    pub(super) fn refuse_awaited(&mut self, error: &StoreError) {
        let (awaited, mut kept): (Vec<Job>, Vec<Job>) =
            std::mem::take(&mut self.singles).into_iter().partition(|job| job.answer.is_some());
        for mut job in awaited {
            if let Some(answer) = job.answer.take() {
                answer.send(Err(error.clone())).ok();
            }
            if matches!(job.early, Some(Early::Given)) {
                kept.push(job);
            }
        }
        self.singles = kept;
        self.awaited = 0;
        if self.is_empty() {
            self.due = None;
        }
    }
}

fn warn_refused(why: Option<String>) {
    if let Some(why) = why {
        tracing::warn!(%why, "the database refused a change, it is lost");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::tallies::Direction;
    use super::*;
    use crate::bridge::effect::{Post, Relay, Speaker};
    use crate::bridge::input::BodyKind;
    use crate::ids::{RoomId, Time};

    pub(in super::super) fn put(seq: i64) -> Job {
        let seq = RelaySeq(seq);
        let room = RoomId::new("!room:hs").unwrap();
        let relay = Relay::plain(seq, room, Speaker::Bot, BodyKind::Text, "hi".into());
        let row =
            OutboxRow { seq, network: "net".into(), post: Post::Line(relay), created: Time(1), joined: None };
        Job::new(Write::OutboxPut(row), None)
    }

    fn done(seq: i64) -> Job {
        Job::new(Write::OutboxDone(vec![RelaySeq(seq)]), None)
    }

    #[test]
    fn events_do_not_wait_for_what_may_wait() {
        let accept = || {
            let (answer, waiting) = oneshot::channel();
            let write = Write::Accept { events: Vec::new(), at: Time(1), first: InboxSeq(1) };
            (Job::new(write, Some(answer)), waiting)
        };
        let mut batch = Batch::default();
        batch.add(put(1));
        assert!(batch.set_aside().is_none(), "nobody waits");
        let (job, _waiting) = accept();
        batch.add(job);
        let aside = batch.set_aside().expect("the put may wait");
        assert_eq!((batch.len(), aside.len()), (1, 1));
        assert!(matches!(aside.due(), Due::At(_)));
        assert!(batch.set_aside().is_none(), "nothing is left to set aside");
    }

    #[test]
    fn who_waits_for_a_note_lets_one_event_pass() {
        let mut batch = Batch::default();
        let (noted, _told) = oneshot::channel();
        batch.add(Job::new(Write::Written { seq: InboxSeq(1), noted }, None));
        let accept = |batch: &mut Batch| {
            let (answer, waiting) = oneshot::channel();
            let write = Write::Accept { events: Vec::new(), at: Time(1), first: InboxSeq(1) };
            batch.add(Job::new(write, Some(answer)));
            waiting
        };
        let _first = accept(&mut batch);
        let aside = batch.set_aside().expect("the event goes first");
        batch.finish(Results::default());
        batch.join(aside);
        let _second = accept(&mut batch);
        assert!(batch.set_aside().is_none(), "now they go together");
        assert_eq!(batch.len(), 2);
    }

    #[test]
    fn a_done_cancels_the_put_it_meets() {
        let mut batch = Batch::default();
        batch.add(put(1));
        batch.add(put(2));
        batch.add(done(1));
        assert_eq!(batch.len(), 1, "only the second put is left");
        batch.add(done(2));
        assert!(batch.is_empty() && batch.due.is_none(), "no row is left to commit");
        let passed = Lines::from([(("net".to_owned(), Direction::Notices), 2)]);
        assert!(matches!(batch.steps(None).as_slice(), [Step::Passed(lines)] if **lines == passed));
        assert!(
            matches!(batch.due(), Due::At(at) if at > Instant::now() + Duration::from_secs(1)),
            "by and by"
        );
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
    fn a_row_that_is_settled_is_not_noted_as_written() {
        let mut batch = Batch::default();
        let mut waiting = Vec::new();
        let mut written = |seq| {
            let (noted, told) = oneshot::channel();
            waiting.push(told);
            Job::new(Write::Written { seq: InboxSeq(seq), noted }, None)
        };
        batch.add(written(1));
        batch.add(written(2));
        let settle = Write::Settle { seq: InboxSeq(1), outcome: Outcome::Delivered };
        batch.add(Job::new(settle, None));
        batch.add(written(1));
        assert_eq!((batch.len(), batch.written.len()), (2, 1));
        let written = batch.steps(None).iter().filter(|step| matches!(step, Step::Written(_))).count();
        assert_eq!(written, 1, "one statement for all");
        assert!(matches!(batch.due(), Due::Now), "somebody waits");
        batch.refuse_awaited(&StoreError::Closed);
        assert!(waiting.iter_mut().all(|told| told.try_recv().is_err()), "and goes on waiting");
        batch.finish(Results::default());
        assert!(waiting.iter_mut().all(|told| told.try_recv().is_ok()), "those of the settled row too");
    }

    #[test]
    fn the_first_outcome_of_a_row_stays() {
        let mut batch = Batch::default();
        for outcome in [Outcome::Expired, Outcome::Delivered] {
            batch.add(Job::new(Write::Settle { seq: InboxSeq(1), outcome }, None));
        }
        assert_eq!(batch.settles[&InboxSeq(1)], Outcome::Expired);
    }

    #[test]
    fn what_is_being_handled_stays_when_those_who_wait_are_refused() {
        let mut batch = Batch::default();
        for early in [None, Some(Early::Given)] {
            let (answer, _gone) = oneshot::channel();
            let write = Write::Accept { events: Vec::new(), at: Time(1), first: InboxSeq(1) };
            batch.add(Job { early, ..Job::new(write, Some(answer)) });
        }
        batch.refuse_awaited(&StoreError::Closed);
        assert_eq!(batch.len(), 1);
        assert!(batch.early().is_none(), "it is told of once");
    }
}
