//! What comes in on a channel's connections: who speaks, enters, leaves, changes a nick, and who is listed.
//!
//! Each observer's stream is believed for itself only: it changes that observer's account of who is ours, and the
//! roster only where it is the nominee's.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ledger::Key;
use super::roster::{Going, News};
use super::witness::View;
use super::{Channel, Heard, Whose};
use crate::bridge::input::BodyKind;
use crate::bridge::nicks::Nicks;
use crate::bridge::session::seen::{Quitting, Speaking, Uttered, Visibility};
use crate::ids::{ConnId, Nick, Time};

impl Channel {
    /// Somebody speaks on this observer's stream; `mask` is their `user@host`. A line of ours goes no further: it is
    /// returned with who of us says it, as far as that is known.
    pub fn said(
        &mut self,
        now: Time,
        conn: ConnId,
        line: Heard,
        mask: Option<&str>,
        nicks: &Nicks,
        heard: &mut Vec<Heard>,
    ) -> Option<(ConnId, Heard)> {
        let view = self.observers.get(&conn)?;
        let folded = match &line.from {
            Speaking::Person(nick) if view.is_ours(nick, mask, nicks) => {
                return view.whose(nick, mask, nicks).map(|speaker| (speaker, line));
            }
            Speaking::Person(nick) => Arc::from(nick.folded()),
            Speaking::Server(name) => Arc::from(name.as_str()),
        };
        let key = self.key(&line, folded);
        let peers = Arc::clone(view.present());
        self.ledger.observe(now, conn, key, line, &peers, heard);
        None
    }

    /// What makes other sightings of a line known again. Its name counts only where all who observe are shown names:
    /// else the sightings of one line would have different keys.
    fn key(&self, line: &Heard, nick: Arc<str>) -> Key {
        let are_named = self.observers.keys().all(|observer| !self.untagged.contains(observer));
        let (kind, text) = match &line.what {
            Uttered::Words(words) => (words.kind, Arc::from(words.text.as_str())),
            // No text of a line has a NUL in it.
            Uttered::Reaction { to, key } => (BodyKind::Notice, format!("\0react {to} {key}").into()),
            Uttered::Unreaction { to, key } => (BodyKind::Notice, format!("\0unreact {to} {key}").into()),
            // It has no name of its own, and happens once.
            Uttered::Redaction { of, .. } if are_named => {
                return Key::MsgId(format!("\0redact {of}").into());
            }
            Uttered::Redaction { of, .. } => (BodyKind::Notice, format!("\0redact {of}").into()),
        };
        match &line.stamp.msgid {
            Some(msgid) if are_named => Key::MsgId(Arc::clone(msgid)),
            Some(_) | None => Key::Said { nick, kind, target: Arc::clone(&self.target), text },
        }
    }

    /// Somebody speaks to those of a rank only (STATUSMSG), on the stream of any of ours who is here. Nobody knows whom
    /// of ours it reaches, so no ledger can wait for it: the first sighting is relayed, and each stream shows it once.
    pub fn said_aside(
        &mut self,
        now: Time,
        conn: ConnId,
        line: Heard,
        mask: Option<&str>,
        nicks: &Nicks,
        heard: &mut Vec<Heard>,
    ) {
        let is_ours = |nick: &Nick| match self.observers.get(&conn) {
            Some(view) => view.is_ours(nick, mask, nicks),
            None => nicks.is_ours(nick),
        };
        let nick: Arc<str> = match &line.from {
            Speaking::Person(nick) if is_ours(nick) => return,
            Speaking::Person(nick) => Arc::from(nick.folded()),
            Speaking::Server(name) => Arc::from(name.as_str()),
        };
        let key = self.key(&line, nick);
        if self.has_entered(conn) && self.asides.is_new(now, conn, key) {
            heard.push(line);
        }
    }

    /// Which of ours quits under this nick on an observer's stream, and since when that stream has shown all that was
    /// said here. Not who is known to go by another nick: an earlier connection of the same person, perhaps of a process
    /// that is no more, looks like it but for the nick.
    pub fn quits_and_shown_since(
        &self,
        conn: ConnId,
        nick: &Nick,
        mask: Option<&str>,
        nicks: &Nicks,
    ) -> Option<(ConnId, Time)> {
        let view = self.observers.get(&conn)?;
        let quitter = view.whose(nick, mask, nicks)?;
        let is_it = nicks.may_quit_as(quitter, nick) && !view.is_shown_otherwise(quitter, nick, nicks);
        is_it.then_some((quitter, view.since()?))
    }

