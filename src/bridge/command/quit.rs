//! `quit`: off the network.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static QUIT: Command = Command {
    name: "quit",
    also: &["disconnect"],
    takes: "[reason]",
    help: "Takes you off the network, until you come back.",
    more: "Nobody reads a channel unseen: from rooms that only people in the channel may read you are removed after a while.",
    examples: &["quit", "quit good night"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    Ok(Act::Errand(Errand::Quit { reason: args.rest().map(str::to_owned) }))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Done => {
            Some(Reply::text(format!("You are off {}. `reconnect` brings you back.", told.network)))
        }
        _ => None,
    })
}
