//! `version`: which bridge this is.

use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static VERSION: Command = Command {
    name: "version",
    also: &["bridgeversion"],
    takes: "",
    help: "Tells which bridge this is, and its version.",
    more: "",
    examples: &["version"],
    who: Permission::User,
    scope: Scope::Bridge,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Version)
}

/// It waits for nobody: `admin` answers it at once with [`words`].
fn tell(_: &Told<'_>) -> Reply {
    words()
}

pub fn words() -> Reply {
    Reply::text(format!("This is bunraku {}, a bridge between Matrix and IRC.", env!("CARGO_PKG_VERSION")))
}
