//! Facts that one connection's stream shows. Above this, nothing knows IRC's wire.
//!
//! A fact is what this connection saw at this place of its own stream; another connection may see it earlier
//! or later.

use std::sync::Arc;

use crate::bridge::input::BodyKind;
use crate::ids::{ChannelName, Nick};
use crate::text::modes::Change;

/// One fact. Matched without `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The server took us, under this nick.
    Welcome {
        nick: Nick,
        /// The server's own name.
        server: Option<String>,
    },
    /// The greeting is over: commands may follow.
    Ready,
    /// The nick we asked for was not given, in the server's words.
    NickRefused {
        why: NickRefusal,
        words: String,
    },
    Joined {
        channel: ChannelName,
        who: Person,
    },
    Left {
        channel: ChannelName,
        who: Nick,
    },
    Kicked {
        channel: ChannelName,
        who: Nick,
        by: String,
        reason: String,
    },
    /// Modes of the channel, or of somebody in it, are others now.
    ModesChanged {
        channel: ChannelName,
        changes: Vec<Change>,
    },
    Quit {
        who: Person,
        how: Quitting,
    },
    Renamed {
        who: Nick,
        to: Nick,
    },
    /// Part of the list of who is in the channel.
    Names {
        channel: ChannelName,
        visibility: Visibility,
        nicks: Vec<(String, Nick)>,
    },
    NamesEnd {
        channel: ChannelName,
    },
    /// Something was said in the channel, or done to what was said there; `mask` is the speaker's `user@host`, where
    /// the line shows it.
    Said {
        channel: ChannelName,
        from: Speaking,
        mask: Option<String>,
        what: Uttered,
        stamp: Stamp,
    },
    /// Something was said to one person, or done to what was said there: to this puppet, or by it, where the server
    /// shows us that.
    SaidPrivately {
        /// Boxed: facts are handed around, and few are of this kind.
        from: Box<Person>,
        to: Nick,
        /// Of who speaks (IRCv3 "account-tag").
        account: Option<String>,
        what: Uttered,
        stamp: Stamp,
    },
    /// A program asks this puppet's program something (CTCP).
    CtcpAsked {
        from: Person,
        /// In capitals.
        verb: String,
        rest: String,
    },
    /// The server would not let us in.
    JoinRefused {
        channel: ChannelName,
        numeric: u16,
        words: String,
    },
    /// The server would not take what we said or did in the channel.
    NotTaken {
        channel: ChannelName,
        numeric: u16,
        words: String,
    },
    /// The server says why it is about to close the connection: by ERROR, or by a numeric such as 465.
    Farewell {
        numeric: Option<u16>,
        words: String,
    },
    /// Nobody has these nicks.
    Offline {
        nicks: Vec<Nick>,
    },
    /// The network refused the puppet's login, in its words.
    LoginRefused {
        words: String,
    },
    /// The server says that it is to be reached with TLS only, on this port.
    UpgradeAsked {
        port: u16,
    },
    /// Somebody's user or host name is another now.
    HostChanged {
        who: Person,
        user: String,
        host: String,
    },
    /// The server learned something about itself that we use.
    Supports,
    /// The channel's topic, as it was written; empty for none.
    Topic {
        channel: ChannelName,
        text: String,
        /// Who has just set it, where this tells of a change.
        by: Option<Nick>,
    },
    /// Somebody is removed from the network (KILL); `words` are path and reason.
    Killed {
        who: Nick,
        words: String,
    },
    /// Somebody to whom we said something is away, in their words.
    Away {
        who: Nick,
        words: String,
    },
    /// Somebody is about to say something in the channel, or no longer; `mask` as in `Said`.
    Typing {
        channel: ChannelName,
        who: Nick,
        mask: Option<String>,
        typing: Typing,
    },
    /// Somebody is invited to a channel; `by` is a nick or a server.
    Invited {
        channel: ChannelName,
        who: Nick,
        by: String,
        person: Option<Person>,
    },
    /// All that is set of the channel's own modes; lists and people's ranks are not told with it.
    ModesAre {
        channel: ChannelName,
        changes: Vec<Change>,
    },
    /// These have come, or were there when it was asked, each with `user@host` where the server tells.
    Online(Vec<(Nick, Option<String>)>),
    /// The server tells of these no more: it does of as many as it will.
    WatchRefused(Vec<Nick>),
}

/// What somebody does with words they have not said yet (client tag `+typing`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typing {
    Active,
    /// They stopped, and have not cleared what stands there.
    Paused,
    Done,
}

impl Typing {
    /// By the value of the tag.
    pub fn of(value: &str) -> Option<Self> {
        [Self::Active, Self::Paused, Self::Done].into_iter().find(|typing| typing.value() == value)
    }

    /// The value of the tag.
    pub fn value(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Done => "done",
        }
    }
}

/// How much of a channel those outside may know, as the list of its names says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Public,
    /// Mode `+p`.
    Private,
    /// Mode `+s`.
    Secret,
}

/// What somebody did in a channel that is to be shown there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Uttered {
    Words(Words),
    /// A sign on the message of that name (client tag `+draft/react`).
    Reaction {
        to: String,
        key: String,
    },
    /// That sign of theirs on the message of that name is taken back (client tag `+draft/unreact`).
    Unreaction {
        to: String,
        key: String,
    },
    /// The message of that name is taken back (IRCv3 "message-redaction").
    Redaction {
        of: String,
        reason: Option<String>,
    },
}

