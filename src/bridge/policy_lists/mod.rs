//! Policy lists: whom the moderators of a list want nowhere (client-server API, "Moderation policy lists").
//!
//! [`PolicyRules`] is one picture of all lists at a moment: shared by all networks, never changed. Whom a rule means is said
//! here; what follows for them is the network's. A rule that lets nobody be known (too long) or asks for something that we
//! do not know is none.
//!
//! Rules for one name are found by it; rules with `*` or `?` are tried one by one, and there are fewer of them.
//!
//! A list is made by others, and one slip of theirs is not to empty the bridge: a rule that means everybody, or the homeserver
//! that the bridge is for, does not count. Whoever wants that says it in the bridge's own permissions.

pub mod rule;

use std::collections::{BTreeMap, HashMap};

pub use self::rule::{About, PolicyRule, RuleKey};
use crate::ids::{RoomId, UserId};
use crate::text::glob::Glob;
use crate::text::whom::{folded, without_port};

/// Rules in force at most, over all lists. Further ones are left out, and counted.
pub const RULES_MAX: usize = 50_000;
/// Of these with `*` or `?`: each of them is tried with each person.
pub const PATTERNS_MAX: usize = 5_000;
/// Longest entity of a rule, in bytes: as long as a user id may be. Longer ones mean nobody, and are counted.
pub const ENTITY_BYTES_MAX: usize = 255;

/// The rules of one list, by where they stand in its room's state.
pub type PolicyList = BTreeMap<RuleKey, PolicyRule>;

/// All rules of all lists at one moment.
#[derive(Debug, Default)]
pub struct PolicyRules {
    people: HashMap<String, Cause>,
    homeservers: HashMap<String, Cause>,
    patterns: Vec<(About, Glob, Cause)>,
    counts: Counts,
    /// The first of those that mean too many.
    too_wide: Vec<Cause>,
    home: Option<Home>,
}

/// The homeserver that the bridge is for, as rules may mean it.
#[derive(Debug)]
struct Home {
    name: String,
    /// Somebody there, with its port and without, and somebody elsewhere, by names that nobody has: who means them means everybody.
    nobodies: [Chars; 3],
}

/// How many rules that mean too many are kept, to be told.
const TOO_WIDE_TOLD_MAX: usize = 8;
/// A name that nobody has. A rule that means it means any.
const NOBODY: &str = "qzx8-nobody-here-3kv0";

/// How many rules there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub in_force: u64,
    /// Too long, or beyond the most that are kept.
    pub left_out: u64,
    /// They mean everybody, or all of the bridge's own homeserver.
    pub too_wide: u64,
}

/// Why somebody is on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub list: RoomId,
    /// Whom the rule names, as written.
    pub entity: String,
    /// In the words of whoever made the rule, one line; may be empty.
    pub reason: String,
}

/// Whom a change of the lists may concern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concerns {
    Everybody,
    /// Those whom one of these means, in the rules before or after.
    Only(Vec<(About, String)>),
}

impl PolicyRules {
    /// The rules of these lists. Where two mean the same, the first one's reason is told.
    pub fn new<'a>(lists: impl IntoIterator<Item = (&'a RoomId, &'a PolicyList)>) -> Self {
        Self::default().with(lists)
    }

    /// As [`new`](Self::new), without those that mean everybody, or the homeserver of this name.
    pub fn sparing<'a>(home: &str, lists: impl IntoIterator<Item = (&'a RoomId, &'a PolicyList)>) -> Self {
        Self { home: Some(Home::new(home)), ..Self::default() }.with(lists)
    }

    fn with<'a>(self, lists: impl IntoIterator<Item = (&'a RoomId, &'a PolicyList)>) -> Self {
        let mut rules = self;
        for (list, of_list) in lists {
            of_list.values().for_each(|rule| rules.add(list, rule));
        }
        rules
    }

    fn add(&mut self, list: &RoomId, rule: &PolicyRule) {
        let is_plain = Glob::is_plain(&rule.entity);
        let is_over = rule.entity.len() > ENTITY_BYTES_MAX
            || self.counts.in_force >= RULES_MAX as u64
            || (!is_plain && self.patterns.len() >= PATTERNS_MAX);
        if is_over {
            self.counts.left_out += 1;
            return;
        }
        let cause = Cause { list: list.clone(), entity: rule.entity.clone(), reason: rule.reason.clone() };
        let entity = known_as(rule.about, &rule.entity);
        if self.home.as_ref().is_some_and(|home| home.is_meant(rule.about, &entity)) {
            self.counts.too_wide += 1;
            if self.too_wide.len() < TOO_WIDE_TOLD_MAX {
                self.too_wide.push(cause);
            }
            return;
        }
        self.counts.in_force += 1;
        match (is_plain, rule.about) {
            (true, About::Person) => drop(self.people.entry(entity).or_insert(cause)),
            (true, About::Homeserver) => drop(self.homeservers.entry(entity).or_insert(cause)),
            (false, about) => self.patterns.push((about, Glob::new(&entity), cause)),
        }
    }

    /// Why nobody wants this person, if so: by their own name first, then by their homeserver's, then by a pattern.
    pub fn against(&self, user: &UserId) -> Option<&Cause> {
        let names = Names::of(user);
        let by_name = self.people.get(&names.person);
        let by_homeserver = || names.homeservers().find_map(|homeserver| self.homeservers.get(homeserver));
        by_name.or_else(by_homeserver).or_else(|| {
            let chars = names.chars();
            let found = self.patterns.iter().find(|(about, glob, _)| chars.fits(*about, glob));
            found.map(|(.., cause)| cause)
        })
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The first rules that do not count because they mean too many.
    pub fn too_wide(&self) -> &[Cause] {
        &self.too_wide
    }
}

