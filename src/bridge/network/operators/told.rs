//! What the rooms of a channel hear of what its operators have asked for.

use super::super::super::operators::answer::counted;
use super::super::super::operators::rules::{Asked, Rule};
use super::super::{Life, Network};
use crate::ids::{ChannelName, Nick, RoomId, UserId};

impl Network {
    /// Tells all rooms of a channel.
    pub(super) fn tell_rooms(&mut self, channel: &ChannelName, text: &str) {
        for room in self.rooms_of(channel) {
            self.tell(&room, text.to_owned(), None);
        }
    }

    /// Tells somebody who joined a room that its channel's operators have sent the bridge away.
    pub(in super::super) fn tell_dismissed(&mut self, room: &RoomId, channel: &ChannelName, user: &UserId) {
        let Some(rule) = self.operators.rules.dismissed(channel) else { return };
        // Who was there before this run was told then.
        if self.life == Life::Loading {
            return;
        }
        let reason = bracketed(rule);
        let text = format!(
            "{user}: the operators of {channel} have dismissed the bridge{reason}. Nothing is carried between {channel} \
             and this room until they call it back."
        );
        self.tell(room, text, None);
    }

    /// That a rule was set.
    pub(super) fn rule_told(&self, rule: &Rule) -> String {
        let (channel, who, reason) = (&rule.channel, self.operator(&rule.by, &rule.channel), bracketed(rule));
        match &rule.asked {
            Asked::Mute(user) => format!(
                "{who} has muted {user}{reason}. What they say here does not reach {channel} any more; ask the operators \
                 about it."
            ),
            Asked::Block(server) => format!(
                "{who} has muted all people of {server}{reason}. What they say here does not reach {channel} any more; \
                 ask the operators about it."
            ),
            Asked::Limit(lines) => format!(
                "{who} has set a limit: at most {} a minute reach {channel} from all of its rooms. What is more waits for \
                 its turn, two minutes at most, and then does not arrive.",
                counted(*lines as usize, "line", "lines")
            ),
            Asked::Dismissed => format!(
                "{who} has dismissed the bridge{reason}. Nothing is carried between {channel} and this room any more, until \
                 an operator calls the bridge back. You can ask them on IRC, in a client of your own."
            ),
            Asked::Room(wish) => self.wish_told(wish, rule),
            Asked::Allowed => format!("{who} lets people of Matrix into {channel}."),
            Asked::Requested => {
                format!("I have asked the operators of {channel} whether the bridge may come.")
            }
        }
    }

    /// That a rule was taken away.
    pub(super) fn lifting_told(&self, rule: &Rule, by: &Nick) -> String {
        let (channel, who) = (&rule.channel, self.operator(by.as_str(), &rule.channel));
        match &rule.asked {
            Asked::Mute(user) => format!("{who} lets {user} speak in {channel} again."),
            Asked::Block(server) => format!("{who} lets people of {server} speak in {channel} again."),
            Asked::Limit(_) => format!("{who} has taken away the limit for {channel}."),
            Asked::Dismissed => {
                format!("{who} has called the bridge back: {channel} and this room hear each other again.")
            }
            Asked::Room(_) => format!("{who} does not let this room have {channel} any more."),
            Asked::Allowed | Asked::Requested => format!("{who} lets no new rooms be made for {channel}."),
        }
    }

    pub(super) fn operator(&self, nick: &str, channel: &str) -> String {
        format!("{nick}, an operator of {channel} on {},", self.policy.network_name)
    }
}

pub(super) fn bracketed(rule: &Rule) -> String {
    rule.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default()
}
