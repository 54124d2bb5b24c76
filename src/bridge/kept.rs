//! What is kept of people over restarts: who stays away from IRC, and who is to be removed from a room.

use super::ending::Ending;
use crate::ids::{RoomId, Time, UserId};

/// A puppet that stays away from IRC until a person says otherwise: killed, banned or not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRow {
    pub user: UserId,
    /// The name of the ending, see [`Ending::of_hold`].
    pub ending: String,
    /// The server's words, free of addresses; at most 300 bytes.
    pub words: String,
    pub since: Time,
}

impl HoldRow {
    /// The endings for which another login may be the way back.
    pub const FOR_LOGIN: [&str; 3] = ["login", "no-login-way", "login-wanted"];

    /// True when another login may be the way back.
    pub fn is_for_login(&self) -> bool {
        matches!(Ending::of_hold(&self.ending), Ending::LoginRefused(_))
    }
}

/// Somebody who is to be removed from a room, while what is said there is kept back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BarRow {
    pub room: RoomId,
    pub user: UserId,
    /// As the homeserver shows it.
    pub reason: String,
}

/// Whether somebody is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    In,
    Out,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_login_may_end_what_a_login_was_the_reason_for_and_nothing_else() {
        for (ending, is_for_login) in HoldRow::FOR_LOGIN
            .map(|name| (name, true))
            .into_iter()
            .chain(["killed", "banned", "quit", "sent-away", "of another version"].map(|name| (name, false)))
        {
            let user = UserId::new("@ada:hs").unwrap();
            let row = HoldRow { user, ending: ending.into(), words: String::new(), since: Time(1) };
            assert_eq!(row.is_for_login(), is_for_login, "{ending}");
        }
    }
}
