//! `links`: what rooms of people's own are bridged with, or wait to be.

use crate::bridge::errand::plumbing::{Link, LinkState, Plumbing};
use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::{Cell, Reply};
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words, plumb};

pub static LINKS: Command = Command {
    name: "links",
    also: &[],
    takes: "[!room]",
    help: "Shows which channel a room of people's own is bridged with, or waits for.",
    more: "In your admin room, without a room: all that you have asked for; for admins of the bridge all there are.",
    examples: &["links", "links !room:example.org"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let room = args.room().ok();
    args.end()?;
    Ok(Act::Errand(Errand::Links { room }))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Links(links) if links.is_empty() => {
            Some(Reply::text("None. `plumb` bridges a room of your own with a channel."))
        }
        Report::Links(links) => {
            let rows = links.iter().map(|link| row(link, told)).collect();
            Some(Reply::text(format!("On {}:", told.network)).table(&["channel", "room", "how it is"], rows))
        }
        Report::Plumbing(Plumbing::Refused(why)) => Some(Reply::text(plumb::refused(why, told))),
        _ => None,
    })
}

fn row(link: &Link, told: &Told<'_>) -> Vec<Cell> {
    let how = match link.state {
        LinkState::Linked => "bridged".to_owned(),
        LinkState::Asked(since) => format!("operators were asked {} ago", told.ago(since)),
    };
    let by = match &link.by {
        Some(by) => format!("{how}, for {by}"),
        None => format!("{how}, by the configuration"),
    };
    vec![link.channel.clone().into(), Cell::Room(link.room.clone()), by.into()]
}
