//! `reload`: the configuration, read again, by an admin of the bridge.

use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Upkeep, UpkeepReport, Words};

pub static RELOAD: Command = Command {
    name: "reload",
    also: &[],
    takes: "",
    help: "Reads the configuration again, and tells what counts now and what needs a restart.",
    more: "A file with a fault changes nothing, and the fault is told.",
    examples: &["reload"],
    who: Permission::Admin,
    scope: Scope::Bridge,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Upkeep(Upkeep::Reload))
}

fn tell(told: &Told<'_>) -> Reply {
    match told.upkept() {
        Some(UpkeepReport::Reloaded(words)) => Reply::text(words.as_str()),
        Some(UpkeepReport::Audit(_) | UpkeepReport::Failed) | None => {
            Reply::text("The configuration was not read again: the bridge is still starting, or stops.")
        }
    }
}
