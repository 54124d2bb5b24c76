//! The ledger as stories: the three traps, each on a schedule where the trap doubles a line and the ledger does
//! not; takeovers, handing over, preference, netsplits and the bounds.

mod ledger_model;

use std::sync::Arc;

use bunraku::bridge::channel::ledger::{HOLD_MS, Key, Ledger, QUEUE_LEN_MAX, WINDOW_MS};
use bunraku::ids::Time;
use ledger_model::{Broker, Reference, Trap, conn, peers, said};

/// One step of a story; connections and lines are numbers, times are milliseconds.
enum Do {
    Asks(u32),
    In(u32),
    /// Connection, speaker's text, line, and whom its stream shows in the channel.
    Sees(u32, &'static str, u32, &'static [u32]),
    HandsOver(u32),
    Left(u32),
    Wait(u64),
}
use Do::{Asks, HandsOver, In, Left, Sees, Wait};

/// Plays the story, then waits until nothing is due; the lines that came out.
fn play(broker: &mut dyn Broker, story: &[Do]) -> Vec<u32> {
    let (mut now, mut out) = (1_000, Vec::new());
    for step in story {
        match step {
            Asks(c) => broker.joining(conn(*c), None),
            In(c) => broker.joined(Time(now), conn(*c), &mut out),
            Sees(c, text, line, shown) => {
                broker.observe(Time(now), conn(*c), said("ann", text), *line, &peers(shown), &mut out);
            }
            HandsOver(c) => broker.handing_over(Time(now), conn(*c), &mut out),
            Left(c) => broker.left(Time(now), conn(*c), &mut out),
            Wait(ms) => run_until(broker, &mut now, *ms, &mut out),
        }
    }
    run_until(broker, &mut now, 2 * WINDOW_MS, &mut out);
    assert_eq!((broker.waiting(), broker.poll_timeout()), (0, None), "nothing waits after quiet");
    out
}

fn run_until(broker: &mut dyn Broker, now: &mut u64, ms: u64, out: &mut Vec<u32>) {
    let end = *now + ms;
    while let Some(due) = broker.poll_timeout().filter(|due| due.0 <= end) {
        *now = due.0.max(*now);
        broker.handle_timeout(Time(*now), out);
    }
    *now = end;
}

fn ledger(story: &[Do]) -> Vec<u32> {
    play(&mut Ledger::new(), story)
}

fn trapped(trap: Trap, story: &[Do]) -> Vec<u32> {
    play(&mut Reference::new(trap), story)
}

#[test]
fn opening_at_our_join_echo_doubles() {
    // The owner's stream is faster: it shows 2 in the channel, and a line, before 2 has seen its own JOIN.
    let story =
        [Asks(1), In(1), Asks(2), Sees(1, "hi", 7, &[1, 2]), In(2), Sees(2, "hi", 7, &[1, 2]), Wait(HOLD_MS)];
    assert_eq!(ledger(&story), [7]);
    assert_eq!(trapped(Trap::OpenAtEcho, &story), [7, 7]);
}

#[test]
fn discarding_earlier_unseen_entries_on_a_match_doubles() {
    // 2 saw the first "yes" and the owner did not: it joined after it. The owner relays "no" and the second
    // "yes", which came after. "yes" on 2 is matched with the wrong one of two equal texts; were "no" dropped
    // with it, 2 would take "no" for a line that nobody relayed.
    let story = [
        Asks(1),
        In(1),
        Asks(2),
        In(2),
        Sees(1, "no", 1, &[1, 2]),
        Sees(1, "yes", 2, &[1, 2]),
        Sees(2, "yes", 0, &[2]),
        Sees(2, "no", 1, &[1, 2]),
        Sees(2, "yes", 2, &[1, 2]),
        Wait(HOLD_MS),
    ];
    let doubled = |out: &[u32]| out.iter().filter(|line| **line == 1).count();
    assert_eq!(doubled(&ledger(&story)), 1);
    assert_eq!(ledger(&story).len(), 3, "three were said");
    assert_eq!(doubled(&trapped(Trap::DiscardEarlier, &story)), 2);
}

