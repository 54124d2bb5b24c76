//! Who of a channel is shown as a member of its rooms.

use serde::{Deserialize, Serialize};

/// Whose ghosts are in rooms, and for how long after they left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Members {
    pub to_matrix: ToMatrix,
    /// Channels for which it is `full`, whatever `to_matrix` says.
    pub full_channels: Vec<String>,
    /// Channels for which it is `lazy`.
    pub lazy_channels: Vec<String>,
    /// Channels for which it is `off`.
    pub off_channels: Vec<String>,
    /// How long a ghost stays after its person left.
    pub grace_s: u64,
    /// How long it stays after a netsplit.
    pub split_grace_s: u64,
    /// Ghosts in one room that need not have spoken, at most.
    pub ghosts_max: usize,
}

/// Whose ghosts are in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToMatrix {
    /// All who are in the channel.
    Full,
    /// Who has spoken, while they are in the channel.
    Lazy,
    /// Who has spoken, for ever.
    Off,
}

impl Default for Members {
    fn default() -> Self {
        Self {
            to_matrix: ToMatrix::Lazy,
            full_channels: Vec::new(),
            lazy_channels: Vec::new(),
            off_channels: Vec::new(),
            grace_s: 60,
            split_grace_s: 600,
            ghosts_max: 2_000,
        }
    }
}
