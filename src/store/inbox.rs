//! Table `inbox`: what the homeserver gave us and what became of it.
//!
//! ```text
//!   open ─▶ written: a socket has it, the answer is not known ─▶ delivered | failed | expired
//!     └────────────────────────────────────────────────────────▲
//! ```
//!
//! An event has a row for each network that gets it, mostly one; a second one is named by [`copy_name`].
//!
//! A row is open until it is settled; then its text is dropped and its event id stays for a day, so that a
//! repeated delivery is known: by its event ids, which say all that a transaction's own id could. Ids are kept as the homeserver sent them, legal or not: who decodes an event
//! judges it, and an id that is nonsense must not block the events around it.

use std::borrow::Cow;
use std::collections::HashMap;

use tokio::sync::oneshot;

use super::change::{Reply, Write};
use super::db::{Arg, Conn, Fault, Row, escape};
use super::{Store, StoreError, now};
use crate::bridge::effect::Outcome;
use crate::bridge::input::Before;
use crate::ids::{InboxSeq, NetworkId, Time};

/// Longest id kept as it is, in bytes; twice the longest legal one. PostgreSQL cannot index 2,700.
const KEY_BYTES_MAX: usize = 512;
/// How much of a longer id is kept in front of its fingerprint, in bytes.
const KEY_BYTES_KEPT: usize = 400;
/// Settled rows are kept at least so long: a homeserver may repeat a delivery.
const KEEP_MS_MIN: u64 = 24 * 60 * 60 * 1000;
/// Rows removed in one commit, so that pruning never holds up a delivery for long.
const PRUNE_ROWS_MAX: i64 = 1_000;

const OPEN: i64 = 0;
const DELIVERED: i64 = 1;
const FAILED: i64 = 2;
const EXPIRED: i64 = 3;

const EVENTS_ADD_SQLITE: &str = "INSERT INTO inbox (seq, event_id, room_id, json, network, accepted) \
    SELECT value ->> 'seq', value ->> 'event_id', value ->> 'room_id', value ->> 'json', value ->> 'network', $2 \
    FROM json_each($1) WHERE true ON CONFLICT (event_id) DO NOTHING RETURNING seq, event_id";
const EVENTS_ADD_POSTGRES: &str = "INSERT INTO inbox (seq, event_id, room_id, json, network, accepted) \
    OVERRIDING SYSTEM VALUE SELECT seq, event_id, room_id, json, network, $2 FROM json_to_recordset($1::json) \
    AS events (seq BIGINT, event_id TEXT, room_id TEXT, json TEXT, network TEXT) \
    ON CONFLICT (event_id) DO NOTHING RETURNING seq, event_id";
const OPEN_AFTER: &str = "SELECT seq, event_id, room_id, json, COALESCE(written, 0), network FROM inbox \
    WHERE state = 0 AND seq > $1 ORDER BY seq LIMIT $2";
const WRITTEN_SQLITE: &str = "UPDATE inbox SET written = $2 \
    WHERE state = 0 AND seq IN (SELECT CAST(value AS INTEGER) FROM json_each($1))";
const WRITTEN_POSTGRES: &str = "UPDATE inbox SET written = $2 \
    WHERE state = 0 AND seq IN (SELECT value::BIGINT FROM json_array_elements_text($1::json))";
const ROUTE: &str = "UPDATE inbox SET network = $2 WHERE seq = $1 AND state = 0 AND network IS NULL";
const SETTLE_SQLITE: &str = "UPDATE inbox SET state = row.value ->> 'state', reason = row.value ->> 'reason', \
    settled = $2, json = NULL FROM json_each($1) AS row \
    WHERE inbox.seq = CAST(row.value ->> 'seq' AS INTEGER) AND inbox.state = 0";
const SETTLE_POSTGRES: &str = "UPDATE inbox SET state = rows.state, reason = rows.reason, \
    settled = $2, json = NULL FROM json_to_recordset($1::json) AS rows (seq BIGINT, state BIGINT, reason TEXT) \
    WHERE inbox.seq = rows.seq AND inbox.state = 0";
