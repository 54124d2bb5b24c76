//! Putting spans together piece by piece, whatever the pieces are: cleaned, joined where they look the same, without
//! anything empty. What is built from the same text in other pieces is equal.

use super::{Block, BlockKind, Link, Mention, Run, Spans, Style, clean};

/// Collects runs into blocks.
#[derive(Debug, Default)]
pub(in crate::text) struct Builder {
    done: Vec<Block>,
    /// What is being filled; `None` after a block ended, until there is text.
    open: Option<Block>,
}

impl Builder {
    /// What comes is a block of this kind; what came is ended.
    pub(in crate::text) fn start(&mut self, quote: u8, kind: BlockKind) {
        self.end();
        self.open = Some(Block { quote, kind, runs: Vec::new() });
    }

    /// Ends the block; one without runs is not kept, unless it is a rule.
    pub(in crate::text) fn end(&mut self) {
        let ended = self.open.take();
        self.done.extend(ended.filter(|block| !block.runs.is_empty() || block.kind == BlockKind::Rule));
    }

    /// Adds text to the block, or to a new paragraph.
    pub(in crate::text) fn text(&mut self, text: &str, style: Style, link: Option<&Link>) {
        let text = clean(text);
        if text.is_empty() {
            return;
        }
        let runs = &mut self.block().runs;
        match runs.last_mut() {
            Some(last) if last.mention.is_none() && last.style == style && last.link.as_ref() == link => {
                last.text.push_str(&text);
            }
            Some(_) | None => {
                runs.push(Run { text: text.into_owned(), style, link: link.cloned(), mention: None });
            }
        }
    }

    /// Adds a mention, shown as `text`.
    pub(in crate::text) fn mention(&mut self, text: &str, style: Style, mention: Mention) {
        let text = clean(text).into_owned();
        if !text.is_empty() {
            self.block().runs.push(Run { text, style, link: None, mention: Some(mention) });
        }
    }

    /// The block that is being filled, with its runs so far.
    pub(in crate::text) fn block(&mut self) -> &mut Block {
        let paragraph = || Block { quote: 0, kind: BlockKind::Paragraph, runs: Vec::new() };
        self.open.get_or_insert_with(paragraph)
    }

    pub(in crate::text) fn finish(mut self) -> Spans {
        self.end();
        Spans { blocks: self.done }
    }
}
