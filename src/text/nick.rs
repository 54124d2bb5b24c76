//! Names on both sides: legal IRC nicks made from Matrix names, and the codec between IRC nicks
//! and the localparts of ghosts.
//!
//! Nicks are made, so they may lose something; ghost ids are encoded, so they must not: that codec is
//! total, injective and read back exactly.

use unicode_normalization::UnicodeNormalization;

/// Smallest nick limit believed, in bytes: RFC 1459 promises 9, and a server that says less than this lies.
/// A smaller limit counts as this; it leaves room for each of [`nick_variant`]'s first 9,999 attempts.
pub const NICK_BYTES_MIN: usize = 5;

/// Attempts after which [`nick_variant`] starts again.
const ATTEMPTS: u32 = 10_000;

/// How much of a name is looked at, in characters. No nick is longer, and names come from strangers.
const LOOKED_AT_CHARS: usize = 1024;

/// Which letters a network allows in nicks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alphabet {
    /// Those of RFC 2812 section 2.3.1: what each server takes.
    #[default]
    Ascii,
    /// Those, and the letters and digits of all scripts: for networks that say `UTF8ONLY` and a case mapping
    /// such as `utf8` or `precis`. They refuse some all the same (432), and then `Ascii` is the way out.
    Utf8,
}

/// A nick that any IRC server takes, as near to `wanted` as it gets, of at most `bytes_max` bytes (at least
/// [`NICK_BYTES_MIN`]). Same input, same nick.
///
/// Latin letters lose their marks, separators become one `_`, anything else outside RFC 2812 section 2.3.1
/// is dropped. A first digit or `-` gets `M` before it. A name with nothing left is `M` and a hash of it.
pub fn legal_nick(wanted: &str, bytes_max: usize) -> String {
    legal_nick_in(Alphabet::Ascii, wanted, bytes_max)
}

/// As [`legal_nick`], in the letters that the network allows. With [`Alphabet::Utf8`] letters keep their marks and
/// scripts; what Unicode holds to be the same letter (NFKC) is written one way.
pub fn legal_nick_in(alphabet: Alphabet, wanted: &str, bytes_max: usize) -> String {
    let mut nick = legal_chars_in(alphabet, wanted);
    if nick.is_empty() {
        nick = hashed('M', wanted);
    }
    if !nick.starts_with(is_start) {
        nick.insert(0, 'M');
    }
    nick.truncate(nick.floor_char_boundary(bytes_max.max(NICK_BYTES_MIN)));
    nick
}

/// The nick to try after `attempt` collisions: 0 gives `base`, then `base_`, `base_2`, `base_3`, …
///
/// `base` is a legal nick and is shortened so that the sign and number fit `bytes_max` (at least
/// [`NICK_BYTES_MIN`]). All attempts below 10,000 differ from each other, and from `base`; then they repeat.
pub fn nick_variant(base: &str, attempt: u32, bytes_max: usize) -> String {
    let bytes_max = bytes_max.max(NICK_BYTES_MIN);
    let first = &base[..base.floor_char_boundary(bytes_max)];
    let attempt = attempt % ATTEMPTS;
    if attempt == 0 {
        return first.to_owned();
    }
    // A base that already looks like one of its own variants takes that number out of the row.
    let taken = number_of(first).filter(|&number| numbered(first, number, bytes_max) == first);
    let number = if taken.is_some_and(|taken| taken <= attempt) { attempt + 1 } else { attempt };
    numbered(first, number, bytes_max)
}

/// A folded nick in the grammar of Matrix user ids (appendices, "User Identifiers"): `a-z 0-9 . _ - / +`
/// stand for themselves, every other byte of its UTF-8 is `=xx` in lower-case hex.
pub fn encode_nick(folded: &str) -> String {
    let mut out = String::with_capacity(folded.len());
    for byte in folded.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push('=');
            out.extend([byte >> 4, byte & 15].map(hex_digit));
        }
    }
    out
}

/// The text that [`encode_nick`] made this from; `None` for anything it does not make, so that no two
/// user ids stand for one nick.
pub fn decode_nick(encoded: &str) -> Option<String> {
    let decoded = unescape(encoded, Strictness::OnlyEscapes)?;
    (encode_nick(&decoded) == encoded).then_some(decoded)
}

/// What [`unescape`] does with a `=` that starts no `=xx`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Refuse the text.
    OnlyEscapes,
    /// It stands for itself.
    KeepOthers,
}

