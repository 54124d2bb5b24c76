//! What people ask of the network for themselves, and admins for others: one file for each kind, and here the way to them.
//!
//! Every errand is reported exactly once. What a person may ask for was decided before.

use super::super::effect::{Effect, Refusal};
use super::super::errand::{Errand, Report};
use super::super::input::AskId;
use super::Network;
use crate::ids::UserId;

impl Network {
    /// Somebody asks something; the report is an effect, now or later.
    pub(super) fn errand(&mut self, ask: AskId, user: &UserId, errand: Errand) {
        match errand {
            Errand::Line(line) => self.command(ask, user, &line),
            Errand::Join { .. }
            | Errand::Part { .. }
            | Errand::Query { .. }
            | Errand::Nick(_)
            | Errand::Status
            | Errand::Quit { .. }
            | Errand::Reconnect
            | Errand::Stop
            | Errand::Retry
            | Errand::Portals { .. }
            | Errand::Users
            | Errand::Kill { .. }
            | Errand::Evict { .. }
            | Errand::Reap { .. }
            | Errand::Channel(_)
            | Errand::Active
            | Errand::Here(_)
            | Errand::Find(_) => {
                let refusal = Refusal::ours("NOT_ALLOWED", "this cannot be asked of the network");
                self.reported(ask, Report::Refused(refusal));
            }
        }
    }

    pub(super) fn reported(&mut self, ask: AskId, report: Report) {
        self.out.push(Effect::Reported { ask, report });
    }
}
