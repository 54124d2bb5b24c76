//! `login`: an account on the network, asked for step by step by `admin`.

use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static LOGIN: Command = Command {
    name: "login",
    also: &[],
    takes: "[account]",
    help: "Sets how you log in to the network, step by step.",
    more: "The message with your password is taken out of the room at once, where I may; it is kept sealed. At any step, `cancel` ends it.",
    examples: &["login", "login ada"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let account = match args.peek() {
        Some(_) => Some(args.param()?.to_owned()),
        None => None,
    };
    args.end().map(|()| Act::Login(account))
}

fn tell(told: &Told<'_>) -> Reply {
    super::logins::told(told)
}
