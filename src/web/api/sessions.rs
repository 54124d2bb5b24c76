//! Tokens given for Matrix OpenID tokens: who has them is that person for a day.
//!
//! In memory only: a restart ends them all, and whoever has one gets another. Kept is a hash of each, so that what is in memory
//! opens nothing; and finding one by its hash tells by its time nothing about the token.
//!
//! | bound | number | when full |
//! |---|---|---|
//! | of one person | [`OF_ONE_MAX`] | their oldest goes |
//! | of all | [`SESSIONS_MAX`] | the oldest goes |

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::ids::UserId;
use crate::secret::Secret;

/// How long one lasts.
pub const SESSION_AGE: Duration = Duration::from_hours(24);
/// Sessions of all people.
pub const SESSIONS_MAX: usize = 10_000;
/// Sessions of one person.
pub const OF_ONE_MAX: usize = 20;
/// What a token of ours begins with, so that people who find one know what it is.
const MARK: &str = "bunraku_";

type Hash = [u8; 32];

/// All sessions.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_hash: HashMap<Hash, Session>,
    /// In the order of their making, which is that of their ends.
    order: VecDeque<Hash>,
    /// Of each person, in the same order.
    of: HashMap<UserId, VecDeque<Hash>>,
}

struct Session {
    user: UserId,
    end: Instant,
}

impl Sessions {
    /// Begins one; its token is nowhere else.
    pub(super) fn begin(&self, user: UserId) -> Secret {
        let token = format!("{MARK}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
        let now = Instant::now();
        let mut kept = self.kept();
        kept.prune(now);
        kept.spare(&user);
        let hash = hash(&token);
        kept.order.push_back(hash);
        kept.of.entry(user.clone()).or_default().push_back(hash);
        kept.by_hash.insert(hash, Session { user, end: now + SESSION_AGE });
        Secret::from(token)
    }

    /// Whose token it is.
    pub(super) fn of(&self, token: &str) -> Option<UserId> {
        let kept = self.kept();
        let session = kept.by_hash.get(&hash(token))?;
        (session.end > Instant::now()).then(|| session.user.clone())
    }

    /// Ends one.
    pub(super) fn end(&self, token: &str) {
        self.kept().forget(&hash(token));
    }

    /// Ends all of a person.
    pub(super) fn end_all(&self, user: &UserId) {
        let mut kept = self.kept();
        let theirs = kept.of.get(user).cloned().unwrap_or_default();
        theirs.iter().for_each(|hash| kept.forget(hash));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves whole sessions behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Lets go of those that are over, and of the oldest where there are too many.
    fn prune(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front().copied() {
            let is_over = self.by_hash.get(&oldest).is_none_or(|session| session.end <= now);
            if !is_over && self.order.len() < SESSIONS_MAX {
                break;
            }
            self.forget(&oldest);
        }
    }

    /// Makes room for one more of a person.
    fn spare(&mut self, user: &UserId) {
        let theirs = self.of.get(user).filter(|theirs| theirs.len() >= OF_ONE_MAX);
        if let Some(oldest) = theirs.and_then(|theirs| theirs.front().copied()) {
            self.forget(&oldest);
        }
    }

    fn forget(&mut self, hash: &Hash) {
        self.order.retain(|other| other != hash);
        let Some(session) = self.by_hash.remove(hash) else { return };
        if let Some(theirs) = self.of.get_mut(&session.user) {
            theirs.retain(|other| other != hash);
            if theirs.is_empty() {
                self.of.remove(&session.user);
            }
        }
    }
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(&format!("@{name}:hs")).expect("an id")
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_lasts_a_day_and_ends_when_it_is_told_to() {
        let sessions = Sessions::default();
        let token = sessions.begin(user("ada"));
        let other = sessions.begin(user("ada"));
        assert_ne!(token.expose(), other.expose());
        assert_eq!(sessions.of(token.expose()), Some(user("ada")));
        assert_eq!(sessions.of("bunraku_"), None);
        sessions.end(other.expose());
        assert_eq!(sessions.of(other.expose()), None);
        tokio::time::advance(SESSION_AGE).await;
        assert_eq!(sessions.of(token.expose()), None);
        sessions.begin(user("bob"));
        assert_eq!(sessions.kept().order.len(), 1, "what is over is let go");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_pushes_others_out_by_asking_often() {
        let sessions = Sessions::default();
        let of_bob = sessions.begin(user("bob"));
        let first = sessions.begin(user("ada"));
        for _ in 0..OF_ONE_MAX {
            sessions.begin(user("ada"));
        }
        assert_eq!(sessions.of(first.expose()), None, "her oldest has gone");
        assert!(sessions.of(of_bob.expose()).is_some());
        sessions.end_all(&user("ada"));
        assert_eq!(sessions.kept().order.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_never_more_than_fit() {
        let sessions = Sessions::default();
        let first = sessions.begin(user("first"));
        for nth in 0..SESSIONS_MAX {
            sessions.begin(user(&format!("u{nth}")));
        }
        assert_eq!(sessions.of(first.expose()), None);
        let kept = sessions.kept();
        assert_eq!((kept.order.len(), kept.by_hash.len()), (SESSIONS_MAX, SESSIONS_MAX));
    }
}
