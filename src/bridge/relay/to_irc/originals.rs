//! What people said lately, in full: to say of an edit only what it changed.
//!
//! In memory only. Full: the oldest is forgotten, and edits of it say nothing.

use std::collections::{HashMap, VecDeque};

use crate::ids::{EventId, RoomId, Time, UserId};

/// Messages remembered at most, and bytes of their texts all together.
const ORIGINALS_MAX: usize = 512;
const BYTES_MAX: usize = 1 << 20;
/// Longer texts are not remembered: the place that changed would not be found by people either.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Edits of one message that are said; what is edited on and on is not worth more lines.
const EDITS_MAX: u32 = 8;

/// The texts of a network's last messages.
#[derive(Debug, Default)]
pub struct Originals {
    texts: HashMap<EventId, Original>,
    order: VecDeque<EventId>,
    bytes: usize,
}

/// A message as it was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    pub room: RoomId,
    pub sender: UserId,
    pub text: String,
    /// When we came to know of it, by our own clock.
    pub at: Time,
    edits: u32,
}

impl Originals {
    /// Somebody said something; the same event again is known already.
    pub fn note(&mut self, event: EventId, room: RoomId, sender: UserId, text: String, at: Time) {
        if text.len() > TEXT_BYTES_MAX || self.texts.contains_key(&event) {
            return;
        }
        self.bytes += text.len();
        self.texts.insert(event.clone(), Original { room, sender, text, at, edits: 0 });
        self.order.push_back(event);
        while self.order.len() > ORIGINALS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { break };
            self.drop_text(&oldest);
        }
    }

    /// The message that `sender` may edit in this room, if it is theirs, young enough and not edited all the time.
    pub fn editable(
        &self,
        event: &EventId,
        room: &RoomId,
        sender: &UserId,
        since: Time,
    ) -> Option<&Original> {
        let original = self.texts.get(event)?;
        let is_theirs = original.room == *room && original.sender == *sender;
        (is_theirs && original.at >= since && original.edits < EDITS_MAX).then_some(original)
    }

    /// It reads so now.
    pub fn edited(&mut self, event: &EventId, text: String) {
        if text.len() > TEXT_BYTES_MAX {
            return self.forget(event);
        }
        if let Some(original) = self.texts.get_mut(event) {
            self.bytes = self.bytes - original.text.len() + text.len();
            original.text = text;
            original.edits += 1;
        }
    }

    /// It was taken back, or did not arrive: nothing is to be said of it any more.
    pub fn forget(&mut self, event: &EventId) {
        if self.drop_text(event) {
            self.order.retain(|other| other != event);
        }
    }

    fn drop_text(&mut self, event: &EventId) -> bool {
        let original = self.texts.remove(event);
        self.bytes -= original.as_ref().map_or(0, |original| original.text.len());
        original.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: usize) -> EventId {
        EventId::new(&format!("${number}")).unwrap()
    }

    fn room() -> RoomId {
        RoomId::new("!r").unwrap()
    }

    fn ada() -> UserId {
        UserId::new("@ada:hs").unwrap()
    }

    fn note(originals: &mut Originals, number: usize, text: &str) {
        originals.note(event(number), room(), ada(), text.to_owned(), Time(number as u64));
    }

    #[test]
    fn only_who_said_it_there_may_edit_it_for_a_while() {
        let mut originals = Originals::default();
        note(&mut originals, 5, "tea");
        let may = |originals: &Originals, room: &RoomId, user: &UserId, since| {
            originals.editable(&event(5), room, user, Time(since)).is_some()
        };
        assert!(may(&originals, &room(), &ada(), 5));
        assert!(!may(&originals, &room(), &ada(), 6), "too old");
        assert!(!may(&originals, &room(), &UserId::new("@eve:hs").unwrap(), 0));
        assert!(!may(&originals, &RoomId::new("!other").unwrap(), &ada(), 0));
        for _ in 0..EDITS_MAX {
            originals.edited(&event(5), "coffee".into());
        }
        assert!(!may(&originals, &room(), &ada(), 5), "edited on and on");
        originals.forget(&event(5));
        assert_eq!((originals.bytes, originals.order.len(), originals.texts.len()), (0, 0, 0));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_they_are_too_long() {
        let mut originals = Originals::default();
        (0..ORIGINALS_MAX + 1).for_each(|number| note(&mut originals, number, "x"));
        assert_eq!(originals.order.len(), ORIGINALS_MAX);
        assert!(originals.editable(&event(0), &room(), &ada(), Time(0)).is_none());
        let long = "x".repeat(TEXT_BYTES_MAX);
        (1_000..1_100).for_each(|number| note(&mut originals, number, &long));
        assert!(originals.bytes <= BYTES_MAX && originals.texts.len() == originals.order.len());
        note(&mut originals, 2_000, &"x".repeat(TEXT_BYTES_MAX + 1));
        assert!(originals.editable(&event(2_000), &room(), &ada(), Time(0)).is_none());
    }
}
