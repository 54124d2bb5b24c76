//! The gate: who is not seen in the channel is told, removed, and reads nothing that is said afterwards; others read on.

use std::time::Duration;

use serde_json::json;

use crate::support::ircd::{IrcdKind, Setup};
use crate::support::matrix::{MatrixUser, Message};
use crate::support::synapse::DOMAIN;
use crate::support::world::{World, alias, ghost, puppet};
use crate::support::{PATIENT, QUIET, eventually};

const CHANNEL: &str = "#gate";

async fn world(presence: &str) -> World {
    let line = format!("presence: {presence}");
    World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| config.network_lines.push(line)).await
}

/// The bodies that a user may read of a room: what came, and what the homeserver shows when it is asked for more.
async fn readable(user: &mut MatrixUser, room: &str, begin: &str) -> Vec<String> {
    user.drain(QUIET / 4).await;
    let asked = user.timeline(room, begin).await.map(|(events, _)| events).unwrap_or_default();
    let asked = asked.iter().filter_map(|event| event["content"]["body"].as_str().map(str::to_owned));
    user.messages(room).into_iter().map(|message| message.body).chain(asked).collect()
}

/// A killed, a K-lined and a banned puppet.
#[tokio::test]
async fn nobody_reads_unseen() {
    let world = world("{ grace_s: 10 }").await;
    let mut irc = world.irc("gtirc").await;
    irc.join(CHANNEL).await;
    let (mut stays, room) = world.joined("gtstays", CHANNEL, &mut irc).await;
    let (mut killed, _) = world.joined("gtkilled", CHANNEL, &mut irc).await;
    let (mut klined, _) = world.joined("gtklined", CHANNEL, &mut irc).await;
    irc.say(CHANNEL, "while all are here").await;
    let visibility = stays.state(&room, "m.room.history_visibility").await;
    assert_eq!(visibility["history_visibility"], "joined");

    irc.send(&format!("MODE {CHANNEL} +b gtbanned*!*@*")).await;
    let mut oper = world.ircd.operator("gtoper").await;
    oper.kill(&puppet("gtkilled")).await;
    let ident = irc.user_of(&puppet("gtklined")).await;
    oper.kline(ident.trim_start_matches('~')).await;
    let mut banned = world.user("gtbanned").await;
    banned.join(&alias(CHANNEL)).await;

    let begin = banned.now().await;
    let bot = world.bridge.bot();
    let whys = ["was removed from Local by an operator", "is banned from Local", "has banned you"];
    for (user, why) in [&mut killed, &mut klined, &mut banned].into_iter().zip(whys) {
        let them = format!("{}: ", user.id);
        let is_told = |m: &Message| m.sender == bot && m.body.starts_with(&them);
        let told = user.wait_message(&room, "why", PATIENT, is_told).await.body;
        assert!(told.contains(why) && told.contains("removed from"), "{told}");
    }
    irc.say(CHANNEL, "within the grace").await;
    for (user, why) in [&killed, &klined, &banned].into_iter().zip(whys) {
        let out = stays.wait_membership(&room, &user.id, "leave", PATIENT).await;
        assert_eq!(out.sender, bot, "a removal, not a departure");
        assert!(out.reason.contains(why), "{out:?}");
    }
    irc.say(CHANNEL, "said afterwards").await;
    stays.wait_body(&room, "said afterwards", PATIENT).await;
    for user in [&mut killed, &mut klined, &mut banned] {
        let read = readable(user, &room, &begin).await;
        assert!(!read.iter().any(|body| body == "said afterwards"), "{}: {read:?}", user.id);
    }
    let read = readable(&mut banned, &room, &begin).await;
    assert!(!read.iter().any(|body| body == "while all are here"), "nothing from before: {read:?}");

    // Who comes back without having been let in is removed at once, and has read nothing of what was said.
    killed.join(&alias(CHANNEL)).await;
    let out = stays.wait_membership(&room, &killed.id, "leave", PATIENT).await;
    assert_eq!(out.sender, bot);
    let read = readable(&mut killed, &room, &begin).await;
    assert!(!read.iter().any(|body| body == "said afterwards"), "{read:?}");
    let (mut late, _) = world.joined("gtlate", CHANNEL, &mut irc).await;
    irc.say(CHANNEL, "for all who are seen").await;
    late.wait_body(&room, "for all who are seen", PATIENT).await;
    stays.wait_body(&room, "for all who are seen", PATIENT).await;
    let read = readable(&mut late, &room, &begin).await;
    assert!(!read.iter().any(|body| body == "said afterwards"), "late is late: {read:?}");
}

