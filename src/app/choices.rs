//! What people chose for themselves on a network, kept over restarts: keys of channels, a realname, whom they ignore, mentions.
//!
//! What cannot be kept counts until the next start, and whoever runs the bridge reads so in the log.

use super::network_task::NetworkTask;
use crate::bridge::effect::KeyWish;
use crate::bridge::policy::Shown;
use crate::ids::{ChannelName, UserId};

impl NetworkTask {
    /// Keeps or forgets the key of a channel.
    pub(super) async fn key(&self, user: &UserId, channel: &ChannelName, wish: KeyWish) {
        let (store, vault) = (&self.shell.store, &self.shell.vault);
        let done = match wish {
            KeyWish::Keep(key) => store.channel_key_save(vault, &self.id, user, channel, &key).await,
            KeyWish::Forget => store.channel_key_remove(&self.id, user, channel).await,
        };
        self.note(
            done,
            "what became of a channel's key could not be kept; after a restart it may be asked for",
        );
    }

    /// Keeps or forgets a realname.
    pub(super) async fn keep_realname(&self, user: &UserId, realname: Option<String>) {
        let saved = self.shell.store.realname_save(&self.id, user, realname).await;
        self.note(saved, "a realname could not be remembered; it lasts until the next start");
    }

    /// Keeps whom somebody ignores.
    pub(super) async fn keep_ignores(&self, user: &UserId, masks: Vec<String>) {
        let saved = self.shell.store.ignores_save(&self.id, user, masks).await;
        self.note(saved, "whom somebody ignores could not be remembered; it lasts until the next start");
    }

    /// Keeps whether somebody's nick becomes a mention of them.
    pub(super) async fn keep_mentions(&self, user: &UserId, shown: Shown) {
        let store = &self.shell.store;
        let saved = match shown {
            Shown::On => store.mentions_on(&self.id, user).await,
            Shown::Off => store.mentions_off(&self.id, user).await,
        };
        self.note(
            saved,
            "whether somebody is mentioned could not be remembered; it lasts until the next start",
        );
    }
}
