//! IRC case mappings (ISUPPORT CASEMAPPING): which characters a network holds to be one letter.
//!
//! A fold changes ASCII bytes only and keeps the length in bytes. Letters outside ASCII are never folded:
//! no mapping known to networks agrees on them, and a wrong fold would make two people one.

/// Which characters a network holds to be one letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CaseMap {
    /// `A-Z` are `a-z`.
    Ascii,
    /// As `Ascii`, and `[ ] \ ~` are `{ } | ^`. What a network uses that does not say (RFC 1459 section 2.2).
    #[default]
    Rfc1459,
    /// As `Rfc1459`, but `~` and `^` stay apart.
    StrictRfc1459,
}

impl CaseMap {
    /// The mapping a server names in ISUPPORT, in any letter case; `None` for one that is not known here
    /// (`rfc7613`, `rfc8265`, `utf8`, …): the caller keeps what it had.
    pub fn from_isupport(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "ascii" => Some(Self::Ascii),
            "rfc1459" => Some(Self::Rfc1459),
            "rfc1459-strict" | "strict-rfc1459" => Some(Self::StrictRfc1459),
            _ => None,
        }
    }

    /// The name that [`from_isupport`](Self::from_isupport) reads back.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ascii => "ascii",
            Self::Rfc1459 => "rfc1459",
            Self::StrictRfc1459 => "rfc1459-strict",
        }
    }

    /// The one spelling that stands for all spellings of `text`; as many bytes as `text`.
    pub fn fold(self, text: &str) -> String {
        text.chars().map(|c| self.fold_char(c)).collect()
    }

    /// True when both texts are spellings of one name.
    pub fn eq(self, a: &str, b: &str) -> bool {
        a.len() == b.len() && a.chars().map(|c| self.fold_char(c)).eq(b.chars().map(|c| self.fold_char(c)))
    }

    /// The one character that stands for all spellings of `c`.
    pub fn fold_char(self, c: char) -> char {
        let brackets = match self {
            Self::Ascii => false,
            Self::Rfc1459 | Self::StrictRfc1459 => true,
        };
        match c {
            '[' if brackets => '{',
            ']' if brackets => '}',
            '\\' if brackets => '|',
            '~' if self == Self::Rfc1459 => '^',
            other => other.to_ascii_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_mapping_joins_its_own_letters_and_no_more() {
        assert_eq!(CaseMap::Rfc1459.fold(r"Foo[]\~"), "foo{}|^");
        assert_eq!(CaseMap::StrictRfc1459.fold(r"Foo[]\~"), "foo{}|~");
        assert_eq!(CaseMap::Ascii.fold(r"Foo[]\~"), r"foo[]\~");
        assert_eq!(CaseMap::Rfc1459.fold("ÀÉ"), "ÀÉ");
        assert!(CaseMap::Rfc1459.eq("Foo[]", "fOO{}"));
        assert!(!CaseMap::Ascii.eq("Foo[]", "foo{}"));
    }

    #[test]
    fn names_of_servers_are_read_in_any_case_and_unknown_ones_refused() {
        assert_eq!(CaseMap::from_isupport("RFC1459"), Some(CaseMap::Rfc1459));
        assert_eq!(CaseMap::from_isupport("strict-rfc1459"), Some(CaseMap::StrictRfc1459));
        for map in [CaseMap::Ascii, CaseMap::Rfc1459, CaseMap::StrictRfc1459] {
            assert_eq!(CaseMap::from_isupport(map.name()), Some(map));
        }
        for unknown in ["", "rfc7613", "rfc8265", "utf8", "national"] {
            assert_eq!(CaseMap::from_isupport(unknown), None);
        }
    }

    proptest! {
        #[test]
        fn a_fold_is_stable_keeps_the_length_and_agrees_with_eq(
            a in "\\PC{0,20}",
            b in "[a-cA-C\\[{~^]{0,2}",
            c in "[a-cA-C\\[{~^]{0,2}",
        ) {
            for map in [CaseMap::Ascii, CaseMap::Rfc1459, CaseMap::StrictRfc1459] {
                let folded = map.fold(&a);
                prop_assert_eq!(map.fold(&folded), folded.clone());
                prop_assert_eq!(folded.len(), a.len());
                prop_assert!(map.eq(&a, &folded));
                prop_assert_eq!(map.eq(&b, &c), map.fold(&b) == map.fold(&c));
            }
        }
    }
}
