//! How many commands are taken in a minute: of one person, of those who come from one host or have one account, and of all of
//! them. Who gives more is told once in that minute and then not answered, so that nobody makes the bot talk faster than the
//! network lets it. Some of what all may give is kept for those who have hardly given any: whoever floods from a few hosts
//! shuts nobody else out.
//!
//! Rules for channels that have no room cost more than a command: each is kept. Those of one host are bounded in an hour.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::ids::Time;

/// Commands of one `user@host` in a minute.
pub const OWN_MAX: u32 = 15;
/// Commands of one host, and of one account, in a minute.
pub const HOST_MAX: u32 = 20;
/// Commands of all people in a minute.
pub const ALL_MAX: u32 = 40;
/// Of these, commands that are kept for hosts that gave fewer than [`FEW`].
pub const KEPT: u32 = 10;
const FEW: u32 = 3;
/// People told in a minute that they give too many.
pub const TOLD_MAX: u32 = 5;
pub const WINDOW_MS: u64 = 60_000;

/// Channels without a room for which those of one host get their first rule in an hour.
pub const FIRST_MAX: usize = 5;
const HOUR_MS: u64 = 3_600_000;
/// First rules that are remembered for that. Full: no further one in this hour.
const FIRSTS_MAX: usize = 1_024;

/// The commands of a minute.
#[derive(Debug, Default)]
pub struct Pace {
    since: Time,
    all: u32,
    /// At most [`TOLD_MAX`] hosts.
    told: BTreeSet<String>,
    /// What those gave whose commands were taken, by person, host and account; forgotten with the minute.
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
    /// Takes one more command of this person, by their `user@host`, and the account where the network tells it.
    pub fn take(&mut self, now: Time, mask: &str, account: Option<&str>) -> Turn {
        if now.since_ms(self.since) >= WINDOW_MS {
            *self = Self { since: now, ..Self::default() };
        }
        let host = format!("@{}", host_of(mask));
        let account = account.map(|account| (format!("account {account}"), HOST_MAX));
        let keys = [(mask.to_owned(), OWN_MAX), (host.clone(), HOST_MAX)];
        let keys: Vec<(String, u32)> = keys.into_iter().chain(account).collect();
        let most = if self.given(&host) < FEW { ALL_MAX } else { ALL_MAX - KEPT };
        if self.all < most && keys.iter().all(|(key, max)| self.given(key) < *max) {
            self.all += 1;
            keys.into_iter().for_each(|(key, _)| *self.of.entry(key).or_default() += 1);
            return Turn::Taken;
        }
        if self.told.len() >= TOLD_MAX as usize || !self.told.insert(host) {
            return Turn::Dropped;
        }
        Turn::Told
    }

    fn given(&self, key: &str) -> u32 {
        self.of.get(key).copied().unwrap_or_default()
    }
}

/// First rules for channels without a room.
#[derive(Debug, Default)]
pub struct Firsts(VecDeque<(Time, String)>);

impl Firsts {
    /// Whether somebody of this `user@host` may have one more; then it counts.
    pub fn take(&mut self, now: Time, mask: &str) -> bool {
        while self.0.front().is_some_and(|(at, _)| now.since_ms(*at) >= HOUR_MS) {
            self.0.pop_front();
        }
        let host = host_of(mask);
        let own = self.0.iter().filter(|(_, other)| other == host).count();
        let may = own < FIRST_MAX && self.0.len() < FIRSTS_MAX;
        if may {
            self.0.push_back((now, host.to_owned()));
        }
        may
    }
}

fn host_of(mask: &str) -> &str {
    mask.rsplit_once('@').map_or(mask, |(_, host)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(turns: &[Turn], wanted: Turn) -> usize {
        turns.iter().filter(|turn| **turn == wanted).count()
    }

    #[test]
    fn a_flood_is_answered_then_told_once_then_met_with_silence() {
        let mut pace = Pace::default();
        let turns: Vec<Turn> = (0..1_000).map(|_| pace.take(Time(5), "e@h", None)).collect();
        assert_eq!(count(&turns, Turn::Taken), OWN_MAX as usize);
        assert_eq!(turns[OWN_MAX as usize], Turn::Told);
        assert!(turns[OWN_MAX as usize + 1..].iter().all(|turn| *turn == Turn::Dropped));
        assert_eq!(pace.take(Time(5 + WINDOW_MS), "e@h", None), Turn::Taken);
    }

    #[test]
    fn a_thousand_people_are_no_more_than_a_few() {
        let mut pace = Pace::default();
        let turns: Vec<Turn> =
            (0..1_000).map(|n| pace.take(Time(5), &format!("u@h{n}"), Some("a"))).collect();
        assert_eq!(count(&turns, Turn::Taken), HOST_MAX as usize, "of one account");
        let mut pace = Pace::default();
        let turns: Vec<Turn> = (0..1_000).map(|n| pace.take(Time(5), &format!("u@h{n}"), None)).collect();
        assert_eq!(
            (count(&turns, Turn::Taken), count(&turns, Turn::Told)),
            (ALL_MAX as usize, TOLD_MAX as usize)
        );
        assert!(pace.of.len() <= 3 * ALL_MAX as usize && pace.told.len() <= TOLD_MAX as usize);
    }

    #[test]
    fn many_idents_of_a_few_hosts_shut_nobody_out() {
        let mut pace = Pace::default();
        let flood: Vec<Turn> =
            (0..900).map(|n| pace.take(Time(5), &format!("u{}@h{}", n / 3, n % 3), None)).collect();
        assert_eq!((count(&flood, Turn::Taken), count(&flood, Turn::Told)), ((ALL_MAX - KEPT) as usize, 3));
        let others: Vec<Turn> = (0..5).map(|n| pace.take(Time(6), &format!("op@other{n}"), None)).collect();
        assert_eq!(others, [Turn::Taken; 5]);
    }

    #[test]
    fn first_rules_are_few_for_a_host_and_bounded_for_all() {
        let mut firsts = Firsts::default();
        let own = (0..100).filter(|n| firsts.take(Time(0), &format!("u{n}@h"))).count();
        assert_eq!(own, FIRST_MAX);
        assert_eq!((0..3_000).filter(|n| firsts.take(Time(0), &format!("u@h{n}"))).count(), FIRSTS_MAX - own);
        assert!(firsts.take(Time(HOUR_MS), "u@h"));
    }
}
