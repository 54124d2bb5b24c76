//! Which rooms may lack something that was said, and what that means for the intake.
//!
//! ```text
//!            the homeserver may have restarted          it answers: every room may have a gap
//!   whole ─────────────────────────────────▶ suspected ─────────────────────────────────────▶ gaps
//!     ▲                                          ▲                                              │
//!     └──────────────────────────────────────────┼───────────── the last room is read back ─────┘
//! ```
//!
//! While a room may lack something, a transaction with events of that room is refused: what it lacks is older and
//! has to come first. The homeserver keeps a refused transaction on its disk. The refusing has an end,
//! [`REFUSE_MAX`]. Locks are held for a few steps only, and nothing here waits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::strands::Strands;
use crate::ids::{RoomId, Time};

/// How long transactions are refused for the sake of order. Then they are taken, whatever their rooms lack.
pub const REFUSE_MAX: Duration = Duration::from_secs(30);
/// A last look at the homeserver that is older than this says nothing about now.
pub const BLIND_MAX: Duration = Duration::from_secs(30);

/// So much older than the last good look may be what was lost: a transaction that is not answered holds up those
/// behind it for a minute at most.
pub const MARGIN_MS: u64 = 2 * 60 * 1000;

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    Pass,
    /// Something older may be missing: not yet.
    Wait,
}

/// A room to be read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    pub room: RoomId,
    /// What was said before is known.
    pub floor: Time,
    /// When the room became ours: what was said before is nobody's business.
    pub since: Time,
}

/// How reading a room back ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// So many events had been missed.
    Read(usize),
    /// It could not be read.
    GivenUp,
}

/// What was found once all rooms are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub rooms: usize,
    pub missed: usize,
    pub unread: usize,
}

/// The register; shared by the intake and whoever watches and heals.
pub struct Gaps {
    state: Mutex<State>,
    /// There is something to read.
    pub work: Notify,
    /// The homeserver should be looked at now.
    pub look: Notify,
    /// What was refused may come now.
    pub wake: Notify,
    /// What the homeserver itself may have left lying.
    pub strands: Strands,
}

struct State {
    /// The homeserver may have restarted, and was not seen since.
    suspected: bool,
    rooms: HashMap<RoomId, Open>,
    /// Rooms that a refused transaction waits for, then the others.
    hurried: VecDeque<RoomId>,
    queue: VecDeque<RoomId>,
    /// Rooms of refused transactions that are not read yet.
    wanted: HashSet<RoomId>,
    refusing_since: Option<Instant>,
    /// Refused for long enough: everything passes until no gap is left.
    lets_through: bool,
    /// A transaction was refused and nothing said lately was taken since.
    is_behind: bool,
    looked: Instant,
    /// Everything said until then has come, or the homeserver keeps it for us.
    good_until: Time,
    summary: Summary,
}

struct Open {
    floor: Time,
    since: Time,
    is_read: bool,
    /// Suspected anew while it was being read.
    again: bool,
}

impl Gaps {
    /// Suspicion at the start: whatever happened to the homeserver since `good_until`, nobody watched.
    pub fn new(good_until: Time) -> Self {
        let state = State {
            suspected: true,
            rooms: HashMap::new(),
            hurried: VecDeque::new(),
            queue: VecDeque::new(),
            wanted: HashSet::new(),
            refusing_since: None,
            lets_through: false,
            is_behind: false,
            looked: Instant::now(),
            good_until,
            summary: Summary::default(),
        };
        Self {
            state: Mutex::new(state),
            work: Notify::new(),
            look: Notify::new(),
            wake: Notify::new(),
            strands: Strands::begin(),
        }
    }

