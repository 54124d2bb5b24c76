//! Tables `outbox`, `outbox_mark` and `dead_letters`: what is to be said in rooms, and what could not be.
//!
//! A row is a line, a mark or a redaction, told apart by its kind: of a mark, `about` is the message and `text` its
//! reaction, or the words of its status; of a redaction, `text` is why. Lines that are one event bear the number of the
//! first of them in `joined`. A row lives from the moment a line is relayed until the homeserver has taken it. Most lines are taken
//! within the 10 ms a lazy change may wait: those never touch the disk. That is why the highest number in
//! the table proves nothing about the highest number used; numbers are reserved in blocks instead, and the
//! end of the block is what [`Store::outbox_last`] tells the next run.

use super::change::{Reply, Write};
use super::db::{Arg, Conn, Fault, Row, escape};
use super::tallies::{self, Direction, Lines};
use super::{Store, StoreError, now};
use crate::bridge::effect::{Fate, Ghost, Mark, Post, Redact, Relay, Sign, Speaker};
use crate::bridge::input::BodyKind;
use crate::ids::{EventId, NetworkId, RelaySeq, RoomId, Time, UserId};

/// How far numbers are reserved ahead of the highest one seen.
pub(super) const MARK_STEP: i64 = 1 << 20;
/// When fewer than this many are left, more are reserved. It covers every line that can be on its way to a
/// commit: the writer's queue, its batch, and the mailboxes before them.
pub(super) const MARK_MARGIN: i64 = 1 << 18;

const PUT_SQLITE: &str = "INSERT INTO outbox (seq, network, room, speaker, display_name, kind, text, about, created, \
    html, mentions, said) \
    SELECT value ->> 'seq', value ->> 'network', value ->> 'room', value ->> 'speaker', value ->> 'display_name', \
    value ->> 'kind', value ->> 'text', value ->> 'about', value ->> 'created', value ->> 'html', \
    value ->> 'mentions', value ->> 'said' \
    FROM json_each($1) WHERE true ON CONFLICT (seq) DO NOTHING";
const PUT_POSTGRES: &str = "INSERT INTO outbox (seq, network, room, speaker, display_name, kind, text, about, created, \
    html, mentions, said) \
    SELECT seq, network, room, speaker, display_name, kind, text, about, created, html, mentions, said \
    FROM json_to_recordset($1::json) \
    AS rows (seq BIGINT, network TEXT, room TEXT, speaker TEXT, display_name TEXT, kind TEXT, text TEXT, about TEXT, \
    created BIGINT, html TEXT, mentions TEXT, said BIGINT) ON CONFLICT (seq) DO NOTHING";
const DONE_SQLITE: &str =
    "DELETE FROM outbox WHERE seq IN (SELECT value FROM json_each($1)) RETURNING network, speaker";
const DONE_POSTGRES: &str = "DELETE FROM outbox WHERE seq IN \
    (SELECT value::bigint FROM json_array_elements_text($1::json)) RETURNING network, speaker";
const JOIN_SQLITE: &str = "UPDATE outbox SET joined = $2 WHERE seq IN (SELECT value FROM json_each($1))";
const JOIN_POSTGRES: &str = "UPDATE outbox SET joined = $2 WHERE seq IN \
    (SELECT value::bigint FROM json_array_elements_text($1::json))";
const LOAD: &str = "SELECT seq, network, room, speaker, display_name, kind, text, about, created, html, mentions, \
    said, joined FROM outbox ORDER BY seq";
const SPEAKERS: &str = "SELECT DISTINCT room, speaker FROM outbox WHERE speaker IS NOT NULL";
const MARK: &str = "INSERT INTO outbox_mark (id, reserved) VALUES (1, $1) ON CONFLICT (id) DO UPDATE \
    SET reserved = excluded.reserved WHERE outbox_mark.reserved < excluded.reserved";
const MARKED: &str = "SELECT reserved FROM outbox_mark WHERE id = 1";
const BURY: &str = "INSERT INTO dead_letters (seq, network, room, speaker, display_name, kind, text, about, created, \
    html, mentions, said, reason, failed) \
    SELECT seq, network, room, speaker, display_name, kind, text, about, created, html, mentions, said, $2, $3 \
    FROM outbox WHERE seq = $1 ON CONFLICT (seq) DO NOTHING";
