//! The network's space: it holds the rooms of open channels, and those alone.
//!
//! In a world of its own: elsewhere there is none.

use crate::support::PATIENT;
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::synapse::DOMAIN;
use crate::support::world::{World, alias, puppet};

const CHILD: &str = "m.space.child";
const PARENT: &str = "m.space.parent";

/// A room is in the space while its channel is neither hidden nor closed; the next run has the same space.
#[tokio::test]
async fn open_channels_are_in_the_space() {
    let mut world = World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config.network_lines.push("directory: { space: portals }".to_owned());
    })
    .await;
    let mut irc = world.irc("spirc").await;
    for channel in ["#sp-open", "#sp-secret"] {
        irc.join(channel).await;
    }
    irc.send("MODE #sp-secret +s").await;
    irc.fence().await;
    let (user, room) = world.joined("spuser", "#sp-open", &mut irc).await;
    let secret = user.join(&alias("#sp-secret")).await;
    irc.wait_member("#sp-secret", &puppet("spuser")).await;

    let space_alias = alias("#x").replacen("#x", "space", 1);
    let space = user.join(&space_alias).await;
    let create = user.state(&space, "m.room.create").await;
    assert_eq!(create["type"], "m.space", "{create}");
    assert_eq!(user.state(&space, "m.room.name").await["name"], "Local");
    let is_in = |content: &serde_json::Value| content["via"][0] == DOMAIN;
    let is_out = |content: &serde_json::Value| content.get("via").is_none();
    user.wait_state_at(&space, (CHILD, &room), PATIENT, is_in).await;
    user.wait_state_at(&room, (PARENT, &space), PATIENT, is_in).await;

    for (hidden, shown) in [("+s", "-s"), ("+i", "-i")] {
        irc.send(&format!("MODE #sp-open {hidden}")).await;
        user.wait_state_at(&space, (CHILD, &room), PATIENT, is_out).await;
        user.wait_state_at(&room, (PARENT, &space), PATIENT, is_out).await;
        irc.send(&format!("MODE #sp-open {shown}")).await;
        user.wait_state_at(&space, (CHILD, &room), PATIENT, is_in).await;
    }
    user.wait_state_at(&space, (CHILD, &secret), PATIENT, is_out).await;

    // What changed while nobody looked.
    world.bridge.stop();
    irc.wait_no_member("#sp-open", &puppet("spuser")).await;
    irc.send("MODE #sp-open +s").await;
    irc.send("MODE #sp-secret -s").await;
    irc.fence().await;
    world.bridge.run().await;
    user.wait_state_at(&space, (CHILD, &room), PATIENT, is_out).await;
    user.wait_state_at(&space, (CHILD, &secret), PATIENT, is_in).await;
    assert_eq!(user.resolve(&space_alias).await.expect("its alias"), space, "one space");
}
