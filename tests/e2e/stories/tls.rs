//! The bridge on IRC by TLS: with the right certificate it talks, with a wrong one it does not, and says so.
//!
//! InspIRCd only: whose certificate it is makes no difference to the bridge.

use std::time::Instant;

use crate::support::PATIENT;
use crate::support::authority::{Authority, ServerCertificate};
use crate::support::bridge::{BridgeConfig, Wire};
use crate::support::ircd::{Ircd, IrcdKind, Setup, Sts};
use crate::support::process::{sub_dir, temp_dir};
use crate::support::world::{World, puppet};

#[tokio::test]
async fn only_the_right_certificate_is_talked_to() {
    let dir = temp_dir();
    let authority = Authority::new(dir.path());
    let setup = Setup { tls: Some(authority.server(ServerCertificate::Right)), ..Setup::default() };
    let by_tls = |config: &mut BridgeConfig, ircd: &Ircd| {
        config.irc_port = ircd.tls_port;
        config.irc_wire = Wire::Tls { ca_file: authority.ca_file.clone() };
    };
    let mut world = World::with(IrcdKind::InspIrcd, &setup, by_tls).await;

    let mut irc = world.irc("bea").await;
    irc.join("#safe").await;
    let (user, room) = world.joined("ada", "#safe", &mut irc).await;
    let whois = irc.whois(&puppet("ada")).await;
    assert!(whois.iter().any(|l| l.command == "671"), "a secure connection: {whois:#?}");
    user.text(&room, "out of earshot").await;
    assert_eq!(irc.wait_said(&puppet("ada"), "#safe").await, "out of earshot");
    let bridge = &mut world.bridge;
    bridge.stop();

    for certificate in
        [ServerCertificate::WrongName, ServerCertificate::UnknownIssuer, ServerCertificate::Expired]
    {
        let wrong = server(&sub_dir(dir.path(), &format!("{certificate:?}")), &authority, certificate).await;
        let mut irc = wrong.client("bea").await;
        bridge.config.irc_port = wrong.tls_port;
        bridge.write_config();
        bridge.run().await;
        // It tries again and again, and says which server and why.
        bridge.wait_log(&["warn", &wrong.tls_port.to_string(), "certificate"], PATIENT).await;
        let whois = irc.whois(&puppet("ada")).await;
        assert!(whois.iter().any(|l| l.command == "401"), "{certificate:?}: nobody comes in: {whois:#?}");
        bridge.stop();
    }
}

async fn server(parent: &std::path::Path, authority: &Authority, certificate: ServerCertificate) -> Ircd {
    let tls = Some(authority.server(certificate));
    Ircd::start_as(IrcdKind::InspIrcd, parent, &Setup { tls, ..Setup::default() }).await
}

/// A pinned certificate is good, whatever else is wrong with it; with any other nobody is let talk.
#[tokio::test]
async fn a_pinned_certificate_is_the_only_one() {
    let dir = temp_dir();
    let authority = Authority::new(dir.path());
    let expired = authority.server(ServerCertificate::Expired);
    let setup = Setup { tls: Some(expired.clone()), ..Setup::default() };
    let pinned = |fingerprint: String| Wire::Pinned { fingerprint };
    let mut world = World::with(IrcdKind::InspIrcd, &setup, |config, ircd| {
        config.irc_port = ircd.tls_port;
        config.irc_wire = pinned(expired.fingerprint());
    })
    .await;
    let mut irc = world.irc("bea").await;
    irc.join("#pinned").await;
    let (user, room) = world.joined("ada", "#pinned", &mut irc).await;
    user.text(&room, "out of earshot").await;
    assert_eq!(irc.wait_said(&puppet("ada"), "#pinned").await, "out of earshot");

    let bridge = &mut world.bridge;
    bridge.stop();
    irc.wait_no_member("#pinned", &puppet("ada")).await;
    bridge.config.irc_wire = pinned(authority.server(ServerCertificate::Right).fingerprint());
    bridge.write_config();
    bridge.run().await;
    bridge.wait_log(&["warn", "tls.fingerprints"], PATIENT).await;
    assert!(!irc.names("#pinned").await.contains(&puppet("ada")));
}

/// A server that asks for TLS is dialled in plain text once, ever.
#[tokio::test]
async fn a_server_that_asks_for_tls_gets_it() {
    let dir = temp_dir();
    let authority = Authority::new(dir.path());
    let tls = Some(authority.server(ServerCertificate::Right));
    let from = Instant::now();
    let setup = Setup { tls, sts: Sts::On, ..Setup::default() };
    let mut world = World::with(IrcdKind::InspIrcd, &setup, |config, _| {
        config.irc_wire = Wire::Upgraded { ca_file: authority.ca_file.clone() };
    })
    .await;
    let mut irc = world.irc("bea").await;
    irc.join("#upgraded").await;
    world.settled(&mut irc).await;
    for name in ["ada", "eve"] {
        world.joined(name, "#upgraded", &mut irc).await;
        assert!(irc.whois(&puppet(name)).await.iter().any(|l| l.command == "671"), "{name} is on TLS");
    }
    // Only the plain port is behind the proxy.
    assert_eq!(world.proxy.arrivals(from).len(), 1, "the first was asked, the others knew");

    world.bridge.stop();
    irc.wait_no_member("#upgraded", &puppet("ada")).await;
    world.bridge.run().await;
    for name in ["ada", "eve"] {
        irc.wait_member("#upgraded", &puppet(name)).await;
        assert!(irc.whois(&puppet(name)).await.iter().any(|l| l.command == "671"), "{name} is on TLS");
    }
    assert_eq!(world.proxy.arrivals(from).len(), 1, "it is known after a restart");
}
