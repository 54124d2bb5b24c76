//! A channel's operators stay in charge, with a plain IRC client and no account on Matrix: they mute people, set a limit, and
//! send the bridge away.
//!
//! In worlds of their own: elsewhere the bot is not there.

use crate::support::irc::{IrcClient, IrcLine};
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::matrix::{MatrixUser, Message};
use crate::support::world::{PLUMBED_CHANNEL, World, alias, puppet};
use crate::support::{PATIENT, QUIET, eventually};

pub(super) const BOT: &str = "bunraku";

#[tokio::test]
async fn inspircd() {
    an_operator_is_in_charge(IrcdKind::InspIrcd).await;
}

#[tokio::test]
async fn ngircd() {
    an_operator_is_in_charge(IrcdKind::NgIrcd).await;
}

#[tokio::test]
async fn hybrid() {
    an_operator_is_in_charge(IrcdKind::Hybrid).await;
}

async fn an_operator_is_in_charge(kind: IrcdKind) {
    let mut world = World::with(kind, &Setup::default(), |config, _| {
        config.network_lines.retain(|line| !line.starts_with("operators:"));
        config.network_lines.push("operators: { contact: \"the testers\" }".to_owned());
    })
    .await;
    let channel = "#op-story";
    let mut operator = world.irc("opeve").await;
    operator.join(channel).await;
    operator.send(&format!("MODE {channel} +o opeve")).await;
    let (mut user, room) = world.joined("opada", channel, &mut operator).await;
    let (mut other, _) = world.joined("opbob", channel, &mut operator).await;
    let bot = world.bridge.bot();

    it_says_what_it_is(&mut operator).await;
    nobody_else_may(&world, channel, &mut operator).await;
    one_is_muted(&bot, channel, &mut operator, (&mut user, &room)).await;
    a_limit_holds(&bot, channel, &mut operator, (&mut other, &room)).await;

    // Sent away: all of ours leave, the room knows why, and a restart changes nothing.
    let answer = ask(&mut operator, &format!("dismiss {channel} not now"), "leave").await;
    assert!(answer.contains("welcome"), "{answer}");
    for name in ["opada", "opbob"] {
        operator.wait_no_member(channel, &puppet(name)).await;
    }
    let told = |m: &Message| m.sender == bot && m.body.contains("has dismissed the bridge (not now)");
    user.wait_message(&room, "that the bridge was dismissed", PATIENT, told).await;
    user.text(&room, "is anybody there?").await;
    let unsent = |m: &Message| m.sender == bot && m.body.contains("have dismissed the bridge (not now)");
    user.wait_message(&room, "why it is not said", PATIENT, unsent).await;

    world.bridge.stop();
    world.bridge.run().await;
    is_there(&mut operator).await;
    let mut third = world.user("opcarl").await;
    third.join(&alias(channel)).await;
    let told =
        |m: &Message| m.sender == bot && m.body.contains("opcarl") && m.body.contains("have dismissed");
    third.wait_message(&room, "that the bridge is not there", PATIENT, told).await;
    assert_eq!(operator.names(channel).await, ["opeve"], "nobody of Matrix came back");
    operator.say(channel, "among ourselves").await;
    operator.fence().await;

    let answer = ask(&mut operator, &format!("welcome {channel}"), "Thank you").await;
    assert!(answer.contains("3 people"), "{answer}");
    for name in ["opada", "opbob", "opcarl"] {
        operator.wait_member(channel, &puppet(name)).await;
    }
    user.text(&room, "back again").await;
    assert_eq!(operator.wait_said(&puppet("opada"), channel).await, "back again");
    operator.say(channel, "good to see you").await;
    user.wait_body(&room, "good to see you", PATIENT).await;
    let heard = user.messages(&room).into_iter().any(|m| m.body == "among ourselves");
    assert!(!heard, "nothing was read while the bridge was away");
}

/// Says a command to the bot; gives the first of its lines that holds `word`.
pub(super) async fn ask(irc: &mut IrcClient, command: &str, word: &str) -> String {
    irc.say(BOT, command).await;
    let nick = irc.nick.clone();
    let is_it = |l: &IrcLine| {
        l.is_from("NOTICE", BOT, &nick) && l.params.last().is_some_and(|text| text.contains(word))
    };
    let line = irc.wait(&format!("the answer to {command:?}, with {word:?}"), PATIENT, is_it).await;
    line.params[1].clone()
}

/// The bot is on IRC.
pub(super) async fn is_there(irc: &mut IrcClient) {
    let client = tokio::sync::Mutex::new(irc);
    eventually("the bot on IRC", PATIENT, || async {
        let answer = client.lock().await.whois(BOT).await;
        answer.iter().any(|line| line.command == "311").then_some(())
    })
    .await;
}

