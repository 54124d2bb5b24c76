//! Removals from rooms: asked of the homeserver, refused by it, asked for again, and gone on with after a restart.
//!
//! A room cannot be kept from one of its people alone. So with a strict gate, what is said behind a removal that is refused is
//! held back where it is sent (see [`Meanwhile`]) until they are gone or seen in the channel: that nobody reads unseen goes before
//! all else, and whoever may there can end it. What holds back is kept over restarts. Where nothing is held back, the removal is
//! asked for again here, and the room is told.
//!
//! Who is to be removed is decided elsewhere: by `gate`, and by `removed`.

use super::super::effect::{Effect, Meanwhile, Succession};
use super::super::input::BarRow;
use super::super::policy::GateRule;
use super::super::portal::gate::{Stage, Waiter};
use super::super::timer::Timer;
use super::Network;
use crate::ids::{RoomId, UserId};

impl Network {
    /// Removes somebody from a room of ours, now. Who is being removed already is not removed twice.
    pub(super) fn remove(&mut self, room: &RoomId, user: &UserId, reason: String) {
        let is_asked = self.gate.get(room, user).is_some_and(|waiter| waiter.stage == Stage::Asked);
        if is_asked {
            return;
        }
        self.gate.asks(self.now, room, user, &reason);
        let (room, user, meanwhile) = (room.clone(), user.clone(), self.meanwhile());
        if meanwhile == Meanwhile::Withheld {
            let (room, user, reason) = (room.clone(), user.clone(), reason.clone());
            self.out.push(Effect::SaveBar(BarRow { room, user, reason }));
        }
        self.out.push(Effect::Kick { room, user, reason, meanwhile });
    }

    fn meanwhile(&self) -> Meanwhile {
        match self.policy.presence.gate {
            GateRule::Strict => Meanwhile::Withheld,
            GateRule::Lenient | GateRule::Off => Meanwhile::Shown,
        }
    }

    /// Somebody was being removed when an earlier run ended. The outbox goes on with it.
    pub(super) fn bar_known(&mut self, BarRow { room, user, reason }: &BarRow) {
        self.gate.asks(self.now, room, user, reason);
    }

    /// Everybody in rooms is known: who left while the bridge was away need not be removed. Of a room that was replaced
    /// nobody tells us who is there; what waits in it goes on waiting.
    pub(super) fn compare_bars(&mut self) {
        let is_gone = |(room, user, waiter): &(&RoomId, &UserId, &Waiter)| {
            waiter.stage == Stage::Asked && !self.portals.has(room, user)
        };
        let gone = self.gate.all().filter(is_gone).map(|(room, user, _)| (room.clone(), user.clone()));
        for (room, user) in gone.collect::<Vec<_>>() {
            let waiter = self.gate.forget(&room, &user).filter(|_| self.portals.of_room(&room).is_some());
            self.pardon(&room, &user, waiter);
        }
    }

    /// A room is replaced: from then on nothing is said there, and nobody tells us who reads it. What was kept back ends with
    /// it, before anything else is said there.
    pub(super) fn bars_end(&mut self, from: &RoomId, to: &RoomId) {
        let is_asked =
            |(of, _, waiter): &(&RoomId, &UserId, &Waiter)| *of == from && waiter.stage == Stage::Asked;
        let asked: Vec<UserId> = self.gate.all().filter(is_asked).map(|(_, user, _)| user.clone()).collect();
        if asked.is_empty() {
            return;
        }
        self.out.push(Effect::Succeed(Succession::Vacate { from: from.clone(), to: to.clone() }));
        for user in asked {
            self.gate.forget(from, &user);
            self.bar_over(from, &user);
        }
    }

    /// What the homeserver said to a removal.
    pub(super) fn kick_done(&mut self, room: &RoomId, user: &UserId, result: &Result<(), String>) {
        match result {
            Ok(()) => {
                self.gate.removed(room, user);
                self.bar_over(room, user);
            }
            Err(_) => {
                self.gate.refused();
                self.kick_refused(room, user);
            }
        }
    }

    pub(super) fn bar_over(&mut self, room: &RoomId, user: &UserId) {
        if self.meanwhile() == Meanwhile::Withheld {
            self.out.push(Effect::DropBar { room: room.clone(), user: user.clone() });
        }
    }

    /// Where something is held back the outbox tells of it and tries again; elsewhere it is done here.
    fn kick_refused(&mut self, room: &RoomId, user: &UserId) {
        let now = self.now;
        let waiter = self.gate.get_mut(room, user).filter(|waiter| waiter.stage == Stage::Asked);
        let Some(waiter) = waiter.filter(|_| self.policy.presence.gate != GateRule::Strict) else { return };
        let (is_first, again) = (waiter.removal.try_later(now), waiter.removal.again);
        self.timers.arm_if(Timer::Gate, again);
        let Some(channel) =
            self.portals.of_room(room).map(|portal| portal.channel.clone()).filter(|_| is_first)
        else {
            return;
        };
        let text = format!(
            "{user} is not in {channel}, and I am not allowed to remove them from this room: they read on unseen. Whoever may \
             can remove them, or give me the level that it takes; I try again by and by."
        );
        self.tell(room, text, None);
    }

    /// Somebody whom the homeserver would not remove is to be removed once more.
    pub(super) fn remove_again(&mut self, room: &RoomId, user: &UserId) {
        let now = self.now;
        let Some(waiter) = self.gate.get_mut(room, user).filter(|waiter| waiter.stage == Stage::Asked) else {
            return;
        };
        if waiter.removal.again.is_some_and(|at| at > now) {
            return self.timers.arm_if(Timer::Gate, waiter.removal.again);
        }
        if waiter.removal.again.take().is_some() {
            let (reason, meanwhile) = (waiter.removal.reason.clone(), Meanwhile::Shown);
            let (room, user) = (room.clone(), user.clone());
            self.out.push(Effect::Kick { room, user, reason, meanwhile });
        }
    }

    /// Somebody changed who may what in a room: what was refused there may go well now.
    pub(super) fn removals_may_go_well(&mut self, room: &RoomId) {
        let is_refused =
            |(of, _, waiter): &(&RoomId, &UserId, &Waiter)| *of == room && waiter.stage == Stage::Asked;
        let users: Vec<UserId> =
            self.gate.all().filter(is_refused).map(|(_, user, _)| user.clone()).collect();
        if !users.is_empty() && self.meanwhile() == Meanwhile::Withheld {
            self.out.push(Effect::Hasten { room: room.clone() });
        }
        for user in users {
            let now = self.now;
            if let Some(again) =
                self.gate.get_mut(room, &user).and_then(|waiter| waiter.removal.again.as_mut())
            {
                *again = now;
            }
            self.remove_again(room, &user);
        }
    }

    /// Somebody need not be removed: they are in the channel, or have left the room.
    pub(super) fn pardon(&mut self, room: &RoomId, user: &UserId, waiter: Option<Waiter>) {
        if waiter.is_some_and(|waiter| waiter.stage == Stage::Asked) {
            self.out.push(Effect::Pardon { room: room.clone(), user: user.clone() });
            self.bar_over(room, user);
        }
    }
}
