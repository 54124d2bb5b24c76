//! The common form of a message: what was said, with its formatting, apart from how either side writes it.
//!
//! HTML and IRC codes are read into it, and it is written as either; nothing goes from one to the other directly.
//! All text in here is clean, wherever it came from: its only control characters are line feeds and tabs, and it
//! cannot turn the direction of what is shown after it. Work and size grow with the length of what was read only.
//!
//! Knows no rooms and no networks: who stands behind a nick or a user id is asked of the caller.

mod build;
mod layout;
mod link;
mod words;

use std::borrow::Cow;

use crate::ids::UserId;

use super::colour::Colour;

pub(super) use build::Builder;
pub(super) use layout::{Row, SPOILER_MARK, Spoilers, rows};
pub use link::{LINK_BYTES_MAX, Link};

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    blocks: Vec<Block>,
}

/// What begins on a line of its own: a paragraph, an item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// In how many quotes, one within the other, it stands.
    pub quote: u8,
    pub kind: BlockKind,
    /// In order, not empty but for a rule; none of them is empty.
    pub runs: Vec<Run>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockKind {
    Paragraph,
    /// Lines whose indentation counts.
    Code {
        language: Option<String>,
    },
    /// Of a list; `depth` is 0 for a list that is in no other.
    Item {
        marker: Marker,
        depth: u8,
    },
    /// 1 to 6; 1 is the highest.
    Heading(u8),
    /// A line across.
    Rule,
}

/// What stands before an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Bullet,
    Number(u32),
    /// Nothing: it goes on with the item before it.
    Continued,
}

/// A piece of text that looks the same from end to end. A line feed is a line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub text: String,
    pub style: Style,
    pub link: Option<Link>,
    /// Whom it names; such a run is the whole of the name, and no link besides.
    pub mention: Option<Mention>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mention {
    User(UserId),
    /// Everybody in the room, `@room`.
    Room,
}

/// How a run looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub bold: bool,
    pub italic: bool,
    pub underline: bool,
    pub strike: bool,
    pub mono: bool,
    /// Hidden until its reader wants to see it.
    pub spoiler: bool,
    /// Text and background have changed their colours.
    pub reverse: bool,
    pub fg: Option<Colour>,
    pub bg: Option<Colour>,
}

impl Spans {
    /// Text without any formatting; CR LF, CR and LF are line breaks.
    pub fn plain(text: &str) -> Self {
        let mut builder = Builder::default();
        builder.text(text, Style::default(), None);
        builder.finish()
    }

    /// In reading order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// True when there is nothing to see: only white space.
    pub fn is_empty(&self) -> bool {
        let is_blank = |run: &Run| run.text.trim().is_empty();
        self.blocks.iter().all(|block| block.kind != BlockKind::Rule && block.runs.iter().all(is_blank))
    }

    /// As people read it where nothing can be formatted: lists with their markers, quotes behind `> `, code with its
    /// indentation, links with their target where the text says less, spoilers in brackets (and not hidden; see
    /// [`hide_spoilers`](Self::hide_spoilers)).
    pub fn to_plain(&self) -> String {
        let mut text = String::new();
        for (index, row) in rows(self, Spoilers::InBrackets).iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            text.push_str(&row.prefix);
            text.extend(row.cells.iter().map(|cell| cell.text.as_ref()));
        }
        text
    }

    /// The people it names, in order; somebody who is named twice comes twice.
    pub fn mentions(&self) -> impl Iterator<Item = &UserId> {
        let runs = self.blocks.iter().flat_map(|block| &block.runs);
        runs.filter_map(|run| match &run.mention {
            Some(Mention::User(user)) => Some(user),
            Some(Mention::Room) | None => None,
        })
    }

    /// Gives each mention of a person the name that `name` has for them, for example a nick. Where it has none, the
    /// text stays as it was written.
    pub fn name_mentions(&mut self, mut name: impl FnMut(&UserId) -> Option<String>) {
        for run in self.runs_mut() {
            let Some(Mention::User(user)) = &run.mention else { continue };
            if let Some(name) = name(user) {
                let name = clean(&name);
                if !name.trim().is_empty() {
                    run.text = name.into_owned();
                }
            }
        }
    }

    /// Puts `text` before all else, without formatting: who says it, to whom.
    pub fn put_before(&mut self, text: &str) {
        let text = clean(text);
        if text.is_empty() {
            return;
        }
        let run = Run::new(text.into_owned(), Style::default());
        match self.blocks.first_mut() {
            Some(Block { quote: 0, kind: BlockKind::Paragraph, runs }) => match runs.first_mut() {
                Some(first) if first.joins(&run) => first.text.insert_str(0, &run.text),
                Some(_) | None => runs.insert(0, run),
            },
            Some(_) | None => {
                self.blocks.insert(0, Block { quote: 0, kind: BlockKind::Paragraph, runs: vec![run] });
            }
        }
    }

    /// Puts `[spoiler]` in place of what is hidden, for places that show a part of a message, such as a quote.
    pub fn hide_spoilers(&mut self) {
        for block in &mut self.blocks {
            let mut was_hidden = false;
            block.runs.retain_mut(|run| {
                let goes_on = was_hidden && run.style.spoiler;
                was_hidden = run.style.spoiler;
                if was_hidden {
                    *run = Run::new("[spoiler]".to_owned(), Style::default());
                }
                !goes_on
            });
        }
    }

    fn runs_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.blocks.iter_mut().flat_map(|block| &mut block.runs)
    }
}

impl Run {
    fn new(text: String, style: Style) -> Self {
        Self { text, style, link: None, mention: None }
    }

    /// True when two runs in a row would be one. Each mention stays a run of its own.
    fn joins(&self, next: &Self) -> bool {
        self.style == next.style && self.link == next.link && self.mention.is_none() && next.mention.is_none()
    }
}

/// A plain body without what old clients put before a reply: the quoted message, `> <@user:server> …`, and the empty
/// line behind it (Matrix client-server API, "Fallbacks for rich replies", until v1.13).
pub fn without_reply_fallback(body: &str) -> &str {
    if !body.starts_with("> <@") && !body.starts_with("> * <@") {
        return body;
    }
    let mut rest = body;
    while rest.starts_with('>') {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest.strip_prefix('\n').unwrap_or(rest)
}

/// The text as it may be in here: line ends are LF, other separators are spaces; what controls a terminal, an IRC
/// client, or the direction of what follows is left out.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| cleaned(c) == Some(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut after_return = false;
    for c in text.chars() {
        let ends_pair = after_return && c == '\n';
        after_return = c == '\r';
        out.extend(cleaned(c).filter(|_| !ends_pair));
    }
    Cow::Owned(out)
}

fn cleaned(c: char) -> Option<char> {
    match c {
        '\n' | '\t' => Some(c),
        '\r' => Some('\n'),
        '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some(' '),
        // Overrides and isolates that are never closed would turn all that is shown behind them.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        c if c.is_control() => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests;
