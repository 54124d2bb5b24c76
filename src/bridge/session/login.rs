//! SASL (IRCv3 "sasl" 3.2): proving an account while registering.
//!
//! ```text
//!   AUTHENTICATE mechanism ──+──▶ payload ──(SCRAM: challenge, salted password, proof, signature)──▶ 903
//!        ▲                                    │ 904 before anything was proven, and another mechanism fits
//!        └────────────────────────────────────┘ else: refused, in the server's words
//! ```
//!
//! The certificate is tried before the password, and SCRAM before PLAIN: SCRAM never shows the password to the
//! server, and shows us that the server knows it. PLAIN is said over TLS only. A password that was refused is
//! never tried again, and a server that could not prove itself gets no second mechanism to learn it by.

use crate::bridge::input::{Certificate, Login, Salted, Wire};
use crate::secret::Secret;
use crate::text::line::Line;
use crate::text::sasl::{self, Gather};
use crate::text::scram::{self, Challenge, Proof, Scram};

/// Aborts an exchange.
pub(super) const ABORT: &str = "AUTHENTICATE *";

/// A way to log in, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mechanism {
    External,
    ScramSha256,
    Plain,
}

const MECHANISMS: [Mechanism; 3] = [Mechanism::External, Mechanism::ScramSha256, Mechanism::Plain];

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::External => "EXTERNAL",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
        }
    }
}

/// A login under way.
#[derive(Debug)]
pub struct Sasl {
    login: Login,
    wire: Wire,
    nonce: String,
    /// What the server says it takes; `None` where it gave no list.
    offered: Option<String>,
    tried: Vec<Mechanism>,
    exchange: Exchange,
    gather: Gather,
}

#[derive(Debug)]
enum Exchange {
    None,
    /// The mechanism was named; the server has to ask for the payload.
    Named(Mechanism),
    /// Everything was said; the server has the word.
    Said(Mechanism),
    /// SCRAM: the first message was said.
    First(Scram),
    /// SCRAM: the password is being salted.
    Salting(Challenge),
    /// SCRAM: the proof was said; the server has to prove itself.
    Proving(Proof),
    /// SCRAM: both sides have proven themselves.
    Proven,
}

/// What follows.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Wait,
    Say(Vec<String>),
    Derive {
        password: Secret,
        salt: Vec<u8>,
        iterations: u32,
    },
    LoggedIn,
    /// No way to log in fits: nothing was tried. Why, in words.
    Unable(String),
    /// Refused; these lines end the exchange, if any. Trying again is no use.
    Refused {
        words: String,
        lines: Vec<String>,
    },
}

impl Sasl {
    /// `nonce` is fresh random text.
    pub fn new(login: Login, wire: Wire, nonce: String) -> Self {
        let (tried, exchange, gather) = (Vec::new(), Exchange::None, Gather::default());
        Self { login, wire, nonce, offered: None, tried, exchange, gather }
    }

    /// Begins, with the server's list of mechanisms; empty where it gave none.
    pub fn begin(&mut self, offered: &str) -> Step {
        self.offered = (!offered.is_empty()).then(|| offered.to_owned());
        match self.next() {
            Some(mechanism) => self.name(mechanism),
            None => Step::Unable(self.why_unable()),
        }
    }

    /// Takes an AUTHENTICATE line or one of the numerics 902 to 908.
    pub fn line(&mut self, line: &Line) -> Step {
        match line.command.as_str() {
            "AUTHENTICATE" => self.asked(line.param(0)),
            "903" => self.succeeded(),
            // Already logged in: by certificate, say.
            "907" => Step::LoggedIn,
            "908" => {
                self.offered = Some(line.param(1).to_owned());
                Step::Wait
            }
            "906" => self.broken_off(line),
            "902" | "904" | "905" => self.failed(line),
            _ => Step::Wait,
        }
    }

    /// The password was salted.
    pub fn derived(&mut self, salted: &Salted) -> Step {
        let challenge = match std::mem::replace(&mut self.exchange, Exchange::None) {
            Exchange::Salting(challenge) => challenge,
            other => {
                // The server has not waited for it, and another exchange may be under way.
                self.exchange = other;
                return Step::Wait;
            }
        };
        let proof = challenge.answer(salted.0);
        let lines = sasl::lines(proof.client_final.as_bytes());
        self.exchange = Exchange::Proving(proof);
        Step::Say(lines)
    }

