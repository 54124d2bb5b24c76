//! Whom a TLS connection trusts, and as whom it shows itself.
//!
//! One [`TlsSetup`] per network, shared by all its connections. The system's roots are read once for the
//! whole process. Does no network I/O and never lowers the checks by itself: a certificate that does not
//! verify is refused, nothing falls back to plain text, and TLS older than 1.2 is not spoken at all.

use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error as RustlsError, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::certificate::{ClientCertificate, Fingerprint, NoFingerprint};
use super::tls_failure::NotPinned;

/// What is wanted of TLS on one network.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// Certificates in PEM of the only authorities to trust; `None` for those of the system.
    pub ca_pem: Option<Vec<u8>>,
    pub verify: Verify,
    /// The name the certificate must have, where it is not the host that is dialled.
    pub server_name: Option<String>,
    /// SHA-256 of the only certificates to take, in hex with or without colons; none: issuer, dates and name
    /// decide. One that is listed is good whatever else it says, also after its last day.
    pub fingerprints: Vec<String>,
    /// Shown to servers that ask, by all puppets that have none of their own.
    pub certificate: Option<ClientCertificate>,
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
    shared: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

/// Why TLS settings cannot be used; the configuration must be changed.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    #[error("the CA certificates cannot be read: {0}")]
    Ca(String),
    #[error("{0:?} is no host name that a certificate could have")]
    ServerName(String),
    #[error(transparent)]
    Fingerprint(#[from] NoFingerprint),
}

impl TlsSetup {
    /// Reads the system's roots when first needed in the process (files: do it at start-up).
    pub fn new(options: TlsOptions) -> Result<Self, TlsSetupError> {
        let provider = Arc::new(ring::default_provider());
        let pins: Vec<Fingerprint> =
            options.fingerprints.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let server_name = options.server_name.map(to_server_name).transpose()?;
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .expect("the ring provider has suites for TLS 1.2 and 1.3");
        let builder = if !pins.is_empty() {
            let verifier = Lenient { provider, pins };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        } else if options.verify == Verify::None {
            tracing::warn!(
                "certificates of this irc network are not verified: anybody on the way can read along"
            );
            let verifier = Lenient { provider, pins };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        } else {
            builder.with_root_certificates(roots(options.ca_pem.as_deref())?)
        };
        let mut config = builder.with_no_client_auth();
        if let Some(certificate) = &options.certificate {
            show(&mut config, certificate);
        }
        Ok(Self { shared: Arc::new(config), server_name })
    }

    /// The settings for a puppet that shows `own`, or the network's for one that has none.
    ///
    /// Only small things are copied: roots, verifier and ciphers stay the shared ones.
    pub(super) fn config_for(&self, own: Option<&ClientCertificate>) -> Arc<ClientConfig> {
        let Some(certificate) = own else { return self.shared.clone() };
        let mut config = ClientConfig::clone(&self.shared);
        show(&mut config, certificate);
        Arc::new(config)
    }

    /// The name the certificate of `host` must have.
    pub(super) fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsSetupError> {
        match &self.server_name {
            Some(name) => Ok(name.clone()),
            None => to_server_name(host.to_owned()),
        }
    }
}

/// Lets connections of `config` show `certificate`.
///
/// Such a connection resumes no earlier one. A session belongs to the certificate it was made with (RFC 8446
/// section 4.6.1), and the store of sessions knows them by the server's name alone: from a shared one a
/// puppet could take up the session, and with it the account, of another. Even its own is of no use, since
/// not every server finds the certificate again in a resumed session.
fn show(config: &mut ClientConfig, certificate: &ClientCertificate) {
    config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certificate.0.clone()));
    config.resumption = Resumption::disabled();
}

fn to_server_name(name: String) -> Result<ServerName<'static>, TlsSetupError> {
    ServerName::try_from(name.clone()).map_err(|_| TlsSetupError::ServerName(name))
}

/// The authorities in `only`, where given, else the system's.
fn roots(only: Option<&[u8]>) -> Result<Arc<RootCertStore>, TlsSetupError> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let Some(pem) = only else { return Ok(SYSTEM.get_or_init(|| Arc::new(system_roots())).clone()) };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TlsSetupError::Ca(error.to_string()))?;
        store.add(certificate).map_err(|error| TlsSetupError::Ca(error.to_string()))?;
    }
    if store.is_empty() {
        return Err(TlsSetupError::Ca("there is no PEM certificate in it".to_owned()));
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

/// Looks at no issuer, date or name: takes the pinned certificates, or any where none is pinned
/// ([`Verify::None`]). The handshake must still be signed by the certificate's key.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    pins: Vec<Fingerprint>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        let found = Fingerprint::of(end_entity);
        if self.pins.is_empty() || self.pins.contains(&found) {
            return Ok(ServerCertVerified::assertion());
        }
        let cause = CertificateError::Other(OtherError(Arc::new(NotPinned(found))));
        Err(RustlsError::InvalidCertificate(cause))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
