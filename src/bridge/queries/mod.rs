//! Private chats: one room for each person of Matrix and each nick they talk with.
//!
//! ```text
//!   a line of the nick ─▶ Doing(Create) ─────────┐                 ┌─ the person left ─▶ Left ── a line ─▶ Doing(Invite) ─┐
//!   the person invites its ghost ─▶ Doing(Enter) ┴─▶ Open ─────────┤                                                      ├─▶ Open
//!                                                    ▲             └─ the nick changed ─▶ Doing(Move) ────────────────────┘
//!                                                    └───────────────────────────────────────┘
//!   somebody else comes in, the ghost is put out, the nick is somebody else's: the chat is forgotten
//! ```
//!
//! State only: what is asked of the shell, and what people are told, is in `network::queries`. What the nick says while no
//! room is ready waits here, in its order. Full: with [`LINES_MAX`] lines waiting for one room further ones are counted, and
//! the count is told where they would have stood.

pub mod pace;
pub mod row;
pub mod step;
pub mod watch;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::bridge::effect::QueryStep;
use crate::bridge::input::{AbsenceTold, QueryRow, QueryStanding};
use crate::bridge::session::seen::{Stamp, Uttered};
use crate::ids::{InboxSeq, Nick, RoomId, Time, UserId};
use crate::text::casemap::CaseMap;

/// Lines that wait for one room, at most.
pub const LINES_MAX: usize = 64;

/// Who talks with whom.
pub type Pair = (UserId, Nick);

/// All private chats of a network.
#[derive(Debug, Default)]
pub struct Queries {
    pairs: BTreeMap<Pair, Query>,
    rooms: HashMap<RoomId, Pair>,
    /// Chats that began, ended or stand elsewhere, until somebody asks.
    changed: BTreeSet<Pair>,
}

/// One private chat.
#[derive(Debug)]
pub struct Query {
    pub place: Place,
    pub who: Who,
    /// What the nick says while there is no room to say it in.
    waiting: VecDeque<Heard>,
    /// Lines that there was no place for.
    left_out: u32,
    /// What the person was told last of the nick's being away.
    pub away: Option<String>,
    pub absence: Absence,
    /// When one of the two said something last, in this run.
    pub talked: Option<Time>,
}

/// Whether anybody has the nick, as far as the server tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Absence {
    #[default]
    Unknown,
    Here,
    /// Nobody since then; the person has not heard of it.
    Since(Time),
    /// The person knows.
    Told,
}

/// Where a private chat stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Something is being asked of the homeserver.
    Doing(Doing),
    /// The person and the ghost are in it, or the person is invited.
    Open(RoomId),
    /// The person left; the ghost waits there.
    Left(RoomId),
}

/// What is asked of the homeserver, for the how-manyth time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doing {
    pub step: QueryStep,
    /// Times it failed.
    pub tries: u32,
    /// It failed, and is tried again then.
    pub again: Option<Time>,
    /// The inbox row that this answers.
    pub seq: Option<InboxSeq>,
}

/// What tells one holder of a nick from the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    pub account: Option<String>,
    /// `user@host`.
    pub mask: Option<String>,
}

/// Something that a nick said to a puppet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub what: Uttered,
    pub stamp: Stamp,
}

impl Who {
    /// Whether this may be the one that was known: by the account where both have one, else by `user@host`. Of whom
    /// nothing is known anybody may be it.
    pub fn may_be(&self, other: &Self) -> bool {
        match (&self.account, &other.account) {
            (Some(known), Some(account)) => known == account,
            (Some(_), None) | (None, Some(_)) | (None, None) => {
                self.mask.is_none() || self.mask == other.mask
            }
        }
    }

    /// Takes over what is known now. `true` when that is news.
    pub fn learn(&mut self, now: Self) -> bool {
        let account = now.account.or_else(|| self.account.take());
        let learned = Self { account, mask: now.mask };
        let is_news = *self != learned;
        *self = learned;
        is_news
    }
}

