//! The configuration as types: one struct per block of `config.sample.yaml`, with its defaults.
//!
//! Only shapes and defaults live here. Which values are sensible is said in [`super::check`], which bounds
//! numbers have in [`super::shape`]; both have been asked before anybody else sees a [`Config`]. Settings
//! whose default depends on another setting (`appservice.url`, a network's name, a server's port) are filled
//! in before these types are made, so none of them is an `Option` without a meaning of its own.

mod admission;
mod api;
mod directory;
mod identity;
mod listeners;
mod members;
mod messages;
mod operators;
mod pace;
mod plumbing;
mod presence;
mod rooms;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::UserId;
use crate::secret::Secret;

pub use admission::{Homeservers, PermissionName, PolicyLists};
pub use api::{Api, ApiHomeserver, ApiToken, ApiTokenMay, SignIn};
pub use directory::Directory;
pub use identity::{Services, Source, Tls, Webirc};
pub use listeners::{Identd, Media, Metrics};
pub use members::{Members, ToMatrix};
pub use messages::{Failures, Formatting, Mentions, Messages, Queries, Typing};
pub use operators::Operators;
pub use pace::{Connect, Flood, Ping};
pub use plumbing::{Plumbing, PlumbingBy};
pub use presence::{Gate, JoinFailure, Presence};
pub use rooms::{Channel, Consent, Moderation, Portals, Power, RoomName, Rooms, Topics};

/// The whole configuration, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub homeserver: Homeserver,
    #[serde(default)]
    pub appservice: Appservice,
    #[serde(default)]
    pub database: Database,
    #[serde(default)]
    pub logging: Logging,
    #[serde(default)]
    pub secrets: Secrets,
    #[serde(default)]
    pub identd: Identd,
    #[serde(default)]
    pub metrics: Metrics,
    #[serde(default)]
    pub media: Media,
    #[serde(default)]
    pub api: Api,
    /// What people may do, by user id, server name or `*`.
    #[serde(default = "admission::everybody")]
    pub permissions: BTreeMap<String, PermissionName>,
    #[serde(default)]
    pub policy_lists: PolicyLists,
    /// By network id.
    pub networks: BTreeMap<String, Network>,
}

/// The homeserver we serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Homeserver {
    /// Base of its client-server API as seen from here, without a slash at the end.
    pub url: String,
    /// Its server name: the part of its users' ids after the colon.
    pub domain: String,
}

/// How the homeserver and the bridge meet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Appservice {
    /// Address and port to listen on for the homeserver.
    pub listen: String,
    /// Where the homeserver finds us; goes into the registration.
    pub url: String,
    /// The registration file; absolute or relative to the working directory once loaded.
    pub registration: PathBuf,
    /// Matrix users who become additional creators of portal rooms.
    pub admins: Vec<String>,
}

impl Default for Appservice {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9898".into(),
            url: "http://127.0.0.1:9898".into(),
            registration: "registration.yaml".into(),
            admins: Vec::new(),
        }
    }
}

impl Appservice {
    /// The address to listen on.
    ///
    /// # Panics
    /// When the configuration was not checked.
    pub fn listen_address(&self) -> SocketAddr {
        self.listen.parse().expect("config::check refuses other addresses")
    }

    /// The admins' ids. One that is no user id is left out; a checked configuration has none.
    pub fn admin_ids(&self) -> impl Iterator<Item = UserId> {
        self.admins.iter().filter_map(|admin| UserId::new(admin))
    }
}

/// Where the bridge keeps what it must not forget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite:FILE` or `postgres://…`; may hold a password.
    pub url: Secret,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: Secret::new("sqlite:bunraku.db") }
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logging {
    /// Directives of `tracing`, for example `info,bunraku=debug`.
    pub filter: String,
    pub format: LogFormat,
}

impl Default for Logging {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

/// One line of log as people read it, or as programs do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// Where the key to stored passwords and certificates is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Absolute or relative to the working directory once loaded.
    pub key_file: PathBuf,
}

impl Default for Secrets {
    fn default() -> Self {
        Self { key_file: "bunraku.key".into() }
    }
}

/// One IRC network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// What people call it.
    pub name: String,
    /// Tried in turn; at least one.
    pub servers: Vec<Server>,
    #[serde(default)]
    pub tls: Tls,
    /// Sent as `PASS` on every connection.
    #[serde(default)]
    pub password: Option<Secret>,
    #[serde(default)]
    pub webirc: Webirc,
    #[serde(default)]
    pub services: Services,
    #[serde(default)]
    pub source: Source,
    /// How to read lines that are not UTF-8: a label of the WHATWG Encoding Standard.
    #[serde(default = "default_encoding")]
    pub encoding_fallback: String,
    /// Modes every puppet sets on itself, for example `+i`; empty for none.
    #[serde(default)]
    pub user_modes: String,
    /// Whether puppets are marked as bots, where the network has a mode for it.
    #[serde(default)]
    pub bot_mode: bool,
    /// Longest username of a puppet, in bytes.
    #[serde(default = "default_ident_bytes")]
    pub ident_bytes_max: usize,
    /// Template of puppets' realnames.
    #[serde(default = "default_realname")]
    pub realname: String,
    /// Template of puppets' nicks.
    #[serde(default = "default_nick")]
    pub nick: String,
    #[serde(default)]
    pub ghosts: Ghosts,
    #[serde(default)]
    pub portals: Portals,
    /// Channels that belong to rooms people already have.
    #[serde(default)]
    pub channels: Vec<Channel>,
    #[serde(default)]
    pub flood: Flood,
    #[serde(default)]
    pub connect: Connect,
    #[serde(default)]
    pub ping: Ping,
    #[serde(default)]
    pub messages: Messages,
    #[serde(default)]
    pub formatting: Formatting,
    #[serde(default)]
    pub failures: Failures,
    #[serde(default)]
    pub mentions: Mentions,
    /// Whether what is said to those of a rank only is shown in rooms.
    #[serde(default)]
    pub asides: bool,
    #[serde(default)]
    pub typing: Typing,
    #[serde(default)]
    pub queries: Queries,
    #[serde(default)]
    pub topics: Topics,
    #[serde(default)]
    pub power: Power,
    #[serde(default)]
    pub moderation: Moderation,
    #[serde(default)]
    pub members: Members,
    #[serde(default)]
    pub presence: Presence,
    #[serde(default)]
    pub directory: Directory,
    #[serde(default)]
    pub operators: Operators,
    #[serde(default)]
    pub plumbing: Plumbing,
    #[serde(default)]
    pub homeservers: Homeservers,
}

fn default_encoding() -> String {
    "windows-1252".into()
}

fn default_nick() -> String {
    "$DISPLAY[m]".into()
}

fn default_ident_bytes() -> usize {
    9
}

fn default_realname() -> String {
    "$USERID".into()
}

/// One IRC server's address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// A name or an address, without brackets.
    pub host: String,
    pub port: u16,
    #[serde(default = "default_true")]
    pub tls: bool,
}

fn default_true() -> bool {
    true
}

/// How IRC users look on Matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ghosts {
    /// Template of their Matrix ids, without the server part.
    pub user: String,
}

impl Default for Ghosts {
    fn default() -> Self {
        Self { user: "@irc_$NETWORK_$NICK".into() }
    }
}
