//! Does for private chats what the machine asks for: rooms are made and entered in the name of ghosts.

use std::sync::Arc;

use super::network_task::NetworkTask;
use super::routes::Routes;
use super::shell::Shell;
use crate::bridge::effect::{Ghost, QueryStep};
use crate::bridge::input::{Input, MatrixEvent, Member, QueryFault, QueryRoom, QueryRow};
use crate::bridge::network::Network;
use crate::bridge::policy::Policy;
use crate::ids::{Nick, RoomId, UserId};
use crate::matrix::appservice::RawEvent;
use crate::matrix::client::{ClientError, CreateQuery, Federation};
use crate::matrix::decode::decode;
use crate::store::StoreError;
use crate::text::casemap::CaseMap;

/// Events of a room that are looked at for what was said before the ghost came in.
const FIRST_EVENTS: u32 = 50;

/// Lets the events of a private chat's room find their network, and the room its reader.
fn route(routes: &Routes, policy: &Policy, row: &QueryRow, map: CaseMap) {
    let nick = Nick::new(&row.nick, map);
    let (room, network) = (row.room.clone(), policy.network.clone());
    match nick.and_then(|nick| policy.ghosts.user(&nick, &policy.server_name)) {
        Some(ghost) => routes.set_read_by(room, network, ghost),
        None => routes.set(room, network),
    }
}

/// Gives a machine its private chats of the last run.
pub(super) async fn remember(
    network: &mut Network,
    policy: &Policy,
    shell: &Shell,
) -> Result<(), StoreError> {
    let map = shell.store.casemap(&policy.network).await?.and_then(|name| CaseMap::from_isupport(&name));
    for row in shell.store.queries(&policy.network).await? {
        route(&shell.routes, policy, &row, map.unwrap_or_default());
        network.handle(shell.clock.now(), Input::Query(row));
    }
    Ok(())
}

impl NetworkTask {
    /// Begins one step; its end comes back as an input.
    pub(super) fn query_step(&self, step: QueryStep) {
        if let Some(room) = step.room() {
            let ghost = step.ghost().user.clone();
            self.shell.routes.set_read_by(room.clone(), self.id.clone(), ghost);
        }
        let (shell, inputs, network) = (Arc::clone(&self.shell), self.inputs.clone(), self.id.clone());
        let room_version = self.portals.room_version.clone();
        self.shell.tasks.spawn(async move {
            let done = perform(&shell, &step, room_version).await;
            match &done {
                Ok(QueryRoom { room, .. }) => {
                    shell.routes.set_read_by(room.clone(), network, step.ghost().user.clone());
                }
                Err(fault) => tracing::info!(%network, ?fault, "a private chat could not be prepared"),
            }
            inputs.send(Input::QueryDone { step, result: done }).await.ok();
        });
    }

    pub(super) async fn save_query(&self, row: QueryRow) {
        if !self.shell.routes.has(&row.room) {
            // A room that told itself, by an invitation of ours; its ghost is known better by what is asked for next.
            route(&self.shell.routes, &self.policy, &row, CaseMap::default());
        }
        let saved = self.shell.store.query_save(&self.id, &row).await;
        self.note(saved, "a private chat could not be remembered; it lasts until the next start");
    }

    pub(super) async fn drop_query(&self, room: &RoomId) {
        self.shell.routes.remove(room);
        let dropped = self.shell.store.query_remove(room).await;
        self.note(dropped, "the end of a private chat could not be remembered");
    }
}

async fn perform(
    shell: &Shell,
    step: &QueryStep,
    room_version: Option<String>,
) -> Result<QueryRoom, QueryFault> {
    let done = match step {
        QueryStep::Create { user, ghost } => create(shell, user, ghost, room_version).await,
        QueryStep::Invite { room, user, ghost } => invite(shell, room, user, ghost).await,
        QueryStep::Enter { room, user, ghost } => return enter(shell, room, user, ghost).await,
        QueryStep::Move { room, from, ghost, .. } => follow(shell, room, from, ghost).await,
    };
    done.map(|room| QueryRoom { room, display_name: None }).map_err(fault)
}

async fn create(
    shell: &Shell,
    user: &UserId,
    ghost: &Ghost,
    room_version: Option<String>,
) -> Result<RoomId, ClientError> {
    present(shell, ghost).await?;
    // A room of the homeserver's own people is nobody else's business, for as long as it lives.
    let is_local = user.server() == shell.client.server_name();
    let federation = if is_local { Federation::LocalOnly } else { Federation::Open };
    let (ghost, user) = (ghost.user.clone(), user.clone());
    shell.client.create_query(&CreateQuery { ghost, user, federation, room_version }).await
}

async fn invite(shell: &Shell, room: &RoomId, user: &UserId, ghost: &Ghost) -> Result<RoomId, ClientError> {
    match shell.client.invite_as(&ghost.user, room, user).await {
        // Perhaps because they are back already.
        Err(error @ ClientError::Forbidden { .. }) => {
            let there = shell.client.members_as(&ghost.user, room).await?;
            there.iter().any(|member| member.user == *user).then(|| room.clone()).ok_or(error)
        }
        done => done.map(|()| room.clone()),
    }
}