    /// The observers whose streams would have shown what `speaker` said at this time, or are to show it.
    pub fn witnesses(&self, speaker: ConnId, at: Time) -> impl Iterator<Item = ConnId> {
        let saw = move |view: &View| {
            view.since().is_some_and(|since| since <= at) && view.present().contains(&speaker)
        };
        self.observers
            .iter()
            .filter(move |(conn, view)| **conn != speaker && saw(view))
            .map(|(conn, _)| *conn)
    }

    /// Another nick entered, on this observer's stream. Whoever was known under it is gone.
    ///
    /// Where it is one of ours, servers may have met again after a netsplit: what was said in it was never shown here.
    pub fn joined(&mut self, now: Time, conn: ConnId, nick: &Nick, mask: Option<&str>, nicks: &Nicks) {
        if let Some(view) = self.observers.get_mut(&conn) {
            view.leaves(nick);
        }
        self.show(conn, nick, mask, nicks);
        if let Some(view) = self.observers.get_mut(&conn).filter(|view| view.is_ours(nick, mask, nicks)) {
            view.reads_from(now);
        }
        if self.is_owner(conn) {
            self.roster.join(nick);
        }
    }

    /// A nick left (PART, KICK), on this observer's stream.
    pub fn left(&mut self, conn: ConnId, nick: &Nick, going: Going) {
        if let Some(view) = self.observers.get_mut(&conn) {
            view.leaves(nick);
        }
        if self.is_owner(conn) {
            self.roster.leave(nick, going);
        }
    }

    /// A nick quit, on this observer's stream. Returns which of our connections it was, if one.
    pub fn quit(
        &mut self,
        conn: ConnId,
        nick: &Nick,
        mask: Option<&str>,
        how: Quitting,
        nicks: &Nicks,
    ) -> Option<ConnId> {
        if self.is_owner(conn) {
            self.roster.leave(nick, Going::Quit(how));
        }
        let view = self.observers.get_mut(&conn)?;
        let has_it = |conn: &ConnId| nicks.has(*conn, nick) && nicks.fits(*conn, mask);
        let named = view.perhaps(nick).chain(nicks.identified(nick, mask)).find(has_it);
        let who = view.leaves(nick).or(named);
        if let Some(who) = who {
            self.ledger.split_off(conn, who);
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
    pub fn names(&mut self, conn: ConnId, visibility: Visibility, list: Vec<(String, Nick)>, nicks: &Nicks) {
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
            self.visibility_shown(visibility);
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
            self.topic_not_shown();
        }
    }

    /// What is new in who is here, since the last call.
    pub fn take_news(&mut self) -> News {
        self.roster.take_news()
    }

    /// Who goes by this nick on the nominee's stream.
    pub fn whose(&self, nick: &Nick, nicks: &Nicks) -> Whose {
        match self.owner_view().filter(|view| view.is_ours(nick, None, nicks)) {
            Some(view) => Whose::Ours(view.whose(nick, None, nicks)),
            None => Whose::Theirs,
        }
    }

    /// Notes one of ours under its nick, where the nick is or may be one of ours and asked for this channel.
    fn show(&mut self, conn: ConnId, nick: &Nick, mask: Option<&str>, nicks: &Nicks) {
        let Some(view) = self.observers.get_mut(&conn) else { return };
        let counts = |holder: &ConnId| {
            self.members.contains_key(holder) || self.ledger.parties().any(|c| c == *holder)
        };
        // On its own stream a connection goes by the nick it has, whatever it asks for.
        let is_other = |holder: &ConnId| *holder != conn || nicks.has(conn, nick);
        let is_apt = |holder: &ConnId| counts(holder) && is_other(holder) && nicks.fits(*holder, mask);
        let has_it = |holder: &ConnId| is_apt(holder) && nicks.has(*holder, nick);
        // A slow stream shows who is out already and still holds lines, under the nick of its successor.
        let is_out = |holder: &ConnId| is_apt(holder) && !self.members.contains_key(holder);
        let is_only = !nicks.candidates(nick).any(|holder| is_out(&holder));
        if let Some(holder) = nicks.identified(nick, mask).filter(|holder| is_only && has_it(holder)) {
            return view.shows(nick.clone(), holder);
        }
        // Who asks for a nick may have got it, by a line that its own stream has yet to show; or this stream has yet to
        // show who had it before giving it up.
        let mut may: BTreeSet<ConnId> = nicks.candidates(nick).filter(is_apt).collect();
        if may.iter().any(|holder| nicks.has(*holder, nick) || is_out(holder)) {
            may.retain(|holder| nicks.may_have(*holder, nick) || is_out(holder));
        }
        view.may_show(nick.clone(), may);
    }

    /// A nick that `conn` had asked for is not its own: no stream's account holds it for ours any more.
    pub fn disown(&mut self, conn: ConnId, nick: &Nick) {
        self.observers.values_mut().for_each(|view| view.disown(nick, conn));
    }
}
