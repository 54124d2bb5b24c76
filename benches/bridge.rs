//! Figures of the whole bridge: latency, throughput, processor time, memory, connecting, starting; wire to wire.
//!
//! `cargo bench` starts a model homeserver and a model IRC server in this process, the real program
//! between them with durable storage and no flood limits, and prints a table. `cargo bench -- latency`
//! (or another of the parts below) runs one part; `models` measures what the models themselves
//! cost. Each message is followed by name: one that is lost, doubled or out of its sender's order ends
//! the run with words and a failure. Settings are in `docs/PERFORMANCE.md`. Nothing here is a test: run
//! without `--bench` it ends at once.

#[path = "bridge/config.rs"]
mod config;
#[path = "bridge/connects.rs"]
mod connects;
#[path = "bridge/format.rs"]
mod format;
#[path = "bridge/idle.rs"]
mod idle;
#[path = "bridge/lab.rs"]
mod lab;
#[path = "bridge/machine.rs"]
mod machine;
#[path = "bridge/measure.rs"]
mod measure;
#[path = "bridge/messages.rs"]
mod messages;
#[path = "../tests/model/mod.rs"]
mod model;
#[path = "bridge/models.rs"]
mod models;
#[path = "bridge/table.rs"]
mod table;
#[path = "bridge/warm.rs"]
mod warm;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use model::homeserver::Echo;
use table::Table;

const PARTS: [&str; 10] = [
    "format",
    "models",
    "latency",
    "throughput",
    "transactions",
    "memory",
    "idle",
    "crowd",
    "connects",
    "warm",
];

/// The pace of messages where it is not the figure: 50 a second.
pub const PACE: Duration = Duration::from_millis(20);
/// How long the last messages of a measurement may take.
pub const DELIVERY_TIME_MAX: Duration = Duration::from_secs(60);

/// How much is measured. From the environment, for a quick look or a long one.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub rounds: usize,
    /// How long messages are sent at 50/s, each way, in a round.
    pub latency_s: u64,
    /// Messages of one throughput measurement.
    pub messages: usize,
    /// Transactions of 100 events, at each of two paces.
    pub transactions: usize,
    /// The largest number of puppets in one channel, and of those that connect against the clock.
    pub puppets: usize,
    /// The largest number of idle puppets.
    pub idle_puppets: usize,
    /// How long they are watched.
    pub idle_s: u64,
    /// Lines said in a channel with all puppets.
    pub lines: usize,
    /// Connections allowed in a second, where they are limited.
    pub rate: u64,
    /// Rooms and ghosts that a warm start knows.
    pub rooms: usize,
    pub ghosts: usize,
    /// Whether the homeserver sends back what the ghosts said.
    pub echo: Echo,
}

impl Scale {
    fn from_environment() -> Result<Self> {
        Ok(Self {
            rounds: number("ROUNDS", 3)?,
            latency_s: number("SECONDS", 20)? as u64,
            messages: number("MESSAGES", 20_000)?,
            transactions: number("TRANSACTIONS", 200)?,
            puppets: number("PUPPETS", 1_000)?,
            idle_puppets: number("IDLE_PUPPETS", 10_000)?,
            idle_s: number("IDLE_SECONDS", 90)? as u64,
            lines: number("LINES", 2_000)?,
            rate: number("RATE", 50)?.max(1) as u64,
            rooms: number("ROOMS", 10_000)?.max(1),
            ghosts: number("GHOSTS", 50_000)?,
            echo: if number("ECHO", 0)? == 0 { Echo::Off } else { Echo::On },
        })
    }
}

fn number(name: &str, usual: usize) -> Result<usize> {
    let name = format!("BUNRAKU_BENCH_{name}");
    match std::env::var(&name) {
        Err(_) => Ok(usual),
        Ok(text) => text.parse().with_context(|| format!("{name} is {text:?}, not a number")),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("measures only under `cargo bench`");
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
    match run(&wanted) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[&str]) -> Result<()> {
    if let Some(unknown) = wanted.iter().find(|word| !PARTS.contains(word)) {
        bail!("there is no part {unknown:?}; the parts are {}", PARTS.join(", "));
    }
    raise_open_files()?;
    let scale = Scale::from_environment()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure_all(wanted, scale))
}

async fn measure_all(wanted: &[&str], scale: Scale) -> Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!("{}\n{scale:?}", machine::describe(folder.path()).await?);
    let mut table = Table::default();
    let mut failure = None;
    for part in PARTS {
        if !wanted.is_empty() && !wanted.contains(&part) {
            continue;
        }
        for round in 1..=scale.rounds {
            println!("{part}, round {round} of {}", scale.rounds);
            let measured = match part {
                "format" => format::measure(&mut table),
                "models" => models::measure(&mut table),
                "latency" => measure::latency(scale, &mut table).await,
                "throughput" => measure::throughput(scale, &mut table).await,
                "transactions" => measure::transactions(scale, &mut table).await,
                "memory" => idle::memory(scale, &mut table).await,
                "idle" => idle::idle(scale, &mut table).await,
                "crowd" => idle::crowd(scale, &mut table).await,
                "connects" => connects::connects(scale, &mut table).await,
                _ => warm::warm(scale, &mut table).await,
            };
            if let Err(error) = measured {
                failure = Some(error.context(format!("{part}, round {round}")));
                break;
            }
        }
    }
    table.print();
    println!("\nand at the end: {}", machine::disk(folder.path()).await?);
    failure.map_or(Ok(()), Err)
}

/// Starts this program again with as many files as the system allows it; the program under measurement
/// inherits the limit. Each part says by itself when they are too few for it.
fn raise_open_files() -> Result<()> {
    const MARK: &str = "BUNRAKU_BENCH_FILES_RAISED";
    if std::env::var_os(MARK).is_some() {
        return Ok(());
    }
    let program = std::env::current_exe()?;
    let script = r#"ulimit -n "$(ulimit -H -n)"; exec "$@""#;
    let mut again = Command::new("sh");
    again.args(["-c", script, "sh"]).arg(program).args(std::env::args().skip(1)).env(MARK, "1");
    Err(again.exec()).context("cannot start again with more open files")
}
