//! What moderators do on one side is done on the other, as far as that lets them, and rooms are what their channels are.

use reqwest::StatusCode;

use super::tell;
use crate::support::PATIENT;
use crate::support::irc::IrcClient;
use crate::support::matrix::MatrixUser;
use crate::support::world::{Story, ghost, puppet};

tell!(kicks_cross, bans_cross, bans_are_lifted, rooms_are_what_channels_are);

/// Who is removed on one side is removed on the other, with the reason; what the channel refuses is undone and told.
async fn kicks_cross(story: Story) {
    let (channel, spammer) = ("#md-kick", "mdspam");
    let mut irc = story.irc("mdop").await;
    let (mut user, room) = moderated(&story, channel, "mdone", &mut irc).await;
    let (other, _) = story.joined("mdtwo", channel, &mut irc).await;
    let mut spam = story.irc(spammer).await;
    spam.join(channel).await;
    spam.say(channel, "buy my things").await;
    user.wait_body(&room, "buy my things", PATIENT).await;

    operate(&mut irc, channel, "+o", &user, &room).await;
    let status = user.moderate(&room, "kick", &ghost(spammer), "no advertising").await;
    assert_eq!(status, StatusCode::OK);
    let kick = irc.wait("the kick", PATIENT, |l| l.is_from("KICK", &puppet("mdone"), channel)).await;
    assert_eq!(kick.params[1..], [spammer, "no advertising"]);

    // It comes back, and its moderator may no more: Matrix does not know yet.
    spam.join(channel).await;
    spam.say(channel, "sorry").await;
    user.wait_body(&room, "sorry", PATIENT).await;
    loop {
        irc.send(&format!("MODE {channel} -o {}", puppet("mdone"))).await;
        irc.fence().await;
        match user.moderate(&room, "kick", &ghost(spammer), "again").await {
            StatusCode::OK => break,
            // The levels were faster.
            status => assert_eq!(status, StatusCode::FORBIDDEN),
        }
        operate(&mut irc, channel, "+o", &user, &room).await;
    }
    let bot = story.bridge.bot();
    let why = "was not removed from #md-kick, and is here again. You are not an operator of #md-kick";
    user.wait_message(&room, "why not", PATIENT, |m| m.sender == bot && m.body.contains(why)).await;
    user.wait_membership(&room, &ghost(spammer), "join", PATIENT).await;
    assert!(irc.names(channel).await.contains(&spammer.to_owned()));

    // By an operator of the channel.
    irc.send(&format!("KICK {channel} {spammer} :\u{2}flooding")).await;
    let gone = user.wait_membership(&room, &ghost(spammer), "leave", PATIENT).await;
    assert_eq!(gone.reason, "kicked by mdop: flooding");

    // Somebody of Matrix.
    operate(&mut irc, channel, "+o", &user, &room).await;
    assert_eq!(user.moderate(&room, "kick", &other.id, "off\nQUIT :you go").await, StatusCode::OK);
    let part = irc.wait("the part", PATIENT, |l| l.is_from("PART", &puppet("mdtwo"), channel)).await;
    assert!(part.params[1].contains("removed by mdone[m]: off QUIT :you go"), "{part:?}");
}