#[test]
fn leaving_out_the_peers_check_doubles() {
    // "ok" is said, 3 comes, then "no" and "ok" again. The owner is behind and shows the first "ok". Were 3 a
    // peer, its "ok" would be taken for this one and its "no" pulled forward; "no" pulls the first "ok" out of
    // 2, and the owner then relays that same "ok" once more.
    let story = [
        Asks(1),
        In(1),
        Asks(2),
        In(2),
        Sees(2, "ok", 1, &[1, 2]),
        Asks(3),
        In(3),
        Sees(2, "no", 2, &[1, 2, 3]),
        Sees(3, "no", 2, &[1, 2, 3]),
        Sees(2, "ok", 3, &[1, 2, 3]),
        Sees(3, "ok", 3, &[1, 2, 3]),
        Sees(1, "ok", 1, &[1, 2]),
        Sees(1, "no", 2, &[1, 2, 3]),
        Sees(1, "ok", 3, &[1, 2, 3]),
        Wait(HOLD_MS),
    ];
    assert_eq!(ledger(&story), [1, 2, 3]);
    let out = trapped(Trap::NoPeers, &story);
    assert_eq!(out.iter().filter(|line| **line == 1).count(), 2, "{out:?}");
}

#[test]
fn a_silent_owner_delays_by_one_hold_only() {
    let mut ledger = Ledger::new();
    let story =
        [Asks(1), In(1), Asks(2), In(2), Sees(2, "a", 1, &[1, 2]), Wait(10), Sees(2, "b", 2, &[1, 2])];
    let mut out = play(&mut ledger, &story);
    assert_eq!(out, [1, 2], "both with the first hold, in order");
    assert_eq!((ledger.owner(), ledger.counters().moved_by_hold), (Some(conn(2)), 1));
    ledger.observe(Time(900_000), conn(2), said("ann", "c"), 3, &peers(&[1, 2]), &mut out);
    assert_eq!(out, [1, 2, 3], "the new owner's lines do not wait");
}

#[test]
fn a_line_the_owner_missed_goes_before_the_next_one() {
    let story = [
        Asks(1),
        In(1),
        Asks(2),
        In(2),
        Sees(2, "before 1 came", 1, &[2]),
        Sees(2, "next", 2, &[1, 2]),
        Sees(1, "next", 2, &[1, 2]),
    ];
    assert_eq!(ledger(&story), [1, 2]);
}

#[test]
fn between_servers_the_line_the_owner_misses_is_not_pulled_forward() {
    let (mut ledger, mut out) = (Ledger::new(), Vec::new());
    for (c, server) in [(1, "east"), (2, "west")] {
        ledger.joining_on(conn(c), Some(server.into()));
        ledger.joined(Time(0), conn(c), &mut out);
    }
    let both = peers(&[1, 2]);
    ledger.observe(Time(9_000), conn(2), said("bob", "western"), 1, &both, &mut out);
    ledger.observe(Time(9_001), conn(2), said("ann", "eastern"), 2, &both, &mut out);
    ledger.observe(Time(9_002), conn(1), said("ann", "eastern"), 2, &both, &mut out);
    ledger.observe(Time(9_003), conn(1), said("bob", "western"), 1, &both, &mut out);
    ledger.handle_timeout(Time(9_000 + WINDOW_MS), &mut out);
    assert_eq!(out, [2, 1], "each once, as the owner's server has them");
}

#[test]
fn a_line_that_crosses_the_end_of_a_netsplit_is_relayed_once() {
    let (mut ledger, mut out) = (Ledger::new(), Vec::new());
    for (c, server) in [(1, "east"), (2, "west")] {
        ledger.joining_on(conn(c), Some(server.into()));
        ledger.joined(Time(0), conn(c), &mut out);
    }
    ledger.split_off(conn(1), conn(2));
    // East has not heard of 2 again; west has heard of ann, and then hears the line.
    ledger.observe(Time(60_000), conn(1), said("ann", "hi"), 1, &peers(&[1]), &mut out);
    ledger.observe(Time(60_100), conn(2), said("ann", "hi"), 1, &peers(&[1, 2]), &mut out);
    ledger.handle_timeout(Time(60_100 + HOLD_MS), &mut out);
    assert_eq!(out, [1]);
    assert_eq!(ledger.owner(), Some(conn(1)), "nobody was silent");
}

