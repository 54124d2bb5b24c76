//! Puppets' ways into channels and out of them, and which of them is read.

use super::super::effect::Chat;
use super::super::session::places::Standing;
use super::{Life, Network};
use crate::ids::{ChannelName, ConnId, PuppetId};

impl Network {
    /// A connection is no longer in a channel, or will not come in.
    pub(super) fn out_of_channel(&mut self, conn: ConnId, name: &ChannelName) {
        self.in_channel(name, |channel, now, _, heard| channel.gone(now, conn, heard));
        self.note_observing(conn);
        self.gate_place(conn.puppet, name);
    }

    /// Joins channels, where the connection may talk already; else it will when it may.
    pub(super) fn join_channels(&mut self, id: PuppetId, mut names: Vec<ChannelName>) {
        names.retain(|name| !self.is_dismissed(name));
        let Some(session) = &self.puppets[id.0 as usize].session else { return };
        let is_stopping = matches!(self.life, Life::Finishing | Life::Stopping);
        if !session.is_ready() || names.is_empty() || is_stopping {
            return;
        }
        let (conn, server, tags) = (session.conn, session.server().cloned(), session.tags());
        let is_leaving = |name: &ChannelName| matches!(session.standing(name), Some(Standing::Leaving(..)));
        let fresh: Vec<ChannelName> = names.iter().filter(|name| !is_leaving(name)).cloned().collect();
        for name in &fresh {
            self.channel(name).asks(conn, server.as_ref(), tags);
        }
        let (now, keys) = (self.now, self.puppets[id.0 as usize].asked.keys().clone());
        self.with_session(id, |session, out| session.join(now, &names, &keys, out));
        self.note_observing(conn);
    }

    /// A connection's chat is read while it observes any channel.
    pub(super) fn note_observing(&mut self, conn: ConnId) {
        if self.puppet_of(conn).is_none() {
            return;
        }
        let chat = if self.channels_of(conn).is_empty() { Chat::Skip } else { Chat::Read };
        self.with_session(conn.puppet, |session, out| session.observe(chat, out));
    }

    pub(super) fn leave_channel(&mut self, id: PuppetId, name: &ChannelName) {
        self.leave_channel_saying(id, name, "");
    }

    /// Leaves a channel: the duty moves first, then PART goes behind what is still to be said there. `why` is one line.
    pub(super) fn leave_channel_saying(&mut self, id: PuppetId, name: &ChannelName, why: &str) {
        let Some(session) = &self.puppets[id.0 as usize].session else { return };
        let conn = session.conn;
        // Else it is not there, or on the way out: then nobody wants it back.
        let is_there = matches!(session.standing(name), Some(Standing::Asked(_) | Standing::In));
        if is_there {
            self.in_channel(name, |channel, now, _, heard| {
                channel.leaving(now, conn, heard);
                Vec::new()
            });
        }
        let now = self.now;
        self.with_session(id, |session, out| session.part(now, name, why, out));
        if is_there {
            self.out_of_channel(conn, name);
        }
    }
}
