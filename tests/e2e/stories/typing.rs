//! Who types, on real servers: InspIRCd lets the tag through, Synapse sends it by the registration that the bridge makes.

use crate::support::irc::IrcLine;
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::world::{World, ghost, puppet};
use crate::support::{PATIENT, QUIET};

/// A channel is told who types in its room: again and again, until they change their mind or say it.
#[tokio::test]
async fn a_channel_is_told_who_types() {
    let world = World::with(IrcdKind::Services, &Setup::default(), |config, _| {
        config.network_lines.push("typing: { to_irc: true }".to_owned());
    })
    .await;
    let mut irc = world.irc("tcirc").await;
    irc.send("CAP REQ message-tags").await;
    irc.join("#tc").await;
    let (user, room) = world.joined("tcuser", "#tc", &mut irc).await;
    let nick = puppet("tcuser");
    let types =
        |line: &IrcLine, how: &str| line.is_from("TAGMSG", &nick, "#tc") && line.tag("+typing") == Some(how);

    user.types(&room, true).await;
    irc.wait("the word that they type", PATIENT, |line| types(line, "active")).await;
    irc.wait("the word that they still do", PATIENT, |line| types(line, "active")).await;
    user.types(&room, false).await;
    irc.wait("the word that they do not", PATIENT, |line| types(line, "done")).await;

    user.types(&room, true).await;
    irc.wait("the word that they type again", PATIENT, |line| types(line, "active")).await;
    user.text(&room, "at last").await;
    assert_eq!(irc.wait_said(&nick, "#tc").await, "at last");
    let said = irc.lines_len();
    tokio::time::sleep(QUIET).await;
    irc.fence().await;
    assert!(!irc.lines_from(said).iter().any(|line| line.command == "TAGMSG"), "{:?}", irc.lines_from(said));
}

/// A room is shown who types in its channel, once they are in the room: nobody joins it for that.
#[tokio::test]
async fn a_room_is_shown_who_types() {
    let world = World::with(IrcdKind::Services, &Setup::default(), |_, _| {}).await;
    let mut irc = world.irc("trirc").await;
    irc.send("CAP REQ message-tags").await;
    irc.join("#tr").await;
    let (mut user, room) = world.joined("truser", "#tr", &mut irc).await;
    let eve = ghost("trirc");

    irc.send("@+typing=active TAGMSG #tr").await;
    irc.say("#tr", "hello").await;
    user.wait_body(&room, "hello", PATIENT).await;
    assert!(!user.saw_typing(&room, &eve), "it was in no room then");

    tokio::time::sleep(QUIET).await;
    irc.send("@+typing=active TAGMSG #tr").await;
    user.wait_typing(&room, &eve, true, PATIENT).await;
    irc.say("#tr", "how are you?").await;
    user.wait_typing(&room, &eve, false, PATIENT).await;
    user.wait_body(&room, "how are you?", PATIENT).await;

    // By default nobody on IRC is told.
    user.types(&room, true).await;
    user.text(&room, "fine").await;
    irc.wait_said(&puppet("truser"), "#tr").await;
    assert!(!irc.lines().iter().any(|line| line.command == "TAGMSG"), "{:?}", irc.lines());
}
