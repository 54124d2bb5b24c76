//! What a network's rooms are known by: bridge info, the directory, invitations, other bridges.

use super::Shown;
use crate::ids::UserId;
use crate::text::casemap::CaseMap;
use crate::text::mask;

/// What the network's rooms are known by, and who is let know of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Names besides the network's own by which people look it up, the one that is shown first: its servers.
    pub domains: Vec<String>,
    /// Whether rooms say in their state which channel they are.
    pub plates: Shown,
    /// Whether portal rooms are in the network's list of the homeserver's directory, as far as their channels are not
    /// hidden.
    pub publish: Shown,
    /// Whether people on IRC who invite a puppet to a channel have its person invited to the channel's room.
    pub invites: Shown,
    /// Invitations of one puppet in a minute.
    pub invites_per_minute: u32,
    /// Ghosts of other bridges, as patterns with `*` and `?`: what they say goes to IRC by those, if at all.
    pub others: Vec<String>,
}

impl Directory {
    /// True for a ghost of another bridge.
    pub fn is_others(&self, user: &UserId) -> bool {
        self.others.iter().any(|pattern| mask::matches(pattern, user.as_str(), CaseMap::Ascii))
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            plates: Shown::On,
            publish: Shown::Off,
            invites: Shown::On,
            invites_per_minute: 5,
            others: Vec::new(),
        }
    }
}
