//! The harness itself, without the bridge: when these fail, the stories say nothing about the bridge.

use crate::support::door::Door;
use crate::support::irc::IrcClient;
use crate::support::ircd::{Ircd, IrcdKind};
use crate::support::process::temp_dir;
use crate::support::proxy::StallProxy;
use crate::support::small_disk::SmallDisk;
use crate::support::synapse::Synapse;
use crate::support::{QUIET, SOON};

#[tokio::test]
async fn two_matrix_users_talk_over_a_restart_of_synapse() {
    let dir = temp_dir();
    let mut synapse = Synapse::start(dir.path(), &[]).await;
    let (mut ada, mut bea) = (synapse.user("ada").await, synapse.user("bea").await);
    let room = ada.create_public_room("here").await;
    assert_eq!(bea.join(&room).await, room);
    bea.set_display_name("Bea").await;

    bea.text(&room, "hello").await;
    bea.emote(&room, "waves").await;
    let kind = ada.wait_body(&room, "waves", SOON).await.kind;
    assert_eq!(
        (kind.as_str(), ada.bodies_from(&room, &bea.id)),
        ("m.emote", vec!["hello".into(), "waves".into()])
    );

    synapse.stop();
    synapse.run().await;
    ada.notice(&room, "back").await;
    bea.wait_body(&room, "back", SOON).await;

    synapse.kill();
    synapse.run().await;
    bea.leave(&room).await;
    ada.wait_membership(&room, &bea.id, "leave", SOON).await;
    assert!(ada.resolve("#nowhere:lab.test").await.is_err());
}

#[tokio::test]
async fn inspircd_serves() {
    serves(IrcdKind::InspIrcd).await;
}

#[tokio::test]
async fn ngircd_serves() {
    serves(IrcdKind::NgIrcd).await;
}

#[tokio::test]
async fn ircd_hybrid_serves() {
    serves(IrcdKind::Hybrid).await;
}

async fn serves(kind: IrcdKind) {
    let dir = temp_dir();
    let mut ircd = Ircd::start(kind, dir.path()).await;
    let proxy = StallProxy::start(ircd.port);
    let mut ada = ircd.client("ada").await;
    ada.join("#here").await;
    assert!(ada.isupport("CHANTYPES").is_some_and(|types| types.contains('#')));

    // Fifty clients from one address, all at once, through the proxy.
    let mut crowd = Vec::new();
    for number in 0..50 {
        crowd.push(tokio::spawn(present(proxy.port, format!("c{number}[m]"))));
    }
    let mut clients = Vec::new();
    for client in crowd {
        clients.push(client.await.expect("each of fifty clients gets in"));
    }
    assert_eq!(ada.names("#here").await.len(), 51);

    flood_is_not_throttled(&mut ada, &clients[0]).await;
    stall_loses_nothing(&mut ada, &mut clients[1], &proxy).await;

    let mut oper = ircd.operator("oper").await;
    oper.kill("c1[m]").await;
    ada.wait_no_member("#here", "c1[m]").await;
    assert!(ada.whois("c2[m]").await.iter().any(|l| l.command == "311"));
    proxy.cut("c2[m]");
    ada.wait_no_member("#here", "c2[m]").await;

    ircd.kill_server();
    ircd.run().await;
    ircd.client("again").await;
}

async fn present(port: u16, nick: String) -> IrcClient {
    let mut client = IrcClient::connect(port, &nick).await;
    client.join("#here").await;
    client
}

/// Two hundred lines at once are there at once: no penalty, no fake lag.
async fn flood_is_not_throttled(ada: &mut IrcClient, speaker: &IrcClient) {
    for number in 0..200 {
        speaker.say("#here", &format!("line {number}")).await;
    }
    for number in 0..200 {
        assert_eq!(ada.wait_said(&speaker.nick, "#here").await, format!("line {number}"));
    }
}

/// A stalled connection stays in the channel, gets nothing, and gets everything once it goes on.
async fn stall_loses_nothing(ada: &mut IrcClient, silent: &mut IrcClient, proxy: &StallProxy) {
    silent.fence().await;
    proxy.stall(&silent.nick);
    ada.say("#here", "are you there?").await;
    silent.say("#here", "yes").await;
    tokio::time::sleep(QUIET / 10).await;
    assert!(ada.names("#here").await.contains(&silent.nick));
    assert!(!ada.lines().iter().any(|l| l.is_from("PRIVMSG", &silent.nick, "#here")));
    proxy.resume(&silent.nick);
    assert_eq!(silent.wait_said("ada", "#here").await, "are you there?");
    assert_eq!(ada.wait_said(&silent.nick, "#here").await, "yes");
}

#[tokio::test]
async fn a_proxy_that_is_shut_lets_nobody_through() {
    let dir = temp_dir();
    let ircd = Ircd::start(IrcdKind::InspIrcd, dir.path()).await;
    let proxy = StallProxy::start(ircd.port);
    let mut ada = IrcClient::connect(proxy.port, "ada").await;
    proxy.shut();
    ada.ended().await;
    let mut early = IrcClient::open(&Door::plain(proxy.port), "early").await;
    early.ended().await;
    proxy.open();
    let mut bea = IrcClient::connect(proxy.port, "bea").await;

    let stalled = proxy.stall_newest("be");
    bea.send("PING :held").await;
    stalled.cut();
    bea.ended().await;
    assert!(!bea.lines().iter().any(|l| l.command == "PONG"), "nothing came through");
}

#[test]
fn a_small_disk_runs_full_and_is_relieved() {
    let dir = temp_dir();
    let disk = SmallDisk::mount(dir.path());
    let file = disk.dir().join("file");
    disk.fill();
    assert!(std::fs::write(&file, [0; 4096]).is_err(), "it is full");
    disk.relieve();
    std::fs::write(&file, [0; 4096]).expect("there is room again");
}
