//! What of messages still waits in a session to be given to the socket: it can be changed, or taken out.

use std::sync::Arc;

use super::Session;
use super::send::{ChatLine, SendQueue};
use crate::bridge::relay::to_irc::Saying;
use crate::ids::{ChannelName, InboxSeq};

impl Session {
    /// Withdraws what waits to be said in a channel that is left.
    pub fn withdraw(&mut self, channel: &ChannelName) -> Vec<ChatLine> {
        self.queue.withdraw(|saying| saying.target.is_channel(channel))
    }

    /// Withdraws all that waits to be said.
    pub fn withdraw_all(&mut self) -> Vec<ChatLine> {
        self.queue.withdraw(|_| true)
    }

    /// The messages that wait, or whose rest does, for which `is_meant` holds; and whether nothing of them was said.
    pub fn unsaid(&self, is_meant: impl Fn(&Saying) -> bool) -> Vec<(Arc<Saying>, bool)> {
        self.queue.unsaid(is_meant)
    }

    /// Says a message that waits whole in other lines, at its place. `false` where it does not, or there is no room.
    pub fn requeue(&mut self, seq: InboxSeq, lines: Vec<ChatLine>) -> bool {
        self.queue.requeue(seq, lines)
    }
}

impl SendQueue {
    fn unsaid(&self, is_meant: impl Fn(&Saying) -> bool) -> Vec<(Arc<Saying>, bool)> {
        let mut found: Vec<(Arc<Saying>, bool)> = Vec::new();
        for part in self.waiting_parts().filter(|part| is_meant(&part.saying)) {
            if found.last().is_none_or(|(last, _)| last.seq != part.saying.seq) {
                found.push((Arc::clone(&part.saying), part.index == 0));
            }
        }
        found
    }
}