#[test]
fn who_joined_during_a_netsplit_crosses_its_end_as_well() {
    let (mut ledger, mut out) = (Ledger::new(), Vec::new());
    for (c, server) in [(1, "east"), (2, "west")] {
        ledger.joining_on(conn(c), Some(server.into()));
        ledger.joined(Time(0), conn(c), &mut out);
    }
    // Nobody in the east has ever heard of 2, so nobody there saw it quit; a minute later the servers meet.
    ledger.observe(Time(60_000), conn(1), said("ann", "hi"), 1, &peers(&[1]), &mut out);
    ledger.observe(Time(60_100), conn(2), said("ann", "hi"), 1, &peers(&[1, 2]), &mut out);
    assert_eq!(out, [1]);
    // The east has heard of 2 for long, and then of its PART: what 2 shows now is something else.
    ledger.observe(Time(61_000), conn(1), said("bob", "hi"), 2, &peers(&[1, 2]), &mut out);
    ledger.observe(Time(61_100), conn(2), said("bob", "hi"), 2, &peers(&[1, 2]), &mut out);
    ledger.observe(Time(61_000 + HOLD_MS), conn(1), said("ann", "ho"), 3, &peers(&[1]), &mut out);
    ledger.observe(Time(61_100 + HOLD_MS), conn(2), said("ann", "ho"), 4, &peers(&[1, 2]), &mut out);
    assert_eq!((&out[..], ledger.owner()), (&[1, 2, 3][..], Some(conn(1))), "nobody was silent");
    ledger.handle_timeout(Time(61_100 + 2 * HOLD_MS), &mut out);
    assert_eq!(out, [1, 2, 3, 4]);
}

#[test]
fn who_comes_during_a_netsplit_crosses_its_end_whatever_others_saw_before() {
    let (mut ledger, mut out) = (Ledger::new(), Vec::new());
    for (c, server) in [(1, "east"), (2, "west")] {
        ledger.joining_on(conn(c), Some(server.into()));
        ledger.joined(Time(0), conn(c), &mut out);
    }
    ledger.observe(Time(9_000), conn(1), said("ann", "ha"), 1, &peers(&[1, 2]), &mut out);
    ledger.observe(Time(9_000), conn(2), said("ann", "ha"), 1, &peers(&[1, 2]), &mut out);
    // 1 is lost before it is shown the netsplit, and 3 comes to the east after it began: nobody saw 2 quit.
    ledger.left(Time(49_000), conn(1), &mut out);
    ledger.joining_on(conn(3), Some("east".into()));
    ledger.joined(Time(50_000), conn(3), &mut out);
    ledger.prefer(Some(conn(3)));
    ledger.handle_timeout(Time(50_000 + HOLD_MS), &mut out);
    assert_eq!(ledger.owner(), Some(conn(3)));
    ledger.observe(Time(60_000), conn(2), said("ann", "hi"), 2, &peers(&[1, 2, 3]), &mut out);
    ledger.observe(Time(60_100), conn(3), said("ann", "hi"), 2, &peers(&[3]), &mut out);
    ledger.handle_timeout(Time(60_100 + HOLD_MS), &mut out);
    assert_eq!((&out[..], ledger.owner()), (&[1, 2][..], Some(conn(3))));
}