impl Place {
    /// Asks for this, for the first time.
    pub fn doing(step: QueryStep) -> Self {
        Self::Doing(Doing { step, tries: 0, again: None, seq: None })
    }

    /// With this inbox row to be settled when it is done.
    pub fn answering(self, row: InboxSeq) -> Self {
        match self {
            Self::Doing(doing) => Self::Doing(Doing { seq: Some(row), ..doing }),
            Self::Open(_) | Self::Left(_) => self,
        }
    }

    /// The room, where there is one.
    pub fn room(&self) -> Option<&RoomId> {
        match self {
            Self::Doing(doing) => doing.step.room(),
            Self::Open(room) | Self::Left(room) => Some(room),
        }
    }
}

impl Query {
    pub fn new(place: Place, who: Who) -> Self {
        let (waiting, absence) = (VecDeque::new(), Absence::Unknown);
        Self { place, who, waiting, left_out: 0, away: None, absence, talked: None }
    }

    /// Lets something wait for the room.
    pub fn wait(&mut self, heard: Heard) {
        if self.waiting.len() >= LINES_MAX {
            self.left_out = self.left_out.saturating_add(1);
        } else {
            self.waiting.push_back(heard);
        }
    }

    /// True when something waits for the room.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes what waits, in order, and how much there was no place for.
    pub fn take_waiting(&mut self) -> (VecDeque<Heard>, u32) {
        (std::mem::take(&mut self.waiting), std::mem::take(&mut self.left_out))
    }

    /// As [`take_waiting`](Self::take_waiting) gave it, back before anything newer.
    pub fn put_back(&mut self, waiting: VecDeque<Heard>, left_out: u32) {
        let newer = std::mem::replace(&mut self.waiting, waiting);
        self.waiting.extend(newer);
        self.left_out = self.left_out.saturating_add(left_out);
    }

    /// When something is to be tried again.
    pub fn again(&self) -> Option<Time> {
        match &self.place {
            Place::Doing(doing) => doing.again,
            Place::Open(_) | Place::Left(_) => None,
        }
    }

    /// What is to be kept of it over restarts: nothing before it has a room.
    pub fn row(&self, pair: &Pair, display_name: Option<String>) -> Option<QueryRow> {
        let (room, standing) = match &self.place {
            Place::Doing(Doing { step: QueryStep::Move { room, .. }, .. }) | Place::Open(room) => {
                (room, QueryStanding::Open)
            }
            Place::Doing(Doing { step: QueryStep::Invite { room, .. }, .. }) | Place::Left(room) => {
                (room, QueryStanding::Left)
            }
            Place::Doing(Doing { step: QueryStep::Create { .. } | QueryStep::Enter { .. }, .. }) => {
                return None;
            }
        };
        let (user, nick) = pair.clone();
        let Who { account, mask } = self.who.clone();
        let (room, nick) = (room.clone(), nick.as_str().to_owned());
        let absence = if self.absence == Absence::Told { AbsenceTold::Yes } else { AbsenceTold::No };
        Some(QueryRow { user, nick, room, standing, account, mask, display_name, absence })
    }
}

impl Queries {
    pub fn get(&self, pair: &Pair) -> Option<&Query> {
        self.pairs.get(pair)
    }

    /// To change all of it but its place.
    pub fn get_mut(&mut self, pair: &Pair) -> Option<&mut Query> {
        self.pairs.get_mut(pair)
    }

    /// The chat of a room.
    pub fn of_room(&self, room: &RoomId) -> Option<(&Pair, &Query)> {
        let pair = self.rooms.get(room)?;
        Some((pair, self.pairs.get(pair)?))
    }

    /// True when this is the person of the room's chat, and in it or invited.
    pub fn has(&self, room: &RoomId, user: &UserId) -> bool {
        let is_in = |place: &Place| match place {
            Place::Doing(doing) => !matches!(doing.step, QueryStep::Invite { .. }),
            Place::Open(_) => true,
            Place::Left(_) => false,
        };
        self.of_room(room).is_some_and(|(pair, query)| pair.0 == *user && is_in(&query.place))
    }

