//! Ports that are opened at the start, so that a port that is taken ends it with a sentence.

use anyhow::Context;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::irc::identd::Idents;

/// Where ident questions come in, and what is answered from.
pub(super) async fn ident_server(config: &Config) -> anyhow::Result<Option<(TcpListener, Idents)>> {
    let Some(address) = config.identd.listen_address() else { return Ok(None) };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on {address} (identd.listen); ports below 1024 need root or CAP_NET_BIND_SERVICE"
        )
    })?;
    Ok(Some((listener, Idents::new())))
}

/// Where figures and health are asked for.
pub(super) async fn watchers(config: &Config) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = config.metrics.listen_address() else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    listener.map(Some).with_context(|| format!("cannot listen on {address} (metrics.listen)"))
}
