//! A realname of somebody's own choice: kept over restarts, and said at the next connection.
//!
//! It stands in the place of the display name, where the settings show that. Where they show the Matrix id alone there is no
//! place for it: operators on IRC know and ban people by the realname, and nobody may slip out of that by a name of their own.

use super::super::super::effect::{Effect, Refusal};
use super::super::super::errand::Report;
use super::super::Network;
use super::{BAD_NAME, NOT_ALLOWED};
use crate::ids::UserId;

/// Longest realname kept, in bytes. Servers take 50 to 200, and less is shown beside a Matrix id.
const REALNAME_BYTES_MAX: usize = 200;

impl Network {
    /// A realname that somebody chose in an earlier run.
    pub(in super::super) fn realname_known(&mut self, user: &UserId, realname: String) {
        let id = self.ensure_puppet(user, None);
        self.puppet(id).asked.realname = Some(realname).filter(|realname| is_realname(realname));
    }

    pub(super) fn realname_wanted(
        &mut self,
        user: &UserId,
        realname: Option<String>,
    ) -> Result<Report, Refusal> {
        if realname.as_deref().is_some_and(|realname| !is_realname(realname)) {
            let words = format!(
                "this can be no realname: it is one line of at most {REALNAME_BYTES_MAX} bytes, and has letters in it"
            );
            return Err(Refusal::ours(BAD_NAME, &words));
        }
        if realname.is_some() && !self.policy.realnames.has_display() {
            let words = format!(
                "on {} this bridge shows your Matrix id as your realname and nothing else: ask who runs it for display names in it",
                self.policy.network_name
            );
            return Err(Refusal::ours(NOT_ALLOWED, &words));
        }
        let id = self.ensure_puppet(user, None);
        self.puppet(id).asked.realname = realname.clone();
        self.out.push(Effect::Realname { user: user.clone(), realname });
        Ok(Report::Done)
    }
}

/// True for one line with something to see in it.
fn is_realname(text: &str) -> bool {
    let is_seen = |c: char| !c.is_whitespace() && !c.is_control();
    text.len() <= REALNAME_BYTES_MAX && !text.chars().any(char::is_control) && text.chars().any(is_seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_realname_is_one_line_with_something_in_it() {
        assert!(is_realname("Ada, Countess of Lovelace") && is_realname(":ż @eve:hs"));
        for text in ["", " ", "\u{2003}", "Ada\r\nQUIT", "a\0", "\u{2}bold", &"x".repeat(201)] {
            assert!(!is_realname(text), "{text:?}");
        }
    }
}
