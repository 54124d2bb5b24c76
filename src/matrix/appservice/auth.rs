//! The gate: only who knows `hs_token` comes in (application service API, "Authorization").
//!
//! The token is taken from the `Authorization` header. The older `access_token` of the query is never enough;
//! where it is present it must be right as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::super::Secret;
use super::Refusal;
use crate::text::percent;

pub(super) struct Gate {
    hs_token: Secret,
    refused: AtomicU64,
}

impl Gate {
    pub(super) fn new(hs_token: Secret) -> Self {
        Self { hs_token, refused: AtomicU64::new(0) }
    }

    fn admit(&self, headers: &HeaderMap, query: Option<&str>) -> Result<(), Refusal> {
        let mut headers = headers.get_all(AUTHORIZATION).iter();
        let token = match (headers.next(), headers.next()) {
            (None, _) => return Err(Refusal::NoToken),
            (Some(_), Some(_)) => return Err(Refusal::WrongToken),
            (Some(only), None) => bearer(only.as_bytes()).unwrap_or_default(),
        };
        if token.is_empty() {
            return Err(Refusal::NoToken);
        }
        let mut in_query =
            query.unwrap_or_default().split('&').filter_map(|pair| pair.strip_prefix("access_token="));
        let all = self.hs_token.matches(token)
            && in_query.all(|guess| self.hs_token.matches(&percent::decode_form(guess)));
        if all { Ok(()) } else { Err(Refusal::WrongToken) }
    }

    /// A wrong token is most often a wrong registration file, so it must be seen; a stranger who tries tokens
    /// must not fill the log: the 1st, 2nd, 4th, 8th … refusal is told.
    fn tell(&self) {
        let count = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::warn!(count, "refused a request without the right hs_token");
        }
    }
}

/// What follows `Bearer `, whose case is free (RFC 9110 section 11.1).
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

pub(super) async fn check(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    match gate.admit(request.headers(), request.uri().query()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => {
            gate.tell();
            refusal.into_response()
        }
    }
}
