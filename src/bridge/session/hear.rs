//! What comes back to what was asked: which question a line of the server answers, and what it says to it.
//!
//! A line that answers nothing is left as it is. Never guesses: a refusal that names what no question is about
//! refuses nothing.

use super::ask::{Asks, QUESTIONS_MAX, TOKEN};
use super::question::{Asker, Deed, Proof, Question, Told};
use super::replies;
use super::send::Part;
use crate::bridge::effect::{Refusal, Verdict};
use crate::ids::{ChannelName, InboxSeq, Nick, Target};
use crate::text::casemap::CaseMap;
use crate::text::line::Line;

/// Whether a line is an answer and nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Answer,
    /// It may show something besides.
    News,
}

impl Asks {
    /// Takes a line of the server; `me` is our nick.
    pub fn hears(&mut self, line: &Line, map: CaseMap, me: Option<&Nick>) -> Heard {
        if self.open.is_empty() && self.labels.are_idle() {
            return Heard::News;
        }
        if let Some(heard) = self.hears_labelled(line, map) {
            return heard;
        }
        match line.command.as_str() {
            "PONG" => self.pong(line),
            "FAIL" => self.failed(line, map),
            code if is_numeric(code) => self.numeric(line, map),
            _ => {
                if self.commands > 0 {
                    self.collect_aside(line, me);
                }
                Heard::News
            }
        }
    }

    /// Servers differ in what stands beside the token, and where.
    fn pong(&mut self, line: &Line) -> Heard {
        let number = |param: &String| param.strip_prefix(TOKEN)?.parse::<u64>().ok();
        if let Some(number) =
            line.params.iter().rev().find_map(number).filter(|number| *number <= self.fenced)
        {
            self.passed(number);
        }
        Heard::Answer
    }

    fn numeric(&mut self, line: &Line, map: CaseMap) -> Heard {
        let Some(at) = self.find(line, map) else { return Heard::News };
        let ends = is_ended_by(&self.open[at], &line.command);
        let heard = self.got(at, line, map);
        if ends {
            self.close(at);
        }
        heard
    }

    /// The oldest question for which this holds, of those without a label.
    fn oldest(&self, is_it: impl Fn(&Question) -> bool) -> Option<usize> {
        self.open.iter().position(|question| question.proof != Proof::Label && is_it(question))
    }

    /// The question that a numeric without a label answers.
    fn find(&self, line: &Line, map: CaseMap) -> Option<usize> {
        let code = line.command.as_str();
        if replies::names_command(code) {
            let command = line.param(1);
            return self.oldest(|question| question.is_of(command));
        }
        let (is_trouble, from) = (replies::is_trouble(code), replies::about(code));
        let is_named = |question: &Question| {
            from.is_none_or(|from| {
                line.params.iter().skip(from).any(|word| question.asker.is_about(word, map))
            })
        };
        self.oldest(|question| question.can_get(code) && is_named(question))
            // Servers cut a nick before they refuse it.
            .or_else(|| self.oldest(|q| matches!(q.asker, Asker::Nick(_)) && q.can_get(code)))
            // A mask, or no name at all, brings replies under other names.
            .or_else(|| self.oldest(|q| !is_trouble && q.is_open_command() && q.can_get(code)))
            .or_else(|| {
                let is_new = is_trouble && !replies::is_known(code) && from.is_some();
                self.oldest(|question| is_new && question.can_be_refused() && is_named(question))
            })
            .or_else(|| self.oldest(|question| is_for_unknown(question, code, is_named(question))))
    }

    /// A question has got a reply, or a part of one.
    pub(super) fn got(&mut self, at: usize, line: &Line, map: CaseMap) -> Heard {
        if let Some(refusal) = refusal(line) {
            self.refuse(at, refusal, line, map);
            return Heard::Answer;
        }
        let question = &mut self.open[at];
        if question.told == Told::No
            && let Some(command) = question.asker.as_command_mut()
        {
            command.collect(line);
        }
        Heard::News
    }

    fn refuse(&mut self, at: usize, refusal: Refusal, line: &Line, map: CaseMap) {
        let question = &mut self.open[at];
        match &mut question.asker {
            Asker::Command(command) => {
                if question.told == Told::No {
                    command.collect(line);
                    command.refusal.get_or_insert(refusal);
                }
            }
            Asker::Join(channels) => {
                let is_named = |channel: &mut ChannelName| {
                    line.params.iter().skip(1).any(|word| map.eq(channel.as_str(), word))
                };
                let mut out: Vec<ChannelName> = channels.extract_if(.., is_named).collect();
                if out.is_empty() {
                    out = std::mem::take(channels);
                }
                let (told, is_over) = (question.told, channels.is_empty());
                if is_over {
                    self.open.remove(at);
                }
                if told == Told::No {
                    out.into_iter().for_each(|channel| {
                        self.answer(Asker::Join(vec![channel]), Verdict::Refused(refusal.clone()));
                    });
                }
                self.rest();
            }
            Asker::Line(part) => {
                let target = part.saying.target.clone();
                self.refuse_line(at, &target, refusal);
            }
            Asker::Notice(_)
            | Asker::Listing(_)
            | Asker::Part(_)
            | Asker::Nick(_)
            | Asker::Names(_)
            | Asker::TopicRead(_)
            | Asker::Topic(_)
            | Asker::Invite(..)
            | Asker::ModesRead(_)
            | Asker::Deed(_)
            | Asker::Modes(_) => self.refuse_whole(at, refusal),
        }
    }

