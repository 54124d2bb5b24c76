//! A room that two networks have: what is said there is said on both, what is said on one is heard on the other, and
//! each has its own end.

use std::time::Duration;

use crate::support::irc::IrcClient;
use crate::support::ircd::{Ircd, IrcdKind, Setup};
use crate::support::matrix::Message;
use crate::support::process::temp_dir;
use crate::support::proxy::StallProxy;
use crate::support::synapse::DOMAIN;
use crate::support::world::{PLUMBED_CHANNEL, World, ghost, puppet};
use crate::support::{PATIENT, QUIET};

/// The channel of the second network, whose key is `there`.
const THERE: &str = "#there";
const BOT: &str = "bunraku";

#[tokio::test]
async fn shared_inspircd_ngircd() {
    shared(IrcdKind::InspIrcd, IrcdKind::NgIrcd).await;
}

#[tokio::test]
async fn shared_ngircd_hybrid() {
    shared(IrcdKind::NgIrcd, IrcdKind::Hybrid).await;
}

#[tokio::test]
async fn shared_hybrid_inspircd() {
    shared(IrcdKind::Hybrid, IrcdKind::InspIrcd).await;
}

/// The two servers, a person on each, and the second network's way to it.
struct Sides {
    world: World,
    room: String,
    here: IrcClient,
    there: IrcClient,
    way: StallProxy,
    server: Ircd,
    _dir: tempfile::TempDir,
}

async fn shared(first: IrcdKind, second: IrcdKind) {
    let mut sides = Sides::start(first, second).await;
    sides.everybody_hears_once().await;
    sides.one_nick_on_both().await;
    sides.one_refuses().await;
    sides.a_crash_between_the_two_ends().await;
    sides.one_is_away_for_long().await;
    sides.the_room_is_replaced().await;
}

impl Sides {
    /// A world whose room a second network is given later: it shares what one had for itself.
    async fn start(first: IrcdKind, second: IrcdKind) -> Sides {
        let dir = temp_dir();
        let server = Ircd::start_as(second, dir.path(), &Setup::default()).await;
        let way = StallProxy::start(server.port);
        let network = |channels: &str| {
            format!(
                "  there:\n    name: There\n    servers: [ {{ host: 127.0.0.1, port: {}, tls: false }} ]\n    \
                 nick: \"$DISPLAY[m]\"\n    flood: {{ burst: 100, line_ms: 0 }}\n    messages: {{ age_s_max: 40 }}\n    \
                 connect: {{ burst: 100, interval_ms: 0, retry_ms_min: 200, retry_ms_max: 2000 }}\n    \
                 channels: [ {channels} ]",
                way.port
            )
        };
        let mut world = World::with(first, &Setup::default(), |config, _| {
            config.network_lines = vec![format!("operators: {{ nick: {BOT} }}")];
            config.top_lines = vec![network("")];
        })
        .await;
        let room = world.plumbed_room.clone();
        let (mut here, mut there) = (world.irc("herbert").await, server.client("thea").await);
        here.join(PLUMBED_CHANNEL).await;
        there.join(THERE).await;
        here.wait_member(PLUMBED_CHANNEL, &puppet("plumber")).await;
        world.plumber.text(&room, "to one").await;
        assert_eq!(here.wait_said(&puppet("plumber"), PLUMBED_CHANNEL).await, "to one");

        world.bridge.stop();
        let mapped = format!("{{ channel: \"{THERE}\", rooms: [ \"{room}\" ] }}");
        world.bridge.config.top_lines = vec![network(&mapped)];
        world.bridge.write_config();
        world.bridge.run().await;
        for (irc, channel) in [(&mut here, PLUMBED_CHANNEL), (&mut there, THERE)] {
            irc.wait_member(channel, &puppet("plumber")).await;
            irc.wait_member(channel, BOT).await;
        }
        Sides { world, room, here, there, way, server, _dir: dir }
    }

