//! Which room belongs to which channel, and who is in it.

use serde_json::json;

use super::tell;
use crate::support::bridge::NETWORK;
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::matrix::Message;
use crate::support::synapse::DOMAIN;
use crate::support::world::{PLUMBED_CHANNEL, Story, World, alias, ghost, puppet};
use crate::support::{PATIENT, QUIET, eventually, join_all};

tell!(alias_burst, joins_at_once, local_channel, two_rooms, matrix_leave_is_part, irc_kick_crosses);
tell!(looked_up, invited_both_ways);

/// A hundred questions for one alias at once, in several spellings, are one room.
async fn alias_burst(story: Story) {
    let user = story.user("abuser").await;
    let spellings = ["#ab-Welcome", "#ab-welcome", "#AB-WELCOME", "#aB-wElCoMe"];
    let aliases: Vec<String> = spellings.map(alias).into();
    let asked = (0..100).map(|i| user.resolve(&aliases[i % aliases.len()]));
    let mut rooms: Vec<String> =
        join_all(asked).await.into_iter().map(|room| room.expect("the alias leads to a room")).collect();
    rooms.dedup();
    assert_eq!(rooms.len(), 1, "one channel, one room: {rooms:?}");
    assert_eq!(user.join(&aliases[2]).await, rooms[0]);
}

/// Twenty users join at once by an alias that nobody has asked for; all are in one room and on IRC.
async fn joins_at_once(story: Story) {
    let mut irc = story.irc("joirc").await;
    irc.join("#jo-rush").await;
    let mut users = Vec::new();
    for number in 0..20 {
        users.push(story.user(&format!("jouser{number}")).await);
    }
    let alias = alias("#jo-rush");
    let mut rooms = join_all(users.iter().map(|u| u.join(&alias))).await;
    rooms.dedup();
    assert_eq!(rooms.len(), 1, "{rooms:?}");
    for number in 0..20 {
        irc.wait_member("#jo-rush", &puppet(&format!("jouser{number}"))).await;
    }
}

/// A channel of the kind that lives on one server only (`&`), where the server has them.
async fn local_channel(story: Story) {
    let mut irc = story.irc("lcirc").await;
    if !irc.isupport("CHANTYPES").is_some_and(|types| types.contains('&')) {
        let answer = story.user("lcnone").await.resolve(&alias("&lc-local")).await;
        // Whether the bridge refuses at once or makes a room that stays silent, the homeserver gets an answer.
        assert!(answer.is_ok() || answer.is_err_and(|status| status.as_u16() == 404));
        return;
    }
    irc.join("&lc-local").await;
    let (mut user, room) = story.joined("lcuser", "&lc-local", &mut irc).await;
    irc.say("&lc-local", "near").await;
    user.wait_body(&room, "near", PATIENT).await;
    user.text(&room, "here").await;
    assert_eq!(irc.wait_said(&puppet("lcuser"), "&lc-local").await, "here");
}

/// A portal room and a plumbed room on one channel: both hear IRC, and each hears the other, once.
async fn two_rooms(mut story: Story) {
    let mut irc = story.irc("trirc").await;
    irc.join(PLUMBED_CHANNEL).await;
    let plumbed = story.plumbed_room.clone();
    irc.wait_member(PLUMBED_CHANNEL, &puppet("plumber")).await;
    let (mut user, portal) = story.joined("truser", PLUMBED_CHANNEL, &mut irc).await;
    assert_ne!(portal, plumbed);

    irc.say(PLUMBED_CHANNEL, "to both rooms").await;
    user.wait_body(&portal, "to both rooms", PATIENT).await;
    story.plumber.wait_body(&plumbed, "to both rooms", PATIENT).await;

    user.text(&portal, "from the portal").await;
    assert_eq!(irc.wait_said(&puppet("truser"), PLUMBED_CHANNEL).await, "from the portal");
    story.plumber.wait_body(&plumbed, "from the portal", PATIENT).await;

    story.plumber.text(&plumbed, "from the plumbed room").await;
    assert_eq!(irc.wait_said(&puppet("plumber"), PLUMBED_CHANNEL).await, "from the plumbed room");
    user.wait_body(&portal, "from the plumbed room", PATIENT).await;

    user.drain(QUIET).await;
    story.plumber.drain(QUIET / 10).await;
    let said = ["to both rooms", "from the portal", "from the plumbed room"];
    for messages in [user.messages(&portal), story.plumber.messages(&plumbed)] {
        assert_eq!(messages.iter().map(|m| m.body.as_str()).collect::<Vec<_>>(), said, "{messages:#?}");
    }
    assert_eq!(user.bodies_from(&portal, &ghost("trirc")), ["to both rooms"]);
}

/// Who leaves the room parts from the channel.
async fn matrix_leave_is_part(story: Story) {
    let mut irc = story.irc("mlirc").await;
    irc.join("#ml-leave").await;
    let (user, room) = story.joined("mluser", "#ml-leave", &mut irc).await;
    user.leave(&room).await;
    let nick = puppet("mluser");
    irc.wait("the puppet's PART or QUIT", PATIENT, |l| {
        l.source == nick && (l.command == "PART" || l.command == "QUIT")
    })
    .await;
    irc.wait_no_member("#ml-leave", &nick).await;
}

