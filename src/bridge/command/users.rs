//! `users`: who is on a network by this bridge.

use crate::bridge::errand::{Errand, Report, UserFact};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::{Cell, Reply};
use super::tell::{Told, connected, counted};
use super::{Act, Command, Place, Scope, Words};

pub static USERS: Command = Command {
    name: "users",
    also: &[],
    takes: "",
    help: "Lists who is on the network by this bridge.",
    more: "",
    examples: &["users"],
    who: Permission::Admin,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Errand(Errand::Users))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| {
        let Report::Users(users) = report else { return None };
        Some(
            Reply::text(format!(
                "{} on {}:",
                counted(users.len(), "person").replace("persons", "people"),
                told.network
            ))
            .table(&HEAD, rows(told, users)),
        )
    })
}

/// What [`rows`] are about.
pub const HEAD: [&str; 5] = ["person", "nick", "connection", "last word", "channels"];

pub fn rows(told: &Told<'_>, users: &[UserFact]) -> Vec<Vec<Cell>> {
    let row = |fact: &UserFact| {
        let active = fact
            .active
            .map_or_else(|| "not since the start".to_owned(), |then| format!("{} ago", told.ago(then)));
        vec![
            Cell::User(fact.user.clone()),
            fact.nick.clone().unwrap_or_default().into(),
            connected(&fact.connection, told.now).into(),
            active.into(),
            fact.channels.to_string().into(),
        ]
    };
    users.iter().map(row).collect()
}
