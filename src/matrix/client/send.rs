//! Sending events: messages with a transaction id, state without.

use serde::Deserialize;
use serde_json::Value;

use super::request::{understood, well_formed};
use super::{Client, ClientError};
use crate::ids::{EventId, RoomId, UserId};

/// In whose name an event is sent, and whether with the bridge's device.
#[derive(Clone, Copy, Debug)]
pub struct As<'a> {
    pub user: &'a UserId,
    pub device: DeviceUse,
}

/// Whether a request names the bridge's device. With it, the homeserver knows a repeated transaction even
/// after its own restart, for 24 hours; without, only while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceUse {
    Named,
    None,
}

#[derive(Deserialize)]
struct Sent {
    event_id: String,
}

impl Client {
    /// Sends a message event; `content` is its JSON text.
    ///
    /// `txn` must be unique over **all** our users in this room, not only this one: Synapse tells repeated
    /// transactions of an application service apart without looking at the user. Sent again with the same
    /// `txn`, the event exists once, and its id is returned again.
    pub async fn send_event(
        &self,
        who: As<'_>,
        room: &RoomId,
        kind: &str,
        txn: &str,
        content: impl Into<reqwest::Body>,
    ) -> Result<EventId, ClientError> {
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/send").segment(kind).segment(txn);
        let url = match who.device {
            DeviceUse::Named => url.acting_as(who.user).query("device_id", &self.inner.config.device),
            DeviceUse::None => url.acting_as(who.user),
        };
        event_id(&self.put(url, content).await?)
    }

    /// Sets a state event as the bot. Setting what is set already changes nothing and returns the old id.
    pub async fn send_state(
        &self,
        room: &RoomId,
        kind: &str,
        key: &str,
        content: &Value,
    ) -> Result<EventId, ClientError> {
        let mut url = self.url("/v3/rooms").segment(room.as_str()).path("/state").segment(kind);
        if !key.is_empty() {
            url = url.segment(key);
        }
        event_id(&self.put(url.acting_as(self.bot()), content.to_string()).await?)
    }
}

fn event_id(answer: &[u8]) -> Result<EventId, ClientError> {
    well_formed(EventId::new(&understood::<Sent>(answer)?.event_id))
}
