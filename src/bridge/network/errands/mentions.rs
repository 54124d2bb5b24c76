//! Whether somebody's nick, when it is said in a channel, becomes a mention of them that their client makes a sign of.

use super::super::super::effect::Effect;
use super::super::super::errand::Report;
use super::super::super::policy::Shown;
use super::super::Network;
use crate::ids::UserId;

impl Network {
    /// Somebody wanted none in an earlier run.
    pub(in super::super) fn mentions_off_known(&mut self, user: &UserId) {
        let id = self.ensure_puppet(user, None);
        self.puppet(id).asked.mentions = Shown::Off;
    }

    pub(super) fn mentions_asked(&mut self, user: &UserId, wish: Option<Shown>) -> Report {
        let id = self.ensure_puppet(user, None);
        let before = self.puppet(id).asked.mentions;
        let shown = wish.unwrap_or(before);
        if shown != before {
            self.puppet(id).asked.mentions = shown;
            self.out.push(Effect::Mentions { user: user.clone(), shown });
        }
        Report::Mentions(shown)
    }
}
