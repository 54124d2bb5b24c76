//! What goes with tags of ours (IRCv3 "message-tags", "reply", "react", "typing") and what is taken back
//! ("message-redaction").
//!
//! A tag is added when its line leaves the queue, so that a line that is said again on another connection has those that
//! this one takes. What a server does not let through it leaves out by itself.

use std::sync::Arc;

use super::seen::Typing;
use super::{Session, Talk};
use crate::bridge::channel::Tags;
use crate::bridge::effect::Effect;
use crate::bridge::session::send::Part;
use crate::ids::{ChannelName, Target};
use crate::text::line::{Line, Tag};

/// What a message answers. Servers and clients differ in which of the two names they know.
const REPLY: [&str; 2] = ["+draft/reply", "+reply"];
const TYPING: &str = "+typing";

/// Whether a sign is put on a message, or taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Set,
    TakenBack,
}

impl Sign {
    /// The tag's name without its `+`, as servers list it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Set => "draft/react",
            Self::TakenBack => "draft/unreact",
        }
    }
}

impl Session {
    /// Puts a sign on a message, by the name of its line, or takes it back. `false` where tags do not pass.
    pub fn react(
        &mut self,
        target: &Target,
        msgid: &Arc<str>,
        (sign, key): (Sign, &str),
        out: &mut Vec<Effect>,
    ) -> bool {
        if self.tags() == Tags::Hidden {
            return false;
        }
        let mut line = Line::new("TAGMSG", &[target.as_str()]);
        line.tags = std::iter::once(tag(&format!("+{}", sign.tag()), key)).chain(answers(msgid)).collect();
        self.say_unasked(line.build(), out);
        true
    }

    /// Tells a channel that somebody types, or no longer. `false` where tags do not pass, or it would cost others' time.
    pub fn types(&mut self, channel: &ChannelName, typing: Typing, out: &mut Vec<Effect>) -> bool {
        let may = self.is_ready() && self.tags() == Tags::Shown && self.talk == Talk::Free;
        if !may || self.asks.owe_fence() {
            return false;
        }
        let mut line = Line::new("TAGMSG", &[channel.as_str()]);
        line.tags = vec![tag(TYPING, typing.value())];
        self.queue.push_spare(self.conn, line.build(), out)
    }

    /// Takes back the lines of a message. `false` where the server does not know how, or they have no names.
    pub fn redact(
        &mut self,
        target: &Target,
        msgids: &[Arc<str>],
        reason: Option<&str>,
        out: &mut Vec<Effect>,
    ) -> bool {
        if !self.can_redact() {
            return false;
        }
        for msgid in msgids {
            let params = [target.as_str(), msgid].into_iter().chain(reason.filter(|why| !why.is_empty()));
            let params: Vec<&str> = params.collect();
            self.say_unasked(Line::new("REDACT", &params).build(), out);
        }
        !msgids.is_empty()
    }
}

/// A line of a message as it goes on a connection that takes tags: of several that go as one, the first has them.
pub(super) fn tagged(line: String, part: &Part) -> String {
    let answered = part.saying.answer.as_ref().filter(|_| part.index == 0).and_then(|of| of.msgid.as_ref());
    let (first, rest) =
        line.split_once('\n').map_or((line.as_str(), None), |(first, rest)| (first, Some(rest)));
    let Some((mut tagged, msgid)) = Line::parse(first).zip(answered) else { return line };
    tagged.tags = answers(msgid).collect();
    let first = tagged.build();
    rest.map_or(first.clone(), |rest| format!("{first}\n{rest}"))
}

fn answers(msgid: &Arc<str>) -> impl Iterator<Item = Tag> + '_ {
    REPLY.iter().map(move |key| tag(key, msgid))
}

fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: Some(value.to_owned()) }
}
