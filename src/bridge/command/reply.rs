//! What the bot answers: sentences, lists and tables, as plain text and with formatting.

use std::fmt::Write as _;

use crate::ids::{RoomId, UserId};
use crate::text::html::escape;

/// Rows of a list or table that are shown; of more it is said how many there are.
pub const ROWS_MAX: usize = 50;
/// Letters of a cell.
const CELL_CHARS_MAX: usize = 300;
/// Bytes of an answer, each of its two forms: an event holds 65,536 with all else.
const BYTES_MAX: usize = 24_000;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Block {
    Text(String),
    List(Vec<Vec<Cell>>),
    Table { head: Vec<&'static str>, rows: Vec<Vec<Cell>> },
    Code(Vec<String>),
}

/// One piece of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Text(String),
    /// As it is to be written: a command or a name.
    Code(String),
    Room(RoomId),
    User(UserId),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Reply {
    /// One sentence or more.
    pub fn text(text: impl Into<String>) -> Self {
        Self::default().and(text)
    }

    /// A further paragraph.
    pub fn and(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    /// A list; nothing where it has no rows.
    pub fn list(mut self, rows: Vec<Vec<Cell>>) -> Self {
        if !rows.is_empty() {
            self.blocks.push(Block::List(rows));
        }
        self
    }

    /// A table; nothing where it has no rows.
    pub fn table(mut self, head: &[&'static str], rows: Vec<Vec<Cell>>) -> Self {
        if !rows.is_empty() {
            self.blocks.push(Block::Table { head: head.to_vec(), rows });
        }
        self
    }

    /// Lines as they are.
    pub fn code(mut self, lines: Vec<String>) -> Self {
        if !lines.is_empty() {
            self.blocks.push(Block::Code(lines));
        }
        self
    }

    /// For people whose client shows no formatting.
    pub fn plain(&self) -> String {
        let mut out = String::new();
        for block in &self.blocks {
            match block {
                Block::Text(text) => out.push_str(text),
                Block::List(rows) => plain_rows(&mut out, "- ", " ", rows),
                Block::Table { rows, .. } => plain_rows(&mut out, "- ", " · ", rows),
                Block::Code(lines) => out.push_str(&lines.join("\n")),
            }
            out.truncate(out.trim_end().len());
            out.push('\n');
        }
        bounded(out.trim_end())
    }

    /// With formatting (format `org.matrix.custom.html`); `None` where there is none, or it would be too long.
    pub fn html(&self) -> Option<String> {
        if self.blocks.iter().all(|block| matches!(block, Block::Text(text) if !text.contains('`'))) {
            return None;
        }
        let html: String = self.blocks.iter().map(html_block).collect();
        (html.len() <= BYTES_MAX).then_some(html)
    }
}

fn plain_rows(out: &mut String, before: &str, between: &str, rows: &[Vec<Cell>]) {
    for row in rows.iter().take(ROWS_MAX) {
        let cells: Vec<String> = row.iter().map(plain_cell).filter(|cell| !cell.is_empty()).collect();
        let _ = writeln!(out, "{before}{}", cells.join(between));
    }
    out.push_str(&left_out(rows.len()));
}

/// What stands for the rows that are not shown.
fn left_out(rows: usize) -> String {
    match rows.saturating_sub(ROWS_MAX) {
        0 => String::new(),
        more => format!("… and {more} more"),
    }
}

fn plain_cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) | Cell::Code(text) => short(text),
        Cell::Room(room) => room.to_string(),
        Cell::User(user) => user.to_string(),
    }
}

