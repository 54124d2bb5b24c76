//! A text that must not be seen: the two tokens of the registration.
//!
//! It has no `Display`, its `Debug` says nothing about it, and comparing it takes the same time wherever the
//! first difference is. [`Secret::expose`] is the one way out, so that every use can be found by its name.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

/// A token. Cheap to clone.
#[derive(Clone)]
pub struct Secret(Arc<str>);

impl Secret {
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// True when `guess` is this secret. An empty secret is nobody's. Only the length may show in the time taken.
    pub fn matches(&self, guess: &[u8]) -> bool {
        !self.0.is_empty() && bool::from(self.0.as_bytes().ct_eq(guess))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_from_its_prefixes_and_never_shown() {
        let secret = Secret::new("canary");
        assert!(secret.matches(b"canary"));
        for guess in ["", "canar", "canaryy", "Canary"] {
            assert!(!secret.matches(guess.as_bytes()), "{guess}");
        }
        assert!(!Secret::new("").matches(b""));
        assert!(!format!("{secret:?}").contains("canary"));
    }
}
