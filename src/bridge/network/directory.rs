//! What people look up: how a channel's room is joined, which channel an alias leads to, and who somebody is.
//!
//! Answers follow from names as far as they can, so a channel that is hidden and one that nobody has ever heard of
//! look alike, as they do to those who ask for its alias. Where portals are not made on demand only rooms that
//! exist are found, and of a hidden channel there is none.

use super::super::channel::Channel;
use super::super::effect::{Effect, Found, Refusal};
use super::super::input::{AskId, LookUp};
use super::super::policy::DynamicPortals;
use super::Network;
use crate::ids::{ChannelName, Nick, RoomAlias};

/// ERR_LINKCHANNEL: a channel sends on whoever wants to come in.
const FORWARDED: &str = "470";

impl Network {
    /// Answers at once.
    pub(super) fn look_up(&mut self, ask: AskId, what: LookUp) {
        let found = self.find(what);
        self.out.push(Effect::Found { ask, found: found.into_iter().collect() });
    }

    fn find(&self, what: LookUp) -> Option<Found> {
        let policy = &self.policy;
        match what {
            LookUp::Channel(name) => {
                let name = ChannelName::new(&name, self.map())?;
                let alias = self.alias_of(&name)?;
                Some(Found::Place { alias, channel: name.as_str().to_owned() })
            }
            LookUp::Alias(alias) => {
                let name = policy.aliases.parse(alias.localpart(&policy.server_name)?, self.map())?;
                self.alias_of(&name)?;
                Some(Found::Place { alias, channel: name.as_str().to_owned() })
            }
            LookUp::Nick(nick) => {
                let nick = Nick::new(&nick, self.map())?;
                let user = policy.ghosts.user(&nick, &policy.server_name)?;
                Some(Found::Person { user, nick: nick.as_str().to_owned() })
            }
            LookUp::Ghost(user) => {
                let nick = self.nick_of_ghost(&user)?;
                Some(Found::Person { user, nick: nick.as_str().to_owned() })
            }
        }
    }

    /// The alias by which anybody may join a channel's room.
    pub(super) fn alias_of(&self, name: &ChannelName) -> Option<RoomAlias> {
        let alias = self.policy.aliases.alias(name, &self.policy.server_name)?;
        match self.policy.dynamic_portals {
            DynamicPortals::On => self.bridgeable(&alias).map(|_| alias),
            DynamicPortals::Off => {
                let is_shut =
                    self.channels.get(name).is_none_or(Channel::is_shut) || !self.are_modes_settled(name);
                (self.portals.own_room(name).is_some() && !is_shut && !self.is_excluded(name))
                    .then_some(alias)
            }
        }
    }

    /// Of a refusal by a channel that sends on: how to go where it leads.
    pub(super) fn onward(&self, refusal: &Refusal) -> Option<String> {
        let name = refusal.params.get(2).filter(|_| refusal.code == FORWARDED)?;
        let name =
            ChannelName::new(name, self.map()).filter(|name| self.isupport.is_channel(name.as_str()))?;
        Some(format!("To go to {name}, join {}", self.alias_of(&name)?))
    }
}
