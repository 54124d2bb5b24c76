//! `nick`: another name on IRC.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static NICK: Command = Command {
    name: "nick",
    also: &[],
    takes: "nick|default",
    help: "Changes your nick on the network, and keeps it.",
    more: "Without it your nick follows your display name; `nick default` goes back to that.",
    examples: &["nick ada", "nick default"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let nick = args.param()?;
    args.end()?;
    let is_default = nick.eq_ignore_ascii_case("default");
    Ok(Act::Errand(Errand::Nick((!is_default).then(|| nick.to_owned()))))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Called(nick) => Some(Reply::text(format!("You are {nick} on {}.", told.network))),
        Report::Done => Some(Reply::text("Kept. You get it when you are connected.")),
        _ => None,
    })
}
