//! `active`: still there.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static ACTIVE: Command = Command {
    name: "active",
    also: &[],
    takes: "",
    help: "Counts as a word of yours, so that your connection is not closed for silence.",
    more: "",
    examples: &["active"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Errand(Errand::Active))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Done => Some(Reply::text("Noted: you are here.")),
        _ => None,
    })
}
