//! Who may read in a room without being seen in its channel.

use serde::{Deserialize, Serialize};

/// The gate of a network's rooms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Presence {
    pub gate: Gate,
    /// How long a puppet may take to be in its channel.
    pub grace_s: u64,
    pub join_failure: JoinFailure,
}

/// Who may read in rooms that the bridge made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gate {
    /// Those who are seen in the channel; others are told, and removed after the grace.
    Strict,
    /// Everybody; rooms are told of those who are not seen.
    Lenient,
    Off,
}

/// What follows when a channel does not let a puppet in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JoinFailure {
    Tell,
    Wait,
    Remove,
}

impl Default for Presence {
    fn default() -> Self {
        Self { gate: Gate::Strict, grace_s: 300, join_failure: JoinFailure::Remove }
    }
}
