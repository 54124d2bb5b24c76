//! The admin room: people run their life on IRC in plain words, and get true answers.

use serde_json::Value;

use super::login::Lab;
use super::tell;
use crate::support::PATIENT;
use crate::support::irc::{IrcClient, IrcLine};
use crate::support::ircd::{IrcdKind, Sasl, Setup};
use crate::support::matrix::{MatrixUser, Message};
use crate::support::world::{Story, World, ghost, puppet};

tell!(a_command_among_others_stays_here, an_evening);

/// What the homeserver alone is needed for, on one IRC server.
#[tokio::test]
async fn commands_are_answered_in_a_room_for_one() {
    commands_are_answered(Story::begin(IrcdKind::NgIrcd).await).await;
    a_room_is_for_one(Story::begin(IrcdKind::NgIrcd).await).await;
}

/// Somebody in their admin room.
pub struct Desk {
    pub user: MatrixUser,
    room: String,
    bot: String,
}

impl Desk {
    /// Invites the bot to a direct chat, as clients do.
    async fn open(world: &World, name: &str) -> Desk {
        Self::of(world, world.user(name).await).await
    }

    async fn of(world: &World, user: MatrixUser) -> Desk {
        Self::with(user, &world.bridge.bot()).await
    }

    pub async fn with(mut user: MatrixUser, bot: &str) -> Desk {
        let bot = bot.to_owned();
        let room = user.begin_direct_chat(&bot).await;
        let hello = |m: &Message| m.sender == bot && m.body.starts_with("Hello!");
        let hello = user.wait_message(&room, "a welcome", PATIENT, hello).await;
        assert_eq!(hello.kind, "m.notice");
        Desk { user, room, bot }
    }

    /// Says something; gives what the bot answers to it.
    pub async fn says(&mut self, text: &str) -> String {
        let event = self.user.text(&self.room, text).await;
        let (bot, room) = (self.bot.clone(), self.room.clone());
        answer(&mut self.user, &room, &bot, &event, text).await
    }
}

