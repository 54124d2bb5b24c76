//! Table `logins`: the account of a user on a network, with a password, a client certificate, or both.
//!
//! Secrets are sealed here, before anything is handed to the writer, and opened here: there is no way to
//! store one in clear. Nothing else of a row is secret.

use super::change::Write;
use super::db::{Arg, Conn, Fault, Row};
use super::sealed::{PAGE_LEN, Resealed, opened, renewed};
use super::{Store, StoreError, now};
use crate::ids::{NetworkId, Time, UserId};
use crate::secret::Secret;
use crate::vault::{Place, Vault};

const SAVE: &str = "INSERT INTO logins (network, mxid, account, password, created, changed) \
    VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (network, mxid) DO UPDATE \
    SET account = excluded.account, password = excluded.password, changed = excluded.changed";
const CERTIFICATE_SAVE: &str = "UPDATE logins SET certificate = $3, certificate_key = $4, \
    certificate_fingerprint = $5, changed = $6 WHERE network = $1 AND mxid = $2 AND certificate IS NULL";
const GET: &str = "SELECT account, password, certificate, certificate_key, certificate_fingerprint \
    FROM logins WHERE network = $1 AND mxid = $2";
const REMOVE: &str = "DELETE FROM logins WHERE network = $1 AND mxid = $2";
const OF_NETWORK: &str = "SELECT mxid, account, CAST(CASE WHEN password IS NULL THEN 0 ELSE 1 END AS BIGINT), \
    certificate_fingerprint, created, changed FROM logins WHERE network = $1 ORDER BY mxid";
const SUMMARY: &str = "SELECT mxid, account, CAST(CASE WHEN password IS NULL THEN 0 ELSE 1 END AS BIGINT), \
    certificate_fingerprint, created, changed FROM logins WHERE network = $1 AND mxid = $2";
const PAGE: &str = "SELECT network, mxid, password, certificate_key FROM logins \
    WHERE (network, mxid) > ($1, $2) ORDER BY network, mxid LIMIT $3";
const RESEAL_PASSWORD: &str =
    "UPDATE logins SET password = $4 WHERE network = $1 AND mxid = $2 AND password = $3";
const RESEAL_KEY: &str =
    "UPDATE logins SET certificate_key = $4 WHERE network = $1 AND mxid = $2 AND certificate_key = $3";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("SAVE", SAVE),
    ("CERTIFICATE_SAVE", CERTIFICATE_SAVE),
    ("GET", GET),
    ("REMOVE", REMOVE),
    ("OF_NETWORK", OF_NETWORK),
    ("SUMMARY", SUMMARY),
    ("PAGE", PAGE),
    ("RESEAL_PASSWORD", RESEAL_PASSWORD),
    ("RESEAL_KEY", RESEAL_KEY),
];

/// How a user logs in to a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLogin {
    /// The name the network's services know, which need not be the nick or the ident.
    pub account: String,
    pub password: Option<Secret>,
    pub certificate: Option<StoredCertificate>,
}

/// A client certificate of a user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCertificate {
    pub pem: String,
    pub key_pem: Secret,
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    pub fingerprint: String,
}

/// A login without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginSummary {
    pub user: UserId,
    pub account: String,
    pub has_password: bool,
    /// Of the certificate, if there is one.
    pub fingerprint: Option<String>,
    pub created: Time,
    /// When account, password or certificate changed last.
    pub changed: Time,
}

/// The columns that are sealed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    Password,
    CertificateKey,
}

impl Column {
    fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::CertificateKey => "certificate_key",
        }
    }
}

impl Store {
    /// How the user logs in there; [`StoreError::Sealed`] when a secret of it does not open.
    pub async fn login(
        &self,
        vault: &Vault,
        network: &NetworkId,
        user: &UserId,
    ) -> Result<Option<StoredLogin>, StoreError> {
        let key = [network.as_str(), user.as_str()];
        let rows = self.read(GET, &key.map(Arg::Text)).await?;
        rows.first().map(|row| login(vault, &key, row)).transpose()
    }

    /// What is stored about a login, without its secrets and without the key that opens them.
    pub async fn login_summary(
        &self,
        network: &NetworkId,
        user: &UserId,
    ) -> Result<Option<LoginSummary>, StoreError> {
        let rows = self.read(SUMMARY, &[network.as_str(), user.as_str()].map(Arg::Text)).await?;
        Ok(rows.first().map(summary).transpose()?.flatten())
    }

    /// Remembers account and password in place of what was; a certificate stays. Awaited.
    pub async fn login_save(
        &self,
        vault: &Vault,
        network: &NetworkId,
        user: &UserId,
        account: &str,
        password: Option<&Secret>,
    ) -> Result<(), StoreError> {
        let key = [network.as_str(), user.as_str()];
        let write = Write::LoginSave {
            network: network.clone(),
            user: user.clone(),
            account: account.to_owned(),
            password: password.map(|password| vault.seal(&place(&key, Column::Password), password)),
            at: now(),
        };
        self.writer.write(write).await.map(|_| ())
    }

