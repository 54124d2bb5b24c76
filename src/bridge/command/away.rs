//! `away`: absent, or back.

use crate::bridge::errand::Errand;
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static AWAY: Command = Command {
    name: "away",
    also: &[],
    takes: "[reason]",
    help: "Marks you as away on the network; without a reason you are back.",
    more: "It lasts as long as the connection.",
    examples: &["away", "away at lunch"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let line = args.rest().map_or_else(|| "AWAY".to_owned(), |reason| format!("AWAY :{reason}"));
    Ok(Act::Errand(Errand::Line(line)))
}

fn tell(told: &Told<'_>) -> Reply {
    told.accepted(|answer| {
        let is_away = answer.lines.iter().any(|line| line.command == "306");
        Reply::text(if is_away { "You are marked as away." } else { "You are no longer away." })
    })
}
