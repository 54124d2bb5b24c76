//! The lines of messages that one connection was given, and what is known of each.
//!
//! ```text
//!   given to the socket ─▶ taken by the kernel ─▶ answered: label, echo, witness, fence ─▶ remembered a while
//!                 │                        └───── the connection dies ─▶ in doubt
//!                 └── the connection dies ─▶ waits again: nobody can have seen it
//! ```
//!
//! A *sighting* is an observer's stream showing a line under our nick. Each stream shows each line once, so the n-th
//! sighting of a text on one stream is that of the n-th line with that text: answered lines are remembered for
//! [`KEPT_MS`] to be counted along. A stream that shows our QUIT and has not shown a line before will never show it,
//! and proves that it did not arrive: servers pass on what one client does in its order. A KILL by another server does
//! not keep to that order, and proves nothing.
//!
//! Decides nothing about what becomes of a message. Above [`KEPT_MAX`] answered lines the oldest is forgotten; there
//! are no more open ones than questions.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::send::{ChatLine, Part};
use crate::bridge::input::BodyKind;
use crate::ids::{ChannelName, ConnId, InboxSeq, Target, Time};
use crate::text::irc_codes::{Ctcp, is_code, parse_ctcp, strip};
use crate::text::line::Line;

/// How long an answered line is remembered for streams that have yet to show it.
const KEPT_MS: u64 = 20_000;
/// Answered lines remembered at most.
const KEPT_MAX: usize = 64;

/// What one connection was given, oldest first.
#[derive(Debug, Default)]
pub struct Sent {
    lines: VecDeque<SentLine>,
    /// The observer whose stream has shown us quitting, while nothing shows that we live.
    gone: Option<ConnId>,
}

/// A line that was given to the socket.
#[derive(Debug)]
pub struct SentLine {
    pub part: Part,
    /// As it goes without a label; `None` once it is answered.
    line: Option<String>,
    /// When it was given.
    pub at: Time,
    text: u64,
    /// Whether it has formatting codes.
    coded: Coded,
    stage: Stage,
    shown_by: Vec<ConnId>,
    missed_by: Vec<ConnId>,
}

/// Whether a text has formatting codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coded {
    Yes,
    No,
}

impl Coded {
    fn of(text: &str) -> Self {
        if text.contains(is_code) { Self::Yes } else { Self::No }
    }
}

/// A line of ours that an observer's stream shows.
#[derive(Debug)]
pub struct Sighting {
    pub part: Part,
    /// Nothing was known of it.
    pub is_news: bool,
    /// It was said with formatting codes, and is shown without.
    pub is_stripped: bool,
}

/// Whether the kernel has a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Given,
    Taken,
}

impl SentLine {
    fn is_open(&self) -> bool {
        self.line.is_some()
    }

    /// True when a stream that should have shown it has shown us quitting instead.
    pub fn is_missed(&self) -> bool {
        !self.missed_by.is_empty()
    }

    /// True when this stream can still show it, or show that it did not arrive.
    pub fn may_be_shown_by(&self, observer: ConnId) -> bool {
        !self.missed_by.contains(&observer)
    }

    fn is(&self, part: &Part) -> bool {
        self.part.saying.seq == part.saying.seq && self.part.index == part.index
    }
}

impl Sent {
    /// A line goes to the socket.
    pub fn goes(&mut self, now: Time, part: Part, line: String) {
        self.rest(now);
        let text = text_of(&line, part.saying.kind);
        let coded = Coded::of(&line);
        let missed_by = self.gone.into_iter().collect();
        let (line, stage, shown_by) = (Some(line), Stage::Given, Vec::new());
        self.lines.push_back(SentLine { part, line, at: now, text, coded, stage, shown_by, missed_by });
    }

    /// The kernel has taken the next line.
    pub fn taken(&mut self) -> Option<Part> {
        let line = self.lines.iter_mut().find(|line| line.stage == Stage::Given)?;
        line.stage = Stage::Taken;
        Some(line.part.clone())
    }

    /// It is known what became of this line. `false` when it was known before.
    pub fn answered(&mut self, part: &Part) -> bool {
        let line = self.lines.iter_mut().find(|line| line.is_open() && line.is(part));
        line.and_then(|line| line.line.take()).is_some()
    }

    /// It is known what became of a message: nothing of it is asked about any more.
    pub fn forget(&mut self, seq: InboxSeq) {
        let of_it = self.lines.iter_mut().filter(|line| line.part.saying.seq == seq);
        of_it.for_each(|line| line.line = None);
    }

    /// An observer's stream shows us saying something, with or without its codes. Returns which line that is.
    pub fn shown(&mut self, by: ConnId, target: &Target, kind: BodyKind, text: &str) -> Option<Sighting> {
        let (text, coded) = (hash(kind, text), Coded::of(text));
        let is_it = |line: &&mut SentLine| {
            line.text == text && line.part.saying.target == *target && !line.shown_by.contains(&by)
        };
        let line = self.lines.iter_mut().find(is_it)?;
        line.shown_by.push(by);
        Some(Sighting {
            part: line.part.clone(),
            is_news: line.line.take().is_some(),
            is_stripped: (line.coded, coded) == (Coded::Yes, Coded::No),
        })
    }

