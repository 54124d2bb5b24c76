//! Hangs up a room's plate: the state by which clients show that it is bridged, and to what (MSC2346), and the room's place
//! in the directory.
//!
//! Programs in use read the one or the other of two names, so both are written, each only where it says something else.
//! What a room says of another bridge, or of another channel, is under another key and is never touched.

use serde_json::{Map, Value, json};

use super::client::{Client, ClientError};
use crate::bridge::effect::{Plate, Standing};
use crate::ids::{RoomId, UserId};
use crate::text::percent;

/// The name that MSC2346 wants in the end, and the one that is in use until then.
const KINDS: [&str; 2] = ["m.bridge", "uk.half-shot.bridge"];

/// Lets a room say this of its channel. The directory goes first: where the bot may not write state, the room's place is
/// right all the same.
pub async fn hang(client: &Client, room: &RoomId, plate: &Plate) -> Result<(), ClientError> {
    if let Some(listing) = plate.listing {
        client.list_room(plate.network.as_str(), room, listing).await?;
    }
    if plate.standing == Standing::Unsaid {
        return Ok(());
    }
    let (key, wanted) = (key(plate), content(plate, client.bot()));
    for kind in KINDS {
        let there = client.state_at(room, kind, &key).await?.unwrap_or_default();
        if there != wanted {
            client.send_state(room, kind, &key, &Value::Object(wanted.clone())).await?;
        }
    }
    Ok(())
}

/// One for each channel, however it is spelled.
fn key(plate: &Plate) -> String {
    let mut key = format!("org.bunraku:/{}/", plate.network);
    percent::push(&mut key, &plate.channel.to_ascii_lowercase());
    key
}

fn content(plate: &Plate, bot: &UserId) -> Map<String, Value> {
    let mut content = Map::new();
    if plate.standing == Standing::Over {
        return content;
    }
    content.insert("bridgebot".to_owned(), json!(bot.as_str()));
    if plate.standing == Standing::Portal {
        content.insert("creator".to_owned(), json!(bot.as_str()));
    }
    content.insert("protocol".to_owned(), json!({ "id": "irc", "displayname": "IRC" }));
    let network = json!({ "id": plate.network.as_str(), "displayname": plate.network_name });
    content.insert("network".to_owned(), network);
    let id = plate.channel.to_ascii_lowercase();
    content.insert("channel".to_owned(), json!({ "id": id, "displayname": plate.channel }));
    content
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{body_json, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::bridge::effect::Listing;
    use crate::ids::NetworkId;
    use crate::matrix::Secret;
    use crate::matrix::client::ClientConfig;

    const KEY: &str = "org.bunraku%3A%2Fnet%2F%2523tea";

    async fn client(server: &MockServer) -> Client {
        Client::new(ClientConfig {
            homeserver_url: server.uri(),
            as_token: Secret::new("token"),
            appservice_id: "bunraku".into(),
            server_name: "hs".into(),
            bot: UserId::new("@bot:hs").expect("a user id"),
            device: "BUNRAKU".into(),
        })
        .expect("good")
    }

    fn plate(standing: Standing, listing: Option<Listing>) -> Plate {
        let network = NetworkId::new("net").expect("an id");
        Plate { network, network_name: "Net".into(), channel: "#Tea".into(), standing, listing }
    }

    fn said(is_portal: bool) -> Value {
        let mut said = json!({
            "bridgebot": "@bot:hs",
            "protocol": { "id": "irc", "displayname": "IRC" },
            "network": { "id": "net", "displayname": "Net" },
            "channel": { "id": "#tea", "displayname": "#Tea" },
        });
        if is_portal {
            said["creator"] = json!("@bot:hs");
        }
        said
    }

    async fn has(server: &MockServer, kind: &str, content: Option<Value>) {
        let answer = match content {
            Some(content) => ResponseTemplate::new(200).set_body_json(content),
            None => {
                ResponseTemplate::new(404).set_body_json(json!({ "errcode": "M_NOT_FOUND", "error": "no" }))
            }
        };
        let place = path(format!("/_matrix/client/v3/rooms/%21r/state/{kind}/{KEY}"));
        Mock::given(method("GET")).and(place).respond_with(answer).mount(server).await;
    }

    async fn gets(server: &MockServer, at: String, content: Value) {
        let answer = ResponseTemplate::new(200).set_body_json(json!({ "event_id": "$e" }));
        let put = Mock::given(method("PUT")).and(path(at)).and(body_json(content));
        put.respond_with(answer).expect(1).mount(server).await;
    }

    fn state(kind: &str) -> String {
        format!("/_matrix/client/v3/rooms/%21r/state/{kind}/{KEY}")
    }

    #[tokio::test]
    async fn only_what_a_room_does_not_say_yet_is_written() {
        let (server, room) = (MockServer::start().await, RoomId::new("!r").expect("a room id"));
        has(&server, "m.bridge", Some(said(true))).await;
        has(&server, "uk.half-shot.bridge", None).await;
        gets(&server, state("uk.half-shot.bridge"), said(true)).await;
        let directory = "/_matrix/client/v3/directory/list/appservice/net/%21r".to_owned();
        gets(&server, directory, json!({ "visibility": "public" })).await;
        let plate = plate(Standing::Portal, Some(Listing::Public));
        hang(&client(&server).await, &room, &plate).await.expect("hung");
    }

    #[tokio::test]
    async fn a_pairing_that_is_over_leaves_nothing() {
        let (server, room) = (MockServer::start().await, RoomId::new("!r").expect("a room id"));
        has(&server, "m.bridge", Some(said(false))).await;
        has(&server, "uk.half-shot.bridge", None).await;
        gets(&server, state("m.bridge"), json!({})).await;
        hang(&client(&server).await, &room, &plate(Standing::Over, None)).await.expect("blank");
    }

    #[tokio::test]
    async fn a_room_of_people_s_own_was_made_by_none_of_ours() {
        let (server, room) = (MockServer::start().await, RoomId::new("!r").expect("a room id"));
        has(&server, "m.bridge", None).await;
        has(&server, "uk.half-shot.bridge", None).await;
        gets(&server, state("m.bridge"), said(false)).await;
        gets(&server, state("uk.half-shot.bridge"), said(false)).await;
        hang(&client(&server).await, &room, &plate(Standing::Plumbed, None)).await.expect("hung");
    }
}