/// It is a bridge and says whose; in no channel, and nobody in rooms.
async fn it_says_what_it_is(operator: &mut IrcClient) {
    is_there(operator).await;
    let whois = operator.whois(BOT).await;
    let realname = whois.iter().find(|line| line.command == "311").and_then(|line| line.params.last());
    assert!(realname.is_some_and(|name| name.starts_with("Matrix bridge of ")), "{whois:?}");
    assert!(!whois.iter().any(|line| line.command == "319"), "in no channel: {whois:?}");
    assert!(ask(operator, "help", "I am the bridge").await.contains("the testers"));
    operator.send(&format!("PRIVMSG {BOT} :\u{1}VERSION\u{1}")).await;
    let nick = operator.nick.clone();
    operator
        .wait("the answer of a program", PATIENT, |l| {
            l.is_from("NOTICE", BOT, &nick) && l.params[1].contains("VERSION bunraku")
        })
        .await;
}

/// Not somebody in the channel without a rank, not somebody outside, not an operator of another channel.
async fn nobody_else_may(world: &World, channel: &str, operator: &mut IrcClient) {
    let mut mallory = world.irc("opmall").await;
    ask(&mut mallory, &format!("dismiss {channel}"), "That takes an operator").await;
    mallory.join(channel).await;
    mallory.join("#op-other").await;
    operator.wait_member(channel, "opmall").await;
    ask(&mut mallory, &format!("mute {channel} opada[m]"), "operator of").await;
    ask(&mut mallory, &format!("status {channel}"), "That takes").await;
    ask(&mut mallory, "dismiss #op-other", "no room on Matrix").await;
    mallory.send("QUIT :bye").await;
    operator.wait_no_member(channel, "opmall").await;
    let status = ask(operator, &format!("status {channel}"), "people of Matrix").await;
    assert!(status.contains("2 are in"), "{status}");
    let who = ask(operator, &format!("who {channel}"), "People of Matrix").await;
    assert!(who.contains("opada[m] is @opada:") && who.contains("opbob[m] is @opbob:"), "{who}");
}

async fn one_is_muted(
    bot: &str,
    channel: &str,
    operator: &mut IrcClient,
    (user, room): (&mut MatrixUser, &str),
) {
    let answer = ask(operator, &format!("mute {channel} opada[m] too loud"), "is muted").await;
    assert!(answer.contains("@opada:"), "{answer}");
    let told = |m: &Message| m.sender == bot && m.body.contains("has muted @opada:");
    user.wait_message(room, "that they are muted", PATIENT, told).await;
    user.text(room, "can you hear me?").await;
    let unsent = |m: &Message| {
        m.sender == bot && m.body.contains("an operator of") && m.body.contains("has muted you (too loud)")
    };
    user.wait_message(room, "why it is not said", PATIENT, unsent).await;
    operator.say(channel, "we cannot").await;
    user.wait_body(room, "we cannot", PATIENT).await;
    ask(operator, &format!("unmute {channel} {}", user.id), "can speak").await;
    user.text(room, "and now?").await;
    assert_eq!(operator.wait_said(&puppet("opada"), channel).await, "and now?", "nothing before it");
}

async fn a_limit_holds(
    bot: &str,
    channel: &str,
    operator: &mut IrcClient,
    (user, room): (&mut MatrixUser, &str),
) {
    ask(operator, &format!("limit {channel} 2"), "2 lines a minute").await;
    let told = |m: &Message| m.sender == bot && m.body.contains("has set a limit");
    user.wait_message(room, "that there is a limit", PATIENT, told).await;
    for text in ["one", "two", "three"] {
        user.text(room, text).await;
    }
    for text in ["one", "two"] {
        assert_eq!(operator.wait_said(&puppet("opbob"), channel).await, text);
    }
    tokio::time::sleep(QUIET).await;
    let three = |l: &IrcLine| l.is_from("PRIVMSG", &puppet("opbob"), channel) && l.params[1] == "three";
    assert!(!operator.lines().iter().any(three), "it waits for its turn");
    // The answer and what waited come on two connections.
    operator.say(BOT, &format!("limit {channel} off")).await;
    operator.wait("what waited", PATIENT, three).await;
}

