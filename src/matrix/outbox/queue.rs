//! The order of things to say: one lane per room, their retries, and what was lost when too much waited.
//!
//! Pure: time comes in as a parameter. When a room has [`LANE_MAX`] things waiting, its oldest line goes and is
//! counted; once the lane has run empty, one notice tells the count. A mark goes as a line does, but the room is not
//! told of it. Kicks protect what is said from those who may not read it: they have places of their own, which nothing that is
//! said can take. Behind one that is refused less may wait, see [`bars`](super::bars).
//!
//! In a room that is behind, lines of one person in a row become one event. Only lines of this run that nobody has tried
//! to send: what may be with the homeserver under its own transaction must never be said under another.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::Job;
use super::bars::Bars;
use super::work::{Attempt, Joined, Missing, Rule, Work};
use crate::bridge::effect::Relay;
use crate::bridge::input::BodyKind;
use crate::ids::{RoomId, UserId};
use crate::lanes::Lanes;

/// Things that may wait for one room; above it the oldest line goes, and the room is told how many went.
pub const LANE_MAX: usize = 10_000;

/// Things that may wait over all rooms, about 100 MB; above it each new line pushes out the oldest of its room.
pub const TOTAL_MAX: usize = 200_000;

/// From so many things waiting for a room on, its lines are joined.
pub const BEHIND_MIN: usize = 10;
/// Lines of one event, and bytes of their text, at most.
pub const JOIN_LINES_MAX: usize = 20;
const JOIN_BYTES_MAX: usize = 8_192;

/// Kicks that are passed over in search of a line to drop.
const KICKS_SPARED_MAX: usize = 16;

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

pub(super) struct Queue {
    lanes: Lanes<RoomId, Work>,
    /// When parked lanes wake: exactly one entry for each.
    alarms: BinaryHeap<Reverse<(Instant, RoomId)>>,
    rooms: HashMap<RoomId, Trouble>,
    notices: u64,
    pub(super) bars: Bars,
}

/// What is not well in a room; an entry lives until something succeeds there and nothing is left to tell.
#[derive(Default)]
struct Trouble {
    /// Attempts in a row that ended in `Again`.
    failures: u32,
    missed: u64,
    left_behind: u64,
}

