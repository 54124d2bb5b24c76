//! Words of a text that mean more: URLs become links, nicks become mentions. Links and code are left alone, and so is
//! what is a mention already.

use std::ops::Range;

use super::link::scheme;
use super::{BlockKind, Link, Mention, Run, Spans, clean};
use crate::ids::UserId;

/// Longest scheme of a URL, in bytes.
const SCHEME_BYTES_MAX: usize = 8;

impl Spans {
    /// Makes links of the URLs in the text, of the schemes that [`Link`] knows. Punctuation and brackets around one are
    /// not of it.
    pub fn link_urls(&mut self) {
        self.rewrite(|run| {
            let found = urls(&run.text).into_iter().map(|(range, link)| {
                let text = run.text[range.clone()].to_owned();
                (range, Run { text, style: run.style, link: Some(link), mention: None })
            });
            found.collect()
        });
    }

    /// Makes mentions of words, at most `max`: `person` is asked for each word, first as it stands, then without what
    /// people put around names (`ada:`, `@ada`, `ada's`, `(ada)`), and gives who that is and the name to show.
    /// Call [`link_urls`](Self::link_urls) before it, so that no part of a URL is taken for a word.
    pub fn mention_words(&mut self, max: usize, mut person: impl FnMut(&str) -> Option<(UserId, String)>) {
        let named = |word: &str| {
            let (user, name) = person(word)?;
            let name = clean(&name).into_owned();
            (!name.trim().is_empty()).then_some((Mention::User(user), name))
        };
        self.name_words(max, named);
    }

    /// Makes a mention of the room of each word `@room`, for messages whose sender is known to have meant that.
    pub fn mention_room(&mut self) {
        self.name_words(usize::MAX, |word| (word == "@room").then(|| (Mention::Room, word.to_owned())));
    }

    fn name_words(&mut self, max: usize, mut named: impl FnMut(&str) -> Option<(Mention, String)>) {
        let mut left = max;
        self.rewrite(|run| {
            let mut found = Vec::new();
            for word in words(&run.text) {
                if left == 0 {
                    break;
                }
                let hit =
                    cores(&run.text, word).find_map(|range| Some((named(&run.text[range.clone()])?, range)));
                if let Some(((mention, text), range)) = hit {
                    left -= 1;
                    let start = range.start - usize::from(run.text[..range.start].ends_with('@'));
                    let new = Run { text, style: run.style, link: None, mention: Some(mention) };
                    found.push((start..range.end, new));
                }
            }
            found
        });
    }

    /// Puts runs in place of ranges of the text that is neither link, mention nor code.
    fn rewrite(&mut self, mut found_in: impl FnMut(&Run) -> Vec<(Range<usize>, Run)>) {
        for block in &mut self.blocks {
            if matches!(block.kind, BlockKind::Code { .. }) {
                continue;
            }
            let mut runs = Vec::with_capacity(block.runs.len());
            for run in block.runs.drain(..) {
                let is_text = run.link.is_none() && run.mention.is_none() && !run.style.mono;
                let found = if is_text { found_in(&run) } else { Vec::new() };
                replace(run, found, &mut runs);
            }
            block.runs = runs;
        }
    }
}

/// Adds `run` to `runs` with these ranges replaced.
fn replace(run: Run, found: Vec<(Range<usize>, Run)>, runs: &mut Vec<Run>) {
    if found.is_empty() {
        return runs.push(run);
    }
    let mut at = 0;
    for (range, new) in found {
        if range.start > at {
            runs.push(Run::new(run.text[at..range.start].to_owned(), run.style));
        }
        at = range.end;
        runs.push(new);
    }
    if at < run.text.len() {
        runs.push(Run::new(run.text[at..].to_owned(), run.style));
    }
}

/// The URLs of a text, in order.
fn urls(text: &str) -> Vec<(Range<usize>, Link)> {
    let mut found: Vec<(Range<usize>, Link)> = Vec::new();
    for (colon, _) in text.match_indices(':') {
        let taken = found.last().map_or(0, |(range, _)| range.end);
        let Some(start) = scheme_start(text, colon).filter(|start| *start >= taken) else { continue };
        let end = start + url_len(&text[start..]);
        let link = Link::new(&text[start..end]).filter(|_| is_whole(&text[start..end]));
        found.extend(link.map(|link| (start..end, link)));
    }
    found
}

