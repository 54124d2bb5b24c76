//! Messages that did not arrive, gathered: what a room hears of at once, and what in one account of many.
//!
//! ```text
//!   failed ─▶ those of one moment and one reason are one account
//!               ├─ the reason is new in this window, and not too many are ─▶ told at once
//!               └─ else ─▶ gathered, told as one when the window ends ─▶ the next window is twice as long
//! ```
//!
//! A window without anything gathered ends the story: the next failure is told at once again. Nothing here has
//! words for people, and nothing of what a message said is kept. What is gathered lives in memory. A message of which
//! nothing else tells stays open until its account is given: after a kill it comes again. There are no more of them than
//! the inbox has open rows.

use std::collections::{BTreeSet, HashMap};

use crate::bridge::effect::Outcome;
use crate::ids::{EventId, InboxSeq, RoomId, Target, Time, UserId};

/// Accounts told at once in one window, each for another reason. What fails beyond that is gathered.
pub const AT_ONCE_MAX: u32 = 5;
/// The first window of a room, in milliseconds.
pub const WINDOW_MS_MIN: u64 = 60_000;
/// The longest window: so often an outage that goes on is told, in milliseconds.
pub const WINDOW_MS_MAX: u64 = 600_000;
/// Reasons kept apart in an account; what fails for others is counted.
pub const REASONS_MAX: usize = 5;
/// People kept apart in an account; above it they are "more than" so many.
pub const PEOPLE_MAX: usize = 100;
/// Reactions on failed messages of one room in [`MARKS_MS`]; those without are counted in the account.
pub const MARKS_MAX: u32 = 50;
/// See [`MARKS_MAX`]; in milliseconds.
pub const MARKS_MS: u64 = 60_000;

/// Why a message did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was not sent: the words follow a "because".
    NotSent(String),
    /// It became too old; with what kept it from being sent, where that is known.
    TooOld(Option<String>),
    /// The server did not take it: a sentence without its full stop.
    Refused(String),
    /// The server did not take it, or another that was said together with it.
    InDoubt(String),
    /// Nobody knows whether it arrived: the words follow a "because".
    PerhapsLost(String),
}

impl Reason {
    /// True where one of the two need not be told after the other.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::TooOld(_), Self::TooOld(_)) => true,
            (one, other) => one == other,
        }
    }
}

/// Whether a failed message carries a reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    Yes,
    /// There were too many in this room.
    LeftOut,
    /// The network wants none.
    Unwanted,
}

/// One message that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    pub room: RoomId,
    pub event: EventId,
    pub sender: UserId,
    pub target: Target,
    pub reason: Reason,
    pub marked: Marked,
    /// The row to be settled once this is told, and how; empty where something else tells of it.
    pub untold: Vec<(InboxSeq, Outcome)>,
}

/// Messages of a room that did not arrive, to be told as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub room: RoomId,
    pub target: Target,
    /// The first of the messages.
    pub event: EventId,
    pub messages: u32,
    /// Their senders, [`PEOPLE_MAX`] and one more at most.
    pub people: BTreeSet<UserId>,
    /// At least one, in the order in which they came up, each with its count.
    pub reasons: Vec<(Reason, u32)>,
    /// Messages that failed for further reasons.
    pub others: u32,
    /// Messages that carry no reaction because there were too many.
    pub unmarked: u32,
    pub news: News,
    /// Rows to be settled once this is told, and how.
    pub untold: Vec<(InboxSeq, Outcome)>,
}

/// Whether the room has heard of such messages just before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    First,
    More,
}

impl Account {
    fn of(miss: Miss) -> Self {
        Self {
            room: miss.room,
            target: miss.target,
            event: miss.event,
            messages: 1,
            people: BTreeSet::from([miss.sender]),
            reasons: vec![(miss.reason, 1)],
            others: 0,
            unmarked: u32::from(miss.marked == Marked::LeftOut),
            news: News::First,
            untold: miss.untold,
        }
    }

