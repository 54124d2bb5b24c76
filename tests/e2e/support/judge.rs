//! What became of numbered messages: arrived, told to have failed, lost, doubled, overtaken.
//!
//! Pure. What was accepted and what arrived is collected by `load` and by the stories with models.

use std::collections::{HashMap, HashSet};

/// One message: who said it, in which place, and the how manyeth of theirs there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    pub from: String,
    pub place: usize,
    pub number: u32,
}

impl Mark {
    pub fn new(from: &str, place: usize, number: u32) -> Mark {
        Mark { from: from.to_owned(), place, number }
    }

    /// The message's text: itself, and words.
    pub fn text(&self) -> String {
        format!("{}/{}/{} and as many words as a line of chat has", self.from, self.place, self.number)
    }

    /// The mark in a text; `None` where it has none.
    pub fn read(text: &str) -> Option<Mark> {
        let mut parts = text.split(' ').next()?.split('/');
        let (from, place, number) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Mark::new(from, place.parse().ok()?, number.parse().ok()?))
    }
}

/// What became of the messages of one direction.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub accepted: usize,
    /// Of those, how many are on the other side.
    pub arrived: usize,
    /// Of those that did not arrive, how many their senders were told of.
    pub told: usize,
    /// Arrived, and told that it perhaps did not.
    pub told_and_arrived: usize,
    /// Neither arrived nor told.
    pub lost: Vec<Mark>,
    /// One entry for each time too many.
    pub doubled: Vec<Mark>,
    /// Arrived for the first time after a later one of the same sender in the same place.
    pub overtaken: Vec<Mark>,
}

/// Judges one direction. `arrived` is in the order of arrival in each place.
pub fn judge<'a>(
    accepted: impl IntoIterator<Item = &'a Mark>,
    arrived: impl IntoIterator<Item = &'a Mark>,
    told: &HashSet<Mark>,
) -> Verdict {
    let mut verdict = Verdict::default();
    let mut seen: HashSet<&Mark> = HashSet::new();
    let mut latest: HashMap<(&str, usize), u32> = HashMap::new();
    for mark in arrived {
        if !seen.insert(mark) {
            verdict.doubled.push(mark.clone());
            continue;
        }
        let latest = latest.entry((&mark.from, mark.place)).or_insert(mark.number);
        if mark.number < *latest {
            verdict.overtaken.push(mark.clone());
        }
        *latest = mark.number.max(*latest);
    }
    for mark in accepted {
        verdict.accepted += 1;
        match (seen.contains(mark), told.contains(mark)) {
            (true, is_told) => {
                verdict.arrived += 1;
                verdict.told_and_arrived += usize::from(is_told);
            }
            (false, true) => verdict.told += 1,
            (false, false) => verdict.lost.push(mark.clone()),
        }
    }
    verdict
}

impl Verdict {
    /// So many of the lost were told of by number.
    pub fn excuse(&mut self, counted: usize) {
        let excused = counted.min(self.lost.len());
        self.lost.truncate(self.lost.len() - excused);
        self.told += excused;
    }

    /// Nothing lost, nothing doubled, nothing overtaken.
    #[track_caller]
    pub fn assert_exactly_once(&self, what: &str) {
        self.assert_none_lost(what);
        assert!(self.doubled.is_empty(), "{what}: doubled: {}", sample(&self.doubled));
    }

    /// Nothing lost.
    #[track_caller]
    pub fn assert_all_there(&self, what: &str) {
        assert!(self.accepted > 0, "{what}: nothing was said, so nothing is shown");
        assert!(self.lost.is_empty(), "{what}: lost without a word: {}", sample(&self.lost));
    }

    /// Nothing lost, nothing overtaken.
    #[track_caller]
    pub fn assert_none_lost(&self, what: &str) {
        self.assert_all_there(what);
        assert!(self.overtaken.is_empty(), "{what}: out of order: {}", sample(&self.overtaken));
    }
}

/// The first of many, with their number.
fn sample(marks: &[Mark]) -> String {
    let first: Vec<String> =
        marks.iter().take(20).map(|m| format!("{}/{}/{}", m.from, m.place, m.number)).collect();
    format!("{} in all: {}", marks.len(), first.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(numbers: &[u32]) -> Vec<Mark> {
        numbers.iter().map(|n| Mark::new("m0", 0, *n)).collect()
    }

    #[test]
    fn a_mark_is_read_from_its_text() {
        let mark = Mark::new("m0", 1, 17);
        assert_eq!(Mark::read(&mark.text()), Some(mark));
        assert_eq!(Mark::read("hello there"), None);
    }

    #[test]
    fn each_fault_is_seen() {
        let told: HashSet<Mark> = marks(&[4, 2]).into_iter().collect();
        let verdict = judge(&marks(&[1, 2, 3, 4, 5, 6]), &marks(&[2, 1, 3, 2, 6]), &told);
        assert_eq!((verdict.accepted, verdict.arrived), (6, 4));
        assert_eq!((verdict.told, verdict.told_and_arrived), (1, 1));
        assert_eq!(verdict.lost, marks(&[5]));
        assert_eq!(verdict.doubled, marks(&[2]));
        assert_eq!(verdict.overtaken, marks(&[1]));
    }

    #[test]
    fn senders_and_places_have_orders_of_their_own() {
        let arrived = [Mark::new("a", 0, 2), Mark::new("a", 1, 1), Mark::new("b", 0, 1)];
        judge(&arrived, &arrived, &HashSet::new()).assert_exactly_once("three lanes");
    }
}
