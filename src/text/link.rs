//! The links by which people on IRC see what an IRC line cannot hold: files, and texts that are too long.
//!
//! ```text
//!   https://media.example.org/  kR3v0TqLx7Zb2  4c92
//!   where the operator serves   13 signs that  which message, and
//!   it (the base)               prove it       which part of it
//! ```
//!
//! A link is made without asking anybody: from the message's place in the inbox, so that a message that is said
//! again after a crash has the link it had. Who has no key can neither make one nor learn from some what others
//! are: the proof is the beginning of an HMAC-SHA-256 (77 bits), and it is compared in constant time. Letters and
//! digits only, because clients leave other signs out of a link where they stand at its end.
//!
//! Knows nothing of what is behind a link, nor how long it is good: that is the store's to say.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::ids::{InboxSeq, NetworkId};

/// Digits of a number to the base 62.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Signs of the proof. 62 to the power of 13 is more than 2 to the power of 77.
const PROOF_LEN: usize = 13;
/// What 13 digits can say.
const PROOF_RANGE: u128 = 62_u128.pow(PROOF_LEN as u32);
/// Signs of the longest number: 65 bits.
const NUMBER_LEN_MAX: usize = 11;
/// Keeps these proofs apart from whatever else the key may be used for.
const PURPOSE: &[u8] = b"bunraku link 1";

/// Makes and knows the links of one network.
#[derive(Clone)]
pub struct Links {
    /// Without a slash at its end.
    base: String,
    /// Has taken in key, purpose and network already.
    mac: Hmac<Sha256>,
}

/// What of a message is behind a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkPart {
    /// Its file.
    Media,
    /// Its whole text.
    Text,
}

impl LinkPart {
    const ALL: [Self; 2] = [Self::Media, Self::Text];

    fn bit(self) -> u128 {
        match self {
            Self::Media => 0,
            Self::Text => 1,
        }
    }
}

impl Links {
    /// The longest token, in characters: what a link has behind its base and a slash.
    pub const TOKEN_LEN_MAX: usize = PROOF_LEN + NUMBER_LEN_MAX;

    /// Links of this network below `base`, a URL; a slash at its end makes no difference. Links of the same key and
    /// network are the same in every run.
    pub fn new(base: &str, key: &[u8; 32], network: &NetworkId) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(PURPOSE);
        mac.update(&(network.as_str().len() as u64).to_be_bytes());
        mac.update(network.as_str().as_bytes());
        Self { base: base.trim_end_matches('/').to_owned(), mac }
    }

    /// The link to a part of a message: always the same one, and another one for everything else.
    pub fn url(&self, seq: InboxSeq, part: LinkPart) -> String {
        let number = number(seq, part);
        let mut url = format!("{}/{}", self.base, self.proof(number));
        push_digits(&mut url, number);
        url
    }

    /// What a link of ours leads to, by what stands behind its base and a slash; `None` for one that we did not make.
    /// How long this takes tells nothing of the right proof.
    pub fn verify(&self, token: &str) -> Option<(InboxSeq, LinkPart)> {
        let (proof, digits) = token.split_at_checked(PROOF_LEN)?;
        let number = read_digits(digits)?;
        let is_ours = bool::from(self.proof(number).as_bytes().ct_eq(proof.as_bytes()));
        let part = LinkPart::ALL.into_iter().find(|part| part.bit() == number & 1)?;
        let seq = u64::try_from(number >> 1).ok()?;
        is_ours.then(|| (InboxSeq(seq.cast_signed()), part))
    }

    fn proof(&self, number: u128) -> String {
        let mut mac = self.mac.clone();
        mac.update(&number.to_be_bytes());
        let bytes = mac.finalize().into_bytes();
        let (first, _) = bytes.split_first_chunk::<16>().expect("SHA-256 gives 32 bytes");
        let mut rest = u128::from_be_bytes(*first) % PROOF_RANGE;
        let mut proof = String::with_capacity(PROOF_LEN);
        for _ in 0..PROOF_LEN {
            proof.push(digit(rest));
            rest /= 62;
        }
        proof
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Links({})", self.base)
    }
}

/// One number for each part of each message.
fn number(seq: InboxSeq, part: LinkPart) -> u128 {
    u128::from(seq.0.cast_unsigned()) << 1 | part.bit()
}

fn digit(number: u128) -> char {
    char::from(DIGITS[usize::try_from(number % 62).expect("less than 62")])
}

