//! Typed names and numbers that every layer shares.
//!
//! A value of one of these types has been checked at the edge where it entered: past that edge nobody
//! handles a bare `String` for an id. Names of IRC things carry their folded form, so that two spellings
//! of one nick or channel are equal, hash alike and sort together.

use std::fmt;
use std::sync::Arc;

use crate::text::casemap::CaseMap;

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", &self.0)
            }
        }
    };
}

name_type!(
    /// The key of one IRC network in the configuration, for example `libera`.
    NetworkId
);
name_type!(
    /// A Matrix user id, `@localpart:server`, at most 255 bytes.
    UserId
);
name_type!(
    /// A Matrix room id, `!opaque` with or without a server part (room version 12 has none).
    RoomId
);
name_type!(
    /// A Matrix event id, `$opaque`.
    EventId
);
name_type!(
    /// A Matrix room alias, `#localpart:server`, at most 255 bytes.
    RoomAlias
);

/// Longest Matrix identifier, in bytes (Matrix appendices, "Common Identifier Format").
pub const MATRIX_ID_BYTES_MAX: usize = 255;

/// True when `text` can be a Matrix id with this sigil: right first character, bounded, no control
/// characters or white space. Deliberately no stricter: homeservers accept more than the grammar.
fn is_matrix_id(text: &str, sigil: char) -> bool {
    text.len() > 1
        && text.len() <= MATRIX_ID_BYTES_MAX
        && text.starts_with(sigil)
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

impl NetworkId {
    /// Accepts letters, digits, `.`, `-` and `_`; 1 to 64 bytes; anything else is `None`.
    pub fn new(text: &str) -> Option<Self> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        (!text.is_empty() && text.len() <= 64 && text.bytes().all(legal)).then(|| Self(text.into()))
    }
}

impl UserId {
    /// Accepts `@localpart:server`; `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        let (local, server) = text.get(1..)?.split_once(':')?;
        (is_matrix_id(text, '@') && !local.is_empty() && !server.is_empty()).then(|| Self(text.into()))
    }

    /// The part between `@` and the first `:`.
    pub fn localpart(&self) -> &str {
        self.0[1..].split(':').next().unwrap_or_default()
    }

    /// The part after the first `:`.
    pub fn server(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, server)| server)
    }
}

impl RoomId {
    /// Accepts `!opaque`; `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        is_matrix_id(text, '!').then(|| Self(text.into()))
    }
}

impl EventId {
    /// Accepts `$opaque`; `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        is_matrix_id(text, '$').then(|| Self(text.into()))
    }
}

impl RoomAlias {
    /// Accepts `#localpart:server`; `None` for anything else.
    pub fn new(text: &str) -> Option<Self> {
        let (local, server) = text.get(1..)?.split_once(':')?;
        (is_matrix_id(text, '#') && !local.is_empty() && !server.is_empty()).then(|| Self(text.into()))
    }

    /// The part between the leading `#` and the last `:` that starts a server name. A channel name may
    /// itself hold a colon; a server name of ours is known, so it is cut off by its text.
    pub fn localpart(&self, server: &str) -> Option<&str> {
        self.0[1..].strip_suffix(server)?.strip_suffix(':')
    }
}

/// An IRC nickname, equal to every other spelling of it under the network's case mapping.
#[derive(Clone)]
pub struct Nick {
    shown: Arc<str>,
    folded: Arc<str>,
}

impl Nick {
    /// Accepts any non-empty text without a space, comma, control character, `!`, `@`, or a leading
    /// `:` or channel sign; networks differ in the rest, and a server's own spelling is always taken.
    pub fn new(text: &str, map: CaseMap) -> Option<Self> {
        let bad = |c: char| c.is_control() || matches!(c, ' ' | ',' | '!' | '@' | '*' | '?');
        if text.is_empty() || text.starts_with([':', '#', '&', '$']) || text.chars().any(bad) {
            return None;
        }
        Some(Self { shown: text.into(), folded: map.fold(text).into() })
    }

