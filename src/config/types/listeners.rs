//! Where the bridge listens for others than the homeserver, and what it gives them.

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

/// Files and long messages, for people on IRC to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// Address and port to listen on; none: nothing is shown, and no links are given.
    pub listen: Option<String>,
    /// What links begin with; needed with `listen`.
    pub public_url: Option<String>,
    /// Addresses, and blocks of them, of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// How long a link is good.
    pub expires_days: u64,
    /// The largest file that is given out.
    pub size_bytes_max: u64,
    /// Of one address.
    pub requests_per_minute: u32,
    /// Of one address.
    pub bytes_per_hour: u64,
    /// Files on their way at once.
    pub transfers_max: usize,
}

impl Default for Media {
    fn default() -> Self {
        Self {
            listen: None,
            public_url: None,
            trusted_proxies: vec!["127.0.0.1".into(), "::1".into()],
            expires_days: 30,
            size_bytes_max: 100 << 20,
            requests_per_minute: 120,
            bytes_per_hour: 2 << 30,
            transfers_max: 32,
        }
    }
}

impl Media {
    /// The address to listen on and what links begin with, where anything is shown at all.
    ///
    /// # Panics
    /// When the configuration was not checked.
    pub fn shown(&self) -> Option<(SocketAddr, &str)> {
        let address = self.listen.as_ref()?.parse().expect("config::check refuses other addresses");
        Some((address, self.public_url.as_deref().expect("config::check asks for it")))
    }
}
