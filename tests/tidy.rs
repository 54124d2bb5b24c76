//! The walls of the house: reads `src/**` and fails where the code leaves the shape that `docs/ARCHITECTURE.md`
//! draws. A finding says where, which rule, and what to do instead.
//!
//! | layer | may use of ours | may use of others |
//! |---|---|---|
//! | `ids`, `text` | each other | unicode tables, serde, hashes |
//! | `lanes`, `secret` | nothing | `subtle`, `zeroize`, serde (`secret`) |
//! | `vault` | `secret` | any (a file) |
//! | `bridge` | `text`, `ids`, `secret`, `lanes`, itself | `irc::proto` (as data), `governor` (on the machine's clock) |
//! | `irc` | `ids`, `text`, `secret`, `lanes`, `bridge::{input, effect, media, errand}` | any |
//! | `matrix` | the same | any |
//! | `store` | the same, and `vault` | any |
//! | `web` | `ids`, `text`, `secret`, `lanes`, `bridge::{input, effect, media, errand}` | any |
//! | `config` | `ids`, `text`, `secret` | any |
//! | `app` | everything but `cli` | any |
//! | `cli`, `main` | `config`, `app`, `matrix` (for `check`), `store`, `vault` and `irc` (for `login`), `ids`, `secret` | any |
//!
//! Comments, doc comments and the inside of strings are no code here, and what stands under `#[cfg(test)]` is
//! only held to the rules that name tests. Each rule has a story below that shows that it can fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

// ---------------------------------------------------------------------------------------------------------
// The tables of the house. A row here is a decision; give the reason with it.

/// Each layer, the layers it may use, and what it may use of `bridge`.
const LAYERS: &[(&str, &[&str], Bridge)] = &[
    ("ids", &["text"], Bridge::None),
    ("text", &["ids"], Bridge::None),
    ("lanes", &[], Bridge::None),
    ("secret", &[], Bridge::None),
    ("vault", &["secret"], Bridge::None),
    ("bridge", &["ids", "text", "secret", "lanes"], Bridge::All),
    ("irc", &["ids", "text", "secret", "lanes"], Bridge::Seams),
    ("matrix", &["ids", "text", "secret", "lanes"], Bridge::Seams),
    ("store", &["ids", "text", "secret", "lanes", "vault"], Bridge::Seams),
    ("web", &["ids", "text", "secret", "lanes"], Bridge::Seams),
    ("config", &["ids", "text", "secret"], Bridge::None),
    (
        "app",
        &["ids", "text", "secret", "lanes", "irc", "matrix", "store", "vault", "web", "config"],
        Bridge::All,
    ),
    ("cli", &["ids", "secret", "config", "app", "matrix", "store", "vault", "irc"], Bridge::None),
    ("main", &["cli"], Bridge::None),
    ("lib", &[], Bridge::None),
];

/// How much of the machine a layer may name.
#[derive(Clone, Copy, PartialEq)]
enum Bridge {
    None,
    /// What goes in and what comes out.
    Seams,
    All,
}

/// Dependencies that the pure layers may use; any other is I/O until somebody shows that it is not.
const PURE: &[(&str, &[&str])] = &[
    ("ids", &["serde"]),
    (
        "text",
        &[
            "serde",
            "thiserror",
            "unicode_segmentation",
            "unicode_normalization",
            // Tokens of HTML, from a text in memory.
            "html5gum",
            // Logins (SCRAM) and idents: arithmetic on bytes.
            "base64",
            "hmac",
            "pbkdf2",
            "sha2",
            "stringprep",
            "subtle",
        ],
    ),
    ("lanes", &[]),
    ("secret", &["serde", "subtle", "zeroize"]),
    ("bridge", &["irc", "governor"]),
];

/// What no pure layer may name, whoever offers it.
const IMPURE: &[&str] = &[
    "tokio",
    "sqlx",
    "axum",
    "reqwest",
    "tracing",
    "Instant::now",
    "SystemTime",
    "rand::",
    "std::net",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "async fn",
    "println!",
    "eprintln!",
];

/// A statement that names a table of another file: (file, table, reason).
const BORROWED_TABLES: &[(&str, &str, &str)] = &[
    ("src/store/members.rs", "portals", "members carry no network; the join finds it"),
    ("src/store/members.rs", "shared_portals", "the same, of further networks"),
    ("src/store/portals.rs", "inbox", "portals do not know when they were last heard; the join finds it"),
    ("src/store/wal.rs", "meta", "any table would do to make the log long; this one is always small"),
    ("src/store/tallies.rs", "inbox", "all figures of an audit are of one moment: one statement"),
    ("src/store/tallies.rs", "outbox", "the same"),
    (
        "src/store/tallies.rs",
        "dead_letters",
        "what an audit shows is read with its figures, without the text",
    ),
];

/// Tasks started outside `app`: (file, reason).
const SPAWNS: &[(&str, &str)] = &[
    ("src/store/mod.rs", "Store::open starts the one writer; a store without it is no store"),
    ("src/matrix/outbox/mod.rs", "Outbox::run owns its workers in a JoinSet that ends with it"),
    ("src/irc/identd.rs", "serve owns its guests in a JoinSet that ends with it"),
    ("src/cli/check.rs", "`bunraku check` answers one call of the homeserver; no bridge runs then"),
];

