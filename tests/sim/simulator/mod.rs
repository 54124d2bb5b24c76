//! The simulator: `world` has the machine between models of everything else (`ircd`, `homeserver`, `store`), `story` is
//! what happens in one run, `audit` is what has to hold. Used by `tests/sim` and by `examples/sim.rs`.

// Each of its users needs another part of it.
#![allow(dead_code)]

pub mod audit;
pub mod flaw;
pub mod ghosts;
pub mod homeserver;
pub mod ircd;
pub mod random;
pub mod store;
pub mod story;
pub mod world;

use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};

use flaw::Flaw;
use story::Story;

/// Whether steps are kept, to be shown.
pub fn is_told() -> bool {
    static TOLD: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *TOLD.get_or_init(|| std::env::var_os("BUNRAKU_SEED").is_some())
}

pub fn is_told_all() -> bool {
    std::env::var_os("BUNRAKU_STEPS").is_some()
}

/// What many runs gave.
#[derive(Debug, Default)]
pub struct Tally {
    pub seeds: u64,
    pub lines: u64,
    pub doubled: u64,
    pub failed: Vec<u64>,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.lines += other.lines;
        self.doubled += other.doubled;
        self.failed.extend(other.failed);
    }

    pub fn words(&self) -> String {
        let Self { seeds, lines, doubled, failed } = self;
        format!(
            "{seeds} runs, {} failed; {lines} lines, {doubled} doubled where a standby took a seat",
            failed.len()
        )
    }

    /// Who takes a seat late cannot know what its stream has shown before; see `tests/ledger_sim.rs`.
    fn doubles_are_few(&self) -> bool {
        self.doubled * 1_000 <= self.lines + 2_000
    }

    pub fn is_good(&self) -> bool {
        self.failed.is_empty() && self.doubles_are_few()
    }

    pub fn must_be_good(&self) {
        assert!(self.doubles_are_few(), "{} of {} lines doubled", self.doubled, self.lines);
        assert!(self.failed.is_empty(), "seeds that failed: {:?}", self.failed);
    }
}

/// Runs these seeds on all processors.
pub fn run(seeds: Range<u64>, flaw: Option<Flaw>) -> Tally {
    let next = AtomicU64::new(seeds.start);
    let tally = Mutex::new(Tally::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let ended = catch_unwind(AssertUnwindSafe(|| Story::new(seed, flaw).run()));
            let mut tally = tally.lock().expect("nobody panics with it");
            tally.seeds += 1;
            if let Ok((lines, doubled)) = ended {
                tally.lines += lines;
                tally.doubled += doubled;
            } else {
                println!("failed: BUNRAKU_SEED={seed} cargo test --test sim every_promise");
                tally.failed.push(seed);
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    tally.into_inner().expect("nobody panics with it")
}

/// The first of these seeds that finds a flaw; its words are nobody's business.
pub fn first_failure(mut seeds: Range<u64>, flaw: Flaw) -> Option<u64> {
    hush();
    HUSHED.set(true);
    let fails = |seed: &u64| catch_unwind(AssertUnwindSafe(|| Story::new(*seed, Some(flaw)).run())).is_err();
    let found = seeds.find(fails);
    HUSHED.set(false);
    found
}

thread_local! {
    /// Panics of this thread are expected.
    static HUSHED: Cell<bool> = const { Cell::new(false) };
}

fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !HUSHED.get() {
                usual(info);
            }
        }));
    });
}
