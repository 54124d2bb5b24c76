//! What is asked of the homeserver at the start, patiently: it may come up later than we do.
//!
//! Making contact: who are we, and can it reach us. Then, and whenever the homeserver is back, one event in the
//! control room: a Synapse that was restarted delivers nothing it has kept for us until somebody in one of our rooms
//! does something, and a ping does not count.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio_util::sync::CancellationToken;

use super::shell::{Mailbox, Shell};
use super::upgrades;
use crate::bridge::input::{Input, PortalOrigin, PortalRow};
use crate::config;
use crate::ids::{RoomAlias, RoomId};
use crate::matrix::client::{As, Client, ClientError, DeviceUse};
use crate::store::StoreError;

const CONTROL_ROOM: &str = "control_room";
const START_EVENT: &str = "org.bunraku.started";

/// Waits between attempts: 0.5 s doubling to 30 s, with jitter, for ever.
fn waits() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(30))
        .with_jitter()
        .without_max_times()
        .build()
}

/// Repeats `call` until it succeeds, is refused for good, or the bridge stops (`None`).
async fn patiently<T, F: Future<Output = Result<T, ClientError>>>(
    what: &str,
    client: &Client,
    cancel: &CancellationToken,
    mut call: impl FnMut() -> F,
) -> Option<Result<T, ClientError>> {
    let mut waits = waits();
    loop {
        let error = match call().await {
            Err(error @ (ClientError::Unavailable(_) | ClientError::Limited { .. })) => error,
            result => return Some(result),
        };
        let wait = match &error {
            ClientError::Limited { retry_after } => *retry_after,
            _ => waits.next().unwrap_or(Duration::from_secs(30)),
        };
        let homeserver = client.homeserver_url();
        tracing::warn!(homeserver, %error, wait_ms = wait.as_millis() as u64, "{what}: trying again");
        tokio::select! {
            () = cancel.cancelled() => return None,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Makes contact with the homeserver. `Err` when it refuses us for good: the registration is not its own.
pub async fn contact(shell: &Shell, cancel: &CancellationToken) -> Result<(), ClientError> {
    let client = &shell.client;
    let Some(known) = patiently("asking the homeserver who we are", client, cancel, || client.whoami()).await
    else {
        return Ok(());
    };
    match known {
        // The bot's user is made by its registration here, not by a person.
        Ok(_) | Err(ClientError::Forbidden { .. }) => {}
        Err(error) => return Err(error),
    }
    let localpart = client.bot().localpart().to_owned();
    if let Some(Err(error)) =
        patiently("registering the bot", client, cancel, || client.register(&localpart)).await
    {
        return Err(error);
    }
    match client.ping("bunraku-start").await {
        Ok(took) => tracing::info!(took_ms = took.as_millis() as u64, "the homeserver reaches us"),
        Err(error) => tracing::error!(
            %error,
            "the homeserver does not reach us: check appservice.url in the configuration and url in the registration"
        ),
    }
    Ok(())
}

/// One event in the bridge's own room: with it the homeserver begins to deliver what it has kept.
pub(super) async fn wake_homeserver(shell: &Shell) -> Result<(), ClientError> {
    let known = shell.store.meta_get(CONTROL_ROOM).await.ok().flatten();
    if let Some(room) = known.and_then(|room| RoomId::new(&room)) {
        match announce(shell, &room).await {
            Err(ClientError::Forbidden { .. } | ClientError::NotFound) => {}
            result => return result,
        }
    }
    let room = shell.client.create_control_room().await?;
    if let Err(error) = shell.store.meta_set(CONTROL_ROOM, room.as_str()).await {
        tracing::warn!(%error, "the control room could not be remembered");
    }
    announce(shell, &room).await
}

async fn announce(shell: &Shell, room: &RoomId) -> Result<(), ClientError> {
    let who = As::now(shell.client.bot(), DeviceUse::None);
    let txn = format!("bunraku.start.{}", shell.clock.now().0);
    shell.client.send_event(who, room, START_EVENT, &txn, "{}").await.map(drop)
}

/// Links the rooms that the configuration maps to channels: the bot joins, and the network learns who is in.
pub async fn link_mapped_rooms(
    shell: Arc<Shell>,
    mailbox: Mailbox,
    channels: Vec<config::Channel>,
    cancel: CancellationToken,
) {
    for config::Channel { channel, rooms } in channels {
        for room in rooms {
            let linked = patiently("linking a mapped room", &shell.client, &cancel, || {
                link(&shell, &mailbox, &channel, &room)
            });
            match linked.await {
                None => return,
                Some(Ok(())) => {
                    tracing::info!(network = %mailbox.network, room, channel, "mapped room linked")
                }
                Some(Err(error)) => tracing::error!(
                    network = %mailbox.network, room, channel, %error,
                    "a mapped room cannot be linked; invite the bot into it, or remove it from the configuration"
                ),
            }
        }
    }
}

async fn link(shell: &Shell, mailbox: &Mailbox, channel: &str, room: &str) -> Result<(), ClientError> {
    let bot = shell.client.bot();
    let named = match RoomAlias::new(room) {
        Some(alias) => shell.client.join_alias(bot, &alias).await?,
        None => RoomId::new(room).ok_or(ClientError::NotFound)?,
    };
    let unreadable = |error: StoreError| ClientError::Unavailable(error.to_string());
    let room = upgrades::newest(&shell.store, named).await.map_err(unreadable)?;
    shell.client.join(bot, &room).await?;
    let row = PortalRow { room: room.clone(), channel: channel.to_owned(), origin: PortalOrigin::Config };
    if let Err(error) = shell.store.portal_save(&mailbox.network, &row).await {
        tracing::error!(%room, %error, "a mapped room could not be remembered");
    }
    // Before the members: what is said from now on finds its way, and the list is taken after it.
    mailbox.inputs.send(Input::Portal(row)).await.ok();
    shell.routes.set(room.clone(), mailbox.network.clone());
    let members = shell.client.joined_members(&room).await?;
    mailbox.inputs.send(Input::Members { room, members }).await.ok();
    Ok(())
}
