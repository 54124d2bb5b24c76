//! `bunraku audit`: accepted = delivered + failed + expired + in flight, from the database of the configuration.
//!
//! Works whether the bridge runs or not. Tells where messages are and what became of them, never what they say.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use bunraku::store::{self, Direction, GivenUp, Store, Tally, Unsettled};
use clap::Args;
use serde_json::json;

use super::desk::{Desk, told};
use super::{ConfigFile, Exit};

/// Count what became of every message, and tell where those are that wait.
///
/// Every message that was accepted is delivered, failed (its sender was told), expired (told, too), or still on its
/// way. This adds them up, for each network and direction, since the bridge's first start; and shows the oldest
/// that wait and the newest that the homeserver would not take. The bridge may run meanwhile.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bunraku audit                      the figures, what waits, what was given up
  bunraku audit --json --rows 100    the same for programs, with more rows

Exit codes: 0 the figures balance, 1 the database cannot be read, 2 the configuration is wrong, 4 messages are
missing, or there are more than were accepted")]
pub struct Audit {
    #[command(flatten)]
    config: ConfigFile,
    /// For programs
    #[arg(long)]
    json: bool,
    /// How many waiting and given-up rows to show
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    rows: u32,
}

/// Prints the audit.
pub fn main(audit: &Audit) -> Exit {
    let asked = Desk::open(&audit.config.path)
        .and_then(|desk| desk.ask(async |store: &Store| store.audit(audit.rows).await));
    let found = match asked {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    match audit.json {
        true => println!("{:#}", for_programs(&found, now_ms())),
        false => print!("{}", for_people(&found, now_ms())),
    }
    if found.is_balanced() { Exit::Good } else { told(Exit::Imbalance, IMBALANCE) }
}

/// What an imbalance is, and what to do.
const IMBALANCE: &str = "\
the figures do not balance. \"missing\": messages were accepted, and nothing says what became of them; they may be lost.
\"too many\": more ends are known than messages; some may have been sent twice.
Either rows were changed by hand, or this is a fault in bunraku. Keep a copy of the database and the log of that time,
look for \"could not be\" and \"refused a change\" in the log, and report it with this output; it names no message's text.
The bridge goes on as it is; the difference stays in the totals.";

fn for_people(audit: &store::Audit, now_ms: u64) -> String {
    let mut text = String::new();
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(audit.tallies.iter().map(figures));
    table(&mut text, &rows);
    if audit.tallies.is_empty() {
        text.push_str("no message was ever accepted\n");
    }
    section(&mut text, "oldest on their way", audit.unsettled.iter().map(|row| waiting(row, now_ms)));
    section(&mut text, "newest given up", audit.given_up.iter().map(|row| given_up(row, now_ms)));
    text
}

const HEAD: [&str; 8] =
    ["network", "direction", "accepted", "delivered", "failed", "expired", "in flight", "balance"];

fn figures(tally: &Tally) -> [String; 8] {
    let Tally { accepted, delivered, failed, expired, in_flight, .. } = tally;
    let balance = match tally.missing() {
        0 => "balanced".to_owned(),
        missing if missing > 0 => format!("{missing} missing"),
        missing => format!("{} too many", missing.unsigned_abs()),
    };
    let counts = [accepted, delivered, failed, expired, in_flight].map(u64::to_string);
    let [accepted, delivered, failed, expired, in_flight] = counts;
    let direction = direction(tally.direction).to_owned();
    [name(&tally.network), direction, accepted, delivered, failed, expired, in_flight, balance]
}

fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::ToIrc => "Matrix to IRC",
        Direction::ToMatrix => "IRC to Matrix",
        Direction::Notices => "own notices",
    }
}

/// Words to the left, numbers to the right.
fn table(text: &mut String, rows: &[[String; 8]]) {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 8] = std::array::from_fn(width);
    for row in rows {
        let cell = |column: usize| match column {
            0 | 1 | 7 => format!("{:<width$}", row[column], width = widths[column]),
            _ => format!("{:>width$}", row[column], width = widths[column]),
        };
        let cells: Vec<String> = (0..8).map(cell).collect();
        line(text, cells.join("  ").trim_end());
    }
}

fn section(text: &mut String, title: &str, rows: impl Iterator<Item = String>) {
    let mut rows = rows.peekable();
    if rows.peek().is_some() {
        line(text, &format!("\n{title}:"));
        rows.for_each(|row| line(text, &format!("  {row}")));
    }
}

