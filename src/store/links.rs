//! Tables `links` and `link_key`: what is shown to people on IRC under links, and the key all links are made with.
//!
//! The first thing that a link led to stays: a message that is said again after a crash publishes the same once
//! more. A redaction empties the row and leaves it standing until it would have expired, so that the link stays dead
//! whatever is said again. The key lies here, sealed, and not beside the database: with a new database the numbers
//! of messages begin anew, and links of the old one must not lead to them.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::change::Write;
use super::db::{Arg, Conn, Fault, Row};
use super::sealed::{PAGE_LEN, Resealed, opened, renewed};
use super::{Store, StoreError, now};
use crate::bridge::media::{Media, MediaCipher, MediaKind, MediaSource, PageText};
use crate::ids::{EventId, InboxSeq, NetworkId, RoomId, Time};
use crate::secret::Secret;
use crate::text::link::LinkPart;
use crate::vault::{Place, Vault};

/// Rows removed in one commit, so that pruning never holds up a delivery for long.
const PRUNE_ROWS_MAX: i64 = 500;
/// Pages that are kept; of more than these the oldest go at the next pruning. A page is as long as an event may be, a
/// few times over, and anybody in a room may write one.
const PAGES_MAX: i64 = 10_000;
/// The one row of `link_key`.
const KEY_ID: i64 = 1;
const KEY_BYTES: usize = 32;

const SAVE: &str = "INSERT INTO links (seq, part, network, room, event, kind, mxc, cipher, name, mime, page, \
    created, expires) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
    ON CONFLICT (seq, part) DO NOTHING";
const END: &str = "UPDATE links SET dead = $3, kind = NULL, mxc = NULL, cipher = NULL, name = NULL, mime = NULL, \
    page = NULL WHERE event = $2 AND room = $1 AND dead IS NULL";
const GET: &str = "SELECT kind, mxc, cipher, name, mime, page, expires FROM links \
    WHERE seq = $1 AND part = $2 AND network = $3 AND dead IS NULL AND expires > $4";
const PRUNE: &str = "DELETE FROM links WHERE seq IN \
    (SELECT seq FROM links WHERE expires <= $1 ORDER BY expires LIMIT $2) AND expires <= $1";
const PRUNE_PAGES: &str = "DELETE FROM links WHERE part = 'text' AND seq IN \
    (SELECT seq FROM links WHERE part = 'text' AND seq <= COALESCE((SELECT seq FROM links WHERE part = 'text' \
    ORDER BY seq DESC LIMIT 1 OFFSET $1), -1) ORDER BY seq LIMIT $2)";
const PAGE: &str = "SELECT seq, part, network, cipher FROM links WHERE (seq, part) > ($1, $2) \
    AND cipher IS NOT NULL ORDER BY seq, part LIMIT $3";
const RESEAL: &str = "UPDATE links SET cipher = $4 WHERE seq = $1 AND part = $2 AND cipher = $3";
const KEY: &str = "SELECT sealed FROM link_key WHERE id = $1";
const KEY_ADD: &str =
    "INSERT INTO link_key (id, sealed, created) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
const KEY_RESEAL: &str = "UPDATE link_key SET sealed = $3 WHERE id = $1 AND sealed = $2";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("SAVE", SAVE),
    ("END", END),
    ("GET", GET),
    ("PRUNE", PRUNE),
    ("PRUNE_PAGES", PRUNE_PAGES),
    ("PAGE", PAGE),
    ("RESEAL", RESEAL),
    ("KEY", KEY),
    ("KEY_ADD", KEY_ADD),
    ("KEY_RESEAL", KEY_RESEAL),
];

/// Which link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkId {
    pub network: NetworkId,
    pub seq: InboxSeq,
    pub part: LinkPart,
}

/// What is behind a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linked {
    /// As much of it as serving takes: neither size nor duration.
    Media(Media),
    Text(PageText),
}

