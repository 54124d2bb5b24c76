//! The homeserver itself, and its users: who we are, registering ghosts, their devices and names.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::request::{understood, well_formed};
use super::{Client, ClientError};
use crate::ids::UserId;

/// Whether a user was made, or was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    Now,
    Before,
}

impl Client {
    /// The specification versions the homeserver speaks, as it writes them.
    pub async fn versions(&self) -> Result<Vec<String>, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            versions: Vec<String>,
        }
        Ok(self.get::<Answer>(self.url("/versions")).await?.versions)
    }

    /// Who the homeserver takes us for, which must be the bot.
    pub async fn whoami(&self) -> Result<UserId, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            user_id: String,
        }
        let answer: Answer = self.get(self.url("/v3/account/whoami").acting_as(self.bot())).await?;
        well_formed(UserId::new(&answer.user_id))
    }

    /// Has the homeserver call us once, which also makes it give up waiting when it took us for dead
    /// (application service API, "Pinging"). Returns how long that took.
    pub async fn ping(&self, txn: &str) -> Result<Duration, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            duration_ms: u64,
        }
        let url = self.url("/v1/appservice").segment(&self.inner.config.appservice_id).path("/ping");
        let answer = self.post(url, &json!({ "transaction_id": txn })).await?;
        Ok(Duration::from_millis(understood::<Answer>(&answer)?.duration_ms))
    }

    /// Makes a user of ours; one that is there already is fine.
    pub async fn register(&self, localpart: &str) -> Result<Registered, ClientError> {
        let body = json!({
            "type": "m.login.application_service",
            "username": localpart,
            // Without this, homeservers with MSC4190 refuse (M_APPSERVICE_LOGIN_UNSUPPORTED).
            "inhibit_login": true,
        });
        match self.post(self.url("/v3/register"), &body).await {
            Ok(_) => Ok(Registered::Now),
            Err(ClientError::Exists) => Ok(Registered::Before),
            Err(error) => Err(error),
        }
    }

    /// Gives `user` the bridge's device, or finds it there (Matrix 1.17, MSC4190).
    /// [`ClientError::NoDevices`] when this homeserver gives us none: sending works without, but a line whose
    /// answer was lost in the homeserver's restart may then be said twice.
    pub async fn ensure_device(&self, user: &UserId) -> Result<(), ClientError> {
        let url = self.url("/v3/devices").segment(&self.inner.config.device).acting_as(user);
        let body = json!({ "display_name": "IRC bridge" }).to_string();
        match self.put(url, body).await {
            Ok(_) => Ok(()),
            Err(ClientError::NotFound) => Err(ClientError::NoDevices("M_NOT_FOUND".to_owned())),
            Err(ClientError::Refused { status: 404 | 405, errcode, .. }) => {
                Err(ClientError::NoDevices(errcode))
            }
            Err(error) => Err(error),
        }
    }

    /// Sets a user's display name, in all rooms.
    pub async fn set_display_name(&self, user: &UserId, name: &str) -> Result<(), ClientError> {
        let url = self.url("/v3/profile").segment(user.as_str()).path("/displayname").acting_as(user);
        self.put(url, json!({ "displayname": name }).to_string()).await.map(drop)
    }
}
