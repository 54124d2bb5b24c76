//! Going into channels, and out of them.

use std::collections::BTreeMap;

use super::Session;
use super::places::{Joining, Standing};
use super::question::Asker;
use crate::bridge::effect::Effect;
use crate::ids::{ChannelName, Time};
use crate::secret::Secret;
use crate::text::line::Line;

/// The keys of channels that have one.
pub type Keys = BTreeMap<ChannelName, Secret>;

impl Session {
    /// Asks to join, with as few lines as fit, and a line of its own for each channel with a key; a channel that is being
    /// left is joined after that.
    pub fn join(&mut self, now: Time, channels: &[ChannelName], keys: &Keys, out: &mut Vec<Effect>) {
        let (locked, open): (Vec<ChannelName>, Vec<ChannelName>) =
            channels.iter().cloned().partition(|channel| keys.contains_key(channel));
        for Joining { line, channels } in self.places.ask(now, &open) {
            self.ask(line, Asker::Join(channels), out);
        }
        for channel in locked {
            for Joining { channels, .. } in self.places.ask(now, std::slice::from_ref(&channel)) {
                let key = keys.get(&channel).map_or("", Secret::expose);
                let line = Line::new("JOIN", &[channel.as_str(), key]).build();
                self.ask(line, Asker::Join(channels), out);
            }
        }
    }

    /// Leaves, after what was said there before; `why` is one line, empty for none.
    pub fn part(&mut self, now: Time, channel: &ChannelName, why: &str, out: &mut Vec<Effect>) {
        if self.places.leave(now, channel) {
            self.queue.push_part(channel, why);
            self.pump(out);
        }
    }

    /// We are out of a channel, or will not come in. Returns what we were to it.
    pub fn out_of(&mut self, channel: &ChannelName) -> Option<Standing> {
        self.places.out(channel)
    }
}
