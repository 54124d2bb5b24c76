//! The machine.

pub mod channel;
pub mod effect;
pub mod input;
pub mod policy;
