//! One IRC line: parsed from text, and built so that no field can become another.
//!
//! Parsing takes what servers really send (double spaces, missing sources, 1,000 parameters) and never
//! fails for more than a missing command. Building is the last gate before the wire: whatever the fields
//! hold, the result is one line with the command that was meant. Line endings belong to the framer.

/// Most parameters kept apart; what follows stays in the last one. RFC 2812 knows 15, servers send more.
pub const PARAMS_MAX: usize = 64;

/// One IRC line, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// In the order of the line. A key may stand twice: [`Line::tag`] gives the last, as IRCv3 asks.
    pub tags: Vec<Tag>,
    pub source: Option<Source>,
    /// In capitals after [`Line::parse`] and [`Line::new`].
    pub command: String,
    pub params: Vec<String>,
}

/// One IRCv3 message tag, value unescaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub key: String,
    /// `None` for a tag without a value and for one with an empty value: IRCv3 calls them equal.
    pub value: Option<String>,
}

/// Who a line comes from: a server, or `nick!user@host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub user: Option<String>,
    pub host: Option<String>,
}

impl Line {
    /// A line of ours, without tags and source.
    pub fn new(command: &str, params: &[&str]) -> Self {
        Self {
            tags: Vec::new(),
            source: None,
            command: command.to_ascii_uppercase(),
            params: params.iter().map(|&param| param.to_owned()).collect(),
        }
    }

    /// Reads one line (RFC 1459 section 2.3.1, IRCv3 "Message Tags"), with or without its line ending.
    /// `None` when there is no command. Only the space separates: a tab is part of a word.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim_end_matches(['\r', '\n']).trim_start_matches(' ');
        let mut tags = Vec::new();
        let mut source = None;
        if let Some(tagged) = rest.strip_prefix('@') {
            let (word, after) = next_word(tagged);
            tags = word.split(';').filter_map(Tag::parse).collect();
            rest = after;
        }
        if let Some(sourced) = rest.strip_prefix(':') {
            let (word, after) = next_word(sourced);
            source = (!word.is_empty()).then(|| Source::parse(word));
            rest = after;
        }
        let (command, rest) = next_word(rest);
        if command.is_empty() {
            return None;
        }
        Some(Self { tags, source, command: command.to_ascii_uppercase(), params: parse_params(rest) })
    }

    /// The line as it goes on the wire, without line ending.
    ///
    /// Whatever the fields hold, the result has no CR, LF or NUL (they are dropped), and no field can
    /// change another or the command:
    /// - a parameter before the last becomes `_` when empty; its spaces, and a `:` at its start, become `_`;
    /// - a command keeps its letters and digits only; without any, the result is empty and does nothing;
    /// - a tag keeps the letters, digits and `+ - . / _` of its key, and is left out when none remain;
    /// - spaces in a source, and `!` or `@` where they would move its parts, become `_`.
    pub fn build(&self) -> String {
        let command: String = self.command.chars().filter(char::is_ascii_alphanumeric).collect();
        if command.is_empty() {
            return String::new();
        }
        let mut out = String::new();
        push_tags(&mut out, &self.tags);
        if let Some(source) = &self.source {
            source.push_to(&mut out);
        }
        out.push_str(&command);
        if let Some((last, middle)) = self.params.split_last() {
            middle.iter().for_each(|param| push_middle(&mut out, param));
            push_last(&mut out, last);
        }
        out
    }

    /// The parameter at this place, counted from 0; empty when the line has none there.
    pub fn param(&self, index: usize) -> &str {
        self.params.get(index).map_or("", String::as_str)
    }

    /// The value of a tag: empty when it has none, `None` when the line does not bear it.
    pub fn tag(&self, key: &str) -> Option<&str> {
        let tag = self.tags.iter().rfind(|tag| tag.key == key)?;
        Some(tag.value.as_deref().unwrap_or_default())
    }
}

impl Source {
    /// Reads `nick!user@host`, each of the last two optional. Never fails: all that stands before `!`
    /// and `@` is the name. An empty part counts as missing.
    pub fn parse(text: &str) -> Self {
        let (left, host) = cut_at(text, '@');
        let (name, user) = cut_at(left, '!');
        let part = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        Self { name: name.to_owned(), user: part(user), host: part(host) }
    }

    /// Adds `:name!user@host `, or nothing when there is nothing in it.
    fn push_to(&self, out: &mut String) {
        let safe = |text: &str, bad: &[char]| -> String {
            wire_chars(text).map(|c| if bad.contains(&c) { '_' } else { c }).collect()
        };
        let name = safe(&self.name, &[' ', '!', '@']);
        let user = safe(self.user.as_deref().unwrap_or_default(), &[' ', '@']);
        let host = safe(self.host.as_deref().unwrap_or_default(), &[' ']);
        if name.is_empty() && user.is_empty() && host.is_empty() {
            return;
        }
        out.push(':');
        out.push_str(&name);
        for (sign, part) in [('!', user), ('@', host)] {
            if !part.is_empty() {
                out.push(sign);
                out.push_str(&part);
            }
        }
        out.push(' ');
    }
}

