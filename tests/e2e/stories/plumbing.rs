//! A room of people's own is bridged with the consent of the channel's operators, who answer with a plain IRC client, and take
//! it back the same way.
//!
//! In worlds of their own: elsewhere the bot is not there.

use super::operators::{BOT, ask, is_there};
use crate::support::irc::{IrcClient, IrcLine};
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::matrix::{MatrixUser, Message};
use crate::support::synapse::DOMAIN;
use crate::support::world::{World, ghost, puppet};
use crate::support::{PATIENT, eventually};

const CHANNEL: &str = "#pl-story";

#[tokio::test]
async fn inspircd() {
    a_room_is_bridged_by_consent(IrcdKind::InspIrcd).await;
}

#[tokio::test]
async fn ngircd() {
    a_room_is_bridged_by_consent(IrcdKind::NgIrcd).await;
}

#[tokio::test]
async fn hybrid() {
    a_room_is_bridged_by_consent(IrcdKind::Hybrid).await;
}

async fn a_room_is_bridged_by_consent(kind: IrcdKind) {
    let mut world = World::with(kind, &Setup::default(), |config, _| {
        config.network_lines.retain(|line| !line.starts_with("operators:"));
        config
            .top_lines
            .push(format!("permissions: {{ \"@plada:{DOMAIN}\": plumber, \"@plbob:{DOMAIN}\": plumber }}"));
    })
    .await;
    let mut operator = world.irc("pleve").await;
    operator.join(CHANNEL).await;
    // hybrid makes everybody invisible, and shows nobody who is to those outside a channel.
    operator.send("MODE pleve -i").await;
    is_there(&mut operator).await;
    let bot = world.bridge.bot();
    let (mut ada, mut bob) = (world.user("plada").await, world.user("plbob").await);
    let room = ada.create_public_room("our place").await;

    // The bot comes and says what to do; who has no power is told so.
    ada.invite(&room, &bot).await;
    hears(&mut ada, &room, &bot, "!irc plumb").await;
    ada.give_level(&room, &bot, 50).await;
    bob.join(&room).await;
    bob.text(&room, &format!("!irc plumb {CHANNEL}")).await;
    hears(&mut bob, &room, &bot, "It takes level").await;

    // An operator is asked, and the question outlives a restart.
    ada.text(&room, &format!("!irc plumb {CHANNEL}")).await;
    let nick = operator.nick.clone();
    let question = format!("allow {CHANNEL} {room}");
    let is_asked = |l: &IrcLine| l.is_from("NOTICE", BOT, &nick) && l.params[1].contains("@plada:");
    operator.wait("the question", PATIENT, is_asked).await;
    hears(&mut ada, &room, &bot, "I have asked operators").await;
    world.bridge.stop();
    world.bridge.run().await;
    is_there(&mut operator).await;
    ask(&mut operator, &question, "Thank you").await;
    hears(&mut ada, &room, &bot, "has allowed it").await;
    talk(&mut operator, (&mut ada, &room), "over the new bridge").await;
    let (ada_, bot_, room_) = (&ada, &bot, &room);
    let plate = eventually("the plate", PATIENT, || bridge_state(ada_, room_, bot_)).await;
    assert_eq!(plate, CHANNEL);
    world.bridge.stop();
    operator.wait_no_member(CHANNEL, &puppet("plada")).await;
    world.bridge.run().await;
    talk(&mut operator, (&mut ada, &room), "after a restart").await;

    // Revoked from IRC: told, gone, and not back after a restart.
    is_there(&mut operator).await;
    ask(&mut operator, &format!("dismiss {CHANNEL} {room} enough"), "any more").await;
    hears(&mut ada, &room, &bot, "has ended the bridge (enough)").await;
    operator.wait_no_member(CHANNEL, &puppet("plada")).await;
    ada.wait_membership(&room, &ghost("pleve"), "leave", PATIENT).await;
    let (ada_, bot_, room_) = (&ada, &bot, &room);
    eventually("the plate is down", PATIENT, || async {
        bridge_state(ada_, room_, bot_).await.is_none().then_some(())
    })
    .await;
    world.bridge.stop();
    world.bridge.run().await;
    is_there(&mut operator).await;
    ada.text(&room, &format!("!irc plumb {CHANNEL}")).await;
    hears(&mut ada, &room, &bot, "have said no").await;
    assert!(!operator.names(CHANNEL).await.contains(&puppet("plada")), "it is back");

    // Allowed again by the operator; and ended by the room's people.
    ask(&mut operator, &question, "Thank you").await;
    talk(&mut operator, (&mut ada, &room), "allowed again").await;
    ada.text(&room, "!irc unplumb").await;
    hears(&mut ada, &room, &bot, "has ended the bridge: ").await;
    operator.wait_no_member(CHANNEL, &puppet("plada")).await;
}

async fn hears(user: &mut MatrixUser, room: &str, bot: &str, words: &str) {
    let is_it = |m: &Message| m.sender == bot && m.body.contains(words);
    user.wait_message(room, words, PATIENT, is_it).await;
}

/// Both ways.
async fn talk(operator: &mut IrcClient, (user, room): (&mut MatrixUser, &str), words: &str) {
    operator.wait_member(CHANNEL, &puppet("plada")).await;
    user.text(room, words).await;
    assert_eq!(operator.wait_said(&puppet("plada"), CHANNEL).await, words);
    let answer = format!("heard: {words}");
    operator.say(CHANNEL, &answer).await;
    user.wait_body(room, &answer, PATIENT).await;
}

/// Which channel the room says that it has.
async fn bridge_state(user: &MatrixUser, room: &str, bot: &str) -> Option<String> {
    let all = user.state_of_kind(room, "m.bridge").await;
    let ours = all.iter().find(|content| content["bridgebot"] == bot)?;
    ours["channel"]["displayname"].as_str().map(str::to_owned)
}