/// Goes in, looks who is there, and reads what the person said before: a homeserver tells us nothing of a room before we
/// are in it.
async fn enter(shell: &Shell, room: &RoomId, user: &UserId, ghost: &Ghost) -> Result<QueryRoom, QueryFault> {
    let client = &shell.client;
    client.register(ghost.user.localpart()).await.map_err(fault)?;
    client.join(&ghost.user, room).await.map_err(fault)?;
    let there = client.members_as(&ghost.user, room).await.map_err(fault)?;
    let mut others = there.iter().filter(|member| member.user != ghost.user);
    let display_name = match (others.next(), others.next()) {
        (Some(Member { user: other, display_name }), None) if other == user => display_name.clone(),
        (Some(_), _) | (None, _) => return Err(QueryFault::Crowd),
    };
    let said = client.messages(&ghost.user, room, None, FIRST_EVENTS).await.map_err(fault)?;
    let said = since_invitation(said.events, user, &ghost.user);
    if let Some(intake) = shell.intake.get().and_then(std::sync::Weak::upgrade)
        && !said.is_empty()
    {
        intake.store(said).await;
    }
    Ok(QueryRoom { room: room.clone(), display_name })
}

/// Of events, the newest first, what the person said since they invited the ghost, oldest first. Nothing where the
/// invitation is not among them.
fn since_invitation(events: Vec<RawEvent>, user: &UserId, ghost: &UserId) -> Vec<RawEvent> {
    let mut said = Vec::new();
    for event in events {
        match decode(&event.json) {
            Some(MatrixEvent::Member { sender, target, .. }) if sender == *user && target.user == *ghost => {
                said.reverse();
                return said;
            }
            Some(MatrixEvent::Message { sender, .. }) if sender == *user => said.push(event),
            Some(_) | None => {}
        }
    }
    Vec::new()
}

async fn follow(shell: &Shell, room: &RoomId, from: &Ghost, ghost: &Ghost) -> Result<RoomId, ClientError> {
    present(shell, ghost).await?;
    match shell.client.invite_as(&from.user, room, &ghost.user).await {
        // It may be in it already.
        Ok(()) | Err(ClientError::Forbidden { .. }) => {}
        Err(error) => return Err(error),
    }
    shell.client.join(&ghost.user, room).await?;
    if let Err(error) = shell.client.empower(&from.user, room, &ghost.user).await {
        tracing::debug!(%room, %error, "a ghost has no power in its room; its next nick will need a new one");
    }
    Ok(room.clone())
}

/// A ghost that is registered and has its name, before anybody sees it.
async fn present(shell: &Shell, ghost: &Ghost) -> Result<(), ClientError> {
    shell.client.register(ghost.user.localpart()).await?;
    shell.client.set_display_name(&ghost.user, &ghost.display_name).await
}

fn fault(error: ClientError) -> QueryFault {
    match error {
        ClientError::Limited { .. } | ClientError::Unavailable(_) | ClientError::WrongToken => {
            QueryFault::Later(error.to_string())
        }
        ClientError::Forbidden { .. }
        | ClientError::Exists
        | ClientError::NotFound
        | ClientError::TooLarge
        | ClientError::NoDevices(_)
        | ClientError::UnknownDevice
        | ClientError::Refused { .. } => QueryFault::Refused(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, sender: &str, more: &str) -> RawEvent {
        let json =
            format!(r#"{{"event_id":"$1","room_id":"!r","type":"{kind}","sender":"{sender}",{more}}}"#);
        RawEvent::read(&json).unwrap()
    }

    fn said(sender: &str, text: &str) -> RawEvent {
        event("m.room.message", sender, &format!(r#""content":{{"msgtype":"m.text","body":"{text}"}}"#))
    }

    #[test]
    fn only_what_was_said_since_the_invitation_is_read() {
        let (ada, eve) = (UserId::new("@ada:hs").unwrap(), UserId::new("@irc_eve:hs").unwrap());
        let invitation = || {
            event(
                "m.room.member",
                "@ada:hs",
                r#""state_key":"@irc_eve:hs","content":{"membership":"invite"}"#,
            )
        };
        let events = vec![
            said("@ada:hs", "two"),
            said("@bob:hs", "x"),
            said("@ada:hs", "one"),
            invitation(),
            said("@ada:hs", "old"),
        ];
        let bodies: Vec<String> =
            since_invitation(events, &ada, &eve).into_iter().map(|event| event.json).collect();
        assert_eq!(bodies.len(), 2);
        assert!(bodies[0].contains("one") && bodies[1].contains("two"));
        assert_eq!(since_invitation(vec![said("@ada:hs", "old")], &ada, &eve), []);
    }
}
