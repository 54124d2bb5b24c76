//! The end of a pairing that people made: the room is told, its people leave the channel, the channel's ghosts leave the
//! room, and nothing of it is left in the room's state or in the database.
//!
//! The bot stays: without it the plate could not be taken down, and people can bridge the room anew. Ghosts leave
//! [`AT_ONCE`] at a time, behind all that is said; a restart meanwhile leaves the rest of them there, silent.

use std::collections::{BTreeSet, VecDeque};

use super::super::super::effect::{Effect, Relay, RoomStep, Speaker};
use super::super::super::input::{BodyKind, PortalOrigin, StepResult};
use super::super::super::timer::Timer;
use super::super::Network;
use crate::ids::{RoomId, UserId};

/// Ghosts that leave rooms at once.
const AT_ONCE: usize = 16;
/// Ghosts that are still to leave, at most; what is more stays in its room, silent.
const LEAVING_MAX: usize = 20_000;

/// Ghosts that are to leave rooms which are bridged no more.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    waiting: VecDeque<(RoomId, UserId, String)>,
    under_way: BTreeSet<(RoomId, UserId)>,
}

impl Network {
    /// Ends a pairing that people made; `why` follows a "because". Nothing happens to any other.
    pub(in super::super) fn unlink(&mut self, room: &RoomId, why: &str) {
        let Some(portal) = self.portals.of_room(room).filter(|p| p.origin == PortalOrigin::Plumbed) else {
            return;
        };
        let channel = portal.channel.clone();
        self.plate_over(room);
        let people: Vec<UserId> = self.portals.members(room).cloned().collect();
        for user in people {
            self.gate.forget(room, &user);
            self.left_room(room, &user, &format!("could not: {why}"));
        }
        // Before the room is forgotten.
        self.tell_failures();
        let ghosts: Vec<UserId> = self.members.ghosts(room).cloned().collect();
        self.portals.remove(room);
        self.space_follows(room);
        self.members.forget(room);
        self.access.forget(room);
        self.topics.forget(room);
        self.room_modes.forget(room);
        self.out.push(Effect::DropPortal { room: room.clone() });
        let places = LEAVING_MAX.saturating_sub(self.operators.leaving.waiting.len());
        let reason = format!("{channel} is not bridged here any more");
        let leaving = ghosts.into_iter().take(places).map(|ghost| (room.clone(), ghost, reason.clone()));
        self.operators.leaving.waiting.extend(leaving);
        self.ghosts_go();
    }

    fn ghosts_go(&mut self) {
        while self.operators.leaving.under_way.len() < AT_ONCE
            && let Some((room, ghost, reason)) = self.operators.leaving.waiting.pop_front()
        {
            // It was bridged anew.
            if self.portals.of_room(&room).is_none()
                && self.operators.leaving.under_way.insert((room.clone(), ghost.clone()))
            {
                let step = RoomStep::GhostLeaves { ghost, reason: Some(reason) };
                self.out.push(Effect::Step { room, step });
            }
        }
    }

    /// What became of a step of a ghost in a room that is nobody's; the next goes, where one waits.
    pub(in super::super) fn ghost_went(&mut self, room: &RoomId, user: &UserId, result: &StepResult) {
        let was_ours = self.operators.leaving.under_way.remove(&(room.clone(), user.clone()));
        if was_ours && *result != StepResult::NotTaken {
            self.ghosts_go();
        }
    }

    /// Tells a room something, whether it is bridged or not: the bot is in it.
    pub(in super::super) fn tell_outside(&mut self, room: &RoomId, text: String) {
        if self.portals.of_room(room).is_some() {
            return self.tell(room, text, None);
        }
        match self.tell.may(self.now, room) {
            Ok(()) => {
                let seq = self.next_seq();
                let relay = Relay::plain(seq, room.clone(), Speaker::Bot, BodyKind::Notice, text);
                self.out.push(Effect::Relay(relay));
            }
            Err(ends) => self.timers.arm(Timer::Tell(room.clone()), ends),
        }
    }
}
