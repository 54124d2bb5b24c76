//! Which rooms are policy lists, and where in them something happened: what tasks beside the follower see of it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use tokio::sync::Notify;

use crate::bridge::input::{About, RuleKey};
use crate::ids::{RoomId, UserId};

/// Places of one room that are looked at one by one; more, and the whole room is read.
const PLACES_MAX: usize = 16;

/// The register.
#[derive(Default)]
pub struct PolicyRooms {
    rooms: Mutex<HashMap<RoomId, Look>>,
    /// False while there is no list, so that events of other rooms cost nothing.
    is_any: AtomicBool,
    work: Notify,
    wanted: Mutex<Option<Wanted>>,
    figures: Mutex<Figures>,
}

/// What the configuration says about lists.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Room ids or aliases.
    pub names: Vec<String>,
    /// The bot and the admins: no rule counts for them, and one that means them is told in the log.
    pub spared: Vec<UserId>,
}

/// How the lists are, for watchers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub in_force: u64,
    pub left_out: u64,
    /// They mean everybody, or all of the bridge's own homeserver.
    pub too_wide: u64,
    /// Lists that were not read since the start, or that the bot was put out of.
    pub unread: u64,
}

/// Where in a room to look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Look {
    #[default]
    Nowhere,
    At(BTreeSet<RuleKey>),
    Everywhere,
}

impl Look {
    fn add(&mut self, key: RuleKey) {
        match self {
            Self::Nowhere => *self = Self::At([key].into()),
            Self::At(keys) if keys.len() < PLACES_MAX => drop(keys.insert(key)),
            Self::At(_) | Self::Everywhere => *self = Self::Everywhere,
        }
    }
}

impl PolicyRooms {
    /// Something happened in a room: where it is a list, it is looked at.
    pub fn hear(&self, room: &RoomId, json: &str, bot: &UserId) {
        if !self.is_any.load(Ordering::Acquire) {
            return;
        }
        let mut rooms = lock(&self.rooms);
        let Some(look) = rooms.get_mut(room) else { return };
        match touched(json, bot) {
            Touched::Place(key) => look.add(key),
            Touched::All => *look = Look::Everywhere,
            Touched::Nothing => return,
        }
        drop(rooms);
        self.work.notify_one();
    }

    /// True for a room that is a list, or is to be one: it is nobody's admin room.
    pub fn has(&self, room: &RoomId) -> bool {
        self.is_any.load(Ordering::Acquire) && lock(&self.rooms).contains_key(room)
    }

    /// What the homeserver told may not be all: everything is read again.
    pub fn read_anew(&self) {
        lock(&self.rooms).values_mut().for_each(|look| *look = Look::Everywhere);
        self.work.notify_one();
    }

    /// These are the lists from now on, as the configuration names them; those that could not be read are tried at once.
    pub fn follow(&self, wanted: Wanted) {
        *lock(&self.wanted) = Some(wanted);
        self.work.notify_one();
    }

    pub fn figures(&self) -> Figures {
        *lock(&self.figures)
    }

    /// This room is a list: what happens there is noted from now on.
    pub(super) fn add(&self, room: &RoomId) {
        lock(&self.rooms).entry(room.clone()).or_default();
        self.is_any.store(true, Ordering::Release);
    }

    /// This room is a list no more.
    pub(super) fn remove(&self, room: &RoomId) {
        lock(&self.rooms).remove(room);
    }

    /// Is done when there is something to look at, or other lists are wanted.
    pub(super) async fn work(&self) {
        self.work.notified().await;
    }

    /// Where to look; that is done then.
    pub(super) fn take_looks(&self) -> Vec<(RoomId, Look)> {
        let mut rooms = lock(&self.rooms);
        let taken = rooms.iter_mut().map(|(room, look)| (room.clone(), std::mem::take(look)));
        taken.filter(|(_, look)| *look != Look::Nowhere).collect()
    }

    /// Other lists, if any are wanted since the last time.
    pub(super) fn take_wanted(&self) -> Option<Wanted> {
        lock(&self.wanted).take()
    }

    /// Notes how the lists are; gives how they were.
    pub(super) fn note(&self, figures: Figures) -> Figures {
        std::mem::replace(&mut lock(&self.figures), figures)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an event in a list's room may have changed.
#[derive(Debug, PartialEq, Eq)]
enum Touched {
    Place(RuleKey),
    All,
    Nothing,
}

fn touched(json: &str, bot: &UserId) -> Touched {
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "type")]
        kind: String,
        state_key: Option<String>,
    }
    let Ok(event) = serde_json::from_str::<Event>(json) else { return Touched::Nothing };
    match (event.kind.as_str(), event.state_key) {
        ("m.room.redaction", None) => Touched::All,
        // Whether the bot may still read.
        ("m.room.member", Some(user)) if user == bot.as_str() => Touched::All,
        (kind, Some(key)) if About::of_kind(kind).is_some() => {
            Touched::Place(RuleKey { kind: event.kind, key })
        }
        (_, _) => Touched::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bot() -> UserId {
        UserId::new("@bot:hs").expect("an id")
    }

    fn event(key: usize) -> String {
        format!(r#"{{"type":"m.policy.rule.user","state_key":"{key}"}}"#)
    }

    #[test]
    fn an_event_says_where_to_look_and_nothing_else() {
        let of = |json: &str| touched(json, &bot());
        let place = r#"{"type":"m.policy.rule.user","state_key":"k","content":{"entity":[[[]]]}}"#;
        assert_eq!(of(place), Touched::Place(RuleKey { kind: "m.policy.rule.user".into(), key: "k".into() }));
        assert_eq!(of(r#"{"type":"m.policy.rule.user","content":{}}"#), Touched::Nothing, "no state");
        assert_eq!(of(r#"{"type":"m.room.redaction","redacts":"$e"}"#), Touched::All);
        assert_eq!(of(r#"{"type":"m.room.member","state_key":"@bot:hs"}"#), Touched::All);
        assert_eq!(of(r#"{"type":"m.room.member","state_key":"@ada:hs"}"#), Touched::Nothing);
        assert_eq!(of("nonsense"), Touched::Nothing);
    }

    #[test]
    fn many_places_are_everywhere_and_other_rooms_are_nowhere() {
        let (register, list) = (PolicyRooms::default(), RoomId::new("!list").expect("an id"));
        register.hear(&list, &event(0), &bot());
        register.add(&list);
        register.hear(&RoomId::new("!other").expect("an id"), &event(0), &bot());
        assert_eq!(register.take_looks(), []);
        (0..PLACES_MAX).for_each(|n| register.hear(&list, &event(n), &bot()));
        assert!(matches!(&register.take_looks()[..], [(_, Look::At(keys))] if keys.len() == PLACES_MAX));
        (0..=PLACES_MAX).for_each(|n| register.hear(&list, &event(n), &bot()));
        assert_eq!(register.take_looks(), [(list.clone(), Look::Everywhere)]);
        assert_eq!(register.take_looks(), [], "once is enough");
        register.read_anew();
        assert_eq!(register.take_looks(), [(list.clone(), Look::Everywhere)]);
        assert!(register.has(&list) && !register.has(&RoomId::new("!other").expect("an id")));
        register.remove(&list);
        assert!(!register.has(&list), "it may be an admin room again");
        register.hear(&list, &event(0), &bot());
        assert_eq!(register.take_looks(), []);
    }
}