/// Files with more than [`LINES_MAX`] lines outside tests: (file, lines at most, reason). Only ever shorten this.
const LONG_FILES: &[(&str, usize, &str)] = &[
    (
        "src/bridge/channel/ledger.rs",
        500,
        "one algorithm whose steps are read together; its queues are in a file of their own already",
    ),
    ("src/store/db.rs", 450, "both databases side by side, so that a difference between them is seen"),
];

const LINES_MAX: usize = 400;

/// Enums that are matched without `_`: a new variant has to show every place to think.
const CLOSED_ENUMS: &[&str] = &["Input", "Effect", "Seen", "MatrixEvent", "Timer"];

// ---------------------------------------------------------------------------------------------------------
// The rules.

/// One breach: where, which rule, what to do.
#[derive(Debug)]
struct Finding {
    at: String,
    rule: &'static str,
    instead: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}: {}", self.at, self.rule, self.instead)
    }
}

fn finding(file: &Source, line: usize, rule: &'static str, instead: impl Into<String>) -> Finding {
    Finding { at: format!("{}:{line}", file.path), rule, instead: instead.into() }
}

/// (a) Layers know only what is below them.
fn layers(file: &Source) -> Vec<Finding> {
    let layer = file.layer();
    let Some((_, below, bridge)) = LAYERS.iter().find(|(name, ..)| *name == layer) else {
        return vec![finding(file, 1, "layers", format!("give the new layer {layer} a row in LAYERS"))];
    };
    let mut found = Vec::new();
    for (line, path) in file.own_paths() {
        let (target, part) = (path[0].as_str(), path.get(1).map(String::as_str));
        let allowed = match target {
            _ if target == layer || layer == "lib" => true,
            "bridge" => match bridge {
                Bridge::None => false,
                Bridge::Seams => matches!(part, Some("input" | "effect" | "media" | "errand")),
                Bridge::All => true,
            },
            _ => below.contains(&target),
        };
        if LAYERS.iter().any(|(name, ..)| *name == target) && !allowed {
            let words = format!(
                "{layer} may not use {}; hand the value over in app, or move the type to a layer below both",
                path.join("::")
            );
            found.push(finding(file, line, "layers", words));
        }
    }
    found
}

/// (b) The pure layers stay pure.
fn purity(file: &Source, dependencies: &BTreeSet<String>) -> Vec<Finding> {
    let Some((layer, allowed)) = PURE.iter().find(|(name, _)| *name == file.layer()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (line, text) in file.lines() {
        for word in IMPURE.iter().filter(|word| has_word(text, word)) {
            let words = format!("{layer} may not name {word}; let it come in as a parameter or an Input");
            found.push(finding(file, line, "purity", words));
        }
        for name in dependencies.iter().filter(|name| !allowed.contains(&name.as_str())) {
            if has_word(text, &format!("{name}::")) {
                let words =
                    format!("{layer} may not use the crate {name}; do it in an adapter, or add it to PURE");
                found.push(finding(file, line, "purity", words));
            }
        }
        if *layer == "bridge"
            && has_word(text, "irc::")
            && !text.contains("irc::proto")
            && !text.contains("crate::irc")
        {
            found.push(finding(file, line, "purity", "of the crate irc only proto is data"));
        }
    }
    found
}

/// (c) SQL lives in the file of `src/store` that owns the table.
fn sql(file: &Source, owners: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (line, text) in file.strings.iter().filter(|(line, text)| is_sql(text) && !file.is_test_line(*line)) {
        if file.layer() != "store" {
            found.push(finding(file, *line, "sql", "SQL belongs to src/store; give Store a method"));
            continue;
        }
        for table in tables_of(text) {
            let borrowed = |row: &&(&str, &str, &str)| row.0 == file.path && row.1 == table;
            match owners.get(&table) {
                Some(owner) if *owner != file.path && !BORROWED_TABLES.iter().any(|row| borrowed(&row)) => {
                    let words = format!("the table {table} belongs to {owner}; ask there");
                    found.push(finding(file, *line, "sql", words));
                }
                Some(_) | None => {}
            }
        }
    }
    found
}

/// (d) Only `app` starts tasks.
fn spawns(file: &Source) -> Vec<Finding> {
    if file.layer() == "app" || SPAWNS.iter().any(|(path, _)| *path == file.path) {
        return Vec::new();
    }
    let starts = ["tokio::spawn(", ".spawn(", "spawn_blocking(", "spawn_local(", "thread::spawn("];
    let hits = file.lines().filter(|(_, text)| starts.iter().any(|start| text.contains(start)));
    let words = "return a future and let app spawn it, or give the reason in SPAWNS";
    hits.map(|(line, _)| finding(file, line, "spawns", words)).collect()
}

/// (e) Nothing half done.
fn leftovers(file: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for (line, text) in file.lines() {
        if text.contains(".unwrap()") {
            let words = "say why it holds with expect, or handle it; unwrap is for tests";
            found.push(finding(file, line, "leftovers", words));
        }
    }
    for (index, text) in file.code.lines().enumerate() {
        for word in ["todo!", "unimplemented!", "dbg!"].iter().filter(|word| has_word(text, word)) {
            found.push(finding(file, index + 1, "leftovers", format!("{word} does not go in; finish it")));
        }
        if text.contains("#[ignore") {
            let words = "a test that does not run proves nothing; mend or remove it";
            found.push(finding(file, index + 1, "leftovers", words));
        }
    }
    for (index, text) in file.text.lines().enumerate() {
        let marks = ["TODO", "FIXME", "XXX"];
        for mark in marks.iter().filter(|mark| has_word(text, mark)) {
            found.push(finding(
                file,
                index + 1,
                "leftovers",
                format!("{mark}: do it now, or write an issue"),
            ));
        }
    }
    found
}

/// (f) A file says first what it is.
fn headers(file: &Source) -> Vec<Finding> {
    let words = "begin with //! and what the file is, what it never does";
    let lacks = !file.text.starts_with("//!");
    lacks.then(|| finding(file, 1, "headers", words)).into_iter().collect()
}

/// (g) Our own enums are matched in full.
fn closed_matches(file: &Source) -> Vec<Finding> {
    let names_closed =
        |pattern: &str| CLOSED_ENUMS.iter().any(|name| has_word(pattern, &format!("{name}::")));
    let mut found = Vec::new();
    for arms in matches_of(&file.tested()) {
        let arm_of_all = arms.iter().find(|(_, pattern)| is_catch_all(pattern));
        if let (Some((line, _)), true) = (arm_of_all, arms.iter().any(|(_, pattern)| names_closed(pattern))) {
            let words = "name the remaining variants, so that a new one shows this place";
            found.push(finding(file, *line, "closed matches", words));
        }
    }
    found
}

/// (j) Files stay short enough to be read.
fn lengths(files: &[Source], allowed: &[(&str, usize, &str)]) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in files {
        let lines = file.lines_outside_tests();
        let limit = allowed.iter().find(|(path, ..)| *path == file.path).map(|(_, lines, _)| *lines);
        if lines > limit.unwrap_or(LINES_MAX) {
            let words = format!("{lines} lines outside tests; divide it by its nouns");
            found.push(finding(file, 1, "lengths", words));
        }
        if limit.is_some() && lines <= LINES_MAX {
            found.push(finding(file, 1, "lengths", "short enough now: take it off LONG_FILES"));
        }
    }
    for (path, ..) in allowed.iter().filter(|(path, ..)| files.iter().all(|file| file.path != *path)) {
        let instead = "no such file: take it off LONG_FILES".to_owned();
        found.push(Finding { at: (*path).to_owned(), rule: "lengths", instead });
    }
    found
}

