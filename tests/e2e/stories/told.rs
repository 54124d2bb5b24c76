//! What senders see of messages that did not arrive: a reaction, a reason, and where it is wanted a status event.

use serde_json::{Value, json};

use crate::support::ircd::{IrcdKind, Setup};
use crate::support::matrix::MatrixUser;
use crate::support::world::{PLUMBED_CHANNEL, World, puppet};
use crate::support::{PATIENT, QUIET};

/// A channel becomes moderated: what it took has its status, what it did not take the reaction too, and the reason is
/// said once, as a reply to the first.
#[tokio::test]
async fn refused_messages_are_marked() {
    let world = World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config.network_lines.push("failures: { status_event: true }".to_owned());
    })
    .await;
    let bot = world.bridge.bot();
    let mut operator = world.irc("tmop").await;
    operator.join("#tm").await;
    let (mut user, room) = world.joined("tmuser", "#tm", &mut operator).await;
    let fine = user.text(&room, "all is well").await;
    assert_eq!(operator.wait_said(&puppet("tmuser"), "#tm").await, "all is well");
    // Before the channel changes: a refusal that comes while this is open could be this one's.
    user.wait_event(&room, "the first status", PATIENT, |event| {
        event["content"]["m.relates_to"]["event_id"] == *fine && event["content"]["status"] == "SUCCESS"
    })
    .await;
    operator.send("MODE #tm +m").await;
    operator.fence().await;

    let first = user.text(&room, "may I?").await;
    let told = user.wait_message(&room, "the reason", PATIENT, |m| m.sender == bot).await;
    assert!(told.body.contains("#tm is moderated"), "{told:?}");
    let second = user.text(&room, "and now?").await;
    user.wait_event(&room, "the second reaction", PATIENT, |event| reacts_to(event, &second)).await;
    user.drain(QUIET).await;

    let events = user.events(&room);
    let reactions = |of: &str| events.iter().filter(|event| reacts_to(event, of)).count();
    assert_eq!([&fine, &first, &second].map(|of| reactions(of)), [0, 1, 1]);
    assert!(events.iter().filter(|event| event["type"] == "m.reaction").all(|event| event["sender"] == *bot));
    let replies: Vec<&Value> = events.iter().filter(|event| is_notice_of(event, &bot)).collect();
    assert_eq!(replies.len(), 1, "one reason is said once: {replies:#?}");
    assert_eq!(replies[0]["content"]["m.relates_to"], json!({ "m.in_reply_to": { "event_id": first } }));

    let statuses = [&fine, &first, &second].map(|of| last_status(&events, of));
    assert_eq!(
        statuses.map(|status| status["status"].clone()),
        ["SUCCESS", "FAIL_RETRIABLE", "FAIL_RETRIABLE"]
    );
    let words = last_status(&events, &second)["message"].clone();
    assert!(words.as_str().is_some_and(|words| words.contains("#tm is moderated")), "{words}");
}

/// In a room where the bot may not react, the reason is said all the same, and lines go on.
#[tokio::test]
async fn a_bot_that_may_not_react_still_speaks() {
    let mut world = World::with(IrcdKind::InspIrcd, &Setup::default(), |_, _| {}).await;
    let (bot, room) = (world.bridge.bot(), world.plumbed_room.clone());
    let mut irc = world.irc("tnirc").await;
    world.settled(&mut irc).await;
    let plumber: &mut MatrixUser = &mut world.plumber;
    plumber.allow(&room, "m.reaction", 50).await;

    let empty = plumber.text(&room, "\u{1}").await;
    let told = plumber.wait_message(&room, "the reason", PATIENT, |m| m.sender == bot).await;
    assert!(told.body.contains("no text that IRC could show"), "{told:?}");
    irc.say(PLUMBED_CHANNEL, "still here").await;
    plumber.wait_body(&room, "still here", PATIENT).await;
    assert!(!plumber.events(&room).iter().any(|event| reacts_to(event, &empty)));
}

fn reacts_to(event: &Value, of: &str) -> bool {
    let relation = &event["content"]["m.relates_to"];
    event["type"] == "m.reaction" && relation["event_id"] == of && relation["key"] == "❌"
}

fn is_notice_of(event: &Value, sender: &str) -> bool {
    event["type"] == "m.room.message" && event["sender"] == sender
}

fn last_status(events: &[Value], of: &str) -> Value {
    let is_status = |event: &&Value| {
        event["type"] == "com.beeper.message_send_status"
            && event["content"]["m.relates_to"] == json!({ "rel_type": "m.reference", "event_id": of })
    };
    let last = events.iter().rfind(is_status).unwrap_or_else(|| panic!("no status of {of}: {events:#?}"));
    last["content"].clone()
}
