//! Who is in one channel, as its nominee's stream shows it.
//!
//! NAMES replaces the whole list (353 … 366); JOIN, PART, QUIT, KICK, NICK and MODE change it in between.
//! While a list is coming in, changes go to both the old and the new one, so that neither forgets them. What changed is
//! kept as [`News`] until somebody takes it. It never asks for anything and never knows a Matrix user.

use std::collections::BTreeMap;

use crate::bridge::session::isupport::Prefixes;
use crate::bridge::session::seen::Quitting;
use crate::ids::Nick;

/// Members kept at most. Who comes to a full roster is counted and otherwise unknown: their lines are relayed
/// all the same, only their membership is not shown.
pub const MEMBERS_MAX: usize = 20_000;

/// Somebody in the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    pub nick: Nick,
    /// Letters of the modes they have, highest first, for example `ov`.
    pub modes: String,
}

/// What a whole list brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub arrived: Vec<Nick>,
    pub gone: Vec<Nick>,
}

/// What is new in a roster since somebody last asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// All of it may be another: a list came, or nothing is known any more.
    pub whole: bool,
    /// Who came or went, each with what they did last.
    pub people: BTreeMap<Nick, Motion>,
}

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Motion {
    Came,
    Went(Going),
}

/// How somebody went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Going {
    Parted,
    Kicked {
        by: String,
        reason: String,
    },
    Quit(Quitting),
    /// They go by another nick now, which is here.
    Renamed(Nick),
}

impl News {
    pub fn is_empty(&self) -> bool {
        !self.whole && self.people.is_empty()
    }
}

/// The members of one channel.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    members: Members,
    /// The list that is coming in.
    incoming: Option<Members>,
    is_known: bool,
    /// At most [`MEMBERS_MAX`] of each list; taken with each change in a channel.
    news: News,
    refused: u64,
    /// How often somebody's modes may have become others.
    ranks: u64,
}

type Members = BTreeMap<Nick, Present>;

impl Roster {
    pub fn new() -> Self {
        Self::default()
    }

    /// A list begins: NAMES was asked, or our own JOIN seen. One that was under way is dropped.
    pub fn names_begin(&mut self) {
        self.incoming = Some(Members::new());
    }

    /// One 353: people with the letters of their modes. Without a begin, this is one.
    pub fn names_add(&mut self, names: Vec<(String, Nick)>) {
        let incoming = self.incoming.get_or_insert_default();
        for (modes, nick) in names {
            self.refused += insert(incoming, Present { nick, modes });
        }
    }

    /// 366: the list is complete and replaces the one we had. Without a begin or a 353 it means nothing: some
    /// servers answer so to a NAMES that they refuse.
    pub fn names_end(&mut self) -> Changes {
        let Some(new) = self.incoming.take() else { return Changes::default() };
        self.is_known = true;
        self.ranks += 1;
        self.news = News { whole: true, people: BTreeMap::new() };
        let old = std::mem::replace(&mut self.members, new);
        Changes { arrived: missing(&self.members, &old), gone: missing(&old, &self.members) }
    }

    /// JOIN. Who is here already keeps their modes.
    pub fn join(&mut self, nick: &Nick) {
        let mut refused = 0;
        for members in self.lists() {
            if !members.contains_key(nick) {
                refused |= insert(members, Present { nick: nick.clone(), modes: String::new() });
            }
        }
        self.refused += refused;
        self.moved(nick, Motion::Came);
    }

    /// PART, KICK or QUIT: who it was, if they were known. A QUIT names no channel, so this tells whether it was in this
    /// one.
    pub fn leave(&mut self, nick: &Nick, going: Going) -> Option<Present> {
        let was = self.remove(nick);
        if was.is_some() {
            self.moved(nick, Motion::Went(going));
        }
        was
    }

    /// NICK. Who had the new name is gone without our notice, unless it is one name in two spellings. `None`
    /// when the old name was not here.
    pub fn rename(&mut self, old: &Nick, new: &Nick) -> Option<&Present> {
        let mut is_ranked = self.members.get(new).is_some_and(|present| !present.modes.is_empty());
        for members in self.lists() {
            if let Some(present) = members.remove(old) {
                is_ranked |= !present.modes.is_empty();
                members.remove(new);
                members.insert(new.clone(), Present { nick: new.clone(), ..present });
            }
        }
        self.ranks += u64::from(is_ranked);
        if self.members.contains_key(new) {
            self.moved(old, Motion::Went(Going::Renamed(new.clone())));
            self.moved(new, Motion::Came);
        }
        self.members.get(new)
    }

