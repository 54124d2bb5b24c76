//! What the people of each homeserver have together: connections, and what they began lately. Those who wait for a
//! connection stand in line, one line for each homeserver.
//!
//! Homeservers are known by their names in small letters. Those for which no limit holds are not counted: whoever asks
//! leaves them out.

use std::collections::{HashMap, HashSet, VecDeque};

use super::policy::HomeserverLimits;
use super::queries::pace::Pace;
use crate::ids::{PuppetId, Time};

const HOUR_MS: u64 = 3_600_000;

/// All homeservers that are counted.
#[derive(Debug)]
pub struct Homeservers {
    connected: HashMap<String, usize>,
    /// Who waits for a connection of their homeserver's: no more than there are puppets, each once.
    waiting: HashMap<String, VecDeque<PuppetId>>,
    /// Who was told why they wait.
    told: HashSet<PuppetId>,
    contacts: (Pace<String>, Pace<String>),
    joins: Pace<String>,
    refused: Refused,
}

/// What was refused since the start, by limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Puppets that had to wait for a connection.
    pub connections: u64,
    pub contacts: u64,
    pub joins: u64,
}

/// Which count of beginnings is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    Minute,
    Hour,
}

impl Default for Homeservers {
    fn default() -> Self {
        Self {
            connected: HashMap::new(),
            waiting: HashMap::new(),
            told: HashSet::new(),
            contacts: (Pace::default(), Pace::every(HOUR_MS)),
            joins: Pace::default(),
            refused: Refused::default(),
        }
    }
}

impl Homeservers {
    /// A puppet of this homeserver's dials.
    pub fn connects(&mut self, homeserver: &str, puppet: PuppetId) {
        self.told.remove(&puppet);
        *self.connected.entry(homeserver.to_owned()).or_default() += 1;
    }

    /// A connection is over. One that was not counted when it was made is not missed.
    pub fn left(&mut self, homeserver: &str) {
        if let Some(count) = self.connected.get_mut(homeserver) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.connected.remove(homeserver);
            }
        }
    }

    /// Connections there are.
    pub fn connections(&self, homeserver: &str) -> usize {
        self.connected.get(homeserver).copied().unwrap_or_default()
    }

    /// Gets in line for a connection, once; counted when it is new there.
    pub fn wait(&mut self, homeserver: &str, puppet: PuppetId) {
        let line = self.waiting.entry(homeserver.to_owned()).or_default();
        if !line.contains(&puppet) {
            line.push_back(puppet);
            self.refused.connections += 1;
        }
    }

    /// True the first time somebody waits before they dial again: then they are told.
    pub fn is_untold(&mut self, puppet: PuppetId) -> bool {
        self.told.insert(puppet)
    }

    /// Takes the next one of the line: who is `eager` first.
    pub fn next(&mut self, homeserver: &str, is_eager: impl Fn(PuppetId) -> bool) -> Option<PuppetId> {
        let line = self.waiting.get_mut(homeserver)?;
        let at = line.iter().position(|puppet| is_eager(*puppet)).unwrap_or_default();
        let next = line.remove(at);
        if line.is_empty() {
            self.waiting.remove(homeserver);
        }
        next
    }

    /// Takes all who wait: the limits are others now.
    pub fn take_waiting(&mut self) -> Vec<PuppetId> {
        let mut all: Vec<PuppetId> = std::mem::take(&mut self.waiting).into_values().flatten().collect();
        all.sort_unstable();
        all
    }

    /// Whether the people of a homeserver may begin one more private chat; then it counts.
    pub fn contact(&mut self, now: Time, homeserver: &str, limits: &HomeserverLimits) -> Result<(), Full> {
        let name = || homeserver.to_owned();
        let taken = match self.contacts.0.take(now, name(), max(limits.contacts_per_minute), u32::MAX) {
            Err(_) => Err(Full::Minute),
            Ok(()) => {
                let hour = self.contacts.1.take(now, name(), max(limits.contacts_per_hour), u32::MAX);
                hour.map_err(|_| Full::Hour)
            }
        };
        self.refused.contacts += u64::from(taken.is_err());
        taken
    }

    /// Whether one more puppet of a homeserver may enter a channel now; then it counts.
    pub fn join(&mut self, now: Time, homeserver: &str, limits: &HomeserverLimits) -> Result<(), Full> {
        let taken = self.joins.take(now, homeserver.to_owned(), max(limits.joins_per_minute), u32::MAX);
        self.refused.joins += u64::from(taken.is_err());
        taken.map_err(|_| Full::Minute)
    }

    pub fn refused(&self) -> Refused {
        self.refused
    }
}

/// 0 is no limit.
fn max(limit: u32) -> u32 {
    if limit == 0 { u32::MAX } else { limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> HomeserverLimits {
        HomeserverLimits {
            contacts_per_minute: 2,
            contacts_per_hour: 3,
            joins_per_minute: 1,
            ..HomeserverLimits::default()
        }
    }

    #[test]
    fn each_homeserver_counts_for_itself() {
        let (mut all, limits) = (Homeservers::default(), limits());
        let mut contacts = |at, name| all.contact(Time(at), name, &limits);
        assert_eq!(
            [contacts(0, "a"), contacts(0, "a"), contacts(0, "a")],
            [Ok(()), Ok(()), Err(Full::Minute)]
        );
        assert_eq!(contacts(0, "b"), Ok(()));
        assert_eq!([contacts(60_000, "a"), contacts(60_001, "a")], [Ok(()), Err(Full::Hour)]);
        assert_eq!(contacts(HOUR_MS, "a"), Ok(()));
        assert_eq!(
            [all.join(Time(0), "a", &limits), all.join(Time(0), "a", &limits)],
            [Ok(()), Err(Full::Minute)]
        );
        assert_eq!(all.refused(), Refused { connections: 0, contacts: 2, joins: 1 });
    }

    #[test]
    fn no_limit_is_none() {
        let none = HomeserverLimits { joins_per_minute: 0, ..limits() };
        let mut all = Homeservers::default();
        assert!((0..10_000).all(|_| all.join(Time(0), "a", &none).is_ok()));
    }

    #[test]
    fn who_has_something_to_say_is_first_in_line_and_nobody_twice() {
        let mut all = Homeservers::default();
        for id in [1, 2, 3, 2] {
            all.wait("a", PuppetId(id));
        }
        all.wait("b", PuppetId(9));
        assert_eq!(all.refused().connections, 4);
        let eager = |id: PuppetId| id == PuppetId(3);
        let order: Vec<u32> = std::iter::from_fn(|| all.next("a", eager)).map(|id| id.0).collect();
        assert_eq!(order, [3, 1, 2]);
        assert_eq!(all.take_waiting(), [PuppetId(9)]);
        assert_eq!(all.next("b", eager), None);
    }

    #[test]
    fn connections_are_counted_and_forgotten() {
        let mut all = Homeservers::default();
        assert!(all.is_untold(PuppetId(1)) && !all.is_untold(PuppetId(1)));
        all.connects("a", PuppetId(1));
        all.connects("a", PuppetId(2));
        assert!(all.is_untold(PuppetId(1)), "another absence");
        all.left("a");
        all.left("b");
        assert_eq!((all.connections("a"), all.connections("b")), (1, 0));
        all.left("a");
        assert!(all.connected.is_empty());
    }
}
