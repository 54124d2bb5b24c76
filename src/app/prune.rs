//! Forgetting what nobody needs any more.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::shell::Shell;
use crate::store::StoreError;

/// How often rows that are old enough are removed.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Settled rows are kept for three days.
const KEEP_MS: u64 = 3 * 24 * 3600 * 1000;

/// Removes what has been settled for long, and links that are over, now and then.
pub(super) async fn prune(shell: Arc<Shell>, cancel: CancellationToken) {
    let mut every = tokio::time::interval(PRUNE_EVERY);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = every.tick() => {}
        }
        let older_than = crate::ids::Time(shell.clock.now().0.saturating_sub(KEEP_MS));
        let pruned = async {
            let rows = shell.store.prune(older_than).await?;
            Ok::<_, StoreError>(rows + shell.store.links_prune().await?)
        };
        match pruned.await {
            Ok(rows) => tracing::debug!(rows, "old rows removed"),
            Err(error) => tracing::warn!(%error, "old rows could not be removed"),
        }
    }
}
