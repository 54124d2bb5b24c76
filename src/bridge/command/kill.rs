//! `kill`: somebody's connection, by an admin of the bridge.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static KILL: Command = Command {
    name: "kill",
    also: &[],
    takes: "@user:server [reason]",
    help: "Ends somebody's connection and keeps them away.",
    more: "They are told by whom and why. `release` lets them back.",
    examples: &["kill @spammer:example.org", "kill @spammer:example.org for flooding"],
    who: Permission::Admin,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let user = args.user()?;
    let reason = args.rest().map(str::to_owned);
    Ok(Act::Errand(Errand::Kill { user, reason }))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Done | Report::Ended(_) => {
            Some(Reply::text("Their connection is ended, and they stay away."))
        }
        _ => None,
    })
}
