//! Whose typing a channel shows: it is worth too little for the ledger.
//!
//! What the owner's stream shows counts, and no other: nobody is shown twice, nothing is held, and where the owner is not
//! shown tags nobody is seen typing.

use super::Channel;
use crate::bridge::nicks::Nicks;
use crate::ids::{ConnId, Nick};

impl Channel {
    /// True when this connection's word on somebody who types counts, and they are none of ours; `mask` is their
    /// `user@host`.
    pub fn shows_typing(&self, conn: ConnId, who: &Nick, mask: Option<&str>, nicks: &Nicks) -> bool {
        let view = self.observers.get(&conn).filter(|_| self.is_owner(conn));
        view.is_some_and(|view| !view.is_ours(who, mask, nicks))
    }
}
