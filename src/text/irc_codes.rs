//! What IRC clients hide inside the text of a message: mIRC formatting codes and CTCP.
//!
//! Nothing here fails: a broken code is dropped, an unclosed CTCP ends with the text.

/// What a PRIVMSG or NOTICE text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ctcp<'a> {
    /// Plain text.
    None,
    /// `/me`: the text that follows the name.
    Action(&'a str),
    /// Any other request or answer, also one without a verb; never to be shown as text.
    Other {
        /// As written; compare without letter case.
        verb: &'a str,
        rest: &'a str,
    },
}

/// Tells text from CTCP: CTCP starts with `\x01`, and runs to the next `\x01` or the end.
pub fn parse_ctcp(text: &str) -> Ctcp<'_> {
    let Some(inner) = text.strip_prefix('\u{1}') else { return Ctcp::None };
    let inner = inner.split('\u{1}').next().unwrap_or_default();
    let (verb, rest) = inner.split_once(' ').unwrap_or((inner, ""));
    if verb.eq_ignore_ascii_case("ACTION") { Ctcp::Action(rest) } else { Ctcp::Other { verb, rest } }
}

/// True for the characters that start an mIRC formatting code.
pub fn is_code(c: char) -> bool {
    matches!(c, '\u{2}' | '\u{3}' | '\u{4}' | '\u{f}' | '\u{11}' | '\u{16}' | '\u{1d}' | '\u{1e}' | '\u{1f}')
}

/// The text without mIRC formatting: bold, italic, underline, strike, monospace, reverse, reset, and colours
/// with their numbers. Never longer than `text`.
pub fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_code) {
        out.push_str(&rest[..at]);
        let code = rest[at..].chars().next().expect("find gave the place of a character");
        let after = &rest[at + code.len_utf8()..];
        rest = match code {
            '\u{3}' => skip_pair(after, decimal_len),
            '\u{4}' => skip_pair(after, hex_len),
            _ => after,
        };
    }
    out.push_str(rest);
    out
}

/// What follows `fg` or `fg,bg`. A comma without a second colour is text.
fn skip_pair(text: &str, colour_len: fn(&str) -> usize) -> &str {
    let first = colour_len(text);
    let rest = &text[first..];
    let second = rest.strip_prefix(',').filter(|_| first > 0).map_or(0, colour_len);
    if second > 0 { &rest[1 + second..] } else { rest }
}

/// 0 to 2: how many of the first characters are digits.
fn decimal_len(text: &str) -> usize {
    text.bytes().take(2).take_while(u8::is_ascii_digit).count()
}

/// 6 when `RRGGBB` comes first, else 0.
fn hex_len(text: &str) -> usize {
    let len = text.bytes().take(6).take_while(u8::is_ascii_hexdigit).count();
    if len == 6 { 6 } else { 0 }
}
