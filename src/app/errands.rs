//! What people ask of networks, by the admin room or by a programme: the way there, and the report back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::shell::{Mailbox, Mailboxes, Shell};
use crate::bridge::admin::ANSWER_MS_MAX;
use crate::bridge::errand::{Errand, Report};
use crate::bridge::input::Input;
use crate::ids::{NetworkId, UserId};

/// Where errands are given.
#[derive(Clone)]
pub struct Errands {
    shell: Arc<Shell>,
    mailboxes: Mailboxes,
}

impl Errands {
    pub fn new(shell: Arc<Shell>, mailboxes: Mailboxes) -> Self {
        Self { shell, mailboxes }
    }

    /// Gives one to a network. What comes back ends with its report, `Unknown` where there was none in
    /// [`ANSWER_MS_MAX`]. Errands of one person that are given one after the other are worked on in that order.
    pub async fn give(
        &self,
        network: &NetworkId,
        user: UserId,
        errand: Errand,
    ) -> impl Future<Output = Report> + Send + use<> {
        let (ask, answer) = self.shell.errands.make();
        let is_its = |mailbox: &&Mailbox| mailbox.network == *network;
        if let Some(mailbox) = self.mailboxes.iter().find(is_its) {
            // Gone: the answer never comes, and that is an answer.
            mailbox.inputs.send(Input::Errand { ask, user, errand }).await.ok();
        }
        async move {
            let answered = timeout(Duration::from_millis(ANSWER_MS_MAX), answer).await;
            answered.ok().and_then(Result::ok).unwrap_or(Report::Unknown)
        }
    }
}
