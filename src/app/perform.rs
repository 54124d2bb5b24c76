//! Performs effects: one match, each arm a call of an adapter.
//!
//! Quick things are done on the spot; what waits for the homeserver runs beside, and its answer comes back as
//! an input.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::network_task::NetworkTask;
use super::opening::{Caller, prepare};
use super::shell::Shell;
use crate::bridge::effect::{Chat, Effect, Presence};
use crate::bridge::input::{CloseReason, Input, PortalRow, Salted};
use crate::bridge::media::{Publication, Published};
use crate::ids::{ChannelName, ConnId, InboxSeq, PuppetId, RoomAlias, RoomId, UserId};
use crate::irc::connection::{self, Start};
use crate::irc::dial::{ServerAddr, Transport};
use crate::irc::framer::Observe;
use crate::matrix::client::{ClientError, CreateRoom, Federation};
use crate::secret::Secret;
use crate::store::{LinkId, Linked, StoreError, StsPolicy};
use crate::text::scram;

/// How long a server that asked for TLS in plain text is dialled so, before it has said it over TLS.
const UPGRADE_TRIED: Duration = Duration::from_secs(10 * 60);
/// The longest wish for TLS that is remembered: a year.
const STS_S_MAX: u64 = 365 * 24 * 60 * 60;

