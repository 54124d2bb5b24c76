//! Portals that are being made because somebody asked for an alias.
//!
//! However many ask, in whatever spelling, a channel's room is made once; everybody waits for that one. Full
//! (more than [`BIRTHS_MAX`] rooms in the making, or [`ASKS_MAX`] questions for one of them): the question is
//! answered "no such alias", and the homeserver's user may ask again.

use std::collections::BTreeMap;

use crate::bridge::input::AskId;
use crate::ids::{ChannelName, RoomAlias};

/// Rooms in the making, at most.
pub const BIRTHS_MAX: usize = 256;
/// Questions that wait for one alias, at most.
pub const ASKS_MAX: usize = 4096;

/// The questions that wait.
#[derive(Debug, Default)]
pub struct Births {
    /// The channel whose room is being made, with the alias it is made with.
    rooms: BTreeMap<ChannelName, RoomAlias>,
    asks: BTreeMap<RoomAlias, (ChannelName, Vec<AskId>)>,
}

/// What a question needs.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Wait: the answer is under way.
    Wait,
    /// Make the room, or the alias where the room exists.
    Begin,
    /// Too much under way.
    Refuse,
}

impl Births {
    /// Somebody asks for `alias` of `channel`.
    pub fn ask(&mut self, ask: AskId, alias: &RoomAlias, channel: &ChannelName) -> Step {
        if let Some((_, asks)) = self.asks.get_mut(alias) {
            if asks.len() >= ASKS_MAX {
                return Step::Refuse;
            }
            asks.push(ask);
            return Step::Wait;
        }
        if self.asks.len() >= BIRTHS_MAX {
            return Step::Refuse;
        }
        self.asks.insert(alias.clone(), (channel.clone(), vec![ask]));
        if self.rooms.contains_key(channel) { Step::Wait } else { Step::Begin }
    }

    /// The room of `channel` is being made with `alias`.
    pub fn begin(&mut self, channel: ChannelName, alias: RoomAlias) {
        self.rooms.insert(channel, alias);
    }

    /// Somebody who asks for no alias wants the room of `channel`: make it with `alias` where the answer is to begin.
    pub fn want(&mut self, channel: &ChannelName, alias: &RoomAlias) -> Step {
        if self.rooms.contains_key(channel) {
            return Step::Wait;
        }
        if self.rooms.len() >= BIRTHS_MAX {
            return Step::Refuse;
        }
        self.begin(channel.clone(), alias.clone());
        Step::Begin
    }

    /// The room made with `alias` has come, or will not come: returns its channel and the other aliases of the
    /// channel that were asked for meanwhile.
    pub fn end(&mut self, alias: &RoomAlias) -> Option<(ChannelName, Vec<RoomAlias>)> {
        let channel =
            self.rooms.iter().find(|(_, made)| *made == alias).map(|(channel, _)| channel.clone())?;
        self.rooms.remove(&channel);
        let others = self.asks.iter().filter(|(other, (of, _))| *of == channel && *other != alias);
        let others = others.map(|(other, _)| other.clone()).collect();
        Some((channel, others))
    }

    /// Takes the questions that waited for `alias`.
    pub fn answer(&mut self, alias: &RoomAlias) -> Vec<AskId> {
        self.asks.remove(alias).map(|(_, asks)| asks).unwrap_or_default()
    }
}
