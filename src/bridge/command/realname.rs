//! `realname`: what people on IRC are shown as somebody's name.

use crate::bridge::errand::{Errand, Report};
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::Told;
use super::{Act, Command, Place, Scope, Words};

pub static REALNAME: Command = Command {
    name: "realname",
    also: &["gecos"],
    takes: "name|default",
    help: "Sets what stands as your name where people on the network look you up, and keeps it.",
    more: "It counts from your next connection on, in the place of your display name. Your Matrix id stays beside it, so that people \
           know whom they talk to; where the settings show that alone, there is no place for a name.",
    examples: &["realname Ada Lovelace", "realname default"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::AdminRoom,
    words: Words::Open,
    read,
    tell,
};

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let name = args.rest().ok_or(Bad)?;
    let is_default = name.eq_ignore_ascii_case("default");
    Ok(Act::Errand(Errand::Realname((!is_default).then(|| name.to_owned()))))
}

fn tell(told: &Told<'_>) -> Reply {
    told.reported(|report| match report {
        Report::Done => Some(Reply::text(
            "Kept. It counts from your next connection on; `reconnect` makes one now. Your Matrix id stays beside it.",
        )),
        _ => None,
    })
}
