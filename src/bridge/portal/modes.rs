//! From the modes of a channel to the settings of a room that the bridge made for it: the table, in one place.
//!
//! A setting follows the channel only as far as the channel's modes are known: what is not known changes nothing. Only what
//! would say more than the room may, or less than it has to, is ever changed: levels above the highest of the ranks are an
//! admin's, a door that people closed stays closed, and no room is ever put into a directory.

use crate::bridge::channel::profile::Modes;

/// What a mode of a channel means to its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// Who has no rank says nothing: what it takes to say something is the level of a voice.
    Voice,
    /// Who is not invited stays outside.
    JoinRule,
    /// It is not shown to those outside.
    Hidden,
    /// Half-operators alone, or operators where there are none, set the topic. Without it anybody does.
    Topic,
    /// The channel keeps it by itself: who is refused is told why.
    Refusal,
}

/// Each mode that most networks know, with what it means to a room.
pub const TABLE: [(char, Means, &str); 12] = [
    ('m', Means::Voice, "who has no rank may not speak"),
    ('i', Means::JoinRule, "by invitation only"),
    ('k', Means::JoinRule, "a key is needed"),
    ('s', Means::Hidden, "secret"),
    ('p', Means::Hidden, "private"),
    ('t', Means::Topic, "operators set the topic"),
    ('n', Means::Refusal, "nobody speaks from outside"),
    ('l', Means::Refusal, "no more than so many people"),
    ('r', Means::Refusal, "registered nicks only, on many networks"),
    ('R', Means::Refusal, "registered nicks only, on others"),
    ('M', Means::Refusal, "only registered nicks speak"),
    ('c', Means::Refusal, "no colours; `C`, `S` and others are like it"),
];

/// Whether any mode that means this is set; `None` while that is not known.
pub fn says(modes: &Modes, means: Means) -> Option<bool> {
    let mut meant = TABLE.iter().filter(|(_, other, _)| *other == means);
    modes.are_known().then(|| meant.any(|(mode, ..)| modes.has(*mode) == Some(true)))
}

/// What it takes to do something in a room; `None`: as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// To say anything.
    pub speak: Option<i64>,
    /// To set the topic.
    pub topic: Option<i64>,
}

impl Needs {
    /// By the modes of a channel: `voice` and `halfop` are the levels of those ranks.
    pub fn new(modes: &Modes, voice: i64, halfop: i64) -> Self {
        let needed = |means, level: i64| says(modes, means).map(|is_set| if is_set { level } else { 0 });
        Self { speak: needed(Means::Voice, voice), topic: needed(Means::Topic, halfop) }
    }

    /// What has to change in a room where `there` is what it takes now. Levels above `most` are none of ours.
    pub fn changes(&self, there: &Self, most: i64) -> Self {
        let change = |wanted: Option<i64>, there: Option<i64>| {
            wanted.filter(|level| there.is_none_or(|there| there != *level && there <= most))
        };
        Self { speak: change(self.speak, there.speak), topic: change(self.topic, there.topic) }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Who may come into a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinRule {
    /// Who is invited.
    Closed,
    /// Who is invited, for as long as the channel is closed, whoever said so.
    Shared,
    /// Who might before the bridge closed it.
    AsBefore,
    /// Anybody, also where a person has just closed it.
    Open,
}

impl JoinRule {
    /// By the modes of a channel; `None` while they are not known.
    pub fn of(modes: &Modes) -> Option<Self> {
        says(modes, Means::JoinRule).map(|is_closed| if is_closed { Self::Closed } else { Self::AsBefore })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_changes_nothing() {
        assert_eq!(Needs::new(&Modes::default(), 1, 25), Needs::default());
        assert_eq!(JoinRule::of(&Modes::default()), None);
    }

    #[test]
    fn levels_follow_the_channel_up_and_down_below_those_of_admins() {
        let needs = |speak, topic| Needs { speak, topic };
        for (wanted, there, changed) in [
            ((Some(1), Some(25)), (Some(0), Some(50)), (Some(1), Some(25))),
            ((Some(0), Some(0)), (Some(1), Some(25)), (Some(0), Some(0))),
            ((Some(1), Some(25)), (Some(1), Some(25)), (None, None)),
            ((Some(0), Some(0)), (Some(95), Some(91)), (None, None)),
            ((None, None), (Some(1), Some(1)), (None, None)),
        ] {
            let changes = needs(wanted.0, wanted.1).changes(&needs(there.0, there.1), 90);
            assert_eq!(changes, needs(changed.0, changed.1), "{wanted:?} where it is {there:?}");
        }
    }
}
