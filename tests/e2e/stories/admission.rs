//! Who may be on IRC through the bridge: a policy list on a real homeserver, and permissions, followed while the bridge runs.

use serde_json::{Value, json};

use crate::support::PATIENT;
use crate::support::irc::IrcClient;
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::matrix::MatrixUser;
use crate::support::synapse::DOMAIN;
use crate::support::world::{World, alias, puppet};

const CHANNEL: &str = "#list-story";
const LINKED: &str = "#list-linked";
const RULE: (&str, &str) = ("m.policy.rule.user", "rule:eve*");
const LEGACY: (&str, &str) = ("org.matrix.mjolnir.rule.user", "rule:many");
const LEGACY_SERVER: (&str, &str) = ("org.matrix.mjolnir.rule.server", "rule:all");
const QUIT: &str = "Not welcome here";

#[tokio::test]
async fn inspircd() {
    lists_and_permissions_count_at_once(IrcdKind::InspIrcd).await;
}

#[tokio::test]
async fn ngircd() {
    lists_and_permissions_count_at_once(IrcdKind::NgIrcd).await;
}

#[tokio::test]
async fn hybrid() {
    lists_and_permissions_count_at_once(IrcdKind::Hybrid).await;
}

async fn lists_and_permissions_count_at_once(kind: IrcdKind) {
    let mut world = World::with(kind, &Setup::default(), |_, _| {}).await;
    let mut irc = world.irc("lswatch").await;
    irc.join(CHANNEL).await;
    let (eve, room) = world.joined("lseve", CHANNEL, &mut irc).await;
    let (ada, _) = world.joined("lsada", CHANNEL, &mut irc).await;
    let moderator = world.user("lsmod").await;
    let list = moderator.create_public_room("a policy list").await;

    // The list is followed without a restart.
    let followed = format!(
        "policy_lists: {{ rooms: [ {list:?} ], quit_message: {QUIT:?} }}\npermissions: {{ \"@lsada:{DOMAIN}\": admin }}"
    );
    reload(&mut world, &followed, &["reloaded", "permissions.@lsada", "policy_lists.rooms"]).await;
    world.bridge.wait_log(&["a policy list is followed"], PATIENT).await;

    // A rule: out at once, on both sides, and the others stay.
    moderator.put_state_at(&list, RULE, &ban(&format!("@lseve*:{DOMAIN}"), "spam")).await;
    quits(&mut irc, "lseve").await;
    ada.wait_membership(&room, &eve.id, "leave", PATIENT).await;
    ada.text(&room, "still here").await;
    assert_eq!(irc.wait_said(&puppet("lsada"), CHANNEL).await, "still here");

    // Empty content lifts it.
    moderator.put_state_at(&list, RULE, &json!({})).await;
    comes_back(&eve, &mut irc).await;

    // Nobody empties the bridge by a rule for all of its own homeserver.
    let event = moderator.put_state_at(&list, LEGACY_SERVER, &ban(DOMAIN, "")).await;
    world.bridge.wait_log(&["all of this homeserver, and does not count"], PATIENT).await;
    eve.text(&room, "all the same").await;
    assert_eq!(irc.wait_said(&puppet("lseve"), CHANNEL).await, "all the same");
    moderator.redact(&list, &event).await;

    // A legacy rule for many, which spares the admin; a redaction lifts it.
    let event = moderator.put_state_at(&list, LEGACY, &ban(&format!("@ls*:{DOMAIN}"), "")).await;
    quits(&mut irc, "lseve").await;
    ada.text(&room, "admins stay").await;
    assert_eq!(irc.wait_said(&puppet("lsada"), CHANNEL).await, "admins stay");
    ada.wait_membership(&room, &eve.id, "leave", PATIENT).await;
    moderator.redact(&list, &event).await;
    comes_back(&eve, &mut irc).await;

    a_restart_knows(&mut world, (&moderator, &list), (&eve, &ada, &room), &mut irc).await;

    // A room of people's own is linked without a restart.
    let own = moderator.create_public_room("linked while the bridge runs").await;
    irc.join(LINKED).await;
    world.bridge.config.channels.push((LINKED.to_owned(), vec![own]));
    reload(&mut world, &followed, &["reloaded", "channels (one room more)"]).await;
    irc.wait_member(LINKED, &puppet("lsmod")).await;

    // Permissions, by the file alone.
    let blocked = followed.replace("permissions: {", &format!("permissions: {{ {:?}: blocked,", eve.id));
    reload(&mut world, &blocked, &["reloaded", "permissions.@lseve"]).await;
    quits(&mut irc, "lseve").await;
    ada.wait_membership(&room, &eve.id, "leave", PATIENT).await;
    // A file with a fault changes nothing, and says where.
    reload(&mut world, "permissions: { nobody!: admin }", &["was not reloaded", "permissions.nobody!"]).await;
    reload(
        &mut world,
        "identd: { listen: \"127.0.0.1:1\" }",
        &["reloaded", "restart_needed=\"identd.listen\""],
    )
    .await;
    comes_back(&eve, &mut irc).await;
}

