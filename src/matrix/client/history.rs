//! A room's past, read backwards: what was said in it while nobody told us.

use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::appservice::RawEvent;
use super::super::decode::KINDS;
use super::request::understood;
use super::{Client, ClientError};
use crate::ids::{RoomId, UserId};

/// A piece of a room's timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first; of the kinds that are bridged only. What names no usable event or room is left out.
    pub events: Vec<RawEvent>,
    /// Where the next page begins; `None` at the room's beginning.
    pub earlier: Option<String>,
}

impl Client {
    /// At most `limit` events of a room that `reader`, one of ours, is in, from the newest on, or from where an earlier page
    /// ended (`GET /rooms/{roomId}/messages`, `dir=b`).
    pub async fn messages(
        &self,
        reader: &UserId,
        room: &RoomId,
        from: Option<&str>,
        limit: u32,
    ) -> Result<Page, ClientError> {
        let filter = serde_json::json!({ "types": KINDS }).to_string();
        let url = self.url("/v3/rooms").segment(room.as_str()).path("/messages").query("dir", "b");
        let url = url.query("limit", &limit.to_string()).query("filter", &filter);
        let url = match from {
            Some(from) => url.query("from", from),
            None => url,
        };
        page(&self.call(Method::GET, url.acting_as(reader), None).await?)
    }
}

fn page(answer: &[u8]) -> Result<Page, ClientError> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        chunk: Vec<&'a RawValue>,
        end: Option<String>,
    }
    let answer: Answer<'_> = understood(answer)?;
    let events = answer.chunk.into_iter().filter_map(|raw| RawEvent::read(raw.get())).collect();
    Ok(Page { events, earlier: answer.end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_events_as_they_came_and_leaves_nonsense_out() {
        let event = r#"{"event_id":"$1","room_id":"!r" , "n":1e999}"#;
        let answer = format!(r#"{{"chunk":[{event},7,{{"event_id":"x"}}],"start":"t9","end":"t1"}}"#);
        let read = page(answer.as_bytes()).expect("a page");
        assert_eq!(read.events.iter().map(|event| event.json.as_str()).collect::<Vec<_>>(), [event]);
        assert_eq!(read.earlier.as_deref(), Some("t1"));
        let last = page(br#"{"chunk":[],"start":"t1"}"#).expect("the beginning of the room");
        assert_eq!(last, Page::default());
        assert!(matches!(page(b"{}"), Err(ClientError::Unavailable(_))));
    }
}
