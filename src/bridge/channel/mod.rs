//! One IRC channel, as all our connections in it see it together.
//!
//! At most [`OBSERVERS_MAX`] of our connections observe a channel's chat: the nominee and its standbys. The
//! others are only in it. The [`ledger`] decides which observed line is relayed and when; a [`witness::View`]
//! for each observer tells our own lines from those of IRC people; the [`roster`] is who is in the channel as
//! the nominee sees it; `streams` keeps both by what connections see.
//!
//! A channel knows no room and no puppet's wishes. What it wants done comes back as [`Duty`].

mod asides;
pub mod ledger;
pub mod profile;
pub mod roster;
mod streams;
mod typing;
pub mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::asides::Asides;
use self::ledger::Ledger;
use self::roster::Roster;
use self::witness::View;
use super::effect::Moved;
use super::session::seen::{Speaking, Stamp, Uttered};
use crate::ids::{ChannelName, ConnId, Epoch, Nick, Time};

/// Our connections that observe a channel: the nominee and two standbys.
pub const OBSERVERS_MAX: usize = 3;

/// A line that is to be relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub from: Speaking,
    pub what: Uttered,
    pub stamp: Stamp,
}

/// Whether a connection is shown the tags of lines (IRCv3 "message-tags").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tags {
    Shown,
    Hidden,
}

/// What a change in a channel asks of the connections in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// This connection observes from now on; it has to ask who is in the channel.
    Observe(ConnId),
    /// This connection took the duty over; it has to ask who is in the channel.
    TakeOver(ConnId),
}

/// Who somebody in a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A person of IRC.
    Theirs,
    /// One of our connections, where it is known which.
    Ours(Option<ConnId>),
}

/// Who speaks for a channel at one moment, and how often that changed for which reason.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub owner: Option<ConnId>,
    pub epoch: Epoch,
    counters: ledger::Counters,
}

impl Lease {
    /// Why it is another one than it was.
    pub fn why_moved(&self, before: &Self) -> Moved {
        let (now, before) = (&self.counters, &before.counters);
        if now.moved_by_hold > before.moved_by_hold {
            Moved::Silent
        } else if now.moved_by_leave > before.moved_by_leave {
            Moved::Left
        } else if now.moved_by_preference > before.moved_by_preference {
            Moved::Preferred
        } else {
            Moved::First
        }
    }
}

/// One channel.
#[derive(Debug)]
pub struct Channel {
    name: ChannelName,
    /// Our connections that asked to join or are in, with the order of entry for those in.
    members: BTreeMap<ConnId, Entry>,
    /// Which server each of them is on: only streams of one server have one order.
    servers: BTreeMap<ConnId, Arc<str>>,
    entries: u64,
    /// Those whose lines have no name of their own.
    untagged: BTreeSet<ConnId>,
    observers: BTreeMap<ConnId, View>,
    /// Those that may be dead: they get a seat last, and the seats they have are given to others as well.
    doubted: BTreeSet<ConnId>,
    ledger: Ledger<Heard>,
    /// What was said to some of it a moment ago.
    asides: Asides,
    /// The folded name, shared by all keys.
    target: Arc<str>,
    roster: Roster,
    topic: profile::Topic,
    modes: profile::Modes,
    epoch: Epoch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Asked,
    In(u64),
}

impl Channel {
    pub fn new(name: ChannelName) -> Self {
        Self {
            target: Arc::from(name.folded()),
            name,
            members: BTreeMap::new(),
            servers: BTreeMap::new(),
            entries: 0,
            untagged: BTreeSet::new(),
            observers: BTreeMap::new(),
            doubted: BTreeSet::new(),
            ledger: Ledger::new(),
            asides: Asides::default(),
            roster: Roster::default(),
            topic: profile::Topic::default(),
            modes: profile::Modes::default(),
            epoch: Epoch::default(),
        }
    }

    /// The connection asks to join. Where a seat is free it observes from its entry on: its queues open now,
    /// because a faster stream may show it in the channel before its own does.
    pub fn asks(&mut self, conn: ConnId, server: Option<&Arc<str>>, tags: Tags) {
        self.members.insert(conn, Entry::Asked);
        match tags {
            Tags::Shown => self.untagged.remove(&conn),
            Tags::Hidden => self.untagged.insert(conn),
        };
        if let Some(server) = server {
            self.servers.insert(conn, Arc::clone(server));
        }
        if self.observers.len() < self.seats() {
            self.observers.insert(conn, View::default());
            self.ledger.joining_on(conn, server.cloned());
        }
    }

    /// The connection's own stream shows it in the channel.
    pub fn entered(&mut self, now: Time, conn: ConnId, nick: Nick, heard: &mut Vec<Heard>) -> Vec<Duty> {
        self.entries += 1;
        self.members.insert(conn, Entry::In(self.entries));
        if let Some(view) = self.observers.get_mut(&conn) {
            view.shows(nick.clone(), conn);
            view.reads_from(now);
            self.ledger.joined(now, conn, heard);
        }
        if self.ledger.owner() == Some(conn) {
            self.roster.join(&nick);
            self.topic_awaited();
        }
        self.settle_duties(now, heard)
    }

    /// The connection is about to leave of its own will: the duty moves before it goes.
    pub fn leaving(&mut self, now: Time, conn: ConnId, heard: &mut Vec<Heard>) {
        self.ledger.handing_over(now, conn, heard);
    }

