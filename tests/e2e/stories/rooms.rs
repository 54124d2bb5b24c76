//! Which room belongs to which channel, and who is in it.

use super::tell;
use crate::support::world::{PLUMBED_CHANNEL, Story, alias, ghost, puppet};
use crate::support::{PATIENT, QUIET, join_all};

tell!(alias_burst, joins_at_once, local_channel, two_rooms, matrix_leave_is_part, irc_kick_crosses);

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
