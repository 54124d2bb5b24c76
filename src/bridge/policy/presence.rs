//! Who may read in a room without being seen in its channel, and for how long.

/// What becomes of people in a room whose puppet is not in the room's channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceRules {
    pub gate: GateRule,
    /// How long a puppet may take to be in the channel, counted from its turn to connect and while others of ours are there.
    pub grace_ms: u64,
    pub join_failure: JoinFailure,
}

impl Default for PresenceRules {
    fn default() -> Self {
        Self { gate: GateRule::Strict, grace_ms: 300_000, join_failure: JoinFailure::Remove }
    }
}

/// Who may read in rooms that the bridge made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GateRule {
    /// Those who are seen in the channel; others are told, and removed after the grace.
    Strict,
    /// Everybody; a room is told once of each who is not seen.
    Lenient,
    /// Everybody.
    Off,
}

/// What follows when a channel does not let a puppet in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoinFailure {
    /// Its person is told.
    Tell,
    /// They are told, and the channel is asked again, more and more seldom.
    Wait,
    /// They are told, and removed from rooms that the bridge made after the grace.
    Remove,
}
