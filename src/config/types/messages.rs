//! What becomes of a network's messages, and how senders learn of those that did not arrive.

use serde::{Deserialize, Serialize};

/// What becomes of long and of late messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Messages {
    /// Older ones are not sent any more; their senders are told.
    pub age_s_max: u64,
    /// IRC lines one Matrix message may become.
    pub lines_max: usize,
}

impl Default for Messages {
    fn default() -> Self {
        Self { age_s_max: 900, lines_max: 8 }
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

impl Default for Failures {
    fn default() -> Self {
        Self { reaction: "❌".into(), notice: true, status_event: false }
    }
}
