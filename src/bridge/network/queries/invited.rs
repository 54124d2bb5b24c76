//! What people of Matrix do about private chats: they invite a ghost, come, leave, and bring others.
//!
//! A private chat has two. A third ends it: the ghost leaves, in words.

use super::super::super::effect::{Effect, Outcome, QueryStep};
use super::super::super::input::{Member, Membership};
use super::super::super::policy::Shown;
use super::super::super::queries::{Pair, Place, Query, Who};
use super::Network;
use crate::ids::{InboxSeq, Nick, PuppetId, RoomId, UserId};

/// Invitations that are refused in words in a minute; more are left unanswered.
const REFUSALS_MAX: u32 = 30;
/// Invitations of all people together that are taken in a minute.
const CONTACTS_ALL_MAX: u32 = 120;

/// A membership event.
pub struct Change {
    pub room: RoomId,
    pub sender: UserId,
    pub target: Member,
    pub membership: Membership,
    pub is_direct: bool,
}

impl Network {
    /// Somebody's membership changed in a room that is no channel's. `seq` is settled here, or when it is known what came
    /// of an invitation.
    pub(in super::super) fn changed_elsewhere(&mut self, seq: InboxSeq, change: Change) {
        let (of_us, by_us) = (self.is_ours(&change.target.user), self.is_ours(&change.sender));
        let pair = self.queries.of_room(&change.room).map(|(pair, _)| pair.clone());
        match (pair, change.membership) {
            (Some(pair), _) => self.changed_in_query(&pair, &change),
            (None, Membership::Invite) if of_us && !by_us => return self.invited(seq, change),
            (None, Membership::Invite) if by_us && !of_us && change.is_direct => self.adopt_query(change),
            (None, _) => {}
        }
        self.settle(seq, Outcome::Delivered);
    }

    /// Something changed in the room of a private chat.
    fn changed_in_query(&mut self, pair: &Pair, change: &Change) {
        let ghost = self.ghost_user(&pair.1);
        let (target, by_us) = (&change.target.user, self.is_ours(&change.sender));
        match change.membership {
            Membership::Leave | Membership::Ban if *target == pair.0 => self.partner_left(pair, &change.room),
            Membership::Leave | Membership::Ban if Some(target) == ghost.as_ref() && !by_us => {
                self.put_out_of_query(pair);
            }
            Membership::Join if *target == pair.0 => self.partner_came(pair, change),
            // A ghost that follows a nick is invited by the one before.
            Membership::Invite | Membership::Join
                if *target != pair.0 && Some(target) != ghost.as_ref() && !by_us =>
            {
                let reason = "private chats are for two: begin a new one to go on without others";
                if self.is_ours(target) {
                    let (room, ghost, reason) = (change.room.clone(), target.clone(), reason.to_owned());
                    self.out.push(Effect::LeaveQuery { room, ghost, reason });
                }
                self.end_query(pair, reason);
            }
            Membership::Join
            | Membership::Invite
            | Membership::Leave
            | Membership::Ban
            | Membership::Knock => {}
        }
    }

    /// The person left: nothing more goes there until the nick says something.
    fn partner_left(&mut self, pair: &Pair, room: &RoomId) {
        let Some(query) = self.queries.get(pair) else { return };
        match &query.place {
            // They declined what waits for them.
            Place::Doing(doing) if matches!(doing.step, QueryStep::Invite { .. }) => self.tell_unheard(pair),
            Place::Open(_) => {}
            Place::Doing(_) => return self.end_query(pair, "nobody is there any more"),
            Place::Left(_) => return,
        }
        self.queries.set_place(pair, Place::Left(room.clone()));
        self.fail_for_partner(pair, "you left the room before it could be sent");
        self.save_query(pair);
    }

    /// The person accepted, or came back.
    fn partner_came(&mut self, pair: &Pair, change: &Change) {
        let id = self.ensure_puppet(&pair.0, None);
        let is_renamed = change.target.display_name.is_some()
            && self.puppet(id).display_name != change.target.display_name;
        if is_renamed {
            self.puppet(id).display_name = change.target.display_name.clone();
            self.rename(id);
        }
        let has_left = matches!(self.queries.get(pair).map(|query| &query.place), Some(Place::Left(_)));
        if has_left {
            self.queries.set_place(pair, Place::Open(change.room.clone()));
        }
        if has_left || is_renamed {
            self.save_query(pair);
        }
    }

    /// The ghost was made to leave: what was said and not heard yet goes to a new room.
    fn put_out_of_query(&mut self, pair: &Pair) {
        let room = self.queries.get(pair).and_then(|query| query.place.room().cloned());
        self.out.extend(room.map(|room| Effect::DropQuery { room }));
        self.fail_for_partner(pair, &format!("{} is no longer in the room", pair.1));
        self.begin_anew(pair);
    }

