//! Whether all is well, in a status for programs and in words for people.

use axum::http::StatusCode;

/// What is wrong; nothing is good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// One sentence each, with what to look at.
    pub faults: Vec<String>,
}

impl Health {
    /// 200, or 503 with the faults, one a line.
    pub(super) fn answer(&self) -> (StatusCode, String) {
        if self.faults.is_empty() {
            return (StatusCode::OK, "the bridge is up, its database and the homeserver answer\n".to_owned());
        }
        let lines: Vec<String> = self.faults.iter().map(|fault| format!("{fault}\n")).collect();
        (StatusCode::SERVICE_UNAVAILABLE, lines.concat())
    }
}
