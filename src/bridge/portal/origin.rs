//! How a pairing of a room with a channel came to be, and whose the room is.

/// How a portal came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortalOrigin {
    /// We made the room when somebody asked for its alias.
    Alias,
    /// A human-owned room that the configuration maps (plumbed).
    Config,
    /// A human-owned room that its people have bridged, with the consent of the channel's operators (plumbed).
    Plumbed,
}

/// Whose a room is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The bridge made it.
    Bridge,
    /// People had it before.
    People,
}

impl PortalOrigin {
    pub const ALL: [Self; 3] = [Self::Alias, Self::Config, Self::Plumbed];

    /// Whose the room is: nearly everything that depends on an origin depends on that.
    pub fn whose(self) -> Whose {
        match self {
            Self::Alias => Whose::Bridge,
            Self::Config | Self::Plumbed => Whose::People,
        }
    }
}
