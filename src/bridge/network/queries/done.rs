//! What came of what the homeserver was asked for, and how private chats end.

use super::super::super::effect::{Effect, Outcome, QueryStep};
use super::super::super::input::{QueryFault, QueryRoom};
use super::super::super::queries::{Doing, Pair, Place};
use super::super::super::session::Session;
use super::super::super::timer::Timer;
use super::Network;
use crate::ids::{Nick, PuppetId, RoomId, Target, Time, UserId};

/// How often something is asked for before it is given up.
const TRIES_MAX: u32 = 6;
/// The wait after the first failure; it doubles.
const AGAIN_MS: u64 = 5_000;

impl Network {
    /// What became of something that was asked for.
    pub(in super::super) fn query_done(&mut self, step: QueryStep, result: Result<QueryRoom, QueryFault>) {
        let Some(nick) = self.nick_of_ghost(&step.ghost().user) else { return };
        let pair = (step.user().clone(), nick);
        let doing = match self.queries.get(&pair).map(|query| &query.place) {
            Some(Place::Doing(doing)) if doing.step == step => doing.clone(),
            Some(_) | None => return self.nobody_waits(&step, result),
        };
        match result {
            Ok(QueryRoom { room, display_name }) => self.room_made(&pair, doing, room, display_name),
            Err(QueryFault::Later(_)) if doing.tries + 1 < TRIES_MAX => self.try_again(&pair, doing),
            Err(QueryFault::Later(why) | QueryFault::Refused(why)) => self.gave_up(&pair, doing, &why),
            Err(QueryFault::Crowd) => {
                self.gave_up(&pair, doing, "private chats are for two, and there are others in this room");
            }
        }
    }

    /// A room that nobody waits for any more is left.
    fn nobody_waits(&mut self, step: &QueryStep, result: Result<QueryRoom, QueryFault>) {
        let Ok(QueryRoom { room, .. }) = result else { return };
        if self.queries.of_room(&room).is_none() {
            let (ghost, reason) = (step.ghost().user.clone(), "this chat has ended".to_owned());
            self.out.push(Effect::LeaveQuery { room: room.clone(), ghost, reason });
            self.out.push(Effect::DropQuery { room });
        }
    }

    /// The chat has its room: what waited for it is said there.
    pub(super) fn room_made(
        &mut self,
        pair: &Pair,
        doing: Doing,
        room: RoomId,
        display_name: Option<String>,
    ) {
        let id = self.ensure_puppet(&pair.0, None);
        let puppet = self.puppet(id);
        puppet.display_name = puppet.display_name.take().or(display_name);
        self.queries.set_place(pair, Place::Open(room.clone()));
        self.save_query(pair);
        if let QueryStep::Move { from, .. } = doing.step {
            let reason = format!("now known as {}", pair.1);
            self.out.push(Effect::LeaveQuery { room, ghost: from.user, reason });
        }
        if let Some(seq) = doing.seq {
            self.settle(seq, Outcome::Delivered);
        }
        self.say_what_waited(pair);
        self.talked(pair);
        self.talks(id);
        self.ask_to_dial(id);
    }

    fn say_what_waited(&mut self, pair: &Pair) {
        let Some(query) = self.queries.get_mut(pair) else { return };
        let Place::Open(room) = query.place.clone() else { return };
        let (waiting, left_out) = query.take_waiting();
        for heard in waiting {
            self.relay_privately(&room, &pair.1, &heard);
        }
        if left_out > 0 {
            let text = format!(
                "{left_out} more lines of {} came before this room was ready, and are left out.",
                pair.1
            );
            self.tell(&room, text, None);
        }
    }

    fn try_again(&mut self, pair: &Pair, doing: Doing) {
        let again = self.now.plus_ms(AGAIN_MS << doing.tries);
        let tries = doing.tries + 1;
        self.queries.set_place(pair, Place::Doing(Doing { tries, again: Some(again), ..doing }));
        if let Some(id) = self.puppet_ids.get(&pair.0).copied() {
            self.timers.arm(Timer::Queries(id), again);
        }
    }

