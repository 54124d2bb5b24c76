//! What programs on IRC ask our puppets' program (CTCP): answered briefly, with nothing about anybody's machine.
//!
//! Answers go by NOTICE through the puppet's own queue, so that they never make it talk faster than it may. Somebody who
//! asks without end gets no more answers: a few of one puppet, and a few more of all of them together.

use std::collections::VecDeque;

use super::Network;
use crate::bridge::session::seen::Person;
use crate::ids::{ConnId, PuppetId, Time};
use crate::text::moment;

/// Answers that one puppet gives within [`WINDOW_MS`], and all together.
const OWN_MAX: usize = 3;
const ALL_MAX: usize = 20;
const WINDOW_MS: u64 = 30_000;
/// Bytes of a question that are given back (PING).
const ECHO_BYTES_MAX: usize = 64;
const PROGRAM: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
const KNOWN: &str = "CLIENTINFO PING SOURCE TIME VERSION";

/// Answers of a moment ago.
#[derive(Debug, Default)]
pub(super) struct Answers(VecDeque<(Time, PuppetId)>);

impl Answers {
    /// True when one more may be given; then it counts.
    pub(super) fn may(&mut self, now: Time, puppet: PuppetId) -> bool {
        while self.0.front().is_some_and(|(at, _)| now.since_ms(*at) >= WINDOW_MS) {
            self.0.pop_front();
        }
        let own = self.0.iter().filter(|(_, by)| *by == puppet).count();
        let may = own < OWN_MAX && self.0.len() < ALL_MAX;
        if may {
            self.0.push_back((now, puppet));
        }
        may
    }
}

impl Network {
    /// A program asks the program of one of ours. `verb` is in capitals.
    pub(super) fn ctcp_asked(&mut self, conn: ConnId, from: &Person, verb: &str, rest: &str) {
        let Some(mask) = from.mask().filter(|_| !self.nicks.is_ours(&from.nick)) else { return };
        if self.is_ignored(conn.puppet, &from.nick, &mask) {
            return;
        }
        let Some(answer) = self.ctcp_answer(conn, verb, rest) else { return };
        if !self.ctcp.may(self.now, conn.puppet) {
            return;
        }
        self.with_session(conn.puppet, |session, out| session.notice(&from.nick, &answer, out));
    }

    fn ctcp_answer(&mut self, conn: ConnId, verb: &str, rest: &str) -> Option<String> {
        let words = match verb {
            "VERSION" | "SOURCE" => PROGRAM.to_owned(),
            "CLIENTINFO" => KNOWN.to_owned(),
            "TIME" => moment::utc(self.now.0),
            "PING" => rest[..rest.floor_char_boundary(ECHO_BYTES_MAX)].to_owned(),
            // Files and direct chats would go around the bridge, from one machine to another.
            "DCC" => {
                let user = &self.puppet(conn.puppet).user;
                return Some(format!("{user} reads this network through a bridge: no DCC gets through it."));
            }
            _ => return None,
        };
        Some(format!("\u{1}{verb} {words}\u{1}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_without_end_is_answered_now_and_then() {
        let mut answers = Answers::default();
        let of = |answers: &mut Answers, at: u64, puppet: u32| {
            (0..100).filter(|_| answers.may(Time(at), PuppetId(puppet))).count()
        };
        assert_eq!(of(&mut answers, 0, 1), OWN_MAX);
        assert_eq!(of(&mut answers, WINDOW_MS - 1, 1), 0);
        assert_eq!((2..100).map(|puppet| of(&mut answers, 1, puppet)).sum::<usize>(), ALL_MAX - OWN_MAX);
        assert_eq!(of(&mut answers, WINDOW_MS, 1), OWN_MAX, "those of the beginning count no more");
    }
}
