//! How much one address, and all together, may have.
//!
//! Each address has two buckets that fill up again with time, one of requests and one of bytes. Bytes are counted as
//! they go, so a file that was begun is given whole: the bucket is then below empty, and the next request waits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Settings;
use super::client::Client;

/// Addresses that are counted at once.
const CLIENTS_MAX: usize = 10_000;
/// Wait that is told where all places are taken, in seconds.
pub(super) const BUSY_S: u64 = 10;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

pub(super) struct Limits {
    requests: Rate,
    bytes: Rate,
    transfers_each: usize,
    places: Arc<Semaphore>,
    clients: Mutex<HashMap<Client, Account>>,
}

/// Not now, but after so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) wait_s: u64,
}

/// So much in so long; all of it may come at once.
#[derive(Clone, Copy, Debug)]
struct Rate {
    most: f64,
    per: Duration,
}

struct Account {
    requests: Bucket,
    bytes: Bucket,
    transfers: usize,
}

#[derive(Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

/// A file that is being given; its place is free again when this is dropped.
pub(super) struct Ticket {
    limits: Arc<Limits>,
    client: Client,
    _place: OwnedSemaphorePermit,
}

impl Limits {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            requests: Rate { most: f64::from(settings.requests_per_minute), per: MINUTE },
            // More bytes than f64 counts exactly are more than anybody fetches.
            bytes: Rate { most: settings.bytes_per_hour as f64, per: HOUR },
            transfers_each: settings.transfers_max.div_ceil(4),
            places: Arc::new(Semaphore::new(settings.transfers_max)),
            clients: Mutex::default(),
        }
    }

    /// Counts a request.
    pub(super) fn request(&self, client: Client) -> Result<(), Refused> {
        let now = Instant::now();
        let mut clients = self.clients();
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            clients.retain(|_, account| !account.is_idle(self, now));
            if clients.len() >= CLIENTS_MAX {
                return Err(Refused { wait_s: BUSY_S });
            }
        }
        let account = clients.entry(client).or_insert_with(|| Account::new(self, now));
        account.bytes.wait(self.bytes, 0.0, now)?;
        account.requests.wait(self.requests, 1.0, now)?;
        account.requests.level -= 1.0;
        Ok(())
    }

    /// Takes a place for a file.
    pub(super) fn begin(self: &Arc<Self>, client: Client) -> Option<Ticket> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let now = Instant::now();
        let mut clients = self.clients();
        let account = clients.entry(client).or_insert_with(|| Account::new(self, now));
        if account.transfers >= self.transfers_each {
            return None;
        }
        account.transfers += 1;
        Some(Ticket { limits: Arc::clone(self), client, _place: place })
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Client, Account>> {
        // A panic elsewhere leaves whole accounts behind.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Counts bytes that were fetched for this client.
    pub(super) fn charge(&self, bytes: usize) {
        let now = Instant::now();
        if let Some(account) = self.limits.clients().get_mut(&self.client) {
            account.bytes.fill(self.limits.bytes, now);
            account.bytes.level -= bytes as f64;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(account) = self.limits.clients().get_mut(&self.client) {
            account.transfers = account.transfers.saturating_sub(1);
        }
    }
}

impl Account {
    fn new(limits: &Limits, now: Instant) -> Self {
        let bucket = |rate: Rate| Bucket { level: rate.most, at: now };
        Self { requests: bucket(limits.requests), bytes: bucket(limits.bytes), transfers: 0 }
    }

    /// True when forgetting it changes nothing.
    fn is_idle(&mut self, limits: &Limits, now: Instant) -> bool {
        self.requests.fill(limits.requests, now);
        self.bytes.fill(limits.bytes, now);
        self.transfers == 0
            && self.requests.level >= limits.requests.most
            && self.bytes.level >= limits.bytes.most
    }
}

impl Bucket {
    fn fill(&mut self, rate: Rate, now: Instant) {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + since * rate.most / rate.per.as_secs_f64()).min(rate.most);
        self.at = now;
    }

    /// Whether there is so much in it, or how long until there is.
    fn wait(&mut self, rate: Rate, amount: f64, now: Instant) -> Result<(), Refused> {
        self.fill(rate, now);
        let lacking = amount - self.level;
        if lacking <= 0.0 {
            return Ok(());
        }
        let wait_s = (lacking / rate.most * rate.per.as_secs_f64()).ceil();
        Err(Refused { wait_s: (wait_s as u64).max(1) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::client;
    use super::*;

    fn limits(requests_per_minute: u32, bytes_per_hour: u64, transfers_max: usize) -> Arc<Limits> {
        let settings = Settings {
            trusted_proxies: Vec::new(),
            size_bytes_max: 1,
            requests_per_minute,
            bytes_per_hour,
            transfers_max,
        };
        Arc::new(Limits::new(&settings))
    }

    fn somebody(n: u32) -> Client {
        let address = std::net::Ipv4Addr::from_bits(n);
        client::of((address, 1).into(), &axum::http::HeaderMap::new(), &[])
    }

    #[tokio::test(start_paused = true)]
    async fn requests_come_back_with_time() {
        let limits = limits(3, 1_000, 8);
        for _ in 0..3 {
            assert_eq!(limits.request(somebody(1)), Ok(()));
        }
        assert_eq!(limits.request(somebody(1)), Err(Refused { wait_s: 20 }));
        assert_eq!(limits.request(somebody(2)), Ok(()), "others have their own");
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(limits.request(somebody(1)), Ok(()));
        assert!(limits.request(somebody(1)).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_file_is_given_whole_and_waited_for_after() {
        let limits = limits(100, 3_600, 8);
        let ticket = limits.begin(somebody(1)).expect("a place");
        ticket.charge(3_600);
        assert_eq!(limits.request(somebody(1)), Ok(()), "what is in the bucket is theirs");
        ticket.charge(10);
        assert_eq!(limits.request(somebody(1)), Err(Refused { wait_s: 10 }));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(limits.request(somebody(1)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_takes_all_places() {
        let limits = limits(100, 1_000, 8);
        let mine: Vec<_> = (0..3).map_while(|_| limits.begin(somebody(1))).collect();
        assert_eq!(mine.len(), 2, "a quarter");
        let theirs: Vec<_> = (2..20).map_while(|n| limits.begin(somebody(n))).collect();
        assert_eq!(theirs.len(), 6, "all places are taken");
        drop(mine);
        assert!(limits.begin(somebody(1)).is_some(), "and free again");
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_do_not_fill_the_memory() {
        let limits = limits(100, 1_000, 8);
        let busy = limits.begin(somebody(0)).expect("a place");
        for n in 0..CLIENTS_MAX as u32 {
            assert_eq!(limits.request(somebody(n)), Ok(()));
        }
        assert!(limits.request(somebody(1 << 20)).is_err());
        assert_eq!(limits.request(somebody(7)), Ok(()), "who is known goes on");
        tokio::time::advance(MINUTE).await;
        assert_eq!(limits.request(somebody(1 << 20)), Ok(()));
        assert_eq!(limits.clients().len(), 2, "who fetches, and who is new");
        drop(busy);
    }
}