    /// Something may be tried again, or told.
    pub(in super::super) fn queries_due(&mut self, id: PuppetId) {
        let (now, user) = (self.now, self.puppet(id).user.clone());
        let is_due = |again: Option<Time>| again.is_some_and(|again| again <= now);
        let theirs = self.queries.of_user(&user);
        let due: Vec<Pair> =
            theirs.filter(|(_, query)| is_due(query.again())).map(|(pair, _)| pair.clone()).collect();
        for pair in due {
            if let Some(Place::Doing(doing)) = self.queries.get(&pair).map(|query| query.place.clone()) {
                self.out.push(Effect::Query(doing.step.clone()));
                self.queries.set_place(&pair, Place::Doing(Doing { again: None, ..doing }));
            }
        }
        let absence = self.absences_due(&user);
        let left_out = self.query_paces.0.left_out(now, id);
        if left_out > 0 {
            let text = format!(
                "More people wrote to you than private chats are begun for in a minute: {left_out} lines of others were left \
                 out, and their senders told to try again."
            );
            self.tell_privately(&user, text);
        }
        let next = self.queries.of_user(&user).filter_map(|(_, query)| query.again()).min();
        let next = next.into_iter().chain(self.query_paces.0.ends(id)).chain(absence).min();
        self.timers.arm_if(Timer::Queries(id), next);
    }

    /// Says something to somebody in a private chat of theirs; `false` when they have none.
    pub(in super::super) fn tell_privately(&mut self, user: &UserId, text: String) -> Option<RoomId> {
        let is_open = |place: &Place| match place {
            Place::Open(room) => Some(room.clone()),
            Place::Doing(_) | Place::Left(_) => None,
        };
        let room = self.queries.of_user(user).find_map(|(_, query)| is_open(&query.place))?;
        self.tell(&room, text, None);
        Some(room)
    }

    /// The homeserver will not do it.
    fn gave_up(&mut self, pair: &Pair, doing: Doing, why: &str) {
        if let Some(seq) = doing.seq {
            self.settle(seq, Outcome::Delivered);
        }
        let (leaves, reason) = match &doing.step {
            QueryStep::Create { .. } => {
                self.tell_unheard(pair);
                self.queries.remove(pair);
                return;
            }
            QueryStep::Invite { room, ghost, .. } => ((room, ghost), "this chat goes on in another room"),
            QueryStep::Enter { room, ghost, .. } => ((room, ghost), why),
            QueryStep::Move { room, from, .. } => ((room, from), "another nick"),
        };
        let (room, ghost) = (leaves.0.clone(), leaves.1.user.clone());
        let reason = match &doing.step {
            QueryStep::Move { .. } => format!("now known as {}", pair.1),
            QueryStep::Create { .. } | QueryStep::Invite { .. } | QueryStep::Enter { .. } => {
                reason.to_owned()
            }
        };
        self.out.push(Effect::LeaveQuery { room: room.clone(), ghost, reason });
        self.out.push(Effect::DropQuery { room });
        self.fail_for_partner(pair, "the private chat has ended");
        self.begin_anew(pair);
    }

    /// A chat without its room: what waits to be said there makes a new one, else it is forgotten.
    pub(super) fn begin_anew(&mut self, pair: &Pair) {
        let has_waiting = self.queries.get(pair).is_some_and(|query| query.has_waiting());
        match self.query_ghost(&pair.1).filter(|_| has_waiting) {
            Some(ghost) => self.ask_for(pair, QueryStep::Create { user: pair.0.clone(), ghost }),
            None => drop(self.queries.remove(pair)),
        }
    }

