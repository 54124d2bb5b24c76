//! The elements of Matrix's HTML, by what they mean here, and the attributes that count.
//!
//! An element that is not here is no more than its content (Matrix client-server API, section "m.room.message
//! msgtypes", lists what clients may send).

use crate::text::colour::Colour;

/// What an element means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Bold,
    Italic,
    Underline,
    Strike,
    Mono,
    /// `font` and `span`: what their attributes say.
    Span,
    Link,
    Sub,
    Sup,
    Break,
    Rule,
    Image,
    Paragraph,
    /// Begins and ends a line, and nothing more.
    Division,
    Summary,
    Heading(u8),
    Quote,
    Pre,
    Bullets,
    Numbers,
    Item,
    Row,
    Cell,
    HeadCell,
    /// Not shown, with all that is in it.
    Hidden,
}

impl Tag {
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"b" | b"strong" => Self::Bold,
            b"i" | b"em" | b"cite" | b"var" | b"dfn" => Self::Italic,
            b"u" | b"ins" => Self::Underline,
            b"s" | b"del" | b"strike" => Self::Strike,
            b"code" | b"tt" | b"kbd" | b"samp" => Self::Mono,
            b"font" | b"span" => Self::Span,
            b"a" => Self::Link,
            b"sub" => Self::Sub,
            b"sup" => Self::Sup,
            b"br" => Self::Break,
            b"hr" => Self::Rule,
            b"img" => Self::Image,
            b"p" => Self::Paragraph,
            b"div" | b"details" | b"table" | b"caption" | b"section" | b"article" | b"dl" | b"dt" | b"dd" => {
                Self::Division
            }
            b"summary" => Self::Summary,
            b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" => Self::Heading(name[1] - b'0'),
            b"blockquote" => Self::Quote,
            b"pre" => Self::Pre,
            b"ul" => Self::Bullets,
            b"ol" => Self::Numbers,
            b"li" => Self::Item,
            b"tr" => Self::Row,
            b"td" => Self::Cell,
            b"th" => Self::HeadCell,
            b"mx-reply" | b"script" | b"style" | b"title" | b"textarea" | b"iframe" | b"noscript"
            | b"noembed" | b"noframes" | b"template" | b"head" | b"object" | b"svg" | b"select" => {
                Self::Hidden
            }
            _ => return None,
        })
    }

    /// True for those that have no content, and no end.
    pub(super) fn is_void(self) -> bool {
        matches!(self, Self::Break | Self::Rule | Self::Image)
    }

    /// True for those that begin and end a line.
    pub(super) fn is_block(self) -> bool {
        match self {
            Self::Paragraph | Self::Division | Self::Summary | Self::Heading(_) | Self::Quote | Self::Pre => {
                true
            }
            Self::Bullets | Self::Numbers | Self::Item | Self::Row | Self::Rule => true,
            Self::Bold | Self::Italic | Self::Underline | Self::Strike | Self::Mono | Self::Span => false,
            Self::Link | Self::Sub | Self::Sup | Self::Break | Self::Image => false,
            Self::Cell | Self::HeadCell | Self::Hidden => false,
        }
    }

    /// What the beginning of this one does to one that is open: many write no end of items and paragraphs.
    pub(super) fn ends(self, open: Self) -> Ends {
        let is_cell = |tag| matches!(tag, Self::Cell | Self::HeadCell);
        match (self, open) {
            (Self::Item, Self::Item) | (Self::Row, Self::Row) | (Self::Link, Self::Link) => Ends::It,
            (Self::Item, Self::Bullets | Self::Numbers) => Ends::Nothing,
            (Self::Cell | Self::HeadCell, open) if is_cell(open) => Ends::It,
            (Self::Cell | Self::HeadCell, Self::Row) => Ends::Nothing,
            (_, Self::Item | Self::Quote | Self::Division | Self::Cell | Self::HeadCell | Self::Hidden) => {
                match self {
                    Self::Item | Self::Row | Self::Link => Ends::Perhaps,
                    _ => Ends::Nothing,
                }
            }
            (tag, Self::Paragraph) if tag.is_block() => Ends::It,
            _ => Ends::Perhaps,
        }
    }
}

/// What the beginning of an element does to one that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    It,
    /// Neither it nor any around it.
    Nothing,
    /// Not it; look at the one around it.
    Perhaps,
}

/// The attributes of a tag that count, as they were written first.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub href: Option<String>,
    pub colour: Option<Colour>,
    pub background: Option<Colour>,
    /// With its reason, which may be empty.
    pub spoiler: Option<String>,
    pub language: Option<String>,
    pub start: Option<u32>,
    pub alt: Option<String>,
    pub title: Option<String>,
}

/// Longest name of a language, in bytes.
const LANGUAGE_BYTES_MAX: usize = 32;

impl Attributes {
    /// Takes one in. What has no value, or a wrong one, counts as not written, but for the spoiler.
    pub(super) fn add(&mut self, name: &[u8], value: &str) {
        let text = || Some(value.to_owned());
        match name {
            b"href" => self.href = self.href.take().or_else(text),
            b"alt" => self.alt = self.alt.take().or_else(text),
            b"title" => self.title = self.title.take().or_else(text),
            b"data-mx-spoiler" => {
                self.spoiler = self.spoiler.take().filter(|was| !was.is_empty()).or_else(text)
            }
            // What Matrix names goes before what HTML did.
            b"data-mx-color" => self.colour = Colour::parse(value).or(self.colour),
            b"data-mx-bg-color" => self.background = Colour::parse(value).or(self.background),
            b"color" => self.colour = self.colour.or_else(|| Colour::parse(value)),
            b"start" => self.start = value.trim().parse().ok(),
            b"class" => self.language = self.language.take().or_else(|| language(value)),
            _ => {}
        }
    }
}

fn language(class: &str) -> Option<String> {
    let name = class.split_ascii_whitespace().find_map(|word| word.strip_prefix("language-"))?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '#' | '.' | '_');
    (!name.is_empty() && name.len() <= LANGUAGE_BYTES_MAX && name.chars().all(is_part))
        .then(|| name.to_owned())
}
