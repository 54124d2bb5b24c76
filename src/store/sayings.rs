//! Table `sayings`: what was said lately on a network, so that after a restart replies, edits, reactions and redactions
//! still find what they are about.
//!
//! A row is what the network's memory holds of one message: its event and the names of its lines, who said it, and the
//! beginning of its text, which goes when the message is redacted. No more rows than the memory holds.

use std::sync::Arc;

use super::change::Write;
use super::db::{Arg, Conn, Fault, Row, escape};
use super::{Store, StoreError};
use crate::bridge::effect::{Author, Life, Said, Saying};
use crate::ids::{EventId, NetworkId, Nick, RelaySeq, RoomId, UserId};
use crate::text::casemap::CaseMap;

const SAVE_SQLITE: &str = "INSERT INTO sayings (network, id, seq, room, event, msgids, side, author, excerpt, redacted) \
    SELECT $2, value ->> 'id', value ->> 'seq', value ->> 'room', value ->> 'event', value ->> 'msgids', \
    value ->> 'side', value ->> 'author', value ->> 'excerpt', value ->> 'redacted' \
    FROM json_each($1) WHERE true ON CONFLICT (network, id) DO UPDATE SET event = excluded.event, \
    msgids = excluded.msgids, excerpt = excluded.excerpt, redacted = excluded.redacted";
const SAVE_POSTGRES: &str = "INSERT INTO sayings (network, id, seq, room, event, msgids, side, author, excerpt, redacted) \
    SELECT $2, id, seq, room, event, msgids, side, author, excerpt, redacted FROM json_to_recordset($1::json) \
    AS rows (id BIGINT, seq BIGINT, room TEXT, event TEXT, msgids TEXT, side TEXT, author TEXT, excerpt TEXT, \
    redacted BIGINT) ON CONFLICT (network, id) DO UPDATE SET event = excluded.event, \
    msgids = excluded.msgids, excerpt = excluded.excerpt, redacted = excluded.redacted";
const PRUNE: &str = "DELETE FROM sayings WHERE network = $1 AND id < $2";
const NAME: &str = "UPDATE sayings SET event = $2 WHERE seq = $1 AND event IS NULL";
const ALL: &str = "SELECT id, seq, room, event, msgids, side, author, excerpt, redacted FROM sayings \
    WHERE network = $1 ORDER BY id";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("SAVE_SQLITE", SAVE_SQLITE),
    ("SAVE_POSTGRES", SAVE_POSTGRES),
    ("PRUNE", PRUNE),
    ("NAME", NAME),
    ("ALL", ALL),
];

/// Who said it, by the side they are on.
const MATRIX: &str = "matrix";
const IRC: &str = "irc";

impl Store {
    /// Keeps what is new or changed of what was said on a network, and forgets what has a lower number than `from`;
    /// lazy.
    pub async fn sayings_save(
        &self,
        network: &NetworkId,
        sayings: Vec<Saying>,
        from: u64,
    ) -> Result<(), StoreError> {
        self.writer.write_soon(Write::SayingsSave { network: network.clone(), sayings, from }).await
    }

    /// The homeserver has taken lines as these events, and the network's memory is no more; lazy.
    pub async fn sayings_name(&self, names: Vec<(RelaySeq, EventId)>) -> Result<(), StoreError> {
        self.writer.write_soon(Write::SayingsName(names)).await
    }

    /// What was said on a network, the oldest first. `map` is the network's case mapping. A row that cannot be read is
    /// left out.
    pub async fn sayings(&self, network: &NetworkId, map: CaseMap) -> Result<Vec<Saying>, StoreError> {
        let rows = self.read(ALL, &[Arg::Text(network.as_str())]).await?;
        rows.iter()
            .filter_map(|row| saying(row, map).transpose())
            .map(|row| row.map_err(Into::into))
            .collect()
    }
}

pub(super) async fn save(
    conn: &mut Conn,
    network: &NetworkId,
    sayings: &[Saying],
    from: u64,
) -> Result<(), Fault> {
    let list = serde_json::Value::from(sayings.iter().map(json_row).collect::<Vec<_>>()).to_string();
    let sql = conn.choose(SAVE_SQLITE, SAVE_POSTGRES);
    conn.execute(sql, &[Arg::Text(&list), Arg::Text(network.as_str())]).await?;
    conn.execute(PRUNE, &[Arg::Text(network.as_str()), Arg::Int(int(from))]).await.map(|_| ())
}

pub(super) async fn name(conn: &mut Conn, names: &[(RelaySeq, EventId)]) -> Result<(), Fault> {
    for (seq, event) in names {
        conn.execute(NAME, &[Arg::Int(seq.0), Arg::Text(event.as_str())]).await?;
    }
    Ok(())
}

fn json_row(saying: &Saying) -> serde_json::Value {
    let Said { room, event, msgids, author, excerpt, life } = &saying.said;
    let (side, author) = match author {
        Author::Matrix(user) => (MATRIX, user.as_str()),
        Author::Irc(nick) => (IRC, nick.as_str()),
    };
    // No name of a line has a space in it.
    let msgids = msgids.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
    serde_json::json!({
        "id": int(saying.id),
        "seq": saying.seq.map(|seq| seq.0),
        "room": room.as_str(),
        "event": event.as_ref().map(EventId::as_str),
        "msgids": escape(&msgids),
        "side": side,
        "author": escape(author),
        "excerpt": escape(excerpt),
        "redacted": i64::from(*life == Life::Redacted),
    })
}

fn saying(row: &Row, map: CaseMap) -> Result<Option<Saying>, Fault> {
    let (side, author) = (row.text(5)?, row.text(6)?);
    let author = match side.as_str() {
        MATRIX => UserId::new(&author).map(Author::Matrix),
        IRC => Nick::new(&author, map).map(Author::Irc),
        _ => None,
    };
    let (Some(room), Some(author)) = (RoomId::new(&row.text(2)?), author) else { return Ok(None) };
    let msgids = row.text(4)?.split(' ').filter(|id| !id.is_empty()).map(Arc::from).collect();
    let said = Said {
        room,
        event: row.maybe_text(3)?.and_then(|event| EventId::new(&event)),
        msgids,
        author,
        excerpt: row.text(7)?,
        life: if row.int(8)? == 0 { Life::Stands } else { Life::Redacted },
    };
    let id = u64::try_from(row.int(0)?).unwrap_or_default();
    Ok(Some(Saying { id, seq: row.maybe_int(1)?.map(RelaySeq), said }))
}

fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
