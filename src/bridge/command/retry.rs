//! `retry`: into channels that would not have one.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static RETRY: Command = Command {
    name: "retry",
    also: &["rejoin"],
    takes: "",
    help: "Tries the channels that would not have you once more.",
    more: "",
    examples: &["retry"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Errand(Errand::Retry))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Retried(channels) if channels.is_empty() => {
            Some(Reply::text("No channel of yours has refused you."))
        }
        Report::Retried(channels) => {
            Some(Reply::text(format!("Trying again: {}. `status` tells how it went.", channels.join(", "))))
        }
        _ => None,
    })
}
