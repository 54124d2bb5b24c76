//! `ban`, `unban`: who may not come into a channel on IRC.

use crate::bridge::errand::Errand;
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static BAN: Command = Command {
    name: "ban",
    also: &[],
    takes: "[#channel] nick|mask",
    help: "Bans somebody from a channel on IRC, if you may.",
    more: "A nick is banned as `nick!*@*`; better is a mask of their host: `*!*@host`. A ban puts nobody out: `kick` does.",
    examples: &["ban #bunraku spammer", "ban #bunraku *!*@spam.example"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};
pub static UNBAN: Command = Command {
    name: "unban",
    also: &[],
    takes: "[#channel] nick|mask",
    help: "Lifts a ban in a channel on IRC, if you may.",
    more: "`mode #channel +b` lists the bans.",
    examples: &["unban #bunraku *!*@spam.example"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read: read_unban,
    tell: tell_unban,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    line(args, "+b")
}

fn read_unban(args: &mut Args<'_>) -> Result<Act, Bad> {
    line(args, "-b")
}

fn line(args: &mut Args<'_>, mode: &str) -> Result<Act, Bad> {
    let channel = args.channel()?;
    let word = args.param()?;
    args.end()?;
    let mask = if word.contains(['!', '@', '*', '$', ':']) { word.to_owned() } else { format!("{word}!*@*") };
    Ok(Act::Errand(Errand::Line(format!("MODE {channel} {mode} {mask}"))))
}

fn tell(told: &Told<'_>) -> Reply {
    told.accepted(|_| Reply::text("The ban is set."))
}

fn tell_unban(told: &Told<'_>) -> Reply {
    told.accepted(|_| Reply::text("The ban is lifted."))
}
