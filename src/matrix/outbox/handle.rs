//! The side of those who have something to say.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::OutboxHandle;
use super::log::{Job, Removal};
use super::work::{Joined, Rule, Work};
use crate::bridge::effect::{Mark, Meanwhile, Post, Redact, Relay};
use crate::bridge::input::{BarRow, Input};
use crate::ids::{RelaySeq, RoomId, UserId};

impl OutboxHandle {
    /// Takes a line, in the order of calls per room. Never blocks; above [`LANE_MAX`] lines for a room its
    /// oldest waiting line fails.
    pub fn submit(&self, relay: Relay) {
        self.take(Post::Line(relay));
    }

    /// As [`submit`](Self::submit), for a mark. One of the bot's that is refused is counted and forgotten.
    pub fn mark(&self, mark: Mark) {
        self.take(Post::Mark(mark));
    }

    /// As [`submit`](Self::submit), for a redaction.
    pub fn redact(&self, redact: Redact) {
        self.take(Post::Redact(redact));
    }

    fn take(&self, post: Post) {
        self.desk.log.put(&post);
        self.desk.push(Work::Fresh(post.into()));
    }

    /// As [`submit`](Self::submit), for what the log holds already: what an earlier run left behind, which it may have
    /// tried to send.
    pub fn restore(&self, post: Post) {
        self.desk.push(Work::Old(post.into()));
    }

    /// As [`restore`](Self::restore), for all that an earlier run left behind, in order. Lines that it had joined to one
    /// event come with the first of them there ever was, and stay joined.
    pub fn restore_all(&self, posts: Vec<(Post, Option<RelaySeq>)>) {
        let mut joined: BTreeMap<RelaySeq, Vec<Relay>> = BTreeMap::new();
        for (post, first) in &posts {
            if let (Post::Line(relay), Some(first)) = (post, first) {
                joined.entry(*first).or_default().push(relay.clone());
            }
        }
        for (post, first) in posts {
            match first {
                // With the first of them that is left, all of them: they stood together.
                Some(first) => {
                    if let Some(relays) = joined.remove(&first) {
                        self.desk.push(Work::Joined(Joined { first, relays, rule: Rule::Kept }));
                    }
                }
                None => self.restore(post),
            }
        }
    }

    /// Removes somebody from a room in the bot's name, after everything submitted for that room so far. `asker` is told
    /// what the homeserver says to each attempt; see [`Meanwhile`] for what waits while it refuses.
    pub fn kick(
        &self,
        room: RoomId,
        user: UserId,
        reason: String,
        meanwhile: Meanwhile,
        asker: mpsc::Sender<Input>,
    ) {
        let removal = Removal { room, user, reason, meanwhile, asker, refusals: 0 };
        self.desk.push(Work::Fresh(Job::Kick(removal)));
    }

    /// As [`kick`](Self::kick), for a removal of an earlier run, which has told the room of it. To be given before what that
    /// run left behind.
    pub fn kick_again(&self, bar: BarRow, asker: mpsc::Sender<Input>) {
        let BarRow { room, user, reason } = bar;
        let removal = Removal { room, user, reason, meanwhile: Meanwhile::Withheld, asker, refusals: 1 };
        self.desk.push(Work::Fresh(Job::Kick(removal)));
    }

    /// A removal that the homeserver refused in this room may go well now: it is tried at once.
    pub fn hasten(&self, room: &RoomId) {
        self.desk.hasten(room);
    }

    /// Somebody need not be removed any more; what waits behind that goes on at once.
    pub fn pardon(&self, room: &RoomId, user: &UserId) {
        self.desk.pardon(room, user);
    }

    /// Another room takes the place of this one: nobody has to be removed from it any more. What was kept back there fails, so
    /// that nobody reads it unseen; `to` is told how many lines that were.
    pub fn vacate(&self, room: &RoomId, to: &RoomId) {
        self.desk.vacate(room, to);
    }

    /// True while somebody is to be removed from this room who must not read on there: what is shown in another way than by
    /// this outbox has to wait as well.
    pub fn withholds(&self, room: &RoomId) -> bool {
        self.desk.queue().bars.withholds(room)
    }

    /// Things that wait in rooms from which somebody cannot be removed.
    pub fn withheld(&self) -> usize {
        self.desk.queue().withheld()
    }

    /// Lets a ghost leave a room, after everything submitted for that room so far.
    pub fn leave(&self, room: RoomId, user: UserId, reason: String) {
        self.desk.push(Work::Fresh(Job::Leave { room, user, reason }));
    }

    /// Things waiting and in hand.
    pub fn len(&self) -> usize {
        self.desk.queue().len()
    }

    /// True when nothing waits and nothing is in hand for this room.
    pub fn is_quiet(&self, room: &RoomId) -> bool {
        self.desk.queue().is_quiet(room)
    }

    /// True when everything has been said.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True when so much waits for a room that its lines are joined.
    pub fn is_behind(&self, room: &RoomId) -> bool {
        self.desk.queue().is_behind(room)
    }

    /// Rooms that wait because the last attempt there failed.
    pub fn rooms_parked(&self) -> usize {
        self.desk.queue().parked()
    }

    /// Lines that went because too many waited, since the start.
    pub fn dropped(&self) -> u64 {
        self.desk.dropped.load(Ordering::Relaxed)
    }

    /// Marks that were refused or went because too much waited, since the start.
    pub fn marks_lost(&self) -> u64 {
        self.desk.marks_lost.load(Ordering::Relaxed)
    }

    /// Waits until everything has been said, at most so long. Returns how much is left; the log has it.
    pub async fn drain(&self, at_most: Duration) -> usize {
        let emptied = async {
            loop {
                let notified = self.desk.empty.notified();
                let mut notified = std::pin::pin!(notified);
                notified.as_mut().enable();
                if self.is_empty() {
                    return;
                }
                notified.await;
            }
        };
        let _ = tokio::time::timeout(at_most, emptied).await;
        self.len()
    }
}
