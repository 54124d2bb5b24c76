//! The bridge, the IRC server and the homeserver go away and come back.

use super::tell;
use crate::support::PATIENT;
use crate::support::irc::IrcClient;
use crate::support::matrix::MatrixUser;
use crate::support::world::{Story, ghost, puppet};

tell!(bridge_restart, bridge_crash, irc_server_restart);

/// After SIGTERM and a new start the puppets come back by themselves, and what was said meanwhile arrives.
async fn bridge_restart(mut story: Story) {
    let mut irc = story.irc("brirc").await;
    irc.join("#br-again").await;
    let (mut one, room) = story.joined("brone", "#br-again", &mut irc).await;
    let (two, _) = story.joined("brtwo", "#br-again", &mut irc).await;
    both_ways(&mut one, &room, &mut irc, "#br-again", "before").await;

    story.bridge.stop();
    irc.wait_no_member("#br-again", &puppet("brone")).await;
    irc.wait_no_member("#br-again", &puppet("brtwo")).await;
    two.text(&room, "said while the bridge was away").await;
    story.bridge.run().await;

    // First what is said once; the list of names can be asked for as often as need be.
    assert_eq!(irc.wait_said(&puppet("brtwo"), "#br-again").await, "said while the bridge was away");
    irc.wait_member("#br-again", &puppet("brone")).await;
    both_ways(&mut one, &room, &mut irc, "#br-again", "after").await;
    let said = ["before, from IRC", "after, from IRC"];
    assert_eq!(one.bodies_from(&room, &ghost("brirc")), said);
}

/// The same after SIGKILL: what was accepted is on disk.
async fn bridge_crash(mut story: Story) {
    let mut irc = story.irc("bcirc").await;
    irc.join("#bc-crash").await;
    let (mut user, room) = story.joined("bcuser", "#bc-crash", &mut irc).await;
    both_ways(&mut user, &room, &mut irc, "#bc-crash", "before").await;

    story.bridge.kill();
    irc.wait_no_member("#bc-crash", &puppet("bcuser")).await;
    user.text(&room, "said after the crash").await;
    story.bridge.run().await;

    assert_eq!(irc.wait_said(&puppet("bcuser"), "#bc-crash").await, "said after the crash");
    both_ways(&mut user, &room, &mut irc, "#bc-crash", "after").await;
}

/// The IRC server dies and comes back; so do the puppets.
async fn irc_server_restart(mut story: Story) {
    let mut irc = story.irc("isirc").await;
    irc.join("#is-server").await;
    let (mut user, room) = story.joined("isuser", "#is-server", &mut irc).await;

    story.ircd.kill_server();
    story.ircd.run().await;
    let mut irc = story.irc("isirc").await;
    irc.join("#is-server").await;
    irc.wait_member("#is-server", &puppet("isuser")).await;
    both_ways(&mut user, &room, &mut irc, "#is-server", "after").await;
}

/// One line each way, seen on the other side.
async fn both_ways(user: &mut MatrixUser, room: &str, irc: &mut IrcClient, channel: &str, when: &str) {
    let name = user.id.trim_start_matches('@').split(':').next().unwrap_or_default().to_owned();
    user.text(room, &format!("{when}, from Matrix")).await;
    assert_eq!(irc.wait_said(&puppet(&name), channel).await, format!("{when}, from Matrix"));
    irc.say(channel, &format!("{when}, from IRC")).await;
    user.wait_body(room, &format!("{when}, from IRC"), PATIENT).await;
}
