//! One rule of a policy list, from the state of its room.
//!
//! Three generations of event types mean the same (`m.policy.rule.*`, `m.room.rule.*`, `org.matrix.mjolnir.rule.*`). A rule
//! is lifted by an event without content in its place, by a redaction, or by another recommendation.

/// Whom a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    Person,
    Homeserver,
}

/// A rule that somebody is wanted nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRule {
    pub about: About,
    /// A name, or a pattern of names with `*` and `?`, as written.
    pub entity: String,
    /// One line, cut to [`REASON_CHARS_MAX`]; may be empty.
    pub reason: String,
}

/// Where a rule stands in its room's state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleKey {
    /// The event's type.
    pub kind: String,
    /// Its state key.
    pub key: String,
}

/// Characters of a reason that are kept.
pub const REASON_CHARS_MAX: usize = 100;

/// Types of events that are rules we know, with whom they are about.
pub const KINDS: [(&str, About); 6] = [
    ("m.policy.rule.user", About::Person),
    ("m.policy.rule.server", About::Homeserver),
    ("m.room.rule.user", About::Person),
    ("m.room.rule.server", About::Homeserver),
    ("org.matrix.mjolnir.rule.user", About::Person),
    ("org.matrix.mjolnir.rule.server", About::Homeserver),
];
/// What a rule has to recommend; we know no other recommendation.
const BANS: [&str; 2] = ["m.ban", "org.matrix.mjolnir.ban"];

impl About {
    /// By the type of an event; `None` for one that is no rule for us.
    pub fn of_kind(kind: &str) -> Option<Self> {
        KINDS.iter().find(|(known, _)| *known == kind).map(|(_, about)| *about)
    }
}

impl PolicyRule {
    /// A rule by the fields of its event's content; `None` for none, or one that asks for something else.
    pub fn new(
        about: About,
        entity: Option<&str>,
        recommendation: Option<&str>,
        reason: Option<&str>,
    ) -> Option<Self> {
        let entity = entity.filter(|entity| !entity.is_empty())?;
        let is_ban = recommendation.is_some_and(|recommendation| BANS.contains(&recommendation));
        let reason = reason.unwrap_or_default().chars().filter(|c| !c.is_control());
        let reason: String = reason.take(REASON_CHARS_MAX).collect();
        is_ban.then(|| Self { about, entity: entity.to_owned(), reason: reason.trim().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_somebody_and_recommends_a_ban() {
        let rule = |entity, recommendation| PolicyRule::new(About::Person, entity, recommendation, None);
        assert!(rule(Some("@eve:hs"), Some("m.ban")).is_some());
        assert!(rule(Some("@eve:hs"), Some("org.matrix.mjolnir.ban")).is_some());
        assert!(rule(Some("@eve:hs"), Some("org.example.applaud")).is_none());
        assert!(rule(None, Some("m.ban")).is_none() && rule(Some("@eve:hs"), None).is_none());
        assert!(rule(Some(""), Some("m.ban")).is_none());
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let reason = format!(" \u{2}spam\n{}", "x".repeat(500));
        let rule =
            PolicyRule::new(About::Homeserver, Some("evil.org"), Some("m.ban"), Some(&reason)).unwrap();
        assert!(rule.reason.starts_with("spamx") && rule.reason.chars().count() < REASON_CHARS_MAX);
    }

    #[test]
    fn all_three_families_are_known_and_rooms_are_nobody() {
        assert_eq!(About::of_kind("m.room.rule.server"), Some(About::Homeserver));
        assert_eq!(About::of_kind("org.matrix.mjolnir.rule.user"), Some(About::Person));
        assert_eq!(About::of_kind("m.policy.rule.room"), None);
    }
}