#[test]
fn a_line_that_crosses_a_join_between_servers_is_relayed_once() {
    // East relays a line before it hears of 2's JOIN in the west; the line reaches the west after it.
    for opened_first in [true, false] {
        let (mut ledger, mut out) = (Ledger::new(), Vec::new());
        ledger.joining_on(conn(1), Some("east".into()));
        ledger.joined(Time(0), conn(1), &mut out);
        let relay = |ledger: &mut Ledger<u32>, out: &mut Vec<u32>| {
            ledger.observe(Time(9_000), conn(1), said("ann", "hi"), 1, &peers(&[1]), out);
        };
        if !opened_first {
            relay(&mut ledger, &mut out);
        }
        ledger.joining_on(conn(2), Some("west".into()));
        if opened_first {
            relay(&mut ledger, &mut out);
        }
        ledger.joined(Time(9_100), conn(2), &mut out);
        ledger.observe(Time(9_200), conn(2), said("ann", "hi"), 1, &peers(&[1, 2]), &mut out);
        ledger.handle_timeout(Time(9_200 + HOLD_MS), &mut out);
        assert_eq!(out, [1]);
        assert_eq!(ledger.owner(), Some(conn(1)));
    }
}

#[test]
fn the_duty_moves_before_the_part_and_nothing_is_lost_between() {
    let story = [
        Asks(1),
        In(1),
        Asks(2),
        In(2),
        Sees(2, "a", 1, &[1, 2]),
        HandsOver(1),
        Sees(1, "a", 1, &[1, 2]),
        Sees(1, "b", 2, &[1, 2]),
        Left(1),
        Sees(2, "b", 2, &[1, 2]),
        Sees(2, "c", 3, &[2]),
    ];
    let mut broker = Ledger::new();
    assert_eq!(play(&mut broker, &story), [1, 2, 3]);
    assert_eq!((broker.owner(), broker.counters().moved_by_leave), (Some(conn(2)), 1));
}

#[test]
fn the_last_one_keeps_the_duty_until_it_has_left() {
    let mut broker = Ledger::new();
    let story = [Asks(1), In(1), HandsOver(1), Sees(1, "bye", 1, &[1]), Left(1)];
    assert_eq!(play(&mut broker, &story), [1]);
    assert_eq!((broker.owner(), broker.epoch().0), (None, 2));
}

#[test]
fn what_a_dead_connection_held_waits_out_its_hold() {
    // The owner shows it in time: no double. It does not: the line is relayed for the dead one.
    let seen = [Asks(1), In(1), Asks(2), In(2), Sees(2, "a", 1, &[1, 2]), Left(2), Wait(HOLD_MS - 1)];
    let mut story: Vec<Do> = seen.into();
    story.push(Sees(1, "a", 1, &[1, 2]));
    assert_eq!(ledger(&story), [1]);
    story.pop();
    assert_eq!(ledger(&story), [1]);
}

#[test]
fn a_preferred_connection_gets_the_lease_when_it_is_settled() {
    let (mut ledger, mut out) = (Ledger::<u32>::new(), Vec::new());
    for c in [1, 2] {
        ledger.joining(conn(c));
        ledger.joined(Time(0), conn(c), &mut out);
    }
    ledger.prefer(Some(conn(2)));
    ledger.handle_timeout(Time(HOLD_MS - 1), &mut out);
    assert_eq!(ledger.owner(), Some(conn(1)));
    assert_eq!(ledger.poll_timeout(), Some(Time(HOLD_MS)));
    ledger.handle_timeout(Time(HOLD_MS), &mut out);
    assert_eq!((ledger.owner(), ledger.counters().moved_by_preference), (Some(conn(2)), 1));
    // It falls silent: its safety net takes over, and it gets nothing back by silence.
    ledger.observe(Time(20_000), conn(1), said("ann", "hm"), 1, &peers(&[1, 2]), &mut out);
    ledger.handle_timeout(Time(20_000 + HOLD_MS), &mut out);
    ledger.handle_timeout(Time(20_000 + 2 * WINDOW_MS), &mut out);
    assert_eq!((ledger.owner(), out.as_slice()), (Some(conn(1)), [1].as_slice()));
    assert_eq!(ledger.poll_timeout(), None);
}

