//! The client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677): it proves that we know a password without showing
//! it, and has the server prove the same.
//!
//! ```text
//! Scram --first()-->  server-first --challenge()--> Challenge --answer(key)--> Proof --verify()--> logged in
//! ```
//!
//! Never here: channel binding (gs2 header `n,,`), base64 of whole messages (that is `sasl`), the password.
//! Deriving the key is slow and its cost is the server's choice, so whoever drives this calls [`salted`] on
//! another thread, between `challenge` and `answer`.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::irc_codes;

/// Fewest iterations accepted. RFC 7677 section 4 asks servers for at least 4,096; one that offers fewer makes
/// our proof cheap to guess the password from, and that is what somebody in the middle would offer. Services in
/// use offer 4,096 (Ergo) and more (Atheme), so nobody honest is shut out.
pub const ITERATIONS_MIN: u32 = 4_096;

/// Most iterations accepted: a second or so of one core. More would be an attack on us.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// Longest salt and nonce accepted, in bytes as sent; real ones have 16 to 64.
const FIELD_BYTES_MAX: usize = 1024;

/// Longest word of a server quoted in a fault, in characters.
const QUOTED_CHARS_MAX: usize = 60;

/// "No channel binding, no other identity" (RFC 5802 section 7, gs2-header).
const GS2_HEADER: &str = "n,,";

/// A login that is about to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scram {
    nonce: String,
    first_bare: String,
}

/// What the server asked; answered with the derived key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub salt: Vec<u8>,
    /// [`ITERATIONS_MIN`] to [`ITERATIONS_MAX`].
    pub iterations: u32,
    final_bare: String,
    auth_message: String,
}

/// Our last word, and what the server has to say to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// The client-final-message, as text.
    pub client_final: String,
    server_signature: [u8; 32],
}

/// Why a login ends, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScramFault {
    /// The account or password is wrong, or the server cannot: its owner has to act, trying again will not help.
    #[error("{0}")]
    Refused(String),
    /// Whoever answered does not know the password: close the connection and send nothing more.
    #[error("the server could not prove that it knows the password")]
    Forged,
    /// The answer is to another question than ours: close the connection.
    #[error("the server answered with another nonce than ours")]
    Nonce,
    /// See [`ITERATIONS_MIN`].
    #[error("the server asks for {0} iterations only, which would give the password away")]
    TooWeak(u32),
    /// See [`ITERATIONS_MAX`].
    #[error("the server asks for more iterations than anybody needs")]
    TooCostly,
    /// No message of this mechanism.
    #[error("the server's SCRAM message cannot be read: {0}")]
    Nonsense(&'static str),
}

/// Why a name or password cannot be used with SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrepareFault {
    #[error("it holds characters that a login cannot have")]
    Forbidden,
    #[error("nothing of it is left after preparation")]
    Empty,
}

/// SASLprep (RFC 4013): one spelling for all ways to type an account name or password. Characters that Unicode
/// 3.2 did not know are refused, as RFC 5802 section 2.2 asks; PLAIN has no such limit.
pub fn prepared(text: &str) -> Result<String, PrepareFault> {
    let prepared = stringprep::saslprep(text).map_err(|_| PrepareFault::Forbidden)?;
    if prepared.is_empty() { Err(PrepareFault::Empty) } else { Ok(prepared.into_owned()) }
}

/// SaltedPassword (RFC 5802 section 3): PBKDF2 with HMAC-SHA-256 over the prepared password. Slow on purpose, up
/// to a second at [`ITERATIONS_MAX`]; never call it where others wait.
pub fn salted(password: &str, salt: &[u8], iterations: u32) -> [u8; 32] {
    pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations)
}

impl Scram {
    /// Begins the login of an account ([`prepared`]). The nonce is fresh random text; what cannot stand in one
    /// (RFC 5802 section 7, `printable`) is left out.
    pub fn new(account: &str, nonce: &str) -> Self {
        let nonce: String = nonce.chars().filter(|&c| is_printable(c)).collect();
        let account = account.replace('=', "=3D").replace(',', "=2C");
        Self { first_bare: format!("n={account},r={nonce}"), nonce }
    }

    /// The client-first-message.
    pub fn first(&self) -> String {
        format!("{GS2_HEADER}{}", self.first_bare)
    }

    /// Reads the server-first-message: `r=`, `s=`, `i=` in this order, then extensions that we may ignore.
    pub fn challenge(self, server_first: &str) -> Result<Challenge, ScramFault> {
        refusal(server_first)?;
        let mut fields = server_first.split(',');
        let mut field = |key, missing| value(fields.next(), key).ok_or(ScramFault::Nonsense(missing));
        let nonce = field("r=", "no nonce, or an extension that we do not know")?;
        let salt = field("s=", "no salt")?;
        let iterations = field("i=", "no iteration count")?;
        if nonce.len() <= self.nonce.len() || !nonce.starts_with(&self.nonce) {
            return Err(ScramFault::Nonce);
        }
        if nonce.len() > FIELD_BYTES_MAX || !nonce.chars().all(is_printable) {
            return Err(ScramFault::Nonsense("no legal nonce"));
        }
        let final_bare = format!("c={},r={nonce}", STANDARD.encode(GS2_HEADER));
        Ok(Challenge {
            salt: read_salt(salt)?,
            iterations: read_iterations(iterations)?,
            auth_message: format!("{},{server_first},{final_bare}", self.first_bare),
            final_bare,
        })
    }
}

