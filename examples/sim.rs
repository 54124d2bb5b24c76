//! Runs the simulator of `tests/sim` for as long as one likes: `cargo run --release --example sim -- --seeds 1000000`.
//!
//! `--first N` is where it begins; `--flaws N` looks instead for each flaw of a shell within N seeds.
//! `--until-failure` stops soon after the first. What fails is printed at once, as the line that runs it again; the exit code is
//! 1 then.

#[path = "../tests/sim/simulator/mod.rs"]
mod simulator;

use std::process::ExitCode;

/// Seeds between two words on how it goes.
const PART: u64 = 10_000;

fn main() -> ExitCode {
    let (mut first, mut seeds, mut part) = (0, PART, PART);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--until-failure" {
            part = 100;
            continue;
        }
        let number = arguments.next().and_then(|text| text.parse::<u64>().ok());
        match (argument.as_str(), number) {
            ("--seeds", Some(number)) => seeds = number,
            ("--first", Some(number)) => first = number,
            ("--flaws", Some(number)) => return flaws(number),
            _ => {
                eprintln!("usage: sim [--seeds N] [--first N] [--until-failure] | --flaws N");
                return ExitCode::from(2);
            }
        }
    }
    let mut tally = simulator::Tally::default();
    for from in (first..first + seeds).step_by(part as usize) {
        tally.add(simulator::run(from..(from + part).min(first + seeds), None));
        println!("up to seed {}: {}", (from + part).min(first + seeds), tally.words());
        if part < PART && !tally.is_good() {
            break;
        }
    }
    if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn flaws(seeds: u64) -> ExitCode {
    let mut end = ExitCode::SUCCESS;
    for flaw in simulator::flaw::ALL {
        let found = simulator::first_failure(0..seeds, flaw);
        println!("{flaw:?}: found by seed {found:?}");
        if found.is_none() {
            end = ExitCode::FAILURE;
        }
    }
    end
}