/// A ban in the room is one in the channel, and is lifted there; one of a puppet in the channel keeps its person out of the
/// room.
async fn bans_cross(mut story: Story) {
    let (channel, bad) = ("#md-ban", "mdbad");
    let mut irc = story.irc("mdopban").await;
    let (mut user, room) = moderated(&story, channel, "mdthree", &mut irc).await;
    let (other, _) = story.joined("mdfour", channel, &mut irc).await;
    let mut banned = story.irc(bad).await;
    banned.join(channel).await;
    banned.say(channel, "buy my things").await;
    user.wait_body(&room, "buy my things", PATIENT).await;

    operate(&mut irc, channel, "+o", &user, &room).await;
    assert_eq!(user.moderate(&room, "ban", &ghost(bad), "for good").await, StatusCode::OK);
    let is_by = |command: &'static str, sign: &'static str| {
        move |l: &crate::support::irc::IrcLine| {
            l.is_from(command, &puppet("mdthree"), channel) && l.params[1].starts_with(sign)
        }
    };
    let ban = irc.wait("the ban", PATIENT, is_by("MODE", "+b")).await;
    assert!(ban.params[2].starts_with("*!") && ban.params[2].contains('@'), "{ban:?}");
    let kick = irc.wait("the kick", PATIENT, is_by("KICK", bad)).await;
    assert_eq!(kick.params[2], "for good");
    banned.send(&format!("JOIN {channel}")).await;
    banned.wait("banned", PATIENT, |l| l.command == "474").await;
    let there = irc.names(channel).await;
    assert!(
        there.contains(&puppet("mdfour")) && there.contains(&"mdopban".to_owned()),
        "one person: {there:?}"
    );

    // The next run knows the mask.
    story.bridge.stop();
    irc.wait_no_member(channel, &puppet("mdthree")).await;
    story.bridge.run().await;
    irc.wait_member(channel, &puppet("mdthree")).await;
    irc.wait_member(channel, &puppet("mdfour")).await;
    user.wait_level(&room, &user.id, None, PATIENT).await;
    operate(&mut irc, channel, "+o", &user, &room).await;
    assert_eq!(user.moderate(&room, "unban", &ghost(bad), "").await, StatusCode::OK);
    let lifted = irc.wait("lifted", PATIENT, is_by("MODE", "-b")).await;
    assert_eq!(lifted.params[2], ban.params[2]);
    banned.join(channel).await;

    // As on IRC: a ban keeps out who is put out.
    irc.send(&format!("MODE {channel} +b {}!*@*", puppet("mdfour"))).await;
    irc.send(&format!("KICK {channel} {} :enough", puppet("mdfour"))).await;
    let out = user.wait_membership(&room, &other.id, "leave", PATIENT).await;
    assert!(out.reason.starts_with("Kicked from #md-ban on Local"), "{}", out.reason);
    irc.wait_no_member(channel, &puppet("mdfour")).await;
    irc.send(&format!("MODE {channel} -b {}!*@*", puppet("mdfour"))).await;
    irc.fence().await;
    other.join(&room).await;
    irc.wait_member(channel, &puppet("mdfour")).await;
}

/// Who is let in again by an operator on IRC is let in again in the room: at once, or when the bridge is back.
async fn bans_are_lifted(mut story: Story) {
    let (channel, name) = ("#md-lift", "mdseven");
    let mut irc = story.irc("mdoplift").await;
    let (user, room) = moderated(&story, channel, name, &mut irc).await;
    operate(&mut irc, channel, "+o", &user, &room).await;
    let mut masks = Vec::new();
    for bad in ["mdlive", "mdaway"] {
        assert_eq!(user.moderate(&room, "ban", &ghost(bad), "for now").await, StatusCode::OK);
        let is_ban = |l: &crate::support::irc::IrcLine| {
            l.is_from("MODE", &puppet(name), channel) && l.params[1] == "+b" && l.params[2].starts_with(bad)
        };
        masks.push(irc.wait("the ban", PATIENT, is_ban).await.params[2].clone());
    }
    irc.send(&format!("MODE {channel} -b {}", masks[0])).await;
    user.wait_membership(&room, &ghost("mdlive"), "leave", PATIENT).await;

    story.bridge.stop();
    irc.wait_no_member(channel, &puppet(name)).await;
    irc.send(&format!("MODE {channel} -b {}", masks[1])).await;
    irc.send(&format!("MODE {channel} +b mdother!*@*")).await;
    irc.fence().await;
    story.bridge.run().await;
    user.wait_membership(&room, &ghost("mdaway"), "leave", PATIENT).await;
}

