//! What a network has done and where it stands, in numbers, for whoever watches the bridge. Names nobody.

use std::collections::BTreeMap;

use super::super::channel::ledger::Counters;
use super::super::effect::{CommandAnswer, Verdict};
use super::super::errand::Report;
use super::super::errand::plumbing::Plumbing;
use super::super::homeservers::Refused;
use super::super::portal::{gate, membership};
use super::super::puppet::Puppet;
use super::super::session::Session;
use super::Network;
use crate::ids::ConnId;

/// Kinds of refusal that are counted apart; further ones, which only a server that makes numbers up has, count
/// as [`OTHER`].
const CODES_MAX: usize = 64;
/// What stands for all further kinds.
pub const OTHER: &str = "other";

/// The numbers of one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub puppets: Puppets,
    pub counts: Counts,
    /// Ghosts that joined and left rooms because their people came and went.
    pub members: membership::Counts,
    /// People in rooms without their channels.
    pub gate: gate::Counts,
    /// What was refused because a homeserver's people had or did as much as they may.
    pub limited: Refused,
}

/// How many puppets are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Puppets {
    /// The socket is being made.
    pub dialing: u64,
    pub registering: u64,
    /// On the network.
    pub ready: u64,
    /// Saying goodbye.
    pub closing: u64,
    /// Without a connection, and they want one.
    pub waiting: u64,
    /// Kept away: killed, banned or not let in.
    pub held: u64,
    /// Without a connection until their person is back.
    pub asleep: u64,
    /// Kept off the bridge by permissions or a policy list.
    pub excluded: u64,
}

/// What has happened since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub connects: u64,
    /// Of these, connections of puppets that had one before.
    pub reconnects: u64,
    /// What servers refused, by numeric or code.
    pub refusals: BTreeMap<String, u64>,
    /// What people asked for, by what became of it.
    pub errands: Errands,
    pub duty: DutyMoves,
}

/// How errands ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Errands {
    pub done: u64,
    pub refused: u64,
    /// Nobody knows.
    pub unknown: u64,
}

/// How often the duty for a channel went to another connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DutyMoves {
    /// Because its owner was silent for too long.
    pub by_silence: u64,
    /// Because its owner left.
    pub by_leave: u64,
    /// Because one that is preferred came.
    pub by_preference: u64,
}

impl Counts {
    pub(super) fn connect(&mut self, conn: ConnId) {
        self.connects += 1;
        self.reconnects += u64::from(conn.generation > 1);
    }

    pub(super) fn answered(&mut self, verdict: &Verdict) {
        let (Verdict::Refused(refusal) | Verdict::Doubtful(refusal)) = verdict else { return };
        self.refused(&refusal.code);
    }

    /// A server has refused something.
    pub(super) fn refused(&mut self, code: &str) {
        let is_apart = self.refusals.contains_key(code) || self.refusals.len() < CODES_MAX;
        let code = if is_apart { code } else { OTHER };
        *self.refusals.entry(code.to_owned()).or_default() += 1;
    }

    pub(super) fn errand(&mut self, report: &Report) {
        let count = match report {
            Report::Refused(_) | Report::Plumbing(Plumbing::Refused(_)) => &mut self.errands.refused,
            Report::Unknown => &mut self.errands.unknown,
            Report::Line(CommandAnswer { verdict: Verdict::Refused(_), .. }) => &mut self.errands.refused,
            Report::Line(CommandAnswer { verdict: Verdict::Unknown | Verdict::Doubtful(_), .. }) => {
                &mut self.errands.unknown
            }
            Report::Line(CommandAnswer { verdict: Verdict::Accepted, .. })
            | Report::Done
            | Report::Joined(_)
            | Report::Talking { .. }
            | Report::Called(_)
            | Report::Status(_)
            | Report::Stopped(_)
            | Report::Retried(_)
            | Report::Portals(_)
            | Report::Users(_)
            | Report::Ended(_)
            | Report::Channel(_)
            | Report::Here(_)
            | Report::Plumbing(Plumbing::Linked { .. } | Plumbing::Asked { .. })
            | Report::Links(_)
            | Report::Operators(_)
            | Report::Ignored(_)
            | Report::Mentions(_) => &mut self.errands.done,
        };
        *count += 1;
    }

    /// A channel's ledger, when it ends or to be added up.
    pub(super) fn ledger(&mut self, counters: Counters) {
        self.duty.by_silence += counters.moved_by_hold;
        self.duty.by_leave += counters.moved_by_leave;
        self.duty.by_preference += counters.moved_by_preference;
    }
}

impl Puppets {
    fn count(&mut self, puppet: &Puppet) {
        let place = match &puppet.session {
            Some(session) => self.of_session(session),
            None if puppet.excluded.is_some() => &mut self.excluded,
            None if puppet.held.is_some() => &mut self.held,
            None if puppet.asleep.is_some() => &mut self.asleep,
            None if !puppet.wanted.is_empty() => &mut self.waiting,
            None => return,
        };
        *place += 1;
    }

    fn of_session(&mut self, session: &Session) -> &mut u64 {
        if session.is_closing() {
            &mut self.closing
        } else if session.is_ready() {
            &mut self.ready
        } else if session.is_dialing() {
            &mut self.dialing
        } else {
            &mut self.registering
        }
    }
}

impl Network {
    /// Where it stands. Looks at every puppet and channel: for now and then.
    pub fn figures(&self) -> Figures {
        let mut figures = Figures {
            puppets: Puppets::default(),
            counts: self.counts.clone(),
            members: self.members.counts(),
            gate: self.gate.counts(),
            limited: self.admission.refused(),
        };
        self.puppets.iter().for_each(|puppet| figures.puppets.count(puppet));
        self.channels.values().for_each(|channel| figures.counts.ledger(channel.counters()));
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::effect::Refusal;
    use crate::ids::PuppetId;

    #[test]
    fn a_server_that_makes_numbers_up_gets_no_room_for_them() {
        let mut counts = Counts::default();
        for code in 0..1_000 {
            counts.answered(&Verdict::Refused(Refusal::ours(&format!("{code:03}"), "")));
        }
        counts.answered(&Verdict::Doubtful(Refusal::ours("001", "")));
        counts.answered(&Verdict::Accepted);
        assert_eq!(counts.refusals.len(), CODES_MAX + 1);
        assert_eq!(counts.refusals[OTHER], 1_000 - CODES_MAX as u64);
        assert_eq!(counts.refusals["001"], 2);
    }

    #[test]
    fn a_second_connection_is_a_reconnect() {
        let mut counts = Counts::default();
        for generation in 1..=3 {
            counts.connect(ConnId { puppet: PuppetId(0), generation });
        }
        assert_eq!((counts.connects, counts.reconnects), (3, 2));
    }
}
