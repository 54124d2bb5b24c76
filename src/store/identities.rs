//! Tables `identities` and `homeserver_blocks`: the ident and the address number of each puppet.
//!
//! An ident belongs to one user of a network for ever, and so does an address: a ban that an operator has set
//! goes on hitting the same person and nobody else. So no row is ever deleted, and numbers come from counters
//! that only grow. Idents are compared under the widest case mapping there is, so that a ban mask that fits one
//! fits no other. Blocks and numbers begin at 1: block 0 is left for the addresses of the machine itself, and
//! number 0 would be the address that stands for all routers (RFC 4291 section 2.6.1).

use std::collections::HashSet;

use super::change::Write;
use super::db::{Arg, Conn, Fault, Row};
use super::{Store, StoreError, now};
use crate::ids::{NetworkId, Time, UserId};
use crate::text::casemap::CaseMap;

/// Candidates looked at in one transaction: the first time, and at most. Most users get one of the first.
const CANDIDATES_MIN: usize = 8;
const CANDIDATES_MAX: usize = 2_048;
/// Candidates that are asked for before a user gets no ident.
const CANDIDATES_TOTAL: usize = 200_000;

const GET: &str = "SELECT ident, block, number FROM identities WHERE network = $1 AND mxid = $2";
const OWNER: &str =
    "SELECT mxid, ident, block, number, created FROM identities WHERE network = $1 AND ident_folded = $2";
const TAKEN_SQLITE: &str = "SELECT ident_folded FROM identities WHERE network = $1 \
    AND ident_folded IN (SELECT value FROM json_each($2))";
const TAKEN_POSTGRES: &str = "SELECT ident_folded FROM identities WHERE network = $1 \
    AND ident_folded IN (SELECT json_array_elements_text($2::json))";
const TAKE: &str = "INSERT INTO identities (network, mxid, ident, ident_folded, block, number, created) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const BLOCK_NEW: &str = "INSERT INTO homeserver_blocks (homeserver, block, numbers) \
    SELECT $1, COALESCE(MAX(block), 0) + 1, 0 FROM homeserver_blocks WHERE true ON CONFLICT (homeserver) DO NOTHING";
const NUMBER_NEXT: &str = "UPDATE homeserver_blocks SET numbers = numbers + 1 WHERE homeserver = $1 \
    RETURNING block, numbers";
/// SQLite has one writer at a time; here another process could find the same ident free.
const LOCK_POSTGRES: &str = "LOCK TABLE identities IN SHARE ROW EXCLUSIVE MODE";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("GET", GET),
    ("OWNER", OWNER),
    ("TAKEN_SQLITE", TAKEN_SQLITE),
    ("TAKEN_POSTGRES", TAKEN_POSTGRES),
    ("TAKE", TAKE),
    ("BLOCK_NEW", BLOCK_NEW),
    ("NUMBER_NEXT", NUMBER_NEXT),
    ("LOCK_POSTGRES", LOCK_POSTGRES),
];

/// Who a user is on a network, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredIdentity {
    pub ident: String,
    /// The homeserver's block of addresses, from 1; the same on all networks.
    pub block: u64,
    /// The address in that block, from 1. No two users, and no two networks of one user, share one.
    pub number: u64,
}

/// Whose an ident is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentOwner {
    pub user: UserId,
    pub identity: StoredIdentity,
    pub since: Time,
}

impl Store {
    /// The user's identity on a network. At first use the first candidate that nobody has there becomes the
    /// ident; awaited then.
    ///
    /// `candidates` are the idents to try, best first; they may go on without end. An empty one, and one with
    /// control characters, is left out. [`StoreError::Refused`] when all of them, or 200,000, belong to others.
    pub async fn identity(
        &self,
        network: &NetworkId,
        user: &UserId,
        candidates: impl IntoIterator<Item = String, IntoIter: Send>,
    ) -> Result<StoredIdentity, StoreError> {
        let args = [Arg::Text(network.as_str()), Arg::Text(user.as_str())];
        if let Some(row) = self.read(GET, &args).await?.first() {
            return Ok(identity(row, 0)?);
        }
        let mut candidates = candidates.into_iter().take(CANDIDATES_TOTAL).filter(|ident| is_usable(ident));
        let mut len = CANDIDATES_MIN;
        loop {
            let idents: Vec<String> = candidates.by_ref().take(len).collect();
            if idents.is_empty() {
                let why = format!("every ident for {user} on {network} belongs to somebody else");
                return Err(StoreError::Refused(why));
            }
            let (network, user) = (network.clone(), user.clone());
            let write = Write::IdentityTake { network, user, idents, at: now() };
            if let Some(identity) = self.writer.write(write).await?.identity() {
                return Ok(identity);
            }
            len = (len * 4).min(CANDIDATES_MAX);
        }
    }

