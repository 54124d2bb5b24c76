//! Parts that are put together at the start: the way to the homeserver, the book of ghosts, and what the outbox had not said.

use std::sync::Arc;

use super::logs::Logs;
use crate::config::{Config, Registration};
use crate::matrix::client::{Client, ClientConfig};
use crate::matrix::outbox::{GhostBook, GhostFact, OutboxHandle};
use crate::store::Store;

/// The device that bot and ghosts send with.
const DEVICE: &str = "BUNRAKU";

/// The way to the homeserver.
pub(super) fn client(config: &Config, registration: &Registration) -> anyhow::Result<Client> {
    Ok(Client::new(ClientConfig {
        homeserver_url: config.homeserver.url.clone(),
        as_token: registration.as_token.clone(),
        appservice_id: registration.id.clone(),
        server_name: config.homeserver.domain.clone(),
        bot: registration.bot.clone(),
        device: DEVICE.to_owned(),
    })?)
}

/// The book of ghosts, with what earlier runs learned.
pub(super) async fn book(store: &Store, logs: &Arc<Logs>) -> anyhow::Result<Arc<GhostBook>> {
    let book = GhostBook::new(logs.clone());
    for ghost in store.ghosts().await? {
        let user = ghost.user;
        book.preload([
            GhostFact::Registered { user: user.clone() },
            GhostFact::HasDevice { user: user.clone() },
            GhostFact::Named { user, display_name: ghost.display_name },
        ]);
    }
    let rooms = store.ghost_rooms().await?;
    book.preload(rooms.into_iter().map(|(room, user)| GhostFact::Joined { room, user }));
    Ok(Arc::new(book))
}

/// Takes up what an earlier run had not said.
pub(super) async fn restore(store: &Store, outbox: &OutboxHandle) -> anyhow::Result<()> {
    let rows = store.outbox_load().await?;
    if !rows.is_empty() {
        tracing::info!(lines = rows.len(), "lines of the last run are said first");
    }
    outbox.restore_all(rows.into_iter().map(|row| (row.post, row.joined)).collect());
    Ok(())
}
