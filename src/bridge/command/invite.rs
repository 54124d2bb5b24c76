//! `invite`: somebody of IRC into a channel.

use crate::bridge::errand::Errand;
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static INVITE: Command = Command {
    name: "invite",
    also: &[],
    takes: "nick [#channel]",
    help: "Invites somebody on IRC into a channel.",
    more: "",
    examples: &["invite bob #bunraku"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let nick = args.param()?;
    let channel = args.channel()?;
    args.end()?;
    Ok(Act::Errand(Errand::Line(format!("INVITE {nick} {channel}"))))
}

fn tell(told: &Told<'_>) -> Reply {
    told.accepted(|_| Reply::text("They are invited."))
}
