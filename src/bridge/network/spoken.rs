//! How this network says a message at this moment: who has which nick, where codes may be used, and what is published
//! of it.

use std::sync::Arc;

use super::super::effect::Effect;
use super::super::media::{Page, Publication, Published};
use super::super::relay::to_irc::{Manner, Saying, Spoken, speak};
use super::Network;
use crate::ids::{ChannelName, ConnId, Nick, Target, Time, UserId};
use crate::text::irc_codes::Codes;
use crate::text::link::LinkPart;
use crate::text::modes::{Change, Sign, Takes};

/// How long a channel is taken to want no codes after it took some away, or refused them. It does not tell when that is over.
const PLAIN_MS: u64 = 3_600_000;
/// The mode of channels that take no codes: where it exists, this is its letter nearly everywhere. What else takes them away
/// is seen when it does.
const NO_CODES: char = 'c';

impl Network {
    /// A message in the form of this network.
    pub(super) fn spoken(&self, saying: &Saying) -> Spoken {
        let link = self.file_link(saying);
        let nick = |user: &UserId| self.nick_of(user);
        let manner = Manner { codes: self.codes_in(&saying.target), nick: &nick, link: link.as_deref() };
        speak(saying, &manner)
    }

    /// The nick of somebody on Matrix: their puppet's, or the one that a ghost stands for; of another network's with that.
    pub(super) fn nick_of(&self, user: &UserId) -> Option<String> {
        if self.policy.ghosts.owns(user, &self.policy.server_name) {
            let nick: Option<Nick> = self.policy.ghosts.parse(user.localpart(), self.map());
            return nick.map(|nick| nick.as_str().to_owned());
        }
        if let Some(name) = self.neighbour_name(user) {
            return Some(name);
        }
        let id = self.puppet_ids.get(user)?;
        let session = self.puppets[id.0 as usize].session.as_ref()?;
        session.nick().map(|nick| nick.as_str().to_owned())
    }

    /// Where the file of a message can be had, if links are made.
    pub(super) fn file_link(&self, saying: &Saying) -> Option<String> {
        saying.media.as_ref()?;
        Some(self.policy.links.as_ref()?.url(saying.seq, LinkPart::Media))
    }

    /// Where the text of a message could be had, should it be too long.
    pub(super) fn text_link(&self, saying: &Saying) -> Option<String> {
        Some(self.policy.links.as_ref()?.url(saying.seq, LinkPart::Text))
    }

    /// Lets the link to a message's file lead there.
    pub(super) fn publish_file(&mut self, saying: &Saying) {
        if let Some(media) = saying.media.clone().filter(|_| self.policy.links.is_some()) {
            self.publish(saying, LinkPart::Media, Published::Media(*media));
        }
    }

    /// Lets the link to a message's text lead there.
    pub(super) fn publish_text(&mut self, saying: &Saying, spoken: Spoken) {
        let author = self.nick_of(&saying.sender).unwrap_or_else(|| saying.sender.localpart().to_owned());
        let title = match &saying.target {
            Target::Channel(channel) => format!("{author} in {channel}"),
            Target::Nick(nick) => format!("{author} to {nick}"),
        };
        let page = Page { title, author, spans: spoken.spans };
        self.publish(saying, LinkPart::Text, Published::Text(page));
    }

    fn publish(&mut self, saying: &Saying, part: LinkPart, what: Published) {
        // Who takes back a message takes back what corrected it.
        let event = saying.corrects.as_ref().map_or(&saying.event_id, |corrects| &corrects.of).clone();
        let (seq, room) = (saying.seq, saying.room.clone());
        self.out.push(Effect::Publish(Publication { seq, part, room, event, what }));
    }

    /// Whether codes may be used in a channel, or to a person.
    pub(super) fn codes_in(&self, target: &Target) -> Codes {
        let formatting = &self.policy.forms.formatting;
        let map = self.map();
        let is_plain = formatting.plain_channels.iter().any(|name| map.eq(name, target.as_str()))
            || self.plain_until.get(target).is_some_and(|until| *until > self.now);
        if is_plain { Codes::Off } else { formatting.codes }
    }

    /// A channel or person takes no codes, as was just seen.
    pub(super) fn learn_plain(&mut self, target: &Target) {
        let (now, until) = (self.now, self.now.plus_ms(PLAIN_MS));
        self.plain_until.retain(|_, until: &mut Time| *until > now);
        self.plain_until.entry(target.clone()).or_insert(until);
    }

    /// Somebody changed modes of a channel or of people in it: one of them says that it takes no codes.
    pub(super) fn modes_changed(&mut self, conn: ConnId, channel: &ChannelName, changes: &[Change]) {
        for change in changes.iter().filter(|change| change.mode == NO_CODES && change.takes == Takes::Never)
        {
            let target = Target::from(channel.clone());
            match change.sign {
                Sign::Plus => self.plain_until.insert(target, Time(u64::MAX)),
                Sign::Minus => self.plain_until.remove(&target),
            };
        }
        let (prefixes, map) = (self.isupport.prefixes.clone(), self.map());
        self.in_channel(channel, |channel, _, _, _| {
            channel.modes_changed(conn, changes, &prefixes, map);
            Vec::new()
        });
        self.bans_changed(conn, channel, changes);
    }

    /// The message as one that may be changed while it waits.
    pub(super) fn changed(saying: &Arc<Saying>, change: impl FnOnce(&mut Saying)) -> Arc<Saying> {
        let mut changed = Saying::clone(saying);
        change(&mut changed);
        Arc::new(changed)
    }
}
