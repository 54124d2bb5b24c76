//! `part`: out of a channel.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static PART: Command = Command {
    name: "part",
    also: &["leave"],
    takes: "[#channel] [reason]",
    help: "Takes you out of a channel, on IRC and here.",
    more: "A room that people own and that is only linked to the channel you leave yourself, as any other.",
    examples: &["part #bunraku", "part #bunraku back tomorrow"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let channel = args.channel()?.to_owned();
    let reason = args.rest().map(str::to_owned);
    Ok(Act::Errand(Errand::Part { channel, reason }))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match (report, told.errand()) {
        (Report::Done, Some(Errand::Part { channel, .. })) => {
            Some(Reply::text(format!("You have left {channel}.")))
        }
        _ => None,
    })
}
