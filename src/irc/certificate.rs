//! Certificates by which services know a user (CertFP), and fingerprints of certificates.
//!
//! Services store the fingerprint and compare it; nobody signs these certificates and nobody has to. What is
//! made here is never written down here, and a key is shown by nothing but the `Secret` it leaves in.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::crypto::ring::{self, cipher_suite};
use rustls::sign::CertifiedKey;
use rustls::{Error as RustlsError, SupportedCipherSuite};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::secret::Secret;

/// The longest common name, in characters (RFC 5280 appendix A.1, ub-common-name).
const NAME_CHARS_MAX: usize = 64;

const DAY: Duration = Duration::from_hours(24);

/// A client certificate that was made for somebody, with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub pem: String,
    pub key_pem: Secret,
    /// SHA-256 of the DER, lower-case hex without colons: what Libera, OFTC and most services show and take.
    pub fingerprint: String,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("no certificate could be made: {0}")]
    Generate(String),
    #[error("the certificate cannot be read: {0}; it has to be in PEM")]
    Certificate(String),
    #[error("the certificate's key cannot be read: {0}; it has to be in PEM, without a passphrase")]
    Key(String),
    #[error("the key is not that of the certificate; give the two that were made together")]
    Mismatch,
}

/// Makes a certificate that `name` is the common name of, valid for ten years, with a key on P-256.
///
/// Services compare the fingerprint and do not look at dates, but some servers refuse an expired certificate
/// in the handshake: after ten years a new one has to be made and its fingerprint told to the services.
/// The name is seen by the server (with TLS 1.2 by all on the way): only letters, digits and `._-@` of it
/// are kept, up to 64, and `bunraku` stands where nothing is left. It is valid from a day ago, for servers
/// whose clock is late.
///
/// # Errors
/// [`CertificateError::Generate`] where the system gives no random numbers.
pub fn generate(name: &str) -> Result<Certificate, CertificateError> {
    let made = |error: rcgen::Error| CertificateError::Generate(error.to_string());
    let mut params = CertificateParams::new(Vec::new()).map_err(made)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name(name));
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + 3652 * DAY).into();
    let key = KeyPair::generate().map_err(made)?;
    let certificate = params.self_signed(&key).map_err(made)?;
    Ok(Certificate {
        pem: certificate.pem(),
        key_pem: Secret::new(&key.serialize_pem()),
        fingerprint: Fingerprint::of(certificate.der()).to_string(),
    })
}

fn common_name(name: &str) -> String {
    let legal = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@');
    let clean: String = name.chars().filter(legal).take(NAME_CHARS_MAX).collect();
    if clean.is_empty() { "bunraku".to_owned() } else { clean }
}

/// SHA-256 of the first certificate in `pem`, lower-case hex.
///
/// # Errors
/// [`CertificateError::Certificate`] where there is none.
pub fn fingerprint(pem: &str) -> Result<String, CertificateError> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(unreadable)?;
    Ok(Fingerprint::of(&der).to_string())
}

fn unreadable(error: pem::Error) -> CertificateError {
    CertificateError::Certificate(pem_words(&error))
}

fn pem_words(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "there is none in it".to_owned(),
        other => other.to_string(),
    }
}

