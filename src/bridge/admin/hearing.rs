//! Who hears an answer. What a person's connection sees of another channel, perhaps as one of few who may, is theirs alone: a
//! bridged room is told of its own channel and of no other. The answer goes to their admin room, or nobody is asked.

use super::commands::{Given, Where};
use super::{Admin, words};
use crate::bridge::command::args::{Args, is_channel};
use crate::bridge::command::reply::Reply;
use crate::bridge::command::tell::Ears;
use crate::bridge::command::{Act, Command};
use crate::bridge::errand::Errand;
use crate::ids::{NetworkId, RoomId};

/// Where an answer belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    /// Where the command was given.
    Room,
    /// In this room, which is the person's own.
    Apart(RoomId),
    /// They have none.
    Nobody,
}

impl Admin {
    /// Reads a command's words, and does what they say where the answer may be heard.
    pub(super) fn read(
        &mut self,
        given: &Given<'_>,
        command: &'static Command,
        network: Option<NetworkId>,
        rest: &str,
        (place, here): (Where<'_>, Option<&str>),
    ) {
        let room = (place != Where::Alone).then_some(given.room);
        match (command.read)(&mut Args::new(rest, here).said_in(room)) {
            Ok(act) => match self.hearing(given, &act, here) {
                Hearing::Room => self.act(given, command.name, network, act),
                Hearing::Apart(room) => {
                    let given = Given { apart: Some(&room), ..*given };
                    self.act(&given, command.name, network, act);
                }
                Hearing::Nobody => self.answer(given, &words::privately(&self.settings)),
            },
            Err(_) => self.answer(given, &words::usage(command)),
        }
    }

    /// Where what comes of this belongs. `here` is the channel of the room where it was asked for.
    pub(super) fn hearing(&self, given: &Given<'_>, act: &Act, here: Option<&str>) -> Hearing {
        let is_theirs = self.rooms.person(given.room) == Some(given.user);
        // Names that only the network holds equal are two here: then it is told in private.
        let is_here = |channel: &str| here.is_some_and(|here| here.eq_ignore_ascii_case(channel));
        if is_theirs || channel_of(act).is_none_or(is_here) {
            return Hearing::Room;
        }
        self.rooms.of(given.user).map_or(Hearing::Nobody, |room| Hearing::Apart(room.clone()))
    }

    /// Who will read the answer.
    pub(super) fn ears(&self, given: &Given<'_>) -> Ears {
        let room = given.apart.unwrap_or(given.room);
        if self.rooms.person(room) == Some(given.user) { Ears::Theirs } else { Ears::Others }
    }

    /// An answer that is not for the room goes where only its person reads it. Their room may be gone by now.
    pub(super) fn say_to_whom_it_is_for(&mut self, given: &Given<'_>, reply: &Reply) {
        let Some(room) = given.apart else { return self.say(given.room, Some(given.event), reply) };
        if self.rooms.person(room) != Some(given.user) {
            return self.say(given.room, Some(given.event), &words::privately(&self.settings));
        }
        self.say(room, None, reply);
        self.say(given.room, Some(given.event), &words::told_apart());
    }
}

/// The channel that a line to the server is about.
fn channel_of(act: &Act) -> Option<&str> {
    let Act::Errand(Errand::Line(line)) = act else { return None };
    line.split(' ').skip(1).take_while(|word| !word.starts_with(':')).find(|word| is_channel(word))
}
