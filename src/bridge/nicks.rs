//! Which nick is whose, among our own connections.
//!
//! A connection holds its present nick, the one it is asking for, and the one it had before: another stream
//! may show any of them. Only the present one is surely its own, and that only on its own stream; elsewhere
//! the `user@host` of a line tells, where we know our own.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::ids::{ConnId, Nick, PuppetId};

/// Connections of one puppet that are over and still remembered, at most. One more: the oldest is forgotten.
const OVER_MAX: usize = 8;

/// Names of one connection remembered beside its present one, at most. One more: the oldest is forgotten.
const FORMER_MAX: usize = 4;

/// The nicks of our connections.
#[derive(Debug, Default)]
pub struct Nicks {
    /// Several may, and two may even believe to have it: a server that threw one off has told nobody yet.
    holders: HashMap<Nick, Vec<ConnId>>,
    held: HashMap<ConnId, Names>,
    /// Each puppet's last [`OVER_MAX`] connections that are over: lines of them may still come in on others.
    over: HashMap<PuppetId, VecDeque<ConnId>>,
}

#[derive(Debug, Default)]
struct Names {
    present: Option<Nick>,
    asked: Option<Nick>,
    /// Had or asked for before, the newest last; at most [`FORMER_MAX`].
    former: Vec<Nick>,
    /// Those it may have had when it ended.
    at_end: Vec<Nick>,
    known: Known,
}

/// What is known of the `user@host` under which others see a connection.
#[derive(Clone, Debug, Default)]
struct Known {
    mask: Option<Arc<str>>,
    /// The username it gave.
    ident: Option<Arc<str>>,
}

impl Known {
    fn fits(&self, mask: &str) -> bool {
        let user = |mask: &str| mask.split('@').next().unwrap_or_default().to_owned();
        match (&self.mask, &self.ident) {
            (Some(known), _) => user(known) == user(mask),
            // Servers put a sign before a name that nobody confirmed, and cut a long one.
            (None, Some(ident)) => {
                let shown =
                    user(mask).trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).to_lowercase();
                !shown.is_empty() && ident.to_lowercase().starts_with(&shown)
            }
            (None, None) => true,
        }
    }
}

impl Names {
    fn all(&self) -> impl Iterator<Item = &Nick> {
        self.present.iter().chain(&self.asked).chain(&self.former)
    }

    /// What it may go by, now or when it ended.
    fn at_its_end(&mut self) -> Vec<Nick> {
        let mut at_end = std::mem::take(&mut self.at_end);
        at_end.extend(self.present.iter().chain(&self.asked).cloned());
        at_end
    }

    /// All of them, as names it had: the newest [`FORMER_MAX`].
    fn into_former(self) -> impl Iterator<Item = Nick> {
        let mut former = self.former;
        for nick in [self.present, self.asked].into_iter().flatten() {
            former.retain(|other| *other != nick);
            former.push(nick);
        }
        let old = former.len().saturating_sub(FORMER_MAX);
        former.into_iter().skip(old)
    }
}

impl Nicks {
    /// Takes note of a connection's nicks; cheap when nothing changed.
    pub fn update(&mut self, conn: ConnId, present: Option<&Nick>, asked: Option<&Nick>) {
        let same = |held: &Names| held.present.as_ref() == present && held.asked.as_ref() == asked;
        if self.held.get(&conn).is_some_and(same) {
            return;
        }
        let before = self.forget(conn);
        let known = before.known.clone();
        let now = [present, asked];
        let former = before.into_former().filter(|nick| !now.contains(&Some(nick))).collect();
        let (present, asked) = (present.cloned(), asked.cloned());
        self.remember(conn, Names { present, asked, former, at_end: Vec::new(), known });
    }

    /// The connection gave this username.
    pub fn introduced(&mut self, conn: ConnId, ident: &str) {
        self.held.entry(conn).or_default().known.ident = Some(ident.into());
    }

    /// Others see this connection as `user@host`.
    pub fn masked(&mut self, conn: ConnId, mask: &str) {
        if let Some(held) = self.held.get_mut(&conn).filter(|held| held.known.mask.as_deref() != Some(mask)) {
            held.known.mask = Some(mask.into());
        }
    }

    /// `user@host` of this connection, as others see it, once somebody has.
    pub fn mask(&self, conn: ConnId) -> Option<&str> {
        self.held.get(&conn)?.known.mask.as_deref()
    }

    /// The connection is over, or is known to have been thrown off: its nick is anybody's, and its own only
    /// with its mask.
    pub fn remove(&mut self, conn: ConnId) {
        let mut names = self.forget(conn);
        let known = names.known.clone();
        let at_end = names.at_its_end();
        let over = self.over.entry(conn.puppet).or_default();
        if !over.contains(&conn) {
            over.push_back(conn);
        }
        if over.len() > OVER_MAX
            && let Some(oldest) = over.pop_front()
        {
            self.forget(oldest);
        }
        let former = names.into_former().collect();
        self.remember(conn, Names { former, at_end, known, ..Names::default() });
    }

    fn remember(&mut self, conn: ConnId, names: Names) {
        for nick in names.all() {
            self.holders.entry(nick.clone()).or_default().push(conn);
        }
        self.held.insert(conn, names);
    }

    fn forget(&mut self, conn: ConnId) -> Names {
        let names = self.held.remove(&conn).unwrap_or_default();
        for nick in names.all() {
            if let Some(conns) = self.holders.get_mut(nick) {
                conns.retain(|other| *other != conn);
                if conns.is_empty() {
                    self.holders.remove(nick);
                }
            }
        }
        names
    }