impl Queue {
    pub(super) fn new(lane_max: usize, total_max: usize) -> Self {
        Self {
            lanes: Lanes::new(lane_max, total_max),
            alarms: BinaryHeap::new(),
            rooms: HashMap::new(),
            notices: 0,
            bars: Bars::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// True when nothing waits and nothing is in hand for a room.
    pub(super) fn is_quiet(&self, room: &RoomId) -> bool {
        self.lanes.lane_len(room) == 0
    }

    /// True when so much waits for a room that its lines are joined.
    pub(super) fn is_behind(&self, room: &RoomId) -> bool {
        self.lanes.lane_len(room) > BEHIND_MIN
    }

    /// Lanes that wait for their time.
    pub(super) fn parked(&self) -> usize {
        self.alarms.len()
    }

    /// Things that wait behind a removal that the homeserver refuses.
    pub(super) fn withheld(&self) -> usize {
        self.bars.rooms().map(|room| self.lanes.lane_len(room).saturating_sub(1)).sum()
    }

    /// Somebody need not be removed any more. `true` when what waits behind that goes on now.
    pub(super) fn pardon(&mut self, room: &RoomId, user: &UserId) -> bool {
        let is_barring = self.bars.pardon(room, user);
        is_barring && self.wake_now(room)
    }

    /// A removal that was refused in this room is tried now. `true` when there is one.
    pub(super) fn hasten(&mut self, room: &RoomId) -> bool {
        self.bars.place(room).is_some() && self.wake_now(room)
    }

    fn wake_now(&mut self, room: &RoomId) -> bool {
        self.alarms.retain(|Reverse((_, other))| other != room);
        self.lanes.wake(room);
        true
    }

    /// Adds work at the end of its room's lane. Returns what had to go for it: a line, a mark, or lines that were one event.
    pub(super) fn push(&mut self, room: &RoomId, work: Work) -> Vec<Job> {
        if let Work::Fresh(Job::Kick(removal)) = &work {
            if !self.bars.has_place() {
                return work.into_jobs();
            }
            self.bars.begin(&removal.room, &removal.user, removal.meanwhile);
            self.lanes.push_beyond(room.clone(), work);
            return Vec::new();
        }
        let mut left_out = Vec::new();
        let most = self.bars.place(room).filter(|_| !work.is_leaving());
        while most.is_some_and(|most| self.lanes.lane_len(room) > most) {
            let gone = self.make_place(room);
            if gone.is_empty() {
                break;
            }
            left_out.extend(gone);
        }
        if most.is_some_and(|most| self.lanes.lane_len(room) > most) {
            left_out.extend(work.into_jobs());
        } else if let Err(work) = self.lanes.push(room.clone(), work) {
            left_out.extend(self.make_place(room));
            if let Err(work) = self.lanes.push(room.clone(), work) {
                left_out.extend(work.into_jobs());
            }
        }
        let missed = left_out.iter().filter(|job| matches!(job, Job::Say(_))).count() as u64;
        if missed > 0 {
            self.rooms.entry(room.clone()).or_default().missed += missed;
        }
        left_out
    }

    /// A room is replaced by another one while somebody was to be removed from it who must not read on: nobody has to be any
    /// more. Returns what was kept back there, which is not said to them after all.
    pub(super) fn vacate(&mut self, room: &RoomId, to: &RoomId) -> Vec<Job> {
        let people = self.bars.people(room);
        if people.is_empty() {
            return Vec::new();
        }
        let waiting: Vec<Work> = std::iter::from_fn(|| self.lanes.drop_oldest(room)).collect();
        let first = waiting.iter().position(Work::is_removal);
        // Else it is in hand.
        let before = first.unwrap_or(0);
        let mut kept = Vec::new();
        let mut left = Vec::new();
        for (at, work) in waiting.into_iter().enumerate() {
            match at < before || work.is_leaving() {
                true => kept.push(work),
                false => left.extend(work.into_jobs()),
            }
        }
        kept.into_iter().rev().for_each(|work| self.lanes.push_front(room, work));
        let lines = left.iter().filter(|job| matches!(job, Job::Say(_))).count() as u64;
        if lines > 0 {
            self.rooms.entry(to.clone()).or_default().left_behind += lines;
        }
        for user in &people {
            self.pardon(room, user);
        }
        left
    }

    /// Takes the oldest thing but kicks out of a lane.
    fn make_place(&mut self, room: &RoomId) -> Vec<Job> {
        let (spared, left_out) = self.take_oldest(room);
        // Where they were: what waits behind a removal is not said before it.
        for work in spared.into_iter().rev() {
            self.lanes.push_front(room, work);
        }
        left_out
    }

    /// As [`make_place`](Self::make_place), with the kicks before it, which are to be put back.
    fn take_oldest(&mut self, room: &RoomId) -> (Vec<Work>, Vec<Job>) {
        let mut spared = Vec::new();
        while spared.len() < KICKS_SPARED_MAX
            && let Some(work) = self.lanes.drop_oldest(room)
        {
            match work {
                Work::Fresh(Job::Kick(_) | Job::Leave { .. })
                | Work::Old(Job::Kick(_) | Job::Leave { .. }) => spared.push(work),
                Work::Fresh(_) | Work::Old(_) | Work::Joined(_) => return (spared, work.into_jobs()),
                // Not lost: what it would have told is told later.
                Work::Missed { lines, why, .. } => {
                    let trouble = self.rooms.entry(room.clone()).or_default();
                    match why {
                        Missing::TooMany => trouble.missed += lines,
                        Missing::LeftBehind => trouble.left_behind += lines,
                    }
                    return (spared, Vec::new());
                }
            }
        }
        (spared, Vec::new())
    }

    /// The next thing to do, in a room where nothing else is being done.
    pub(super) fn next(&mut self) -> Option<(RoomId, Work)> {
        let (room, work) = self.lanes.next()?;
        let is_behind = self.is_behind(&room);
        // Where the last attempt was in vain, this is what was tried.
        let is_tried = self.rooms.get(&room).is_some_and(|trouble| trouble.failures > 0);
        let work = match work {
            Work::Fresh(Job::Say(relay)) if is_behind && !is_tried => self.join(&room, relay),
            work => work,
        };
        Some((room, work))
    }

    /// Joins what waits behind a line to it, as far as it goes.
    fn join(&mut self, room: &RoomId, first: Relay) -> Work {
        let mut bytes = size_of(&first);
        let mut relays = vec![first];
        while relays.len() < JOIN_LINES_MAX {
            let goes_along = |work: &Work| match work {
                Work::Fresh(Job::Say(relay)) => {
                    bytes += size_of(relay);
                    bytes <= JOIN_BYTES_MAX && joins(relay, &relays[0])
                }
                Work::Fresh(_) | Work::Old(_) | Work::Joined(_) | Work::Missed { .. } => false,
            };
            match self.lanes.take_next(room, goes_along) {
                Some(Work::Fresh(Job::Say(relay))) => relays.push(relay),
                Some(_) | None => break,
            }
        }
        match relays.len() {
            1 => Work::Fresh(Job::Say(relays.remove(0))),
            _ => Work::Joined(Joined { first: relays[0].seq, relays, rule: Rule::Wanted }),
        }
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
            Attempt::Apart(mut relays) => {
                let first = relays.remove(0);
                for relay in relays.into_iter().rev() {
                    // A lane with something in hand takes it back.
                    let _ = self.lanes.put_back(room, Work::Old(Job::Say(relay)));
                }
                Some(Work::Old(Job::Say(first)))
            }
            Attempt::Again(Work::Fresh(Job::Kick(removal)), _)
                if self.bars.is_pardoned(&removal.room, &removal.user) =>
            {
                self.bars.end(&removal.room, &removal.user);
                self.over(room)
            }
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
            let (lines, why) = match trouble.missed {
                0 => (&mut trouble.left_behind, Missing::LeftBehind),
                _ => (&mut trouble.missed, Missing::TooMany),
            };
            if last && *lines > 0 {
                self.notices += 1;
                return Some(Work::Missed { lines: std::mem::take(lines), notice: self.notices, why });
            }
            if *lines == 0 {
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

/// Bytes of a line's text, in both forms.
fn size_of(relay: &Relay) -> usize {
    relay.text.len() + relay.html.as_ref().map_or(0, String::len)
}

/// True when a line may be part of one event with another that was said before it.
fn joins(relay: &Relay, first: &Relay) -> bool {
    let is_talk = matches!(relay.kind, BodyKind::Text | BodyKind::Notice);
    is_talk && relay.kind == first.kind && relay.speaker == first.speaker && relay.about.is_none()
}

#[cfg(test)]
mod tests {
    use super::super::bars::{BARRED_MAX, REMOVALS_MAX, WITHHELD_MAX};
    use super::super::log::Removal;
    use super::*;
    use crate::bridge::effect::{Ghost, Mark, Meanwhile, Sign, Speaker};
    use crate::ids::{EventId, RelaySeq};

    fn room() -> RoomId {
        RoomId::new("!r").unwrap()
    }

    fn line(seq: i64) -> Relay {
        Relay::plain(RelaySeq(seq), room(), Speaker::Bot, BodyKind::Text, "x".into())
    }

    fn say(seq: i64) -> Job {
        Job::Say(line(seq))
    }

    fn mark(seq: i64) -> Job {
        let (speaker, event) = (Speaker::Bot, EventId::new("$e").unwrap());
        Job::Mark(Mark {
            seq: RelaySeq(seq),
            room: room(),
            speaker,
            event,
            sign: Sign::Reaction("❌".into()),
        })
    }

    fn kick() -> Job {
        let (asker, _) = tokio::sync::mpsc::channel(1);
        let user = UserId::new("@a:b").unwrap();
        Job::Kick(Removal {
            room: room(),
            user,
            reason: "r".into(),
            meanwhile: Meanwhile::Withheld,
            asker,
            refusals: 0,
        })
    }

    fn push(queue: &mut Queue, job: Job) -> Vec<Job> {
        queue.push(&room(), Work::Fresh(job))
    }

    fn shown(work: &Work) -> String {
        match work {
            Work::Fresh(Job::Say(relay)) | Work::Old(Job::Say(relay)) => relay.seq.0.to_string(),
            Work::Fresh(Job::Mark(mark)) | Work::Old(Job::Mark(mark)) => format!("mark {}", mark.seq.0),
            Work::Fresh(Job::Redact(redact)) | Work::Old(Job::Redact(redact)) => {
                format!("redact {}", redact.seq.0)
            }
            Work::Fresh(Job::Kick(_)) | Work::Old(Job::Kick(_)) => "kick".into(),
            Work::Fresh(Job::Leave { .. }) | Work::Old(Job::Leave { .. }) => "leave".into(),
            Work::Joined(joined) => {
                let seqs = joined.relays.iter().map(|relay| relay.seq.0.to_string());
                format!("{} of {}", seqs.collect::<Vec<_>>().join("+"), joined.first.0)
            }
            Work::Missed { lines, .. } => format!("missed {lines}"),
        }
    }

    /// Does all there is to do.
    fn play(queue: &mut Queue) -> Vec<String> {
        let mut seen = Vec::new();
        while let Some((room, work)) = queue.next() {
            seen.push(shown(&work));
            if let Some(notice) = queue.settle(&room, Attempt::Over, Instant::now(), 0.0) {
                seen.push(shown(&notice));
                queue.settle(&room, Attempt::Over, Instant::now(), 0.0);
            }
        }
        seen
    }

    #[test]
    fn when_too_much_waits_the_oldest_lines_go_and_the_room_hears_how_many() {
        let mut queue = Queue::new(3, 100);
        let dropped: Vec<_> = (1..=5).flat_map(|seq| push(&mut queue, say(seq))).collect();
        assert_eq!(dropped, [say(1), say(2)]);
        assert_eq!(play(&mut queue), ["3", "4", "5", "missed 2"]);
        assert!(queue.len() == 0 && queue.rooms.is_empty());
    }

    #[test]
    fn marks_go_like_lines_and_nobody_hears_of_it() {
        let mut queue = Queue::new(3, 100);
        let pushed = [mark(1), say(2), say(3), say(4), mark(5)].map(|job| push(&mut queue, job));
        assert_eq!(pushed, [vec![], vec![], vec![], vec![mark(1)], vec![say(2)]]);
        assert_eq!(play(&mut queue), ["3", "4", "mark 5", "missed 1"]);
    }

    #[test]
    fn kicks_outlive_lines() {
        let mut queue = Queue::new(3, 100);
        let pushed = [kick(), say(1), say(2), say(3)].map(|job| push(&mut queue, job));
        assert_eq!(pushed, [vec![], vec![], vec![], vec![say(1)]]);
        assert_eq!(play(&mut queue), ["kick", "2", "3", "missed 1"]);
    }

    #[test]
    fn chat_takes_no_place_from_a_removal_in_a_room_that_is_full_nor_when_all_is() {
        let mut queue = Queue::new(3, 4);
        let other = RoomId::new("!other").unwrap();
        for seq in 1..=4 {
            let at = if seq == 4 { other.clone() } else { room() };
            queue.push(&at, Work::Fresh(Job::Say(Relay { room: at.clone(), ..line(seq) })));
        }
        let Job::Kick(removal) = kick() else { unreachable!("a removal") };
        assert_eq!(push(&mut queue, kick()), [], "behind a full lane");
        let empty = RoomId::new("!empty").unwrap();
        let removal = Removal { room: empty.clone(), ..removal };
        assert_eq!(queue.push(&empty, Work::Fresh(Job::Kick(removal))), [], "where nothing can give way");
        assert!(queue.bars.withholds(&empty) && queue.bars.withholds(&room()));
        assert_eq!(play(&mut queue).iter().filter(|seen| *seen == "kick").count(), 2);
    }

    #[test]
    fn removals_are_bounded_by_themselves() {
        let mut queue = Queue::new(3, 4);
        let Job::Kick(removal) = kick() else { unreachable!("a removal") };
        for n in 0..=REMOVALS_MAX {
            let user = UserId::new(&format!("@u{n}:s")).unwrap();
            let dropped = push(&mut queue, Job::Kick(Removal { user, ..removal.clone() }));
            assert_eq!(dropped.len(), usize::from(n == REMOVALS_MAX));
        }
    }

    #[test]
    fn a_room_that_is_replaced_holds_nothing_back_any_more_and_what_it_held_is_told_of_in_its_successor() {
        let mut queue = Queue::new(100, 100);
        let to = RoomId::new("!new").unwrap();
        for job in [say(1), kick(), say(2), mark(3)] {
            push(&mut queue, job);
        }
        assert_eq!(queue.vacate(&room(), &to), [say(2), mark(3)]);
        assert!(!queue.bars.withholds(&room()));
        queue.push(&to, Work::Fresh(Job::Say(Relay { room: to.clone(), ..line(4) })));
        assert_eq!(
            play(&mut queue),
            ["1", "4", "missed 1", "kick"],
            "the outbox leaves it out: it is pardoned"
        );
        assert_eq!(queue.vacate(&room(), &to), [], "nobody is to be removed");
    }

    #[test]
    fn a_room_that_is_replaced_while_its_removal_is_refused_goes_on_at_once() {
        let mut queue = Queue::new(100, 100);
        push(&mut queue, kick());
        let (at, work) = queue.next().expect("the removal");
        queue.bars.refused(&room(), &UserId::new("@a:b").unwrap());
        push(&mut queue, say(1));
        queue.settle(&at, Attempt::Again(work, Some(Duration::from_secs(600))), Instant::now(), 0.0);
        push(&mut queue, say(2));
        assert_eq!(queue.vacate(&room(), &RoomId::new("!new").unwrap()), [say(1), say(2)]);
        let (_, work) = queue.next().expect("it is not parked any more");
        assert_eq!(shown(&work), "kick");
    }

    #[test]
    fn behind_a_removal_that_is_refused_less_waits_and_in_one_room_too_many_nothing() {
        let is_refused = |queue: &mut Queue, room: &RoomId| {
            let Job::Kick(removal) = kick() else { unreachable!("a removal") };
            let user = removal.user.clone();
            queue.push(room, Work::Fresh(Job::Kick(Removal { room: room.clone(), ..removal })));
            queue.bars.refused(room, &user);
            user
        };
        let mut queue = Queue::new(10_000, 100_000);
        let user = is_refused(&mut queue, &room());
        let gone: Vec<Job> =
            (1..=WITHHELD_MAX as i64 + 2).flat_map(|seq| push(&mut queue, say(seq))).collect();
        assert_eq!((gone, queue.withheld()), (vec![say(1), say(2)], WITHHELD_MAX));
        for n in 1..BARRED_MAX {
            is_refused(&mut queue, &RoomId::new(&format!("!other{n}")).unwrap());
        }
        let last = RoomId::new("!last").unwrap();
        is_refused(&mut queue, &last);
        for seq in 1..=3 {
            let line = Relay { room: last.clone(), ..line(seq) };
            assert_eq!(queue.push(&last, Work::Fresh(Job::Say(line.clone()))), [Job::Say(line)]);
        }
        queue.bars.end(&last, &user);
        queue.bars.end(&room(), &user);
        let played = play(&mut queue);
        assert!(
            played.contains(&"missed 3".to_owned()) && played.contains(&"missed 2".to_owned()),
            "{played:?}"
        );
    }

    #[test]
    fn when_the_whole_is_full_a_room_without_lines_loses_the_new_one() {
        let mut queue = Queue::new(3, 1);
        push(&mut queue, say(1));
        queue.next();
        assert_eq!(push(&mut queue, say(2)), [say(2)]);
    }

    #[test]
    fn a_room_that_is_behind_gets_the_lines_of_one_person_as_one_event() {
        let mut queue = Queue::new(100, 100);
        for seq in 1..=9 {
            push(&mut queue, say(seq));
        }
        let other = Speaker::Ghost(Ghost { user: UserId::new("@g:s").unwrap(), display_name: "g".into() });
        let about = EventId::new("$e");
        push(&mut queue, Job::Say(Relay { speaker: other.clone(), ..line(10) }));
        push(&mut queue, Job::Say(Relay { speaker: other.clone(), kind: BodyKind::Notice, ..line(11) }));
        push(&mut queue, Job::Say(Relay { speaker: other, kind: BodyKind::Notice, ..line(12) }));
        push(&mut queue, say(13));
        push(&mut queue, mark(14));
        push(&mut queue, Job::Say(Relay { about, ..line(15) }));
        for seq in 16..=35 {
            push(&mut queue, say(seq));
        }
        let expected = [
            "1+2+3+4+5+6+7+8+9 of 1",
            "10",
            "11+12 of 11",
            "13",
            "mark 14",
            "15+16+17+18+19+20+21+22+23+24+25+26+27+28+29+30+31+32+33+34 of 15",
            "35",
        ];
        assert_eq!(play(&mut queue), expected);
    }

    #[test]
    fn nothing_long_is_joined_and_nothing_at_all_where_a_room_keeps_up() {
        let long = |seq: i64| Job::Say(Relay { text: "x".repeat(JOIN_BYTES_MAX / 2), ..line(seq) });
        let mut queue = Queue::new(100, 100);
        for seq in 1..=13 {
            push(&mut queue, long(seq));
        }
        let expected = ["1+2 of 1", "3+4 of 3", "5", "6", "7", "8", "9", "10", "11", "12", "13"];
        assert_eq!(play(&mut queue), expected);
    }

    #[test]
    fn what_may_have_been_tried_is_never_joined() {
        let mut queue = Queue::new(100, 100);
        queue.push(&room(), Work::Old(say(1)));
        queue.push(&room(), Work::Old(say(2)));
        for seq in 3..=14 {
            push(&mut queue, say(seq));
        }
        let mut seen = Vec::new();
        while let Some((room, work)) = queue.next() {
            seen.push(shown(&work));
            let again = seen.len() == 3;
            match again {
                true => {
                    queue.settle(&room, Attempt::Again(work, Some(Duration::ZERO)), Instant::now(), 0.0);
                    queue.ring(Instant::now());
                }
                false => assert!(queue.settle(&room, Attempt::Over, Instant::now(), 0.0).is_none()),
            }
        }
        let joined = "3+4+5+6+7+8+9+10+11+12+13+14 of 3";
        assert_eq!(seen, ["1", "2", joined, joined], "tried again as it was tried");
    }

    #[test]
    fn a_single_line_that_was_tried_stays_single() {
        let mut queue = Queue::new(100, 100);
        push(&mut queue, say(1));
        let (in_room, work) = queue.next().expect("a line");
        for seq in 2..=14 {
            push(&mut queue, say(seq));
        }
        queue.settle(&in_room, Attempt::Again(work, Some(Duration::ZERO)), Instant::now(), 0.0);
        queue.ring(Instant::now());
        assert_eq!(play(&mut queue), ["1", "2+3+4+5+6+7+8+9+10+11+12+13+14 of 2"]);
    }

    #[test]
    fn what_cannot_be_written_down_as_joined_is_said_alone_in_order() {
        let mut queue = Queue::new(100, 100);
        for seq in 1..=12 {
            push(&mut queue, say(seq));
        }
        let (in_room, work) = queue.next().expect("lines");
        let Work::Joined(joined) = work else { panic!("the room is behind") };
        let first = queue.settle(&in_room, Attempt::Apart(joined.relays), Instant::now(), 0.0);
        assert_eq!(first.as_ref().map(shown).as_deref(), Some("1"));
        assert_eq!(queue.len(), 12);
        queue.settle(&in_room, Attempt::Over, Instant::now(), 0.0);
        assert_eq!(play(&mut queue), (2..=12).map(|seq| seq.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn joined_lines_that_have_to_go_are_all_counted() {
        let mut queue = Queue::new(12, 100);
        for seq in 1..=12 {
            push(&mut queue, say(seq));
        }
        let (in_room, work) = queue.next().expect("lines");
        queue.settle(&in_room, Attempt::Again(work, Some(Duration::ZERO)), Instant::now(), 0.0);
        for seq in 13..=23 {
            assert_eq!(push(&mut queue, mark(seq)), []);
        }
        assert_eq!(push(&mut queue, mark(24)).len(), 12);
        queue.ring(Instant::now());
        assert_eq!(play(&mut queue).last().map(String::as_str), Some("missed 12"));
    }

    #[test]
    fn waits_double_up_to_half_a_minute_and_start_anew_after_a_success() {
        let mut queue = Queue::new(3, 100);
        let now = Instant::now();
        push(&mut queue, say(1));
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
        push(&mut queue, say(2));
        let (room, work) = queue.next().expect("a line");
        queue.settle(&room, Attempt::Again(work, None), now, 0.0);
        assert_eq!(queue.next_alarm().map(|at| at - now), Some(Duration::from_millis(250)));
    }
}
