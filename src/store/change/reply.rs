//! What a change gives back to whoever asked for it.

use crate::ids::RelaySeq;
use crate::store::identities::StoredIdentity;
use crate::store::inbox::InboxRow;

/// What a change gives back.
#[derive(Debug)]
pub(in crate::store) enum Reply {
    Nothing,
    Accepted(Vec<InboxRow>),
    /// How many rows were changed.
    Count(u64),
    Reserved(Option<RelaySeq>),
    Identity(Option<StoredIdentity>),
}

impl Reply {
    /// Of a change that answers with accepted rows.
    pub(in crate::store) fn accepted(self) -> Vec<InboxRow> {
        match self {
            Self::Accepted(rows) => rows,
            Self::Nothing | Self::Count(_) | Self::Reserved(_) | Self::Identity(_) => {
                unreachable!("this change answers Accepted")
            }
        }
    }

    /// Of a change that answers with a count.
    pub(in crate::store) fn count(self) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Nothing | Self::Accepted(_) | Self::Reserved(_) | Self::Identity(_) => {
                unreachable!("this change answers Count")
            }
        }
    }

    /// Of a change that answers with an identity.
    pub(in crate::store) fn identity(self) -> Option<StoredIdentity> {
        match self {
            Self::Identity(identity) => identity,
            Self::Nothing | Self::Accepted(_) | Self::Count(_) | Self::Reserved(_) => {
                unreachable!("this change answers Identity")
            }
        }
    }
}
