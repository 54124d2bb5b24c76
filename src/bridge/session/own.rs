//! What a connection's stream shows of its own user: modes, account, and how long the server takes to answer.

use std::collections::BTreeSet;

use super::Session;
use super::ask::{Asks, TOKEN};
use crate::ids::{Nick, Time};
use crate::text::line::Line;

/// RPL_UMODEIS (RFC 2812 section 5.1), and RPL_LOGGEDIN and RPL_LOGGEDOUT of servers with accounts.
const MODES_ARE: &str = "221";
const LOGGED_IN: &str = "900";
const LOGGED_OUT: &str = "901";
/// What our PING says when nothing else was heard.
pub(super) const PING: &str = "bunraku";
/// Longer account names are none.
const ACCOUNT_BYTES_MAX: usize = 100;

/// What is known of the puppet's own user.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// Letters; 62 at most.
    modes: BTreeSet<char>,
    account: Option<Box<str>>,
    pinged: Option<Time>,
    lag_ms: Option<u64>,
}

impl Own {
    /// A PING has gone.
    pub fn pinged(&mut self, now: Time) {
        self.pinged.get_or_insert(now);
    }

    /// Keeps what a line says of us.
    pub fn hears(&mut self, line: &Line, me: Option<&Nick>) {
        let is_mine = |name: &str| me.is_some_and(|nick| nick.as_str() == name);
        match line.command.as_str() {
            "MODE" if is_mine(line.param(0)) => self.change(line.param(1)),
            MODES_ARE => {
                self.modes.clear();
                self.change(line.param(1));
            }
            LOGGED_IN => {
                let name = line.param(2);
                let is_name = !name.is_empty() && name.len() <= ACCOUNT_BYTES_MAX;
                self.account = is_name.then(|| name.into());
            }
            LOGGED_OUT => self.account = None,
            _ => {}
        }
    }

    fn change(&mut self, words: &str) {
        let mut is_set = true;
        for sign in words.chars() {
            match sign {
                '+' => is_set = true,
                '-' => is_set = false,
                mode if mode.is_ascii_alphanumeric() && is_set => drop(self.modes.insert(mode)),
                mode => drop(self.modes.remove(&mode)),
            }
        }
    }
}

impl Session {
    /// A PONG came: to our PING, or to the fence whose time is taken.
    pub(super) fn take_time(&mut self, now: Time, pong: &Line) {
        let sent = if pong.params.iter().any(|param| param == PING) {
            self.own.pinged.take()
        } else {
            self.asks.take_timed(pong)
        };
        self.own.lag_ms = sent.map(|sent| now.since_ms(sent)).or(self.own.lag_ms);
    }

    /// The modes of our user, as letters; empty where none are known.
    pub fn modes_of_own(&self) -> String {
        self.own.modes.iter().collect()
    }

    /// The account that the server says we are logged in to.
    pub fn account(&self) -> Option<&str> {
        self.own.account.as_deref()
    }

    /// How long the server took for its last answer to a PING.
    pub fn lag_ms(&self) -> Option<u64> {
        self.own.lag_ms
    }

    /// Lines that wait to be given to the socket.
    pub fn queued_lines(&self) -> usize {
        self.queue.len()
    }
}

impl Asks {
    /// The next fence; it takes the time where none does.
    pub fn timed_fence(&mut self, now: Time) -> String {
        let line = self.fence_line();
        self.timed.get_or_insert((self.fenced, now));
        line
    }

    /// When the fence went that this PONG answers, where its time was taken; an earlier one counts as it.
    fn take_timed(&mut self, pong: &Line) -> Option<Time> {
        let number = |param: &String| param.strip_prefix(TOKEN)?.parse::<u64>().ok();
        let number = pong.params.iter().rev().find_map(number)?;
        self.timed.take_if(|(timed, _)| number >= *timed).map(|(_, sent)| sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::casemap::CaseMap;

    fn heard(lines: &[&str]) -> Own {
        let (mut own, me) = (Own::default(), Nick::new("ada", CaseMap::Ascii).unwrap());
        lines.iter().for_each(|line| own.hears(&Line::parse(line).unwrap(), Some(&me)));
        own
    }

    fn modes(lines: &[&str]) -> String {
        heard(lines).modes.iter().collect()
    }

    #[test]
    fn modes_are_those_set_and_not_taken_back() {
        assert_eq!(modes(&[":ada MODE ada :+ixw"]), "iwx");
        assert_eq!(modes(&[":ada MODE ada :+ixw-x", ":srv MODE ada -i+\u{1}é"]), "w");
        assert_eq!(modes(&[":ada MODE ada +i", ":srv 221 ada +wx"]), "wx");
        assert_eq!(modes(&[":srv MODE #ada +i", ":srv MODE ada"]), "");
    }

    #[test]
    fn an_account_lasts_until_the_server_says_otherwise() {
        let account = |lines: &[&str]| heard(lines).account.map(String::from);
        let login = ":srv 900 ada ada!a@h lovelace :You are now logged in";
        assert_eq!(account(&[login]).as_deref(), Some("lovelace"));
        assert_eq!(account(&[login, ":srv 901 ada ada!a@h :You are now logged out"]), None);
        assert_eq!(account(&[&format!(":srv 900 ada ada!a@h {} :x", "a".repeat(1_000))]), None);
        assert_eq!(account(&[":srv 900 ada"]), None);
    }

    #[test]
    fn an_answer_to_a_later_fence_is_one_to_the_earlier() {
        let mut asks = Asks::default();
        asks.timed_fence(Time(5));
        asks.timed_fence(Time(9));
        let pong = |number| Line::parse(&format!(":srv PONG srv :bunraku-{number}")).unwrap();
        assert_eq!(asks.take_timed(&Line::parse("PONG :else").unwrap()), None);
        assert_eq!(asks.take_timed(&pong(0)), Some(Time(5)));
        assert_eq!(asks.take_timed(&pong(0)), None, "once");
    }
}
