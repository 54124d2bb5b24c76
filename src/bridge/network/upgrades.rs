//! Rooms that are replaced (client-server API, "Room Upgrades"): their channel goes on in the successor.
//!
//! ```text
//!   tombstone ─▶ looked at ─┬─ it says so itself ─▶ pairing, people and aliases move; the old room is told
//!                 (Follow)  ├─ the bot is not let in, or may not ─▶ told; its invitation, levels, a restart look again
//!                           └─ anything else ─────▶ told; the channel stays
//! ```
//!
//! Two have to agree: the old room by its tombstone, whose sender the homeserver has judged, and the new one by naming
//! the old one as its predecessor. A room that only claims a predecessor moves nothing. What happens in the new room
//! before the pairing has moved waits, and the tombstone is settled last: a crash in between begins again.
//!
//! A room of ours whose gate is strict is not left for one where the bot may not remove people, or who is removed reads on: there
//! the gate could only hold everything back or let somebody read unseen. In the old room it goes on, for each person alone, until somebody gives the bot
//! the level.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::effect::{Effect, Needed, Outcome, Speaker, Succession};
use super::super::input::{
    Before, BodyKind, MatrixEvent, Member, Membership, PortalOrigin, PortalRow, Successor, TombstoneRow,
    Unfit,
};
use super::super::policy::GateRule;
use super::{Life, Network};
use crate::ids::{InboxSeq, RoomId, UserId};

/// Events of one successor that wait until it is known what it is. Those that come on top are failed and counted.
pub const HELD_MAX: usize = 256;
/// Says who can read what was said in a room.
const HISTORY: &str = "m.room.history_visibility";
/// Successors of an earlier run's tombstones that are looked at together.
const AGAIN_AT_ONCE: usize = 4;

/// Rooms that are being replaced, and were.
#[derive(Debug, Default)]
pub(super) struct Upgrades {
    /// By the room that is replaced.
    under_way: BTreeMap<RoomId, Looking>,
    /// What happens in successors that are being looked at.
    held: BTreeMap<RoomId, Held>,
    /// Successors that people may open to us, and the rooms that they would replace.
    closed: BTreeMap<RoomId, Closed>,
    /// Tombstones of an earlier run that are still to be looked at: at most one for each room.
    again: VecDeque<TombstoneRow>,
    /// Rooms that were replaced in this run.
    replaced: BTreeSet<RoomId>,
}

/// A successor that is being looked at.
#[derive(Debug)]
struct Looking {
    to: RoomId,
    sender: UserId,
    /// The tombstone, where it is not settled.
    seq: Option<InboxSeq>,
    /// Why it was not followed when it was looked at before, as the room was told.
    told: Option<Unfit>,
    /// The tombstone that came after it.
    next: Option<(Option<InboxSeq>, UserId, RoomId)>,
}

/// A successor that cannot be followed now.
#[derive(Debug)]
struct Closed {
    from: RoomId,
    sender: UserId,
    why: Unfit,
}

#[derive(Debug, Default)]
struct Held {
    events: Vec<(InboxSeq, MatrixEvent, Before)>,
    /// Events for which there was no place.
    over: u32,
}

impl Upgrades {
    /// True for a room that was replaced in this run: the bot is still there, and nobody else of ours has to be.
    pub(super) fn is_replaced(&self, room: &RoomId) -> bool {
        self.replaced.contains(room)
    }

    /// True for a room where the bot is though nothing is bridged there: one that was replaced, or that may replace one.
    pub(super) fn may_speak_in(&self, room: &RoomId) -> bool {
        self.is_replaced(room) || self.closed.contains_key(room)
    }

    fn is_looked_at(&self, to: &RoomId) -> bool {
        self.under_way.values().any(|looking| looking.to == *to)
    }
}

