//! `msg`: a private chat.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::{Cell, Reply};
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static QUERY: Command = Command {
    name: "msg",
    also: &["query"],
    takes: "nick [text]",
    help: "Opens a private chat with somebody on IRC, and says something there.",
    more: "",
    examples: &["msg bob", "msg bob hello there"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let nick = args.nick()?.to_owned();
    let text = args.rest().map(str::to_owned);
    Ok(Act::Errand(Errand::Query { nick, text }))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| {
        let Report::Talking { nick, room } = report else { return None };
        Some(match room {
            Some(room) => Reply::text(format!("Your private chat with {nick}:"))
                .list(vec![vec![Cell::Room(room.clone())]]),
            None => Reply::text(format!(
                "Your private chat with {nick} is being opened: you will be invited to it."
            )),
        })
    })
}
