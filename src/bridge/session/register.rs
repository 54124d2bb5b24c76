//! Registration: from the open socket to the moment when channels may be joined (RFC 2812 section 3.1, IRCv3
//! capability negotiation and SASL).
//!
//! ```text
//!   WEBIRC PASS CAP-LS NICK USER ─▶ Negotiating ─▶ LoggingIn ─▶ Awaited ──001, end of greeting──▶ done
//!                                       │ no sasl, no login ──────▲                │ no SASL, but services
//!                                       └── sts: that server with TLS from then on   └──▶ Identifying ──▶ done
//! ```
//!
//! A server without CAP just welcomes us, at any of these. Secrets go when this value goes.

use super::caps::{self, Negotiation, Offer, Sts};
use super::identify::{self, Identify};
use super::login::{self, Sasl};
use super::seen::NickRefusal;
use crate::bridge::input::{Login, Opening, Salted, Wire};
use crate::bridge::policy::{Policy, Services, Webirc};
use crate::ids::{Nick, Time};
use crate::secret::Secret;
use crate::text::casemap::CaseMap;
use crate::text::line::Line;
use crate::text::nick::nick_variant;

/// Nicks tried at most, before the connection is given up.
const NICKS_MAX: u32 = 30;
/// A nick that servers with the shortest limit take (RFC 2812 section 1.2.1).
const NICK_BYTES_SHORT: usize = 9;

/// Who registers, as the network knows them.
#[derive(Debug)]
pub struct Applicant {
    /// The nick they would like; a variant of it is taken where it is not free.
    pub nick: String,
    /// The same in ASCII, for a server that takes no other letters.
    pub nick_ascii: String,
    pub nick_bytes_max: usize,
    pub realname: String,
    pub map: CaseMap,
}

/// A registration under way.
#[derive(Debug)]
pub struct Registration {
    /// When it is given up, or goes on without what is missing.
    pub deadline: Time,
    /// When the server has to have answered a login by SASL; before the whole has to be over.
    login_by: Time,
    over_by: Time,
    applicant: Applicant,
    tries: u32,
    password: Option<Secret>,
    webirc: Option<Webirc>,
    services: Option<Services>,
    opening: Opening,
    /// What this registration says that nobody may read.
    secrets: Vec<Secret>,
    caps: Negotiation,
    offer: Offer,
    stage: Stage,
    login_end: LoginEnd,
}

#[derive(Debug)]
enum Stage {
    /// The capabilities are being settled.
    Negotiating,
    LoggingIn(Box<Sasl>),
    /// Nothing is left to settle before the greeting.
    Awaited,
    Identifying(Box<Identify>),
}

/// How the login ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginEnd {
    /// There is none to do, or it is not over.
    None,
    LoggedIn,
    /// It was not possible, in words; the puppet goes on without its account.
    Skipped(String),
}

/// What a line leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    Say(String),
    Derive {
        password: Secret,
        salt: Vec<u8>,
        iterations: u32,
    },
    /// The network refused the login, in words.
    LoginRefused(String),
    /// The server is to be reached with TLS, on this port.
    Upgrade(u16),
    /// The server says over TLS for how long it is to be reached with TLS only.
    StayEncrypted {
        duration_s: u64,
    },
    /// All is settled: the connection may be used.
    Ready,
}

impl Registration {
    pub fn new(now: Time, applicant: Applicant, opening: Opening, policy: &Policy) -> Self {
        Self {
            deadline: now.plus_ms(policy.connect.register_ms_max),
            login_by: now.plus_ms(policy.connect.register_ms_max / 4 * 3),
            over_by: now.plus_ms(policy.connect.register_ms_max),
            applicant,
            tries: 0,
            password: policy.password.clone(),
            webirc: policy.webirc.clone(),
            services: policy.services.clone(),
            secrets: secrets(&opening, policy),
            caps: Negotiation::new(opening.login.is_some()),
            opening,
            offer: Offer::default(),
            stage: Stage::Negotiating,
            login_end: LoginEnd::None,
        }
    }

    /// WEBIRC and PASS where there are such, then CAP, NICK and USER: the server's answer to CAP holds the
    /// registration open.
    pub fn opening_lines(&self) -> Vec<String> {
        let webirc = self.webirc.as_ref().and_then(|webirc| self.webirc_line(webirc));
        let pass = self.password.as_ref().map(|password| Line::new("PASS", &[password.expose()]).build());
        let caps = Line::new("CAP", &["LS", "302"]).build();
        let nick = Line::new("NICK", &[self.nick().as_str()]).build();
        let user =
            Line::new("USER", &[&self.opening.identity.ident, "0", "*", &self.applicant.realname]).build();
        webirc.into_iter().chain(pass).chain([caps, nick, user]).collect()
    }