    fn add(&mut self, other: Self) {
        self.messages = self.messages.saturating_add(other.messages);
        self.others = self.others.saturating_add(other.others);
        self.unmarked = self.unmarked.saturating_add(other.unmarked);
        self.untold.extend(other.untold);
        let places = (PEOPLE_MAX + 1).saturating_sub(self.people.len());
        let new: Vec<UserId> = other.people.into_iter().filter(|who| !self.people.contains(who)).collect();
        self.people.extend(new.into_iter().take(places));
        for (reason, count) in other.reasons {
            match self.reasons.iter().position(|(known, _)| known.is_like(&reason)) {
                Some(at) => self.reasons[at].1 = self.reasons[at].1.saturating_add(count),
                None if self.reasons.len() < REASONS_MAX => self.reasons.push((reason, count)),
                None => self.others = self.others.saturating_add(count),
            }
        }
    }
}

/// What failed lately, by room.
#[derive(Debug, Default)]
pub struct Gather {
    /// Since the last [`take`](Self::take), one account for each room and reason.
    fresh: Vec<Account>,
    windows: HashMap<RoomId, Window>,
    marks: HashMap<RoomId, Marks>,
}

#[derive(Debug)]
struct Window {
    ends: Time,
    length_ms: u64,
    /// Accounts told in it.
    told: u32,
    /// What the room knows of.
    reasons: Vec<Reason>,
    gathered: Option<Account>,
}

#[derive(Debug)]
struct Marks {
    ends: Time,
    made: u32,
}

impl Gather {
    /// Whether one more message of this room gets its reaction now.
    pub fn may_mark(&mut self, now: Time, room: &RoomId) -> Marked {
        let fresh = || Marks { ends: now.plus_ms(MARKS_MS), made: 0 };
        let marks = self.marks.entry(room.clone()).or_insert_with(fresh);
        if marks.ends <= now {
            *marks = fresh();
        }
        if marks.made >= MARKS_MAX {
            return Marked::LeftOut;
        }
        marks.made += 1;
        Marked::Yes
    }

    /// A message failed. Returns when to call [`window_ended`](Self::window_ended).
    pub fn add(&mut self, now: Time, miss: Miss) -> Time {
        let ends = self.window(now, &miss.room).ends;
        let new = Account::of(miss);
        let like =
            |known: &&mut Account| known.room == new.room && known.reasons[0].0.is_like(&new.reasons[0].0);
        match self.fresh.iter_mut().find(like) {
            Some(known) => known.add(new),
            None => self.fresh.push(new),
        }
        ends
    }

    /// As [`add`](Self::add), for what need not be told at once.
    pub fn add_for_later(&mut self, now: Time, miss: Miss) -> Time {
        let window = self.window(now, &miss.room);
        window.gather(Account::of(miss));
        window.ends
    }

    /// What is to be told at once of that which was added since the last call. The rest is gathered.
    pub fn take(&mut self, now: Time) -> Vec<Account> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh.into_iter().filter_map(|account| self.window(now, &account.room).tell(account)).collect()
    }

    /// The window of a room may have ended: what was gathered in it.
    pub fn window_ended(&mut self, now: Time, room: &RoomId) -> Option<Account> {
        let window = self.windows.get_mut(room).filter(|window| window.ends <= now)?;
        let Some(account) = window.gathered.take() else {
            self.windows.remove(room);
            return None;
        };
        window.length_ms = (window.length_ms * 2).min(WINDOW_MS_MAX);
        window.ends = now.plus_ms(window.length_ms);
        window.told = 1;
        window.reasons = account.reasons.iter().map(|(reason, _)| reason.clone()).collect();
        Some(account)
    }

    /// When a room's window ends, while it has one.
    pub fn ends(&self, room: &RoomId) -> Option<Time> {
        self.windows.get(room).map(|window| window.ends)
    }

    /// All that is gathered: nobody will ask for it later.
    pub fn take_gathered(&mut self) -> Vec<Account> {
        let mut all: Vec<Account> = self.windows.drain().filter_map(|(_, window)| window.gathered).collect();
        all.sort_by(|one, other| one.room.cmp(&other.room));
        all
    }

    fn window(&mut self, now: Time, room: &RoomId) -> &mut Window {
        let fresh = || Window {
            ends: now.plus_ms(WINDOW_MS_MIN),
            length_ms: WINDOW_MS_MIN,
            told: 0,
            reasons: Vec::new(),
            gathered: None,
        };
        let window = self.windows.entry(room.clone()).or_insert_with(fresh);
        if window.ends <= now && window.gathered.is_none() {
            *window = fresh();
        }
        window
    }
}

