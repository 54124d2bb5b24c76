//! Errands that wait: for a connection, for an answer, for a room.
//!
//! What an errand waits for is looked up in the network's own state, after every input that may have changed it; only what
//! a server says against it comes by itself. So no order of losses, holds and stops can leave one behind: it ends in its
//! report, and after [`ERRAND_MS_MAX`] at the latest.
//!
//! Full: with [`ERRANDS_OF_ONE_MAX`] of one person or [`ERRANDS_MAX`] of all a further one is refused.

use std::collections::BTreeMap;

use super::super::super::effect::{CommandAnswer, Extent, Refusal, Verdict};
use super::super::super::errand::{ERRAND_MS_MAX, ERRANDS_MAX, ERRANDS_OF_ONE_MAX, Report};
use super::super::super::input::{AskId, Input};
use super::super::super::queries::Pair;
use super::super::super::session::Session;
use super::super::super::timer::Timer;
use super::super::{Life, Network};
use super::nick::Naming;
use super::plumb::Asking;
use super::{NO_ROOM, NOT_CONNECTED, TOO_MANY, refused_line};
use crate::ids::{ChannelName, ConnId, PuppetId, Time};
use crate::text::casemap::CaseMap;
use crate::text::line::Line;

/// The errands that wait.
#[derive(Debug, Default)]
pub(in super::super) struct Errands {
    open: BTreeMap<AskId, Open>,
    /// Channels that puppets went into while their people were in no room of them, and until when that may be so.
    pub(super) visits: BTreeMap<(PuppetId, ChannelName), Time>,
}

/// One that waits.
#[derive(Debug)]
struct Open {
    id: PuppetId,
    by: Time,
    needs: Needs,
    stage: Stage,
}

/// Whether a connection is made for an errand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Connection,
    Nothing,
}

/// What an errand waits for.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// To say this line.
    Line(Line),
    /// The answer to its line, which was given to this connection.
    Asked(ConnId),
    /// To be in a channel.
    Entering(ChannelName),
    /// The room of a channel that it is in.
    Housing(ChannelName),
    /// To be out of a channel.
    Leaving(ChannelName),
    /// To write to somebody.
    Writing(Pair, Line),
    /// The answer to that.
    Written(Pair, ConnId),
    /// The room of a private chat.
    Talking(Pair),
    Naming(Naming),
    /// Another connection than this one.
    Returning(Option<ConnId>),
    /// Who are operators of a channel, or a room to be paired with it.
    Plumbing(Box<Asking>),
}

impl Errands {
    /// The channels that a puppet is to be in though its person is in no room of them.
    pub fn visited_by(&self, id: PuppetId) -> impl Iterator<Item = ChannelName> {
        self.visits.keys().filter(move |(visitor, _)| *visitor == id).map(|(_, channel)| channel.clone())
    }

    /// The errands of a puppet, or of all, with what they wait for.
    pub(super) fn of(&self, whose: Option<PuppetId>) -> Vec<(AskId, PuppetId, Stage)> {
        let theirs = self.open.iter().filter(|(_, open)| whose.is_none_or(|id| open.id == id));
        theirs.map(|(ask, open)| (*ask, open.id, open.stage.clone())).collect()
    }

    /// What an errand waits for, while it does.
    pub(super) fn stage(&self, ask: AskId) -> Option<&Stage> {
        self.open.get(&ask).map(|open| &open.stage)
    }

    /// Whose an errand is that waits.
    pub(super) fn person(&self, ask: AskId) -> Option<PuppetId> {
        self.open.get(&ask).map(|open| open.id)
    }

    /// It waits for something else now.
    pub(super) fn turn(&mut self, ask: AskId, stage: Stage) {
        if let Some(open) = self.open.get_mut(&ask) {
            open.stage = stage;
        }
    }

    fn next(&self) -> Option<Time> {
        self.open.values().map(|open| open.by).chain(self.visits.values().copied()).min()
    }

    fn refold(&mut self, map: CaseMap) {
        let visits = std::mem::take(&mut self.visits).into_iter();
        self.visits = visits.map(|((id, channel), at)| ((id, channel.refolded(map)), at)).collect();
        for open in self.open.values_mut() {
            match &mut open.stage {
                Stage::Entering(channel) | Stage::Housing(channel) | Stage::Leaving(channel) => {
                    *channel = channel.refolded(map);
                }
                Stage::Writing(pair, _) | Stage::Written(pair, _) | Stage::Talking(pair) => {
                    pair.1 = pair.1.refolded(map);
                }
                Stage::Plumbing(asking) => asking.channel = asking.channel.refolded(map),
                Stage::Line(_) | Stage::Asked(_) | Stage::Naming(_) | Stage::Returning(_) => {}
            }
        }
    }
}