/// Who is kicked from the channel is out of the portal room, with the reason; the others stay.
async fn irc_kick_crosses(story: Story) {
    let mut op = story.irc("ikop").await;
    op.join("#ik-kick").await;
    let (kicked, room) = story.joined("ikout", "#ik-kick", &mut op).await;
    let (mut stays, _) = story.joined("ikstays", "#ik-kick", &mut op).await;
    op.send(&format!("KICK #ik-kick {} :no shouting here", puppet("ikout"))).await;

    let out = stays.wait_membership(&room, &kicked.id, "leave", PATIENT).await;
    assert_ne!(out.sender, kicked.id, "a kick, not a departure");
    assert!(out.reason.contains("no shouting here"), "the reason crosses: {:?}", out.reason);
    op.wait_no_member("#ik-kick", &puppet("ikout")).await;
    op.say("#ik-kick", "who is left?").await;
    stays.wait_body(&room, "who is left?", PATIENT).await;
}

/// A portal says in its state what it is bridged to, and clients find channels and people by name.
async fn looked_up(story: Story) {
    let mut irc = story.irc("luirc").await;
    irc.join("#lu-Found").await;
    let (user, room) = story.joined("luuser", "#lu-Found", &mut irc).await;
    let key = format!("org.bunraku:/{NETWORK}/%23lu-found");
    for kind in ["m.bridge", "uk.half-shot.bridge"] {
        user.wait_state_at(&room, (kind, &key), PATIENT, |content| {
            content["channel"]["id"] == "#lu-found"
                && content["protocol"]["id"] == "irc"
                && content["network"]["displayname"] == "Local"
                && content["bridgebot"] == story.bridge.bot()
        })
        .await;
    }
    let protocol = user.look_up("protocol/irc", &[]).await;
    let instance = &protocol["instances"][0];
    assert_eq!(
        (&instance["network_id"], &instance["desc"]),
        (&json!(NETWORK), &json!("Local")),
        "{protocol}"
    );
    let domain = instance["fields"]["domain"].as_str().expect("a domain").to_owned();
    assert_eq!(protocol["location_fields"], json!(["domain", "channel"]));

    let place = user.look_up("location/irc", &[("domain", &domain), ("channel", "#lu-found")]).await;
    assert_eq!(place[0]["alias"], json!(alias("#lu-found")), "{place}");
    assert_eq!(place[0]["fields"], json!({ "domain": domain, "channel": "#lu-found" }), "{place}");
    let person = user.look_up("user/irc", &[("domain", "Local"), ("nick", "luirc")]).await;
    assert_eq!(person[0]["userid"], json!(ghost("luirc")), "{person}");
    for fields in [
        [("domain", "elsewhere.example"), ("channel", "#lu-found")],
        [("domain", &domain), ("channel", "no channel")],
        [("domain", &domain), ("nick", "luirc")],
    ] {
        assert_eq!(user.look_up("location/irc", &fields).await, json!([]), "{fields:?}");
    }
}

/// Who is invited to a channel on IRC is invited to its room, made for it; who invites a ghost invites its person.
async fn invited_both_ways(story: Story) {
    let (mut op, mut guest) = (story.irc("inop").await, story.irc("inguest").await);
    op.join("#in-one").await;
    op.join("#in-two").await;
    let (mut user, room) = story.joined("inuser", "#in-one", &mut op).await;
    let nick = puppet("inuser");
    op.send(&format!("INVITE {nick} #in-two")).await;
    let invited = user.wait_invited_by(&story.bridge.bot(), PATIENT).await;
    user.join(&invited).await;
    op.wait_member("#in-two", &nick).await;
    assert_eq!(user.resolve(&alias("#in-two")).await.expect("its alias"), invited);

    op.send(&format!("MODE #in-one +o {nick}")).await;
    user.wait_level(&room, &user.id, Some(50), PATIENT).await;
    user.invite(&room, &ghost("inguest")).await;
    guest.wait("the invitation", PATIENT, |l| l.command == "INVITE" && l.source == nick).await;
    user.wait_body(&room, "inguest has been invited to #in-one on Local.", PATIENT).await;

    user.invite(&room, &ghost("innobody")).await;
    let bot = story.bridge.bot();
    user.wait_message(&room, "why not", PATIENT, |m| {
        m.sender == bot && m.body.starts_with("innobody was not invited to #in-one. ")
    })
    .await;
    user.wait_membership(&room, &ghost("innobody"), "leave", PATIENT).await;
}