fn html_block(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("<p>{}</p>", with_code(text)),
        Block::List(rows) => {
            let row = |row: &Vec<Cell>| format!("<li>{}</li>", html_cells(row, " "));
            let rows_shown: String = rows.iter().take(ROWS_MAX).map(row).collect();
            format!("<ul>{rows_shown}</ul>{}", escape(&left_out(rows.len())))
        }
        Block::Table { head, rows } => {
            let head: String = head.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
            let row = |row: &Vec<Cell>| format!("<tr><td>{}</td></tr>", html_cells(row, "</td><td>"));
            let rows_shown: String = rows.iter().take(ROWS_MAX).map(row).collect();
            let left = left_out(rows.len());
            format!("<table><thead><tr>{head}</tr></thead><tbody>{rows_shown}</tbody></table>{left}")
        }
        Block::Code(lines) => format!("<pre><code>{}</code></pre>", escape(&lines.join("\n"))),
    }
}

fn html_cells(cells: &[Cell], between: &str) -> String {
    let cells: Vec<String> = cells.iter().map(html_cell).collect();
    cells.join(between)
}

fn html_cell(cell: &Cell) -> String {
    let link = |id: &str| format!("<a href=\"https://matrix.to/#/{0}\">{0}</a>", escape(id));
    match cell {
        Cell::Text(text) => with_code(&short(text)),
        Cell::Code(text) => format!("<code>{}</code>", escape(&short(text))),
        Cell::Room(room) => link(room.as_str()),
        Cell::User(user) => link(user.as_str()),
    }
}

/// What stands between two backticks is code, as people write it.
fn with_code(text: &str) -> String {
    let mut parts = text.split('`').peekable();
    let mut out = escape(parts.next().unwrap_or_default());
    while let Some(part) = parts.next() {
        match parts.next() {
            Some(after) => {
                let _ = write!(out, "<code>{}</code>{}", escape(part), escape(after));
            }
            None => {
                let _ = write!(out, "`{}", escape(part));
            }
        }
    }
    out
}

fn short(text: &str) -> String {
    let mut letters = text.chars();
    let kept: String = letters.by_ref().take(CELL_CHARS_MAX).collect();
    if letters.next().is_some() { format!("{kept}…") } else { kept }
}

fn bounded(text: &str) -> String {
    match crate::text::split::first_letters(text, BYTES_MAX) {
        whole if whole.len() == text.len() => whole.to_owned(),
        cut => format!("{cut}…"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_two_forms() {
        let reply = Reply::text("Say `join #a`:")
            .table(&["a", "b"], vec![vec!["1".into(), Cell::Code("<x>".into())]]);
        assert_eq!(reply.plain(), "Say `join #a`:\n- 1 · <x>");
        let html = reply.html().unwrap();
        assert!(html.starts_with("<p>Say <code>join #a</code>:</p><table>"), "{html}");
        assert!(html.contains("<td>1</td><td><code>&lt;x&gt;</code></td>"), "{html}");
        assert_eq!(Reply::text("plain <b>").html(), None);
        assert_eq!(Reply::text("one ` alone").html().unwrap(), "<p>one ` alone</p>");
    }

    #[test]
    fn what_others_wrote_stays_text_and_has_an_end() {
        let hostile = "<img src=x onerror=alert(1)>\"'&`".to_owned();
        let room = RoomId::new("!a\"<b>:hs");
        let rows: Vec<Vec<Cell>> = (0..ROWS_MAX + 7).map(|_| vec![hostile.clone().into()]).collect();
        let reply = Reply::default().list(rows).code(vec![hostile.clone()]).and(hostile);
        let html = reply.html().unwrap();
        assert!(!html.contains("<img") && html.contains("and 7 more"), "{html}");
        if let Some(room) = room {
            let html = Reply::default().list(vec![vec![Cell::Room(room)]]).html().unwrap();
            assert!(!html.contains("<b>"), "{html}");
        }
        let long = Reply::text("é".repeat(BYTES_MAX)).plain();
        assert!(long.len() <= BYTES_MAX + 4 && long.ends_with('…'));
        let rows = (0..ROWS_MAX).map(|_| vec!["<".repeat(900).into(); 3]).collect();
        assert_eq!(Reply::default().list(rows).html(), None, "too long to be shown with its formatting");
    }
}
