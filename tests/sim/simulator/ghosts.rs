//! What the homeserver's rooms have of the bridge's steps: which ghosts are in them. It outlives the process.
//!
//! A step takes its time and is done while nothing is to be said in its room; a later one for its key takes its place.
//! Topics and levels are taken and forgotten: no server here has topics or ranks.

use std::collections::{BTreeMap, BTreeSet};

use bunraku::bridge::effect::{RoomStep, StepKey};
use bunraku::ids::{RoomId, UserId};

#[derive(Default)]
pub struct Ghosts {
    inside: BTreeMap<RoomId, BTreeSet<UserId>>,
    waiting: BTreeMap<(RoomId, StepKey), RoomStep>,
}

/// Whether something has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    Now,
    /// It takes the place of what waits.
    Before,
}

impl Ghosts {
    /// The bridge wants a step.
    pub fn asked(&mut self, room: &RoomId, step: RoomStep) -> Begun {
        match self.waiting.insert((room.clone(), step.key()), step) {
            None => Begun::Now,
            Some(_) => Begun::Before,
        }
    }

    /// The homeserver does the step that waits for this key.
    pub fn done(&mut self, room: &RoomId, key: &StepKey) {
        match self.waiting.remove(&(room.clone(), key.clone())).expect("it was asked for") {
            RoomStep::GhostJoins(ghost) | RoomStep::GhostReturns(ghost) => self.joins(room, ghost.user),
            RoomStep::GhostLeaves { ghost, .. } => {
                self.inside.entry(room.clone()).or_default().remove(&ghost);
            }
            RoomStep::Topic(_)
            | RoomStep::Power(_)
            | RoomStep::Door(_)
            | RoomStep::Plate(_)
            | RoomStep::JoinRule(_)
            | RoomStep::GhostPardoned(_)
            | RoomStep::Place(_) => {}
        }
    }

    /// Nothing came of the step that waits for this key.
    pub fn left_undone(&mut self, room: &RoomId, key: &StepKey) {
        self.waiting.remove(&(room.clone(), key.clone()));
    }

    /// Who speaks is let in before.
    pub fn joins(&mut self, room: &RoomId, ghost: UserId) {
        self.inside.entry(room.clone()).or_default().insert(ghost);
    }

    /// The process is gone, and with it all that it wanted.
    pub fn forget_steps(&mut self) {
        self.waiting.clear();
    }

    pub fn inside(&self, room: &RoomId) -> BTreeSet<UserId> {
        self.inside.get(room).cloned().unwrap_or_default()
    }

    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}