/// SHA-256 of a certificate's DER.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// That of this certificate.
    pub fn of(der: &CertificateDer<'_>) -> Self {
        let SupportedCipherSuite::Tls13(suite) = cipher_suite::TLS13_AES_128_GCM_SHA256 else {
            unreachable!("the suite has TLS13 in its name")
        };
        let hash = suite.common.hash_provider.hash(der);
        Self(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

/// It is neither 64 hex digits nor those in pairs with colons between them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no SHA-256 fingerprint: that has 64 hex digits, with or without colons")]
pub struct NoFingerprint(pub String);

impl FromStr for Fingerprint {
    type Err = NoFingerprint;

    fn from_str(text: &str) -> Result<Self, NoFingerprint> {
        let wrong = || NoFingerprint(text.to_owned());
        let trimmed = text.trim();
        let pairs: Vec<&[u8]> = match trimmed.contains(':') {
            true => trimmed.split(':').map(str::as_bytes).collect(),
            false => trimmed.as_bytes().chunks(2).collect(),
        };
        let byte = |pair: &&[u8]| match pair {
            &&[high, low] => {
                let digit = |b: u8| char::from(b).to_digit(16);
                Some((digit(high)? * 16 + digit(low)?) as u8)
            }
            _ => None,
        };
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A certificate and its key, read and found to belong together; shown to servers that ask. Cheap to clone.
#[derive(Clone)]
pub struct ClientCertificate(pub(super) Arc<CertifiedKey>);

impl ClientCertificate {
    /// Reads a certificate, with the rest of its chain where there is one, and its key; both may be in one
    /// text, given twice.
    ///
    /// # Errors
    /// Says which of the two is wrong.
    pub fn from_pem(pem: &str, key_pem: &Secret) -> Result<Self, CertificateError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
        let chain = chain.map_err(unreadable)?;
        if chain.is_empty() {
            return Err(unreadable(pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_slice(key_pem.expose().as_bytes())
            .map_err(|error| CertificateError::Key(pem_words(&error)))?;
        match CertifiedKey::from_der(chain, key, &ring::default_provider()) {
            Ok(certified) => Ok(Self(Arc::new(certified))),
            Err(RustlsError::InconsistentKeys(_)) => Err(CertificateError::Mismatch),
            Err(RustlsError::InvalidCertificate(error)) => {
                Err(CertificateError::Certificate(error.to_string()))
            }
            Err(error) => Err(CertificateError::Key(error.to_string())),
        }
    }

    /// By which services know it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.0.cert.first().expect("read with at least one certificate"))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({})", self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_made_can_be_shown_and_is_known_by_its_fingerprint() {
        let made = generate("alice@example.org").unwrap();
        assert_eq!(fingerprint(&made.pem).unwrap(), made.fingerprint);
        assert_eq!(made.fingerprint.len(), 64);
        let read = ClientCertificate::from_pem(&made.pem, &made.key_pem).unwrap();
        assert_eq!(read.fingerprint().to_string(), made.fingerprint);
        assert_ne!(generate("alice@example.org").unwrap().fingerprint, made.fingerprint);
        let shown = format!("{made:?} {read:?}");
        assert!(!shown.contains("PRIVATE") && shown.contains("[secret]"), "{shown}");
    }

    /// `printf abc | sha256sum`.
    #[test]
    fn a_fingerprint_is_sha256_in_hex_with_or_without_colons() {
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let abc = Fingerprint::of(&CertificateDer::from(&b"abc"[..]));
        assert_eq!(abc.to_string(), hex);
        let pairs: Vec<String> =
            hex.as_bytes().chunks(2).map(|pair| String::from_utf8(pair.to_vec()).unwrap()).collect();
        for text in [hex.to_owned(), hex.to_uppercase(), pairs.join(":"), format!(" {hex}\n")] {
            assert_eq!(text.parse(), Ok(abc), "{text}");
        }
        let wrong =
            ["", ":", &hex[1..], &hex[2..], &pairs[1..].join(":"), &hex.replace('b', "g"), &pairs.join("::")];
        for text in wrong {
            let words = text.parse::<Fingerprint>().unwrap_err().to_string();
            assert_eq!(
                words,
                format!("{text:?} is no SHA-256 fingerprint: that has 64 hex digits, with or without colons")
            );
        }
        // As many bytes as there should be digits, but not all of them ASCII.
        assert!("é".repeat(32).parse::<Fingerprint>().is_err());
    }

    #[test]
    fn a_name_is_made_fit_to_be_shown() {
        assert_eq!(common_name("Al i\r\nce,CN=root"), "AliceCNroot");
        assert_eq!(common_name("山本\0"), "bunraku");
        assert_eq!(common_name(&"x".repeat(1000)).len(), NAME_CHARS_MAX);
        assert!(generate("\u{202e}").is_ok());
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        let (one, two) = (generate("one").unwrap(), generate("two").unwrap());
        let read = |pem: &str, key: &Secret| match ClientCertificate::from_pem(pem, key) {
            Ok(_) => "read".to_owned(),
            Err(error) => error.to_string(),
        };
        let both = Secret::new(&format!("{}{}", one.pem, one.key_pem.expose()));
        assert_eq!(read(both.expose(), &both), "read");
        assert_eq!(
            read(&one.pem, &two.key_pem),
            "the key is not that of the certificate; give the two that were made together"
        );
        assert_eq!(
            read("no pem", &one.key_pem),
            "the certificate cannot be read: there is none in it; it has to be in PEM"
        );
        assert_eq!(
            read(&one.pem, &Secret::new("no pem")),
            "the certificate's key cannot be read: there is none in it; it has to be in PEM, without a passphrase"
        );
        let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(read(odd, &one.key_pem).starts_with("the certificate cannot be read: "));
        let odd = Secret::new("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        assert!(read(&one.pem, &odd).starts_with("the certificate's key cannot be read: "));
        assert!(fingerprint("").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_a_fingerprint_panic(text in "\\PC{0,70}") {
            let _ = text.parse::<Fingerprint>();
        }
    }
}
