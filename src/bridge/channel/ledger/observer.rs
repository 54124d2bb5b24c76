//! One connection's side of the ledger: its two queues and what is known of its stream. It decides nothing
//! about the lease.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_set};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter::Peekable;
use std::sync::Arc;

use super::{HOLD_MS, Key, Peers, QUEUE_LEN_MAX, RECENT_MS, WINDOW_MS};
use crate::ids::{ConnId, Time};

/// One connection's side of the ledger.
#[derive(Debug)]
pub(super) struct Observer<L> {
    pub(super) conn: ConnId,
    pub(super) server: Option<Arc<str>>,
    pub(super) standing: Standing,
    pub(super) trust: Trust,
    /// When it may get the lease for being preferred.
    pub(super) prefer_from: Time,
    /// Until when its JOIN may be crossing with lines between servers, for each stream of another server that has
    /// shown it in the channel: some time after it did. Before that there is no end to it, for a netsplit may last.
    pub(super) settled: BTreeMap<ConnId, Time>,
    pub(super) held: VecDeque<Held<L>>,
    pub(super) unseen: VecDeque<Unseen>,
    /// Entries older than all in `unseen`, of which only the number is known, until `nameless_end`.
    pub(super) nameless: u64,
    pub(super) nameless_end: Time,
}

/// Where a connection is on its way through the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Joining,
    /// `turn` orders the connections by how long they are in the channel.
    Joined {
        turn: u64,
    },
    Leaving,
    Gone,
}

/// Whether a connection can be believed to be alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Proven,
    /// It lost the lease by a hold and has shown nothing since.
    Suspect,
}

impl<L> Observer<L> {
    pub(super) fn new(conn: ConnId) -> Self {
        Self {
            conn,
            server: None,
            standing: Standing::Joining,
            trust: Trust::Proven,
            prefer_from: Time::default(),
            settled: BTreeMap::new(),
            held: VecDeque::new(),
            unseen: VecDeque::new(),
            nameless: 0,
            nameless_end: Time::default(),
        }
    }

    pub(super) fn gains_trust(&mut self, now: Time) {
        match self.trust {
            Trust::Proven => {}
            Trust::Suspect => {
                self.trust = Trust::Proven;
                self.prefer_from = now.plus_ms(WINDOW_MS);
            }
        }
    }

    /// True when this sighting is of a line that was relayed. Only the one entry goes: earlier ones are
    /// of lines that this stream has yet to show, or of an equal text that stands for a later line.
    pub(super) fn shows(&mut self, now: Time, hash: u64, key: &Key) -> bool {
        let matches = |u: &Unseen| u.mark.hash == hash && now < u.end && *u.mark.key == *key;
        let sure = self.unseen.iter().position(|u| u.odds == Odds::Sure && matches(u));
        if let Some(k) = sure.or_else(|| self.unseen.iter().position(matches)) {
            self.unseen.remove(k);
            return true;
        }
        let forgotten = self.nameless > 0 && now < self.nameless_end;
        if forgotten {
            self.nameless -= 1;
        }
        forgotten
    }

    pub(super) fn holds(&self, mark: &Mark) -> Option<usize> {
        self.held.iter().position(|entry| entry.mark == *mark)
    }

    /// Whether this stream shows a line that another connection, `relayer` on `server`, relays now: it does when the
    /// other's stream had this one in the channel by then. Beyond that, a msgid can be expected of anyone,
    /// for it never stands for another line; and a line and a JOIN that cross between two servers come in
    /// either order, so who has joined elsewhere and is hardly known here may or may not show it.
    pub(super) fn outlook(
        &mut self,
        now: Time,
        mark: &Mark,
        shown: bool,
        (relayer, server): (ConnId, &Option<Arc<str>>),
    ) -> Option<Unseen> {
        let elsewhere = self.server != *server;
        if shown && elsewhere {
            self.settled.entry(relayer).or_insert_with(|| now.plus_ms(HOLD_MS));
        }
        let crossing = elsewhere && self.settled.get(&relayer).is_none_or(|from| now < *from);
        let (odds, window_ms) = match *mark.key {
            _ if shown => (Odds::Sure, WINDOW_MS),
            Key::MsgId(_) => (Odds::Perhaps, WINDOW_MS),
            Key::Said { .. } if crossing => (Odds::Perhaps, HOLD_MS),
            Key::Said { .. } => return None,
        };
        Some(Unseen { mark: mark.clone(), end: now.plus_ms(window_ms), odds })
    }

