//! `stop`: take back what was not said yet.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::{Told, counted};
use super::{Act, Command, Place, Scope, Words};

pub static STOP: Command = Command {
    name: "stop",
    also: &[],
    takes: "",
    help: "Takes back everything you wrote that the network has not got yet.",
    more: "For the long paste that went out by mistake.",
    examples: &["stop"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Errand(Errand::Stop))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Stopped(0) => Some(Reply::text("Nothing was waiting: all you wrote has been said.")),
        Report::Stopped(count) => {
            Some(Reply::text(format!("Stopped: {} will not be said.", counted(*count, "message"))))
        }
        _ => None,
    })
}