fn waiting(row: &Unsettled, now_ms: u64) -> String {
    let (age, direction) = (age(row, now_ms), direction(row.direction));
    let state = match row.direction {
        Direction::ToIrc if row.network.is_empty() => "not for any network, not settled yet",
        Direction::ToIrc => "open",
        Direction::ToMatrix | Direction::Notices => "waits for the homeserver",
    };
    format!("{direction} {} in {} on {}: {age} old, {state}", row.seq, row.room, name(&row.network))
}

fn given_up(dead: &GivenUp, now_ms: u64) -> String {
    let (row, reason) = (&dead.row, dead.reason.replace(char::is_control, " "));
    let (age, direction) = (age(row, now_ms), direction(row.direction));
    format!("{direction} {} in {} on {}: {age} ago, {reason}", row.seq, row.room, name(&row.network))
}

fn name(network: &str) -> String {
    if network.is_empty() { "-".to_owned() } else { network.to_owned() }
}

fn age(row: &Unsettled, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(row.since.0) / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn line(text: &mut String, words: &str) {
    // Writing into a String does not fail.
    writeln!(text, "{words}").unwrap_or_default();
}

fn for_programs(audit: &store::Audit, now_ms: u64) -> serde_json::Value {
    let tally = |tally: &Tally| {
        json!({
            "network": tally.network,
            "direction": tally.direction.name(),
            "accepted": tally.accepted,
            "delivered": tally.delivered,
            "failed": tally.failed,
            "expired": tally.expired,
            "in_flight": tally.in_flight,
            "missing": tally.missing(),
        })
    };
    let row = |row: &Unsettled| {
        json!({
            "seq": row.seq,
            "network": row.network,
            "direction": row.direction.name(),
            "room": row.room,
            "age_s": now_ms.saturating_sub(row.since.0) / 1_000,
        })
    };
    let dead = |dead: &GivenUp| json!({ "line": row(&dead.row), "reason": dead.reason });
    json!({
        "balanced": audit.is_balanced(),
        "messages": audit.tallies.iter().map(tally).collect::<Vec<_>>(),
        "unsettled": audit.unsettled.iter().map(row).collect::<Vec<_>>(),
        "given_up": audit.given_up.iter().map(dead).collect::<Vec<_>>(),
    })
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use bunraku::ids::Time;

    use super::*;

    fn example() -> store::Audit {
        let tally = |direction, accepted, delivered| Tally {
            network: "libera".into(),
            direction,
            accepted,
            delivered,
            failed: 1,
            expired: 0,
            in_flight: 1,
        };
        let row = |seq, direction, since| Unsettled {
            seq,
            network: "libera".into(),
            direction,
            room: "!a:hs".into(),
            since: Time(since),
        };
        store::Audit {
            tallies: vec![tally(Direction::ToIrc, 12, 10), tally(Direction::ToMatrix, 1_000, 990)],
            unsettled: vec![
                row(7, Direction::ToIrc, 1_000_000),
                Unsettled { network: String::new(), ..row(8, Direction::ToIrc, 900_000) },
            ],
            given_up: vec![GivenUp { row: row(3, Direction::Notices, 0), reason: "M_TOO_LARGE".into() }],
        }
    }

    #[test]
    fn people_read_a_table_and_where_the_messages_are() {
        assert_eq!(
            for_people(&example(), 1_090_000),
            "\
network  direction      accepted  delivered  failed  expired  in flight  balance
libera   Matrix to IRC        12         10       1        0          1  balanced
libera   IRC to Matrix      1000        990       1        0          1  8 missing

oldest on their way:
  Matrix to IRC 7 in !a:hs on libera: 90 s old, open
  Matrix to IRC 8 in !a:hs on -: 3 min old, not for any network, not settled yet

newest given up:
  own notices 3 in !a:hs on libera: 18 min ago, M_TOO_LARGE
"
        );
    }

    #[test]
    fn programs_read_the_same() {
        let value = for_programs(&example(), 1_090_000);
        assert_eq!((&value["balanced"], &value["messages"][1]["missing"]), (&json!(false), &json!(8)));
        assert_eq!(
            value["unsettled"][0],
            json!({ "seq": 7, "network": "libera", "direction": "to_irc", "room": "!a:hs", "age_s": 90 })
        );
        assert_eq!(value["given_up"][0]["reason"], "M_TOO_LARGE");
    }
}
