//! `mode`: the modes of a channel, or one's own.

use crate::bridge::effect::CommandAnswer;
use crate::bridge::errand::Errand;
use crate::bridge::policy::Permission;

use super::args::{Args, Bad};
use super::reply::Reply;
use super::tell::{Ears, Told, with_code};
use super::{Act, Command, Place, Scope, Words};

pub static MODE: Command = Command {
    name: "mode",
    also: &[],
    takes: "[#channel] [modes and names]",
    help: "Tells the modes of a channel, or changes them.",
    more: "Changing them takes the rank on IRC that it takes there.",
    examples: &["mode #bunraku", "mode #bunraku +m", "mode #bunraku +v bob"],
    who: Permission::User,
    scope: Scope::Network,
    place: Place::Anywhere,
    words: Words::Open,
    read,
    tell,
};

/// Names that one line may hold.
const NAMES_MAX: usize = 12;

fn read(args: &mut Args<'_>) -> Result<Act, Bad> {
    let mut line = format!("MODE {}", args.channel()?);
    for _ in 0..=NAMES_MAX {
        let Some(_) = args.peek() else { break };
        line.push(' ');
        line.push_str(args.param()?);
    }
    args.end()?;
    Ok(Act::Errand(Errand::Line(line)))
}

fn tell(told: &Told<'_>) -> Reply {
    told.accepted(|answer| shown(answer, told.ears))
}

fn shown(answer: &CommandAnswer, ears: Ears) -> Reply {
    let modes =
        with_code(answer, "324").next().map(|line| line.params.get(2..).unwrap_or_default().join(" "));
    match modes {
        Some(modes) if ears == Ears::Others && has_key(&modes) => {
            let letters = modes.split(' ').next().unwrap_or_default();
            Reply::text(format!(
                "Its modes are `{letters}`. It has a key, which is not for a room with others."
            ))
        }
        Some(modes) => Reply::text(format!("Its modes are `{modes}`.")),
        None if answer.lines.is_empty() => Reply::text("It is set."),
        // Lists of masks: each server has its own numerics for them, and all have the mask third.
        None => {
            let masks = answer.lines.iter().filter(|line| line.params.len() > 3);
            let masks: Vec<String> = masks.map(|line| line.param(2).to_owned()).collect();
            if masks.is_empty() { Reply::text("The list is empty.") } else { Reply::default().code(masks) }
        }
    }
}

/// True for modes with a key among them (RFC 2812 section 3.2.3). Which of the words it is, each server may order in its own way.
fn has_key(modes: &str) -> bool {
    modes.split(' ').next().is_some_and(|letters| letters.contains('k'))
}
