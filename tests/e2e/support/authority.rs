//! A certificate authority of one test: servers' certificates, right and wrong, and clients'.
//!
//! Every key is new, every file in the test's temporary directory. The right certificate is for `localhost` and
//! 127.0.0.1, which is where every server here listens.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::process::sub_dir;

/// The authority that clients of the test trust, and another that nobody trusts.
pub struct Authority {
    trusted: CertifiedIssuer<'static, KeyPair>,
    stranger: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
    /// The trusted authority's certificate, PEM: for `tls.ca_file` of a configuration.
    pub ca_file: PathBuf,
}

/// What is wrong with a server's certificate, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerCertificate {
    Right,
    /// For `irc.elsewhere.test`, and in order apart from that.
    WrongName,
    UnknownIssuer,
    /// Valid until 2021.
    Expired,
}

/// The name that [`ServerCertificate::WrongName`] is for.
pub const ELSEWHERE: &str = "irc.elsewhere.test";

/// A certificate and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl KeyFiles {
    /// SHA-256 of the certificate, 64 lower-case hex digits.
    pub fn fingerprint(&self) -> String {
        fingerprint(&CertificateDer::from_pem_file(&self.certificate).expect("we wrote it"))
    }
}

/// A certificate for a client to show (CertFP).
pub struct ClientCertificate {
    pub files: KeyFiles,
    /// SHA-256 of the certificate, 64 lower-case hex digits: what services keep.
    pub fingerprint: String,
}

impl Authority {
    /// Makes both authorities in a directory under `parent`.
    pub fn new(parent: &Path) -> Authority {
        let dir = sub_dir(parent, "certificates");
        let trusted = issuer("authority of this test");
        let ca_file = dir.join("ca.pem");
        write(&ca_file, &trusted.pem());
        Authority { trusted, stranger: issuer("authority of somebody else"), dir, ca_file }
    }

    /// A server's certificate.
    pub fn server(&self, kind: ServerCertificate) -> KeyFiles {
        let names = match kind {
            ServerCertificate::WrongName => vec![ELSEWHERE.to_owned()],
            ServerCertificate::Right | ServerCertificate::UnknownIssuer | ServerCertificate::Expired => {
                vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
            }
        };
        let mut params = params(names, "irc.test");
        if kind == ServerCertificate::Expired {
            (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let issuer = if kind == ServerCertificate::UnknownIssuer { &self.stranger } else { &self.trusted };
        self.issue(&format!("server-{kind:?}"), &params, issuer).0
    }

    /// A certificate for a client; who issued it does not matter to anybody.
    pub fn client(&self, name: &str) -> ClientCertificate {
        let (files, der) = self.issue(&format!("client-{name}"), &params(Vec::new(), name), &self.trusted);
        ClientCertificate { files, fingerprint: fingerprint(&der) }
    }

    /// TLS settings of a client that trusts this authority alone.
    pub fn client_config(&self, certificate: Option<&ClientCertificate>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(&self.ca_file).expect("we wrote it");
        roots.add(root).expect("our own certificate is one");
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3")
            .with_root_certificates(roots);
        let Some(ClientCertificate { files, .. }) = certificate else { return builder.with_no_client_auth() };
        let chain = CertificateDer::from_pem_file(&files.certificate).expect("we wrote it");
        let key = PrivateKeyDer::from_pem_file(&files.key).expect("we wrote it");
        builder.with_client_auth_cert(vec![chain], key).expect("the key fits the certificate")
    }

    fn issue(
        &self,
        name: &str,
        params: &CertificateParams,
        issuer: &CertifiedIssuer<'static, KeyPair>,
    ) -> (KeyFiles, CertificateDer<'static>) {
        let key = KeyPair::generate().expect("ring makes keys");
        let certificate = params.signed_by(&key, issuer).expect("the authority signs");
        let [certificate_file, key_file] = ["pem", "key"].map(|end| self.dir.join(format!("{name}.{end}")));
        write(&certificate_file, &certificate.pem());
        write(&key_file, &key.serialize_pem());
        (KeyFiles { certificate: certificate_file, key: key_file }, certificate.der().clone())
    }
}

/// SHA-256 as lower-case hex.
fn fingerprint(der: &[u8]) -> String {
    let rustls::SupportedCipherSuite::Tls13(suite) = ring::cipher_suite::TLS13_AES_128_GCM_SHA256 else {
        unreachable!("a suite of TLS 1.3")
    };
    let digest = suite.common.hash_provider.hash(der);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn issuer(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params(Vec::new(), name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("ring makes keys"))
        .expect("an authority signs itself")
}

fn params(names: Vec<String>, common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(names).expect("names of hosts");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

/// Readable by all, because servers run as other users; the keys are of no use to anybody.
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a temporary directory takes files");
}
