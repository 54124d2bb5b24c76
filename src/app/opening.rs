//! What a connection needs to know before it is made: who the puppet is to the network, and how it logs in.
//!
//! Asked of the store for each connection, so that a login that was changed counts from the next one on and a
//! password is in memory only while it is used.

use super::shell::Shell;
use crate::bridge::input::{Certificate, Identity, Login, Opening, Wire};
use crate::ids::{NetworkId, UserId};
use crate::irc::certificate::ClientCertificate;
use crate::irc::dial::{DialFor, DialPlan};
use crate::store::{StoreError, StoredLogin};
use crate::text::ident;

/// Letters of the text that makes each SCRAM exchange another.
const NONCE_CHARS: usize = 32;

/// Whose connection it is to be.
pub(super) struct Caller<'a> {
    pub network: &'a NetworkId,
    pub user: &'a UserId,
    pub ident_bytes_max: usize,
    pub plan: &'a DialPlan,
    /// Which server of the plan it will be.
    pub attempt: u32,
    /// The port where that server was found to want TLS in this run.
    pub upgrade: Option<u16>,
    /// Spreads the puppets over the source addresses.
    pub turn: u32,
}

/// What to dial with, and what to register with. Words for the log, and for the puppet's user, on why not.
pub(super) async fn prepare(shell: &Shell, caller: &Caller<'_>) -> Result<(DialFor, Box<Opening>), String> {
    let Caller { network, user, plan, .. } = *caller;
    let candidates = ident::candidates(user, caller.ident_bytes_max);
    let stored = shell.store.identity(network, user, candidates).await.map_err(|error| told(&error))?;
    let source = plan.source.address(stored.block, stored.number).map_err(|error| error.to_string())?;
    let login = login(shell, network, user).await?;
    let certificate = login.as_ref().and_then(|login| client_certificate(network, user, login));
    let upgrade = upgrade(shell, caller).await?;
    let opening = Opening {
        identity: Identity {
            ident: stored.ident.clone(),
            address: source.map(|address| address.to_string()),
        },
        login: login.map(|login| Login {
            account: login.account,
            password: login.password,
            certificate: if certificate.is_some() { Certificate::Shown } else { Certificate::None },
        }),
        // The dial tells.
        wire: Wire::Plain,
        nonce: nonce(),
    };
    let who = DialFor { ident: Some(stored.ident), source, certificate, upgrade, turn: caller.turn };
    Ok((who, Box::new(opening)))
}

/// A login whose secrets do not open is the operator's trouble: the puppet connects without it.
async fn login(shell: &Shell, network: &NetworkId, user: &UserId) -> Result<Option<StoredLogin>, String> {
    match shell.store.login(&shell.vault, network, user).await {
        Err(StoreError::Sealed(error)) => {
            tracing::error!(%network, %user, %error, "a stored login does not open; the puppet connects without it");
            Ok(None)
        }
        result => result.map_err(|error| told(&error)),
    }
}

/// A certificate that cannot be read leaves the password to log in with.
fn client_certificate(network: &NetworkId, user: &UserId, login: &StoredLogin) -> Option<ClientCertificate> {
    let stored = login.certificate.as_ref()?;
    match ClientCertificate::from_pem(&stored.pem, &stored.key_pem) {
        Ok(certificate) => Some(certificate),
        Err(error) => {
            tracing::error!(%network, %user, %error, "a stored certificate cannot be used; make a new one");
            None
        }
    }
}

/// The port where the server has to be dialled with TLS, if it said so before (IRCv3 "sts").
async fn upgrade(shell: &Shell, caller: &Caller<'_>) -> Result<Option<u16>, String> {
    let server = caller.plan.server(caller.attempt).filter(|_| caller.upgrade.is_none());
    let Some(server) = server else { return Ok(caller.upgrade) };
    let policy = shell.store.sts(&server.host).await.map_err(|error| told(&error))?;
    Ok(policy.map(|policy| policy.port))
}

/// What a room may read of a fault in the store; where the database is and who it knows is for the log.
fn told(error: &StoreError) -> String {
    tracing::error!(%error, "a connection needs the database");
    "the bridge's database does not serve it; its operator finds more in the log".to_owned()
}

fn nonce() -> String {
    use rand::distr::{Alphanumeric, SampleString};
    Alphanumeric.sample_string(&mut rand::rng(), NONCE_CHARS)
}
