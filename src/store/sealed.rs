//! What the tables with sealed columns have in common: opening, and sealing anew after the key was replaced.
//!
//! It has no SQL: each table's file seals, opens and renews its own rows.

use super::{Store, StoreError};
use crate::secret::Secret;
use crate::vault::{Place, Vault};

/// Rows looked at in one statement while sealing anew.
pub(super) const PAGE_LEN: i64 = 500;

/// What sealing anew has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Secrets that an older key had sealed and the current one does now.
    pub renewed: u64,
    /// Secrets that do not open, left as they are: their keys are not in the file, or the rows are damaged.
    pub unreadable: u64,
}

impl Store {
    /// Seals with the vault's current key whatever another one has sealed; awaited, and safe while the bridge
    /// runs. What changes meanwhile is left to who changed it, and is sealed with the current key anyway.
    pub async fn reseal(&self, vault: &Vault) -> Result<Resealed, StoreError> {
        let mut total = Resealed::default();
        self.logins_reseal(vault, &mut total).await?;
        self.channel_keys_reseal(vault, &mut total).await?;
        self.links_reseal(vault, &mut total).await?;
        Ok(total)
    }
}

/// The secret in a column, if there is one.
pub(super) fn opened(
    vault: &Vault,
    place: &Place<'_>,
    sealed: Option<Vec<u8>>,
) -> Result<Option<Secret>, StoreError> {
    sealed.map(|sealed| vault.open(place, &sealed)).transpose().map_err(StoreError::from)
}

/// The same secret under the current key; `None` where it is so already, or does not open.
pub(super) fn renewed(vault: &Vault, place: &Place<'_>, old: &[u8], total: &mut Resealed) -> Option<Vec<u8>> {
    if vault.is_current(old) {
        return None;
    }
    match vault.open(place, old) {
        Ok(secret) => Some(vault.seal(place, &secret)),
        Err(fault) => {
            let row = place.row.join(" ");
            tracing::warn!(table = place.table, column = place.column, row, %fault, "a secret cannot be sealed anew");
            total.unreadable += 1;
            None
        }
    }
}
