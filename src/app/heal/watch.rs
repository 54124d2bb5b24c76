//! Watches whether the homeserver is the same process as before: a restart loses what it had not pushed yet.
//!
//! Four signs, each good for what the others miss: the [`Lifeline`] ends the moment the process does (behind a
//! proxy: the proxy's); a look each [`LOOK_EVERY`] finds it away, also through a proxy; a request of anybody's that
//! goes without an answer makes the next look come at once; and a look that comes much too late (we were stopped)
//! counts as none. Each sign alone is a suspicion, and a suspicion costs one read of each room, so nobody tries to
//! be cleverer.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::gaps::{BLIND_MAX, Gaps, MARGIN_MS};
use crate::app::shell::Shell;
use crate::app::startup::wake_homeserver;
use crate::ids::Time;
use crate::matrix::client::{ClientError, Lifeline};
use crate::store::StoreError;

/// Between two looks. A restarting Synapse is away for longer.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Between two looks at a homeserver that is away.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How long it may take to answer a look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is written down until when all was well.
const NOTE_EVERY: Duration = Duration::from_secs(30);
/// Nothing older is looked for: by then a settled event may be forgotten, and would be said twice.
const AGE_MS_MAX: u64 = 24 * 3600 * 1000;
/// The fact in the store.
const GOOD_UNTIL: &str = "homeserver_watched_until";

/// Until when an earlier run knew that nothing was missing; the beginning of time if there was none.
pub async fn good_until(shell: &Shell) -> Result<Time, StoreError> {
    let noted = shell.store.meta_get(GOOD_UNTIL).await?;
    Ok(Time(noted.and_then(|ms| ms.parse().ok()).unwrap_or_default()))
}

/// Watches until cancelled.
pub async fn watch(shell: Arc<Shell>, gaps: Arc<Gaps>, cancel: CancellationToken) {
    let mut watch = Watch { shell, gaps, lifeline: None, looked: Instant::now(), noted: None };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = watch.run() => {}
    }
}

struct Watch {
    shell: Arc<Shell>,
    gaps: Arc<Gaps>,
    lifeline: Option<Lifeline>,
    /// The last good look.
    looked: Instant,
    /// When it was last written down that all is well.
    noted: Option<Instant>,
}

impl Watch {
    async fn run(&mut self) {
        loop {
            match timeout(LOOK_TIMEOUT, self.look()).await {
                Ok(Ok(())) => {
                    self.seen().await;
                    self.wait().await;
                }
                Ok(Err(error)) => self.away(&error.to_string()).await,
                Err(_) => self.away("no answer in time").await,
            }
        }
    }

    /// Asks for what costs nothing, and renews the lifeline before anybody could take it for dead.
    async fn look(&mut self) -> Result<(), ClientError> {
        self.shell.client.versions().await?;
        let lifeline = self.shell.client.lifeline().await;
        let fresh = lifeline.map_err(|error| ClientError::Unavailable(error.to_string()))?;
        // The one before may have ended while we looked, and who answered is another process already.
        if let Some(mut old) = self.lifeline.replace(fresh) {
            tokio::select! {
                biased;
                () = old.ended() => self.suspect("its connection ended"),
                () = std::future::ready(()) => {}
            }
        }
        Ok(())
    }

    async fn away(&mut self, why: &str) {
        self.suspect(why);
        self.lifeline = None;
        sleep(LOOK_AGAIN).await;
    }

    fn suspect(&self, why: &str) {
        if self.gaps.suspect() {
            tracing::info!(
                why,
                "the homeserver may be restarting; what it did not tell us will be read back"
            );
        }
    }

    /// A good look: whatever is suspected, it is there now.
    async fn seen(&mut self) {
        if self.looked.elapsed() > BLIND_MAX {
            self.suspect("nobody looked for a while");
        }
        self.looked = Instant::now();
        if self.gaps.is_suspected() {
            self.open().await;
        }
        if let Some(good_until) = self.gaps.looked(self.shell.clock.now())
            && self.noted.is_none_or(|at| at.elapsed() > NOTE_EVERY)
        {
            self.noted = Some(Instant::now());
            let noted = self.shell.store.meta_set(GOOD_UNTIL, &good_until.0.to_string()).await;
            if let Err(error) = noted {
                tracing::debug!(%error, "it could not be noted that the homeserver is well");
            }
        }
    }

    /// It is back: every room may have a gap. Then one event, for without it a restarted Synapse does not begin to
    /// deliver what it has kept.
    async fn open(&mut self) {
        let rooms = match self.shell.store.rooms().await {
            Ok(rooms) => rooms,
            // The suspicion stays, and with it the refusing of transactions, which could not be stored anyway.
            Err(error) => return tracing::warn!(%error, "the rooms to be read back are not known"),
        };
        let oldest = Time(self.shell.clock.now().0.saturating_sub(AGE_MS_MAX));
        tracing::debug!(rooms = rooms.len(), "rooms are read back");
        self.gaps.open(rooms, MARGIN_MS, oldest);
        self.shell.policy_rooms.read_anew();
        match timeout(LOOK_TIMEOUT, wake_homeserver(&self.shell)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the control room cannot be used; events kept for us may come late");
            }
            Err(_) => tracing::warn!("the control room does not answer; events kept for us may come late"),
        }
    }

    /// Waits for the time of the next look, or for a reason to take it now.
    async fn wait(&mut self) {
        let Some(lifeline) = &mut self.lifeline else { return };
        tokio::select! {
            () = lifeline.ended() => self.suspect("its connection ended"),
            () = self.shell.client.missed() => sleep(LOOK_AGAIN).await,
            () = self.gaps.look.notified() => {}
            () = sleep(LOOK_EVERY) => {}
        }
    }
}
