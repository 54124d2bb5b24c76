//! Bans of ghosts in rooms, and those in their channel: who is banned by neither any more is let in again.
//!
//! A ban in a room is remembered with the mask that was set for it in the channel (see `kicks`). Where an operator on IRC
//! lifts that mask, the room's ban is lifted. What was lifted while nobody of ours looked is found in the channel's list:
//! whoever begins to speak for a channel asks for it once, behind the modes and as seldom as those, where a ban is remembered or a
//! puppet was refused. A mask that was set says nothing new: a ban puts nobody out (see `room_modes`), and the channel's
//! answer to a JOIN is the word that counts.
//!
//! A list of more than [`ENTRIES_MAX`] masks, or one that the server does not show, is not compared: everything stays as it was.

use std::collections::{BTreeMap, BTreeSet};

use super::super::effect::{CommandAnswer, Effect, Extent, RoomStep, Verdict};
use super::super::input::StepResult;
use super::super::policy::Rooms;
use super::super::portal::membership::Cause;
use super::super::session::question::{Command, Giver};
use super::Network;

use crate::ids::{ChannelName, ConnId, PuppetId, RoomId, UserId};
use crate::text::line::Line;
use crate::text::mask;

/// Masks of one channel that are compared, at most.
const ENTRIES_MAX: usize = 500;
/// RPL_BANLIST (RFC 2812 section 5.1).
const BAN_LIST: &str = "367";
/// Counted with the refusals of servers.
const TOO_LONG: &str = "BAN_LIST_TOO_LONG";

/// Lists that were asked for: by which connection, and what was remembered then. One for each channel that somebody speaks for.
#[derive(Debug, Default)]
pub(super) struct BanLists {
    asked: BTreeMap<ChannelName, (ConnId, Vec<Ban>)>,
    /// Bans that were lifted before the answer to them came, by their numbers: no more than are under way.
    lifted: BTreeSet<u64>,
    /// Bans that are being lifted in their rooms. They are remembered until that is done: a restart finds them again.
    pardons: BTreeMap<(RoomId, UserId), String>,
}

impl BanLists {
    /// It was set again: what was asked of the homeserver before says nothing of it.
    pub(super) fn set_again(&mut self, room: &RoomId, ghost: &UserId) {
        self.pardons.remove(&(room.clone(), ghost.clone()));
    }

    /// Whether a ban that is answered now was lifted already.
    pub(super) fn take_lifted(&mut self, number: u64) -> bool {
        self.lifted.remove(&number)
    }
}

/// A ghost that is banned in a room, and its mask in the channel.
pub(super) type Ban = ((RoomId, UserId), String);

impl Network {
    /// Another room takes a room's place, with its bans: the homeserver's tools set them there, too. In one commit with the
    /// pairing, where they are kept.
    pub(super) fn bans_move(&mut self, from: &RoomId, to: &RoomId) {
        let moved: Vec<_> = self.removals.bans.extract_if(.., |(room, _), _| room == from).collect();
        for ((_, ghost), mask) in moved {
            self.removals.bans.entry((to.clone(), ghost)).or_insert(mask);
        }
    }

    /// True where a channel's list may tell something.
    pub(super) fn are_bans_wanted(&self, name: &ChannelName) -> bool {
        self.policy.moderation.to_matrix != Rooms::None
            && (!self.bans_of(name).is_empty() || self.refused_by(name).next().is_some())
    }

    fn bans_of(&self, name: &ChannelName) -> Vec<Ban> {
        let rooms = self.portals.of_channel(name);
        rooms.flat_map(|portal| self.removals.bans_in(&portal.room)).collect()
    }

    /// Puppets that the channel has not let in.
    fn refused_by<'a>(&'a self, name: &'a ChannelName) -> impl Iterator<Item = PuppetId> + 'a {
        self.puppets.iter().filter(|puppet| puppet.refused_at(name).is_some()).map(|puppet| puppet.id)
    }

    /// Whoever speaks for a channel asks who is banned there.
    pub(super) fn ask_bans(&mut self, name: &ChannelName, owner: ConnId) {
        if !self.are_bans_wanted(name) {
            return;
        }
        let known = self.bans_of(name);
        let line = Line::new("MODE", &[name.as_str(), "+b"]);
        let command = Command::new(Giver::Bans(name.clone()), &line);
        let sent =
            self.with_session(owner.puppet, |session, out| session.send_command(command, line.build(), out));
        // Where too much waits for answers, the next takeover asks.
        if sent.is_some_and(|sent| sent.is_ok()) {
            self.ban_lists.asked.insert(name.clone(), (owner, known));
        }
    }