/// (i) The documents name files that are there.
fn doc_paths(document: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let roots = ["src/", "tests/", "schema/", "scripts/", "docs/", "benches/"];
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2);
        for path in quoted.filter(|path| roots.iter().any(|root| path.starts_with(root))) {
            let path = path.split([' ', ':']).next().unwrap_or(path);
            let is_pattern = path.contains(['*', '{', '<']) || path.contains("000N") || path.contains("NAME");
            if !is_pattern && !exists(path) {
                let at = format!("{document}:{}", index + 1);
                let instead = format!("{path} is not there; name the file as it is today");
                found.push(Finding { at, rule: "doc paths", instead });
            }
        }
    }
    found
}

// ---------------------------------------------------------------------------------------------------------
// A source file, taken apart.

/// One file: its text, the same with comments and strings blanked out, and its strings.
struct Source {
    path: String,
    text: String,
    /// Same lines and columns as `text`; comments, and what is inside quotes, are spaces.
    code: String,
    /// The line each string begins on, and what it holds.
    strings: Vec<(usize, String)>,
    /// For each line, whether it is test code.
    tests: Vec<bool>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let (code, strings) = blank(text);
        let tests = test_lines(&code, is_test_file(path));
        Self { path: path.to_owned(), text: text.to_owned(), code, strings, tests }
    }

    /// `bridge` of `src/bridge/x.rs`, `ids` of `src/ids.rs`.
    fn layer(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path);
        inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
    }

    /// How many modules deep the file's own module is below the crate's root.
    fn depth(&self) -> usize {
        let inside = self.path.strip_prefix("src/").unwrap_or(&self.path).trim_end_matches(".rs");
        inside.split('/').filter(|part| *part != "mod").count()
    }

    /// Lines of code outside tests, with their numbers.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.code.lines().enumerate().map(|(index, line)| (index + 1, line));
        numbered.filter(|(number, _)| !self.is_test_line(*number))
    }

    fn is_test_line(&self, line: usize) -> bool {
        self.tests.get(line - 1).copied().unwrap_or(false)
    }

    /// The code with test lines left empty.
    fn tested(&self) -> String {
        let lines = self.code.lines().enumerate();
        lines
            .map(|(index, line)| if self.is_test_line(index + 1) { "\n".into() } else { format!("{line}\n") })
            .collect()
    }

    fn lines_outside_tests(&self) -> usize {
        self.tests.iter().filter(|is_test| !**is_test).count()
    }

    /// Every path into our own crate, from its root on (at most two names), with its line.
    fn own_paths(&self) -> Vec<(usize, Vec<String>)> {
        let code = self.tested();
        let mut found = Vec::new();
        for root in ["crate::", "bunraku::"] {
            for at in words_at(&code, root) {
                for path in expand(&code[at + root.len()..]) {
                    found.push((line_of(&code, at), path));
                }
            }
        }
        let climb = "super::";
        for at in words_at(&code, climb) {
            let rest = &code[at..];
            let steps = rest.split(climb).take_while(|part| part.is_empty()).count();
            if !code[..at].ends_with(climb) && steps >= self.depth() {
                for path in expand(&rest[steps * climb.len()..]) {
                    found.push((line_of(&code, at), path));
                }
            }
        }
        found
    }
}

