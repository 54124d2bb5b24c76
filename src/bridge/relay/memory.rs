//! What was said lately, so that a later word about it can be understood: a reply, an edit, a reaction, a redaction.
//!
//! One for each network, over all its rooms. Its order is its own: in which the network's machine came to know of what was
//! said. Timestamps of either side are not looked at, since whoever sets them could make a message of yesterday look
//! like one of today. Bounded: above [`SAYINGS_MAX`] the oldest is forgotten, and what is said about it later stands alone.
//!
//! It outlives the process through what it gives out as news: rows that are new or changed, a second's worth at a time.
//! A crash forgets that second.

mod lately;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::ids::{EventId, Nick, RelaySeq, RoomId, UserId};

/// Messages remembered for a network, in all its rooms together.
pub const SAYINGS_MAX: usize = 20_000;
/// Bytes kept of a message's text.
pub const EXCERPT_BYTES_MAX: usize = 160;
/// Longer names of lines than any server gives (IRCv3 "message-ids" has no bound) are not kept.
pub const MSGID_BYTES_MAX: usize = 255;
/// Names of IRC lines kept for one message: one of several lines has several.
const MSGIDS_MAX: usize = 32;
/// Rows given out at once. Of more only the newest outlive the process: they are said in a storm, and soon forgotten
/// anyway. What was redacted is always told of.
const NEWS_MAX: usize = 2_000;

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

/// A message as it is kept over restarts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// Its number in this network's memory, over all runs; later ones are greater.
    pub id: u64,
    /// As what it went to the homeserver, where it came from IRC.
    pub seq: Option<RelaySeq>,
    pub said: Said,
}

/// Where a message stands in the machine's own order: later ones are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Order(pub u64);

/// The memory of one network.
#[derive(Debug, Default)]
pub struct Memory {
    sayings: VecDeque<Saying>,
    /// The order of the first of `sayings`.
    first: u64,
    /// The number of the next.
    next_id: u64,
    events: HashMap<EventId, u64>,
    msgids: HashMap<(RoomId, Arc<str>), u64>,
    /// Messages from IRC whose event the homeserver has not named yet.
    unnamed: BTreeMap<RelaySeq, u64>,
    /// New or changed since [`take_news`](Self::take_news).
    news: BTreeSet<u64>,
}

impl Memory {
    /// Somebody on Matrix said something. The same event again is the same message.
    pub fn from_matrix(&mut self, room: RoomId, event: EventId, author: UserId, text: &str) -> Order {
        if let Some(at) = self.events.get(&event) {
            return Order(*at);
        }
        let at = self.add(None, room, Author::Matrix(author), text);
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
        let at = self.add(Some(seq), room, Author::Irc(author), text);
        if let Some(msgid) = msgid {
            self.give_msgid(at, msgid);
        }
        Order(at)
    }

    /// What an earlier run remembered, the oldest first. No news.
    pub fn recall(&mut self, saying: Saying) {
        let Saying { id, seq, said } = saying;
        self.next_id = self.next_id.max(id);
        let (event, msgids) = (said.event.clone(), said.msgids.clone());
        let seq = seq.filter(|_| event.is_none());
        let at = self.push(seq, Said { msgids: Vec::new(), event: None, ..said });
        if let Some(event) = event {
            self.name(at, event);
        }
        for msgid in msgids {
            self.give_msgid(at, &msgid);
        }
        self.news.remove(&at);
    }

    /// True when something is to be kept over a restart that is not yet.
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// What is new or changed since the last time, in order, and the lowest number that still counts.
    pub fn take_news(&mut self) -> (Vec<Saying>, u64) {
        let news = std::mem::take(&mut self.news);
        let spared = news.len().saturating_sub(NEWS_MAX);
        let told = news.into_iter().enumerate().filter_map(|(index, at)| {
            let saying = self.saying(at)?;
            (index >= spared || saying.said.life == Life::Redacted).then(|| saying.clone())
        });
        let told = told.collect();
        (told, self.sayings.front().map_or(self.next_id, |saying| saying.id))
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
        self.redact_at(Order(at));
        self.at(at)
    }

    /// As [`redact`](Self::redact), for a message that may have no event yet.
    pub fn redact_at(&mut self, order: Order) {
        if let Some(said) = self.said_mut(order.0) {
            said.life = Life::Redacted;
            said.excerpt = String::new();
            self.news.insert(order.0);
        }
    }

    /// A message by its place, with what it is known by.
    pub fn by_order(&self, order: Order) -> Option<&Saying> {
        self.saying(order.0)
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
        self.saying(at).map(|saying| &saying.said)
    }

    fn saying(&self, at: u64) -> Option<&Saying> {
        self.sayings.get(usize::try_from(at.checked_sub(self.first)?).ok()?)
    }

    fn said_mut(&mut self, at: u64) -> Option<&mut Said> {
        let index = usize::try_from(at.checked_sub(self.first)?).ok()?;
        self.sayings.get_mut(index).map(|saying| &mut saying.said)
    }

    fn place(&self, room: &RoomId, event: &EventId) -> Option<u64> {
        let at = *self.events.get(event)?;
        (self.at(at)?.room == *room).then_some(at)
    }

