//! What the tests of this adapter share: an authority that signs certificates, and plans to dial with.

use std::net::{SocketAddr, TcpStream as StdStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{ring, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error as RustlsError, ServerConfig, SignatureScheme};
use rustls::{SupportedProtocolVersion, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;

use super::certificate::Fingerprint;
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
        self.host(host, until).acceptor(Demand::Nothing, &version::TLS13)
    }

    /// A host with a certificate of this authority.
    pub fn host(&self, name: &str, until: Until) -> Host {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = match until {
            Until::LongFromNow => date_time_ymd(2999, 1, 1),
            Until::LongAgo => date_time_ymd(2001, 1, 1),
        };
        Host { certificate: params.signed_by(&key, &self.0).unwrap().der().clone(), key: key.serialize_der() }
    }
}

/// A server's certificate and key.
pub struct Host {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

/// What a server wants of those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    Nothing,
    /// Any certificate, if there is one: what IRC servers do.
    MayShow,
    MustShow,
}

impl Host {
    pub fn fingerprint(&self) -> String {
        Fingerprint::of(&self.certificate).to_string()
    }

    pub fn acceptor(&self, demand: Demand, version: &'static SupportedProtocolVersion) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap();
        let builder = match demand {
            Demand::Nothing => builder.with_no_client_auth(),
            Demand::MayShow | Demand::MustShow => builder.with_client_cert_verifier(Arc::new(Guests(demand))),
        };
        let config = builder.with_single_cert(vec![self.certificate.clone()], key).unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Takes any client certificate, as IRC servers do.
#[derive(Debug)]
struct Guests(Demand);

impl ClientCertVerifier for Guests {
    fn client_auth_mandatory(&self) -> bool {
        self.0 == Demand::MustShow
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, RustlsError> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let provider = ring::default_provider();
        verify_tls12_signature(message, cert, dss, &provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let provider = ring::default_provider();
        verify_tls13_signature(message, cert, dss, &provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// An address that answers nothing at all, and what makes it so: its queue of connections is full.
pub fn black_hole() -> (Socket, Vec<StdStream>, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = StdStream::connect_timeout(&addr, Duration::from_millis(100)) {
        queued.push(stream);
    }
    (socket, queued, addr)
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