const FORGET: &str = "DELETE FROM outbox WHERE seq = $1";
const DEAD: &str = "SELECT seq, network, room, speaker, display_name, kind, text, about, created, html, mentions, \
    said, CAST(NULL AS BIGINT), reason, failed FROM dead_letters ORDER BY seq DESC LIMIT $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("PUT_SQLITE", PUT_SQLITE),
    ("PUT_POSTGRES", PUT_POSTGRES),
    ("DONE_SQLITE", DONE_SQLITE),
    ("DONE_POSTGRES", DONE_POSTGRES),
    ("JOIN_SQLITE", JOIN_SQLITE),
    ("JOIN_POSTGRES", JOIN_POSTGRES),
    ("LOAD", LOAD),
    ("SPEAKERS", SPEAKERS),
    ("MARK", MARK),
    ("MARKED", MARKED),
    ("BURY", BURY),
    ("FORGET", FORGET),
    ("DEAD", DEAD),
];

/// One line or mark on its way to the homeserver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// The same as the post's; unique over all networks.
    pub seq: RelaySeq,
    pub network: String,
    pub post: Post,
    pub created: Time,
    /// Of a line that is one event with others: the first of them. Not put; see [`Store::outbox_join`].
    pub joined: Option<RelaySeq>,
}

/// A line that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub row: OutboxRow,
    pub reason: String,
    pub failed: Time,
}

impl OutboxRow {
    /// What an IRC user does, or the bridge itself.
    pub fn direction(&self) -> Direction {
        match self.post.speaker() {
            Speaker::Ghost(_) => Direction::ToMatrix,
            Speaker::Bot => Direction::Notices,
        }
    }
}

impl Store {
    /// Keeps a line until it is done; lazy. A number that is there already stays as it was.
    pub async fn outbox_put(&self, row: OutboxRow) -> Result<(), StoreError> {
        self.writer.write_soon(Write::OutboxPut(row)).await
    }

    /// The homeserver has taken the line; lazy. Where its put is not committed yet, neither will be.
    pub async fn outbox_done(&self, seq: RelaySeq) -> Result<(), StoreError> {
        self.outbox_done_all(vec![seq]).await
    }

    /// As [`outbox_done`](Self::outbox_done), for all of these in one commit.
    pub async fn outbox_done_all(&self, seqs: Vec<RelaySeq>) -> Result<(), StoreError> {
        self.writer.write_soon(Write::OutboxDone(seqs)).await
    }

    /// These lines are one event from now on, which the first of them names. Handed over when this returns, and on disk
    /// when what it gives does.
    pub async fn outbox_join(
        &self,
        seqs: Vec<RelaySeq>,
    ) -> Result<impl Future<Output = Result<(), StoreError>> + use<>, StoreError> {
        let committed = self.writer.hand_over(Write::OutboxJoin(seqs)).await?;
        Ok(async { committed.await.map(|_| ()) })
    }

    /// The homeserver will never take the line: it is moved to the dead letters with the reason; lazy.
    pub async fn outbox_fail(&self, seq: RelaySeq, reason: &str) -> Result<(), StoreError> {
        self.writer.write_soon(Write::OutboxFail { seq, reason: reason.to_owned(), at: now() }).await
    }

    /// All lines that are not done, in order.
    pub async fn outbox_load(&self) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self.read(LOAD, &[]).await?;
        rows.iter().filter_map(|row| outbox_row(row).transpose()).map(|row| row.map_err(Into::into)).collect()
    }

    /// Whose lines are still to be said, and in which rooms.
    pub async fn outbox_speakers(&self) -> Result<Vec<(RoomId, UserId)>, StoreError> {
        self.ghosts_in_rooms(SPEAKERS).await
    }

    /// A number no lower than any that was ever put, or `None` for a new database: start above it. To be
    /// asked once at the start, before the first put; awaited, because it reserves the numbers after it.
    pub async fn outbox_last(&self) -> Result<Option<RelaySeq>, StoreError> {
        match self.writer.write(Write::OutboxReserve).await? {
            Reply::Reserved(last) => Ok(last),
            Reply::Nothing | Reply::Accepted(_) | Reply::Count(_) | Reply::Identity(_) => {
                unreachable!("reserve answers Reserved")
            }
        }
    }

    /// At most `limit` dead letters, the newest first, for the operator.
    pub async fn dead_letters(&self, limit: u32) -> Result<Vec<DeadLetter>, StoreError> {
        let rows = self.read(DEAD, &[Arg::Int(i64::from(limit))]).await?;
        rows.iter()
            .filter_map(|row| dead_letter(row).transpose())
            .map(|row| row.map_err(Into::into))
            .collect()
    }
}

pub(super) async fn put(conn: &mut Conn, rows: &[&OutboxRow]) -> Result<(), Fault> {
    let list: Vec<_> = rows.iter().map(|row| put_row(row)).collect();
    let list = serde_json::Value::from(list).to_string();
    let sql = conn.choose(PUT_SQLITE, PUT_POSTGRES);
    conn.execute(sql, &[Arg::Text(&list)]).await.map(|_| ())
}

