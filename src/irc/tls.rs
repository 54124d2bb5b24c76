//! Whom a TLS connection trusts.
//!
//! One [`TlsSetup`] per network, shared by all its connections. The system's roots are read once for the
//! whole process. Does no network I/O and never lowers the checks by itself: a certificate that does not
//! verify is refused, and nothing falls back to plain text.

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// What is wanted of TLS on one network.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// Certificates in PEM to trust besides the system's.
    pub extra_ca_pem: Option<Vec<u8>>,
    pub verify: Verify,
    /// The name the certificate must have, where it is not the host that is dialled.
    pub server_name: Option<String>,
}

/// How much of a server's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Issuer, dates and name.
    #[default]
    Full,
    /// Nothing: anybody on the way can read along. For laboratory networks only.
    None,
}

/// The checked TLS settings of one network. Cheap to clone.
#[derive(Clone, Debug)]
pub struct TlsSetup {
    pub(super) config: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

/// Why TLS settings cannot be used; the configuration must be changed.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error("the extra CA certificates cannot be read: {0}")]
    ExtraCa(String),
    #[error("{0:?} is no host name that a certificate could have")]
    ServerName(String),
}

impl TlsSetup {
    /// Reads the system's roots at the first call of the process (files: do it at start-up).
    pub fn new(options: TlsOptions) -> Result<Self, TlsSetupError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .expect("the ring provider has suites for TLS 1.2 and 1.3");
        let builder = match options.verify {
            Verify::Full => builder.with_root_certificates(roots(options.extra_ca_pem.as_deref())?),
            Verify::None => {
                tracing::warn!(
                    "certificates of this irc network are not verified: anybody on the way can read along"
                );
                builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
            }
        };
        let server_name = options.server_name.map(to_server_name).transpose()?;
        Ok(Self { config: Arc::new(builder.with_no_client_auth()), server_name })
    }

    /// The name the certificate of `host` must have.
    pub(super) fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsSetupError> {
        match &self.server_name {
            Some(name) => Ok(name.clone()),
            None => to_server_name(host.to_owned()),
        }
    }
}

fn to_server_name(name: String) -> Result<ServerName<'static>, TlsSetupError> {
    ServerName::try_from(name.clone()).map_err(|_| TlsSetupError::ServerName(name))
}

/// The system's roots, with `extra` ones where given.
fn roots(extra: Option<&[u8]>) -> Result<Arc<RootCertStore>, TlsSetupError> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let system = SYSTEM.get_or_init(|| Arc::new(system_roots()));
    let Some(pem) = extra else { return Ok(system.clone()) };
    let mut store = RootCertStore::clone(system);
    let system_count = store.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TlsSetupError::ExtraCa(error.to_string()))?;
        store.add(certificate).map_err(|error| TlsSetupError::ExtraCa(error.to_string()))?;
    }
    if store.len() == system_count {
        return Err(TlsSetupError::ExtraCa("there is no PEM certificate in it".to_owned()));
    }
    Ok(Arc::new(store))
}

fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    let (taken, ignored) = store.add_parsable_certificates(found.certs);
    if taken == 0 {
        tracing::warn!(ignored, errors = ?found.errors, "the system has no root certificates");
    }
    store
}

/// One short clause on why a handshake failed.
pub(super) fn failure_words(error: &std::io::Error) -> String {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>()) else {
        return match error.kind() {
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset => {
                "the server closed the connection during the handshake; is this its TLS port?".to_owned()
            }
            _ => error.to_string(),
        };
    };
    match tls {
        RustlsError::InvalidCertificate(cause) => certificate_words(cause),
        RustlsError::InvalidMessage(_) => "the server does not speak TLS on this port".to_owned(),
        RustlsError::AlertReceived(alert) => format!("the server refused the handshake ({alert:?})"),
        other => other.to_string(),
    }
}

fn certificate_words(cause: &CertificateError) -> String {
    use CertificateError as C;
    match cause {
        C::Expired | C::ExpiredContext { .. } => "the server's certificate has expired".to_owned(),
        C::NotValidYet | C::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet".to_owned()
        }
        C::UnknownIssuer => "the server's certificate is from an unknown issuer".to_owned(),
        C::NotValidForName | C::NotValidForNameContext { .. } => {
            "the server's certificate is for another host".to_owned()
        }
        C::BadSignature => "the server's certificate is not signed by the issuer it names".to_owned(),
        C::Revoked => "the server's certificate has been revoked".to_owned(),
        other => format!("the server's certificate is not valid ({other})"),
    }
}

/// [`Verify::None`]: any certificate, but still a handshake signed by its key.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
