//! Notices whom an operator lets come back: their hold is gone from the database, and not by our own doing.
//!
//! `bunraku held release` works so while the bridge runs, with no other way into the process than the database.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::shell::{Mailbox, Mailboxes, Shell};
use crate::bridge::input::Input;
use crate::ids::UserId;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(20);

/// Looks until cancelled.
pub async fn watch(shell: Arc<Shell>, mailboxes: Mailboxes, cancel: CancellationToken) {
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = every.tick() => {}
        }
        for mailbox in mailboxes.iter() {
            look(&shell, mailbox).await;
        }
    }
}

/// Who is held here and not in the database any more is called back.
async fn look(shell: &Shell, mailbox: &Mailbox) {
    // Before the database is asked: who is held in between is in it.
    let held = shell.held.of(&mailbox.network);
    if held.is_empty() {
        return;
    }
    let stored: HashSet<UserId> = match shell.store.holds(&mailbox.network).await {
        Ok(holds) => holds.into_iter().map(|hold| hold.user).collect(),
        Err(error) => return tracing::warn!(network = %mailbox.network, %error, "the holds cannot be read"),
    };
    for user in held.into_iter().filter(|user| !stored.contains(user)) {
        tracing::info!(network = %mailbox.network, %user, "a puppet is let come back");
        mailbox.inputs.send(Input::Reconnect { user }).await.ok();
    }
}
