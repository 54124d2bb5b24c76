//! Everybody is cut off at once, on a server that refuses who come too fast: all come back, none is refused.
//!
//! On InspIRCd only, which can count connections by the second. `BUNRAKU_STORM=200` makes it as many puppets.

use std::time::{Duration, Instant};

use crate::support::irc::IrcClient;
use crate::support::ircd::{IrcdKind, Setup, Throttle};
use crate::support::matrix::MatrixUser;
use crate::support::proxy::busiest_second;
use crate::support::world::{PLUMBED_CHANNEL, World, alias, puppet};
use crate::support::{eventually, join_all};

/// What the server lets in within a second of its clock; the next is refused.
const SERVER_PER_SECOND: u32 = 20;
/// The bridge's pace: so many at once, and then one each interval.
const BURST: u32 = 2;
const INTERVAL_MS: u64 = 80;
/// What a busy machine may be late in sum. What is measured is the pace, not this.
const PATIENCE: Duration = Duration::from_secs(180);
/// Made at the same time on Matrix: a homeserver is no part of this story.
const AT_ONCE: usize = 10;

#[tokio::test]
async fn a_storm_stays_within_the_pace() {
    let count =
        std::env::var("BUNRAKU_STORM").map_or(500, |count| count.parse().expect("a number of puppets"));
    let setup = Setup { throttle: Throttle::PerSecond(SERVER_PER_SECOND), ..Setup::default() };
    let world = World::with(IrcdKind::InspIrcd, &setup, |config, _| {
        config.connect = format!(
            "{{ burst: {BURST}, interval_ms: {INTERVAL_MS}, at_once: 100, connections_max: 5000, retry_ms_min: 200, \
             retry_ms_max: 2000 }}"
        );
    })
    .await;
    let mut irc = world.irc("watcher").await;
    irc.join("#storm").await;
    world.settled(&mut irc).await;

    let started = Instant::now();
    let (mut users, room) = crowd(&world, count).await;
    all_there(&mut irc, count).await;
    in_pace(&world.proxy.arrivals(started), count);
    eprintln!("{count} there after {:?}", started.elapsed());

    // The world's own is one more.
    let cut = Instant::now();
    assert_eq!(world.proxy.cut_all(), count + 1);
    // Until then the server may still show who is gone.
    let limit = Duration::from_millis(INTERVAL_MS * count as u64) + PATIENCE;
    eventually("all come again", limit, || async { (world.proxy.arrivals(cut).len() > count).then_some(()) })
        .await;
    all_there(&mut irc, count).await;
    irc.wait_member(PLUMBED_CHANNEL, &puppet("plumber")).await;
    in_pace(&world.proxy.arrivals(cut), count + 1);
    eprintln!("{count} back after {:?}", cut.elapsed());
    assert_eq!(world.bridge.logged(&["throttled"]), 0, "the server refused nobody");
    // They talk again, and what lasted seconds is nobody's business.
    let reader = &mut users[0];
    irc.say("#storm", "that was a storm").await;
    reader.wait_body(&room, "that was a storm", Duration::from_secs(60)).await;
    let told = reader.bodies_from(&room, &world.bridge.bot());
    assert!(told.is_empty(), "{told:#?}");
}

/// So many Matrix users in the channel's room; with the room.
async fn crowd(world: &World, count: usize) -> (Vec<MatrixUser>, String) {
    let first = world.user("s0").await;
    let room = first.join(&alias("#storm")).await;
    let (mut users, numbers) = (vec![first], (1..count).collect::<Vec<_>>());
    for some in numbers.chunks(AT_ONCE) {
        let coming = some.iter().map(|number| newcomer(world, format!("s{number}"), &room));
        users.extend(join_all(coming).await);
    }
    (users, room)
}

async fn newcomer(world: &World, name: String, room: &str) -> MatrixUser {
    let user = world.user(&name).await;
    user.join(room).await;
    user
}

async fn all_there(irc: &mut IrcClient, count: usize) {
    let irc = tokio::sync::Mutex::new(irc);
    let limit = Duration::from_millis(INTERVAL_MS * count as u64) + PATIENCE;
    eventually(&format!("{count} puppets in the channel"), limit, || async {
        let names = irc.lock().await.names("#storm").await;
        (0..count).all(|number| names.contains(&puppet(&format!("s{number}")))).then_some(())
    })
    .await;
}

/// One connection each, never more in a second than the pace allows, and the whole no faster either.
///
/// A busy machine may see connections later than they came, and so more of them in one second; the server's own
/// limit leaves room for that, and what the pace gives it is less.
fn in_pace(arrivals: &[Instant], count: usize) {
    assert_eq!(arrivals.len(), count, "one connection each");
    let busiest = busiest_second(arrivals);
    assert!(busiest <= SERVER_PER_SECOND as usize, "{busiest} in a second");
    let took = arrivals[count - 1] - arrivals[0];
    let evenly = Duration::from_millis(INTERVAL_MS * (count as u64 - u64::from(BURST)));
    assert!(took + SLACK >= evenly, "{count} came within {took:?}, and {evenly:?} is the pace");
}

/// What the first or the last of them may have been late.
const SLACK: Duration = Duration::from_millis(500);