/// Something said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub kind: BodyKind,
    /// As it came, with formatting codes. Several lines where they came as one message.
    pub text: String,
    pub audience: Audience,
    /// The name of the message it answers (client tag `+reply`).
    pub reply: Option<String>,
    /// The lines as they were on the wire, where they came as one message (IRCv3 "multiline"); else none.
    pub lines: Vec<String>,
}

/// Who in a channel is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    All,
    /// Those with at least the rank of this sign (ISUPPORT STATUSMSG).
    Rank(char),
}

/// What a line shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The name of this one occurrence (IRCv3 "message-ids").
    pub msgid: Option<Arc<str>>,
    /// When the server says it was said, in milliseconds since the Unix epoch (IRCv3 "server-time").
    pub time_ms: Option<u64>,
}

/// The two ends of a server's greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    Begins,
    Ends,
}

/// How somebody left the network, as a stream shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quitting {
    /// Its own server says so, behind all else that it passed on of them.
    Gone,
    /// Another server may have thrown them off: there it goes before what was still on its way from theirs, and what
    /// their own has shown already may never come.
    ThrownOff,
    /// Servers lost each other: who left one side may still be heard on the other.
    Split,
}

impl Quitting {
    /// By the reason given: a netsplit names the two servers, or `*.net *.split` where they are hidden, and nothing
    /// else. Somebody whose own last words sound like a KILL is taken for thrown off, which proves less.
    pub fn of(reason: &str) -> Self {
        let is_server = |word: &str| {
            word.contains('.') && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._*".contains(&b))
        };
        let mut words = reason.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some(one), Some(other), None) if is_server(one) && is_server(other) => Self::Split,
            _ if is_by_others(reason) => Self::ThrownOff,
            _ => Self::Gone,
        }
    }
}

/// Whether a reason tells of a KILL, of services that want a nick back, or of two who met under one nick.
fn is_by_others(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    ["kill", "collision", "collide", "ghost", "overrid", "regained"].iter().any(|word| reason.contains(word))
}

impl Seen {
    /// The server's words that a person or the log may be shown.
    pub fn words_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::NickRefused { words, .. }
            | Self::JoinRefused { words, .. }
            | Self::NotTaken { words, .. }
            | Self::Farewell { words, .. }
            | Self::LoginRefused { words }
            | Self::Killed { words, .. } => Some(words),
            Self::Welcome { .. }
            | Self::Ready
            | Self::Joined { .. }
            | Self::Left { .. }
            | Self::Kicked { .. }
            | Self::ModesChanged { .. }
            | Self::Quit { .. }
            | Self::Renamed { .. }
            | Self::Names { .. }
            | Self::NamesEnd { .. }
            | Self::Said { .. }
            | Self::SaidPrivately { .. }
            | Self::CtcpAsked { .. }
            | Self::Offline { .. }
            | Self::UpgradeAsked { .. }
            | Self::HostChanged { .. }
            | Self::Away { .. }
            | Self::Supports
            | Self::Typing { .. }
            | Self::ModesAre { .. }
            | Self::Topic { .. }
            | Self::Invited { .. }
            | Self::Online(_)
            | Self::WatchRefused(_) => None,
        }
    }

    /// Which end of the greeting this is, if one.
    pub fn greeting(&self) -> Option<Greeting> {
        match self {
            Self::Welcome { .. } => Some(Greeting::Begins),
            Self::Ready => Some(Greeting::Ends),
            Self::NickRefused { .. }
            | Self::Joined { .. }
            | Self::Left { .. }
            | Self::Kicked { .. }
            | Self::ModesChanged { .. }
            | Self::Quit { .. }
            | Self::Renamed { .. }
            | Self::Names { .. }
            | Self::NamesEnd { .. }
            | Self::Said { .. }
            | Self::SaidPrivately { .. }
            | Self::CtcpAsked { .. }
            | Self::JoinRefused { .. }
            | Self::NotTaken { .. }
            | Self::Farewell { .. }
            | Self::Offline { .. }
            | Self::LoginRefused { .. }
            | Self::UpgradeAsked { .. }
            | Self::HostChanged { .. }
            | Self::Away { .. }
            | Self::Supports
            | Self::Killed { .. }
            | Self::Typing { .. }
            | Self::ModesAre { .. }
            | Self::Topic { .. }
            | Self::Invited { .. }
            | Self::Online(_)
            | Self::WatchRefused(_) => None,
        }
    }
}

/// Somebody on IRC, with the host where the line showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub nick: Nick,
    pub user: Option<String>,
    pub host: Option<String>,
}

impl Person {
    /// `user@host`, where both are known.
    pub fn mask(&self) -> Option<String> {
        Some(format!("{}@{}", self.user.as_ref()?, self.host.as_ref()?))
    }
}

/// Who speaks in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Speaking {
    Person(Nick),
    /// A server speaks itself.
    Server(String),
}

/// Why a nick was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NickRefusal {
    Taken,
    Illegal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_tells_whether_a_quit_comes_behind_all_that_was_said() {
        for (reason, how) in [
            ("Ping timeout: 264 seconds", Quitting::Gone),
            ("Read error: Connection reset by peer", Quitting::Gone),
            ("", Quitting::Gone),
            ("a.net b.net", Quitting::Split),
            ("*.net *.split", Quitting::Split),
            ("Killed (oper (spam))", Quitting::ThrownOff),
            ("KILLed by oper: spam", Quitting::ThrownOff),
            ("Nick collision (new)", Quitting::ThrownOff),
            ("SVSNICK Collide", Quitting::ThrownOff),
            ("Nickname regained by services", Quitting::ThrownOff),
            ("Overridden by other sign on", Quitting::ThrownOff),
        ] {
            assert_eq!(Quitting::of(reason), how, "{reason:?}");
        }
    }
}
