//! Files that people on Matrix send, and what is published of messages for people on IRC to look at.
//!
//! Data only: who fetches, decrypts and serves is outside.

use std::fmt;

use crate::ids::{EventId, InboxSeq, RoomId};
use crate::text::html;
use crate::text::link::LinkPart;
use crate::text::spans::Spans;
use crate::text::whom::is_server_name;

/// A file in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    pub kind: MediaKind,
    pub source: MediaSource,
    /// As its sender calls it; may be empty.
    pub name: String,
    /// What its sender says it is.
    pub mime: Option<String>,
    /// How large its sender says it is.
    pub size_bytes: Option<u64>,
    pub duration_ms: Option<u64>,
}

/// What a file is to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaKind {
    Image,
    Video,
    Audio,
    /// A recording of somebody's voice (MSC3245).
    Voice,
    File,
    Sticker,
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSource {
    /// `mxc://server/id`, checked.
    pub mxc: String,
    /// How it is opened, where it lies there encrypted.
    pub cipher: Option<MediaCipher>,
}

/// What opens an encrypted file (client-server API, "Sending encrypted attachments"). Whoever has it can read the
/// file, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaCipher {
    /// Of AES-256 in counter mode.
    pub key: [u8; 32],
    /// The first counter block.
    pub iv: [u8; 16],
    /// Of the file as it lies there.
    pub sha256: [u8; 32],
}

/// One thing that a link leads to from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// With `part` it makes the link: [`Links::url`](crate::text::link::Links::url).
    pub seq: InboxSeq,
    pub part: LinkPart,
    pub room: RoomId,
    /// The message whose redaction ends the link.
    pub event: EventId,
    pub what: Published,
}

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    Media(Media),
    Text(Page),
}

/// A message that is too long for IRC, to be read as a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// What stands above it and in the window's title.
    pub title: String,
    /// Who said it, by the name that IRC knows.
    pub author: String,
    pub spans: Spans,
}

/// A page as it is kept, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageText {
    pub title: String,
    pub author: String,
    /// Well-formed, and nothing in it acts.
    pub html: String,
    /// The same without formatting.
    pub plain: String,
}

impl Page {
    /// Both forms of the text. Where nothing is formatted, lines stay lines.
    pub fn rendered(&self) -> PageText {
        let plain = self.spans.to_plain();
        let html = html::write(&self.spans).map_or_else(|| lines(&plain), |html| html.formatted);
        PageText { title: self.title.clone(), author: self.author.clone(), html, plain }
    }
}

impl MediaSource {
    /// A file by its `mxc` URI; `None` for what is not one (client-server API, "Matrix Content (`mxc://`) URIs").
    pub fn new(mxc: &str, cipher: Option<MediaCipher>) -> Option<Self> {
        parts(mxc)?;
        Some(Self { mxc: mxc.to_owned(), cipher })
    }

    /// Server name and media id.
    pub fn parts(&self) -> Option<(&str, &str)> {
        parts(&self.mxc)
    }
}

impl fmt::Debug for MediaCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Text as HTML: its lines stay lines, and spaces that stand together or first in a line are all seen.
fn lines(plain: &str) -> String {
    let mut html = String::with_capacity(plain.len() + plain.len() / 8);
    let mut after_space = true;
    for c in plain.chars() {
        match c {
            '\n' => html.push_str("<br>\n"),
            '\t' => html.push_str("\u{a0}\u{a0}\u{a0} "),
            ' ' if after_space => html.push('\u{a0}'),
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            c => html.push(c),
        }
        after_space = matches!(c, ' ' | '\t' | '\n');
    }
    html
}

/// Neither part can be anything but one segment of a path, and never `.` or `..`.
fn parts(mxc: &str) -> Option<(&str, &str)> {
    let (server, id) = mxc.strip_prefix("mxc://")?.split_once('/')?;
    let id_legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    let is_id = (1..=255).contains(&id.len()) && id.bytes().all(id_legal);
    (is_id && is_server_name(server)).then_some((server, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mxc_uri_has_a_server_and_an_id() {
        for good in ["mxc://hs/AbC_-9", "mxc://example.org:8448/x", "mxc://1.2.3.4/x", "mxc://[::1]:80/x"] {
            let source = MediaSource::new(good, None).unwrap_or_else(|| panic!("{good}"));
            let (server, id) = source.parts().expect("checked");
            assert_eq!(format!("mxc://{server}/{id}"), good);
        }
        let long = format!("mxc://hs/{}", "x".repeat(256));
        let bad = [
            "",
            "mxc://",
            "mxc://hs",
            "mxc://hs/",
            "mxc:///x",
            "MXC://hs/x",
            "https://hs/x",
            "mxc://hs/../x",
            "mxc://hs/a/b",
            "mxc://hs/a?b",
            "mxc://hs/%2e",
            "mxc://hs/a\n",
            "mxc://../x",
            "mxc://./x",
            "mxc://a b/x",
            "mxc://hs:/x",
            "mxc://hs:999999/x",
            "mxc://[::1/x",
            "mxc://[::1]80/x",
            "mxc://user@hs/x",
            &long,
        ];
        for text in bad {
            assert_eq!(MediaSource::new(text, None), None, "{text:?}");
        }
    }

    #[test]
    fn a_page_is_kept_in_both_forms() {
        let page = |spans| Page { title: "T".into(), author: "A".into(), spans };
        let kept = page(Spans::plain("a < b\n  & <script>")).rendered();
        assert_eq!(kept.plain, "a < b\n  & <script>");
        assert_eq!(kept.html, "a &lt; b<br>\n\u{a0}\u{a0}&amp; &lt;script&gt;");
        let spans = html::read("<b>bold</b> <script>alert(1)</script>").expect("little");
        let kept = page(spans).rendered();
        assert!(kept.html.contains("<b>bold</b>") && !kept.html.contains("script"), "{kept:?}");
        assert!(kept.plain.starts_with("bold"), "{kept:?}");
    }

    #[test]
    fn a_cipher_is_never_shown() {
        let cipher = MediaCipher { key: [65; 32], iv: [65; 16], sha256: [65; 32] };
        let source = MediaSource::new("mxc://hs/x", Some(cipher)).expect("legal");
        let shown = format!("{source:?}");
        assert!(shown.contains("[secret]") && !shown.contains("65"), "{shown}");
    }
}
