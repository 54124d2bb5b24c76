//! The bridge's own nick, by which operators of channels stay in charge.

use serde::{Deserialize, Serialize};

/// The bot on IRC.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operators {
    /// Whether it is there, and takes commands.
    pub enabled: bool,
    pub nick: String,
    /// Who runs the bridge, for people on IRC.
    pub contact: String,
    /// Whether consent is asked for in the channel itself.
    pub ask_in_channel: bool,
}

impl Default for Operators {
    fn default() -> Self {
        Self { enabled: true, nick: "bunraku".into(), contact: String::new(), ask_in_channel: false }
    }
}
