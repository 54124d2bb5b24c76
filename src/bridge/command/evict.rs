//! `evict`: a whole homeserver, by an admin of the bridge.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::{Told, counted};
use super::{Act, Command, Place, Scope, Words};

pub static EVICT: Command = Command {
    name: "evict",
    also: &[],
    takes: "homeserver [reason]",
    help: "Ends the connections of all people of a homeserver and keeps them away.",
    more: "`release` lets one back. Against those who come later it takes a line in the configuration (`permissions`) or in a policy list.",
    examples: &["evict spam.example", "evict spam.example open registration"],
    who: Permission::Admin,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let server = args.server()?;
    let reason = args.rest().map(str::to_owned);
    Ok(Act::Errand(Errand::Evict { server, reason }))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| {
        let Report::Ended(users) = report else { return None };
        let reply =
            Reply::text(format!("Ended: {} on {}.", counted(users.len(), "connection"), told.network));
        Some(reply.table(&super::users::HEAD, super::users::rows(told, users)))
    })
}
