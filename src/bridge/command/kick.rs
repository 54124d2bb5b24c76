//! `kick`: somebody out of a channel on IRC.

use crate::bridge::errand::Errand;
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static KICK: Command = Command {
    name: "kick",
    also: &[],
    takes: "[#channel] nick [reason]",
    help: "Puts somebody out of a channel on IRC, if you may.",
    more: "",
    examples: &["kick #bunraku spammer", "kick #bunraku spammer enough"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let channel = args.channel()?;
    let nick = args.param()?;
    let line = match args.rest() {
        Some(reason) => format!("KICK {channel} {nick} :{reason}"),
        None => format!("KICK {channel} {nick}"),
    };
    Ok(Act::Errand(Errand::Line(line)))
}

fn tell(told: &Told<'_>) -> Reply {
    told.accepted(|_| Reply::text("They are put out."))
}