    /// True when this connection has this nick, by its own stream.
    pub fn has(&self, conn: ConnId, nick: &Nick) -> bool {
        self.held.get(&conn).is_some_and(|names| names.present.as_ref() == Some(nick))
    }

    /// True when this connection has this nick, or has asked for it and is not answered.
    pub fn may_have(&self, conn: ConnId, nick: &Nick) -> bool {
        let names = |names: &Names| [&names.present, &names.asked].contains(&&Some(nick.clone()));
        self.held.get(&conn).is_some_and(names)
    }

    /// True when this connection may quit under this nick: not under one that it had before, or was refused, which may
    /// be that of an earlier connection of the same person.
    pub fn may_quit_as(&self, conn: ConnId, nick: &Nick) -> bool {
        let at_end = |names: &Names| names.at_end.contains(nick);
        self.may_have(conn, nick) || self.held.get(&conn).is_some_and(at_end)
    }

    /// True when any of ours has this nick.
    pub fn is_ours(&self, nick: &Nick) -> bool {
        self.candidates(nick).any(|conn| self.has(conn, nick))
    }

    /// Which of our connections may be shown under this nick on another stream.
    pub fn candidates(&self, nick: &Nick) -> impl Iterator<Item = ConnId> {
        self.holders.get(nick).into_iter().flatten().copied()
    }

    /// Which of our connections somebody with this nick and `user@host` is.
    pub fn identified(&self, nick: &Nick, mask: Option<&str>) -> Option<ConnId> {
        let is_mask =
            |conn: &ConnId| self.held.get(conn).is_some_and(|held| held.known.mask.as_deref() == mask);
        mask.and_then(|_| self.candidates(nick).find(is_mask))
    }

    /// Whether this connection can be seen as `user@host`: a server may show another host of it than before,
    /// but no other user name.
    pub fn fits(&self, conn: ConnId, mask: Option<&str>) -> bool {
        self.held.get(&conn).zip(mask).is_none_or(|(held, mask)| held.known.fits(mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::casemap::CaseMap;

    #[test]
    fn asking_for_a_nick_takes_it_from_nobody() {
        let conn = |puppet| ConnId { puppet: PuppetId(puppet), generation: 1 };
        let nick = |text| Nick::new(text, CaseMap::Ascii).unwrap();
        let mut nicks = Nicks::default();
        nicks.update(conn(1), Some(&nick("ada")), None);
        nicks.update(conn(2), None, Some(&nick("Ada")));
        assert!(nicks.has(conn(1), &nick("ada")) && !nicks.has(conn(2), &nick("ada")));
        nicks.update(conn(2), None, Some(&nick("ada_")));
        assert!(nicks.has(conn(1), &nick("ada")), "refused");
        assert!(!nicks.is_ours(&nick("ada_")), "not before it has it");
        nicks.remove(conn(1));
        assert!(!nicks.is_ours(&nick("ada")));
    }

    #[test]
    fn one_of_ours_is_known_by_any_of_its_nicks_and_its_mask() {
        let conn = ConnId { puppet: PuppetId(1), generation: 1 };
        let nick = |text| Nick::new(text, CaseMap::Ascii).unwrap();
        let mut nicks = Nicks::default();
        nicks.update(conn, Some(&nick("ada")), None);
        nicks.masked(conn, "~a@h");
        nicks.update(conn, Some(&nick("countess")), Some(&nick("eve")));
        for name in ["ada", "countess", "eve"] {
            assert_eq!(nicks.identified(&nick(name), Some("~a@h")), Some(conn), "{name}");
            assert_eq!(nicks.identified(&nick(name), Some("x@y")), None, "{name}");
        }
        assert_eq!(nicks.identified(&nick("bob"), Some("~a@h")), None);
    }

    #[test]
    fn who_was_refused_a_nick_does_not_quit_under_it() {
        let conn = ConnId { puppet: PuppetId(1), generation: 1 };
        let nick = |text| Nick::new(text, CaseMap::Ascii).unwrap();
        let mut nicks = Nicks::default();
        nicks.update(conn, None, Some(&nick("ada")));
        nicks.update(conn, None, Some(&nick("ada_")));
        nicks.update(conn, Some(&nick("ada_")), Some(&nick("eve")));
        let quits = |nicks: &Nicks| ["ada", "ada_", "eve"].map(|name| nicks.may_quit_as(conn, &nick(name)));
        assert_eq!(quits(&nicks), [false, true, true]);
        nicks.remove(conn);
        nicks.remove(conn);
        assert_eq!(quits(&nicks), [false, true, true], "its QUIT may come later");
        nicks.masked(conn, "~a@h");
        assert_eq!(nicks.identified(&nick("ada"), Some("~a@h")), Some(conn), "for what is said it counts");
    }

    #[test]
    fn before_anybody_has_seen_us_the_username_tells_us_from_others() {
        let conn = ConnId { puppet: PuppetId(1), generation: 1 };
        let mut nicks = Nicks::default();
        assert!(nicks.fits(conn, Some("x@y")), "nothing is known");
        nicks.introduced(conn, "countess10");
        for (mask, fits) in
            [("~countess1@h", true), ("countess10@h", true), ("~duchess@h", false), ("~@h", false)]
        {
            assert_eq!(nicks.fits(conn, Some(mask)), fits, "{mask}");
        }
        nicks.masked(conn, "vanity@h");
        assert!(nicks.fits(conn, Some("vanity@other")) && !nicks.fits(conn, Some("countess10@h")));
    }
}
