//! One question to a homeserver: to addresses that were looked at before, without redirects, with an end in time and size.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;

/// How long a question may take, with all of its answer.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// The longest answer that is read.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Asks. Trusts the certificates that this machine trusts.
#[derive(Clone)]
pub(super) struct Http {
    tls: Arc<ClientConfig>,
}

/// Why there is no answer, in words without anything that was asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("it cannot be reached")]
    Away,
    #[error("it did not answer in time")]
    Late,
    #[error("it answered with {0}")]
    Status(u16),
    #[error("its answer is too long")]
    TooLong,
    #[error("its answer is not what it should be")]
    Nonsense,
}

impl Http {
    /// Without any certificate of this machine's, https is refused everywhere and http still works.
    pub(super) fn new() -> Self {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has all versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { tls: Arc::new(tls) }
    }

    /// The JSON at `url`. `pinned`: a host in it, and the only addresses that are asked for it.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        url: &str,
        pinned: Option<(&str, &[SocketAddr])>,
    ) -> Result<T, NoAnswer> {
        let asking = async {
            let mut answer = self.client(pinned)?.get(url).send().await.map_err(|_| NoAnswer::Away)?;
            if answer.status() != StatusCode::OK {
                return Err(NoAnswer::Status(answer.status().as_u16()));
            }
            let mut body = Vec::new();
            while let Some(piece) = answer.chunk().await.map_err(|_| NoAnswer::Away)? {
                if body.len() + piece.len() > BODY_BYTES_MAX {
                    return Err(NoAnswer::TooLong);
                }
                body.extend_from_slice(&piece);
            }
            serde_json::from_slice(&body).map_err(|_| NoAnswer::Nonsense)
        };
        tokio::time::timeout(ANSWER_WAIT, asking).await.unwrap_or(Err(NoAnswer::Late))
    }

    fn client(&self, pinned: Option<(&str, &[SocketAddr])>) -> Result<reqwest::Client, NoAnswer> {
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(ClientConfig::clone(&self.tls))
            .user_agent(concat!("bunraku/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WAIT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .pool_max_idle_per_host(0)
            .no_proxy();
        if let Some((host, addresses)) = pinned {
            builder = builder.resolve_to_addrs(host, addresses);
        }
        builder.build().map_err(|_| NoAnswer::Away)
    }
}