    /// What is said in a channel by somebody, as often as it is.
    fn heard(irc: &IrcClient, nick: &str, channel: &str) -> Vec<String> {
        let said = irc.lines().into_iter().filter(|line| line.is_from("PRIVMSG", nick, channel));
        said.map(|line| line.params[1].clone()).collect()
    }

    async fn everybody_hears_once(&mut self) {
        let Sides { world, room, here, there, .. } = self;
        world.plumber.text(room, "to both").await;
        assert_eq!(here.wait_said(&puppet("plumber"), PLUMBED_CHANNEL).await, "to both");
        assert_eq!(
            there.wait_said(&puppet("plumber"), THERE).await,
            "to both",
            "and nothing of before it came"
        );

        here.say(PLUMBED_CHANNEL, "from here").await;
        world
            .plumber
            .wait_message(room, "from here", PATIENT, |m| by(m, &ghost("herbert"), "from here"))
            .await;
        assert_eq!(there.wait_said(BOT, THERE).await, "<herbert@local> from here");
        there.action(THERE, "nods").await;
        world.plumber.wait_message(room, "a nod", PATIENT, |m| by(m, &ghost_there("thea"), "nods")).await;
        assert_eq!(here.wait_said(BOT, PLUMBED_CHANNEL).await, "* thea@there nods");
        tokio::time::sleep(QUIET).await;
        // Nothing came back, and nobody heard anything twice.
        assert_eq!(Self::heard(here, BOT, PLUMBED_CHANNEL), ["* thea@there nods"]);
        assert_eq!(Self::heard(there, BOT, THERE), ["<herbert@local> from here"]);
        assert_eq!(Self::heard(there, &puppet("plumber"), THERE), ["to both"]);
        world.plumber.drain(Duration::from_millis(100)).await;
        assert_eq!(world.plumber.bodies_from(room, &ghost("herbert")), ["from here"]);
        assert_eq!(world.plumber.bodies_from(room, &ghost_there("thea")), ["nods"]);
        assert!(world.plumber.bodies_from(room, &ghost(BOT)).is_empty());
        assert!(world.plumber.bodies_from(room, &ghost_there(BOT)).is_empty());
    }

    /// Two people of one nick are two people.
    async fn one_nick_on_both(&mut self) {
        let Sides { world, room, here, there, server, .. } = self;
        let (mut one, mut two) = (world.irc("same").await, server.client("same").await);
        one.join(PLUMBED_CHANNEL).await;
        two.join(THERE).await;
        one.say(PLUMBED_CHANNEL, "I am one").await;
        assert_eq!(there.wait_said(BOT, THERE).await, "<same@local> I am one");
        two.say(THERE, "I am another").await;
        assert_eq!(here.wait_said(BOT, PLUMBED_CHANNEL).await, "<same@there> I am another");
        world.plumber.wait_message(room, "one", PATIENT, |m| by(m, &ghost("same"), "I am one")).await;
        let another = |m: &Message| by(m, &ghost_there("same"), "I am another");
        world.plumber.wait_message(room, "another", PATIENT, another).await;
    }

    /// What one of two channels refuses is told with its name, and the other has it.
    async fn one_refuses(&mut self) {
        let Sides { world, room, here, there, .. } = self;
        there.send(&format!("MODE {THERE} +m")).await;
        there
            .wait("moderation", PATIENT, |line| {
                line.command == "MODE" && line.params.iter().any(|p| p.contains('m'))
            })
            .await;
        world.plumber.text(room, "only here").await;
        assert_eq!(here.wait_said(&puppet("plumber"), PLUMBED_CHANNEL).await, "only here");
        let told = |m: &Message| m.kind == "m.notice" && m.body.contains(&format!("{THERE} on There"));
        world.plumber.wait_message(room, "what became of it there", PATIENT, told).await;
        there.send(&format!("MODE {THERE} -m")).await;
        there.fence().await;
    }

