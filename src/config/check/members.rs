//! Who of a channel is shown in its rooms.

use std::collections::BTreeSet;

use super::super::problem::{Findings, Place};
use super::super::types::Members;
use super::{channel_name, not_a_channel};

pub(super) fn check(members: &Members, here: &Place, findings: &mut Findings) {
    let Members { full_channels, lazy_channels, off_channels, grace_s, split_grace_s, .. } = members;
    let mut seen = BTreeSet::new();
    let lists =
        [("full_channels", full_channels), ("lazy_channels", lazy_channels), ("off_channels", off_channels)];
    for (list, channels) in lists {
        for (nth, channel) in channels.iter().enumerate() {
            let here = here.with(list).with(nth);
            match channel_name(channel) {
                None => findings.error(here, not_a_channel(channel)),
                Some(name) if !seen.insert(name.clone()) => {
                    findings.error(here, format!("{channel} is listed before; keep it in one list"));
                }
                Some(_) => {}
            }
        }
    }
    if split_grace_s < grace_s {
        findings.error(here.with("split_grace_s"), "must not be less than grace_s".to_owned());
    }
}
