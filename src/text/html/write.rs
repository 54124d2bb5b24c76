//! From spans to HTML: each element that is opened is closed, nothing of a text is a tag, and there is never much more
//! of it than of the text.

use std::fmt::Write;

use super::Html;
use crate::text::colour::Colour;
use crate::text::spans::{Block, BlockKind, Link, Marker, Mention, Run, Spans, Style};

/// HTML is at most so many times as long as the plain text, in bytes, and [`SPARE_BYTES`].
const GROWTH_MAX: usize = 4;
/// What short messages may have besides: a line of IRC with a colour for each letter still fits.
const SPARE_BYTES: usize = 4_096;
/// How many quotes and lists, one within the other, are written.
const DEPTH_MAX: usize = 20;

/// Both forms of a message, or `None` when nothing needs formatting: then [`Spans::to_plain`] is all there is to say.
///
/// HTML is at most 4 times as long as the plain text and 4,096 bytes. What would be longer, such as a colour code for
/// each of many letters, is written without its colours, and when that does not help, `None`.
pub fn write(spans: &Spans) -> Option<Html> {
    if !spans.blocks().iter().any(needs_format) {
        return None;
    }
    let bytes_max = spans.to_plain().len() * GROWTH_MAX + SPARE_BYTES;
    let mut forms = [Colours::Shown, Colours::Left].into_iter().map(|colours| Writer::all(spans, colours));
    let formatted = forms.find(|html| html.len() <= bytes_max)?;
    let mut shown = spans.clone();
    shown.hide_spoilers();
    Some(Html { body: shown.to_plain(), formatted })
}

fn needs_format(block: &Block) -> bool {
    let run_needs = |run: &Run| {
        run.style != Style::default()
            || matches!(run.mention, Some(Mention::User(_)))
            || run.link.as_ref().is_some_and(|link| link.as_str() != run.text)
    };
    block.quote > 0 || block.kind != BlockKind::Paragraph || block.runs.iter().any(run_needs)
}

/// What becomes of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colours {
    Shown,
    /// Left out.
    Left,
}

struct Writer<'a> {
    html: String,
    colours: Colours,
    quotes: usize,
    lists: Vec<List>,
    /// The elements around the text, outermost first.
    open: Vec<Inline<'a>>,
}

/// An open list, whose last item is open too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Bullets,
    /// The number of the last item.
    Numbers(u32),
}

