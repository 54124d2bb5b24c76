//! `kill -9` of the bridge at random moments, also while it starts.

use std::time::Duration;

use tokio::time::sleep;

use crate::support::figures::{count, is_long, rate, report};
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::load::Crowd;
use crate::support::random::Random;
use crate::support::world::World;

/// How long it may take until everything said has arrived or was told of.
const AFTERWARDS: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bridge_killed() {
    let mut random = Random::of("bridge_killed");
    let times = count(5, 200);
    let mut world = World::with(IrcdKind::InspIrcd, &Setup::default(), |_, _| {}).await;
    let mut crowd = Crowd::gather(&world, "bk").await;

    let talk = crowd.talk(rate());
    let mut kills = 0;
    while kills < times {
        sleep(random.between_ms(50, 2_000)).await;
        kills += kill(&mut world, &mut crowd).await;
        if random.percent(20) && kills < times {
            sleep(random.between_ms(1, 1_000)).await;
            kills += kill(&mut world, &mut crowd).await;
        }
        crowd.wait_puppets().await;
    }
    talk.stop().await;
    let outcome = crowd.outcome(AFTERWARDS).await;

    let fault = format!("bridge `kill -9` × {kills}");
    let (at_once, unheard) = (outcome.doubled_at_once, outcome.unheard);
    let kept = crowd.among(&outcome.to_irc.lost, &world.synapse.kept_events());
    let words =
        format!("<= {at_once} doubled per puppet and kill; {kept} of the lost still with the homeserver");
    report(&fault, "Matrix to IRC", &outcome.to_irc, &words);
    let (input, oldest) = (outcome.input_lost, outcome.input_lost_ms);
    let words = format!(
        "{input} more, said up to {oldest} ms before a kill, went with it; {unheard} were said while nobody was there"
    );
    report(&fault, "IRC to Matrix", &outcome.to_matrix, &words);
    outcome.to_irc.assert_none_lost("Matrix to IRC");
    let lost = &outcome.to_matrix.lost;
    assert!(lost.is_empty(), "lost on their way to Matrix:\n{}", crowd.moments(lost));
    assert!(at_once <= 1, "one kill doubled {at_once} messages of one puppet");
    // After a start a connection that came into the channel earlier may be read later: what it alone has seen comes behind.
    let overtaken = outcome.to_matrix.overtaken.len();
    assert!(overtaken <= 1 + kills / 20, "{overtaken} lines out of order after {kills} kills");
    assert!(outcome.to_matrix.doubled.is_empty(), "doubled: {:?}", outcome.to_matrix.doubled);
    assert!(!is_long() || oldest <= 20, "{oldest} ms of what was said on IRC went with a kill");
}

/// Kills and starts; gives 1.
async fn kill(world: &mut World, crowd: &mut Crowd) -> usize {
    crowd.killing();
    world.bridge.kill();
    world.bridge.launch();
    1
}