impl Tag {
    /// Reads `key` or `key=value`; `None` for an empty key.
    fn parse(text: &str) -> Option<Self> {
        let (key, value) = cut_at(text, '=');
        let value = unescape(value);
        (!key.is_empty()).then(|| Self { key: key.to_owned(), value: (!value.is_empty()).then_some(value) })
    }
}

/// Makes any text fit for a field of one line: what ends a line somewhere (CR, LF, VT, FF, U+0085, U+2028,
/// U+2029) becomes a space, CR LF one space; NUL is dropped.
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_cr = false;
    for c in text.chars() {
        match c {
            '\0' => {}
            '\n' if after_cr => {}
            '\r' | '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => out.push(' '),
            other => out.push(other),
        }
        after_cr = c == '\r';
    }
    out
}

/// The first word, and what follows after the spaces behind it.
fn next_word(text: &str) -> (&str, &str) {
    let (word, rest) = cut_at(text, ' ');
    (word, rest.trim_start_matches(' '))
}

/// The two sides of the first `sign`; the second is empty when there is none.
fn cut_at(text: &str, sign: char) -> (&str, &str) {
    text.split_once(sign).unwrap_or((text, ""))
}

fn parse_params(mut rest: &str) -> Vec<String> {
    let mut params = Vec::new();
    while !rest.is_empty() {
        let last = rest.strip_prefix(':');
        if last.is_some() || params.len() + 1 == PARAMS_MAX {
            // The place for a last parameter without ':' may hold one word and the spaces behind it.
            params.push(last.unwrap_or_else(|| rest.trim_end_matches(' ')).to_owned());
            break;
        }
        let (word, after) = next_word(rest);
        params.push(word.to_owned());
        rest = after;
    }
    params
}

/// Characters that may be on the wire inside a line.
fn wire_chars(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().filter(|c| !matches!(c, '\r' | '\n' | '\0'))
}

fn push_tags(out: &mut String, tags: &[Tag]) {
    let mut lead = '@';
    for tag in tags {
        let legal = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '/' | '_');
        let key: String = tag.key.chars().filter(legal).collect();
        if key.is_empty() {
            continue;
        }
        out.push(lead);
        out.push_str(&key);
        let value = escaped(tag.value.as_deref().unwrap_or_default());
        if !value.is_empty() {
            out.push('=');
            out.push_str(&value);
        }
        lead = ';';
    }
    if lead == ';' {
        out.push(' ');
    }
}

/// A tag value with IRCv3 escapes. NUL has none and is dropped, so a value of nothing else is none.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            ';' => out.push_str("\\:"),
            ' ' => out.push_str("\\s"),
            '\\' => out.push_str("\\\\"),
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\0' => {}
            other => out.push(other),
        }
    }
    out
}

