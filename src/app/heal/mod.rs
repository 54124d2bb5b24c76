//! Heals what a restart of the homeserver tears: events that it answered to their senders and never pushed to us.
//!
//! A Synapse keeps what it has not pushed yet in its memory, as long as we answer well; when it ends, by whatever
//! signal, that is gone from its push, and only there: the rooms still have it. So somebody [`watch`]es whether it
//! is the same process, and after a restart (and at our own start, for nobody watched before it) each room is
//! [`read`] back from where all was well, and what is not in the inbox goes in, oldest first. Meanwhile [`gaps`]
//! keeps the intake from taking what is newer, room by room, so that order holds. [`strands`] knows of what a
//! homeserver that did not restart has left lying.
//!
//! Nothing in `bridge` knows of it: an event that was read back is an event.

pub mod gaps;
pub mod read;
pub mod strands;
pub mod watch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use self::gaps::{End, Gap, Gaps, Summary};
use self::read::{newest, read_back};
use super::host::{Intake, OPEN_MAX};
use super::shell::Shell;
use crate::ids::{RoomId, Time};
use crate::matrix::appservice::{Accepted, RawEvent};
use crate::matrix::client::ClientError;

/// Rooms that are read at once.
const READS_MAX: usize = 4;
/// Waits between tries to read one room; then it is given up.
const TRY_AGAIN: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5)];
/// Events that go into the inbox with one commit.
const CHUNK_EVENTS: usize = 100;
/// How long a full inbox is waited for before more goes in all the same.
const INBOX_WAIT: Duration = Duration::from_secs(30);
/// When the homeserver is asked to come again, after what it waits for is done; it may not have noted yet that it
/// was refused.
const PINGS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

/// What reads rooms back.
#[derive(Clone)]
struct Healer {
    shell: Arc<Shell>,
    intake: Arc<Intake>,
    gaps: Arc<Gaps>,
}

/// Reads rooms back whenever there are gaps, until cancelled.
pub async fn heal(shell: Arc<Shell>, intake: Arc<Intake>, gaps: Arc<Gaps>, cancel: CancellationToken) {
    let healer = Healer { shell, intake, gaps };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = healer.read_all() => {}
        () = healer.call_back() => {}
        () = healer.sweep() => {}
    }
}

impl Healer {
    async fn read_all(&self) {
        let mut reading = JoinSet::new();
        loop {
            while reading.len() < READS_MAX
                && let Some(gap) = self.gaps.next()
            {
                let healer = self.clone();
                reading.spawn(async move { healer.close(gap).await });
            }
            tokio::select! {
                Some(_) = reading.join_next() => {}
                () = self.gaps.work.notified() => {}
            }
        }
    }

    /// Reads one room and says so, whatever came of it.
    async fn close(&self, gap: Gap) {
        let end = match self.read(&gap).await {
            Ok(missed) => End::Read(missed),
            // It went away again: once it is back, every room is read anew from where all was well.
            Err(_) if self.gaps.is_suspected() => End::GivenUp,
            Err(error) => {
                tracing::warn!(
                    room = %gap.room, %error,
                    "a room cannot be read back, what was said there during the restart may be missing; is the bot in it?"
                );
                End::GivenUp
            }
        };
        match self.gaps.end(&gap.room, end, self.shell.clock.now()) {
            Some(Summary { rooms, missed: 0, unread }) => {
                tracing::info!(rooms, unread, "all rooms are read back, nothing was missing");
            }
            Some(Summary { rooms, missed, unread }) => {
                tracing::warn!(
                    rooms,
                    missed,
                    unread,
                    "all rooms are read back; what was missing goes its way"
                );
            }
            None => {}
        }
    }

    /// Reads one room, several times if need be. Gives how many events were missing.
    async fn read(&self, gap: &Gap) -> Result<usize, ClientError> {
        let mut waits = TRY_AGAIN.into_iter();
        loop {
            let began = Instant::now();
            let error = match self.read_once(gap).await {
                Ok((missed, newest)) => {
                    self.gaps.strands.read(&gap.room, began, newest);
                    return Ok(missed);
                }
                Err(error) => error,
            };
            let wait = match &error {
                ClientError::Unavailable(_) => waits.next(),
                ClientError::Limited { retry_after } => waits.next().map(|wait| wait.max(*retry_after)),
                _ => None,
            };
            // Away again: it will be read when the homeserver is back.
            let Some(wait) = wait.filter(|_| !self.gaps.is_suspected()) else { return Err(error) };
            sleep(wait).await;
        }
    }

    /// Gives how many events were missing, and the newest there is.
    async fn read_once(&self, gap: &Gap) -> Result<(usize, Option<Time>), ClientError> {
        let events = read_back(&self.shell.client, &self.shell.reader(&gap.room), gap).await?;
        let newest = newest(&events, self.shell.client.server_name());
        Ok((self.take(events).await?, newest))
    }

    /// Reads rooms that may lack something stranded, for as long as it may.
    async fn sweep(&self) {
        loop {
            self.gaps.strands.due().await;
            let rooms = match self.shell.store.rooms().await {
                Ok(rooms) => rooms,
                Err(error) => {
                    tracing::warn!(%error, "rooms cannot be looked at for what the homeserver left lying");
                    continue;
                }
            };
            let mut missed = 0;
            for (room, since) in rooms {
                missed += self.sweep_room(&room, since).await;
            }
            // Some of it may have been on its way to us.
            tracing::debug!(missed, "rooms were looked at for what the homeserver left lying");
        }
    }

    async fn sweep_room(&self, room: &RoomId, since: Time) -> usize {
        // After a restart every room is read anyway.
        if self.gaps.is_suspected() || !self.gaps.strands.is_stale(room) {
            return 0;
        }
        let began = Instant::now();
        match self.read(&self.gaps.stranded(room, since)).await {
            Ok(missed) => missed,
            Err(error) => {
                tracing::debug!(%room, %error, "a room cannot be looked at");
                self.gaps.strands.read(room, began, None);
                0
            }
        }
    }

    /// Puts events into the inbox, those that are not there.
    async fn take(&self, events: Vec<RawEvent>) -> Result<usize, ClientError> {
        let mut missed = 0;
        let fresh = self.intake.worth_taking(events);
        for chunk in fresh.chunks(CHUNK_EVENTS) {
            self.wait_for_room().await;
            let (accepted, rows) = self.intake.store(chunk.to_vec()).await;
            missed += rows;
            if accepted == Accepted::Busy {
                return Err(ClientError::Unavailable("the database takes nothing".to_owned()));
            }
        }
        Ok(missed)
    }

    async fn wait_for_room(&self) {
        let end = Instant::now() + INBOX_WAIT;
        while self.shell.open.load(Ordering::Relaxed) > OPEN_MAX && Instant::now() < end {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Lets the homeserver try again at once what was refused.
    async fn call_back(&self) {
        loop {
            self.gaps.wake.notified().await;
            for wait in PINGS {
                sleep(wait).await;
                if !self.gaps.is_refusing() {
                    break;
                }
                if let Err(error) = self.shell.client.ping("bunraku-heal").await {
                    tracing::debug!(%error, "the homeserver could not be asked to come again; it will by itself");
                }
            }
        }
    }
}
