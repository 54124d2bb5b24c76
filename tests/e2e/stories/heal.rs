//! Synapse restarts in the midst of talk: it forgets events that it had answered to their senders and not yet
//! pushed. They arrive all the same, each once, in the order of their room.
//!
//! Each story has a world of its own: a homeserver that goes away would fail the others.

use std::time::Duration;

use crate::support::bridge::BridgeConfig;
use crate::support::irc::IrcClient;
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::matrix::MatrixUser;
use crate::support::synapse::Recovery;
use crate::support::world::{World, puppet};
use crate::support::{PATIENT, QUIET, eventually, join_all};

/// Messages of one burst in one room.
const BURST: usize = 15;
const CHANNELS: [&str; 2] = ["#heal-one", "#heal-two"];
const NAMES: [&str; 2] = ["ada", "bea"];

/// How the homeserver ends.
#[derive(Clone, Copy)]
enum Signal {
    Kill,
    Term,
}

struct Lab {
    world: World,
    irc: IrcClient,
    /// Who talks in which room.
    talkers: Vec<(MatrixUser, String)>,
    said: usize,
}

impl Lab {
    async fn new() -> Lab {
        let none = |_: &mut BridgeConfig, _: &crate::support::ircd::Ircd| {};
        let world = World::with(IrcdKind::InspIrcd, &Setup::default(), none).await;
        let mut irc = world.irc("healirc").await;
        let mut talkers = Vec::new();
        for (name, channel) in NAMES.into_iter().zip(CHANNELS) {
            irc.join(channel).await;
            talkers.push(world.joined(name, channel, &mut irc).await);
        }
        world.settled(&mut irc).await;
        Lab { world, irc, talkers, said: 0 }
    }

    /// A burst in both rooms at the same time; ends when the last sender has an event id.
    async fn burst(&mut self) {
        let from = self.said;
        let talk = self.talkers.iter().map(|(user, room)| async move {
            for number in from..from + BURST {
                user.text(room, &format!("line {number}")).await;
            }
        });
        join_all(talk).await;
        self.said += BURST;
    }

    fn end_synapse(&mut self, signal: Signal) {
        match signal {
            Signal::Kill => self.world.synapse.kill(),
            Signal::Term => self.world.synapse.stop(),
        }
    }

    /// Everything said so far is on IRC, each line once and in its channel's order.
    async fn assert_all_said_once(&mut self) {
        let expected: Vec<String> = (0..self.said).map(|number| format!("line {number}")).collect();
        let last = expected.last().expect("something was said");
        eventually("the last line is in both channels", PATIENT, || {
            let is_there = [0, 1].iter().all(|place| self.said_in(*place).last() == Some(last));
            async move { is_there.then_some(()) }
        })
        .await;
        tokio::time::sleep(QUIET).await;
        self.irc.fence().await;
        for (place, channel) in CHANNELS.iter().enumerate() {
            assert_eq!(self.said_in(place), expected, "{channel}");
        }
    }

    /// What the talker of a channel said there, as IRC saw it.
    fn said_in(&self, place: usize) -> Vec<String> {
        let nick = puppet(NAMES[place]);
        let lines = self.irc.lines().into_iter();
        lines.filter(|l| l.is_from("PRIVMSG", &nick, CHANNELS[place])).map(|l| l.params[1].clone()).collect()
    }
}

async fn restart_after_a_burst(signal: Signal) {
    let mut lab = Lab::new().await;
    lab.burst().await;
    lab.end_synapse(signal);
    lab.world.synapse.run().await;
    lab.assert_all_said_once().await;
    lab.world.bridge.wait_log(&["all rooms are read back"], PATIENT).await;
}

/// SIGKILL as soon as the last send was answered.
#[tokio::test]
async fn killed_after_a_burst() {
    restart_after_a_burst(Signal::Kill).await;
}

/// SIGTERM loses as much.
#[tokio::test]
async fn ended_after_a_burst() {
    restart_after_a_burst(Signal::Term).await;
}

/// People go on talking as soon as the homeserver is back, while the rooms are being read.
#[tokio::test]
async fn killed_between_two_bursts() {
    let mut lab = Lab::new().await;
    lab.burst().await;
    lab.end_synapse(Signal::Kill);
    lab.world.synapse.run().await;
    lab.burst().await;
    lab.assert_all_said_once().await;
}

/// The bridge stands still: nearly all of the burst is in the homeserver's memory when it ends.
#[tokio::test]
async fn killed_while_the_bridge_was_slow() {
    for signal in [Signal::Kill, Signal::Term] {
        let mut lab = Lab::new().await;
        lab.world.bridge.pause();
        lab.burst().await;
        lab.end_synapse(signal);
        lab.world.bridge.resume();
        lab.world.synapse.run().await;
        lab.assert_all_said_once().await;
        // Not found by chance.
        lab.world.bridge.wait_log(&["what was missing goes its way"], Duration::from_secs(5)).await;
    }
}

/// The bridge is killed, and what is said just when Synapse has handed over everything is written down and sent by
/// nobody. It is said before what comes after it, and also when nothing does.
#[tokio::test]
async fn killed_bridge_and_a_slow_recovery() {
    let mut lab = Lab::new().await;
    lab.world.synapse.stop();
    lab.world.synapse.set_recovery(Recovery::Slow);
    lab.world.synapse.run().await;
    lab.burst().await;
    lab.assert_all_said_once().await;
    lab.world.bridge.kill();
    lab.burst().await;
    lab.world.bridge.launch();
    // Until it is sure that something was said in that second.
    for _ in 0..8 {
        lab.burst().await;
    }
    lab.assert_all_said_once().await;
    assert!(lab.world.synapse.kept_events().contains('$'), "nothing was stranded, so nothing is shown");
}