/// An element around text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Inline<'a> {
    Link(&'a Link),
    Pill(&'a Mention),
    Span { fg: Option<Colour>, bg: Option<Colour>, spoiler: bool },
    Named(&'static str),
}

impl<'a> Writer<'a> {
    fn all(spans: &'a Spans, colours: Colours) -> String {
        let mut writer =
            Self { html: String::new(), colours, quotes: 0, lists: Vec::new(), open: Vec::new() };
        match spans.blocks() {
            // A message of one paragraph is written as people's clients write it.
            [only] if only.kind == BlockKind::Paragraph && only.quote == 0 => writer.runs(only),
            blocks => blocks.iter().for_each(|block| writer.block(block)),
        }
        writer.end_lists(0);
        writer.quote(0);
        writer.html
    }

    fn block(&mut self, block: &'a Block) {
        let quotes = usize::from(block.quote).min(DEPTH_MAX);
        if quotes != self.quotes {
            self.end_lists(0);
            self.quote(quotes);
        }
        if let BlockKind::Item { marker, depth } = block.kind {
            return self.item(block, marker, usize::from(depth).min(DEPTH_MAX));
        }
        self.end_lists(0);
        match &block.kind {
            BlockKind::Paragraph | BlockKind::Item { .. } => self.within("p", block),
            BlockKind::Heading(level) => {
                let names = ["h1", "h2", "h3", "h4", "h5", "h6"];
                self.within(names[usize::from((*level).clamp(1, 6)) - 1], block);
            }
            BlockKind::Code { language } => {
                self.html.push_str("<pre><code");
                if let Some(language) = language {
                    self.html.push_str(" class=\"language-");
                    self.escaped(language);
                    self.html.push('"');
                }
                self.html.push('>');
                self.runs(block);
                self.html.push_str("</code></pre>");
            }
            BlockKind::Rule => self.html.push_str("<hr>"),
        }
    }

    fn within(&mut self, name: &str, block: &'a Block) {
        self.html.extend(["<", name, ">"]);
        self.runs(block);
        self.html.extend(["</", name, ">"]);
    }

    fn quote(&mut self, quotes: usize) {
        for _ in quotes..self.quotes {
            self.html.push_str("</blockquote>");
        }
        for _ in self.quotes..quotes {
            self.html.push_str("<blockquote>");
        }
        self.quotes = quotes;
    }

    fn item(&mut self, block: &'a Block, marker: Marker, depth: usize) {
        self.end_lists(depth + 1);
        let last = if self.lists.len() > depth { self.lists.last().copied() } else { None };
        let list = match (marker, last) {
            (Marker::Continued, Some(_)) => return self.within("p", block),
            (Marker::Bullet | Marker::Continued, _) => List::Bullets,
            (Marker::Number(number), _) => List::Numbers(number),
        };
        let goes_on = match (last, list) {
            (Some(List::Bullets), List::Bullets) => true,
            (Some(List::Numbers(last)), List::Numbers(number)) => last.checked_add(1) == Some(number),
            (_, _) => false,
        };
        if goes_on {
            self.html.push_str("</li><li>");
            self.lists.pop();
            self.lists.push(list);
        } else {
            self.end_lists(depth);
            while self.lists.len() < depth {
                self.begin_list(List::Bullets);
            }
            self.begin_list(list);
        }
        self.runs(block);
    }

    fn begin_list(&mut self, list: List) {
        match list {
            List::Bullets => self.html.push_str("<ul><li>"),
            List::Numbers(1) => self.html.push_str("<ol><li>"),
            List::Numbers(number) => self.html.push_str(&format!("<ol start=\"{number}\"><li>")),
        }
        self.lists.push(list);
    }

    fn end_lists(&mut self, left: usize) {
        while self.lists.len() > left {
            self.html.push_str(match self.lists.pop() {
                Some(List::Numbers(_)) => "</li></ol>",
                Some(List::Bullets) | None => "</li></ul>",
            });
        }
    }

    fn runs(&mut self, block: &'a Block) {
        let is_code = matches!(block.kind, BlockKind::Code { .. });
        // Spaces at the beginning of a line are only seen when they may not be broken.
        let mut after_space = true;
        for run in &block.runs {
            self.open(self.around(run, &block.kind));
            for c in run.text.chars() {
                match c {
                    c if is_code => self.escaped_char(c),
                    '\n' => self.html.push_str("<br>"),
                    ' ' | '\t' if after_space => self.html.push('\u{a0}'),
                    '\t' => self.html.push(' '),
                    c => self.escaped_char(c),
                }
                after_space = matches!(c, ' ' | '\t' | '\n');
            }
            if matches!(self.open.first(), Some(Inline::Pill(_))) {
                self.open(Vec::new());
            }
        }
        self.open(Vec::new());
    }

    /// The elements that a run wants around it.
    fn around(&self, run: &'a Run, kind: &BlockKind) -> Vec<Inline<'a>> {
        let style = &run.style;
        let mut wanted = Vec::new();
        wanted.extend(run.mention.as_ref().filter(|who| matches!(who, Mention::User(_))).map(Inline::Pill));
        wanted.extend(run.link.as_ref().map(Inline::Link));
        let (fg, bg) = match self.colours {
            Colours::Shown => colours(style),
            Colours::Left => (None, None),
        };
        if style.spoiler || fg.is_some() || bg.is_some() {
            wanted.push(Inline::Span { fg, bg, spoiler: style.spoiler });
        }
        let named = [
            (style.bold, "b"),
            (style.italic, "i"),
            (style.underline, "u"),
            (style.strike, "del"),
            (style.mono && !matches!(kind, BlockKind::Code { .. }), "code"),
        ];
        wanted.extend(named.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| Inline::Named(name)));
        wanted
    }

    /// Closes and opens elements until those are open that are wanted.
    fn open(&mut self, wanted: Vec<Inline<'a>>) {
        let same = self.open.iter().zip(&wanted).take_while(|(open, wanted)| open == wanted).count();
        while self.open.len() > same {
            let name = match self.open.pop() {
                Some(Inline::Link(_) | Inline::Pill(_)) => "a",
                Some(Inline::Named(name)) => name,
                Some(Inline::Span { .. }) | None => "span",
            };
            self.html.extend(["</", name, ">"]);
        }
        for inline in wanted.into_iter().skip(same) {
            self.begin(&inline);
            self.open.push(inline);
        }
    }

    fn begin(&mut self, inline: &Inline<'_>) {
        match inline {
            Inline::Link(link) => self.anchor(link.as_str()),
            Inline::Pill(Mention::User(user)) => self.anchor(&Link::of_user(user)),
            Inline::Pill(Mention::Room) => self.html.push_str("<a>"),
            Inline::Named(name) => self.html.extend(["<", name, ">"]),
            Inline::Span { fg, bg, spoiler } => {
                self.html.push_str("<span");
                if *spoiler {
                    self.html.push_str(" data-mx-spoiler");
                }
                for (name, colour) in [("data-mx-color", fg), ("data-mx-bg-color", bg)] {
                    if let Some(colour) = colour {
                        write!(self.html, " {name}=\"{colour}\"").expect("text takes all");
                    }
                }
                self.html.push('>');
            }
        }
    }

    fn anchor(&mut self, target: &str) {
        self.html.push_str("<a href=\"");
        self.escaped(target);
        self.html.push_str("\">");
    }

    fn escaped(&mut self, text: &str) {
        text.chars().for_each(|c| self.escaped_char(c));
    }

    fn escaped_char(&mut self, c: char) {
        push_escaped(&mut self.html, c);
    }
}

/// Text that a browser shows as it is.
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut html, c));
    html
}

