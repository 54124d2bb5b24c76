//! Exactly-once relay of a channel that several of our connections see: a lease with a ledger.
//!
//! One connection, the owner, relays. Each observing connection `d` keeps two bounded queues: `held[d]`,
//! lines seen on `d` that nobody has relayed yet, and `unseen[d]`, lines that were relayed but that `d` has
//! not shown yet. A line is one entry in exactly one of them until both sides have met:
//!
//! ```text
//!             seen on d first                       relayed first
//!   d: ----> held[d] ----> cancelled by the owner   relay ----> unseen[d] ----> d shows it: removed
//!                   \----> 5 s: the owner is suspect, d takes the lease and relays held[d] in order
//!   joining -> joined -> (leaving) -> gone: its held lines still wait out their hold
//! ```
//!
//! It knows no wire and no Matrix, never compares a connection's clock with another's, and relays nothing
//! for the owner that the owner's stream (or another's hold) did not show.

mod observer;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::bridge::input::BodyKind;
use crate::ids::{ConnId, Epoch, Time};
use observer::{Held, Mark, Observer, Recent, Shown, Standing, Trust, Unseen, hash_of};

/// How long a line waits for the owner, in milliseconds; then the owner is suspect.
pub const HOLD_MS: u64 = 5_000;
/// How long a relayed line is remembered for a connection that has not shown it, in milliseconds.
pub const WINDOW_MS: u64 = 120_000;
/// How long a relayed line is kept for observers yet to come, in milliseconds.
pub const RECENT_MS: u64 = 20_000;
/// Entries in one `held` and in one `unseen` queue. A full `held` is a hold that ran out early: its
/// connection is that far ahead of the owner, so it takes the lease and nothing is lost. In a full `unseen`
/// the oldest entry loses its name and stays as a number: that many unknown lines on the connection are
/// taken for the ones forgotten, so neither a loss nor a double comes of it while the streams agree.
pub const QUEUE_LEN_MAX: usize = 512;

/// What makes two sightings the same line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The IRCv3 `msgid` tag: one name per occurrence.
    MsgId(Arc<str>),
    /// Without one: who (folded), how, to where (folded, with a STATUSMSG sign if any) and what, as it came.
    Said { nick: Arc<str>, kind: BodyKind, target: Arc<str>, text: Arc<str> },
}

/// Our connections that an observer's own stream shows in the channel, itself included. For a STATUSMSG,
/// those it reaches. Where the channel hides its members (delayed joins, auditorium): all that observe.
pub type Peers = Arc<BTreeSet<ConnId>>;

/// What has happened since the ledger was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub relayed: u64,
    /// Lines that waited for the owner.
    pub held: u64,
    /// Held lines that somebody else then relayed.
    pub cancelled: u64,
    pub moved_by_hold: u64,
    pub moved_by_leave: u64,
    pub moved_by_preference: u64,
    /// Relayed lines that a connection did not show within the window.
    pub expired: u64,
    /// Entries that came to a full queue.
    pub overflowed: u64,
    /// Sightings by a connection that does not observe this channel.
    pub strange: u64,
}

/// The broker of one channel. `L` is the line to relay.
#[derive(Debug)]
pub struct Ledger<L> {
    /// Sorted by connection.
    observers: Vec<Observer<L>>,
    owner: Option<ConnId>,
    preferred: Option<ConnId>,
    epoch: Epoch,
    turns: u64,
    /// No later than the earliest end of anything that waits.
    wake: Option<Time>,
    /// Lines relayed a moment ago; see [`Self::watching_on`]. Above [`QUEUE_LEN_MAX`] the oldest goes.
    recent: VecDeque<Recent>,
    /// Entries in all `held` queues.
    held_len: usize,
    counters: Counters,
}

impl<L> Default for Ledger<L> {
    fn default() -> Self {
        Self::new()
    }
}

impl<L> Ledger<L> {
    pub fn new() -> Self {
        Self {
            observers: Vec::new(),
            owner: None,
            preferred: None,
            epoch: Epoch::default(),
            turns: 0,
            wake: None,
            recent: VecDeque::new(),
            held_len: 0,
            counters: Counters::default(),
        }
    }

    /// `c` asks to join. Its queues open now and not at its own JOIN echo: a faster stream may show `c` in
    /// the channel, and lines after it, before `c`'s stream does. A refused join ends with [`Self::left`].
    /// A connection that has sent PART asks again only after the echo; one whose JOIN is late may ask twice, and
    /// still owes what was relayed since the first time.
    pub fn joining(&mut self, c: ConnId) {
        self.joining_on(c, None);
    }

