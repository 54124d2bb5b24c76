//! One IRC channel, as all our connections in it see it together.
//!
//! At most [`OBSERVERS_MAX`] of our connections observe a channel's chat: the nominee and its standbys. The
//! others are only in it. The [`ledger`] decides which observed line is relayed and when; a [`witness::View`]
//! for each observer tells our own lines from those of IRC people; the [`roster`] is who is in the channel as
//! the nominee sees it.
//!
//! A channel knows no room and no puppet's wishes. What it wants done comes back as [`Duty`].

pub mod ledger;
pub mod roster;
pub mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::ledger::{Key, Ledger};
use self::roster::Roster;
use self::witness::View;
use super::input::BodyKind;
use super::nicks::Nicks;
use super::session::seen::Speaking;
use crate::ids::{ChannelName, ConnId, Epoch, Nick, Time};

/// Our connections that observe a channel: the nominee and two standbys.
pub const OBSERVERS_MAX: usize = 3;

/// A line that is to be relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub from: Speaking,
    pub kind: BodyKind,
    pub text: String,
}

/// What a change in a channel asks of the connections in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// This connection observes from now on; it has to ask who is in the channel.
    Observe(ConnId),
    /// This connection took the duty over; it has to ask who is in the channel.
    TakeOver(ConnId),
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
    observers: BTreeMap<ConnId, View>,
    /// Observers that may be dead: their seats are given to others as well.
    doubted: BTreeSet<ConnId>,
    ledger: Ledger<Heard>,
    /// The folded name, shared by all keys.
    target: Arc<str>,
    roster: Roster,
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
            observers: BTreeMap::new(),
            doubted: BTreeSet::new(),
            ledger: Ledger::new(),
            roster: Roster::default(),
            epoch: Epoch::default(),
        }
    }

    /// The connection asks to join. Where a seat is free it observes from its entry on: its queues open now,
    /// because a faster stream may show it in the channel before its own does.
    pub fn asks(&mut self, conn: ConnId, server: Option<&Arc<str>>) {
        self.members.insert(conn, Entry::Asked);
        if let Some(server) = server {
            self.servers.insert(conn, Arc::clone(server));
        }
        if self.observers.len() < OBSERVERS_MAX {
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
            self.ledger.joined(now, conn, heard);
        }
        if self.ledger.owner() == Some(conn) {
            self.roster.join(&nick);
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
        self.doubted.remove(&conn);
        if self.observers.remove(&conn).is_some() {
            self.ledger.left(now, conn, heard);
        }
        self.settle_duties(now, heard)
    }

    /// Another stream shows this connection quitting: whether it lives will be known soon, and until then
    /// somebody else observes too.
    pub fn doubt(&mut self, now: Time, conn: ConnId, heard: &mut Vec<Heard>) -> Vec<Duty> {
        if self.observers.contains_key(&conn) {
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
        while self.observers.len() < OBSERVERS_MAX + self.doubted.len() || self.ledger.owner().is_none() {
            let Some(conn) = self.next_observer() else { break };
            let view = self.owner_view().map(View::as_hearsay).unwrap_or_default();
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
            None => self.roster.clear(),
        }
        duties
    }

    fn next_observer(&self) -> Option<ConnId> {
        let entered = |(conn, entry): (&ConnId, &Entry)| match entry {
            Entry::In(order) if !self.observers.contains_key(conn) => Some((*order, *conn)),
            Entry::In(_) | Entry::Asked => None,
        };
        self.members.iter().filter_map(entered).min().map(|(_, conn)| conn)
    }

    fn owner_view(&self) -> Option<&View> {
        self.observers.get(&self.ledger.owner()?)
    }

    fn is_owner(&self, conn: ConnId) -> bool {
        self.ledger.owner() == Some(conn)
    }

    /// Somebody speaks on this observer's stream. A line of ours is witnessed and goes no further.
    pub fn said(
        &mut self,
        now: Time,
        conn: ConnId,
        line: Heard,
        mask: Option<&str>,
        nicks: &Nicks,
        heard: &mut Vec<Heard>,
    ) {
        let Some(view) = self.observers.get(&conn) else { return };
        let folded = match &line.from {
            Speaking::Person(nick) if is_ours(view, nick, mask, nicks) => return,
            Speaking::Person(nick) => Arc::from(nick.folded()),
            Speaking::Server(name) => Arc::from(name.as_str()),
        };
        let key = Key::Said {
            nick: folded,
            kind: line.kind,
            target: Arc::clone(&self.target),
            text: Arc::from(line.text.as_str()),
        };
        let peers = Arc::clone(view.present());
        self.ledger.observe(now, conn, key, line, &peers, heard);
    }

    /// Another nick entered, on this observer's stream. Whoever was known under it is gone.
    pub fn joined(&mut self, conn: ConnId, nick: &Nick, mask: Option<&str>, nicks: &Nicks) {
        if let Some(view) = self.observers.get_mut(&conn) {
            view.leaves(nick);
        }
        self.show(conn, nick, mask, nicks);
        if self.is_owner(conn) {
            self.roster.join(nick);
        }
    }

    /// A nick left (PART, KICK), on this observer's stream.
    pub fn left(&mut self, conn: ConnId, nick: &Nick) {
        if let Some(view) = self.observers.get_mut(&conn) {
            view.leaves(nick);
        }
        if self.is_owner(conn) {
            self.roster.part(nick);
        }
    }

    /// A nick quit, on this observer's stream. Returns which of our connections it was, if one.
    pub fn quit(&mut self, conn: ConnId, nick: &Nick, mask: Option<&str>, nicks: &Nicks) -> Option<ConnId> {
        if self.is_owner(conn) {
            self.roster.quit(nick);
        }
        let view = self.observers.get_mut(&conn)?;
        let has_it = |conn: &ConnId| nicks.has(*conn, nick) && nicks.fits(*conn, mask);
        let named = view.perhaps(nick).chain(nicks.identified(nick, mask)).find(has_it);
        let who = view.leaves(nick).or(named);
        if let Some(who) = who {
            self.ledger.split_off(who);
        }
        who
    }

    /// A nick changed, on this observer's stream.
    pub fn renamed(&mut self, conn: ConnId, from: &Nick, to: &Nick) {
        if let Some(view) = self.observers.get_mut(&conn) {
            view.renames(from, to);
        }
        if self.is_owner(conn) {
            self.roster.rename(from, to);
        }
    }

    /// A part of the list of who is in the channel, on this observer's stream.
    pub fn names(&mut self, conn: ConnId, list: Vec<(String, Nick)>, nicks: &Nicks) {
        if !self.observers.contains_key(&conn) {
            return;
        }
        for (_, nick) in &list {
            self.show(conn, nick, None, nicks);
        }
        if let Some(view) = self.observers.get_mut(&conn) {
            view.lists(list.iter().map(|(_, nick)| nick));
        }
        if self.is_owner(conn) {
            self.roster.names_add(list);
        }
    }

    /// The list is complete.
    pub fn names_end(&mut self, conn: ConnId) {
        if let Some(view) = self.observers.get_mut(&conn) {
            view.list_ends();
        }
        if self.is_owner(conn) {
            self.roster.names_end();
        }
    }

    /// Notes one of ours under its nick, where the nick is or may be one of ours and asked for this channel.
    fn show(&mut self, conn: ConnId, nick: &Nick, mask: Option<&str>, nicks: &Nicks) {
        let Some(view) = self.observers.get_mut(&conn) else { return };
        let counts = |holder: &ConnId| {
            self.members.contains_key(holder) || self.ledger.parties().any(|c| c == *holder)
        };
        let is_apt = |holder: &ConnId| counts(holder) && nicks.fits(*holder, mask);
        let has_it = |holder: &ConnId| is_apt(holder) && nicks.has(*holder, nick);
        if let Some(holder) = nicks.identified(nick, mask).filter(has_it) {
            return view.shows(nick.clone(), holder);
        }
        // Who asks for a nick may have got it, by a line that its own stream has yet to show.
        let may_have = |holder: &ConnId| is_apt(holder) && nicks.may_have(*holder, nick);
        let having: BTreeSet<ConnId> = nicks.candidates(nick).filter(may_have).collect();
        let may = if having.is_empty() { nicks.candidates(nick).filter(is_apt).collect() } else { having };
        view.may_show(nick.clone(), may);
    }

    /// A nick that `conn` had asked for is not its own: no stream's account holds it for ours any more.
    pub fn disown(&mut self, conn: ConnId, nick: &Nick) {
        self.observers.values_mut().for_each(|view| view.disown(nick, conn));
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

    /// True when this connection is in the channel and no other of ours is, or asks for it.
    pub fn is_alone(&self, conn: ConnId) -> bool {
        self.members.len() == 1 && self.members.contains_key(&conn)
    }

    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Which of our connections speaks for the channel now.
    pub fn owner(&self) -> Option<ConnId> {
        self.ledger.owner()
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

/// True when who says a line on this stream is one of ours: shown so, known by `user@host`, or named by a list
/// under a nick that one of ours has now.
fn is_ours(view: &View, nick: &Nick, mask: Option<&str>, nicks: &Nicks) -> bool {
    let is_named = |conn| nicks.has(conn, nick) && nicks.fits(conn, mask);
    view.ours(nick).is_some() || nicks.identified(nick, mask).is_some() || view.perhaps(nick).any(is_named)
}