/// A link to be remembered, as the database takes it.
#[derive(Debug)]
pub(super) struct LinkRow {
    id: LinkId,
    room: RoomId,
    event: EventId,
    media: Option<MediaRow>,
    page: Option<String>,
    created: Time,
    expires: Time,
}

#[derive(Debug)]
struct MediaRow {
    kind: &'static str,
    mxc: String,
    cipher: Option<Vec<u8>>,
    name: String,
    mime: Option<String>,
}

impl Store {
    /// Lets a link lead somewhere until `expires`, or until its message is redacted; lazy. Where it led somewhere
    /// before, it goes on doing so.
    pub async fn link_save(
        &self,
        vault: &Vault,
        id: LinkId,
        (room, event): (&RoomId, &EventId),
        linked: &Linked,
        expires: Time,
    ) -> Result<(), StoreError> {
        let (media, page) = match linked {
            Linked::Media(media) => (Some(media_row(vault, &id, media)), None),
            Linked::Text(page) => (None, Some(page_json(page))),
        };
        let (room, event) = (room.clone(), event.clone());
        let row = LinkRow { id, room, event, media, page, created: now(), expires };
        self.writer.write_soon(Write::LinkSave(Box::new(row))).await
    }

    /// Ends all links of a message, for good, and forgets what they led to; lazy, and seen by every later
    /// [`Store::link`].
    pub async fn links_end(&self, room: &RoomId, event: &EventId) -> Result<(), StoreError> {
        let write = Write::LinksEnd { room: room.clone(), event: event.clone(), at: now() };
        self.writer.write_soon(write).await
    }

