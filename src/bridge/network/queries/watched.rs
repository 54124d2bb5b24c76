//! Nicks of private chats that come and go, where the server tells (IRCv3 "monitor").
//!
//! Whoever writes to a nick that nobody has learns so by the server's answer. Who is in the midst of a chat learns it
//! before they write, and when the nick is back: once for each, and not of a moment's absence. A chat that was quiet for
//! a day hears nothing. A nick that is back may be somebody else's: what they say is brought to a room of their own (see
//! the account and mask of [`Who`](super::super::super::queries::Who)), and another address is told with their return.

use super::super::super::queries::watch::{Order, Why};
use super::super::super::queries::{Absence, Pair, Place, Query};
use super::super::super::session::Session;
use super::super::super::timer::Timer;
use super::Network;
use crate::ids::{ConnId, Nick, PuppetId, Time, UserId};

/// An absence that is shorter is told to nobody.
const MOMENT_MS: u64 = 30_000;
/// After so long without a word in a chat, its person is not told who comes and goes.
const QUIET_MS: u64 = 86_400_000;
/// Nicks of one MONITOR line, in bytes: with all else it is below 512.
const LINE_BYTES_MAX: usize = 400;
/// ERR_MONLISTFULL.
const LIST_FULL: &str = "734";

// What is watched.
impl Network {
    /// A connection can talk: what its puppet's chats need is watched again, those that talked last being the newest.
    pub(in super::super) fn watch_again(&mut self, id: PuppetId) {
        let Some(max) = self.isupport.monitor else { return };
        self.watches.opened(id, max);
        let user = self.puppets[id.0 as usize].user.clone();
        let open = self.queries.of_user(&user).filter(|(_, query)| is_open(query));
        let mut open: Vec<(Option<Time>, Nick)> =
            open.map(|((_, nick), query)| (query.talked, nick.clone())).collect();
        open.sort();
        let orders = open.iter().flat_map(|(_, nick)| self.watches.want(id, Why::Chat, nick)).collect();
        self.order(orders);
    }

    pub(in super::super) fn watch(&mut self, id: PuppetId, why: Why, nick: &Nick) {
        if self.isupport.monitor.is_some() {
            let orders = self.watches.want(id, why, nick);
            self.order(orders);
        }
    }

    pub(in super::super) fn unwatch(&mut self, id: PuppetId, why: Why, nick: &Nick) {
        let orders = self.watches.unwant(id, why, nick);
        self.order(orders);
    }

    /// A connection is over; others watch what they want to know of.
    pub(in super::super) fn watches_no_more(&mut self, id: PuppetId) {
        let orders = self.watches.over(id);
        self.order(orders);
    }

    /// The server tells of no more nicks than it does.
    pub(in super::super) fn watch_refused(&mut self, conn: ConnId, nicks: &[Nick]) {
        self.counts.refused(LIST_FULL);
        let orders = self.watches.refused(conn.puppet, nicks);
        self.order(orders);
    }

    /// Chats began, ended or stand elsewhere.
    pub(in super::super) fn watch_changed(&mut self) {
        for (user, nick) in self.queries.take_changed() {
            let Some(id) = self.puppet_ids.get(&user).copied() else { continue };
            let session = self.puppets[id.0 as usize].session.as_ref();
            let pair = (user, nick);
            match self.queries.get(&pair).is_some_and(is_open) {
                true if session.is_some_and(Session::is_ready) => self.watch(id, Why::Chat, &pair.1),
                true => {}
                false => self.unwatch(id, Why::Chat, &pair.1),
            }
        }
    }

    /// Tells servers, with as few lines as fit.
    fn order(&mut self, orders: Vec<Order>) {
        let mut lines: Vec<(PuppetId, &str, String)> = Vec::new();
        for order in &orders {
            let (by, sign, nick) = match order {
                Order::Watch { by, nick } => (*by, "+", nick.as_str()),
                Order::Leave { by, nick } => (*by, "-", nick.as_str()),
            };
            match lines.last_mut() {
                Some((id, known, nicks))
                    if (*id, *known) == (by, sign) && nicks.len() + nick.len() < LINE_BYTES_MAX =>
                {
                    nicks.push(',');
                    nicks.push_str(nick);
                }
                _ => lines.push((by, sign, nick.to_owned())),
            }
        }
        for (by, sign, nicks) in lines {
            self.with_session(by, |session, out| session.monitor(sign, &nicks, out));
        }
    }
}

