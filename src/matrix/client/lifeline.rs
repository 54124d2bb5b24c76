//! How we learn that the homeserver went away: a connection that carries nothing and whose end says so at once,
//! and requests that found nobody.
//!
//! Behind a reverse proxy the connection tells of the proxy only; [`Client::versions`], asked now and then, tells
//! of the rest.

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Client, ClientError};

/// How long making the connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// An idle TCP connection to the homeserver. No request is made on it and no TLS: servers close such a connection
/// after a while (10 s and more), so it has to be renewed before.
#[derive(Debug)]
pub struct Lifeline(TcpStream);

impl Lifeline {
    /// Waits for its end.
    pub async fn ended(&mut self) {
        let mut unasked = [0; 64];
        while !matches!(self.0.read(&mut unasked).await, Ok(0) | Err(_)) {}
    }
}

impl Client {
    /// Opens a lifeline to where requests go.
    ///
    /// # Errors
    /// What the socket says; `TimedOut` after 5 s.
    pub async fn lifeline(&self) -> io::Result<Lifeline> {
        let (host, port) = &self.inner.address;
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect((host.as_str(), *port))).await??;
        Ok(Lifeline(stream))
    }

    /// Waits until a request goes without an answer of its own (no connection, one that broke, a proxy's or the
    /// homeserver's 5xx); at once when one did since the last call.
    pub async fn missed(&self) {
        self.inner.missed.notified().await;
    }

    pub(super) fn note_miss(&self, error: &ClientError) {
        if matches!(error, ClientError::Unavailable(_)) {
            self.inner.missed.notify_one();
        }
    }
}
