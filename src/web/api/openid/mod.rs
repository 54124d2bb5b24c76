//! Whose a Matrix OpenID token is: the server that somebody is of is asked (server-server API, "OpenID").
//!
//! ```text
//!   server named ──▶ given a URL? ──yes──▶ that URL        ┐
//!                        │no                               ├─▶ userinfo ──▶ `sub` is of that very server
//!                        ▼                                 │
//!                    others let in? ──▶ its way (way.rs)   ┘
//! ```
//!
//! Our own homeserver is asked at its configured URL, wherever that is. All others are asked at addresses of the world only, so
//! that nobody can have the bridge ask machines beside it. Tokens are sent on and forgotten; none is logged.
//!
//! | bound | number | when full |
//! |---|---|---|
//! | questions at once | [`QUESTIONS_MAX`] | refused at once |
//! | all steps of one | [`ALL_WAIT`] | refused |

mod address;
mod http;
mod name;
mod way;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::http::{Http, NoAnswer};
use self::name::ServerName;
use self::way::{Internet, Way};
use super::fault::Fault;
use crate::ids::UserId;
use crate::text::percent;

const QUESTIONS_MAX: usize = 16;
const ALL_WAIT: Duration = Duration::from_secs(30);

/// Whose people may sign in, and where their homeservers are.
#[derive(Clone, Debug, Default)]
pub struct Homeservers {
    /// By server name: the URL where it is asked. Our own is one of them.
    pub given: BTreeMap<String, String>,
    pub others: Others,
}

/// Whether people of homeservers that are not given may sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    #[default]
    Refused,
    Welcome,
}

/// Asks homeservers whose tokens are.
pub(super) struct OpenId {
    homeservers: Homeservers,
    http: Http,
    internet: Internet,
    places: Semaphore,
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
}

impl OpenId {
    pub(super) fn new(homeservers: Homeservers) -> Self {
        let http = Http::new();
        let internet = Internet::new(http.clone());
        Self { homeservers, http, internet, places: Semaphore::new(QUESTIONS_MAX) }
    }

    /// Whose token it is, by the word of that server.
    pub(super) async fn user(&self, server: &str, token: &str) -> Result<UserId, Fault> {
        let Ok(_place) = self.places.try_acquire() else { return Err(Fault::Busy) };
        let asked = timeout(ALL_WAIT, self.ask(server, token)).await;
        let sub = asked.unwrap_or_else(|_| Err(away(server, NoAnswer::Late)))?.sub;
        let user = UserId::new(&sub).filter(|user| user.server() == server);
        user.ok_or_else(|| {
            Fault::OpenId(format!("{server} says that the token is of somebody who is not of that server"))
        })
    }

    async fn ask(&self, server: &str, token: &str) -> Result<UserInfo, Fault> {
        let mut path = "_matrix/federation/v1/openid/userinfo?access_token=".to_owned();
        percent::push(&mut path, token);
        if let Some(base) = self.homeservers.given.get(server) {
            let url = format!("{}/{path}", base.trim_end_matches('/'));
            return self.http.get(&url, None).await.map_err(|why| away(server, why));
        }
        let name = ServerName::read(server)
            .ok_or_else(|| Fault::Bad("matrix_server_name is no name of a server".to_owned()))?;
        if self.homeservers.others == Others::Refused {
            return Err(Fault::OpenId(format!("people of {server} cannot sign in here")));
        }
        let found = way::find(&self.internet, &name).await;
        let Way { host, port, addresses } =
            found.map_err(|why| Fault::OpenId(format!("{server} cannot be asked: {why}")))?;
        let url = format!("https://{}:{port}/{path}", host.in_url());
        let pinned = Some((host.host.as_str(), addresses.as_slice()));
        self.http.get(&url, pinned).await.map_err(|why| away(server, why))
    }
}

fn away(server: &str, why: NoAnswer) -> Fault {
    Fault::OpenId(format!("{server} was asked whose token it is: {why}"))
}

#[cfg(test)]
mod tests;