    /// Whether a transaction with events of these rooms may be taken; only rooms that have a portal count.
    pub fn admit<'a>(&self, rooms: impl Iterator<Item = &'a RoomId>) -> Admission {
        let mut state = self.state();
        let is_blind = state.looked.elapsed() > BLIND_MAX;
        let lacks = |room: &&RoomId| state.suspected || is_blind || state.rooms.contains_key(*room);
        let lacking: Vec<RoomId> = rooms.filter(lacks).cloned().collect();
        if lacking.is_empty() || state.lets_through {
            state.refusing_since = None;
            return Admission::Pass;
        }
        if is_blind {
            self.look.notify_one();
        }
        let refusing = *state.refusing_since.get_or_insert_with(Instant::now);
        if refusing.elapsed() > REFUSE_MAX {
            let rooms = state.rooms.len();
            tracing::warn!(
                rooms,
                "rooms are not read back in time; events are taken again, what is missing may come out of order"
            );
            state.lets_through = true;
            state.refusing_since = None;
            return Admission::Pass;
        }
        state.is_behind = true;
        self.strands.troubled();
        for room in lacking {
            if state.rooms.contains_key(&room) && state.wanted.insert(room.clone()) {
                state.hurried.push_back(room);
                self.work.notify_one();
            }
        }
        Admission::Wait
    }

    /// A transaction was refused for a reason of the bridge's own.
    pub fn refused(&self) {
        self.state().is_behind = true;
        self.strands.troubled();
    }

    /// True when the homeserver may keep something back for us, because we refused it.
    pub fn is_behind(&self) -> bool {
        self.state().is_behind
    }

    /// What was just said has come: nothing older is kept by the homeserver.
    pub fn caught_up(&self) {
        self.state().is_behind = false;
    }

    /// True while a transaction that was refused for the sake of order has not come again.
    pub fn is_refusing(&self) -> bool {
        self.state().refusing_since.is_some()
    }

    /// The homeserver may have restarted. True when that is news.
    pub fn suspect(&self) -> bool {
        self.strands.restarted();
        !std::mem::replace(&mut self.state().suspected, true)
    }

    /// A room to be read for what was stranded there; `good_until` helps where nothing of it was heard yet.
    pub fn stranded(&self, room: &RoomId, since: Time) -> Gap {
        let known = self.strands.known_until(room);
        let known = known.unwrap_or_else(|| Time(self.state().good_until.0.saturating_sub(MARGIN_MS)));
        Gap { room: room.clone(), floor: known.max(since), since }
    }

    /// The homeserver answers, and no suspicion came up meanwhile. Gives until when everything is known to have come.
    pub fn looked(&self, now: Time) -> Option<Time> {
        let mut state = self.state();
        state.looked = Instant::now();
        if state.is_whole() && !state.is_behind {
            state.good_until = now;
        }
        state.is_whole().then_some(state.good_until)
    }

    /// True when the homeserver may have restarted and its rooms were not listed since.
    pub fn is_suspected(&self) -> bool {
        self.state().suspected
    }

    /// The homeserver is back: these rooms, with the time they became ours, may lack something. The most important
    /// come first. Nothing from before `oldest` is looked for.
    pub fn open(&self, rooms: Vec<(RoomId, Time)>, margin_ms: u64, oldest: Time) {
        let mut state = self.state();
        state.suspected = false;
        state.looked = Instant::now();
        let known = Time(state.good_until.0.saturating_sub(margin_ms)).max(oldest);
        for (room, since) in rooms {
            match state.rooms.get_mut(&room) {
                Some(open) if open.is_read => open.again = true,
                Some(_) => {}
                None => {
                    let open = Open { floor: known.max(since), since, is_read: false, again: false };
                    state.rooms.insert(room.clone(), open);
                    state.queue.push_back(room);
                }
            }
        }
        self.work.notify_one();
    }

    /// The next room to read; rooms that somebody waits for come first.
    pub fn next(&self) -> Option<Gap> {
        let mut state = self.state();
        while let Some(room) = state.hurried.pop_front().or_else(|| state.queue.pop_front()) {
            if let Some(open) = state.rooms.get_mut(&room).filter(|open| !open.is_read) {
                open.is_read = true;
                return Some(Gap { room, floor: open.floor, since: open.since });
            }
        }
        None
    }

    /// A room was read, and what it lacked is in the inbox. Gives the summary with the last one.
    pub fn end(&self, room: &RoomId, end: End, now: Time) -> Option<Summary> {
        let mut state = self.state();
        state.summary.rooms += 1;
        match end {
            End::Read(missed) => state.summary.missed += missed,
            End::GivenUp => state.summary.unread += 1,
        }
        if let Some(open) = state.rooms.get_mut(room).filter(|open| open.again) {
            (open.again, open.is_read) = (false, false);
            state.hurried.push_back(room.clone());
            self.work.notify_one();
            return None;
        }
        state.rooms.remove(room);
        if state.wanted.remove(room) && state.wanted.is_empty() {
            self.wake.notify_one();
        }
        if !state.is_whole() {
            return None;
        }
        // Everything was read until now.
        (state.lets_through, state.is_behind) = (false, false);
        state.good_until = now;
        self.wake.notify_one();
        self.strands.whole();
        Some(std::mem::take(&mut state.summary))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_whole(&self) -> bool {
        !self.suspected && self.rooms.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000);

    fn room(name: &str) -> RoomId {
        RoomId::new(name).unwrap()
    }

    fn admit(gaps: &Gaps, names: &[&str]) -> Admission {
        let rooms: Vec<RoomId> = names.iter().map(|name| room(name)).collect();
        gaps.admit(rooms.iter())
    }

    /// Gaps in these rooms, all ours since the beginning of time.
    fn opened(names: &[&str]) -> Gaps {
        let gaps = Gaps::new(NOW);
        gaps.open(names.iter().map(|name| (room(name), Time(0))).collect(), 1_000, Time(0));
        gaps
    }

    fn next(gaps: &Gaps) -> String {
        gaps.next().map_or("-".to_owned(), |gap| gap.room.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_is_refused_until_it_is_read_and_the_others_are_not() {
        let gaps = opened(&["!a", "!b", "!c"]);
        assert_eq!(admit(&gaps, &["!elsewhere"]), Admission::Pass);
        assert_eq!(admit(&gaps, &["!elsewhere", "!c"]), Admission::Wait);
        assert_eq!([next(&gaps), next(&gaps)], ["!c", "!a"], "somebody waits for the third");
        assert_eq!(admit(&gaps, &["!c"]), Admission::Wait, "being read is not read");
        assert_eq!(gaps.end(&room("!c"), End::Read(2), NOW), None);
        assert_eq!(admit(&gaps, &["!c"]), Admission::Pass);
        assert_eq!(next(&gaps), "!b");
        gaps.end(&room("!a"), End::GivenUp, NOW);
        let summary = gaps.end(&room("!b"), End::Read(0), NOW);
        assert_eq!(summary, Some(Summary { rooms: 3, missed: 2, unread: 1 }));
        assert_eq!(next(&gaps), "-");
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_is_suspected_every_room_waits_and_not_for_ever() {
        let gaps = opened(&[]);
        gaps.looked(NOW);
        assert_eq!(admit(&gaps, &["!a"]), Admission::Pass);
        assert!(gaps.suspect() && !gaps.suspect(), "news once");
        assert_eq!(admit(&gaps, &["!a"]), Admission::Wait);
        assert!(gaps.is_refusing());
        tokio::time::advance(REFUSE_MAX + Duration::from_secs(1)).await;
        assert_eq!(admit(&gaps, &["!a"]), Admission::Pass);
        assert_eq!(admit(&gaps, &["!b"]), Admission::Pass, "nobody is refused any more");
        gaps.open(vec![(room("!a"), Time(0))], 0, Time(0));
        assert_eq!(admit(&gaps, &["!a"]), Admission::Pass);
        gaps.next();
        gaps.end(&room("!a"), End::Read(0), NOW);
        gaps.suspect();
        assert_eq!(admit(&gaps, &["!a"]), Admission::Wait, "the next time it counts again");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_not_looked_for_long_knows_nothing() {
        let gaps = opened(&[]);
        tokio::time::advance(BLIND_MAX + Duration::from_secs(1)).await;
        assert_eq!(admit(&gaps, &["!a"]), Admission::Wait);
        gaps.looked(NOW);
        assert_eq!(admit(&gaps, &["!a"]), Admission::Pass);
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_is_read_from_where_all_was_well_but_not_from_before_it_was_ours() {
        let gaps = opened(&[]);
        let floor = |since, oldest| {
            gaps.suspect();
            gaps.open(vec![(room("!a"), since)], 1_000, oldest);
            let gap = gaps.next().expect("a gap");
            gaps.end(&gap.room, End::Read(0), NOW);
            gap.floor
        };
        gaps.looked(NOW);
        assert_eq!(floor(Time(0), Time(0)), Time(999_000));
        assert_eq!(floor(Time(999_500), Time(0)), Time(999_500));
        assert_eq!(floor(Time(0), Time(999_800)), Time(999_800));
        // A refused transaction is kept by the homeserver, with all that follows it: those are older than the look.
        gaps.refused();
        gaps.looked(NOW.plus_ms(60_000));
        assert_eq!(floor(Time(0), Time(0)), Time(999_000));
        gaps.caught_up();
        gaps.looked(NOW.plus_ms(60_000));
        assert_eq!(floor(Time(0), Time(0)), Time(1_059_000));
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_that_is_suspected_while_it_is_read_is_read_again() {
        let gaps = opened(&["!a"]);
        let first = gaps.next().expect("a gap");
        gaps.suspect();
        assert_eq!(gaps.looked(NOW.plus_ms(9_000)), None, "not whole");
        gaps.open(vec![(room("!a"), Time(0))], 1_000, Time(0));
        assert_eq!(gaps.end(&first.room, End::Read(0), NOW), None);
        assert_eq!(admit(&gaps, &["!a"]), Admission::Wait);
        assert_eq!(gaps.next(), Some(first), "from where it began");
    }
}
