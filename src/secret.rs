//! Text that must never be shown: tokens and passwords.
//!
//! It has no `Display`; `Debug` and serialising give a fixed placeholder, so that a secret cannot reach a log,
//! an error or a printed configuration by accident. Comparing takes the same time wherever the first
//! difference is. [`Secret::expose`] is the one way out, so that every use can be found by its name. The memory is
//! overwritten when the last clone goes; what `expose` was copied into is the copier's to wipe.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A token or password. Cheap to clone.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<String>>);

/// What stands in a secret's place wherever one would be shown.
const HIDDEN: &str = "[secret]";
/// Shorter secrets are not looked for in what others say: they are parts of words, and guessed anyway.
const LOOKED_FOR_BYTES_MIN: usize = 4;

impl Secret {
    pub fn new(text: &str) -> Self {
        Self::from(text.to_owned())
    }

    /// The text itself, for the one place that sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What somebody else said, without this secret in it: servers and services repeat what they refuse.
    pub fn hidden_in(&self, text: &str) -> String {
        if self.0.len() < LOOKED_FOR_BYTES_MIN {
            return text.to_owned();
        }
        text.replace(self.0.as_str(), HIDDEN)
    }

    /// True when `guess` is this secret. An empty secret is nobody's. Only the length may show in the time taken.
    pub fn matches(&self, guess: &[u8]) -> bool {
        !self.0.is_empty() && bool::from(self.0.as_bytes().ct_eq(guess))
    }
}

impl From<String> for Secret {
    /// Takes the text over without leaving a copy of it.
    fn from(text: String) -> Self {
        Self(Arc::new(Zeroizing::new(text)))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
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
    fn a_secret_is_wiped_with_its_last_clone() {
        fn wiped(_: &impl zeroize::ZeroizeOnDrop) {}
        let secret: Secret = serde_json::from_str("\"canary\"").expect("a string");
        wiped(&*secret.0);
        let clone = secret.clone();
        assert!(Arc::ptr_eq(&secret.0, &clone.0), "a clone is the same memory");
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
