//! A file as one line: what it is, what it is called, how large it is said to be, and where it is to be had.

use crate::bridge::media::{Media, MediaKind};

/// Characters of a name that are shown.
const NAME_CHARS_MAX: usize = 80;

/// `[image] cat.png (1.2 MB) https://…`
pub fn line(media: &Media, link: Option<&str>) -> String {
    let name: String =
        media.name.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(NAME_CHARS_MAX).collect();
    let name = Some(name).filter(|name| !name.is_empty() && media.kind != MediaKind::Voice);
    let duration = media.duration_ms.filter(|_| has_duration(media.kind)).map(duration);
    let facts: Vec<String> = duration.into_iter().chain(media.size_bytes.map(size)).collect();
    let facts = Some(facts).filter(|facts| !facts.is_empty()).map(|facts| format!("({})", facts.join(", ")));
    let words = [Some(format!("[{}]", kind(media.kind))), name, facts, link.map(str::to_owned)];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// What people call it.
fn kind(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio => "audio",
        MediaKind::Voice => "voice message",
        MediaKind::File => "file",
        MediaKind::Sticker => "sticker",
    }
}

fn has_duration(kind: MediaKind) -> bool {
    match kind {
        MediaKind::Video | MediaKind::Audio | MediaKind::Voice => true,
        MediaKind::Image | MediaKind::File | MediaKind::Sticker => false,
    }
}

/// `3:07`, or `1:02:03`.
fn duration(ms: u64) -> String {
    let seconds = ms / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// In steps of a thousand, with one digit behind the point where that says something.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1_000 {
        return format!("{bytes} B");
    }
    let (mut tenths, mut unit) = (bytes / 100, 0);
    while tenths >= 10_000 {
        (tenths, unit) = (tenths / 1_000, unit + 1);
    }
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {}", UNITS[unit]),
        (whole, _) if whole >= 100 => format!("{whole} {}", UNITS[unit]),
        (whole, tenth) => format!("{whole}.{tenth} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::media::MediaSource;

    fn media(kind: MediaKind, name: &str) -> Media {
        let source = MediaSource { mxc: "mxc://hs/a".into(), cipher: None };
        Media { kind, source, name: name.into(), mime: None, size_bytes: None, duration_ms: None }
    }

    #[test]
    fn a_line_has_what_is_known() {
        let image = Media { size_bytes: Some(1_234_567), ..media(MediaKind::Image, "cat.png") };
        assert_eq!(line(&image, Some("https://b/x")), "[image] cat.png (1.2 MB) https://b/x");
        assert_eq!(line(&media(MediaKind::Sticker, ""), None), "[sticker]");
        let voice =
            Media { duration_ms: Some(72_900), size_bytes: Some(999), ..media(MediaKind::Voice, "v.ogg") };
        assert_eq!(line(&voice, Some("https://b/x")), "[voice message] (1:12, 999 B) https://b/x");
        let odd = media(MediaKind::File, &format!("a\r\nb {}", "x".repeat(300)));
        assert_eq!(line(&odd, None).chars().count(), "[file] ".len() + NAME_CHARS_MAX);
        assert!(line(&odd, None).starts_with("[file] a b xxx"));
    }

    #[test]
    fn sizes_and_times_are_short() {
        for (bytes, words) in [
            (0, "0 B"),
            (1_000, "1 kB"),
            (34_500, "34.5 kB"),
            (345_600, "345 kB"),
            (999_999, "999 kB"),
            (1_000_000, "1 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), words, "{bytes}");
        }
        assert_eq!((duration(0), duration(3_723_000)), ("0:00".into(), "1:02:03".into()));
    }
}
