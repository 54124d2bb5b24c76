//! The machine under random schedules: Matrix people come, speak, rename and go in rooms of one to three channels, IRC
//! people do the same on one to three servers; connections lag, stall, die, are killed, split off and refused; the
//! process crashes at any effect and any commit; the homeserver restarts, forgets, fails, is slow and answers into the
//! void.
//!
//! A seed is one run and reruns exactly: `BUNRAKU_SEED=17 cargo test --test sim` (with `BUNRAKU_STEPS=1` for all
//! steps). `BUNRAKU_SEEDS=20000` sets how many are run, `BUNRAKU_FIRST` where they begin; `examples/sim.rs` runs any
//! number of them. `simulator::flaw` lists what a shell could do wrong, and each of that has to be found.
//!
//! `storm` has many puppets at once and asks how fast and how often they dial.

mod fuzz;
mod simulator;
mod storm;

use simulator::flaw;

/// Seeds that each run tries; `scripts/sim` runs more, optimised.
const SEEDS: u64 = 1_000;
/// A flaw has to be found within so many seeds.
const FLAW_SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn every_promise_holds_under_random_schedules() {
    let first = number("BUNRAKU_FIRST").unwrap_or(0);
    let seeds = match number("BUNRAKU_SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + number("BUNRAKU_SEEDS").unwrap_or(SEEDS),
    };
    let tally = simulator::run(seeds, None);
    println!("{}", tally.words());
    tally.must_be_good();
}

#[test]
fn each_flaw_of_a_shell_is_found() {
    for flaw in flaw::ALL {
        let found = simulator::first_failure(0..FLAW_SEEDS, flaw);
        println!("{flaw:?}: found by seed {found:?}");
        assert!(found.is_some(), "{flaw:?} goes unnoticed");
    }
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in [3, 14, 15] {
        let run = || simulator::story::Story::new(seed, None).run();
        assert_eq!(run(), run(), "seed {seed}");
    }
}
