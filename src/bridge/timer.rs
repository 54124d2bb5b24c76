//! Every reason for which one network's machine wants to be woken, in one list.
//!
//! A timer that is armed for a moment gone by is due a millisecond after the last wake-up at the earliest, so
//! that no mistake in a time makes one wake-up go on for ever.
//!
//! Arming is lazy: a timer that is armed later than it already is stays as it is, and whoever wakes too
//! early finds nothing due and arms again. So a busy connection costs no timer work for each line.

use std::collections::{BTreeSet, HashMap};

use crate::ids::{ChannelName, ConnId, PuppetId, RoomId, Time};

/// A reason to wake.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Timer {
    /// A connection's own waits: registration, flood control, pings, joins without an answer.
    Session(ConnId),
    /// The next puppet in line may dial.
    Pacer,
    /// A puppet has waited long enough to get in line again.
    Dial(PuppetId),
    /// A puppet's oldest waiting message becomes too old.
    Expiry(PuppetId),
    /// A puppet without a channel has stayed long enough.
    Linger(PuppetId),
    /// A puppet may ask for its new nick.
    Rename(PuppetId),
    /// A channel's held lines have waited long enough.
    Ledger(ChannelName),
    /// What a puppet's lost connection was given has been in doubt for long enough.
    Doubts(PuppetId),
    /// The answers to what was said before a stop are late.
    Goodbye,
    /// A room may be told of what was left unsaid.
    Tell(RoomId),
    /// What was gathered of a room's failures may be due.
    Failures(RoomId),
    /// A puppet may have been without a word for too long.
    Idle(PuppetId),
    /// What is new of what was said is to be kept.
    Remember,
    /// Some puppets may have been cut off for so long that their rooms should know.
    Outage,
    /// Channels are to be told again that somebody types, or no longer.
    Typing,
    /// Something is to be tried again for a puppet's private chats, or told there.
    Queries(PuppetId),
    /// Ranks in a channel have changed a moment ago.
    Access(ChannelName),
    /// A ghost is to join or to leave a room, or a room to be compared with its channel.
    Members,
    /// Somebody may have been in a room without its channel for too long.
    Gate,
    /// The next room's plate may be looked at.
    Plates,
    /// Whoever speaks for a channel may ask what its modes are.
    Modes(ChannelName),
    /// Something may be said in a channel that has a limit, or has waited too long for that.
    Limit(ChannelName),
    /// Some errand may have taken too long, or somebody is in a channel by one and in no room of it.
    Errands,
    /// The network's space is to be looked for again, or rooms in it are of channels that nobody knows.
    Space,
    /// Operators may have had enough time to say whether a room may be bridged.
    Wishes,
}

/// The armed timers, each at most once.
#[derive(Debug, Default)]
pub struct Timers {
    order: BTreeSet<(Time, Timer)>,
    armed: HashMap<Timer, Time>,
    /// When something was taken last: nothing is armed for then or earlier.
    woken: Option<Time>,
}

impl Timers {
    /// Wakes at `at`, or earlier where this timer is armed for earlier.
    pub fn arm(&mut self, timer: Timer, at: Time) {
        let at = self.woken.map_or(at, |woken| at.max(woken.plus_ms(1)));
        match self.armed.get(&timer) {
            Some(&armed) if armed <= at => return,
            Some(&armed) => {
                self.order.remove(&(armed, timer.clone()));
            }
            None => {}
        }
        self.armed.insert(timer.clone(), at);
        self.order.insert((at, timer));
    }

    /// Arms when there is a time, does nothing when there is none.
    pub fn arm_if(&mut self, timer: Timer, at: Option<Time>) {
        if let Some(at) = at {
            self.arm(timer, at);
        }
    }

    /// The next moment at which something is due.
    pub fn next(&self) -> Option<Time> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes one timer that is due at `now`, earliest first.
    pub fn pop_due(&mut self, now: Time) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.armed.remove(&timer);
        self.woken = Some(now);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_arming_counts_and_each_timer_fires_once() {
        let mut timers = Timers::default();
        timers.arm(Timer::Dial(PuppetId(1)), Time(50));
        timers.arm(Timer::Dial(PuppetId(1)), Time(80));
        timers.arm(Timer::Dial(PuppetId(2)), Time(70));
        timers.arm(Timer::Dial(PuppetId(2)), Time(20));
        assert_eq!(timers.next(), Some(Time(20)));
        assert_eq!(timers.pop_due(Time(10)), None);
        assert_eq!(timers.pop_due(Time(60)), Some(Timer::Dial(PuppetId(2))));
        assert_eq!(timers.pop_due(Time(60)), Some(Timer::Dial(PuppetId(1))));
        assert_eq!(timers.pop_due(Time(1000)), None);
    }

    #[test]
    fn a_timer_armed_for_the_past_does_not_keep_a_wake_up_going() {
        let mut timers = Timers::default();
        timers.arm(Timer::Pacer, Time(50));
        assert_eq!(timers.pop_due(Time(60)), Some(Timer::Pacer));
        timers.arm(Timer::Pacer, Time(50));
        assert_eq!(timers.pop_due(Time(60)), None);
        assert_eq!(timers.next(), Some(Time(61)));
        assert_eq!(timers.pop_due(Time(61)), Some(Timer::Pacer));
    }
}
