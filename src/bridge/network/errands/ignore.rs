//! Whom somebody ignores: what these people write to them in private, ask their program or invite them to, comes to nothing.
//!
//! As with every program on IRC, who is ignored is not told. In channels nobody is ignored here, for a room is shared by all who are
//! in it: there it is a matter of each Matrix client. What the person says themselves goes as ever.

use super::super::super::effect::{Effect, Refusal};
use super::super::super::errand::{Ignoring, Report};
use super::super::Network;
use super::{BAD_NAME, TOO_MANY};
use crate::ids::{Nick, PuppetId, UserId};
use crate::text::mask;

/// Masks that are kept of one person.
const MASKS_MAX: usize = 100;
/// Longest mask, in bytes.
const MASK_BYTES_MAX: usize = 200;
/// Of these alone a mask means nearly everybody.
const SIGNS: &str = "*?!@.:~/";

impl Network {
    /// Whom somebody ignored in an earlier run.
    pub(in super::super) fn ignores_known(&mut self, user: &UserId, masks: Vec<String>) {
        let id = self.ensure_puppet(user, None);
        let masks = masks.into_iter().filter(|mask| mask_of(mask).as_ref() == Some(mask));
        self.puppet(id).asked.ignored = masks.take(MASKS_MAX).collect();
    }

    /// True for one on IRC whose private words are not for this puppet's person. `user_host` is empty where it is not known.
    pub(in super::super) fn is_ignored(&mut self, id: PuppetId, nick: &Nick, user_host: &str) -> bool {
        let map = self.map();
        let whole = format!("{nick}!{user_host}");
        self.puppet(id).asked.ignored.iter().any(|ignored| mask::matches(ignored, &whole, map))
    }

    pub(super) fn ignore_asked(&mut self, user: &UserId, what: Ignoring) -> Result<Report, Refusal> {
        let id = self.ensure_puppet(user, None);
        let before = self.puppet(id).asked.ignored.clone();
        let masks = match what {
            Ignoring::Tell => return Ok(Report::Ignored(before)),
            Ignoring::Add(text) => self.with_mask(before.clone(), &text)?,
            Ignoring::Remove(text) => self.without_mask(before.clone(), &text)?,
            Ignoring::RemoveAll => Vec::new(),
        };
        if masks != before {
            self.puppet(id).asked.ignored.clone_from(&masks);
            self.out.push(Effect::Ignores { user: user.clone(), masks: masks.clone() });
        }
        Ok(Report::Ignored(masks))
    }

    fn with_mask(&self, mut masks: Vec<String>, text: &str) -> Result<Vec<String>, Refusal> {
        let mask = mask_of(text).ok_or_else(not_a_mask)?;
        if masks.iter().any(|known| self.map().eq(known, &mask)) {
            return Ok(masks);
        }
        if masks.len() >= MASKS_MAX {
            let words = format!("you ignore {MASKS_MAX} already: `unignore` one of them first");
            return Err(Refusal::ours(TOO_MANY, &words));
        }
        masks.push(mask);
        Ok(masks)
    }

    fn without_mask(&self, mut masks: Vec<String>, text: &str) -> Result<Vec<String>, Refusal> {
        let mask = mask_of(text).ok_or_else(not_a_mask)?;
        let before = masks.len();
        masks.retain(|known| !self.map().eq(known, &mask));
        if masks.len() == before {
            return Err(Refusal::ours(BAD_NAME, "nobody is ignored by that: `ignore` shows by what"));
        }
        Ok(masks)
    }
}

fn not_a_mask() -> Refusal {
    let words = format!(
        "this means nobody in particular: it is a nick, or a mask as `*!*@host.example`, of at most {MASK_BYTES_MAX} bytes"
    );
    Refusal::ours(BAD_NAME, &words)
}

/// The mask that a nick or mask stands for. `None` for what can be none, or would mean everybody.
fn mask_of(text: &str) -> Option<String> {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == ',';
    if text.contains(is_odd) || !text.contains(|c: char| !SIGNS.contains(c)) {
        return None;
    }
    let mask = match (text.contains('!'), text.contains('@')) {
        (false, false) => format!("{text}!*@*"),
        (false, true) => format!("*!{text}"),
        (true, false) => format!("{text}@*"),
        (true, true) => text.to_owned(),
    };
    (mask.len() <= MASK_BYTES_MAX).then_some(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nick_or_a_part_of_a_mask_is_made_whole() {
        let of = |text: &str| mask_of(text).unwrap_or_default();
        assert_eq!(of("eve"), "eve!*@*");
        assert_eq!(of("~eve@host"), "*!~eve@host");
        assert_eq!(of("eve!~e"), "eve!~e@*");
        assert_eq!(of("*!*@*.example.org"), "*!*@*.example.org");
        assert_eq!(of(&of("eve")), "eve!*@*", "what was kept is read as it is");
    }

    #[test]
    fn what_means_everybody_or_is_no_mask_is_none() {
        for text in
            ["", "*", "*!*@*", "?*!*@*.*", "*!*@*/*", "a b", "a,b", "eve\r\nQUIT", "e\0", &"x".repeat(10_000)]
        {
            assert_eq!(mask_of(text), None, "{text:?}");
        }
    }
}
