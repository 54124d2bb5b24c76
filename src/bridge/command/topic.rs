//! `topic`: what a channel is about.

use crate::bridge::effect::CommandAnswer;
use crate::bridge::errand::Errand;
use crate::bridge::policy::Permission;
use crate::text::irc_codes::strip;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::{Told, with_code};
use super::{Act, Command, Place, Scope, Words};

pub static TOPIC: Command = Command {
    name: "topic",
    also: &[],
    takes: "[#channel] [text]",
    help: "Tells the topic of a channel, or sets it.",
    more: "",
    examples: &["topic #bunraku", "topic #bunraku Puppets on stage"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let channel = args.channel()?;
    let line = match args.rest() {
        Some(text) => format!("TOPIC {channel} :{text}"),
        None => format!("TOPIC {channel}"),
    };
    Ok(Act::Errand(Errand::Line(line)))
}

fn tell(told: &Told<'_>) -> Reply {
    told.accepted(|answer| {
        Reply::text(match told.errand() {
            Some(Errand::Line(line)) if line.contains(" :") => "The topic is set.".to_owned(),
            _ => shown(answer),
        })
    })
}

fn shown(answer: &CommandAnswer) -> String {
    let topic = with_code(answer, "332").next().map(|line| strip(line.param(2)));
    topic.filter(|topic| !topic.is_empty()).unwrap_or_else(|| "It has no topic.".to_owned())
}
