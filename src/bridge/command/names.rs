//! `names`: who is in a channel.

use crate::bridge::effect::CommandAnswer;
use crate::bridge::errand::Errand;
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::{Told, counted, cut, with_code};
use super::{Act, Command, Place, Scope, Words};

pub static NAMES: Command = Command {
    name: "names",
    also: &["members"],
    takes: "[#channel]",
    help: "Tells who is in a channel on IRC.",
    more: "Signs before a nick are ranks: @ is an operator, + has a voice.",
    examples: &["names #bunraku"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let channel = args.channel()?;
    args.end()?;
    Ok(Act::Errand(Errand::Line(format!("NAMES {channel}"))))
}

fn tell(told: &Told<'_>) -> Reply {
    told.accepted(shown)
}

fn shown(answer: &CommandAnswer) -> Reply {
    let nicks: Vec<&str> = with_code(answer, "353")
        .flat_map(|line| line.param(3).split_whitespace())
        // Of `nick!user@host`, where the server was asked for it, the nick.
        .map(|name| name.split_once('!').map_or(name, |(nick, _)| nick))
        .collect();
    if nicks.is_empty() {
        return Reply::text("The server shows nobody there.");
    }
    let reply = Reply::text(format!(
        "{}: {}",
        counted(nicks.len(), "person").replace("persons", "people"),
        nicks.join(", ")
    ));
    if cut(answer).is_empty() { reply } else { reply.and(cut(answer)) }
}
