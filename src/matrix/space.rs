//! Puts rooms into a network's space, and takes them out (client-server API, "Spaces"): what is there is read first, and only
//! what differs is written. What people add to it, such as an order, stays.
//!
//! A space and a room each say that they belong together. Where the bot may not write into the room, the space alone says so.

use serde_json::{Map, Value, json};

use super::client::{Client, ClientError};
use crate::bridge::effect::{Placed, SpacePlace};
use crate::ids::RoomId;

const CHILD: &str = "m.space.child";
const PARENT: &str = "m.space.parent";

/// Lets a room be in a space, or not.
pub async fn place(client: &Client, space: &RoomId, place: &SpacePlace) -> Result<(), ClientError> {
    let SpacePlace { room, placed } = place;
    say(client, space, CHILD, room, *placed, Map::new()).await?;
    let mut main = Map::new();
    main.insert("canonical".to_owned(), json!(true));
    match say(client, room, PARENT, space, *placed, main).await {
        // In a room of people's own the bot may do little; one that it left is none of its business.
        Err(ClientError::Forbidden { .. } | ClientError::NotFound) => Ok(()),
        said => said,
    }
}

/// Lets `room` say that it belongs with `other`, or say nothing.
async fn say(
    client: &Client,
    room: &RoomId,
    kind: &str,
    other: &RoomId,
    placed: Placed,
    mut content: Map<String, Value>,
) -> Result<(), ClientError> {
    let there = client.state_at(room, kind, other.as_str()).await?.unwrap_or_default();
    // "If via is not present or not a list, the event is invalid": it says nothing.
    let says = there.get("via").and_then(Value::as_array).is_some_and(|via| !via.is_empty());
    match (placed, says) {
        (Placed::In, true) | (Placed::Out, false) => return Ok(()),
        (Placed::In, false) => {
            content.insert("via".to_owned(), json!([client.server_name()]));
        }
        (Placed::Out, true) => content.clear(),
    }
    client.send_state(room, kind, other.as_str(), &Value::Object(content)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{body_json, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::ids::UserId;
    use crate::matrix::Secret;
    use crate::matrix::client::ClientConfig;

    const SPACE: &str = "/_matrix/client/v3/rooms/%21s/state/m.space.child/%21r";
    const ROOM: &str = "/_matrix/client/v3/rooms/%21r/state/m.space.parent/%21s";

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

    async fn placed(server: &MockServer, placed: Placed) -> Result<(), ClientError> {
        let [space, room] = ["!s", "!r"].map(|id| RoomId::new(id).expect("a room id"));
        place(&client(server).await, &space, &SpacePlace { room, placed }).await
    }

    async fn says(server: &MockServer, at: &str, status: u16, content: Value) {
        let answer = ResponseTemplate::new(status).set_body_json(content);
        Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(server).await;
    }

    async fn gets(server: &MockServer, at: &str, status: u16, content: Value) {
        let answer = ResponseTemplate::new(status)
            .set_body_json(json!({ "event_id": "$e", "errcode": "M_FORBIDDEN" }));
        let put = Mock::given(method("PUT")).and(path(at)).and(body_json(content));
        put.respond_with(answer).expect(1).mount(server).await;
    }

    #[tokio::test]
    async fn a_room_and_its_space_name_one_another() {
        let server = MockServer::start().await;
        says(&server, SPACE, 404, json!({ "errcode": "M_NOT_FOUND" })).await;
        says(&server, ROOM, 200, json!({})).await;
        gets(&server, SPACE, 200, json!({ "via": ["hs"] })).await;
        gets(&server, ROOM, 200, json!({ "via": ["hs"], "canonical": true })).await;
        placed(&server, Placed::In).await.expect("put in");
    }

    #[tokio::test]
    async fn what_is_there_is_left_as_it_is() {
        let server = MockServer::start().await;
        says(&server, SPACE, 200, json!({ "via": ["other"], "order": "a" })).await;
        says(&server, ROOM, 200, json!({ "via": ["hs"] })).await;
        placed(&server, Placed::In).await.expect("it is there");
    }

    #[tokio::test]
    async fn a_room_that_is_taken_out_says_nothing_and_one_of_people_may_refuse_to() {
        let server = MockServer::start().await;
        says(&server, SPACE, 200, json!({ "via": ["hs"], "order": "a" })).await;
        says(&server, ROOM, 200, json!({ "via": ["hs"] })).await;
        gets(&server, SPACE, 200, json!({})).await;
        gets(&server, ROOM, 403, json!({})).await;
        placed(&server, Placed::Out).await.expect("taken out");
    }

    #[tokio::test]
    async fn a_space_that_is_lost_is_told() {
        let server = MockServer::start().await;
        says(&server, SPACE, 403, json!({ "errcode": "M_FORBIDDEN" })).await;
        assert!(matches!(placed(&server, Placed::In).await, Err(ClientError::Forbidden { .. })));
    }
}
