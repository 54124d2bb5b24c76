//! Nicks that puppets wish for and somebody else has: services are asked for them where the puppet is logged in,
//! the server tells when they come free where it can (MONITOR), and whoever is seen leaving one frees it.

use std::collections::HashMap;

use super::super::queries::watch::Why;
use super::super::session::register::LoginEnd;
use super::Network;
use crate::ids::{Nick, PuppetId};
use crate::text::nick::Alphabet;

/// So often a nick is wished for again after somebody took it from a connection that had it. Services that
/// enforce a nick, and a person who has it on another client as well, would go on for ever.
const TAKEN_MAX: u32 = 2;

/// Who wishes for which nick. Two who wish for one: the later.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    by_nick: HashMap<Nick, PuppetId>,
    /// How often a puppet's present connection has lost the nick that it had.
    taken: HashMap<PuppetId, u32>,
    /// Whether a nick in letters beyond ASCII was refused as one that no nick can be: then none is asked for again.
    ascii_only: bool,
}

/// Whether services are asked for a nick: once for each connection, for they give it to whoever asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Services {
    Asked,
    LeftAlone,
}

impl Network {
    /// The letters that nicks are made of here.
    pub(super) fn alphabet(&self) -> Alphabet {
        if self.wishes.ascii_only { Alphabet::Ascii } else { self.isupport.alphabet() }
    }

    /// The server says that this is no nick.
    pub(super) fn nick_is_illegal(&mut self, nick: Option<&Nick>) {
        self.wishes.ascii_only |= nick.is_some_and(|nick| !nick.as_str().is_ascii());
    }

    /// A puppet got another nick. `asked`: the one it had asked for.
    pub(super) fn nick_changed(&mut self, id: PuppetId, to: &Nick, asked: Option<&Nick>) {
        let wished = Nick::new(&self.wished_nick(&self.puppets[id.0 as usize]), self.map());
        if asked != Some(to) && wished.as_ref() != Some(to) {
            let taken = self.wishes.taken.entry(id).or_default();
            *taken += 1;
            if *taken > TAKEN_MAX {
                return;
            }
        }
        self.compare_nick(id, Services::LeftAlone);
    }

    /// A puppet's connection is ready, or its nick is another: whether it is the one they wish for.
    pub(super) fn compare_nick(&mut self, id: PuppetId, services: Services) {
        let wished = Nick::new(&self.wished_nick(&self.puppets[id.0 as usize]), self.map());
        let (Some(wished), Some(session)) = (wished, &self.puppets[id.0 as usize].session) else { return };
        let (present, login) = (session.nick().cloned(), session.login_end().clone());
        if !session.is_ready() {
            return;
        }
        if present.as_ref() == Some(&wished) {
            return self.wish_fulfilled(id, &wished);
        }
        if self.wishes.by_nick.insert(wished.clone(), id) == Some(id) {
            return;
        }
        let before = |(nick, by): (&Nick, &PuppetId)| (*by == id && *nick != wished).then(|| nick.clone());
        if let Some(before) = self.wishes.by_nick.iter().find_map(before) {
            self.wishes.by_nick.remove(&before);
            self.unwatch(id, Why::Wish, &before);
        }
        self.watch(id, Why::Wish, &wished);
        if let (LoginEnd::LoggedIn, Services::Asked, Some(services)) =
            (login, services, self.policy.services.clone())
        {
            // Services give an account's nick back to who is logged in, and to nobody else.
            let words = format!("REGAIN {wished}");
            self.with_session(id, |session, out| session.write_to(&services.nick, &words, out));
        }
    }

    fn wish_fulfilled(&mut self, id: PuppetId, nick: &Nick) {
        if self.wishes.by_nick.get(nick) == Some(&id) {
            self.wishes.by_nick.remove(nick);
            self.unwatch(id, Why::Wish, nick);
        }
    }

    /// A connection is over: what it wished for will be wished for anew.
    pub(super) fn forget_wishes(&mut self, id: PuppetId) {
        self.wishes.taken.remove(&id);
        self.wishes.by_nick.retain(|_, puppet| *puppet != id);
    }

    /// Nobody has this nick any more.
    pub(super) fn nick_freed(&mut self, nick: &Nick) {
        if let Some(id) = self.wishes.by_nick.get(nick).copied() {
            self.rename(id);
        }
    }
}
