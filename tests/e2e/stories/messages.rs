//! Messages that are more than a line of text, as people on IRC read them.

use serde_json::json;

use super::tell;
use crate::support::PATIENT;
use crate::support::world::{Story, puppet};

tell!(forms_reach_irc);

/// Formatted text, a reply, an edit, a file, and a message that is taken back: each arrives as IRC knows it.
async fn forms_reach_irc(story: Story) {
    let mut irc = story.irc("frirc").await;
    irc.join("#fr-forms").await;
    let (user, room) = story.joined("fruser", "#fr-forms", &mut irc).await;
    let nick = puppet("fruser");

    let html = json!({ "msgtype": "m.text", "body": "bold words", "format": "org.matrix.custom.html",
        "formatted_body": format!("<b>bold</b> words of <a href=\"https://matrix.to/#/{}\">me</a>", user.id) });
    let first = user.send_content(&room, "m.room.message", &html).await;
    let said = irc.wait_said(&nick, "#fr-forms").await;
    assert_eq!(said, format!("\u{2}bold\u{2} words of {nick}"));

    user.text(&room, "something else").await;
    assert_eq!(irc.wait_said(&nick, "#fr-forms").await, "something else");
    let reply = json!({ "msgtype": "m.text", "body": "> <@fruser:test> bold words\n\nas I said",
        "m.relates_to": { "m.in_reply_to": { "event_id": first } } });
    user.send_content(&room, "m.room.message", &reply).await;
    let said = irc.wait_said(&nick, "#fr-forms").await;
    assert!(
        said.starts_with(&format!("{nick}: \"bold words of ")) && said.ends_with(" <- as I said"),
        "{said:?}"
    );

    let typo = user.text(&room, "we meet at fiev by the sea").await;
    assert_eq!(irc.wait_said(&nick, "#fr-forms").await, "we meet at fiev by the sea");
    let edit = json!({ "msgtype": "m.text", "body": "* we meet at five by the sea",
        "m.new_content": { "msgtype": "m.text", "body": "we meet at five by the sea" },
        "m.relates_to": { "rel_type": "m.replace", "event_id": typo } });
    user.send_content(&room, "m.room.message", &edit).await;
    assert_eq!(irc.wait_said(&nick, "#fr-forms").await, "s/fiev/five/");

    let image = json!({ "msgtype": "m.image", "body": "my cat", "filename": "cat.png", "url": "mxc://test/none",
        "info": { "size": 34_500, "mimetype": "image/png" } });
    user.send_content(&room, "m.room.message", &image).await;
    let said = irc.wait_said(&nick, "#fr-forms").await;
    assert!(said.starts_with("[image] cat.png (34.5 kB)"), "{said:?}");
    assert_eq!(irc.wait_said(&nick, "#fr-forms").await, "my cat");

    // A reply to what was taken back quotes nothing of it.
    let secret = user.text(&room, "my password is swordfish").await;
    assert_eq!(irc.wait_said(&nick, "#fr-forms").await, "my password is swordfish");
    user.redact(&room, &secret).await;
    user.text(&room, "oops").await;
    assert_eq!(irc.wait_said(&nick, "#fr-forms").await, "oops");
    let late = json!({ "msgtype": "m.text", "body": "forget it",
        "m.relates_to": { "m.in_reply_to": { "event_id": secret } } });
    user.send_content(&room, "m.room.message", &late).await;
    let line = |l: &crate::support::irc::IrcLine| l.is_from("PRIVMSG", &nick, "#fr-forms");
    let answer = irc.wait("the answer", PATIENT, line).await;
    assert_eq!(answer.params[1], "forget it");
}