/// A channel that is made secret: nobody outside finds its room any more, and hears what they hear of no channel. Who leaves
/// reads nothing from then on.
#[tokio::test]
async fn a_hidden_channel_is_not_found() {
    let world = world("{ gate: strict }").await;
    let mut irc = world.irc("hdirc").await;
    irc.join(CHANNEL).await;
    irc.send(&format!("MODE {CHANNEL} -sp")).await;
    let (stays, room) = world.joined("hdstays", CHANNEL, &mut irc).await;
    let (mut leaves, _) = world.joined("hdleaves", CHANNEL, &mut irc).await;
    let outside = world.user("hdoutside").await;
    assert_eq!(outside.resolve(&alias(CHANNEL)).await.as_deref(), Ok(room.as_str()));
    let nothing = outside.resolve(&alias("no-channel")).await.expect_err("there is no such channel");

    irc.send(&format!("MODE {CHANNEL} +s")).await;
    let what = "nobody outside finds the room";
    eventually(what, PATIENT, || async { outside.resolve(&alias(CHANNEL)).await.err() }).await;
    assert_eq!(outside.resolve(&alias(CHANNEL)).await, Err(nothing), "as of a channel that is not there");
    assert_eq!(outside.resolve(&alias(&CHANNEL.to_uppercase())).await, Err(nothing));
    eventually("its name is gone", PATIENT, || async {
        let names = stays.state(&room, "m.room.canonical_alias").await;
        names["alias"].is_null().then_some(())
    })
    .await;

    let begin = leaves.now().await;
    leaves.leave(&room).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    irc.say(CHANNEL, "among ourselves").await;
    let mut stays = stays;
    stays.wait_body(&room, "among ourselves", PATIENT).await;
    let read = readable(&mut leaves, &room, &begin).await;
    assert!(!read.iter().any(|body| body == "among ourselves"), "{read:?}");

    irc.send(&format!("MODE {CHANNEL} -s")).await;
    let what = "the room is found again";
    let found = eventually(what, PATIENT, || async { outside.resolve(&alias(CHANNEL)).await.ok() }).await;
    assert_eq!(found, room);
}

/// A portal is replaced by a room in which the bot may do nothing: its channel stays where each is judged alone, and goes once the
/// bot may remove people. Where it loses that power there, what a refused removal keeps back is kept back after a crash, too.
#[tokio::test]
async fn nobody_reads_unseen_in_a_successor() {
    let mut world = World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config.admins = vec![format!("@scowner:{DOMAIN}")];
        config.network_lines.push("presence: { grace_s: 10 }".to_owned());
    })
    .await;
    let mut irc = world.irc("scirc").await;
    irc.join(CHANNEL).await;
    let (mut owner, old) = world.joined("scowner", CHANNEL, &mut irc).await;
    let (mut killed, _) = world.joined("sckilled", CHANNEL, &mut irc).await;
    let bot = world.bridge.bot();
    let told = |m: &Message, what: &str| m.sender == bot && m.body.contains(what);

    let new = owner.create_open_successor(&old).await;
    killed.join(&new).await;
    let tombstone = json!({ "body": "moved", "replacement_room": new });
    owner.put_state(&old, "m.room.tombstone", &tombstone).await;
    let stays = "stays here: I may not remove people";
    owner.wait_message(&old, stays, PATIENT, |m| told(m, stays)).await;
    let comes = "does not come here yet";
    owner.wait_message(&new, comes, PATIENT, |m| told(m, comes)).await;
    irc.say(CHANNEL, "in the old room").await;
    owner.wait_body(&old, "in the old room", PATIENT).await;

    world.bridge.stop();
    world.bridge.run().await;
    irc.wait_member(CHANNEL, &puppet("scowner")).await;
    irc.wait_member(CHANNEL, &puppet("sckilled")).await;
    owner.give_level(&new, &bot, 50).await;
    let readable_by_others = "can read what is said";
    owner.wait_message(&old, readable_by_others, PATIENT, |m| told(m, readable_by_others)).await;
    owner.put_state(&new, "m.room.history_visibility", &json!({ "history_visibility": "joined" })).await;
    owner.wait_message(&old, "goes on in", PATIENT, |m| told(m, "goes on in")).await;
    let times = owner.messages(&old).iter().filter(|m| told(m, stays)).count();
    assert_eq!(times, 1, "looked at again, and told once");
    irc.say(CHANNEL, "in the new room").await;
    owner.wait_body(&new, "in the new room", PATIENT).await;
    assert!(!owner.messages(&new).iter().any(|m| m.body == "in the old room"));

    owner.give_level(&new, &bot, 0).await;
    let mut oper = world.ircd.operator("scoper").await;
    oper.kill(&puppet("sckilled")).await;
    let refused = "I am not allowed to remove them";
    owner.wait_message(&new, refused, PATIENT, |m| told(m, refused)).await;
    let begin = killed.now().await;
    irc.say(CHANNEL, "kept back").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.bridge.kill();
    world.bridge.run().await;
    irc.wait_member(CHANNEL, &puppet("scowner")).await;
    irc.say(CHANNEL, "and this").await;
    owner.drain(QUIET).await;
    let shown = owner.bodies_from(&new, &ghost("scirc"));
    assert_eq!(shown, ["in the new room"], "a crash gives nothing free");

    owner.give_level(&new, &bot, 50).await;
    owner.wait_membership(&new, &killed.id, "leave", PATIENT).await;
    owner.wait_body(&new, "kept back", PATIENT).await;
    owner.wait_body(&new, "and this", PATIENT).await;
    let read = readable(&mut killed, &new, &begin).await;
    assert!(!read.iter().any(|body| body == "kept back" || body == "and this"), "{read:?}");
    let times = owner.messages(&new).iter().filter(|m| told(m, refused)).count();
    assert_eq!(times, 1, "told once");
}
