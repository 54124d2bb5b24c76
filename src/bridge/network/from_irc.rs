//! What comes from IRC: one line of one connection, and what it shows.

use super::super::channel::Heard;
use super::super::effect::Effect;
use super::super::input::{BodyKind, PortalOrigin};
use super::super::session::Standing;
use super::super::session::seen::{Ban, Person, Seen};
use super::Network;
use crate::ids::{ChannelName, ConnId, Nick, PuppetId, RoomId};
use crate::text::line::Line;

impl Network {
    pub(super) fn conn_line(&mut self, conn: ConnId, line: &Line) {
        let Some(puppet) = self.puppets.get_mut(conn.puppet.0 as usize) else { return };
        let id = puppet.id;
        let Some(session) = puppet.session_of(conn) else { return };
        let casemap = self.isupport.casemap;
        let seen = session.line(self.now, line, &mut self.isupport, &mut self.out);
        self.arm_session(conn);
        self.note_nicks(id);
        if casemap != self.isupport.casemap {
            self.casemap_learned();
        }
        if let Some(seen) = seen {
            self.seen(conn, seen);
        }
    }

    fn seen(&mut self, conn: ConnId, seen: Seen) {
        match seen {
            Seen::Welcome { .. } | Seen::Supports | Seen::NickRefused { .. } => {}
            Seen::Ready => self.connection_ready(conn),
            Seen::Joined { channel, who } => self.joined(conn, channel, who),
            Seen::Left { channel, who } => self.left(conn, &channel, &who),
            Seen::Kicked { channel, who, by, reason } => self.kicked(conn, &channel, &who, &by, &reason),
            Seen::Quit { who } => self.quit(conn, &who),
            Seen::Renamed { who, to } => self.renamed(conn, &who, &to),
            Seen::Names { channel, nicks: list } => {
                self.in_channel(&channel, |channel, _, nicks, _| {
                    channel.names(conn, list, nicks);
                    Vec::new()
                });
            }
            Seen::NamesEnd { channel } => {
                self.in_channel(&channel, |channel, _, _, _| {
                    channel.names_end(conn);
                    Vec::new()
                });
            }
            Seen::Said { channel, from, kind, text } => {
                let line = Heard { from, kind, text };
                self.in_channel(&channel, |channel, now, _, heard| {
                    channel.said(now, conn, line, heard);
                    Vec::new()
                });
            }
            Seen::SaidPrivately { from, kind } => self.said_privately(conn, &from, kind),
            Seen::ChannelRefused { channel, numeric, words } => {
                self.channel_refused(conn, channel, numeric, &words);
            }
            Seen::Farewell { ban, words } => {
                self.puppet(conn.puppet).trouble(words);
                if ban == Ban::Banned {
                    self.give_up(conn, Some(self.policy.connect.retry_ms_max));
                }
            }
        }
    }

    fn is_me(&self, conn: ConnId, nick: &Nick) -> bool {
        let session = self.puppets[conn.puppet.0 as usize].session.as_ref();
        session.is_some_and(|session| session.is_me(nick))
    }

    /// A greeting is over: modes are set, and the wanted channels joined.
    fn connection_ready(&mut self, conn: ConnId) {
        let (id, now) = (conn.puppet, self.now);
        let modes = self.policy.user_modes.clone();
        if !modes.is_empty() {
            self.with_session(id, |session, out| session.user_modes(&modes, out));
        }
        self.puppet(id).ready(now);
        let wanted: Vec<ChannelName> = self.puppet(id).wanted.iter().cloned().collect();
        self.join_channels(id, wanted);
    }

    fn joined(&mut self, conn: ConnId, channel: ChannelName, who: Person) {
        if !self.is_me(conn, &who.nick) {
            return self.in_channel(&channel, |channel, _, nicks, _| {
                channel.joined(conn, who.nick, nicks);
                Vec::new()
            });
        }
        let id = conn.puppet;
        if !self.puppet(id).wanted.contains(&channel) {
            // A forward (470), a services join, or a room left meanwhile: nobody here wants to be there.
            self.channel(&channel).asks(conn);
            self.leave_channel(id, &channel);
            return;
        }
        self.puppet(id).forgive(&channel);
        self.channel(&channel);
        self.in_channel(&channel, |channel, now, _, heard| channel.entered(now, conn, who.nick, heard));
        self.flush_waiting(id, &channel);
    }

    fn left(&mut self, conn: ConnId, channel: &ChannelName, who: &Nick) {
        // Our own PART echo says nothing new; one we did not ask for (a services part) does. Where a JOIN is
        // asked meanwhile, the session has kept its place.
        if self.is_me(conn, who) {
            let session = self.puppets[conn.puppet.0 as usize].session.as_ref();
            if session.is_none_or(|session| session.standing(channel).is_none()) {
                self.out_of_channel(conn, channel);
            }
            return;
        }
        self.in_channel(channel, |channel, _, _, _| {
            channel.left(conn, who);
            Vec::new()
        });
    }

