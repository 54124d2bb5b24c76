//! What IRC users say keeps its form on Matrix: formatting, names, ranks, and where tags allow replies and reactions.

use serde_json::{Value, json};

use super::tell;
use crate::support::irc::{IrcClient, IrcLine};
use crate::support::ircd::IrcdKind;
use crate::support::matrix::MatrixUser;
use crate::support::world::{Story, ghost, puppet};
use crate::support::{PATIENT, SOON};

tell!(forms_of_what_is_said);

mod answers_by_tags {
    use crate::support::ircd::IrcdKind;
    use crate::support::world::Story;

    /// InspIRCd with the capabilities of IRCv3.
    #[tokio::test]
    async fn services() {
        super::answers_by_tags(Story::begin(IrcdKind::Services).await).await;
    }

    #[tokio::test]
    async fn ngircd() {
        super::answers_by_tags(Story::begin(IrcdKind::NgIrcd).await).await;
    }
}

/// A reaction goes to the other side, and is taken back there.
#[tokio::test]
async fn reactions_are_taken_back() {
    let story = Story::begin(IrcdKind::Services).await;
    let mut irc = story.irc("hrirc").await;
    irc.send("CAP REQ :message-tags echo-message").await;
    irc.join("#hr-back").await;
    let (mut user, room) = story.joined("hruser", "#hr-back", &mut irc).await;
    irc.say("#hr-back", "the question").await;
    user.wait_body(&room, "the question", PATIENT).await;
    let msgid = msgid_of(&mut irc, "the question").await.expect("this server names lines");
    let asked = event_of(&user, &room, "the question");

    irc.send(&format!("@+draft/reply={msgid};+draft/react=\u{1f44d} TAGMSG #hr-back")).await;
    let is_reaction = |event: &Value| event["type"] == "m.reaction" && event["sender"] == ghost("hrirc");
    user.wait_event(&room, "the reaction", PATIENT, is_reaction).await;
    let reaction = user.events(&room).into_iter().find(is_reaction).expect("it came")["event_id"].clone();
    irc.send(&format!("@+draft/reply={msgid};+draft/unreact=\u{1f44d} TAGMSG #hr-back")).await;
    user.wait_event(&room, "its end", PATIENT, |event| {
        let is_redaction = event["type"] == "m.room.redaction" && event["sender"] == ghost("hrirc");
        is_redaction && (event["content"]["redacts"] == reaction || event["redacts"] == reaction)
    })
    .await;

    let nick = puppet("hruser");
    let relation = json!({ "rel_type": "m.annotation", "event_id": asked, "key": "\u{1f389}" });
    let content = json!({ "m.relates_to": relation });
    let reaction = user.send_content(&room, "m.reaction", &content).await;
    let is_tagged = |line: &IrcLine, tag: &str| {
        let is_about = line.tag("+draft/reply") == Some(msgid.as_str());
        line.is_from("TAGMSG", &nick, "#hr-back") && is_about && line.tag(tag) == Some("\u{1f389}")
    };
    irc.wait("the reaction", PATIENT, |line| is_tagged(line, "+draft/react")).await;
    user.redact(&room, &reaction).await;
    irc.wait("its end", PATIENT, |line| is_tagged(line, "+draft/unreact")).await;
}

