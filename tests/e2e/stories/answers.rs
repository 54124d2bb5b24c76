//! What a server refuses, the user is told: once, in one sentence that is the same on every server.
//!
//! Situations and the servers' words are in `support/answers.rs`. The stories run on one server each; the first
//! to have been told something leaves it for the others to compare. A server's own words may stand in the sentence.

use std::collections::HashMap;
use std::sync::Mutex;

use super::tell;
use crate::support::answers::{Act, Place, Situation, situations};
use crate::support::ircd::IrcdKind;
use crate::support::world::{Story, alias, puppet};
use crate::support::{PATIENT, QUIET};

tell!(joins_refused, messages_refused);

/// By `+i`, `+k`, `+l`, `+b`: they are told the reason, and what follows.
///
/// `+R` is left out: ngIRCd says it with the numeric of a full channel.
async fn joins_refused(story: Story) {
    let kind = story.ircd.kind;
    let wanted = |s: &&Situation| {
        s.place() == Place::Outside && s.name.starts_with("join refused") && !s.name.ends_with("+R")
    };
    let mut user = story.user("anjoiner").await;
    let bot = story.bridge.bot();
    for (number, situation) in situations().iter().filter(wanted).enumerate() {
        let channel = format!("#an-join{number}");
        let operator = Situation::operator(&story.ircd, &channel).await;
        let scene = situation.prepare(operator, kind, &channel, &puppet("anjoiner")).await;
        assert_eq!(situation.act(&scene), Act::Join { channel: channel.clone() });

        let room = user.join(&alias(&channel)).await;
        let told = user.wait_message(&room, "the reason", PATIENT, |m| m.sender == bot).await.body;
        let reason = told.strip_prefix(&format!("{}: ", user.id)).expect("whom it is for");
        let (reason, follows) = reason.split_once(" Nobody in ").expect("what follows");
        assert!(follows.contains("you are removed from this room in 5 minutes"), "{told}");
        compare(kind, situation, &channel, reason);
    }
}

/// By `+m` and `+b`: the sender is told, and the message is not shown.
///
/// `+n` is left out: a puppet does not speak from outside.
async fn messages_refused(story: Story) {
    let kind = story.ircd.kind;
    let wanted = |s: &&Situation| s.place() == Place::Inside && s.name.starts_with("message refused");
    let mut user = story.user("anspeaker").await;
    let (nick, bot) = (puppet("anspeaker"), story.bridge.bot());
    let mut scenes = Vec::new();
    for (number, situation) in situations().iter().filter(wanted).enumerate() {
        let channel = format!("#an-say{number}");
        let mut operator = Situation::operator(&story.ircd, &channel).await;
        let room = user.join(&alias(&channel)).await;
        operator.wait_member(&channel, &nick).await;
        let scene = situation.prepare(operator, kind, &channel, &nick).await;
        let Act::Say { text, .. } = situation.act(&scene) else {
            panic!("{} is about saying", situation.name)
        };

        user.text(&room, &text).await;
        let told = user.wait_message(&room, "the reason", PATIENT, |m| m.sender == bot).await;
        compare(kind, situation, &channel, &told.body);
        scenes.push((room, scene));
    }
    user.drain(QUIET).await;
    for (room, mut scene) in scenes {
        assert_eq!(user.bodies_from(&room, &bot).len(), 1, "the user is told once");
        scene.operator.fence().await;
        let lines = scene.operator.lines();
        assert!(!lines.iter().any(|l| l.is_from("PRIVMSG", &nick, &scene.channel)), "nobody heard it");
    }
}

/// One sentence, and that of the other servers.
fn compare(kind: IrcdKind, situation: &Situation, channel: &str, told: &str) {
    static TOLD: Mutex<Option<HashMap<&'static str, (IrcdKind, String)>>> = Mutex::new(None);
    assert!(told.contains(channel) && !told.contains('\n'), "one sentence about {channel}: {told:?}");
    let sentence = told.replace(situation.sentence(kind), "(the server's words)");
    let mut all = TOLD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let (first, expected) =
        all.get_or_insert_default().entry(situation.name).or_insert_with(|| (kind, sentence.clone()));
    assert_eq!(sentence, *expected, "{}: {kind:?} and {first:?} differ", situation.name);
}
