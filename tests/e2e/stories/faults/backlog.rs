//! The homeserver is away while much is said on IRC; then it is back.
//!
//! With a model of a homeserver behind a proxy that refuses: what is measured is the bridge's backlog, and no real
//! homeserver takes so many lines in a time that a test has.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::model::ircd::Line;
use crate::support::QUIET;
use crate::support::figures::{count, is_long, report};
use crate::support::judge::{Mark, judge};
use crate::support::lab::{Lab, Plan, channel};

/// People in each channel.
const PEOPLE: usize = 3;
/// Lines between two looks at the bridge.
const STEP: usize = 500;
/// As many lines as one channel says in the long version, and fewer than a room's lane holds.
const LINES_PER_ROOM: usize = 9_000;
/// Lines in the room that has no backlog.
const LIVE_LINES: usize = 3;
const MEMORY_GROWTH_MAX_KB: u64 = 64 * 1024;
const DISK_MAX_KB: u64 = 200 * 1024;

#[tokio::test]
async fn homeserver_away() {
    let lines = count(2_000, 180_000);
    let rooms = lines.div_ceil(LINES_PER_ROOM).max(4);
    let live = rooms;
    let people: Vec<String> = (0..PEOPLE).map(|n| format!("fp{n}")).collect();
    let lab = Lab::start(Plan::of(rooms + 1, 1)).await;
    lab.greet(&people, 0..=rooms).await;
    let resident_before = resident_kb(lab.bridge.pid());

    lab.proxy.shut();
    let started = Instant::now();
    let mut accepted: Vec<Mark> = Vec::with_capacity(lines);
    let (mut resident_most, mut disk_most) = (0, 0);
    while accepted.len() < lines {
        let from = accepted.len();
        accepted.extend((from..lines.min(from + STEP)).map(|n| mark(n, rooms, &people)));
        say(&lab, &accepted[from..]);
        lab.wait_read(&format!("step{from}")).await;
        resident_most = resident_kb(lab.bridge.pid()).max(resident_most);
        disk_most = disk_kb(lab.bridge.dir()).max(disk_most);
    }
    let said_in = started.elapsed();

    lab.proxy.open();
    let opened = Instant::now();
    let live_marks: Vec<Mark> = (1..=LIVE_LINES).map(|n| Mark::new(&people[0], live, n as u32)).collect();
    say(&lab, &live_marks);
    accepted.extend(live_marks);
    let limit = if is_long() { Duration::from_secs(900) } else { Duration::from_secs(90) };
    lab.wait_on_matrix(accepted.len(), limit).await;
    let drained_in = opened.elapsed();
    resident_most = resident_kb(lab.bridge.pid()).max(resident_most);
    tokio::time::sleep(QUIET).await;

    let arrived = lab.arrived_on_matrix();
    let verdict = judge(&accepted, &arrived, &Default::default());
    let last_live = arrived.iter().rposition(|mark| mark.place == live);
    let behind_live = last_live.map_or(0, |at| arrived.len() - 1 - at);
    let growth = resident_most.saturating_sub(resident_before);
    let words = format!(
        "{rooms} rooms; said in {:.0} s, drained in {:.0} s; memory +{:.1} MB, disk {:.1} MB; live room live again with \
         {behind_live} lines to go",
        said_in.as_secs_f64(),
        drained_in.as_secs_f64(),
        growth as f64 / 1024.0,
        disk_most as f64 / 1024.0,
    );
    report(&format!("homeserver away for {lines} lines"), "IRC to Matrix", &verdict, &words);
    verdict.assert_exactly_once("IRC to Matrix");
    assert!(behind_live > 0, "the live room waited for the backlog of others");
    assert!(growth <= MEMORY_GROWTH_MAX_KB, "memory grew by {growth} KB");
    assert!(disk_most <= DISK_MAX_KB, "the database took {disk_most} KB");
}

/// The `n`th line of all: rooms take turns, and in each room its people.
fn mark(n: usize, rooms: usize, people: &[String]) -> Mark {
    let (place, turn) = (n % rooms, n / rooms);
    Mark::new(&people[turn % people.len()], place, turn as u32)
}

fn say(lab: &Lab, marks: &[Mark]) {
    let said: Vec<(String, String)> = marks.iter().map(|mark| (channel(mark.place), mark.text())).collect();
    let line = |(mark, (channel, text))| {
        let mark: &Mark = mark;
        Line { channel, nick: &mark.from, text }
    };
    lab.ircd.say_all(
        &marks.iter().zip(said.iter().map(|(c, t)| (c.as_str(), t.as_str()))).map(line).collect::<Vec<_>>(),
    );
}

/// Resident memory of a process.
fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the bridge runs");
    let line =
        status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("the kernel says how much it has");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// What the database's files take.
fn disk_kb(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir).expect("the directory is ours").flatten();
    let of_database = files.filter(|f| f.file_name().to_string_lossy().starts_with("bunraku.db"));
    of_database.filter_map(|f| f.metadata().ok()).map(|m| m.len() / 1024).sum()
}
