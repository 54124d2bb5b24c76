//! `help`: what there is, made of the list of commands.

use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::{Cell, Reply};
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static HELP: Command = Command {
    name: "help",
    also: &["commands"],
    takes: "[command]",
    help: "Lists the commands, or explains one of them.",
    more: "",
    examples: &["help", "help join"],
    who: Permission::User,
    scope: Scope::Bridge,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let name = args.word()?.map(|name| name.trim_start_matches('!').to_owned());
    args.end().map(|()| Act::Help(name))
}

/// It waits for nobody: `admin` answers it at once with [`list`] or [`of`].
fn tell(_: &Told<'_>) -> Reply {
    list(Permission::User)
}

/// All commands that somebody may give.
pub fn list(who: Permission) -> Reply {
    let rows = super::COMMANDS.into_iter().filter(|command| command.who <= who);
    let rows = rows.map(|command| vec![Cell::Code(command.usage()), command.help.into()]);
    Reply::text("Write one of these; `help` and a name tells more about one.")
        .table(&["command", "what it does"], rows.collect())
        .and("Where the bridge has several networks, the network's name comes first: `join libera #channel`.")
}

/// One command.
pub fn of(command: &Command) -> Reply {
    let reply = Reply::text(format!("`{}`: {}", command.usage(), command.help));
    let reply = if command.more.is_empty() { reply } else { reply.and(command.more) };
    let reply = match command.place {
        Place::Anywhere => {
            reply.and(format!("In a bridged room: `!irc {}`. Nobody on IRC sees it.", command.usage()))
        }
        Place::AdminRoom => reply,
    };
    let examples: Vec<Vec<Cell>> =
        command.examples.iter().map(|example| vec![Cell::Code((*example).to_owned())]).collect();
    let names = command.also.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let reply = reply.and("For example:").list(examples);
    if names.is_empty() { reply } else { reply.and(format!("It is also called {names}.")) }
}
