//! How many commands are taken in a minute: of one person, and of all of them. Who gives more is told once in that minute
//! and then not answered, so that nobody makes the bot talk faster than the network lets it.

use std::collections::HashMap;

use crate::ids::Time;

/// Commands of one `user@host` in a minute.
pub const OWN_MAX: u32 = 15;
/// Commands of all people in a minute.
pub const ALL_MAX: u32 = 40;
/// People told in a minute that they give too many.
pub const TOLD_MAX: u32 = 5;
pub const WINDOW_MS: u64 = 60_000;

/// The commands of a minute.
#[derive(Debug, Default)]
pub struct Pace {
    since: Time,
    all: u32,
    told: u32,
    /// At most [`ALL_MAX`] and [`TOLD_MAX`] people, with what they gave; forgotten with the minute.
    of: HashMap<String, u32>,
}

/// What becomes of one more command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Taken,
    /// Its giver is told that there are too many.
    Told,
    /// Nothing is said.
    Dropped,
}

impl Pace {
    /// Takes one more command of this person.
    pub fn take(&mut self, now: Time, mask: &str) -> Turn {
        if now.since_ms(self.since) >= WINDOW_MS {
            *self = Self { since: now, ..Self::default() };
        }
        let own = self.of.get(mask).copied().unwrap_or_default();
        if own < OWN_MAX && self.all < ALL_MAX {
            self.all += 1;
            self.of.insert(mask.to_owned(), own + 1);
            return Turn::Taken;
        }
        // Above what one may give: told already.
        if own > OWN_MAX || self.told >= TOLD_MAX {
            return Turn::Dropped;
        }
        self.told += 1;
        self.of.insert(mask.to_owned(), OWN_MAX + 1);
        Turn::Told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_answered_then_told_once_then_met_with_silence() {
        let mut pace = Pace::default();
        let turns: Vec<Turn> = (0..1_000).map(|_| pace.take(Time(5), "e@h")).collect();
        assert_eq!(turns.iter().filter(|turn| **turn == Turn::Taken).count(), OWN_MAX as usize);
        assert_eq!(turns[OWN_MAX as usize], Turn::Told);
        assert!(turns[OWN_MAX as usize + 1..].iter().all(|turn| *turn == Turn::Dropped));
        assert_eq!(pace.take(Time(5 + WINDOW_MS), "e@h"), Turn::Taken);
    }

    #[test]
    fn a_thousand_people_are_no_more_than_a_few() {
        let mut pace = Pace::default();
        let turns: Vec<Turn> = (0..1_000).map(|n| pace.take(Time(5), &format!("u{n}@h"))).collect();
        let count = |wanted| turns.iter().filter(|turn| **turn == wanted).count();
        assert_eq!((count(Turn::Taken), count(Turn::Told)), (ALL_MAX as usize, TOLD_MAX as usize));
        assert!(pace.of.len() <= (ALL_MAX + TOLD_MAX) as usize);
    }
}