/// A portal and a plumbed room are replaced: their channels go on in the new rooms, also after a restart.
#[tokio::test]
async fn upgraded() {
    let owner = format!("@owner:{DOMAIN}");
    let admins = vec![owner.clone()];
    let mut world =
        World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| config.admins = admins).await;
    let mut irc = world.irc("upirc").await;
    irc.join("#up-graded").await;
    irc.join(PLUMBED_CHANNEL).await;
    let (mut owner, old) = world.joined("owner", "#up-graded", &mut irc).await;
    let (other, _) = world.joined("upother", "#up-graded", &mut irc).await;

    // In room version 12 who upgrades is the creator, and the bot, which was, has no level.
    let new = owner.upgrade(&old, "12").await;
    let bot = world.bridge.bot();
    let powerless = "I may not remove people there";
    let told = |m: &Message| m.sender == bot && m.body.contains(powerless);
    owner.wait_message(&old, powerless, PATIENT, told).await;
    owner.give_level(&new, &bot, 50).await;
    irc.wait_no_member("#up-graded", &puppet("upother")).await;
    assert!(irc.names("#up-graded").await.contains(&puppet("owner")), "who is in both rooms stays");
    assert_eq!(owner.resolve(&alias("#up-graded")).await.expect("the alias"), new);
    irc.say("#up-graded", "are you there?").await;
    owner.wait_body(&new, "are you there?", PATIENT).await;
    owner.text(&new, "yes, here").await;
    assert_eq!(irc.wait_said(&puppet("owner"), "#up-graded").await, "yes, here");
    assert_eq!(other.join(&alias("#up-graded")).await, new);
    irc.wait_member("#up-graded", &puppet("upother")).await;

    let (plumbed, mut plumber) = (world.plumbed_room.clone(), world.synapse.user("plumber2").await);
    assert_eq!(plumber.join(&plumbed).await, plumbed);
    irc.wait_member(PLUMBED_CHANNEL, &puppet("plumber2")).await;
    let stranger = world.plumber.create_public_room("claims nothing").await;
    for (to, why) in
        [(stranger.as_str(), "does not say that it replaces"), ("!no:lab.test", "cannot be found")]
    {
        let tombstone = json!({ "body": "moved", "replacement_room": to });
        world.plumber.put_state(&plumbed, "m.room.tombstone", &tombstone).await;
        world.plumber.wait_message(&plumbed, why, PATIENT, |m| m.sender == bot && m.body.contains(why)).await;
    }
    assert_eq!(world.plumber.membership(&stranger, &bot).await.expect("was there").state, "leave");
    world.plumber.text(&plumbed, "still here").await;
    assert_eq!(irc.wait_said(&puppet("plumber"), PLUMBED_CHANNEL).await, "still here");

    let replaced = world.plumber.upgrade(&plumbed, "12").await;
    world.plumber.text(&replaced, "we have moved").await;
    assert_eq!(irc.wait_said(&puppet("plumber"), PLUMBED_CHANNEL).await, "we have moved");

    // The next one lets in only who is invited.
    let closed = world.plumber.create_closed_successor(&replaced).await;
    let tombstone = json!({ "body": "moved", "replacement_room": closed });
    world.plumber.put_state(&replaced, "m.room.tombstone", &tombstone).await;
    for (what, then) in [("lets nobody in", Some(&bot)), ("goes on in", None)] {
        let told = |m: &Message| m.sender == bot && m.body.contains(what);
        world.plumber.wait_message(&replaced, what, PATIENT, told).await;
        if let Some(bot) = then {
            world.plumber.invite(&closed, bot).await;
        }
    }
    world.plumber.text(&closed, "behind a door").await;
    assert_eq!(irc.wait_said(&puppet("plumber"), PLUMBED_CHANNEL).await, "behind a door");
    world.plumber.invite(&closed, &plumber.id).await;

    world.bridge.stop();
    world.bridge.run().await;
    irc.wait_member(PLUMBED_CHANNEL, &puppet("plumber")).await;
    irc.wait_member("#up-graded", &puppet("owner")).await;
    plumber.join(&closed).await;
    irc.wait_member(PLUMBED_CHANNEL, &puppet("plumber2")).await;
    for (channel, room, user) in [("#up-graded", &new, &mut owner), (PLUMBED_CHANNEL, &closed, &mut plumber)]
    {
        irc.say(channel, "after the restart").await;
        user.wait_body(room, "after the restart", PATIENT).await;
    }
    let bodies = owner.messages(&old);
    let told = bodies.iter().filter(|m| m.sender == bot && m.body.contains("goes on in")).count();
    assert_eq!(told, 1, "the old room is told: {bodies:#?}");
    assert!(!bodies.iter().any(|m| m.body == "are you there?"), "and hears nothing more: {bodies:#?}");
}

/// Where that is wanted, a portal stands in the network's list of the directory, and no longer once its channel is secret.
#[tokio::test]
async fn listed() {
    let world = World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config.network_lines.push("directory: { publish: true }".to_owned());
    })
    .await;
    let mut op = world.irc("liop").await;
    op.join("#li-sted").await;
    let (user, room) = world.joined("liuser", "#li-sted", &mut op).await;
    let is_listed = async |wanted: bool| {
        eventually(&format!("the room is listed: {wanted}"), PATIENT, || async {
            (user.listed(NETWORK).await.contains(&room) == wanted).then_some(())
        })
        .await;
    };
    is_listed(true).await;
    op.send("MODE #li-sted +s").await;
    is_listed(false).await;
    op.send("MODE #li-sted -s").await;
    is_listed(true).await;
}
