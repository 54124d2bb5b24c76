//! Why TLS did not come to be: one clause with the next step, for somebody who knows no TLS.
//!
//! What a server or its certificate says of itself is hostile input: only names of hosts are repeated from
//! it, cleaned and few.

use std::io;

use rustls::{AlertDescription, CertificateError, Error as RustlsError, OtherError, PeerIncompatible};

use super::certificate::Fingerprint;

/// Names of a certificate that are repeated.
const NAMES_MAX: usize = 3;

const NAME_BYTES_MAX: usize = 80;

const NOT_TLS: &str = "the server does not speak TLS on this port; \
    take its TLS port, mostly 6697, or set tls: false for it";

const TOO_OLD: &str = "the server only speaks a TLS older than 1.2, which is not safe; \
    take another server of the network";

/// The certificate is none of those that are pinned.
#[derive(Debug, thiserror::Error)]
#[error("certificate {0} is not pinned")]
pub(super) struct NotPinned(pub Fingerprint);

/// Why a handshake failed.
pub(super) fn handshake_words(error: &io::Error) -> String {
    if let Some(words) = tls_words(error) {
        return words;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the server closed the connection during the handshake; is this its TLS port?".to_owned()
        }
        _ => error.to_string(),
    }
}

/// The same for any error of a stream; `None` when it is not TLS that failed. With TLS 1.3 a server judges
/// our certificate only after the handshake, so an open connection too may end for this.
pub(super) fn tls_words(error: &io::Error) -> Option<String> {
    let tls = error.get_ref()?.downcast_ref::<RustlsError>()?;
    Some(match tls {
        RustlsError::InvalidCertificate(cause) => certificate_words(cause),
        RustlsError::InvalidMessage(_) => NOT_TLS.to_owned(),
        RustlsError::AlertReceived(alert) => alert_words(*alert),
        RustlsError::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => TOO_OLD.to_owned(),
        other => other.to_string(),
    })
}

fn certificate_words(cause: &CertificateError) -> String {
    use CertificateError as C;
    let (fault, step) = match cause {
        C::Expired | C::ExpiredContext { .. } => {
            ("has expired", "the network has to renew it, or pin it in tls.fingerprints")
        }
        C::NotValidYet | C::NotValidYetContext { .. } => ("is not valid yet", "check the clock of this host"),
        C::UnknownIssuer => (
            "is from an unknown issuer",
            "name that authority in tls.ca_file, or pin the certificate in tls.fingerprints",
        ),
        C::NotValidForName => ("is for another host", "set tls.server_name to its name"),
        C::NotValidForNameContext { presented, .. } => {
            let names = names_of(presented);
            return format!(
                "the server's certificate is for another host{names}; set tls.server_name to its name"
            );
        }
        C::BadSignature => {
            ("is not signed by the issuer it names", "somebody may be posing as it: ask the network")
        }
        C::Revoked => ("has been revoked", "ask the network"),
        C::Other(OtherError(other)) if let Some(NotPinned(found)) = other.downcast_ref() => {
            return format!(
                "the server's certificate is none of those in tls.fingerprints; \
                 if the network says that it has changed, add {found}"
            );
        }
        other => return format!("the server's certificate is not valid ({other}); ask the network"),
    };
    format!("the server's certificate {fault}; {step}")
}

/// ` (irc.example, ...)`, or nothing.
fn names_of(presented: &[String]) -> String {
    // rustls writes them as `DnsName("irc.example")`.
    let quoted = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
    let fits = |name: &String| {
        name.len() <= NAME_BYTES_MAX
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"*.:-_".contains(&b))
    };
    let names: Vec<String> = presented.iter().map(quoted).filter(fits).take(NAMES_MAX).collect();
    if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) }
}

fn alert_words(alert: AlertDescription) -> String {
    use AlertDescription as A;
    match alert {
        A::CertificateRequired => "the server wants a client certificate; \
            set tls.client_certificate for the network, or make one for the user"
            .to_owned(),
        A::BadCertificate
        | A::UnsupportedCertificate
        | A::CertificateRevoked
        | A::CertificateExpired
        | A::CertificateUnknown
        | A::UnknownCA
        | A::AccessDenied => {
            format!(
                "the server does not take our client certificate ({alert:?}); make a new one, or go without"
            )
        }
        A::HandshakeFailure => "the server refused the handshake (HandshakeFailure); \
            it may want a client certificate, see tls.client_certificate"
            .to_owned(),
        A::ProtocolVersion => TOO_OLD.to_owned(),
        A::UnrecognisedName => "the server has no certificate for that name; set tls.server_name".to_owned(),
        other => format!("the server refused the handshake ({other:?}); ask the network"),
    }
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;

    use super::*;

    fn words(error: RustlsError) -> String {
        handshake_words(&io::Error::new(io::ErrorKind::InvalidData, error))
    }

    #[test]
    fn each_failure_says_what_to_do() {
        let causes = [
            CertificateError::Expired,
            CertificateError::NotValidYet,
            CertificateError::UnknownIssuer,
            CertificateError::NotValidForName,
            CertificateError::BadSignature,
            CertificateError::Revoked,
            CertificateError::BadEncoding,
        ];
        for cause in causes {
            let words = words(RustlsError::InvalidCertificate(cause));
            assert!(words.starts_with("the server's certificate ") && words.contains("; "), "{words}");
        }
        let alerts = [
            AlertDescription::CertificateRequired,
            AlertDescription::CertificateExpired,
            AlertDescription::HandshakeFailure,
            AlertDescription::ProtocolVersion,
            AlertDescription::UnrecognisedName,
            AlertDescription::InternalError,
        ];
        for alert in alerts {
            let words = words(RustlsError::AlertReceived(alert));
            assert!(words.starts_with("the server ") && words.contains("; "), "{words}");
        }
        let eof = io::Error::from(io::ErrorKind::UnexpectedEof);
        assert!(handshake_words(&eof).ends_with("is this its TLS port?"));
        assert_eq!(tls_words(&eof), None);
    }

    #[test]
    fn a_certificate_that_is_not_pinned_is_named() {
        let found = Fingerprint::of(&CertificateDer::from(&b"abc"[..]));
        let cause = CertificateError::Other(OtherError(std::sync::Arc::new(NotPinned(found))));
        assert_eq!(
            words(RustlsError::InvalidCertificate(cause)),
            format!(
                "the server's certificate is none of those in tls.fingerprints; \
                 if the network says that it has changed, add {found}"
            )
        );
    }

    #[test]
    fn names_of_a_certificate_are_repeated_clean_and_few() {
        let presented =
            |names: &[&str]| names_of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(presented(&["DnsName(\"irc.example\")", "*.net"]), " (irc.example, *.net)");
        assert_eq!(presented(&["DnsName(\"a\u{7}b\")", "a b", "é", &"x".repeat(99)]), "");
        assert_eq!(presented(&["a", "b", "c", "d"]), " (a, b, c)");
        assert_eq!(presented(&[]), "");
    }
}