    /// A refusal to the oldest line to this channel or person, or to a later one before the same fence. Once there are as many
    /// refusals as lines it is known that each of them was refused.
    fn refuse_line(&mut self, at: usize, target: &Target, refusal: Refusal) {
        let (fence, message) = (self.fence_behind(self.open[at].number), self.open[at].asker.message());
        self.be_careful(target);
        let is_meant = |question: &Question| question.number <= fence && question.is_line_to(target);
        let mut meant = self.open.iter().filter(|question| is_meant(question));
        if self.open[at].proof == Proof::Label || meant.all(|question| question.asker.message() == message) {
            return self.refuse_whole(at, refusal);
        }
        self.open[at].noted = Some(Box::new(refusal));
        if !self.open.iter().filter(|question| is_meant(question)).all(|question| question.noted.is_some()) {
            return if fence == u64::MAX {
                self.hurry()
            };
        }
        while let Some(at) = self.open.iter().position(is_meant) {
            if let Some(refusal) = self.open[at].noted.take() {
                self.refuse_whole(at, *refusal);
            }
        }
    }

    /// It is known in another way that this line was taken. What was said against it was said against another.
    pub fn known(&mut self, part: &Part) {
        let is_it = |question: &Question| {
            let of = question.asker.line();
            of.is_some_and(|of| of.saying.seq == part.saying.seq && of.index == part.index)
        };
        let Some(mut known) = self.open.iter().position(is_it).and_then(|at| self.open.remove(at)) else {
            return;
        };
        if let Some(refusal) = known.noted.take() {
            let (target, fence) = (&part.saying.target, self.fence_behind(known.number));
            let is_other = |q: &Question| q.number <= fence && q.is_line_to(target) && q.noted.is_none();
            if let Some(at) = self.open.iter().position(is_other) {
                self.refuse_line(at, target, *refusal);
            }
        }
        self.rest();
    }

    /// A message is asked about as if nothing of it had been refused.
    pub fn forget_message(&mut self, seq: InboxSeq) {
        self.message = self.message.filter(|(last, _)| *last != seq);
    }

    fn refuse_whole(&mut self, at: usize, refusal: Refusal) {
        let Some(mut question) = self.open.remove(at) else { return };
        self.tell(&mut question, Verdict::Refused(refusal));
        self.hush(question.asker.message());
        self.rest();
    }

    /// `FAIL command code [context …] :words` (IRCv3 "Standard Replies").
    fn failed(&mut self, line: &Line, map: CaseMap) -> Heard {
        let context = line.params.get(2..line.params.len().saturating_sub(1)).unwrap_or_default();
        let of = |question: &Question| {
            let any = line.param(0) == "*" && question.is_open_command();
            any || question.is_of(line.param(0))
        };
        let is_named = |question: &Question| context.iter().any(|word| question.asker.is_about(word, map));
        let named = self.oldest(|question| of(question) && is_named(question));
        match named.or_else(|| self.oldest(of)) {
            Some(at) => self.got(at, line, map),
            None => Heard::News,
        }
    }

    /// Part of the answer to a command is also what we see ourselves do, and what the server tells us alone.
    fn collect_aside(&mut self, line: &Line, me: Option<&Nick>) {
        let (Some(source), Some(me)) = (&line.source, me) else { return };
        let is_ours = source.name == me.as_str();
        let is_word = matches!(line.command.as_str(), "NOTICE" | "WARN" | "NOTE");
        let is_told =
            is_word && source.user.is_none() && source.host.is_none() && line.param(0) == me.as_str();
        let mut open = self.open.iter_mut().filter(|question| question.is_open_command());
        let answers = |question: &&mut Question| {
            question.proof != Proof::Label && (is_told || is_ours && question.asker.command() == line.command)
        };
        if let Some(command) = open.find(answers).and_then(|question| question.asker.as_command_mut()) {
            command.collect(line);
        }
    }

    /// Nothing more comes to this question.
    pub(super) fn close(&mut self, at: usize) {
        if let Some(question) = self.open.remove(at) {
            self.accept(question);
        }
        self.rest();
    }