    /// One network has a message, the other is away, and the bridge dies: it is said where it was not, and there once.
    async fn a_crash_between_the_two_ends(&mut self) {
        let Sides { world, room, here, there, way, .. } = self;
        way.shut();
        there.wait_no_member(THERE, &puppet("plumber")).await;
        world.plumber.text(room, "before the crash").await;
        assert_eq!(here.wait_said(&puppet("plumber"), PLUMBED_CHANNEL).await, "before the crash");
        // Until it is known on this side, and on the disk.
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.bridge.kill();
        way.open();
        world.bridge.run().await;
        assert_eq!(there.wait_said(&puppet("plumber"), THERE).await, "before the crash");
        here.wait_member(PLUMBED_CHANNEL, BOT).await;
        tokio::time::sleep(QUIET).await;
        let said = Self::heard(here, &puppet("plumber"), PLUMBED_CHANNEL);
        assert_eq!(said.iter().filter(|text| *text == "before the crash").count(), 1, "{said:?}");
        let said = Self::heard(there, &puppet("plumber"), THERE);
        assert_eq!(said.iter().filter(|text| *text == "before the crash").count(), 1, "{said:?}");
    }

    /// Expired on one, delivered on the other; of a person of Matrix and of one of the other network.
    async fn one_is_away_for_long(&mut self) {
        let Sides { world, room, here, there, way, .. } = self;
        there.wait_member(THERE, BOT).await;
        way.shut();
        there.wait_no_member(THERE, &puppet("plumber")).await;
        world.plumber.text(room, "too late there").await;
        assert_eq!(here.wait_said(&puppet("plumber"), PLUMBED_CHANNEL).await, "too late there");
        here.say(PLUMBED_CHANNEL, "also too late").await;
        let told = |m: &Message| {
            m.kind == "m.notice"
                && m.body.contains("older than 40 seconds")
                && m.body.contains("#there on There")
        };
        world.plumber.wait_message(room, "what became of them", PATIENT, told).await;
        // The second one was said a moment later, and is told of with others.
        tokio::time::sleep(QUIET).await;
        way.open();
        there.wait_member(THERE, BOT).await;
        there.wait_member(THERE, &puppet("plumber")).await;
        world.plumber.text(room, "in time").await;
        assert_eq!(here.wait_said(&puppet("plumber"), PLUMBED_CHANNEL).await, "in time");
        assert_eq!(there.wait_said(&puppet("plumber"), THERE).await, "in time");
        let said = there.lines().into_iter().filter(|line| line.words().contains("too late"));
        assert_eq!(said.count(), 0, "what is too old is not said");
    }

    /// A room that is replaced takes both channels along.
    async fn the_room_is_replaced(&mut self) {
        let Sides { world, room, here, there, .. } = self;
        let next = world.plumber.upgrade(room, "10").await;
        for network in ["network=local", "network=there"] {
            world.bridge.wait_log(&["a channel's room is another one now", network], PATIENT).await;
        }
        world.plumber.text(&next, "in the new room").await;
        assert_eq!(here.wait_said(&puppet("plumber"), PLUMBED_CHANNEL).await, "in the new room");
        assert_eq!(there.wait_said(&puppet("plumber"), THERE).await, "in the new room");
        world.bridge.stop();
        world.bridge.run().await;
        there.wait_member(THERE, BOT).await;
        here.wait_member(PLUMBED_CHANNEL, BOT).await;
        here.say(PLUMBED_CHANNEL, "after all").await;
        assert_eq!(there.wait_said(BOT, THERE).await, "<herbert@local> after all");
        tokio::time::sleep(QUIET).await;
        for (irc, channel) in [(here, PLUMBED_CHANNEL), (there, THERE)] {
            let said = Self::heard(irc, &puppet("plumber"), channel);
            assert_eq!(said.iter().filter(|text| *text == "in the new room").count(), 1, "{said:?}");
        }
    }
}

fn ghost_there(nick: &str) -> String {
    format!("@irc_there_{nick}:{DOMAIN}")
}

fn by(message: &Message, sender: &str, body: &str) -> bool {
    message.sender == sender && message.body == body
}
