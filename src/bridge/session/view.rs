//! What others may ask a session about itself. Changes nothing.

use std::sync::Arc;

use super::caps::{Cap, MultilineLimits};
use super::places::Standing;
use super::{Phase, Session};
use crate::bridge::channel::Tags;
use crate::bridge::relay::to_irc::compose::BatchLimits;
use crate::ids::{ChannelName, Nick};

impl Session {
    /// True once QUIT was said.
    pub fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing(_))
    }

    /// True until the socket is open.
    pub fn is_dialing(&self) -> bool {
        matches!(self.phase, Phase::Dialing)
    }

    /// True when commands may be sent.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// True for our present nick.
    pub fn is_me(&self, nick: &Nick) -> bool {
        self.nick.as_ref() == Some(nick)
    }

    /// True for our present nick, as servers spell it.
    pub fn is_called(&self, name: &str) -> bool {
        self.nick.as_ref().is_some_and(|nick| nick.as_str() == name)
    }

    /// Our present nick, once there is one.
    pub fn nick(&self) -> Option<&Nick> {
        self.nick.as_ref()
    }

    /// The nick we are asking for.
    pub fn nick_asked(&self) -> Option<&Nick> {
        self.nick_asked.as_ref()
    }

    /// Our place in a channel.
    pub fn standing(&self, channel: &ChannelName) -> Option<Standing> {
        self.places.standing(channel)
    }

    /// The channels we are in or have asked for.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.places.channels()
    }

    /// The name of the server we are on, once it welcomed us.
    pub fn server(&self) -> Option<&Arc<str>> {
        self.server.as_ref()
    }

    /// Whether lines come with their tags.
    pub fn tags(&self) -> Tags {
        if self.caps.on().has(Cap::MessageTags) { Tags::Shown } else { Tags::Hidden }
    }

    /// What one batch of ours may hold, where the server takes several lines as one message (IRCv3 "multiline").
    pub fn batch_limits(&self) -> Option<BatchLimits> {
        let MultilineLimits { bytes_max, lines_max } = self.caps.multiline()?;
        Some(BatchLimits { bytes_max, lines_max: lines_max.unwrap_or(usize::MAX) })
    }

    /// Whether the server takes back what we said (IRCv3 "message-redaction").
    pub fn can_redact(&self) -> bool {
        self.caps.on().has(Cap::MessageRedaction)
    }

    /// Bytes that stand before `COMMAND target :text` when others see our line: `:nick!user@host `.
    pub fn source_bytes(&self) -> usize {
        let nick = self.nick.as_ref().map_or(30, |nick| nick.as_str().len());
        1 + nick + self.source_rest_bytes + 1
    }
}