#[test]
fn a_full_held_queue_is_a_hold_that_ran_out_early() {
    let (mut ledger, mut out) = (Ledger::new(), Vec::new());
    for c in [1, 2] {
        ledger.joining(conn(c));
        ledger.joined(Time(0), conn(c), &mut out);
    }
    let lines = 3 * QUEUE_LEN_MAX as u32;
    let key = |line: u32| said("flood", &line.to_string());
    (0..lines).for_each(|n| ledger.observe(Time(1), conn(2), key(n), n, &peers(&[1, 2]), &mut out));
    assert_eq!(out, (0..lines).collect::<Vec<_>>(), "nothing lost, in order, without waiting");
    assert!(ledger.waiting() <= 2 * QUEUE_LEN_MAX);
    // The old owner is a thousand lines behind and has names for the last 512 only: still no double.
    (0..lines).for_each(|n| ledger.observe(Time(2), conn(1), key(n), n, &peers(&[1, 2]), &mut out));
    ledger.handle_timeout(Time(2 + HOLD_MS), &mut out);
    assert_eq!(out.len(), lines as usize);
    assert_eq!(ledger.owner(), Some(conn(2)));
    assert_eq!(ledger.counters().overflowed, u64::from(lines) - QUEUE_LEN_MAX as u64 + 1);
}

#[test]
fn an_observer_that_comes_midway_does_not_double_what_was_just_relayed() {
    let (mut ledger, mut out) = (Ledger::new(), Vec::new());
    ledger.joining(conn(1));
    ledger.joined(Time(0), conn(1), &mut out);
    let id = |n: u32| Key::MsgId(format!("{n}").into());
    ledger.observe(Time(1_000), conn(1), id(1), 1, &peers(&[1, 2]), &mut out);
    ledger.watching_on(Time(1_100), conn(2), None, &mut out);
    ledger.observe(Time(1_500), conn(2), id(1), 1, &peers(&[1, 2]), &mut out);
    ledger.observe(Time(1_600), conn(2), id(2), 2, &peers(&[1, 2]), &mut out);
    assert_eq!(ledger.observers().collect::<Vec<_>>(), [conn(1), conn(2)]);
    ledger.left(Time(1_700), conn(1), &mut out);
    assert_eq!(out, [1, 2], "the new one has the rest");
}

#[test]
fn a_join_that_is_asked_for_again_still_owes_what_was_relayed_meanwhile() {
    let story = [
        Asks(1),
        In(1),
        Asks(2),
        Sees(1, "hi", 1, &[1, 2]),
        Wait(30_000),
        Asks(2),
        Wait(10_000),
        In(2),
        Sees(2, "hi", 1, &[2]),
    ];
    assert_eq!(ledger(&story), [1], "its stream was slow, and shows the line behind its own JOIN");
}

#[test]
fn a_connection_that_does_not_observe_is_counted_and_no_more() {
    let (mut ledger, mut out) = (Ledger::new(), Vec::new());
    ledger.observe(Time(1), conn(9), said("ann", "hi"), 1, &Arc::default(), &mut out);
    ledger.left(Time(2), conn(9), &mut out);
    ledger.handing_over(Time(3), conn(9), &mut out);
    assert_eq!((out.len(), ledger.counters().strange, ledger.poll_timeout()), (0, 1, None));
}

#[test]
fn a_thousand_observers_settle_one_line_each_once() {
    let (mut ledger, mut out) = (Ledger::new(), Vec::new());
    let all: Vec<u32> = (0..1_000).collect();
    for c in &all {
        ledger.joining(conn(*c));
        ledger.joined(Time(0), conn(*c), &mut out);
    }
    let shown = peers(&all);
    for line in 0..20 {
        let key = said("ann", &line.to_string());
        all.iter().for_each(|c| ledger.observe(Time(1), conn(*c), key.clone(), line, &shown, &mut out));
    }
    assert_eq!(out, (0..20).collect::<Vec<_>>());
    assert_eq!(ledger.waiting(), 20, "only what is kept for those yet to come");
}
