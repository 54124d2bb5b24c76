//! What the bridge itself says in rooms, and the numbers of all that is said there.

use super::super::effect::{Effect, Mark, Relay, Sign, Speaker};
use super::super::input::BodyKind;
use super::super::timer::Timer;
use super::Network;
use crate::ids::{EventId, RelaySeq, RoomId};

impl Network {
    pub(super) fn say_in_room(
        &mut self,
        room: RoomId,
        speaker: Speaker,
        kind: BodyKind,
        text: String,
        about: Option<EventId>,
    ) {
        let Some((speaker, text)) = self.voice(&room, speaker, text) else { return };
        let relay = Relay::plain(self.next_seq(), room, speaker, kind, text);
        self.out.push(Effect::Relay(Relay { about, ..relay }));
    }

    /// Puts a sign on somebody's message.
    pub(super) fn mark(&mut self, room: RoomId, event: EventId, sign: Sign) {
        let Some((speaker, _)) = self.voice(&room, Speaker::Bot, String::new()) else { return };
        let seq = self.next_seq();
        self.out.push(Effect::Mark(Mark { seq, room, speaker, event, sign }));
    }

    pub(super) fn next_seq(&mut self) -> RelaySeq {
        let seq = self.seqs.next;
        self.seqs.next = RelaySeq(seq.0 + self.seqs.step);
        seq
    }

    /// Tells a room something in the bot's name; too much of it becomes a count.
    pub(super) fn tell(&mut self, room: &RoomId, text: String, about: Option<EventId>) {
        match self.tell.may(self.now, room) {
            Ok(()) => self.say_in_room(room.clone(), Speaker::Bot, BodyKind::Notice, text, about),
            Err(ends) => self.timers.arm(Timer::Tell(room.clone()), ends),
        }
    }

    pub(super) fn tell_count(&mut self, room: &RoomId) {
        let count = self.tell.window_ended(self.now, room);
        if count > 0 {
            let text = format!("{count} more notices like these were left out in the last minute.");
            self.say_in_room(room.clone(), Speaker::Bot, BodyKind::Notice, text, None);
        }
    }
}
