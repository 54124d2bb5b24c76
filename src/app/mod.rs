//! app adapter.

pub mod run;
pub mod settings;
