//! True answers: what became of each line that wants to be known, though IRC has no replies to requests.
//!
//! A line becomes a *question* when it leaves the flood queue, so questions stand in the order of the wire. Where
//! the server has labels, the labelled answer is its answer. Else a server works on one connection's lines in
//! order: a reply belongs to the oldest question whose command can cause it and that named what the reply names.
//! `PING bunraku-N`, the *fence*, follows; at its PONG all questions up to number N that nothing was said against
//! are accepted.
//!
//! ```text
//!   leaves the queue ─▶ open ─┬─ a reply against it ───────────▶ refused
//!                             ├─ fence, label, or last numeric ▶ accepted
//!                             └─ 60 s, connection over ────────▶ unknown; stays, told, until the fence comes
//! ```
//!
//! Where several messages to one channel stand before one fence and only some were refused, it is not known which:
//! all of them are doubtful, and for the next [`CAREFUL_LINES`] lines a fence parts the messages to that channel.
//!
//! A fence waits [`FENCE_WAIT_MS`] for more lines that it can cover, then for a moment in which nothing else
//! waits; after [`UNCOVERED_MAX`] questions, [`FENCE_LATE_MS`] or a command of somebody outside it goes first.
//!
//! Full: with [`QUESTIONS_MAX`] open a message waits in its queue; any other line goes all the same, unasked, and what
//! becomes of it is unknown. Decides nothing about what an answer means.

use std::collections::VecDeque;

use super::labels::{Labels, labelled};
use super::question::{Answered, Asker, Proof, Question, Told};
use crate::bridge::effect::{Refusal, Verdict};
use crate::ids::{InboxSeq, Target, Time};
use crate::text::line::Line;

/// Questions open on one connection, at most.
pub const QUESTIONS_MAX: usize = 128;
/// Questions without a fence behind them before one is forced.
pub const UNCOVERED_MAX: usize = 16;
/// How long a fence waits for company, and after which time it waits no longer for its turn.
pub const FENCE_WAIT_MS: u64 = 250;
const FENCE_LATE_MS: u64 = 10_000;
/// Lines to a channel, after it refused one, that are told apart by fences; and channels this is done for at once.
pub const CAREFUL_LINES: u32 = 32;
const CAREFUL_CHANNELS_MAX: usize = 16;
/// How long an answer may take.
pub const ANSWER_MS_MAX: u64 = 60_000;
/// What fences begin with.
pub(super) const TOKEN: &str = "bunraku-";

/// When a fence has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fence {
    NotNow,
    /// When nothing else waits.
    Last,
    First,
}

/// Since when a fence is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    No,
    At(Time),
    Since(Time),
    Now,
}

/// The questions of one connection.
#[derive(Debug)]
pub struct Asks {
    pub(super) labels: Labels,
    /// In the order of the wire.
    pub(super) open: VecDeque<Question>,
    /// The number of the newest question, and of the newest one with a fence behind it.
    newest: u64,
    pub(super) fenced: u64,
    /// The fence whose time is taken, and when it went.
    pub(super) timed: Option<(u64, Time)>,
    /// Fences on their way.
    fences: VecDeque<u64>,
    uncovered: usize,
    due: Due,
    /// Channels that refused something lately, and for how many lines to them that counts.
    pub(super) careful: Vec<(Target, u32)>,
    /// No answer is late before; `None` when none is awaited.
    pub(super) late: Option<Time>,
    /// The message that was asked about last, and whether it was refused.
    pub(super) message: Option<(InboxSeq, Told)>,
    /// Commands of somebody outside that are open.
    pub(super) commands: usize,
    answers: Vec<Answered>,
    /// Whether the connection is over, and nothing can be asked any more.
    is_over: bool,
    /// Lines that went unasked.
    pub unasked: u64,
}

impl Default for Asks {
    fn default() -> Self {
        Self {
            labels: Labels::default(),
            open: VecDeque::new(),
            newest: 0,
            fenced: 0,
            timed: None,
            fences: VecDeque::new(),
            uncovered: 0,
            due: Due::No,
            careful: Vec::new(),
            late: None,
            message: None,
            commands: 0,
            answers: Vec::new(),
            is_over: false,
            unasked: 0,
        }
    }
}

