//! The order of things to say: one lane per room, their retries, and what was lost when too much waited.
//!
//! Pure: time comes in as a parameter. When a room has [`LANE_MAX`] things waiting, its oldest line goes and is
//! counted; once the lane has run empty, one notice tells the count. A mark goes as a line does, but the room is not
//! told of it. Kicks are not dropped for lines: they protect what is said from those who may not read it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::Job;
use crate::bridge::effect::{Mark, Relay};
use crate::ids::RoomId;
use crate::lanes::Lanes;

/// Things that may wait for one room; above it the oldest line goes, and the room is told how many went.
pub const LANE_MAX: usize = 10_000;

/// Things that may wait over all rooms, about 100 MB; above it each new line pushes out the oldest of its room.
pub const TOTAL_MAX: usize = 200_000;

/// Kicks that are passed over in search of a line to drop.
const KICKS_SPARED_MAX: usize = 16;

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// One thing in a lane.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Job(Job),
    /// The notice that so many lines were dropped; the number makes its transaction id.
    Missed {
        lines: u64,
        notice: u64,
    },
}

/// How an attempt ended.
pub(super) enum Attempt {
    /// Done, or failed for good: the next.
    Over,
    /// To be tried again, after the time the homeserver named or else the room's own.
    Again(Work, Option<Duration>),
}

pub(super) struct Queue {
    lanes: Lanes<RoomId, Work>,
    /// When parked lanes wake: exactly one entry for each.
    alarms: BinaryHeap<Reverse<(Instant, RoomId)>>,
    rooms: HashMap<RoomId, Trouble>,
    notices: u64,
}

/// What is not well in a room; an entry lives until something succeeds there and nothing is left to tell.
#[derive(Default)]
struct Trouble {
    /// Attempts in a row that ended in `Again`.
    failures: u32,
    missed: u64,
}