    /// A chat ends: its ghost leaves with these words. What was said and not heard is lost, and who said it is told.
    pub(in super::super) fn end_query(&mut self, pair: &Pair, reason: &str) {
        self.tell_unheard(pair);
        self.fail_for_partner(pair, &format!("the private chat with {} has ended", pair.1));
        // While the ghost is there to say it.
        self.tell_failures();
        let Some(query) = self.queries.remove(pair) else { return };
        if let Place::Doing(Doing { seq: Some(seq), .. }) = query.place {
            self.settle(seq, Outcome::Delivered);
        }
        let ghosts = self.ghosts_of(pair, &query.place);
        let Some(room) = query.place.room().cloned() else { return };
        for ghost in ghosts {
            let (room, reason) = (room.clone(), reason.to_owned());
            self.out.push(Effect::LeaveQuery { room, ghost, reason });
        }
        self.out.push(Effect::DropQuery { room });
    }

    /// Who wrote what nobody will read hears so.
    pub(super) fn tell_unheard(&mut self, pair: &Pair) {
        let Some(query) = self.queries.get_mut(pair) else { return };
        let (waiting, left_out) = query.take_waiting();
        let count = u32::try_from(waiting.len()).unwrap_or(u32::MAX).saturating_add(left_out);
        let id = self.puppet_ids.get(&pair.0).copied().filter(|_| count > 0);
        let Some(id) =
            id.filter(|id| self.puppets[id.0 as usize].session.as_ref().is_some_and(Session::is_ready))
        else {
            return;
        };
        let what = if count == 1 {
            "What you wrote".to_owned()
        } else {
            format!("The last {count} lines you wrote")
        };
        let text = format!("{what} to {} did not reach them. Try again later.", pair.0);
        self.with_session(id, |session, out| session.notice_at_once(&pair.1, &text, out));
    }

    /// The bridge goes down before some rooms were made: who wrote is told.
    pub(in super::super) fn tell_all_unheard(&mut self) {
        let waiting: Vec<Pair> = self
            .queries
            .all()
            .filter(|(_, query)| query.has_waiting())
            .map(|(pair, _)| pair.clone())
            .collect();
        for pair in waiting {
            self.tell_unheard(&pair);
        }
    }

    /// What waits to be said to this nick will not be.
    pub(super) fn fail_for_partner(&mut self, pair: &Pair, why: &str) {
        if let Some(id) = self.puppet_ids.get(&pair.0).copied() {
            self.fail_waiting_for(id, &Target::Nick(pair.1.clone()), why);
        }
    }

    /// Chats of nicks that are one nick now: their rooms are left.
    pub(in super::super) fn refold_queries(&mut self) {
        for (pair, query) in self.queries.refold(self.map()) {
            let ghosts = self.ghosts_of(&pair, &query.place);
            let Some(room) = query.place.room().cloned() else { continue };
            for ghost in ghosts {
                let (room, reason) = (room.clone(), "this chat goes on in another room".to_owned());
                self.out.push(Effect::LeaveQuery { room, ghost, reason });
            }
            self.out.push(Effect::DropQuery { room });
        }
    }

    /// The ghosts that are in a chat's room, or may be.
    pub(super) fn ghosts_of(&self, pair: &Pair, place: &Place) -> Vec<UserId> {
        let before = match place {
            Place::Doing(Doing { step: QueryStep::Move { from, .. }, .. }) => Some(from.user.clone()),
            Place::Doing(_) | Place::Open(_) | Place::Left(_) => None,
        };
        before.into_iter().chain(self.ghost_user(&pair.1)).collect()
    }

    pub(super) fn ghost_user(&self, nick: &Nick) -> Option<UserId> {
        self.policy.ghosts.user(nick, &self.policy.server_name)
    }

    /// The nick that a user is the ghost of.
    pub(in super::super) fn nick_of_ghost(&self, user: &UserId) -> Option<Nick> {
        if user.server() != self.policy.server_name {
            return None;
        }
        self.policy.ghosts.parse(user.localpart(), self.map())
    }
}
