//! The ident (username) of a Matrix user: what a ban is set on, so each user has one of their own for life.
//!
//! It is made from the user id alone: no display name, no nick, no network changes it. This file proposes; who
//! owns which ident is remembered by a table elsewhere, which gives each user the first candidate nobody has.
//! Candidates that do not show a whole localpart carry a fingerprint of the whole id, so that two long ids are
//! never cut down to one ident.

use sha2::{Digest, Sha256};

use super::nick::legal_chars;
use crate::ids::UserId;

/// Shortest limit supported, in bytes; a smaller one counts as this.
pub const IDENT_BYTES_MIN: usize = 4;

/// Longest ident made, in bytes, whatever the limit.
pub const IDENT_BYTES_MOST: usize = 32;

/// Candidates that keep readable letters before their fingerprint; later ones are all fingerprint, so that a
/// crowd with one common beginning finds room soon.
const READABLE_ATTEMPTS: u32 = 4;

/// Names that people take for somebody in charge, or that servers refuse. A number behind one changes nothing.
const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "bridge",
    "daemon",
    "founder",
    "global",
    "helper",
    "helpop",
    "identd",
    "irc",
    "ircd",
    "ircop",
    "mod",
    "moderator",
    "network",
    "nobody",
    "oper",
    "operator",
    "owner",
    "postmaster",
    "root",
    "security",
    "server",
    "service",
    "services",
    "staff",
    "support",
    "sysop",
    "system",
    "webmaster",
];

/// Idents for a user, best first, without end: `[a-z][a-z0-9]*`, 1 to `bytes_max` bytes ([`IDENT_BYTES_MIN`] to
/// [`IDENT_BYTES_MOST`]). Same user, same limit: same candidates.
///
/// The localpart itself comes first, if it is an ident as it stands: nothing cut, changed or left out, so that
/// only somebody with just this localpart (on another homeserver) has the same first candidate. The others are
/// letters of the localpart and part of SHA-256 over the whole id and the number of the attempt.
pub fn candidates(user: &UserId, bytes_max: usize) -> impl Iterator<Item = String> + use<> {
    let bytes_max = bytes_max.clamp(IDENT_BYTES_MIN, IDENT_BYTES_MOST);
    let local = user.localpart().to_owned();
    let stem = stem(&local);
    let user = user.clone();
    let whole = (local.len() <= bytes_max && local == stem).then_some(local);
    let marked = (0..).map(move |attempt: u32| marked(&stem, &user, attempt, bytes_max));
    whole.into_iter().chain(marked).filter(|ident| !is_reserved(ident))
}

/// The readable part of a localpart: never empty, begins with a letter.
fn stem(local: &str) -> String {
    let mut stem = legal_chars(local).to_ascii_lowercase();
    stem.retain(|c| c.is_ascii_alphanumeric());
    if !stem.starts_with(|c: char| c.is_ascii_lowercase()) {
        stem.insert(0, 'm');
    }
    stem
}

