//! `status`: how one is connected.

use crate::bridge::errand::{Errand, Place as InIrc, Report, Status};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::{Cell, Reply};
use super::tell::{Told, connected, counted, sentence};
use super::{Act, Command, Place, Scope, Words};

pub static STATUS: Command = Command {
    name: "status",
    also: &[],
    takes: "",
    help: "Tells how you are on the network: connection, nick, account, channels, and what waits.",
    more: "",
    examples: &["status"],
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
    told.reported(|report| match report {
        Report::Status(status) => Some(shown(told, status)),
        _ => None,
    })
}

fn shown(told: &Told<'_>, status: &Status) -> Reply {
    let mut facts =
        vec![sentence(&format!("on {} you are {}", told.network, connected(&status.connection, told.now)))];
    if let Some(nick) = &status.nick {
        let account = match &status.account {
            Some(account) => format!("logged in as {account}"),
            None => "not logged in".to_owned(),
        };
        facts.push(format!("Your nick is {nick}, {account}."));
    }
    if let Some(server) = &status.server {
        let lag = status.lag_ms.map(|ms| format!(", which answers in {ms} ms")).unwrap_or_default();
        let modes = if status.modes.is_empty() {
            String::new()
        } else {
            format!("; your modes are +{}", status.modes)
        };
        facts.push(format!("Your server is {server}{lag}{modes}."));
    }
    if status.queued_lines + status.waiting_messages > 0 {
        facts.push(format!(
            "{} wait for the server's pace and {} for a connection or a channel.",
            counted(status.queued_lines, "line"),
            counted(status.waiting_messages, "message")
        ));
    }
    let rows = status.channels.iter().map(row).collect();
    Reply::text(facts.join(" ")).table(&["channel", "you", "read by"], rows)
}

fn row(place: &InIrc) -> Vec<Cell> {
    let carrier = place.carrier.clone().unwrap_or_else(|| "nobody".to_owned());
    vec![Cell::Code(place.channel.clone()), super::listrooms::standing(place).into(), carrier.into()]
}
