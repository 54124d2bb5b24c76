//! Table `tallies`: how many messages were accepted and what became of them, per network and direction; and the
//! audit that is made of it: accepted = delivered + failed + expired + in flight.
//!
//! Each figure is counted where it arises, in the same commit: rows that come in and rows of the inbox that are
//! settled by triggers (`schema`), lines that leave the outbox here. What is in flight is counted from the rows
//! themselves. So the sum holds only if nothing was taken away in any other way, and nothing counted twice.
//!
//! Only messages count: Matrix messages in a portal's room, lines of IRC users, and, apart from both, what the
//! bridge says in rooms itself. Joins, unknown rooms and the like are in the inbox, but not in here.

use std::collections::BTreeMap;
use std::fmt;

use super::change::Write;
use super::db::{Arg, Conn, Fault, Row, escape};
use super::{Store, StoreError};
use crate::ids::Time;

const ADD_SQLITE: &str = "INSERT INTO tallies (network, direction, outcome, count) \
    SELECT value ->> 'network', value ->> 'direction', value ->> 'outcome', value ->> 'count' \
    FROM json_each($1) WHERE true ON CONFLICT (network, direction, outcome) \
    DO UPDATE SET count = tallies.count + excluded.count";
const ADD_POSTGRES: &str = "INSERT INTO tallies (network, direction, outcome, count) \
    SELECT network, direction, outcome, count FROM json_to_recordset($1::json) \
    AS rows (network TEXT, direction TEXT, outcome TEXT, count BIGINT) ON CONFLICT (network, direction, outcome) \
    DO UPDATE SET count = tallies.count + excluded.count";
/// One statement, so that all figures are of one moment also while the bridge works.
const SUMS: &str = "SELECT network, direction, outcome, count FROM tallies UNION ALL \
    SELECT network, 'to_irc', 'in flight', count(*) FROM inbox WHERE state = 0 AND network IS NOT NULL \
    GROUP BY network UNION ALL \
    SELECT network, CASE WHEN speaker IS NULL THEN 'notices' ELSE 'to_matrix' END, 'in flight', count(*) \
    FROM outbox GROUP BY 1, 2";
const OLDEST_IN: &str = "SELECT seq, COALESCE(network, ''), room_id, accepted, 'to_irc' FROM inbox \
    WHERE state = 0 ORDER BY seq LIMIT $1";
const OLDEST_OUT: &str = "SELECT seq, network, room, created, \
    CASE WHEN speaker IS NULL THEN 'notices' ELSE 'to_matrix' END FROM outbox ORDER BY seq LIMIT $1";
const GIVEN_UP: &str = "SELECT seq, network, room, failed, \
    CASE WHEN speaker IS NULL THEN 'notices' ELSE 'to_matrix' END, reason FROM dead_letters \
    ORDER BY failed DESC, seq DESC LIMIT $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("ADD_SQLITE", ADD_SQLITE),
    ("ADD_POSTGRES", ADD_POSTGRES),
    ("SUMS", SUMS),
    ("OLDEST_IN", OLDEST_IN),
    ("OLDEST_OUT", OLDEST_OUT),
    ("GIVEN_UP", GIVEN_UP),
];

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From Matrix to IRC.
    ToIrc,
    /// From IRC to Matrix.
    ToMatrix,
    /// From the bridge itself into a room.
    Notices,
}

/// What became of the messages of one network in one direction, since the first start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub network: String,
    pub direction: Direction,
    pub accepted: u64,
    pub delivered: u64,
    pub failed: u64,
    pub expired: u64,
    pub in_flight: u64,
}

/// Where the messages are. Holds no text of any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// By network and direction.
    pub tallies: Vec<Tally>,
    /// The oldest rows that have not reached their end: of the inbox, then of the outbox.
    pub unsettled: Vec<Unsettled>,
    /// The newest lines that the homeserver would not take.
    pub given_up: Vec<GivenUp>,
}

/// A row on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsettled {
    pub seq: i64,
    /// Empty for an event that no network has to relay.
    pub network: String,
    pub direction: Direction,
    pub room: String,
    /// When it was taken in.
    pub since: Time,
}

/// A line that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    pub row: Unsettled,
    /// In the homeserver's words, or ours.
    pub reason: String,
}

/// Lines that left the outbox, to be added to the tallies.
pub(super) type Lines = BTreeMap<(String, Direction), i64>;

/// Lines that never became rows of the outbox, to be added to one figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncounted {
    pub network: String,
    pub direction: Direction,
    pub figure: Figure,
    pub lines: u64,
}

/// What lines without a row can be counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Figure {
    Accepted,
    Delivered,
    Failed,
}

impl Figure {
    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::ToIrc, Self::ToMatrix, Self::Notices];

    /// As it stands in the table, and in what programs read.
    pub fn name(self) -> &'static str {
        match self {
            Self::ToIrc => "to_irc",
            Self::ToMatrix => "to_matrix",
            Self::Notices => "notices",
        }
    }

    /// Of a line in this user's name; `None` is the bridge itself.
    pub(super) fn of_speaker(speaker: Option<&str>) -> Self {
        speaker.map_or(Self::Notices, |_| Self::ToMatrix)
    }

    fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|direction| direction.name() == name)
    }
}

impl Tally {
    fn new(network: &str, direction: Direction) -> Self {
        let network = network.to_owned();
        Self { network, direction, accepted: 0, delivered: 0, failed: 0, expired: 0, in_flight: 0 }
    }