impl Network {
    /// An event of the inbox, unless it has to wait because nobody knows yet what its room is.
    pub(super) fn unless_held(
        &mut self,
        seq: InboxSeq,
        event: MatrixEvent,
        before: Before,
    ) -> Option<(InboxSeq, MatrixEvent, Before)> {
        let room = event.room();
        if self.upgrades.is_looked_at(room) && self.portals.of_room(room).is_none() {
            // What is not settled comes again in the next run.
            if !matches!(self.life, Life::Finishing | Life::Stopping) {
                self.hold_event(seq, event, before);
            }
            return None;
        }
        if self.upgrades.closed.contains_key(room) && self.may_open(&event) {
            let to = room.clone();
            if let Some(Closed { from, sender, why }) = self.upgrades.closed.remove(&to) {
                self.settle(seq, Outcome::Delivered);
                self.look_at(&from, None, (sender, to), Some(why));
                return None;
            }
        }
        Some((seq, event, before))
    }

    fn hold_event(&mut self, seq: InboxSeq, event: MatrixEvent, before: Before) {
        let held = self.upgrades.held.entry(event.room().clone()).or_default();
        if held.events.len() < HELD_MAX {
            held.events.push((seq, event, before));
            return;
        }
        held.over += u32::from(matches!(event, MatrixEvent::Message { .. }));
        self.settle(seq, Outcome::Failed("too much was said before the room was bridged".to_owned()));
    }

    /// True for an event after which a successor may let the bot in, or let it do what it has to.
    fn may_open(&self, event: &MatrixEvent) -> bool {
        match event {
            MatrixEvent::Member { target, membership, .. } => {
                *membership == Membership::Invite && target.user == self.policy.bot
            }
            MatrixEvent::PowerLevels { .. } => true,
            MatrixEvent::Other { kind, .. } => kind == HISTORY,
            MatrixEvent::Message { .. }
            | MatrixEvent::Reaction { .. }
            | MatrixEvent::Redaction { .. }
            | MatrixEvent::Encrypted { .. }
            | MatrixEvent::Topic { .. }
            | MatrixEvent::Tombstone { .. }
            | MatrixEvent::JoinRules { .. } => false,
        }
    }

    /// An earlier run could not follow a tombstone.
    pub(super) fn tombstone_known(&mut self, row: TombstoneRow) {
        if self.portals.of_room(&row.room).is_some() {
            self.upgrades.again.push_back(row);
        }
    }

    /// Looks again at successors that an earlier run could not follow, a few at a time.
    pub(super) fn look_again(&mut self) {
        while self.upgrades.under_way.len() < AGAIN_AT_ONCE
            && let Some(TombstoneRow { room, to, sender, why }) = self.upgrades.again.pop_front()
        {
            // A newer tombstone goes before.
            let is_newer = self.upgrades.under_way.contains_key(&room);
            if !is_newer && self.portals.of_room(&room).is_some() {
                self.look_at(&room, None, (sender, to), Some(why));
            }
        }
    }

    /// A room says that another one replaces it.
    pub(super) fn tombstone(&mut self, seq: InboxSeq, room: &RoomId, sender: UserId, to: RoomId) {
        if self.portals.of_room(room).is_none() {
            self.leave_alone(&to);
            return self.settle(seq, Outcome::Delivered);
        }
        self.upgrades.again.retain(|row| row.room != *room);
        self.look_at(room, Some(seq), (sender, to), None);
    }

    /// `said` is who has said which room replaces this one; `told` why it did not before.
    fn look_at(&mut self, room: &RoomId, seq: Option<InboxSeq>, said: (UserId, RoomId), told: Option<Unfit>) {
        let (sender, to) = said;
        if let Some(looking) = self.upgrades.under_way.get_mut(room) {
            if let Some((seq, _, before)) = looking.next.replace((seq, sender, to)) {
                self.settle_tombstone(seq);
                self.leave_alone(&before);
            }
            return;
        }
        let is_of = |_: &RoomId, closed: &mut Closed| closed.from == *room;
        let closed: Vec<RoomId> = self.upgrades.closed.extract_if(.., is_of).map(|(to, _)| to).collect();
        if self.may_succeed(room, &to) {
            let looking = Looking { to: to.clone(), sender: sender.clone(), seq, told, next: None };
            self.upgrades.under_way.insert(room.clone(), looking);
            let needed = self.needed_instead_of(room);
            self.out.push(Effect::Succeed(Succession::Follow { room: room.clone(), to, sender, needed }));
        } else {
            self.not_followed(room, (sender, &to), Unfit::Taken, told);
            self.settle_tombstone(seq);
            self.leave_alone(&to);
        }
        closed.iter().for_each(|to| self.leave_alone(to));
    }