    /// Somebody invites a ghost.
    fn invited(&mut self, seq: InboxSeq, change: Change) {
        let Change { room, sender, target, is_direct, .. } = change;
        let Some(nick) = self.nick_of_ghost(&target.user) else {
            return self.settle(seq, Outcome::Delivered);
        };
        if let Err(reason) = self.may_invite(&sender, &nick, is_direct) {
            self.refuse_invitation(room, target.user, reason);
            return self.settle(seq, Outcome::Delivered);
        }
        let pair = (sender.clone(), nick);
        let Some(ghost) = self.query_ghost(&pair.1) else { return self.settle(seq, Outcome::Delivered) };
        let (mut query, is_new) = match self.queries.remove(&pair) {
            Some(query) => (query, false),
            None => (Query::new(Place::Open(room.clone()), Who::default()), true),
        };
        if !is_new {
            self.leave_behind(&pair, &mut query, &room);
        }
        let step = QueryStep::Enter { room, user: sender, ghost };
        let place = Place::doing(step.clone());
        query.place = place.answering(seq);
        self.queries.insert(pair, query);
        self.out.push(Effect::Query(step));
    }

    /// A chat goes on in another room: the ghost leaves the one it had.
    fn leave_behind(&mut self, pair: &Pair, query: &mut Query, next: &RoomId) {
        let ghosts = self.ghosts_of(pair, &query.place);
        if let Place::Doing(doing) = &query.place
            && let Some(seq) = doing.seq
        {
            self.settle(seq, Outcome::Delivered);
        }
        let Some(room) = query.place.room().filter(|room| *room != next).cloned() else { return };
        for ghost in ghosts {
            let (room, reason) = (room.clone(), "this chat goes on in another room".to_owned());
            self.out.push(Effect::LeaveQuery { room, ghost, reason });
        }
        self.out.push(Effect::DropQuery { room });
    }

    /// Whether somebody may begin a private chat with a nick; if not, why.
    pub(in super::super) fn may_invite(
        &mut self,
        user: &UserId,
        nick: &Nick,
        is_direct: bool,
    ) -> Result<(), String> {
        if self.policy.queries.from_matrix == Shown::Off {
            return Err("this bridge carries no private chats".to_owned());
        }
        self.may_chat_from_there(user)?;
        if !is_direct {
            return Err(format!(
                "{nick} can be talked to in private chats only: begin a direct chat with them"
            ));
        }
        if let Some(why) = self.is_one_of_ours(nick) {
            return Err(why);
        }
        if let Some(excluded) = self.exclusion_of(user) {
            return Err(excluded.words());
        }
        self.may_write_first(user)
    }

    fn may_chat_from_there(&self, user: &UserId) -> Result<(), String> {
        if self.policy.queries.federate == Shown::Off && user.server() != self.policy.server_name {
            return Err("this bridge carries no private chats with people of other homeservers".to_owned());
        }
        Ok(())
    }

    /// Whether somebody may write to one more nick whom they have no private chat with, by whatever way; then it counts.
    pub(in super::super) fn may_write_first(&mut self, user: &UserId) -> Result<(), String> {
        self.may_chat_from_there(user)?;
        let id = self.ensure_puppet(user, None);
        let max = self.policy.queries.contacts_per_minute;
        let taken = self.query_paces.1.take(self.now, id, max, CONTACTS_ALL_MAX);
        taken.map_err(|_| "you begin private chats too fast: try again in a minute".to_owned())?;
        self.homeserver_contacts(user)
    }

    /// Somebody wants the room of their chat with a nick, by a command: it is made, or they are invited to it again.
    pub(in super::super) fn begin_query_with(&mut self, pair: &Pair) {
        let Some(ghost) = self.query_ghost(&pair.1) else { return };
        match self.queries.get(pair).map(|query| query.place.clone()) {
            Some(Place::Open(_) | Place::Doing(_)) => {}
            Some(Place::Left(room)) => {
                self.ask_for(pair, QueryStep::Invite { room, user: pair.0.clone(), ghost });
            }
            None => {
                let step = QueryStep::Create { user: pair.0.clone(), ghost };
                self.queries.insert(pair.clone(), Query::new(Place::doing(step.clone()), Who::default()));
                self.out.push(Effect::Query(step));
            }
        }
    }

    fn refuse_invitation(&mut self, room: RoomId, ghost: UserId, reason: String) {
        if self.refusals.take(self.now, PuppetId(0), REFUSALS_MAX, REFUSALS_MAX).is_ok() {
            self.out.push(Effect::LeaveQuery { room, ghost, reason });
        }
    }

    /// A ghost of ours has invited somebody in a room that is not known: an earlier run made it and ended before it could
    /// remember it, or its answer is on its way.
    fn adopt_query(&mut self, change: Change) {
        let Some(nick) = self.nick_of_ghost(&change.sender) else { return };
        let pair = (change.target.user.clone(), nick);
        match self.queries.get(&pair).map(|query| query.place.clone()) {
            None => {
                self.ensure_puppet(&pair.0, None);
                self.queries.insert(pair.clone(), Query::new(Place::Open(change.room), Who::default()));
                self.save_query(&pair);
            }
            Some(Place::Doing(doing)) if matches!(doing.step, QueryStep::Create { .. }) => {
                self.room_made(&pair, doing, change.room, None);
            }
            Some(_) => {
                let reason = "this chat goes on in another room".to_owned();
                self.out.push(Effect::LeaveQuery { room: change.room, ghost: change.sender, reason });
            }
        }
    }
}
