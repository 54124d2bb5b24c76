//! Text that must never be shown: tokens and passwords.
//!
//! `Debug` and serialising give a fixed placeholder, so that a secret cannot reach a log, an error or a
//! printed configuration by accident. The one way to the text is [`Secret::reveal`], easy to search for.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// A token or password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

/// What stands in a secret's place wherever one would be shown.
const HIDDEN: &str = "[secret]";

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that sends or compares it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

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
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(serde_json::to_string(&secret).expect("a string serialises"), "\"[secret]\"");
        assert_eq!(secret.reveal(), "hunter2");
    }
}
