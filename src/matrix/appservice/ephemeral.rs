//! What a transaction says that is gone a moment later: of all that, who types in which room.
//!
//! Nothing here can make a transaction fail: what is odd says nothing. Read with bounds, since whoever is in a room with us
//! has a say in it.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::ids::{RoomId, UserId};

/// Rooms of one transaction; a homeserver puts a hundred into one.
pub const ROOMS_MAX: usize = 100;
/// People of one room. Of more the first count.
pub const USERS_MAX: usize = 256;

/// All who type in a room now (client-server API, "m.typing").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomTyping {
    pub room: RoomId,
    pub users: Vec<UserId>,
}

/// The last word on each room, in a list of ephemeral events.
pub(super) fn typing(list: &str) -> Vec<RoomTyping> {
    serde_json::from_str::<Rooms>(list).map(|rooms| rooms.0).unwrap_or_default()
}

struct Rooms(Vec<RoomTyping>);

impl Rooms {
    fn note(&mut self, typing: RoomTyping) {
        let len = self.0.len();
        match self.0.iter_mut().find(|known| known.room == typing.room) {
            Some(known) => *known = typing,
            None if len < ROOMS_MAX => self.0.push(typing),
            None => {}
        }
    }
}

impl<'de> Deserialize<'de> for Rooms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Events;
        impl<'de> Visitor<'de> for Events {
            type Value = Rooms;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of events")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rooms, A::Error> {
                let mut rooms = Rooms(Vec::new());
                while let Some(event) = list.next_element::<&RawValue>()? {
                    // Most are receipts, of which nothing is read.
                    let typing = Some(event.get()).filter(|event| event.contains("m.typing"));
                    typing.and_then(read).into_iter().for_each(|typing| rooms.note(typing));
                }
                Ok(rooms)
            }
        }
        deserializer.deserialize_seq(Events)
    }
}

fn read(event: &str) -> Option<RoomTyping> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow)]
        room_id: Cow<'a, str>,
        content: Content,
    }
    #[derive(Deserialize)]
    struct Content {
        user_ids: Users,
    }
    // serde would take a list for a struct.
    let event: Event<'_> = serde_json::from_str(event).ok().filter(|_| event.starts_with('{'))?;
    let room = RoomId::new(&event.room_id).filter(|_| event.kind == "m.typing")?;
    Some(RoomTyping { room, users: event.content.user_ids.0 })
}

/// The first of a list that can be users.
struct Users(Vec<UserId>);

impl<'de> Deserialize<'de> for Users {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Users;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of users")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Users, A::Error> {
                let mut users = Vec::new();
                while users.len() < USERS_MAX
                    && let Some(user) = list.next_element::<&RawValue>()?
                {
                    users.extend(
                        serde_json::from_str::<String>(user.get()).ok().and_then(|id| UserId::new(&id)),
                    );
                }
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Users(users))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(list: &str) -> Vec<String> {
        let names = |typing: RoomTyping| {
            let users: Vec<&str> = typing.users.iter().map(UserId::as_str).collect();
            format!("{} {}", typing.room, users.join(" "))
        };
        typing(list).into_iter().map(names).collect()
    }

    #[test]
    fn the_last_word_on_each_room_counts() {
        let list = r#"[{"type":"m.typing","room_id":"!a:hs","content":{"user_ids":["@ada:hs"]}},
            {"type":"m.receipt","room_id":"!a:hs","content":{"$1":{"m.read":{"@m.typing:hs":{}}}}},
            {"type":"m.presence","sender":"@ada:hs","content":{"status_msg":"m.typing"}},
            {"content":{"user_ids":["@bob:hs","@ada:hs"]},"room_id":"!b:hs","more":1,"type":"m.typing"},
            {"type":"m.typing","room_id":"!a:hs","content":{"user_ids":[]}}]"#;
        assert_eq!(said(list), ["!a:hs ", "!b:hs @bob:hs @ada:hs"]);
    }

    #[test]
    fn what_is_odd_says_nothing_and_its_neighbours_count() {
        let good = r#"{"type":"m.typing","room_id":"!a:hs","content":{"user_ids":["@ada:hs"]}}"#;
        let odd = r#"7,null,[],"m.typing",{},{"type":"m.typing"},["m.typing","!b:hs",[["@ada:hs"]]],
            {"type":"m.typing","room_id":7,"content":{"user_ids":["@ada:hs"]}},
            {"type":"m.typing","room_id":"b","content":{"user_ids":["@ada:hs"]}},
            {"type":"m.typing","room_id":"!b:hs","content":{"user_ids":{"@ada:hs":1}}},
            {"type":"m.typing","room_id":"!b:hs","content":"m.typing"}"#;
        assert_eq!(said(&format!("[{odd},{good}]")), ["!a:hs @ada:hs"]);
        let ids = r#"[{"type":"m.typing","room_id":"!a:hs","content":{"user_ids":[7,null,"ada","@ada","@a b:hs",["@bob:hs"],"@\ud800:hs","@eve:hs"]}}]"#;
        assert_eq!(said(ids), ["!a:hs @eve:hs"]);
        for list in ["", "7", "null", "{}", "[", r#"{"type":"m.typing"}"#] {
            assert_eq!(said(list), [""; 0], "{list}");
        }
    }

    #[test]
    fn a_crowd_is_cut_and_so_is_a_flood_of_rooms() {
        let crowd: Vec<String> = (0..100_000).map(|n| format!("\"@u{n}:hs\"")).collect();
        let crowd = crowd.join(",");
        let list = format!(
            r#"[{{"type":"m.typing","room_id":"!a:hs","content":{{"user_ids":[{crowd}],"deep":{}{}}}}}]"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        let typing = typing(&list);
        assert_eq!((typing.len(), typing[0].users.len()), (1, USERS_MAX));
        let rooms = (0..10_000)
            .map(|n| format!(r#"{{"type":"m.typing","room_id":"!{n}:hs","content":{{"user_ids":[]}}}}"#));
        let rooms = format!("[{}]", rooms.collect::<Vec<_>>().join(","));
        assert_eq!(super::typing(&rooms).len(), ROOMS_MAX);
    }
}
