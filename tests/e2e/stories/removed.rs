//! Who is removed from a network, or banned, stays away and knows why; others stay.

use super::tell;
use crate::support::PATIENT;
use crate::support::irc::IrcClient;
use crate::support::matrix::{MatrixUser, Message};
use crate::support::world::{Story, puppet};

tell!(killed_stays_away, banned_stays_away);

/// An operator's KILL.
async fn killed_stays_away(story: Story) {
    let mut scene = Scene::new(story, ["kione", "kitwo"], "#ki-removed").await;
    let mut oper = scene.story.ircd.operator("kioper").await;
    oper.kill(&puppet("kione")).await;
    scene.stays_away("your IRC user was removed from Local by an operator", "test").await;
}

/// A K-line on the puppet's ident.
async fn banned_stays_away(story: Story) {
    let mut scene = Scene::new(story, ["klined", "kltwo"], "#kl-banned").await;
    let mut oper = scene.story.ircd.operator("kloper").await;
    let ident = scene.irc.user_of(&puppet("klined")).await;
    oper.kline(ident.trim_start_matches('~')).await;
    scene.stays_away("your IRC user is banned from Local", "no bridges").await;
}

/// Two users in a channel; the first is removed.
struct Scene {
    story: Story,
    irc: IrcClient,
    channel: &'static str,
    names: [&'static str; 2],
    user: MatrixUser,
    room: String,
}

impl Scene {
    async fn new(story: Story, names: [&'static str; 2], channel: &'static str) -> Scene {
        let mut irc = story.irc(&format!("{}irc", &names[0][..2])).await;
        irc.join(channel).await;
        let (user, room) = story.joined(names[0], channel, &mut irc).await;
        story.joined(names[1], channel, &mut irc).await;
        Scene { story, irc, channel, names, user, room }
    }

    /// `what` happened, for that `reason`: told once, with what to do; nobody comes back, in this run or the next.
    async fn stays_away(&mut self, what: &str, reason: &str) {
        let Scene { story, irc, channel, names: [gone, other], user, room } = self;
        let bot = story.bridge.bot();
        let next = "talk to the network's operators, then ask the bridge's operator to let it connect again.";
        let held = |m: &Message| m.sender == bot && m.body.contains(". It does not come back by itself");
        let unsent = |m: &Message| {
            m.sender == bot && m.body.starts_with(&format!("This message was not sent to {channel}: {what}"))
        };

        let told = user.wait_message(room, "what happened", PATIENT, held).await.body;
        assert!(told.starts_with(&format!("{}: {what} (", user.id)), "{told}");
        assert!(told.contains(reason) && told.contains(next), "{told}");
        irc.wait_no_member(channel, &puppet(gone)).await;
        user.text(room, "does anybody hear me?").await;
        let why = user.wait_messages(room, "why it is not sent", PATIENT, 1, unsent).await;
        assert!(why[0].body.contains(reason) && why[0].body.ends_with(next), "{why:?}");
        let there = irc.names(channel).await;
        assert!(there.contains(&puppet(other)) && !there.contains(&puppet(gone)), "{there:?}");

        story.bridge.stop();
        irc.wait_no_member(channel, &puppet(other)).await;
        story.bridge.run().await;
        irc.wait_member(channel, &puppet(other)).await;
        user.text(room, "and now?").await;
        user.wait_messages(room, "why it is not sent", PATIENT, 2, unsent).await;
        let there = irc.names(channel).await;
        assert!(!there.contains(&puppet(gone)), "{there:?}");
        assert_eq!(user.messages(room).iter().filter(|m| held(m)).count(), 1, "told once");
        let heard = irc.lines().into_iter().any(|l| l.is_from("PRIVMSG", &puppet(gone), channel));
        assert!(!heard, "nothing of it was said");
    }
}
