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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_cut_between_words_then_letters_then_characters() {
        assert_eq!(split_line("one two  three", 9), ["one two", "three"]);
        assert_eq!(split_line("abcdefgh", 4), ["abcd", "efgh"]);
        assert_eq!(split_line("  indented", 99), ["  indented"]);
        // `e` and its accent stay together; a family of people is one letter of 18 bytes.
        assert_eq!(split_line("abce\u{301}d", 5), ["abc", "e\u{301}d"]);
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        assert_eq!(split_line(&format!("abc{family}"), 18), ["abc", family]);
        assert_eq!(split_line(family, 8).concat(), family);
        assert_eq!(split_line("ééé", 1), ["éé", "é"]);
        assert_eq!(split_line("a\u{a0}b c", 5), ["a\u{a0}b", "c"]);
        assert!(split_line("", 10).is_empty());
        assert!(split_line(&" ".repeat(50), 10).len() <= 1);
    }

    #[test]
    fn a_body_becomes_clean_lines_and_says_what_it_left_out() {
        let body = body_lines("a\r\nb\rc\n\n \n\u{2}\u{3}4\nd", 100, 3);
        assert_eq!((body.lines, body.cut), (vec!["a".into(), "b".into(), "c".into()], 1));
        let hostile = "\u{1}ACTION\0 x\ty\u{2028}z\u{1b}[0m\u{7f}\u{202e}\u{2}b\u{2}\u{9b}";
        assert_eq!(body_lines(hostile, 100, 9).lines, ["ACTION x y z[0m\u{2}b\u{2}"]);
        assert_eq!(body_lines("one two", 4, 9).lines, ["one", "two"]);
        assert_eq!(body_lines("a\nb", 9, 0), BodyLines { lines: vec![], cut: 2 });
        assert_eq!(body_lines("\0\r\n", 9, 9), BodyLines::default());
    }

    /// Work that grew with the square of these texts would keep this test for hours.
    #[test]
    fn a_mebibyte_of_marks_or_spaces_or_lines_costs_little() {
        let marks = format!("a{}", "\u{301}".repeat(1 << 19));
        let gaps = format!("a{}b", " ".repeat(1 << 20));
        let lines = "a\n".repeat(1 << 19);
        let joined = "\u{1f468}\u{200d}".repeat(150_000);
        let flags = "\u{1f1e6}".repeat(1 << 18);
        for text in [marks, gaps, lines, joined, flags] {
            let body = body_lines(&text, 400, 10);
            assert!(!body.lines.is_empty() && body.lines.len() <= 10);
            assert!(body.lines.iter().all(|line| line.len() <= 400));
            assert!(split_line(&text, 400).iter().all(|piece| piece.len() <= 400));
        }
    }

    fn without_gaps(text: &str) -> String {
        text.chars().filter(|&c| !is_gap(c)).collect()
    }

    proptest! {
        #[test]
        fn a_split_loses_nothing_but_white_space_at_the_cuts(
            text in "([a-c \u{301}é]|\\PC|\u{1f468}\u{200d}){0,80}",
            bytes_max in 0_usize..40,
        ) {
            let limit = bytes_max.max(PIECE_BYTES_MIN);
            let pieces = split_line(&text, bytes_max);
            prop_assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= limit));
            let mut rest = text.as_str();
            for piece in &pieces {
                let at = rest.find(piece.as_str()).unwrap();
                prop_assert_eq!(without_gaps(&rest[..at]), "");
                rest = &rest[at + piece.len()..];
            }
            prop_assert_eq!(without_gaps(rest), "");
            if text.len() <= limit && !text.is_empty() {
                prop_assert_eq!(pieces, [text]);
            }
        }

        #[test]
        fn any_body_makes_lines_that_are_safe_to_send(
            text in "([\u{0}-\u{20}]|[a-z]|\\PC|[\u{80}-\u{9f}\u{2028}\u{202e}]){0,120}",
            bytes_max in 0_usize..60,
            lines_max in 0_usize..6,
        ) {
            let body = body_lines(&text, bytes_max, lines_max);
            prop_assert!(body.lines.len() <= lines_max);
            let all = body_lines(&text, bytes_max, usize::MAX);
            prop_assert_eq!(all.lines.len(), body.lines.len() + body.cut);
            for line in &all.lines {
                prop_assert!(!line.is_empty() && line.len() <= bytes_max.max(PIECE_BYTES_MIN));
                prop_assert!(line.chars().all(|c| !c.is_control() || irc_codes::is_code(c)));
            }
        }
    }
}
