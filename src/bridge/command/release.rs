//! `release`: back to IRC, by an admin of the bridge.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static RELEASE: Command = Command {
    name: "release",
    also: &[],
    takes: "@user:server",
    help: "Lets somebody back who was sent away by an admin, or whom the network removed or banned.",
    more: "A ban of the network has to be lifted there first: else they are back here in a moment, and the network has one more reason.",
    examples: &["release @ada:example.org"],
    who: Permission::Admin,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let user = args.user()?;
    args.end().map(|()| Act::Errand(Errand::Release(user)))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Done => Some(Reply::text("They may connect again, and do where they are in a bridged room.")),
        _ => None,
    })
}
