//! A Matrix message becomes IRC lines.
//!
//! Nothing of a message can become a command, a second line or a CTCP request: bodies are cut into lines and
//! cleaned before they are put behind their target, and only `m.emote` makes an ACTION.

use std::sync::Arc;

use crate::bridge::input::{BodyKind, MessageBody};
use crate::bridge::session::send::{ChatLine, Part};
use crate::ids::{ChannelName, EventId, InboxSeq, RoomId, Time, UserId};
use crate::text::line::Line;
use crate::text::split::body_lines;

/// CR LF.
const LINE_END_BYTES: usize = 2;
/// Bytes of text a line carries at least, however long the names before it are.
const TEXT_BYTES_MIN: usize = 64;

/// A Matrix message on its way to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    pub seq: InboxSeq,
    pub room: RoomId,
    pub event_id: EventId,
    pub sender: UserId,
    pub channel: ChannelName,
    pub body: MessageBody,
    /// From when on it is too old to be said.
    pub expires: Time,
}

/// The lines of a message, and how many more it would have had.
#[derive(Debug)]
pub struct Composed {
    pub lines: Vec<ChatLine>,
    pub lines_cut: usize,
}

/// Cuts `saying` into lines that fit behind `source_bytes` of `:nick!user@host ` within `line_bytes_max`.
pub fn compose(
    saying: &Arc<Saying>,
    source_bytes: usize,
    line_bytes_max: usize,
    lines_max: usize,
) -> Composed {
    let frame = Frame::of(saying.body.kind);
    let fixed = source_bytes
        + frame.command.len()
        + " ".len()
        + saying.channel.as_str().len()
        + " :".len()
        + frame.before.len()
        + frame.after.len()
        + LINE_END_BYTES;
    let room = line_bytes_max.saturating_sub(fixed).max(TEXT_BYTES_MIN);
    let body = body_lines(&saying.body.text, room, lines_max);
    let count = body.lines.len();
    let line = |(index, text): (usize, String)| ChatLine {
        line: Line::new(
            frame.command,
            &[saying.channel.as_str(), &format!("{}{text}{}", frame.before, frame.after)],
        )
        .build(),
        of: Some(Part { saying: saying.clone(), index, count }),
    };
    Composed { lines: body.lines.into_iter().enumerate().map(line).collect(), lines_cut: body.cut }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::casemap::CaseMap;

    fn lines(kind: BodyKind, text: &str) -> Vec<String> {
        let saying = Arc::new(Saying {
            seq: InboxSeq(1),
            room: RoomId::new("!r").unwrap(),
            event_id: EventId::new("$e").unwrap(),
            sender: UserId::new("@a:b").unwrap(),
            channel: ChannelName::new("#c", CaseMap::Ascii).unwrap(),
            body: MessageBody { kind, text: text.into() },
            expires: Time(0),
        });
        compose(&saying, 40, 512, 4).lines.into_iter().map(|chat| chat.line).collect()
    }

    #[test]
    fn kinds_become_their_commands() {
        assert_eq!(lines(BodyKind::Text, "hello all"), ["PRIVMSG #c :hello all"]);
        assert_eq!(lines(BodyKind::Notice, "beep boop"), ["NOTICE #c :beep boop"]);
        assert_eq!(lines(BodyKind::Emote, "waves"), ["PRIVMSG #c :\u{1}ACTION waves\u{1}"]);
    }

    #[test]
    fn no_field_makes_a_second_command_or_a_ctcp() {
        assert_eq!(
            lines(BodyKind::Text, "a\r\nQUIT :x\rJOIN #y\0"),
            ["PRIVMSG #c a", "PRIVMSG #c :QUIT :x", "PRIVMSG #c :JOIN #y"]
        );
        assert_eq!(lines(BodyKind::Text, "\u{1}DCC SEND x\u{1}"), ["PRIVMSG #c :DCC SEND x"]);
    }

    #[test]
    fn every_line_fits_with_its_source_and_ending() {
        let long = "żółć ".repeat(400);
        let lines = lines(BodyKind::Emote, &long);
        assert_eq!(lines.len(), 4);
        assert!(lines.iter().all(|line| 40 + line.len() + 2 <= 512));
    }
}