/// Whose errands an input may concern: those of the puppet that a connection is of; `None`: anybody's.
pub(in super::super) fn whose(input: &Input) -> Option<PuppetId> {
    if let Input::ConnLine { conn, .. } | Input::ConnWritten { conn, .. } | Input::ConnClosed { conn, .. } =
        input
    {
        Some(conn.puppet)
    } else {
        None
    }
}

impl Network {
    /// Lets an errand wait, and looks whether it has to.
    pub(super) fn wait_for(
        &mut self,
        ask: AskId,
        id: PuppetId,
        needs: Needs,
        stage: Stage,
    ) -> Result<(), Refusal> {
        let of_one = self.errands.open.values().filter(|open| open.id == id).count();
        if of_one >= ERRANDS_OF_ONE_MAX || self.errands.open.len() >= ERRANDS_MAX {
            let words = "too much that was asked for waits already: try again when some of it is done";
            return Err(Refusal::ours(TOO_MANY, words));
        }
        let by = self.now.plus_ms(ERRAND_MS_MAX);
        self.errands.open.insert(ask, Open { id, by, needs, stage });
        self.timers.arm(Timer::Errands, by);
        if needs == Needs::Connection {
            self.puppet(id).asked.errands += 1;
            self.came_or_spoke(id);
            self.linger_if_alone(id);
            self.ask_to_dial(id);
        }
        Ok(())
    }

    /// Reports what became of an errand that waited; once.
    pub(super) fn end_errand(&mut self, ask: AskId, report: Report) {
        let Some(open) = self.errands.open.remove(&ask) else { return };
        if open.needs == Needs::Connection {
            let asked = &mut self.puppet(open.id).asked;
            asked.errands = asked.errands.saturating_sub(1);
            self.linger_if_alone(open.id);
        }
        self.reported(ask, report);
    }

    /// Refuses an errand that waited, and undoes what was begun for it.
    pub(super) fn refuse_errand(&mut self, ask: AskId, refusal: Refusal) {
        let Some(Open { id, stage, .. }) = self.errands.open.get(&ask) else { return };
        let (id, stage) = (*id, stage.clone());
        let is_line = matches!(stage, Stage::Line(_) | Stage::Asked(_));
        self.end_errand(ask, if is_line { refused_line(refusal) } else { Report::Refused(refusal) });
        self.undo(id, &stage);
    }

    fn undo(&mut self, id: PuppetId, stage: &Stage) {
        match stage {
            Stage::Entering(channel) | Stage::Housing(channel) => self.end_visit(id, channel),
            Stage::Naming(naming) => self.unname(id, naming),
            Stage::Line(_)
            | Stage::Asked(_)
            | Stage::Leaving(_)
            | Stage::Writing(..)
            | Stage::Written(..)
            | Stage::Talking(_)
            | Stage::Returning(_)
            | Stage::Plumbing(_) => {}
        }
    }

    /// Something has happened: what waits for it goes on.
    pub(in super::super) fn look_after_errands(&mut self, whose: Option<PuppetId>) {
        if self.errands.open.is_empty() {
            return;
        }
        for (ask, id, stage) in self.errands.of(whose) {
            self.look_after(ask, id, stage);
        }
    }

