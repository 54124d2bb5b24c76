//! Who a puppet is to an IRC server: its ident, its address, and the gateway that speaks for it.
//!
//! Not on ngIRCd: it asks for idents only together with DNS, and shows a gateway's name in the place of the user's.

use crate::support::bridge::{NETWORK, Wire};
use crate::support::door::Door;
use crate::support::irc::IrcClient;
use crate::support::ircd::{GATEWAY_PASSWORD, Ident, Ipv6, Ircd, IrcdKind, Setup};
use crate::support::process::loopback_address;
use crate::support::routed::{PREFIX, RoutedBlock};
use crate::support::world::{World, puppet};

/// Two whose localparts begin alike, longer than an ident may be.
const NAMES: [&str; 2] = ["cassandra-one", "cassandra-two"];

#[tokio::test]
async fn inspircd_asks_who_it_is() {
    ident_is_theirs_for_good(IrcdKind::InspIrcd).await;
}

#[tokio::test]
async fn hybrid_asks_who_it_is() {
    ident_is_theirs_for_good(IrcdKind::Hybrid).await;
}

/// The server asks our ident server and believes it. No two share an ident, and nothing changes one.
async fn ident_is_theirs_for_good(kind: IrcdKind) {
    let address = loopback_address();
    let setup = Setup { ident: Ident::Asked, ..Setup::default() };
    let mut world = World::with(kind, &setup, |config, ircd| {
        // Not through the proxy: the server asks the address that it sees.
        config.irc_port = ircd.port;
        config.network_lines.push(format!("source: {{ addresses: [ \"{address}\" ] }}"));
        config.top_lines.push(format!("identd: {{ listen: \"{address}:113\" }}"));
    })
    .await;
    let mut irc = IrcClient::open(&Door::plain(world.ircd.port), "bea").await;
    irc.register("unasked").await;
    irc.join("#who").await;
    assert_eq!(irc.user_of("bea").await, "~unasked", "whom nobody vouches for");
    let (first, _) = world.joined(NAMES[0], "#who", &mut irc).await;
    let (second, _) = world.joined(NAMES[1], "#who", &mut irc).await;
    let mut idents = Vec::new();
    for (name, user) in NAMES.iter().zip([&first, &second]) {
        let ident = irc.user_of(&puppet(name)).await;
        assert!(!ident.starts_with('~') && (4..=9).contains(&ident.len()), "{ident:?}");
        let owner = world.bridge.login(&["whois", NETWORK, &format!("x!{ident}@host")], "");
        assert!(owner.starts_with(&format!("{} has the ident", user.id)), "{owner}");
        idents.push(ident);
    }
    assert_ne!(idents[0], idents[1]);

    first.set_display_name("Kassandra").await;
    irc.wait_member("#who", &puppet("Kassandra")).await;
    assert_eq!(irc.user_of(&puppet("Kassandra")).await, idents[0], "another nick is no other user");
    world.bridge.stop();
    irc.wait_no_member("#who", &puppet("Kassandra")).await;
    world.bridge.run().await;
    for (nick, ident) in [puppet("Kassandra"), puppet(NAMES[1])].iter().zip(&idents) {
        irc.wait_member("#who", nick).await;
        assert_eq!(irc.user_of(nick).await, *ident, "the same after a restart");
    }
}

/// Each puppet comes from an address of its own, and the gateway's word for it counts.
#[tokio::test]
async fn a_gateway_speaks_for_each_puppet() {
    let _block = RoutedBlock::open();
    for kind in [IrcdKind::Services, IrcdKind::Hybrid] {
        addresses_and_gateway(kind).await;
    }
}

async fn addresses_and_gateway(kind: IrcdKind) {
    let mut world =
        World::with(kind, &Setup { ipv6: Ipv6::Too, ..Setup::default() }, |config, ircd: &Ircd| {
            config.irc_port = ircd.port;
            config.irc_wire = Wire::Ipv6;
            config.network_lines.extend([
                format!("source: {{ ipv6_prefix: \"{PREFIX}\", ipv6_block_bits: 16 }}"),
                format!("webirc: {{ password: {GATEWAY_PASSWORD}, host: \"$IDENT.matrix.test\" }}"),
            ]);
        })
        .await;
    let mut oper = world.ircd.operator("oper").await.client;
    oper.join("#far").await;
    world.settled(&mut oper).await;
    for name in ["ada", "bea"] {
        world.joined(name, "#far", &mut oper).await;
    }
    let before = seen(&mut oper, kind).await;
    for (number, (name, [host, address])) in ["ada", "bea"].iter().zip(&before).enumerate() {
        // The first block is the first homeserver's; the first address in it the world's own user has.
        let own = format!("fd00:b0a:ca::1:{}", number + 2);
        assert_eq!(*address, own, "{kind:?}");
        match kind {
            // It takes the address alone.
            IrcdKind::Services | IrcdKind::InspIrcd => assert_eq!(*host, own),
            IrcdKind::Hybrid | IrcdKind::NgIrcd => assert_eq!(*host, format!("{name}.matrix.test")),
        }
    }
    world.bridge.stop();
    oper.wait_no_member("#far", &puppet("ada")).await;
    world.bridge.run().await;
    for name in ["ada", "bea"] {
        oper.wait_member("#far", &puppet(name)).await;
    }
    assert_eq!(seen(&mut oper, kind).await, before, "the same after a restart");
}

/// Host and address of both puppets, as an operator sees them.
async fn seen(oper: &mut IrcClient, kind: IrcdKind) -> Vec<[String; 2]> {
    let mut seen = Vec::new();
    for name in ["ada", "bea"] {
        let whois = oper.whois(&puppet(name)).await;
        // Its own address it would have without a gateway, too.
        let gateway = match kind {
            IrcdKind::Services | IrcdKind::InspIrcd => "is connected via the bunraku WebIRC gateway",
            IrcdKind::Hybrid | IrcdKind::NgIrcd => "User connected using a webirc gateway",
        };
        assert!(whois.iter().any(|l| l.params.last().is_some_and(|p| p == gateway)), "{kind:?}: {whois:#?}");
        let host = whois.iter().find(|l| l.command == "311").expect("it is there").params[3].clone();
        let actual = whois.iter().find(|l| ["338", "378"].contains(&l.command.as_str()));
        let actual = actual.unwrap_or_else(|| panic!("operators see addresses: {whois:#?}"));
        let words = actual.words();
        let address =
            words.split([' ', '[', ']', '@']).find(|word| word.starts_with("fd00:")).unwrap_or_default();
        seen.push([host, address.to_owned()]);
    }
    seen
}
