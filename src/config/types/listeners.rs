//! Where the bridge listens for others than the homeserver.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Our answer to servers that ask who is behind a connection (RFC 1413).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identd {
    /// Address and port to listen on; none: nobody is answered.
    pub listen: Option<String>,
}

impl Identd {
    /// The address to listen on.
    ///
    /// # Panics
    /// When the configuration was not checked.
    pub fn listen_address(&self) -> Option<SocketAddr> {
        self.listen.as_ref().map(|text| text.parse().expect("config::check refuses other addresses"))
    }
}

/// Figures and health for those who watch the bridge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Address and port to listen on; none: nobody is told.
    pub listen: Option<String>,
}

impl Metrics {
    /// The address to listen on.
    ///
    /// # Panics
    /// When the configuration was not checked.
    pub fn listen_address(&self) -> Option<SocketAddr> {
        self.listen.as_ref().map(|text| text.parse().expect("config::check refuses other addresses"))
    }
}
