//! Rooms that people link with channels: what a room is linked with, linking, ending, and how many may be.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Desk;
use super::answers::{Empty, Linked, fault_of};
use super::asking::{Body, Caller, Named, channel, room, word};
use super::fault::Fault;
use super::hands::{Hands, May};
use super::people::{Answer, At, key};
use crate::bridge::errand::plumbing::{Link, LinkState, Plumbing, Unplumbable};
use crate::bridge::errand::{Errand, Report};
use crate::ids::{NetworkId, RoomId, UserId};

/// The longest nick, in letters.
pub(super) const NICK_CHARS_MAX: usize = 64;

impl<H: Hands> Desk<H> {
    /// All links of a room, or of all rooms; of all networks.
    pub(super) async fn links(
        &self,
        user: &UserId,
        room: Option<&RoomId>,
    ) -> Result<Vec<(NetworkId, Link)>, Fault> {
        let asked = self.hands.networks().iter().map(|network| async {
            let errand = Errand::Links { room: room.cloned() };
            (network.id.clone(), self.hands.errand(&network.id, user, errand).await)
        });
        let mut all = Vec::new();
        for (network, report) in futures_util::future::join_all(asked).await {
            match report {
                Report::Links(links) => all.extend(links.into_iter().map(|link| (network.clone(), link))),
                report => return Err(fault_of(report)),
            }
        }
        Ok(all)
    }

    /// How many rooms people have linked.
    pub(super) async fn linked_count(&self) -> Result<usize, Fault> {
        let links = self.links(self.hands.bot(), None).await?;
        let is_peoples = |link: &Link| link.state == LinkState::Linked && link.by.is_some();
        Ok(links.iter().filter(|(_, link)| is_peoples(link)).count())
    }
}

pub(super) async fn list<H: Hands>(
    State(desk): At<H>,
    caller: Caller,
    Named(text): Named<String>,
) -> Answer<Value> {
    caller.needs(May::Plumber)?;
    let room = room(&text)?;
    if !desk.may_see(&caller, &room).await? {
        return Err(Fault::Unlinkable(Unplumbable::NotInRoom));
    }
    let links = desk.links(&caller.user, Some(&room)).await?;
    let links: Vec<Linked> = links.into_iter().map(|(network, link)| Linked::new(&network, link)).collect();
    Ok(Json(json!({ "links": links })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkBody {
    key: Option<String>,
    operator: Option<String>,
}

pub(super) async fn link<H: Hands>(
    State(desk): At<H>,
    caller: Caller,
    Named((text, network, name)): Named<(String, String, String)>,
    Body(body): Body<LinkBody>,
) -> Result<(StatusCode, Json<Value>), Fault> {
    caller.needs(May::Plumber)?;
    let errand = Errand::Plumb {
        room: room(&text)?,
        channel: channel(name)?,
        key: key(body.key)?,
        operator: word("operator", body.operator, NICK_CHARS_MAX)?,
    };
    match desk.give(&network, &caller.user, errand).await? {
        Report::Plumbing(Plumbing::Linked { channel }) => {
            Ok((StatusCode::OK, Json(json!({ "state": "linked", "channel": channel }))))
        }
        Report::Plumbing(Plumbing::Asked { channel, operators }) => {
            let answer = json!({ "state": "asked", "channel": channel, "operators": operators });
            Ok((StatusCode::ACCEPTED, Json(answer)))
        }
        report => Err(fault_of(report)),
    }
}

pub(super) async fn unlink<H: Hands>(
    State(desk): At<H>,
    caller: Caller,
    Named((text, network, name)): Named<(String, String, String)>,
) -> Answer<Empty> {
    caller.needs(May::Plumber)?;
    let errand = Errand::Unplumb { room: room(&text)?, channel: Some(channel(name)?) };
    match desk.give(&network, &caller.user, errand).await? {
        Report::Done => Ok(Json(Empty {})),
        report => Err(fault_of(report)),
    }
}

pub(super) async fn limits<H: Hands>(State(desk): At<H>, _: Caller) -> Answer<Value> {
    let mut answer = json!({ "links": desk.linked_count().await? });
    if let Some(links_max) = desk.hands.links_max() {
        answer["links_max"] = links_max.into();
    }
    Ok(Json(answer))
}
