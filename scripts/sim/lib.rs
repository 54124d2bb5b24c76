//! The pure part of bunraku alone, for the simulator and its mutations.

#[path = "../../src/bridge/mod.rs"]
pub mod bridge;
#[path = "../../src/ids.rs"]
pub mod ids;
#[path = "../../src/lanes.rs"]
pub mod lanes;
#[path = "../../src/secret.rs"]
pub mod secret;
#[path = "../../src/text/mod.rs"]
pub mod text;
