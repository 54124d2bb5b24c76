//! From what a message says to the lines of IRC that say it: each behind its command and target, none longer than the
//! network takes behind our own prefix.
//!
//! A message of more lines than a room's people want to see in a channel is cut: its beginning is said, and a link leads
//! to all of it. Where no links are made, as many lines are said as may be, and its sender is told of the rest.
//!
//! What the bot says for somebody has them before each line, so that nobody can seem to be another by where a line ends.
//!
//! Where the server takes several lines as one message (IRCv3 "multiline"), they go as a batch: one [`ChatLine`] whose
//! lines are parted by LF, which is in no line otherwise. It is one message to whoever waits for its answer.

use std::sync::Arc;

use super::{Saying, Spoken};
use crate::bridge::input::BodyKind;
use crate::bridge::session::send::{ChatLine, Part};
use crate::text::line::{Line, Tag};
use crate::text::split;

/// CR LF.
const LINE_END_BYTES: usize = 2;
/// Bytes of text a line carries at least, however long the names before it are.
const TEXT_BYTES_MIN: usize = 64;
/// Lines shown of a message that is behind a link.
const SHOWN_MAX: usize = 2;

/// What a line may hold, and how many there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of `:nick!user@host `, which stands before the line when others see it.
    pub source_bytes: usize,
    /// With its ending.
    pub line_bytes_max: usize,
    pub lines_max: usize,
    /// What one batch may hold, where there are such.
    pub batch: Option<BatchLimits>,
}

/// How much may be said as one message: bytes of text, with a LF between two lines, and lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    pub bytes_max: usize,
    pub lines_max: usize,
}

impl BatchLimits {
    fn takes(&self, texts: &[String]) -> bool {
        let bytes: usize = texts.iter().map(|text| text.len() + 1).sum();
        texts.len() <= self.lines_max && bytes <= self.bytes_max
    }
}

/// The lines of a message.
#[derive(Debug)]
pub struct Composed {
    pub lines: Vec<ChatLine>,
    pub rest: Rest,
}

/// What became of the lines there was no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// There are none.
    None,
    /// They are left out.
    Cut(usize),
    /// They are behind the link.
    Linked,
}

/// Cuts `spoken` into lines. `link` is where all of it can be read, should it be too long.
pub fn compose(saying: &Arc<Saying>, spoken: &Spoken, limits: &Limits, link: Option<&str>) -> Composed {
    let frame = Frame::of(saying.kind);
    let room = frame.room(saying, limits);
    let (texts, rest) = texts(&spoken.rows, room, limits.lines_max, link);
    if let Some(batch) = batch(saying, &frame, &texts, limits) {
        let of = Some(Part { saying: Arc::clone(saying), index: 0, count: 1 });
        return Composed { lines: vec![ChatLine { line: batch, of }], rest };
    }
    let count = texts.len();
    let line = |(index, text): (usize, String)| ChatLine {
        line: frame.line(saying, &text),
        of: Some(Part { saying: Arc::clone(saying), index, count }),
    };
    Composed { lines: texts.into_iter().enumerate().map(line).collect(), rest }
}

fn texts(rows: &[String], room: usize, lines_max: usize, link: Option<&str>) -> (Vec<String>, Rest) {
    let (mut texts, cut) = split::lines(rows, room, lines_max);
    let Some(link) = link.filter(|_| cut > 0) else {
        return (texts, if cut > 0 { Rest::Cut(cut) } else { Rest::None });
    };
    let shown = SHOWN_MAX.min(lines_max.saturating_sub(1));
    let hidden = texts.len() + cut - shown;
    if shown > 0 {
        texts.truncate(shown);
        texts.push(format!("… {hidden} more lines: {link}"));
    } else {
        // One line has to do: its beginning, and the link.
        let tail = format!("… {link}");
        let (first, _) = split::lines(rows, room.saturating_sub(tail.len() + 1), 1);
        texts = vec![first.into_iter().chain([tail]).collect::<Vec<_>>().join(" ")];
    }
    (texts, Rest::Linked)
}

/// All lines as one message, where there are several and the server takes that. Nobody does one thing in several lines.
fn batch(saying: &Saying, frame: &Frame, texts: &[String], limits: &Limits) -> Option<String> {
    limits.batch.filter(|batch| texts.len() > 1 && batch.takes(texts) && saying.kind != BodyKind::Emote)?;
    let reference = format!("b{}", saying.seq.0);
    let target = saying.target.as_str();
    let tag = Tag { key: "batch".to_owned(), value: Some(reference.clone()) };
    let said = texts.iter().map(|text| Line { tags: vec![tag.clone()], ..frame.said(saying, text) }.build());
    let begin = Line::new("BATCH", &[&format!("+{reference}"), "draft/multiline", target]).build();
    let end = Line::new("BATCH", &[&format!("-{reference}")]).build();
    Some(std::iter::once(begin).chain(said).chain([end]).collect::<Vec<_>>().join("\n"))
}

/// What stands around the text of a line.
struct Frame {
    command: &'static str,
    before: &'static str,
    after: &'static str,
}

impl Frame {
    fn of(kind: BodyKind) -> Self {
        match kind {
            BodyKind::Text => Self { command: "PRIVMSG", before: "", after: "" },
            BodyKind::Notice => Self { command: "NOTICE", before: "", after: "" },
            BodyKind::Emote => Self { command: "PRIVMSG", before: "\u{1}ACTION ", after: "\u{1}" },
        }
    }

    /// Bytes that a line has for its text.
    fn room(&self, saying: &Saying, limits: &Limits) -> usize {
        let fixed = limits.source_bytes
            + self.command.len()
            + " ".len()
            + saying.target.as_str().len()
            + " :".len()
            + self.before.len()
            + self.after.len()
            + saying.attribution.as_deref().unwrap_or_default().len()
            + LINE_END_BYTES;
        limits.line_bytes_max.saturating_sub(fixed).max(TEXT_BYTES_MIN)
    }

    fn line(&self, saying: &Saying, text: &str) -> String {
        self.said(saying, text).build()
    }

    fn said(&self, saying: &Saying, text: &str) -> Line {
        let attribution = saying.attribution.as_deref().unwrap_or_default();
        let text = format!("{}{attribution}{text}{}", self.before, self.after);
        Line::new(self.command, &[saying.target.as_str(), &text])
    }
}