    /// The best mechanism that fits and was not tried.
    fn next(&self) -> Option<Mechanism> {
        MECHANISMS.into_iter().find(|mechanism| {
            let possible = match mechanism {
                Mechanism::External => self.login.certificate == Certificate::Shown,
                Mechanism::ScramSha256 => self.prepared().is_some(),
                Mechanism::Plain => self.login.password.is_some() && self.wire == Wire::Tls,
            };
            possible && self.is_offered(*mechanism) && !self.tried.contains(mechanism)
        })
    }

    fn is_offered(&self, mechanism: Mechanism) -> bool {
        let Some(list) = &self.offered else { return true };
        list.split(',').any(|name| name.eq_ignore_ascii_case(mechanism.name()))
    }

    /// Account and password as SCRAM wants them.
    fn prepared(&self) -> Option<(String, Secret)> {
        let password = self.login.password.as_ref()?;
        let account = scram::prepared(&self.login.account).ok()?;
        Some((account, Secret::new(&scram::prepared(password.expose()).ok()?)))
    }

    fn why_unable(&self) -> String {
        let list = self.offered.as_deref().unwrap_or("no list");
        if self.login.password.is_some() && self.wire == Wire::Plain {
            return format!(
                "the connection is not encrypted, and the network offers no login that hides the password ({list})"
            );
        }
        format!("the network offers no way to log in that fits this login ({list})")
    }

    fn name(&mut self, mechanism: Mechanism) -> Step {
        self.tried.push(mechanism);
        self.gather = Gather::default();
        self.exchange = Exchange::Named(mechanism);
        Step::Say(vec![format!("AUTHENTICATE {}", mechanism.name())])
    }

    fn asked(&mut self, chunk: &str) -> Step {
        let message = match self.gather.push(chunk) {
            Ok(Some(message)) => message,
            Ok(None) => return Step::Wait,
            Err(fault) => return self.give_up(&fault.to_string()),
        };
        match std::mem::replace(&mut self.exchange, Exchange::None) {
            Exchange::Named(mechanism) => self.payload(mechanism),
            Exchange::First(scram) => match scram.challenge(&message) {
                Ok(challenge) => self.salt(challenge),
                Err(fault) => self.give_up(&fault.to_string()),
            },
            Exchange::Proving(proof) => match proof.verify(&message) {
                Ok(()) => {
                    self.exchange = Exchange::Proven;
                    Step::Say(sasl::lines(b""))
                }
                Err(fault) => self.give_up(&fault.to_string()),
            },
            said @ (Exchange::Said(_) | Exchange::Salting(_) | Exchange::Proven | Exchange::None) => {
                // More questions than the mechanism has.
                self.exchange = said;
                Step::Wait
            }
        }
    }

    fn payload(&mut self, mechanism: Mechanism) -> Step {
        let account = &self.login.account;
        let payload = match mechanism {
            Mechanism::External => Some(sasl::EXTERNAL.to_vec()),
            Mechanism::Plain => {
                let password = self.login.password.as_ref();
                password.and_then(|password| sasl::plain(account, password.expose()))
            }
            Mechanism::ScramSha256 => {
                let Some((account, _)) = self.prepared() else { return self.give_up("no usable password") };
                let scram = Scram::new(&account, &self.nonce);
                let first = scram.first();
                self.exchange = Exchange::First(scram);
                return Step::Say(sasl::lines(first.as_bytes()));
            }
        };
        let Some(payload) = payload else {
            return self.give_up("the account name or password cannot be sent");
        };
        self.exchange = Exchange::Said(mechanism);
        Step::Say(sasl::lines(&payload))
    }

    fn salt(&mut self, challenge: Challenge) -> Step {
        let Some((_, password)) = self.prepared() else { return self.give_up("no usable password") };
        let (salt, iterations) = (challenge.salt.clone(), challenge.iterations);
        self.exchange = Exchange::Salting(challenge);
        Step::Derive { password, salt, iterations }
    }

    /// A server that says yes to SCRAM without having proven itself does not know the password.
    fn succeeded(&mut self) -> Step {
        match self.exchange {
            Exchange::First(_) | Exchange::Salting(_) | Exchange::Proving(_) => {
                self.refused("the server could not prove that it knows the password", Vec::new())
            }
            Exchange::None | Exchange::Named(_) | Exchange::Said(_) | Exchange::Proven => Step::LoggedIn,
        }
    }

