//! Whose coming and going the server tells (IRCv3 "monitor"): one list over all connections, and one watcher for a nick.
//!
//! In it are the nicks that puppets wish for, and those of open private chats. State only: what is to be sent comes back as
//! [`Order`]s. A connection watches as many nicks as its server lets it. Full: the chat that was quiet for longest gives
//! way to the newest one, a wish never does; of who is not watched it is known when somebody writes to them.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{Nick, PuppetId};
use crate::text::casemap::CaseMap;

/// Nicks that one connection watches, at most, where the server lets it watch more.
pub const NICKS_MAX: usize = 500;

/// Who wants to know of which nick, and which connection watches it.
#[derive(Debug, Default)]
pub struct Watches {
    wanted: BTreeMap<Nick, BTreeSet<(PuppetId, Why)>>,
    watchers: BTreeMap<Nick, PuppetId>,
    lists: BTreeMap<PuppetId, List>,
}

/// What one connection watches.
#[derive(Debug)]
struct List {
    /// The newest last.
    nicks: Vec<Nick>,
    max: usize,
}

/// Why a nick is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// There is a private chat with whoever has it.
    Chat,
    /// Somebody wishes for it.
    Wish,
}

/// What a connection is to tell its server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    Watch { by: PuppetId, nick: Nick },
    Leave { by: PuppetId, nick: Nick },
}

/// Whether something else may be left alone for a nick.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Push {
    Yes,
    No,
}

impl Watches {
    /// A connection can watch so many nicks now.
    pub fn opened(&mut self, by: PuppetId, max: usize) {
        self.lists.entry(by).or_insert_with(|| List { nicks: Vec::new(), max: max.min(NICKS_MAX) });
    }

    /// A puppet wants to know of a nick, or does again: that makes it the newest.
    pub fn want(&mut self, by: PuppetId, why: Why, nick: &Nick) -> Vec<Order> {
        self.wanted.entry(nick.clone()).or_default().insert((by, why));
        let mut orders = Vec::new();
        match self.watchers.get(nick).and_then(|watcher| self.lists.get_mut(watcher)) {
            Some(list) => list.touch(nick),
            None => self.place(nick, Some(by), Push::Yes, &mut orders),
        }
        orders
    }

    /// A puppet wants to know of a nick no longer.
    pub fn unwant(&mut self, by: PuppetId, why: Why, nick: &Nick) -> Vec<Order> {
        let mut orders = Vec::new();
        let Some(who) = self.wanted.get_mut(nick) else { return orders };
        who.remove(&(by, why));
        if who.is_empty() {
            self.wanted.remove(nick);
            if let Some(watcher) = self.leave(nick, &mut orders) {
                self.fill(watcher, &mut orders);
            }
        }
        orders
    }

    /// A connection is over: what it watched for others is watched by them.
    pub fn over(&mut self, by: PuppetId) -> Vec<Order> {
        let watched = self.lists.remove(&by).map(|list| list.nicks).unwrap_or_default();
        self.wanted.retain(|_, who| {
            who.retain(|(id, _)| *id != by);
            !who.is_empty()
        });
        let mut orders = Vec::new();
        for nick in watched {
            self.watchers.remove(&nick);
            self.place(&nick, None, Push::No, &mut orders);
        }
        orders
    }

    /// A server takes no more from this connection than what it has of it.
    pub fn refused(&mut self, by: PuppetId, nicks: &[Nick]) -> Vec<Order> {
        let mut orders = Vec::new();
        let Some(list) = self.lists.get_mut(&by) else { return orders };
        let before = list.nicks.len();
        list.nicks.retain(|nick| !nicks.contains(nick));
        if list.nicks.len() == before {
            return orders;
        }
        // Each refusal leaves less: a server that refuses everything is soon asked for nothing.
        list.max = list.nicks.len();
        for nick in nicks {
            if self.watchers.get(nick) == Some(&by) {
                self.watchers.remove(nick);
                self.place(nick, Some(by), Push::Yes, &mut orders);
            }
        }
        orders
    }

    /// True while some connection watches the nick.
    pub fn is_watched(&self, nick: &Nick) -> bool {
        self.watchers.contains_key(nick)
    }

    /// The network's case mapping is another.
    pub fn refold(&mut self, map: CaseMap) {
        for (nick, who) in std::mem::take(&mut self.wanted) {
            self.wanted.entry(nick.refolded(map)).or_default().extend(who);
        }
        let watchers = std::mem::take(&mut self.watchers).into_iter();
        self.watchers = watchers.map(|(nick, by)| (nick.refolded(map), by)).collect();
        for list in self.lists.values_mut() {
            list.nicks.iter_mut().for_each(|nick| *nick = nick.refolded(map));
        }
    }

    /// Finds a connection for a nick that nobody watches, of those whose puppets want to know: one that has a place, else
    /// that of `first`.
    fn place(&mut self, nick: &Nick, first: Option<PuppetId>, push: Push, orders: &mut Vec<Order>) {
        let who = self.wanted.get(nick).into_iter().flatten().map(|(id, _)| *id);
        let able: Vec<PuppetId> = first.into_iter().chain(who).collect();
        let has_place = |id: &&PuppetId| self.lists.get(id).is_some_and(|list| list.nicks.len() < list.max);
        let mut by = able.iter().find(has_place).copied();
        if by.is_none()
            && push == Push::Yes
            && let Some(first) = first
            && let Some(quiet) = self.quietest(first)
        {
            self.leave(&quiet, orders);
            by = Some(first);
        }
        let Some(by) = by else { return };
        if let Some(list) = self.lists.get_mut(&by) {
            list.nicks.push(nick.clone());
            self.watchers.insert(nick.clone(), by);
            orders.push(Order::Watch { by, nick: nick.clone() });
        }
    }

