//! From IRC text to spans.

use super::codes::Code;
use super::is_code;
use crate::text::spans::{Builder, SPOILER_MARK, Spans, Style};

/// Reads a line, or several with LF between them, each of which begins without formatting. Codes that are broken or
/// never closed are as clients show them. Words in the colour of their background are a spoiler.
pub fn read(text: &str) -> Spans {
    let mut builder = Builder::default();
    let mut rest = text;
    let mut style = Style::default();
    while let Some(first) = rest.chars().next() {
        if let Some((code, len)) = Code::first(rest) {
            code.apply(&mut style);
            rest = &rest[len..];
            continue;
        }
        if first == '\n' {
            style = Style::default();
        }
        let end = rest[first.len_utf8()..].find(|c| is_code(c) || c == '\n').map(|at| at + first.len_utf8());
        let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        add(&mut builder, text, style);
    }
    builder.finish()
}

fn add(builder: &mut Builder, text: &str, style: Style) {
    // Pictures are made of spaces and blocks in one colour; nothing is hidden there.
    let is_hidden = style.fg.is_some() && style.fg == style.bg && text.contains(char::is_alphanumeric);
    if !is_hidden {
        return builder.text(text, style, None);
    }
    unmark(builder);
    builder.text(text, Style { spoiler: true, fg: None, bg: None, ..style }, None);
}

/// Takes away the mark that bridges write before what is hidden, where it is the end of what was read.
fn unmark(builder: &mut Builder) {
    let runs = &mut builder.block().runs;
    let Some(last) = runs.last_mut().filter(|run| run.style == Style::default()) else { return };
    if let Some(before) = last.text.strip_suffix(SPOILER_MARK) {
        last.text.truncate(before.len());
        if last.text.is_empty() {
            runs.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::colour::Colour;

    const PLAIN: Style = Style {
        bold: false,
        italic: false,
        underline: false,
        strike: false,
        mono: false,
        spoiler: false,
        reverse: false,
        fg: None,
        bg: None,
    };
    const BOLD: Style = Style { bold: true, ..PLAIN };
    const RED: Style = Style { fg: Some(Colour::Irc(4)), ..PLAIN };

    fn runs(irc: &str) -> Vec<(String, Style)> {
        let spans = read(irc);
        let runs = spans.blocks().iter().flat_map(|block| &block.runs);
        runs.map(|run| (run.text.clone(), run.style)).collect()
    }

    #[test]
    fn every_code_is_read_nested_unclosed_and_broken() {
        let on_blue = Style { bg: Some(Colour::Irc(12)), ..RED };
        for (irc, expected) in [
            ("plain", vec![("plain", PLAIN)]),
            ("\u{2}a\u{2}b", vec![("a", BOLD), ("b", PLAIN)]),
            ("\u{1d}a", vec![("a", Style { italic: true, ..PLAIN })]),
            ("\u{1f}a", vec![("a", Style { underline: true, ..PLAIN })]),
            ("\u{1e}a", vec![("a", Style { strike: true, ..PLAIN })]),
            ("\u{11}a", vec![("a", Style { mono: true, ..PLAIN })]),
            ("\u{16}a", vec![("a", Style { reverse: true, ..PLAIN })]),
            ("\u{2}\u{1d}a\u{f}b", vec![("a", Style { italic: true, ..BOLD }), ("b", PLAIN)]),
            (
                "\u{2}a\u{1d}b\u{2}c",
                vec![
                    ("a", BOLD),
                    ("b", Style { italic: true, ..BOLD }),
                    ("c", Style { italic: true, ..PLAIN }),
                ],
            ),
            ("\u{3}4a\u{3}b", vec![("a", RED), ("b", PLAIN)]),
            ("\u{3}04,12a\u{3}4b", vec![("ab", on_blue)]),
            ("\u{3}04,12a\u{3}99,99b", vec![("a", on_blue), ("b", PLAIN)]),
            ("\u{3}04,12a\u{3}04,99b", vec![("a", on_blue), ("b", RED)]),
            ("\u{3}4,x", vec![(",x", RED)]),
            ("\u{3}041", vec![("1", RED)]),
            ("\u{3},5", vec![(",5", PLAIN)]),
            ("\u{3}98a", vec![("a", Style { fg: Some(Colour::Irc(98)), ..PLAIN })]),
            (
                "\u{4}FF0080a\u{4}b",
                vec![("a", Style { fg: Some(Colour::Rgb(255, 0, 128)), ..PLAIN }), ("b", PLAIN)],
            ),
            (
                "\u{4}ff0080,000001a",
                vec![(
                    "a",
                    Style { fg: Some(Colour::Rgb(255, 0, 128)), bg: Some(Colour::Rgb(0, 0, 1)), ..PLAIN },
                )],
            ),
            ("\u{4}12345", vec![("12345", PLAIN)]),
            ("\u{2}a\nb", vec![("a", BOLD), ("\nb", PLAIN)]),
            ("\u{3}4,4hid\u{f}", vec![("hid", Style { spoiler: true, ..PLAIN })]),
            ("[spoiler] \u{3}1,1hid", vec![("hid", Style { spoiler: true, ..PLAIN })]),
            ("\u{3}4,4  \u{f}", vec![("  ", Style { bg: Some(Colour::Irc(4)), ..RED })]),
            ("\u{2}\u{2}\u{3}\u{f}", vec![]),
            ("a\0b\u{1}c\u{7}d\u{1b}[1m\u{202e}e\u{2028}f", vec![("abcd[1me f", PLAIN)]),
            ("  kept  ", vec![("  kept  ", PLAIN)]),
        ] {
            let expected: Vec<(String, Style)> =
                expected.into_iter().map(|(text, style)| (text.to_owned(), style)).collect();
            assert_eq!(runs(irc), expected, "{irc:?}");
        }
    }
}
