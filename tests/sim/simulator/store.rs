//! A model of the store: what is committed, and what waits for the next commit. A crash loses what waits.
//!
//! As in `src/store/writer.rs` changes are committed together: at once where somebody waits for it, else after 20 ms, which is longer than there.

use std::collections::{BTreeMap, BTreeSet};

use bunraku::bridge::effect::{Outcome, Relay, Speaker};
use bunraku::bridge::input::{Before, HoldRow};
use bunraku::ids::{InboxSeq, PuppetId, RelaySeq, RoomId, UserId};

use super::flaw::Flaw;

/// The longest a lazy change waits for company, in milliseconds.
pub const LAZY_MS_MAX: u64 = 20;
/// So many outbox numbers are set aside at each start.
const SEQS_A_RUN: i64 = 1 << 20;

/// One change. Events are known by their place in the homeserver's timeline.
pub enum Change {
    /// The events of a transaction, and who waits for the commit.
    Accept {
        events: Vec<usize>,
        waits: Option<u64>,
    },
    /// Whose connection has a message; they are told when that is on the disk.
    Written(PuppetId, InboxSeq),
    Settle(InboxSeq, Outcome),
    Put(Relay),
    Done(RelaySeq),
    Hold(HoldRow),
    Release(UserId),
    Enter(RoomId, UserId, Option<String>),
    Leave(RoomId, UserId),
}

/// An accepted event.
pub struct Row {
    pub event: usize,
    pub before: Before,
    pub outcome: Option<Outcome>,
}

/// What a commit brought: rows to move on, and who may be answered.
#[derive(Default)]
pub struct Committed {
    pub rows: Vec<InboxSeq>,
    pub answers: Vec<u64>,
    pub noted: Vec<(PuppetId, InboxSeq)>,
}

#[derive(Default)]
pub struct Store {
    pub inbox: BTreeMap<InboxSeq, Row>,
    known: BTreeSet<usize>,
    pub outbox: BTreeMap<RelaySeq, Relay>,
    pub holds: BTreeMap<UserId, HoldRow>,
    pub members: BTreeMap<RoomId, BTreeMap<UserId, Option<String>>>,
    seqs_used: i64,
    waiting: Vec<Change>,
    /// Two events with one id are two events: a flaw.
    forgets_events: bool,
}

impl Store {
    pub fn new(flaw: Option<Flaw>) -> Self {
        Self { forgets_events: flaw == Some(Flaw::EventsNotUnique), ..Self::default() }
    }

    /// Takes a change; the time by which it is to be committed.
    pub fn write(&mut self, now: u64, change: Change) -> u64 {
        let wait = if matches!(change, Change::Accept { .. }) { 2 } else { LAZY_MS_MAX };
        self.waiting.push(change);
        now + wait
    }

    /// Everything that waits is on the disk.
    pub fn commit(&mut self) -> Committed {
        let mut committed = Committed::default();
        for change in std::mem::take(&mut self.waiting) {
            self.apply(change, &mut committed);
        }
        committed
    }

    fn apply(&mut self, change: Change, committed: &mut Committed) {
        match change {
            Change::Accept { events, waits } => {
                for event in events {
                    if self.known.insert(event) || self.forgets_events {
                        let seq = InboxSeq(self.inbox.last_key_value().map_or(1, |(seq, _)| seq.0 + 1));
                        self.inbox.insert(seq, Row { event, before: Before::New, outcome: None });
                        committed.rows.push(seq);
                    }
                }
                committed.answers.extend(waits);
            }
            Change::Written(puppet, seq) => {
                committed.noted.push((puppet, seq));
                if let Some(row) = self.inbox.get_mut(&seq) {
                    row.before = Before::Written;
                }
            }
            Change::Settle(seq, outcome) => {
                if let Some(row) = self.inbox.get_mut(&seq) {
                    row.outcome.get_or_insert(outcome);
                }
            }
            Change::Put(relay) => {
                self.outbox.insert(relay.seq, relay);
            }
            Change::Done(seq) => {
                self.outbox.remove(&seq);
            }
            Change::Hold(row) => {
                self.holds.insert(row.user.clone(), row);
            }
            Change::Release(user) => {
                self.holds.remove(&user);
            }
            Change::Enter(room, user, name) => {
                self.members.entry(room).or_default().insert(user, name);
            }
            Change::Leave(room, user) => {
                self.members.entry(room).or_default().remove(&user);
            }
        }
    }

    /// The process is gone.
    pub fn crash(&mut self) {
        self.waiting.clear();
        for row in self.inbox.values_mut().filter(|row| row.before == Before::New) {
            row.before = Before::Accepted;
        }
    }

    /// Whose lines are still to be said in a room.
    pub fn speakers(&self, room: &RoomId) -> Vec<UserId> {
        let theirs = self.outbox.values().filter(move |relay| relay.room == *room);
        let theirs = theirs.filter_map(|relay| match &relay.speaker {
            Speaker::Ghost(ghost) => Some(ghost.user.clone()),
            Speaker::Bot => None,
        });
        theirs.collect()
    }

    /// The rows of an earlier run that are not settled.
    pub fn open(&self) -> Vec<InboxSeq> {
        self.inbox.iter().filter(|(_, row)| row.outcome.is_none()).map(|(seq, _)| *seq).collect()
    }

    /// Whether the disk knows of this puppet's hold, and of no end of it.
    pub fn holds(&self, user: &UserId) -> bool {
        let is_released = |change: &Change| matches!(change, Change::Release(other) if other == user);
        self.holds.contains_key(user) && !self.waiting.iter().any(is_released)
    }

    /// The first outbox number of a new run.
    pub fn begin_seqs(&mut self) -> RelaySeq {
        self.seqs_used += SEQS_A_RUN;
        RelaySeq(self.seqs_used - SEQS_A_RUN + 1)
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}
