//! Whether the homeserver has left something lying that was said before what it sends now.
//!
//! When it ends an outage of ours, a Synapse hands over what it has kept until it finds nothing more, and then takes
//! us to be up. What is said between the two is *stranded*: written down as a transaction that nobody sends before
//! the next outage, when it would come behind what was said later. Transactions are numbered one by one, so a
//! number that is not the next is a sign. From then on every room is stale until it was read back: the intake
//! does that before it takes anything more of the room, and the healer soon after for the others. Where no further
//! transaction gives the sign, the rooms are read once an outage has been over for [`SETTLE`].
//!
//! A number is a reason to read, never one to take or to leave an event: numbers are shared with other application
//! services, begin anew and come twice. Nothing here waits but [`Strands::due`].

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::gaps::REFUSE_MAX;
use crate::ids::{RoomId, Time};

/// How long after the last transaction of an outage rooms are read for what was stranded at its end.
const SETTLE: Duration = Duration::from_secs(5);
/// How long every number that is not the next one counts, after a sign of an outage.
const AFTERMATH: Duration = Duration::from_secs(60);
/// At other times so many count: without an outage a number is missing where somebody else got it.
const CALM_MAX: u32 = 3;
/// And one more each time this has passed.
const CALM_EVERY: Duration = Duration::from_secs(3600);
/// How much older than the newest event known of a room one may be that became part of it later, in ms.
const LATE_MS: u64 = 30_000;

/// Whether to try once more to read a room that a transaction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    Left,
    Gone,
}

/// The register of numbers and of what is known of rooms.
pub struct Strands {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    /// The number of the last transaction that was taken.
    last: Option<u64>,
    /// Rooms that were not read since are stale: they may lack something.
    stale_since: Option<Instant>,
    rooms: HashMap<RoomId, Known>,
    aftermath: Instant,
    /// There was an outage, and the rooms were not read since its end.
    is_unsettled: bool,
    /// When they are to be read, if nothing more comes before.
    settle_at: Option<Instant>,
    /// When stale rooms are to be read at the latest.
    sweep_at: Option<Instant>,
    /// Since when a transaction waits for a room that cannot be read.
    unreadable: Option<Instant>,
    calm: u32,
    calm_since: Instant,
}

/// What is known of a room.
#[derive(Default)]
struct Known {
    /// When it was last read, the beginning of it.
    read: Option<Instant>,
    /// The newest event of the homeserver's own users, by its clock.
    newest: Time,
}

