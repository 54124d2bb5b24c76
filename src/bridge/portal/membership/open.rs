//! A wish that waits, and its place among the others.

use super::Wish;
use crate::ids::Time;

#[derive(Debug)]
pub(super) struct Open {
    pub(super) wish: Wish,
    pub(super) since: Time,
    pub(super) place: Place,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Waiting(Time),
    Ready(Turn),
}

/// In which order those that are ready go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn(pub(super) Class, pub(super) u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    CameLately,
    Listed,
    Leaves,
}
