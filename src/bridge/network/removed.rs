//! Who leaves a channel on IRC, by their own will or not, and what becomes of those in its rooms who may not be in it.

use super::super::channel::roster::Going;
use super::super::effect::Refusal;
use super::super::input::{PortalOrigin, Whose};
use super::super::policy::JoinFailure;
use super::super::session::places::{Return, Standing};
use super::Network;
use crate::ids::{ChannelName, ConnId, Nick, PuppetId, RoomId};
use crate::text::numerics::{self, Trouble};

impl Network {
    pub(super) fn left(&mut self, conn: ConnId, channel: &ChannelName, who: &Nick) {
        if self.is_me(conn, who) {
            return self.left_ourselves(conn, channel);
        }
        self.types_no_longer(channel, who);
        self.somebody_left(conn, channel, who, Going::Parted);
    }

    fn somebody_left(&mut self, conn: ConnId, channel: &ChannelName, who: &Nick, going: Going) {
        self.in_channel(channel, |channel, _, _, _| {
            channel.left(conn, who, going);
            Vec::new()
        });
    }

    /// Our own PART came back, or services made us leave.
    pub(super) fn left_ourselves(&mut self, conn: ConnId, channel: &ChannelName) {
        let id = conn.puppet;
        let was = self.with_session(id, |session, _| session.out_of(channel)).flatten();
        match was {
            Some(Standing::Leaving(_, Return::Wanted)) => self.join_channels(id, vec![channel.clone()]),
            Some(Standing::Leaving(_, Return::No)) | None => {}
            Some(Standing::In | Standing::Asked(_)) => {
                self.out_of_channel(conn, channel);
                let words = format!("made to leave {channel} on {}", self.policy.network_name);
                self.put_out(id, channel, &words);
            }
        }
    }

    pub(super) fn kicked(&mut self, conn: ConnId, channel: &ChannelName, who: &Nick, by: &str, reason: &str) {
        if !self.is_me(conn, who) {
            let going = Going::Kicked { by: by.to_owned(), reason: reason.to_owned() };
            return self.somebody_left(conn, channel, who, going);
        }
        self.with_session(conn.puppet, |session, _| session.out_of(channel));
        self.out_of_channel(conn, channel);
        let words = match reason {
            "" => format!("kicked from {channel} on {} by {by}", self.policy.network_name),
            reason => format!("kicked from {channel} on {} by {by}: {reason}", self.policy.network_name),
        };
        self.put_out(conn.puppet, channel, &words);
    }

    /// A channel will not have a puppet: its person leaves the rooms we made for it, so that nobody reads
    /// unseen, and is told in rooms that are not ours.
    pub(super) fn put_out(&mut self, id: PuppetId, channel: &ChannelName, words: &str) {
        if self.is_bot(id) {
            return self.bot_is_out(channel, words);
        }
        let user = self.puppet(id).user.clone();
        let place = self.channel_told(channel);
        for (room, origin) in self.lost_place(id, channel, words) {
            match origin.whose() {
                Whose::Bridge => self.remove(&room, &user, sentence(words)),
                Whose::People => {
                    let text = format!("{user} is not in {place}: {words}. Their next message asks again.");
                    self.told_in(&room, &user);
                    self.tell(&room, text, None);
                }
            }
        }
    }

    /// A channel does not let a puppet in. Its person is told why; what follows is the gate's, and the settings'.
    pub(super) fn not_let_in(&mut self, id: PuppetId, channel: &ChannelName, refusal: &Refusal) {
        let words = self.explained(refusal);
        if self.is_bot(id) {
            return self.bot_is_out(channel, &words);
        }
        let user = self.puppet(id).user.clone();
        self.entry_refused(id, channel, refusal);
        let is_passing = is_full(refusal);
        let waits = is_passing || self.policy.presence.join_failure == JoinFailure::Wait;
        let place = self.channel_told(channel);
        for (room, origin) in self.lost_place(id, channel, &words) {
            self.gate_refused(id, &room, &words, is_passing);
            let is_known = self.is_told_in(&room, &user);
            // Who is removed is told so by then, and knows; elsewhere every refusal is an answer to somebody's message.
            if origin.whose() == Whose::People || !(is_known || self.may_be_removed(&room, &user)) {
                let next =
                    if waits { "It is asked again by and by" } else { "Their next message asks again" };
                self.told_in(&room, &user);
                self.tell(&room, format!("{user} is not in {place}: {words}. {next}."), None);
            }
        }
    }

    /// A puppet has no place in a channel any more: what it was to say there fails. Gives the rooms its person is in.
    pub(super) fn lost_place(
        &mut self,
        id: PuppetId,
        channel: &ChannelName,
        words: &str,
    ) -> Vec<(RoomId, PortalOrigin)> {
        let now = self.now;
        let user = self.puppet(id).user.clone();
        self.puppet(id).refuse(channel.clone(), now);
        self.fail_waiting(id, channel, words);
        let withdrawn = self.with_session(id, |session, _| session.withdraw(channel)).unwrap_or_default();
        self.fail_lines(withdrawn, words);
        // Before anybody is removed: who is gone reads it no more.
        self.tell_failures();
        self.power_lost(channel, &user);
        let theirs = self.portals.of_channel(channel).filter(|portal| self.portals.has(&portal.room, &user));
        theirs.map(|portal| (portal.room.clone(), portal.origin)).collect()
    }
}

/// True for a refusal that ends when somebody leaves.
fn is_full(refusal: &Refusal) -> bool {
    numerics::trouble(&refusal.code, &refusal.params) == Some(Trouble::ChannelFull)
}

/// Words as a sentence of their own.
pub(super) fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}
