//! The Matrix side: what the homeserver tells us, and what we ask of it.
//!
//! [`appservice`] takes the homeserver's transactions and questions, [`decode`] turns an event's text into
//! what the machine understands, [`client`] asks things of the homeserver, [`outbox`] says what the
//! machine relays, in order per room and exactly once, [`steps`] sets what else a room is to be, and [`typing`] shows
//! who is about to say something. Nothing here knows IRC, the store or the
//! configuration; what must be remembered over restarts goes out through small traits.

pub mod appservice;
pub mod client;
pub mod content;
pub mod decode;
pub mod outbox;
mod plates;
pub mod room_state;
mod space;
pub mod steps;
pub mod typing;

pub use crate::secret::Secret;