// What is told.
impl Network {
    /// Nobody has these nicks.
    pub(in super::super) fn went_offline(&mut self, nicks: &[Nick]) {
        for nick in nicks {
            self.nick_freed(nick);
            for pair in self.chats_with(nick) {
                self.is_absent(&pair);
            }
        }
    }

    /// These nicks are in use.
    pub(in super::super) fn are_online(&mut self, people: &[(Nick, Option<String>)]) {
        for (nick, mask) in people {
            for pair in self.chats_with(nick) {
                self.is_back(&pair, mask.as_deref());
            }
        }
    }

    fn chats_with(&self, nick: &Nick) -> Vec<Pair> {
        let theirs = self.queries.all().filter(|((_, other), query)| other == nick && is_open(query));
        theirs.map(|(pair, _)| pair.clone()).collect()
    }

    fn is_absent(&mut self, pair: &Pair) {
        let now = self.now;
        let Some(query) = self.queries.get_mut(pair) else { return };
        match query.absence {
            // Of a chat that has just begun, or after a time in which nobody watched, there is nothing to wait for.
            Absence::Unknown => {
                query.absence = Absence::Since(now);
                self.tell_absence(pair);
            }
            Absence::Here | Absence::Since(_) => {
                query.absence = Absence::Since(now);
                if let Some(id) = self.puppet_ids.get(&pair.0).copied() {
                    self.timers.arm(Timer::Queries(id), now.plus_ms(MOMENT_MS));
                }
            }
            Absence::Told => {}
        }
    }

    /// Tells somebody of absences that have lasted; gives when the next one has.
    pub(super) fn absences_due(&mut self, user: &UserId) -> Option<Time> {
        let since = |query: &Query| match query.absence {
            Absence::Since(since) => Some(since.plus_ms(MOMENT_MS)),
            Absence::Unknown | Absence::Here | Absence::Told => None,
        };
        let absent =
            self.queries.of_user(user).filter_map(|(pair, query)| Some((pair.clone(), since(query)?)));
        let (due, later): (Vec<_>, Vec<_>) = absent.partition(|(_, at)| *at <= self.now);
        for (pair, _) in due {
            self.tell_absence(&pair);
        }
        later.into_iter().map(|(_, at)| at).min()
    }

    fn tell_absence(&mut self, pair: &Pair) {
        let Some(query) = self.queries.get_mut(pair) else { return };
        let is_lively = query.talked.is_some_and(|at| self.now.since_ms(at) < QUIET_MS);
        let Place::Open(room) = query.place.clone() else { return };
        // Where nobody watches any more they may be back.
        if !is_lively || !self.watches.is_watched(&pair.1) {
            return;
        }
        query.absence = Absence::Told;
        let (nick, network) = (&pair.1, &self.policy.network_name);
        let text = format!(
            "{nick} is not on {network} now: what you write here cannot be delivered until they are back."
        );
        self.tell(&room, text, None);
        self.save_query(pair);
    }

    fn is_back(&mut self, pair: &Pair, mask: Option<&str>) {
        let Some(query) = self.queries.get_mut(pair) else { return };
        let was_told = query.absence == Absence::Told;
        query.absence = Absence::Here;
        let Place::Open(room) = query.place.clone() else { return };
        if !was_told {
            return;
        }
        let (nick, network) = (&pair.1, &self.policy.network_name);
        let other = mask.filter(|mask| query.who.mask.as_deref().is_some_and(|known| known != *mask));
        let words = other.map(|mask| {
            format!(" They come from another address than before ({mask}): it may be somebody else.")
        });
        let text = format!("{nick} is on {network} again.{}", words.unwrap_or_default());
        self.tell(&room, text, None);
        self.save_query(pair);
    }

    /// A nick has said something to its partner: it is there.
    pub(super) fn nick_speaks(&mut self, pair: &Pair) {
        self.talked(pair);
        let Some(query) = self.queries.get_mut(pair) else { return };
        if std::mem::replace(&mut query.absence, Absence::Here) == Absence::Told {
            self.save_query(pair);
        }
    }

    /// One of the two of a chat has said something.
    pub(in super::super) fn talked(&mut self, pair: &Pair) {
        let now = self.now;
        let Some(query) = self.queries.get_mut(pair) else { return };
        query.talked = Some(now);
        if let (true, Some(id)) = (is_open(query), self.puppet_ids.get(&pair.0).copied())
            && self.puppets[id.0 as usize].session.as_ref().is_some_and(Session::is_ready)
        {
            // The newest again.
            self.watch(id, Why::Chat, &pair.1);
        }
    }
}

/// True while the person is in the room.
fn is_open(query: &Query) -> bool {
    matches!(query.place, Place::Open(_))
}
