//! Table `sts_policies`: hosts that have said they are to be dialled with TLS only, and until when (IRCv3 `sts`).
//!
//! A host stands for all networks: the policy is its own. Rows are as many as hosts that were ever configured.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError, now};
use crate::ids::Time;

const SAVE: &str = "INSERT INTO sts_policies (host, port, expires) VALUES ($1, $2, $3) \
    ON CONFLICT (host) DO UPDATE SET port = excluded.port, expires = excluded.expires";
const GET: &str = "SELECT port, expires FROM sts_policies WHERE host = $1 AND expires > $2";
const REMOVE: &str = "DELETE FROM sts_policies WHERE host = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("SAVE", SAVE), ("GET", GET), ("REMOVE", REMOVE)];

/// How a host is to be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StsPolicy {
    /// Its port for TLS.
    pub port: u16,
    /// From this moment on the policy is over.
    pub expires: Time,
}

impl Store {
    /// Remembers a host's policy in place of an older one; awaited, for the next connection asks for it at once.
    pub async fn sts_save(&self, host: &str, policy: StsPolicy) -> Result<(), StoreError> {
        let write = Write::StsSave { host: host.to_ascii_lowercase(), policy };
        self.writer.write(write).await.map(|_| ())
    }

    /// Forgets a host's policy (it said `duration=0`); lazy.
    pub async fn sts_remove(&self, host: &str) -> Result<(), StoreError> {
        self.writer.write_soon(Write::StsRemove { host: host.to_ascii_lowercase() }).await
    }

    /// The host's policy, unless it is over.
    pub async fn sts(&self, host: &str) -> Result<Option<StsPolicy>, StoreError> {
        let host = host.to_ascii_lowercase();
        let rows = self.read(GET, &[Arg::Text(&host), Arg::Int(stored(now()))]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (port, expires) = (row.int(0)?, row.int(1)?);
        let expires = Time(u64::try_from(expires).unwrap_or_default());
        Ok(u16::try_from(port).ok().map(|port| StsPolicy { port, expires }))
    }
}

pub(super) async fn save(conn: &mut Conn, host: &str, policy: StsPolicy) -> Result<(), Fault> {
    let args = [Arg::Text(host), Arg::Int(i64::from(policy.port)), Arg::Int(stored(policy.expires))];
    conn.execute(SAVE, &args).await.map(|_| ())
}

pub(super) async fn remove(conn: &mut Conn, host: &str) -> Result<(), Fault> {
    conn.execute(REMOVE, &[Arg::Text(host)]).await.map(|_| ())
}

fn stored(at: Time) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}
