//! `channel`: how a channel is bridged, from within.

use crate::bridge::errand::{ChannelFact, Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::{Cell, Reply};
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static CHANNEL: Command = Command {
    name: "channel",
    also: &["debug"],
    takes: "[#channel]",
    help: "Tells how a channel is bridged: by whose connection, what is held back, what is still to do.",
    more: "",
    examples: &["channel #bunraku"],
    who: Permission::Admin,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let channel = args.channel()?.to_owned();
    args.end()?;
    Ok(Act::Errand(Errand::Channel(channel)))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Channel(fact) => Some(shown(fact)),
        _ => None,
    })
}

fn shown(fact: &ChannelFact) -> Reply {
    let carrier = fact.carrier.clone().unwrap_or_else(|| "nobody".to_owned());
    let mut rows: Vec<Vec<Cell>> = vec![
        vec!["carried by".into(), carrier.into()],
        vec!["changes of that".into(), fact.epoch.to_string().into()],
        vec!["also read by".into(), fact.standbys.join(", ").into()],
        vec!["lines held back".into(), fact.held_lines.to_string().into()],
        vec!["lines not seen by all".into(), fact.unseen_lines.to_string().into()],
        vec!["people".into(), fact.people.to_string().into()],
        vec!["ghosts in rooms".into(), fact.ghosts.to_string().into()],
        vec!["still to come or go".into(), fact.steps_open.to_string().into()],
        vec!["modes".into(), fact.modes.clone().into()],
    ];
    rows.extend(fact.rooms.iter().map(|room| vec!["room".into(), Cell::Room(room.clone())]));
    Reply::text(format!("{}:", fact.channel)).table(&["what", "is"], rows)
}
