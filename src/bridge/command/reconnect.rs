//! `reconnect`: a new connection.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static RECONNECT: Command = Command {
    name: "reconnect",
    also: &["connect"],
    takes: "",
    help: "Connects you anew: after a change of your login, or when you were kept away.",
    more: "Whom the network removed or banned, or an admin of the bridge sent away, an admin lets back.",
    examples: &["reconnect"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    args.end().map(|()| Act::Errand(Errand::Reconnect))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Done => Some(Reply::text(format!("You are connected to {}.", told.network))),
        _ => None,
    })
}
