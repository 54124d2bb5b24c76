//! Which nick is whose, among our own connections.
//!
//! A connection holds its present nick and the one it is asking for: another stream may show the new one
//! before its own does.

use std::collections::HashMap;

use crate::ids::{ConnId, Nick};

/// The nicks of our connections.
#[derive(Debug, Default)]
pub struct Nicks {
    holders: HashMap<Nick, ConnId>,
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
        let nicks = [present.cloned(), asked.cloned()];
        for nick in nicks.iter().flatten() {
            self.holders.insert(nick.clone(), conn);
        }
        self.held.insert(conn, nicks);
    }

    /// The connection is over, or is known to have been thrown off: its nicks are anybody's.
    pub fn forget(&mut self, conn: ConnId) {
        for nick in self.held.remove(&conn).into_iter().flatten().flatten() {
            if self.holders.get(&nick) == Some(&conn) {
                self.holders.remove(&nick);
            }
        }
    }

    /// Which of our connections goes by this nick.
    pub fn holder(&self, nick: &Nick) -> Option<ConnId> {
        self.holders.get(nick).copied()
    }
}