/// `tests.rs` and `testing.rs` are declared under `#[cfg(test)]`; [`test_files_are_declared_so`] holds that.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("/testing.rs")
}

/// Blanks comments and the inside of strings and characters; gives the strings.
fn blank(text: &str) -> (String, Vec<(usize, String)>) {
    let chars: Vec<char> = text.chars().collect();
    let (mut code, mut strings) = (String::with_capacity(text.len()), Vec::new());
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let end = token_end(&chars, at);
        let token: String = chars[at..end].iter().collect();
        let is_comment = token.starts_with("//") || token.starts_with("/*");
        let is_char = token.starts_with('\'');
        let quote = token.find('"').filter(|_| end - at > 1 && !is_comment && !is_char);
        if let Some(quote) = quote {
            strings.push((line, token[quote + 1..].trim_end_matches(['#', '"']).to_owned()));
        }
        if end - at == 1 {
            code.push_str(&token);
        } else {
            code.extend(token.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        }
        line += token.matches('\n').count();
        at = end;
    }
    (code, strings)
}

/// The end of the comment, string or character that begins at `at`; else the next place.
fn token_end(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let starts = |text: &str| text.chars().zip(rest).filter(|(a, b)| a == *b).count() == text.len();
    if starts("//") {
        return at + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
    }
    if starts("/*") {
        return at + comment_len(rest);
    }
    let is_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if !is_word && let Some(len) = raw_string_len(rest) {
        return at + len;
    }
    match rest[0] {
        '"' => at + quoted_len(rest, '"'),
        // A lifetime has no closing quote where a character has one.
        '\'' if rest.get(1) == Some(&'\\') || rest.get(2) == Some(&'\'') => at + quoted_len(rest, '\''),
        _ => at + 1,
    }
}

fn comment_len(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted_len(rest: &[char], quote: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `r"…"`, `r#"…"#`, `br"…"`.
fn raw_string_len(rest: &[char]) -> Option<usize> {
    let start = usize::from(rest[0] == 'b');
    if rest.get(start) != Some(&'r') {
        return None;
    }
    let hashes = rest[start + 1..].iter().take_while(|c| **c == '#').count();
    let body = start + 1 + hashes;
    if rest.get(body) != Some(&'"') {
        return None;
    }
    let closes = |at: usize| {
        rest[at] == '"' && rest[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    let end = (body + 1..rest.len()).find(|at| closes(*at)).unwrap_or(rest.len() - 1);
    Some((end + 1 + hashes).min(rest.len()))
}

/// For each line of blanked code: whether it stands under `#[cfg(test)]`.
fn test_lines(code: &str, whole: bool) -> Vec<bool> {
    let mut tests = vec![whole; code.lines().count()];
    for (start, _) in code.match_indices("#[cfg(test)]") {
        let end = start + item_len(&code[start..]);
        tests[line_of(code, start) - 1..line_of(code, end).min(code.lines().count())].fill(true);
    }
    tests
}

/// From an attribute to the end of its item: a `;`, or the brace that closes it.
fn item_len(code: &str) -> usize {
    let (mut depth, mut at) = (0_i32, 0);
    for (index, sign) in code.char_indices() {
        at = index;
        match sign {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' => depth -= 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return index;
                }
            }
            ';' if depth == 0 => return index,
            _ => {}
        }
    }
    at
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands as a word of its own, or as the beginning of a path.
fn words_at<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let ends = !word.ends_with(is_name) || !after.is_some_and(is_name);
        !before.is_some_and(is_name) && ends
    })
}

/// As [`words_at`], where no path leads to the word (`crate::irc` is not the crate `irc`).
fn has_word(text: &str, word: &str) -> bool {
    words_at(text, word).any(|at| !text[..at].ends_with("::") || word.contains("::") && !word.ends_with("::"))
}

/// The paths of a use tree or an expression, cut after two names: `a::{b::c, d}` gives `a::b`, `a::d`.
fn expand(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim_start();
    if let Some(inside) = tree.strip_prefix('{') {
        return branches(inside).into_iter().flat_map(expand).collect();
    }
    let name: String = tree.chars().take_while(|c| is_name(*c)).collect();
    if name.is_empty() {
        return Vec::new();
    }
    let Some(rest) = tree[name.len()..].strip_prefix("::") else { return vec![vec![name]] };
    let below: BTreeSet<String> =
        expand(rest).into_iter().filter_map(|path| path.into_iter().next()).collect();
    if below.is_empty() {
        return vec![vec![name]];
    }
    below.into_iter().map(|part| vec![name.clone(), part]).collect()
}