    fn add(&mut self, seq: Option<RelaySeq>, room: RoomId, author: Author, text: &str) -> u64 {
        let excerpt = excerpt(text);
        let said = Said { room, event: None, msgids: Vec::new(), author, excerpt, life: Life::Stands };
        self.push(seq, said)
    }

    fn push(&mut self, seq: Option<RelaySeq>, said: Said) -> u64 {
        if self.sayings.len() >= SAYINGS_MAX {
            self.forget_oldest();
        }
        self.sayings.push_back(Saying { id: self.next_id, seq, said });
        self.next_id += 1;
        let at = self.first + self.sayings.len() as u64 - 1;
        if let Some(seq) = seq {
            self.unnamed.insert(seq, at);
        }
        self.news.insert(at);
        at
    }

    fn forget_oldest(&mut self) {
        let Some(Saying { said, seq, .. }) = self.sayings.pop_front() else { return };
        let at = self.first;
        self.first += 1;
        self.news.remove(&at);
        if let Some(event) = said.event.filter(|event| self.events.get(event) == Some(&at)) {
            self.events.remove(&event);
        }
        for msgid in said.msgids {
            let key = (said.room.clone(), msgid);
            // A server that gives a name twice means the later one.
            if self.msgids.get(&key) == Some(&at) {
                self.msgids.remove(&key);
            }
        }
        if let Some(seq) = seq {
            self.unnamed.remove(&seq);
        }
    }

    fn name(&mut self, at: u64, event: EventId) {
        let Some(said) = self.said_mut(at) else { return };
        said.event = Some(event.clone());
        // Lines that became one event together are known by the first of them.
        self.events.entry(event).or_insert(at);
        self.news.insert(at);
    }

    fn give_msgid(&mut self, at: u64, msgid: &str) {
        let Some(said) = self.said_mut(at) else { return };
        let is_known = said.msgids.iter().any(|known| **known == *msgid);
        if is_known || msgid.is_empty() || msgid.len() > MSGID_BYTES_MAX || said.msgids.len() >= MSGIDS_MAX {
            return;
        }
        let msgid: Arc<str> = Arc::from(msgid);
        said.msgids.push(msgid.clone());
        let room = said.room.clone();
        self.msgids.insert((room, msgid), at);
        self.news.insert(at);
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
    fn what_is_told_is_what_the_next_run_recalls() {
        let mut memory = Memory::default();
        memory.from_matrix(room("!a"), event("$1"), ada(), "one");
        memory.from_irc(RelaySeq(7), room("!a"), Some("m1"), bob(), "two");
        memory.from_irc(RelaySeq(8), room("!a"), None, bob(), "three");
        memory.was_named(RelaySeq(7), event("$2"));
        let (told, from) = memory.take_news();
        assert_eq!((told.iter().map(|saying| saying.id).collect::<Vec<_>>(), from), (vec![0, 1, 2], 0));
        assert!(!memory.has_news());
        let mut next = Memory::default();
        told.into_iter().for_each(|saying| next.recall(saying));
        assert!(!next.has_news(), "the disk has it already");
        assert_eq!(next.by_msgid(&room("!a"), "m1").unwrap().1.event, Some(event("$2")));
        assert_eq!(next.by_event(&room("!a"), &event("$1")).unwrap().1.excerpt, "one");
        assert!(next.was_named(RelaySeq(7), event("$9")).is_none(), "it has its event");
        assert!(next.was_named(RelaySeq(8), event("$3")).is_some(), "it was taken in a later run");
        next.redact(&room("!a"), &event("$2"));
        let order = next.from_matrix(room("!a"), event("$4"), ada(), "four");
        assert!(order > next.by_event(&room("!a"), &event("$3")).unwrap().0);
        let (told, _) = next.take_news();
        let told: Vec<_> = told.iter().map(|saying| (saying.id, saying.said.excerpt.as_str())).collect();
        assert_eq!(told, [(1, ""), (2, "three"), (3, "four")]);
    }

    #[test]
    fn of_a_storm_the_newest_are_told_and_all_that_was_redacted() {
        let mut memory = Memory::default();
        for number in 0..NEWS_MAX as i64 + 10 {
            memory.from_irc(RelaySeq(number), room("!a"), None, bob(), "x");
            memory.was_named(RelaySeq(number), event(&format!("${number}")));
        }
        memory.redact(&room("!a"), &event("$3"));
        let (told, _) = memory.take_news();
        assert_eq!(told.len(), NEWS_MAX + 1);
        assert_eq!((told[0].id, told[1].id), (3, 10));
    }

    #[test]
    fn lines_that_became_one_event_are_known_by_the_first() {
        let mut memory = Memory::default();
        memory.from_irc(RelaySeq(1), room("!a"), Some("m1"), bob(), "one");
        memory.from_irc(RelaySeq(2), room("!a"), Some("m2"), bob(), "two");
        memory.was_named(RelaySeq(1), event("$1"));
        memory.was_named(RelaySeq(2), event("$1"));
        assert_eq!(memory.by_event(&room("!a"), &event("$1")).unwrap().1.excerpt, "one");
        assert_eq!(memory.by_msgid(&room("!a"), "m2").unwrap().1.event, Some(event("$1")));
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