    /// The connection is no longer in the channel, or will not come in.
    pub fn gone(&mut self, now: Time, conn: ConnId, heard: &mut Vec<Heard>) -> Vec<Duty> {
        self.members.remove(&conn);
        self.servers.remove(&conn);
        self.untagged.remove(&conn);
        self.doubted.remove(&conn);
        if self.observers.remove(&conn).is_some() {
            self.ledger.left(now, conn, heard);
        }
        self.settle_duties(now, heard)
    }

    /// Another stream shows this connection quitting: whether it lives will be known soon, and until then
    /// somebody else observes too.
    pub fn doubt(&mut self, now: Time, conn: ConnId, heard: &mut Vec<Heard>) -> Vec<Duty> {
        if self.members.contains_key(&conn) {
            self.doubted.insert(conn);
        }
        self.settle_duties(now, heard)
    }

    /// The bridge goes down: gives free what observers hold.
    pub fn close(&mut self, now: Time, heard: &mut Vec<Heard>) {
        self.ledger.handle_timeout(now.plus_ms(ledger::HOLD_MS), heard);
    }

    /// Fills free seats with those longest in, and notes whether the duty has moved.
    fn settle_duties(&mut self, now: Time, heard: &mut Vec<Heard>) -> Vec<Duty> {
        let mut duties = Vec::new();
        // Those who asked and got no answer may hold all seats: somebody has to listen all the same.
        while self.observers.len() < self.seats() || self.ledger.owner().is_none() {
            let Some(conn) = self.next_observer() else { break };
            let mut view = self.owner_view().map(View::as_hearsay).unwrap_or_default();
            view.reads_from(now);
            self.observers.insert(conn, view);
            self.ledger.watching_on(now, conn, self.servers.get(&conn).cloned(), heard);
            duties.push(Duty::Observe(conn));
        }
        let moved = self.ledger.epoch() != self.epoch;
        self.epoch = self.ledger.epoch();
        match self.ledger.owner() {
            Some(owner) if moved && self.epoch > Epoch(1) && !duties.contains(&Duty::Observe(owner)) => {
                duties.push(Duty::TakeOver(owner));
            }
            Some(_) => {}
            None => {
                self.roster.clear();
                self.topic_unknown();
            }
        }
        duties
    }

    /// How many may observe: one more for each that does and may be dead.
    fn seats(&self) -> usize {
        OBSERVERS_MAX + self.doubted.iter().filter(|conn| self.observers.contains_key(conn)).count()
    }

    /// The one longest in. One that may be dead is no replacement for another.
    fn next_observer(&self) -> Option<ConnId> {
        let entered = |(conn, entry): (&ConnId, &Entry)| match entry {
            Entry::In(order) if !self.observers.contains_key(conn) => {
                Some((self.doubted.contains(conn), *order, *conn))
            }
            Entry::In(_) | Entry::Asked => None,
        };
        let (is_doubted, _, conn) = self.members.iter().filter_map(entered).min()?;
        let has_room = self.observers.len() < OBSERVERS_MAX || self.ledger.owner().is_none();
        (has_room || !is_doubted).then_some(conn)
    }

    fn owner_view(&self) -> Option<&View> {
        self.observers.get(&self.ledger.owner()?)
    }

    fn is_owner(&self, conn: ConnId) -> bool {
        self.ledger.owner() == Some(conn)
    }

    /// True when this connection observes.
    pub fn is_observer(&self, conn: ConnId) -> bool {
        self.observers.contains_key(&conn)
    }

    /// True when none of ours is in it, asks for it, or holds a line of it.
    pub fn is_idle(&self) -> bool {
        self.members.is_empty() && self.ledger.poll_timeout().is_none()
    }

    /// When a held line has waited long enough.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.ledger.poll_timeout()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time, heard: &mut Vec<Heard>) -> Vec<Duty> {
        self.ledger.handle_timeout(now, heard);
        self.settle_duties(now, heard)
    }

    /// True when some of ours is in the channel: what is said there is heard.
    pub fn is_read(&self) -> bool {
        self.members.values().any(|entry| matches!(entry, Entry::In(_)))
    }

    /// True when this connection is in the channel and no other of ours is, or asks for it.
    pub fn is_alone(&self, conn: ConnId) -> bool {
        self.members.len() == 1 && self.members.contains_key(&conn)
    }

    /// How many of our connections are in the channel.
    pub fn puppets(&self) -> usize {
        self.members.values().filter(|entry| matches!(entry, Entry::In(_))).count()
    }

    /// What its ledger has counted.
    pub fn counters(&self) -> ledger::Counters {
        self.ledger.counters()
    }

    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Which of our connections speaks for the channel now.
    pub fn owner(&self) -> Option<ConnId> {
        self.ledger.owner()
    }

    /// The lease as it is, to be compared with what it will be.
    pub fn lease(&self) -> Lease {
        Lease { owner: self.ledger.owner(), epoch: self.ledger.epoch(), counters: self.ledger.counters() }
    }

    /// The lease and its queues, to look at.
    pub fn ledger(&self) -> &Ledger<Heard> {
        &self.ledger
    }

    /// True when this connection's own stream shows it in the channel.
    pub fn has_entered(&self, conn: ConnId) -> bool {
        matches!(self.members.get(&conn), Some(Entry::In(_)))
    }

    /// Who is in the channel, as the nominee sees it.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }
}
