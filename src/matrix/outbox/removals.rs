//! People who are to go: what happens when the homeserver refuses, and when nobody wants it any more.

use std::sync::atomic::Ordering;

use super::bars;
use super::homeserver::Homeserver;
use super::log::{Job, Removal};
use super::work::{Attempt, Work};
use super::{Desk, LEFT_BEHIND, Outbox};
use crate::bridge::effect::Meanwhile;
use crate::ids::{RoomId, UserId};
use crate::matrix::client::ClientError;

impl<H: Homeserver> Outbox<H> {
    /// The homeserver refuses to remove somebody: it is asked again, and what was said after it waits as long.
    pub(super) async fn not_removed(&self, mut removal: Removal, error: &ClientError) -> Attempt {
        let (room, user) = (removal.room.clone(), removal.user.clone());
        tracing::warn!(%room, %user, %error, refusals = removal.refusals, "could not remove a user");
        let is_withheld = removal.meanwhile == Meanwhile::Withheld;
        if is_withheld {
            self.desk.queue().bars.refused(&room, &user);
        } else {
            self.desk.removal_over(&removal);
        }
        removal.answer(Err(error.to_string())).await;
        if !is_withheld {
            return Attempt::Over;
        }
        removal.refusals = removal.refusals.saturating_add(1);
        if removal.refusals == 1 {
            self.tell_barred(&room, &user).await;
        }
        let wait = bars::wait(removal.refusals);
        Attempt::Again(Work::Fresh(Job::Kick(removal)), Some(wait))
    }

    async fn tell_barred(&self, room: &RoomId, user: &UserId) {
        let txn = format!("bunraku.barred.{:x}.{}", self.run, self.barred.fetch_add(1, Ordering::Relaxed));
        let words = format!(
            "{user} is not in this room's channel on IRC, and I am not allowed to remove them from the room. So that nobody \
             reads unseen, what is said on IRC waits until they leave or are in the channel."
        );
        if let Err(error) = self.voice.tell(room, &txn, &words).await {
            tracing::debug!(%room, %error, "a room could not be told why nothing is shown there");
        }
    }
}

impl Desk {
    /// A removal is over if nobody wants it any more.
    pub(super) fn is_pardoned(&self, removal: &Removal) -> bool {
        let mut queue = self.queue();
        let is_pardoned = queue.bars.is_pardoned(&removal.room, &removal.user);
        if is_pardoned {
            queue.bars.end(&removal.room, &removal.user);
        }
        is_pardoned
    }

    pub(super) fn removal_over(&self, removal: &Removal) {
        self.queue().bars.end(&removal.room, &removal.user);
    }

    pub(super) fn pardon(&self, room: &RoomId, user: &UserId) {
        let goes_on = self.queue().pardon(room, user);
        self.goes_on(goes_on);
    }

    pub(super) fn vacate(&self, room: &RoomId, to: &RoomId) {
        let (left, goes_on) = {
            let mut queue = self.queue();
            let is_barred = queue.bars.place(room).is_some();
            (queue.vacate(room, to), is_barred)
        };
        left.into_iter().for_each(|job| self.lose(job, LEFT_BEHIND));
        self.goes_on(goes_on);
    }

    pub(super) fn hasten(&self, room: &RoomId) {
        let goes_on = self.queue().hasten(room);
        self.goes_on(goes_on);
    }

    fn goes_on(&self, goes_on: bool) {
        if goes_on {
            self.alarm.notify_one();
            self.work.notify_one();
        }
    }
}
