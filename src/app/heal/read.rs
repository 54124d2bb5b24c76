//! Reads one room back: what was said there since, oldest first.
//!
//! It does not ask what of that is known: the inbox knows each event once, however often it is given.

use std::time::Duration;

use serde::Deserialize;

use super::gaps::Gap;
use crate::bridge::network::chat::SAID_AGO_MS_MAX;
use crate::ids::{RoomId, Time, UserId};
use crate::matrix::appservice::RawEvent;
use crate::matrix::client::{Client, ClientError, Page};

/// Events asked for first: most rooms lack nothing, and few lack more.
const FIRST_EVENTS: u32 = 30;
/// Events asked for in each page after it.
const PAGE_EVENTS: u32 = 100;
/// Pages read of one room, at most: 5,000 events. What is older is left to the homeserver.
const PAGES_MAX: u32 = 50;
/// How long one page may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long ago our ghosts may have spoken by the times of their events, which are those of IRC.
const OWN_MS: u64 = SAID_AGO_MS_MAX;
/// How far the clock of another homeserver may be behind: its events do not say where to stop within this.
const FOREIGN_MS: u64 = 24 * 3600 * 1000;

/// What is read of every event.
#[derive(Debug)]
pub struct Head {
    pub kind: String,
    pub sender: UserId,
    /// When its homeserver says it was sent.
    pub said: Time,
    /// Of state: what it is about; of a membership: whose it is.
    pub state_key: Option<String>,
}

impl Head {
    /// `None` for an event without a usable sender.
    pub fn of(event: &RawEvent) -> Option<Self> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow, rename = "type")]
            kind: std::borrow::Cow<'a, str>,
            #[serde(borrow)]
            sender: std::borrow::Cow<'a, str>,
            #[serde(default)]
            state_key: serde_json::Value,
            #[serde(default)]
            origin_server_ts: serde_json::Value,
        }
        let raw: Raw<'_> = serde_json::from_str(&event.json).ok()?;
        let said = Time(raw.origin_server_ts.as_u64().unwrap_or_default());
        let state_key = raw.state_key.as_str().map(str::to_owned);
        Some(Self { kind: raw.kind.into_owned(), sender: UserId::new(&raw.sender)?, said, state_key })
    }
}

/// Where an event lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the gap.
    Within,
    /// Said before the room was ours; what lies behind it may be in the gap all the same.
    Skipped,
    /// Before the gap, and so is all that follows.
    Below,
}

/// Everything of the bridged kinds that was said in the gap, oldest first, known or not.
pub async fn read_back(client: &Client, reader: &UserId, gap: &Gap) -> Result<Vec<RawEvent>, ClientError> {
    let mut found = Vec::new();
    let mut from = None;
    for page in 0..PAGES_MAX {
        let limit = if page == 0 { FIRST_EVENTS } else { PAGE_EVENTS };
        let Page { events, earlier } = read_page(client, (reader, &gap.room), from.as_deref(), limit).await?;
        if take(events, gap, client.server_name(), &mut found) == Place::Below || earlier.is_none() {
            found.reverse();
            return Ok(found);
        }
        from = earlier;
    }
    tracing::warn!(
        room = %gap.room, events = found.len(),
        "a room has more to read back than is read; what is older comes only if the homeserver kept it"
    );
    found.reverse();
    Ok(found)
}

/// When the newest of these was sent, by the homeserver's own clock.
pub fn newest(events: &[RawEvent], server_name: &str) -> Option<Time> {
    let heads = events.iter().filter_map(Head::of);
    heads.filter(|head| head.sender.server() == server_name).map(|head| head.said).max()
}

/// Adds what lies in the gap, and says where the page ended.
fn take(events: Vec<RawEvent>, gap: &Gap, server_name: &str, found: &mut Vec<RawEvent>) -> Place {
    for event in events {
        match place(&event, gap, server_name) {
            Place::Within => found.push(event),
            Place::Skipped => {}
            Place::Below => return Place::Below,
        }
    }
    Place::Within
}