    /// MODE `+mode nick`, for a mode of `prefixes`; others are not kept.
    pub fn grant(&mut self, nick: &Nick, mode: char, prefixes: &Prefixes) {
        let Some(rank) = prefixes.rank(mode) else { return };
        self.ranks += 1;
        for members in self.lists() {
            if let Some(present) = members.get_mut(nick).filter(|present| !present.modes.contains(mode)) {
                let higher = |had: &char| prefixes.rank(*had).is_some_and(|other| other < rank);
                let at = present.modes.chars().take_while(higher).map(char::len_utf8).sum();
                present.modes.insert(at, mode);
            }
        }
    }

    /// MODE `-mode nick`.
    pub fn revoke(&mut self, nick: &Nick, mode: char) {
        self.ranks += 1;
        for members in self.lists() {
            if let Some(present) = members.get_mut(nick) {
                present.modes.retain(|had| had != mode);
            }
        }
    }

    /// We are out of the channel and know nothing any more.
    pub fn clear(&mut self) {
        self.members.clear();
        self.incoming = None;
        if std::mem::take(&mut self.is_known) {
            self.news = News { whole: true, people: BTreeMap::new() };
        }
    }

    /// True once a whole list came: who is not in it is not here, as far as there was a place for everybody.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Another number than before means that somebody may have another rank.
    pub fn ranks(&self) -> u64 {
        self.ranks
    }

    /// True when people were left out for want of a place.
    pub fn is_full(&self) -> bool {
        self.members.len() >= MEMBERS_MAX
    }

    /// What is new since the last call.
    pub fn take_news(&mut self) -> News {
        std::mem::take(&mut self.news)
    }

    /// Before a list is there nothing is new: with it, all is.
    fn moved(&mut self, nick: &Nick, motion: Motion) {
        if self.is_known && !self.news.whole {
            self.news.people.insert(nick.clone(), motion);
        }
    }

    pub fn get(&self, nick: &Nick) -> Option<&Present> {
        self.members.get(nick)
    }

    /// All members, by folded nick.
    pub fn iter(&self) -> impl Iterator<Item = &Present> + '_ {
        self.members.values()
    }

    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Entries that were no nick or found the roster full.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn lists(&mut self) -> impl Iterator<Item = &mut Members> {
        [Some(&mut self.members), self.incoming.as_mut()].into_iter().flatten()
    }

    fn remove(&mut self, nick: &Nick) -> Option<Present> {
        if let Some(incoming) = &mut self.incoming {
            incoming.remove(nick);
        }
        let was = self.members.remove(nick);
        self.ranks += u64::from(was.as_ref().is_some_and(|present| !present.modes.is_empty()));
        was
    }
}

/// 1 when there was no place.
fn insert(members: &mut Members, present: Present) -> u64 {
    if members.len() >= MEMBERS_MAX && !members.contains_key(&present.nick) {
        return 1;
    }
    members.insert(present.nick.clone(), present);
    0
}

