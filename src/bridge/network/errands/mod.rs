//! What people ask of the network for themselves, and admins for others: one file for each kind, and here the way to them.
//!
//! ```text
//!   Errand ─▶ the kind's file ─┬─ known at once ──────────────────────────────────────────▶ Reported
//!                              └─ waits (`waiting`): a connection, an answer, a room ─▶ looked at after
//!                                 every input; or its time is over, the bridge goes down ─▶ Reported
//! ```
//!
//! Every errand is reported exactly once. What a person may ask for was decided before.

mod comings;
mod facts;
mod ignore;
mod join;
mod lines;
mod mentions;
mod nick;
mod part;
mod plumb;
mod query;
mod realname;
mod status;
mod stop;
mod waiting;

pub(super) use self::waiting::{Errands, whose};

use self::plumb::Wanted;
use super::super::effect::{CommandAnswer, Effect, Extent, Refusal, Verdict};
use super::super::errand::{Errand, Report};
use super::super::input::AskId;
use super::{Life, Network};
use crate::ids::{ChannelName, UserId};

/// Whose errand it is has no connection, or may have none.
const NOT_CONNECTED: &str = "NOT_CONNECTED";
const NOT_ALLOWED: &str = "NOT_ALLOWED";
const TOO_MANY: &str = "TOO_MANY";
const BAD_NAME: &str = "BAD_NAME";
const NO_ROOM: &str = "NO_ROOM";

impl Network {
    /// Somebody asks something; the report is an effect, now or later.
    pub(super) fn errand(&mut self, ask: AskId, user: &UserId, errand: Errand) {
        if let Err(refusal) = self.may_ask(user, &errand) {
            let is_line = matches!(errand, Errand::Line(_));
            let report = if is_line { refused_line(refusal) } else { Report::Refused(refusal) };
            return self.reported(ask, report);
        }
        let done = match errand {
            Errand::Line(line) => {
                if let Err(refusal) = self.line_asked(ask, user, &line) {
                    self.reported(ask, refused_line(refusal));
                }
                return;
            }
            Errand::Join { channel, key } => self.join_asked(ask, user, &channel, key),
            Errand::Part { channel, reason } => self.part_asked(ask, user, &channel, reason.as_deref()),
            Errand::Query { nick, text } => self.query_asked(ask, user, &nick, text.as_deref()),
            Errand::Nick(nick) => self.nick_wanted(ask, user, nick),
            Errand::Reconnect => self.reconnect_asked(ask, user),
            Errand::Status => Ok(Some(Report::Status(Box::new(self.status_of(user))))),
            Errand::Quit { reason } => self.quit_asked(user, reason.as_deref()).map(Some),
            Errand::Stop => Ok(Some(Report::Stopped(self.stop(user)))),
            Errand::Retry => self.retry(user).map(Some),
            Errand::Portals { search } => {
                Ok(Some(Report::Portals(self.portal_facts(user, search.as_deref()))))
            }
            Errand::Users => Ok(Some(Report::Users(self.user_facts()))),
            Errand::Kill { user: whom, reason } => self.kill(user, &whom, reason.as_deref()).map(Some),
            Errand::Evict { server, reason } => Ok(Some(self.evict(user, &server, reason.as_deref()))),
            Errand::Reap { idle_ms, how } => Ok(Some(Report::Ended(self.reap(idle_ms, how)))),
            Errand::Channel(name) => self.channel_fact(&name).map(Some),
            Errand::Active => Ok(Some(self.is_active(user))),
            Errand::Here(room) => Ok(Some(self.place_here(user, &room))),
            Errand::Release(whom) => self.release_held(&whom).map(Some),
            Errand::Find(whom) => Ok(Some(Report::Users(self.found(&whom)))),
            Errand::Realname(realname) => self.realname_wanted(user, realname).map(Some),
            Errand::Ignore(what) => self.ignore_asked(user, what).map(Some),
            Errand::Mentions(wish) => Ok(Some(self.mentions_asked(user, wish))),
            Errand::Plumb { room, channel, key, operator } => {
                self.plumb_asked(ask, user, Wanted { room, channel, key, operator })
            }
            Errand::Unplumb { room, channel } => {
                self.unplumb_asked(user, &room, channel.as_deref()).map(Some)
            }
            Errand::Links { room } => Ok(Some(Report::Links(self.links(user, room.as_ref())))),
            // Who knows the key is in the channel, and their own connection asks.
            Errand::Operators { channel, key: _ } => self.operators_asked(ask, user, &channel),
        };
        match done {
            Ok(None) => {}
            Ok(Some(report)) => self.reported(ask, report),
            Err(refusal) => self.reported(ask, Report::Refused(refusal)),
        }
    }

    /// Ghosts have nothing to ask for, nor has the bot but what whoever runs the bridge asks in its name; and before the start and at the end nobody has.
    fn may_ask(&self, user: &UserId, errand: &Errand) -> Result<(), Refusal> {
        match self.life {
            Life::Running if *user == self.policy.bot && errand.is_of_everybody() => Ok(()),
            Life::Running if self.is_ours(user) => {
                Err(Refusal::ours(NOT_ALLOWED, "this is for people of Matrix"))
            }
            Life::Running => match self.exclusion_of(user) {
                Some(excluded) => Err(Refusal::ours(NOT_ALLOWED, &excluded.words())),
                None => Ok(()),
            },
            Life::Loading => {
                Err(Refusal::ours(NOT_CONNECTED, "the bridge is starting: try again in a moment"))
            }
            Life::Finishing | Life::Stopping => Err(self.going_down()),
        }
    }

    fn going_down(&self) -> Refusal {
        Refusal::ours(NOT_CONNECTED, "the bridge is going down: try again when it is back")
    }

    pub(super) fn reported(&mut self, ask: AskId, report: Report) {
        self.counts.errand(&report);
        self.out.push(Effect::Reported { ask, report });
    }

    /// The channel of this name, or why there is none.
    fn channel_named(&self, name: &str) -> Result<ChannelName, Refusal> {
        let network = &self.policy.network_name;
        if name.contains(',') {
            return Err(Refusal::ours(BAD_NAME, "one channel at a time: a name has no comma in it"));
        }
        let signs = &self.isupport.channel_signs;
        let channel = ChannelName::new(name, self.map()).filter(|_| self.isupport.is_channel(name));
        channel.ok_or_else(|| {
            let words = format!(
                "this is no name of a channel: on {network} they begin with one of {signs}, have no blanks, and at most {} bytes",
                ChannelName::BYTES_MAX
            );
            Refusal::ours(BAD_NAME, &words)
        })
    }
}

/// What is reported of a line that did not go.
fn refused_line(refusal: Refusal) -> Report {
    let (lines, extent) = (Vec::new(), Extent::Whole);
    Report::Line(CommandAnswer { verdict: Verdict::Refused(refusal), lines, extent })
}
