//! The bridge's own nick, and what people on IRC read of who runs it.

use super::super::problem::{Findings, Place};
use super::super::types::{Consent, Network, Operators};
use crate::ids::Nick;
use crate::text::casemap::CaseMap;

/// Longest nick of any network, in bytes, and the longest word on who runs the bridge, in characters.
const NICK_BYTES_MAX: usize = 30;
const CONTACT_CHARS_MAX: usize = 100;

pub(super) fn check(network: &Network, here: &Place, findings: &mut Findings) {
    let Operators { enabled, nick, contact, ask_in_channel: _ } = &network.operators;
    if network.portals.consent == Consent::ByConsent && !enabled {
        let sentence = "must be true where portals.consent is by_consent: nobody else asks".to_owned();
        findings.error(here.with("enabled"), sentence);
    }
    let begins = nick.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    if Nick::new(nick, CaseMap::Ascii).is_none() || !nick.is_ascii() || begins || nick.len() > NICK_BYTES_MAX
    {
        let sentence = format!("must be a nick of at most {NICK_BYTES_MAX} letters, such as bunraku");
        findings.error(here.with("nick"), sentence);
    }
    if contact.chars().count() > CONTACT_CHARS_MAX || contact.chars().any(char::is_control) {
        let sentence = format!("must be one line of at most {CONTACT_CHARS_MAX} characters");
        findings.error(here.with("contact"), sentence);
    }
}
