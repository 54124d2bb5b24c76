//! What a puppet's person has asked for: a nick of their own choice, keys of channels, errands that want a connection;
//! and which channels would not have them.

use std::collections::BTreeMap;

use super::Puppet;
use crate::bridge::policy::Shown;
use crate::ids::{ChannelName, Time};
use crate::secret::Secret;
use crate::text::casemap::CaseMap;

/// Keys of channels kept for one puppet, at most. One more: the first by name goes, and its channel asks for it again.
const KEYS_MAX: usize = 32;

/// What a person has asked for.
#[derive(Debug, Default)]
pub struct Asked {
    /// Errands that want a connection. While there are any, one is made.
    pub errands: usize,
    /// The nick they chose, whatever their display name is.
    pub nick: Option<String>,
    /// What stands as their name beside their Matrix id, whatever their display name is.
    pub realname: Option<String>,
    /// Masks of those whose private words do not reach them.
    pub ignored: Vec<String>,
    /// Whether their nick becomes a mention of them.
    pub mentions: Shown,
    keys: BTreeMap<ChannelName, Secret>,
    /// When they asked for another connection last.
    pub called: Option<Time>,
    /// When they asked to be off the network last.
    pub left: Option<Time>,
    /// Until when the network takes no connection of theirs, by its own word: asking sooner makes it longer.
    pub wall: Option<Time>,
    /// An admin wants idle connections closed, of who said nothing for so many milliseconds.
    pub reaped: Option<u64>,
}

impl Asked {
    /// Keeps the key of a channel; gives the channel whose key had to go for it.
    pub fn keep_key(&mut self, channel: ChannelName, key: Secret) -> Option<ChannelName> {
        let is_full = self.keys.len() >= KEYS_MAX && !self.keys.contains_key(&channel);
        let dropped = is_full.then(|| self.keys.pop_first()).flatten();
        self.keys.insert(channel, key);
        dropped.map(|(channel, _)| channel)
    }

    /// The key is wrong, or the channel was left; true where there was one.
    pub fn drop_key(&mut self, channel: &ChannelName) -> bool {
        self.keys.remove(channel).is_some()
    }

    /// The keys of channels that have one.
    pub fn keys(&self) -> &BTreeMap<ChannelName, Secret> {
        &self.keys
    }

    /// The network's case mapping is another.
    pub fn refold(&mut self, map: CaseMap) {
        let keys = std::mem::take(&mut self.keys).into_iter();
        self.keys = keys.map(|(channel, key)| (channel.refolded(map), key)).collect();
    }
}

impl Puppet {
    /// The channel would not have them.
    pub fn refuse(&mut self, channel: ChannelName, now: Time) {
        self.refused.insert(channel, now);
    }

    /// Forgets an old refusal: they are in, or have left the room.
    pub fn forgive(&mut self, channel: &ChannelName) {
        self.refused.remove(channel);
    }

    /// When the channel refused them, if it did.
    pub fn refused_at(&self, channel: &ChannelName) -> Option<Time> {
        self.refused.get(channel).copied()
    }

    /// The channels that refused them and where they still want to be.
    pub fn refused(&self) -> impl Iterator<Item = &ChannelName> {
        self.refused.keys().filter(|channel| self.wanted.contains(*channel))
    }

    /// Since when their connection may talk.
    pub fn ready_since(&self) -> Option<Time> {
        self.ready_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_so_many_keys_are_kept() {
        let channel = |n: usize| ChannelName::new(&format!("#c{n:03}"), CaseMap::Ascii).unwrap();
        let mut asked = Asked::default();
        (0..2 * KEYS_MAX).for_each(|n| drop(asked.keep_key(channel(n), Secret::new("canary-key"))));
        asked.keep_key(channel(2 * KEYS_MAX - 1), Secret::new("canary-new"));
        assert_eq!(asked.keys().len(), KEYS_MAX);
        assert_eq!(asked.keys()[&channel(2 * KEYS_MAX - 1)].expose(), "canary-new");
        assert!(!format!("{asked:?}").contains("canary"));
    }
}
