//! Who is in one channel.
