//! Several lines that are one message (IRCv3 "multiline"), put together while they come in.
//!
//! A server that never ends a batch, or puts too much into one, makes nobody wait: what came so far is the message, and
//! what comes after it are messages of their own. Knows nothing of what a line says.

use crate::ids::Time;
use crate::text::line::Line;

/// Batches open at once, at most; with one more the oldest ends.
const OPEN_MAX: usize = 8;
/// Lines of one message; with the last of them it ends. More than servers take.
const LINES_MAX: usize = 100;
/// Bytes of one message; with the line that reaches them it ends.
const BYTES_MAX: usize = 40_960;
/// How long a batch may stay open.
const OPEN_MS_MAX: u64 = 30_000;

/// The messages that are coming in on one connection.
#[derive(Debug, Default)]
pub struct Multiline(Vec<Batch>);

#[derive(Debug)]
struct Batch {
    reference: String,
    since: Time,
    /// What began it: it bears the tags of the message.
    begin: Line,
    lines: Vec<String>,
    message: Option<Line>,
    bytes: usize,
}

/// One message: a line as if it had come alone, with line feeds in its text, and the lines that it was on the wire.
#[derive(Debug, PartialEq, Eq)]
pub struct Whole {
    pub line: Line,
    pub lines: Vec<String>,
}

/// What became of a line.
#[derive(Debug, PartialEq, Eq)]
pub enum Fed {
    /// It is nothing of a message of several lines.
    Other,
    /// It is a part of one, which may have ended with it.
    Taken(Option<Whole>),
}

impl Multiline {
    /// Takes a line of the server.
    pub fn feed(&mut self, now: Time, line: &Line) -> Fed {
        if line.command == "BATCH" {
            return self.batch(now, line);
        }
        if self.0.is_empty() || !matches!(line.command.as_str(), "PRIVMSG" | "NOTICE") {
            return Fed::Other;
        }
        let of = line.tag("batch").and_then(|of| self.0.iter().position(|batch| batch.reference == of));
        let Some(at) = of else { return Fed::Other };
        let is_full = self.0[at].add(line);
        Fed::Taken(is_full.then(|| self.0.remove(at)).and_then(Batch::whole))
    }

    /// Ends a message that has been coming in for too long. To be asked now and then.
    pub fn late(&mut self, now: Time) -> Option<Whole> {
        let at = self.0.iter().position(|batch| now.since_ms(batch.since) > OPEN_MS_MAX)?;
        self.0.remove(at).whole()
    }

    fn batch(&mut self, now: Time, line: &Line) -> Fed {
        let reference = line.param(0);
        if let Some(reference) = reference.strip_prefix('+') {
            if line.param(1) != "draft/multiline" {
                return Fed::Other;
            }
            let oldest = (self.0.len() >= OPEN_MAX).then(|| self.0.remove(0)).and_then(Batch::whole);
            self.0.push(Batch {
                reference: reference.to_owned(),
                since: now,
                begin: line.clone(),
                lines: Vec::new(),
                message: None,
                bytes: 0,
            });
            return Fed::Taken(oldest);
        }
        let ended = reference.strip_prefix('-');
        match ended.and_then(|of| self.0.iter().position(|batch| batch.reference == of)) {
            Some(at) => Fed::Taken(self.0.remove(at).whole()),
            None => Fed::Other,
        }
    }
}

impl Batch {
    /// True when this was the last line that is taken.
    fn add(&mut self, line: &Line) -> bool {
        let text = line.param(1);
        self.bytes += text.len() + 1;
        match &mut self.message {
            Some(message) => {
                let whole = message.params.last_mut().expect("it was made with a text");
                if line.tag("draft/multiline-concat").is_none() {
                    whole.push('\n');
                }
                whole.push_str(text);
            }
            None => {
                let mut message = self.begin.clone();
                // The target is the batch's: no line of it may go elsewhere.
                message.params = vec![self.begin.param(2).to_owned(), text.to_owned()];
                message.command = line.command.clone();
                message.source = self.begin.source.clone().or_else(|| line.source.clone());
                self.message = Some(message);
            }
        }
        self.lines.push(text.to_owned());
        self.lines.len() >= LINES_MAX || self.bytes >= BYTES_MAX
    }