const LAST: &str = "SELECT coalesce(max(seq), 0) FROM inbox";
const COUNT: &str = "SELECT state, count(*) FROM inbox GROUP BY state";
// Never the newest: the next start counts on from it, and no number is given twice.
const PRUNE_EVENTS: &str = "DELETE FROM inbox WHERE seq IN (SELECT seq FROM inbox WHERE settled < $1 \
    AND seq < (SELECT max(seq) FROM inbox) ORDER BY settled LIMIT $2)";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("EVENTS_ADD_SQLITE", EVENTS_ADD_SQLITE),
    ("EVENTS_ADD_POSTGRES", EVENTS_ADD_POSTGRES),
    ("OPEN_AFTER", OPEN_AFTER),
    ("WRITTEN_SQLITE", WRITTEN_SQLITE),
    ("WRITTEN_POSTGRES", WRITTEN_POSTGRES),
    ("ROUTE", ROUTE),
    ("SETTLE_SQLITE", SETTLE_SQLITE),
    ("SETTLE_POSTGRES", SETTLE_POSTGRES),
    ("LAST", LAST),
    ("COUNT", COUNT),
    ("PRUNE_EVENTS", PRUNE_EVENTS),
];

/// An event as the homeserver sent it, ids unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The event's, or what [`copy_name`] makes of it.
    pub event_id: String,
    pub room_id: String,
    /// The whole event.
    pub json: String,
    /// The network that is to get it, where it is a message and that is known: it counts as accepted there.
    pub network: Option<NetworkId>,
}

/// An accepted event that is not settled. An id beyond 512 bytes is shortened to a fingerprint, still too
/// long to be legal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    pub seq: InboxSeq,
    pub event_id: String,
    pub room_id: String,
    pub json: String,
    /// How far an earlier run has come with it.
    pub before: Before,
    /// The network whose message it is counted as.
    pub network: Option<NetworkId>,
}

/// How many rows are in which state. Pruned rows are no longer counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InboxCounts {
    pub open: u64,
    pub delivered: u64,
    pub failed: u64,
    pub expired: u64,
}

/// Stands between an event's id and the network that the row is for. No id of an event has one: there is no white space
/// in ids.
const COPY_SIGN: char = ' ';

/// The name of the row that a further network is given of an event: each of a room's networks has a row of its own, and
/// so its own end.
pub fn copy_name(event_id: &str, network: &NetworkId) -> String {
    format!("{event_id}{COPY_SIGN}{network}")
}

impl InboxRow {
    /// The network that the row is for, where it is a copy.
    pub fn copy_for(&self) -> Option<NetworkId> {
        let (_, network) = self.event_id.split_once(COPY_SIGN)?;
        NetworkId::new(network)
    }
}

impl Store {
    /// Takes the events of one transaction in, with one commit; awaited. Gives those that were not known,
    /// in order: they are on disk, and are this call's to handle. The same transaction again gives nothing.
    ///
    /// The event ids decide: the same transaction again gives nothing, and a transaction id used again for
    /// other events (a homeserver that was set up anew counts from 1 again) loses none of them.
    ///
    /// After an error, or when the waiting caller goes away, the events may be stored all the same:
    /// [`Store::inbox_after`] finds them.
    pub async fn accept(&self, events: Vec<NewEvent>) -> Result<Vec<InboxRow>, StoreError> {
        let write = Write::Accept { events, at: now(), first: InboxSeq(0) };
        self.writer.write(write).await.map(Reply::accepted)
    }

    /// As [`Store::accept`], of a single event. Where it is new and nothing else is to be committed with it,
    /// `early` is told of it once the database has taken it in and has yet to make it durable: what has to be
    /// quick may begin. Such a row is on disk when this gives `Ok`; after an error the store goes on trying.
    pub async fn accept_early(
        &self,
        event: NewEvent,
        early: oneshot::Sender<InboxRow>,
    ) -> Result<Vec<InboxRow>, StoreError> {
        let write = Write::Accept { events: vec![event], at: now(), first: InboxSeq(0) };
        self.writer.write_early(write, early).await.map(Reply::accepted)
    }

