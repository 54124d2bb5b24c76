//! What follows of a change in a channel: what it gave free is relayed, and its rooms are brought nearer to it.

use super::super::channel::roster::News;
use super::super::channel::{Channel, Duty, Heard};
use super::super::effect::Effect;
use super::super::nicks::Nicks;
use super::super::timer::Timer;
use super::Network;
use crate::ids::{ChannelName, Time};

impl Network {
    /// Runs one change in a channel, then carries out what it asks and relays what it gave free.
    pub(super) fn in_channel(
        &mut self,
        name: &ChannelName,
        change: impl FnOnce(&mut Channel, Time, &Nicks, &mut Vec<Heard>) -> Vec<Duty>,
    ) {
        let (now, mut heard) = (self.now, Vec::new());
        let Some(channel) = self.channels.get_mut(name) else { return };
        let (before, profile, was_read) = (channel.lease(), channel.profile(), channel.is_read());
        let duties = change(channel, now, &self.nicks, &mut heard);
        let after = channel.lease();
        if let Some(conn) = after.owner.filter(|_| after.epoch != before.epoch) {
            let why = after.why_moved(&before);
            self.out.push(Effect::Duty { channel: name.clone(), conn, epoch: after.epoch, why });
        }
        let has_moved = after.owner.is_some() && after.epoch != before.epoch;
        let is_new = (channel.profile().topic != profile.topic, channel.profile().ranks != profile.ranks);
        let (news, is_read) = (channel.take_news(), channel.is_read());
        let has_new_modes = channel.profile().modes != profile.modes;
        self.timers.arm_if(Timer::Ledger(name.clone()), channel.poll_timeout());
        let is_over = channel.is_idle();
        if is_over {
            self.counts.ledger(channel.counters());
            self.channels.remove(name);
        }
        for line in &heard {
            self.relay(name, line);
        }
        for duty in duties {
            self.carry_out(name, duty);
        }
        if is_new.0 {
            self.topic_to_rooms(name);
        }
        if is_new.0 || has_new_modes {
            self.door_follows(name);
        }
        if is_new.0 || has_new_modes || is_over {
            self.plate_changed(name);
            self.space_changed(name);
        }
        if is_new.1 {
            self.ranks_changed(name);
        }
        if has_new_modes {
            self.modes_to_rooms(name);
        }
        if has_moved {
            self.modes_wanted(name);
        }
        if !news.is_empty() {
            self.roster_changed(name, &news);
        }
        if was_read != is_read {
            self.reading_changed(name);
        }
    }

    /// Who is in a channel changed: after the change, and after what was said before it.
    fn roster_changed(&mut self, name: &ChannelName, news: &News) {
        self.people_changed(name, news);
        if news.whole {
            self.door_follows(name);
            self.space_changed(name);
        }
    }

    fn carry_out(&mut self, channel: &ChannelName, duty: Duty) {
        let (Duty::Observe(conn) | Duty::TakeOver(conn)) = duty;
        self.note_observing(conn);
        if self.puppet_of(conn).is_some() {
            self.with_session(conn.puppet, |session, out| session.names(channel, out));
        }
        if self.channels.get(channel).is_some_and(|channel| channel.owner() == Some(conn)) {
            self.ask_topic(channel);
        }
    }

    pub(super) fn ledger_due(&mut self, name: &ChannelName) {
        self.in_channel(name, |channel, now, _, heard| channel.handle_timeout(now, heard));
    }
}
