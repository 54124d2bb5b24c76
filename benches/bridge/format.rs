//! What a message's form costs in this process: read from one side's form and written in the other's, cut into lines
//! that fit. A typical message is measured by many, the worst legal events one by one.

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use bunraku::ids::UserId;
use bunraku::text::html::{self, HTML_BYTES_MAX};
use bunraku::text::irc_codes::{self, Codes};
use bunraku::text::spans::Spans;
use bunraku::text::split;

use super::Table;
use super::machine::ms;

const MESSAGES: usize = 20_000;
const LINE_BYTES: usize = 400;
const LINES: usize = 10;
/// Nicks that are known in the channel of a typical message.
const NICKS: usize = 1_000;

const HTML: &str = "<a href=\"https://matrix.to/#/@ada:example.org\">Ada</a>: did you try <code>cargo build</code> as \
    in <a href=\"https://example.org/manual\">the <b>manual</b></a>? It did <em>not</em> work for me &amp; my cat";
const IRC: &str = "ada: did you try \u{2}that\u{2} as in https://example.org/manual? It did \u{3}04not\u{3} work for \
    nick77, nick78 & my \u{1d}cat\u{1d}";

/// Times both ways.
pub fn measure(table: &mut Table) -> Result<()> {
    let people: HashMap<String, UserId> = (0..NICKS)
        .map(|at| format!("nick{at}"))
        .chain(["ada".to_owned()])
        .filter_map(|nick| Some((nick.clone(), UserId::new(&format!("@{nick}:example.org"))?)))
        .collect();
    ensure!(to_irc(HTML) == 1 && to_matrix(IRC, &people) == 3, "a typical message is as it should be");
    let each_us = |work: &dyn Fn() -> usize| {
        let started = Instant::now();
        for _ in 0..MESSAGES {
            black_box(work());
        }
        started.elapsed().as_secs_f64() * 1e6 / MESSAGES as f64
    };
    table.add("a typical message, HTML to IRC", "us", "<= 20", each_us(&|| to_irc(black_box(HTML))));
    table.add("a typical line, IRC to HTML", "us", "<= 20", each_us(&|| to_matrix(black_box(IRC), &people)));
    for shape in SHAPES {
        let event = shape.repeat(HTML_BYTES_MAX / shape.len());
        let started = Instant::now();
        black_box(to_irc(&event));
        table.add(
            &format!("an event full of {}", shape.escape_default()),
            "ms",
            "<= 50",
            ms(started.elapsed()),
        );
    }
    for shape in CODES {
        let line = shape.repeat(HTML_BYTES_MAX / shape.len());
        let started = Instant::now();
        black_box(to_matrix(&line, &people));
        let what = format!("a batch full of {}", shape.escape_default());
        table.add(&what, "ms", "<= 50", ms(started.elapsed()));
    }
    Ok(())
}

/// What makes parsers, writers or cutters slow, where they can be made slow.
const SHAPES: &[&str] = &[
    "<b>",
    "<b>a</b>",
    "<div>",
    "<blockquote>",
    "<blockquote>a</blockquote>",
    "<ul><li>a",
    "<p>a<br>",
    "a<br>",
    "<font color=red>a</font>",
    "<span data-mx-color='#123456'>a</span>",
    "<a href='https://a.b/'>c</a>",
    "<unknown>",
    "<b a='",
    "&lt;",
    "&",
    "<",
    "a\u{301}",
    "\u{301}",
    "word ",
    "a",
];

const CODES: &[&str] =
    &["\u{2}a", "\u{3}04,05a", "\u{4}123456a", "https://a.b ", ":", "ada ", "ada, ", "&", "'"];

/// As the relay does it; what is too much is said as its plain body. The number of lines.
fn to_irc(html: &str) -> usize {
    let mut spans = html::read(html).unwrap_or_else(|_| Spans::plain(html));
    spans.name_mentions(|user| Some(user.localpart().to_owned()));
    let (lines, _) = split::lines(&irc_codes::write(&spans, Codes::On), LINE_BYTES, LINES);
    lines.len()
}

/// The number of mentions.
fn to_matrix(irc: &str, people: &HashMap<String, UserId>) -> usize {
    let mut spans = irc_codes::read(irc);
    spans.link_urls();
    spans.mention_words(5, |word| Some((people.get(&word.to_ascii_lowercase())?.clone(), word.to_owned())));
    black_box(html::write(&spans));
    spans.mentions().count()
}
