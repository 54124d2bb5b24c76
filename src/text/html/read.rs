//! From HTML to spans: a list of tokens, and a short stack of what is open.
//!
//! The tokens are html5gum's, which reads as browsers do and builds no tree. The stack has at most [`HTML_DEPTH_MAX`]
//! entries, and elements that mean nothing here are not on it, so that the work for each token is bounded.

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

use super::look::{Element, Look};
use super::tags::{Attributes, Ends, Tag};
use super::{HTML_BYTES_MAX, HTML_DEPTH_MAX, HTML_TAGS_MAX, TooMuch};
use crate::text::spans::{BlockKind, Builder, Link, Marker, Mention, Spans, Style};

/// Reads the `formatted_body` of a message. Nothing in it is an error: what is broken is read as browsers read it, and
/// what is unknown is its text. What is said in `<mx-reply>` is left out.
///
/// # Errors
/// [`TooMuch`] when there is more of it than any client writes.
pub fn read(html: &str) -> Result<Spans, TooMuch> {
    if html.len() > HTML_BYTES_MAX {
        return Err(TooMuch::Bytes);
    }
    if html.bytes().filter(|byte| *byte == b'<').count() > HTML_TAGS_MAX {
        return Err(TooMuch::Tags);
    }
    let mut reader = Reader::default();
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<()>| reader.event(event).err());
    emitter.naively_switch_states(true);
    // Goes on until there is something to return, or nothing more to read.
    match Tokenizer::new_with_emitter(html, emitter).next() {
        Some(Ok(too_much)) => return Err(too_much),
        Some(Err(never)) => match never {},
        None => {}
    }
    reader.end_block();
    Ok(reader.builder.finish())
}

#[derive(Default)]
struct Reader {
    builder: Builder,
    open: Vec<Element>,
    look: Look,
    /// The tag that is being read, and its attributes so far.
    tag: Option<(Tag, Attributes)>,
    attribute: Vec<u8>,
    /// Whether a block has begun: there is something to see in it.
    in_block: bool,
    /// White space and line breaks that are only there when something follows, each as it looks.
    gaps: Vec<(char, Style, Option<Link>)>,
    /// The mention that is being read.
    pill: Option<(String, Style, Mention)>,
}