impl Strands {
    /// Begins unsettled: before us there may have been an outage.
    pub fn begin() -> Self {
        let now = Instant::now();
        let state = State {
            last: None,
            stale_since: None,
            rooms: HashMap::new(),
            aftermath: now + AFTERMATH,
            is_unsettled: true,
            settle_at: None,
            sweep_at: None,
            unreadable: None,
            calm: CALM_MAX,
            calm_since: now,
        };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    /// The homeserver may be another process, which counts as it likes.
    pub fn restarted(&self) {
        let mut state = self.state();
        state.last = None;
        state.trouble();
    }

    /// A transaction was refused, or came again: the homeserver takes us to be down.
    pub fn troubled(&self) {
        self.state().trouble();
    }

    /// Every room was read back after a restart.
    pub fn whole(&self) {
        let mut state = self.state();
        state.trouble();
        state.settle_at = Some(Instant::now() + SETTLE);
        self.changed.notify_one();
    }

    /// A transaction is there, and not yet taken. Makes every room stale where its number is not the next.
    pub fn arrived(&self, txn: &str) {
        let now = Instant::now();
        let mut state = self.state();
        let number = number(txn);
        match (number, state.last) {
            (Some(number), Some(last)) if last.checked_add(1) == Some(number) => return,
            (Some(number), Some(last)) if number == last => return state.trouble(),
            (Some(_) | None, _) => {}
        }
        if state.counts(number, now) {
            tracing::debug!(
                txn,
                last = state.last,
                "not the next transaction; rooms are read before more is taken"
            );
            state.stale_since = Some(now);
            state.sweep_at.get_or_insert(now + SETTLE);
            self.changed.notify_one();
        }
    }

    /// A transaction was taken.
    pub fn taken(&self, txn: &str) {
        let mut state = self.state();
        (state.last, state.unreadable) = (number(txn), None);
        if state.is_unsettled {
            state.settle_at = Some(Instant::now() + SETTLE);
            self.changed.notify_one();
        }
    }

    /// An event of one of the homeserver's own users was taken.
    pub fn heard(&self, room: &RoomId, said: Time) {
        self.state().note(room, None, said);
    }

    /// A room was read, beginning at this moment, or cannot be; with its newest event if there was one.
    pub fn read(&self, room: &RoomId, began: Instant, newest: Option<Time>) {
        self.state().note(room, Some(began), newest.unwrap_or_default());
    }

    /// A room that a transaction waits for could not be read.
    pub fn unreadable(&self) -> Patience {
        let since = *self.state().unreadable.get_or_insert_with(Instant::now);
        if since.elapsed() > REFUSE_MAX { Patience::Gone } else { Patience::Left }
    }

    /// True where something may be missing that was said before what comes now.
    pub fn is_stale(&self, room: &RoomId) -> bool {
        let state = self.state();
        state.stale_since.is_some() && state.rooms.get(room).and_then(|known| known.read) < state.stale_since
    }

    /// What was said in a room before is known; `None` if nothing is.
    pub fn known_until(&self, room: &RoomId) -> Option<Time> {
        let newest = self.state().rooms.get(room)?.newest;
        (newest > Time(0)).then(|| Time(newest.0.saturating_sub(LATE_MS)))
    }

    /// Waits until rooms are to be read though nothing comes for them. After an outage all are stale then.
    pub async fn due(&self) {
        loop {
            let at = self.state().next_sweep();
            match at {
                Some(at) if at <= Instant::now() => break,
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
        let mut state = self.state();
        let now = Instant::now();
        if state.settle_at.is_some_and(|at| at <= now) {
            (state.is_unsettled, state.settle_at) = (false, None);
            state.stale_since = Some(now);
        }
        state.sweep_at = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn trouble(&mut self) {
        self.aftermath = Instant::now() + AFTERMATH;
        self.is_unsettled = true;
        self.settle_at = None;
    }

    /// Whether a number that is not the next one says anything. One that is none says little, and only when an
    /// outage has just been.
    fn counts(&mut self, number: Option<u64>, now: Instant) -> bool {
        if now < self.aftermath {
            return true;
        }
        let earned = now.duration_since(self.calm_since).as_secs() / CALM_EVERY.as_secs();
        if earned > 0 {
            self.calm = u32::try_from(earned).unwrap_or(CALM_MAX).saturating_add(self.calm).min(CALM_MAX);
            self.calm_since = now;
        }
        if number.is_none() || self.calm == 0 {
            return false;
        }
        self.calm -= 1;
        true
    }

    fn note(&mut self, room: &RoomId, read: Option<Instant>, newest: Time) {
        if !self.rooms.contains_key(room) {
            self.rooms.insert(room.clone(), Known::default());
        }
        if let Some(known) = self.rooms.get_mut(room) {
            known.read = known.read.max(read);
            known.newest = known.newest.max(newest);
        }
    }

    fn next_sweep(&self) -> Option<Instant> {
        match (self.settle_at, self.sweep_at) {
            (Some(settle), Some(sweep)) => Some(settle.min(sweep)),
            (at, None) | (None, at) => at,
        }
    }
}

/// What a transaction is counted as; `None` where its id is no number.
fn number(txn: &str) -> Option<u64> {
    txn.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomId {
        RoomId::new(name).unwrap()
    }

    /// After an outage that is long over and settled, with transaction 7 as the last.
    async fn calm() -> Strands {
        let strands = Strands::begin();
        strands.whole();
        strands.due().await;
        strands.read(&room("!a"), Instant::now(), None);
        tokio::time::advance(AFTERMATH).await;
        strands.taken("7");
        strands
    }

    fn makes_stale(strands: &Strands, txn: &str) -> bool {
        strands.arrived(txn);
        strands.is_stale(&room("!a"))
    }

    async fn is_due(strands: &Strands) -> bool {
        tokio::time::timeout(Duration::from_millis(1), strands.due()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_number_that_is_not_the_next_makes_rooms_stale_until_they_are_read() {
        let strands = calm().await;
        assert!(!makes_stale(&strands, "8"), "the next");
        assert!(!makes_stale(&strands, "7"), "the same again");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(makes_stale(&strands, "9"), "8 is missing");
        assert!(strands.is_stale(&room("!b")), "nobody knows which room it was in");
        strands.read(&room("!a"), Instant::now(), None);
        strands.taken("9");
        assert!(!makes_stale(&strands, "10"));
        assert!(strands.is_stale(&room("!b")), "still");
        tokio::time::advance(SETTLE).await;
        assert!(is_due(&strands).await, "somebody reads the others soon");
        assert!(!is_due(&strands).await, "once");
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_outage_every_room_is_read_when_nothing_more_comes() {
        let strands = calm().await;
        strands.troubled();
        tokio::time::advance(SETTLE * 2).await;
        assert!(!is_due(&strands).await, "it has not come back");
        for txn in ["8", "9", "10"] {
            strands.arrived(txn);
            strands.taken(txn);
            tokio::time::advance(SETTLE / 2).await;
            assert!(!is_due(&strands).await, "it is still handing over");
        }
        assert!(!strands.is_stale(&room("!a")));
        tokio::time::advance(SETTLE).await;
        assert!(is_due(&strands).await);
        assert!(strands.is_stale(&room("!a")));
    }

    #[tokio::test(start_paused = true)]
    async fn numbers_that_somebody_else_gets_too_cost_little() {
        let strands = calm().await;
        let mut read = 0;
        for number in 0..100_u64 {
            tokio::time::advance(Duration::from_millis(1)).await;
            let txn = (100 + 3 * number).to_string();
            read += u32::from(makes_stale(&strands, &txn));
            strands.read(&room("!a"), Instant::now(), None);
            strands.taken(&txn);
        }
        assert_eq!(read, CALM_MAX);
        tokio::time::advance(CALM_EVERY).await;
        assert!(makes_stale(&strands, "1000"), "now and then it is looked at");
        strands.read(&room("!a"), Instant::now(), None);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!makes_stale(&strands, "1001003"));
        strands.troubled();
        assert!(makes_stale(&strands, "1001003"), "an outage makes every one count");
    }

    #[tokio::test(start_paused = true)]
    async fn ids_that_are_no_numbers_say_nothing_but_after_an_outage() {
        let strands = calm().await;
        assert!(!makes_stale(&strands, "a1b2"));
        strands.taken("a1b2");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!makes_stale(&strands, "c3d4"));
        strands.troubled();
        assert!(makes_stale(&strands, "c3d4"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_room_is_read_from_a_little_before_the_newest_that_is_known_of_it() {
        let strands = Strands::begin();
        assert_eq!(strands.known_until(&room("!a")), None);
        strands.heard(&room("!a"), Time(100_000));
        strands.read(&room("!a"), Instant::now(), Some(Time(90_000)));
        assert_eq!(strands.known_until(&room("!a")), Some(Time(100_000 - LATE_MS)));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_for_a_room_that_cannot_be_read() {
        let strands = Strands::begin();
        assert_eq!(strands.unreadable(), Patience::Left);
        tokio::time::advance(REFUSE_MAX + Duration::from_secs(1)).await;
        assert_eq!(strands.unreadable(), Patience::Gone);
        strands.taken("1");
        assert_eq!(strands.unreadable(), Patience::Left);
    }
}
