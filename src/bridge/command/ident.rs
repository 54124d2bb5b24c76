//! `ident`: what one is known by on IRC, for good.

use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Keeping, Kept, Place, Scope, Words};

pub static IDENT: Command = Command {
    name: "ident",
    also: &[],
    takes: "",
    help: "Tells your ident: what operators on IRC know you by, whatever your nick.",
    more: "Nobody else ever gets it. A ban of it hits you and nobody else.",
    examples: &["ident"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Keep(Keeping::Ident))
}

fn tell(told: &Told<'_>) -> Reply {
    match told.kept() {
        Some(Kept::Ident(ident)) => Reply::text(format!("Your ident on {} is `{ident}`.", told.network)),
        Some(Kept::Nothing) => Reply::text(format!(
            "You have none yet: you get it with your first connection to {}.",
            told.network
        )),
        _ => super::logins::told(told),
    }
}