    /// As its owner spells it.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// The one spelling that stands for all of them.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// The same name under another case mapping.
    pub fn refolded(&self, map: CaseMap) -> Self {
        Self { shown: Arc::clone(&self.shown), folded: map.fold(&self.shown).into() }
    }
}

/// An IRC channel name with its leading sign, equal to every other spelling of it.
#[derive(Clone)]
pub struct ChannelName {
    shown: Arc<str>,
    folded: Arc<str>,
}

impl ChannelName {
    /// Longest channel name taken, in bytes. Networks allow 30 to 200.
    pub const BYTES_MAX: usize = 200;

    /// Accepts a name that starts with one of `# & + !` and holds no space, comma, BEL, colon at the
    /// second place, or control character (RFC 2812 section 1.3); `None` for anything else.
    pub fn new(text: &str, map: CaseMap) -> Option<Self> {
        let bad = |c: char| c.is_control() || matches!(c, ' ' | ',' | '\u{2028}' | '\u{2029}');
        let signed = text.starts_with(['#', '&', '+', '!']) && text.len() > 1;
        if !signed || text.len() > Self::BYTES_MAX || text.chars().any(bad) {
            return None;
        }
        Some(Self { shown: text.into(), folded: map.fold(text).into() })
    }

    /// As it was first written.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// The one spelling that stands for all of them.
    pub fn folded(&self) -> &str {
        &self.folded
    }

    /// The same name under another case mapping.
    pub fn refolded(&self, map: CaseMap) -> Self {
        Self { shown: Arc::clone(&self.shown), folded: map.fold(&self.shown).into() }
    }
}

macro_rules! folded_identity {
    ($name:ident) => {
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.folded == other.folded
            }
        }
        impl Eq for $name {}
        impl std::hash::Hash for $name {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.folded.hash(state);
            }
        }
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.folded.cmp(&other.folded)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.shown)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.shown)
            }
        }
    };
}

folded_identity!(Nick);
folded_identity!(ChannelName);

/// Where something is said on IRC: in a channel, or to one person.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    Channel(ChannelName),
    Nick(Nick),
}

impl Target {
    /// As it goes on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Channel(channel) => channel.as_str(),
            Self::Nick(nick) => nick.as_str(),
        }
    }

    /// The channel, if it is one.
    pub fn channel(&self) -> Option<&ChannelName> {
        match self {
            Self::Channel(channel) => Some(channel),
            Self::Nick(_) => None,
        }
    }

    /// The person, if it is one.
    pub fn nick(&self) -> Option<&Nick> {
        match self {
            Self::Channel(_) => None,
            Self::Nick(nick) => Some(nick),
        }
    }

    /// True for this channel.
    pub fn is_channel(&self, name: &ChannelName) -> bool {
        self.channel() == Some(name)
    }

    /// The same name under another case mapping.
    pub fn refolded(&self, map: CaseMap) -> Self {
        match self {
            Self::Channel(channel) => Self::Channel(channel.refolded(map)),
            Self::Nick(nick) => Self::Nick(nick.refolded(map)),
        }
    }

    /// The one spelling that stands for all of them.
    pub fn folded(&self) -> &str {
        match self {
            Self::Channel(channel) => channel.folded(),
            Self::Nick(nick) => nick.folded(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<ChannelName> for Target {
    fn from(channel: ChannelName) -> Self {
        Self::Channel(channel)
    }
}

/// A puppet's number inside one network, given in the order of first need. Not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PuppetId(pub u32);

/// One connection of one puppet. The generation grows with each attempt, so that news of a connection
/// that was given up is never taken for news of its successor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId {
    pub puppet: PuppetId,
    pub generation: u32,
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.puppet.0, self.generation)
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The place of an accepted Matrix event in the inbox; grows, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InboxSeq(pub i64);

/// The place of a relayed line in the outbox; grows over restarts, never reused: the transaction id that
/// the homeserver sees is made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelaySeq(pub i64);

/// How often the nomination of a channel has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub u32);

/// A moment in milliseconds since the Unix epoch, from the shell's one clock, which never runs backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// This moment, `ms` milliseconds later; stays at the end of time instead of wrapping.
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; 0 when `earlier` is not earlier.
    pub fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