    /// What a connection watches for chats alone, and has watched for longest.
    fn quietest(&self, by: PuppetId) -> Option<Nick> {
        let is_wished = |nick: &Nick| {
            self.wanted.get(nick).is_some_and(|who| who.iter().any(|(_, why)| *why == Why::Wish))
        };
        self.lists.get(&by)?.nicks.iter().find(|nick| !is_wished(nick)).cloned()
    }

    fn leave(&mut self, nick: &Nick, orders: &mut Vec<Order>) -> Option<PuppetId> {
        let by = self.watchers.remove(nick)?;
        if let Some(list) = self.lists.get_mut(&by) {
            list.nicks.retain(|other| other != nick);
        }
        orders.push(Order::Leave { by, nick: nick.clone() });
        Some(by)
    }

    /// A connection has a place: something that nobody watches takes it.
    fn fill(&mut self, by: PuppetId, orders: &mut Vec<Order>) {
        let is_theirs = |who: &BTreeSet<(PuppetId, Why)>| who.iter().any(|(id, _)| *id == by);
        let waits =
            self.wanted.iter().find(|(nick, who)| is_theirs(who) && !self.watchers.contains_key(*nick));
        if let Some(nick) = waits.map(|(nick, _)| nick.clone()) {
            self.place(&nick, None, Push::No, orders);
        }
    }
}

impl List {
    fn touch(&mut self, nick: &Nick) {
        if let Some(at) = self.nicks.iter().position(|other| other == nick) {
            self.nicks[at..].rotate_left(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: PuppetId = PuppetId(0);
    const BOB: PuppetId = PuppetId(1);

    fn nick(text: &str) -> Nick {
        Nick::new(text, CaseMap::Ascii).unwrap()
    }

    fn told(orders: Vec<Order>) -> String {
        let one = |order| match order {
            Order::Watch { by, nick } => format!("{}+{nick}", by.0),
            Order::Leave { by, nick } => format!("{}-{nick}", by.0),
        };
        orders.into_iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn open(max: usize) -> Watches {
        let mut watches = Watches::default();
        watches.opened(ADA, max);
        watches.opened(BOB, max);
        watches
    }

    #[test]
    fn a_nick_has_one_watcher_and_the_next_when_that_one_ends() {
        let mut watches = open(9);
        assert_eq!(told(watches.want(ADA, Why::Chat, &nick("eve"))), "0+eve");
        assert_eq!(told(watches.want(BOB, Why::Chat, &nick("Eve"))), "");
        assert_eq!(told(watches.unwant(ADA, Why::Chat, &nick("eve"))), "", "bob wants to know");
        assert_eq!(told(watches.over(ADA)), "1+eve");
        assert_eq!(told(watches.unwant(BOB, Why::Chat, &nick("eve"))), "1-eve");
        assert!(!watches.is_watched(&nick("eve")) && watches.wanted.is_empty());
    }

    #[test]
    fn a_wish_and_a_chat_share_a_place() {
        let mut watches = open(9);
        assert_eq!(told(watches.want(ADA, Why::Wish, &nick("eve"))), "0+eve");
        assert_eq!(told(watches.want(ADA, Why::Chat, &nick("eve"))), "");
        assert_eq!(told(watches.unwant(ADA, Why::Wish, &nick("eve"))), "");
        assert_eq!(told(watches.unwant(ADA, Why::Chat, &nick("eve"))), "0-eve");
        assert_eq!(told(watches.unwant(ADA, Why::Chat, &nick("eve"))), "");
    }

    #[test]
    fn the_quietest_chat_gives_way_and_a_wish_does_not() {
        let mut watches = open(2);
        watches.want(ADA, Why::Wish, &nick("Ada"));
        watches.want(ADA, Why::Chat, &nick("eve"));
        assert_eq!(told(watches.want(ADA, Why::Chat, &nick("carl"))), "0-eve 0+carl");
        assert_eq!(told(watches.want(BOB, Why::Chat, &nick("eve"))), "1+eve");
        // Who has a place watches for both, and a place that is free is taken.
        assert_eq!(told(watches.want(BOB, Why::Chat, &nick("dora"))), "1+dora");
        assert_eq!(told(watches.want(ADA, Why::Chat, &nick("zed"))), "0-carl 0+zed");
        assert_eq!(told(watches.unwant(ADA, Why::Wish, &nick("Ada"))), "0-Ada 0+carl");
    }

    #[test]
    fn who_talks_again_is_the_newest() {
        let mut watches = open(2);
        watches.want(ADA, Why::Chat, &nick("eve"));
        watches.want(ADA, Why::Chat, &nick("carl"));
        watches.want(ADA, Why::Chat, &nick("eve"));
        assert_eq!(told(watches.want(ADA, Why::Chat, &nick("zed"))), "0-carl 0+zed");
    }

    #[test]
    fn a_server_that_takes_nothing_is_soon_asked_for_nothing() {
        let mut watches = open(3);
        for name in ["a", "b", "c"] {
            watches.want(ADA, Why::Chat, &nick(name));
        }
        assert_eq!(told(watches.refused(ADA, &[nick("c")])), "0-a 0+c");
        assert_eq!(told(watches.refused(ADA, &[nick("c")])), "0-b 0+c");
        assert_eq!(told(watches.refused(ADA, &[nick("c")])), "");
        assert_eq!(told(watches.refused(ADA, &[nick("c")])), "");
        assert_eq!(told(watches.want(ADA, Why::Chat, &nick("d"))), "");
        assert_eq!(told(watches.over(ADA)), "");
    }
}
