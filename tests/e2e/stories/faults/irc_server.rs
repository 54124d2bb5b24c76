//! The IRC server dies and comes back, a connection falls silent, and the server stays away for too long.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::support::figures::{count, rate, report};
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::load::{Crowd, Outcome};
use crate::support::random::Random;
use crate::support::world::World;
use crate::support::{PATIENT, eventually};

/// Notices of what failed are counted for a minute.
const AFTERWARDS: Duration = Duration::from_secs(90);

/// SIGKILL of the server; Matrix users go on talking while it is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn irc_server_killed() {
    let mut random = Random::of("irc_server_killed");
    let times = count(1, 20);
    let mut world = World::with(IrcdKind::InspIrcd, &Setup::default(), |_, _| {}).await;
    let mut crowd = Crowd::gather(&world, "ik").await;

    for _ in 0..times {
        let talk = crowd.talk(rate());
        sleep(random.between_ms(500, 3_000)).await;
        leave(&mut world);
        sleep(random.between_ms(1, 2_000)).await;
        come_back(&mut world, &mut crowd).await;
        talk.stop().await;
        crowd.let_people_in(&world).await;
    }
    let talk = crowd.talk(rate());
    sleep(Duration::from_secs(1)).await;
    talk.stop().await;
    let outcome = crowd.outcome(AFTERWARDS).await;

    let fault = format!("IRC server SIGKILL × {times}");
    tell(&fault, &outcome, "");
    outcome.to_irc.assert_exactly_once("Matrix to IRC");
    outcome.to_matrix.assert_exactly_once("IRC to Matrix");
}

/// The connections of a puppet that talks and of the one with the duty fall silent without closing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_stalled() {
    let mut random = Random::of("connection_stalled");
    let times = count(1, 20);
    let mut world = World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config.ping = "{ after_ms: 1000, timeout_ms: 2000 }".to_owned();
    })
    .await;
    let mut crowd = Crowd::gather(&world, "cs").await;

    let talk = crowd.talk(rate());
    for _ in 0..times {
        sleep(random.between_ms(500, 2_000)).await;
        let victims = [crowd.speaker(0), crowd.reader_name()];
        let stalled: Vec<_> = victims.iter().map(|name| world.proxy.stall_newest(name)).collect();
        crowd.expect_back();
        crowd.wait_back(&victims).await;
        // The server has not heard of it yet.
        stalled.into_iter().for_each(|link| link.cut());
    }
    talk.stop().await;
    let outcome = crowd.outcome(AFTERWARDS).await;

    tell(&format!("silent TCP stall of two puppets × {times}"), &outcome, "");
    outcome.to_irc.assert_exactly_once("Matrix to IRC");
    outcome.to_matrix.assert_exactly_once("IRC to Matrix");
    world.bridge.stop();
}

/// The server is away for longer than a message may wait: what is too old is told, the rest comes in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn irc_server_away_too_long() {
    const AGE_MAX: Duration = Duration::from_secs(10);
    /// Clocks and the checking of ages may take this long.
    const SLACK: Duration = Duration::from_secs(2);
    let mut random = Random::of("irc_server_away_too_long");
    let times = count(1, 10);
    let mut world = World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config.network_lines = vec![format!("messages: {{ age_s_max: {} }}", AGE_MAX.as_secs())];
    })
    .await;
    let mut crowd = Crowd::gather(&world, "ia").await;

    let mut late_spans = Vec::new();
    for _ in 0..times {
        let talk = crowd.talk(rate() / 4);
        sleep(random.between_ms(500, 1_000)).await;
        leave(&mut world);
        let left = Instant::now();
        wait_told_more(&mut crowd).await;
        sleep(random.between_ms(1, 3_000)).await;
        let back = Instant::now();
        come_back(&mut world, &mut crowd).await;
        talk.stop().await;
        crowd.let_people_in(&world).await;
        late_spans.push((left, back - AGE_MAX - SLACK));
    }
    let outcome = crowd.outcome(AFTERWARDS).await;

    let late: usize = late_spans.iter().map(|(from, to)| crowd.arrived_of(*from, *to)).sum();
    let fault = format!("IRC server away for longer than max_age × {times}");
    tell(&fault, &outcome, &format!("{late} delivered late"));
    outcome.to_irc.assert_exactly_once("Matrix to IRC");
    assert!(outcome.to_irc.told > 0 && outcome.to_irc.arrived > 0, "some were too old, some were not");
    assert_eq!(late, 0, "what is too old is never said");
}

/// Kills the server and keeps the bridge from finding the next one.
fn leave(world: &mut World) {
    world.ircd.kill_server();
    world.proxy.shut();
}

/// Starts the server; the watcher is there before the bridge.
async fn come_back(world: &mut World, crowd: &mut Crowd) {
    world.ircd.run().await;
    crowd.watch_anew(world).await;
    world.proxy.open();
    crowd.wait_puppets().await;
}

async fn wait_told_more(crowd: &mut Crowd) {
    let before = crowd.told().await;
    let crowd = tokio::sync::Mutex::new(crowd);
    eventually("the first sender is told", PATIENT, || async {
        let told = crowd.lock().await.told().await;
        (told > before).then_some(())
    })
    .await;
}

fn tell(fault: &str, outcome: &Outcome, more: &str) {
    report(fault, "Matrix to IRC", &outcome.to_irc, more);
    report(fault, "IRC to Matrix", &outcome.to_matrix, "");
}