impl Challenge {
    /// The client-final-message for the key that [`salted`] derived.
    pub fn answer(self, salted_password: [u8; 32]) -> Proof {
        let message = self.auth_message.as_bytes();
        let client_key = hmac(&salted_password, b"Client Key");
        let stored_key: [u8; 32] = Sha256::digest(client_key).into();
        let mut proof = hmac(&stored_key, message);
        proof.iter_mut().zip(client_key).for_each(|(byte, key)| *byte ^= key);
        let server_key = hmac(&salted_password, b"Server Key");
        Proof {
            client_final: format!("{},p={}", self.final_bare, STANDARD.encode(proof)),
            server_signature: hmac(&server_key, message),
        }
    }
}

impl Proof {
    /// Reads the server-final-message. Only after `Ok` is it known that the server knows the password.
    pub fn verify(&self, server_final: &str) -> Result<(), ScramFault> {
        refusal(server_final)?;
        let signature =
            value(server_final.split(',').next(), "v=").ok_or(ScramFault::Nonsense("no signature"))?;
        let signature = STANDARD.decode(signature).map_err(|_| ScramFault::Nonsense("no base64"))?;
        if bool::from(self.server_signature[..].ct_eq(&signature)) { Ok(()) } else { Err(ScramFault::Forged) }
    }
}

impl fmt::Debug for Proof {
    /// Shows nothing: from a proof a weak password can be guessed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof")
    }
}

fn hmac(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// What may stand in a nonce: printable ASCII but the comma.
fn is_printable(c: char) -> bool {
    c.is_ascii_graphic() && c != ','
}

/// The value of the next field, when it has this key and any value.
fn value<'a>(field: Option<&'a str>, key: &str) -> Option<&'a str> {
    field?.strip_prefix(key).filter(|value| !value.is_empty())
}

fn read_salt(text: &str) -> Result<Vec<u8>, ScramFault> {
    if text.len() > FIELD_BYTES_MAX {
        return Err(ScramFault::Nonsense("a salt without end"));
    }
    STANDARD.decode(text).map_err(|_| ScramFault::Nonsense("a salt that is no base64"))
}

/// A count within the bounds. Digits only: `+4096` is no `posit-number`.
fn read_iterations(text: &str) -> Result<u32, ScramFault> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ScramFault::Nonsense("an iteration count that is no number"));
    }
    match text.parse() {
        Ok(count) if count < ITERATIONS_MIN => Err(ScramFault::TooWeak(count)),
        Ok(count) if count <= ITERATIONS_MAX => Ok(count),
        Ok(_) | Err(_) => Err(ScramFault::TooCostly),
    }
}

/// Turns `e=…` into words (RFC 5802 section 7, server-error-value).
fn refusal(message: &str) -> Result<(), ScramFault> {
    let Some(error) = message.strip_prefix("e=") else { return Ok(()) };
    let error = error.split(',').next().unwrap_or_default();
    let words = match error {
        "invalid-proof" => "the password is wrong".to_owned(),
        "unknown-user" => "the network does not know this account".to_owned(),
        "invalid-username-encoding" | "invalid-encoding" => {
            "the network cannot read the account name".to_owned()
        }
        "no-resources" => "the network cannot check logins just now".to_owned(),
        "channel-bindings-dont-match"
        | "server-does-support-channel-binding"
        | "channel-binding-not-supported"
        | "unsupported-channel-binding-type"
        | "extensions-not-supported" => {
            "the network wants a kind of login that is not offered here".to_owned()
        }
        other => format!("the network refused the login: {}", quoted(other)),
    };
    Err(ScramFault::Refused(words))
}

