//! One IRC channel.
