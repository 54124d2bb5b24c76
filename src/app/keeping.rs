//! What admin rooms ask of the database: how somebody logs in to a network, and what became of all messages.

use crate::bridge::command::{AuditRow, Keeping, Kept, Password, UpkeepReport};
use crate::ids::{NetworkId, UserId};
use crate::irc::certificate;
use crate::secret::Secret;
use crate::store::{Direction, LoginSummary, Store, StoreError, StoredCertificate, Tally};
use crate::vault::Vault;

/// What became of all messages.
pub(super) async fn audit(store: &Store) -> UpkeepReport {
    let row = |tally: Tally| AuditRow {
        network: tally.network,
        direction: match tally.direction {
            Direction::ToIrc => "to IRC",
            Direction::ToMatrix => "to Matrix",
            Direction::Notices => "notices",
        },
        accepted: tally.accepted,
        delivered: tally.delivered,
        failed: tally.failed,
        expired: tally.expired,
        in_flight: tally.in_flight,
    };
    match store.tallies().await {
        Ok(tallies) => UpkeepReport::Audit(tallies.into_iter().map(row).collect()),
        Err(error) => {
            tracing::error!(%error, "the tallies cannot be read");
            UpkeepReport::Failed
        }
    }
}

/// What is kept of somebody's login on a network.
pub(super) async fn keep(
    store: &Store,
    vault: &Vault,
    network: &NetworkId,
    user: &UserId,
    keeping: Keeping,
) -> Result<Kept, StoreError> {
    let summary = store.login_summary(network, user).await?;
    match keeping {
        Keeping::Login => Ok(login(summary.as_ref())),
        Keeping::Account(account) => {
            let before = store.login(vault, network, user).await?;
            let password = before.and_then(|login| login.password);
            save(store, vault, (network, user), &account, password.as_ref()).await
        }
        Keeping::Password { account, password } => {
            match account.or_else(|| summary.map(|summary| summary.account)) {
                Some(account) => save(store, vault, (network, user), &account, Some(&password)).await,
                None => Ok(Kept::NoAccount),
            }
        }
        Keeping::DropPassword => match summary {
            Some(summary) => save(store, vault, (network, user), &summary.account, None).await,
            None => Ok(Kept::Nothing),
        },
        Keeping::Drop => {
            let removed = store.login_remove(network, user).await?;
            Ok(if removed { Kept::Done } else { Kept::Nothing })
        }
        Keeping::Certificate => certify(store, vault, network, user).await,
        Keeping::Ident => {
            let ident = store.ident_of(network, user).await?;
            Ok(ident.map_or(Kept::Nothing, Kept::Ident))
        }
    }
}

async fn save(
    store: &Store,
    vault: &Vault,
    (network, user): (&NetworkId, &UserId),
    account: &str,
    password: Option<&Secret>,
) -> Result<Kept, StoreError> {
    store.login_save(vault, network, user, account, password).await?;
    store.release_for_login(network, user).await?;
    Ok(Kept::Done)
}

async fn certify(
    store: &Store,
    vault: &Vault,
    network: &NetworkId,
    user: &UserId,
) -> Result<Kept, StoreError> {
    let Some(summary) = store.login_summary(network, user).await? else { return Ok(Kept::NoAccount) };
    if summary.fingerprint.is_none() {
        let made = match certificate::generate(user.as_str()) {
            Ok(certificate::Certificate { pem, key_pem, fingerprint }) => {
                StoredCertificate { pem, key_pem, fingerprint }
            }
            Err(error) => {
                tracing::error!(%user, %error, "a certificate could not be made");
                return Ok(Kept::Failed);
            }
        };
        store.login_certificate_save(vault, network, user, &made).await?;
        store.release_for_login(network, user).await?;
    }
    // Another one may have come first: what counts is what is stored.
    Ok(login(store.login_summary(network, user).await?.as_ref()))
}

fn login(summary: Option<&LoginSummary>) -> Kept {
    let Some(summary) = summary else { return Kept::Nothing };
    Kept::Login {
        account: summary.account.clone(),
        password: if summary.has_password { Password::Kept } else { Password::None },
        fingerprint: summary.fingerprint.clone(),
    }
}
