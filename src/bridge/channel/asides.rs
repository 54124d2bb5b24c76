//! What was said to some of a channel a moment ago, so that it is relayed once however many of ours are shown it.
//!
//! Streams show one thing said as often as it was said, each in its own time. So a sighting is of the oldest saying that
//! its stream has not shown yet, and new where there is none. Bounded: above [`ASIDES_MAX`] the oldest is forgotten.

use std::collections::VecDeque;

use super::ledger::Key;
use crate::ids::{ConnId, Time};

/// Things said that are remembered.
const ASIDES_MAX: usize = 64;
/// For how long: no two streams of a network are further apart, or a sighting is taken for another saying.
const KEEP_MS: u64 = 60_000;

/// The memory of one channel.
#[derive(Debug, Default)]
pub struct Asides(VecDeque<Aside>);

/// One saying.
#[derive(Debug)]
struct Aside {
    key: Key,
    since: Time,
    /// The streams that have shown it.
    shown: Vec<ConnId>,
}

impl Asides {
    /// A stream shows this. True when it is to be relayed.
    pub fn is_new(&mut self, now: Time, conn: ConnId, key: Key) -> bool {
        while self.0.front().is_some_and(|aside| now.since_ms(aside.since) >= KEEP_MS) {
            self.0.pop_front();
        }
        if let Some(aside) = self.0.iter_mut().find(|aside| aside.key == key && !aside.shown.contains(&conn))
        {
            aside.shown.push(conn);
            return false;
        }
        if self.0.len() >= ASIDES_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Aside { key, since: now, shown: vec![conn] });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PuppetId;

    fn conn(puppet: u32) -> ConnId {
        ConnId { puppet: PuppetId(puppet), generation: 1 }
    }

    fn key(text: &str) -> Key {
        Key::MsgId(text.into())
    }

    #[test]
    fn one_thing_said_is_new_once_and_twice_said_twice() {
        let mut asides = Asides::default();
        let shown = [(1, "hi"), (2, "hi"), (1, "hi"), (1, "ho"), (2, "ho"), (3, "hi"), (2, "hi"), (3, "hi")];
        let news = shown.map(|(by, text)| asides.is_new(Time(1), conn(by), key(text)));
        assert_eq!(news, [true, false, true, true, false, false, false, false]);
    }

    #[test]
    fn a_saying_is_remembered_for_its_own_time() {
        let mut asides = Asides::default();
        assert!(asides.is_new(Time(0), conn(1), key("hi")));
        assert!(asides.is_new(Time(KEEP_MS - 1), conn(1), key("hi")), "said again");
        assert!(!asides.is_new(Time(KEEP_MS + 1), conn(2), key("hi")), "the second one");
    }

    #[test]
    fn what_was_said_long_ago_is_forgotten_and_so_is_too_much() {
        let mut asides = Asides::default();
        assert!(asides.is_new(Time(0), conn(1), key("hi")));
        assert!(!asides.is_new(Time(KEEP_MS - 1), conn(2), key("hi")));
        assert!(asides.is_new(Time(KEEP_MS), conn(2), key("hi")));
        for number in 0..1000 {
            asides.is_new(Time(KEEP_MS), conn(1), key(&number.to_string()));
        }
        assert_eq!(asides.0.len(), ASIDES_MAX);
    }
}
