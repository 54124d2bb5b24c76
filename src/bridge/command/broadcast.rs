//! `broadcast`: something that everybody has to know, by an admin of the bridge.

use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static BROADCAST: Command = Command {
    name: "broadcast",
    also: &[],
    takes: "text",
    help: "Says something in the admin rooms of all people.",
    more: "",
    examples: &["broadcast The bridge restarts at noon."],
    who: Permission::Admin,
    scope: Scope::Bridge,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.rest().map(|text| Act::Broadcast(text.to_owned())).ok_or(Bad)
}

/// It waits for nobody: `admin` answers it at once.
fn tell(_: &Told<'_>) -> Reply {
    Reply::text("Said.")
}