/// A candidate with a fingerprint of the user id and the attempt.
fn marked(stem: &str, user: &UserId, attempt: u32, bytes_max: usize) -> String {
    let mut hash = Sha256::new();
    hash.update(user.as_str());
    // An id holds no NUL, so that no id and attempt read as another id and attempt.
    hash.update([0]);
    hash.update(attempt.to_le_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let sign = |byte: &u8| char::from(b"abcdefghijklmnopqrstuvwxyz0123456789"[usize::from(byte % 36)]);
    // More than half is fingerprint: five signs of nine are sixty million.
    let kept = if attempt < READABLE_ATTEMPTS { (bytes_max - 1) / 2 } else { 0 };
    let mut ident = stem[..kept.min(stem.len())].to_owned();
    if ident.is_empty() || is_reserved(stem) || is_reserved(&ident) {
        ident = char::from(b'a' + digest[31] % 26).to_string();
    }
    let room = bytes_max - ident.len();
    ident.extend(digest[..31].iter().take(room.min(8.max(bytes_max / 2))).map(sign));
    ident
}

/// True for names that would make others believe something, or that a server refuses.
fn is_reserved(ident: &str) -> bool {
    let name = ident.trim_end_matches(|c: char| c.is_ascii_digit());
    RESERVED.contains(&name) || name.ends_with("serv")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn user(id: &str) -> UserId {
        UserId::new(id).unwrap()
    }

    fn first(id: &str, bytes_max: usize) -> String {
        candidates(&user(id), bytes_max).next().unwrap()
    }

    fn is_legal(ident: &str, bytes_max: usize) -> bool {
        ident.starts_with(|c: char| c.is_ascii_lowercase())
            && ident.len() <= bytes_max
            && ident.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    }

    /// Gives each id the first ident nobody has; the most candidates anybody had to look at.
    fn hand_out(ids: impl Iterator<Item = String>, bytes_max: usize) -> (usize, usize) {
        let mut taken = HashSet::new();
        let mut steps_max = 0;
        for id in ids {
            let user = user(&id);
            let mut steps = 0;
            let free = candidates(&user, bytes_max).find(|ident| {
                steps += 1;
                !taken.contains(ident)
            });
            let ident = free.expect("there is no end of them");
            assert!(is_legal(&ident, bytes_max), "{id} got {ident}");
            taken.insert(ident);
            steps_max = steps_max.max(steps);
        }
        (taken.len(), steps_max)
    }

    #[test]
    fn a_plain_localpart_is_the_ident() {
        assert_eq!(first("@alice:h.org", 9), "alice");
        assert_eq!(first("@abcdefghi:h.org", 9), "abcdefghi");
        assert_eq!(first("@x:h.org", 4), "x");
    }

    #[test]
    fn what_is_cut_or_changed_carries_a_fingerprint_of_the_whole_id() {
        for (id, stem) in [
            ("@abcdefghij:h.org", "abcd"),
            ("@al.ice:h.org", "alic"),
            ("@Alice:h.org", "alic"),
            ("@zoë:h.org", "zoe"),
            ("@42:h.org", "m42"),
        ] {
            let ident = first(id, 9);
            assert!(ident.starts_with(stem) && ident.len() == 9.min(stem.len() + 8), "{id}: {ident}");
        }
        let twins =
            ["@averylonglocalpart1:h.org", "@averylonglocalpart2:h.org", "@averylonglocalpart1:evil.org"];
        assert_eq!(twins.map(|id| first(id, 10)).iter().collect::<HashSet<_>>().len(), 3);
    }

    #[test]
    fn nobody_gets_a_name_of_authority() {
        for name in ["root", "Root", "root1", "admin", "nickserv", "chanserv2", "oper", "o.per", "services"] {
            let all: Vec<String> = candidates(&user(&format!("@{name}:h.org")), 10).take(50).collect();
            let stem = name.to_ascii_lowercase();
            assert!(
                all.iter().all(|ident| !is_reserved(ident) && !ident.starts_with(&stem)),
                "{name}: {all:?}"
            );
        }
        assert_eq!(first("@rootbeer:h.org", 9), "rootbeer");
    }

    #[test]
    fn the_same_user_has_the_same_candidates_always() {
        let all = |bytes_max| candidates(&user("@alice:h.org"), bytes_max).take(7).collect::<Vec<_>>();
        assert_eq!(all(10), all(10));
        // Stored idents outlive releases: the first ones are never to change.
        assert_eq!(all(9)[..3], ["alice", "alicnpj2o", "alic63qne"]);
        assert_eq!(candidates(&user("@alice:h.org"), 0).nth(2_000).unwrap().len(), IDENT_BYTES_MIN);
    }

    #[test]
    fn a_hundred_thousand_hostile_users_all_get_their_own_in_few_steps() {
        // All want one beginning, on many homeservers, some with letters that fall away.
        let hostile = |n: u32| match n % 4 {
            0 => format!("@alice:evil{n}.org"),
            1 => format!("@alice.{n}:evil.org"),
            2 => format!("@averylonglocalpart{n}:evil.org"),
            _ => format!("@{}a:h.org", "é".repeat((n / 4 % 50) as usize) + &n.to_string()),
        };
        for bytes_max in [9, 10] {
            let (idents, steps_max) = hand_out((0..100_000).map(hostile), bytes_max);
            assert_eq!(idents, 100_000);
            assert!(steps_max <= 8, "{steps_max} steps with {bytes_max} bytes");
        }
    }

    #[test]
    fn the_shortest_limit_still_serves_thousands() {
        let (idents, steps_max) = hand_out((0..20_000).map(|n| format!("@alice{n}:h.org")), 4);
        assert!(idents == 20_000 && steps_max <= 40, "{idents} idents, {steps_max} steps");
    }

    proptest! {
        #[test]
        fn any_user_gets_legal_idents(
            local in "[a-z0-9._=/+-]{1,20}|[^:\\s\\p{Cc}]{1,20}",
            bytes_max in 0_usize..50,
        ) {
            let Some(user) = UserId::new(&format!("@{local}:h.org")) else { return Ok(()) };
            let bytes_max_used = bytes_max.clamp(IDENT_BYTES_MIN, IDENT_BYTES_MOST);
            let all: Vec<String> = candidates(&user, bytes_max).take(20).collect();
            prop_assert_eq!(all.len(), 20);
            prop_assert!(all.iter().all(|ident| is_legal(ident, bytes_max_used)), "{:?}", all);
        }
    }
}
