//! Labelled answers (IRCv3 "Labeled Responses", "Batch"): one line, an `ACK`, or a batch and the batches within.

use super::ask::Asks;
use super::hear::Heard;
use super::question::Proof;
use crate::text::casemap::CaseMap;
use crate::text::line::Line;

/// Batches open at once, at most; with one more the oldest is forgotten, and its question times out.
const BATCHES_MAX: usize = 32;

/// Whether lines are sent with labels, and the answers that are on their way in batches.
#[derive(Debug, Default)]
pub struct Labels {
    offer: Offer,
    batches: Vec<Batch>,
}

/// Whether the server labels its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offer {
    On,
    #[default]
    Off,
}

/// A batch that has begun.
#[derive(Debug)]
struct Batch {
    reference: String,
    /// The question it answers.
    number: u64,
    depth: Depth,
}

/// Where a batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// With its end the answer is complete.
    Whole,
    Within,
}

impl Labels {
    pub fn are_on(&self) -> bool {
        self.offer == Offer::On
    }

    /// True when no batch is open.
    pub fn are_idle(&self) -> bool {
        self.batches.is_empty()
    }

    /// The question that a line is a part of, and how much of the answer it is.
    fn of(&self, line: &Line) -> Option<(u64, Depth)> {
        if line.tags.is_empty() {
            return None;
        }
        if let Some(label) = line.tag("label") {
            return Some((label.parse().ok()?, Depth::Whole));
        }
        let reference = line.tag("batch")?;
        self.batches
            .iter()
            .find(|batch| batch.reference == reference)
            .map(|batch| (batch.number, Depth::Within))
    }
}

impl Asks {
    /// From here on lines go with labels, or without.
    pub fn set_labels(&mut self, offer: Offer) {
        self.labels.offer = offer;
    }

    /// Takes a line that bears a label or stands in a labelled batch; `None` for any other.
    pub(super) fn hears_labelled(&mut self, line: &Line, map: CaseMap) -> Option<Heard> {
        if line.command == "BATCH" {
            self.batch(line);
            return Some(Heard::Answer);
        }
        let (number, depth) = self.labels.of(line)?;
        let heard = self.labelled(number).map_or(Heard::News, |at| self.got(at, line, map));
        if depth == Depth::Whole {
            self.finish(number);
        }
        Some(heard)
    }

    fn batch(&mut self, line: &Line) {
        let reference = line.param(0);
        if let Some(reference) = reference.strip_prefix('+') {
            let of = self.labels.of(line).filter(|(number, _)| self.labelled(*number).is_some());
            if let Some((number, depth)) = of {
                if self.labels.batches.len() >= BATCHES_MAX {
                    self.labels.batches.remove(0);
                }
                self.labels.batches.push(Batch { reference: reference.to_owned(), number, depth });
            }
        } else if let Some(reference) = reference.strip_prefix('-') {
            let at = self.labels.batches.iter().position(|batch| batch.reference == reference);
            let ended = at.map(|at| self.labels.batches.swap_remove(at));
            if let Some(batch) = ended.filter(|batch| batch.depth == Depth::Whole) {
                self.labels.batches.retain(|other| other.number != batch.number);
                self.finish(batch.number);
            }
        }
    }

    /// The place of the question that went with this label.
    fn labelled(&self, number: u64) -> Option<usize> {
        let at = self.open.partition_point(|question| question.number < number);
        let question = self.open.get(at)?;
        (question.number == number && question.proof == Proof::Label).then_some(at)
    }

    fn finish(&mut self, number: u64) {
        if let Some(at) = self.labelled(number) {
            self.close(at);
        }
    }
}

/// A line as it goes with a label, beside the tags it has.
pub(super) fn labelled(number: u64, line: &str) -> String {
    match line.strip_prefix('@') {
        Some(tagged) => format!("@label={number};{tagged}"),
        None => format!("@label={number} {line}"),
    }
}
