//! Sentences that many commands share: what became of a line, in words with the next step.

use super::reply::Reply;
use super::{Act, Kept, UpkeepReport};
use crate::bridge::effect::{CommandAnswer, Extent, Refusal, Verdict};
use crate::bridge::errand::{Connection, Errand, Report};
use crate::ids::Time;
use crate::text::line::Line;
use crate::text::numerics;

/// What became of a command, and what it was.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    pub act: &'a Act,
    pub came: Came<'a>,
    /// As people know the network; empty where the command is about none.
    pub network: &'a str,
    pub now: Time,
    pub ears: Ears,
}

/// Who reads an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ears {
    /// Whoever asked, alone.
    Theirs,
    /// All of a room.
    Others,
}

/// What came back.
#[derive(Clone, Copy, Debug)]
pub enum Came<'a> {
    /// From a network.
    Report(&'a Report),
    /// From the database.
    Kept(&'a Kept),
    /// From the bridge as a whole.
    Upkept(&'a UpkeepReport),
}

impl<'a> Told<'a> {
    /// The errand it was.
    pub fn errand(&self) -> Option<&'a Errand> {
        if let Act::Errand(errand) | Act::Page { errand, .. } = self.act { Some(errand) } else { None }
    }

    /// Which page of a long answer is wanted; the first is 1.
    pub fn page(&self) -> usize {
        if let Act::Page { page, .. } = self.act { *page } else { 1 }
    }

    fn report(&self) -> Option<&'a Report> {
        match self.came {
            Came::Report(report) => Some(report),
            Came::Kept(_) | Came::Upkept(_) => None,
        }
    }

    /// What the database said.
    pub fn kept(&self) -> Option<&'a Kept> {
        match self.came {
            Came::Kept(kept) => Some(kept),
            Came::Report(_) | Came::Upkept(_) => None,
        }
    }

    /// What the bridge said.
    pub fn upkept(&self) -> Option<&'a UpkeepReport> {
        match self.came {
            Came::Upkept(report) => Some(report),
            Came::Report(_) | Came::Kept(_) => None,
        }
    }

    /// Of a line: what is said when the server had nothing against it.
    pub fn accepted(&self, say: impl FnOnce(&CommandAnswer) -> Reply) -> Reply {
        match self.report() {
            Some(Report::Line(answer)) if answer.verdict == Verdict::Accepted => say(answer),
            _ => self.otherwise(),
        }
    }

    /// Of an errand: what is said of the report, where `say` knows it.
    pub fn reported(&self, say: impl FnOnce(&'a Report) -> Option<Reply>) -> Reply {
        self.report().and_then(say).unwrap_or_else(|| self.otherwise())
    }

    /// What is said where it was refused, or nobody knows.
    fn otherwise(&self) -> Reply {
        match self.report() {
            Some(Report::Refused(refusal)) => Reply::text(refused(refusal, self.network)),
            Some(Report::Unknown) => Reply::text(unknown(self.network)),
            Some(Report::Line(CommandAnswer { verdict, .. })) => Reply::text(match verdict {
                Verdict::Accepted => "Done.".to_owned(),
                Verdict::Refused(refusal) => refused(refusal, self.network),
                Verdict::Doubtful(refusal) => {
                    format!("It may not have worked. {}", refused(refusal, self.network))
                }
                Verdict::Unknown => unknown(self.network),
            }),
            // What it is cannot be an answer to what was asked; that it was carried out is true all the same.
            Some(
                Report::Done
                | Report::Joined(_)
                | Report::Talking { .. }
                | Report::Called(_)
                | Report::Status(_)
                | Report::Stopped(_)
                | Report::Retried(_)
                | Report::Portals(_)
                | Report::Users(_)
                | Report::Ended(_)
                | Report::Channel(_)
                | Report::Here(_)
                | Report::Plumbing(_)
                | Report::Links(_)
                | Report::Operators(_)
                | Report::Ignored(_)
                | Report::Mentions(_),
            )
            | None => Reply::text("Done."),
        }
    }

    /// So long ago, in words.
    pub fn ago(&self, then: Time) -> String {
        lasting(self.now.since_ms(then))
    }
}

/// One sentence of a refusal, with the next step where there is one.
pub fn refused(refusal: &Refusal, network: &str) -> String {
    if refusal.params.is_empty() {
        // Our own, or what a server said without a numeric: a sentence, made to look like one.
        return sentence(&refusal.words);
    }
    numerics::sentence(&refusal.code, &refusal.params, network)
}

fn unknown(network: &str) -> String {
    format!(
        "{network} did not answer, so nobody knows whether it worked. `status` tells how you are connected; then try again."
    )
}

/// With a capital in front and a full stop behind.
pub fn sentence(words: &str) -> String {
    let words = words.trim();
    let mut letters = words.chars();
    let Some(first) = letters.next() else { return "It was refused, without a reason.".to_owned() };
    let end = if words.ends_with(['.', '!', '?', ')']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), letters.as_str())
}

/// The lines of an answer with this numeric.
pub fn with_code<'a>(answer: &'a CommandAnswer, code: &'a str) -> impl Iterator<Item = &'a Line> {
    answer.lines.iter().filter(move |line| line.command == code)
}

/// What is said below an answer of which a part was left out.
pub fn cut(answer: &CommandAnswer) -> &'static str {
    match answer.extent {
        Extent::Whole => "",
        Extent::Cut => "The server said more than I keep.",
    }
}

/// A length of time in words, by its largest unit.
pub fn lasting(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    counted(usize::try_from(count).unwrap_or(usize::MAX), unit)
}

/// `1 line`, `2 lines`.
pub fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// How somebody is connected, as a few words behind "is".
pub fn connected(connection: &Connection, now: Time) -> String {
    match connection {
        Connection::Ready { since: Some(since) } => {
            format!("connected since {}", lasting(now.since_ms(*since)))
        }
        Connection::Ready { since: None } => "connected".to_owned(),
        Connection::Connecting => "being connected".to_owned(),
        Connection::Waiting { until, why } => {
            let when = lasting(until.since_ms(now));
            let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            format!("not connected; the next attempt is in {when}{why}")
        }
        Connection::Held(why) => format!("kept away: {why}"),
        Connection::Asleep => {
            "disconnected for saying nothing for long; the next word brings the connection back".to_owned()
        }
        Connection::None => "not connected, because nothing is wanted of the network".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_counts_are_words() {
        assert_eq!(lasting(999), "0 seconds");
        assert_eq!(lasting(61_000), "1 minute");
        assert_eq!(lasting(2 * 86_400_000), "2 days");
        assert_eq!(counted(1, "line"), "1 line");
    }

    #[test]
    fn a_refusal_is_a_sentence() {
        assert_eq!(refused(&Refusal::ours("X", "you may not"), "Net"), "You may not.");
        assert_eq!(refused(&Refusal::ours("X", ""), "Net"), "It was refused, without a reason.");
        let by_server =
            Refusal { code: "433".into(), words: "in use".into(), params: vec!["me".into(), "bob".into()] };
        assert!(refused(&by_server, "Net").ends_with('.'));
    }
}
