//! How far messages have come that were given to connections.

use super::super::effect::Effect;
use crate::ids::{InboxSeq, Nick, PuppetId};
use crate::text::irc_codes::Codes;

/// How far a message that was given to a connection has come.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) by: PuppetId,
    /// The nick it was said under.
    pub(super) nick: Option<Nick>,
    pub(super) lines_open: usize,
    pub(super) written: Written,
    pub(super) again: Again,
    /// Whether some of it was said with formatting codes.
    pub(super) codes: Codes,
}

/// Whether the kernel has all lines of a message, on the connection that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    No,
    Yes,
}

/// Whether a line of a message was said a second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    No,
    Yes,
}

impl Progress {
    /// True the first time: what is lost twice is not worth a third.
    pub(super) fn may_be_said_again(&self) -> bool {
        self.again == Again::No
    }

    pub(super) fn said_again(&mut self) {
        self.again = Again::Yes;
    }

    /// Nothing more of it is to be written on this connection: that is to be noted, once.
    pub(super) fn written(&mut self, seq: InboxSeq) -> Option<Effect> {
        let before = std::mem::replace(&mut self.written, Written::Yes);
        (before == Written::No).then_some(Effect::Written { puppet: self.by, seq })
    }
}
