//! From ranks in a channel to power levels in its rooms.
//!
//! A table says which sign of IRC gives which level; of several ranks the highest counts. The levels of a room are made so
//! as a whole: what somebody has lost on IRC goes, whenever that was. What a room says beyond that is its people's:
//!
//! - whoever made the room, who no level can bind, and the bridge's own user are never named;
//! - a level above the highest of the table was given by somebody with more power than IRC has here, and stays;
//! - so does one below zero, by which a room's people silenced somebody;
//! - in a room of people's own ([`Reach::Given`]) only levels change that the bridge itself has given.
//!
//! Nobody gets a level by this that the bot could not take back.

use std::collections::{BTreeMap, BTreeSet};

use super::modes::Needs;
use crate::bridge::session::isupport::Prefixes;
use crate::ids::UserId;

/// Longest list of people with a level, in bytes: an event ends at 65,536, and people may have added their own.
const BYTES_MAX: usize = 40_000;
/// What an entry takes besides the id: quotes, colon, level, comma.
const ENTRY_BYTES: usize = 8;

/// Which sign gives which level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranks(BTreeMap<char, i64>);

impl Default for Ranks {
    fn default() -> Self {
        Self([('~', 90), ('&', 75), ('@', 50), ('%', 25), ('+', 1)].into())
    }
}

impl Ranks {
    /// Signs with their levels, 0 to 99.
    pub fn new(signs: impl IntoIterator<Item = (char, i64)>) -> Self {
        Self(signs.into_iter().collect())
    }

    /// The highest level there is.
    pub fn most(&self) -> i64 {
        self.0.values().copied().max().unwrap_or_default()
    }

    /// The level of somebody with these modes: the highest counts.
    pub fn level(&self, modes: &str, prefixes: &Prefixes) -> i64 {
        modes.chars().filter_map(|mode| self.of(mode, prefixes)).max().unwrap_or_default()
    }

    /// What one rank gives; one that the table does not name gives what the next one below does.
    fn of(&self, mode: char, prefixes: &Prefixes) -> Option<i64> {
        prefixes.signs_from(mode).find_map(|sign| self.0.get(&sign).copied())
    }
}

/// Whose levels in a room the bridge sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of everybody, up to the highest of the table: a room that the bridge made for the channel.
    All,
    /// Those that it has given: a room of people's own.
    Given,
}

/// The levels that people of a channel are to have in one of its rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomPower {
    /// Above zero. Who is not named has none by IRC.
    pub levels: BTreeMap<UserId, i64>,
    /// Higher ones are none of ours.
    pub most: i64,
    pub reach: Reach,
    /// What it takes to do something, in a room that the bridge made.
    pub needs: Needs,
}

/// What a room says of its people's levels (client-server API, "m.room.power_levels").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    pub users: BTreeMap<UserId, i64>,
    pub users_default: i64,
    /// What the bot has; `None`: more than any level.
    pub of_bot: Option<i64>,
    /// What is needed to change levels.
    pub needed: i64,
    /// Who is above all levels and must not be named, and the bot.
    pub untouchable: BTreeSet<UserId>,
    /// What the bridge has given, as far as the room remembers.
    pub given: BTreeMap<UserId, i64>,
    /// What it takes to do something.
    pub needs: Needs,
}

impl Levels {
    fn bot_may(&self) -> bool {
        self.of_bot.is_none_or(|level| level >= self.needed)
    }

    /// Levels that the bot can neither give nor take begin here. Of one that can do nothing it is asked what there
    /// would be to do.
    fn bound(&self) -> Option<i64> {
        self.of_bot.filter(|_| self.bot_may())
    }
}

/// The bot may not change levels in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Powerless;

impl RoomPower {
    /// At most as many as an event can hold: the highest first, and among equals those of `first`.
    pub fn new(
        levels: impl IntoIterator<Item = (UserId, i64)>,
        most: i64,
        reach: Reach,
        first: impl Fn(&UserId) -> bool,
    ) -> Self {
        let mut levels: Vec<(UserId, i64)> = levels.into_iter().filter(|(_, level)| *level > 0).collect();
        levels.sort_by_cached_key(|(user, level)| (-level, !first(user), user.clone()));
        let mut bytes = 0;
        let fits = |(user, _): &(UserId, i64)| {
            bytes += user.as_str().len() + ENTRY_BYTES;
            bytes <= BYTES_MAX
        };
        let levels = levels.into_iter().take_while(fits).collect();
        Self { levels, most, reach, needs: Needs::default() }
    }

