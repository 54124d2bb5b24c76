//! The machine: decides everything, does nothing.
//!
//! One [`Network`](network::Network) value for each IRC network. What happened enters as an
//! [`Input`](input::Input), with the time; what is to be done comes out as [`Effect`](effect::Effect)s, with the
//! time of the next wake-up. No async, socket, database, clock or chance lives here, so every promise can be
//! tried with a seed. A fault is an input like any other.
//!
//! ```text
//!   Input ─▶ network ─┬▶ session   one connection: registration, flood queue, wire to facts (Seen)
//!   (routes only)     ├▶ channel   one channel: who speaks for it, what was relayed, who is in it
//!                     ├▶ portal    which room is which channel, and who is in the room
//!                     └▶ relay     a message in the other side's form                        ─▶ Effect
//! ```

pub mod admin;
pub mod channel;
pub mod clock;
pub mod command;
pub mod effect;
pub mod ending;
pub mod errand;
pub mod homeservers;
pub mod input;
pub mod kept;
pub mod look_up;
pub mod media;
pub mod network;
pub mod news;
pub mod nicks;
pub mod operators;
pub mod pacer;
pub mod policy;
pub mod policy_lists;
pub mod portal;
pub mod puppet;
pub mod queries;
pub mod relay;
pub mod session;
pub mod step;
pub mod succession;
pub mod tell;
pub mod timer;
