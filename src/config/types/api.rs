//! The HTTP API: where it listens, who is let in, and how much of it they may have.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::secret::Secret;

/// What programs may ask of the bridge, and how they are let in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Address and port to listen on; none: nobody is answered.
    pub listen: Option<String>,
    /// Address and port for admins' routes; none: there are none.
    pub admin_listen: Option<String>,
    pub tokens: Vec<ApiToken>,
    /// Whose people may sign in by Matrix.
    pub sign_in: SignIn,
    /// Homeservers that are asked at these URLs, wherever those lead.
    pub homeservers: Vec<ApiHomeserver>,
    /// Whether the setup widget is given out.
    pub widget: bool,
    /// Of a person, and of an address without a token.
    pub requests_per_minute: u32,
    /// Addresses, and blocks of them, of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
}

/// A token that somebody has for a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiToken {
    pub name: String,
    pub token: Secret,
    #[serde(default)]
    pub may: ApiTokenMay,
}

/// Where a token is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApiTokenMay {
    /// On behalf of people.
    #[default]
    Plain,
    /// For admins' routes too.
    Admin,
}

/// Whose people may sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignIn {
    /// Those of our homeserver, and of those that are given URLs.
    #[default]
    Own,
    /// Of any homeserver that can be found.
    Any,
}

/// A homeserver and where it is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiHomeserver {
    pub domain: String,
    pub url: String,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: None,
            admin_listen: None,
            tokens: Vec::new(),
            sign_in: SignIn::Own,
            homeservers: Vec::new(),
            widget: true,
            requests_per_minute: 120,
            trusted_proxies: vec!["127.0.0.1".into(), "::1".into()],
        }
    }
}

impl Api {
    /// The address to listen on.
    ///
    /// # Panics
    /// When the configuration was not checked.
    pub fn listen_address(&self) -> Option<SocketAddr> {
        self.listen.as_ref().map(|text| text.parse().expect("config::check refuses other addresses"))
    }

    /// The address to listen on for admins.
    ///
    /// # Panics
    /// When the configuration was not checked.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_listen.as_ref().map(|text| text.parse().expect("config::check refuses other addresses"))
    }
}
