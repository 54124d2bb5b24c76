//! Rooms that this network shares with others of the bridge: who speaks here for the people of those, and by which name.
//!
//! What the ghost of another network says in such a room comes back from the homeserver as anybody's words, is accepted
//! and settled like them, and is said in our channel by the bot, each line behind who said it and where. What we say in the
//! room ourselves never comes back to us; so nothing goes in a circle, as long as rooms and channels are a tree, for
//! which the configuration is checked.

use std::collections::BTreeSet;

use super::super::input::BodyKind;
use super::super::relay::to_irc::Saying;
use super::{Life, Network};
use crate::ids::{ChannelName, PuppetId, Target, UserId};
use crate::text::casemap::CaseMap;

impl Network {
    /// True for a ghost of another network of this bridge.
    pub(super) fn is_neighbour(&self, user: &UserId) -> bool {
        self.policy.directory.neighbours.of(user, &self.policy.server_name).is_some()
    }

    /// Whether what somebody says in a room is for its channel: also of people of other networks there.
    pub(super) fn is_heard(&self, user: &UserId) -> bool {
        !self.is_ours(user) || self.is_neighbour(user)
    }

    /// The puppet that says here what somebody says: their own, or for people of another network the bot.
    pub(super) fn mouth_of(&self, user: &UserId) -> Option<PuppetId> {
        if self.is_neighbour(user) {
            return self.bot_puppet();
        }
        self.puppet_ids.get(user).copied()
    }

    /// Who a ghost of another network is, and where: `eve@oftc`. The same nick may be somebody else's here.
    pub(super) fn neighbour_name(&self, user: &UserId) -> Option<String> {
        let (network, ghosts) = self.policy.directory.neighbours.of(user, &self.policy.server_name)?;
        // Ids are spelled in the mapping of the other network; this one folds nothing that another leaves.
        let nick = ghosts.parse(user.localpart(), CaseMap::Ascii);
        let nick = nick.as_ref().map_or("?", |nick| nick.as_str());
        Some(format!("{nick}@{network}"))
    }

    /// Lets the bot say what is said by somebody of another network.
    pub(super) fn attribute(&self, saying: &mut Saying) {
        let Some(name) = self.neighbour_name(&saying.sender) else { return };
        let (kind, before) = match saying.kind {
            BodyKind::Text | BodyKind::Notice => (saying.kind, format!("<{name}> ")),
            // In the bot's name nobody else does anything.
            BodyKind::Emote => (BodyKind::Text, format!("* {name} ")),
        };
        (saying.kind, saying.attribution) = (kind, Some(before));
    }

    /// Where something is said, for people in a room: with the network, where the room may have several.
    pub(super) fn place_of(&self, target: &Target) -> String {
        match target {
            Target::Channel(channel) if self.is_shared(channel) => {
                format!("{channel} on {}", self.policy.network_name)
            }
            Target::Channel(_) | Target::Nick(_) => target.as_str().to_owned(),
        }
    }

    /// "The channel", for people in its rooms; by name and network, where the room may have several.
    pub(super) fn channel_told(&self, channel: &ChannelName) -> String {
        match self.is_shared(channel) {
            true => self.place_of(&channel.clone().into()),
            false => "the channel".to_owned(),
        }
    }

    /// True for a channel of which a room is another network's too.
    pub(super) fn is_shared(&self, channel: &ChannelName) -> bool {
        self.policy.directory.neighbours.share(channel, self.map())
    }

    /// Where the bot has to be to say what other networks say.
    pub(super) fn channels_of_bot(&self) -> BTreeSet<ChannelName> {
        let channels = self.portals.all().map(|portal| &portal.channel);
        channels.filter(|channel| self.is_shared(channel) && !self.is_dismissed(channel)).cloned().collect()
    }

    /// A channel will not have the bot: what it was to say there fails, and the rooms know that others will not be heard.
    pub(super) fn bot_is_out(&mut self, channel: &ChannelName, words: &str) {
        let Some(id) = self.bot_puppet() else { return };
        self.lost_place(id, channel, &format!("the bridge's bot is not in it ({words})"));
        let place = self.place_of(&channel.clone().into());
        for room in self.rooms_of(channel) {
            let text = format!(
                "The bridge's bot is not in {place}: {words}. What people of other networks say here is not said there. The \
                 next such message asks again."
            );
            self.tell(&room, text, None);
        }
    }

    /// Lets the bot go where it has to be.
    pub(super) fn bot_goes(&mut self) {
        let Some(id) = self.bot_puppet().filter(|_| self.life == Life::Running) else { return };
        for channel in self.channels_of_bot() {
            let is_new = self.puppet(id).wanted.insert(channel.clone());
            if is_new {
                self.puppet(id).forgive(&channel);
            }
            if is_new || self.standing(id, &channel).is_none() {
                self.join_channels(id, vec![channel]);
            }
        }
        self.ask_to_dial(id);
    }
}
