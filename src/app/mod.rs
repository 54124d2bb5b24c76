//! app adapter.
