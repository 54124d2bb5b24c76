//! What people ask of networks, by the admin room or by a programme: the way there, and the report back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::plumbing::{Look, look};
use super::shell::{Mailbox, Mailboxes, Shell};
use crate::bridge::admin::ANSWER_MS_MAX;
use crate::bridge::errand::plumbing::Plumbing;
use crate::bridge::errand::{Errand, Report};
use crate::bridge::input::{AskId, Input};
use crate::ids::{NetworkId, RoomId, UserId};

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
    /// [`ANSWER_MS_MAX`]. Errands of one person that are given one after the other are worked on in that order, save those
    /// about rooms of people's own: there the homeserver is asked first who they are in it, and what room it is.
    pub async fn give(
        &self,
        network: &NetworkId,
        user: UserId,
        errand: Errand,
    ) -> impl Future<Output = Report> + Send + use<> {
        let (ask, answer) = self.shell.errands.make();
        let is_its = |mailbox: &&Mailbox| mailbox.network == *network;
        let mailbox = self.mailboxes.iter().find(is_its).cloned();
        let (shell, wanted) = (Arc::clone(&self.shell), Look::before(&errand));
        let mut errand = Some(errand);
        if wanted.is_none() {
            send(mailbox.as_ref(), ask, &user, errand.take()).await;
        }
        async move {
            if let Some((wanted, mailbox)) = wanted.zip(mailbox.as_ref()) {
                if let Err(why) = look(&shell, &mailbox.policy, &user, &wanted).await {
                    return Report::Plumbing(Plumbing::Refused(why));
                }
                send(Some(mailbox), ask, &user, errand).await;
            }
            let answered = timeout(Duration::from_millis(ANSWER_MS_MAX), answer).await;
            answered.ok().and_then(Result::ok).unwrap_or(Report::Unknown)
        }
    }

    /// True when no network has a room of people's own, nor waits for it; asked in somebody's name.
    pub async fn have_nothing_for(&self, room: &RoomId, user: &UserId) -> bool {
        for mailbox in self.mailboxes.iter() {
            let (ask, answer) = self.shell.errands.make();
            let errand = Errand::Links { room: Some(room.clone()) };
            send(Some(mailbox), ask, user, Some(errand)).await;
            let answered = timeout(Duration::from_millis(ANSWER_MS_MAX), answer).await;
            if !matches!(answered, Ok(Ok(Report::Links(links))) if links.is_empty()) {
                return false;
            }
        }
        true
    }
}

async fn send(mailbox: Option<&Mailbox>, ask: AskId, user: &UserId, errand: Option<Errand>) {
    if let Some((mailbox, errand)) = mailbox.zip(errand) {
        // Gone: the answer never comes, and that is an answer.
        mailbox.inputs.send(Input::Errand { ask, user: user.clone(), errand }).await.ok();
    }
}
