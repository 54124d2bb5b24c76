//! Which nick is whose, among our own connections.
//!
//! A connection holds its present nick and the one it is asking for: another stream may show the new one
//! before its own does. A nick asked for is held weakly: it may be another's, also another of ours.

use std::collections::HashMap;

use crate::ids::{ConnId, Nick};

/// The nicks of our connections.
#[derive(Debug, Default)]
pub struct Nicks {
    present: HashMap<Nick, ConnId>,
    asked: HashMap<Nick, ConnId>,
    held: HashMap<ConnId, [Option<Nick>; 2]>,
}

impl Nicks {
    /// Takes note of a connection's nicks; cheap when nothing changed.
    pub fn update(&mut self, conn: ConnId, present: Option<&Nick>, asked: Option<&Nick>) {
        let same = |held: &[Option<Nick>; 2]| held[0].as_ref() == present && held[1].as_ref() == asked;
        if self.held.get(&conn).is_some_and(same) {
            return;
        }
        self.forget(conn);
        if let Some(nick) = present {
            self.present.insert(nick.clone(), conn);
        }
        if let Some(nick) = asked {
            self.asked.insert(nick.clone(), conn);
        }
        self.held.insert(conn, [present.cloned(), asked.cloned()]);
    }

    /// The connection is over, or is known to have been thrown off: its nicks are anybody's.
    pub fn forget(&mut self, conn: ConnId) {
        let [present, asked] = self.held.remove(&conn).unwrap_or_default();
        for (nick, map) in [(present, &mut self.present), (asked, &mut self.asked)] {
            if let Some(nick) = nick
                && map.get(&nick) == Some(&conn)
            {
                map.remove(&nick);
            }
        }
    }

    /// Which of our connections goes by this nick: the one that has it, else the one that asks for it.
    pub fn holder(&self, nick: &Nick) -> Option<ConnId> {
        self.present.get(nick).or_else(|| self.asked.get(nick)).copied()
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
}
