//! Whether a connection lives: a silent one is asked for a sign of life, and given up when none comes.

use crate::bridge::policy::PingPace;
use crate::ids::Time;

/// How long a connection that another stream saw quitting has to show that it lives.
const SUSPECT_MS_MAX: u64 = 10_000;

/// When something was heard last, and until when something has to be.
#[derive(Clone, Copy, Debug)]
pub struct Pulse {
    heard: Time,
    answer_by: Option<Time>,
}

/// What is to be done about a connection's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    Fine,
    /// A PING is to be sent now.
    Ask,
    Dead,
}

impl Pulse {
    pub fn new(now: Time) -> Self {
        Self { heard: now, answer_by: None }
    }

    /// Anything was heard.
    pub fn heard(&mut self, now: Time) {
        *self = Self::new(now);
    }

    /// There is reason for doubt: [`Beat::Ask`], where no answer is awaited yet.
    pub fn suspect(&mut self, now: Time) -> Beat {
        if self.answer_by.is_some() {
            return Beat::Fine;
        }
        self.answer_by = Some(now.plus_ms(SUSPECT_MS_MAX));
        Beat::Ask
    }

    /// When [`check`](Self::check) is due.
    pub fn poll_timeout(&self, pace: &PingPace) -> Time {
        self.answer_by.unwrap_or_else(|| self.heard.plus_ms(pace.after_ms))
    }

    /// Time has passed.
    pub fn check(&mut self, now: Time, pace: &PingPace) -> Beat {
        match self.answer_by {
            _ if self.poll_timeout(pace) > now => Beat::Fine,
            Some(_) => Beat::Dead,
            None => {
                self.answer_by = Some(now.plus_ms(pace.timeout_ms));
                Beat::Ask
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: PingPace = PingPace { after_ms: 100, timeout_ms: 50 };

    #[test]
    fn silence_is_asked_about_once_and_then_is_death() {
        let mut pulse = Pulse::new(Time(0));
        assert_eq!(pulse.check(Time(99), &PACE), Beat::Fine);
        assert_eq!(pulse.check(Time(100), &PACE), Beat::Ask);
        assert_eq!(pulse.check(Time(149), &PACE), Beat::Fine);
        let mut answered = pulse;
        answered.heard(Time(149));
        assert_eq!(answered.check(Time(150), &PACE), Beat::Fine);
        assert_eq!(pulse.check(Time(150), &PACE), Beat::Dead);
    }

    #[test]
    fn who_was_seen_quitting_has_little_time() {
        let mut pulse = Pulse::new(Time(0));
        assert_eq!(pulse.suspect(Time(5)), Beat::Ask);
        assert_eq!(pulse.suspect(Time(6)), Beat::Fine, "it is being asked");
        assert_eq!(pulse.check(Time(5 + SUSPECT_MS_MAX), &PACE), Beat::Dead);
    }
}
