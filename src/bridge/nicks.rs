//! Which nick is whose, among our own connections.
//!
//! A connection holds its present nick, the one it is asking for, and the one it had before: another stream
//! may show any of them. Only the present one is surely its own, and that only on its own stream; elsewhere
//! the `user@host` of a line tells, where we know our own.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::ids::{ConnId, Nick, PuppetId};

/// Connections of a puppet that are remembered when they are over.
const OVER_MAX: usize = 4;

/// The nicks of our connections.
#[derive(Debug, Default)]
pub struct Nicks {
    /// Who has, asks for or had a nick, in the order of learning it. Several may: streams differ in time.
    conns: HashMap<Nick, Vec<ConnId>>,
    held: HashMap<ConnId, Names>,
    /// Each puppet's last connections that are over, at most [`OVER_MAX`]: lines of theirs may still be on their
    /// way to others.
    over: HashMap<PuppetId, VecDeque<ConnId>>,
}

#[derive(Debug, Default)]
struct Names {
    present: Option<Nick>,
    asked: Option<Nick>,
    former: Option<Nick>,
    mask: Option<Arc<str>>,
}

impl Names {
    fn all(&self) -> impl Iterator<Item = &Nick> {
        self.present.iter().chain(&self.asked).chain(&self.former)
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
        let renamed = before.present.as_ref() != present;
        let former = if renamed { before.present } else { before.former };
        let names = Names { present: present.cloned(), asked: asked.cloned(), former, mask: before.mask };
        self.remember(conn, names);
    }

    /// Others see this connection as `user@host`.
    pub fn masked(&mut self, conn: ConnId, mask: &str) {
        if let Some(held) = self.held.get_mut(&conn).filter(|held| held.mask.as_deref() != Some(mask)) {
            held.mask = Some(mask.into());
        }
    }

    /// The connection is over, or is known to have been thrown off: its nick is anybody's, and its own only
    /// with its mask.
    pub fn remove(&mut self, conn: ConnId) {
        let Names { present, former, mask, .. } = self.forget(conn);
        if mask.is_none() {
            // It was in no channel: nobody waits for lines of it.
            return;
        }
        let over = self.over.entry(conn.puppet).or_default();
        if !over.contains(&conn) {
            over.push_back(conn);
        }
        if over.len() > OVER_MAX
            && let Some(oldest) = over.pop_front()
        {
            self.forget(oldest);
        }
        self.remember(conn, Names { former: present.or(former), mask, ..Names::default() });
    }

    fn remember(&mut self, conn: ConnId, names: Names) {
        for nick in names.all() {
            self.conns.entry(nick.clone()).or_default().push(conn);
        }
        self.held.insert(conn, names);
    }

    fn forget(&mut self, conn: ConnId) -> Names {
        let names = self.held.remove(&conn).unwrap_or_default();
        for nick in names.all() {
            if let Some(conns) = self.conns.get_mut(nick) {
                conns.retain(|other| *other != conn);
                if conns.is_empty() {
                    self.conns.remove(nick);
                }
            }
        }
        names
    }

    /// Which of our connections has this nick, by its own stream: the latest to say so.
    pub fn present(&self, nick: &Nick) -> Option<ConnId> {
        self.known(nick).rfind(|conn| self.has(*conn, nick))
    }

    fn has(&self, conn: ConnId, nick: &Nick) -> bool {
        self.held.get(&conn).is_some_and(|names| names.present.as_ref() == Some(nick))
    }

    fn known(&self, nick: &Nick) -> impl DoubleEndedIterator<Item = ConnId> {
        self.conns.get(nick).into_iter().flatten().copied()
    }

    /// Which of our connections may be shown under this nick on another stream; who has it comes first.
    pub fn candidates(&self, nick: &Nick) -> impl Iterator<Item = ConnId> {
        let present = self.present(nick);
        present.into_iter().chain(self.known(nick).filter(move |conn| Some(*conn) != present))
    }

    /// Which of our connections somebody with this nick and `user@host` is.
    pub fn identified(&self, nick: &Nick, mask: Option<&str>) -> Option<ConnId> {
        let is_mask = |conn: &ConnId| self.held.get(conn).is_some_and(|held| held.mask.as_deref() == mask);
        mask.and_then(|_| self.candidates(nick).find(is_mask))
    }

    /// Whether this connection can be seen as `user@host`: a server may show another host of it than before,
    /// but no other user name.
    pub fn fits(&self, conn: ConnId, mask: Option<&str>) -> bool {
        let user = |mask: &str| mask.split('@').next().map(str::to_owned);
        let known = self.held.get(&conn).and_then(|held| held.mask.as_deref());
        known.zip(mask).is_none_or(|(known, mask)| user(known) == user(mask))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::casemap::CaseMap;

    #[test]
    fn asking_for_a_nick_takes_it_from_nobody() {
        let first = |nicks: &Nicks, nick: &Nick| nicks.candidates(nick).next();
        let conn = |puppet| ConnId { puppet: PuppetId(puppet), generation: 1 };
        let nick = |text| Nick::new(text, CaseMap::Ascii).unwrap();
        let mut nicks = Nicks::default();
        nicks.update(conn(1), Some(&nick("ada")), None);
        nicks.update(conn(2), None, Some(&nick("Ada")));
        assert_eq!(first(&nicks, &nick("ada")), Some(conn(1)));
        nicks.update(conn(2), None, Some(&nick("ada_")));
        assert_eq!(first(&nicks, &nick("ada")), Some(conn(1)), "refused, and still the first one's");
        assert_eq!(first(&nicks, &nick("ada_")), Some(conn(2)));
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
}
