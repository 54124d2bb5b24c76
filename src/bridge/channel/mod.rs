//! One IRC channel.

pub mod ledger;
pub mod roster;