/// Rules hold over a restart from the first moment; what was lifted meanwhile is lifted.
async fn a_restart_knows(
    world: &mut World,
    (moderator, list): (&MatrixUser, &str),
    (eve, ada, room): (&MatrixUser, &MatrixUser, &str),
    irc: &mut IrcClient,
) {
    world.bridge.stop();
    moderator.put_state_at(list, RULE, &ban(&eve.id, "again")).await;
    world.bridge.run().await;
    irc.wait_member(CHANNEL, &puppet("lsada")).await;
    ada.wait_membership(room, &eve.id, "leave", PATIENT).await;
    assert!(!irc.names(CHANNEL).await.contains(&puppet("lseve")));

    world.bridge.stop();
    world.bridge.run().await;
    irc.wait_member(CHANNEL, &puppet("lsada")).await;
    assert!(world.bridge.logged(&["connecting to irc", "lseve"]) > 0);
    let before = world.bridge.logged(&["connecting to irc", "lseve"]);
    eve.try_join(&alias(CHANNEL)).await;
    ada.wait_membership(room, &eve.id, "leave", PATIENT).await;
    assert_eq!(
        world.bridge.logged(&["connecting to irc", "lseve"]),
        before,
        "the rules of the last run hold"
    );

    world.bridge.stop();
    moderator.put_state_at(list, RULE, &json!({})).await;
    world.bridge.run().await;
    irc.wait_member(CHANNEL, &puppet("lsada")).await;
    world.bridge.wait_log(&["a policy list has changed", "gone=1"], PATIENT).await;
    comes_back(eve, irc).await;
}

fn ban(entity: &str, reason: &str) -> Value {
    json!({ "entity": entity, "recommendation": "m.ban", "reason": reason })
}

/// Writes these lines into the configuration, lets the bridge read it, and waits for the words in its log.
async fn reload(world: &mut World, lines: &str, words: &[&str]) {
    world.bridge.config.top_lines = vec![lines.to_owned()];
    world.bridge.write_config();
    world.bridge.hang_up();
    world.bridge.wait_log(words, PATIENT).await;
}

async fn quits(irc: &mut IrcClient, name: &str) {
    let nick = puppet(name);
    let line = irc
        .wait("the QUIT of somebody excluded", PATIENT, |line| line.command == "QUIT" && line.source == nick)
        .await;
    // Hybrid hides the words of those who came within the same second.
    let is_shown = line.words().contains(QUIT) || line.params.last().is_some_and(|words| words == "Quit: ");
    assert!(is_shown, "{}", line.words());
}

async fn comes_back(user: &MatrixUser, irc: &mut IrcClient) {
    let joined = || async { user.try_join(&alias(CHANNEL)).await.is_success().then_some(()) };
    crate::support::eventually("that they may come in again", PATIENT, joined).await;
    let name = user.id.trim_start_matches('@').split(':').next().expect("a localpart").to_owned();
    irc.wait_member(CHANNEL, &puppet(&name)).await;
}