    /// `None` when nothing was said.
    fn whole(self) -> Option<Whole> {
        self.message.map(|line| Whole { line, lines: self.lines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::parse(text).unwrap()
    }

    fn fed(multiline: &mut Multiline, text: &str) -> Fed {
        multiline.feed(Time(0), &line(text))
    }

    fn text(fed: &Fed) -> Option<&str> {
        match fed {
            Fed::Taken(whole) => whole.as_ref().map(|whole| whole.line.param(1)),
            Fed::Other => None,
        }
    }

    #[test]
    fn lines_of_a_batch_are_one_message_with_the_tags_of_its_beginning() {
        let mut multiline = Multiline::default();
        let begin = "@msgid=m;time=t :eve!e@h BATCH +1 draft/multiline #c";
        assert_eq!(fed(&mut multiline, begin), Fed::Taken(None));
        assert_eq!(fed(&mut multiline, "@batch=1 :eve!e@h PRIVMSG #c :one"), Fed::Taken(None));
        assert_eq!(fed(&mut multiline, ":bob!b@h PRIVMSG #c :between"), Fed::Other);
        let glued = "@batch=1;draft/multiline-concat :eve!e@h PRIVMSG #c :, and one";
        assert_eq!(fed(&mut multiline, glued), Fed::Taken(None));
        assert_eq!(fed(&mut multiline, "@batch=1 :eve!e@h PRIVMSG #elsewhere :two"), Fed::Taken(None));
        let Fed::Taken(Some(whole)) = fed(&mut multiline, "BATCH -1") else { panic!("it has ended") };
        assert_eq!(whole.line.params, ["#c", "one, and one\ntwo"]);
        assert_eq!((whole.line.command.as_str(), whole.line.tag("msgid")), ("PRIVMSG", Some("m")));
        assert_eq!(whole.lines, ["one", ", and one", "two"]);
        assert_eq!(fed(&mut multiline, "BATCH -1"), Fed::Other);
    }

    #[test]
    fn what_never_ends_is_ended() {
        let mut multiline = Multiline::default();
        for batch in 0..OPEN_MAX {
            fed(&mut multiline, &format!(":e!e@h BATCH +{batch} draft/multiline #c"));
        }
        fed(&mut multiline, "@batch=0 :e!e@h PRIVMSG #c :first");
        let ninth = fed(&mut multiline, ":e!e@h BATCH +x draft/multiline #c");
        assert_eq!(text(&ninth), Some("first"), "too many");
        for number in 1..LINES_MAX {
            assert_eq!(fed(&mut multiline, "@batch=x :e!e@h PRIVMSG #c :y"), Fed::Taken(None), "{number}");
        }
        let full = fed(&mut multiline, "@batch=x :e!e@h PRIVMSG #c :y");
        assert_eq!(text(&full).map(|text| text.lines().count()), Some(LINES_MAX), "too long");
        let alone = fed(&mut multiline, "@batch=x :e!e@h PRIVMSG #c :z");
        assert_eq!(alone, Fed::Other, "said alone");
        assert_eq!(multiline.late(Time(OPEN_MS_MAX)), None);
        fed(&mut multiline, "@batch=1 :e!e@h PRIVMSG #c :late");
        let ended: Vec<_> = (0..OPEN_MAX).filter_map(|_| multiline.late(Time(OPEN_MS_MAX + 1))).collect();
        assert_eq!(ended.iter().map(|whole| whole.line.param(1)).collect::<Vec<_>>(), ["late"]);
        assert!(multiline.0.is_empty());
    }

    #[test]
    fn other_batches_are_left_alone() {
        let mut multiline = Multiline::default();
        assert_eq!(fed(&mut multiline, "BATCH +1 netsplit a b"), Fed::Other);
        assert_eq!(fed(&mut multiline, "@batch=1 :a!b@c QUIT :a b"), Fed::Other);
        assert_eq!(fed(&mut multiline, "BATCH"), Fed::Other);
        assert_eq!(fed(&mut multiline, "BATCH -1"), Fed::Other);
        fed(&mut multiline, ":e!e@h BATCH +2 draft/multiline #c");
        assert_eq!(fed(&mut multiline, "BATCH -2"), Fed::Taken(None), "nothing was said");
    }
}
