//! Table `channel_keys`: the keys (`+k`) of channels that users have given, sealed like logins.
//!
//! A channel is named by its folded form: one row for all its spellings.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::sealed::{PAGE_LEN, Resealed, opened, renewed};
use super::{Store, StoreError};
use crate::ids::{ChannelName, NetworkId, UserId};
use crate::secret::Secret;
use crate::vault::{Place, Vault};

const SAVE: &str = "INSERT INTO channel_keys (network, mxid, channel, sealed) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (network, mxid, channel) DO UPDATE SET sealed = excluded.sealed";
const GET: &str = "SELECT sealed FROM channel_keys WHERE network = $1 AND mxid = $2 AND channel = $3";
const OF_USER: &str =
    "SELECT channel, sealed FROM channel_keys WHERE network = $1 AND mxid = $2 ORDER BY channel";
const OF_NETWORK: &str =
    "SELECT mxid, channel, sealed FROM channel_keys WHERE network = $1 ORDER BY mxid, channel";
const REMOVE: &str = "DELETE FROM channel_keys WHERE network = $1 AND mxid = $2 AND channel = $3";
const PAGE: &str = "SELECT network, mxid, channel, sealed FROM channel_keys \
    WHERE (network, mxid, channel) > ($1, $2, $3) ORDER BY network, mxid, channel LIMIT $4";
const RESEAL: &str = "UPDATE channel_keys SET sealed = $5 \
    WHERE network = $1 AND mxid = $2 AND channel = $3 AND sealed = $4";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("SAVE", SAVE),
    ("GET", GET),
    ("OF_USER", OF_USER),
    ("OF_NETWORK", OF_NETWORK),
    ("REMOVE", REMOVE),
    ("PAGE", PAGE),
    ("RESEAL", RESEAL),
];

impl Store {
    /// Remembers the key a user has for a channel; awaited.
    pub async fn channel_key_save(
        &self,
        vault: &Vault,
        network: &NetworkId,
        user: &UserId,
        channel: &ChannelName,
        key: &Secret,
    ) -> Result<(), StoreError> {
        let row = [network.as_str(), user.as_str(), channel.folded()];
        let sealed = vault.seal(&place(&row), key);
        let write = Write::ChannelKeySave { row: row.map(str::to_owned), sealed };
        self.writer.write(write).await.map(|_| ())
    }

    /// The key a user has for a channel; [`StoreError::Sealed`] when it does not open.
    pub async fn channel_key(
        &self,
        vault: &Vault,
        network: &NetworkId,
        user: &UserId,
        channel: &ChannelName,
    ) -> Result<Option<Secret>, StoreError> {
        let row = [network.as_str(), user.as_str(), channel.folded()];
        let found = self.read(GET, &row.map(Arg::Text)).await?;
        let sealed = found.first().map(|found| found.maybe_bytes(0)).transpose()?.flatten();
        opened(vault, &place(&row), sealed)
    }

    /// All keys of a user on a network, by the folded names of the channels. One that does not open is left
    /// out and told in the log: the others are still good.
    pub async fn channel_keys(
        &self,
        vault: &Vault,
        network: &NetworkId,
        user: &UserId,
    ) -> Result<Vec<(String, Secret)>, StoreError> {
        let mut keys = Vec::new();
        for found in self.read(OF_USER, &[Arg::Text(network.as_str()), Arg::Text(user.as_str())]).await? {
            let channel = found.text(0)?;
            match opened(vault, &place(&[network.as_str(), user.as_str(), &channel]), found.maybe_bytes(1)?) {
                Ok(key) => keys.extend(key.map(|key| (channel, key))),
                Err(fault) => {
                    tracing::warn!(%network, %user, channel, %fault, "a channel's key cannot be read")
                }
            }
        }
        Ok(keys)
    }

    /// All keys of a network: whose, the folded name of the channel, and the key. One that does not open is left out and
    /// told in the log.
    pub async fn all_channel_keys(
        &self,
        vault: &Vault,
        network: &NetworkId,
    ) -> Result<Vec<(UserId, String, Secret)>, StoreError> {
        let mut keys = Vec::new();
        for found in self.read(OF_NETWORK, &[Arg::Text(network.as_str())]).await? {
            let (user, channel) = (found.text(0)?, found.text(1)?);
            match opened(vault, &place(&[network.as_str(), &user, &channel]), found.maybe_bytes(2)?) {
                Ok(key) => {
                    let whose = UserId::new(&user).zip(key);
                    keys.extend(whose.map(|(user, key)| (user, channel, key)));
                }
                Err(fault) => {
                    tracing::warn!(%network, user, channel, %fault, "a channel's key cannot be read")
                }
            }
        }
        Ok(keys)
    }

    /// Forgets a key; lazy.
    pub async fn channel_key_remove(
        &self,
        network: &NetworkId,
        user: &UserId,
        channel: &ChannelName,
    ) -> Result<(), StoreError> {
        let row = [network.as_str(), user.as_str(), channel.folded()].map(str::to_owned);
        self.writer.write_soon(Write::ChannelKeyRemove { row }).await
    }

    /// Seals anew what the vault's current key has not sealed, page by page.
    pub(super) async fn channel_keys_reseal(
        &self,
        vault: &Vault,
        total: &mut Resealed,
    ) -> Result<(), StoreError> {
        let mut last = [const { String::new() }; 3];
        loop {
            let args: Vec<_> = last.iter().map(|name| Arg::Text(name)).chain([Arg::Int(PAGE_LEN)]).collect();
            let rows = self.read(PAGE, &args).await?;
            for found in &rows {
                last = [found.text(0)?, found.text(1)?, found.text(2)?];
                let Some(old) = found.maybe_bytes(3)? else { continue };
                let row = last.each_ref().map(String::as_str);
                let Some(new) = renewed(vault, &place(&row), &old, total) else { continue };
                let write = Write::ChannelKeyReseal { row: last.clone(), old, new };
                total.renewed += self.writer.write(write).await?.count();
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }
}

pub(super) async fn save(conn: &mut Conn, row: &[String; 3], sealed: &[u8]) -> Result<(), Fault> {
    let [network, user, channel] = texts(row);
    conn.execute(SAVE, &[network, user, channel, Arg::MaybeBytes(Some(sealed))]).await.map(|_| ())
}

pub(super) async fn remove(conn: &mut Conn, row: &[String; 3]) -> Result<(), Fault> {
    conn.execute(REMOVE, &texts(row)).await.map(|_| ())
}

/// Only where nobody has changed the key meanwhile.
pub(super) async fn reseal(conn: &mut Conn, row: &[String; 3], old: &[u8], new: &[u8]) -> Result<u64, Fault> {
    let [network, user, channel] = texts(row);
    let [old, new] = [old, new].map(|sealed| Arg::MaybeBytes(Some(sealed)));
    conn.execute(RESEAL, &[network, user, channel, old, new]).await
}

fn texts(row: &[String; 3]) -> [Arg<'_>; 3] {
    row.each_ref().map(|name| Arg::Text(name))
}

fn place<'a>(row: &'a [&'a str; 3]) -> Place<'a> {
    Place { table: "channel_keys", row, column: "sealed" }
}