    fn kicked(&mut self, conn: ConnId, channel: &ChannelName, who: &Nick, by: &str, reason: &str) {
        if !self.is_me(conn, who) {
            return self.left(conn, channel, who);
        }
        self.out_of_channel(conn, channel);
        let words = match reason {
            "" => format!("kicked from {channel} on {} by {by}", self.policy.network_name),
            reason => format!("kicked from {channel} on {} by {by}: {reason}", self.policy.network_name),
        };
        self.put_out(conn.puppet, channel, &words);
    }

    /// A channel will not have a puppet: its person leaves the rooms we made for it, so that nobody reads
    /// unseen, and is told in rooms that are not ours.
    fn put_out(&mut self, id: PuppetId, channel: &ChannelName, words: &str) {
        let now = self.now;
        let user = self.puppet(id).user.clone();
        self.puppet(id).refuse(channel.clone(), now);
        self.fail_waiting(id, channel, words);
        let withdrawn = self.with_session(id, |session, _| session.withdraw(channel)).unwrap_or_default();
        self.fail_lines(withdrawn, words);
        let theirs = self.portals.of_channel(channel).filter(|portal| self.portals.has(&portal.room, &user));
        let rooms: Vec<(RoomId, PortalOrigin)> =
            theirs.map(|portal| (portal.room.clone(), portal.origin)).collect();
        for (room, origin) in rooms {
            match origin {
                PortalOrigin::Alias => {
                    let (user, reason) = (user.clone(), sentence(words));
                    self.out.push(Effect::Kick { room, user, reason });
                }
                PortalOrigin::Config => {
                    let text =
                        format!("{user} is not in the channel: {words}. Their next message asks again.");
                    self.tell(&room, text, None);
                }
            }
        }
    }

    /// A nick quit on this stream. If it was one of ours, the server has thrown that connection off, whatever
    /// its own socket still believes.
    fn quit(&mut self, conn: ConnId, who: &Nick) {
        let names: Vec<ChannelName> = self.channels_of(conn);
        let mut thrown_off = None;
        for name in names {
            self.in_channel(&name, |channel, _, _, _| {
                thrown_off = channel.quit(conn, who).or(thrown_off);
                Vec::new()
            });
        }
        if let Some(other) = thrown_off.filter(|other| *other != conn) {
            self.give_up(other, None);
        }
    }

    fn renamed(&mut self, conn: ConnId, who: &Nick, to: &Nick) {
        for name in self.channels_of(conn) {
            self.in_channel(&name, |channel, _, _, _| {
                channel.renamed(conn, who, to);
                Vec::new()
            });
        }
    }

    fn channels_of(&self, conn: ConnId) -> Vec<ChannelName> {
        let session = self.puppets[conn.puppet.0 as usize].session.as_ref();
        let names = session.into_iter().flat_map(|session| session.channels());
        names.filter(|name| self.channels.get(*name).is_some_and(|c| c.is_observer(conn))).cloned().collect()
    }

    fn channel_refused(&mut self, conn: ConnId, channel: ChannelName, numeric: u16, words: &str) {
        let id = conn.puppet;
        let standing = self.puppet(id).session.as_ref().and_then(|session| session.standing(&channel));
        match standing {
            Some(Standing::In) => self.line_refused(id, &channel, &format!("{words} ({numeric})")),
            // The session has taken a refused JOIN back already.
            Some(Standing::Asked(_)) | None if self.puppet(id).wanted.contains(&channel) => {
                self.out_of_channel(conn, &channel);
                let network = &self.policy.network_name;
                let words = format!("{channel} on {network} does not let this user in: {words} ({numeric})");
                self.put_out(id, &channel, &words);
            }
            Some(Standing::Asked(_)) | None => {}
        }
    }

    /// Private messages are not carried yet: whoever writes one is told so, by the puppet they wrote to.
    fn said_privately(&mut self, conn: ConnId, from: &Person, kind: BodyKind) {
        let is_person = from.user.is_some() && from.host.is_some();
        if !is_person || !Self::is_answerable(kind) || self.nicks.holder(&from.nick).is_some() {
            return;
        }
        let user = self.puppet(conn.puppet).user.clone();
        if !self.puppet(conn.puppet).may_explain(&from.nick) {
            return;
        }
        let text =
            format!("{user} reads this network through a bridge that does not carry private messages.");
        self.with_session(conn.puppet, |session, out| session.notice(&from.nick, &text, out));
    }

    /// The network's case mapping is another than we thought.
    fn casemap_learned(&mut self) {
        let map = self.map();
        self.out.push(Effect::SaveCaseMap { name: map.name() });
        self.portals.refold(map);
        for puppet in &mut self.puppets {
            puppet.wanted = self.portals.wanted_by(&puppet.user);
        }
    }
}

/// Words as a sentence of their own.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
