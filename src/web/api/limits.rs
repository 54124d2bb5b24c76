//! How often somebody may ask: each person, each token of the configuration, and each address of those who have neither.
//!
//! Of [`CLIENTS_MAX`] that are counted at once, those who have rested long enough are forgotten first; where that is not
//! enough, who is new waits.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{Quota, RateLimiter};

use super::Client;
use super::fault::Fault;
use crate::ids::UserId;

/// Who is counted at once, at most.
const CLIENTS_MAX: usize = 10_000;
/// A token of the configuration speaks for many: so many times what one of them may ask.
const TOKEN_FACTOR: u32 = 20;
/// OpenID tokens are looked at by asking other servers: so many a minute of one address.
const EXCHANGES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");
/// Wait of those who are new where no more can be counted.
const CROWDED_MS: u64 = 10_000;

type Counted<K> = RateLimiter<K, governor::state::keyed::HashMapStateStore<K>, DefaultClock>;

/// All that is counted.
pub(super) struct Limits {
    people: Counted<(Option<String>, UserId)>,
    tokens: Counted<String>,
    addresses: Counted<Client>,
    exchanges: Counted<Client>,
}

impl Limits {
    /// So many requests a minute of each; all of them may come at once.
    pub(super) fn new(per_minute: NonZeroU32) -> Self {
        let of_token = per_minute.saturating_mul(NonZeroU32::new(TOKEN_FACTOR).expect("not zero"));
        Self {
            people: RateLimiter::hashmap(Quota::per_minute(per_minute)),
            tokens: RateLimiter::hashmap(Quota::per_minute(of_token)),
            addresses: RateLimiter::hashmap(Quota::per_minute(per_minute)),
            exchanges: RateLimiter::hashmap(Quota::per_minute(EXCHANGES_PER_MINUTE)),
        }
    }

    /// Counts a request of a person, by a token of the configuration or their own session.
    pub(super) fn person(&self, token: Option<&str>, user: &UserId) -> Result<(), Fault> {
        check(&self.people, (token.map(str::to_owned), user.clone()))
    }

    /// Counts a request with a token of the configuration.
    pub(super) fn token(&self, name: &str) -> Result<(), Fault> {
        check(&self.tokens, name.to_owned())
    }

    /// Counts a request of somebody without a good token.
    pub(super) fn stranger(&self, client: Client) -> Result<(), Fault> {
        check(&self.addresses, client)
    }

    /// Counts an OpenID token to be looked at.
    pub(super) fn exchange(&self, client: Client) -> Result<(), Fault> {
        check(&self.exchanges, client)
    }
}

fn check<K: Clone + Eq + std::hash::Hash>(counted: &Counted<K>, key: K) -> Result<(), Fault> {
    if counted.len() >= CLIENTS_MAX {
        counted.retain_recent();
        counted.shrink_to_fit();
        if counted.len() >= CLIENTS_MAX {
            return Err(Fault::TooMany { wait_ms: CROWDED_MS });
        }
    }
    counted.check_key(&key).map_err(|until| {
        let wait: Duration = until.wait_time_from(DefaultClock::default().now());
        Fault::TooMany { wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1) }
    })
}