pub(super) async fn done(conn: &mut Conn, seqs: &[RelaySeq]) -> Result<(), Fault> {
    let list: Vec<_> = seqs.iter().map(|seq| seq.0).collect();
    let list = serde_json::Value::from(list).to_string();
    let sql = conn.choose(DONE_SQLITE, DONE_POSTGRES);
    let mut lines = Lines::new();
    for row in conn.fetch(sql, &[Arg::Text(&list)]).await? {
        *lines.entry((row.text(0)?, Direction::of_speaker(row.maybe_text(1)?.as_deref()))).or_default() += 1;
    }
    tallies::delivered(conn, &lines).await
}

pub(super) async fn join(conn: &mut Conn, seqs: &[RelaySeq]) -> Result<(), Fault> {
    let Some(first) = seqs.first() else { return Ok(()) };
    let list: Vec<_> = seqs.iter().map(|seq| seq.0).collect();
    let list = serde_json::Value::from(list).to_string();
    let sql = conn.choose(JOIN_SQLITE, JOIN_POSTGRES);
    conn.execute(sql, &[Arg::Text(&list), Arg::Int(first.0)]).await.map(|_| ())
}

pub(super) async fn fail(conn: &mut Conn, seq: RelaySeq, reason: &str, at: Time) -> Result<(), Fault> {
    let failed = i64::try_from(at.0).unwrap_or(i64::MAX);
    conn.execute(BURY, &[Arg::Int(seq.0), Arg::Text(reason), Arg::Int(failed)]).await?;
    conn.execute(FORGET, &[Arg::Int(seq.0)]).await.map(|_| ())
}

/// Reserves all numbers up to this one.
pub(super) async fn mark(conn: &mut Conn, upto: RelaySeq) -> Result<(), Fault> {
    conn.execute(MARK, &[Arg::Int(upto.0)]).await.map(|_| ())
}

/// Reserves the next block; gives the end of what was reserved before.
pub(super) async fn reserve(conn: &mut Conn) -> Result<Option<RelaySeq>, Fault> {
    let rows = conn.fetch(MARKED, &[]).await?;
    let last = rows.first().map(|row| row.int(0)).transpose()?.map(RelaySeq);
    mark(conn, RelaySeq(last.map_or(0, |last| last.0).saturating_add(MARK_STEP))).await?;
    Ok(last)
}

fn put_row(row: &OutboxRow) -> serde_json::Value {
    let columns = columns(&row.post);
    serde_json::json!({
        "seq": row.seq.0,
        "network": escape(columns.network.map_or(&row.network, NetworkId::as_str)),
        "room": row.post.room().as_str(),
        "speaker": columns.speaker.map(|ghost| ghost.user.as_str()),
        "display_name": columns.speaker.map(|ghost| escape(&ghost.display_name)),
        "kind": columns.kind,
        "text": escape(columns.text),
        "about": columns.about.map(EventId::as_str),
        "created": i64::try_from(row.created.0).unwrap_or(i64::MAX),
        "html": columns.form.html.map(escape),
        "mentions": columns.form.mentions,
        "said": columns.form.said,
    })
}

/// What of a post goes into columns of its own.
struct Columns<'a> {
    /// Where the post names it itself.
    network: Option<&'a NetworkId>,
    /// `None` is the bridge itself.
    speaker: Option<&'a Ghost>,
    kind: &'static str,
    text: &'a str,
    about: Option<&'a EventId>,
    form: Form<'a>,
}

/// What only lines have.
#[derive(Default)]
struct Form<'a> {
    html: Option<&'a str>,
    /// User ids with a space between them; none has one in it.
    mentions: Option<String>,
    said: Option<i64>,
}

impl<'a> Form<'a> {
    fn of(relay: &'a Relay) -> Self {
        let users = || relay.mentions.iter().map(UserId::as_str).collect::<Vec<_>>().join(" ");
        Self {
            html: relay.html.as_deref(),
            mentions: (!relay.mentions.is_empty()).then(users),
            said: relay.said_ms.and_then(|said| i64::try_from(said).ok()),
        }
    }
}

