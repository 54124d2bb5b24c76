//! What goes over a connection's socket: its lines as they are, or under TLS.
//!
//! Nothing waits in here. What the kernel does not take at once stays with the connection, and the server
//! tries again when the socket is writable.

use std::borrow::Cow;
use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ServerConfig, ServerConnection};
use rustls_pki_types::PrivateKeyDer;
use tokio::net::TcpStream;

/// Who the server is to clients that speak TLS.
#[derive(Clone, Debug)]
pub struct TlsIdentity {
    /// The certificate, signed by itself: clients take it as their only authority.
    pub certificate_pem: String,
    config: Arc<ServerConfig>,
}

impl TlsIdentity {
    /// A fresh key and certificate for a host name or an address.
    ///
    /// # Panics
    /// When `host` cannot stand in a certificate.
    pub fn make(host: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([host.to_owned()]).expect("a host can be certified");
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("it was made just now");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("key and certificate were made for each other");
        Self { certificate_pem: made.cert.pem(), config: Arc::new(config) }
    }
}

/// How one connection's bytes are written.
pub enum Wire {
    Plain,
    Tls(Box<ServerConnection>),
}

/// How much of the output the kernel has now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    All,
    Part,
}

impl Wire {
    /// The server's side of a new connection.
    pub fn new(tls: Option<&TlsIdentity>) -> Self {
        let Some(identity) = tls else { return Self::Plain };
        let mut tls = ServerConnection::new(identity.config.clone()).expect("the settings were checked");
        // The server's own bound holds, that of its send queue.
        tls.set_buffer_limit(None);
        Self::Tls(Box::new(tls))
    }

    /// The text in what was read; an error where the client does not speak TLS as it should.
    pub fn open<'a>(&mut self, bytes: &'a [u8]) -> io::Result<Cow<'a, [u8]>> {
        let Self::Tls(tls) = self else { return Ok(Cow::Borrowed(bytes)) };
        let mut rest = bytes;
        let mut text = Vec::new();
        while !rest.is_empty() {
            if tls.read_tls(&mut rest)? == 0 {
                return Err(io::ErrorKind::InvalidData.into());
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            match tls.reader().read_to_end(&mut text) {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Cow::Owned(text))
    }

    /// True when something of TLS itself waits to be written: a part of the handshake, or what is encrypted.
    pub fn has_output(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.wants_write())
    }

    /// Gives the kernel what it takes of `out`, which keeps the rest.
    pub fn write(&mut self, stream: &TcpStream, out: &mut Vec<u8>) -> io::Result<Taken> {
        let written = match self {
            Self::Plain => stream.try_write(out).map(|length| {
                out.drain(..length);
                if out.is_empty() { Taken::All } else { Taken::Part }
            }),
            Self::Tls(tls) => write_tls(tls, stream, out),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Taken::Part),
            written => written,
        }
    }
}

/// Encrypts no more than what follows what the kernel has, so that the send queue is counted before it is.
fn write_tls(tls: &mut ServerConnection, stream: &TcpStream, out: &mut Vec<u8>) -> io::Result<Taken> {
    loop {
        while tls.wants_write() {
            tls.write_tls(&mut Now(stream))?;
        }
        if out.is_empty() {
            return Ok(Taken::All);
        }
        tls.writer().write_all(out)?;
        out.clear();
    }
}

/// Writes what can be written now.
struct Now<'a>(&'a TcpStream);

impl Write for Now<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
