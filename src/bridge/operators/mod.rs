//! What the operators of a channel may ask of the bridge from IRC: the commands, what is kept of them, and the answers.
//!
//! To add a command: a row in [`command`], a variant of its `Deed`, what it says in [`answer`]; the compiler leads to
//! `src/bridge/network/operators.rs`, where it is done. docs/CHANNEL_OPERATORS.md is made from the rows. Nothing here
//! knows who is an operator, and nothing here does anything.

pub mod answer;
pub mod command;
pub mod pace;
pub mod rules;
pub mod settings;