impl Asks {
    /// A line leaves for the wire: from here on what becomes of it is asked. Returns it as it has to go.
    pub fn ask(&mut self, now: Time, asker: Asker, line: String) -> String {
        if self.open.len() >= QUESTIONS_MAX && !self.make_room() {
            self.unasked += 1;
            self.answer(asker, Verdict::Unknown);
            return line;
        }
        self.newest += 1;
        let number = self.newest;
        let told = self.first_told(&asker);
        self.count_careful(&asker);
        let is_command = asker.as_command().is_some();
        self.commands += usize::from(is_command);
        let is_remote = asker.as_command().is_some_and(|command| command.is_remote());
        let proof = match self.labels.are_on() {
            true => Proof::Label,
            false if is_remote => Proof::End,
            false => Proof::Fence,
        };
        self.open.push_back(Question { number, sent: now, asker, proof, told, noted: None });
        self.late.get_or_insert(now.plus_ms(ANSWER_MS_MAX));
        if proof == Proof::Label {
            return labelled(number, &line);
        }
        self.uncovered += 1;
        self.due = match self.due {
            _ if is_command || self.uncovered >= UNCOVERED_MAX => Due::Now,
            Due::No => Due::At(now.plus_ms(FENCE_WAIT_MS)),
            due => due,
        };
        line
    }

    /// A question that nobody waits for goes; `false` when there is none.
    fn make_room(&mut self) -> bool {
        let at = self.open.iter().position(|question| question.told == Told::Yes);
        at.and_then(|at| self.open.remove(at)).is_some()
    }

    /// True when a further question would push out one that somebody waits for.
    pub fn are_full(&self) -> bool {
        self.open.len() >= QUESTIONS_MAX && self.open.iter().all(|question| question.told == Told::No)
    }

    /// True when a fence is to go, now or later.
    pub fn owe_fence(&self) -> bool {
        self.due != Due::No
    }

    /// A message of which a part was refused is refused; the rest of it asks for nobody.
    fn first_told(&mut self, asker: &Asker) -> Told {
        let Some(seq) = asker.message() else { return Told::No };
        let before = self.message.filter(|(before, _)| *before == seq);
        let (_, told) = *self.message.insert(before.unwrap_or((seq, Told::No)));
        told
    }

    /// Whether a fence has to go.
    pub fn fence(&self, now: Time) -> Fence {
        match self.due {
            Due::No => Fence::NotNow,
            Due::At(at) if at > now => Fence::NotNow,
            Due::Since(since) | Due::At(since) if since.plus_ms(FENCE_LATE_MS) > now => Fence::Last,
            Due::Since(_) | Due::At(_) | Due::Now => Fence::First,
        }
    }

    /// The fence behind everything that was asked so far.
    pub fn fence_line(&mut self) -> String {
        (self.due, self.uncovered, self.fenced) = (Due::No, 0, self.newest);
        self.fences.push_back(self.fenced);
        if self.fences.len() > QUESTIONS_MAX {
            // A server that answers no fence; its questions end by time.
            self.fences.pop_front();
        }
        Line::new("PING", &[&format!("{TOKEN}{}", self.fenced)]).build()
    }

    /// This channel or person has refused a line.
    pub(super) fn be_careful(&mut self, target: &Target) {
        self.careful.retain(|(name, _)| name != target);
        if self.careful.len() >= CAREFUL_CHANNELS_MAX {
            self.careful.remove(0);
        }
        self.careful.push((target.clone(), CAREFUL_LINES));
    }

    fn count_careful(&mut self, asker: &Asker) {
        if let (false, Some(part)) = (self.careful.is_empty(), asker.line()) {
            self.careful.retain_mut(|(name, left)| {
                *left -= u32::from(*name == part.saying.target);
                *left > 0
            });
        }
    }

    /// The number of the fence behind a question; the highest there is, where it was not sent yet.
    pub(super) fn fence_behind(&self, number: u64) -> u64 {
        self.fences.iter().copied().find(|fence| *fence >= number).unwrap_or(u64::MAX)
    }

    /// The fence behind all that was asked, where one is owed: at once, whatever waits.
    pub fn last_fence(&mut self) -> Option<String> {
        (self.uncovered > 0 && self.needs_fence()).then(|| self.fence_line())
    }

    /// A fence has to go now.
    pub(super) fn hurry(&mut self) {
        if self.uncovered > 0 {
            self.due = Due::Now;
        }
    }

    /// When [`check`](Self::check) is due.
    pub fn poll_timeout(&self) -> Option<Time> {
        let fence = if let Due::At(at) = self.due { Some(at) } else { None };
        self.late.into_iter().chain(fence).min()
    }

    /// Time has passed: a fence is due, or an answer is late.
    pub fn check(&mut self, now: Time) {
        if let Due::At(at) = self.due
            && at <= now
        {
            self.due = if self.needs_fence() { Due::Since(at) } else { Due::No };
        }
        if self.late.is_some_and(|late| late <= now) {
            self.give_up_late(now);
        }
    }

