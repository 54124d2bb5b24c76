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
        self.push_beyond(key, item);
        Ok(())
    }

    /// As [`push`](Self::push), whether or not there is a place: for what the caller counts itself.
    pub fn push_beyond(&mut self, key: K, item: V) {
        self.len += 1;
        match self.lanes.get_mut(&key) {
            Some(lane) => lane.waiting.push_back(item),
            None => {
                self.turns.push_back(key.clone());
                self.lanes.insert(key, Lane { waiting: VecDeque::from([item]), state: State::Ready });
            }
        }
    }

    /// Puts back, before all that waits, what [`drop_oldest`](Self::drop_oldest) took: the last one first. It has its place.
    pub fn push_front(&mut self, key: &K, item: V) {
        self.len += 1;
        match self.lanes.get_mut(key) {
            Some(lane) => lane.waiting.push_front(item),
            None => {
                self.turns.push_back(key.clone());
                self.lanes.insert(key.clone(), Lane { waiting: VecDeque::from([item]), state: State::Ready });
            }
        }
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

    /// Takes the next item of a lane whose item in hand it joins, if it is one that `is_wanted`.
    pub fn take_next(&mut self, key: &K, is_wanted: impl FnOnce(&V) -> bool) -> Option<V> {
        let lane = self.lanes.get_mut(key).filter(|lane| lane.state == State::Busy)?;
        let item = lane.waiting.pop_front_if(|item| is_wanted(item))?;
        self.len -= 1;
        Some(item)
    }

    /// Gives an item back that was taken by [`take_next`](Self::take_next): the last one first. It has its place, even in
    /// a full lane. For a lane that is not busy the item is given back.
    pub fn put_back(&mut self, key: &K, item: V) -> Result<(), V> {
        match self.lanes.get_mut(key) {
            Some(lane) if lane.state == State::Busy => {
                lane.waiting.push_front(item);
                self.len += 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lanes_take_turns_and_a_busy_lane_waits() {
        let mut lanes = Lanes::new(10, 10);
        for item in [("a", 1), ("a", 2), ("b", 1), ("a", 3)] {
            lanes.push(item.0, item.1).unwrap();
        }
        assert_eq!((lanes.next(), lanes.next(), lanes.next()), (Some(("a", 1)), Some(("b", 1)), None));
        lanes.done(&"b");
        lanes.done(&"a");
        assert_eq!((lanes.next(), lanes.len(), lanes.lane_count()), (Some(("a", 2)), 2, 1));
    }

    #[test]
    fn a_retried_item_keeps_its_place_and_parks_only_its_own_lane() {
        let mut lanes = Lanes::new(10, 10);
        for item in [("a", 1), ("a", 2), ("b", 1)] {
            lanes.push(item.0, item.1).unwrap();
        }
        lanes.next().unwrap();
        lanes.retry(&"a", 1).unwrap();
        lanes.done(&"a");
        assert_eq!((lanes.next(), lanes.next()), (Some(("b", 1)), None));
        lanes.wake(&"a");
        lanes.wake(&"a");
        assert_eq!((lanes.next(), lanes.next()), (Some(("a", 1)), None));
        lanes.done(&"a");
        assert_eq!(lanes.next(), Some(("a", 2)));
        assert_eq!(lanes.retry(&"unknown", 9), Err(9));
    }

    #[test]
    fn what_is_taken_along_has_its_place_when_it_is_put_back() {
        let mut lanes = Lanes::new(3, 3);
        for item in [1, 2, 3] {
            lanes.push("a", item).unwrap();
        }
        assert_eq!(lanes.take_next(&"a", |_| true), None, "nothing is in hand");
        lanes.next().unwrap();
        assert_eq!(
            (lanes.take_next(&"a", |_| true), lanes.take_next(&"a", |item| *item > 3)),
            (Some(2), None)
        );
        assert_eq!(lanes.len(), 2);
        lanes.put_back(&"a", 2).unwrap();
        assert_eq!((lanes.len(), lanes.put_back(&"b", 9)), (3, Err(9)));
        lanes.done(&"a");
        assert_eq!(lanes.next(), Some(("a", 2)));
    }

    #[test]
    fn a_full_lane_can_give_up_its_oldest_and_stays_parked() {
        let mut lanes = Lanes::new(1, 10);
        lanes.push("a", 1).unwrap();
        assert_eq!(lanes.push("a", 2), Err(2));
        let (_, item) = lanes.next().unwrap();
        assert_eq!((lanes.push("a", 2), lanes.drop_oldest(&"a")), (Err(2), None));
        lanes.retry(&"a", item).unwrap();
        assert_eq!((lanes.drop_oldest(&"a"), lanes.is_empty(), lanes.lane_count()), (Some(1), true, 1));
        lanes.push("a", 2).unwrap();
        assert_eq!(lanes.next(), None);
        lanes.wake(&"a");
        assert_eq!(lanes.next(), Some(("a", 2)));
        lanes.done(&"a");
        assert_eq!((lanes.len(), lanes.lane_count()), (0, 0));
    }

    #[test]
    fn a_ready_lane_emptied_by_dropping_loses_its_turn() {
        let mut lanes = Lanes::new(5, 5);
        lanes.push("a", 1).unwrap();
        assert_eq!((lanes.drop_oldest(&"a"), lanes.lane_count()), (Some(1), 0));
        lanes.push("a", 2).unwrap();
        assert_eq!((lanes.next(), lanes.next()), (Some(("a", 2)), None));
    }

    /// One step of a driver: what it does, and to which lane.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push(u8),
        Next,
        Done(u8),
        Retry(u8),
        Wake(u8),
        Drop(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0_u8..4;
        prop_oneof![
            3 => key.clone().prop_map(Step::Push),
            3 => Just(Step::Next),
            2 => key.clone().prop_map(Step::Done),
            1 => key.clone().prop_map(Step::Retry),
            1 => key.clone().prop_map(Step::Wake),
            1 => key.prop_map(Step::Drop),
        ]
    }

    const LANE_MAX: usize = 5;
    const TOTAL_MAX: usize = 12;

    proptest! {
        #[test]
        fn against_plain_queues_order_bounds_and_turns_hold(steps in prop::collection::vec(step(), 0..200)) {
            let mut lanes = Lanes::new(LANE_MAX, TOTAL_MAX);
            // The model: a queue, the item in hand, and the parking sign of each key.
            let mut queues: [VecDeque<usize>; 4] = Default::default();
            let mut in_hand = [None; 4];
            let mut parked = [false; 4];
            let mut passed_over = [0; 4];
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Push(key) => {
                        let at = usize::from(key);
                        let held = queues[at].len() + usize::from(in_hand[at].is_some());
                        let room = held < LANE_MAX && lanes.len() < TOTAL_MAX;
                        prop_assert_eq!(lanes.push(key, number).is_ok(), room);
                        if room {
                            queues[at].push_back(number);
                        }
                    }
                    Step::Next => {
                        let free = |at: &usize| in_hand[*at].is_none() && !parked[*at];
                        let ready = |at: &usize| !queues[*at].is_empty() && free(at);
                        let ready: Vec<usize> = (0..4).filter(ready).collect();
                        let Some((key, item)) = lanes.next() else {
                            prop_assert!(ready.is_empty());
                            continue;
                        };
                        let at = usize::from(key);
                        prop_assert!(ready.contains(&at));
                        prop_assert_eq!(queues[at].pop_front(), Some(item));
                        in_hand[at] = Some(item);
                        // Fair: with four lanes, a ready one is passed over three times at most.
                        ready.iter().for_each(|&other| passed_over[other] += 1);
                        passed_over[at] = 0;
                        prop_assert!(passed_over.iter().all(|&times| times <= 3));
                    }
                    Step::Done(key) => {
                        lanes.done(&key);
                        in_hand[usize::from(key)] = None;
                    }
                    Step::Retry(key) => {
                        let at = usize::from(key);
                        let item = in_hand[at].take();
                        prop_assert_eq!(lanes.retry(&key, item.unwrap_or(number)).is_ok(), item.is_some());
                        if let Some(item) = item {
                            queues[at].push_front(item);
                            parked[at] = true;
                        }
                    }
                    Step::Wake(key) => {
                        lanes.wake(&key);
                        parked[usize::from(key)] = false;
                    }
                    Step::Drop(key) => {
                        let at = usize::from(key);
                        prop_assert_eq!(lanes.drop_oldest(&key), queues[at].pop_front());
                        if queues[at].is_empty() {
                            passed_over[at] = 0;
                        }
                    }
                }
                let held = queues.iter().map(VecDeque::len).sum::<usize>() + in_hand.iter().flatten().count();
                prop_assert_eq!(lanes.len(), held);
                let exists = |at: &usize| !queues[*at].is_empty() || in_hand[*at].is_some() || parked[*at];
                prop_assert_eq!(lanes.lane_count(), (0..4).filter(exists).count());
            }
        }
    }
}
