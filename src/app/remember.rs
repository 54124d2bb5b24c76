//! What earlier runs knew of a network, given to its machine before it begins.

use std::collections::{BTreeSet, HashMap};

use tokio::sync::mpsc;

use super::queries;
use super::routes::Way;
use super::shell::{Mailbox, Shell};
use super::space;
use super::upgrades;
use crate::bridge::input::{Input, PortalOrigin, PortalRow};
use crate::bridge::network::Network;
use crate::bridge::news::Reach;
use crate::bridge::policy::{GateRule, Policy};
use crate::config;
use crate::ids::{RoomId, UserId};
use crate::store::{Pairing, Store};

/// Which of our users are in which rooms, as earlier runs left them, or will be.
pub type GhostRooms = HashMap<RoomId, Vec<UserId>>;

/// All of them, of whatever network. Whose lines are still to be said comes in with them.
pub async fn ghosts_by_room(store: &Store) -> anyhow::Result<GhostRooms> {
    let mut rooms: HashMap<RoomId, BTreeSet<UserId>> = HashMap::new();
    for (room, user) in store.ghost_rooms().await?.into_iter().chain(store.outbox_speakers().await?) {
        rooms.entry(room).or_default().insert(user);
    }
    Ok(rooms.into_iter().map(|(room, users)| (room, users.into_iter().collect())).collect())
}

/// Gives a machine its portals and members of the last run. A mapping that is no longer configured is dropped.
pub async fn remember(
    network: &mut Network,
    policy: &Policy,
    settings: &config::Network,
    shell: &Shell,
    ghosts: &mut GhostRooms,
) -> anyhow::Result<()> {
    let now = shell.clock.now();
    // A room that is named by an alias is not known by its id here; linking tells.
    let pairs = shell.store.all_successions().await?;
    let names = |mapped: &config::Channel, room: &RoomId| {
        mapped.rooms.iter().any(|name| name == room.as_str() || name.starts_with('#'))
            || upgrades::is_successor_of(&pairs, room, &mapped.rooms)
    };
    let is_mapped =
        |row: &PortalRow| settings.channels.iter().any(|m| m.channel == row.channel && names(m, &row.room));
    for rule in shell.store.rules(&policy.network).await? {
        network.handle(now, Input::Rule(rule));
    }
    for Pairing { row, since, naming } in shell.store.pairings(&policy.network).await? {
        if row.origin == PortalOrigin::Config && !is_mapped(&row) {
            shell.store.portal_remove(&policy.network, &row.room).await?;
            network.handle(now, Input::PairingOver(row));
            continue;
        }
        shell.routes.share(row.room.clone(), Way { network: policy.network.clone(), naming, since });
        // Another network may have ghosts there too.
        let is_its = |ghost: &mut UserId| policy.ghosts.owns(ghost, &policy.server_name);
        let its = |ghosts: &mut Vec<UserId>| ghosts.extract_if(.., is_its).collect::<Vec<_>>();
        let (room, ghosts) = (row.room.clone(), ghosts.get_mut(&row.room).map(its));
        network.handle(now, Input::Portal(row));
        if let Some(ghosts) = ghosts {
            network.handle(now, Input::GhostsIn { room, ghosts });
        }
    }
    for hold in shell.store.holds(&policy.network).await? {
        shell.held.insert(policy.network.clone(), hold.user.clone());
        network.handle(now, Input::Held(hold));
    }
    for (user, _) in shell.store.admin_rooms().await? {
        network.handle(now, Input::Reach { user, reach: Reach::AdminRoom });
    }
    for (user, channel, key) in shell.store.all_channel_keys(&shell.vault, &policy.network).await? {
        network.handle(now, Input::KeyKept { user, channel, key });
    }
    for (user, realname) in shell.store.realnames(&policy.network).await? {
        network.handle(now, Input::RealnameKept { user, realname });
    }
    for (user, masks) in shell.store.ignores(&policy.network).await? {
        network.handle(now, Input::IgnoresKept { user, masks });
    }
    for user in shell.store.unmentioned(&policy.network).await? {
        network.handle(now, Input::MentionsOff { user });
    }
    for nick in shell.store.nicks(&policy.network).await? {
        network.handle(now, Input::NickKept(nick));
    }
    for ban in shell.store.bans(&policy.network).await? {
        network.handle(now, Input::Banned(ban));
    }
    for tombstone in shell.store.tombstones(&policy.network).await? {
        network.handle(now, Input::Tombstoned(tombstone));
    }
    queries::remember(network, policy, shell).await?;
    space::remember(network, policy, shell).await?;
    for (room, members) in shell.store.members(&policy.network).await? {
        network.handle(now, Input::Members { room, members });
    }
    Ok(())
}

/// Ends removals from rooms that are paired with no channel any more, left behind by an earlier run. Once the outbox has what it
/// left: what was kept back there is not said after all.
pub async fn end_removals(shell: &Shell, mailboxes: &[Mailbox]) -> anyhow::Result<()> {
    for network in mailboxes.iter().map(|mailbox| &mailbox.network) {
        let portals = shell.store.portals(network).await?;
        for bar in shell.store.bars(network).await? {
            if portals.iter().any(|portal| portal.room == bar.room) {
                continue;
            }
            tracing::info!(%network, room = %bar.room, user = %bar.user, "a removal of the last run ends with its portal");
            shell.outbox.vacate(&bar.room, &bar.room);
            shell.store.bar_remove(network, &bar.room, &bar.user).await?;
        }
    }
    Ok(())
}

/// Goes on with the removals of the last run. Before the outbox has anything else of it: what is said stands behind them.
pub async fn removals(
    network: &mut Network,
    policy: &Policy,
    shell: &Shell,
    inputs: &mpsc::Sender<Input>,
) -> anyhow::Result<()> {
    for bar in shell.store.bars(&policy.network).await? {
        if policy.presence.gate != GateRule::Strict {
            shell.store.bar_remove(&policy.network, &bar.room, &bar.user).await?;
            continue;
        }
        tracing::info!(network = %policy.network, room = %bar.room, user = %bar.user, "a removal of the last run goes on");
        network.handle(shell.clock.now(), Input::Barred(bar.clone()));
        shell.outbox.kick_again(bar, inputs.clone());
    }
    Ok(())
}
