//! `ignore` and `unignore`: whose private words do not come.

use crate::bridge::errand::{Errand, Ignoring, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::{Cell, Reply};
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static IGNORE: Command = Command {
    name: "ignore",
    also: &[],
    takes: "[nick|mask]",
    help: "What somebody writes to you in private comes no more, nor do their invitations; alone, it tells whom you ignore.",
    more: "They are not told. A nick can be changed, so a mask of their host holds better: `whois` shows it. In rooms it changes \
           nothing, for everybody reads there: let your Matrix client ignore their Matrix user.",
    examples: &["ignore", "ignore eve", "ignore *!*@spam.example"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read: read_ignore,
    tell,
};

pub static UNIGNORE: Command = Command {
    name: "unignore",
    also: &[],
    takes: "nick|mask|all",
    help: "What they write to you in private comes again.",
    more: "",
    examples: &["unignore eve", "unignore all"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read: read_unignore,
    tell,
};

fn read_ignore(args: &mut Args<'_>) -> Result<Act, Bad> {
    let what = match args.peek() {
        Some(_) => Ignoring::Add(args.param()?.to_owned()),
        None => Ignoring::Tell,
    };
    args.end().map(|()| Act::Errand(Errand::Ignore(what)))
}

fn read_unignore(args: &mut Args<'_>) -> Result<Act, Bad> {
    let word = args.param()?;
    let is_all = word.eq_ignore_ascii_case("all");
    let what = if is_all { Ignoring::RemoveAll } else { Ignoring::Remove(word.to_owned()) };
    args.end().map(|()| Act::Errand(Errand::Ignore(what)))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| {
        let Report::Ignored(masks) = report else { return None };
        if masks.is_empty() {
            return Some(Reply::text(format!("You ignore nobody on {}.", told.network)));
        }
        let rows = masks.iter().map(|mask| vec![Cell::Code(mask.clone())]).collect();
        let reply = Reply::text(format!("On {} you ignore in private:", told.network)).list(rows);
        Some(
            reply.and(
                "In rooms they are heard as ever: there your Matrix client can ignore their Matrix user.",
            ),
        )
    })
}
