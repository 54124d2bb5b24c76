//! Synapse is ended and killed in the midst of talk, and comes back.

use std::time::Duration;

use tokio::time::sleep;

use crate::support::figures::{count, rate, report};
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::load::{Crowd, Talk};
use crate::support::random::Random;
use crate::support::world::World;

/// How long healing may take.
const AFTERWARDS: Duration = Duration::from_secs(120);

#[derive(Clone, Copy)]
enum End {
    Term,
    Kill,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn homeserver_ended() {
    restarted("homeserver_ended", "he", End::Term).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn homeserver_killed() {
    restarted("homeserver_killed", "hk", End::Kill).await;
}

async fn restarted(name: &str, tag: &str, end: End) {
    let mut random = Random::of(name);
    let times = count(2, 20);
    let mut world = World::with(IrcdKind::InspIrcd, &Setup::default(), |_, _| {}).await;
    let mut crowd = Crowd::gather(&world, tag).await;

    let mut talk = crowd.talk(rate());
    for turn in 0..times {
        sleep(random.between_ms(500, 3_000)).await;
        // In turns in the midst of talk, and right after a burst: what was answered last is the easiest to lose.
        if turn % 2 == 0 {
            talk.stop().await;
            crowd.burst().await;
            talk = Talk::silent();
        }
        match end {
            End::Term => world.synapse.stop(),
            End::Kill => world.synapse.kill(),
        }
        world.synapse.run().await;
        talk.stop().await;
        talk = crowd.talk(rate());
        // Something must be said after it, or nobody would know of a gap.
        let before = crowd.accepted();
        while crowd.accepted() < before + 10 {
            sleep(Duration::from_millis(50)).await;
        }
    }
    talk.stop().await;
    let outcome = crowd.outcome(AFTERWARDS).await;

    let signal = match end {
        End::Term => "SIGTERM",
        End::Kill => "SIGKILL",
    };
    let fault = format!("Synapse {signal} × {times}");
    report(&fault, "Matrix to IRC", &outcome.to_irc, "");
    report(&fault, "IRC to Matrix", &outcome.to_matrix, "");
    outcome.to_irc.assert_exactly_once("Matrix to IRC");
    outcome.to_matrix.assert_exactly_once("IRC to Matrix");
    assert_eq!(outcome.unheard, 0, "puppets stay while the homeserver is away");
}
