//! What is told of rooms, people and channels. Of each at most [`ROWS_MAX`] rows; what is hidden on IRC is told to those who
//! are in it.

use super::super::super::effect::Refusal;
use super::super::super::errand::{ChannelFact, PortalFact, ROWS_MAX, Report, UserFact};
use super::super::Network;
use crate::ids::{ChannelName, ConnId, PuppetId, RoomId, UserId};

impl Network {
    /// The channels with rooms, but for hidden ones that this person is in no room of.
    pub(super) fn portal_facts(&self, user: &UserId, search: Option<&str>) -> Vec<PortalFact> {
        let map = self.map();
        let search = search.map(|text| map.fold(text.trim())).unwrap_or_default();
        let mut facts: Vec<PortalFact> = Vec::new();
        for channel in self.portals.channels().filter(|channel| channel.folded().contains(&search)) {
            let is_shown = |room: &RoomId| !self.is_shut(channel, room) || self.portals.wants(channel, user);
            let rooms: Vec<RoomId> =
                self.portals.of_channel(channel).map(|portal| portal.room.clone()).filter(is_shown).collect();
            if facts.len() >= ROWS_MAX {
                break;
            }
            if !rooms.is_empty() {
                let puppets = self.channels.get(channel).map_or(0, |known| known.puppets());
                facts.push(PortalFact { channel: channel.as_str().to_owned(), rooms, puppets });
            }
        }
        facts
    }

    /// Who is on the network by this bridge, or wants to be.
    pub(super) fn user_facts(&self) -> Vec<UserFact> {
        let is_there = |id: &PuppetId| {
            let puppet = &self.puppets[id.0 as usize];
            let is_there = puppet.session.is_some() || puppet.held.is_some() || !puppet.wanted.is_empty();
            is_there && !self.is_bot(*id)
        };
        let ids = (0..self.puppets.len() as u32).map(PuppetId).filter(is_there);
        ids.take(ROWS_MAX).map(|id| self.user_fact(id)).collect()
    }

    /// It counts as a word of theirs.
    pub(super) fn is_active(&mut self, user: &UserId) -> Report {
        if let Some(id) = self.puppet_ids.get(user).copied() {
            self.came_or_spoke(id);
            self.ask_to_dial(id);
        }
        Report::Done
    }

    /// What a room is about, to somebody who is in it.
    pub(super) fn place_here(&self, user: &UserId, room: &RoomId) -> Report {
        let is_in = self.portals.has(room, user) || self.queries.has(room, user);
        let target = self.target_of(room).filter(|_| is_in);
        Report::Here(target.map(|target| target.as_str().to_owned()))
    }

    /// Somebody of Matrix, where they are on the network.
    pub(super) fn found(&self, whom: &UserId) -> Vec<UserFact> {
        let id = self.puppet_ids.get(whom).copied().filter(|id| !self.is_bot(*id));
        id.map(|id| self.user_fact(id)).into_iter().collect()
    }

    pub(super) fn user_fact(&self, id: PuppetId) -> UserFact {
        let puppet = &self.puppets[id.0 as usize];
        let session = puppet.session.as_ref().filter(|session| !session.is_closing());
        UserFact {
            user: puppet.user.clone(),
            nick: session.and_then(|session| session.nick()).map(|nick| nick.as_str().to_owned()),
            connection: self.connection_of(id),
            active: puppet.active_at,
            channels: puppet.wanted.len(),
        }
    }

    /// How a channel is bridged.
    pub(super) fn channel_fact(&self, name: &str) -> Result<Report, Refusal> {
        let name = self.channel_named(name)?;
        let rooms: Vec<RoomId> = self.portals.of_channel(&name).map(|portal| portal.room.clone()).collect();
        let Some(known) = self.channels.get(&name) else {
            if rooms.is_empty() {
                return Err(Refusal::ours("NO_SUCH_CHANNEL", &format!("{name} is not bridged")));
            }
            return Ok(Report::Channel(Box::new(self.unread(&name, rooms))));
        };
        let owner = known.owner();
        let others = known.ledger().observers().filter(|conn| Some(*conn) != owner);
        let fact = ChannelFact {
            channel: known.name().as_str().to_owned(),
            carrier: owner.and_then(|conn| self.nick_on(conn)),
            epoch: u64::from(known.ledger().epoch().0),
            standbys: others.filter_map(|conn| self.nick_on(conn)).collect(),
            held_lines: known.ledger().held(),
            unseen_lines: known.ledger().unseen(),
            people: known.roster().len(),
            modes: known.modes().letters(),
            ..self.unread(&name, rooms)
        };
        Ok(Report::Channel(Box::new(fact)))
    }

    /// Of a channel that none of ours is in.
    fn unread(&self, name: &ChannelName, rooms: Vec<RoomId>) -> ChannelFact {
        let open = rooms.iter().map(|room| self.members.steps_open(room));
        let (coming, going) = open.fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        let inside: usize = rooms.iter().map(|room| self.members.ghosts(room).count()).sum();
        ChannelFact {
            channel: name.as_str().to_owned(),
            rooms,
            carrier: None,
            epoch: 0,
            standbys: Vec::new(),
            held_lines: 0,
            unseen_lines: 0,
            people: 0,
            ghosts: inside + coming,
            steps_open: coming + going,
            modes: String::new(),
        }
    }

    /// The nick of one of our connections.
    pub(super) fn nick_on(&self, conn: ConnId) -> Option<String> {
        let session = self.puppets.get(conn.puppet.0 as usize)?.session.as_ref()?;
        Some(session.nick().filter(|_| session.conn == conn)?.as_str().to_owned())
    }
}