    /// An observer's stream, which would have shown all that was said in `channel` from `since` on, shows us quitting:
    /// what it has not shown, and what was given later, did not arrive.
    pub fn missed(&mut self, by: ConnId, channel: &ChannelName, since: Time) {
        self.gone = Some(by);
        let lines = self
            .lines
            .iter_mut()
            .filter(|line| line.is_open() && line.part.saying.target.is_channel(channel));
        for line in lines.filter(|line| since <= line.at && !line.missed_by.contains(&by)) {
            line.missed_by.push(by);
        }
    }

    /// The server answers: whoever showed us quitting was split off from it.
    pub fn lives(&mut self) {
        if self.gone.take().is_some() {
            self.lines.iter_mut().for_each(|line| line.missed_by.clear());
        }
    }

    /// The lines of which nothing is known, oldest first.
    pub fn open(&self) -> impl Iterator<Item = &SentLine> {
        self.lines.iter().filter(|line| line.is_open())
    }

    /// Forgets answered lines that no stream will show any more. An idle connection keeps no room.
    pub fn rest(&mut self, now: Time) {
        if self.lines.is_empty() {
            return;
        }
        let answered = self.lines.iter().filter(|line| !line.is_open()).count();
        let mut surplus = answered.saturating_sub(KEPT_MAX);
        self.lines.retain(|line| {
            let is_surplus = !line.is_open() && surplus > 0;
            surplus -= usize::from(is_surplus);
            // A line that the kernel has not taken is counted, known or not.
            let is_counted = line.is_open() || line.stage == Stage::Given;
            is_counted || (!is_surplus && now.since_ms(line.at) < KEPT_MS)
        });
        if self.lines.is_empty() {
            self.lines = VecDeque::new();
        }
    }

    /// The connection is over: takes out, in order, the lines that the kernel has not taken.
    pub fn take_untaken(&mut self) -> Vec<ChatLine> {
        let mut untaken = Vec::new();
        for line in std::mem::take(&mut self.lines) {
            match (line.stage, &line.line) {
                (Stage::Given, Some(text)) => {
                    untaken.push(ChatLine { line: text.clone(), of: Some(line.part) });
                }
                (Stage::Given, None) => {}
                (Stage::Taken, _) => self.lines.push_back(line),
            }
        }
        untaken
    }

    /// Takes out the lines of which nothing is known, in order.
    pub fn take_open(&mut self) -> Vec<(SentLine, ChatLine)> {
        let mut open = Vec::new();
        for mut line in std::mem::take(&mut self.lines) {
            match line.line.take() {
                Some(text) => {
                    let chat = ChatLine { line: text, of: Some(line.part.clone()) };
                    open.push((line, chat));
                }
                None => self.lines.push_back(line),
            }
        }
        open
    }
}

/// What a line says, as others see it: some channels take its codes away.
/// Lines that go as one are seen as one.
fn text_of(line: &str, kind: BodyKind) -> u64 {
    let said = line.split('\n').filter_map(Line::parse).filter(|line| line.command != "BATCH");
    let texts: Vec<String> = said.map(|said| said.param(1).to_owned()).collect();
    let text = texts.join("\n");
    match parse_ctcp(&text) {
        Ctcp::Action(text) => hash(kind, text),
        Ctcp::Other { .. } | Ctcp::None => hash(kind, &text),
    }
}

