//! What becomes of a network's messages, how they look there, and how senders learn of those that did not arrive.

use serde::{Deserialize, Serialize};

/// What becomes of long and of late messages, and of what people do with them afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Messages {
    /// Older ones are not sent any more; their senders are told.
    pub age_s_max: u64,
    /// IRC lines one Matrix message may become.
    pub lines_max: usize,
    /// Whether edits are shown, as corrections.
    pub edits: bool,
    /// Messages older than this are corrected on Matrix only.
    pub edit_age_s_max: u64,
    /// Whether a reply to what was said a while ago quotes it.
    pub reply_quotes: bool,
    /// Whether reactions are shown in words, where the network has no other way.
    pub reactions: bool,
    /// Whether it is said that something was taken back, where the network has no other way.
    pub redactions: bool,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            age_s_max: 900,
            lines_max: 8,
            edits: true,
            edit_age_s_max: 3_600,
            reply_quotes: true,
            reactions: false,
            redactions: false,
        }
    }
}

/// How formatted messages look on IRC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Formatting {
    /// Whether mIRC formatting codes are used.
    pub codes: bool,
    /// Channels that get none.
    pub plain_channels: Vec<String>,
}

impl Default for Formatting {
    fn default() -> Self {
        Self { codes: true, plain_channels: Vec::new() }
    }
}

/// How senders learn of messages that did not arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Failures {
    /// What the bridge reacts with; empty: it does not.
    pub reaction: String,
    /// Whether the reason is told in the room.
    pub notice: bool,
    /// Whether `com.beeper.message_send_status` is sent, for messages that arrived as well.
    pub status_event: bool,
}

/// Whom lines from IRC may call by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mentions {
    /// People one line names at most; 0: none.
    pub max: usize,
    /// Shorter words name nobody.
    pub letters_min: usize,
    /// Matrix users whom no line names.
    pub never: Vec<String>,
}

impl Default for Mentions {
    fn default() -> Self {
        Self { max: 10, letters_min: 3, never: Vec::new() }
    }
}

/// Whether the two sides see each other typing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Typing {
    /// Whether channels are told that people of Matrix type.
    pub to_irc: bool,
    /// Whether rooms are shown that people of IRC type.
    pub to_matrix: bool,
}

impl Default for Typing {
    fn default() -> Self {
        Self { to_irc: false, to_matrix: true }
    }
}

/// Private chats between a person of Matrix and one on IRC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queries {
    /// Whether people on IRC may begin them.
    pub to_matrix: bool,
    /// Whether people of Matrix may.
    pub from_matrix: bool,
    /// Whether people of other homeservers may have them.
    pub federate: bool,
    /// Rooms that people on IRC may have made in a minute, for one puppet.
    pub rooms_per_minute: u32,
    /// Ghosts that one person may invite in a minute.
    pub contacts_per_minute: u32,
}

impl Default for Queries {
    fn default() -> Self {
        Self {
            to_matrix: true,
            from_matrix: true,
            federate: true,
            rooms_per_minute: 5,
            contacts_per_minute: 5,
        }
    }
}

impl Default for Failures {
    fn default() -> Self {
        Self { reaction: "❌".into(), notice: true, status_event: false }
    }
}