    /// The user's ident on a network, where they have one already.
    pub async fn ident_of(&self, network: &NetworkId, user: &UserId) -> Result<Option<String>, StoreError> {
        let rows = self.read(GET, &[Arg::Text(network.as_str()), Arg::Text(user.as_str())]).await?;
        Ok(rows.first().map(|row| identity(row, 0)).transpose()?.map(|identity| identity.ident))
    }

    /// Whose this ident is on a network, in any spelling; for operators who ask.
    pub async fn identity_of_ident(
        &self,
        network: &NetworkId,
        ident: &str,
    ) -> Result<Option<IdentOwner>, StoreError> {
        let rows = self.read(OWNER, &[Arg::Text(network.as_str()), Arg::Text(&folded(ident))]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let since = Time(u64::try_from(row.int(4)?).unwrap_or_default());
        let user = UserId::new(&row.text(0)?);
        Ok(user
            .map(|user| Ok::<_, Fault>(IdentOwner { user, identity: identity(row, 1)?, since }))
            .transpose()?)
    }
}

/// Gives the user the first of these idents that is free, unless there is an identity already; `None` when
/// none is free.
pub(super) async fn take(
    conn: &mut Conn,
    network: &NetworkId,
    user: &UserId,
    idents: &[String],
    at: Time,
) -> Result<Option<StoredIdentity>, Fault> {
    if let Conn::Postgres(_) = conn {
        conn.execute(LOCK_POSTGRES, &[]).await?;
    }
    if let Some(row) =
        conn.fetch(GET, &[Arg::Text(network.as_str()), Arg::Text(user.as_str())]).await?.first()
    {
        return Ok(Some(identity(row, 0)?));
    }
    let Some(ident) = first_free(conn, network, idents).await? else { return Ok(None) };
    let (block, number) = next_number(conn, user.server()).await?;
    let created = i64::try_from(at.0).unwrap_or(i64::MAX);
    let folded = folded(ident);
    let texts = [network.as_str(), user.as_str(), ident, &folded].map(Arg::Text);
    let args: Vec<_> = texts.into_iter().chain([block, number, created].map(Arg::Int)).collect();
    conn.execute(TAKE, &args).await?;
    Ok(Some(StoredIdentity { ident: ident.to_owned(), block: unsigned(block)?, number: unsigned(number)? }))
}

async fn first_free<'a>(
    conn: &mut Conn,
    network: &NetworkId,
    idents: &'a [String],
) -> Result<Option<&'a str>, Fault> {
    let all: Vec<String> = idents.iter().map(|ident| folded(ident)).collect();
    let list = serde_json::Value::from(all.clone()).to_string();
    let sql = conn.choose(TAKEN_SQLITE, TAKEN_POSTGRES);
    let rows = conn.fetch(sql, &[Arg::Text(network.as_str()), Arg::Text(&list)]).await?;
    let taken: HashSet<String> = rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    let free = idents.iter().zip(&all).find(|(_, folded)| !taken.contains(*folded));
    Ok(free.map(|(ident, _)| ident.as_str()))
}

/// The homeserver's block, and the next number in it.
async fn next_number(conn: &mut Conn, homeserver: &str) -> Result<(i64, i64), Fault> {
    let homeserver = homeserver.to_ascii_lowercase();
    conn.execute(BLOCK_NEW, &[Arg::Text(&homeserver)]).await?;
    let rows = conn.fetch(NUMBER_NEXT, &[Arg::Text(&homeserver)]).await?;
    let row = rows.first().ok_or_else(|| Fault::Change("a block of addresses has vanished".to_owned()))?;
    Ok((row.int(0)?, row.int(1)?))
}

fn identity(row: &Row, first: usize) -> Result<StoredIdentity, Fault> {
    let (block, number) = (unsigned(row.int(first + 1)?)?, unsigned(row.int(first + 2)?)?);
    Ok(StoredIdentity { ident: row.text(first)?, block, number })
}

fn unsigned(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| Fault::Change("an address number is below 0".to_owned()))
}

fn folded(ident: &str) -> String {
    CaseMap::Rfc1459.fold(ident)
}

fn is_usable(ident: &str) -> bool {
    !ident.is_empty() && !ident.chars().any(char::is_control)
}
