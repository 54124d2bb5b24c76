//! What a message answers, and how much of that may and has to be said.
//!
//! Only what is remembered of the same room is spoken of, in the machine's own order. Nothing is quoted that whoever
//! answers has not seen: what was said before they came, as far as this run knows, and what was taken back.

use std::collections::BTreeMap;

use super::super::input::Relation;
use super::super::policy::Shown;
use super::super::relay::memory::{Author, Life, Order};
use super::super::relay::to_irc::answer::{Answer, Told};
use super::Network;
use crate::ids::{EventId, RoomId, UserId};

/// Messages in between after which it is no longer clear what is answered.
const FRESH_MAX: usize = 5;
/// People whose last thread is remembered, at most. Full: all are forgotten, and their next message says what it
/// answers.
const THREADS_MAX: usize = 4_096;

/// Which thread somebody spoke in last, and when.
pub(super) type Threads = BTreeMap<(RoomId, UserId), (EventId, Order)>;

impl Network {
    /// What somebody's message in a room answers.
    pub(super) fn reply(&mut self, room: &RoomId, sender: &UserId, relation: &Relation) -> Option<Answer> {
        let (to, goes_on) = match relation {
            Relation::None | Relation::Edit { .. } => return None,
            Relation::Reply { to } => (to, false),
            Relation::Thread { root, to } => {
                let goes_on = self.goes_on(room, sender, root);
                (to.as_ref().unwrap_or(root), goes_on && to.is_none())
            }
        };
        let (order, said) = self.memory.by_event(room, to)?;
        let may_quote = said.life == Life::Stands
            && !said.excerpt.is_empty()
            && self.policy.forms.reply_quotes == Shown::On
            && self.saw(room, sender, order);
        let is_fresh = self.is_fresh(room, order, &said.author);
        // Between two people nobody has to be told who is spoken to.
        let goes_on = goes_on || (is_fresh || !may_quote) && self.queries.of_room(room).is_some();
        let told = match (goes_on, is_fresh, may_quote) {
            (true, _, _) => Told::Nothing,
            (false, false, true) => Told::Quote(said.excerpt.clone()),
            (false, true, _) | (false, false, false) => Told::Author,
        };
        Some(Answer { of: to.clone(), to: said.author.clone(), told, msgid: said.msgids.first().cloned() })
    }

    /// Whether a message is its author's last, and of a moment ago.
    fn is_fresh(&self, room: &RoomId, order: Order, author: &Author) -> bool {
        let Some(later) = self.memory.since(room, order) else { return false };
        let mut count = 0;
        for said in later {
            count += 1;
            if count > FRESH_MAX || said.author == *author {
                return false;
            }
        }
        true
    }

    /// Whether somebody's last message was in this thread too, a moment ago. Notes that they speak there now.
    fn goes_on(&mut self, room: &RoomId, sender: &UserId, root: &EventId) -> bool {
        if self.threads.len() >= THREADS_MAX {
            self.threads.clear();
        }
        let now = self.memory.now();
        let before = self.threads.insert((room.clone(), sender.clone()), (root.clone(), now));
        let Some((_, order)) = before.filter(|(before, _)| before == root) else { return false };
        let own = Author::Matrix(sender.clone());
        // The message at that place is the one that was said in the thread.
        let later = self.memory.since(room, order);
        later.is_some_and(|later| later.filter(|said| said.author != own).count() <= FRESH_MAX)
    }
}
