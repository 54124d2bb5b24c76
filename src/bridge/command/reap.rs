//! `reap`: connections that nobody uses, by an admin of the bridge.

use crate::bridge::errand::{Errand, Reaping, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::{Told, counted};
use super::{Act, Command, Place, Scope, Words};

pub static REAP: Command = Command {
    name: "reap",
    also: &[],
    takes: "days [now]",
    help: "Names those who have said nothing for so many days; with `now`, ends their connections.",
    more: "Their next word brings the connection back.",
    examples: &["reap 30", "reap 30 now"],
    who: Permission::Admin,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const DAYS_MAX: u64 = 10_000;

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let days: u64 = args.need()?.parse().map_err(|_| Bad)?;
    let how = match args.word()? {
        None => Reaping::Trial,
        Some(word) if word.eq_ignore_ascii_case("now") => Reaping::Done,
        Some(_) => return Err(Bad),
    };
    args.end()?;
    if !(1..=DAYS_MAX).contains(&days) {
        return Err(Bad);
    }
    Ok(Act::Errand(Errand::Reap { idle_ms: days * DAY_MS, how }))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| {
        let Report::Ended(users) = report else { return None };
        let count = counted(users.len(), "connection");
        let words = match told.errand() {
            Some(Errand::Reap { how: Reaping::Done, .. }) => format!("Ended: {count} on {}.", told.network),
            _ if users.is_empty() => format!("Nobody on {} has been silent for so long.", told.network),
            _ => format!("{count} on {} would end. `now` behind it ends them.", told.network),
        };
        Some(Reply::text(words).table(&super::users::HEAD, super::users::rows(told, users)))
    })
}