    /// At most `limit` open rows behind `after`, in order. `InboxSeq(0)` is before the first.
    pub async fn inbox_after(&self, after: InboxSeq, limit: u32) -> Result<Vec<InboxRow>, StoreError> {
        let rows = self.read(OPEN_AFTER, &[Arg::Int(after.0), Arg::Int(i64::from(limit))]).await?;
        rows.iter().map(|row| inbox_row(row, self.inherited).map_err(StoreError::from)).collect()
    }

    /// Notes that a socket has all of this row's message. What this gives waits until that is on the disk, or what
    /// became of the row: after that no later run says it again. It waits as long as the store has hope.
    pub async fn written(&self, seq: InboxSeq) -> Result<impl Future<Output = ()> + use<>, StoreError> {
        let (noted, told) = oneshot::channel();
        self.writer.write_soon(Write::Written { seq, noted }).await?;
        Ok(async { told.await.unwrap_or_default() })
    }

    /// Counts an event that was taken in without a network as a message for this one; lazy. The first network of a
    /// row stays.
    pub async fn inbox_route(&self, seq: InboxSeq, network: &NetworkId) -> Result<(), StoreError> {
        self.writer.write_soon(Write::Route { seq, network: network.clone() }).await
    }

    /// Notes the end of a row and drops its text; lazy. The first outcome of a row stays.
    pub async fn settle(&self, seq: InboxSeq, outcome: &Outcome) -> Result<(), StoreError> {
        self.writer.write_soon(Write::Settle { seq, outcome: outcome.clone() }).await
    }

    /// Counts the rows that are kept.
    pub async fn inbox_counts(&self) -> Result<InboxCounts, StoreError> {
        let mut counts = InboxCounts::default();
        for row in self.read(COUNT, &[]).await? {
            let count = u64::try_from(row.int(1)?).unwrap_or_default();
            match row.int(0)? {
                OPEN => counts.open = count,
                DELIVERED => counts.delivered = count,
                FAILED => counts.failed = count,
                EXPIRED => counts.expired = count,
                state => tracing::warn!(state, count, "inbox rows in a state this version does not know"),
            }
        }
        Ok(counts)
    }

    /// Removes what was settled before `older_than`; nothing of the last
    /// 24 hours whatever is asked. Awaited, in small commits. Gives the number of rows removed.
    pub async fn prune(&self, older_than: Time) -> Result<u64, StoreError> {
        let kept_from = Time(now().0.saturating_sub(KEEP_MS_MIN));
        self.prune_before(older_than.min(kept_from)).await
    }

    pub(super) async fn prune_before(&self, before: Time) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            match self.writer.write(Write::Prune { before }).await?.count() {
                0 => return Ok(total),
                count => total += count,
            }
        }
    }
}

/// The highest number that is kept.
pub(super) async fn last(conn: &mut Conn) -> Result<InboxSeq, Fault> {
    let rows = conn.fetch(LAST, &[]).await?;
    rows.first().map_or(Ok(InboxSeq(0)), |row| row.int(0).map(InboxSeq))
}

/// Adds those that are not known, in their order and numbered from `first`; of two with one id the first.
pub(super) async fn accept(
    conn: &mut Conn,
    events: &[NewEvent],
    at: Time,
    first: InboxSeq,
) -> Result<Vec<InboxRow>, Fault> {
    let mut known: HashMap<Cow<'_, str>, &NewEvent> = HashMap::with_capacity(events.len());
    for event in events {
        known.entry(bounded(&event.event_id)).or_insert(event);
    }
    let list: Vec<_> = (first.0..).zip(events).map(event_row).collect();
    let list = serde_json::Value::from(list).to_string();
    let sql = conn.choose(EVENTS_ADD_SQLITE, EVENTS_ADD_POSTGRES);
    let added = conn.fetch(sql, &[Arg::Text(&list), time_arg(at)]).await?;
    let mut rows = Vec::with_capacity(added.len());
    for row in &added {
        let (seq, event_id) = (InboxSeq(row.int(0)?), row.text(1)?);
        let Some(event) = known.get(event_id.as_str()) else {
            return Err(Fault::Change("the database changed an event id".to_owned()));
        };
        let NewEvent { room_id, json, network, .. } = (*event).clone();
        rows.push(InboxRow { seq, event_id, room_id, json, before: Before::New, network });
    }
    rows.sort_by_key(|row| row.seq);
    Ok(rows)
}

