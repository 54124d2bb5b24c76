//! config adapter.