/// Takes `=xx` escapes out (hex in any case). `None` when what comes out is not UTF-8.
pub(super) fn unescape(text: &str, strictness: Strictness) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match after {
            &[high, low, ..] if byte == b'=' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex_value(high) << 4 | hex_value(low));
                rest = &after[2..];
            }
            _ if byte == b'=' && strictness == Strictness::OnlyEscapes => return None,
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// The part of a name that may stand inside a nick; may be empty, may start with a digit.
pub(super) fn legal_chars(name: &str) -> String {
    legal_chars_in(Alphabet::Ascii, name)
}

/// As [`legal_chars`], in the letters that the network allows.
pub(super) fn legal_chars_in(alphabet: Alphabet, name: &str) -> String {
    let name = name.chars().take(LOOKED_AT_CHARS);
    match alphabet {
        Alphabet::Ascii => kept(name.nfkd(), is_nick_char, latin),
        Alphabet::Utf8 => kept(name.nfkc(), |c| is_nick_char(c) || is_foreign(c), |_| None),
    }
}

/// The characters that may be in a nick, and one `_` for separators between them.
fn kept(
    name: impl Iterator<Item = char>,
    legal: impl Fn(char) -> bool,
    letters: impl Fn(char) -> Option<&'static str>,
) -> String {
    let mut out = String::new();
    let mut gap = false;
    for c in name {
        match letters(c) {
            Some(letters) => push_after_gap(&mut out, &mut gap, letters),
            None if legal(c) => push_after_gap(&mut out, &mut gap, c.encode_utf8(&mut [0; 4])),
            None => gap |= is_separator(c),
        }
    }
    out
}

/// True for a letter or digit beyond ASCII.
fn is_foreign(c: char) -> bool {
    !c.is_ascii() && c.is_alphanumeric()
}

/// True for a character that a nick may start with, in any alphabet: no digit of any script.
pub(super) fn is_start(c: char) -> bool {
    u8::try_from(c).is_ok_and(is_nick_start) || (!c.is_ascii() && c.is_alphabetic())
}

/// True for a byte that a nick may start with (RFC 2812 section 2.3.1).
fn is_nick_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
        || matches!(byte, b'[' | b']' | b'\\' | b'`' | b'_' | b'^' | b'{' | b'|' | b'}')
}

/// True for a character that may stand in a nick.
pub(super) fn is_nick_char(c: char) -> bool {
    u8::try_from(c).is_ok_and(|byte| is_nick_start(byte) || byte.is_ascii_digit() || byte == b'-')
}

/// `lead` and eight hex digits of FNV-1a over the text: no secret, only the same for the same name.
pub(super) fn hashed(lead: char, text: &str) -> String {
    let fnv = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = text.bytes().fold(0x811c_9dc5, fnv);
    format!("{lead}{hash:08x}")
}

/// Adds letters, with one `_` for the separators before them unless they would come first.
fn push_after_gap(out: &mut String, gap: &mut bool, letters: &str) {
    if std::mem::take(gap) && !out.is_empty() {
        out.push('_');
    }
    out.push_str(letters);
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || (c.is_ascii_punctuation() && !matches!(c, '\'' | '"'))
}

/// Latin letters that Unicode does not take apart.
fn latin(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'ẞ' => "SS",
        'æ' => "ae",
        'Æ' => "AE",
        'œ' => "oe",
        'Œ' => "OE",
        'ø' => "o",
        'Ø' => "O",
        'đ' | 'ð' => "d",
        'Đ' | 'Ð' => "D",
        'ł' => "l",
        'Ł' => "L",
        'þ' => "th",
        'Þ' => "Th",
        'ħ' => "h",
        'Ħ' => "H",
        'ı' => "i",
        _ => return None,
    })
}

/// The base, shortened, with the sign and number of a variant; number 1 is the bare sign.
fn numbered(base: &str, number: u32, bytes_max: usize) -> String {
    let tail = if number == 1 { "_".to_owned() } else { format!("_{number}") };
    let kept = base.floor_char_boundary(bytes_max.saturating_sub(tail.len()));
    format!("{}{tail}", &base[..kept])
}

/// The number of the variant that `nick` looks like.
fn number_of(nick: &str) -> Option<u32> {
    let (_, digits) = nick.rsplit_once('_')?;
    if digits.is_empty() { Some(1) } else { digits.parse().ok() }
}

/// True for a byte that stands for itself in a ghost's localpart.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'/' | b'+')
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16")
}