    /// Whether a fence has to stand before this line, so that a refusal is known to be its own.
    pub fn blurs(&self, asker: &Asker) -> bool {
        let mut uncovered = self.open.iter().rev().take_while(|question| question.number > self.fenced);
        match asker {
            Asker::Line(part) => {
                let (target, seq) = (&part.saying.target, Some(part.saying.seq));
                let is_careful = self.careful.iter().any(|(name, _)| name == target);
                is_careful && uncovered.any(|q| q.is_line_to(target) && q.asker.message() != seq)
            }
            // What refuses these refuses lines as well.
            Asker::Join(channels) => {
                uncovered.any(|question| channels.iter().any(|c| question.is_line_in(c)))
            }
            Asker::Part(channel) => uncovered.any(|question| question.is_line_in(channel)),
            Asker::Command(command) => uncovered.any(|question| {
                command.targets().iter().any(|target| question.asker.is_about(target, CaseMap::default()))
            }),
            // A refusal of one topic would be taken for one of the topic before.
            Asker::Topic(channel) => uncovered.any(|question| match &question.asker {
                Asker::Topic(other) | Asker::Invite(other, _) => other == channel,
                Asker::Deed(deed) => deed.channel == *channel,
                _ => false,
            }),
            Asker::Invite(channel, nick) => uncovered.any(|question| {
                let names = [channel.as_str(), nick.as_str()];
                names.iter().any(|name| question.asker.is_about(name, CaseMap::default()))
            }),
            // 482 refuses nearly everything.
            Asker::Deed(deed) => uncovered.any(|question| {
                question.can_be_refused()
                    && question.asker.is_about(deed.channel.as_str(), CaseMap::default())
            }),
            Asker::Notice(_)
            | Asker::Listing(_)
            | Asker::Nick(_)
            | Asker::Names(_)
            | Asker::TopicRead(_)
            | Asker::ModesRead(_)
            | Asker::Modes(_) => false,
        }
    }

    /// Our own JOIN came back. Topic and names follow.
    pub fn entered(&mut self, channel: &ChannelName) {
        let is_it = |question: &Question| match &question.asker {
            Asker::Join(channels) => channels.contains(channel),
            _ => false,
        };
        let Some(at) = self.open.iter().position(is_it) else { return };
        let question = &mut self.open[at];
        let (number, sent, proof, told) = (question.number, question.sent, question.proof, question.told);
        let mut is_over = false;
        if let Asker::Join(channels) = &mut question.asker {
            channels.retain(|other| other != channel);
            is_over = channels.is_empty();
        }
        if is_over {
            self.open.remove(at);
        }
        if told == Told::No {
            self.answer(Asker::Join(vec![channel.clone()]), Verdict::Accepted);
        }
        if proof != Proof::Label && self.open.len() < QUESTIONS_MAX {
            let asker = Asker::Listing(channel.clone());
            self.open.insert(at, Question { number, sent, asker, proof, told: Told::Yes, noted: None });
        }
        self.rest();
    }

    /// Our own PART came back.
    pub fn left(&mut self, channel: &ChannelName) {
        self.echoed(|asker| matches!(asker, Asker::Part(name) if name == channel));
    }

    /// Our own NICK came back.
    pub fn renamed(&mut self, nick: &Nick) {
        self.echoed(|asker| matches!(asker, Asker::Nick(name) if name == nick));
    }

    /// Our own TOPIC came back.
    pub fn topic_set(&mut self, channel: &ChannelName) {
        self.echoed(|asker| matches!(asker, Asker::Topic(name) if name == channel));
    }

    /// Our own KICK came back.
    pub fn kicked(&mut self, channel: &ChannelName, who: &Nick) {
        let is_it = |deed: &Deed| deed.channel == *channel && deed.kicks.as_ref() == Some(who);
        self.echoed(|asker| matches!(asker, Asker::Deed(deed) if is_it(deed)));
    }

    fn echoed(&mut self, is_it: impl Fn(&Asker) -> bool) {
        if let Some(at) = self.open.iter().position(|question| is_it(&question.asker)) {
            self.close(at);
        }
    }
}

fn is_numeric(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit())
}

/// A numeric that ends no label's answer ends the question's.
fn is_ended_by(question: &Question, code: &str) -> bool {
    match &question.asker {
        Asker::Command(command) => command.ends_with(code),
        Asker::Names(_) | Asker::Listing(_) => replies::ends(code, question.asker.command()),
        Asker::Line(_)
        | Asker::Notice(_)
        | Asker::Join(_)
        | Asker::Part(_)
        | Asker::Nick(_)
        | Asker::TopicRead(_)
        | Asker::Topic(_)
        | Asker::Invite(..)
        | Asker::ModesRead(_)
        | Asker::Deed(_)
        | Asker::Modes(_) => false,
    }
}

/// Whether an unknown numeric, or one to an unknown command, may be part of the answer to a command.
fn is_for_unknown(question: &Question, code: &str, is_named: bool) -> bool {
    if !question.is_open_command() || replies::is_unasked(code) {
        return false;
    }
    let (is_known, is_trouble) = (replies::is_known(code), replies::is_trouble(code));
    match replies::knows(question.asker.command()) {
        true => !is_known && (is_named || is_trouble),
        false => is_named || !(is_known && is_trouble),
    }
}

/// What a line refuses with, if it refuses.
fn refusal(line: &Line) -> Option<Refusal> {
    let code = match line.command.as_str() {
        "FAIL" => line.param(1),
        code if is_numeric(code) && replies::is_trouble(code) => code,
        _ => return None,
    };
    let words = line.params.last().cloned().unwrap_or_default();
    Some(Refusal { code: code.to_owned(), words, params: line.params.clone() })
}