    /// `WEBIRC password gateway host address` (IRCv3 "webirc"); not without an address of the puppet's own, for
    /// then a ban of one would be a ban of all.
    fn webirc_line(&self, webirc: &Webirc) -> Option<String> {
        let identity = &self.opening.identity;
        let address = identity.address.as_deref()?;
        // A parameter may not begin with a colon, and `::1` does.
        let address = if address.starts_with(':') { format!("0{address}") } else { address.to_owned() };
        let host = webirc.host.replace("$IDENT", &identity.ident).replace("$ADDRESS", &address);
        let options = if self.opening.wire == Wire::Tls { "secure" } else { "" };
        let mut params = vec![webirc.password.expose(), &webirc.gateway, &host, &address];
        params.extend((!options.is_empty()).then_some(options));
        Some(Line::new("WEBIRC", &params).build())
    }

    /// Takes a line. `None`: it is none of registration's business. What comes of it is in `steps`.
    pub fn line(&mut self, line: &Line, steps: &mut Vec<Step>) -> Option<()> {
        match (line.command.as_str(), &mut self.stage) {
            ("CAP", _) => self.cap(line, steps),
            (
                "AUTHENTICATE" | "902" | "903" | "904" | "905" | "906" | "907" | "908",
                Stage::LoggingIn(sasl),
            ) => {
                let step = sasl.line(line);
                self.login_step(step, steps);
            }
            (_, Stage::Identifying(identify)) => {
                let step = identify.line(line);
                self.identify_step(step, steps);
                // Others may have use for the line as well.
                return None;
            }
            ("AUTHENTICATE", _) => {}
            _ => return None,
        }
        Some(())
    }

    fn cap(&mut self, line: &Line, steps: &mut Vec<Step>) {
        let step = self.caps.line(line, &mut self.offer);
        match (self.offer.sts.take(), self.opening.wire) {
            (Some(Sts { port: Some(port), .. }), Wire::Plain) => return steps.push(Step::Upgrade(port)),
            // Only here, where nobody on the way can say it, does its duration count.
            (Some(Sts { duration_s: Some(duration_s), .. }), Wire::Tls) => {
                steps.push(Step::StayEncrypted { duration_s });
            }
            (Some(_) | None, Wire::Plain | Wire::Tls) => {}
        }
        match step {
            caps::Step::Wait => {}
            caps::Step::Ask(lines) => steps.extend(lines.into_iter().map(Step::Say)),
            caps::Step::Settled if matches!(self.stage, Stage::Negotiating) => {
                self.capabilities_settled(steps)
            }
            caps::Step::Settled => {}
        }
    }

    fn capabilities_settled(&mut self, steps: &mut Vec<Step>) {
        let offered = self.offer.sasl.take().filter(|_| self.caps.on().has(caps::Cap::Sasl));
        let (Some(login), Some(offered)) = (self.opening.login.clone(), offered) else {
            return self.end_negotiation(steps);
        };
        let mut sasl = Box::new(Sasl::new(login, self.opening.wire, std::mem::take(&mut self.opening.nonce)));
        let step = sasl.begin(&offered);
        self.stage = Stage::LoggingIn(sasl);
        self.deadline = self.login_by;
        self.login_step(step, steps);
    }

    fn end_negotiation(&mut self, steps: &mut Vec<Step>) {
        self.stage = Stage::Awaited;
        self.deadline = self.over_by;
        steps.push(Step::Say("CAP END".to_owned()));
    }

    fn login_step(&mut self, step: login::Step, steps: &mut Vec<Step>) {
        match step {
            login::Step::Wait => {}
            login::Step::Say(lines) => steps.extend(lines.into_iter().map(Step::Say)),
            login::Step::Derive { password, salt, iterations } => {
                steps.push(Step::Derive { password, salt, iterations });
            }
            login::Step::LoggedIn => {
                self.login_end = LoginEnd::LoggedIn;
                self.end_negotiation(steps);
            }
            login::Step::Unable(words) => {
                self.login_end = LoginEnd::Skipped(words);
                self.end_negotiation(steps);
            }
            login::Step::Refused { words, lines } => {
                steps.extend(lines.into_iter().map(Step::Say));
                steps.push(Step::LoginRefused(words));
            }
        }
    }

