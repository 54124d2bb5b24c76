//! The bridge on IRC by TLS: with the right certificate it talks, with a wrong one it does not, and says so.
//!
//! InspIRCd only: whose certificate it is makes no difference to the bridge.

use crate::support::PATIENT;
use crate::support::authority::{Authority, ServerCertificate};
use crate::support::bridge::{BridgeConfig, Wire};
use crate::support::ircd::{Ircd, IrcdKind, Setup};
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
