//! What a file is said to be, and by which name it is kept.
//!
//! Its sender's word is not taken where a browser would act on it: what is shown in place is what the first bytes
//! say, out of a short list of images, sounds and videos, and plain text. All else is bytes to be kept in a file.

use crate::bridge::media::{Media, MediaKind};
use crate::text::percent;

/// How many bytes of a file are looked at.
pub(super) const LOOKED_AT_BYTES: usize = 512;
/// The longest name of a file, in characters.
const NAME_CHARS_MAX: usize = 120;

const BYTES: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";

/// The value of `Content-Type`.
pub(super) fn content_type(first: &[u8], media: &Media) -> &'static str {
    let sounds = matches!(media.kind, MediaKind::Audio | MediaKind::Voice)
        || media.mime.as_deref().is_some_and(|mime| mime.starts_with("audio/"));
    match first {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => "image/gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => "audio/wav",
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand {
            [b'a', b'v', b'i', b'f' | b's', ..] => "image/avif",
            [b'M', b'4', b'A' | b'B', ..] => "audio/mp4",
            [b'h', b'e', b'i', ..] | [b'm', b'i', b'f', ..] => BYTES,
            _ if sounds => "audio/mp4",
            _ => "video/mp4",
        },
        [0x1a, 0x45, 0xdf, 0xa3, ..]
            if memchr::memmem::find(&first[..first.len().min(64)], b"webm").is_some() =>
        {
            if sounds {
                "audio/webm"
            } else {
                "video/webm"
            }
        }
        [b'O', b'g', b'g', b'S', ..] if media.kind == MediaKind::Video => "video/ogg",
        [b'O', b'g', b'g', b'S', ..] => "audio/ogg",
        [b'f', b'L', b'a', b'C', ..] => "audio/flac",
        [b'I', b'D', b'3', ..] | [0xff, 0xfb | 0xf3 | 0xf2, ..] => "audio/mpeg",
        _ if is_said_to_be_text(media.mime.as_deref()) && is_text(first) => TEXT,
        _ => BYTES,
    }
}

/// The value of `Content-Disposition` (RFC 6266): what is not shown in place is kept, by its sender's name for it.
pub(super) fn disposition(content_type: &str, name: &str) -> String {
    let kind = if content_type == BYTES { "attachment" } else { "inline" };
    let name = clean_name(name);
    let ascii: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let mut disposition = format!("{kind}; filename=\"{ascii}\"");
    if ascii != name {
        disposition.push_str("; filename*=UTF-8''");
        // More than RFC 8187 section 3.2.1 asks to be escaped, of what is rarely right.
        percent::push(&mut disposition, &name);
    }
    disposition
}

/// One name in one folder, that reads as it is.
fn clean_name(name: &str) -> String {
    // Controls, and what turns the direction of text: "gpj.exe" can look like "exe.jpg".
    let unseen = |c: &char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let bad = |c: char| matches!(c, '/' | '\\' | '"' | ':' | '*' | '?' | '<' | '>' | '|' | '%');
    let name: String = name.chars().filter(|c| !unseen(c)).map(|c| if bad(c) { '_' } else { c }).collect();
    let name = name.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let chars = name.chars().count();
    if chars <= NAME_CHARS_MAX {
        return if name.is_empty() { "file".to_owned() } else { name.to_owned() };
    }
    // The end says what it is.
    let (begin, end) = name.rsplit_once('.').filter(|(_, end)| end.len() <= 10).unwrap_or((name, ""));
    let kept: String = begin.chars().take(NAME_CHARS_MAX - 11).collect();
    if end.is_empty() { kept } else { format!("{kept}.{end}") }
}

fn is_said_to_be_text(mime: Option<&str>) -> bool {
    let mime = mime.unwrap_or_default().to_ascii_lowercase();
    let mime = mime.split(';').next().unwrap_or_default().trim();
    matches!(mime, "text/plain" | "text/markdown" | "text/csv" | "application/json")
        || mime.starts_with("text/x-")
}

