//! From spans to lines of IRC, with codes or in plain text.

use std::borrow::Cow;

use super::codes::switch;
use crate::text::colour::Colour;
use crate::text::spans::{BlockKind, Row, Spans, Spoilers, Style, rows};

/// Whether formatting codes may be used: some channels refuse them (`+c`), some take them away (`+S`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    On,
    /// What would change the meaning if it were lost is said with signs: `*bold*`, `_italic_`, `~struck~`.
    Off,
}

/// Black on black: what is hidden until it is marked with the mouse.
const HIDDEN: Colour = Colour::Irc(1);

/// The lines of a message, of any length (see [`split::lines`](crate::text::split::lines)). None has a CR, LF, NUL or
/// 0x01 in it, whatever the message holds. Lines may be empty.
pub fn write(spans: &Spans, codes: Codes) -> Vec<String> {
    match codes {
        Codes::On => rows(spans, Spoilers::Marked).iter().map(with_codes).collect(),
        Codes::Off => rows(spans, Spoilers::InBrackets).iter().map(with_signs).collect(),
    }
}

fn with_codes(row: &Row<'_>) -> String {
    let mut line = row.prefix.clone();
    let mut now = Style::default();
    for cell in &row.cells {
        let (style, text) = (on_irc(cell.style, row.kind), without_tabs(&cell.text, row.kind));
        switch(&mut line, now, style, &text);
        line.push_str(&text);
        now = style;
    }
    line
}

/// Tabs are no wider than a space on IRC, where clients show them at all: in code they would take its indentation away.
fn without_tabs<'a>(text: &'a str, kind: &BlockKind) -> Cow<'a, str> {
    let is_code = matches!(kind, BlockKind::Code { .. });
    if is_code && text.contains('\t') { text.replace('\t', "    ").into() } else { text.into() }
}

/// The style with what codes can say.
fn on_irc(style: Style, kind: &BlockKind) -> Style {
    let mut style = style;
    match kind {
        BlockKind::Heading(_) => style.bold = true,
        BlockKind::Code { .. } => style.mono = true,
        BlockKind::Paragraph | BlockKind::Item { .. } | BlockKind::Rule => {}
    }
    if style.spoiler {
        return Style { spoiler: false, fg: Some(HIDDEN), bg: Some(HIDDEN), reverse: false, ..style };
    }
    let number = |colour: Colour| Colour::Irc(colour.irc_number());
    Style { fg: style.fg.map(number), bg: style.bg.map(number), ..style }
}

fn with_signs(row: &Row<'_>) -> String {
    let mut line = row.prefix.clone();
    let mut open = Vec::new();
    // White space is written when what follows it is: signs stand at words.
    let mut gap = String::new();
    for cell in &row.cells {
        let text = without_tabs(&cell.text, row.kind);
        let word = text.trim();
        let before = &text[..text.len() - text.trim_start().len()];
        let wanted = signs(cell.style, row.kind);
        let same = open.iter().zip(&wanted).take_while(|(open, wanted)| open == wanted).count();
        line.extend(open.drain(same..).rev());
        gap.push_str(before);
        if word.is_empty() {
            continue;
        }
        line.push_str(&gap);
        line.extend(&wanted[same..]);
        line.push_str(word);
        open = wanted;
        gap.clear();
        gap.push_str(&text[before.len() + word.len()..]);
    }
    line.extend(open.into_iter().rev());
    line + &gap
}

fn signs(style: Style, kind: &BlockKind) -> Vec<char> {
    match kind {
        // Signs would be read as code.
        BlockKind::Code { .. } => Vec::new(),
        BlockKind::Paragraph | BlockKind::Item { .. } | BlockKind::Heading(_) | BlockKind::Rule => {
            let all = [(style.bold, '*'), (style.italic, '_'), (style.strike, '~'), (style.mono, '`')];
            all.into_iter().filter(|(is_on, _)| *is_on).map(|(_, sign)| sign).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::html;
    use crate::text::irc_codes;

    #[test]
    fn each_form_of_each_element() {
        for (html, on, off) in [
            ("a <b>b</b> c", "a \u{2}b\u{2} c", "a *b* c"),
            ("<i>a</i><u>b</u><del>c</del>", "\u{1d}a\u{1d}\u{1f}b\u{1f}\u{1e}c", "_a_b~c~"),
            ("<b><i>a</i></b> b", "\u{2}\u{1d}a\u{f} b", "*_a_* b"),
            ("use <code>x = 1</code>", "use \u{11}x = 1", "use `x = 1`"),
            ("<font color=red>a</font>b", "\u{3}04a\u{f}b", "ab"),
            ("<font color=red>1</font>", "\u{3}041", "1"),
            ("<font color=red>,1</font>", "\u{3}04\u{2}\u{2},1", ",1"),
            ("<font color=red>a</font>1", "\u{3}04a\u{f}1", "a1"),
            ("<b><font color=red>a</font>b</b>", "\u{2}\u{3}04a\u{f}\u{2}b", "*ab*"),
            ("<span data-mx-bg-color='#ff0000'>a</span>", "\u{3}99,04a", "a"),
            ("<span data-mx-color='#0063b5'>a</span>", "\u{3}47a", "a"),
            (
                "<span data-mx-spoiler>it is he</span>!",
                "[spoiler] \u{3}01,01it is he\u{f}!",
                "[spoiler: it is he]!",
            ),
            ("<h1>T</h1>x", "\u{2}T|x", "T|x"),
            ("<pre><code>if a:\n    b\n</code></pre>", "\u{11}if a:|\u{11}    b", "if a:|    b"),
            ("<pre>a:\n\tb</pre>", "\u{11}a:|\u{11}    b", "a:|    b"),
            ("<blockquote><i>a</i><br>b</blockquote>c", "> \u{1d}a|> b|c", "> _a_|> b|c"),
            ("<ol><li>a<ul><li>b</ul></ol>", "1. a|   * b".replace("   *", "  *").leak(), "1. a|  * b"),
            ("<a href='https://a.b/c'>x</a>", "x (https://a.b/c)", "x (https://a.b/c)"),
            ("<a href='https://a.b/c'>https://a.b/c</a>", "https://a.b/c", "https://a.b/c"),
        ] {
            let spans = html::read(html).unwrap();
            assert_eq!(write(&spans, Codes::On).join("|"), on, "{html}");
            assert_eq!(write(&spans, Codes::Off).join("|"), off, "{html}");
        }
    }

    #[test]
    fn nesting_makes_no_line_much_longer() {
        let deep = format!("{}a{}", "<blockquote>".repeat(90), "<br>b".repeat(9));
        let lines = write(&html::read(&deep).unwrap(), Codes::On);
        assert_eq!(lines[0], "> > > > > a");
        assert!(lines.iter().all(|line| line.len() == 11));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let irc = "a \u{2}b\u{2} [spoiler] \u{3}01,01hidden\u{f} \u{3}04,02c\u{f} d";
        let spans = irc_codes::read(irc);
        assert_eq!(spans.to_plain(), "a b [spoiler: hidden] c d");
        assert_eq!(write(&spans, Codes::On), [irc]);
    }
}