/// A server's word, fit to be shown.
fn quoted(text: &str) -> String {
    let plain = irc_codes::strip(text);
    plain.chars().filter(|c| !c.is_control()).take(QUOTED_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // RFC 7677 section 3.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn challenge(server_first: &str) -> Result<Challenge, ScramFault> {
        Scram::new("user", NONCE).challenge(server_first)
    }

    fn proof() -> Proof {
        let challenge = challenge(SERVER_FIRST).unwrap();
        let key = salted("pencil", &challenge.salt, challenge.iterations);
        challenge.answer(key)
    }

    #[test]
    fn the_example_of_the_standard_is_followed_to_the_letter() {
        assert_eq!(Scram::new("user", NONCE).first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(proof().client_final, CLIENT_FINAL);
        assert_eq!(proof().verify(SERVER_FINAL), Ok(()));
        assert_eq!(proof().verify(&format!("{SERVER_FINAL},x=later")), Ok(()));
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_found_out() {
        let forged = SERVER_FINAL.replace("6rri", "7rri");
        for (answer, fault) in [
            (forged.as_str(), ScramFault::Forged),
            ("v=6rriTRBi23U=", ScramFault::Forged),
            ("v=", ScramFault::Nonsense("no signature")),
            ("v=*", ScramFault::Nonsense("no base64")),
            ("", ScramFault::Nonsense("no signature")),
            ("x=1,v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", ScramFault::Nonsense("no signature")),
        ] {
            assert_eq!(proof().verify(answer), Err(fault), "{answer}");
        }
    }

    #[test]
    fn a_refusal_becomes_words() {
        let words = |answer: &str| proof().verify(answer).unwrap_err().to_string();
        assert_eq!(words("e=invalid-proof"), "the password is wrong");
        assert_eq!(words("e=unknown-user,x"), "the network does not know this account");
        assert_eq!(words("e=\u{2}odd\u{1}\u{2}"), "the network refused the login: odd");
        assert!(words(&format!("e={}", "x".repeat(10_000))).len() < 120);
        assert_eq!(challenge("e=no-resources").unwrap_err(), proof().verify("e=no-resources").unwrap_err());
    }

    #[test]
    fn a_challenge_that_is_not_ours_or_not_safe_is_refused() {
        let with = |nonce: &str, salt: &str, count: &str| challenge(&format!("r={nonce},s={salt},i={count}"));
        let longer = format!("{NONCE}x");
        assert!(with(&longer, "QQ==", "4096").is_ok() && with(&longer, "QQ==", "1000000").is_ok());
        for nonce in [NONCE, "other", "", "rOprNGfwEbeRWgbNEkq"] {
            let fault = with(nonce, "QQ==", "4096").unwrap_err();
            assert!(matches!(fault, ScramFault::Nonce | ScramFault::Nonsense(_)), "{nonce}: {fault}");
        }
        assert_eq!(with(&longer, "QQ==", "4095"), Err(ScramFault::TooWeak(4095)));
        assert_eq!(with(&longer, "QQ==", "0"), Err(ScramFault::TooWeak(0)));
        for count in ["1000001", "4294967296", "99999999999999999999999999"] {
            assert_eq!(with(&longer, "QQ==", count), Err(ScramFault::TooCostly), "{count}");
        }
        for count in ["-1", "+4096", "4096 ", "", "x"] {
            assert!(matches!(with(&longer, "QQ==", count), Err(ScramFault::Nonsense(_))), "{count}");
        }
        for salt in ["", "*", "QQ", &"QQQQ".repeat(300)] {
            assert!(matches!(with(&longer, salt, "4096"), Err(ScramFault::Nonsense(_))), "{salt}");
        }
        for message in ["", "r=", "m=must,r=x,s=QQ==,i=4096", "s=QQ==,r=x,i=4096", &format!("r={longer}")] {
            assert!(matches!(challenge(message), Err(ScramFault::Nonsense(_))), "{message}");
        }
    }

    #[test]
    fn names_cannot_add_fields() {
        assert_eq!(Scram::new("a=b,c", "no,n\nce").first(), "n,,n=a=3Db=2Cc,r=nonce");
    }

    #[test]
    fn one_spelling_stands_for_all() {
        // RFC 4013 section 3.
        assert_eq!(prepared("I\u{ad}X").as_deref(), Ok("IX"));
        assert_eq!(prepared("\u{aa}").as_deref(), Ok("a"));
        assert_eq!(prepared("\u{2168}").as_deref(), Ok("IX"));
        assert_eq!(prepared("USER").as_deref(), Ok("USER"));
        assert_eq!(prepared("a\u{7}"), Err(PrepareFault::Forbidden));
        assert_eq!(prepared("\u{627}1"), Err(PrepareFault::Forbidden));
        assert_eq!(prepared("\u{ad}"), Err(PrepareFault::Empty));
    }

    #[test]
    fn a_proof_shows_nothing() {
        assert_eq!(format!("{:?}", proof()), "Proof");
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(
            account in "\\PC{0,20}|[\u{0}-\u{20}=,]{0,9}",
            text in "([rsiemv]=|[,=+/]|[a-zA-Z0-9]|\\PC|[\u{0}-\u{1f}]){0,40}",
        ) {
            let scram = Scram::new(&account, NONCE);
            prop_assert_eq!(scram.first().matches(',').count(), 3);
            let _ = scram.clone().challenge(&text);
            let _ = scram.challenge(&format!("r={NONCE}{text},s=QQ==,i=4096"));
            let fake = Proof { client_final: String::new(), server_signature: [0; 32] };
            prop_assert!(fake.verify(&text).is_err());
            let _ = prepared(&text);
        }
    }
}
