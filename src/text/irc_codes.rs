//! What IRC clients hide inside the text of a message: mIRC formatting codes and CTCP.
//!
//! Nothing here fails: a broken code is dropped, an unclosed CTCP ends with the text.

pub(super) mod codes;
mod read;
mod write;

pub use read::read;
pub use write::{Codes, write};

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formatting_goes_and_text_stays() {
        assert_eq!(strip("\u{2}bold\u{2} \u{1d}i\u{1d}\u{f} \u{11}m\u{1e}s\u{1f}u\u{16}r"), "bold i msur");
        assert_eq!(strip("\u{3}04,12red\u{3} \u{3}4,x \u{3}123 \u{3},5"), "red ,x 3 ,5");
        assert_eq!(strip("\u{4}ff0000,00FF00hex \u{4}12345 \u{4}"), "hex 12345 ");
        assert_eq!(strip("\u{3}99,99"), "");
        assert_eq!(strip("\u{3}é,1"), "é,1");
    }

    #[test]
    fn ctcp_is_told_from_text() {
        assert_eq!(parse_ctcp("hello"), Ctcp::None);
        assert_eq!(parse_ctcp("\u{1}ACTION waves \u{1}"), Ctcp::Action("waves "));
        assert_eq!(parse_ctcp("\u{1}action"), Ctcp::Action(""));
        assert_eq!(parse_ctcp("\u{1}PING 1 2\u{1}junk"), Ctcp::Other { verb: "PING", rest: "1 2" });
        assert_eq!(parse_ctcp("\u{1}\u{1}"), Ctcp::Other { verb: "", rest: "" });
        assert_eq!(parse_ctcp("no \u{1}ACTION x\u{1}"), Ctcp::None);
    }

    proptest! {
        #[test]
        fn no_code_is_left_and_no_text_is_made(text in "[\u{2}-\u{4}\u{f}\u{1f}0-9a-f,é ]{0,60}") {
            let plain = strip(&text);
            prop_assert!(!plain.contains(is_code) && plain.len() <= text.len());
            prop_assert_eq!(strip(&plain), plain.clone());
            let letters = |text: &str| text.replace(|c: char| c.is_ascii() , "");
            prop_assert_eq!(letters(&plain), letters(&text));
        }
    }
}