fn push_escaped(html: &mut String, c: char) {
    match c {
        '&' => html.push_str("&amp;"),
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '"' => html.push_str("&quot;"),
        c => html.push(c),
    }
}

/// The colours of text and background. Reversed ones are changed round; what was not set is then taken for black on
/// white, for nobody knows how a reader's screen looks.
fn colours(style: &Style) -> (Option<Colour>, Option<Colour>) {
    if !style.reverse {
        return (style.fg, style.bg);
    }
    let fg = style.bg.unwrap_or(Colour::Rgb(255, 255, 255));
    (Some(fg), Some(style.fg.unwrap_or(Colour::Rgb(0, 0, 0))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::html::{TooMuch, read};
    use crate::text::irc_codes;

    fn formatted(irc: &str) -> Option<String> {
        write(&irc_codes::read(irc)).map(|html| html.formatted)
    }

    #[test]
    fn codes_of_irc_become_elements() {
        for (irc, html) in [
            ("plain", None),
            ("a < b && c", None),
            ("two\nlines", None),
            ("\u{2}a\u{2} b", Some("<b>a</b> b")),
            ("\u{2}a\u{1d}b\u{2}c", Some("<b>a<i>b</i></b><i>c</i>")),
            ("\u{2}<b>&\"\u{2}", Some("<b>&lt;b&gt;&amp;&quot;</b>")),
            ("\u{11}a\u{11}\u{1e}b\u{1e}\u{1f}c", Some("<code>a</code><del>b</del><u>c</u>")),
            ("\u{3}4a\u{3}b", Some("<span data-mx-color=\"#ff0000\">a</span>b")),
            ("\u{3}4,1a", Some("<span data-mx-color=\"#ff0000\" data-mx-bg-color=\"#000000\">a</span>")),
            ("\u{4}102030a", Some("<span data-mx-color=\"#102030\">a</span>")),
            ("\u{16}a", Some("<span data-mx-color=\"#ffffff\" data-mx-bg-color=\"#000000\">a</span>")),
            (
                "\u{3}4,8\u{16}a",
                Some("<span data-mx-color=\"#ffff00\" data-mx-bg-color=\"#ff0000\">a</span>"),
            ),
            ("\u{2}a\nb", Some("<b>a</b><br>b")),
            ("\u{2}  a  b", Some("<b>\u{a0}\u{a0}a \u{a0}b</b>")),
            ("\u{3}1,1secret\u{3} x", Some("<span data-mx-spoiler>secret</span> x")),
        ] {
            assert_eq!(formatted(irc).as_deref(), html, "{irc:?}");
        }
    }

    #[test]
    fn blocks_are_nested_as_they_were() {
        for html in [
            "<p>a</p><blockquote><p>b</p><blockquote><p>c</p></blockquote></blockquote><p>d</p>",
            "<ul><li>a<ul><li>b</li></ul></li><li>c</li></ul>",
            "<ol><li>a</li><li>b<p>more</p></li></ol><hr><ol start=\"7\"><li>c</li></ol>",
            "<h2>a</h2><pre><code class=\"language-c\">if (a)\n    b();</code></pre>",
            "<blockquote><ul><li>a</li></ul></blockquote><ul><li>b</li></ul>",
            "hi <a href=\"https://matrix.to/#/@ada:example.org\">ada</a>, see <a href=\"https://a.b/?c&amp;d\">this</a>",
            "<a href=\"https://matrix.to/#/@a:b\">x</a><a href=\"https://matrix.to/#/@a:b\">x</a>",
            "<p><b>a<br>b</b></p><p>c</p>",
        ] {
            assert_eq!(write(&read(html).unwrap()).unwrap().formatted, html);
        }
    }

    #[test]
    fn links_need_no_html_where_they_say_their_target() {
        let linked = |irc: &str| {
            let mut spans = irc_codes::read(irc);
            spans.link_urls();
            write(&spans).map(|html| html.formatted)
        };
        assert_eq!(linked("see https://example.org/ now"), None);
        let both = "<b>see <a href=\"https://example.org/\">https://example.org/</a></b>";
        assert_eq!(
            linked("\u{2}see https://example.org/").as_deref(),
            Some(
                both.replace("<b>see <a", "<b>see </b><a")
                    .replace("\">https", "\"><b>https")
                    .replace("</a></b>", "</b></a>")
                    .as_str()
            )
        );
    }

    #[test]
    fn the_plain_form_hides_what_is_hidden() {
        let html = write(&irc_codes::read("who: \u{3}1,1the butler\u{3}!")).unwrap();
        assert_eq!(html.body, "who: [spoiler]!");
        assert_eq!(html.formatted, "who: <span data-mx-spoiler>the butler</span>!");
    }

    #[test]
    fn a_bomb_of_colours_loses_them_and_a_bomb_of_all_is_plain() {
        let rainbow: String = (0..87).map(|at| format!("\u{3}{:02}a", at % 16)).collect();
        assert!(formatted(&rainbow).unwrap().contains("data-mx-color"), "a line of IRC keeps its colours");
        let bomb: String = (0..4_000).map(|at| format!("\u{3}{:02}a", at % 16)).collect();
        let bold_bomb: String = format!("{bomb}\u{f}\u{2}b");
        assert_eq!(formatted(&bold_bomb).unwrap(), format!("{}<b>b</b>", "a".repeat(4_000)));
        let all: String = (0..4_000).map(|at| format!("\u{2}a\u{1d}b\u{1f}c\u{1e}{at}")).collect();
        assert_eq!(formatted(&all), None);
        assert_eq!(read(&"<i>".repeat(101)), Err(TooMuch::Depth));
    }
}
