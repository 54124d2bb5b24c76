//! What somebody said and the network has not got is taken back; channels that would not have them are asked again.

use super::super::super::effect::Refusal;
use super::super::super::errand::Report;
use super::super::Network;
use super::NOT_CONNECTED;
use crate::ids::{ChannelName, UserId};

impl Network {
    /// Says nothing more of what somebody said; how many messages that were.
    pub(super) fn stop(&mut self, user: &UserId) -> usize {
        let Some(id) = self.puppet_ids.get(user).copied() else { return 0 };
        let unsaid = self.puppets[id.0 as usize].unsaid(|_| true);
        for (saying, is_whole) in &unsaid {
            self.puppet(id).drop_waiting(saying.seq);
            self.with_session(id, |session, _| session.drop_message(saying.seq));
            let why = if *is_whole { "you stopped it" } else { "you stopped it in the midst of it" };
            self.failed(saying, why);
        }
        unsaid.len()
    }

    /// Asks the channels again that would not have somebody.
    pub(super) fn retry(&mut self, user: &UserId) -> Result<Report, Refusal> {
        let Some(id) = self.puppet_ids.get(user).copied() else { return Ok(Report::Retried(Vec::new())) };
        if let Some(why) = self.held_words(id) {
            return Err(Refusal::ours(NOT_CONNECTED, &why));
        }
        let refused = self.puppets[id.0 as usize].refused();
        let out: Vec<ChannelName> =
            refused.filter(|name| self.standing(id, name).is_none()).cloned().collect();
        if !out.is_empty() && !self.has_ready(id) {
            return Err(self.not_connected(id));
        }
        out.iter().for_each(|channel| self.puppet(id).forgive(channel));
        let names = out.iter().map(|channel| channel.as_str().to_owned()).collect();
        self.join_channels(id, out);
        Ok(Report::Retried(names))
    }
}
