//! The open elements, and what they say together about the text inside them.

use super::tags::{Attributes, Tag};
use crate::text::spans::{Link, Mention, Style};

/// An open element.
pub(super) struct Element {
    pub(super) tag: Tag,
    pub(super) attributes: Attributes,
    pub(super) link: Option<Link>,
    pub(super) mention: Option<Mention>,
    /// Of a list the number of the next item, of a row how many cells came.
    pub(super) count: u32,
    /// Of an item: its marker has been shown.
    pub(super) is_marked: bool,
}

/// What all open elements together say about text.
#[derive(Clone, Default)]
pub(super) struct Look {
    pub(super) style: Style,
    pub(super) link: Option<Link>,
    pub(super) mention: Option<Mention>,
    pub(super) quote: u8,
    pub(super) is_pre: bool,
    pub(super) is_hidden: bool,
}

impl Look {
    /// What the text inside this element looks like too.
    pub(super) fn add(&mut self, element: &Element) {
        match element.tag {
            Tag::Bold | Tag::Summary | Tag::HeadCell => self.style.bold = true,
            Tag::Italic => self.style.italic = true,
            Tag::Underline => self.style.underline = true,
            Tag::Strike => self.style.strike = true,
            Tag::Mono => self.style.mono = true,
            Tag::Quote => self.quote = self.quote.saturating_add(1),
            Tag::Pre => self.is_pre = true,
            Tag::Hidden => self.is_hidden = true,
            Tag::Link => {
                self.mention.clone_from(&element.mention);
                self.link = element.link.clone().filter(|_| element.mention.is_none());
            }
            Tag::Span => {
                let Attributes { colour, background, spoiler, .. } = &element.attributes;
                self.style.fg = colour.or(self.style.fg);
                self.style.bg = background.or(self.style.bg);
                self.style.spoiler |= spoiler.is_some();
            }
            Tag::Sub | Tag::Sup | Tag::Break | Tag::Rule | Tag::Image | Tag::Paragraph | Tag::Division => {}
            Tag::Heading(_) | Tag::Bullets | Tag::Numbers | Tag::Item | Tag::Row | Tag::Cell => {}
        }
    }
}