    /// Notes a relayed line that this stream has yet to show; the number of entries that fell out for it.
    pub(super) fn expect(&mut self, unseen: Unseen) -> u64 {
        self.unseen.push_back(unseen);
        if self.unseen.len() <= QUEUE_LEN_MAX {
            return 0;
        }
        if let Some(oldest) = self.unseen.pop_front()
            && oldest.odds == Odds::Sure
        {
            self.nameless += 1;
            self.nameless_end = oldest.end;
        }
        1
    }

    /// Lets go of what is older than its window; how much that was.
    pub(super) fn forget(&mut self, now: Time) -> u64 {
        let before = self.unseen.len() as u64;
        self.unseen.retain(|u| now < u.end);
        let mut expired = before - self.unseen.len() as u64;
        if self.nameless_end <= now {
            expired += std::mem::take(&mut self.nameless);
        }
        expired
    }

    /// When the first thing that waits here ends.
    pub(super) fn end(&self) -> Option<Time> {
        let hold = self.held.front().map(|entry| entry.since.plus_ms(HOLD_MS));
        let window = self.unseen.iter().map(|u| u.end).min();
        let nameless = (self.nameless > 0).then_some(self.nameless_end);
        [hold, window, nameless].into_iter().flatten().min()
    }
}

#[derive(Debug)]
pub(super) struct Held<L> {
    pub(super) mark: Mark,
    pub(super) line: L,
    pub(super) since: Time,
    pub(super) peers: Peers,
}

#[derive(Debug)]
pub(super) struct Unseen {
    pub(super) mark: Mark,
    pub(super) end: Time,
    pub(super) odds: Odds,
}

/// A line relayed a moment ago, seen on this server.
#[derive(Debug)]
pub(super) struct Recent {
    pub(super) mark: Mark,
    pub(super) server: Option<Arc<str>>,
    pub(super) since: Time,
}

impl Recent {
    /// For one that joins on another server: a text is soon said again, a msgid is not, so the one is
    /// expected for a shorter time.
    pub(super) fn crossing(&self) -> Unseen {
        match *self.mark.key {
            Key::MsgId(_) => self.perhaps(RECENT_MS),
            Key::Said { .. } => self.perhaps(HOLD_MS),
        }
    }

    pub(super) fn perhaps(&self, for_ms: u64) -> Unseen {
        Unseen { mark: self.mark.clone(), end: self.since.plus_ms(for_ms), odds: Odds::Perhaps }
    }
}

/// Whether a stream is going to show a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Odds {
    Sure,
    Perhaps,
}

/// A shared key with its hash in front, so that unequal ones are told apart by one number. The hash is a
/// filter only: somebody who makes texts collide gains a comparison.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) hash: u64,
    pub(super) key: Arc<Key>,
}

pub(super) fn hash_of(key: &Key) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

impl PartialEq for Mark {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && (Arc::ptr_eq(&self.key, &other.key) || self.key == other.key)
    }
}

/// Membership in a sorted set, asked in rising order: one walk for all observers.
pub(super) struct Shown<'a>(Peekable<btree_set::Iter<'a, ConnId>>);

impl<'a> Shown<'a> {
    pub(super) fn new(peers: &'a BTreeSet<ConnId>) -> Self {
        Self(peers.iter().peekable())
    }

    pub(super) fn has(&mut self, c: ConnId) -> bool {
        while self.0.next_if(|shown| **shown < c).is_some() {}
        self.0.peek().is_some_and(|shown| **shown == c)
    }
}