/// Events stand in the order in which the homeserver got them. Only its own users' times fit that order, our ghosts'
/// nearly: those of others may be anything.
fn place(event: &RawEvent, gap: &Gap, server_name: &str) -> Place {
    let Some(head) = Head::of(event) else { return Place::Skipped };
    let slack_ms = if head.sender.server() == server_name { OWN_MS } else { FOREIGN_MS };
    if head.said.plus_ms(slack_ms) < gap.floor {
        Place::Below
    } else if head.said < gap.since {
        Place::Skipped
    } else {
        Place::Within
    }
}

async fn read_page(
    client: &Client,
    (reader, room): (&UserId, &RoomId),
    from: Option<&str>,
    limit: u32,
) -> Result<Page, ClientError> {
    let page = tokio::time::timeout(PAGE_TIMEOUT, client.messages(reader, room, from, limit)).await;
    page.unwrap_or_else(|_| Err(ClientError::Unavailable("a page took too long".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600 * 1000;

    fn event(sender: &str, said: u64) -> RawEvent {
        let id = format!("${sender}{said}").replace(['@', ':'], "");
        let json = format!(
            r#"{{"event_id":"{id}","room_id":"!r","type":"m.room.message","sender":"{sender}","origin_server_ts":{said}}}"#
        );
        RawEvent::read(&json).expect("an event")
    }

    fn taken(events: &[(&str, u64)], floor: u64, since: u64) -> (usize, Place) {
        let gap = Gap { room: RoomId::new("!r").unwrap(), floor: Time(floor), since: Time(since) };
        let mut found = Vec::new();
        let events = events.iter().map(|(sender, said)| event(sender, *said)).collect();
        let end = take(events, &gap, "hs", &mut found);
        (found.len(), end)
    }

    #[test]
    fn a_room_is_read_until_one_of_our_own_homeserver_was_before_the_gap() {
        let day = 30 * HOUR;
        assert_eq!(
            taken(&[("@a:hs", day + 2), ("@b:hs", day + 1), ("@a:hs", day)], day, 0),
            (3, Place::Within)
        );
        assert_eq!(
            taken(&[("@a:hs", day + 2), ("@b:hs", day - OWN_MS - 1), ("@a:hs", day)], day, 0),
            (1, Place::Below)
        );
    }

    #[test]
    fn a_ghost_whose_line_was_late_ends_nothing() {
        let day = 30 * HOUR;
        let events = [("@irc_eve:hs", day - OWN_MS), ("@a:hs", day), ("@a:hs", day - OWN_MS - 1)];
        assert_eq!(taken(&events, day, 0), (2, Place::Below));
    }

    #[test]
    fn a_foreign_clock_ends_nothing_and_hides_nothing() {
        let day = 30 * HOUR;
        let slow =
            [("@a:hs", day + 2), ("@b:slow", day - HOUR), ("@a:hs", day + 1), ("@a:hs", day - OWN_MS - 1)];
        assert_eq!(taken(&slow, day, 0), (3, Place::Below));
        assert_eq!(taken(&[("@b:other", day - 25 * HOUR), ("@a:hs", day)], day, 0), (0, Place::Below));
    }

    #[test]
    fn what_was_said_before_the_room_was_ours_is_left_out() {
        let day = 30 * HOUR;
        let foreign = [("@b:other", day + 5), ("@b:other", day - 5), ("@a:hs", day + 1)];
        assert_eq!(taken(&foreign, day, day), (2, Place::Within));
    }

    #[test]
    fn an_event_that_cannot_be_read_is_in_nobodys_way() {
        let odd = RawEvent::read(r#"{"event_id":"$1","room_id":"!r","type":7}"#).expect("ids are fine");
        let gap = Gap { room: RoomId::new("!r").unwrap(), floor: Time(5), since: Time(0) };
        let mut found = Vec::new();
        assert_eq!(take(vec![odd, event("@a:hs", 6)], &gap, "hs", &mut found), Place::Within);
        assert_eq!(found.len(), 1);
    }
}