    /// Whether anything is open that only a fence can end.
    fn needs_fence(&mut self) -> bool {
        let mut newest = self.open.iter().rev();
        let newest = newest.find(|question| question.proof == Proof::Fence).map(|question| question.number);
        let needs = newest.is_some_and(|number| number > self.fenced);
        if !needs {
            self.uncovered = 0;
        }
        needs
    }

    fn give_up_late(&mut self, now: Time) {
        let mut stay = VecDeque::new();
        self.late = None;
        for mut question in std::mem::take(&mut self.open) {
            let late = question.sent.plus_ms(ANSWER_MS_MAX);
            if question.told == Told::No && late <= now {
                self.tell(&mut question, Verdict::Unknown);
                if question.proof == Proof::Label {
                    // What bears a label cannot be taken for another answer.
                    continue;
                }
                question.proof = Proof::Fence;
            } else if question.told == Told::No && self.late.is_none() {
                self.late = Some(late);
            }
            stay.push_back(question);
        }
        self.open = stay;
        self.rest();
    }

    /// The server has worked on everything up to `number`.
    pub(super) fn passed(&mut self, number: u64) {
        while self.fences.pop_front_if(|fence| *fence <= number).is_some() {}
        let passed = self.open.iter().take_while(|question| question.number <= number);
        let doubts: Vec<(Target, Refusal)> = passed.filter_map(doubt).collect();
        let mut stay = Vec::new();
        while let Some(mut question) = self.open.pop_front_if(|question| question.number <= number) {
            let doubt = doubts.iter().find(|(target, _)| question.is_line_to(target));
            match (question.proof, doubt) {
                (Proof::Label | Proof::End, _) => stay.push(question),
                (Proof::Fence, None) => self.accept(question),
                (Proof::Fence, Some((_, refusal))) => {
                    self.tell(&mut question, Verdict::Doubtful(refusal.clone()));
                    self.hush(question.asker.message());
                }
            }
        }
        for question in stay.into_iter().rev() {
            self.open.push_front(question);
        }
        self.rest();
    }

    /// A message is told of once, whatever becomes of its other parts.
    pub(super) fn hush(&mut self, message: Option<InboxSeq>) {
        let Some(seq) = message else { return };
        let others = self.open.iter_mut().filter(|other| other.asker.message() == Some(seq));
        others.for_each(|other| other.told = Told::Yes);
        if let Some((_, told)) = self.message.as_mut().filter(|(last, _)| *last == seq) {
            *told = Told::Yes;
        }
    }

    pub(super) fn accept(&mut self, mut question: Question) {
        self.tell(&mut question, Verdict::Accepted);
    }

    /// Lets whoever asked know, once.
    pub(super) fn tell(&mut self, question: &mut Question, verdict: Verdict) {
        if std::mem::replace(&mut question.told, Told::Yes) == Told::Yes {
            return;
        }
        let asker = match question.asker.as_command_mut() {
            Some(command) => {
                self.commands -= 1;
                Asker::Command(Box::new(command.take()))
            }
            None => question.asker.clone(),
        };
        self.answer(asker, verdict);
    }

    pub(super) fn answer(&mut self, asker: Asker, verdict: Verdict) {
        if !matches!(asker, Asker::Listing(_)) {
            self.answers.push(Answered { asker, verdict });
        }
    }

    /// An idle connection keeps no room for the questions it once had.
    pub(super) fn rest(&mut self) {
        if self.open.is_empty() {
            (self.open, self.fences) = (VecDeque::new(), VecDeque::new());
            self.late = None;
        }
    }

    /// The connection is over: what is open will not be known.
    pub fn end(&mut self) {
        self.is_over = true;
        for mut question in std::mem::take(&mut self.open) {
            self.tell(&mut question, Verdict::Unknown);
        }
        self.rest();
    }

    /// What became known since the last time.
    pub fn take_answers(&mut self) -> Vec<Answered> {
        std::mem::take(&mut self.answers)
    }

    /// True once the connection has ended.
    pub fn are_over(&self) -> bool {
        self.is_over
    }

    /// Commands of somebody outside that wait for their answer.
    pub fn commands(&self) -> usize {
        self.commands
    }
}

/// What speaks against a line, perhaps.
fn doubt(question: &Question) -> Option<(Target, Refusal)> {
    let part = question.asker.line()?;
    Some((part.saying.target.clone(), question.noted.as_deref()?.clone()))
}

#[cfg(test)]
mod tests;