/// What stands between the commas of a group, up to its closing brace.
fn branches(inside: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, sign) in inside.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&inside[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inside[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

/// Every `match` of blanked code: its arms' patterns, each with its line.
fn matches_of(code: &str) -> Vec<Vec<(usize, String)>> {
    let mut all = Vec::new();
    for at in words_at(code, "match") {
        let Some(open) = open_brace(&code[at..]) else { continue };
        all.push(arms_of(code, at + open + 1));
    }
    all
}

/// The brace that opens the arms: the first one outside the scrutinee's brackets.
fn open_brace(code: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, sign) in code.char_indices() {
        match sign {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            '{' if depth == 0 => return Some(at),
            ';' if depth == 0 => return None,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn arms_of(code: &str, start: usize) -> Vec<(usize, String)> {
    let (mut arms, mut depth, mut from, mut in_pattern) = (Vec::new(), 0, start, true);
    let bytes = code.as_bytes();
    let mut at = start;
    while at < bytes.len() {
        match bytes[at] {
            b'=' if in_pattern && depth == 0 && bytes.get(at + 1) == Some(&b'>') => {
                let pattern = code[from..at].trim();
                let line = line_of(code, from + code[from..at].len() - code[from..at].trim_start().len());
                arms.push((line, pattern.to_owned()));
                in_pattern = false;
                at += 1;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b'}' if depth == 0 => break,
            b')' | b']' | b'}' => {
                depth -= 1;
                // A block as an arm's body needs no comma; what follows is the next arm, or goes on (`.await`).
                let next = code[at + 1..].trim_start().chars().next();
                let goes_on = matches!(next, Some('.' | '?' | ',' | ')' | '=' | '+' | '-' | '*' | '&'));
                if bytes[at] == b'}' && depth == 0 && !in_pattern && !goes_on {
                    (in_pattern, from) = (true, at + 1);
                }
            }
            b',' if depth == 0 && !in_pattern => (in_pattern, from) = (true, at + 1),
            _ => {}
        }
        at += 1;
    }
    arms
}

/// `_`, or a name that takes everything; one with a condition does not take everything.
fn is_catch_all(pattern: &str) -> bool {
    !pattern.is_empty()
        && pattern.chars().all(is_name)
        && !pattern.starts_with(char::is_uppercase)
        && !is_literal(pattern)
}

fn is_literal(pattern: &str) -> bool {
    pattern.starts_with(|c: char| c.is_ascii_digit()) || ["true", "false"].contains(&pattern)
}

/// Whether a string is a statement of SQL.
fn is_sql(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let begins = |first: &str, second: &[&str]| {
        words.windows(2).any(|pair| pair[0] == first && (second.is_empty() || second.contains(&pair[1])))
    };
    begins("INSERT", &["INTO", "OR"])
        || begins("DELETE", &["FROM"])
        || begins("CREATE", &["TABLE", "INDEX", "UNIQUE", "TEMP"])
        || begins("ALTER", &["TABLE"])
        || begins("DROP", &["TABLE", "INDEX"])
        || words.first() == Some(&"SELECT")
        || words.first() == Some(&"PRAGMA")
        || words.first() == Some(&"UPDATE") && words.contains(&"SET")
}

/// The tables a statement names.
fn tables_of(text: &str) -> BTreeSet<String> {
    let words: Vec<&str> = text.split(|c: char| !is_name(c)).filter(|word| !word.is_empty()).collect();
    let leads = ["FROM", "INTO", "UPDATE", "JOIN", "TABLE"];
    let named = words.windows(2).filter(|pair| leads.contains(&pair[0])).map(|pair| pair[1].to_owned());
    named.collect()
}

/// Which file owns a table: `-- inbox.rs: …` above `CREATE TABLE inbox (`.
fn table_owners(schema: &str) -> BTreeMap<String, String> {
    let (mut owner, mut owners) = (None, BTreeMap::new());
    for line in schema.lines() {
        if let Some(words) = line.strip_prefix("-- ") {
            let name = words.split([':', ' ']).next().unwrap_or_default();
            if name.ends_with(".rs") {
                owner = Some(format!("src/store/{name}"));
            }
        }
        if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
            let table = rest.split([' ', '(']).next().unwrap_or_default().to_owned();
            owners
                .insert(table, owner.take().unwrap_or_else(|| "nobody (name its file above it)".to_owned()));
        }
    }
    owners
}

// ---------------------------------------------------------------------------------------------------------
// The house as it stands.

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()))
}

/// All files below a folder with this ending, in order.
fn files_below(folder: &str, ending: &str) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![root().join(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for entry in entries {
            let path = entry.expect("a folder that can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn sources(folder: &str) -> Vec<Source> {
    let relative =
        |path: &Path| path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
    let files: Vec<Source> =
        files_below(folder, ".rs").iter().map(|path| Source::new(&relative(path), &read(path))).collect();
    assert!(!files.is_empty(), "{folder} has no Rust file: the rules would hold for nothing");
    files
}

fn schema() -> String {
    files_below("schema/sqlite", ".sql").iter().map(|path| read(path)).collect()
}

/// Names of the crates in Cargo.toml, as code spells them.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
        } else if let (true, Some((name, _))) = (inside, line.split_once(" = ")) {
            names.insert(name.trim().replace('-', "_"));
        }
    }
    names
}

/// Fails with all findings at once.
fn hold(found: Vec<Finding>) {
    let lines: Vec<String> = found.iter().map(Finding::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

fn hold_in_src(rule: impl Fn(&Source) -> Vec<Finding>) {
    hold(sources("src").iter().flat_map(rule).collect());
}

#[test]
fn layers_know_only_what_is_below_them() {
    hold_in_src(layers);
}

#[test]
fn the_pure_layers_stay_pure() {
    let dependencies = dependencies(&read(&root().join("Cargo.toml")));
    hold_in_src(|file| purity(file, &dependencies));
}

#[test]
fn sql_is_in_the_file_that_owns_the_table() {
    let owners = table_owners(&schema());
    for owner in owners.values() {
        assert!(root().join(owner).is_file(), "schema/sqlite names {owner}, which is not there");
    }
    hold_in_src(|file| sql(file, &owners));
}

#[test]
fn only_the_app_starts_tasks() {
    hold_in_src(spawns);
}

#[test]
fn nothing_is_half_done() {
    hold_in_src(leftovers);
    // This file has to name what it looks for.
    let others =
        sources("tests").into_iter().chain(sources("benches")).filter(|file| file.path != "tests/tidy.rs");
    let found = others.flat_map(|mut file| {
        file.tests.fill(true);
        leftovers(&file)
    });
    hold(found.collect());
}

#[test]
fn every_file_says_what_it_is() {
    hold_in_src(headers);
}

#[test]
fn our_enums_are_matched_in_full() {
    hold_in_src(closed_matches);
}

#[test]
fn files_are_short_enough_to_read() {
    hold(lengths(&sources("src"), LONG_FILES));
}

/// A row that nothing needs any more would let the next breach in unseen.
#[test]
fn every_exception_is_still_needed() {
    let files = sources("src");
    let file =
        |path: &str| files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}"));
    for (path, _) in SPAWNS {
        assert!(
            file(path).lines().any(|(_, text)| text.contains("spawn(")),
            "{path} starts no task: remove its row"
        );
    }
    for (path, table, _) in BORROWED_TABLES {
        let borrows =
            file(path).strings.iter().any(|(_, text)| is_sql(text) && tables_of(text).contains(*table));
        assert!(borrows, "{path} does not name {table}: remove its row");
    }
}

#[test]
fn test_files_are_declared_so() {
    let files = sources("src");
    for file in files.iter().filter(|file| is_test_file(&file.path)) {
        let (folder, name) = file.path.rsplit_once('/').expect("below src");
        let declaration = format!("#[cfg(test)]\nmod {};", name.trim_end_matches(".rs"));
        let parents = [format!("{folder}/mod.rs"), format!("{folder}.rs")];
        let parent = files.iter().find(|file| parents.contains(&file.path)).expect("a parent module");
        assert!(parent.text.contains(&declaration), "{} must say {declaration:?}", parent.path);
    }
}

#[test]
fn both_databases_have_the_same_tables() {
    let names = |schema: &str| table_owners(schema).into_keys().collect::<Vec<_>>();
    let postgres: String = files_below("schema/postgres", ".sql").iter().map(|path| read(path)).collect();
    assert_eq!(names(&schema()), names(&postgres));
}

#[test]
fn the_documents_name_files_that_are_there() {
    let mut documents = files_below("docs", ".md");
    documents.push(root().join("README.md"));
    for name in ["ARCHITECTURE", "GLOSSARY", "STYLE", "OPERATING", "TESTING"] {
        assert!(documents.contains(&root().join(format!("docs/{name}.md"))), "docs/{name}.md is missing");
    }
    let found = documents.iter().flat_map(|path| {
        let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
        doc_paths(&name, &read(path), |path| root().join(path).exists())
    });
    hold(found.collect());
}

/// A command that no document explains cannot be found by those who run the bridge.
#[test]
fn every_command_is_in_the_operating_manual() {
    let code = Source::new("src/cli.rs", &read(&root().join("src/cli.rs"))).code;
    let body =
        code.split("enum Command {").nth(1).and_then(|rest| rest.split('}').next()).expect("the commands");
    let names: Vec<String> =
        body.split(',').filter_map(|arm| arm.trim().split('(').next()).map(str::to_lowercase).collect();
    let manual = read(&root().join("docs/OPERATING.md"));
    assert!(names.iter().any(|name| name == "run"), "the commands were not found: {names:?}");
    for name in names.iter().filter(|name| !name.is_empty()) {
        assert!(
            manual.contains(&format!("bunraku {name}")),
            "docs/OPERATING.md does not explain bunraku {name}"
        );
    }
}

#[test]
fn the_code_is_formatted() {
    let formatted = Command::new(env!("CARGO")).args(["fmt", "--check"]).current_dir(root()).output();
    let output = formatted.expect("cargo starts");
    let words = String::from_utf8_lossy(&output.stderr);
    let missing = ["no such command", "is not installed", "Could not run rustfmt"];
    if missing.iter().any(|sign| words.contains(sign)) {
        println!("skipped: rustfmt is not installed here; rustup component add rustfmt");
        return;
    }
    let diff = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "run cargo fmt:\n{diff}{words}");
}

// ---------------------------------------------------------------------------------------------------------
// Each rule can fail.

/// The findings of a rule on one made-up file, as `line rule`.
fn check(rule: impl Fn(&Source) -> Vec<Finding>, path: &str, text: &str, expected: &[usize]) {
    let found = rule(&Source::new(path, text));
    let lines: Vec<usize> = found
        .iter()
        .map(|finding| finding.at.rsplit(':').next().expect("a line").parse().expect("a number"))
        .collect();
    assert_eq!(lines, expected, "{path}:\n{text}\n{found:?}");
}

#[test]
fn a_forbidden_edge_is_found_however_it_is_written() {
    check(layers, "src/bridge/portal/mod.rs", "use crate::store::Store;\n", &[1]);
    check(layers, "src/bridge/portal/mod.rs", "fn f() {\n    crate::app::run();\n}\n", &[2]);
    check(layers, "src/bridge/portal/birth.rs", "use super::super::super::irc::dial;\n", &[1]);
    check(
        layers,
        "src/store/inbox.rs",
        "use crate::{bridge::{input::Input, network::Network}, ids::Nick};\n",
        &[1],
    );
    check(layers, "src/matrix/mod.rs", "use crate::irc::framer::Framer;\nuse crate::config;\n", &[1, 2]);
    check(layers, "src/text/line.rs", "use crate::bridge::effect::Effect;\n", &[1]);
    check(layers, "src/cli/run.rs", "use bunraku::bridge::effect::Effect;\n", &[1]);
    check(layers, "src/vault.rs", "use crate::store::Store;\n", &[1]);
    check(layers, "src/irc/dial.rs", "use crate::vault::Vault;\n", &[1]);
    check(layers, "src/webhooks/mod.rs", "\n", &[1]);

    check(layers, "src/store/inbox.rs", "use crate::bridge::input::Input;\nuse super::Store;\n", &[]);
    check(layers, "src/bridge/network/say.rs", "use super::super::effect::Effect;\n", &[]);
    check(layers, "src/bridge/mod.rs", "//! See crate::store.\n// crate::app\n/* crate::irc */\n", &[]);
    check(layers, "src/bridge/x.rs", "#[cfg(test)]\nmod tests {\n    use crate::store::Store;\n}\n", &[]);
    check(layers, "src/app/run.rs", "use crate::{irc::dial, matrix, store::Store};\n", &[]);
}

#[test]
fn what_is_impure_is_found() {
    let crates: BTreeSet<String> = ["tokio", "irc", "regex", "rand"].into_iter().map(str::to_owned).collect();
    let rule = |file: &Source| purity(file, &crates);
    check(rule, "src/bridge/x.rs", "use std::time::Instant;\nlet now = Instant::now();\n", &[2]);
    check(rule, "src/bridge/x.rs", "use irc::client::Client;\n", &[1]);
    check(rule, "src/text/x.rs", "let text = std::fs::read(path);\n", &[1]);
    check(rule, "src/text/x.rs", "use regex::Regex;\n", &[1]);
    check(rule, "src/ids.rs", "async fn wait() {}\n", &[1]);
    check(rule, "src/lanes.rs", "tracing::info!(\"full\");\n", &[1]);

    check(
        rule,
        "src/bridge/x.rs",
        "// tokio, SystemTime\nuse irc::proto::Response;\nuse crate::text::irc_codes;\n",
        &[],
    );
    check(rule, "src/bridge/x.rs", "let words = \"tokio::spawn\";\nlet tokios = 3;\n", &[]);
    check(rule, "src/app/clock.rs", "let now = Instant::now();\n", &[]);
}

#[test]
fn sql_in_the_wrong_place_is_found() {
    let owners = table_owners(
        "-- inbox.rs: rows\nCREATE TABLE inbox (\n);\n-- portals.rs\nCREATE TABLE portals (\n);\n",
    );
    let rule = |file: &Source| sql(file, &owners);
    check(rule, "src/app/host.rs", "\nlet q = \"SELECT seq FROM inbox\";\n", &[2]);
    check(rule, "src/store/outbox.rs", "const Q: &str = \"DELETE FROM inbox WHERE seq = $1\";\n", &[1]);
    check(rule, "src/store/outbox.rs", "const Q: &str = r#\"SELECT 1 FROM a JOIN portals ON x\"#;\n", &[1]);

    check(rule, "src/store/inbox.rs", "const Q: &str = \"DELETE FROM inbox\";\n", &[]);
    check(
        rule,
        "src/store/members.rs",
        "const Q: &str = \"SELECT a FROM members JOIN portals ON b\";\n",
        &[],
    );
    check(rule, "src/app/host.rs", "let words = \"JOIN #rust\"; // SELECT seq FROM inbox\n", &[]);
    check(rule, "src/store/outbox.rs", "#[cfg(test)]\nconst Q: &str = \"DELETE FROM inbox\";\n", &[]);
    assert_eq!(owners["portals"], "src/store/portals.rs");
}

#[test]
fn a_task_started_elsewhere_is_found() {
    check(spawns, "src/irc/dial.rs", "tokio::spawn(work);\nself.tasks.spawn(work);\n", &[1, 2]);
    check(
        spawns,
        "src/irc/dial.rs",
        "#[cfg(test)]\nmod tests {\n    fn f() { tokio::spawn(work); }\n}\n",
        &[],
    );
    check(spawns, "src/app/run.rs", "tokio::spawn(work);\n", &[]);
}

#[test]
fn what_is_half_done_is_found() {
    check(leftovers, "src/irc/dial.rs", "let a = b.unwrap();\ntodo!();\ndbg!(a);\n", &[1, 2, 3]);
    check(
        leftovers,
        "src/irc/dial.rs",
        "// TODO later\n#[cfg(test)]\n#[ignore]\nfn f() { unimplemented!() }\n",
        &[3, 4, 1],
    );
    check(
        leftovers,
        "src/irc/dial.rs",
        "#[cfg(test)]\nfn f() { a.unwrap(); }\nb.unwrap_or_default();\n",
        &[],
    );
}

#[test]
fn a_file_without_a_header_is_found() {
    check(headers, "src/irc/dial.rs", "use std::io;\n", &[1]);
    check(headers, "src/irc/dial.rs", "//! Dials.\n", &[]);
}

#[test]
fn an_open_match_on_a_closed_enum_is_found() {
    let open = "fn f() {\n    match input {\n        Input::Started => a,\n        Input::Line { x } => {\n            b\n        }\n        _ => c,\n    }\n}\n";
    check(closed_matches, "src/bridge/x.rs", open, &[7]);
    check(
        closed_matches,
        "src/bridge/x.rs",
        "match e { Effect::Send(x) => f(x), other => g(other) }\n",
        &[1],
    );
    let nested = "match a {\n    1 => match seen {\n        Some(Seen::Ready) => 1,\n        _ => 2,\n    },\n    _ => 3,\n}\n";
    check(closed_matches, "src/bridge/x.rs", nested, &[4]);

    let inner = "match seen {\n    Seen::Quit { who } => match who { 1 => 2, _ => 3 },\n    Seen::Ready | Seen::Supports => 4,\n}\n";
    check(closed_matches, "src/bridge/x.rs", inner, &[]);
    check(
        closed_matches,
        "src/bridge/x.rs",
        "match x { Some(1) => Input::Started, _ => Input::Stopping }\n",
        &[],
    );
    check(closed_matches, "src/bridge/x.rs", "match t { \"{\" => Some(Seen::Ready), _ => None }\n", &[]);
    check(closed_matches, "src/bridge/x.rs", "match s { Seen::Ready if late => 1, Seen::Ready => 2 }\n", &[]);
}

#[test]
fn a_long_file_and_an_idle_exception_are_found() {
    let long = Source::new("src/irc/dial.rs", &"let a = 1;\n".repeat(LINES_MAX + 1));
    let text = format!("let a = 1;\n#[cfg(test)]\nmod tests {{\n{}}}\n", "let a = 1;\n".repeat(LINES_MAX));
    let short = Source::new("src/irc/tls.rs", &text);
    let files = [long, short];
    let found = |allowed: &[(&str, usize, &str)]| {
        lengths(&files, allowed).into_iter().map(|finding| finding.at).collect::<Vec<_>>()
    };
    assert_eq!(found(&[]), ["src/irc/dial.rs:1"]);
    assert_eq!(found(&[("src/irc/dial.rs", 500, "")]), Vec::<String>::new());
    let idle = [("src/irc/dial.rs", 400, ""), ("src/irc/tls.rs", 500, ""), ("src/irc/gone.rs", 500, "")];
    assert_eq!(found(&idle), ["src/irc/dial.rs:1", "src/irc/tls.rs:1", "src/irc/gone.rs"]);
}

#[test]
fn a_path_that_is_not_there_is_found_in_a_document() {
    let text = "See `src/ids.rs` and `src/gone.rs`.\n`schema/sqlite/000N_what.sql`, `tests/sim: a folder`, `$NICK`\n";
    let found = doc_paths("docs/X.md", text, |path| path == "src/ids.rs");
    let places: Vec<&str> = found.iter().map(|finding| finding.at.as_str()).collect();
    assert_eq!(places, ["docs/X.md:1", "docs/X.md:2"]);
}

#[test]
fn strings_comments_and_lifetimes_are_told_apart() {
    let text = "let a: &'static str = \"x // y\"; // 'z\nlet q = '\"'; let r = r#\"a\"b\"#; /* \"no\" /* x */ */ let b = b'\\'';\n";
    let (code, strings) = blank(text);
    assert_eq!(strings, [(1, "x // y".to_owned()), (2, "a\"b".to_owned())]);
    assert_eq!(code.lines().count(), 2);
    assert!(code.contains("&'static str") && code.contains("let b = b"), "{code}");
    assert!(!code.contains(['"', 'y', 'z']), "{code}");
}
