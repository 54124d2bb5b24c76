//! Rooms that are replaced: goes into the successor, asks it whose place it takes, and moves what leads to the old one.
//!
//! Nothing of the old room is given up before the bot is in the new one, and may do there what it has to.

use std::sync::Arc;
use std::time::Duration;

use super::network_task::NetworkTask;
use super::shell::Shell;
use crate::bridge::effect::{Needed, Succession};
use crate::bridge::input::{Input, Successor, Unfit};
use crate::bridge::policy::Policy;
use crate::ids::{RoomAlias, RoomId, UserId};
use crate::matrix::client::{Client, ClientError};
use crate::matrix::room_state;
use crate::store::{Store, StoreError};
use crate::text::casemap::CaseMap;

/// Attempts at each request; the waits between them begin with [`WAIT_MIN`] and double.
const TRIES_MAX: u32 = 8;
const WAIT_MIN: Duration = Duration::from_secs(1);
/// Rooms that replace one another, one after the other, at most: more are no chain but a mistake.
const CHAIN_MAX: usize = 64;

impl NetworkTask {
    /// Does one thing for a room that is replaced.
    pub(super) async fn succeed(&self, succession: Succession) {
        match succession {
            Succession::Follow { room, to, sender, needed } => self.follow(room, to, sender, needed),
            Succession::Move { from, row, members } => {
                tracing::info!(network = %self.id, %from, to = %row.room, channel = row.channel, "a channel's room is another one now");
                self.shell.routes.follow(&from, &row.room, &self.id);
                self.shell.routes.leave(&from, &self.id);
                let moved = self.shell.store.portal_move(&self.id, &from, &row, &members).await;
                self.note(moved, "a room's successor could not be remembered; it lasts until the next start");
            }
            Succession::GiveUp { to } => self.shell.routes.leave(&to, &self.id),
            Succession::Remember(row) => {
                let saved = self.shell.store.tombstone_save(&self.id, &row).await;
                self.note(
                    saved,
                    "a tombstone could not be remembered; it is not looked at again after a restart",
                );
            }
            Succession::Forget { room } => {
                let saved = self.shell.store.tombstone_remove(&self.id, &room).await;
                self.note(saved, "a tombstone could not be forgotten; it is looked at again after a restart");
            }
            Succession::Vacate { from, to } => self.shell.outbox.vacate(&from, &to),
        }
    }

    fn follow(&self, room: RoomId, to: RoomId, sender: UserId, needed: Needed) {
        // Pushed as soon as the bot is in; where a tombstone was not, this is the first that is known of the room.
        let is_taken = !self.shell.routes.follow(&room, &to, &self.id);
        let (shell, inputs, policy) =
            (Arc::clone(&self.shell), self.inputs.clone(), Arc::clone(&self.policy));
        self.shell.tasks.spawn(async move {
            let result = match is_taken {
                true => Err(Unfit::Taken),
                false => look(&shell, &policy, (&room, &to), &sender, needed).await,
            };
            if let Err(unfit) = &result {
                tracing::warn!(network = %policy.network, %room, %to, ?unfit, "a room does not take another one's place");
            }
            inputs.send(Input::Succeeded { room, to, result }).await.ok();
        });
    }

    /// Invites somebody in the bot's name. One who is in the room, or banned there, needs nothing.
    pub(super) fn invite(&self, room: RoomId, user: UserId, reason: String) {
        let (shell, network) = (Arc::clone(&self.shell), self.id.clone());
        self.shell.tasks.spawn(async move {
            let invited = patiently(|| shell.client.invite_because(&room, &user, &reason)).await;
            if let Err(error) = invited {
                tracing::info!(%network, %room, %user, %error, "somebody could not be invited");
            }
        });
    }
}

