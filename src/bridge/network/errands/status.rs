//! How somebody is on the network: looked up, nothing asked.

use super::super::super::errand::{Connection, InChannel, Place, ROWS_MAX, Status};
use super::super::super::puppet::Puppet;
use super::super::super::session::Session;
use super::super::super::session::places::Standing;
use super::super::Network;
use crate::ids::{ChannelName, PuppetId, RoomId, UserId};

impl Network {
    pub(super) fn status_of(&self, user: &UserId) -> Status {
        let id = self.puppet_ids.get(user).copied();
        let puppet = id.map(|id| &self.puppets[id.0 as usize]);
        let session =
            puppet.and_then(|puppet| puppet.session.as_ref()).filter(|session| !session.is_closing());
        Status {
            connection: id.map_or(Connection::None, |id| self.connection_of(id)),
            nick: session.and_then(Session::nick).map(|nick| nick.as_str().to_owned()),
            account: session.and_then(Session::account).map(str::to_owned),
            modes: session.map(Session::modes_of_own).unwrap_or_default(),
            server: session.and_then(Session::server).map(|name| name.to_string()),
            lag_ms: session.and_then(Session::lag_ms),
            queued_lines: session.map_or(0, Session::queued_lines),
            waiting_messages: puppet.map_or(0, Puppet::waiting_len),
            channels: id.map(|id| self.places_of(id)).unwrap_or_default(),
            queries: self.queries.of_user(user).count(),
        }
    }

    pub(super) fn connection_of(&self, id: PuppetId) -> Connection {
        let puppet = &self.puppets[id.0 as usize];
        if let Some(why) = self.held_words(id) {
            return Connection::Held(why);
        }
        if puppet.asleep.is_some() {
            return Connection::Asleep;
        }
        match &puppet.session {
            Some(session) if session.is_ready() => Connection::Ready { since: puppet.ready_since() },
            Some(session) if !session.is_closing() => Connection::Connecting,
            None if puppet.may_dial() && puppet.not_before > self.now => {
                let why = puppet.last_trouble().map(str::to_owned);
                Connection::Waiting { until: puppet.not_before, why }
            }
            None if puppet.may_dial() => Connection::Connecting,
            // What comes after it is known when it is closed.
            Some(_) if puppet.is_needed() || !puppet.wanted.is_empty() => Connection::Connecting,
            Some(_) | None => Connection::None,
        }
    }

    fn places_of(&self, id: PuppetId) -> Vec<Place> {
        let puppet = &self.puppets[id.0 as usize];
        puppet.wanted.iter().take(ROWS_MAX).map(|channel| self.place_in(puppet, channel)).collect()
    }

    fn place_in(&self, puppet: &Puppet, channel: &ChannelName) -> Place {
        let standing = match self.standing(puppet.id, channel) {
            Some(Standing::In) => InChannel::In,
            Some(Standing::Asked(_)) => InChannel::Joining,
            Some(Standing::Leaving(..)) => InChannel::Leaving,
            None => InChannel::Out,
        };
        let theirs =
            self.portals.of_channel(channel).filter(|portal| self.portals.has(&portal.room, &puppet.user));
        let rooms: Vec<RoomId> = theirs.map(|portal| portal.room.clone()).collect();
        let words = |room| Some(self.gate.get(room, &puppet.user)?.refusal.as_ref()?.words.clone());
        let refused = rooms.iter().find_map(words).filter(|_| standing == InChannel::Out);
        Place {
            channel: channel.as_str().to_owned(),
            standing,
            refused,
            rooms,
            carrier: self.carrier(channel),
        }
    }

    /// The nick of the connection that speaks for a channel.
    pub(super) fn carrier(&self, channel: &ChannelName) -> Option<String> {
        self.nick_on(self.channels.get(channel)?.owner()?)
    }
}
