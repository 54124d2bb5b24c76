//! IRC case mappings (ISUPPORT CASEMAPPING).

/// Which characters a network holds to be one letter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CaseMap {
    Ascii,
    #[default]
    Rfc1459,
    StrictRfc1459,
}

impl CaseMap {
    /// The one spelling that stands for all spellings of `text`.
    pub fn fold(self, text: &str) -> String {
        text.to_ascii_lowercase()
    }
}
