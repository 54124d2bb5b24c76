//! Who is in one channel, as its nominee sees it.

use std::collections::BTreeMap;

use crate::ids::Nick;

#[derive(Debug, Default)]
pub struct Roster {
    members: BTreeMap<Nick, String>,
    listing: Option<BTreeMap<Nick, String>>,
}

impl Roster {
    pub fn join(&mut self, nick: Nick) {
        self.members.entry(nick).or_default();
    }
    pub fn part(&mut self, nick: &Nick) {
        self.members.remove(nick);
    }
    pub fn quit(&mut self, nick: &Nick) {
        self.members.remove(nick);
    }
    pub fn rename(&mut self, from: &Nick, to: Nick) {
        if let Some(modes) = self.members.remove(from) {
            self.members.insert(to, modes);
        }
    }
    pub fn names_add(&mut self, list: Vec<(String, Nick)>) {
        self.listing.get_or_insert_default().extend(list.into_iter().map(|(modes, nick)| (nick, modes)));
    }
    pub fn names_end(&mut self) {
        if let Some(listing) = self.listing.take() {
            self.members = listing;
        }
    }
    pub fn clear(&mut self) {
        self.members.clear();
        self.listing = None;
    }
}
