//! Checks of who may use the bridge.

use std::collections::BTreeMap;

use crate::config::problem::{Findings, Place, place};
use crate::config::syntax::is_server_name;
use crate::config::types::{Appservice, Homeservers, PermissionName, PolicyLists, RoomName};
use crate::text::whom::Whom;

/// Longest words of a QUIT, in bytes: what most servers show of them.
const QUIT_BYTES_MAX: usize = 250;

pub(super) fn permissions(
    permissions: &BTreeMap<String, PermissionName>,
    appservice: &Appservice,
    findings: &mut Findings,
) {
    for (whom, permission) in permissions {
        let place = place!["permissions", whom.as_str()];
        match Whom::read(whom) {
            Some(Whom::Person(user)) => {
                if *permission < PermissionName::Admin && appservice.admin_ids().any(|admin| admin == user) {
                    findings.warning(
                        place,
                        format!("{user} is among appservice.admins, and with this has less than an admin's power here"),
                    );
                }
            }
            Some(Whom::Everybody) if *permission == PermissionName::Admin => {
                findings.warning(place, "everybody may do everything with this bridge");
            }
            Some(Whom::Everybody) => {}
            Some(Whom::Homeserver(name)) if is_server_name(&name) => {}
            Some(Whom::Homeserver(_)) | None => findings.error(
                place,
                format!(
                    "\"{whom}\" is nobody: write a user id such as @alice:example.org, a homeserver such as example.org, or \"*\" for everybody"
                ),
            ),
        }
    }
}

pub(super) fn policy_lists(lists: &PolicyLists, findings: &mut Findings) {
    for (nth, room) in lists.rooms.iter().enumerate() {
        let place = place!["policy_lists", "rooms", nth];
        if RoomName::new(room).is_none() {
            findings.error(
                place,
                format!(
                    "\"{room}\" is neither a room id, such as !opaque:example.org, nor an alias, such as #room:example.org"
                ),
            );
        } else if lists.rooms[..nth].contains(room) {
            findings.error(place, format!("{room} stands here twice"));
        }
    }
    let words = &lists.quit_message;
    if words.len() > QUIT_BYTES_MAX || words.chars().any(char::is_control) {
        let sentence = format!("must be one line of {QUIT_BYTES_MAX} bytes at most");
        findings.error(place!["policy_lists", "quit_message"], sentence);
    }
}

pub(super) fn homeservers(homeservers: &Homeservers, here: &Place, findings: &mut Findings) {
    for (nth, name) in homeservers.exempt.iter().enumerate() {
        if !is_server_name(name) {
            findings.error(
                here.with("homeservers").with("exempt").with(nth),
                format!("\"{name}\" is no server name; write the part of users' ids after the colon, such as example.org"),
            );
        }
    }
    let Homeservers { contacts_per_minute, contacts_per_hour, .. } = *homeservers;
    if contacts_per_hour > 0 && contacts_per_minute > contacts_per_hour {
        findings.warning(
            here.with("homeservers").with("contacts_per_minute"),
            format!("{contacts_per_minute} is more than contacts_per_hour, {contacts_per_hour}, which is what counts then"),
        );
    }
}
