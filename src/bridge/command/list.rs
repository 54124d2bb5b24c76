//! `list`: the channels that a network shows.

use crate::bridge::effect::CommandAnswer;
use crate::bridge::errand::Errand;
use crate::bridge::policy::Permission;
use crate::text::irc_codes::strip;

use super::args::{Args, Bad};
use super::reply::{Cell, ROWS_MAX, Reply};
use super::tell::{Told, counted, cut, with_code};
use super::{Act, Command, Place, Scope, Words};

pub static LIST: Command = Command {
    name: "list",
    also: &["channels"],
    takes: "[word]",
    help: "Lists the channels of the network, those with most people first.",
    more: "With a word, only channels that have it in their name. A large network shows more than fits: give a word then.",
    examples: &["list", "list linux"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let word = match args.peek() {
        Some(_) => Some(args.param()?.trim_matches('*')),
        None => None,
    };
    args.end()?;
    let line = word.map_or_else(|| "LIST".to_owned(), |word| format!("LIST *{word}*"));
    Ok(Act::Errand(Errand::Line(line)))
}

fn tell(told: &Told<'_>) -> Reply {
    told.accepted(|answer| shown(told, answer))
}

fn shown(told: &Told<'_>, answer: &CommandAnswer) -> Reply {
    let mut channels: Vec<(&str, usize, String)> = with_code(answer, "322")
        .map(|line| (line.param(1), line.param(2).parse().unwrap_or(0), strip(line.param(3))))
        .collect();
    channels.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    if channels.is_empty() {
        return Reply::text(format!("{} shows no channel of that kind.", told.network));
    }
    let count = channels.len();
    let rows = channels.into_iter().map(|(name, people, topic)| {
        vec![Cell::Code(name.to_owned()), people.to_string().into(), topic.into()]
    });
    let reply = Reply::text(format!("{} of {}:", counted(count, "channel"), told.network))
        .table(&["channel", "people", "topic"], rows.take(ROWS_MAX).collect());
    if count > ROWS_MAX || !cut(answer).is_empty() {
        return reply.and("There are more: say `list` with a word that is in the name.");
    }
    reply
}