fn hash(kind: BodyKind, text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, strip(text)).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bridge::relay::to_irc::Saying;
    use crate::ids::{EventId, PuppetId, RoomId, UserId};
    use crate::text::casemap::CaseMap;
    use crate::text::spans::Spans;

    fn conn(puppet: u32) -> ConnId {
        ConnId { puppet: PuppetId(puppet), generation: 1 }
    }

    fn channel() -> ChannelName {
        ChannelName::new("#c", CaseMap::Ascii).unwrap()
    }

    fn part(seq: i64) -> Part {
        let saying = Saying {
            seq: InboxSeq(seq),
            room: RoomId::new("!r").unwrap(),
            event_id: EventId::new("$e").unwrap(),
            sender: UserId::new("@a:b").unwrap(),
            target: channel().into(),
            kind: BodyKind::Text,
            text: Spans::default(),
            media: None,
            answer: None,
            corrects: None,
            attribution: None,
            expires: Time(0),
        };
        Part { saying: Arc::new(saying), index: 0, count: 1 }
    }

    fn sent(texts: &[&str]) -> Sent {
        let mut sent = Sent::default();
        for (text, seq) in texts.iter().zip(1..) {
            sent.goes(Time(seq as u64), part(seq), format!("PRIVMSG #c :{text}"));
            sent.taken();
        }
        sent
    }

    fn sighting(sent: &mut Sent, by: u32, text: &str) -> Option<i64> {
        let shown = sent.shown(conn(by), &channel().into(), BodyKind::Text, text)?;
        shown.is_news.then_some(shown.part.saying.seq.0)
    }

    fn missed(sent: &Sent) -> Vec<i64> {
        sent.open().filter(|line| line.is_missed()).map(|line| line.part.saying.seq.0).collect()
    }

    #[test]
    fn each_stream_shows_each_line_once() {
        let mut sent = sent(&["hi", "hi", "ho"]);
        assert_eq!(sighting(&mut sent, 7, "hi"), Some(1));
        assert_eq!(sighting(&mut sent, 8, "hi"), None, "the first again, on another stream");
        assert_eq!(sighting(&mut sent, 8, "hi"), Some(2));
        assert_eq!(sighting(&mut sent, 7, "hi"), None);
        assert_eq!(sighting(&mut sent, 7, "hi"), None, "somebody else's words");
        assert!(sent.answered(&part(3)) && !sent.answered(&part(3)));
        assert_eq!(sent.open().count(), 0);
    }

    #[test]
    fn who_answered_is_still_counted_along_for_a_while() {
        let mut sent = sent(&["hi", "hi"]);
        assert!(sent.answered(&part(1)));
        assert_eq!(sighting(&mut sent, 7, "hi"), None, "that was the first");
        sent.rest(Time(KEPT_MS + 5));
        assert_eq!(sighting(&mut sent, 8, "hi"), Some(2), "it is forgotten");
        sent.rest(Time(KEPT_MS + 5));
        assert!(sent.lines.is_empty());
    }

    #[test]
    fn a_quit_shown_first_proves_that_a_line_did_not_arrive() {
        let mut sent = sent(&["one", "two", "three"]);
        sighting(&mut sent, 7, "one");
        sent.missed(conn(8), &channel(), Time(3));
        assert_eq!(missed(&sent), [3], "it was not there for the second");
        sent.missed(conn(7), &channel(), Time(0));
        assert_eq!(missed(&sent), [2, 3]);
        sent.goes(Time(9), part(9), "PRIVMSG #c :later".into());
        assert_eq!(missed(&sent), [2, 3, 9]);
        sent.lives();
        assert_eq!(missed(&sent), [0i64; 0], "it was a split");
    }

    #[test]
    fn what_the_kernel_has_is_in_doubt_and_the_rest_is_not() {
        let mut sent = sent(&["one", "two"]);
        sent.goes(Time(3), part(3), "PRIVMSG #c :three".into());
        sent.goes(Time(3), part(4), "PRIVMSG #c :four".into());
        sent.forget(InboxSeq(3));
        assert!(sent.answered(&part(1)));
        let lines: Vec<String> = sent.take_untaken().into_iter().map(|chat| chat.line).collect();
        assert_eq!(lines, ["PRIVMSG #c :four"]);
        let open = sent.take_open();
        assert_eq!(open.iter().map(|(line, _)| line.part.saying.seq.0).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn only_so_many_answered_lines_are_remembered() {
        let mut sent = sent(&["x"; 3 * KEPT_MAX]);
        (1..=3 * KEPT_MAX as i64).for_each(|seq| sent.forget(InboxSeq(seq)));
        sent.rest(Time(0));
        assert_eq!(sent.lines.len(), KEPT_MAX);
    }

    #[test]
    fn a_line_is_known_without_its_codes() {
        let mut sent = sent(&["\u{2}bold\u{2} words", "plain"]);
        let shown = sent.shown(conn(7), &channel().into(), BodyKind::Text, "bold words").unwrap();
        assert!(shown.is_stripped && shown.is_news);
        let shown = sent.shown(conn(8), &channel().into(), BodyKind::Text, "\u{2}bold\u{2} words").unwrap();
        assert!(!shown.is_stripped && !shown.is_news);
        assert!(!sent.shown(conn(7), &channel().into(), BodyKind::Text, "plain").unwrap().is_stripped);
    }

    #[test]
    fn lines_that_go_as_one_are_seen_as_one() {
        let mut sent = Sent::default();
        let batch =
            "BATCH +b1 draft/multiline #c\n@batch=b1 PRIVMSG #c one\n@batch=b1 PRIVMSG #c :two w\nBATCH -b1";
        sent.goes(Time(0), part(1), batch.to_owned());
        assert!(sent.shown(conn(7), &channel().into(), BodyKind::Text, "one").is_none());
        assert!(sent.shown(conn(7), &channel().into(), BodyKind::Text, "one\ntwo w").is_some());
    }

    #[test]
    fn an_action_is_known_by_what_it_says() {
        let mut sent = Sent::default();
        let mut emote = part(1);
        Arc::make_mut(&mut emote.saying).kind = BodyKind::Emote;
        sent.goes(Time(0), emote, "PRIVMSG #c :\u{1}ACTION waves\u{1}".into());
        assert!(sent.shown(conn(7), &channel().into(), BodyKind::Text, "waves").is_none());
        assert!(sent.shown(conn(7), &channel().into(), BodyKind::Emote, "waves").is_some());
    }
}
