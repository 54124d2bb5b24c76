//! Figures of the whole bridge: latency, throughput, processor time, memory; wire to wire.
//!
//! `cargo bench` starts a model homeserver and a model IRC server in this process, the real program
//! between them with durable storage and no flood limits, and prints a table. `cargo bench -- latency`
//! (or `throughput`, `memory`, `models`) runs one part; `models` measures what the models themselves
//! cost. Each message is followed by name: one that is lost, doubled or out of its sender's order ends
//! the run with words and a failure. Settings are in `docs/PERFORMANCE.md`. Nothing here is a test: run
//! without `--bench` it ends at once.

#[path = "bridge/lab.rs"]
mod lab;
#[path = "bridge/machine.rs"]
mod machine;
#[path = "bridge/measure.rs"]
mod measure;
#[path = "../tests/model/mod.rs"]
mod model;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use model::homeserver::Echo;

/// Files needed: a thousand puppets' connections at the IRC server's end, and room to spare.
const OPEN_FILES_MIN: u64 = 4096;
const PARTS: [&str; 4] = ["models", "latency", "throughput", "memory"];

/// How much is measured. From the environment, for a quick look or a long one.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub rounds: usize,
    /// How long messages are sent at 50/s, each way, in a round.
    pub latency_s: u64,
    /// Messages of one throughput measurement.
    pub messages: usize,
    /// The largest number of puppets.
    pub puppets: usize,
    /// Whether the homeserver sends back what the ghosts said.
    pub echo: Echo,
}

impl Scale {
    fn from_environment() -> Result<Self> {
        Ok(Self {
            rounds: number("ROUNDS", 3)?,
            latency_s: number("SECONDS", 20)? as u64,
            messages: number("MESSAGES", 20_000)?,
            puppets: number("PUPPETS", 1_000)?,
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

/// One line of the table: a figure, its values in all rounds.
pub struct Row {
    pub what: String,
    pub unit: &'static str,
    pub target: &'static str,
    pub values: Vec<f64>,
}

/// The figures, in the order in which they were first measured.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds one round's value.
    pub fn add(&mut self, what: &str, unit: &'static str, target: &'static str, value: f64) {
        match self.0.iter_mut().find(|row| row.what == what) {
            Some(row) => row.values.push(value),
            None => self.0.push(Row { what: what.to_owned(), unit, target, values: vec![value] }),
        }
    }

    /// The median of a figure so far.
    pub fn median(&self, what: &str) -> Option<f64> {
        self.0.iter().find(|row| row.what == what).map(|row| median(&row.values))
    }

    fn print(&self) {
        println!("\n| figure | median | unit | target | rounds |\n|---|---|---|---|---|");
        for row in &self.0 {
            let rounds: Vec<String> = row.values.iter().map(|value| shown(*value)).collect();
            let Row { what, unit, target, values } = row;
            println!("| {what} | {} | {unit} | {target} | {} |", shown(median(values)), rounds.join(" "));
        }
    }
}

/// Three digits that mean something.
fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
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
                "models" => measure::models(&mut table),
                "latency" => measure::latency(scale, &mut table).await,
                "throughput" => measure::throughput(scale, &mut table).await,
                _ => measure::memory(scale, &mut table).await,
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

/// Starts this program again with more files allowed, when they are too few; the program under
/// measurement inherits the limit.
fn raise_open_files() -> Result<()> {
    const MARK: &str = "BUNRAKU_BENCH_FILES_RAISED";
    let enough = machine::open_files_max().is_none_or(|max| max >= OPEN_FILES_MIN);
    if enough {
        return Ok(());
    }
    if std::env::var_os(MARK).is_some() {
        bail!("this needs {OPEN_FILES_MIN} open files; raise the hard limit (ulimit -H -n)");
    }
    let program = std::env::current_exe()?;
    let script = r#"ulimit -n "$(ulimit -H -n)"; exec "$@""#;
    let mut again = Command::new("sh");
    again.args(["-c", script, "sh"]).arg(program).args(std::env::args().skip(1)).env(MARK, "1");
    Err(again.exec()).context("cannot start again with more open files")
}

/// How long the last messages of a measurement may take.
pub const DELIVERY_TIME_MAX: Duration = Duration::from_secs(60);