    /// As [`Self::joining`], where the name of the server that `c` is connected to is known. Only streams of
    /// one server have one order: what another shows earlier proves nothing about this one, and a line that
    /// was relayed just before may still be on its way to `c`'s server.
    pub fn joining_on(&mut self, c: ConnId, server: Option<Arc<str>>) {
        self.enter(c, server.clone(), |recent| (recent.server != server).then(|| recent.crossing()));
    }

    /// `c` saw its own JOIN. The first one becomes the owner.
    pub fn joined(&mut self, now: Time, c: ConnId, out: &mut Vec<L>) {
        self.turns += 1;
        let turn = self.turns;
        let observer = self.open(c);
        if !matches!(observer.standing, Standing::Joined { .. }) {
            observer.standing = Standing::Joined { turn };
            observer.prefer_from = now.plus_ms(HOLD_MS);
        }
        if self.owner.is_none() {
            self.take(now, c, out);
        }
        self.wake_for_preference();
    }

    /// `c` has been in the channel without being observed, and its chat lines come in from now on: the entry
    /// for a cap on observers. What was relayed in the last [`RECENT_MS`] may or may not come on it.
    pub fn watching_on(&mut self, now: Time, c: ConnId, server: Option<Arc<str>>, out: &mut Vec<L>) {
        self.enter(c, server, |recent| Some(recent.perhaps(RECENT_MS)));
        self.joined(now, c, out);
    }

    /// `c` saw a line. Lines that are to be relayed now are added to `out`, in order.
    pub fn observe(&mut self, now: Time, c: ConnId, key: Key, line: L, peers: &Peers, out: &mut Vec<L>) {
        let at = self.find(c).ok().filter(|at| self.observers[*at].standing != Standing::Gone);
        let Some(at) = at else {
            self.counters.strange += 1;
            return;
        };
        let hash = hash_of(&key);
        let observer = &mut self.observers[at];
        observer.gains_trust(now);
        if observer.shows(now, hash, &key) {
            return;
        }
        let mark = Mark { hash, key: Arc::new(key) };
        let entry = Held { mark, line, since: now, peers: Arc::clone(peers) };
        if self.owner == Some(c) {
            self.relay(now, c, entry, out);
        } else {
            self.hold(now, at, entry, out);
        }
    }

    /// `c` is about to leave of its own will: the duty moves before its PART is sent. Alone, it keeps the
    /// duty until it has left. `c` goes on observing until [`Self::left`].
    pub fn handing_over(&mut self, now: Time, c: ConnId, out: &mut Vec<L>) {
        let Ok(at) = self.find(c) else { return };
        if self.observers[at].standing == Standing::Gone {
            return;
        }
        self.observers[at].standing = Standing::Leaving;
        if self.owner == Some(c)
            && let Some(heir) = self.heir()
        {
            self.counters.moved_by_leave += 1;
            self.take(now, heir, out);
        }
    }

    /// `c` is out of the channel: dead, refused, or it saw its own PART or KICK. What it still holds waits
    /// out its hold; if it was the owner, the connection that is in the channel longest takes over at once.
    pub fn left(&mut self, now: Time, c: ConnId, out: &mut Vec<L>) {
        let Ok(at) = self.find(c) else { return };
        let observer = &mut self.observers[at];
        observer.standing = Standing::Gone;
        observer.unseen.clear();
        observer.nameless = 0;
        for other in &mut self.observers {
            other.settled.remove(&c);
        }
        if self.owner == Some(c) {
            match self.heir() {
                Some(heir) => {
                    self.counters.moved_by_leave += 1;
                    self.take(now, heir, out);
                }
                None => {
                    self.owner = None;
                    self.epoch.0 = self.epoch.0.saturating_add(1);
                }
            }
        }
        self.sweep();
    }

    /// The stream of `by` showed `c` quitting. If it lives, it is on the other side of a netsplit, and when the servers
    /// meet again its JOIN and what is said cross between them as when it first joined.
    pub fn split_off(&mut self, by: ConnId, c: ConnId) {
        if let Ok(at) = self.find(c) {
            self.observers[at].settled.remove(&by);
        }
    }