/// Where the scheme begins that ends with this colon; it is no end of a longer word.
fn scheme_start(text: &str, colon: usize) -> Option<usize> {
    let letters =
        text[..colon].bytes().rev().take(SCHEME_BYTES_MAX).take_while(u8::is_ascii_alphabetic).count();
    let start = colon - letters;
    let is_word_end = text[..start].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '+' | '-' | '_'));
    (!is_word_end && scheme(&text[start..]).is_some_and(|scheme| scheme.len() == letters + 1))
        .then_some(start)
}

/// True when enough follows the scheme.
fn is_whole(url: &str) -> bool {
    let (scheme, rest) = url.split_once(':').unwrap_or_default();
    match scheme.to_ascii_lowercase().as_str() {
        "mailto" | "xmpp" => rest.find('@').is_some_and(|at| at > 0 && at + 1 < rest.len()),
        "matrix" => {
            ["u/", "r/", "roomid/"].iter().any(|kind| rest.starts_with(kind) && rest.len() > kind.len())
        }
        "magnet" => rest.starts_with("?xt="),
        _ => rest
            .strip_prefix("//")
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '[')),
    }
}

/// How much of the text a URL at its beginning takes.
fn url_len(text: &str) -> usize {
    let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '“' | '”' | '«' | '»' | '`');
    let mut url = text.split(ends).next().unwrap_or_default();
    let brackets = [('(', ')'), ('[', ']'), ('{', '}')];
    // How many of each are open at the end of `url`; negative where more were closed.
    let mut open = brackets.map(|(opening, closing)| {
        url.chars().map(|c| i64::from(c == opening) - i64::from(c == closing)).sum::<i64>()
    });
    while let Some(last) = url.chars().next_back() {
        let bracket = brackets.iter().position(|(_, closing)| *closing == last);
        match bracket {
            Some(which) if open[which] < 0 => open[which] += 1,
            None if matches!(last, '.' | ',' | ':' | ';' | '!' | '?' | '\'' | '*' | '’' | '…') => {}
            Some(_) | None => break,
        }
        url = &url[..url.len() - last.len_utf8()];
    }
    url.len()
}

/// The words of a text: what stands between white space and the signs that are in no nick and in no path.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_gap = |c: char| {
        c.is_whitespace()
            || matches!(c, ',' | ';' | '<' | '>' | '&' | '"' | '(' | ')' | '“' | '”' | '„' | '«' | '»')
    };
    let pieces = text.split(is_gap).filter(|word| !word.is_empty());
    pieces.map(move |word| {
        let start = word.as_ptr().addr() - text.as_ptr().addr();
        start..start + word.len()
    })
}

