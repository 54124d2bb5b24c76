//! Real faults: a partner, the bridge itself or its disk fails while people talk both ways.
//!
//! Each story prints what became of every message (`docs/RELIABILITY.md` has the figures) and then holds it against
//! the promise: delivered in order, or told, and never twice where that can be had. `scripts/faults` runs them alone,
//! long or short. They have worlds of their own, because they break them.

mod backlog;
mod bridge_killed;
mod disk;
mod duty_moves;
mod homeserver;
mod irc_server;
mod schedules;
