//! What IRC users say keeps its form on Matrix: formatting, names, ranks, and where tags allow replies and reactions.

use serde_json::Value;

use super::tell;
use crate::support::irc::IrcClient;
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