impl Window {
    /// Gives the account back if it is to be told now.
    fn tell(&mut self, account: Account) -> Option<Account> {
        let (reason, _) = &account.reasons[0];
        if self.told >= AT_ONCE_MAX || self.reasons.iter().any(|known| known.is_like(reason)) {
            self.gather(account);
            return None;
        }
        self.told += 1;
        self.reasons.push(reason.clone());
        Some(account)
    }

    fn gather(&mut self, account: Account) {
        match &mut self.gathered {
            Some(gathered) => gathered.add(account),
            None => {
                let news = if self.told > 0 { News::More } else { News::First };
                self.gathered = Some(Account { news, ..account });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ChannelName;
    use crate::text::casemap::CaseMap;

    const MINUTE: u64 = 60_000;

    fn room() -> RoomId {
        RoomId::new("!r").unwrap()
    }

    fn miss(n: u32, who: &str, reason: &Reason) -> Miss {
        Miss {
            room: room(),
            event: EventId::new(&format!("$e{n}")).unwrap(),
            sender: UserId::new(&format!("@{who}:hs")).unwrap(),
            target: ChannelName::new("#c", CaseMap::Ascii).unwrap().into(),
            reason: reason.clone(),
            marked: Marked::Yes,
            untold: vec![(InboxSeq(n.into()), Outcome::Expired)],
        }
    }

    fn why(words: &str) -> Reason {
        Reason::NotSent(words.into())
    }

    /// Each account as its first event, its messages and its people.
    fn shown(accounts: &[Account]) -> Vec<(&str, u32, usize)> {
        accounts.iter().map(|one| (one.event.as_str(), one.messages, one.people.len())).collect()
    }

    #[test]
    fn a_reason_is_told_once_and_the_rest_when_the_window_ends() {
        let (mut gather, full) = (Gather::default(), why("full"));
        let ends = gather.add(Time(0), miss(1, "ada", &full));
        assert_eq!(ends, Time(MINUTE));
        assert_eq!(shown(&gather.take(Time(0))), [("$e1", 1, 1)]);
        for (n, who) in [(2, "ada"), (3, "bob"), (4, "bob")] {
            assert_eq!(gather.add(Time(5), miss(n, who, &full)), ends);
            assert_eq!(gather.take(Time(5)), []);
        }
        assert_eq!(gather.window_ended(Time(MINUTE - 1), &room()), None, "not yet");
        let account = gather.window_ended(ends, &room()).expect("three were gathered");
        assert_eq!(shown(std::slice::from_ref(&account)), [("$e2", 3, 2)]);
        assert_eq!((account.news, account.reasons), (News::More, vec![(full, 3)]));
    }

    #[test]
    fn what_fails_together_is_one_account() {
        let (mut gather, full) = (Gather::default(), why("full"));
        for n in 1..=3 {
            gather.add(Time(0), miss(n, "ada", &full));
        }
        gather.add(Time(0), miss(4, "ada", &why("other")));
        let told = gather.take(Time(0));
        assert_eq!(shown(&told), [("$e1", 3, 1), ("$e4", 1, 1)]);
        assert_eq!(told[0].news, News::First);
    }

    #[test]
    fn five_reasons_are_told_at_once_and_more_are_gathered() {
        let mut gather = Gather::default();
        let mut told = 0;
        for n in 1..=12 {
            gather.add(Time(0), miss(n, "ada", &why(&n.to_string())));
            told += gather.take(Time(0)).len() as u32;
        }
        assert_eq!(told, AT_ONCE_MAX);
        let account = gather.window_ended(Time(MINUTE), &room()).expect("seven were gathered");
        assert_eq!((account.messages, account.reasons.len(), account.others), (7, REASONS_MAX, 2));
    }

    #[test]
    fn who_became_too_old_did_so_for_one_reason_whatever_kept_them() {
        let mut gather = Gather::default();
        gather.add(Time(0), miss(1, "ada", &Reason::TooOld(Some("refused".into()))));
        gather.add(Time(0), miss(2, "bob", &Reason::TooOld(None)));
        let told = gather.take(Time(0));
        assert_eq!(shown(&told), [("$e1", 2, 2)]);
        assert_eq!(told[0].reasons, [(Reason::TooOld(Some("refused".into())), 2)]);
    }

    #[test]
    fn the_longer_it_lasts_the_more_seldom_it_is_told() {
        let (mut gather, old) = (Gather::default(), Reason::TooOld(None));
        let mut told_at = Vec::new();
        for second in 0..3_600 {
            let now = Time(second * 1_000);
            gather.add(now, miss(1, "ada", &old));
            told_at.extend(gather.take(now).iter().map(|_| second));
            told_at.extend(gather.window_ended(now, &room()).map(|_| second));
        }
        let minutes: Vec<u64> = told_at.iter().map(|second| second / 60).collect();
        assert_eq!(minutes, [0, 1, 3, 7, 15, 25, 35, 45, 55]);
    }

    #[test]
    fn a_quiet_window_ends_the_story() {
        let (mut gather, full) = (Gather::default(), why("full"));
        for n in 1..=2 {
            gather.add(Time(0), miss(n, "ada", &full));
            gather.take(Time(0));
        }
        assert!(gather.window_ended(Time(MINUTE), &room()).is_some());
        let ends = gather.ends(&room()).expect("the next window");
        assert_eq!(ends, Time(3 * MINUTE));
        assert_eq!(gather.window_ended(ends, &room()), None);
        assert_eq!(gather.ends(&room()), None, "nothing is left of it");
        gather.add(ends, miss(3, "ada", &full));
        assert_eq!(shown(&gather.take(ends)), [("$e3", 1, 1)]);
    }

    #[test]
    fn people_are_counted_up_to_a_bound() {
        let (mut gather, full) = (Gather::default(), why("full"));
        for n in 0..500 {
            gather.add(Time(0), miss(n, &format!("u{n}"), &full));
        }
        assert_eq!(shown(&gather.take(Time(0))), [("$e0", 500, PEOPLE_MAX + 1)]);
    }

    #[test]
    fn reactions_are_bounded_for_each_room() {
        let mut gather = Gather::default();
        let other = RoomId::new("!other").unwrap();
        for _ in 0..MARKS_MAX {
            assert_eq!(gather.may_mark(Time(0), &room()), Marked::Yes);
        }
        assert_eq!(gather.may_mark(Time(1), &room()), Marked::LeftOut);
        assert_eq!(gather.may_mark(Time(1), &other), Marked::Yes);
        assert_eq!(gather.may_mark(Time(MARKS_MS), &room()), Marked::Yes, "a minute later");
        let left_out = Miss { marked: Marked::LeftOut, ..miss(1, "ada", &why("full")) };
        gather.add_for_later(Time(0), left_out);
        assert_eq!(gather.take(Time(0)), []);
        let gathered = gather.take_gathered();
        assert_eq!((gathered[0].unmarked, gathered[0].news), (1, News::First));
        assert_eq!(gathered[0].untold, [(InboxSeq(1), Outcome::Expired)], "settled when it is told");
        assert_eq!(gather.take_gathered(), []);
    }
}
