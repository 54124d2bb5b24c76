//! What senders are told of messages that did not arrive, or not whole.

use super::super::effect::{Outcome, Refusal};
use super::super::relay::to_irc::Saying;
use super::Network;

impl Network {
    /// A message is on the other side.
    pub(super) fn delivered(&mut self, saying: &Saying) {
        self.settle(saying.seq, Outcome::Delivered);
    }

    /// A message did not arrive: settled, and its sender told why.
    pub(super) fn failed(&mut self, saying: &Saying, why: &str) {
        self.settle(saying.seq, Outcome::Failed(why.to_owned()));
        let text = format!("This message was not sent to {}: {why}.", saying.channel);
        self.tell(&saying.room, text, Some(saying.event_id.clone()));
    }

    pub(super) fn expired(&mut self, saying: &Saying) {
        self.settle(saying.seq, Outcome::Expired);
        let minutes = self.policy.message_age_ms_max.div_ceil(60_000);
        let id = self.puppet_ids.get(&saying.sender).copied();
        let trouble = id.and_then(|id| self.puppet(id).last_trouble().map(|words| format!(" ({words})")));
        let text = format!(
            "This message was not sent to {}: it is older than {minutes} minutes and could not be sent before{}. \
             Say it again if it still matters.",
            saying.channel,
            trouble.unwrap_or_default()
        );
        self.tell(&saying.room, text, Some(saying.event_id.clone()));
    }

    /// The server did not take what we said.
    pub(super) fn line_refused(&mut self, saying: &Saying, refusal: &Refusal) {
        let text = format!("This message did not get through. {}.", self.explained(refusal));
        self.tell(&saying.room, text, Some(saying.event_id.clone()));
    }

    /// The server did not take some of what was said together with this.
    pub(super) fn line_in_doubt(&mut self, saying: &Saying, refusal: &Refusal) {
        let text = format!(
            "This message may not have got through: only a part of what you said in quick succession did, and the \
             server does not say which. {}.",
            self.explained(refusal)
        );
        self.tell(&saying.room, text, Some(saying.event_id.clone()));
    }

    /// Nobody knows whether a message arrived: it is settled as failed, and its sender told.
    pub(super) fn perhaps_lost(&mut self, saying: &Saying, why: &str) {
        self.settle(saying.seq, Outcome::Failed(format!("it may be lost: {why}")));
        let text = format!("This message may not have reached {}: {why}.", saying.channel);
        self.tell(&saying.room, text, Some(saying.event_id.clone()));
    }

    pub(super) fn tell_of_cut(&mut self, saying: &Saying, lines_cut: usize) {
        if lines_cut > 0 {
            let last = if lines_cut == 1 { "line was".to_owned() } else { format!("{lines_cut} lines were") };
            let text = format!("This message is too long for IRC: its last {last} left out there.");
            self.tell(&saying.room, text, Some(saying.event_id.clone()));
        }
    }
}
