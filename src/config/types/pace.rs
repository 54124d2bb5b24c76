//! How fast connections talk, are made, and are given up.

use serde::{Deserialize, Serialize};

/// How fast one connection may talk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Flood {
    /// Lines at once.
    pub burst: u32,
    /// Then one line each so many milliseconds; 0 is no limit.
    pub line_ms: u64,
    /// So many bytes of a line make it count as one line more; 0: its length does not matter.
    pub line_bytes: usize,
}

impl Default for Flood {
    fn default() -> Self {
        Self { burst: 5, line_ms: 2_000, line_bytes: 0 }
    }
}

/// How fast connections are made, over all puppets of the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Connect {
    pub burst: u32,
    /// After the burst, one connect each so many milliseconds; 0 is no limit.
    pub interval_ms: u64,
    pub retry_ms_min: u64,
    pub retry_ms_max: u64,
    pub register_ms_max: u64,
    pub connections_max: usize,
    /// Dials and registrations under way at most.
    pub at_once: usize,
    /// The first wait where the network throttles or is full.
    pub long_ms: u64,
    /// Outages longer than this are told, once in each room.
    pub outage_ms: u64,
    /// Silence after which a puppet sleeps; 0 is never.
    pub idle_s_max: u64,
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            burst: 5,
            interval_ms: 2_000,
            retry_ms_min: 5_000,
            retry_ms_max: 600_000,
            register_ms_max: 60_000,
            connections_max: 500,
            at_once: 10,
            long_ms: 120_000,
            outage_ms: 300_000,
            idle_s_max: 0,
        }
    }
}

/// When a silent connection is asked for a sign of life, and when it is given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ping {
    pub after_ms: u64,
    pub timeout_ms: u64,
}

impl Default for Ping {
    fn default() -> Self {
        Self { after_ms: 60_000, timeout_ms: 60_000 }
    }
}
