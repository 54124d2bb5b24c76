//! What is asked of the homeserver at the start, patiently: it may come up later than we do.
//!
//! Making contact: who are we, and can it reach us. Then, and whenever the homeserver is back, one event in the
//! control room: a Synapse that was restarted delivers nothing it has kept for us until somebody in one of our rooms
//! does something, and a ping does not count.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio_util::sync::CancellationToken;

use super::routes::Way;
use super::shell::{Mailbox, Shell};
use super::upgrades;
use crate::bridge::input::{Input, PortalOrigin, PortalRow};
use crate::config;
use crate::ids::{NetworkId, RoomAlias, RoomId};
use crate::matrix::client::{As, Client, ClientError, DeviceUse};
use crate::store::{Naming, Pairing, StoreError};

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

/// By which names several networks map one room.
pub type Shared = HashMap<String, Vec<NetworkId>>;

/// What became of a mapped room.
enum Linked {
    Yes,
    /// It is another network's, who was not to share it.
    Taken,
}

/// The rooms that several networks map, by their names.
pub fn shared(config: &config::Config) -> Shared {
    let mut shared = Shared::new();
    for (key, network) in &config.networks {
        for name in network.channels.iter().flat_map(|mapping| &mapping.rooms) {
            shared.entry(name.clone()).or_default().extend(NetworkId::new(key));
        }
    }
    shared.retain(|_, networks| networks.len() > 1);
    shared
}

/// Links the rooms that the configuration maps to channels: the bot joins, and the network learns who is in.
pub async fn link_mapped_rooms(
    shell: Arc<Shell>,
    mailbox: Mailbox,
    channels: Vec<config::Channel>,
    shared: Arc<Shared>,
    cancel: CancellationToken,
) {
    for config::Channel { channel, rooms } in channels {
        for room in rooms {
            let sharing = shared.get(&room).map(Vec::as_slice).unwrap_or_default();
            let linked = patiently("linking a mapped room", &shell.client, &cancel, || {
                link(&shell, &mailbox, &channel, &room, sharing)
            });
            match linked.await {
                None => return,
                Some(Ok(Linked::Yes)) => {
                    tracing::info!(network = %mailbox.network, room, channel, "mapped room linked")
                }
                Some(Ok(Linked::Taken)) => tracing::error!(
                    network = %mailbox.network, room, channel,
                    "a mapped room is not linked: another network has it; where both are to have it, map it by the same \
                     name in both, and it has to be a room of people's own"
                ),
                Some(Err(error)) => tracing::error!(
                    network = %mailbox.network, room, channel, %error,
                    "a mapped room cannot be linked; invite the bot into it, or remove it from the configuration"
                ),
            }
        }
    }
}

/// `sharing`: the networks that map the room by this name.
async fn link(
    shell: &Shell,
    mailbox: &Mailbox,
    channel: &str,
    room: &str,
    sharing: &[NetworkId],
) -> Result<Linked, ClientError> {
    let bot = shell.client.bot();
    let named = match RoomAlias::new(room) {
        Some(alias) => shell.client.join_alias(bot, &alias).await?,
        None => RoomId::new(room).ok_or(ClientError::NotFound)?,
    };
    let unreadable = |error: StoreError| ClientError::Unavailable(error.to_string());
    let room = upgrades::newest(&shell.store, named).await.map_err(unreadable)?;
    shell.client.join(bot, &room).await?;
    // One that is known by two names could lead in a circle, which nobody has looked for.
    let ways = shell.routes.ways(&room);
    let mut others = ways.iter().flat_map(|ways| ways.iter()).filter(|way| way.network != mailbox.network);
    if !others.all(|way| sharing.contains(&way.network)) {
        return Ok(Linked::Taken);
    }
    let row = PortalRow { room: room.clone(), channel: channel.to_owned(), origin: PortalOrigin::Config };
    match shell.store.portal_save(&mailbox.network, &row).await {
        Ok(()) => {}
        Err(StoreError::Refused(_)) => return Ok(Linked::Taken),
        Err(error) => tracing::error!(%room, %error, "a mapped room could not be remembered"),
    }
    let way = way(shell, &mailbox.network, &room).await;
    // Before the members: what is said from now on finds its way, and the list is taken after it.
    mailbox.inputs.send(Input::Portal(row)).await.ok();
    shell.routes.share(room.clone(), way);
    let members = shell.client.joined_members(&room).await?;
    mailbox.inputs.send(Input::Members { room, members }).await.ok();
    Ok(Linked::Yes)
}

/// How a network is given what happens in a room. A portal that could not be kept begins now.
async fn way(shell: &Shell, network: &NetworkId, room: &RoomId) -> Way {
    if let Ok(Some(Pairing { since, naming, .. })) = shell.store.pairing(network, room).await {
        return Way { network: network.clone(), naming, since };
    }
    let has_others =
        shell.routes.ways(room).is_some_and(|ways| ways.iter().any(|way| way.network != *network));
    let naming = if has_others { Naming::ByNetwork } else { Naming::Plain };
    Way { network: network.clone(), naming, since: shell.clock.now() }
}