impl NetworkTask {
    /// Does one thing. Matched without `_`, so that a new effect shows this place.
    pub(super) async fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { conn, user } => self.connect(conn, user),
            Effect::Upgrade { conn, port } => self.upgrade(conn, port),
            Effect::StayEncrypted { conn, duration_s } => self.stay_encrypted(conn, duration_s).await,
            Effect::Derive { conn, password, salt, iterations } => {
                self.derive(conn, password, salt, iterations);
            }
            Effect::Send { conn, line } => self.send(conn, line),
            Effect::Close { conn } => {
                if let Some(handle) = self.conns.get(&conn) {
                    handle.close();
                }
            }
            Effect::Abandon { conn } => {
                if let Some(handle) = self.conns.get(&conn) {
                    handle.abandon();
                }
            }
            Effect::Observe { conn, chat } => {
                if let Some(handle) = self.conns.get(&conn) {
                    handle.observe(match chat {
                        Chat::Read => Observe::Chat,
                        Chat::Skip => Observe::NoChat,
                    });
                }
            }
            Effect::Written { puppet, seq } => self.written(puppet, seq).await,
            Effect::Settle { seq, outcome } => self.shell.settle(seq, &outcome).await,
            Effect::Relay(relay) => self.shell.outbox.submit(relay),
            Effect::Mark(mark) => self.shell.outbox.mark(mark),
            Effect::Redact(redact) => self.shell.outbox.redact(redact),
            Effect::Remember { sayings, from } => {
                let saved = self.shell.store.sayings_save(&self.id, sayings, from).await;
                self.note(
                    saved,
                    "what was said could not be kept; after a restart, what is said about it stands alone",
                );
            }
            Effect::Kick { room, user, reason, meanwhile } => {
                tracing::info!(network = %self.id, %room, %user, "removing somebody who is not in the channel");
                self.shell.outbox.kick(room, user, reason, meanwhile, self.inputs.clone());
            }
            Effect::Publish(publication) => self.publish(publication).await,
            Effect::Unpublish { room, event } => {
                let ended = self.shell.store.links_end(&room, &event).await;
                self.note(ended, "the links of a redacted message could not be ended");
            }
            Effect::CreateRoom { channel, alias } => self.create_room(&channel, alias),
            Effect::AddAlias { room, alias } => self.add_alias(room, alias),
            Effect::Answer { ask, existence } => self.shell.asks.answer(ask, existence),
            Effect::Reported { ask, report } => self.shell.errands.answer(ask, report),
            Effect::SavePortal(row) => self.save_portal(row).await,
            Effect::SaveMember { room, user, display_name, presence } => {
                let saved = match presence {
                    Presence::In => self.shell.store.member_save(&room, &user, display_name.as_deref()).await,
                    Presence::Out => self.shell.store.member_remove(&room, &user).await,
                };
                self.note(saved, "a member could not be remembered");
            }
            Effect::SaveCaseMap { name } => {
                let saved = self.shell.store.casemap_save(&self.id, name).await;
                self.note(saved, "the case mapping could not be remembered");
            }
            Effect::SaveHold(row) => {
                tracing::warn!(network = %self.id, user = %row.user, ending = row.ending, "a puppet is held");
                let saved = self.shell.store.hold_save(&self.id, &row).await;
                if saved.is_ok() {
                    // What is held and not in the database was released by somebody.
                    self.shell.held.insert(self.id.clone(), row.user);
                }
                self.note(saved, "a hold could not be remembered; it lasts until the next start");
            }
            Effect::Duty { channel, conn, epoch, why } => {
                tracing::debug!(network = %self.id, %channel, %conn, epoch = epoch.0, ?why, "the duty for a channel has moved");
            }
            Effect::Typing { room, ghost, for_ms } => {
                if for_ms == 0 || !self.shell.outbox.is_behind(&room) {
                    self.shell.typing.show(room, ghost, for_ms);
                }
            }
            Effect::Query(step) => self.query_step(step),
            Effect::LeaveQuery { room, ghost, reason } => self.shell.outbox.leave(room, ghost, reason),
            Effect::SaveQuery(row) => self.save_query(row).await,
            Effect::DropQuery { room } => self.drop_query(&room).await,
            Effect::SaveBan(row) => {
                let saved = self.shell.store.ban_save(&self.id, &row).await;
                self.note(saved, "a ban could not be remembered; after a restart it is lifted on irc only");
            }
            Effect::DropBan { room, ghost } => {
                let saved = self.shell.store.ban_remove(&room, &ghost).await;
                self.note(saved, "the end of a ban could not be remembered");
            }
            Effect::SaveNick(row) => {
                let saved = self.shell.store.nick_save(&self.id, &row).await;
                self.note(saved, "a nick could not be remembered; it lasts until the next start");
            }
            Effect::DropNick { user } => {
                let saved = self.shell.store.nick_remove(&self.id, &user).await;
                self.note(saved, "the end of a nick could not be remembered");
            }
            Effect::DropHold { user } => {
                tracing::info!(network = %self.id, %user, "a puppet is no longer held");
                let saved = self.shell.store.hold_remove(&self.id, &user).await;
                self.shell.held.remove(self.id.clone(), user);
                self.note(saved, "the end of a hold could not be remembered");
            }
            Effect::Succeed(succession) => self.succeed(succession).await,
            Effect::Invite { room, user, reason } => self.invite(room, user, reason),
            Effect::Found { ask, found } => self.shell.looked_up.answer(ask, found),
            Effect::Step { room, step } => self.shell.steps.submit(room, step, self.inputs.clone()),
            Effect::Pardon { room, user } => self.shell.outbox.pardon(&room, &user),
            Effect::SaveBar(row) => {
                let saved = self.shell.store.bar_save(&self.id, &row).await;
                self.note(
                    saved,
                    "a removal could not be remembered; after a restart what it keeps back is shown",
                );
            }
            Effect::DropBar { room, user } => {
                let saved = self.shell.store.bar_remove(&self.id, &room, &user).await;
                self.note(
                    saved,
                    "the end of a removal could not be remembered; it is tried again after a restart",
                );
            }
            Effect::Hasten { room } => self.shell.outbox.hasten(&room),
            Effect::SaveRule(rule) => {
                tracing::info!(network = %self.id, channel = rule.channel, rule = rule.asked.kind(), "an operator of a channel set a rule");
                let saved = self.shell.store.rule_save(&self.id, &rule).await;
                self.note(
                    saved,
                    "what an operator asked for could not be remembered; it lasts until the next start",
                );
            }
            Effect::DropRule { channel, asked } => {
                tracing::info!(network = %self.id, channel, rule = asked.kind(), "an operator of a channel lifted a rule");
                let saved = self.shell.store.rule_remove(&self.id, &channel, &asked).await;
                self.note(
                    saved,
                    "what an operator lifted could not be forgotten; it is back at the next start",
                );
            }
            Effect::Space(wish) => self.space(wish).await,
            Effect::Plumb { room, channel, user } => self.plumb(room, channel, user),
            Effect::DropPortal { room } => self.drop_portal(&room).await,
            Effect::Key { user, channel, wish } => self.key(&user, &channel, wish).await,
            Effect::Realname { user, realname } => self.keep_realname(&user, realname).await,
            Effect::Ignores { user, masks } => self.keep_ignores(&user, masks).await,
            Effect::Mentions { user, shown } => self.keep_mentions(&user, shown).await,
            Effect::News { user, news } => self.shell.admin.tell(&self.id, user, news),
        }
    }

    /// Handed to the store before the lines that name the link are handed to a connection: whoever follows it is
    /// answered from what was handed over before.
    async fn publish(&self, publication: Publication) {
        let Some(link_ms) = self.shell.link_ms else { return };
        let Publication { seq, part, room, event, what } = publication;
        let linked = match what {
            Published::Media(media) => Linked::Media(media),
            Published::Text(page) => Linked::Text(page.rendered()),
        };
        let id = LinkId { network: self.id.clone(), seq, part };
        let expires = self.shell.clock.now().plus_ms(link_ms);
        let (store, vault) = (&self.shell.store, &self.shell.vault);
        let saved = store.link_save(vault, id, (&room, &event), &linked, expires).await;
        self.note(saved, "a link could not be stored; it leads nowhere");
    }

    /// Notes what a socket took, and says so when that is done.
    async fn written(&self, puppet: PuppetId, seq: InboxSeq) {
        let (noted, failed) = match self.shell.store.written(seq).await {
            Ok(noted) => (Some(noted), Ok(())),
            Err(error) => (None, Err(error)),
        };
        self.note(failed, "what a socket took could not be noted; after a crash it is said again");
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            if let Some(noted) = noted {
                noted.await;
            }
            inputs.send(Input::Noted { puppet, seq }).await.ok();
        });
    }

    pub(super) fn note(&self, result: Result<(), StoreError>, what: &str) {
        if let Err(error) = result {
            tracing::error!(network = %self.id, %error, "{what}");
        }
    }

    fn connect(&mut self, conn: ConnId, user: UserId) {
        tracing::info!(network = %self.id, %conn, %user, "connecting to irc");
        let (handle, commands) = connection::channel();
        self.conns.insert(conn, handle);
        let (shell, plan, network) = (Arc::clone(&self.shell), Arc::clone(&self.plan), self.id.clone());
        let (charset, inputs, ident_bytes_max) = (self.charset, self.inputs.clone(), self.ident_bytes_max);
        let attempt = attempt(conn);
        let upgrade = self.fresh_upgrade(attempt);
        // Puppets are numbered in the order of first need: that spreads them over the source addresses.
        let turn = conn.puppet.0;
        // In a box: what is asked for here is gone when the connection stands.
        let preparing = Box::pin({
            let plan = Arc::clone(&plan);
            async move {
                let (network, user, plan) = (&network, &user, &*plan);
                prepare(&shell, &Caller { network, user, ident_bytes_max, plan, attempt, upgrade, turn })
                    .await
            }
        });
        self.shell.tasks.spawn(async move {
            match preparing.await {
                Ok((who, opening)) => {
                    let start = Start { conn, plan, attempt, who, opening, charset };
                    connection::run(start, inputs, commands).await;
                }
                Err(words) => {
                    let why = CloseReason::DialFailed(words);
                    inputs.send(Input::ConnClosed { conn, why }).await.ok();
                }
            }
        });
    }

    /// The server of a connection is dialled with TLS from now on (IRCv3 "sts"). Anybody on the way could have said
    /// so: it is kept for [`UPGRADE_TRIED`], and longer only when the server says it again over TLS.
    fn upgrade(&mut self, conn: ConnId, port: u16) {
        let Some(server) = self.plan.server(attempt(conn)) else { return };
        tracing::info!(network = %self.id, host = server.host, port, "the server asks for tls and gets it");
        self.upgrades.insert(server.host.clone(), (port, Instant::now() + UPGRADE_TRIED));
    }

    /// Remembers for how long a server wants TLS.
    async fn stay_encrypted(&mut self, conn: ConnId, duration_s: u64) {
        let Some(server) = self.plan.server(attempt(conn)) else { return };
        // One that is configured for TLS gets nothing else anyway.
        let Some(port) = self.upgrade_port(server).await else { return };
        tracing::info!(network = %self.id, host = server.host, port, duration_s, "the server is reached with tls for so long");
        let saved = match duration_s.min(STS_S_MAX) {
            0 => self.shell.store.sts_remove(&server.host).await,
            seconds => {
                let policy = StsPolicy { port, expires: self.shell.clock.now().plus_ms(seconds * 1_000) };
                self.shell.store.sts_save(&server.host, policy).await
            }
        };
        self.note(saved, "the server's wish for tls could not be remembered");
    }

    /// The port by which a server that is configured without TLS is dialled with it.
    async fn upgrade_port(&self, server: &ServerAddr) -> Option<u16> {
        if server.transport == Transport::Tls {
            return None;
        }
        match self.upgrades.get(&server.host) {
            Some((port, _)) => Some(*port),
            None => self.shell.store.sts(&server.host).await.ok().flatten().map(|policy| policy.port),
        }
    }

    /// What the server of the next connection asked for in this run.
    fn fresh_upgrade(&self, attempt: u32) -> Option<u16> {
        let (port, until) = self.upgrades.get(&self.plan.server(attempt)?.host)?;
        (*until > Instant::now()).then_some(*port)
    }

    /// On a thread for slow work: a server may ask for a million rounds.
    fn derive(&self, conn: ConnId, password: Secret, salt: Vec<u8>, iterations: u32) {
        let inputs = self.inputs.clone();
        self.shell.tasks.spawn(async move {
            let work = move || scram::salted(password.expose(), &salt, iterations);
            if let Ok(salted) = tokio::task::spawn_blocking(work).await {
                inputs.send(Input::Derived { conn, salted: Salted(salted) }).await.ok();
            }
        });
    }

    fn send(&mut self, conn: ConnId, line: String) {
        let Some(handle) = self.conns.get(&conn) else { return };
        if handle.send(line).is_err() {
            // The machine gives a connection no more lines than its queue holds.
            debug_assert!(false, "the send window is larger than the connection's queue");
            tracing::error!(network = %self.id, %conn, "a connection was given too many lines; closing it");
            handle.close();
        }
    }

    async fn save_portal(&mut self, row: PortalRow) {
        tracing::info!(network = %self.id, room = %row.room, channel = row.channel, "new portal");
        self.shell.routes.set(row.room.clone(), self.id.clone());
        let saved = self.shell.store.portal_save(&self.id, &row).await;
        self.note(saved, "a portal could not be remembered; it lasts until the next start");
    }

    fn create_room(&self, channel: &ChannelName, alias: RoomAlias) {
        let wanted = CreateRoom {
            alias_localpart: alias.localpart(self.shell.client.server_name()).unwrap_or_default().to_owned(),
            name: channel.as_str().to_owned(),
            topic: None,
            admins: self.shell.admins.clone(),
            federation: if self.portals.federate { Federation::Open } else { Federation::LocalOnly },
            room_version: self.portals.room_version.clone(),
        };
        let (shell, inputs) = (Arc::clone(&self.shell), self.inputs.clone());
        self.shell.tasks.spawn(async move {
            let result = make_room(&shell, &wanted, &alias).await.map_err(|error| {
                tracing::error!(%alias, %error, "a portal room could not be made");
                error.to_string()
            });
            inputs.send(Input::RoomCreated { alias, result }).await.ok();
        });
    }

    fn add_alias(&self, room: RoomId, alias: RoomAlias) {
        let (shell, inputs) = (Arc::clone(&self.shell), self.inputs.clone());
        self.shell.tasks.spawn(async move {
            let result = match shell.client.add_alias(&room, &alias).await {
                Ok(()) | Err(ClientError::Exists) => Ok(()),
                Err(error) => {
                    tracing::error!(%alias, %room, %error, "an alias could not be added");
                    Err(error.to_string())
                }
            };
            inputs.send(Input::AliasAdded { alias, result }).await.ok();
        });
    }
}

/// Each attempt of a puppet tries the next server of the list; generations count from 1.
fn attempt(conn: ConnId) -> u32 {
    conn.generation.saturating_sub(1)
}

/// Makes a portal room; one that was made before the bridge could remember it is found by its alias.
async fn make_room(shell: &Shell, wanted: &CreateRoom, alias: &RoomAlias) -> Result<RoomId, ClientError> {
    match shell.client.create_room(wanted).await {
        Err(ClientError::Exists) => shell.client.resolve_alias(alias).await,
        result => result,
    }
}
