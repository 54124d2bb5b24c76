//! `cmd`: a line of one's own, with all that came back.

use crate::bridge::errand::Errand;
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::{Told, cut};
use super::{Act, Command, Place, Scope, Words};

pub static CMD: Command = Command {
    name: "cmd",
    also: &["raw", "quote"],
    takes: "COMMAND …",
    help: "Lets your IRC user say an IRC command as it is, and shows what the server answers.",
    more: "What the bridge has to say itself (QUIT, NICK, PASS and the like) is refused.",
    examples: &["cmd WHO #bunraku", "cmd VERSION"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let line = args.rest().ok_or(Bad)?;
    let command = line.split(' ').next().unwrap_or_default();
    // Tags and sources are not a person's to give, and a line that is hidden behind them is none.
    if command.is_empty()
        || !command.chars().all(|c| c.is_ascii_alphanumeric())
        || line.contains(char::is_control)
    {
        return Err(Bad);
    }
    Ok(Act::Errand(Errand::Line(format!("{}{}", command.to_ascii_uppercase(), &line[command.len()..]))))
}

fn tell(told: &Told<'_>) -> Reply {
    told.accepted(|answer| {
        if answer.lines.is_empty() {
            return Reply::text("The server had nothing against it, and nothing to say.");
        }
        let lines = answer.lines.iter().map(|line| {
            let line = crate::text::line::Line { tags: Vec::new(), ..line.clone() };
            line.build()
        });
        let reply = Reply::text("The server answered:").code(lines.collect());
        if cut(answer).is_empty() { reply } else { reply.and(cut(answer)) }
    })
}
