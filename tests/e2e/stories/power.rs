//! A channel's operators are moderators of its room, and its topic is the room's.

use reqwest::StatusCode;

use super::tell;
use crate::support::PATIENT;
use crate::support::irc::IrcClient;
use crate::support::world::{Story, ghost, puppet};

tell!(an_operator_sets_topics, ranks_last_over_a_restart);

/// `+o` given to a puppet lets its person set the room's topic, which is then the channel's; `-o` takes it away.
async fn an_operator_sets_topics(story: Story) {
    let (channel, name) = ("#pw-ops", "pwone");
    let mut irc = story.irc("pwirc").await;
    irc.join(channel).await;
    irc.send(&format!("MODE {channel} +nt-sp")).await;
    irc.send(&format!("TOPIC {channel} :\u{2}Tea\u{2} at five")).await;
    let (user, room) = story.joined(name, channel, &mut irc).await;
    user.wait_topic(&room, "Tea at five", PATIENT).await;
    user.wait_level(&room, &ghost("pwirc"), Some(50), PATIENT).await;
    assert_eq!(user.set_topic(&room, "Coffee").await, StatusCode::FORBIDDEN, "no operator yet");

    irc.send(&format!("MODE {channel} +o {}", puppet(name))).await;
    user.wait_level(&room, &user.id, Some(50), PATIENT).await;
    assert_eq!(user.set_topic(&room, "Coffee\nQUIT :at six").await, StatusCode::OK);
    assert_eq!(topic_by(&mut irc, &puppet(name), channel).await, "Coffee QUIT :at six");
    irc.send(&format!("TOPIC {channel} :Beer")).await;
    user.wait_topic(&room, "Beer", PATIENT).await;
    assert_eq!(user.set_topic(&room, "").await, StatusCode::OK);
    assert_eq!(topic_by(&mut irc, &puppet(name), channel).await, "");

    irc.send(&format!("MODE {channel} -o {}", puppet(name))).await;
    user.wait_level(&room, &user.id, None, PATIENT).await;
    assert_eq!(user.set_topic(&room, "Wine").await, StatusCode::FORBIDDEN, "no operator any more");
    let own = irc.lines().iter().filter(|line| line.is_from("TOPIC", &puppet(name), channel)).count();
    assert_eq!(own, 2, "what was set on IRC did not come back");
}

/// What changed while the bridge was away is found when it is back.
async fn ranks_last_over_a_restart(mut story: Story) {
    let (channel, name) = ("#pw-restart", "pwtwo");
    let mut irc = story.irc("pwirctwo").await;
    irc.join(channel).await;
    let (user, room) = story.joined(name, channel, &mut irc).await;
    irc.send(&format!("MODE {channel} +ntv-sp {}", puppet(name))).await;
    user.wait_level(&room, &user.id, Some(1), PATIENT).await;

    story.bridge.stop();
    irc.wait_no_member(channel, &puppet(name)).await;
    irc.send(&format!("TOPIC {channel} :While you were away")).await;
    let mut late = story.irc("pwlate").await;
    late.join(channel).await;
    irc.send(&format!("MODE {channel} +o pwlate")).await;
    story.bridge.run().await;
    irc.wait_member(channel, &puppet(name)).await;
    user.wait_topic(&room, "While you were away", PATIENT).await;
    user.wait_level(&room, &ghost("pwlate"), Some(50), PATIENT).await;
    user.wait_level(&room, &user.id, None, PATIENT).await;
}

async fn topic_by(irc: &mut IrcClient, nick: &str, channel: &str) -> String {
    let line = irc.wait("the topic", PATIENT, |line| line.is_from("TOPIC", nick, channel)).await;
    line.params.get(1).cloned().unwrap_or_default()
}
