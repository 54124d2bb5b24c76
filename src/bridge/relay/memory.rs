//! What was said lately, so that a later word about it can be understood: a reply, an edit, a reaction, a redaction.
//!
//! One for each network, over all its rooms. Its order is its own: in which the network's machine came to know of what was
//! said. Timestamps of either side are not looked at, since whoever sets them could make a message of yesterday look
//! like one of today. Bounded: above [`SAYINGS_MAX`] the oldest is forgotten, and what is said about it later stands alone.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::ids::{EventId, Nick, RelaySeq, RoomId, UserId};

/// Messages remembered for a network, in all its rooms together.
pub const SAYINGS_MAX: usize = 20_000;
/// Bytes kept of a message's text.
pub const EXCERPT_BYTES_MAX: usize = 160;
/// Longer names of lines than any server gives (IRCv3 "message-ids" has no bound) are not kept.
pub const MSGID_BYTES_MAX: usize = 255;
/// Names of IRC lines kept for one message: one of several lines has several.
const MSGIDS_MAX: usize = 16;

/// Who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    Matrix(UserId),
    Irc(Nick),
}

/// A message that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub room: RoomId,
    /// Its event, once the homeserver has given it one.
    pub event: Option<EventId>,
    /// The names of its lines on IRC, in order, as far as the server gives any.
    pub msgids: Vec<Arc<str>>,
    pub author: Author,
    /// The beginning of its text, in one line; empty when it was redacted.
    pub excerpt: String,
    pub life: Life,
}

/// Whether it may still be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    Stands,
    Redacted,
}

/// Where a message stands in the machine's own order: later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Order(pub u64);

/// The memory of one network.
#[derive(Debug, Default)]
pub struct Memory {
    sayings: VecDeque<Said>,
    /// The order of the first of `sayings`.
    first: u64,
    events: HashMap<EventId, u64>,
    msgids: HashMap<(RoomId, Arc<str>), u64>,
    /// Messages from IRC whose event the homeserver has not named yet.
    unnamed: BTreeMap<RelaySeq, u64>,
}

impl Memory {
    /// Somebody on Matrix said something. The same event again is the same message.
    pub fn from_matrix(&mut self, room: RoomId, event: EventId, author: UserId, text: &str) -> Order {
        if let Some(at) = self.events.get(&event) {
            return Order(*at);
        }
        let at = self.add(room, Author::Matrix(author), text);
        self.name(at, event);
        Order(at)
    }

    /// Somebody on IRC said something, which goes to `room` as `seq`.
    pub fn from_irc(
        &mut self,
        seq: RelaySeq,
        room: RoomId,
        msgid: Option<&str>,
        author: Nick,
        text: &str,
    ) -> Order {
        let at = self.add(room, Author::Irc(author), text);
        self.unnamed.insert(seq, at);
        if let Some(msgid) = msgid {
            self.give_msgid(at, msgid);
        }
        Order(at)
    }

    /// What an earlier run remembered, the oldest first.
    pub fn recall(&mut self, said: Said) {
        let at = self.push(Said { msgids: Vec::new(), event: None, ..said.clone() });
        if let Some(event) = said.event {
            self.name(at, event);
        }
        for msgid in said.msgids {
            self.give_msgid(at, &msgid);
        }
    }

    /// The homeserver has taken what went out as `seq`, as this event.
    pub fn was_named(&mut self, seq: RelaySeq, event: EventId) -> Option<&Said> {
        let at = self.unnamed.remove(&seq)?;
        self.name(at, event);
        self.at(at)
    }

    /// A line of this message has this name on IRC.
    pub fn was_shown(&mut self, event: &EventId, msgid: &str) {
        if let Some(at) = self.events.get(event).copied() {
            self.give_msgid(at, msgid);
        }
    }

    /// The message is to be shown no more.
    pub fn redact(&mut self, room: &RoomId, event: &EventId) -> Option<&Said> {
        let at = self.place(room, event)?;
        let index = usize::try_from(at - self.first).ok()?;
        let said = self.sayings.get_mut(index)?;
        said.life = Life::Redacted;
        said.excerpt = String::new();
        Some(said)
    }

    /// A message by its event. `None` for one of another room: what was said there is not for this one.
    pub fn by_event(&self, room: &RoomId, event: &EventId) -> Option<(Order, &Said)> {
        let at = self.place(room, event)?;
        Some((Order(at), self.at(at)?))
    }

    /// A message by the name of one of its lines.
    pub fn by_msgid(&self, room: &RoomId, msgid: &str) -> Option<(Order, &Said)> {
        let at = *self.msgids.get(&(room.clone(), Arc::from(msgid)))?;
        Some((Order(at), self.at(at)?))
    }

    /// What is said next is at this place or later.
    pub fn now(&self) -> Order {
        Order(self.first + self.sayings.len() as u64)
    }

    pub fn len(&self) -> usize {
        self.sayings.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sayings.is_empty()
    }

    fn at(&self, at: u64) -> Option<&Said> {
        self.sayings.get(usize::try_from(at.checked_sub(self.first)?).ok()?)
    }

    fn place(&self, room: &RoomId, event: &EventId) -> Option<u64> {
        let at = *self.events.get(event)?;
        (self.at(at)?.room == *room).then_some(at)
    }

    fn add(&mut self, room: RoomId, author: Author, text: &str) -> u64 {
        let excerpt = excerpt(text);
        self.push(Said { room, event: None, msgids: Vec::new(), author, excerpt, life: Life::Stands })
    }

    fn push(&mut self, said: Said) -> u64 {
        if self.sayings.len() >= SAYINGS_MAX {
            self.forget_oldest();
        }
        self.sayings.push_back(said);
        self.first + self.sayings.len() as u64 - 1
    }

