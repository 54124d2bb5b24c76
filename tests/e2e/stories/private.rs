//! Private chats: begun from either side, over a restart, and what their two are told.

use super::tell;
use crate::support::matrix::Message;
use crate::support::world::{Story, ghost, puppet};
use crate::support::{PATIENT, QUIET, SOON};

tell!(begun_on_irc, begun_on_matrix, two_only, comes_and_goes);

/// A burst from IRC makes one room, which keeps all of it; it is the same room after a restart.
async fn begun_on_irc(mut story: Story) {
    let mut irc = story.irc("bgirc").await;
    irc.join("#bg-private").await;
    let (mut user, channel_room) = story.joined("bguser", "#bg-private", &mut irc).await;
    let nick = puppet("bguser");
    let burst: Vec<String> = (1..=6).map(|number| format!("psst {number}")).collect();
    for line in &burst {
        irc.say(&nick, line).await;
    }
    let room = user.wait_invited_by(&ghost("bgirc"), PATIENT).await;
    user.join(&room).await;
    user.wait_body(&room, "psst 6", PATIENT).await;
    assert_eq!(user.bodies_from(&room, &ghost("bgirc")), burst);

    user.text(&room, "I hear you").await;
    assert_eq!(irc.wait_said(&nick, "bgirc").await, "I hear you");
    irc.action(&nick, "nods").await;
    user.wait_body(&room, "nods", PATIENT).await;
    let create = user.state(&room, "m.room.create").await;
    assert_eq!(create["m.federate"], false, "{create}");
    assert_eq!(user.state(&room, "m.room.join_rules").await["join_rule"], "invite");
    assert_eq!(user.state(&room, "m.room.history_visibility").await["history_visibility"], "invited");

    story.bridge.stop();
    irc.wait_no_member("#bg-private", &nick).await;
    story.bridge.run().await;
    irc.wait_member("#bg-private", &nick).await;
    irc.say(&nick, "still here?").await;
    user.wait_body(&room, "still here?", PATIENT).await;
    user.text(&room, "always").await;
    assert_eq!(irc.wait_said(&nick, "bgirc").await, "always");

    user.drain(QUIET).await;
    assert_eq!(user.messages(&channel_room), [], "nobody else reads it");
    assert_eq!(user.invitations_by(&ghost("bgirc")), 1, "one room");

    // Who leaves is asked back by the next line.
    user.leave(&room).await;
    user.drain(QUIET / 4).await;
    irc.say(&nick, "come back").await;
    user.wait_invitations_by(&ghost("bgirc"), 2, PATIENT).await;
    user.join(&room).await;
    user.wait_body(&room, "come back", PATIENT).await;
}

/// Somebody who is in no channel writes to a nick: also what they say before the ghost is there arrives; who is gone is told
/// of on the message.
async fn begun_on_matrix(story: Story) {
    let mut irc = story.irc("bmirc").await;
    let mut user = story.user("bmuser").await;
    let nick = puppet("bmuser");
    let room = user.begin_direct_chat(&ghost("bmirc")).await;
    user.text(&room, "first").await;
    assert_eq!(irc.wait_said(&nick, "bmirc").await, "first");
    user.wait_membership(&room, &ghost("bmirc"), "join", PATIENT).await;
    user.emote(&room, "waves").await;
    assert_eq!(irc.wait_said(&nick, "bmirc").await, "\u{1}ACTION waves\u{1}");
    irc.say(&nick, "hello yourself").await;
    user.wait_body(&room, "hello yourself", PATIENT).await;

    irc.send("QUIT :bye").await;
    irc.ended().await;
    user.text(&room, "are you there?").await;
    // Where the server has not answered for what was said before, nobody can tell which of them it was.
    let is_told =
        |words: &str| words.contains("This message did not") || words.contains("may not have got through");
    let told =
        |m: &Message| m.sender == ghost("bmirc") && m.body.starts_with("(bridge) ") && is_told(&m.body);
    let told = user.wait_message(&room, "what became of it", PATIENT, told).await;
    assert!(told.body.contains("bmirc") && told.kind == "m.notice", "{told:?}");
}

/// A ghost comes to direct chats only, and leaves when a third person is brought in.
async fn two_only(story: Story) {
    let mut irc = story.irc("twirc").await;
    let (user, third) = (story.user("twuser").await, story.user("twthird").await);
    let open = user.create_public_room("for many").await;
    user.invite(&open, &ghost("twirc")).await;
    let left = user.wait_membership(&open, &ghost("twirc"), "leave", PATIENT).await;
    assert!(left.reason.contains("private chats only"), "{left:?}");

    let room = user.begin_direct_chat(&ghost("twirc")).await;
    user.wait_membership(&room, &ghost("twirc"), "join", PATIENT).await;
    user.text(&room, "only you").await;
    assert_eq!(irc.wait_said(&puppet("twuser"), "twirc").await, "only you");
    user.invite(&room, &third.id).await;
    let left = user.wait_membership(&room, &ghost("twirc"), "leave", PATIENT).await;
    assert!(left.reason.contains("for two"), "{left:?}");
    user.text(&room, "among us").await;
    irc.say(&puppet("twuser"), "another room, please").await;
    irc.fence().await;
    let said = |l: &crate::support::irc::IrcLine| l.is_from("PRIVMSG", &puppet("twuser"), "twirc");
    tokio::time::sleep(SOON.min(QUIET)).await;
    assert_eq!(irc.lines().into_iter().filter(said).count(), 1);
}

/// Where the server tells who comes and goes, somebody in a chat learns it before they write, also from the next run.
async fn comes_and_goes(mut story: Story) {
    let asker = story.irc("cgasker").await;
    let is_told = asker.isupport("MONITOR").is_some();
    let mut user = story.user("cguser").await;
    let room = user.begin_direct_chat(&ghost("cgirc")).await;
    user.wait_membership(&room, &ghost("cgirc"), "join", PATIENT).await;
    let says = |words: &'static str| {
        move |m: &Message| m.sender == ghost("cgirc") && m.body == format!("(bridge) cgirc is {words}")
    };
    let gone = "not on Local now: what you write here cannot be delivered until they are back.";
    if is_told {
        user.wait_message(&room, "that nobody is there", PATIENT, says(gone)).await;
        story.bridge.stop();
        story.bridge.run().await;
    }
    let mut irc = story.irc("cgirc").await;
    user.text(&room, "hello").await;
    assert_eq!(irc.wait_said(&puppet("cguser"), "cgirc").await, "hello");
    if is_told {
        user.wait_message(&room, "that they are there", PATIENT, says("on Local again.")).await;
    }
    irc.say(&puppet("cguser"), "here I am").await;
    user.wait_body(&room, "here I am", PATIENT).await;
    irc.send("QUIT :bye").await;
    irc.ended().await;
    if is_told {
        user.wait_messages(&room, "that they left", PATIENT, 2, says(gone)).await;
    }
    user.drain(QUIET / 4).await;
    let notices = user.messages(&room).iter().filter(|m| m.body.contains(" on Local ")).count();
    assert_eq!(notices, if is_told { 3 } else { 0 }, "once for each change");
}
