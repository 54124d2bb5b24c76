//! Whether senders can learn of messages that did not arrive, and who is to be named by no line.

use super::super::problem::{Findings, Place};
use super::super::types::{Failures, Mentions};
use crate::ids::UserId;

/// Longest key of a reaction. The specification knows no limit; clients show a few characters.
const REACTION_BYTES_MAX: usize = 64;

pub(super) fn failures(failures: &Failures, here: &Place, findings: &mut Findings) {
    let key = &failures.reaction;
    let is_blank = !key.is_empty() && key.trim().is_empty();
    if is_blank || key.len() > REACTION_BYTES_MAX || key.chars().any(char::is_control) {
        findings.error(
            here.with("reaction"),
            format!("must be a sign of {REACTION_BYTES_MAX} bytes at most, such as \"❌\", or \"\" for none"),
        );
    }
    if key.is_empty() && !failures.notice && !failures.status_event {
        findings.warning(
            here.clone(),
            "nobody learns that a message of theirs did not arrive; leave one of the three on",
        );
    }
}

pub(super) fn mentions(mentions: &Mentions, here: &Place, findings: &mut Findings) {
    for (nth, user) in mentions.never.iter().enumerate() {
        if UserId::new(user).is_none() {
            let words = format!("\"{user}\" is no Matrix user id, such as @alice:example.org");
            findings.error(here.with("never").with(nth), words);
        }
    }
}
