//! Who is told in an admin room what happens to their connection, and what they are told there.
//!
//! Whoever has an admin room is told nothing of it in the rooms where they speak. The bot has nobody to tell.

use std::collections::HashSet;

use super::super::effect::Effect;
use super::super::ending::{End, Ending};
use super::super::news::{First, News, Reach};
use super::super::session::Session;
use super::{Life, Network};
use crate::ids::{Nick, PuppetId, RoomId, Time, UserId};

/// Those who have an admin room: as many as there are such rooms.
#[derive(Debug, Default)]
pub(super) struct Reached(HashSet<UserId>);

impl Network {
    /// Somebody has an admin room, or has none any more.
    pub(super) fn reach_known(&mut self, user: UserId, reach: Reach) {
        match reach {
            Reach::AdminRoom => self.reached.0.insert(user),
            Reach::Rooms => self.reached.0.remove(&user),
        };
    }

    /// True for who is told what happens to their connection in their admin room.
    pub(super) fn is_reached(&self, user: &UserId) -> bool {
        self.reached.0.contains(user)
    }

    /// Gives news to a puppet's person; false where they have no admin room, and are to be told elsewhere.
    pub(super) fn news(&mut self, id: PuppetId, news: News) -> bool {
        let user = self.puppet(id).user.clone();
        let is_reached = self.is_reached(&user) && !self.is_bot(id);
        if is_reached {
            self.out.push(Effect::News { user, news });
        }
        is_reached
    }

    /// A puppet was let in.
    pub(super) fn news_of_connection(&mut self, id: PuppetId) {
        let first = if std::mem::take(&mut self.puppet(id).is_new) { First::Yes } else { First::No };
        let session = self.puppets[id.0 as usize].session.as_ref();
        if let Some(nick) = session.and_then(Session::nick).map(|nick| nick.as_str().to_owned()) {
            self.news(id, News::Connected { nick, first });
        }
    }

    /// A puppet that wants to be on IRC is not, and is to try again then.
    pub(super) fn news_of_loss(&mut self, id: PuppetId, why: &str, again: Time) {
        let wants_back = {
            let puppet = &self.puppets[id.0 as usize];
            puppet.may_dial() && self.life == Life::Running
        };
        if wants_back {
            self.news(id, News::Lost { why: why.to_owned(), again });
        }
    }

    /// A puppet is held. True where its person is told so, or was answered: who wanted it was.
    pub(super) fn news_of_hold(&mut self, id: PuppetId, end: &End) -> bool {
        if end.ending == Ending::Quit {
            return self.is_reached(&self.puppets[id.0 as usize].user);
        }
        let removed_after_ms = self.doomed_ms(id);
        self.news(id, News::Held { end: end.clone(), removed_after_ms }) && self.told_everywhere(id)
    }

    /// A puppet sleeps. True where its person is told so.
    pub(super) fn news_of_sleep(&mut self, id: PuppetId, why: &str) -> bool {
        self.news(id, News::Asleep { why: why.to_owned() }) && self.told_everywhere(id)
    }

    /// The network gave a puppet another nick than was asked for.
    pub(super) fn news_of_nick(&mut self, id: PuppetId, from: &Nick, to: &Nick, asked: Option<&Nick>) {
        let session = self.puppets[id.0 as usize].session.as_ref();
        if asked != Some(to) && from != to && session.is_some_and(Session::is_ready) {
            self.news(id, News::Renamed { from: from.as_str().to_owned(), to: to.as_str().to_owned() });
        }
    }

    /// They know why they are out, whatever room they look at.
    fn told_everywhere(&mut self, id: PuppetId) -> bool {
        let user = self.puppet(id).user.clone();
        let theirs = self.portals.all().map(|portal| &portal.room);
        let theirs: Vec<RoomId> = theirs.filter(|room| self.portals.has(room, &user)).cloned().collect();
        for room in theirs {
            self.told_in(&room, &user);
        }
        true
    }
}
