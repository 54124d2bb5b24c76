//! Text that must never be shown: tokens and passwords.
//!
//! It has no `Display`; `Debug` and serialising give a fixed placeholder, so that a secret cannot reach a log,
//! an error or a printed configuration by accident. Comparing takes the same time wherever the first
//! difference is. [`Secret::expose`] is the one way out, so that every use can be found by its name.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use subtle::ConstantTimeEq;

/// A token or password. Cheap to clone.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(Arc<str>);

/// What stands in a secret's place wherever one would be shown.
const HIDDEN: &str = "[secret]";

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when `guess` is this secret. An empty secret is nobody's. Only the length may show in the time taken.
    pub fn matches(&self, guess: &[u8]) -> bool {
        !self.0.is_empty() && bool::from(self.0.as_bytes().ct_eq(guess))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.0.as_bytes().ct_eq(other.0.as_bytes()))
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let secret = Secret::new("canary");
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(serde_json::to_string(&secret).expect("a string serialises"), "\"[secret]\"");
        assert_eq!(secret.expose(), "canary");
    }

    #[test]
    fn a_secret_is_told_from_its_likes() {
        let secret = Secret::new("canary");
        assert!(secret.matches(b"canary"));
        for guess in ["", "canar", "canaryy", "Canary"] {
            assert!(!secret.matches(guess.as_bytes()), "{guess}");
        }
        assert!(!Secret::new("").matches(b""));
    }
}