    /// A password was salted.
    pub fn derived(&mut self, salted: &Salted) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Stage::LoggingIn(sasl) = &mut self.stage {
            let step = sasl.derived(salted);
            self.login_step(step, &mut steps);
        }
        steps
    }

    /// The greeting is over. Done with that, unless there is still a login to be made by message.
    /// `None`: that is under way already, and the server only greets again.
    pub fn greeted(&mut self, now: Time) -> Option<Step> {
        if let Stage::Identifying(_) = self.stage {
            return None;
        }
        if self.login_end == LoginEnd::LoggedIn {
            return Some(Step::Ready);
        }
        let Some(login) = self.opening.login.take() else { return Some(Step::Ready) };
        Some(match self.by_message(&login) {
            Ok(services) => {
                let (identify, whois) = Identify::new(now, services, login, self.applicant.map);
                self.deadline = identify.deadline;
                self.stage = Stage::Identifying(Box::new(identify));
                Step::Say(whois)
            }
            Err(why) => {
                if self.login_end == LoginEnd::None {
                    self.login_end = LoginEnd::Skipped(why.to_owned());
                }
                Step::Ready
            }
        })
    }

    /// The services to log in with by message, or why that is not to be done.
    fn by_message(&self, login: &Login) -> Result<Services, &'static str> {
        let services = self.services.clone().ok_or("the network offers no SASL")?;
        match (&login.password, self.opening.wire) {
            (Some(_), Wire::Tls) => Ok(services),
            (Some(_), Wire::Plain) => Err("the connection is not encrypted, so the password was not said"),
            (None, _) => Err("the network offers no SASL, and a certificate needs it"),
        }
    }

    fn identify_step(&mut self, step: identify::Step, steps: &mut Vec<Step>) {
        match step {
            identify::Step::Wait => {}
            identify::Step::Say(line) => steps.push(Step::Say(line)),
            identify::Step::LoggedIn => {
                self.login_end = LoginEnd::LoggedIn;
                steps.push(Step::Ready);
            }
            identify::Step::Unable(words) => {
                self.login_end = LoginEnd::Skipped(words);
                steps.push(Step::Ready);
            }
            identify::Step::Refused(words) => steps.push(Step::LoginRefused(words)),
        }
    }

    /// The deadline has come. `Some`: what is missing is the answer to a login, and the puppet goes on without it.
    pub fn login_late(&mut self) -> Option<Vec<Step>> {
        let Stage::LoggingIn(_) = self.stage else { return None };
        let mut steps = vec![Step::Say(login::ABORT.to_owned())];
        self.login_end = LoginEnd::Skipped("the network did not answer the login in time".to_owned());
        self.end_negotiation(&mut steps);
        Some(steps)
    }

    /// Whether there is a login that was not made yet.
    pub fn has_login(&self) -> bool {
        self.opening.login.is_some()
    }

    /// The deadline has come. `true`: what is missing is only the services' answer, and the puppet goes on.
    pub fn goes_on_late(&mut self) -> bool {
        let Stage::Identifying(identify) = &self.stage else { return false };
        self.login_end = LoginEnd::Skipped(identify.late());
        true
    }

    /// What outlives the registration.
    pub fn finish(self) -> (Negotiation, LoginEnd) {
        let login_end = match self.login_end {
            LoginEnd::Skipped(words) => LoginEnd::Skipped(without(&self.secrets, words)),
            LoginEnd::None => LoginEnd::None,
            LoginEnd::LoggedIn => LoginEnd::LoggedIn,
        };
        (self.caps, login_end)
    }

    /// What this registration says that nobody may read.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }

    /// The nick that is being asked for.
    pub fn nick(&self) -> Nick {
        let Applicant { nick, nick_bytes_max, map, .. } = &self.applicant;
        let text = match self.tries {
            0 => nick.clone(),
            tries => nick_variant(nick, tries, *nick_bytes_max),
        };
        Nick::new(&text, *map).expect("a legal nick stays one")
    }

    /// The network's case mapping is another than it was thought to be.
    pub fn refold(&mut self, map: CaseMap) {
        self.applicant.map = map;
    }

    /// The next nick to ask for; `None` when enough were tried, and the deadline ends the attempt.
    pub fn next_nick(&mut self, why: NickRefusal) -> Option<Nick> {
        let Applicant { nick, nick_ascii, nick_bytes_max, .. } = &mut self.applicant;
        if why == NickRefusal::Illegal && !nick.is_ascii() {
            // Once: from here on it is ASCII.
            nick.clone_from(nick_ascii);
            self.tries = 0;
            return Some(self.nick());
        }
        self.tries += 1;
        if why == NickRefusal::Illegal {
            *nick_bytes_max = NICK_BYTES_SHORT.min(*nick_bytes_max);
            nick.retain(|c| c.is_ascii_alphanumeric());
            nick.truncate(NICK_BYTES_SHORT);
            if !nick.starts_with(|c: char| c.is_ascii_alphabetic()) {
                nick.insert(0, 'm');
            }
        }
        (self.tries < NICKS_MAX).then(|| self.nick())
    }
}

fn secrets(opening: &Opening, policy: &Policy) -> Vec<Secret> {
    let login = opening.login.as_ref().and_then(|login| login.password.clone());
    let webirc = policy.webirc.as_ref().map(|webirc| webirc.password.clone());
    login.into_iter().chain(policy.password.clone()).chain(webirc).collect()
}

/// Words of a server without any of these.
pub fn without(secrets: &[Secret], words: String) -> String {
    secrets.iter().fold(words, |words, secret| secret.hidden_in(&words))
}