/// UTF-8, but for a character that the end of what was looked at cuts.
fn is_text(first: &[u8]) -> bool {
    let valid = match std::str::from_utf8(first) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    valid && !first.iter().any(|byte| matches!(byte, 0..=8 | 0xb | 0xe..=0x1a | 0x1c..=0x1f | 0x7f))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bridge::media::MediaSource;

    fn media(kind: MediaKind, mime: Option<&str>) -> Media {
        let source = MediaSource::new("mxc://hs/x", None).expect("legal");
        let mime = mime.map(str::to_owned);
        Media { kind, source, name: String::new(), mime, size_bytes: None, duration_ms: None }
    }

    #[test]
    fn a_file_is_what_its_bytes_say() {
        let check = |first: &[u8], kind, mime, expected| {
            assert_eq!(content_type(first, &media(kind, mime)), expected, "{first:?} {mime:?}");
        };
        use MediaKind::{Audio, File, Image, Video};
        check(b"\x89PNG\r\n\x1a\n....", File, None, "image/png");
        check(b"\xff\xd8\xff\xe0", Image, Some("image/svg+xml"), "image/jpeg");
        check(b"GIF89a", Image, Some("text/html"), "image/gif");
        check(b"RIFF....WEBPVP8 ", Image, None, "image/webp");
        check(b"RIFF....WAVEfmt ", Audio, None, "audio/wav");
        check(b"\0\0\0\x20ftypisom", Video, None, "video/mp4");
        check(b"\0\0\0\x20ftypisom", Audio, None, "audio/mp4");
        check(b"\0\0\0\x20ftypavif", Image, None, "image/avif");
        check(b"\x1a\x45\xdf\xa3....B\x82\x88webm", Video, None, "video/webm");
        check(b"\x1a\x45\xdf\xa3....matroska", Video, None, BYTES);
        check(b"OggS", MediaKind::Voice, None, "audio/ogg");
        check(b"hello\n", File, Some("text/plain; charset=latin1"), TEXT);
        check("grün".as_bytes(), File, Some("text/x-rust"), TEXT);
        check(&"grü".as_bytes()[..3], File, Some("text/plain"), TEXT);
        check(b"a\0b", File, Some("text/plain"), BYTES);
        check(b"\xff\xfe", File, Some("text/plain"), BYTES);
        check(b"<html>", File, Some("text/html"), BYTES);
        check(b"<script>alert(1)</script>", Image, Some("image/png"), BYTES);
        check(b"<svg xmlns='http://www.w3.org/2000/svg'>", Image, Some("image/svg+xml"), BYTES);
        check(b"%PDF-1.7", File, Some("application/pdf"), BYTES);
        check(b"", File, None, BYTES);
    }

    #[test]
    fn a_name_is_one_name() {
        let check = |name: &str, expected: &str| assert_eq!(disposition(BYTES, name), expected, "{name:?}");
        check("a.txt", "attachment; filename=\"a.txt\"");
        check("", "attachment; filename=\"file\"");
        check("../../etc/passwd", "attachment; filename=\"_.._etc_passwd\"");
        check("a\"; filename=\"b.exe", "attachment; filename=\"a_; filename=_b.exe\"");
        check("a\r\nSet-Cookie: x\0", "attachment; filename=\"aSet-Cookie_ x\"");
        check("x\u{202e}gpj.exe", "attachment; filename=\"xgpj.exe\"");
        check("grün.png", "attachment; filename=\"gr_n.png\"; filename*=UTF-8''gr%C3%BCn.png");
        assert_eq!(disposition("image/png", "a.png"), "inline; filename=\"a.png\"");
    }

    proptest! {
        #[test]
        fn any_name_makes_a_header(name in any::<String>()) {
            let disposition = disposition(BYTES, &name);
            prop_assert!(axum::http::HeaderValue::from_str(&disposition).is_ok(), "{disposition}");
            prop_assert!(disposition.is_ascii() && disposition.len() < 2_000);
            prop_assert_eq!(disposition.matches('"').count(), 2);
        }
    }
}
