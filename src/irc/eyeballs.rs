//! Happy eyeballs (RFC 8305): several addresses of one host, raced.
//!
//! The next address is tried when one has failed or has been silent for a moment, beside those that are
//! still being tried; the first that answers wins and the others are dropped. So a host whose IPv6 leads
//! nowhere costs a quarter of a second instead of a time-out. Knows nothing of sockets, and bounds nothing:
//! each attempt ends by itself.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

/// How long an attempt is alone (RFC 8305 section 5, "Connection Attempt Delay").
pub(super) const ALONE: Duration = Duration::from_millis(250);

/// Tries `addresses` in their order until one `connect` succeeds. An error holds what became of each, in the
/// order of failing; it is empty only where `addresses` is.
pub(super) async fn race<T, E, F: Future<Output = Result<T, E>>>(
    addresses: &[SocketAddr],
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, Vec<(SocketAddr, E)>> {
    let mut waiting = addresses.iter();
    let mut running = Vec::new();
    let mut failures = Vec::new();
    loop {
        match waiting.next() {
            Some(&to) => running.push((to, Box::pin(connect(to)))),
            None if running.is_empty() => return Err(failures),
            None => {}
        }
        let ended = match waiting.len() {
            0 => Some(first(&mut running).await),
            _ => timeout(ALONE, first(&mut running)).await.ok(),
        };
        match ended {
            Some((_, Ok(winner))) => return Ok(winner),
            Some((to, Err(error))) => failures.push((to, error)),
            None => {}
        }
    }
}

/// Waits for the first of `running` to end, and takes it out.
async fn first<F: Future>(running: &mut Vec<(SocketAddr, Pin<Box<F>>)>) -> (SocketAddr, F::Output) {
    poll_fn(|cx| {
        for index in 0..running.len() {
            if let Poll::Ready(output) = running[index].1.as_mut().poll(cx) {
                return Poll::Ready((running.remove(index).0, output));
            }
        }
        Poll::Pending
    })
    .await
}

/// Both families by turns, beginning with that of the first (RFC 8305 section 4); otherwise in the order
/// given, which is the resolver's (RFC 6724).
pub(super) fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(leader) = addresses.first() else { return Vec::new() };
    let of_leader = |to: &&SocketAddr| to.is_ipv6() == leader.is_ipv6();
    let mut one = addresses.iter().filter(of_leader);
    let mut other = addresses.iter().filter(|to| !of_leader(to));
    let mut mixed = Vec::with_capacity(addresses.len());
    while mixed.len() < addresses.len() {
        mixed.extend(one.next().into_iter().chain(other.next()));
    }
    mixed
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::time::{Instant, sleep};

    use super::*;

    fn to(number: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], number))
    }

    /// What is heard of a race: starts and ends by milliseconds, and the result.
    async fn raced(ends: &[(u64, Result<(), &'static str>)]) -> (Vec<String>, String) {
        struct Attempt<'a>(u16, Instant, &'a RefCell<Vec<String>>);
        impl Drop for Attempt<'_> {
            fn drop(&mut self) {
                self.2.borrow_mut().push(format!("{} ends at {}", self.0, self.1.elapsed().as_millis()));
            }
        }
        let start = Instant::now();
        let told = RefCell::new(Vec::new());
        let addresses: Vec<SocketAddr> = (0..ends.len() as u16).map(to).collect();
        let result = race(&addresses, |to| {
            let attempt = Attempt(to.port(), start, &told);
            told.borrow_mut().push(format!("{} starts at {}", to.port(), start.elapsed().as_millis()));
            let (ms, end) = ends[usize::from(to.port())];
            async move {
                let attempt = attempt;
                sleep(Duration::from_millis(ms)).await;
                end.map(|()| attempt.0)
            }
        })
        .await;
        let result = match result {
            Ok(winner) => format!("{winner} wins"),
            Err(failures) => {
                let each = failures.iter().map(|(to, words)| format!("{} {words}", to.port()));
                each.collect::<Vec<_>>().join(", ")
            }
        };
        (told.take(), result)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_that_answers_needs_no_other() {
        let (told, result) = raced(&[(240, Ok(())), (0, Ok(()))]).await;
        assert_eq!(told, ["0 starts at 0", "0 ends at 240"]);
        assert_eq!(result, "0 wins");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_one_is_overtaken_and_dropped() {
        let (told, result) = raced(&[(60_000, Ok(())), (100, Ok(())), (0, Ok(()))]).await;
        assert_eq!(told, ["0 starts at 0", "1 starts at 250", "1 ends at 350", "0 ends at 350"]);
        assert_eq!(result, "1 wins");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_one_may_still_win_over_those_that_came_after_it() {
        let (told, result) = raced(&[(300, Ok(())), (9_000, Ok(()))]).await;
        assert_eq!(told, ["0 starts at 0", "1 starts at 250", "0 ends at 300", "1 ends at 300"]);
        assert_eq!(result, "0 wins");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_starts_the_next_at_once() {
        let (told, result) = raced(&[(10, Err("refuses")), (20, Err("refuses")), (30, Ok(()))]).await;
        assert_eq!(told[2..4], ["1 starts at 10", "1 ends at 30"]);
        assert_eq!(told[4..], ["2 starts at 30", "2 ends at 60"]);
        assert_eq!(result, "2 wins");
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_each_is_told() {
        let (_, result) = raced(&[(700, Err("is silent")), (10, Err("refuses")), (10, Err("is odd"))]).await;
        assert_eq!(result, "1 refuses, 2 is odd, 0 is silent");
        assert_eq!(raced(&[]).await, (Vec::new(), String::new()));
    }

    #[test]
    fn families_take_turns() {
        let read = |texts: &[&str]| -> Vec<SocketAddr> {
            texts.iter().map(|text| format!("{text}:1").parse().unwrap()).collect()
        };
        let mixed = interleave(&read(&["[::1]", "[::2]", "[::3]", "1.1.1.1", "1.1.1.2"]));
        assert_eq!(mixed, read(&["[::1]", "1.1.1.1", "[::2]", "1.1.1.2", "[::3]"]));
        let mixed = interleave(&read(&["1.1.1.1", "[::1]", "[::2]"]));
        assert_eq!(mixed, read(&["1.1.1.1", "[::1]", "[::2]"]));
        assert_eq!(interleave(&read(&["1.1.1.1", "1.1.1.2"])), read(&["1.1.1.1", "1.1.1.2"]));
        assert_eq!(interleave(&[]), []);
    }
}