/// What of a word may be a name, from the whole to the least.
fn cores(text: &str, word: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let is_before = |c: char| matches!(c, '@' | '*' | ':' | '\'' | '‘');
    let is_after = |c: char| matches!(c, ':' | '.' | '!' | '?' | '*' | '\'' | '’' | '…');
    let all = &text[word.clone()];
    let inner = all.trim_start_matches(is_before);
    let starts = [word.start, word.end - inner.len()];
    let ends = move |start: usize| {
        let whole = &text[start..word.end];
        let short = whole.trim_end_matches(is_after);
        let owner = ["'s", "’s"].iter().find_map(|end| short.strip_suffix(end)).unwrap_or(short);
        [whole.len(), short.len(), owner.len()].map(|len| start..start + len)
    };
    let mut last = None;
    let ranges = starts.into_iter().flat_map(ends);
    ranges.filter(move |range| {
        let is_new = !range.is_empty() && last.as_ref() != Some(range);
        last = Some(range.clone());
        is_new
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::html;
    use crate::text::irc_codes::{self, Codes};

    fn links(text: &str) -> Vec<String> {
        let mut spans = Spans::plain(text);
        spans.link_urls();
        assert_eq!(spans.to_plain(), Spans::plain(text).to_plain());
        let runs = spans.blocks().iter().flat_map(|block| &block.runs);
        runs.filter_map(|run| Some(run.link.as_ref()?.as_str().to_owned())).collect()
    }

    #[test]
    fn urls_are_found_without_what_stands_around_them() {
        for (text, expected) in [
            ("see https://example.org/a?b=c#d.", vec!["https://example.org/a?b=c#d"]),
            ("(https://example.org/wiki/A_(b))", vec!["https://example.org/wiki/A_(b)"]),
            ("<https://a.b>, \"http://c.d\"!", vec!["https://a.b", "http://c.d"]),
            (
                "HTTPS://A.B mailto:ada@example.org matrix:u/ada:example.org",
                vec!["HTTPS://A.B", "mailto:ada@example.org", "matrix:u/ada:example.org"],
            ),
            ("irc://irc.example.org/#chan", vec!["irc://irc.example.org/#chan"]),
            ("https://a.b/https://c.d", vec!["https://a.b/https://c.d"]),
            ("http: https:// xhttps://a.b javascript:alert(1) ada: mailto:x matrix:here", vec![]),
            ("https://[::1]:8080/", vec!["https://[::1]:8080/"]),
            ("https://a.b/é…", vec!["https://a.b/é"]),
        ] {
            assert_eq!(links(text), expected, "{text}");
        }
    }

    /// Everybody is known whose name is in here.
    fn mentioned(text: &str, max: usize) -> (Vec<String>, String) {
        let mut spans = irc_codes::read(text);
        spans.link_urls();
        spans.mention_words(max, |word| {
            let known = ["ada", "b[o]b", "_eve_", "it's"].contains(&word.to_ascii_lowercase().as_str());
            let name = word.to_ascii_lowercase().replace(['[', ']', '\''], "");
            known.then(|| (UserId::new(&format!("@{name}:hs")).unwrap(), name.to_uppercase()))
        });
        let users = spans.mentions().map(|user| user.localpart().to_owned()).collect();
        (users, irc_codes::write(&spans, Codes::Off).join("\n"))
    }

    #[test]
    fn words_are_people_where_they_stand_alone() {
        for (text, expected, shown) in [
            ("ada: hello", vec!["ada"], "ADA: hello"),
            ("Ada, b[o]b; hi", vec!["ada", "bob"], "ADA, BOB; hi"),
            ("ada,b[o]b: hi", vec!["ada", "bob"], "ADA,BOB: hi"),
            ("ask @ada!", vec!["ada"], "ask ADA!"),
            ("<ada> (ada) \"ada\" 'ada' *ada*", vec!["ada"; 5], "<ADA> (ADA) \"ADA\" 'ADA' *ADA*"),
            ("ada's and ada’s and adas'", vec!["ada", "ada"], "ADA's and ADA’s and adas'"),
            ("it's _eve_...", vec!["its", "_eve_"], "ITS _EVE_..."),
            (
                "nada adam ada-b ada.org x/ada #ada ada@host",
                vec![],
                "nada adam ada-b ada.org x/ada #ada ada@host",
            ),
            ("https://x.org/?a=b&ada https://ada", vec![], "https://x.org/?a=b&ada https://ada"),
            ("\u{11}ada\u{11} ada", vec!["ada"], "`ada` ADA"),
            ("\u{2}ada\u{2}: hi", vec!["ada"], "*ADA*: hi"),
            ("@", vec![], "@"),
            ("'s :", vec![], "'s :"),
        ] {
            let users = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(mentioned(text, 99), (users, shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn there_are_at_most_so_many() {
        assert_eq!(mentioned("ada ada\nada", 2).1, "ADA ADA\nada");
        assert_eq!(mentioned("ada", 0).0, Vec::<String>::new());
        let mut spans = Spans::plain(&"ada ".repeat(1_000));
        spans.mention_words(5, |_| Some((UserId::new("@a:b").unwrap(), "x".into())));
        assert_eq!(spans.mentions().count(), 5);
    }

    #[test]
    fn mentions_links_and_code_are_left_alone() {
        let html =
            "<a href='matrix:u/x:y'>ada</a> <a href='https://a.b/'>ada</a> <code>ada</code><pre>ada</pre>";
        let mut spans = html::read(html).unwrap();
        let before = spans.clone();
        spans.mention_words(9, |_| Some((UserId::new("@ada:hs").unwrap(), "ADA".into())));
        assert_eq!(spans, before);
    }

    #[test]
    fn the_room_is_mentioned_where_that_is_meant() {
        let mut spans = Spans::plain("@room: and x@room");
        spans.mention_room();
        let rooms = spans.blocks()[0].runs.iter().filter(|run| run.mention == Some(Mention::Room));
        assert_eq!((rooms.count(), spans.mentions().count()), (1, 0));
        assert_eq!(spans.to_plain(), "@room: and x@room");
        assert_eq!(html::write(&spans), None);
    }
}
