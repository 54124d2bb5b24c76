//! How fast connections talk, are made, and are given up. Durations are in milliseconds.

/// How fast one connection may talk: `burst` lines at once, then one each `line_ms`; 0 is no limit. Each `line_bytes` of a
/// line make it count as one line more; 0: its length does not matter.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    pub burst: u32,
    pub line_ms: u64,
    pub line_bytes: usize,
}

/// How fast connections are made, over all puppets, and how a puppet comes back.
#[derive(Clone, Copy, Debug)]
pub struct ConnectPace {
    pub burst: u32,
    /// One connect each so many milliseconds after the burst; 0 is no limit.
    pub interval_ms: u64,
    /// The wait before the first retry; doubles up to `retry_ms_max`, with jitter.
    pub retry_ms_min: u64,
    pub retry_ms_max: u64,
    /// How long registration may take before the connection is given up.
    pub register_ms_max: u64,
    /// Dials and registrations under way at most, over all puppets.
    pub at_once: usize,
    /// The wait before the next try where the server throttles, is full or does not serve us; doubles up to
    /// `retry_ms_max`, or is that long if that is shorter.
    pub long_ms: u64,
    /// From how long an outage on people are told, once in each room.
    pub outage_ms: u64,
    /// After how long without a word a puppet's connection is closed until its person says something; 0 is
    /// never.
    pub idle_ms_max: u64,
}

impl Default for ConnectPace {
    fn default() -> Self {
        Self {
            burst: 5,
            interval_ms: 2_000,
            retry_ms_min: 5_000,
            retry_ms_max: 600_000,
            register_ms_max: 60_000,
            at_once: 10,
            long_ms: 120_000,
            outage_ms: 300_000,
            idle_ms_max: 0,
        }
    }
}

/// When a silent connection is asked for a sign of life, and when it is given up.
#[derive(Clone, Copy, Debug)]
pub struct PingPace {
    pub after_ms: u64,
    pub timeout_ms: u64,
}
