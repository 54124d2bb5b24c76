//! The harness of the end-to-end tests: real servers and clients on loopback, nothing of the bridge's own code but
//! in `driver`.
//!
//! What a test wants of a wire it reads with the parsers in here, so that a fault of the library cannot hide
//! itself. Every child process belongs to a value and ends with it, by its own pid; every directory is temporary;
//! every wait has an end and says what it waited for.

pub mod accounts;
pub mod answers;
pub mod audit;
pub mod authority;
pub mod bridge;
pub mod door;
pub mod driver;
pub mod figures;
pub mod identd;
pub mod irc;
pub mod ircd;
pub mod judge;
pub mod lab;
pub mod load;
pub mod matrix;
pub mod process;
pub mod proxy;
pub mod random;
pub mod routed;
pub mod services;
pub mod small_disk;
pub mod synapse;
pub mod world;

use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// For things that take one round trip or two, on a machine that is busy with other tests.
pub const SOON: Duration = Duration::from_secs(20);

/// For things that need joins on a real homeserver, a hold of the ledger, or a reconnect.
pub const PATIENT: Duration = Duration::from_secs(60);

/// Longer than a hold of the ledger (5 s): what would be doubled by a hold that runs out has been by then.
pub const QUIET: Duration = Duration::from_secs(7);

/// Asks `probe` again and again until it gives something; panics with `what` after `limit`.
pub async fn eventually<T, F, Fut>(what: &str, limit: Duration, mut probe: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Runs all at the same time on this task; gives their outputs in the order of the futures.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, output) in running.iter_mut().zip(&mut done) {
            if output.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *output = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// A path that `scripts/test` hands over in an environment variable.
pub fn part(variable: &str) -> PathBuf {
    match std::env::var_os(variable) {
        Some(path) => PathBuf::from(path),
        None => panic!("{variable} is not set: these tests need real servers, run them with scripts/test"),
    }
}

/// Puts values in the place of `@NAME@` in one of the files of `conf/`.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), value))
}
