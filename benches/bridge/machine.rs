//! What the figures were measured on, and what the kernel knows of a process.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::PACE;

/// Commits and syncs timed for the description.
const COMMITS: usize = 200;
/// The kernel counts processor time in hundredths of a second for user space, on every architecture.
const TICKS_PER_S: f64 = 100.0;

/// The machine in a few lines, with the time of a disk commit in this folder.
pub async fn describe(folder: &Path) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let processor = line_of("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = line_of("/proc/meminfo", "MemTotal").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let disk = disk(folder).await?;
    Ok(format!("{cores} cores, {processor}; memory {memory}; Linux {}\n{disk}", kernel.trim()))
}

/// The time of a disk commit in this folder; it can change much while a bench runs, so it is taken twice.
pub async fn disk(folder: &Path) -> Result<String> {
    let sync_ms = ms(sync_time(folder)?);
    let commit_ms = ms(commit_time(folder, Duration::ZERO).await?);
    let paced_ms = ms(commit_time(folder, PACE).await?);
    Ok(format!(
        "a 4 KB write with fdatasync {sync_ms:.2} ms; a SQLite commit (WAL, synchronous FULL) {commit_ms:.2} ms back \
         to back, {paced_ms:.2} ms at 50 a second, as the latency holds it (medians of {COMMITS})"
    ))
}

/// A duration in milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Processor time a process has used, all threads, user and system, in seconds; to 10 ms.
pub fn cpu_s(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks =
        |place: usize| after_name.split_whitespace().nth(place).and_then(|word| word.parse::<f64>().ok());
    // Fields 14 and 15 of proc_pid_stat(5), counted from field 3, the first after the name.
    let used = ticks(11).zip(ticks(12)).context("/proc/PID/stat has other fields than expected")?;
    Ok((used.0 + used.1) / TICKS_PER_S)
}

/// Resident memory of a process, in KB.
pub fn resident_kb(pid: u32) -> Result<u64> {
    let line = line_of(&format!("/proc/{pid}/smaps_rollup"), "Rss")
        .or_else(|| line_of(&format!("/proc/{pid}/status"), "VmRSS"))
        .context("the process is gone")?;
    let number = line.split_whitespace().next().and_then(|word| word.parse().ok());
    number.with_context(|| format!("no number in {line:?}"))
}

/// Processor time of one thread of this process, in seconds, to the nanosecond.
pub fn thread_cpu_s(thread: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    let ns: f64 = text.split_whitespace().next().context("empty schedstat")?.parse()?;
    Ok(ns / 1e9)
}

/// How many files this process may open.
pub fn open_files_max() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// The value after the colon of the first line that starts with `name`.
fn line_of(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn sync_time(folder: &Path) -> Result<Duration> {
    let path = folder.join("sync");
    let mut file = File::create(&path)?;
    let mut times = Vec::with_capacity(COMMITS);
    for _ in 0..COMMITS {
        let started = Instant::now();
        file.write_all(&[1; 4096])?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    fs::remove_file(path)?;
    Ok(median(&mut times))
}

/// One after the other, or at a pace: a disk and a processor that have rested take longer. As in the bridge, the log
/// is long already and written over from its front (see `src/store/wal.rs`).
async fn commit_time(folder: &Path, pace: Duration) -> Result<Duration> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("commit.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = options.connect().await?;
    for statement in [
        "CREATE TABLE IF NOT EXISTS line (id INTEGER PRIMARY KEY, text TEXT)",
        "INSERT INTO line (text) VALUES (zeroblob(4096000))",
        "DELETE FROM line",
        "PRAGMA wal_checkpoint(RESTART)",
    ] {
        sqlx::query(statement).execute(&mut connection).await?;
    }
    let mut times = Vec::with_capacity(COMMITS);
    let mut next = tokio::time::Instant::now();
    for _ in 0..COMMITS {
        tokio::time::sleep_until(next).await;
        next += pace;
        let started = Instant::now();
        sqlx::query("INSERT INTO line (text) VALUES ('a line of text')").execute(&mut connection).await?;
        times.push(started.elapsed());
    }
    Ok(median(&mut times))
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