    /// Gives a login its certificate; awaited. False, and nothing happens, where there is no login or it has
    /// a certificate already.
    pub async fn login_certificate_save(
        &self,
        vault: &Vault,
        network: &NetworkId,
        user: &UserId,
        certificate: &StoredCertificate,
    ) -> Result<bool, StoreError> {
        let key = [network.as_str(), user.as_str()];
        let write = Write::LoginCertificateSave {
            network: network.clone(),
            user: user.clone(),
            pem: certificate.pem.clone(),
            key_sealed: vault.seal(&place(&key, Column::CertificateKey), &certificate.key_pem),
            fingerprint: certificate.fingerprint.clone(),
            at: now(),
        };
        Ok(self.writer.write(write).await?.count() > 0)
    }

    /// Forgets a login with its certificate; awaited. False where there was none.
    pub async fn login_remove(&self, network: &NetworkId, user: &UserId) -> Result<bool, StoreError> {
        let write = Write::LoginRemove { network: network.clone(), user: user.clone() };
        Ok(self.writer.write(write).await?.count() > 0)
    }

    /// All logins of a network, by user.
    pub async fn logins_list(&self, network: &NetworkId) -> Result<Vec<LoginSummary>, StoreError> {
        let rows = self.read(OF_NETWORK, &[Arg::Text(network.as_str())]).await?;
        rows.iter().filter_map(|row| summary(row).transpose()).map(|row| row.map_err(Into::into)).collect()
    }

    /// Seals anew what the vault's current key has not sealed, page by page.
    pub(super) async fn logins_reseal(&self, vault: &Vault, total: &mut Resealed) -> Result<(), StoreError> {
        let mut last = (String::new(), String::new());
        loop {
            let args = [Arg::Text(&last.0), Arg::Text(&last.1), Arg::Int(PAGE_LEN)];
            let rows = self.read(PAGE, &args).await?;
            for row in &rows {
                last = (row.text(0)?, row.text(1)?);
                for (column, at) in [(Column::Password, 2), (Column::CertificateKey, 3)] {
                    let Some(old) = row.maybe_bytes(at)? else { continue };
                    let key = [last.0.as_str(), last.1.as_str()];
                    let Some(new) = renewed(vault, &place(&key, column), &old, total) else { continue };
                    let (network, user) = last.clone();
                    let write = Write::LoginReseal { network, user, column, old, new };
                    total.renewed += self.writer.write(write).await?.count();
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }
}

pub(super) async fn save(
    conn: &mut Conn,
    [network, user, account]: [&str; 3],
    password: Option<&[u8]>,
    at: Time,
) -> Result<(), Fault> {
    let [network, user, account] = [network, user, account].map(Arg::Text);
    let args = [network, user, account, Arg::MaybeBytes(password), Arg::Int(stored(at))];
    conn.execute(SAVE, &args).await.map(|_| ())
}

pub(super) async fn certificate_save(
    conn: &mut Conn,
    [network, user, pem, fingerprint]: [&str; 4],
    key_sealed: &[u8],
    at: Time,
) -> Result<u64, Fault> {
    let [network, user, pem, fingerprint] = [network, user, pem, fingerprint].map(Arg::Text);
    let args = [network, user, pem, Arg::MaybeBytes(Some(key_sealed)), fingerprint, Arg::Int(stored(at))];
    conn.execute(CERTIFICATE_SAVE, &args).await
}

pub(super) async fn remove(conn: &mut Conn, network: &NetworkId, user: &UserId) -> Result<u64, Fault> {
    conn.execute(REMOVE, &[Arg::Text(network.as_str()), Arg::Text(user.as_str())]).await
}

/// Only where nobody has changed the secret meanwhile.
pub(super) async fn reseal(
    conn: &mut Conn,
    [network, user]: [&str; 2],
    column: Column,
    old: &[u8],
    new: &[u8],
) -> Result<u64, Fault> {
    let sql = match column {
        Column::Password => RESEAL_PASSWORD,
        Column::CertificateKey => RESEAL_KEY,
    };
    let [old, new] = [old, new].map(|sealed| Arg::MaybeBytes(Some(sealed)));
    conn.execute(sql, &[Arg::Text(network), Arg::Text(user), old, new]).await
}

fn login(vault: &Vault, key: &[&str; 2], row: &Row) -> Result<StoredLogin, StoreError> {
    let secret = |column: Column, at| opened(vault, &place(key, column), row.maybe_bytes(at)?);
    let certificate = match (row.maybe_text(2)?, secret(Column::CertificateKey, 3)?, row.maybe_text(4)?) {
        (Some(pem), Some(key_pem), Some(fingerprint)) => {
            Some(StoredCertificate { pem, key_pem, fingerprint })
        }
        _ => None,
    };
    Ok(StoredLogin { account: row.text(0)?, password: secret(Column::Password, 1)?, certificate })
}

/// `None` for a row that no version of ours has written.
fn summary(row: &Row) -> Result<Option<LoginSummary>, Fault> {
    let name = row.text(0)?;
    let Some(user) = UserId::new(&name) else {
        tracing::warn!(user = name, "a login cannot be read, it is left alone");
        return Ok(None);
    };
    let time = |at| row.int(at).map(|ms| Time(u64::try_from(ms).unwrap_or_default()));
    Ok(Some(LoginSummary {
        user,
        account: row.text(1)?,
        has_password: row.int(2)? != 0,
        fingerprint: row.maybe_text(3)?,
        created: time(4)?,
        changed: time(5)?,
    }))
}

fn place<'a>(key: &'a [&'a str; 2], column: Column) -> Place<'a> {
    Place { table: "logins", row: key, column: column.name() }
}

fn stored(at: Time) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}
