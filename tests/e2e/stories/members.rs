//! The people of a channel as members of its room, where the operator of the bridge wants that.
//!
//! On InspIRCd only: what servers show of comings and goings is told by the scenarios.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::irc::IrcClient;
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::matrix::MatrixUser;
use crate::support::world::{World, ghost, puppet};
use crate::support::{PATIENT, QUIET, join_all};

const GRACE_S: u64 = 5;

async fn world() -> World {
    World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| {
        config
            .network_lines
            .push(format!("members: {{ to_matrix: full, grace_s: {GRACE_S}, split_grace_s: {GRACE_S} }}"));
    })
    .await
}

/// What became of somebody's membership, in order.
async fn memberships(user: &MatrixUser, room: &str, begin: &str, nick: &str) -> Vec<String> {
    let (events, _) = user.timeline(room, begin).await.expect("the homeserver answers");
    let is_theirs =
        |event: &&Value| event["type"] == "m.room.member" && event["state_key"] == ghost(nick).as_str();
    let state = |event: &Value| event["content"]["membership"].as_str().unwrap_or_default().to_owned();
    events.iter().filter(is_theirs).map(state).collect()
}

/// Some were there before, some come and go; a restart is no event.
#[tokio::test]
async fn people_are_members_while_they_are_there() {
    let mut world = world().await;
    let mut op = world.irc("meop").await;
    op.join("#me-people").await;
    let mut others = Vec::new();
    for nick in ["meann", "mebob", "mecat"] {
        let mut irc = world.irc(nick).await;
        irc.join("#me-people").await;
        others.push(irc);
    }
    let (mut user, room) = world.joined("meuser", "#me-people", &mut op).await;
    let begin = user.now().await;
    for nick in ["meop", "meann", "mebob", "mecat"] {
        user.wait_membership(&room, &ghost(nick), "join", PATIENT).await;
    }
    assert!(user.membership(&room, &ghost(&puppet("meuser"))).await.is_none(), "she is there herself");

    // One is away for a moment, one leaves, one is kicked.
    others[2].send("QUIT :brb").await;
    op.wait_no_member("#me-people", "mecat").await;
    let mut cat = world.irc("mecat").await;
    cat.join("#me-people").await;
    others[0].send("PART #me-people").await;
    op.send("KICK #me-people mebob :enough of it").await;
    let left = user.wait_membership(&room, &ghost("meann"), "leave", PATIENT).await;
    assert_eq!((left.sender, left.reason.as_str()), (ghost("meann"), ""));
    let kicked = user.wait_membership(&room, &ghost("mebob"), "leave", PATIENT).await;
    assert_eq!(kicked.reason, "kicked by meop: enough of it");

    // While the bridge is away one comes and one goes.
    world.bridge.stop();
    op.wait_no_member("#me-people", &puppet("meuser")).await;
    let mut dan = world.irc("medan").await;
    dan.join("#me-people").await;
    cat.send("PART #me-people").await;
    op.wait_no_member("#me-people", "mecat").await;
    world.bridge.run().await;
    user.wait_membership(&room, &ghost("medan"), "join", PATIENT).await;
    user.wait_membership(&room, &ghost("mecat"), "leave", PATIENT).await;
    dan.say("#me-people", "hello").await;
    user.wait_body(&room, "hello", PATIENT).await;

    user.drain(QUIET + Duration::from_secs(GRACE_S)).await;
    for (nick, expected) in [
        ("meop", &["join"][..]),
        ("meann", &["join", "leave"]),
        ("mebob", &["join", "leave"]),
        ("mecat", &["join", "leave"]),
        ("medan", &["join"]),
    ] {
        let shown = memberships(&user, &room, &begin, nick).await;
        // Who was let in before the user's first look is not shown here.
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        assert!(expected.ends_with(&shown), "{nick}: {shown:?}");
        let now = user.membership(&room, &ghost(nick)).await.expect("known").state;
        assert_eq!(expected.last(), Some(&now.as_str()), "{nick}");
    }
}

async fn numbered(world: &World, n: usize) -> IrcClient {
    world.irc(&format!("la{n}")).await
}

/// A large channel is let in while people talk: `BUNRAKU_GHOSTS=1000 cargo test --release … --test e2e a_large_channel`.
#[tokio::test]
async fn a_large_channel_comes_in_behind_what_is_said() {
    let count = std::env::var("BUNRAKU_GHOSTS").map_or(40, |text| text.parse().expect("a number"));
    let world = world().await;
    let mut op = world.irc("laop").await;
    op.join("#la-large").await;
    let mut crowd = Vec::new();
    while crowd.len() < count {
        let batch = (crowd.len()..count.min(crowd.len() + 50)).map(|n| numbered(&world, n));
        let mut batch = join_all(batch).await;
        join_all(batch.iter_mut().map(|irc| irc.join("#la-large"))).await;
        crowd.extend(batch);
    }
    let (mut user, room) = world.joined("lauser", "#la-large", &mut op).await;
    let begin = Instant::now();
    let (mut to_matrix, mut to_irc, mut n) = (Vec::new(), Vec::new(), 0);
    let mut is_done = false;
    while !is_done {
        n += 1;
        let text = format!("to matrix {n}");
        let said = Instant::now();
        op.say("#la-large", &text).await;
        user.wait_body(&room, &text, PATIENT).await;
        to_matrix.push(said.elapsed());
        let said = Instant::now();
        user.text(&room, &format!("to irc {n}")).await;
        assert_eq!(op.wait_said(&puppet("lauser"), "#la-large").await, format!("to irc {n}"));
        to_irc.push(said.elapsed());
        is_done = n % 10 == 0 && user.joined_count(&room).await >= count + 2;
        assert!(
            begin.elapsed() < Duration::from_secs(60 + count as u64),
            "{} are there",
            user.joined_count(&room).await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = begin.elapsed();
    let p = |all: &mut Vec<Duration>, part: usize| {
        all.sort_unstable();
        all[(all.len() * part / 100).min(all.len() - 1)]
    };
    println!(
        "{count} ghosts in {took:?}, {:.1} a second; to Matrix p50 {:?} p99 {:?}, to IRC p50 {:?} p99 {:?}, of {n} each",
        count as f64 / took.as_secs_f64(),
        p(&mut to_matrix, 50),
        p(&mut to_matrix, 99),
        p(&mut to_irc, 50),
        p(&mut to_irc, 99),
    );
    assert!(p(&mut to_matrix, 50) < Duration::from_secs(1) && p(&mut to_irc, 50) < Duration::from_secs(1));
}
