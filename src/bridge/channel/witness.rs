//! What one observer's own stream shows of our other connections in a channel.
//!
//! A nick is unique on a network at any one moment, but two streams show a change at different times. So each
//! observer keeps its own account, made only from what its own stream showed: a line is one of ours exactly
//! when the nick that says it belonged to one of ours at that place of that stream.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::ledger::Peers;
use crate::bridge::nicks::Nicks;
use crate::ids::{ConnId, Nick, Time};

/// One observer's account.
#[derive(Clone, Debug, Default)]
pub struct View {
    ours: HashMap<Nick, ConnId>,
    /// Perhaps ours, or one of several: a list names no `user@host`, and its nicks may be older or newer than
    /// what we know.
    perhaps: HashMap<Nick, BTreeSet<ConnId>>,
    /// Shared with the lines that were seen while it was so.
    present: Peers,
    /// A list of names that is coming in.
    listing: Option<BTreeSet<Nick>>,
    /// Since when the stream shows all that is said; `None` until it shows itself in the channel.
    since: Option<Time>,
}

impl View {
    /// What another observer may believe of it: the two streams are not at the same place, and a nick that was
    /// ours in this one may be a stranger's in the other, which will never show the change.
    pub fn as_hearsay(&self) -> Self {
        let ours = self.ours.iter().map(|(nick, conn)| (nick.clone(), BTreeSet::from([*conn])));
        let perhaps = self.perhaps.clone().into_iter().chain(ours).collect();
        Self { perhaps, present: Arc::clone(&self.present), ..Self::default() }
    }

    /// The stream shows one of ours in the channel, under this nick.
    pub fn shows(&mut self, nick: Nick, conn: ConnId) {
        self.leaves(&nick);
        self.ours.insert(nick, conn);
        Arc::make_mut(&mut self.present).insert(conn);
    }

    /// From now on the stream shows all that is said.
    pub fn reads_from(&mut self, now: Time) {
        self.since = Some(now);
    }

    /// Since when the stream shows all that is said.
    pub fn since(&self) -> Option<Time> {
        self.since
    }

    /// The stream shows somebody who may be one of these of ours.
    pub fn may_show(&mut self, nick: Nick, conns: BTreeSet<ConnId>) {
        if !self.ours.contains_key(&nick) && !conns.is_empty() {
            Arc::make_mut(&mut self.present).extend(&conns);
            self.perhaps.insert(nick, conns);
        }
    }

    /// The stream shows this nick leaving: returns which of ours it surely was.
    pub fn leaves(&mut self, nick: &Nick) -> Option<ConnId> {
        let conn = self.ours.remove(nick);
        let perhaps = self.perhaps.remove(nick).unwrap_or_default();
        perhaps.into_iter().chain(conn).for_each(|conn| self.forget_absent(conn));
        conn
    }

    /// Who is shown under no nick any more is not in the channel.
    fn forget_absent(&mut self, conn: ConnId) {
        let is_shown = self.ours.values().chain(self.perhaps.values().flatten()).any(|other| *other == conn);
        if !is_shown {
            Arc::make_mut(&mut self.present).remove(&conn);
        }
    }

    /// The stream shows a nick change. A nick is one person's: whoever was known under the new one is gone.
    pub fn renames(&mut self, from: &Nick, to: &Nick) {
        if from != to {
            self.leaves(to);
        }
        if let Some(conn) = self.ours.remove(from) {
            self.ours.insert(to.clone(), conn);
        }
        if let Some(conns) = self.perhaps.remove(from) {
            self.perhaps.insert(to.clone(), conns);
        }
    }

    /// `conn` did not get this nick after all: who goes by it is somebody else.
    pub fn disown(&mut self, nick: &Nick, conn: ConnId) {
        if self.ours.get(nick) == Some(&conn) {
            self.ours.remove(nick);
        }
        if let Some(conns) = self.perhaps.get_mut(nick) {
            conns.remove(&conn);
        }
        self.forget_absent(conn);
    }

    /// Which of ours says a line under this nick, for sure.
    pub fn ours(&self, nick: &Nick) -> Option<ConnId> {
        self.ours.get(nick).copied()
    }

    /// Which of ours may say a line under this nick.
    pub fn perhaps(&self, nick: &Nick) -> impl Iterator<Item = ConnId> {
        self.perhaps.get(nick).into_iter().flatten().copied()
    }

    /// True when who says a line on this stream is one of ours: shown so, known by `user@host`, or named by a list
    /// under a nick that one of ours has now.
    pub fn is_ours(&self, nick: &Nick, mask: Option<&str>, nicks: &Nicks) -> bool {
        let is_named = |conn| nicks.has(conn, nick) && nicks.fits(conn, mask);
        self.ours(nick).is_some()
            || nicks.identified(nick, mask).is_some()
            || self.perhaps(nick).any(is_named)
    }