    /// The server has told who is banned in a channel, or will not.
    pub(super) fn bans_heard(&mut self, conn: ConnId, name: &ChannelName, answer: &CommandAnswer) {
        let Some((_, known)) = self.ban_lists.asked.remove(name).filter(|(by, _)| *by == conn) else {
            return;
        };
        let entries = answer.lines.iter().filter(|line| line.command == BAN_LIST);
        let masks: Vec<&str> = entries.map(|line| line.param(2)).collect();
        if masks.len() > ENTRIES_MAX || answer.extent == Extent::Cut {
            return self.counts.refused(TOO_LONG);
        }
        if answer.verdict != Verdict::Accepted {
            return;
        }
        let map = self.map();
        // A server may keep a wider mask than it was given, where names are cut.
        let is_there = |wanted: &str| masks.iter().any(|mask| mask::matches(mask, wanted, map));
        let lifted: Vec<Ban> = known.into_iter().filter(|(_, mask)| !is_there(mask)).collect();
        let refused = self.refused_by(name).filter(|id| {
            let person = self.person_of(*id);
            person.is_some_and(|person| !is_there(&person))
        });
        let refused: Vec<PuppetId> = refused.collect();
        for (key, mask) in lifted {
            self.ban_gone(name, &key, &mask);
        }
        for id in refused {
            self.puppet(id).forgive(name);
        }
    }

    /// `nick!user@host` of a puppet, as others see it.
    fn person_of(&self, id: PuppetId) -> Option<String> {
        let session = self.puppets[id.0 as usize].session.as_ref()?;
        Some(format!("{}!{}", session.nick()?, self.nicks.mask(session.conn)?))
    }

    /// A connection is over: nobody waits for its lists.
    pub(super) fn bans_unheard(&mut self, name: &ChannelName) {
        self.ban_lists.asked.remove(name);
    }

    /// An operator has lifted a mask.
    pub(super) fn mask_lifted(&mut self, name: &ChannelName, mask: &str) {
        let map = self.map();
        self.ban_lists.lifted.extend(self.removals.setting(name, mask, map));
        let meant: Vec<Ban> =
            self.bans_of(name).into_iter().filter(|(_, known)| map.eq(known, mask)).collect();
        for (key, mask) in meant {
            self.ban_gone(name, &key, &mask);
        }
    }

    /// The channel no longer bans whom a room does: nor does the room, where it follows its channel.
    fn ban_gone(&mut self, name: &ChannelName, key: &(RoomId, UserId), mask: &str) {
        // It may have been set again, or lifted here, since the list was asked for.
        let is_known = self.bans_of(name).iter().any(|(other, known)| other == key && known == mask);
        let is_under_way = self.ban_lists.pardons.get(key).is_some_and(|known| known == mask);
        if !is_known || is_under_way || !self.rooms_that_follow(name).contains(&key.0) {
            return;
        }
        self.ban_lists.pardons.insert(key.clone(), mask.to_owned());
        self.members.welcome(&key.0, &key.1);
        self.out.push(Effect::Step { room: key.0.clone(), step: RoomStep::GhostPardoned(key.1.clone()) });
    }

    /// A ghost may come into a room again, or the homeserver does not let it. One for whom there was no place is found again by
    /// whoever speaks for the channel next.
    pub(super) fn ghost_pardoned(&mut self, room: &RoomId, ghost: &UserId, result: &StepResult) {
        let is_ours = self.ban_lists.pardons.remove(&(room.clone(), ghost.clone())).is_some();
        match result {
            StepResult::Done | StepResult::Refused(_) if is_ours => drop(self.ban_lifted(room, ghost)),
            StepResult::Done | StepResult::Refused(_) | StepResult::NotTaken => {}
        }
        let channel = self.portals.of_room(room).map(|portal| portal.channel.clone());
        if let (StepResult::Done, Some(channel)) = (result, channel) {
            self.judge_ghost(&channel, room, ghost, Cause::Unlisted);
            self.take_steps();
        }
    }
}