impl Reader {
    fn event(&mut self, event: CallbackEvent<'_>) -> Result<(), TooMuch> {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag = Tag::of(name).map(|tag| (tag, Attributes::default()));
            }
            CallbackEvent::AttributeName { name } => {
                self.attribute.clear();
                self.attribute.extend_from_slice(name);
                // One without a value has no event for it.
                if name == b"data-mx-spoiler" {
                    self.attribute_value("");
                }
            }
            CallbackEvent::AttributeValue { value } => {
                let value = String::from_utf8_lossy(value);
                self.attribute_value(&value);
            }
            CallbackEvent::CloseStartTag { .. } => {
                if let Some((tag, attributes)) = self.tag.take() {
                    self.start(tag, attributes)?;
                }
            }
            CallbackEvent::EndTag { name } => {
                self.tag = None;
                if let Some(tag) = Tag::of(name) {
                    self.end(tag);
                }
            }
            CallbackEvent::String { value } => {
                let text = String::from_utf8_lossy(value);
                self.text(&text);
            }
            CallbackEvent::Comment { .. } | CallbackEvent::Doctype { .. } | CallbackEvent::Error(_) => {}
        }
        Ok(())
    }

    fn attribute_value(&mut self, value: &str) {
        if let Some((_, attributes)) = &mut self.tag {
            attributes.add(&self.attribute, value);
        }
    }

    fn start(&mut self, tag: Tag, attributes: Attributes) -> Result<(), TooMuch> {
        self.end_those_before(tag);
        if tag.is_block() {
            self.end_block();
        }
        match tag {
            Tag::Break => self.line_break(),
            Tag::Rule => self.rule(),
            Tag::Image => {
                self.text(attributes.alt.as_deref().or(attributes.title.as_deref()).unwrap_or_default())
            }
            Tag::Sub => self.text("_"),
            Tag::Sup => self.text("^"),
            Tag::Cell | Tag::HeadCell => self.cell(),
            _ => {}
        }
        if tag.is_void() {
            return Ok(());
        }
        if self.open.len() >= HTML_DEPTH_MAX {
            return Err(TooMuch::Depth);
        }
        if let Some(reason) = attributes.spoiler.as_deref().filter(|reason| !reason.trim().is_empty()) {
            self.text(&format!("({}) ", reason.trim()));
        }
        self.push(tag, attributes);
        Ok(())
    }

    /// Ends what the beginning of `tag` ends.
    fn end_those_before(&mut self, tag: Tag) {
        for index in (0..self.open.len()).rev() {
            match tag.ends(self.open[index].tag) {
                Ends::It => return self.close(index),
                Ends::Nothing => return,
                Ends::Perhaps => {}
            }
        }
    }

    fn push(&mut self, tag: Tag, mut attributes: Attributes) {
        let link = attributes.href.take().and_then(|href| Link::new(&href)).filter(|_| tag == Tag::Link);
        let mention = link.as_ref().and_then(Link::user).map(Mention::User);
        if let (Tag::Mono, Some(language)) = (tag, &attributes.language)
            && let Some(pre) = self.open.iter_mut().rev().find(|element| element.tag == Tag::Pre)
        {
            pre.attributes.language.get_or_insert_with(|| language.clone());
        }
        let count = if tag == Tag::Numbers { attributes.start.unwrap_or(1) } else { 0 };
        self.open.push(Element { tag, attributes, link, mention, count, is_marked: false });
        self.look_again();
    }

    fn end(&mut self, tag: Tag) {
        let is_it = |element: &Element| match (tag, element.tag) {
            (Tag::Heading(_), Tag::Heading(_)) => true,
            (tag, open) => tag == open,
        };
        if let Some(index) = self.open.iter().rposition(is_it) {
            self.close(index);
        } else if tag.is_block() {
            self.end_block();
        }
    }

    /// Ends an element: a block with all that is open in it, anything else alone, so that `<b><i></b></i>` is as it
    /// was meant.
    fn close(&mut self, index: usize) {
        match self.open[index].tag {
            Tag::Link => self.end_pill(),
            tag if tag.is_block() => self.end_block(),
            _ => {}
        }
        let tag = self.open[index].tag;
        if tag.is_block() || matches!(tag, Tag::Cell | Tag::HeadCell | Tag::Hidden) {
            self.open.truncate(index);
        } else {
            self.open.remove(index);
        }
        self.look_again();
    }

    fn look_again(&mut self) {
        let mut look = Look::default();
        for element in &self.open {
            look.add(element);
        }
        if look.mention != self.look.mention {
            self.end_pill();
        }
        self.look = look;
    }

    fn text(&mut self, text: &str) {
        if self.look.is_hidden {
            return;
        }
        if self.look.is_pre {
            return self.pre_text(text);
        }
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let is_gap = |c: char| c.is_ascii_whitespace();
            if is_gap(c) {
                rest = rest.trim_start_matches(is_gap);
                self.space();
            } else {
                let (word, after) = rest.split_at(rest.find(is_gap).unwrap_or(rest.len()));
                rest = after;
                self.word(word);
            }
        }
    }

    /// White space: one space, where a word comes before and behind it.
    fn space(&mut self) {
        if let Some((text, ..)) = &mut self.pill {
            if !text.ends_with(' ') {
                text.push(' ');
            }
        } else if self.in_block && self.gaps.is_empty() {
            self.gaps.push((' ', self.look.style, self.look.link.clone()));
        }
    }

    fn line_break(&mut self) {
        if self.look.is_hidden {
            return;
        }
        if self.look.is_pre {
            return self.pre_text("\n");
        }
        if self.pill.is_some() {
            return self.space();
        }
        if self.in_block {
            self.gaps.retain(|(c, ..)| *c == '\n');
            self.gaps.push(('\n', self.look.style, self.look.link.clone()));
        }
    }

    fn word(&mut self, word: &str) {
        self.begin_block();
        // White space that may not be broken was put there to be seen; on IRC it would only keep lines from being cut.
        let word = &word.replace('\u{a0}', " ");
        if let Some((text, ..)) = &mut self.pill {
            return text.push_str(word);
        }
        for (gap, style, link) in self.gaps.drain(..) {
            self.builder.text(gap.encode_utf8(&mut [0; 4]), style, link.as_ref());
        }
        match &self.look.mention {
            Some(mention) => self.pill = Some((word.to_owned(), self.look.style, mention.clone())),
            None => self.builder.text(word, self.look.style, self.look.link.as_ref()),
        }
    }

    fn pre_text(&mut self, text: &str) {
        // The line feed behind `<pre>` is not of it.
        let text = if self.in_block { text } else { text.strip_prefix('\n').unwrap_or(text) };
        if !text.is_empty() {
            self.begin_block();
            let style = Style { mono: false, ..self.look.style };
            self.builder.text(text, style, self.look.link.as_ref());
        }
    }

    fn end_pill(&mut self) {
        if let Some((text, style, mention)) = self.pill.take() {
            self.builder.mention(text.trim_end(), style, mention);
            if text.ends_with(' ') {
                self.gaps.push((' ', Style::default(), None));
            }
        }
    }

    fn rule(&mut self) {
        if !self.look.is_hidden {
            self.builder.start(self.look.quote, BlockKind::Rule);
            self.builder.end();
        }
    }

    /// Divides this cell from the one before it.
    fn cell(&mut self) {
        let Some(row) = self.open.iter_mut().rev().find(|element| element.tag == Tag::Row) else { return };
        row.count += 1;
        if row.count > 1 {
            self.text(" | ");
        }
    }

    fn begin_block(&mut self) {
        if !self.in_block {
            let kind = self.kind();
            self.builder.start(self.look.quote, kind);
            self.in_block = true;
        }
    }

    fn end_block(&mut self) {
        self.end_pill();
        self.gaps.clear();
        if !self.in_block {
            return;
        }
        self.in_block = false;
        let block = self.builder.block();
        if matches!(block.kind, BlockKind::Code { .. }) {
            while let Some(last) = block.runs.last_mut() {
                last.text.truncate(last.text.trim_end_matches('\n').len());
                if !last.text.is_empty() {
                    break;
                }
                block.runs.pop();
            }
        }
        self.builder.end();
    }

    /// What a block that begins here is.
    fn kind(&mut self) -> BlockKind {
        if let Some(pre) = self.open.iter().rev().find(|element| element.tag == Tag::Pre) {
            return BlockKind::Code { language: pre.attributes.language.clone() };
        }
        let item = self.open.iter().rposition(|element| element.tag == Tag::Item);
        let is_marked = item.is_none_or(|item| self.open[item].is_marked);
        let heading = self.open.iter().rev().find_map(|element| match element.tag {
            Tag::Heading(level) => Some(level),
            _ => None,
        });
        match (heading, item) {
            (Some(level), _) if is_marked => BlockKind::Heading(level),
            (_, Some(item)) => self.item(item),
            (_, None) => BlockKind::Paragraph,
        }
    }

    /// The first block of an item has its marker, the others go on with it.
    fn item(&mut self, item: usize) -> BlockKind {
        let is_list = |element: &Element| matches!(element.tag, Tag::Bullets | Tag::Numbers);
        let lists = self.open[..item].iter().filter(|element| is_list(element)).count();
        let depth = u8::try_from(lists.saturating_sub(1)).unwrap_or(u8::MAX);
        let is_marked = std::mem::replace(&mut self.open[item].is_marked, true);
        if is_marked {
            return BlockKind::Item { marker: Marker::Continued, depth };
        }
        let list = self.open[..item].iter_mut().rev().find(|element| is_list(element));
        let marker = match list {
            Some(list) if list.tag == Tag::Numbers => {
                let number = list.count;
                list.count = number.saturating_add(1);
                Marker::Number(number)
            }
            Some(_) | None => Marker::Bullet,
        };
        BlockKind::Item { marker, depth }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::html::{self, TooMuch};
    use crate::text::irc_codes::{self, Codes};

    /// What HTML says, in the form of IRC with signs instead of codes.
    fn signs(html: &str) -> String {
        irc_codes::write(&read(html).unwrap(), Codes::Off).join("\n")
    }

    #[test]
    fn every_element_of_the_specification_is_read() {
        for (html, expected) in [
            ("plain &lt;b&gt; &amp;amp; &#39;x&#x27; &eacute;", "plain <b> &amp; 'x' é"),
            ("<b>a</b> <strong>b</strong> <i>c</i> <em>d</em>", "*a* *b* _c_ _d_"),
            ("<u>a</u> <s>b</s> <del>c</del> <strike>d</strike>", "a ~b~ ~c~ ~d~"),
            ("<code>a  b</code> <tt>c</tt>", "`a b` `c`"),
            ("<b>a<i>b</b>c</i>", "*a_b_*_c_"),
            ("x<sup>2</sup> H<sub>2</sub>O", "x^2 H_2O"),
            ("a<br>b<br/>c<br>", "a\nb\nc"),
            ("<p>a\n b</p>\n<p>c</p>", "a b\nc"),
            ("<p>a<p>b", "a\nb"),
            ("<div>a</div>b<div>c<div>d</div></div>", "a\nb\nc\nd"),
            ("<h1>A</h1>text<h3>B</h3>", "A\ntext\nB"),
            ("a<hr>b<hr/>", "a\n---\nb\n---"),
            ("<ul><li>a</li><li>b</li></ul>", "* a\n* b"),
            ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
            ("<ol start=\"9\"><li>a<li>b</ol>", "9. a\n10. b"),
            ("<ul><li>a<ul><li>b<ol><li>c</ol></ul></li><li>d</ul>", "* a\n  * b\n    1. c\n* d"),
            ("<ul><li><p>a</p><p>b</p></li></ul>", "* a\n  b"),
            ("<ul><li>a<br>b</li></ul>", "* a\n  b"),
            ("<ul><li></li><li>b</li></ul>", "* b"),
            ("<blockquote><p>a</p>b<blockquote>c</blockquote></blockquote>d", "> a\n> b\n> > c\nd"),
            ("<blockquote>a<br>b</blockquote>", "> a\n> b"),
            ("<blockquote><ul><li>a</li></ul></blockquote>", "> * a"),
            (
                "<pre><code class=\"x language-rust\">fn a() {\n    b &amp;&amp; c\n}\n</code></pre>",
                "fn a() {\n    b && c\n}",
            ),
            ("<pre>\n\ta\n\n  *b*</pre>c", "    a\n\n  *b*\nc"),
            ("<p>a<pre>b</pre>c", "a\nb\nc"),
            ("<details><summary>more</summary>text</details>after", "*more*\ntext\nafter"),
            (
                "<img src=\"mxc://a/b\" alt=\":cat:\" title=\"t\"> <img title=\"dog\"><img src=\"x\">",
                ":cat: dog",
            ),
            (
                "<table><caption>t</caption><tr><th>a<th>b</tr><tr><td>1</td><td>2</td></tr></table>",
                "t\n*a* | *b*\n1 | 2",
            ),
            ("<span data-mx-spoiler>a <b>b</b></span>", "[spoiler: a *b*]"),
            ("<span data-mx-spoiler=\"why\">a</span>", "(why) [spoiler: a]"),
            ("<a href=\"https://example.org/x\">here</a>!", "here (https://example.org/x)!"),
            ("<a href=\"https://example.org/x\">https://example.<b>org/x</b></a>", "https://example.*org/x*"),
            ("<a href=\"https://example.org/x\">a<b>b</b></a>", "a*b* (https://example.org/x)"),
            ("<a href=\"javascript:alert(1)\">here</a>", "here"),
            ("<a name=x>here</a>", "here"),
            ("<mx-reply><blockquote><a href=\"x\">In reply</a> b</blockquote></mx-reply>c", "c"),
            ("a<script>b</script><style>c</style><title>d</title>e", "ae"),
            ("a<unknown b=c>d</unknown><!-- e -->f", "adf"),
            ("a <b> b </b> c", "a *b* c"),
            ("&nbsp; a", "  a"),
            ("<", "<"),
            ("a<b", "a"),
            ("</p></ul>a</b>", "a"),
            ("", ""),
        ] {
            assert_eq!(signs(html), expected, "{html}");
        }
    }

    #[test]
    fn colours_are_read_however_they_are_written() {
        let colours = |html: &str| {
            let style = read(html).unwrap().blocks()[0].runs[0].style;
            (style.fg.map(|colour| colour.to_string()), style.bg.map(|colour| colour.to_string()))
        };
        let some = |fg: &str| Some(fg.to_owned());
        assert_eq!(colours("<font color=\"red\">a</font>"), (some("#ff0000"), None));
        assert_eq!(colours("<font color=blue data-mx-color=\"#00ff00\">a"), (some("#00ff00"), None));
        assert_eq!(colours("<span data-mx-bg-color=#ff00ff>a"), (None, some("#ff00ff")));
        assert_eq!(
            colours("<font color=red><font data-mx-bg-color=#000000>a"),
            (some("#ff0000"), some("#000000"))
        );
        assert_eq!(colours("<font color=\"expression(1)\">a</font>"), (None, None));
    }

    #[test]
    fn a_pill_is_a_mention_whatever_is_in_it() {
        let pill = "hi <a href=\"https://matrix.to/#/%40ada%3Aexample.org\">Ada <b>L.</b></a>: <i>there</i>";
        let spans = read(pill).unwrap();
        assert_eq!(spans.mentions().map(|user| user.as_str()).collect::<Vec<_>>(), ["@ada:example.org"]);
        assert_eq!(spans.to_plain(), "hi Ada L.: there");
        let twice = "<a href='matrix:u/a:b'>x</a><a href='matrix:u/a:b'>x </a>y";
        let spans = read(twice).unwrap();
        assert_eq!((spans.mentions().count(), spans.to_plain().as_str()), (2, "xx y"));
        let in_blocks = read("<a href='matrix:u/a:b'>x<p>y</p></a>z").unwrap();
        assert_eq!(in_blocks.to_plain(), "x\ny\nz");
        let room = read("<a href=\"https://matrix.to/#/%23a:b?via=c\">#a:b</a>").unwrap();
        assert_eq!((room.mentions().count(), room.to_plain().as_str()), (0, "#a:b"));
    }

    #[test]
    fn a_language_is_kept_when_it_is_one() {
        let language = |html: &str| match &read(html).unwrap().blocks()[0].kind {
            BlockKind::Code { language } => language.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(language("<pre><code class=\"language-c++\">a</code></pre>").as_deref(), Some("c++"));
        assert_eq!(language("<pre class='language-rust'>a</pre>").as_deref(), Some("rust"));
        assert_eq!(language("<pre><code class='language-\"><b>'>a"), None);
        assert_eq!(language("<pre>a</pre>"), None);
    }

    /// The shapes that end parsers with a tree: each is refused or read, fast, on a small stack.
    #[test]
    fn a_whole_event_of_one_thing_ends_well() {
        let whole = |part: &str| part.repeat(html::HTML_BYTES_MAX / part.len());
        let shapes = [
            "<b>",
            "<div>",
            "<ul>",
            "<ul><li>",
            "<blockquote>",
            "<p>",
            "<li>",
            "<table><tr><td>",
            "<a href=x>",
            "</b>",
            "<unknown>",
            "<!--",
            "<",
            "&",
            "&lt",
            "&#1;",
            "<br>",
            "a<br>",
            "<b a='",
            "<a b=c ",
            "<![CDATA[",
            "<?",
            "\0",
            "<pre>",
            "<mx-reply>",
            "<script>",
            "<svg>",
            "<b></i>",
            "<hr>",
            "a\u{301}",
            "<h1>",
            "<sup>",
            "<font color=red>a</font>",
            "<span data-mx-spoiler=a>b</span>",
            "<img alt=a>",
            "<blockquote>a</blockquote>",
            "<ol start=4294967295><li>a",
        ];
        let small = std::thread::Builder::new().stack_size(128 * 1024);
        let reader = small.spawn(move || {
            for shape in shapes {
                let (html, mixed) = (whole(shape), format!("{}text", whole(&format!("{shape}<b>"))));
                for html in [html.as_str(), &mixed[..mixed.len().min(html::HTML_BYTES_MAX)]] {
                    if let Ok(spans) = read(html) {
                        let bytes: usize = irc_codes::write(&spans, Codes::On).iter().map(String::len).sum();
                        assert!(bytes <= 16 * html.len(), "{shape}: {bytes}");
                        html::write(&spans);
                    }
                }
            }
        });
        reader.unwrap().join().unwrap();
    }

    #[test]
    fn what_is_too_much_is_said() {
        assert_eq!(read(&"a".repeat(html::HTML_BYTES_MAX + 1)), Err(TooMuch::Bytes));
        assert_eq!(read(&"<b>".repeat(18_000)), Err(TooMuch::Tags));
        assert_eq!(read(&"<b>".repeat(101)), Err(TooMuch::Depth));
        assert!(read(&"<b>".repeat(100)).is_ok());
        assert!(read(&"<p>a<br>".repeat(4_000)).is_ok(), "paragraphs end each other");
        assert!(read(&"<x>".repeat(9_999)).is_ok(), "what means nothing nests nothing");
    }
}
