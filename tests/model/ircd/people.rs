//! People on the model IRC server without a connection: they come, speak, take other nicks and go as they are told.

use std::collections::BTreeSet;

use super::Line;
use super::state::{State, Urgency, fold};

impl State {
    pub fn say(&mut self, line: &Line<'_>) {
        let Line { channel, nick, text } = line;
        let wire = format!(":{nick}!{nick}@virtual PRIVMSG {channel} :{text}");
        self.tell_channel(&fold(channel), None, &wire, Urgency::Now);
    }

    pub fn join_virtual(&mut self, name: &str, nick: &str) {
        let folded = fold(name);
        let channel = self.channels.entry(folded.clone()).or_default();
        if channel.name.is_empty() {
            channel.name = name.to_owned();
        }
        if channel.virtuals.insert(nick.to_owned()) {
            self.tell_channel(&folded, None, &format!(":{nick}!{nick}@virtual JOIN {name}"), Urgency::Lazy);
        }
    }

    pub fn quit_virtual(&mut self, nick: &str, reason: &str) {
        let wire = format!(":{nick}!{nick}@virtual QUIT :{reason}");
        self.tell_those_who_see(nick, &wire);
        for channel in self.channels.values_mut() {
            channel.virtuals.remove(nick);
        }
    }

    pub fn rename_virtual(&mut self, nick: &str, new: &str) {
        self.tell_those_who_see(nick, &format!(":{nick}!{nick}@virtual NICK :{new}"));
        for channel in self.channels.values_mut() {
            if channel.virtuals.remove(nick) {
                channel.virtuals.insert(new.to_owned());
            }
        }
    }

    fn tell_those_who_see(&mut self, nick: &str, line: &str) {
        let shared = self.channels.values().filter(|channel| channel.virtuals.contains(nick));
        let members: BTreeSet<usize> = shared.flat_map(|channel| channel.members.iter().copied()).collect();
        for id in members {
            self.tell(id, line, Urgency::Lazy);
        }
    }
}
