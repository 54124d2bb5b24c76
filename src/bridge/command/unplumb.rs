//! `unplumb`: a room that people had bridged is so no more, or its question is taken back.

use crate::bridge::errand::plumbing::Plumbing;
use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words, plumb};

pub static UNPLUMB: Command = Command {
    name: "unplumb",
    also: &["unlink"],
    takes: "[!room] [#channel]",
    help: "Ends the bridge between a room of your own and its channel, or takes back the question for it.",
    more: "Say it in the room, behind `!irc`, or name the room by its id here. You need the level for changing levels in the room. \
           The people of IRC leave the room, and those of the room the channel.",
    examples: &["unplumb !room:example.org", "unplumb !room:example.org #bunraku"],
    // Whose room it is may end it, whatever the bridge thinks of them now.
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let room = args.room()?;
    let channel = args.peek().map(|_| args.channel_named().map(str::to_owned)).transpose()?;
    args.end()?;
    Ok(Act::Errand(Errand::Unplumb { room, channel }))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Done => Some(Reply::text("Done: the room is not bridged, and nothing waits.")),
        Report::Plumbing(Plumbing::Refused(why)) => Some(Reply::text(plumb::refused(why, told))),
        _ => None,
    })
}