/// `+m`, `+i`, `+t` and `+s` are settings of the room, and come back.
async fn rooms_are_what_channels_are(mut story: Story) {
    let (channel, name) = ("#md-modes", "mdfive");
    let mut irc = story.irc("mdopmodes").await;
    let (mut user, room) = moderated(&story, channel, name, &mut irc).await;
    let levels = "m.room.power_levels";
    // Where there are no half-operators it takes what all state of a room takes.
    let topic_needs = |content: &serde_json::Value| content["events"]["m.room.topic"].as_i64().unwrap_or(50);
    let lowest = if irc.isupport("PREFIX").is_some_and(|prefix| prefix.contains('h')) { 25 } else { 50 };
    user.wait_state(&room, levels, "a topic of operators", PATIENT, |c| topic_needs(c) == lowest).await;

    irc.send(&format!("MODE {channel} +m-t")).await;
    user.wait_state(&room, levels, "only who has a voice", PATIENT, |c| {
        c["events_default"] == 1 && topic_needs(c) == 0
    })
    .await;
    assert_eq!(user.try_text(&room, "may I?", "md1").await, StatusCode::FORBIDDEN);
    irc.say(channel, "hear, hear").await;
    user.wait_body(&room, "hear, hear", PATIENT).await;
    irc.send(&format!("MODE {channel} +v {}", puppet(name))).await;
    user.wait_level(&room, &user.id, Some(1), PATIENT).await;
    assert_eq!(user.try_text(&room, "thank you", "md2").await, StatusCode::OK);
    assert_eq!(irc.wait_said(&puppet(name), channel).await, "thank you");

    // Who was given a voice a moment ago is heard at once, be it in the words of the bot.
    let mut late = story.irc("mdlate").await;
    late.join(channel).await;
    irc.send(&format!("MODE {channel} +v mdlate")).await;
    late.wait("a voice", PATIENT, |l| l.command == "MODE" && l.params[1] == "+v").await;
    late.say(channel, "at last").await;
    user.wait_message(&room, "the late one", PATIENT, |m| m.body.ends_with("at last")).await;

    irc.send(&format!("MODE {channel} -m+t")).await;
    user.wait_state(&room, levels, "anybody speaks", PATIENT, |c| {
        c["events_default"] == 0 && topic_needs(c) == lowest
    })
    .await;

    let rule = "m.room.join_rules";
    irc.send(&format!("MODE {channel} +i")).await;
    user.wait_state(&room, rule, "a closed door", PATIENT, |c| c["join_rule"] == "invite").await;
    let outside = story.user("mdsix").await;
    assert_eq!(outside.try_join(&room).await, StatusCode::FORBIDDEN);
    irc.send(&format!("MODE {channel} -i+k word")).await;
    irc.send(&format!("MODE {channel} -k word")).await;
    user.wait_state(&room, rule, "an open door", PATIENT, |c| c["join_rule"] == "public").await;
    assert_eq!(outside.try_join(&room).await, StatusCode::OK);

    operate(&mut irc, channel, "+o", &user, &room).await;
    for (closes, change) in [("invite", "+i"), ("public", "-i")] {
        assert_eq!(user.set_join_rule(&room, closes).await, StatusCode::OK);
        irc.wait("the mode", PATIENT, |l| l.is_from("MODE", &puppet(name), channel) && l.params[1] == change)
            .await;
    }
    user.wait_state(&room, rule, "an open door", PATIENT, |c| c["join_rule"] == "public").await;
    user.list(&room).await;
    irc.send(&format!("MODE {channel} +s")).await;
    user.wait_unlisted(&room, PATIENT).await;

    // What changed while nobody looked is in the server's answer.
    story.bridge.stop();
    irc.wait_no_member(channel, &puppet(name)).await;
    irc.send(&format!("MODE {channel} +ml-t 50")).await;
    story.bridge.run().await;
    user.wait_state(&room, levels, "only who has a voice", PATIENT, |c| {
        c["events_default"] == 1 && topic_needs(c) == 0
    })
    .await;
}

/// A person of Matrix in the portal of a channel that is neither secret nor private.
async fn moderated(story: &Story, channel: &str, name: &str, irc: &mut IrcClient) -> (MatrixUser, String) {
    irc.join(channel).await;
    irc.send(&format!("MODE {channel} +nt-sp")).await;
    story.joined(name, channel, irc).await
}

/// Makes somebody's puppet an operator, and waits until their room knows.
async fn operate(irc: &mut IrcClient, channel: &str, sign: &str, user: &MatrixUser, room: &str) {
    let name = user.id.split(':').next().unwrap_or_default().trim_start_matches('@').to_owned();
    irc.send(&format!("MODE {channel} {sign} {}", puppet(&name))).await;
    user.wait_level(room, &user.id, Some(50), PATIENT).await;
}