/// Goes into the room and asks it.
async fn look(
    shell: &Shell,
    policy: &Policy,
    (room, to): (&RoomId, &RoomId),
    sender: &UserId,
    needed: Needed,
) -> Result<Successor, Unfit> {
    let client = &shell.client;
    match shell.store.successor(to).await {
        Ok(None) => {}
        Ok(Some(_)) => return Err(Unfit::Taken),
        Err(_) => return Err(Unfit::Unknown),
    }
    let said = patiently(|| client.tombstone(room)).await.map_err(|_| Unfit::Unknown)?;
    if said.is_none_or(|(said, _)| said != *to) {
        return Err(Unfit::Overtaken);
    }
    let mut servers = vec![sender.server()];
    servers.extend([to, room].into_iter().filter_map(|id| server_of(id)));
    servers.dedup();
    patiently(|| client.join_through(client.bot(), to, &servers)).await.map_err(|error| unfit(&error))?;
    let made = patiently(|| client.creation(to)).await.map_err(|error| unfit(&error))?;
    if made.predecessor.as_ref() != Some(room) || made.kind.is_some() {
        client.leave(client.bot(), to, None).await.ok();
        return Err(Unfit::Stranger);
    }
    if needed == Needed::Removals {
        let may_remove = || room_state::may_remove(client, to, &made.creators);
        if !patiently(may_remove).await.map_err(|error| unfit(&error))? {
            return Err(Unfit::Powerless);
        }
        if !patiently(|| room_state::is_for_members(client, to)).await.map_err(|error| unfit(&error))? {
            return Err(Unfit::Readable);
        }
    }
    if let Err(error) = move_aliases(client, policy, room, to).await {
        tracing::warn!(%room, %to, %error, "aliases of a replaced room could not be moved");
    }
    let next = patiently(|| client.tombstone(to)).await.map_err(|error| unfit(&error))?;
    let members = patiently(|| client.joined_members(to)).await.map_err(|error| unfit(&error))?;
    Ok(Successor { members, next })
}

/// The server that made a room, where its id tells: since room version 12 it does not.
fn server_of(room: &RoomId) -> Option<&str> {
    room.as_str().split_once(':').map(|(_, server)| server)
}

fn unfit(error: &ClientError) -> Unfit {
    match error {
        ClientError::Forbidden { .. } => Unfit::Closed,
        ClientError::NotFound | ClientError::Refused { .. } => Unfit::Missing,
        ClientError::Limited { .. }
        | ClientError::Unavailable(_)
        | ClientError::Exists
        | ClientError::TooLarge
        | ClientError::WrongToken
        | ClientError::NoDevices(_)
        | ClientError::UnknownDevice => Unfit::Unknown,
    }
}

/// Tries again what may go well later.
async fn patiently<T, F: Future<Output = Result<T, ClientError>>>(
    mut call: impl FnMut() -> F,
) -> Result<T, ClientError> {
    let mut wait = WAIT_MIN;
    for _ in 1..TRIES_MAX {
        match call().await {
            Err(ClientError::Limited { retry_after }) => tokio::time::sleep(retry_after).await,
            Err(ClientError::Unavailable(_)) => {
                tokio::time::sleep(wait).await;
                wait *= 2;
            }
            result => return result,
        }
    }
    call().await
}

/// Aliases of ours lead to the successor. A homeserver that upgrades a room itself has moved them before.
async fn move_aliases(
    client: &Client,
    policy: &Policy,
    from: &RoomId,
    to: &RoomId,
) -> Result<(), ClientError> {
    for alias in client.aliases(from).await?.iter().filter(|alias| is_ours(policy, alias)) {
        client.remove_alias(alias).await?;
        client.add_alias(to, alias).await?;
    }
    Ok(())
}

fn is_ours(policy: &Policy, alias: &RoomAlias) -> bool {
    let localpart = alias.localpart(&policy.server_name);
    localpart.is_some_and(|local| policy.aliases.parse(local, CaseMap::default()).is_some())
}

/// The room that a mapped one has become.
pub(super) async fn newest(store: &Store, room: RoomId) -> Result<RoomId, StoreError> {
    let mut newest = room;
    for _ in 0..CHAIN_MAX {
        match store.successor(&newest).await? {
            Some(next) => newest = next,
            None => break,
        }
    }
    Ok(newest)
}

/// True for a room that took the place, at last, of one of these names; `pairs` are rooms with their successors.
pub(super) fn is_successor_of(pairs: &[(RoomId, RoomId)], room: &RoomId, names: &[String]) -> bool {
    let before = |room: &RoomId| pairs.iter().find(|(_, after)| after == room).map(|(before, _)| before);
    let chain = std::iter::successors(Some(room), |room| before(room)).take(CHAIN_MAX);
    chain.skip(1).any(|room| names.iter().any(|name| name == room.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(name: &str) -> RoomId {
        RoomId::new(name).expect("a room id")
    }

    #[test]
    fn a_mapped_room_is_found_again_however_often_it_was_replaced() {
        let pairs = [(room("!a"), room("!b")), (room("!b"), room("!c")), (room("!x"), room("!y"))];
        let names = ["!a".to_owned()];
        assert!(is_successor_of(&pairs, &room("!c"), &names) && is_successor_of(&pairs, &room("!b"), &names));
        assert!(
            !is_successor_of(&pairs, &room("!y"), &names) && !is_successor_of(&pairs, &room("!a"), &names)
        );
        let ring = [(room("!p"), room("!q")), (room("!q"), room("!p"))];
        assert!(!is_successor_of(&ring, &room("!p"), &names), "and it ends");
    }
}