fn hex_value(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.to_ascii_lowercase() - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Nick;
    use crate::text::casemap::CaseMap;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn names_of_people_become_nicks_they_would_know() {
        for (wanted, nick) in [
            ("Alice", "Alice"),
            ("Zoë Müller", "Zoe_Muller"),
            ("Łukasz Øst-Straße", "Lukasz_Ost-Strasse"),
            ("O'Neil (she/her)", "ONeil_she_her"),
            ("Иван Smith", "Smith"),
            ("1337", "M1337"),
            ("-dash", "M-dash"),
            ("ａｌｉｃｅ", "alice"),
            ("nick[m]", "nick[m]"),
            ("a\r\nQUIT", "a_QUIT"),
        ] {
            assert_eq!(legal_nick(wanted, 30), nick);
        }
        assert_eq!(legal_nick("abcdefghijkl", 9), "abcdefghi");
    }

    #[test]
    fn a_name_without_a_usable_letter_gets_its_own_lasting_nick() {
        let one = legal_nick("日本", 30);
        assert!(one.starts_with('M') && one.len() == 9);
        assert_eq!(one, legal_nick("日本", 30));
        assert_ne!(one, legal_nick("中国", 30));
        assert_eq!(legal_nick("", 0).len(), NICK_BYTES_MIN);
    }

    #[test]
    fn a_taken_nick_is_followed_by_numbered_ones() {
        let tries: Vec<_> = (0..4).map(|attempt| nick_variant("alice", attempt, 9)).collect();
        assert_eq!(tries, ["alice", "alice_", "alice_2", "alice_3"]);
        assert_eq!(nick_variant("abcdefghi", 12, 9), "abcdef_12");
        assert_eq!(nick_variant("abcd_", 1, 5), "abc_2");
    }

    #[test]
    fn ghost_ids_hold_every_nick() {
        assert_eq!(encode_nick("a-b.c_d/+"), "a-b.c_d/+");
        assert_eq!(encode_nick("a[b]=É"), "a=5bb=5d=3d=c3=89");
        for refused in ["A", "=", "=4", "=zz", "=5B", "=61", "=ff", "a b", "é"] {
            assert_eq!(decode_nick(refused), None, "{refused:?}");
        }
        assert_eq!(decode_nick("").as_deref(), Some(""));
    }

    proptest! {
        #[test]
        fn any_name_makes_a_legal_nick(
            wanted in "([a-zA-Z0-9_\\[ '-]|\\PC|[\u{0}-\u{20}]){0,40}",
            bytes_max in 0_usize..40,
        ) {
            let nick = legal_nick(&wanted, bytes_max);
            prop_assert!(nick.len() <= bytes_max.max(NICK_BYTES_MIN));
            prop_assert!(is_nick_start(nick.as_bytes()[0]) && nick.chars().all(is_nick_char));
            prop_assert!(Nick::new(&nick, CaseMap::Rfc1459).is_some());
            prop_assert_eq!(legal_nick(&nick, bytes_max), nick);
        }

        #[test]
        fn a_ghost_id_is_in_the_grammar_and_reads_back(
            nick in "\\PC{0,20}|[A-Za-z0-9=_.\\[\\]{}|^`-]{0,20}",
        ) {
            let encoded = encode_nick(&nick);
            prop_assert!(encoded.bytes().all(|byte| is_plain(byte) || byte == b'='));
            prop_assert_eq!(decode_nick(&encoded), Some(nick));
        }

        #[test]
        fn what_decodes_is_the_only_id_of_its_nick(encoded in "([a-f0-9=.]|=[0-9a-fA-F]{2}){0,12}") {
            if let Some(nick) = decode_nick(&encoded) {
                prop_assert_eq!(encode_nick(&nick), encoded);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn a_thousand_attempts_are_a_thousand_nicks(
            base in "[a-z_\\[][a-z0-9_]{0,8}|[a-z]{1,6}_([0-9]{1,4})?",
            bytes_max in 0_usize..12,
        ) {
            let base = legal_nick(&base, bytes_max);
            let variant = |attempt| nick_variant(&base, attempt, bytes_max);
            let tries: HashSet<_> = (0..=1_000).map(variant).collect();
            prop_assert_eq!(tries.len(), 1_001);
            prop_assert!(tries.iter().all(|nick| nick.len() <= bytes_max.max(NICK_BYTES_MIN)));
            prop_assert!(tries.iter().all(|nick| is_nick_start(nick.as_bytes()[0])));
        }
    }
}
