//! Who may have an IRC user here, and how much the people of one homeserver may ask for together.

use std::collections::BTreeSet;

use super::permissions::Permissions;
use crate::text::whom::{folded, without_port};

/// Who may come in, and how fast.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    pub permissions: Permissions,
    pub limits: HomeserverLimits,
    /// What people on IRC see of somebody who is excluded while they are there: the words of their QUIT.
    pub quit_message: QuitMessage,
}

/// Words for people on IRC, one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuitMessage(pub String);

impl Default for QuitMessage {
    fn default() -> Self {
        Self("Excluded from the bridge".into())
    }
}

/// What the people of one homeserver may have together. 0 is no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HomeserverLimits {
    /// Puppets connected at once.
    pub connections_max: usize,
    /// Private chats that they begin.
    pub contacts_per_minute: u32,
    pub contacts_per_hour: u32,
    /// Channels that puppets which are connected enter because their people enter rooms.
    pub joins_per_minute: u32,
    pub own: Own,
    /// Homeservers without limits, in small letters.
    pub exempt: BTreeSet<String>,
}

/// Whether limits hold for people of the homeserver that the bridge serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    Limited,
    Unlimited,
}

impl Default for HomeserverLimits {
    fn default() -> Self {
        Self {
            connections_max: 200,
            contacts_per_minute: 20,
            contacts_per_hour: 200,
            joins_per_minute: 60,
            own: Own::Unlimited,
            exempt: BTreeSet::new(),
        }
    }
}

impl HomeserverLimits {
    /// The homeserver as it is counted, in small letters; `None` where no limit holds for it.
    pub fn counted(&self, server: &str, own: &str) -> Option<String> {
        let server = folded(server);
        let is_own = self.own == Own::Unlimited && server == folded(own);
        let is_exempt = self.exempt.contains(&server) || self.exempt.contains(without_port(&server));
        (!is_own && !is_exempt).then_some(server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_homeserver_and_those_named_have_no_limits() {
        let limits = HomeserverLimits { exempt: ["friend.org".into()].into(), ..HomeserverLimits::default() };
        let counted = |server| limits.counted(server, "hs");
        assert_eq!((counted("hs"), counted("Friend.org:8448")), (None, None));
        assert_eq!(counted("OTHER.org"), Some("other.org".into()));
        let strict = HomeserverLimits { own: Own::Limited, ..limits.clone() };
        assert_eq!(strict.counted("hs", "hs"), Some("hs".into()));
    }
}
