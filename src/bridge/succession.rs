//! A room that another one replaces: what is asked of the homeserver for it, and what comes back.

use super::input::{Member, PortalRow};
use crate::ids::{RoomId, UserId};

/// What is asked for. All of it may be asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Succession {
    /// Go into `to` and see whether it is what `room` says it is: the room that replaces it. `sender` has said so there.
    /// Answered by `Input::Succeeded`.
    Follow { room: RoomId, to: RoomId, sender: UserId, needed: Needed },
    /// The pairing of a room is that of another one from now on, over restarts, in one piece: with who is there, with the bans
    /// that can be lifted, and without the tombstone, where that was remembered.
    Move { from: RoomId, row: PortalRow, members: Vec<Member> },
    /// Nothing that happens in this room is our business.
    GiveUp { to: RoomId },
    /// Remember over restarts a tombstone that cannot be followed now.
    Remember(TombstoneRow),
    /// Forget the one of this room.
    Forget { room: RoomId },
    /// Nobody has to be removed from this room any more. What was kept back there until they were is not said there after all,
    /// and the room that takes its place is told how much that was.
    Vacate { from: RoomId, to: RoomId },
}

/// What the bot has to be able to do in a successor before a channel goes on there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    Nothing,
    /// Remove people, and whoever is removed reads no more: nothing else keeps those from reading who are not seen.
    Removals,
}

/// A tombstone that could not be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TombstoneRow {
    pub room: RoomId,
    /// What it says replaces the room.
    pub to: RoomId,
    /// Who said so.
    pub sender: UserId,
    /// What the room was told.
    pub why: Unfit,
}

/// A room that replaces another one, and says so itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Who is in it, ours among them.
    pub members: Vec<Member>,
    /// Where it is replaced already: by which room, and in whose words.
    pub next: Option<(RoomId, UserId)>,
}

/// Why a room does not take another one's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It lets nobody in who is not invited.
    Closed,
    /// Nobody knows of it.
    Missing,
    /// It does not say that it replaces this one, or is no room to talk in.
    Stranger,
    /// It is bridged already, or was replaced itself.
    Taken,
    /// The room says another one by now.
    Overtaken,
    /// It could not be found out in some minutes.
    Unknown,
    /// The bot may not do there what it has to.
    Powerless,
    /// Who was removed, or never was there, can read what is said.
    Readable,
}

impl Unfit {
    const ALL: [Self; 8] = [
        Self::Closed,
        Self::Missing,
        Self::Stranger,
        Self::Taken,
        Self::Overtaken,
        Self::Unknown,
        Self::Powerless,
        Self::Readable,
    ];

    /// True where people can change it, so that looking again may find another answer.
    pub fn may_pass(self) -> bool {
        match self {
            Self::Closed | Self::Missing | Self::Unknown | Self::Powerless | Self::Readable => true,
            Self::Stranger | Self::Taken | Self::Overtaken => false,
        }
    }

    /// Its name for the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Missing => "missing",
            Self::Stranger => "stranger",
            Self::Taken => "taken",
            Self::Overtaken => "overtaken",
            Self::Unknown => "unknown",
            Self::Powerless => "powerless",
            Self::Readable => "readable",
        }
    }

    /// Reads what the store has; `None` for what no version of ours has written.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unfit| unfit.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_gives_back_what_it_got() {
        assert!(Unfit::ALL.iter().all(|unfit| Unfit::read(unfit.name()) == Some(*unfit)));
        assert_eq!(Unfit::read("what"), None);
    }
}