    /// What a link leads to now; `None` where it never led anywhere, is expired, or its message was redacted.
    /// [`StoreError::Sealed`] when the key of an encrypted file does not open.
    pub async fn link(&self, vault: &Vault, id: &LinkId) -> Result<Option<(Linked, Time)>, StoreError> {
        let (part, network) = (Arg::Text(part_name(id.part)), Arg::Text(id.network.as_str()));
        let rows = self.read(GET, &[Arg::Int(id.seq.0), part, network, Arg::Int(stored(now()))]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let expires = Time(u64::try_from(row.int(6)?).unwrap_or_default());
        Ok(linked(vault, id, row)?.map(|linked| (linked, expires)))
    }

    /// Removes what has expired, and the oldest of very many pages; awaited, in small commits. Gives the number of
    /// rows removed.
    pub async fn links_prune(&self) -> Result<u64, StoreError> {
        self.links_prune_to(PAGES_MAX).await
    }

    pub(super) async fn links_prune_to(&self, pages_max: i64) -> Result<u64, StoreError> {
        let mut total = 0;
        loop {
            match self.writer.write(Write::LinksPrune { before: now(), pages_max }).await?.count() {
                0 => return Ok(total),
                count => total += count,
            }
        }
    }

    /// The key of all links: made at the first call of all, the same ever after. [`StoreError::Sealed`] when it does
    /// not open.
    pub async fn link_key(&self, vault: &Vault) -> Result<Zeroizing<[u8; KEY_BYTES]>, StoreError> {
        if let Some(key) = self.stored_link_key(vault).await? {
            return Ok(key);
        }
        let fresh = Zeroizing::new(rand::random::<[u8; KEY_BYTES]>());
        let sealed = vault.seal(&key_place(), &Secret::from(hex(&*fresh)));
        self.writer.write(Write::LinkKeyAdd { sealed, at: now() }).await?;
        // Another process may have been first.
        let lost = || StoreError::Unavailable("the key of links was not kept".to_owned());
        self.stored_link_key(vault).await?.ok_or_else(lost)
    }

    async fn stored_link_key(&self, vault: &Vault) -> Result<Option<Zeroizing<[u8; KEY_BYTES]>>, StoreError> {
        let rows = self.read(KEY, &[Arg::Int(KEY_ID)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let Some(text) = opened(vault, &key_place(), row.maybe_bytes(0)?)? else { return Ok(None) };
        let key = unhex::<KEY_BYTES>(text.expose());
        let damaged = || StoreError::Unusable("the key of links is damaged".to_owned());
        key.map(|key| Some(Zeroizing::new(key))).ok_or_else(damaged)
    }

    /// Seals anew what the vault's current key has not sealed, page by page.
    pub(super) async fn links_reseal(&self, vault: &Vault, total: &mut Resealed) -> Result<(), StoreError> {
        if let Some(row) = self.read(KEY, &[Arg::Int(KEY_ID)]).await?.first()
            && let Some(old) = row.maybe_bytes(0)?
            && let Some(new) = renewed(vault, &key_place(), &old, total)
        {
            total.renewed += self.writer.write(Write::LinkKeyReseal { old, new }).await?.count();
        }
        let mut last = (i64::MIN, String::new());
        loop {
            let rows = self.read(PAGE, &[Arg::Int(last.0), Arg::Text(&last.1), Arg::Int(PAGE_LEN)]).await?;
            for row in &rows {
                last = (row.int(0)?, row.text(1)?);
                let (network, Some(old)) = (row.text(2)?, row.maybe_bytes(3)?) else { continue };
                let key = [network.as_str(), &last.0.to_string(), &last.1];
                let Some(new) = renewed(vault, &place(&key), &old, total) else { continue };
                let (seq, part) = (InboxSeq(last.0), last.1.clone());
                total.renewed += self.writer.write(Write::LinkReseal { seq, part, old, new }).await?.count();
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }
}

pub(super) async fn save(conn: &mut Conn, row: &LinkRow) -> Result<(), Fault> {
    let media = row.media.as_ref();
    let args = [
        Arg::Int(row.id.seq.0),
        Arg::Text(part_name(row.id.part)),
        Arg::Text(row.id.network.as_str()),
        Arg::Text(row.room.as_str()),
        Arg::Text(row.event.as_str()),
        Arg::MaybeText(media.map(|media| media.kind)),
        Arg::MaybeText(media.map(|media| media.mxc.as_str())),
        Arg::MaybeBytes(media.and_then(|media| media.cipher.as_deref())),
        Arg::MaybeText(media.map(|media| media.name.as_str())),
        Arg::MaybeText(media.and_then(|media| media.mime.as_deref())),
        Arg::MaybeText(row.page.as_deref()),
        Arg::Int(stored(row.created)),
        Arg::Int(stored(row.expires)),
    ];
    conn.execute(SAVE, &args).await.map(|_| ())
}

pub(super) async fn end(conn: &mut Conn, room: &RoomId, event: &EventId, at: Time) -> Result<(), Fault> {
    let args = [Arg::Text(room.as_str()), Arg::Text(event.as_str()), Arg::Int(stored(at))];
    conn.execute(END, &args).await.map(|_| ())
}

pub(super) async fn prune(conn: &mut Conn, before: Time, pages_max: i64) -> Result<u64, Fault> {
    let expired = conn.execute(PRUNE, &[Arg::Int(stored(before)), Arg::Int(PRUNE_ROWS_MAX)]).await?;
    let pages = conn.execute(PRUNE_PAGES, &[Arg::Int(pages_max), Arg::Int(PRUNE_ROWS_MAX)]).await?;
    Ok(expired + pages)
}

/// Only where nobody has changed it meanwhile.
pub(super) async fn reseal(
    conn: &mut Conn,
    (seq, part): (InboxSeq, &str),
    old: &[u8],
    new: &[u8],
) -> Result<u64, Fault> {
    let [old, new] = [old, new].map(|sealed| Arg::MaybeBytes(Some(sealed)));
    conn.execute(RESEAL, &[Arg::Int(seq.0), Arg::Text(part), old, new]).await
}

pub(super) async fn key_add(conn: &mut Conn, sealed: &[u8], at: Time) -> Result<(), Fault> {
    let args = [Arg::Int(KEY_ID), Arg::MaybeBytes(Some(sealed)), Arg::Int(stored(at))];
    conn.execute(KEY_ADD, &args).await.map(|_| ())
}

/// Only where nobody has changed it meanwhile.
pub(super) async fn key_reseal(conn: &mut Conn, old: &[u8], new: &[u8]) -> Result<u64, Fault> {
    let [old, new] = [old, new].map(|sealed| Arg::MaybeBytes(Some(sealed)));
    conn.execute(KEY_RESEAL, &[Arg::Int(KEY_ID), old, new]).await
}

fn media_row(vault: &Vault, id: &LinkId, media: &Media) -> MediaRow {
    let cipher = media.source.cipher.as_ref().map(|cipher| {
        let MediaCipher { key, iv, sha256 } = cipher;
        let text = Zeroizing::new([key.as_slice(), iv, sha256].concat());
        let (seq, part) = (id.seq.0.to_string(), part_name(id.part));
        vault.seal(&place(&[id.network.as_str(), &seq, part]), &Secret::from(hex(&text)))
    });
    let (mxc, name, mime) = (media.source.mxc.clone(), media.name.clone(), media.mime.clone());
    MediaRow { kind: kind_name(media.kind), mxc, cipher, name, mime }
}

fn page_json(page: &PageText) -> String {
    let PageText { title, author, html, plain } = page;
    json!({ "title": title, "author": author, "html": html, "plain": plain }).to_string()
}

/// `None` for a row that no version of ours has written.
fn linked(vault: &Vault, id: &LinkId, row: &Row) -> Result<Option<Linked>, StoreError> {
    if let Some(page) = row.maybe_text(5)? {
        return Ok(page_text(&page).map(Linked::Text));
    }
    let (Some(kind), Some(mxc)) = (row.maybe_text(0)?, row.maybe_text(1)?) else { return Ok(None) };
    let key = [id.network.as_str(), &id.seq.0.to_string(), part_name(id.part)];
    let source = match opened(vault, &place(&key), row.maybe_bytes(2)?)? {
        Some(text) => cipher(text.expose()).and_then(|cipher| MediaSource::new(&mxc, Some(cipher))),
        None => MediaSource::new(&mxc, None),
    };
    let (name, mime) = (row.text(3)?, row.maybe_text(4)?);
    let media = kind_of(&kind).zip(source).map(|(kind, source)| Media {
        kind,
        source,
        name,
        mime,
        size_bytes: None,
        duration_ms: None,
    });
    Ok(media.map(Linked::Media))
}

fn page_text(json: &str) -> Option<PageText> {
    let page: Value = serde_json::from_str(json).ok()?;
    let field = |name: &str| page[name].as_str().map(str::to_owned);
    let (title, author) = (field("title")?, field("author")?);
    Some(PageText { title, author, html: field("html")?, plain: field("plain")? })
}

fn cipher(text: &str) -> Option<MediaCipher> {
    let bytes = Zeroizing::new(unhex::<80>(text)?);
    let (key, rest) = bytes.split_first_chunk()?;
    let (iv, rest) = rest.split_first_chunk()?;
    Some(MediaCipher { key: *key, iv: *iv, sha256: *rest.first_chunk()? })
}

fn place<'a>(row: &'a [&'a str]) -> Place<'a> {
    Place { table: "links", row, column: "cipher" }
}

fn key_place() -> Place<'static> {
    Place { table: "link_key", row: &[], column: "sealed" }
}

fn part_name(part: LinkPart) -> &'static str {
    match part {
        LinkPart::Media => "media",
        LinkPart::Text => "text",
    }
}

const KINDS: [(MediaKind, &str); 6] = [
    (MediaKind::Image, "image"),
    (MediaKind::Video, "video"),
    (MediaKind::Audio, "audio"),
    (MediaKind::Voice, "voice"),
    (MediaKind::File, "file"),
    (MediaKind::Sticker, "sticker"),
];

fn kind_name(kind: MediaKind) -> &'static str {
    KINDS.iter().find(|(known, _)| *known == kind).map_or("file", |(_, name)| name)
}

fn kind_of(name: &str) -> Option<MediaKind> {
    KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

fn stored(at: Time) -> i64 {
    i64::try_from(at.0).unwrap_or(i64::MAX)
}
