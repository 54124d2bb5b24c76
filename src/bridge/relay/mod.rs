//! What is said, carried from one side's form to the other's.

pub mod memory;
pub mod reactions;
pub mod to_irc;
pub mod to_matrix;