/// Codes become HTML, a nick becomes a mention of who has it, ranks are shown, and the text stays the text.
async fn forms_of_what_is_said(story: Story) {
    let mut irc = story.irc("hdirc").await;
    irc.join("#hd-forms").await;
    let (mut user, room) = story.joined("hduser", "#hd-forms", &mut irc).await;
    let nick = puppet("hduser");
    irc.send(&format!("MODE #hd-forms +o {nick}")).await;
    irc.wait("the rank", SOON, |l| l.command == "MODE").await;

    irc.say("#hd-forms", "\u{2}bold\u{2} and \u{1d}<b>\u{1d} & \u{3}04red").await;
    irc.say("#hd-forms", &format!("{nick}: hello, @room")).await;
    irc.action("#hd-forms", "is \u{2}bold\u{2}").await;
    let has_ranks = irc.isupport("STATUSMSG").is_some_and(|signs| signs.contains('@'));
    if has_ranks {
        irc.say("@#hd-forms", "for operators").await;
    }
    irc.say("#hd-forms", "end").await;
    user.wait_body(&room, "end", PATIENT).await;

    let said = said_by(&user, &room, "hdirc");
    assert_eq!(said[0]["body"], "bold and <b> & red");
    assert_eq!(said[0]["format"], "org.matrix.custom.html");
    let html = said[0]["formatted_body"].as_str().expect("formatting");
    assert!(html.starts_with("<b>bold</b> and <i>&lt;b&gt;</i> &amp; "), "{html}");
    assert_eq!(said[0]["m.mentions"], serde_json::json!({}));
    assert_eq!(said[1]["body"], format!("{nick}: hello, @room"));
    assert_eq!(said[1]["m.mentions"], serde_json::json!({ "user_ids": [user.id] }));
    let html = said[1]["formatted_body"].as_str().expect("a pill");
    assert!(html.contains("https://matrix.to/#/"), "{html}");
    assert_eq!((&said[2]["msgtype"], &said[2]["body"]), (&"m.emote".into(), &"is bold".into()));
    if has_ranks {
        assert_eq!(said[3]["body"], "[operators only] for operators");
    }
    assert_eq!(said.len(), 4 + usize::from(has_ranks));
}

/// A reply by tag is a reply and a reaction by tag a reaction, where the server knows tags; elsewhere all is said as before.
async fn answers_by_tags(story: Story) {
    let mut irc = story.irc("hairc").await;
    irc.send("CAP REQ :message-tags echo-message").await;
    irc.join("#ha-tags").await;
    let (mut user, room) = story.joined("hauser", "#ha-tags", &mut irc).await;
    irc.say("#ha-tags", "the question").await;
    user.wait_body(&room, "the question", PATIENT).await;
    let Some(msgid) = msgid_of(&mut irc, "the question").await else {
        irc.say("#ha-tags", "no tags here").await;
        user.wait_body(&room, "no tags here", PATIENT).await;
        return;
    };
    let asked = event_of(&user, &room, "the question");
    irc.send(&format!("@+draft/reply={msgid} PRIVMSG #ha-tags :the answer")).await;
    irc.send(&format!("@+draft/reply={msgid};+draft/react=\u{1f44d} TAGMSG #ha-tags")).await;
    user.wait_body(&room, "the answer", PATIENT).await;
    let said = said_by(&user, &room, "hairc");
    assert_eq!(said[1]["m.relates_to"]["m.in_reply_to"]["event_id"], asked);
    let is_reaction = |event: &Value| {
        let about = &event["content"]["m.relates_to"];
        event["type"] == "m.reaction"
            && event["sender"] == ghost("hairc")
            && about["event_id"] == asked
            && about["key"] == "\u{1f44d}"
    };
    user.wait_event(&room, "the reaction", PATIENT, is_reaction).await;
}

/// The contents of what a ghost said in a room.
fn said_by(user: &MatrixUser, room: &str, nick: &str) -> Vec<Value> {
    let is_said = |event: &&Value| event["type"] == "m.room.message" && event["sender"] == ghost(nick);
    user.events(room).iter().filter(is_said).map(|event| event["content"].clone()).collect()
}

fn event_of(user: &MatrixUser, room: &str, body: &str) -> Value {
    let events = user.events(room);
    let event = events.iter().find(|event| event["content"]["body"] == body);
    event.expect("it has been synced")["event_id"].clone()
}

/// The name that the server gave to a line of our own, where it gives any.
async fn msgid_of(irc: &mut IrcClient, text: &str) -> Option<String> {
    irc.fence().await;
    let lines = irc.lines();
    let line = lines.iter().find(|l| l.command == "PRIVMSG" && l.params.last().is_some_and(|p| p == text))?;
    line.tag("msgid").map(str::to_owned)
}
