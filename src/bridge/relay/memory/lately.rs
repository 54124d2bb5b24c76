//! Looking back a little: what was said in a room since a message, and what it reads now.

use super::{Life, Memory, Order, Said, excerpt};
use crate::ids::{EventId, RoomId};

/// Messages of all rooms that are looked through; what is further back was said long ago.
const LOOKED_MAX: u64 = 200;

impl Memory {
    /// What was said in a room after this message; `None` when it was said long ago.
    pub fn since<'a>(&'a self, room: &'a RoomId, order: Order) -> Option<impl Iterator<Item = &'a Said>> {
        let newest = self.now().0;
        let later = (order.0 + 1..newest).filter_map(|at| self.at(at)).filter(move |said| said.room == *room);
        (newest.saturating_sub(order.0) <= LOOKED_MAX).then_some(later)
    }

    /// A message reads otherwise now: its old words are not to be quoted.
    pub fn edited(&mut self, room: &RoomId, event: &EventId, text: &str) {
        let Some(at) = self.place(room, event) else { return };
        if let Some(said) = self.said_mut(at).filter(|said| said.life == Life::Stands) {
            said.excerpt = excerpt(text);
            self.news.insert(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::UserId;

    #[test]
    fn what_came_after_is_counted_in_its_room() {
        let mut memory = Memory::default();
        let (a, b) = (RoomId::new("!a").unwrap(), RoomId::new("!b").unwrap());
        let ada = UserId::new("@ada:hs").unwrap();
        let say = |memory: &mut Memory, room: &RoomId, number: usize| {
            memory.from_matrix(room.clone(), EventId::new(&format!("${number}")).unwrap(), ada.clone(), "x")
        };
        let first = say(&mut memory, &a, 0);
        for number in 1..=3 {
            say(&mut memory, &b, number);
        }
        say(&mut memory, &a, 4);
        assert_eq!(memory.since(&a, first).expect("not long ago").count(), 1);
        for number in 5..300 {
            say(&mut memory, &b, number);
        }
        assert!(memory.since(&a, first).is_none());
        memory.edited(&a, &EventId::new("$0").unwrap(), "new\nwords");
        memory.edited(&b, &EventId::new("$4").unwrap(), "of another room");
        assert_eq!(memory.by_event(&a, &EventId::new("$0").unwrap()).unwrap().1.excerpt, "new words");
        assert_eq!(memory.by_event(&a, &EventId::new("$4").unwrap()).unwrap().1.excerpt, "x");
    }
}
