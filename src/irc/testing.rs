//! What the tests of this adapter share: an authority that signs certificates, and plans to dial with.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

use super::dial::{DialPlan, ServerAddr, Transport};
use super::tls::{TlsOptions, TlsSetup};

/// Long enough never to be met by a test that passes.
pub const TIMEOUT_MS: u64 = 20_000;

/// The last year in which a certificate is valid.
#[derive(Clone, Copy)]
pub enum Until {
    LongFromNow,
    LongAgo,
}

/// A certificate authority of one test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// TLS settings that trust this authority.
    pub fn trusted(&self, options: TlsOptions) -> TlsSetup {
        TlsSetup::new(TlsOptions { ca_pem: Some(self.0.pem().into_bytes()), ..options }).unwrap()
    }

    /// The server's end for a host of that name.
    pub fn acceptor(&self, host: &str, until: Until) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_after = match until {
            Until::LongFromNow => date_time_ymd(2999, 1, 1),
            Until::LongAgo => date_time_ymd(2001, 1, 1),
        };
        let chain = vec![params.signed_by(&key, &self.0).unwrap().der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

pub async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// An address that refuses connections, and what keeps others from taking it.
pub fn unheard() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = socket.local_addr().unwrap();
    (socket, addr)
}

/// A plan for the port of `addr`: by the name `localhost` for TLS, else by its address.
pub fn plan_with(addr: SocketAddr, transport: Transport, tls: TlsSetup) -> DialPlan {
    let host = match transport {
        Transport::Plain => addr.ip().to_string(),
        Transport::Tls => "localhost".to_owned(),
    };
    let server = ServerAddr { host, port: addr.port(), transport };
    DialPlan { timeout_ms: TIMEOUT_MS, ..DialPlan::new(vec![server], tls) }
}

pub fn plain_plan(addr: SocketAddr) -> DialPlan {
    plan_with(addr, Transport::Plain, TlsSetup::new(TlsOptions::default()).unwrap())
}
