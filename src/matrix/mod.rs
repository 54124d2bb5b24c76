//! matrix adapter.
