//! How a network and its puppets prove to each other who they are: certificates, gateways, services, addresses.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// How a network's certificates are checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the only authorities to trust; none for the system's.
    pub ca_file: Option<PathBuf>,
    pub verify: bool,
    /// The name the certificate must carry; none for the server's host.
    pub server_name: Option<String>,
    /// SHA-256 fingerprints of the only certificates to trust, whatever else they say.
    pub fingerprints: Vec<String>,
    /// PEM file with the bridge's own certificate for this network, and perhaps its key.
    pub client_certificate: Option<PathBuf>,
    /// PEM file with the key, where it is not with the certificate.
    pub client_key: Option<PathBuf>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            ca_file: None,
            verify: true,
            server_name: None,
            fingerprints: Vec::new(),
            client_certificate: None,
            client_key: None,
        }
    }
}

/// How the network is told who each puppet is, where it trusts the bridge to say so (WEBIRC).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webirc {
    /// What the network gave us for it; none: WEBIRC is not spoken.
    pub password: Option<Secret>,
    /// The name under which the network knows the bridge.
    pub gateway: String,
    /// Template of puppets' host names.
    pub host: String,
}

impl Default for Webirc {
    fn default() -> Self {
        Self { password: None, gateway: "bunraku".into(), host: "$ADDRESS".into() }
    }
}

/// Who takes logins by message, where the network has no SASL.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Services {
    pub nick: String,
    /// Who that has to be, `nick!user@host` with `*` and `?`; none: no password is said to anybody.
    pub mask: Option<String>,
    /// What is said to it, with `$ACCOUNT` and `$PASSWORD`.
    pub identify: String,
}

impl Default for Services {
    fn default() -> Self {
        Self { nick: "NickServ".into(), mask: None, identify: "IDENTIFY $ACCOUNT $PASSWORD".into() }
    }
}

/// Where puppets' connections come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Source {
    /// Addresses of this computer, used in turn.
    pub addresses: Vec<String>,
    /// A prefix of which each puppet gets an address of its own.
    pub ipv6_prefix: Option<String>,
    /// Each homeserver's users share a block of two to the power of this many addresses.
    pub ipv6_block_bits: u8,
}

impl Default for Source {
    fn default() -> Self {
        Self { addresses: Vec::new(), ipv6_prefix: None, ipv6_block_bits: 16 }
    }
}
