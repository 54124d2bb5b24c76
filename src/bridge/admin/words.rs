//! What people are told in admin rooms that is no answer of a command, and how fast they may give commands.

use std::collections::HashMap;

use super::Settings;
use super::news::Trouble;
use crate::bridge::command::reply::{Cell, Reply};
use crate::bridge::command::tell::{lasting, sentence};
use crate::bridge::command::{Command, near};
use crate::bridge::ending::hold::{HoldText, doom, hold_text};
use crate::bridge::news::{First, News};
use crate::bridge::policy::Permission;
use crate::ids::{RoomId, Time, UserId};

/// Commands of one person in [`PACE_MS`]. The next one is told so, those after it are not answered.
pub(super) const PACE_MAX: u32 = 30;
const PACE_MS: u64 = 60_000;
/// People remembered; full, the oldest minutes are forgotten.
const PEOPLE_MAX: usize = 4_096;

/// How fast people give commands.
#[derive(Debug, Default)]
pub(super) struct Pace {
    minutes: HashMap<UserId, (Time, u32)>,
}

/// Whether a command may be given now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Yours,
    /// Not now, and they are told.
    TooFast,
    /// Not now, and they know it.
    Silence,
}

impl Pace {
    pub fn turn(&mut self, user: &UserId, now: Time) -> Turn {
        if self.minutes.len() >= PEOPLE_MAX {
            self.minutes.retain(|_, (since, _)| now.since_ms(*since) < PACE_MS);
        }
        let (since, count) = self.minutes.entry(user.clone()).or_insert((now, 0));
        if now.since_ms(*since) >= PACE_MS {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        match *count {
            0..=PACE_MAX => Turn::Yours,
            count if count == PACE_MAX + 1 => Turn::TooFast,
            _ => Turn::Silence,
        }
    }
}

pub(super) fn welcome(settings: &Settings) -> Reply {
    let networks = settings.networks.iter();
    let rows = networks.map(|network| vec![Cell::Code(network.id.to_string()), network.name.as_str().into()]);
    Reply::text("Hello! In this room you run your life on IRC: write a command, and I answer. These networks are bridged:")
        .list(rows.collect())
        .and("`join #channel` takes you into a channel, `status` tells how you are connected, `help` lists the rest.")
}

pub(super) fn moved(to: &RoomId) -> Reply {
    Reply::text("You have a newer room with me, so I leave this one:")
        .list(vec![vec![Cell::Room(to.clone())]])
}

pub(super) fn crowd() -> Reply {
    Reply::text(
        "There is somebody else here, and what I answer is for one person only, so I leave. Invite me to a direct chat of \
         your own.",
    )
}

/// What the bot says in a room that it was invited to and that is no private chat.
pub(super) fn guest(may: bool, settings: &Settings) -> Reply {
    let network = match settings.networks.as_slice() {
        [_] => String::new(),
        _ => " network".to_owned(),
    };
    let plumber = match may {
        true => "",
        false => " It takes the permission `plumber` of this bridge, which who runs it gives.",
    };
    Reply::text(format!(
        "To bridge this room with an IRC channel, say `!irc plumb{network} #channel` here: it takes the level for changing levels,          and the yes of an operator of the channel.{plumber} I leave in ten minutes if nobody does. For an admin room of your          own invite me to a direct chat, or say `!help` where we are alone."
    ))
}

pub(super) fn encrypted() -> Reply {
    Reply::text(
        "I cannot read encrypted messages. Invite me to a direct chat without encryption, and give your command there.",
    )
}

pub(super) fn too_much() -> Reply {
    Reply::text("A command is one line of at most 4,000 letters.")
}

pub(super) fn unknown(name: &str, near_ones: &[&Command]) -> Reply {
    let near = near_ones.iter().map(|command| format!("`{}`", command.name)).collect::<Vec<_>>().join(" or ");
    let name: String = name.chars().take(40).collect();
    if near.is_empty() {
        // Never given back: it may be a password that came too late for its question.
        return Reply::text("That is no command. `help` lists them.");
    }
    Reply::text(format!("“{name}” is no command. Did you mean {near}? `help` lists all."))
}

pub(super) fn usage(command: &Command) -> Reply {
    let examples = command.examples.iter().map(|example| vec![Cell::Code((*example).to_owned())]).collect();
    Reply::text(format!("It is `{}`, for example:", command.usage())).list(examples)
}

pub(super) fn not_allowed(command: &Command) -> Reply {
    Reply::text(match command.who {
        Permission::Plumber => format!(
            "`{}` takes the permission `plumber` of the bridge. Ask who runs it for that.",
            command.name
        ),
        Permission::Admin | Permission::User | Permission::Blocked => {
            format!("`{}` is for admins of the bridge.", command.name)
        }
    })
}

pub(super) fn elsewhere(command: &Command, settings: &Settings) -> Reply {
    Reply::text(format!(
        "`{}` is for your admin room: invite {} to a direct chat and say it there.",
        command.name, settings.bot
    ))
}

/// What a person's connection sees of a channel is not for the people of another one's room.
pub(super) fn privately(settings: &Settings) -> Reply {
    Reply::text(format!(
        "What you see of another channel is not for everybody here. Ask me in a private chat: invite {} to a direct chat.",
        settings.bot
    ))
}

pub(super) fn told_apart() -> Reply {
    Reply::text("That is another channel, so the answer is in your admin room.")
}

pub(super) fn which_network(command: &Command, settings: &Settings) -> Reply {
    let names: Vec<String> = settings.networks.iter().map(|network| format!("`{}`", network.id)).collect();
    let first = settings.networks.first().map_or("", |network| network.id.as_str());
    Reply::text(format!(
        "Which network? Its name comes first, as in `{} {first} …`. There are {}.",
        command.name,
        names.join(", ")
    ))
}

pub(super) fn too_many() -> Reply {
    Reply::text("Too many commands wait for their answers. Wait for those, then try again.")
}

pub(super) fn too_fast() -> Reply {
    Reply::text("That is too fast: I answer again in a minute.")
}

pub(super) fn no_answer() -> Reply {
    Reply::text(
        "Nothing answered in time, so nobody knows whether it worked. `status` tells how you are connected.",
    )
}

pub(super) fn restarted() -> Reply {
    Reply::text(
        "The bridge was restarted while it worked on this, so nobody knows whether it was done. Say it again if it is still \
         wanted.",
    )
}

pub(super) fn was_secret() -> Reply {
    Reply::text(
        "A password does not belong in a room with others: they may have read it. Change it on the network, and tell me the new \
         one in your admin room.",
    )
}

pub(super) fn not_hidden() -> Reply {
    Reply::text("I may not take your message with the password out of this room. Please remove it yourself.")
}

/// Names that are near an unknown one.
pub(super) fn guess(name: &str, settings: &Settings, user: &UserId) -> Reply {
    unknown(name, &near(name, settings.who(user)))
}

/// What happened to somebody's connection.
pub(super) fn news(network: &str, news: &News, trouble: Trouble, now: Time) -> Reply {
    let text = match news {
        News::Connected { nick, first: First::Yes } => format!("You are on {network} now, as {nick}."),
        News::Connected { nick, first: First::No } => format!("You are back on {network}, as {nick}."),
        News::Lost { why, again } => lost(network, why, *again, trouble, now),
        News::Held { end, removed_after_ms } => {
            let Some(HoldText { what, next }) = hold_text(end, network) else { return Reply::text("") };
            let doom = removed_after_ms.map(|ms| doom(ms, lasting)).unwrap_or_default();
            sentence(&format!(
                "{what}. It does not come back by itself, and what you say in its rooms does not reach IRC: {next}.{doom}"
            ))
        }
        News::Asleep { why } => sentence(&format!("{why}. Say something and it comes back.")),
        News::NoAccount { why } => format!(
            "You are on {network} without your account: {why}. Channels that want a registered nick may refuse you; `login` sets \
             it right."
        ),
        News::Renamed { from, to } => {
            format!(
                "{network} gave you another nick: you are {to} now, no longer {from}. `nick` asks for another."
            )
        }
    };
    Reply::text(text)
}

fn lost(network: &str, why: &str, again: Time, trouble: Trouble, now: Time) -> String {
    let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
    let down = lasting(now.since_ms(trouble.since));
    let tries = match trouble.tries {
        0 | 1 => format!("You have not been connected to {network} for {down}{why}."),
        tries => format!("You have not been connected to {network} for {down}; that was try {tries}{why}."),
    };
    let next = match again.since_ms(now) {
        0 => "The next try is under way".to_owned(),
        ms => format!("The next try is in {} at the earliest", lasting(ms.max(1_000))),
    };
    format!("{tries} {next}; `reconnect` tries at once, and what you say meanwhile waits for a while.")
}
