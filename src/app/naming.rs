//! Tells the networks under which events the homeserver has taken their lines.
//!
//! The outbox reports from places that must not wait; a network's mailbox may make one wait. Between them stands one
//! queue of [`QUEUE_MAX`] names and one task. Full: names are dropped, and what is said on IRC about those lines later
//! stands alone. Where a network's task has ended, the names are kept for the next run.

use tokio::sync::mpsc;

use super::routes::Routes;
use super::shell::{Mailbox, Mailboxes};
use crate::bridge::input::Input;
use crate::ids::{EventId, RelaySeq, RoomId};
use crate::store::Store;

/// Names waiting for their networks, at most.
pub const QUEUE_MAX: usize = 16_384;
/// Names handed on before the task looks for more.
const BATCH_MAX: usize = 256;

/// Lines that are one event, mostly one.
#[derive(Clone, Debug)]
pub struct Named {
    pub room: RoomId,
    pub seqs: Vec<RelaySeq>,
    pub event: EventId,
}

/// Carries names to their networks until nobody can report any more.
pub async fn carry(
    mut names: mpsc::Receiver<Named>,
    routes: std::sync::Arc<Routes>,
    mailboxes: Mailboxes,
    store: Store,
) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while names.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let mut late = Vec::new();
        for Named { room, seqs, event } in batch.drain(..) {
            let Some(ways) = routes.ways(&room) else { continue };
            // A number is one network's; to others that share the room it is none.
            let is_its = |mailbox: &&Mailbox| ways.iter().any(|way| way.network == mailbox.network);
            for mailbox in mailboxes.iter().filter(is_its) {
                for seq in &seqs {
                    let said = Input::Said { seq: *seq, event: event.clone() };
                    if mailbox.inputs.send(said).await.is_err() {
                        late.push((*seq, event.clone()));
                    }
                }
            }
        }
        if !late.is_empty()
            && let Err(error) = store.sayings_name(late).await
        {
            tracing::debug!(%error, "some lines stay without the names of their events");
        }
    }
}