    fn forget_oldest(&mut self) {
        let Some(said) = self.sayings.pop_front() else { return };
        let at = self.first;
        self.first += 1;
        if let Some(event) = said.event {
            self.events.remove(&event);
        }
        for msgid in said.msgids {
            let key = (said.room.clone(), msgid);
            // A server that gives a name twice means the later one.
            if self.msgids.get(&key) == Some(&at) {
                self.msgids.remove(&key);
            }
        }
        // Numbers are given in the order in which things are said.
        while self.unnamed.first_key_value().is_some_and(|(_, place)| *place <= at) {
            self.unnamed.pop_first();
        }
    }

    fn name(&mut self, at: u64, event: EventId) {
        let Some(index) = at.checked_sub(self.first).and_then(|index| usize::try_from(index).ok()) else {
            return;
        };
        if let Some(said) = self.sayings.get_mut(index) {
            said.event = Some(event.clone());
            self.events.insert(event, at);
        }
    }

    fn give_msgid(&mut self, at: u64, msgid: &str) {
        let Some(index) = at.checked_sub(self.first).and_then(|index| usize::try_from(index).ok()) else {
            return;
        };
        let Some(said) = self.sayings.get_mut(index) else { return };
        if msgid.is_empty() || msgid.len() > MSGID_BYTES_MAX || said.msgids.len() >= MSGIDS_MAX {
            return;
        }
        let msgid: Arc<str> = Arc::from(msgid);
        said.msgids.push(msgid.clone());
        self.msgids.insert((said.room.clone(), msgid), at);
    }
}

/// The beginning of a text, its line breaks as spaces.
fn excerpt(text: &str) -> String {
    let mut short = String::new();
    for word in text.split_whitespace() {
        let space = usize::from(!short.is_empty());
        if short.len() + space + word.len() > EXCERPT_BYTES_MAX {
            if short.is_empty() {
                short.push_str(&word[..word.floor_char_boundary(EXCERPT_BYTES_MAX)]);
            }
            short.push('…');
            break;
        }
        if space == 1 {
            short.push(' ');
        }
        short.push_str(word);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::casemap::CaseMap;

    fn room(name: &str) -> RoomId {
        RoomId::new(name).unwrap()
    }

    fn event(name: &str) -> EventId {
        EventId::new(name).unwrap()
    }

    fn bob() -> Nick {
        Nick::new("bob", CaseMap::Rfc1459).unwrap()
    }

    fn ada() -> UserId {
        UserId::new("@ada:hs").unwrap()
    }

    #[test]
    fn a_message_is_found_by_its_event_and_by_the_names_of_its_lines() {
        let mut memory = Memory::default();
        let order = memory.from_matrix(room("!a"), event("$1"), ada(), "one\ntwo");
        memory.was_shown(&event("$1"), "m1");
        memory.was_shown(&event("$1"), "m2");
        let later = memory.from_irc(RelaySeq(7), room("!a"), Some("m3"), bob(), "three");
        assert!(memory.was_named(RelaySeq(7), event("$2")).is_some());
        assert!(order < later && later < memory.now());
        assert_eq!(memory.by_msgid(&room("!a"), "m2").unwrap().1.excerpt, "one two");
        assert_eq!(memory.by_msgid(&room("!a"), "m3").unwrap().1.event, Some(event("$2")));
        assert_eq!(memory.by_event(&room("!a"), &event("$2")).unwrap().0, later);
        assert_eq!(memory.from_matrix(room("!a"), event("$1"), ada(), "again"), order);
    }

    #[test]
    fn what_was_said_in_another_room_is_not_found() {
        let mut memory = Memory::default();
        memory.from_matrix(room("!a"), event("$1"), ada(), "secret");
        memory.was_shown(&event("$1"), "m1");
        assert!(memory.by_event(&room("!b"), &event("$1")).is_none());
        assert!(memory.by_msgid(&room("!b"), "m1").is_none());
        assert!(memory.redact(&room("!b"), &event("$1")).is_none());
    }

    #[test]
    fn of_what_was_redacted_no_word_is_left() {
        let mut memory = Memory::default();
        memory.from_matrix(room("!a"), event("$1"), ada(), "secret");
        memory.redact(&room("!a"), &event("$1"));
        let (_, said) = memory.by_event(&room("!a"), &event("$1")).unwrap();
        assert_eq!((said.excerpt.as_str(), said.life), ("", Life::Redacted));
    }

    #[test]
    fn the_oldest_are_forgotten_wholly() {
        let mut memory = Memory::default();
        for number in 0..SAYINGS_MAX as i64 + 10 {
            memory.from_irc(RelaySeq(number), room("!a"), Some(&format!("m{number}")), bob(), "x");
        }
        assert_eq!(
            (memory.len(), memory.msgids.len(), memory.unnamed.len()),
            (SAYINGS_MAX, SAYINGS_MAX, SAYINGS_MAX)
        );
        assert!(memory.was_named(RelaySeq(3), event("$3")).is_none());
        assert!(memory.by_msgid(&room("!a"), "m9").is_none());
        assert!(memory.by_msgid(&room("!a"), "m10").is_some());
        assert!(memory.events.is_empty());
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt(" a\r\n b\tc "), "a b c");
        let long = excerpt(&"wörter ".repeat(100));
        assert!(long.len() <= EXCERPT_BYTES_MAX + "…".len() && long.ends_with("wörter…"), "{long}");
        assert!(excerpt(&"ö".repeat(200)).len() <= EXCERPT_BYTES_MAX + "…".len());
        assert_eq!(excerpt(""), "");
    }
}
