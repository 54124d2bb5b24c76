//! A Matrix message becomes IRC lines.
//!
//! ```text
//!   Saying ─▶ speak: formatting, names, what it answers, its file ─▶ Spoken ─▶ compose: cut behind our prefix ─▶ lines
//! ```
//!
//! Nothing of a message can become a command, a second line or a CTCP request: what is said is cut into lines and
//! cleaned before it is put behind its target, and only `m.emote` makes an ACTION. Pure: who has which nick, and what a
//! channel takes, is told by the caller. One form of message each in the files below.

pub mod answer;
pub mod compose;
pub mod correction;
pub mod deed;
pub mod file;
pub mod originals;
#[cfg(test)]
mod tests;

use self::answer::Answer;
use crate::bridge::input::{BodyKind, MessageBody};
use crate::bridge::media::Media;
use crate::ids::{EventId, InboxSeq, RoomId, Target, Time, UserId};
use crate::text::html;
use crate::text::irc_codes::{self, Codes};
use crate::text::spans::Spans;

/// A Matrix message on its way to a channel or a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    pub seq: InboxSeq,
    pub room: RoomId,
    pub event_id: EventId,
    pub sender: UserId,
    pub target: Target,
    pub kind: BodyKind,
    /// What is said; of a file its caption.
    pub text: Spans,
    pub media: Option<Box<Media>>,
    /// What it answers.
    pub answer: Option<Answer>,
    /// What it corrects.
    pub corrects: Option<Corrects>,
    /// Who says it, where the bot says it for them: stands before each line.
    pub attribution: Option<String>,
    /// From when on it is too old to be said.
    pub expires: Time,
}

/// The message that another one corrects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrects {
    pub of: EventId,
    /// How it reads on IRC without the correction.
    pub from: String,
}

/// How a message is said on its network at this moment.
pub struct Manner<'a> {
    pub codes: Codes,
    /// The nick of a person of Matrix, where they have one.
    pub nick: &'a dyn Fn(&UserId) -> Option<String>,
    /// The link to the message's file, where links are made.
    pub link: Option<&'a str>,
}

/// What a message says on IRC, before it is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken {
    /// Of any length, with codes; some may be empty.
    pub rows: Vec<String>,
    /// All of its text, for a page.
    pub spans: Spans,
}

impl Saying {
    /// True for the message of this event, and for a correction of it.
    pub fn is_of(&self, event: &EventId) -> bool {
        self.event_id == *event || self.corrects.as_ref().is_some_and(|corrects| corrects.of == *event)
    }

    /// What it says, in plain text: to be compared, or said in another room. What is hidden stays so.
    pub fn plain(&self, link: Option<&str>) -> String {
        let mut spans = self.text.clone();
        spans.hide_spoilers();
        let text = spans.to_plain();
        match &self.media {
            None => text,
            Some(media) if text.is_empty() => file::line(media, link),
            Some(media) => format!("{}\n{text}", file::line(media, link)),
        }
    }
}

/// Puts a message into the form of IRC.
pub fn speak(saying: &Saying, manner: &Manner<'_>) -> Spoken {
    let mut spans = saying.text.clone();
    spans.name_mentions(manner.nick);
    let whole = spans.clone();
    let words = saying.answer.as_ref().map(|answer| answer.words(&saying.sender, manner.nick));
    let (before, after) = match (saying.kind, words) {
        (_, None) => (String::new(), String::new()),
        // In the third person nobody is spoken to.
        (BodyKind::Emote, Some(words)) => (String::new(), words.aside()),
        (BodyKind::Text | BodyKind::Notice, Some(words)) => (words.address(), String::new()),
    };
    let mut rows = Vec::new();
    match &saying.media {
        Some(media) => {
            rows.push(format!("{before}{}", file::line(media, manner.link)));
            if !spans.is_empty() {
                rows.extend(irc_codes::write(&spans, manner.codes));
            }
        }
        None => {
            spans.put_before(&before);
            rows.extend(irc_codes::write(&spans, manner.codes));
        }
    }
    if let Some(last) = rows.last_mut() {
        last.push_str(&after);
    }
    Spoken { rows, spans: whole }
}

/// The text of a message in the common form: of HTML that is too much to read, its plain text.
pub fn spans(body: &MessageBody) -> Spans {
    let read = body.html.as_deref().and_then(|html| html::read(html).ok());
    read.filter(|spans| !spans.is_empty()).unwrap_or_else(|| Spans::plain(&body.text))
}
