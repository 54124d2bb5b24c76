//! The network's case mapping became known, or is another than it was thought to be: every name is folded anew.

use super::super::effect::Effect;
use super::super::ending::{End, Ending};
use super::super::session::Session;
use super::Network;
use crate::ids::{ConnId, PuppetId};
use crate::text::casemap::CaseMap;

impl Network {
    /// The network has said which case mapping it has; before it said another, or nothing.
    pub(super) fn casemap_learned(&mut self, before: CaseMap) {
        let map = self.map();
        self.out.push(Effect::SaveCaseMap { name: map.name() });
        if map == before {
            return;
        }
        for conn in self.misunderstood(before, map) {
            let words = "the network changed its case mapping".to_owned();
            self.give_up(conn, End { ending: Ending::Lost, words });
        }
        self.portals.refold(map);
        self.refold_queries();
        self.watches.refold(map);
        self.refold_operators();
        self.refold_errands();
        self.refold_keys(map);
        for id in 0..self.puppets.len() as u32 {
            let puppet = self.puppet(PuppetId(id));
            puppet.refold(map);
            let user = puppet.user.clone();
            let mut wanted = self.portals.wanted_by(&user);
            wanted.extend(self.errands.visited_by(PuppetId(id)));
            wanted.retain(|channel| !self.is_dismissed(channel));
            if self.is_bot(PuppetId(id)) {
                wanted.extend(self.channels_of_bot());
            }
            self.puppet(PuppetId(id)).wanted = wanted;
            self.note_nicks(PuppetId(id));
        }
    }

    /// The connections to begin anew because names of theirs mean something else now. A server says its mapping
    /// before anybody can join, so there are none, unless two servers of a network disagree.
    fn misunderstood(&self, before: CaseMap, map: CaseMap) -> Vec<ConnId> {
        let sessions = || self.puppets.iter().filter_map(|puppet| puppet.session.as_ref());
        let inside: Vec<&Session> =
            sessions().filter(|session| session.channels().next().is_some()).collect();
        let changes = |text: &str| before.fold(text) != map.fold(text);
        let is_touched = |session: &&Session| {
            session.nick().is_some_and(|nick| changes(nick.as_str()))
                || session.channels().any(|channel| changes(channel.as_str()))
        };
        if inside.iter().any(is_touched) {
            inside.iter().map(|session| session.conn).collect()
        } else {
            Vec::new()
        }
    }
}
