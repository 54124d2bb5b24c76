//! Keys of channels that people gave: used when their puppets join, kept over restarts, and forgotten when the channel is left or
//! refuses them. They are never said anywhere else.

use super::super::effect::{Effect, KeyWish};
use super::Network;
use crate::ids::{ChannelName, PuppetId, UserId};
use crate::secret::Secret;
use crate::text::casemap::CaseMap;

impl Network {
    /// A key that somebody gave in an earlier run; `channel` is as it was folded then.
    pub(super) fn key_known(&mut self, user: &UserId, channel: &str, key: Secret) {
        if let Some(channel) = ChannelName::new(channel, self.map()) {
            let id = self.ensure_puppet(user, None);
            self.puppet(id).asked.keep_key(channel, key);
        }
    }

    /// Somebody gave the key of a channel.
    pub(super) fn keep_key(&mut self, id: PuppetId, channel: ChannelName, key: Secret) {
        let dropped = self.puppet(id).asked.keep_key(channel.clone(), key.clone());
        let user = self.puppet(id).user.clone();
        if let Some(dropped) = dropped {
            self.out.push(Effect::Key { user: user.clone(), channel: dropped, wish: KeyWish::Forget });
        }
        self.out.push(Effect::Key { user, channel, wish: KeyWish::Keep(key) });
    }

    /// The key of a channel is wrong, or the channel was left.
    pub(super) fn drop_key(&mut self, id: PuppetId, channel: &ChannelName) {
        let puppet = self.puppet(id);
        if puppet.asked.drop_key(channel) {
            let (user, channel) = (puppet.user.clone(), channel.clone());
            self.out.push(Effect::Key { user, channel, wish: KeyWish::Forget });
        }
    }

    /// A puppet is to leave a channel: nothing of it is remembered.
    pub(super) fn no_longer_wants(&mut self, id: PuppetId, channel: &ChannelName) {
        self.puppet(id).wanted.remove(channel);
        self.puppet(id).forgive(channel);
        self.drop_key(id, channel);
    }

    /// The network's case mapping is another: keys are kept by the folded names of their channels.
    pub(super) fn refold_keys(&mut self, map: CaseMap) {
        for id in 0..self.puppets.len() as u32 {
            let keys = self.puppet(PuppetId(id)).asked.keys().clone();
            let moved = |channel: &&ChannelName| channel.refolded(map).folded() != channel.folded();
            let moved: Vec<ChannelName> = keys.keys().filter(moved).cloned().collect();
            for channel in moved {
                let key = keys[&channel].clone();
                self.drop_key(PuppetId(id), &channel);
                self.keep_key(PuppetId(id), channel.refolded(map), key);
            }
        }
    }
}
