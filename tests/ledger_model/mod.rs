//! What the ledger's tests share: one face for every broker, and a small reference broker that can be told to
//! fall into one of the traps, to show that the tests see the fall.

#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bunraku::bridge::channel::ledger::{HOLD_MS, Key, Ledger, Peers, WINDOW_MS};
use bunraku::bridge::input::BodyKind;
use bunraku::ids::{ConnId, Epoch, PuppetId, Time};

pub fn conn(n: u32) -> ConnId {
    ConnId { puppet: PuppetId(n), generation: 1 }
}

pub fn peers(of: &[u32]) -> Peers {
    Arc::new(of.iter().map(|n| conn(*n)).collect())
}

pub fn said(nick: &str, text: &str) -> Key {
    Key::Said { nick: nick.into(), kind: BodyKind::Text, target: "#c".into(), text: text.into() }
}

/// A broker of lines that are named by a number.
pub trait Broker {
    fn joining(&mut self, c: ConnId, server: Option<Arc<str>>);
    fn joined(&mut self, now: Time, c: ConnId, out: &mut Vec<u32>);
    fn watching(&mut self, now: Time, c: ConnId, server: Option<Arc<str>>, out: &mut Vec<u32>);
    fn observe(&mut self, now: Time, c: ConnId, key: Key, line: u32, peers: &Peers, out: &mut Vec<u32>);
    fn handing_over(&mut self, now: Time, c: ConnId, out: &mut Vec<u32>);
    fn left(&mut self, now: Time, c: ConnId, out: &mut Vec<u32>);
    fn poll_timeout(&self) -> Option<Time>;
    fn handle_timeout(&mut self, now: Time, out: &mut Vec<u32>);
    fn owner(&self) -> Option<ConnId>;
    fn epoch(&self) -> Epoch;
    fn waiting(&self) -> usize;
}

impl Broker for Ledger<u32> {
    fn joining(&mut self, c: ConnId, server: Option<Arc<str>>) {
        self.joining_on(c, server);
    }
    fn joined(&mut self, now: Time, c: ConnId, out: &mut Vec<u32>) {
        Ledger::joined(self, now, c, out);
    }
    fn watching(&mut self, now: Time, c: ConnId, server: Option<Arc<str>>, out: &mut Vec<u32>) {
        self.watching_on(now, c, server, out);
    }
    fn observe(&mut self, now: Time, c: ConnId, key: Key, line: u32, peers: &Peers, out: &mut Vec<u32>) {
        Ledger::observe(self, now, c, key, line, peers, out);
    }
    fn handing_over(&mut self, now: Time, c: ConnId, out: &mut Vec<u32>) {
        Ledger::handing_over(self, now, c, out);
    }
    fn left(&mut self, now: Time, c: ConnId, out: &mut Vec<u32>) {
        Ledger::left(self, now, c, out);
    }
    fn poll_timeout(&self) -> Option<Time> {
        Ledger::poll_timeout(self)
    }
    fn handle_timeout(&mut self, now: Time, out: &mut Vec<u32>) {
        Ledger::handle_timeout(self, now, out);
    }
    fn owner(&self) -> Option<ConnId> {
        Ledger::owner(self)
    }
    fn epoch(&self) -> Epoch {
        Ledger::epoch(self)
    }
    fn waiting(&self) -> usize {
        Ledger::waiting(self)
    }
}

/// Which mistake the reference broker makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    None,
    /// The queues open at our own JOIN echo.
    OpenAtEcho,
    /// A match in `unseen` discards the entries before it.
    DiscardEarlier,
    /// Everyone who observes counts as a peer.
    NoPeers,
    /// No memory: only the owner relays, what the others saw is dropped.
    OwnerOnly,
}

struct Entry {
    key: Key,
    line: u32,
    since: Time,
    peers: Peers,
}

/// The ledger in its shortest form: no bounds, no servers, slow.
pub struct Reference {
    trap: Trap,
    owner: Option<ConnId>,
    epoch: Epoch,
    inside: Vec<ConnId>,
    held: BTreeMap<ConnId, VecDeque<Entry>>,
    unseen: BTreeMap<ConnId, VecDeque<(Key, Time)>>,
}

impl Reference {
    pub fn new(trap: Trap) -> Self {
        Self {
            trap,
            owner: None,
            epoch: Epoch::default(),
            inside: Vec::new(),
            held: BTreeMap::new(),
            unseen: BTreeMap::new(),
        }
    }

    fn open(&mut self, c: ConnId) {
        self.held.entry(c).or_default();
        self.unseen.entry(c).or_default();
    }

    fn take(&mut self, now: Time, c: Option<ConnId>, out: &mut Vec<u32>) {
        self.owner = c;
        self.epoch.0 += 1;
        if let Some(c) = c {
            self.release(now, c, out);
        }
    }