    fn look_after(&mut self, ask: AskId, id: PuppetId, stage: Stage) {
        let is_given = matches!(stage, Stage::Asked(_) | Stage::Written(..));
        if matches!(self.life, Life::Finishing | Life::Stopping) && !is_given {
            return self.break_off(ask, &stage);
        }
        let needs = self.errands.open.get(&ask).map(|open| open.needs);
        if let Some(why) = self.held_words(id).filter(|_| needs == Some(Needs::Connection) && !is_given) {
            return self.refuse_errand(ask, Refusal::ours(NOT_CONNECTED, &why));
        }
        match stage {
            Stage::Line(line) => self.say_line(ask, id, &line),
            Stage::Asked(conn) => {
                if self.puppet_of(conn).is_none() {
                    self.end_errand(ask, Report::Line(unknown()));
                }
            }
            Stage::Entering(channel) | Stage::Housing(channel) => self.look_into(ask, id, &channel),
            Stage::Leaving(channel) => {
                if self.standing(id, &channel).is_none() {
                    self.end_errand(ask, Report::Done);
                }
            }
            Stage::Writing(pair, line) => self.write_privately(ask, id, pair, &line),
            Stage::Written(_, conn) => {
                if self.puppet_of(conn).is_none() {
                    self.end_errand(ask, Report::Unknown);
                }
            }
            Stage::Talking(pair) => self.look_for_room(ask, &pair),
            Stage::Naming(naming) => self.look_at_nick(ask, id, naming),
            Stage::Returning(before) => self.look_for_return(ask, id, before),
            // The answer comes by itself, also where a connection ends.
            Stage::Plumbing(_) => {}
        }
    }

    /// The bridge goes down.
    fn break_off(&mut self, ask: AskId, stage: &Stage) {
        match stage {
            // Nobody is in a channel without a connection.
            Stage::Leaving(_) => self.end_errand(ask, Report::Done),
            Stage::Naming(naming) if naming.is_asked() => self.end_errand(ask, Report::Unknown),
            Stage::Line(_)
            | Stage::Asked(_)
            | Stage::Entering(_)
            | Stage::Housing(_)
            | Stage::Writing(..)
            | Stage::Written(..)
            | Stage::Talking(_)
            | Stage::Naming(_)
            | Stage::Returning(_)
            | Stage::Plumbing(_) => {
                let refusal = self.going_down();
                self.refuse_errand(ask, refusal);
            }
        }
    }

    /// Whether a puppet's connection may be used.
    pub(super) fn has_ready(&self, id: PuppetId) -> bool {
        self.puppets[id.0 as usize].session.as_ref().is_some_and(Session::is_ready)
    }

    /// Some errands took too long, and some visits.
    pub(in super::super) fn errands_due(&mut self) {
        let now = self.now;
        let late = self.errands.open.iter().filter(|(_, open)| open.by <= now);
        let late: Vec<(AskId, PuppetId, Stage)> =
            late.map(|(ask, open)| (*ask, open.id, open.stage.clone())).collect();
        for (ask, id, stage) in late {
            self.too_late(ask, id, &stage);
        }
        self.visits_due();
        self.timers.arm_if(Timer::Errands, self.errands.next());
    }

    fn too_late(&mut self, ask: AskId, id: PuppetId, stage: &Stage) {
        let is_line = matches!(stage, Stage::Line(_) | Stage::Asked(_));
        match stage {
            Stage::Talking(pair) => {
                let nick = pair.1.as_str().to_owned();
                return self.end_errand(ask, Report::Talking { nick, room: None });
            }
            Stage::Plumbing(_) => {}
            _ if !self.has_ready(id) => {
                let refusal = self.not_connected(id);
                return self.refuse_errand(ask, refusal);
            }
            Stage::Housing(channel) => {
                let words = format!("the homeserver has not made a room for {channel}: try again later");
                return self.refuse_errand(ask, Refusal::ours(NO_ROOM, &words));
            }
            Stage::Line(_)
            | Stage::Asked(_)
            | Stage::Entering(_)
            | Stage::Leaving(_)
            | Stage::Writing(..)
            | Stage::Written(..)
            | Stage::Naming(_)
            | Stage::Returning(_) => {}
        }
        self.end_errand(ask, if is_line { Report::Line(unknown()) } else { Report::Unknown });
        self.undo(id, stage);
    }

    /// There is no connection, why, and what comes next.
    pub(super) fn not_connected(&self, id: PuppetId) -> Refusal {
        let network = &self.policy.network_name;
        let words = match self.puppets[id.0 as usize].last_trouble() {
            Some(trouble) => format!(
                "your IRC user has no connection to {network} ({trouble}): it is tried again and again, ask again later"
            ),
            None => format!("your IRC user has no connection to {network} yet: ask again in a moment"),
        };
        Refusal::ours(NOT_CONNECTED, &words)
    }

    pub(in super::super) fn refold_errands(&mut self) {
        let map = self.map();
        self.errands.refold(map);
    }
}

fn unknown() -> CommandAnswer {
    CommandAnswer { verdict: Verdict::Unknown, lines: Vec::new(), extent: Extent::Whole }
}