/// The bot's answer to a message.
async fn answer(user: &mut MatrixUser, room: &str, bot: &str, event: &str, about: &str) -> String {
    let is_it =
        |e: &Value| e["sender"] == bot && e["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == event;
    user.wait_event(room, &format!("an answer to {about:?}"), PATIENT, is_it).await;
    let found = user.events(room).into_iter().find(|e| is_it(e)).expect("it was waited for");
    assert_eq!(found["content"]["msgtype"], "m.notice");
    found["content"]["body"].as_str().unwrap_or_default().to_owned()
}

/// What needs no network: help, names that are nearly right, secrets; and the room lives on over a restart.
async fn commands_are_answered(mut story: Story) {
    let mut desk = Desk::open(&story, "adah").await;
    let help = desk.says("help").await;
    assert!(help.contains("join #channel [key]") && !help.contains("evict"), "{help}");
    assert!(desk.says("!help join").await.contains("The key is for channels that ask for one"));
    assert!(desk.says("staus").await.contains("Did you mean `status`?"));
    assert!(desk.says("users").await.contains("for admins of the bridge"));
    assert!(desk.says("version").await.contains(env!("CARGO_PKG_VERSION")));

    // A password is kept, and its message is gone.
    let event = desk.user.text(&desk.room, "storepass adah:t0p-s3cret").await;
    let (bot, room) = (desk.bot.clone(), desk.room.clone());
    let told = answer(&mut desk.user, &room, &bot, &event, "storepass").await;
    assert!(told.starts_with("Kept."), "{told}");
    let is_taken = |e: &Value| e["type"] == "m.room.redaction" && e["sender"] == bot;
    desk.user.wait_event(&room, "that the password is taken away", PATIENT, is_taken).await;
    assert!(desk.says("username").await.contains("Your account is adah; a password is kept"));
    assert_eq!(story.bridge.logged(&["t0p-s3cret"]), 0, "no password in the log");
    assert!(desk.says("logout").await.contains("forgotten"));

    story.bridge.stop();
    story.bridge.run().await;
    assert!(desk.says("username").await.contains("Nothing is kept for Local"));
}

/// A third person ends it; a new one can be begun, and is the only one then.
async fn a_room_is_for_one(story: Story) {
    let mut desk = Desk::open(&story, "adao").await;
    let other = story.user("eveo").await;
    desk.user.invite(&desk.room, &other.id).await;
    let bot = desk.bot.clone();
    desk.user.wait_membership(&desk.room, &bot, "leave", PATIENT).await;
    let told = |m: &Message| m.sender == bot && m.body.contains("There is somebody else here");
    desk.user.wait_message(&desk.room, "why the bot leaves", PATIENT, told).await;

    let first = Desk::of(&story, desk.user).await;
    let before = first.room.clone();
    let mut second = Desk::of(&story, first.user).await;
    second.user.wait_membership(&before, &bot, "leave", PATIENT).await;
    assert!(second.says("version").await.contains("bunraku"));
}

/// `!irc` in a bridged room is answered there, and nobody on IRC sees it.
async fn a_command_among_others_stays_here(story: Story) {
    let channel = "#admin-among";
    let mut eve = story.irc("adeve").await;
    eve.join(channel).await;
    eve.send(&format!("TOPIC {channel} :puppets on stage")).await;
    let (mut user, room) = story.joined("adag", channel, &mut eve).await;
    let bot = story.bridge.bot();
    let event = user.text(&room, "!irc topic").await;
    let told = answer(&mut user, &room, &bot, &event, "!irc topic").await;
    assert_eq!(told, "puppets on stage");
    let event = user.text(&room, "!irc storepass hunter2").await;
    let told = answer(&mut user, &room, &bot, &event, "!irc storepass").await;
    assert!(told.contains("Change it on the network"), "{told}");
    user.text(&room, "!ircx is no command").await;
    assert_eq!(
        eve.wait_said(&puppet("adag"), channel).await,
        "!ircx is no command",
        "the first that was said on IRC"
    );
}

/// A whole evening: in, talk, another nick, put out, why, back, away, off.
async fn an_evening(story: Story) {
    let channel = "#admin-evening";
    let mut op = story.irc("adop").await;
    op.join(channel).await;
    let mut desk = Desk::open(&story, "adae").await;

    let told = desk.says(&format!("join {channel}")).await;
    assert!(told.contains(channel), "{told}");
    let room = desk.user.wait_invited_by(&desk.bot, PATIENT).await;
    desk.user.join(&room).await;
    op.wait_member(channel, &puppet("adae")).await;
    desk.user.text(&room, "good evening").await;
    assert_eq!(op.wait_said(&puppet("adae"), channel).await, "good evening");

    let told = desk.says("nick adae-night").await;
    assert!(told.contains("You are adae-night"), "{told}");
    op.wait_member(channel, "adae-night").await;
    let told = desk.says("nick adop").await;
    assert!(told.contains("adop"), "taken, and said so: {told}");
    let told = desk.says("status").await;
    assert!(told.contains("Your nick is adae-night") && told.contains(channel), "{told}");
    assert!(desk.says("whois adop").await.contains("adop!"));
    assert!(desk.says(&format!("names {channel}")).await.contains("adae-night"));
    assert!(desk.says("cmd VERSION").await.contains("351"));

    // Ignored, somebody writes in vain; what the server answers after that has come after it.
    assert!(desk.says("ignore adop").await.contains("adop!*@*"));
    op.say("adae-night", "psst").await;
    op.fence().await;
    assert!(desk.says("cmd VERSION").await.contains("351"));
    assert!(desk.says("unignore adop").await.contains("You ignore nobody"));
    op.say("adae-night", "hello").await;
    let chat = desk.user.wait_invited_by(&ghost("adop"), PATIENT).await;
    desk.user.join(&chat).await;
    desk.user.wait_body(&chat, "hello", PATIENT).await;
    assert_eq!(desk.user.bodies_from(&chat, &ghost("adop")), ["hello"]);

    // Put out for good, and told why.
    op.send(&format!("MODE {channel} +b adae-night!*@*")).await;
    op.send(&format!("KICK {channel} adae-night :enough for tonight")).await;
    op.wait_no_member(channel, "adae-night").await;
    let told = desk.says(&format!("join {channel}")).await;
    assert!(told.contains("banned"), "{told}");
    op.send(&format!("MODE {channel} -b adae-night!*@*")).await;
    op.fence().await;
    let told = desk.says(&format!("join {channel}")).await;
    assert!(told.contains("You are invited to its room"), "who was kicked is out of the room, too: {told}");
    op.wait_member(channel, "adae-night").await;
    let room = desk.user.wait_invitations_by(&desk.bot, 2, PATIENT).await;
    desk.user.join(&room).await;

    assert!(desk.says("away at lunch").await.contains("marked as away"));
    assert!(whois_has(&mut op, "adae-night", "301").await, "others see it");
    assert!(desk.says("away").await.contains("no longer away"));

    let told = desk.says("quit good night").await;
    assert!(told.contains("You are off Local"), "{told}");
    op.wait_no_member(channel, "adae-night").await;
    assert!(desk.says("status").await.contains("kept away"), "and stays away");
    let told = desk.says("reconnect").await;
    assert!(told.contains("You are connected to Local"), "{told}");
    op.wait_member(channel, "adae-night").await;
}

async fn whois_has(irc: &mut IrcClient, nick: &str, code: &str) -> bool {
    irc.whois(nick).await.iter().any(|line: &IrcLine| line.command == code)
}

/// With services: somebody identifies in the admin room and gets into a channel that asks for it.
#[tokio::test]
async fn a_login_by_the_admin_room() {
    let lab = Lab::new(IrcdKind::Services, Sasl::On, &[]).await;
    let world = &lab.world;
    let mut owner = world.irc("lovelace").await;
    owner.register_account("s3same-0pen").await;
    owner.join("#members").await;
    owner.send("MODE #members +R").await;
    owner.wait("the mode", PATIENT, |l| l.command == "MODE" && l.params == ["#members", "+R"]).await;
    let mut desk = Desk::open(world, "ada").await;
    let told = desk.says("join #members").await;
    assert!(told.contains("#members wants a registered nick"), "{told}");

    assert!(desk.says("login").await.contains("name of your account"));
    assert!(desk.says("lovelace").await.contains("Now the password"));
    assert!(desk.says("s3same-0pen").await.starts_with("Kept."));
    assert!(desk.says("reconnect").await.contains("You are connected"));
    let told = desk.says("join #members").await;
    assert!(told.contains("Your IRC user is in #members") || told.contains("You are in #members"), "{told}");
    owner.wait_member("#members", &puppet("ada")).await;
    assert!(desk.says("status").await.contains("logged in as lovelace"));
    assert_eq!(world.bridge.logged(&["s3same-0pen"]), 0, "no password in the log");
}

/// What admins may.
#[tokio::test]
async fn an_admin_keeps_order() {
    let world = World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config.admins.push(format!("@root:{}", crate::support::synapse::DOMAIN));
    })
    .await;
    let mut eve = world.irc("eve").await;
    eve.join("#c").await;
    let (mut spammer, room) = world.joined("spammer", "#c", &mut eve).await;
    let mut root = Desk::open(&world, "root").await;
    assert!(root.says("users").await.contains(&spammer.id));
    assert!(root.says("channel #c").await.contains("carried by"));
    let told = root.says(&format!("kill {} for flooding", spammer.id)).await;
    assert!(told.contains("Their connection is ended"), "{told}");
    eve.wait_no_member("#c", &puppet("spammer")).await;
    let bot = root.bot.clone();
    let told = |m: &Message| m.sender == bot && m.body.contains("for flooding");
    spammer.wait_message(&room, "why", PATIENT, told).await;
    let mut spammer = Desk::of(&world, spammer).await;
    assert!(spammer.says("status").await.contains("kept away"));
    assert!(spammer.says("reconnect").await.contains("admin of the bridge sent your IRC user away"));
    assert!(root.says(&format!("release {}", spammer.user.id)).await.contains("may connect again"));
    eve.wait_member("#c", &puppet("spammer")).await;
    assert!(root.says("reap 1").await.contains("silent for so long"));
    assert!(root.says("broadcast the bridge rests at noon").await.contains("Said in 2 rooms"));
    spammer.user.wait_body(&spammer.room.clone(), "the bridge rests at noon", PATIENT).await;
}
