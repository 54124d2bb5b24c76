//! Runs the simulator of `tests/sim` for as long as one likes: `cargo run --release --example sim -- --seeds 1000000`.
//!
//! `--first N` is where it begins. What fails is printed at once, as the line that runs it again; the exit code is
//! 1 then.

#[path = "../tests/sim/simulator/mod.rs"]
mod simulator;

use std::process::ExitCode;

/// Seeds between two words on how it goes.
const PART: u64 = 10_000;

fn main() -> ExitCode {
    let (mut first, mut seeds) = (0, PART);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = arguments.next().and_then(|text| text.parse::<u64>().ok());
        match (argument.as_str(), number) {
            ("--seeds", Some(number)) => seeds = number,
            ("--first", Some(number)) => first = number,
            _ => {
                eprintln!("usage: sim [--seeds N] [--first N]");
                return ExitCode::from(2);
            }
        }
    }
    let mut tally = simulator::Tally::default();
    for from in (first..first + seeds).step_by(PART as usize) {
        tally.add(simulator::run(from..(from + PART).min(first + seeds), None));
        println!("up to seed {}: {}", (from + PART).min(first + seeds), tally.words());
    }
    if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
