//! What those ask who run the bridge, on a listener of their own and with tokens that may.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use super::answers::{Empty, User, fault_of};
use super::asking::{Body, By, Named, user, words};
use super::fault::{Fault, bad};
use super::hands::Hands;
use super::people::{Answer, At, REASON_CHARS_MAX, ReasonBody};
use super::{Desk, TokenMay};
use crate::bridge::errand::{Errand, Reaping, Report};

const IDLE_MS_MIN: u64 = 60_000;
const IDLE_MS_MAX: u64 = 365 * 24 * 3_600_000;

/// Somebody who runs the bridge.
pub(super) struct Operator;

impl<H: Hands> FromRequestParts<Arc<Desk<H>>> for Operator {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, desk: &Arc<Desk<H>>) -> Result<Self, Fault> {
        match desk.by(parts)? {
            By::Token { may: TokenMay::Admin, .. } => Ok(Self),
            By::Token { may: TokenMay::Plain, .. } | By::Session { .. } => Err(Fault::Forbidden(
                "This needs a token of the configuration that may be used by admins.".to_owned(),
            )),
        }
    }
}

pub(super) async fn users<H: Hands>(
    State(desk): At<H>,
    _: Operator,
    Named(network): Named<String>,
) -> Answer<Value> {
    match desk.give(&network, desk.hands.bot(), Errand::Users).await? {
        Report::Users(users) => {
            let users: Vec<User> = users.into_iter().map(User::from).collect();
            Ok(Json(json!({ "users": users })))
        }
        report => Err(fault_of(report)),
    }
}

pub(super) async fn kill<H: Hands>(
    State(desk): At<H>,
    _: Operator,
    Named((network, whom)): Named<(String, String)>,
    Body(body): Body<ReasonBody>,
) -> Answer<Empty> {
    let reason = words("reason", body.reason, REASON_CHARS_MAX)?;
    let errand = Errand::Kill { user: user(&whom)?, reason };
    match desk.give(&network, desk.hands.bot(), errand).await? {
        Report::Done | Report::Ended(_) => Ok(Json(Empty {})),
        report => Err(fault_of(report)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReapBody {
    idle_ms: u64,
    #[serde(default = "dry")]
    dry_run: bool,
}

fn dry() -> bool {
    true
}

pub(super) async fn reap<H: Hands>(
    State(desk): At<H>,
    _: Operator,
    Named(network): Named<String>,
    Body(body): Body<ReapBody>,
) -> Answer<Value> {
    if !(IDLE_MS_MIN..=IDLE_MS_MAX).contains(&body.idle_ms) {
        return Err(bad(format!("idle_ms has to be from {IDLE_MS_MIN} to {IDLE_MS_MAX}")));
    }
    let how = if body.dry_run { Reaping::Trial } else { Reaping::Done };
    let errand = Errand::Reap { idle_ms: body.idle_ms, how };
    match desk.give(&network, desk.hands.bot(), errand).await? {
        Report::Ended(users) => {
            let users: Vec<User> = users.into_iter().map(User::from).collect();
            Ok(Json(json!({ "dry_run": body.dry_run, "users": users })))
        }
        report => Err(fault_of(report)),
    }
}

pub(super) async fn reload<H: Hands>(State(desk): At<H>, _: Operator) -> Answer<Value> {
    Ok(Json(json!({ "result": desk.hands.reload().await })))
}

pub(super) async fn audit<H: Hands>(State(desk): At<H>, _: Operator) -> Answer<Value> {
    Ok(Json(json!({ "rows": desk.hands.audit().await? })))
}