    /// The chats of one person.
    pub fn of_user<'a>(&'a self, user: &'a UserId) -> impl Iterator<Item = (&'a Pair, &'a Query)> {
        // Pairs of one user stand together, and no nick sorts before the first of them.
        self.pairs.iter().filter(move |(pair, _)| pair.0 == *user)
    }

    /// All chats.
    pub fn all(&self) -> impl Iterator<Item = (&Pair, &Query)> {
        self.pairs.iter()
    }

    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Adds a chat in the place of another one of the same two, which is given back.
    pub fn insert(&mut self, pair: Pair, query: Query) -> Option<Query> {
        let before = self.remove(&pair);
        if let Some(room) = query.place.room() {
            self.rooms.insert(room.clone(), pair.clone());
        }
        self.changed.insert(pair.clone());
        self.pairs.insert(pair, query);
        before
    }

    /// The chat stands elsewhere now.
    pub fn set_place(&mut self, pair: &Pair, place: Place) {
        let Some(query) = self.pairs.get_mut(pair) else { return };
        if let Some(room) = query.place.room() {
            self.rooms.remove(room);
        }
        if let Some(room) = place.room() {
            self.rooms.insert(room.clone(), pair.clone());
        }
        query.place = place;
        self.changed.insert(pair.clone());
    }

    /// Takes the chats that began, ended or stand elsewhere since the last time.
    pub fn take_changed(&mut self) -> BTreeSet<Pair> {
        std::mem::take(&mut self.changed)
    }

    /// The nick is spelled so now.
    pub fn respell(&mut self, pair: &Pair) {
        let known = self.pairs.get_key_value(pair).map(|((_, nick), _)| nick.as_str().to_owned());
        if known.is_some_and(|known| known != pair.1.as_str())
            && let Some(query) = self.remove(pair)
        {
            self.insert(pair.clone(), query);
        }
    }

    /// Forgets a chat.
    pub fn remove(&mut self, pair: &Pair) -> Option<Query> {
        let query = self.pairs.remove(pair)?;
        self.changed.insert(pair.clone());
        if let Some(room) = query.place.room() {
            self.rooms.remove(room);
        }
        Some(query)
    }

    /// The network's case mapping is another. Where two nicks are one now, one chat stays: one with a room, if any has one.
    /// Gives the others.
    pub fn refold(&mut self, map: CaseMap) -> Vec<(Pair, Query)> {
        let (mut lost, before) = (Vec::new(), std::mem::take(&mut self.pairs));
        self.rooms.clear();
        for ((user, nick), query) in before {
            let pair = (user, nick.refolded(map));
            let is_taken = self.pairs.get(&pair).is_some_and(|other| other.place.room().is_some());
            if is_taken {
                lost.push((pair, query));
            } else if let Some(other) = self.insert(pair.clone(), query) {
                lost.push((pair, other));
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::effect::Ghost;
    use crate::bridge::input::BodyKind;
    use crate::bridge::session::seen::{Audience, Words};

    fn pair(user: &str, nick: &str) -> Pair {
        (UserId::new(user).unwrap(), Nick::new(nick, CaseMap::Ascii).unwrap())
    }

    fn room(text: &str) -> RoomId {
        RoomId::new(text).unwrap()
    }

    fn open(text: &str) -> Query {
        Query::new(Place::Open(room(text)), Who::default())
    }

    fn making() -> Query {
        let (user, nick) = pair("@ada:hs", "eve");
        let ghost = Ghost { user: UserId::new("@irc_eve:hs").unwrap(), display_name: nick.to_string() };
        Query::new(Place::doing(QueryStep::Create { user, ghost }), Who::default())
    }

    fn heard(text: &str) -> Heard {
        let words = Words {
            kind: BodyKind::Text,
            text: text.to_owned(),
            audience: Audience::All,
            reply: None,
            lines: Vec::new(),
        };
        Heard { what: Uttered::Words(words), stamp: Stamp::default() }
    }

    fn who(account: Option<&str>, mask: Option<&str>) -> Who {
        Who { account: account.map(str::to_owned), mask: mask.map(str::to_owned) }
    }

    #[test]
    fn who_has_a_nick_is_known_by_account_or_host() {
        let known = who(Some("eve"), Some("e@h"));
        assert!(known.may_be(&who(Some("eve"), Some("e@elsewhere"))), "an account moves with its owner");
        assert!(!known.may_be(&who(Some("carl"), Some("e@h"))), "another account on one computer");
        assert!(known.may_be(&who(None, Some("e@h"))) && !known.may_be(&who(None, Some("c@h"))));
        assert!(!who(None, Some("e@h")).may_be(&who(Some("eve"), Some("c@h"))));
        assert!(Who::default().may_be(&known), "nobody spoke yet");
        let mut learning = known.clone();
        assert!(!learning.learn(known.clone()));
        assert!(learning.learn(who(None, Some("e@new"))));
        assert_eq!(learning, who(Some("eve"), Some("e@new")), "an account that is not told is not lost");
    }

    #[test]
    fn a_room_leads_to_its_two_and_to_nobody_when_it_is_left_behind() {
        let mut queries = Queries::default();
        let (eve, ada) = (pair("@ada:hs", "Eve"), UserId::new("@ada:hs").unwrap());
        assert!(queries.insert(eve.clone(), making()).is_none());
        assert_eq!(queries.of_room(&room("!a")).map(|(pair, _)| pair), None);
        queries.set_place(&eve, Place::Open(room("!a")));
        assert_eq!(queries.of_room(&room("!a")).map(|(pair, _)| pair), Some(&pair("@ada:hs", "eve")));
        assert!(queries.has(&room("!a"), &ada));
        queries.set_place(&eve, Place::Left(room("!a")));
        assert!(!queries.has(&room("!a"), &ada) && queries.of_room(&room("!a")).is_some());
        assert_eq!(
            queries.insert(eve.clone(), open("!b")).map(|old| old.place),
            Some(Place::Left(room("!a")))
        );
        assert!(queries.of_room(&room("!a")).is_none() && queries.has(&room("!b"), &ada));
        assert!(queries.remove(&eve).is_some() && queries.is_empty() && queries.rooms.is_empty());
    }

    #[test]
    fn what_waits_keeps_its_order_and_has_a_bound() {
        let mut query = making();
        (0..LINES_MAX + 3).for_each(|number| query.wait(heard(&number.to_string())));
        let (waiting, left_out) = query.take_waiting();
        assert_eq!((waiting.len(), left_out), (LINES_MAX, 3));
        assert_eq!(waiting[0], heard("0"));
        query.wait(heard("later"));
        query.put_back(waiting, left_out);
        let (waiting, left_out) = query.take_waiting();
        assert_eq!((waiting.len(), left_out), (LINES_MAX + 1, 3));
        assert_eq!(waiting.back(), Some(&heard("later")));
    }

    #[test]
    fn nicks_that_become_one_leave_one_chat() {
        let mut queries = Queries::default();
        queries.insert(pair("@ada:hs", "x[]"), making());
        queries.insert(pair("@ada:hs", "x{}"), open("!b"));
        queries.insert(pair("@bob:hs", "x[]"), open("!c"));
        let lost = queries.refold(CaseMap::Rfc1459);
        assert_eq!((queries.len(), lost.len()), (2, 1));
        assert!(queries.of_room(&room("!b")).is_some() && queries.of_room(&room("!c")).is_some());
    }

    #[test]
    fn only_a_chat_with_a_room_is_kept() {
        let eve = pair("@ada:hs", "Eve");
        assert_eq!(making().row(&eve, None), None);
        let row = open("!a").row(&eve, Some("Ada".into())).unwrap();
        assert_eq!(
            (row.nick.as_str(), row.standing, row.display_name.as_deref()),
            ("Eve", QueryStanding::Open, Some("Ada"))
        );
    }
}