    fn failed(&mut self, line: &Line) -> Step {
        let words = line.params.last().map_or("", String::as_str);
        // A password that was shown, or whose proof was, is known to be wrong; what comes before that says only
        // that this mechanism will not do.
        let shown = matches!(
            self.exchange,
            Exchange::Proving(_) | Exchange::Proven | Exchange::Said(Mechanism::Plain)
        );
        self.exchange = Exchange::None;
        if !shown
            && line.command != "902"
            && let Some(mechanism) = self.next()
        {
            return self.name(mechanism);
        }
        self.refused(&format!("{words} ({})", line.command), Vec::new())
    }

    /// The server ends the exchange and says nothing of the password: its services are away, or slow.
    fn broken_off(&mut self, line: &Line) -> Step {
        self.exchange = Exchange::None;
        Step::Unable(format!("{} (906)", line.params.last().map_or("", String::as_str)))
    }

    fn give_up(&mut self, why: &str) -> Step {
        self.refused(why, vec![ABORT.to_owned()])
    }

    fn refused(&mut self, why: &str, lines: Vec<String>) -> Step {
        self.exchange = Exchange::None;
        Step::Refused { words: why.to_owned(), lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sasl(wire: Wire, password: Option<&str>, certificate: Certificate) -> Sasl {
        let password = password.map(Secret::new);
        Sasl::new(
            Login { account: "user".into(), password, certificate },
            wire,
            "rOprNGfwEbeRWgbNEkqO".into(),
        )
    }

    fn hears(sasl: &mut Sasl, text: &str) -> Step {
        sasl.line(&Line::parse(text).unwrap())
    }

    fn say(lines: &[&str]) -> Step {
        Step::Say(lines.iter().map(|&line| line.to_owned()).collect())
    }

    fn encoded(text: &str) -> String {
        sasl::lines(text.as_bytes()).remove(0)
    }

    #[test]
    fn a_password_is_said_over_tls_only() {
        let mut tls = sasl(Wire::Tls, Some("pencil"), Certificate::None);
        assert_eq!(tls.begin("PLAIN,EXTERNAL"), say(&["AUTHENTICATE PLAIN"]));
        assert_eq!(hears(&mut tls, "AUTHENTICATE +"), say(&["AUTHENTICATE AHVzZXIAcGVuY2ls"]));
        assert_eq!(hears(&mut tls, ":s 903 u :done"), Step::LoggedIn);
        let mut plain = sasl(Wire::Plain, Some("pencil"), Certificate::None);
        assert!(
            matches!(plain.begin("PLAIN,EXTERNAL"), Step::Unable(words) if words.contains("not encrypted"))
        );
        let Step::Unable(words) = sasl(Wire::Tls, None, Certificate::None).begin("PLAIN") else { panic!() };
        assert_eq!(words, "the network offers no way to log in that fits this login (PLAIN)");
    }

    #[test]
    fn a_certificate_that_is_not_known_leaves_the_password() {
        let mut both = sasl(Wire::Tls, Some("pencil"), Certificate::Shown);
        assert_eq!(both.begin(""), say(&["AUTHENTICATE EXTERNAL"]));
        assert_eq!(hears(&mut both, "AUTHENTICATE +"), say(&["AUTHENTICATE +"]));
        hears(&mut both, ":s 908 u PLAIN,EXTERNAL :are available");
        assert_eq!(hears(&mut both, ":s 904 u :SASL authentication failed"), say(&["AUTHENTICATE PLAIN"]));
        hears(&mut both, "AUTHENTICATE +");
        let words = "SASL authentication failed (904)".to_owned();
        let refused = Step::Refused { words, lines: vec![] };
        assert_eq!(hears(&mut both, ":s 904 u :SASL authentication failed"), refused, "and no further");
    }

    /// RFC 7677 section 3, carried by IRC.
    #[test]
    fn scram_proves_both_sides() {
        let mut sasl = sasl(Wire::Plain, Some("pencil"), Certificate::None);
        assert_eq!(sasl.begin("PLAIN,SCRAM-SHA-256"), say(&["AUTHENTICATE SCRAM-SHA-256"]));
        assert_eq!(hears(&mut sasl, "AUTHENTICATE +"), say(&[&encoded("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")]));
        let first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let Step::Derive { password, salt, iterations } = hears(&mut sasl, &encoded(first)) else { panic!() };
        let salted = Salted(scram::salted(password.expose(), &salt, iterations));
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(sasl.derived(&salted), say(&[&encoded(last)]));
        let mut forged =
            Sasl { exchange: Exchange::None, ..Sasl::new(sasl.login.clone(), Wire::Tls, String::new()) };
        std::mem::swap(&mut forged.exchange, &mut sasl.exchange);
        let Exchange::Proving(proof) = &forged.exchange else { panic!() };
        sasl.exchange = Exchange::Proving(proof.clone());
        let Step::Refused { words, lines } = hears(&mut forged, &encoded("v=AAAA")) else { panic!() };
        assert_eq!(
            (words.as_str(), lines),
            ("the server could not prove that it knows the password", vec![ABORT.into()])
        );
        let signature = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(hears(&mut sasl, &encoded(signature)), say(&["AUTHENTICATE +"]));
        assert_eq!(hears(&mut sasl, ":s 903 u :done"), Step::LoggedIn);
    }

    #[test]
    fn a_yes_without_a_proof_is_no_login() {
        let mut sasl = sasl(Wire::Tls, Some("pencil"), Certificate::None);
        sasl.begin("SCRAM-SHA-256,PLAIN");
        hears(&mut sasl, "AUTHENTICATE +");
        let refused = hears(&mut sasl, ":s 903 u :done");
        assert!(matches!(refused, Step::Refused { words, .. } if words.contains("could not prove")));
    }

    #[test]
    fn a_server_that_knows_no_scram_gets_plain_but_one_that_fails_at_it_does_not() {
        let mut sasl = sasl(Wire::Tls, Some("pencil"), Certificate::None);
        sasl.begin("");
        assert_eq!(hears(&mut sasl, ":s 904 u :no such mechanism"), say(&["AUTHENTICATE PLAIN"]));
        let mut weak = super::tests::sasl(Wire::Tls, Some("pencil"), Certificate::None);
        weak.begin("");
        hears(&mut weak, "AUTHENTICATE +");
        let nonsense = hears(&mut weak, &encoded("r=other,s=AAAA,i=4096"));
        assert!(matches!(nonsense, Step::Refused { .. }));
    }

    #[test]
    fn a_key_that_comes_too_late_stops_nothing() {
        let mut sasl = sasl(Wire::Tls, Some("pencil"), Certificate::None);
        sasl.begin("PLAIN,SCRAM-SHA-256");
        hears(&mut sasl, "AUTHENTICATE +");
        let first = "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert!(matches!(hears(&mut sasl, &encoded(first)), Step::Derive { .. }));
        assert_eq!(hears(&mut sasl, ":s 904 u :timed out"), say(&["AUTHENTICATE PLAIN"]));
        assert_eq!(sasl.derived(&Salted([0; 32])), Step::Wait);
        assert_eq!(hears(&mut sasl, "AUTHENTICATE +"), say(&["AUTHENTICATE AHVzZXIAcGVuY2ls"]));
    }

    #[test]
    fn an_exchange_that_the_server_breaks_off_has_refused_nobody() {
        let mut sasl = sasl(Wire::Tls, Some("pencil"), Certificate::None);
        sasl.begin("PLAIN");
        hears(&mut sasl, "AUTHENTICATE +");
        let unable = hears(&mut sasl, ":s 906 u :SASL authentication aborted");
        assert_eq!(unable, Step::Unable("SASL authentication aborted (906)".to_owned()), "services are away");
    }

    proptest! {
        #[test]
        fn a_server_can_say_what_it_wants(lines in prop::collection::vec(("(AUTHENTICATE|903|904|908|905|902)", "[+*a-zA-Z0-9=]{0,12}"), 0..30)) {
            let mut sasl = sasl(Wire::Tls, Some("pencil"), Certificate::Shown);
            sasl.begin("");
            let mut named = 0;
            for (command, word) in lines {
                let line = Line { params: vec![word], ..Line::new(&command, &[]) };
                if let Step::Say(lines) = sasl.line(&line) {
                    named += lines.iter().filter(|line| MECHANISMS.iter().any(|m| line.ends_with(m.name()))).count();
                }
            }
            prop_assert!(named < MECHANISMS.len(), "each mechanism once");
        }
    }
}
