//! The file of a message: where it is, how it is opened, and what its sender says about it.
//!
//! A source that cannot be fetched safely is none: then the message says what it was, and no link is made. The keys of an
//! encrypted file are taken only whole and of the right length.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{name, number, object, text};
use crate::bridge::media::{Media, MediaCipher, MediaKind, MediaSource};

/// What is read of an event that carries a file.
#[derive(Deserialize)]
pub(super) struct MediaContent<'a> {
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    filename: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    file: Option<&'a RawValue>,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    #[serde(borrow, rename = "m.voice")]
    voice: Option<&'a RawValue>,
    #[serde(borrow, rename = "org.matrix.msc3245.voice")]
    voice_unstable: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Info<'a> {
    #[serde(borrow)]
    mimetype: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    duration: Option<&'a RawValue>,
}

/// `EncryptedFile`, version 2 (client-server API, "Extensions to m.room.message msgtypes").
#[derive(Deserialize)]
struct File<'a> {
    #[serde(borrow)]
    url: Option<&'a RawValue>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(borrow)]
    iv: Option<&'a RawValue>,
    #[serde(borrow)]
    hashes: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Key<'a> {
    #[serde(borrow)]
    alg: Option<&'a RawValue>,
    #[serde(borrow)]
    k: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Hashes<'a> {
    #[serde(borrow)]
    sha256: Option<&'a RawValue>,
}

impl MediaContent<'_> {
    /// A recording of somebody's voice says so beside its type (MSC3245).
    pub(super) fn kind(&self, kind: MediaKind) -> MediaKind {
        let is_voice = self.voice.is_some() || self.voice_unstable.is_some();
        if kind == MediaKind::Audio && is_voice { MediaKind::Voice } else { kind }
    }

    /// The name of the file, where it is given apart from the text.
    pub(super) fn filename(&self) -> Option<String> {
        name(self.filename).filter(|name| !name.is_empty())
    }
}

/// The file, when there is one that can be fetched.
pub(super) fn media(kind: MediaKind, content: &MediaContent<'_>) -> Option<Media> {
    let source = match content.file {
        Some(file) => encrypted(&object(file.get())?)?,
        None => MediaSource::new(&text(content.url)?, None)?,
    };
    let info: Info<'_> = content.info.and_then(|raw| object(raw.get())).unwrap_or_default();
    Some(Media {
        kind,
        source,
        name: content.filename().or_else(|| name(content.body)).unwrap_or_default(),
        mime: name(info.mimetype).filter(|mime| !mime.is_empty()),
        size_bytes: number(info.size),
        duration_ms: number(info.duration),
    })
}

fn encrypted(file: &File<'_>) -> Option<MediaSource> {
    let key: Key<'_> = object(file.key?.get())?;
    let hashes: Hashes<'_> = object(file.hashes?.get())?;
    if text(key.alg)? != "A256CTR" {
        return None;
    }
    let cipher = MediaCipher { key: bytes(key.k)?, iv: bytes(file.iv)?, sha256: bytes(hashes.sha256)? };
    MediaSource::new(&text(file.url)?, Some(cipher))
}

/// Base64 of exactly so many bytes, in either alphabet, padded or not.
fn bytes<const N: usize>(raw: Option<&RawValue>) -> Option<[u8; N]> {
    let text = text(raw)?;
    let text = text.trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()?;
    bytes.try_into().ok()
}
