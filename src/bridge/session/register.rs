//! Registration: the opening lines and the search for a free nick (RFC 2812 section 3.1).

use super::seen::NickRefusal;
use crate::bridge::input::{Opening, Salted};
use crate::bridge::policy::Policy;
use crate::ids::{Nick, Time, UserId};
use crate::secret::Secret;
use crate::text::casemap::CaseMap;
use crate::text::line::Line;
use crate::text::nick::nick_variant;

/// Nicks tried at most, before the connection is given up.
const NICKS_MAX: u32 = 30;
/// A nick that servers with the shortest limit take (RFC 2812 section 1.2.1).
const NICK_BYTES_SHORT: usize = 9;

/// A registration under way.
#[derive(Debug)]
pub struct Registration {
    /// When it is given up.
    pub deadline: Time,
    base: String,
    nick_bytes_max: usize,
    map: CaseMap,
    tries: u32,
    password: Option<Secret>,
    ident: String,
    realname: String,
}

impl Registration {
    /// Prepares the registration of `user` under a nick made from `base`.
    pub fn new(
        now: Time,
        user: &UserId,
        base: String,
        nick_bytes_max: usize,
        map: CaseMap,
        opening: Opening,
        policy: &Policy,
    ) -> Self {
        Self {
            deadline: now.plus_ms(policy.connect.register_ms_max),
            base,
            nick_bytes_max,
            map,
            tries: 0,
            password: policy.password.clone(),
            ident: opening.identity.ident,
            realname: user.as_str().to_owned(),
        }
    }

    /// PASS where there is one, NICK, USER.
    pub fn opening_lines(&self) -> Vec<String> {
        let pass = self.password.as_ref().map(|password| Line::new("PASS", &[password.expose()]).build());
        let nick = Line::new("NICK", &[self.nick().as_str()]).build();
        let user = Line::new("USER", &[&self.ident, "0", "*", &self.realname]).build();
        pass.into_iter().chain([nick, user]).collect()
    }

    /// A password was salted. Nobody asks for that yet.
    pub fn derived(&mut self, _salted: &Salted) -> Vec<String> {
        Vec::new()
    }

    /// The nick that is being asked for.
    pub fn nick(&self) -> Nick {
        let text = match self.tries {
            0 => self.base.clone(),
            tries => nick_variant(&self.base, tries, self.nick_bytes_max),
        };
        Nick::new(&text, self.map).expect("a legal nick stays one")
    }

    /// The network's case mapping is another than it was thought to be.
    pub fn refold(&mut self, map: CaseMap) {
        self.map = map;
    }

    /// The next nick to ask for; `None` when enough were tried, and the deadline ends the attempt.
    pub fn next_nick(&mut self, why: NickRefusal) -> Option<Nick> {
        self.tries += 1;
        if why == NickRefusal::Illegal {
            self.nick_bytes_max = self.nick_bytes_max.min(NICK_BYTES_SHORT);
            self.base.retain(|c| c.is_ascii_alphanumeric());
            self.base.truncate(NICK_BYTES_SHORT);
            if !self.base.starts_with(|c: char| c.is_ascii_alphabetic()) {
                self.base.insert(0, 'm');
            }
        }
        (self.tries < NICKS_MAX).then(|| self.nick())
    }
}