    /// Accepted messages whose end is not known; below zero, ends of messages that nobody accepted.
    pub fn missing(&self) -> i64 {
        let known = [self.delivered, self.failed, self.expired, self.in_flight];
        let known = known.into_iter().fold(0, |sum: u64, count| sum.saturating_add(count));
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        number(self.accepted).saturating_sub(number(known))
    }

    fn set(&mut self, outcome: &str, count: u64) {
        match outcome {
            "accepted" => self.accepted = count,
            "delivered" => self.delivered = count,
            "failed" => self.failed = count,
            "expired" => self.expired = count,
            "in flight" => self.in_flight = count,
            outcome => tracing::warn!(outcome, count, "a tally this version does not know"),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, direction, accepted, delivered, failed, expired, in_flight } = self;
        write!(
            out,
            "{network} {}: {accepted} accepted, {delivered} delivered, {failed} failed, {expired} expired, \
             {in_flight} in flight",
            direction.name()
        )
    }
}

impl Audit {
    /// True when the end of every accepted message is known, or it is on its way.
    pub fn is_balanced(&self) -> bool {
        self.tallies.iter().all(|tally| tally.missing() == 0)
    }

    /// For tests.
    ///
    /// # Panics
    /// When it does not balance, with the figures.
    pub fn assert_balanced(&self) {
        let lines: Vec<String> = self.tallies.iter().map(Tally::to_string).collect();
        assert!(self.is_balanced(), "the audit does not balance:\n{}\n{self:?}", lines.join("\n"));
    }
}

impl Store {
    /// The figures, the oldest `rows` rows of inbox and outbox each that are on their way, and the `rows` newest
    /// lines that were given up. Of one moment are the figures; rows may be settled while it reads.
    pub async fn audit(&self, rows: u32) -> Result<Audit, StoreError> {
        let limit = [Arg::Int(i64::from(rows))];
        let tallies = self.tallies().await?;
        let mut unsettled = Vec::new();
        for sql in [OLDEST_IN, OLDEST_OUT] {
            for row in self.read(sql, &limit).await? {
                unsettled.extend(unsettled_row(&row)?);
            }
        }
        let mut given_up = Vec::new();
        for row in self.read(GIVEN_UP, &limit).await? {
            let reason = row.text(5)?;
            given_up.extend(unsettled_row(&row)?.map(|row| GivenUp { row, reason }));
        }
        Ok(Audit { tallies, unsettled, given_up })
    }

    /// Counts lines that the database had no time for when they came; lazy. Where their end is never counted, the
    /// audit misses them, and rightly: no row keeps them.
    pub async fn count_lines(&self, lines: Vec<Uncounted>) -> Result<(), StoreError> {
        self.writer.write_soon(Write::Count(lines)).await
    }

    /// The figures alone.
    pub async fn tallies(&self) -> Result<Vec<Tally>, StoreError> {
        let mut tallies = BTreeMap::new();
        for row in self.read(SUMS, &[]).await? {
            let (network, count) = (row.text(0)?, u64::try_from(row.int(3)?).unwrap_or_default());
            let Some(direction) = Direction::of(&row.text(1)?) else { continue };
            let tally = Tally::new(&network, direction);
            tallies.entry((network, direction)).or_insert(tally).set(&row.text(2)?, count);
        }
        Ok(tallies.into_values().collect())
    }
}

/// Adds lines that the homeserver took.
pub(super) async fn delivered(conn: &mut Conn, lines: &Lines) -> Result<(), Fault> {
    add(conn, counts(lines, &[Figure::Delivered])).await
}

/// Adds lines that were taken before they became rows: accepted and delivered at once.
pub(super) async fn passed(conn: &mut Conn, lines: &Lines) -> Result<(), Fault> {
    add(conn, counts(lines, &[Figure::Accepted, Figure::Delivered])).await
}

/// Adds lines that have no rows.
pub(super) async fn count(conn: &mut Conn, lines: &[Uncounted]) -> Result<(), Fault> {
    let count = |lines: u64| i64::try_from(lines).unwrap_or(i64::MAX);
    add(conn, lines.iter().map(|l| count_row(&l.network, l.direction, l.figure, count(l.lines))).collect())
        .await
}

fn counts(lines: &Lines, figures: &[Figure]) -> Vec<serde_json::Value> {
    let rows = |figure: Figure| {
        let row = move |((network, direction), count): (&(String, Direction), &i64)| {
            count_row(network, *direction, figure, *count)
        };
        lines.iter().map(row)
    };
    figures.iter().flat_map(|figure| rows(*figure)).collect()
}

fn count_row(network: &str, direction: Direction, figure: Figure, count: i64) -> serde_json::Value {
    serde_json::json!({
        "network": escape(network),
        "direction": direction.name(),
        "outcome": figure.name(),
        "count": count,
    })
}

/// No figure twice: PostgreSQL changes a row once in a statement.
async fn add(conn: &mut Conn, rows: Vec<serde_json::Value>) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    let list = serde_json::Value::from(rows).to_string();
    conn.execute(conn.choose(ADD_SQLITE, ADD_POSTGRES), &[Arg::Text(&list)]).await.map(|_| ())
}

fn unsettled_row(row: &Row) -> Result<Option<Unsettled>, Fault> {
    let Some(direction) = Direction::of(&row.text(4)?) else { return Ok(None) };
    Ok(Some(Unsettled {
        seq: row.int(0)?,
        network: row.text(1)?,
        direction,
        room: row.text(2)?,
        since: Time(u64::try_from(row.int(3)?).unwrap_or_default()),
    }))
}
