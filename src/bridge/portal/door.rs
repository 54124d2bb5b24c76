//! Whether people who are in no room of a channel can find the one that we made for it.
//!
//! A hidden channel is known to those who are in it. So its room has no alias of ours while the channel is hidden, and is in no
//! directory: whoever asks for it is answered as for a channel that is not there.

use crate::ids::RoomAlias;
use crate::text::casemap::CaseMap;
use crate::text::template::AliasTemplate;

/// How a room's door is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomDoor {
    pub door: Door,
    /// The alias by which the room is found when it may be.
    pub alias: RoomAlias,
    /// How aliases of ours look.
    pub aliases: AliasTemplate,
}

/// See [`RoomDoor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Open,
    Shut,
}

impl RoomDoor {
    /// True for an alias that is ours to take away: not for one that people gave to the room.
    pub fn is_ours(&self, alias: &RoomAlias, server_name: &str) -> bool {
        let localpart = alias.localpart(server_name);
        localpart.is_some_and(|local| self.aliases.parse(local, CaseMap::default()).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::NetworkId;

    #[test]
    fn aliases_of_people_are_theirs() {
        let network = NetworkId::new("net").unwrap();
        let alias = |text: &str| RoomAlias::new(text).unwrap();
        let aliases = AliasTemplate::new("#irc_$NETWORK_$CHANNEL", &network).unwrap();
        let door = RoomDoor { door: Door::Shut, alias: alias("#irc_net_#c:hs"), aliases };
        assert!(door.is_ours(&alias("#irc_net_#c:hs"), "hs") && door.is_ours(&alias("#irc_net_#C:hs"), "hs"));
        for other in ["#friends:hs", "#irc_other_#c:hs", "#irc_net_#c:elsewhere"] {
            assert!(!door.is_ours(&alias(other), "hs"), "{other}");
        }
    }
}