fn event_row((seq, event): (i64, &NewEvent)) -> serde_json::Value {
    let event_id = bounded(&event.event_id);
    serde_json::json!({
        "seq": seq,
        "event_id": escape(&event_id),
        "room_id": escape(&event.room_id),
        "json": escape(&event.json),
        "network": event.network.as_ref().map(NetworkId::as_str),
    })
}

pub(super) async fn written(conn: &mut Conn, seqs: &[InboxSeq], at: Time) -> Result<(), Fault> {
    let list: Vec<i64> = seqs.iter().map(|seq| seq.0).collect();
    let list = serde_json::Value::from(list).to_string();
    let sql = conn.choose(WRITTEN_SQLITE, WRITTEN_POSTGRES);
    conn.execute(sql, &[Arg::Text(&list), time_arg(at)]).await.map(|_| ())
}

pub(super) async fn route(conn: &mut Conn, seq: InboxSeq, network: &NetworkId) -> Result<(), Fault> {
    conn.execute(ROUTE, &[Arg::Int(seq.0), Arg::Text(network.as_str())]).await.map(|_| ())
}

pub(super) async fn settle(conn: &mut Conn, rows: &[(InboxSeq, &Outcome)], at: Time) -> Result<(), Fault> {
    let list: Vec<_> = rows.iter().map(|(seq, outcome)| settle_row(*seq, outcome)).collect();
    let list = serde_json::Value::from(list).to_string();
    let sql = conn.choose(SETTLE_SQLITE, SETTLE_POSTGRES);
    conn.execute(sql, &[Arg::Text(&list), time_arg(at)]).await.map(|_| ())
}

fn settle_row(seq: InboxSeq, outcome: &Outcome) -> serde_json::Value {
    let (state, reason) = match outcome {
        Outcome::Delivered => (DELIVERED, None),
        Outcome::Failed(reason) => (FAILED, Some(escape(reason))),
        Outcome::Expired => (EXPIRED, None),
    };
    serde_json::json!({ "seq": seq.0, "state": state, "reason": reason })
}

pub(super) async fn prune(conn: &mut Conn, before: Time) -> Result<u64, Fault> {
    let args = [time_arg(before), Arg::Int(PRUNE_ROWS_MAX)];
    conn.execute(PRUNE_EVENTS, &args).await
}

/// `inherited` is the last number of earlier runs.
fn inbox_row(row: &Row, inherited: InboxSeq) -> Result<InboxRow, Fault> {
    let seq = InboxSeq(row.int(0)?);
    let unwritten = if seq <= inherited { Before::Accepted } else { Before::New };
    Ok(InboxRow {
        seq,
        event_id: row.text(1)?,
        room_id: row.text(2)?,
        json: row.text(3)?,
        before: if row.int(4)? == 0 { unwritten } else { Before::Written },
        network: row.maybe_text(5)?.and_then(|network| NetworkId::new(&network)),
    })
}

fn time_arg(time: Time) -> Arg<'static> {
    Arg::Int(i64::try_from(time.0).unwrap_or(i64::MAX))
}

/// An id short enough for an index, and as distinct as can be.
fn bounded(id: &str) -> Cow<'_, str> {
    if id.len() <= KEY_BYTES_MAX {
        return Cow::Borrowed(id);
    }
    let kept = &id[..id.floor_char_boundary(KEY_BYTES_KEPT)];
    Cow::Owned(format!("{kept}~{}~{:016x}", id.len(), fingerprint(id)))
}

/// FNV-1a, 64 bits: the same in every version, which the standard library's hasher does not promise.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