    /// The same, with what it takes to do something.
    pub fn with_needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    /// What it has to take to do something where it takes something else.
    ///
    /// # Errors
    /// Something has to change, and the bot may not.
    pub fn new_needs(&self, room: &Levels) -> Result<Needs, Powerless> {
        // Nobody asks for more than they have (room version 1, authorization rule 10).
        let most = room.bound().map_or(self.most, |bot| self.most.min(bot));
        let changes = self.needs.changes(&room.needs, most);
        if room.bot_may() || changes.is_empty() { Ok(changes) } else { Err(Powerless) }
    }

    /// What has to change: new levels, and `None` for who is to be named no more.
    ///
    /// # Errors
    /// Something has to change, and the bot may not.
    pub fn changes(&self, room: &Levels) -> Result<BTreeMap<UserId, Option<i64>>, Powerless> {
        let people: BTreeSet<&UserId> = self.levels.keys().chain(room.users.keys()).collect();
        let changed = people.into_iter().filter_map(|user| Some((user.clone(), self.change(user, room)?)));
        let changes: BTreeMap<UserId, Option<i64>> = changed.collect();
        if room.bot_may() || changes.is_empty() { Ok(changes) } else { Err(Powerless) }
    }

    /// The new entry of one person, if it is another.
    fn change(&self, user: &UserId, room: &Levels) -> Option<Option<i64>> {
        let had = room.users.get(user).copied();
        if room.untouchable.contains(user) || had.is_some_and(|level| !self.is_ours(user, level, room)) {
            return None;
        }
        // Only who is above somebody can take it back from them (room version 1, authorization rule 10).
        let limit = room.bound().map_or(i64::MAX, |level| level - 1);
        let wanted = self.levels.get(user).copied().unwrap_or_default().min(limit);
        let wanted = Some(wanted).filter(|level| *level > room.users_default);
        // To be named with what everybody has is to have nothing.
        let is_plain = wanted.is_none() && had == Some(room.users_default);
        (wanted != had && !is_plain).then_some(wanted)
    }