    /// When [`Self::handle_timeout`] is due: the end of a hold or of a window, or a little earlier. `None`
    /// when nothing waits.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.wake
    }

    /// Time has passed. To be called after the inputs that came by `now`, so that a slow task does not make
    /// the owner suspect.
    pub fn handle_timeout(&mut self, now: Time, out: &mut Vec<L>) {
        if self.wake.is_none_or(|wake| now < wake) {
            return;
        }
        for observer in &mut self.observers {
            self.counters.expired += observer.forget(now);
        }
        while self.recent.front().is_some_and(|recent| recent.since.plus_ms(RECENT_MS) <= now) {
            self.recent.pop_front();
        }
        while let Some(at) = self.latest_hold(now) {
            self.hold_ran_out(now, at, out);
        }
        self.prefer_now(now, out);
        self.sweep();
        let recent = self.recent.front().map(|recent| recent.since.plus_ms(RECENT_MS));
        self.wake = self.observers.iter().filter_map(Observer::end).chain(recent).min();
        self.wake_for_preference();
    }

    /// Who speaks for the channel.
    pub fn owner(&self) -> Option<ConnId> {
        self.owner
    }

    /// Grows each time the owner changes.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The connections that observe, leaving ones included.
    pub fn observers(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.observers.iter().filter(|o| o.standing != Standing::Gone).map(|o| o.conn)
    }

    /// The connections whose lines count: those that observe, and those that are gone and still hold some.
    pub fn parties(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.observers.iter().map(|o| o.conn)
    }

    /// Entries that wait in all queues together.
    pub fn waiting(&self) -> usize {
        self.held_len + self.recent.len() + self.observers.iter().map(|o| o.unseen.len()).sum::<usize>()
    }

    /// Lines that wait for the owner.
    pub fn held(&self) -> usize {
        self.held_len
    }

    /// Relayed lines that connections have still to show.
    pub fn unseen(&self) -> usize {
        self.observers.iter().map(|o| o.unseen.len()).sum()
    }

    /// `c`, a configured relay bot, is to own the lease whenever it is in the channel and not suspect. It
    /// gets it [`HOLD_MS`] after it joined, when no stream shows lines from before its time any more, and
    /// [`WINDOW_MS`] after it came back from being suspect.
    pub fn prefer(&mut self, c: Option<ConnId>) {
        self.preferred = c;
        self.wake_for_preference();
    }

    fn find(&self, c: ConnId) -> Result<usize, usize> {
        self.observers.binary_search_by_key(&c, |o| o.conn)
    }

    fn open(&mut self, c: ConnId) -> &mut Observer<L> {
        let at = match self.find(c) {
            Ok(at) => at,
            Err(at) => {
                self.observers.insert(at, Observer::new(c));
                at
            }
        };
        &mut self.observers[at]
    }

    /// Opens the queues of `c`, which may show those of the recent lines that `under_way` says.
    fn enter(
        &mut self,
        c: ConnId,
        server: Option<Arc<str>>,
        under_way: impl FnMut(&Recent) -> Option<Unseen>,
    ) {
        let is_new = self.find(c).map_or(true, |at| self.observers[at].standing == Standing::Gone);
        let unseen: VecDeque<Unseen> = self.recent.iter().filter_map(under_way).collect();
        let observer = self.open(c);
        observer.server = server;
        if is_new {
            observer.standing = Standing::Joining;
            observer.settled.clear();
            observer.unseen = unseen;
        }
    }

    fn wake_by(&mut self, at: Time) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }

    fn hold(&mut self, now: Time, at: usize, entry: Held<L>, out: &mut Vec<L>) {
        self.observers[at].held.push_back(entry);
        self.held_len += 1;
        self.counters.held += 1;
        self.wake_by(now.plus_ms(HOLD_MS));
        if self.observers[at].held.len() >= QUEUE_LEN_MAX {
            self.counters.overflowed += 1;
            self.hold_ran_out(now, at, out);
        }
    }

    /// The owner has not shown for too long what this observer saw. One that is not in the channel for good
    /// only has its lines relayed.
    fn hold_ran_out(&mut self, now: Time, at: usize, out: &mut Vec<L>) {
        let conn = self.observers[at].conn;
        match self.observers[at].standing {
            Standing::Joined { .. } => {
                if let Some(Ok(owner)) = self.owner.map(|owner| self.find(owner)) {
                    self.observers[owner].trust = Trust::Suspect;
                }
                self.counters.moved_by_hold += 1;
                self.take(now, conn, out);
            }
            Standing::Joining | Standing::Leaving | Standing::Gone => self.release(now, conn, out),
        }
    }

    /// Makes `c` the owner and relays what it holds.
    fn take(&mut self, now: Time, c: ConnId, out: &mut Vec<L>) {
        self.owner = Some(c);
        self.epoch.0 = self.epoch.0.saturating_add(1);
        self.release(now, c, out);
    }

    fn release(&mut self, now: Time, c: ConnId, out: &mut Vec<L>) {
        let Ok(at) = self.find(c) else { return };
        while let Some(entry) = self.pop_held(at) {
            self.relay(now, c, entry, out);
        }
    }

    fn pop_held(&mut self, at: usize) -> Option<Held<L>> {
        let entry = self.observers[at].held.pop_front()?;
        self.held_len -= 1;
        Some(entry)
    }

    /// Relays `entry`, seen on `c`, after all that other streams of the same server prove to be earlier. By a
    /// stack and not by recursion: a chain of earlier lines may be as long as all queues together.
    fn relay(&mut self, now: Time, c: ConnId, entry: Held<L>, out: &mut Vec<L>) {
        if self.held_len == 0 {
            return self.emit(now, c, entry, out);
        }
        let mut frames = vec![Frame { conn: c, entry, next: 0 }];
        while let Some(mut frame) = frames.pop() {
            match self.pop_earlier(&mut frame) {
                Some(earlier) => frames.extend([frame, earlier]),
                None => self.emit(now, frame.conn, frame.entry, out),
            }
        }
    }

    /// One server, one order: what `d` saw before this line and nobody relayed was missed here, and goes first.
    fn pop_earlier(&mut self, frame: &mut Frame<L>) -> Option<Frame<L>> {
        let relayer = self.find(frame.conn).ok()?;
        let mut peers = Shown::new(&frame.entry.peers);
        while frame.next < self.observers.len() {
            let (at, d) = (frame.next, &self.observers[frame.next]);
            let comparable = at != relayer && d.server == self.observers[relayer].server;
            if !d.held.is_empty()
                && comparable
                && peers.has(d.conn)
                && d.holds(&frame.entry.mark).is_some_and(|k| k > 0)
            {
                let conn = d.conn;
                return self.pop_held(at).map(|entry| Frame { conn, entry, next: 0 });
            }
            frame.next += 1;
        }
        None
    }

    /// Gives the line out, and settles with everyone else who shows it too.
    fn emit(&mut self, now: Time, c: ConnId, entry: Held<L>, out: &mut Vec<L>) {
        let mut peers = Shown::new(&entry.peers);
        let server = self.find(c).ok().and_then(|at| self.observers[at].server.clone());
        let mut wake = None;
        for d in &mut self.observers {
            let shown = peers.has(d.conn);
            if d.conn == c {
                continue;
            }
            let Some(unseen) = d.outlook(now, &entry.mark, shown, (c, &server)) else { continue };
            if let Some(k) = d.holds(&entry.mark) {
                d.held.remove(k);
                self.held_len -= 1;
                self.counters.cancelled += 1;
            } else if d.standing != Standing::Gone {
                wake = wake.into_iter().chain([unseen.end]).min();
                self.counters.overflowed += d.expect(unseen);
            }
        }
        if let Some(end) = wake {
            self.wake_by(end);
        }
        self.counters.relayed += 1;
        self.remember(Recent { mark: entry.mark, server, since: now });
        out.push(entry.line);
    }

    fn remember(&mut self, recent: Recent) {
        self.wake_by(recent.since.plus_ms(RECENT_MS));
        self.recent.push_back(recent);
        if self.recent.len() > QUEUE_LEN_MAX {
            self.recent.pop_front();
        }
    }

    /// The observer whose oldest entry has waited longest, if its hold is over.
    fn latest_hold(&self, now: Time) -> Option<usize> {
        let heads = self.observers.iter().enumerate().filter_map(|(at, o)| Some((o.held.front()?.since, at)));
        let (since, at) = heads.min()?;
        (since.plus_ms(HOLD_MS) <= now).then_some(at)
    }

    /// Who should own the lease next: a trusted one, the preferred one, the one in the channel longest.
    fn heir(&self) -> Option<ConnId> {
        let rank = |o: &Observer<L>| match o.standing {
            Standing::Joined { turn } => {
                Some((o.trust != Trust::Proven, Some(o.conn) != self.preferred, turn))
            }
            Standing::Joining | Standing::Leaving | Standing::Gone => None,
        };
        self.observers.iter().filter_map(|o| Some((rank(o)?, o.conn))).min().map(|(_, conn)| conn)
    }

    /// When the preferred connection may have the lease that somebody else holds.
    fn preference_due(&self) -> Option<(Time, ConnId)> {
        let c = self.preferred.filter(|c| self.owner != Some(*c))?;
        let observer = &self.observers[self.find(c).ok()?];
        let fit = matches!(observer.standing, Standing::Joined { .. }) && observer.trust == Trust::Proven;
        fit.then_some((observer.prefer_from, c))
    }

    fn wake_for_preference(&mut self) {
        if let Some((due, _)) = self.preference_due() {
            self.wake_by(due);
        }
    }

    fn prefer_now(&mut self, now: Time, out: &mut Vec<L>) {
        if let Some((due, c)) = self.preference_due()
            && due <= now
        {
            self.counters.moved_by_preference += 1;
            self.take(now, c, out);
        }
    }

    fn sweep(&mut self) {
        self.observers.retain(|o| o.standing != Standing::Gone || !o.held.is_empty());
    }
}

/// A line on its way out, and how far the search for earlier ones has come.
struct Frame<L> {
    conn: ConnId,
    entry: Held<L>,
    next: usize,
}
