//! A session while it registers: hands lines to the [`Registration`] and carries out what it asks.

use super::caps::{self, Cap, Offer};
use super::labels::Offer as Labels;
use super::register::{LoginEnd, Registration, Step};
use super::seen::Seen;
use super::{Phase, Session};
use crate::bridge::effect::Effect;
use crate::bridge::input::Salted;
use crate::ids::Time;
use crate::secret::Secret;
use crate::text::line::Line;

/// Whether a line has been dealt with.
pub(super) enum Flow {
    Taken(Option<Seen>),
    GoesOn,
}

/// Whether the end of the greeting is the end of the registration.
#[derive(PartialEq, Eq)]
pub(super) enum Greeted {
    Ready,
    NotYet,
}

impl Session {
    /// The socket is open: registration begins.
    pub fn opened(&mut self, now: Time, registration: Registration, out: &mut Vec<Effect>) {
        if !matches!(self.phase, Phase::Dialing) {
            // It was given up while it was dialled.
            return;
        }
        self.pulse.heard(now);
        for line in registration.opening_lines() {
            self.control(line, out);
        }
        self.nick_asked = Some(registration.nick());
        self.phase = Phase::Registering(Box::new(registration));
    }

    /// What is being said to the server that nobody else may read, while it is.
    pub fn secrets(&self) -> Vec<Secret> {
        match &self.phase {
            Phase::Registering(registration) => registration.secrets().to_vec(),
            Phase::Dialing | Phase::Ready | Phase::Closing(_) => Vec::new(),
        }
    }

    /// A password was salted: the login goes on with it. What that shows is nothing new.
    pub fn derived(&mut self, salted: &Salted, out: &mut Vec<Effect>) {
        if let Phase::Registering(registration) = &mut self.phase {
            let steps = registration.derived(salted);
            self.carry_out(steps, out);
        }
    }

    /// How the login ended.
    pub fn login_end(&self) -> &LoginEnd {
        &self.login
    }

    pub(super) fn registration_line(&mut self, line: &Line, out: &mut Vec<Effect>) -> Flow {
        let Phase::Registering(registration) = &mut self.phase else { return self.later_cap(line, out) };
        let mut steps = Vec::new();
        let taken = registration.line(line, &mut steps);
        match (self.carry_out(steps, out), taken) {
            (None, None) => Flow::GoesOn,
            (seen, _) => Flow::Taken(seen),
        }
    }

    /// What a server offers or takes back while we are connected.
    fn later_cap(&mut self, line: &Line, out: &mut Vec<Effect>) -> Flow {
        if line.command != "CAP" {
            return Flow::GoesOn;
        }
        if let caps::Step::Ask(lines) = self.caps.line(line, &mut Offer::default()) {
            lines.into_iter().for_each(|line| self.say_unasked(line, out));
        }
        self.offer_labels();
        Flow::Taken(None)
    }

    /// Labels tell answers apart where the server knows them; their answers come as batches.
    fn offer_labels(&mut self) {
        let on = self.caps.on();
        let both = on.has(Cap::LabeledResponse) && on.has(Cap::Batch);
        self.set_labels(if both { Labels::On } else { Labels::Off });
    }

    fn carry_out(&mut self, steps: Vec<Step>, out: &mut Vec<Effect>) -> Option<Seen> {
        let mut seen = None;
        for step in steps {
            match step {
                Step::Say(line) => self.control(line, out),
                Step::Derive { password, salt, iterations } => {
                    out.push(Effect::Derive { conn: self.conn, password, salt, iterations });
                }
                Step::LoginRefused(words) => seen = Some(Seen::LoginRefused { words }),
                Step::StayEncrypted { duration_s } => {
                    out.push(Effect::StayEncrypted { conn: self.conn, duration_s });
                }
                Step::Upgrade(port) => seen = Some(Seen::UpgradeAsked { port }),
                Step::Ready => {
                    self.become_ready();
                    seen = Some(Seen::Ready);
                }
            }
        }
        seen
    }

    /// The greeting is over.
    pub(super) fn greeted(&mut self, now: Time, out: &mut Vec<Effect>) -> Greeted {
        let Phase::Registering(registration) = &mut self.phase else { return Greeted::NotYet };
        let steps = registration.greeted(now).into_iter().collect();
        match self.carry_out(steps, out) {
            Some(_) => Greeted::Ready,
            None => Greeted::NotYet,
        }
    }

    /// The deadline of the registration has come. `true` where a login has no answer and is broken off.
    pub(super) fn login_late(&mut self, out: &mut Vec<Effect>) -> bool {
        let Phase::Registering(registration) = &mut self.phase else { return false };
        let steps = registration.login_late();
        let is_late = steps.is_some();
        self.carry_out(steps.unwrap_or_default(), out);
        is_late
    }

    /// Whether the puppet has a login that was not made yet.
    pub fn is_to_log_in(&self) -> bool {
        matches!(&self.phase, Phase::Registering(registration) if registration.has_login())
    }

    /// The deadline of the registration has come. `true` where the puppet goes on without its account.
    pub(super) fn ready_late(&mut self) -> bool {
        let Phase::Registering(registration) = &mut self.phase else { return false };
        let late = registration.goes_on_late();
        if late {
            self.become_ready();
        }
        late
    }

    fn become_ready(&mut self) {
        if let Phase::Registering(registration) = std::mem::replace(&mut self.phase, Phase::Ready) {
            (self.caps, self.login) = registration.finish();
            self.offer_labels();
        }
    }
}
