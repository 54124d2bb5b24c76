//! Who may bridge rooms of their own.

/// The rules for rooms that people bridge themselves. Who may ask is a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plumbing {
    pub by: PlumbingBy,
    /// Rooms that people have bridged, or want to, at most.
    pub rooms_max: usize,
}

/// Whose word it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlumbingBy {
    /// That of an operator of the channel, on IRC.
    Consent,
    /// No room is bridged by people.
    Nobody,
}

impl Default for Plumbing {
    fn default() -> Self {
        Self { by: PlumbingBy::Consent, rooms_max: 200 }
    }
}
