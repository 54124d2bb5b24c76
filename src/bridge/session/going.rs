//! Going into channels, and out of them.

use super::Session;
use super::places::{Joining, Standing};
use super::question::Asker;
use crate::bridge::effect::Effect;
use crate::ids::{ChannelName, Time};

impl Session {
    /// Asks to join, with as few lines as fit; a channel that is being left is joined after that.
    pub fn join(&mut self, now: Time, channels: &[ChannelName], out: &mut Vec<Effect>) {
        for Joining { line, channels } in self.places.ask(now, channels) {
            self.ask(line, Asker::Join(channels), out);
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
