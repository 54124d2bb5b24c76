//! irc adapter.