    /// What the bot has to be able to do in the room that takes this one's place.
    fn needed_instead_of(&self, room: &RoomId) -> Needed {
        let origin = self.portals.of_room(room).map(|portal| portal.origin);
        match (origin, self.policy.presence.gate) {
            (Some(PortalOrigin::Alias), GateRule::Strict) => Needed::Removals,
            (Some(PortalOrigin::Alias | PortalOrigin::Config | PortalOrigin::Plumbed) | None, _) => {
                Needed::Nothing
            }
        }
    }

    /// What happens in a room that is nothing to us is nobody's business here.
    fn leave_alone(&mut self, to: &RoomId) {
        let is_known = self.portals.of_room(to).is_some() || self.queries.of_room(to).is_some();
        let may_be = self.upgrades.is_looked_at(to) || self.upgrades.closed.contains_key(to);
        if !is_known && !may_be {
            self.out.push(Effect::Succeed(Succession::GiveUp { to: to.clone() }));
        }
    }

    /// Whether nothing that we know speaks against it.
    fn may_succeed(&self, room: &RoomId, to: &RoomId) -> bool {
        let is_ours = self.portals.of_room(to).is_some() || self.queries.of_room(to).is_some();
        room != to && !is_ours && !self.upgrades.is_replaced(to)
    }

    /// What a successor turned out to be.
    pub(super) fn succeeded(&mut self, room: &RoomId, to: &RoomId, result: Result<Successor, Unfit>) {
        let is_it = self.upgrades.under_way.get(room).is_some_and(|looking| looking.to == *to);
        if !is_it || matches!(self.life, Life::Finishing | Life::Stopping) {
            return;
        }
        let Some(looking) = self.upgrades.under_way.remove(room) else { return };
        let result = if self.may_succeed(room, to) { result } else { Err(Unfit::Taken) };
        let next = match result {
            Ok(Successor { members, next }) => {
                self.moves(room, to, &members);
                next.filter(|(next, _)| next != room)
            }
            Err(unfit) => {
                self.not_followed(room, (looking.sender, to), unfit, looking.told);
                None
            }
        };
        self.release(to);
        self.settle_tombstone(looking.seq);
        if let Some((next, sender)) = next.filter(|_| !self.upgrades.under_way.contains_key(to)) {
            self.look_at(to, None, (sender, next), None);
        }
        if let Some((seq, sender, other)) = looking.next {
            match self.portals.of_room(room) {
                Some(_) => self.look_at(room, seq, (sender, other), None),
                None => {
                    self.settle_tombstone(seq);
                    self.leave_alone(&other);
                }
            }
        }
        self.look_again();
    }

    fn settle_tombstone(&mut self, seq: Option<InboxSeq>) {
        if let Some(seq) = seq {
            self.settle(seq, Outcome::Delivered);
        }
    }

    /// The channel goes on in the other room.
    fn moves(&mut self, from: &RoomId, to: &RoomId, members: &[Member]) {
        let Some(portal) = self.portals.of_room(from) else { return };
        let (channel, origin) = (portal.channel.clone(), portal.origin);
        let row = PortalRow { room: to.clone(), channel: channel.as_str().to_owned(), origin };
        self.bars_end(from, to);
        let text = format!("{channel} goes on in {to}: what is said here reaches nobody there.");
        self.say_in_room(from.clone(), Speaker::Bot, BodyKind::Notice, text, None);
        self.plate_over(from);
        let people = members.iter().filter(|member| !self.is_ours(&member.user)).cloned().collect();
        self.bans_move(from, to);
        self.wish_moves(&channel, from, to);
        self.out.push(Effect::Succeed(Succession::Move {
            from: from.clone(),
            row: row.clone(),
            members: people,
        }));
        // The new one first: whoever is in both never leaves the channel.
        self.portal_known(&row);
        let users: Vec<UserId> = members.iter().map(|member| member.user.clone()).collect();
        self.ghosts_known(to, &users);
        self.members_known(to, members);
        let known: Vec<UserId> = self.portals.members(from).cloned().collect();
        for user in known {
            // What was kept from them is not said behind them in the room that they may still read.
            self.gate.forget(from, &user);
            self.left_room(from, &user, &format!("are not in {to}, where {channel} goes on"));
        }
        // Before the room is forgotten.
        self.tell_failures();
        self.portals.remove(from);
        self.space_follows(from);
        self.members.forget(from);
        self.access.forget(from);
        self.topics.forget(from);
        self.room_modes.forget(from);
        self.upgrades.replaced.insert(from.clone());
        self.topic_to_rooms(&channel);
        self.ranks_changed(&channel);
        self.plate_changed(&channel);
    }