fn missing(from: &Members, than: &Members) -> Vec<Nick> {
    from.keys().filter(|nick| !than.contains_key(*nick)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::casemap::CaseMap;

    fn nick(text: &str) -> Nick {
        Nick::new(text, CaseMap::Ascii).expect("a nick")
    }

    fn prefixes() -> Prefixes {
        Prefixes::parse("(qov)~@+").expect("pairs")
    }

    /// People as one 353 names them.
    fn people(line: &str) -> Vec<(String, Nick)> {
        let prefixes = prefixes();
        let entries = line.split(' ').filter(|entry| !entry.is_empty());
        let entries = entries.map(|entry| prefixes.split(entry));
        entries.map(|(modes, rest)| (modes, nick(rest.split('!').next().unwrap_or_default()))).collect()
    }

    fn list(roster: &mut Roster, lines: &[&str]) -> Changes {
        roster.names_begin();
        lines.iter().for_each(|line| roster.names_add(people(line)));
        roster.names_end()
    }

    fn check(roster: &Roster, expected: &str) {
        let shown: Vec<String> = roster.iter().map(|p| format!("{}:{}", p.nick, p.modes)).collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn a_list_in_two_lines_replaces_the_one_before() {
        let mut roster = Roster::new();
        let changes = list(&mut roster, &["@Ann +bob ", "~@+Carl!c@host dora"]);
        check(&roster, "Ann:o bob:v Carl:qov dora:");
        assert_eq!((changes.arrived.len(), changes.gone.len()), (4, 0));
        let changes = list(&mut roster, &["ANN erik"]);
        check(&roster, "ANN: erik:");
        assert_eq!(changes.arrived, [nick("erik")]);
        assert_eq!(changes.gone, [nick("bob"), nick("carl"), nick("dora")]);
    }

    #[test]
    fn until_its_end_a_list_does_not_show_but_changes_are_not_lost() {
        let mut roster = Roster::new();
        list(&mut roster, &["ann bob"]);
        roster.names_begin();
        roster.names_add(people("@ann bob"));
        check(&roster, "ann: bob:");
        roster.join(&nick("dora"));
        roster.leave(&nick("bob"), Going::Quit(Quitting::Gone));
        roster.grant(&nick("dora"), 'v', &prefixes());
        check(&roster, "ann: dora:v");
        let changes = roster.names_end();
        check(&roster, "ann:o dora:v");
        assert_eq!(changes, Changes::default());
    }

    #[test]
    fn an_end_without_a_list_changes_nothing() {
        let mut roster = Roster::new();
        list(&mut roster, &["ann"]);
        assert_eq!(roster.names_end(), Changes::default());
        check(&roster, "ann:");
    }

    #[test]
    fn members_come_rise_rename_and_go() {
        let mut roster = Roster::new();
        for name in ["ann", "bob", "carl", "dora"] {
            roster.join(&nick(name));
        }
        for (name, mode) in [("ann", 'v'), ("ann", 'q'), ("ann", 'o'), ("ann", 'o'), ("bob", 'b')] {
            roster.grant(&nick(name), mode, &prefixes());
        }
        check(&roster, "ann:qov bob: carl: dora:");
        roster.revoke(&nick("ANN"), 'o');
        assert!(roster.rename(&nick("ann"), &nick("Zoe")).is_some());
        assert!(roster.rename(&nick("nobody"), &nick("x")).is_none());
        roster.join(&nick("zoe"));
        check(&roster, "bob: carl: dora: Zoe:qv");
        assert_eq!(roster.leave(&nick("bob"), Going::Parted).map(|p| p.nick), Some(nick("bob")));
        let kick = Going::Kicked { by: "op".into(), reason: String::new() };
        assert_eq!(roster.leave(&nick("carl"), kick).map(|p| p.modes), Some(String::new()));
        assert_eq!(roster.leave(&nick("carl"), Going::Parted), None);
        check(&roster, "dora: Zoe:qv");
        roster.clear();
        assert!(roster.is_empty());
    }

    #[test]
    fn news_is_what_each_did_last_and_all_of_it_after_a_list() {
        let mut roster = Roster::new();
        roster.join(&nick("ann"));
        assert!(roster.take_news().is_empty(), "nobody knows yet who is here");
        list(&mut roster, &["ann bob"]);
        assert_eq!(roster.take_news(), News { whole: true, people: BTreeMap::new() });
        roster.leave(&nick("ann"), Going::Parted);
        roster.join(&nick("ann"));
        roster.rename(&nick("bob"), &nick("Bobby"));
        roster.leave(&nick("stranger"), Going::Parted);
        let went = Motion::Went(Going::Renamed(nick("Bobby")));
        let people = [(nick("ann"), Motion::Came), (nick("bob"), went), (nick("bobby"), Motion::Came)].into();
        assert_eq!(roster.take_news(), News { whole: false, people });
        roster.rename(&nick("bobby"), &nick("BOBBY"));
        assert_eq!(roster.take_news().people, [(nick("bobby"), Motion::Came)].into());
        roster.clear();
        assert!(roster.take_news().whole && !roster.is_known());
        roster.clear();
        assert!(roster.take_news().is_empty());
    }

    #[test]
    fn a_new_spelling_of_one_name_keeps_the_member() {
        let mut roster = Roster::new();
        list(&mut roster, &["@ann"]);
        roster.rename(&nick("ann"), &nick("Ann"));
        check(&roster, "Ann:o");
    }

    #[test]
    fn a_full_roster_counts_and_does_not_grow() {
        let mut roster = Roster::new();
        let names: Vec<String> = (0..MEMBERS_MAX + 5).map(|n| format!("n{n}")).collect();
        list(&mut roster, &[&names.join(" ")]);
        roster.join(&nick("late"));
        list(&mut roster, &[&names.join(" ")]);
        assert_eq!((roster.len(), roster.refused()), (MEMBERS_MAX, 5 + 1 + 5));
    }
}