/// The number to the base 62, with no zeros in front.
fn push_digits(text: &mut String, number: u128) {
    if number >= 62 {
        push_digits(text, number / 62);
    }
    text.push(digit(number));
}

/// What [`push_digits`] wrote, and nothing that it would have written otherwise.
fn read_digits(text: &str) -> Option<u128> {
    let has_zeros_in_front = text.len() > 1 && text.starts_with('0');
    if text.is_empty() || text.len() > NUMBER_LEN_MAX || has_zeros_in_front {
        return None;
    }
    text.bytes().try_fold(0_u128, |number, byte| {
        let digit = DIGITS.iter().position(|&digit| digit == byte)?;
        Some(number * 62 + u128::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "https://media.example.org/m/";

    fn links(key: u8, network: &str) -> Links {
        Links::new(BASE, &[key; 32], &NetworkId::new(network).expect("legal"))
    }

    fn token(url: &str) -> &str {
        url.strip_prefix(BASE).expect("below the base")
    }

    fn part() -> impl Strategy<Value = LinkPart> {
        prop_oneof![Just(LinkPart::Media), Just(LinkPart::Text)]
    }

    #[test]
    fn a_link_is_short_and_stays_what_it_was() {
        let links = links(7, "libera");
        let url = links.url(InboxSeq(1_234_567), LinkPart::Media);
        assert_eq!(url, "https://media.example.org/m/q2XfgDVmK20l8AMKk", "links on IRC outlive a release");
        assert_eq!(links.verify(token(&url)), Some((InboxSeq(1_234_567), LinkPart::Media)));
        assert_eq!(format!("{links:?}"), "Links(https://media.example.org/m)", "and shows no key");
    }

    #[test]
    fn many_messages_have_as_many_links() {
        let links = links(1, "net");
        let urls = (0..10_000).flat_map(|seq| LinkPart::ALL.map(|part| links.url(InboxSeq(seq), part)));
        assert_eq!(urls.collect::<HashSet<_>>().len(), 20_000);
    }

    #[test]
    fn what_is_no_token_is_nobodys() {
        let links = links(1, "net");
        let url = links.url(InboxSeq(5), LinkPart::Text);
        let good = token(&url);
        let with_zero = format!("{}0{}", &good[..PROOF_LEN], &good[PROOF_LEN..]);
        let long = "z".repeat(5_000);
        for text in ["", "0", &good[1..], &good[..PROOF_LEN], &with_zero, &long, "äöüäöüäöü", "../../x", "\0"]
        {
            assert_eq!(links.verify(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_link_leads_back(seq in any::<i64>(), part in part()) {
            let links = links(3, "net");
            let url = links.url(InboxSeq(seq), part);
            prop_assert!(token(&url).len() <= Links::TOKEN_LEN_MAX);
            prop_assert!(token(&url).bytes().all(|byte| byte.is_ascii_alphanumeric()));
            prop_assert_eq!(links.verify(token(&url)), Some((InboxSeq(seq), part)));
        }

        #[test]
        fn no_two_messages_have_one_link(a in any::<i64>(), b in any::<i64>(), p in part(), q in part()) {
            let links = links(3, "net");
            let same = links.url(InboxSeq(a), p) == links.url(InboxSeq(b), q);
            prop_assert_eq!(same, (a, p) == (b, q));
        }

        #[test]
        fn a_changed_link_is_refused(seq in 0..i64::MAX, part in part(), at in 0..14_usize, with in 0..62_usize) {
            let links = links(3, "net");
            let url = links.url(InboxSeq(seq), part);
            let mut forged = token(&url).as_bytes().to_vec();
            let at = at.min(forged.len() - 1);
            prop_assume!(forged[at] != DIGITS[with]);
            forged[at] = DIGITS[with];
            let forged = String::from_utf8(forged).expect("ASCII");
            prop_assert_eq!(links.verify(&forged), None);
        }

        #[test]
        fn links_of_others_are_refused(seq in 0..i64::MAX, part in part()) {
            let url = links(3, "net").url(InboxSeq(seq), part);
            prop_assert_eq!(links(4, "net").verify(token(&url)), None, "another key");
            prop_assert_eq!(links(3, "oftc").verify(token(&url)), None, "another network");
        }

        #[test]
        fn any_text_is_read_without_harm(text in any::<String>()) {
            prop_assert_eq!(links(3, "net").verify(&text), None);
        }
    }
}
