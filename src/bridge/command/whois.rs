//! `whois`: what a network tells of somebody.

use crate::bridge::effect::CommandAnswer;
use crate::bridge::errand::{Errand, Report, UserFact};
use crate::bridge::policy::Permission;
use crate::ids::UserId;
use crate::text::line::Line;
use crate::text::moment;

use super::args::{Args, Bad};
use super::reply::{Cell, Reply};
use super::tell::{Ears, Told, lasting};
use super::{Act, Command, Place, Scope, Words};

pub static WHOIS: Command = Command {
    name: "whois",
    also: &[],
    takes: "nick|@user:server",
    help: "Tells what the network knows of somebody on IRC, or who somebody of Matrix is there.",
    more: "In a private chat, the one you talk with.",
    examples: &["whois bob", "whois @ada:example.org"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

/// RPL_WHOISCHANNELS.
const CHANNELS: &str = "319";

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    if args.peek().is_some_and(|word| word.starts_with('@') && word.contains(':')) {
        let user = args.user()?;
        return args.end().map(|()| Act::Errand(Errand::Find(user)));
    }
    let nick = args.nick()?;
    args.end()?;
    // Twice: their own server knows for how long they have been silent (RFC 2812 section 3.6.2).
    Ok(Act::Errand(Errand::Line(format!("WHOIS {nick} {nick}"))))
}

fn tell(told: &Told<'_>) -> Reply {
    if let Some(Errand::Find(user)) = told.errand() {
        return told.reported(|report| match report {
            Report::Users(found) => Some(person(told, user, found)),
            _ => None,
        });
    }
    told.accepted(|answer| shown(answer, told.ears))
}

/// Somebody of Matrix.
fn person(told: &Told<'_>, user: &UserId, found: &[UserFact]) -> Reply {
    let nick = found.iter().find(|fact| fact.user == *user).and_then(|fact| fact.nick.as_ref());
    Reply::text(match nick {
        Some(nick) => format!("{user} is {nick} on {}.", told.network),
        None => format!("{user} is not on {} by this bridge.", told.network),
    })
}

/// Which channels they are in is shown to whom the server shows it, and to no others: some may be secret.
fn shown(answer: &CommandAnswer, ears: Ears) -> Reply {
    let lines = answer.lines.iter().filter(|line| ears == Ears::Theirs || line.command != CHANNELS);
    let rows: Vec<Vec<Cell>> =
        lines.filter_map(fact).map(|(name, fact)| vec![name.into(), fact.into()]).collect();
    if rows.is_empty() {
        return Reply::text("The server tells nothing of them.");
    }
    Reply::default().table(&["what", "is"], rows)
}

/// What one line of the answer tells.
fn fact(line: &Line) -> Option<(&'static str, String)> {
    let last = line.params.last().map_or("", String::as_str);
    Some(match line.command.as_str() {
        "311" => ("person", format!("{}!{}@{} ({last})", line.param(1), line.param(2), line.param(3))),
        "301" => ("away", last.to_owned()),
        "307" | "335" | "671" => ("also", last.to_owned()),
        "312" => ("server", format!("{} ({last})", line.param(2))),
        "313" => ("rank", last.to_owned()),
        CHANNELS => ("channels", last.trim().to_owned()),
        "330" => ("account", line.param(2).to_owned()),
        "317" => ("silent", silent(line)),
        _ => return None,
    })
}

/// RPL_WHOISIDLE: seconds of silence and, on most servers, since when they are connected.
fn silent(line: &Line) -> String {
    let seconds: u64 = line.param(2).parse().unwrap_or(0);
    let since = line.param(3).parse::<u64>().ok().filter(|since| *since > 0);
    let since = since.map(|since| format!(", connected since {}", moment::utc(since.saturating_mul(1_000))));
    format!("for {}{}", lasting(seconds.saturating_mul(1_000)), since.unwrap_or_default())
}
