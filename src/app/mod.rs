//! app adapter.

pub mod settings;