    /// Which of ours somebody is on this stream, where only one of us can be meant.
    pub fn whose(&self, nick: &Nick, mask: Option<&str>, nicks: &Nicks) -> Option<ConnId> {
        let only = || {
            let mut perhaps = self.perhaps(nick).filter(|conn| nicks.fits(*conn, mask));
            perhaps.next().filter(|_| perhaps.next().is_none())
        };
        self.ours(nick).or_else(only).or_else(|| nicks.identified(nick, mask))
    }

    /// Whether the stream shows this connection under another nick, surely or by a list that names its own.
    pub fn is_shown_otherwise(&self, conn: ConnId, nick: &Nick, nicks: &Nicks) -> bool {
        let perhaps = |(other, conns): (&Nick, &BTreeSet<ConnId>)| {
            other != nick && conns.contains(&conn) && nicks.has(conn, other)
        };
        self.ours.iter().any(|(other, shown)| other != nick && *shown == conn)
            || self.perhaps.iter().any(perhaps)
    }

    /// Those of ours that the stream shows in the channel. Not only those who observe: one of the others may
    /// take a seat while a line of now still waits.
    pub fn present(&self) -> &Peers {
        &self.present
    }

    /// A list of names shows these nicks; those that may be ours were shown already.
    pub fn lists<'a>(&mut self, nicks: impl Iterator<Item = &'a Nick>) {
        let known = nicks.filter(|nick| self.ours.contains_key(*nick) || self.perhaps.contains_key(*nick));
        self.listing.get_or_insert_default().extend(known.cloned());
    }

    /// The list is complete, and is the whole truth at this place of the stream: who is not on it is not there.
    pub fn list_ends(&mut self) {
        let Some(listing) = self.listing.take() else { return };
        self.ours.retain(|nick, _| listing.contains(nick));
        self.perhaps.retain(|nick, _| listing.contains(nick));
        let shown = self.ours.values().chain(self.perhaps.values().flatten());
        self.present = Arc::new(shown.copied().collect());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PuppetId;
    use crate::text::casemap::CaseMap;

    fn nick(text: &str) -> Nick {
        Nick::new(text, CaseMap::Ascii).unwrap()
    }

    fn conn(puppet: u32) -> ConnId {
        ConnId { puppet: PuppetId(puppet), generation: 1 }
    }

    #[test]
    fn a_nick_is_ours_only_while_this_stream_shows_it_so() {
        let mut view = View::default();
        view.shows(nick("Ada"), conn(1));
        assert_eq!(view.ours(&nick("ada")), Some(conn(1)));
        view.renames(&nick("ada"), &nick("countess"));
        assert_eq!(view.ours(&nick("ada")), None, "the old nick is anybody's now");
        assert_eq!(view.leaves(&nick("Countess")), Some(conn(1)));
        assert_eq!(view.ours(&nick("countess")), None);
        assert!(view.present().is_empty());
    }

    #[test]
    fn what_another_stream_showed_is_hearsay() {
        let mut view = View::default();
        view.shows(nick("ada"), conn(1));
        let hearsay = view.as_hearsay();
        assert_eq!(hearsay.ours(&nick("ada")), None, "on this stream it may be a stranger's by now");
        assert_eq!(hearsay.perhaps(&nick("ada")).collect::<Vec<_>>(), [conn(1)]);
        assert_eq!(hearsay.present(), view.present());
    }

    #[test]
    fn who_is_shown_under_one_nick_does_not_go_by_another() {
        let (mut view, mut nicks) = (View::default(), Nicks::default());
        nicks.update(conn(1), Some(&nick("ada")), Some(&nick("eve")));
        let otherwise = |view: &View| view.is_shown_otherwise(conn(1), &nick("eve"), &nicks);
        assert!(!otherwise(&view));
        view.may_show(nick("bob"), [conn(1)].into());
        assert!(!otherwise(&view), "a list, and no nick of hers");
        view.may_show(nick("ada"), [conn(1)].into());
        assert!(otherwise(&view));
        view.renames(&nick("ada"), &nick("eve"));
        assert!(!otherwise(&view), "the stream shows what she asked for");
        view.shows(nick("ada"), conn(1));
        assert!(otherwise(&view));
    }

    #[test]
    fn a_stranger_who_takes_a_nick_of_ours_is_a_stranger() {
        let mut view = View::default();
        view.shows(nick("ada"), conn(1));
        view.renames(&nick("eve"), &nick("Ada"));
        assert_eq!(view.ours(&nick("ada")), None, "ours had it before, and its QUIT was not shown here");
        assert!(view.present().is_empty());
        view.shows(nick("bob"), conn(2));
        view.renames(&nick("bob"), &nick("Bob"));
        assert_eq!(view.ours(&nick("bob")), Some(conn(2)), "another spelling is the same nick");
    }
}
