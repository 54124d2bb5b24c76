//! Spans as rows of text: what every form of plain lines has in common, with or without codes.
//!
//! A row has no line break. What stands before it (quotes, markers, indentation) never grows beyond a few bytes,
//! however deep a message nests, so that all rows together are not much longer than the message.

use std::borrow::Cow;

use super::{Block, BlockKind, Link, Marker, Run, Spans, Style};

/// How many quotes, and how many lists, one within the other are shown as such.
const DEPTH_SHOWN_MAX: u8 = 5;

/// What shows where a spoiler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::text) enum Spoilers {
    /// A mark before; the cells are hidden by their style.
    Marked,
    /// Brackets around, for where nothing can be hidden.
    InBrackets,
}

/// Before what is hidden.
pub(in crate::text) const SPOILER_MARK: &str = "[spoiler] ";

/// One line.
#[derive(Debug)]
pub(in crate::text) struct Row<'a> {
    pub prefix: String,
    pub kind: &'a BlockKind,
    pub cells: Vec<Cell<'a>>,
}

/// A piece of a row, without line breaks.
#[derive(Debug)]
pub(in crate::text) struct Cell<'a> {
    pub text: Cow<'a, str>,
    pub style: Style,
}

/// All rows, in order.
pub(in crate::text) fn rows(spans: &Spans, spoilers: Spoilers) -> Vec<Row<'_>> {
    spans.blocks().iter().flat_map(|block| Rows::of(block, spoilers)).collect()
}

/// The rows of a block, in the making.
struct Rows<'a> {
    done: Vec<Row<'a>>,
    row: Row<'a>,
    /// What stands before the second row, and those behind it.
    prefix: String,
}

impl<'a> Rows<'a> {
    fn of(block: &'a Block, spoilers: Spoilers) -> Vec<Row<'a>> {
        let quotes = "> ".repeat(usize::from(block.quote.min(DEPTH_SHOWN_MAX)));
        let (first, later) = markers(&block.kind);
        let row = Row { prefix: format!("{quotes}{first}"), kind: &block.kind, cells: Vec::new() };
        let mut rows = Self { done: Vec::new(), row, prefix: quotes + &later };
        for index in 0..block.runs.len() {
            rows.run(&block.runs, index, spoilers);
        }
        rows.done.push(rows.row);
        rows.done
    }

    fn run(&mut self, runs: &'a [Run], index: usize, spoilers: Spoilers) {
        let (run, before, after) =
            (&runs[index], index.checked_sub(1).map(|at| &runs[at]), runs.get(index + 1));
        let is_hidden = |run: Option<&Run>| run.is_some_and(|run| run.style.spoiler);
        if run.style.spoiler && !is_hidden(before) {
            let mark = match spoilers {
                Spoilers::Marked => SPOILER_MARK,
                Spoilers::InBrackets => "[spoiler: ",
            };
            self.cell(mark, Style::default());
        }
        for (index, line) in run.text.split('\n').enumerate() {
            if index > 0 {
                self.next_row();
            }
            self.cell(line, run.style);
        }
        if let Some(link) = target_behind(runs, index) {
            let style = Style { spoiler: run.style.spoiler, ..Style::default() };
            self.cell(format!(" ({})", link.as_str()), style);
        }
        if run.style.spoiler && !is_hidden(after) && spoilers == Spoilers::InBrackets {
            self.cell("]", Style::default());
        }
    }

    fn cell(&mut self, text: impl Into<Cow<'a, str>>, style: Style) {
        let text = text.into();
        if !text.is_empty() {
            self.row.cells.push(Cell { text, style });
        }
    }

    fn next_row(&mut self) {
        let next = Row { prefix: self.prefix.clone(), kind: self.row.kind, cells: Vec::new() };
        self.done.push(std::mem::replace(&mut self.row, next));
    }
}

/// The link that ends with this run, when its text, in however many runs, does not say where it leads.
fn target_behind(runs: &[Run], index: usize) -> Option<&Link> {
    let link = runs[index].link.as_ref()?;
    let is_of_it = |run: &&Run| run.link.as_ref() == Some(link);
    if runs.get(index + 1).as_ref().is_some_and(is_of_it) {
        return None;
    }
    let len = runs[..=index].iter().rev().take_while(is_of_it).count();
    let text: String = runs[index + 1 - len..=index].iter().map(|run| run.text.as_str()).collect();
    link.says_more_than(&text).then_some(link)
}

/// What stands before the first row of a block, and before the others.
fn markers(kind: &BlockKind) -> (String, String) {
    match kind {
        BlockKind::Item { marker, depth } => {
            let indent = "  ".repeat(usize::from((*depth).min(DEPTH_SHOWN_MAX)));
            let marker = match marker {
                Marker::Bullet => "* ".to_owned(),
                Marker::Number(number) => format!("{number}. "),
                Marker::Continued => "  ".to_owned(),
            };
            let under = " ".repeat(indent.len() + marker.len());
            (indent + &marker, under)
        }
        BlockKind::Rule => ("---".to_owned(), String::new()),
        BlockKind::Paragraph | BlockKind::Code { .. } | BlockKind::Heading(_) => Default::default(),
    }
}
