//! The hands of the API: what its routes ask for is given to the networks, read in the database, asked of the homeserver. And its
//! two listeners.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::errands::Errands;
use super::keeping::{audit, keep};
use super::reload;
use super::shell::{Mailboxes, Shell};
use crate::bridge::command::{Keeping, Kept as KeptLogin, Password, UpkeepReport};
use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;
use crate::config::{self, Config, SignIn};
use crate::ids::{NetworkId, RoomId, UserId};
use crate::matrix::client::ClientError;
use crate::web::api::{
    Fault, Hands, Homeservers, InRoom, Kept, Login, May, Network, Others, REQUEST_WAIT, Settings, Tallied,
    Token, TokenMay, routers,
};
use crate::web::media::{Block, Door, Peer};

/// Nothing moves on a connection while an errand is under way: so much longer than a request may take.
const STILL_MORE: Duration = Duration::from_secs(10);

/// Where the API listens; nobody is answered yet.
pub(super) struct Api {
    people: Option<TcpListener>,
    admins: Option<TcpListener>,
}

impl Api {
    /// Opens its ports, so that one that is taken ends the start with a sentence.
    pub(super) async fn listen(config: &Config) -> anyhow::Result<Self> {
        let people = bound(config.api.listen_address(), "api.listen").await?;
        let admins = bound(config.api.admin_address(), "api.admin_listen").await?;
        Ok(Self { people, admins })
    }

    /// Answers from now on, until cancelled.
    pub(super) fn serve(
        self,
        shell: &Arc<Shell>,
        mailboxes: &Mailboxes,
        (settings, networks): (Settings, Vec<Network>),
        cancel: &CancellationToken,
    ) {
        let Self { people, admins } = self;
        if people.is_none() && admins.is_none() {
            return;
        }
        let errands = Errands::new(Arc::clone(shell), Arc::clone(mailboxes));
        let hands =
            BridgeHands { shell: Arc::clone(shell), mailboxes: Arc::clone(mailboxes), errands, networks };
        let (for_people, for_admins) = routers(Arc::new(hands), settings);
        for (listener, router) in [(people, for_people), (admins, for_admins)] {
            if let Some(listener) = listener {
                shell.tasks.spawn(serve(listener, router, cancel.clone()));
            }
        }
    }
}

async fn bound(address: Option<std::net::SocketAddr>, place: &str) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    listener.map(Some).with_context(|| format!("cannot listen on {address} ({place})"))
}

async fn serve(listener: TcpListener, router: Router, cancel: CancellationToken) {
    let door = Door::new(listener).patient(REQUEST_WAIT + STILL_MORE);
    let service = router.into_make_service_with_connect_info::<Peer>();
    if let Err(error) = axum::serve(door, service).with_graceful_shutdown(cancel.cancelled_owned()).await {
        tracing::error!(%error, "the listener of the API failed");
    }
}

/// What is let in, and the networks as they are told.
pub(super) fn settings(config: &Config) -> (Settings, Vec<Network>) {
    let api = &config.api;
    let token = |token: &config::ApiToken| Token {
        name: token.name.clone(),
        secret: token.token.clone(),
        may: match token.may {
            config::ApiTokenMay::Plain => TokenMay::Plain,
            config::ApiTokenMay::Admin => TokenMay::Admin,
        },
    };
    // Ours first: where it is listed too, that is another address of its.
    let own = (config.homeserver.domain.clone(), config.homeserver.url.clone());
    let listed = api.homeservers.iter().map(|homeserver| (homeserver.domain.clone(), homeserver.url.clone()));
    let settings = Settings {
        tokens: api.tokens.iter().map(token).collect(),
        requests_per_minute: NonZeroU32::new(api.requests_per_minute).unwrap_or(NonZeroU32::MIN),
        trusted_proxies: api.trusted_proxies.iter().filter_map(|block| block.parse::<Block>().ok()).collect(),
        homeservers: Homeservers {
            given: [own].into_iter().chain(listed).collect(),
            others: match api.sign_in {
                SignIn::Own => Others::Refused,
                SignIn::Any => Others::Welcome,
            },
        },
        widget: config.api.widget.then(crate::web::widget::router),
    };
    let network = |(id, network): (&String, &config::Network)| {
        Some(Network {
            id: NetworkId::new(id)?,
            name: network.name.clone(),
            hosts: network.servers.iter().map(|server| server.host.clone()).collect(),
        })
    };
    (settings, config.networks.iter().filter_map(network).collect())
}

struct BridgeHands {
    shell: Arc<Shell>,
    mailboxes: Mailboxes,
    errands: Errands,
    networks: Vec<Network>,
}

impl Hands for BridgeHands {
    fn may(&self, user: &UserId) -> May {
        let is_ours =
            user == self.shell.client.bot() || self.mailboxes.iter().any(|mailbox| mailbox.has_ghost(user));
        if is_ours {
            return May::Blocked;
        }
        let permissions = self.shell.permissions.read().unwrap_or_else(PoisonError::into_inner);
        match permissions.of(user) {
            Permission::Blocked => May::Blocked,
            Permission::User => May::User,
            Permission::Plumber => May::Plumber,
            Permission::Admin => May::Admin,
        }
    }

    fn networks(&self) -> &[Network] {
        &self.networks
    }

    async fn errand(&self, network: &NetworkId, user: &UserId, errand: Errand) -> Report {
        self.errands.give(network, user.clone(), errand).await.await
    }

    async fn login(&self, network: &NetworkId, user: &UserId) -> Result<Option<Login>, Fault> {
        let Shell { store, vault, .. } = &*self.shell;
        match keep(store, vault, network, user, Keeping::Login).await {
            Ok(KeptLogin::Login { account, password, fingerprint }) => {
                let password = match password {
                    Password::Kept => Kept::Yes,
                    Password::None => Kept::No,
                };
                Ok(Some(Login { account, password, fingerprint }))
            }
            Ok(_) => Ok(None),
            Err(error) => {
                tracing::error!(%network, %user, %error, "a login could not be read for the API");
                Err(Fault::Broken)
            }
        }
    }

    async fn presence(&self, room: &RoomId, user: &UserId) -> Result<InRoom, Fault> {
        let member = self.shell.client.state_at(room, "m.room.member", user.as_str()).await;
        match member {
            Ok(Some(content)) if content.get("membership").is_some_and(|is| is == "join") => Ok(InRoom::In),
            Ok(_)
            | Err(ClientError::Forbidden { .. } | ClientError::NotFound | ClientError::Refused { .. }) => {
                Ok(InRoom::Out)
            }
            Err(error) => {
                tracing::warn!(%room, %error, "who is in a room could not be read for the API");
                Err(Fault::Busy)
            }
        }
    }

    fn links_max(&self) -> Option<usize> {
        Some(self.mailboxes.iter().map(|mailbox| mailbox.policy.plumbing.rooms_max).sum())
    }

    fn bot(&self) -> &UserId {
        self.shell.client.bot()
    }

    async fn reload(&self) -> String {
        reload::reload(&self.shell).await.to_string()
    }

    async fn audit(&self) -> Result<Vec<Tallied>, Fault> {
        let UpkeepReport::Audit(rows) = audit(&self.shell.store).await else { return Err(Fault::Broken) };
        let tallied = rows.into_iter().map(|row| Tallied {
            network: row.network,
            direction: row.direction,
            accepted: row.accepted,
            delivered: row.delivered,
            failed: row.failed,
            expired: row.expired,
            in_flight: row.in_flight,
        });
        Ok(tallied.collect())
    }
}
