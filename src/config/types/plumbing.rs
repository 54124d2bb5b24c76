//! Rooms that people bridge themselves.

use serde::{Deserialize, Serialize};

/// Who may, and how many.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plumbing {
    pub by: PlumbingBy,
    pub rooms_max: usize,
}

/// Whose word it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlumbingBy {
    Consent,
    Nobody,
}

impl Default for Plumbing {
    fn default() -> Self {
        Self { by: PlumbingBy::Consent, rooms_max: 200 }
    }
}