fn columns(post: &Post) -> Columns<'_> {
    let speaker = match post.speaker() {
        Speaker::Bot => None,
        Speaker::Ghost(ghost) => Some(ghost),
    };
    match post {
        Post::Line(relay) => {
            let (kind, about, form) = (kind_name(relay.kind), relay.about.as_ref(), Form::of(relay));
            Columns { network: None, speaker, kind, text: &relay.text, about, form }
        }
        Post::Mark(mark) => {
            let (network, kind, text) = match &mark.sign {
                Sign::Reaction(key) => (None, REACTION, key.as_str()),
                Sign::Status { network, fate } => match fate {
                    Fate::Delivered => (Some(network), DELIVERED, ""),
                    Fate::Failed(words) => (Some(network), FAILED, words.as_str()),
                    Fate::Expired(words) => (Some(network), EXPIRED, words.as_str()),
                },
            };
            Columns { network, speaker, kind, text, about: Some(&mark.event), form: Form::default() }
        }
        Post::Redact(redact) => {
            let (text, about) = (redact.reason.as_deref().unwrap_or_default(), Some(&redact.event));
            Columns { network: None, speaker, kind: REDACTION, text, about, form: Form::default() }
        }
    }
}

/// `None` for a row that no version of ours has written.
fn outbox_row(row: &Row) -> Result<Option<OutboxRow>, Fault> {
    let seq = RelaySeq(row.int(0)?);
    let Some(post) = post_of(seq, row)? else {
        tracing::warn!(seq = seq.0, "an outbox row cannot be read, it is left alone");
        return Ok(None);
    };
    let created = Time(u64::try_from(row.int(8)?).unwrap_or_default());
    let joined = row.maybe_int(12)?.map(RelaySeq);
    Ok(Some(OutboxRow { seq, network: row.text(1)?, post, created, joined }))
}

fn post_of(seq: RelaySeq, row: &Row) -> Result<Option<Post>, Fault> {
    let (Some(speaker), Some(room)) = (speaker_of(row)?, RoomId::new(&row.text(2)?)) else { return Ok(None) };
    let (kind, text) = (row.text(5)?, row.text(6)?);
    let about = row.maybe_text(7)?.and_then(|about| EventId::new(&about));
    if let Some(kind) = kind_of(&kind) {
        let relay = Relay { about, ..Relay::plain(seq, room, speaker, kind, text) };
        return with_form(relay, row).map(Post::Line).map(Some);
    }
    let Some(event) = about else { return Ok(None) };
    if kind == REDACTION {
        let reason = Some(text).filter(|reason| !reason.is_empty());
        return Ok(Some(Post::Redact(Redact { seq, room, speaker, event, reason })));
    }
    let network = NetworkId::new(&row.text(1)?);
    let status = |fate| network.map(|network| Sign::Status { network, fate });
    let sign = match kind.as_str() {
        REACTION => Some(Sign::Reaction(text)),
        DELIVERED => status(Fate::Delivered),
        FAILED => status(Fate::Failed(text)),
        EXPIRED => status(Fate::Expired(text)),
        _ => None,
    };
    Ok(sign.map(|sign| Post::Mark(Mark { seq, room, speaker, event, sign })))
}

fn speaker_of(row: &Row) -> Result<Option<Speaker>, Fault> {
    let Some(user) = row.maybe_text(3)? else { return Ok(Some(Speaker::Bot)) };
    let display_name = row.text(4)?;
    Ok(UserId::new(&user).map(|user| Speaker::Ghost(Ghost { user, display_name })))
}

fn with_form(relay: Relay, row: &Row) -> Result<Relay, Fault> {
    let mentions = row.maybe_text(10)?.unwrap_or_default();
    Ok(Relay {
        html: row.maybe_text(9)?,
        mentions: mentions.split(' ').filter_map(UserId::new).collect(),
        said_ms: row.maybe_int(11)?.and_then(|said| u64::try_from(said).ok()),
        ..relay
    })
}

fn dead_letter(row: &Row) -> Result<Option<DeadLetter>, Fault> {
    let Some(line) = outbox_row(row)? else { return Ok(None) };
    let failed = Time(u64::try_from(row.int(14)?).unwrap_or_default());
    Ok(Some(DeadLetter { row: line, reason: row.text(13)?, failed }))
}

/// Kinds of marks: a reaction, and the fates that a status event tells of.
const REACTION: &str = "reaction";
const DELIVERED: &str = "delivered";
const FAILED: &str = "failed";
const EXPIRED: &str = "expired";
const REDACTION: &str = "redaction";

fn kind_name(kind: BodyKind) -> &'static str {
    match kind {
        BodyKind::Text => "text",
        BodyKind::Emote => "emote",
        BodyKind::Notice => "notice",
    }
}

fn kind_of(name: &str) -> Option<BodyKind> {
    [BodyKind::Text, BodyKind::Emote, BodyKind::Notice].into_iter().find(|kind| kind_name(*kind) == name)
}
