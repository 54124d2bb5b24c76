//! A keyed FIFO scheduler: many lanes, one item of each lane in hand at a time, fair between lanes.
//!
//! It holds and orders; it never runs anything, waits or reads a clock. Life of a lane:
//! ```text
//!          push             next              done (more waits)
//!  absent ------> ready ----------> busy ----------------------> ready
//!                   ^                 | done (nothing waits) --> absent
//!                   |  wake           | retry
//!                   +---- parked <----+
//! ```
//! A lane keeps the order of its items, also over a retry: the item goes back to the head and the lane is
//! parked, so nothing overtakes it. When a lane or the whole is full, `push` gives the item back and the
//! caller decides (refuse, or [`Lanes::drop_oldest`] and push again).

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// The scheduler. Items in hand count as held until [`done`](Self::done), so a retry always has its place.
#[derive(Debug)]
pub struct Lanes<K, V> {
    lanes: HashMap<K, Lane<V>>,
    /// Ready lanes in the order of their turns; each ready lane once, and no other.
    turns: VecDeque<K>,
    len: usize,
    lane_max: usize,
    total_max: usize,
}

#[derive(Debug)]
struct Lane<V> {
    waiting: VecDeque<V>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Waits for its turn; never empty.
    Ready,
    /// One item is in hand.
    Busy,
    /// Its head failed; it waits for `wake`. May be empty, when its items were dropped.
    Parked,
}

impl<V> Lane<V> {
    fn len(&self) -> usize {
        self.waiting.len() + usize::from(self.state == State::Busy)
    }
}

impl<K: Clone + Eq + Hash, V> Lanes<K, V> {
    /// No lane holds more than `lane_max` items, all together no more than `total_max`.
    pub fn new(lane_max: usize, total_max: usize) -> Self {
        Self { lanes: HashMap::new(), turns: VecDeque::new(), len: 0, lane_max, total_max }
    }

    /// Puts an item at the end of its lane; gives it back when the lane or the whole is full.
    pub fn push(&mut self, key: K, item: V) -> Result<(), V> {
        if self.len >= self.total_max || self.lane_len(&key) >= self.lane_max {
            return Err(item);
        }
        self.len += 1;
        match self.lanes.get_mut(&key) {
            Some(lane) => lane.waiting.push_back(item),
            None => {
                self.turns.push_back(key.clone());
                self.lanes.insert(key, Lane { waiting: VecDeque::from([item]), state: State::Ready });
            }
        }
        Ok(())
    }

    /// The head of the lane whose turn it is; that lane is busy until [`done`](Self::done) or
    /// [`retry`](Self::retry). `None` when no lane is ready.
    #[expect(clippy::should_implement_trait, reason = "an iterator would promise to be driven to its end")]
    pub fn next(&mut self) -> Option<(K, V)> {
        let key = self.turns.pop_front()?;
        let lane = self.lanes.get_mut(&key).expect("a lane with a turn exists");
        let item = lane.waiting.pop_front().expect("a ready lane is not empty");
        lane.state = State::Busy;
        Some((key, item))
    }

    /// The item in hand has reached its end: the lane gets a new turn, behind all others. Does nothing for a
    /// lane that is not busy.
    pub fn done(&mut self, key: &K) {
        if self.state(key) == Some(State::Busy) {
            self.len -= 1;
            self.make_ready(key);
        }
    }

    /// The item in hand must be tried again: it becomes the head, and the lane is parked until
    /// [`wake`](Self::wake). For a lane that is not busy the item is given back.
    pub fn retry(&mut self, key: &K, item: V) -> Result<(), V> {
        match self.lanes.get_mut(key) {
            Some(lane) if lane.state == State::Busy => {
                lane.waiting.push_front(item);
                lane.state = State::Parked;
                Ok(())
            }
            Some(_) | None => Err(item),
        }
    }

    /// A parked lane gets a turn again, behind all others. Does nothing for any other lane.
    pub fn wake(&mut self, key: &K) {
        if self.state(key) == Some(State::Parked) {
            self.make_ready(key);
        }
    }

    /// Takes the oldest waiting item out of a lane, never the one in hand. A parked lane stays parked.
    pub fn drop_oldest(&mut self, key: &K) -> Option<V> {
        let lane = self.lanes.get_mut(key)?;
        let item = lane.waiting.pop_front()?;
        self.len -= 1;
        if lane.state == State::Ready && lane.waiting.is_empty() {
            self.lanes.remove(key);
            self.turns.retain(|turn| turn != key);
        }
        Some(item)
    }

    /// Items held: waiting, parked and in hand.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when nothing waits and nothing is in hand.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Items held for one key: waiting, parked and in hand.
    pub fn lane_len(&self, key: &K) -> usize {
        self.lanes.get(key).map_or(0, Lane::len)
    }

    /// Lanes that exist: those that hold something, and those that are parked.
    pub fn lane_count(&self) -> usize {
        self.lanes.len()
    }

    fn state(&self, key: &K) -> Option<State> {
        self.lanes.get(key).map(|lane| lane.state)
    }

    /// Gives a lane its turn, or lets it vanish when nothing waits in it.
    fn make_ready(&mut self, key: &K) {
        let Some(lane) = self.lanes.get_mut(key) else { return };
        if lane.waiting.is_empty() {
            self.lanes.remove(key);
        } else {
            lane.state = State::Ready;
            self.turns.push_back(key.clone());
        }
    }
}