    /// Whether a level that somebody has may be changed.
    fn is_ours(&self, user: &UserId, level: i64, room: &Levels) -> bool {
        let is_below_bot = room.bound().is_none_or(|bot| level < bot);
        is_below_bot
            && match self.reach {
                Reach::All => (0..=self.most).contains(&level),
                Reach::Given => room.given.get(user) == Some(&level),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(name: &str) -> UserId {
        UserId::new(&format!("@{name}:hs")).expect("a user id")
    }

    /// `ada=50 bob=1`.
    fn people(words: &str) -> BTreeMap<UserId, i64> {
        let entry = |word: &str| {
            let (name, level) = word.split_once('=').expect("NAME=LEVEL");
            (user(name), level.parse().expect("a level"))
        };
        words.split_whitespace().map(entry).collect()
    }

    fn wanted(words: &str, reach: Reach) -> RoomPower {
        RoomPower::new(people(words), 90, reach, |_| true)
    }

    /// A room of version 12 that the bot made.
    fn room(words: &str) -> Levels {
        let untouchable = [user("bot"), user("maker")].into();
        Levels { users: people(words), needed: 100, untouchable, ..Levels::default() }
    }

    fn shown(changes: Result<BTreeMap<UserId, Option<i64>>, Powerless>) -> String {
        let Ok(changes) = changes else { return "powerless".into() };
        let entry = |(user, level): (&UserId, &Option<i64>)| match level {
            Some(level) => format!("{}={level}", user.localpart()),
            None => format!("-{}", user.localpart()),
        };
        changes.iter().map(entry).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_highest_rank_counts_and_one_without_an_entry_is_as_the_next_below() {
        let ranks = Ranks::default();
        let network = Prefixes::parse("(Yqaohv)!~&@%+").expect("pairs");
        for (modes, level) in [
            ("", 0),
            ("v", 1),
            ("hv", 25),
            ("ov", 50),
            ("vo", 50),
            ("a", 75),
            ("qo", 90),
            ("Y", 90),
            ("x", 0),
        ] {
            assert_eq!(ranks.level(modes, &network), level, "{modes}");
        }
        let few = Ranks::new([('@', 60)]);
        assert_eq!(few.level("q", &network), 60);
        assert_eq!((few.level("h", &network), few.level("hv", &network), few.most()), (0, 0, 60));
    }

    #[test]
    fn levels_rise_and_fall_as_a_whole() {
        let wanted = wanted("ada=50 bob=1", Reach::All);
        assert_eq!(shown(wanted.changes(&room(""))), "ada=50 bob=1");
        assert_eq!(shown(wanted.changes(&room("ada=50 bob=1"))), "");
        assert_eq!(shown(wanted.changes(&room("ada=1 bob=50 eve=50"))), "ada=50 bob=1 -eve");
    }

    #[test]
    fn who_stands_above_irc_or_below_everybody_is_left_alone() {
        let wanted = wanted("admin=50 muted=50 maker=50 bot=50", Reach::All);
        assert_eq!(shown(wanted.changes(&room("admin=100 muted=-1 keeper=95"))), "");
    }

    #[test]
    fn in_a_room_of_people_s_own_only_what_was_given_is_taken() {
        let wanted = wanted("ada=50 bob=50 carl=50", Reach::Given);
        let mut room = room("ada=25 bob=1 dora=50 erik=50");
        room.given = people("bob=1 erik=50 dora=1");
        assert_eq!(shown(wanted.changes(&room)), "bob=50 carl=50 -erik");
    }

    #[test]
    fn the_bot_gives_nothing_that_it_could_not_take_back() {
        let wanted = wanted("ada=90 bob=25", Reach::All);
        let bounded = Levels { of_bot: Some(50), needed: 50, ..room("carl=50 dora=49") };
        assert_eq!(shown(wanted.changes(&bounded)), "ada=49 bob=25 -dora");
        assert_eq!(shown(wanted.changes(&Levels { needed: 51, ..bounded.clone() })), "powerless");
        let agreed = Levels { of_bot: Some(0), needed: 100, ..room("ada=90 bob=25") };
        assert_eq!(shown(wanted.changes(&agreed)), "", "nothing is to be done");
    }

    #[test]
    fn what_everybody_has_is_no_rank() {
        let wanted = wanted("ada=1 bob=50", Reach::All);
        assert_eq!(
            shown(wanted.changes(&Levels { users_default: 10, ..room("ada=1 eve=10") })),
            "-ada bob=50"
        );
    }

    #[test]
    fn a_channel_full_of_voices_keeps_its_operators() {
        let voices = (0..2_000).map(|n| (user(&format!("irc_voice_{n:04}")), 1));
        let power =
            RoomPower::new(voices.chain(people("zoe=50 ada=1")), 90, Reach::All, |u| u.localpart() == "ada");
        assert!(power.levels.len() < 1_999 && power.levels.contains_key(&user("ada")));
        assert_eq!(power.levels.get(&user("zoe")), Some(&50));
    }

    fn some() -> impl Strategy<Value = BTreeMap<UserId, i64>> {
        prop::collection::btree_map("[a-f]".prop_map(|name| user(&name)), -2i64..110, 0..6)
    }

    proptest! {
        #[test]
        fn once_is_enough_and_nobody_gets_more_than_irc_gives(
            wanted in some(),
            users in some(),
            given in some(),
            default in 0i64..3,
            bot in prop::option::of(0i64..110),
            all in any::<bool>(),
        ) {
            let reach = if all { Reach::All } else { Reach::Given };
            let wanted = RoomPower::new(wanted.into_iter().map(|(u, level)| (u, level.min(90))), 90, reach, |_| true);
            let untouchable = [user("a")].into();
            let before = Levels { users, users_default: default, of_bot: bot, needed: 50, untouchable, given, needs: Needs::default() };
            let Ok(changes) = wanted.changes(&before) else { return Ok(()) };
            let mut after = before.clone();
            for (user, level) in &changes {
                prop_assert!(!before.untouchable.contains(user));
                prop_assert!(level.is_none_or(|level| Some(&level) <= wanted.levels.get(user)), "above irc");
                prop_assert!(before.of_bot.is_none_or(|bot| level.unwrap_or(0) < bot), "beyond the bot");
                match level {
                    Some(level) => {
                        after.users.insert(user.clone(), *level);
                        after.given.insert(user.clone(), *level);
                    }
                    None => {
                        after.users.remove(user);
                        after.given.remove(user);
                    }
                }
            }
            prop_assert_eq!(wanted.changes(&after), Ok(BTreeMap::new()));
        }
    }
}
