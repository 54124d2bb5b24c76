//! `join`: into a channel.

use crate::bridge::errand::{Errand, Joined, Report, RoomDoor};
use crate::bridge::policy::Permission;
use crate::secret::Secret;

use super::args::{Args, Bad};
use super::reply::{Cell, Reply};
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static JOIN: Command = Command {
    name: "join",
    also: &[],
    takes: "#channel [key]",
    help: "Takes you into a channel: your IRC user on IRC, and you into its room here.",
    more: "The room is made where there is none, and you are invited. The key is for channels that ask for one (+k).",
    examples: &["join #bunraku", "join #secret hunter2"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let channel = args.channel_named()?.to_owned();
    let key = match args.peek() {
        Some(_) => Some(Secret::new(args.param()?)),
        None => None,
    };
    args.end()?;
    Ok(Act::Errand(Errand::Join { channel, key }))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| {
        let Report::Joined(Joined { channel, room, door }) = report else { return None };
        let words = match door {
            RoomDoor::Inside => format!("You are in {channel} on {}:", told.network),
            RoomDoor::Invited => {
                format!("Your IRC user is in {channel} on {}. You are invited to its room:", told.network)
            }
        };
        Some(Reply::text(words).list(vec![vec![Cell::Room(room.clone())]]))
    })
}