impl Home {
    fn new(name: &str) -> Self {
        let nobody_of = |homeserver: &str| Chars {
            person: format!("@{NOBODY}:{homeserver}").chars().collect(),
            homeservers: vec![homeserver.chars().collect()],
        };
        let name = folded(name);
        let elsewhere = format!("{NOBODY}.{NOBODY}");
        let nobodies = [nobody_of(&name), nobody_of(without_port(&name)), nobody_of(&elsewhere)];
        Self { name, nobodies }
    }

    /// True for a rule that means all of this homeserver, or all there are. `entity` is as it is compared.
    fn is_meant(&self, about: About, entity: &str) -> bool {
        let glob = Glob::new(entity);
        let is_name = about == About::Homeserver && glob.fits(&self.name.chars().collect::<Vec<char>>());
        is_name || self.nobodies.iter().any(|nobody| nobody.fits(about, &glob))
    }
}

impl Concerns {
    /// True for somebody for whom the change may matter.
    pub fn may_be(&self, user: &UserId) -> bool {
        let Self::Only(entities) = self else { return true };
        let chars = Names::of(user).chars();
        entities.iter().any(|(about, entity)| chars.fits(*about, &Glob::new(&known_as(*about, entity))))
    }
}

/// A person's names as rules know them.
struct Names {
    person: String,
    homeserver: String,
}

impl Names {
    fn of(user: &UserId) -> Self {
        let homeserver = folded(user.server());
        Self { person: format!("@{}:{homeserver}", user.localpart()), homeserver }
    }

    /// With the port and without, where it has one.
    fn homeservers(&self) -> impl Iterator<Item = &str> {
        let host = without_port(&self.homeserver);
        [self.homeserver.as_str()].into_iter().chain((host.len() < self.homeserver.len()).then_some(host))
    }

    fn chars(&self) -> Chars {
        let chars = |text: &str| text.chars().collect();
        Chars { person: chars(&self.person), homeservers: self.homeservers().map(chars).collect() }
    }
}

#[derive(Debug)]
struct Chars {
    person: Vec<char>,
    homeservers: Vec<Vec<char>>,
}

impl Chars {
    fn fits(&self, about: About, glob: &Glob) -> bool {
        match about {
            About::Person => glob.fits(&self.person),
            About::Homeserver => self.homeservers.iter().any(|homeserver| glob.fits(homeserver)),
        }
    }
}