/// By consent: nobody opens a channel before one of its operators has allowed it, which lasts over a restart; who refuses is not
/// asked again.
#[tokio::test]
async fn consent() {
    let mut world = World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config.network_lines.retain(|line| !line.starts_with("operators:"));
        config.network_lines.push("portals: { consent: by_consent }".to_owned());
    })
    .await;
    let mut operator = world.irc("cseve").await;
    for channel in ["#cs-yes", "#cs-no"] {
        operator.join(channel).await;
    }
    is_there(&mut operator).await;
    let user = world.user("csada").await;
    for channel in ["#cs-yes", "#cs-no"] {
        assert!(user.resolve(&alias(channel)).await.is_err(), "{channel} was opened without consent");
        let nick = operator.nick.clone();
        let is_it = |l: &IrcLine| {
            l.is_from("NOTICE", BOT, &nick) && l.params[1].contains(&format!("/msg {BOT} allow {channel}"))
        };
        operator.wait("the question", PATIENT, is_it).await;
    }
    world.bridge.stop();
    world.bridge.run().await;
    is_there(&mut operator).await;
    ask(&mut operator, "allow #cs-yes", "can open #cs-yes now").await;
    ask(&mut operator, "deny #cs-no among ourselves", "gets none until").await;
    world.bridge.stop();
    world.bridge.run().await;
    is_there(&mut operator).await;

    let from = operator.lines_len();
    let room = user.join(&alias("#cs-yes")).await;
    operator.wait_member("#cs-yes", &puppet("csada")).await;
    user.text(&room, "thank you").await;
    assert_eq!(operator.wait_said(&puppet("csada"), "#cs-yes").await, "thank you");
    assert!(user.resolve(&alias("#cs-no")).await.is_err(), "refused");
    operator.fence().await;
    let asked = |l: &IrcLine| l.params.last().is_some_and(|text| text.contains("want to read"));
    assert!(!operator.lines_from(from).iter().any(asked), "nobody is asked again");
    let status = ask(&mut operator, "status #cs-yes", "Set by operators").await;
    assert!(status.contains("I am welcome (by cseve)"), "{status}");
}

/// An operator who is in the channel through the bridge is asked in their room, and answers there; where set so the channel
/// itself is asked, and where that is not let in, its operators.
#[tokio::test]
async fn consent_by_all_ways() {
    let mut world = World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config.network_lines.retain(|line| !line.starts_with("operators:"));
        config.network_lines.push("operators: { ask_in_channel: true }".to_owned());
        config.network_lines.push("portals: { consent: by_consent }".to_owned());
    })
    .await;
    let bot = world.bridge.bot();
    let mut operator = world.irc("cweve").await;
    is_there(&mut operator).await;
    let user = world.user("cwada").await;

    // Who came first is the operator: the puppet.
    operator.wait_member(PLUMBED_CHANNEL, &puppet("plumber")).await;
    world.settled(&mut operator).await;
    assert!(user.resolve(&alias(PLUMBED_CHANNEL)).await.is_err(), "opened without consent");
    let room = world.plumbed_room.clone();
    let asked =
        |m: &Message| m.sender == bot && m.body.contains("write \"allow") && m.body.contains("@plumber:");
    world.plumber.wait_message(&room, "the question", PATIENT, asked).await;
    operator.send(&format!("PART {PLUMBED_CHANNEL}")).await;
    world.bridge.stop();
    operator.wait_no_member(PLUMBED_CHANNEL, &puppet("plumber")).await;
    world.bridge.run().await;
    operator.wait_member(PLUMBED_CHANNEL, &puppet("plumber")).await;
    operator.join(PLUMBED_CHANNEL).await;
    let from = operator.lines_len();
    world.plumber.text(&room, &format!("allow {PLUMBED_CHANNEL}")).await;
    let thanked = |m: &Message| m.sender == bot && m.body.starts_with("Thank you.");
    world.plumber.wait_message(&room, "the answer", PATIENT, thanked).await;
    user.join(&alias(PLUMBED_CHANNEL)).await;
    operator.wait_member(PLUMBED_CHANNEL, &puppet("cwada")).await;
    let is_said = |l: &IrcLine| l.params.last().is_some_and(|text| text.starts_with("allow "));
    assert!(!operator.lines_from(from).iter().any(is_said), "an answer is no chat");

    let question = |command: &'static str, target: String| {
        move |l: &IrcLine| l.is_from(command, BOT, &target) && l.params[1].contains("want to read and speak")
    };
    let nick = operator.nick.clone();
    for (channel, modes, command, target) in
        [("#cw-open", "-n", "PRIVMSG", "@#cw-open".to_owned()), ("#cw-shut", "+n", "NOTICE", nick)]
    {
        operator.join(channel).await;
        operator.send(&format!("MODE {channel} {modes}")).await;
        operator.fence().await;
        assert!(user.resolve(&alias(channel)).await.is_err(), "{channel} was opened without consent");
        operator.wait("the question", PATIENT, question(command, target)).await;
    }
}
