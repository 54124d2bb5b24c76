//! Sending events: messages with a transaction id, state without.

use serde::Deserialize;
use serde_json::Value;

use super::request::{Url, understood, well_formed};
use super::{Client, ClientError};
use crate::ids::{EventId, RoomId, UserId};

/// In whose name an event is sent, and whether with the bridge's device.
#[derive(Clone, Copy, Debug)]
pub struct As<'a> {
    pub user: &'a UserId,
    pub device: DeviceUse,
    /// As of when, in milliseconds since the Unix epoch (application service API, "Timestamp massaging"): it is shown,
    /// and changes no order.
    pub at_ms: Option<u64>,
}

impl<'a> As<'a> {
    /// As of now.
    pub fn now(user: &'a UserId, device: DeviceUse) -> Self {
        Self { user, device, at_ms: None }
    }
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
        event_id(&self.put(self.as_who(url, who), content).await?)
    }

    /// Takes an event's content away (client-server API, "Redactions"); `content` is the JSON text of the redaction. As
    /// for `txn`, see [`send_event`](Self::send_event).
    pub async fn redact_event(
        &self,
        who: As<'_>,
        room: &RoomId,
        event: &EventId,
        txn: &str,
        content: impl Into<reqwest::Body>,
    ) -> Result<EventId, ClientError> {
        let url =
            self.url("/v3/rooms").segment(room.as_str()).path("/redact").segment(event.as_str()).segment(txn);
        event_id(&self.put(self.as_who(url, who), content).await?)
    }

    fn as_who(&self, url: Url, who: As<'_>) -> Url {
        let mut url = url.acting_as(who.user);
        if who.device == DeviceUse::Named {
            url = url.query("device_id", &self.inner.config.device);
        }
        match who.at_ms {
            Some(at_ms) => url.query("ts", &at_ms.to_string()),
            None => url,
        }
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
