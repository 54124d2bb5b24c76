//! Which nick is whose, among our own connections.
//!
//! A connection holds its present nick, the one it is asking for, and the one it had before: another stream
//! may show any of them. Only the present one is surely its own, and that only on its own stream; elsewhere
//! the `user@host` of a line tells, where we know our own.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ids::{ConnId, Nick};

/// The nicks of our connections.
#[derive(Debug, Default)]
pub struct Nicks {
    present: HashMap<Nick, ConnId>,
    asked: HashMap<Nick, ConnId>,
    former: HashMap<Nick, ConnId>,
    held: HashMap<ConnId, Names>,
}

#[derive(Debug, Default)]
struct Names {
    present: Option<Nick>,
    asked: Option<Nick>,
    former: Option<Nick>,
    mask: Option<Arc<str>>,
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
        let held = Names {
            present: present.cloned(),
            asked: asked.cloned(),
            former: if renamed { before.present } else { before.former },
            mask: before.mask,
        };
        for (nick, map) in held.maps(&mut self.present, &mut self.asked, &mut self.former) {
            map.insert(nick.clone(), conn);
        }
        self.held.insert(conn, held);
    }

    /// Others see this connection as `user@host`.
    pub fn masked(&mut self, conn: ConnId, mask: &str) {
        if let Some(held) = self.held.get_mut(&conn).filter(|held| held.mask.as_deref() != Some(mask)) {
            held.mask = Some(mask.into());
        }
    }

    /// The connection is over, or is known to have been thrown off: its nicks are anybody's.
    pub fn remove(&mut self, conn: ConnId) {
        self.forget(conn);
    }

    fn forget(&mut self, conn: ConnId) -> Names {
        let held = self.held.remove(&conn).unwrap_or_default();
        for (nick, map) in held.maps(&mut self.present, &mut self.asked, &mut self.former) {
            if map.get(nick) == Some(&conn) {
                map.remove(nick);
            }
        }
        held
    }

    /// Which of our connections has this nick, by its own stream.
    pub fn present(&self, nick: &Nick) -> Option<ConnId> {
        self.present.get(nick).copied()
    }

    /// Which of our connections may be shown under this nick on another stream.
    pub fn holder(&self, nick: &Nick) -> Option<ConnId> {
        self.candidates(nick).next()
    }

    /// Which of our connections somebody with this nick and `user@host` is.
    pub fn identified(&self, nick: &Nick, mask: Option<&str>) -> Option<ConnId> {
        let is_mask = |conn: &ConnId| self.held.get(conn).is_some_and(|held| held.mask.as_deref() == mask);
        mask.and_then(|_| self.candidates(nick).find(is_mask))
    }

    fn candidates(&self, nick: &Nick) -> impl Iterator<Item = ConnId> {
        [&self.present, &self.asked, &self.former].into_iter().filter_map(|map| map.get(nick).copied())
    }
}

type Map = HashMap<Nick, ConnId>;

impl Names {
    /// Each nick with the map it stands in.
    fn maps<'a>(
        &self,
        present: &'a mut Map,
        asked: &'a mut Map,
        former: &'a mut Map,
    ) -> impl Iterator<Item = (&Nick, &'a mut Map)> {
        let all = [(&self.present, present), (&self.asked, asked), (&self.former, former)];
        all.into_iter().filter_map(|(nick, map)| Some((nick.as_ref()?, map)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PuppetId;
    use crate::text::casemap::CaseMap;

    #[test]
    fn asking_for_a_nick_takes_it_from_nobody() {
        let conn = |puppet| ConnId { puppet: PuppetId(puppet), generation: 1 };
        let nick = |text| Nick::new(text, CaseMap::Ascii).unwrap();
        let mut nicks = Nicks::default();
        nicks.update(conn(1), Some(&nick("ada")), None);
        nicks.update(conn(2), None, Some(&nick("Ada")));
        assert_eq!(nicks.holder(&nick("ada")), Some(conn(1)));
        nicks.update(conn(2), None, Some(&nick("ada_")));
        assert_eq!(nicks.holder(&nick("ada")), Some(conn(1)), "refused, and still the first one's");
        assert_eq!(nicks.holder(&nick("ada_")), Some(conn(2)));
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
