//! Who may use the bridge, and how much the people of one homeserver may have together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PermissionName {
    Blocked,
    User,
    Plumber,
    Admin,
}

/// Everybody is a user.
pub(super) fn everybody() -> BTreeMap<String, PermissionName> {
    [("*".to_owned(), PermissionName::User)].into()
}

/// Rooms that say whom nobody wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyLists {
    /// Room ids or aliases.
    pub rooms: Vec<String>,
    /// What IRC is told of somebody who is excluded while they are there.
    pub quit_message: String,
}

impl Default for PolicyLists {
    fn default() -> Self {
        Self { rooms: Vec::new(), quit_message: "Excluded from the bridge".into() }
    }
}

/// What the people of one homeserver have together; 0 is no limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Homeservers {
    pub connections_max: usize,
    pub contacts_per_minute: u32,
    pub contacts_per_hour: u32,
    pub joins_per_minute: u32,
    /// Whether limits hold for the bridge's own homeserver too.
    pub own: bool,
    /// Homeservers without limits.
    pub exempt: Vec<String>,
}

impl Default for Homeservers {
    fn default() -> Self {
        Self {
            connections_max: 200,
            contacts_per_minute: 20,
            contacts_per_hour: 200,
            joins_per_minute: 60,
            own: false,
            exempt: Vec::new(),
        }
    }
}
