//! What waits in a lane: jobs, lines that are one event, and the notice of what is missing.

use std::time::Duration;

use super::Job;
use super::log::Removal;
use crate::bridge::effect::{Mark, Meanwhile, Redact, Relay};
use crate::ids::{RelaySeq, RoomId};

/// One thing in a lane.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Not tried yet, by nobody.
    Fresh(Job),
    /// An earlier run may have tried it.
    Old(Job),
    Joined(Joined),
    /// The notice that so many lines were dropped; the number makes its transaction id.
    Missed {
        lines: u64,
        notice: u64,
        why: Missing,
    },
}

/// Why lines are missing in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    TooMany,
    /// They were kept back in the room that this one replaces.
    LeftBehind,
}

/// Lines that are one event.
#[derive(Clone, Debug)]
pub(super) struct Joined {
    /// The first of them there ever was; it gives them their transaction.
    pub(super) first: RelaySeq,
    /// In order, not empty, all of one person.
    pub(super) relays: Vec<Relay>,
    pub(super) rule: Rule,
}

/// Whether it is written down that lines are one event, so that no later run says them in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Kept,
    /// It has to be before they are tried.
    Wanted,
}

/// How an attempt ended.
pub(super) enum Attempt {
    /// Done, or failed for good: the next.
    Over,
    /// It could not be written down that these lines are one event: they were not tried, and are to be said alone.
    Apart(Vec<Relay>),
    /// To be tried again, after the time the homeserver named or else the room's own.
    Again(Work, Option<Duration>),
}

impl Work {
    /// The room it is for; a notice knows none.
    pub(super) fn room(&self) -> Option<&RoomId> {
        match self {
            Self::Fresh(job) | Self::Old(job) => Some(job.room()),
            Self::Joined(joined) => joined.relays.first().map(|relay| &relay.room),
            Self::Missed { .. } => None,
        }
    }

    /// True for what lets somebody go.
    pub(super) fn is_leaving(&self) -> bool {
        match self {
            Self::Fresh(job) | Self::Old(job) => match job {
                Job::Kick(_) | Job::Leave { .. } => true,
                Job::Say(_) | Job::Mark(_) | Job::Redact(_) => false,
            },
            Self::Joined(_) | Self::Missed { .. } => false,
        }
    }

    pub(super) fn is_removal(&self) -> bool {
        match self {
            Self::Fresh(job) | Self::Old(job) => match job {
                Job::Kick(removal) => removal.meanwhile == Meanwhile::Withheld,
                Job::Leave { .. } | Job::Say(_) | Job::Mark(_) | Job::Redact(_) => false,
            },
            Self::Joined(_) | Self::Missed { .. } => false,
        }
    }

    pub(super) fn into_jobs(self) -> Vec<Job> {
        match self {
            Self::Fresh(job) | Self::Old(job) => vec![job],
            Self::Joined(joined) => joined.relays.into_iter().map(Job::Say).collect(),
            Self::Missed { .. } => Vec::new(),
        }
    }
}

impl Job {
    /// The room it is for.
    pub fn room(&self) -> &RoomId {
        match self {
            Self::Say(Relay { room, .. })
            | Self::Mark(Mark { room, .. })
            | Self::Redact(Redact { room, .. })
            | Self::Kick(Removal { room, .. })
            | Self::Leave { room, .. } => room,
        }
    }

    /// Its number in the log, where it is kept there.
    pub(super) fn seq(&self) -> Option<RelaySeq> {
        match self {
            Self::Say(Relay { seq, .. })
            | Self::Mark(Mark { seq, .. })
            | Self::Redact(Redact { seq, .. }) => Some(*seq),
            Self::Kick(_) | Self::Leave { .. } => None,
        }
    }
}
