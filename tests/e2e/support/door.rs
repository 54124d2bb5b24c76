//! How a plain client gets to a server: from which address, with or without TLS, showing which certificate.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::authority::{Authority, ClientCertificate};

/// One way in; a test opens it as often as it likes.
#[derive(Clone)]
pub struct Door {
    port: u16,
    source: Ipv4Addr,
    tls: Option<Arc<ClientConfig>>,
}

/// What comes of a door: both ways of a connection, whatever is below.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Door {
    /// Without TLS.
    pub fn plain(port: u16) -> Door {
        Door { port, source: Ipv4Addr::LOCALHOST, tls: None }
    }

    /// With TLS, trusting `authority` alone, and with a client certificate if there is one.
    pub fn tls(port: u16, authority: &Authority, certificate: Option<&ClientCertificate>) -> Door {
        Door { tls: Some(Arc::new(authority.client_config(certificate))), ..Door::plain(port) }
    }

    /// The same from another loopback address: servers see another host.
    pub fn from(self, source: Ipv4Addr) -> Door {
        Door { source, ..self }
    }

    /// A connection; panics where [`Door::try_open`] would say why not.
    pub async fn open(&self) -> Box<dyn Wire> {
        self.try_open().await.unwrap_or_else(|why| panic!("no connection to port {}: {why}", self.port))
    }

    /// A connection, or the sentence of the TLS library or the system why there is none.
    pub async fn try_open(&self) -> Result<Box<dyn Wire>, String> {
        let stream = self.connect().await.map_err(|e| e.to_string())?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name = "localhost".try_into().expect("a host name");
        match TlsConnector::from(config.clone()).connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(e) => Err(e.to_string()),
        }
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        if self.source != Ipv4Addr::LOCALHOST {
            socket.bind(SocketAddr::from((self.source, 0)))?;
        }
        socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))).await
    }
}
