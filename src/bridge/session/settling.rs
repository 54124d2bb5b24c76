//! A session's lines of messages after they were said: what is known of them, and from whom.

use super::send::Part;
use super::sent::Sighting;
use super::{Session, Talk};
use crate::bridge::effect::Effect;
use crate::bridge::input::BodyKind;
use crate::ids::{ChannelName, ConnId, InboxSeq, Target, Time};

impl Session {
    /// The server has answered for this line. `false` when it was known what became of it.
    pub fn line_answered(&mut self, part: &Part) -> bool {
        self.queue.sent.answered(part)
    }

    /// An observer's stream, which may be our own, shows us saying something. Returns which line that is.
    pub fn line_shown(
        &mut self,
        by: ConnId,
        target: &Target,
        kind: BodyKind,
        text: &str,
    ) -> Option<Sighting> {
        let shown = self.queue.sent.shown(by, target, kind, text)?;
        if shown.is_news {
            self.asks.known(&shown.part);
        }
        Some(shown)
    }

    /// An observer's stream, which was in `channel` since then, shows us quitting.
    pub fn lines_missed(&mut self, by: ConnId, channel: &ChannelName, since: Time) {
        self.queue.sent.missed(by, channel, since);
    }

    /// This message will not be said again, come what may.
    pub fn noted(&mut self, seq: InboxSeq, out: &mut Vec<Effect>) {
        self.queue.noted(seq);
        self.pump(out);
    }

    /// It is known what became of a message: what waits of it is not said, what was said is not asked about.
    pub fn drop_message(&mut self, seq: InboxSeq) {
        self.queue.sent.forget(seq);
        self.queue.withdraw(|saying| saying.seq == seq);
    }

    /// What a message was refused with does not count: it is said anew, in other lines.
    pub fn begin_anew(&mut self, seq: InboxSeq) {
        self.drop_message(seq);
        self.asks.forget_message(seq);
    }

    /// True while the server has not answered for all lines that it was given.
    pub fn has_open_lines(&self) -> bool {
        self.queue.sent.open().next().is_some()
    }

    /// The bridge is about to go down: nothing more is said, and what was said is asked about now.
    pub fn finish(&mut self, out: &mut Vec<Effect>) {
        if !self.is_ready() {
            return;
        }
        self.talk = Talk::Finishing;
        if let Some(fence) = self.asks.last_fence() {
            self.control(fence, out);
        }
    }
}
