//! What a puppet has not said yet, here or in its connection's queue: it can be looked for, and changed where it waits.

use std::sync::Arc;

use super::{Puppet, Waiting};
use crate::bridge::relay::to_irc::Saying;
use crate::ids::{InboxSeq, Nick, Target};

impl Puppet {
    /// The first message for which `is_meant` holds of which nothing was said yet, here or in the connection's queue.
    pub fn waiting_whole(&self, is_meant: impl Fn(&Saying) -> bool) -> Option<Arc<Saying>> {
        self.unsaid(is_meant).into_iter().find(|(_, is_whole)| *is_whole).map(|(saying, _)| saying)
    }

    /// The messages that wait, or whose rest does, for which `is_meant` holds; and whether nothing of them was said.
    pub fn unsaid(&self, is_meant: impl Fn(&Saying) -> bool) -> Vec<(Arc<Saying>, bool)> {
        let here = self.waiting.iter().filter(|waiting| is_meant(&waiting.saying));
        let mut found: Vec<_> = here.map(|waiting| (waiting.saying.clone(), !waiting.is_begun())).collect();
        found.extend(self.session.iter().flat_map(|session| session.unsaid(&is_meant)));
        found
    }

    /// A message that waits here, whole, is another now. `false` where there is none.
    pub fn change_waiting(&mut self, changed: &Arc<Saying>) -> bool {
        let is_it = |waiting: &&mut Waiting| waiting.saying.seq == changed.seq && !waiting.is_begun();
        let Some(waiting) = self.waiting.iter_mut().find(is_it) else { return false };
        (waiting.saying, waiting.lines) = (Arc::clone(changed), None);
        true
    }

    /// How many messages wait here.
    pub fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// True when this message waits here.
    pub fn has_message(&self, seq: InboxSeq) -> bool {
        self.waiting.iter().any(|waiting| waiting.saying.seq == seq)
    }

    /// A message that waits.
    pub fn message(&self, seq: InboxSeq) -> Option<Arc<Saying>> {
        let waiting = self.waiting.iter().find(|waiting| waiting.saying.seq == seq)?;
        Some(Arc::clone(&waiting.saying))
    }

    /// Takes one message that waits.
    pub fn take_message(&mut self, seq: InboxSeq) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.saying.seq == seq)?;
        self.waiting.remove(at)
    }

    /// What waits for a nick is for this one now.
    pub fn turn_waiting(&mut self, from: &Nick, to: &Nick) {
        for waiting in &mut self.waiting {
            if waiting.saying.target.nick() == Some(from) && !waiting.is_begun() {
                Arc::make_mut(&mut waiting.saying).target = Target::Nick(to.clone());
                waiting.lines = None;
            }
        }
    }
}