    /// The channel stays where it is. Where people can change that it is remembered, to be looked at again.
    fn not_followed(
        &mut self,
        room: &RoomId,
        (sender, to): (UserId, &RoomId),
        why: Unfit,
        told: Option<Unfit>,
    ) {
        if self.portals.of_room(room).is_none() {
            return;
        }
        if why.may_pass() {
            let closed = Closed { from: room.clone(), sender: sender.clone(), why };
            self.upgrades.closed.insert(to.clone(), closed);
            let row = TombstoneRow { room: room.clone(), to: to.clone(), sender, why };
            self.out.push(Effect::Succeed(Succession::Remember(row)));
        } else {
            self.out.push(Effect::Succeed(Succession::Forget { room: room.clone() }));
        }
        if told != Some(why) {
            self.stays(room, to, why);
        }
    }

    /// The room knows why its channel stays.
    fn stays(&mut self, room: &RoomId, to: &RoomId, unfit: Unfit) {
        let Some(channel) = self.portals.of_room(room).map(|portal| portal.channel.clone()) else { return };
        let bot = self.policy.bot.clone();
        let why = match unfit {
            // Another tombstone tells.
            Unfit::Overtaken => return,
            Unfit::Closed => {
                format!("it lets nobody in who is not invited. Invite {bot} there, and {channel} moves")
            }
            Unfit::Missing => "it cannot be found. Invite the bridge's bot there".to_owned(),
            Unfit::Stranger => "that room does not say that it replaces this one".to_owned(),
            Unfit::Taken => "that room is in use already".to_owned(),
            Unfit::Unknown => "the homeserver could not say what it is. Set the tombstone again".to_owned(),
            Unfit::Powerless => {
                let lack = "I may not remove people there, so nobody could be kept from reading unseen";
                let cure = format!("Give {bot} the level that removing takes there");
                self.does_not_come(to, lack, &cure);
                format!("{lack}. {cure}, and {channel} moves")
            }
            Unfit::Readable => {
                let lack = "who is removed from there, or never was there, can read what is said";
                let cure = "Let only members read its history, from when they joined";
                self.does_not_come(to, lack, cure);
                format!("{lack}. {cure}, and {channel} moves")
            }
        };
        let text = format!("This room says that {to} replaces it, but {channel} stays here: {why}.");
        self.tell(room, text, None);
    }

    /// The successor knows, too, where the bot is there. Who reads there is not known, so nothing is named.
    fn does_not_come(&mut self, to: &RoomId, lack: &str, cure: &str) {
        let text = format!(
            "This room is to replace another one, but its IRC channel does not come here yet: {lack}. {cure}, and it comes."
        );
        self.say_in_room(to.clone(), Speaker::Bot, BodyKind::Notice, text, None);
    }

    /// It is known what a successor is: what happened there goes on.
    fn release(&mut self, to: &RoomId) {
        if self.upgrades.is_looked_at(to) {
            return;
        }
        let held = self.upgrades.held.remove(to).unwrap_or_default();
        let is_ours = self.portals.of_room(to).is_some();
        self.leave_alone(to);
        if is_ours && held.over > 0 {
            let text = format!(
                "Messages said here before the bridge came, and lost, because they were many: {}.",
                held.over
            );
            self.tell(to, text, None);
        }
        for (seq, event, before) in held.events {
            self.matrix_event(seq, event, before);
        }
    }
}