/// Takes IRCv3 escapes out of a tag value. A backslash before any other character, or at the end, is dropped.
fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(':') => out.push(';'),
            Some('s') => out.push(' '),
            Some('r') => out.push('\r'),
            Some('n') => out.push('\n'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

fn push_middle(out: &mut String, param: &str) {
    out.push(' ');
    let start = out.len();
    for c in wire_chars(param) {
        let cannot = c == ' ' || (c == ':' && out.len() == start);
        out.push(if cannot { '_' } else { c });
    }
    if out.len() == start {
        out.push('_');
    }
}

fn push_last(out: &mut String, param: &str) {
    let param: String = wire_chars(param).collect();
    out.push(' ');
    if param.is_empty() || param.starts_with(':') || param.contains(' ') {
        out.push(':');
    }
    out.push_str(&param);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn params(line: &Line) -> Vec<&str> {
        line.params.iter().map(String::as_str).collect()
    }

    #[test]
    fn a_full_line_is_read_and_written_back_the_same() {
        let text = "@+draft/reply=x\\sy;k :nick!user@host PRIVMSG #a :hello  there ";
        let line = Line::parse(text).unwrap();
        assert_eq!((line.tag("+draft/reply"), line.tag("k"), line.tag("z")), (Some("x y"), Some(""), None));
        let source = line.source.clone().unwrap();
        assert_eq!((source.name.as_str(), source.user.as_deref()), ("nick", Some("user")));
        assert_eq!(source.host.as_deref(), Some("host"));
        assert_eq!((line.param(0), line.param(1), line.param(2)), ("#a", "hello  there ", ""));
        assert_eq!(line.build(), text);
    }

    #[test]
    fn sloppy_servers_are_understood() {
        let line = Line::parse("  :srv  mode   #a  +o  x  \r\n").unwrap();
        assert_eq!((line.command.as_str(), params(&line)), ("MODE", vec!["#a", "+o", "x"]));
        for nothing in ["", " ", "\r\n", ":only.source", ":", "@a=b", "@a :src", "@", "@ : "] {
            assert_eq!(Line::parse(nothing), None, "{nothing:?}");
        }
        assert_eq!(Line::parse("@a=1;a=2 X").unwrap().tag("a"), Some("2"));
    }

    #[test]
    fn a_thousand_parameters_are_kept_in_sixty_four() {
        let line = Line::parse(&format!("X{}", " p".repeat(1_000))).unwrap();
        assert_eq!((line.params.len(), line.param(62)), (PARAMS_MAX, "p"));
        assert_eq!(line.param(63), "p ".repeat(937).trim_end());
    }

    #[test]
    fn no_parameter_can_become_another() {
        let line = Line::new("kick", &["#a b", "", ":x y", "why\r\nQUIT\0"]);
        assert_eq!(line.build(), "KICK #a_b _ _x_y whyQUIT");
        assert_eq!(Line::new("AWAY", &[""]).build(), "AWAY :");
        assert_eq!(Line::new("", &["QUIT"]).build(), "");
        assert_eq!(Line::new("X\nQUIT y", &[]).build(), "XQUITY");
    }

    #[test]
    fn a_tag_value_of_nothing_that_can_be_written_is_none() {
        let tag = Tag { key: "a".into(), value: Some("\0".into()) };
        let line = Line { tags: vec![tag], ..Line::new("x", &[]) };
        assert_eq!(line.build(), "@a X");
    }

    #[test]
    fn a_cleaned_text_is_one_line_with_the_words_apart() {
        assert_eq!(clean("a\r\nb\nc\rd\u{2028}e\u{85}f\0g\r\rh"), "a b c d e fg  h");
        assert_eq!(clean("\r\n\n"), "  ");
    }

    /// Text with a heavy share of what has a meaning on the wire.
    fn hostile() -> impl Strategy<Value = String> {
        let signs = prop::sample::select(" :@!;=\\\r\n\0\u{1}\t*,#".chars().collect::<Vec<_>>());
        prop::collection::vec(prop_oneof![signs, prop::char::range('a', 'd'), any::<char>()], 0..8)
            .prop_map(|chars| chars.into_iter().collect())
    }

    fn any_line() -> impl Strategy<Value = Line> {
        let tag = (hostile(), prop::option::of(hostile())).prop_map(|(key, value)| Tag { key, value });
        let source = (hostile(), prop::option::of(hostile()), prop::option::of(hostile()))
            .prop_map(|(name, user, host)| Source { name, user, host });
        let params = prop::collection::vec(hostile(), 0..6);
        (prop::collection::vec(tag, 0..4), prop::option::of(source), hostile(), params)
            .prop_map(|(tags, source, command, params)| Line { tags, source, command, params })
    }

    fn on_wire(text: &str) -> String {
        wire_chars(text).collect()
    }

    proptest! {
        #[test]
        fn any_fields_build_one_line_with_the_meant_command_and_places(line in any_line()) {
            let built = line.build();
            prop_assert!(!built.contains(['\r', '\n', '\0']));
            let command: String = line.command.chars().filter(char::is_ascii_alphanumeric).collect();
            if command.is_empty() {
                prop_assert_eq!(built, "");
                return Ok(());
            }
            let read = Line::parse(&built).unwrap();
            prop_assert_eq!(&read.command, &command.to_ascii_uppercase());
            prop_assert_eq!(read.params.len(), line.params.len());
            if let Some((last, middle)) = line.params.split_last() {
                prop_assert_eq!(read.params.last().unwrap(), &on_wire(last));
                for (read, meant) in read.params.iter().zip(middle) {
                    let meant = on_wire(meant);
                    let expressible = !meant.is_empty() && !meant.contains(' ') && !meant.starts_with(':');
                    prop_assert!(*read == meant || !expressible);
                }
            }
            // What was read is in its plainest form: from here on it survives unchanged.
            let mut capital = read.clone();
            capital.command = command;
            prop_assert_eq!(capital.build(), built);
            prop_assert_eq!(Line::parse(&read.build()).unwrap(), read);
        }

        #[test]
        fn parts_of_a_source_keep_their_place(line in any_line()) {
            let Some(source) = line.source.clone() else { return Ok(()) };
            let read = Line { command: "X".into(), ..line }.build();
            let read = Line::parse(&read).unwrap().source;
            let plain = |text: &str| !text.is_empty() && !text.contains([' ', '!', '@', '\r', '\n', '\0']);
            if plain(&source.name) {
                prop_assert_eq!(&read.as_ref().unwrap().name, &source.name);
            }
            if let Some(host) = source.host.filter(|host| plain(host)) {
                prop_assert_eq!(read.unwrap().host, Some(host));
            }
        }

        #[test]
        fn any_text_is_read_without_panic_and_what_is_read_survives(text in hostile(), more in "\\PC*") {
            let (full, short) = (format!("@{text} :{more} {text}"), format!("X {text}{more}"));
            for text in [&text, &more, &full, &short] {
                if let Some(line) = Line::parse(text) {
                    prop_assert!(!line.command.is_empty() && line.params.len() <= PARAMS_MAX);
                    prop_assert!(!line.build().contains(['\r', '\n', '\0']));
                }
            }
            let line_ends = ['\r', '\n', '\0', '\u{85}', '\u{2028}', '\u{2029}'];
            prop_assert!(!clean(&text).contains(line_ends));
        }
    }
}
