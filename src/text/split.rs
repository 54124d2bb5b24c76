//! Cutting Matrix text into pieces that fit IRC lines, counted in bytes.
//!
//! Work grows with the length of the text only, also for one "letter" of 64 KiB of combining marks: what
//! belongs together is looked for inside one piece, never beyond.

use unicode_segmentation::UnicodeSegmentation;

use super::irc_codes;
use super::irc_codes::codes::{Code, switch};
use super::spans::Style;

/// Smallest piece, in bytes: room for any one character. A smaller limit counts as this.
pub const PIECE_BYTES_MIN: usize = 4;

/// Longest formatting code: two colours of six digits.
const CODE_BYTES_MAX: usize = 14;

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
        let line = clean(line);
        if irc_codes::strip(&line).trim().is_empty() {
            continue;
        }
        for piece in Pieces::of(&line, bytes_max) {
            if body.lines.len() < lines_max {
                body.lines.push(piece);
            } else {
                body.cut += 1;
            }
        }
    }
    body
}

/// One line without what [`body_lines`] removes. What stood apart may stand together then: a digit behind a colour's code
/// is the colour's.
pub fn clean(line: &str) -> String {
    line.chars().filter_map(body_char).collect()
}

/// The lines of a message that was written by [`irc_codes::write`], cut as [`body_lines`] does: those to send, and how
/// many more there would be.
///
/// A line is cut between words, else between what people see as letters (grapheme clusters), else between
/// characters. What goes on in the next piece looks as it did: formatting is opened again, and `> ` comes before
/// each piece of a quote. No code is parted from its digits. The indentation of a line is kept. `bytes_max` counts
/// as [`PIECE_BYTES_MIN`] at least; where it leaves no room for codes, they are not opened again.
pub fn lines(logical: &[String], bytes_max: usize, lines_max: usize) -> (Vec<String>, usize) {
    let (mut lines, mut cut) = (Vec::new(), 0);
    for line in logical {
        let body = body_lines(line, bytes_max, lines_max - lines.len());
        lines.extend(body.lines);
        cut += body.cut;
    }
    (lines, cut)
}

/// As many whole letters (grapheme clusters) as fit.
pub fn first_letters(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    // A letter of more bytes than fit is looked at no further.
    let text = &text[..text.floor_char_boundary(bytes_max + 64)];
    let ends = text.grapheme_indices(true).map(|(at, letter)| at + letter.len());
    let end = ends.take_while(|end| *end <= bytes_max).last().unwrap_or_default();
    &text[..end]
}

/// The pieces of one clean line. None is empty, and nothing is lost but white space at the cuts and codes that show
/// nothing.
struct Pieces<'a> {
    rest: &'a str,
    /// What `rest` looks like at its beginning.
    style: Style,
    /// What comes before each piece but the first.
    quote: &'a str,
    is_first: bool,
    bytes_max: usize,
}

impl<'a> Pieces<'a> {
    fn of(line: &'a str, bytes_max: usize) -> Self {
        let bytes_max = bytes_max.max(PIECE_BYTES_MIN);
        let quotes = line.as_bytes().chunks_exact(2).take_while(|pair| pair == b"> ").count();
        let quote = &line[..2 * quotes];
        // A quote so deep that it leaves no room for words is shown once.
        let quote = if 4 * quote.len() <= bytes_max { quote } else { "" };
        Self { rest: line, style: Style::default(), quote, is_first: true, bytes_max }
    }

    fn eat_codes(&mut self) {
        while let Some((code, len)) = Code::first(self.rest) {
            code.apply(&mut self.style);
            self.rest = &self.rest[len..];
        }
    }

    /// What a piece begins with.
    fn opening(&self) -> String {
        let mut opening = if self.is_first { String::new() } else { self.quote.to_owned() };
        let plain_len = opening.len();
        switch(&mut opening, Style::default(), self.style, self.rest);
        if opening.len() + PIECE_BYTES_MIN > self.bytes_max {
            opening.truncate(plain_len);
        }
        opening
    }
}

impl Iterator for Pieces<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            self.eat_codes();
            if self.rest.is_empty() {
                return None;
            }
            let mut piece = self.opening();
            let (text, after) = cut(self.rest, self.bytes_max - piece.len());
            self.rest = after;
            let is_seen = !irc_codes::strip(text).trim().is_empty();
            piece.push_str(text);
            learn(text, &mut self.style);
            if is_seen {
                self.is_first = false;
                return Some(piece);
            }
        }
    }
}

/// What text looks like behind this one.
fn learn(text: &str, style: &mut Style) {
    let mut rest = text;
    while let Some(at) = rest.find(irc_codes::is_code) {
        rest = &rest[at..];
        let (code, len) = Code::first(rest).expect("a code begins here");
        code.apply(style);
        rest = &rest[len..];
    }
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
    text.split_at(code_start(text, letter_end(text, limit)))
}

/// `at`, or where the code begins that it would part from its digits. Only codes are moved by this that have text
/// before them.
fn code_start(text: &str, at: usize) -> usize {
    let near = text.floor_char_boundary(at.saturating_sub(CODE_BYTES_MAX));
    let Some(start) = text[near..at].rfind(irc_codes::is_code).map(|found| near + found) else { return at };
    let end = Code::first(&text[start..]).map_or(start, |(_, len)| start + len);
    if end > at && start > 0 { start } else { at }
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

    /// The pieces of a text without codes.
    fn split_line(text: &str, bytes_max: usize) -> Vec<String> {
        let mut rest = text;
        let pieces = std::iter::from_fn(|| {
            let (piece, after) = cut(rest, bytes_max.max(PIECE_BYTES_MIN));
            rest = after;
            (!piece.is_empty() || !after.is_empty()).then(|| piece.to_owned())
        });
        pieces.filter(|piece| !piece.is_empty()).collect()
    }

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