/// An entity as it is compared: names of homeservers in small letters, names of people as they are.
fn known_as(about: About, entity: &str) -> String {
    match (about, entity.split_once(':')) {
        (About::Homeserver, _) => folded(entity),
        (About::Person, Some((person, homeserver))) => format!("{person}:{}", folded(homeserver)),
        (About::Person, None) => entity.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(rules: &[(About, &str, &str)]) -> PolicyList {
        let keyed = |(nth, (about, entity, reason)): (usize, &(About, &str, &str))| {
            let rule =
                PolicyRule { about: *about, entity: (*entity).to_owned(), reason: (*reason).to_owned() };
            (RuleKey { kind: "m.policy.rule.user".into(), key: format!("{nth:06}") }, rule)
        };
        rules.iter().enumerate().map(keyed).collect()
    }

    fn rules(of: &[(About, &str, &str)]) -> PolicyRules {
        let (room, list) = (RoomId::new("!list").unwrap(), list(of));
        PolicyRules::new([(&room, &list)])
    }

    fn reason(rules: &PolicyRules, user: &str) -> Option<String> {
        rules.against(&UserId::new(user).unwrap()).map(|cause| cause.reason.clone())
    }

    #[test]
    fn rules_mean_people_homeservers_and_patterns_of_both() {
        let rules = rules(&[
            (About::Person, "@eve:evil.org", "eve"),
            (About::Person, "@spam*:*", "spam"),
            (About::Homeserver, "bad.org", "bad"),
            (About::Homeserver, "*.ru.example", "sub"),
        ]);
        let why = |user| reason(&rules, user);
        assert_eq!(why("@eve:evil.org").as_deref(), Some("eve"));
        assert_eq!(why("@eve:EVIL.org").as_deref(), Some("eve"), "the same homeserver");
        assert_eq!(why("@Eve:evil.org"), None, "somebody else");
        assert_eq!(why("@spammer:good.org").as_deref(), Some("spam"));
        assert_eq!(why("@ada:bad.org:8448").as_deref(), Some("bad"));
        assert_eq!(why("@ada:x.ru.example").as_deref(), Some("sub"));
        assert_eq!(why("@ada:ru.example"), None);
        assert_eq!(rules.counts(), Counts { in_force: 4, ..Counts::default() });
    }

    #[test]
    fn who_means_everybody_or_our_own_homeserver_means_nobody() {
        let too_wide = [
            (About::Person, "*", ""),
            (About::Person, "@*:*", ""),
            (About::Person, "@*", ""),
            (About::Person, "@?*:hs.example", ""),
            (About::Person, "*:HS.example", ""),
            (About::Homeserver, "*", ""),
            (About::Homeserver, "?*.?*", ""),
            (About::Homeserver, "hs.example", ""),
            (About::Homeserver, "HS.example", ""),
            (About::Homeserver, "*.example", ""),
            (About::Homeserver, "hs.example:8448", ""),
            (About::Person, "@*:hs.example:8448", ""),
        ];
        let fine = [
            (About::Person, "@eve:hs.example", "one of ours"),
            (About::Person, "@spam*:hs.example", "some of ours"),
            (About::Person, "@*:evil.org", "all of theirs"),
            (About::Homeserver, "*.org", "many others"),
        ];
        let (room, of_list) = (RoomId::new("!list").unwrap(), list(&[&too_wide[..], &fine[..]].concat()));
        let rules = PolicyRules::sparing("hs.example:8448", [(&room, &of_list)]);
        assert_eq!(rules.counts(), Counts { in_force: 4, left_out: 0, too_wide: 12 });
        assert_eq!(rules.too_wide().len(), TOO_WIDE_TOLD_MAX);
        assert_eq!(reason(&rules, "@ada:hs.example"), None);
        assert_eq!(reason(&rules, "@ada:elsewhere.net"), None);
        let why = |user| reason(&rules, user).unwrap_or_default();
        assert_eq!(why("@eve:hs.example"), "one of ours");
        assert_eq!(why("@spammer:hs.example"), "some of ours");
        assert_eq!(why("@x:evil.org"), "all of theirs");
        assert_eq!(why("@x:other.org"), "many others");
    }

    #[test]
    fn what_is_too_long_or_too_much_is_counted_and_means_nobody() {
        let long = format!("@{}*:evil.org", "a".repeat(ENTITY_BYTES_MAX));
        let rules = rules(&[(About::Person, &long, "")]);
        assert_eq!(rules.counts(), Counts { left_out: 1, ..Counts::default() });
        let names: Vec<String> = (0..RULES_MAX + 3).map(|n| format!("@u{n}:evil.org")).collect();
        let many: Vec<(About, &str, &str)> =
            names.iter().map(|name| (About::Person, name.as_str(), "")).collect();
        let (room, many) = (RoomId::new("!list").unwrap(), list(&many));
        let full = PolicyRules::new([(&room, &many)]);
        assert_eq!(full.counts(), Counts { in_force: RULES_MAX as u64, left_out: 3, too_wide: 0 });
        assert!(reason(&full, "@u0:evil.org").is_some() && reason(&full, "@nobody:evil.org").is_none());
    }

    #[test]
    fn patterns_have_a_bound_of_their_own() {
        let names: Vec<String> = (0..PATTERNS_MAX + 1).map(|n| format!("@u{n}*:evil.org")).collect();
        let mut all: Vec<(About, &str, &str)> =
            names.iter().map(|name| (About::Person, name.as_str(), "")).collect();
        all.push((About::Homeserver, "bad.org", "still"));
        let (room, all) = (RoomId::new("!list").unwrap(), list(&all));
        let rules = PolicyRules::new([(&room, &all)]);
        assert_eq!(rules.counts(), Counts { in_force: PATTERNS_MAX as u64 + 1, left_out: 1, too_wide: 0 });
        assert_eq!(reason(&rules, "@ada:bad.org").as_deref(), Some("still"));
    }

    #[test]
    fn a_change_concerns_those_whom_it_names() {
        let only = Concerns::Only(vec![
            (About::Person, "@e*:evil.org".into()),
            (About::Homeserver, "BAD.org".into()),
        ]);
        let may = |user: &str| only.may_be(&UserId::new(user).unwrap());
        assert!(may("@eve:evil.org") && may("@ada:bad.org:1") && !may("@ada:evil.org"));
        assert!(Concerns::Everybody.may_be(&UserId::new("@ada:hs").unwrap()));
        assert!(!Concerns::Only(Vec::new()).may_be(&UserId::new("@ada:hs").unwrap()));
    }
}