impl Queue {
    pub(super) fn new(lane_max: usize, total_max: usize) -> Self {
        Self {
            lanes: Lanes::new(lane_max, total_max),
            alarms: BinaryHeap::new(),
            rooms: HashMap::new(),
            notices: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Lanes that wait for their time.
    pub(super) fn parked(&self) -> usize {
        self.alarms.len()
    }

    /// Adds a job at the end of its room's lane. Returns what had to go for it: at most one line or mark.
    pub(super) fn push(&mut self, job: Job) -> Option<Job> {
        let room = job.room().clone();
        let Err(work) = self.lanes.push(room.clone(), Work::Job(job)) else { return None };
        let (spared, dropped) = self.make_place(&room);
        let mut left_out = dropped;
        for work in spared.into_iter().chain([work]) {
            if let Err(Work::Job(job)) = self.lanes.push(room.clone(), work) {
                left_out = Some(job);
            }
        }
        if matches!(left_out, Some(Job::Say(_))) {
            self.rooms.entry(room).or_default().missed += 1;
        }
        left_out
    }

    /// Takes the oldest line or mark out of a lane, and the kicks before it, which are to be put back.
    fn make_place(&mut self, room: &RoomId) -> (Vec<Work>, Option<Job>) {
        let mut spared = Vec::new();
        while spared.len() < KICKS_SPARED_MAX
            && let Some(work) = self.lanes.drop_oldest(room)
        {
            match work {
                Work::Job(job @ (Job::Say(_) | Job::Mark(_))) => return (spared, Some(job)),
                Work::Job(Job::Kick { .. }) => spared.push(work),
                // Not lost: what it would have told is told later.
                Work::Missed { lines, .. } => {
                    self.rooms.entry(room.clone()).or_default().missed += lines;
                    return (spared, None);
                }
            }
        }
        (spared, None)
    }

    /// The next thing to do, in a room where nothing else is being done.
    pub(super) fn next(&mut self) -> Option<(RoomId, Work)> {
        self.lanes.next()
    }

    /// An attempt in this room ended. Returns what the same worker does there next, before the lane moves on.
    /// `jitter` is between 0 and 1.
    pub(super) fn settle(
        &mut self,
        room: &RoomId,
        attempt: Attempt,
        now: Instant,
        jitter: f64,
    ) -> Option<Work> {
        match attempt {
            Attempt::Over => self.over(room),
            Attempt::Again(work, named) => {
                let trouble = self.rooms.entry(room.clone()).or_default();
                let wait = named.unwrap_or_else(|| backoff(trouble.failures, jitter));
                trouble.failures = trouble.failures.saturating_add(1);
                if self.lanes.retry(room, work).is_ok() {
                    self.alarms.push(Reverse((now + wait, room.clone())));
                }
                None
            }
        }
    }

    fn over(&mut self, room: &RoomId) -> Option<Work> {
        let last = self.lanes.lane_len(room) <= 1;
        if let Some(trouble) = self.rooms.get_mut(room) {
            trouble.failures = 0;
            if last && trouble.missed > 0 {
                self.notices += 1;
                return Some(Work::Missed {
                    lines: std::mem::take(&mut trouble.missed),
                    notice: self.notices,
                });
            }
            if trouble.missed == 0 {
                self.rooms.remove(room);
            }
        }
        self.lanes.done(room);
        None
    }

    /// When the first parked lane wakes.
    pub(super) fn next_alarm(&self) -> Option<Instant> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    /// Gives turns to the lanes whose time has come. Returns how many.
    pub(super) fn ring(&mut self, now: Instant) -> usize {
        let mut woken = 0;
        while let Some(Reverse((at, _))) = self.alarms.peek()
            && *at <= now
        {
            if let Some(Reverse((_, room))) = self.alarms.pop() {
                self.lanes.wake(&room);
                woken += 1;
            }
        }
        woken
    }
}

/// Half a second, doubled for each failure before, at most 30 s; of that, between half and all.
fn backoff(failures: u32, jitter: f64) -> Duration {
    let full = BACKOFF_MIN.saturating_mul(1 << failures.min(10)).min(BACKOFF_MAX);
    full.mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

impl Job {
    /// The room it is for.
    pub fn room(&self) -> &RoomId {
        match self {
            Self::Say(Relay { room, .. }) | Self::Mark(Mark { room, .. }) | Self::Kick { room, .. } => room,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::effect::{Sign, Speaker};
    use crate::bridge::input::BodyKind;
    use crate::ids::{EventId, RelaySeq, UserId};

    fn say(seq: i64) -> Job {
        Job::Say(Relay {
            seq: RelaySeq(seq),
            room: RoomId::new("!r").unwrap(),
            speaker: Speaker::Bot,
            kind: BodyKind::Text,
            text: "x".into(),
            about: None,
        })
    }

    fn mark(seq: i64) -> Job {
        let (room, event) = (RoomId::new("!r").unwrap(), EventId::new("$e").unwrap());
        Job::Mark(Mark { seq: RelaySeq(seq), room, event, sign: Sign::Reaction("❌".into()) })
    }

    fn kick() -> Job {
        Job::Kick { room: RoomId::new("!r").unwrap(), user: UserId::new("@a:b").unwrap(), reason: "r".into() }
    }

    fn shown(work: &Work) -> String {
        match work {
            Work::Job(Job::Say(relay)) => relay.seq.0.to_string(),
            Work::Job(Job::Mark(mark)) => format!("mark {}", mark.seq.0),
            Work::Job(Job::Kick { .. }) => "kick".into(),
            Work::Missed { lines, .. } => format!("missed {lines}"),
        }
    }

    #[test]
    fn when_too_much_waits_the_oldest_lines_go_and_the_room_hears_how_many() {
        let mut queue = Queue::new(3, 100);
        let now = Instant::now();
        let dropped: Vec<_> = (1..=5).filter_map(|seq| queue.push(say(seq))).collect();
        assert_eq!(dropped, [say(1), say(2)]);
        let mut seen = Vec::new();
        let (room, mut work) = queue.next().expect("a line");
        loop {
            seen.push(shown(&work));
            work = match queue.settle(&room, Attempt::Over, now, 0.0) {
                Some(work) => work,
                None => match queue.next() {
                    Some((_, work)) => work,
                    None => break,
                },
            };
        }
        assert_eq!(seen, ["3", "4", "5", "missed 2"]);
        assert!(queue.len() == 0 && queue.rooms.is_empty());
    }

    #[test]
    fn marks_go_like_lines_and_nobody_hears_of_it() {
        let mut queue = Queue::new(3, 100);
        let pushed = [mark(1), say(2), say(3), say(4), mark(5)].map(|job| queue.push(job));
        assert_eq!(pushed, [None, None, None, Some(mark(1)), Some(say(2))]);
        let mut seen = Vec::new();
        while let Some((room, work)) = queue.next() {
            seen.push(shown(&work));
            if let Some(notice) = queue.settle(&room, Attempt::Over, Instant::now(), 0.0) {
                seen.push(shown(&notice));
                queue.settle(&room, Attempt::Over, Instant::now(), 0.0);
            }
        }
        assert_eq!(seen, ["3", "4", "mark 5", "missed 1"]);
    }

    #[test]
    fn kicks_outlive_lines() {
        let mut queue = Queue::new(3, 100);
        assert_eq!(
            [kick(), say(1), say(2), say(3)].map(|job| queue.push(job)),
            [None, None, None, Some(say(1))]
        );
        let mut seen = Vec::new();
        while let Some((room, work)) = queue.next() {
            seen.push(shown(&work));
            if let Some(notice) = queue.settle(&room, Attempt::Over, Instant::now(), 0.0) {
                seen.push(shown(&notice));
                queue.settle(&room, Attempt::Over, Instant::now(), 0.0);
            }
        }
        assert_eq!(seen, ["2", "kick", "3", "missed 1"]);
    }

    #[test]
    fn when_the_whole_is_full_a_room_without_lines_loses_the_new_one() {
        let mut queue = Queue::new(3, 1);
        queue.push(say(1));
        queue.next();
        assert_eq!(queue.push(say(2)), Some(say(2)));
    }

    #[test]
    fn waits_double_up_to_half_a_minute_and_start_anew_after_a_success() {
        let mut queue = Queue::new(3, 100);
        let now = Instant::now();
        queue.push(say(1));
        let mut waits = Vec::new();
        for _ in 0..9 {
            let (room, work) = queue.next().expect("awake");
            queue.settle(&room, Attempt::Again(work, None), now, 1.0);
            let at = queue.next_alarm().expect("parked");
            waits.push((at - now).as_millis());
            assert_eq!((queue.ring(at - Duration::from_millis(1)), queue.parked()), (0, 1));
            assert_eq!((queue.ring(at), queue.parked()), (1, 0));
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
        let (room, _) = queue.next().expect("awake");
        queue.settle(&room, Attempt::Over, now, 1.0);
        queue.push(say(2));
        let (room, work) = queue.next().expect("a line");
        queue.settle(&room, Attempt::Again(work, None), now, 0.0);
        assert_eq!(queue.next_alarm().map(|at| at - now), Some(Duration::from_millis(250)));
    }
}
