//! A room's doorplate: what it says of its channel to clients (MSC2346), and whether it stands in the directory.
//!
//! It is found by comparing, never sent because something happened: whoever hangs it up reads what is there before.

use crate::ids::NetworkId;

/// What a room is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plate {
    pub network: NetworkId,
    /// What people call the network.
    pub network_name: String,
    /// As it was written first.
    pub channel: String,
    pub standing: Standing,
    /// `None` where the directory is none of our business: in rooms of people's own.
    pub listing: Option<Listing>,
}

/// Whether a room belongs to the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A room that we made.
    Portal,
    /// A room of people's own.
    Plumbed,
    /// It did, and does no longer: the plate is to be blank.
    Over,
    /// Whatever its state says is to stay.
    Unsaid,
}

/// Whether a room is to be found in the network's list of the homeserver's directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    Public,
    Private,
}
