//! `listrooms`: the channels one is in, with their rooms.

use crate::bridge::errand::{Errand, InChannel, Place as InIrc, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::{Cell, Reply};
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static LISTROOMS: Command = Command {
    name: "listrooms",
    also: &["rooms"],
    takes: "",
    help: "Lists the channels you are in and their rooms here.",
    more: "",
    examples: &["listrooms"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Errand(Errand::Status))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| {
        let Report::Status(status) = report else { return None };
        if status.channels.is_empty() {
            return Some(Reply::text(format!(
                "You are in no channel of {}. `join #channel` takes you into one.",
                told.network
            )));
        }
        let rows = status.channels.iter().map(row).collect();
        Some(
            Reply::text(format!("Your channels on {}:", told.network))
                .table(&["channel", "you", "rooms"], rows),
        )
    })
}

fn row(place: &InIrc) -> Vec<Cell> {
    let mut cells = vec![Cell::Code(place.channel.clone()), standing(place).into()];
    cells.extend(place.rooms.iter().cloned().map(Cell::Room));
    cells
}

/// Where somebody is with a channel, in few words.
pub fn standing(place: &InIrc) -> String {
    match (place.standing, &place.refused) {
        (InChannel::In, _) => "in it".to_owned(),
        (InChannel::Joining, _) => "on your way into it".to_owned(),
        (InChannel::Leaving, _) => "on your way out".to_owned(),
        (InChannel::Out, Some(why)) => format!("not in it: {why}"),
        (InChannel::Out, None) => "not in it".to_owned(),
    }
}