    fn release(&mut self, now: Time, c: ConnId, out: &mut Vec<u32>) {
        while let Some(entry) = self.held.get_mut(&c).and_then(VecDeque::pop_front) {
            self.relay(now, c, entry, out);
        }
    }

    fn place(&self, d: ConnId, key: &Key) -> Option<usize> {
        self.held.get(&d)?.iter().position(|e| e.key == *key)
    }

    fn relay(&mut self, now: Time, c: ConnId, entry: Entry, out: &mut Vec<u32>) {
        let all: BTreeSet<ConnId> = self.held.keys().copied().collect();
        let shown = |d: &ConnId| *d != c && (self.trap == Trap::NoPeers || entry.peers.contains(d));
        let others: Vec<ConnId> = all.into_iter().filter(shown).collect();
        for d in &others {
            while self.place(*d, &entry.key).is_some_and(|k| k > 0) {
                let earlier = self.held.get_mut(d).and_then(VecDeque::pop_front).unwrap();
                self.relay(now, *d, earlier, out);
            }
        }
        for d in &others {
            if let Some(k) = self.place(*d, &entry.key) {
                self.held.get_mut(d).unwrap().remove(k);
            } else if self.trap != Trap::OwnerOnly
                && let Some(unseen) = self.unseen.get_mut(d)
            {
                unseen.push_back((entry.key.clone(), now));
            }
        }
        out.push(entry.line);
    }
}

impl Broker for Reference {
    fn joining(&mut self, c: ConnId, _server: Option<Arc<str>>) {
        if self.trap != Trap::OpenAtEcho {
            self.open(c);
        }
    }
    fn joined(&mut self, now: Time, c: ConnId, out: &mut Vec<u32>) {
        self.open(c);
        self.inside.push(c);
        if self.owner.is_none() {
            self.take(now, Some(c), out);
        }
    }
    fn watching(&mut self, now: Time, c: ConnId, _server: Option<Arc<str>>, out: &mut Vec<u32>) {
        self.joined(now, c, out);
    }
    fn observe(&mut self, now: Time, c: ConnId, key: Key, line: u32, peers: &Peers, out: &mut Vec<u32>) {
        let Some(unseen) = self.unseen.get_mut(&c) else { return };
        if let Some(k) = unseen.iter().position(|(other, _)| *other == key) {
            match self.trap {
                Trap::DiscardEarlier => drop(unseen.drain(..=k)),
                Trap::None | Trap::OpenAtEcho | Trap::NoPeers | Trap::OwnerOnly => drop(unseen.remove(k)),
            }
            return;
        }
        let entry = Entry { key, line, since: now, peers: Arc::clone(peers) };
        if self.owner == Some(c) {
            self.relay(now, c, entry, out);
        } else if self.trap != Trap::OwnerOnly {
            self.held.entry(c).or_default().push_back(entry);
        }
    }
    fn handing_over(&mut self, now: Time, c: ConnId, out: &mut Vec<u32>) {
        if self.inside.len() < 2 {
            return;
        }
        self.inside.retain(|d| *d != c);
        if self.owner == Some(c) {
            self.take(now, self.inside.first().copied(), out);
        }
    }
    fn left(&mut self, now: Time, c: ConnId, out: &mut Vec<u32>) {
        self.unseen.remove(&c);
        self.inside.retain(|d| *d != c);
        if self.owner == Some(c) {
            self.take(now, self.inside.first().copied(), out);
        }
        if self.held.get(&c).is_some_and(VecDeque::is_empty) {
            self.held.remove(&c);
        }
    }
    fn poll_timeout(&self) -> Option<Time> {
        let holds = self.held.values().filter_map(|q| Some(q.front()?.since.plus_ms(HOLD_MS)));
        let windows = self.unseen.values().filter_map(|q| Some(q.front()?.1.plus_ms(WINDOW_MS)));
        holds.chain(windows).min()
    }
    fn handle_timeout(&mut self, now: Time, out: &mut Vec<u32>) {
        for unseen in self.unseen.values_mut() {
            while unseen.front().is_some_and(|(_, since)| since.plus_ms(WINDOW_MS) <= now) {
                unseen.pop_front();
            }
        }
        loop {
            let heads = self.held.iter().filter_map(|(d, q)| Some((q.front()?.since, *d)));
            let Some((since, d)) = heads.min() else { return };
            if since.plus_ms(HOLD_MS) > now {
                return;
            }
            if self.inside.contains(&d) {
                self.take(now, Some(d), out);
            } else {
                self.release(now, d, out);
            }
        }
    }
    fn owner(&self) -> Option<ConnId> {
        self.owner
    }
    fn epoch(&self) -> Epoch {
        self.epoch
    }
    fn waiting(&self) -> usize {
        self.held.values().map(VecDeque::len).sum::<usize>()
            + self.unseen.values().map(VecDeque::len).sum::<usize>()
    }
}
