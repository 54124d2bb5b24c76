//! Cutting Matrix text into pieces that fit IRC lines, counted in bytes.
//!
//! Work grows with the length of the text only, also for one "letter" of 64 KiB of combining marks: what
//! belongs together is looked for inside one piece, never beyond.

use unicode_segmentation::UnicodeSegmentation;

use super::irc_codes;

/// Smallest piece, in bytes: room for any one character. A smaller limit counts as this.
pub const PIECE_BYTES_MIN: usize = 4;

/// The body of one message as IRC lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyLines {
    /// Each fit for one PRIVMSG: not empty, within the limit, free of control characters.
    pub lines: Vec<String>,
    /// How many lines are left out because there were too many.
    pub cut: usize,
}

/// Makes the lines of a message body, each of at most `bytes_max` bytes, at most `lines_max` of them.
///
/// Lines end at CR, LF or CR LF; those without anything to see are dropped. NUL, `\x01` (so that no text
/// becomes CTCP), control characters that are not mIRC formatting, and bidirectional overrides are removed;
/// tabs and Unicode's own line ends become spaces.
pub fn body_lines(text: &str, bytes_max: usize, lines_max: usize) -> BodyLines {
    let mut body = BodyLines::default();
    for line in text.split(['\r', '\n']) {
        let line: String = line.chars().filter_map(body_char).collect();
        if irc_codes::strip(&line).trim().is_empty() {
            continue;
        }
        for piece in pieces(&line, bytes_max) {
            if body.lines.len() < lines_max {
                body.lines.push(piece.to_owned());
            } else {
                body.cut += 1;
            }
        }
    }
    body
}

/// Cuts one line into pieces of at most `bytes_max` bytes: between words, else between what people see as
/// letters (grapheme clusters), else between characters. Nothing is lost but the white space at a cut; no
/// piece is empty. `bytes_max` counts as [`PIECE_BYTES_MIN`] at least.
pub fn split_line(text: &str, bytes_max: usize) -> Vec<String> {
    pieces(text, bytes_max).map(str::to_owned).collect()
}

fn pieces(text: &str, bytes_max: usize) -> impl Iterator<Item = &str> {
    let bytes_max = bytes_max.max(PIECE_BYTES_MIN);
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let (piece, after) = cut(rest, bytes_max);
            rest = after;
            if !piece.is_empty() {
                return Some(piece);
            }
        }
    })
}

/// One piece and what remains; the piece is empty when only white space was dropped.
fn cut(text: &str, bytes_max: usize) -> (&str, &str) {
    if text.len() <= bytes_max {
        return (text, "");
    }
    let limit = text.floor_char_boundary(bytes_max);
    if text[limit..].starts_with(is_gap) {
        return (text[..limit].trim_end_matches(is_gap), text[limit..].trim_start_matches(is_gap));
    }
    if let Some(at) = text[..limit].rfind(is_gap) {
        let word = text[..at].trim_end_matches(is_gap);
        if !word.is_empty() {
            return (word, text[at..].trim_start_matches(is_gap));
        }
    }
    text.split_at(letter_end(text, limit))
}

/// White space where a line may be cut; the no-break spaces say that it may not.
fn is_gap(c: char) -> bool {
    c.is_whitespace() && !matches!(c, '\u{a0}' | '\u{2007}' | '\u{202f}')
}

/// The last end of a grapheme cluster at or before `limit`, else `limit` itself. Looks no further than one
/// character behind `limit`, which shows whether a cluster ends there.
fn letter_end(text: &str, limit: usize) -> usize {
    let next = text[limit..].chars().next().map_or(0, char::len_utf8);
    let starts = text[..limit + next].grapheme_indices(true).map(|(at, _)| at);
    starts.take_while(|&at| at <= limit).last().filter(|&at| at > 0).unwrap_or(limit)
}

/// What a character of a body becomes on IRC; `None` when it is removed.
fn body_char(c: char) -> Option<char> {
    match c {
        '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        // Overrides and isolates that are never closed would turn the rest of an IRC client's screen.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        c if c.is_control() && !irc_codes::is_code(c) => None,
        c => Some(c),
    }
}
