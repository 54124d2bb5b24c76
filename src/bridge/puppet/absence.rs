//! Why a puppet is not on IRC: held, asleep, or kept off the bridge; and what its person is told of the last.

use super::super::ending::End;
use crate::ids::Time;

/// Why a puppet stays away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub end: End,
    pub since: Time,
    pub told: Told,
}

/// Whether a puppet's person knows of its hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Yes,
    NotYet,
}

/// Why a puppet's connection was closed until its person is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asleep {
    /// Nothing was said for as long as the settings allow.
    Idle,
    /// All connections were taken, and this one had been idle for longest.
    Shed,
    /// An admin closed those of people who said nothing for long.
    Reaped,
}

/// Why somebody may not be on IRC through the bridge, and is not heard there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// The settings (`permissions`).
    Settings,
    /// A policy list, with the reason of its rule; that may be empty.
    List(String),
}

impl Exclusion {
    /// Why, and what can be done, to follow a "because".
    pub fn words(&self) -> String {
        let next = "ask whoever runs the bridge if that is a mistake";
        match self {
            Self::Settings => format!("you may not use this bridge, by its settings: {next}"),
            Self::List(reason) if reason.is_empty() => {
                format!("you may not use this bridge, because of a policy list: {next}")
            }
            Self::List(reason) => {
                format!("you may not use this bridge, because of a policy list ({reason}): {next}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_learns_by_whom_and_what_to_do() {
        let list = |reason: &str| Exclusion::List(reason.into()).words();
        assert!(list("spam").contains("policy list (spam): ask whoever runs the bridge"));
        assert!(!list("").contains("()"));
        assert!(Exclusion::Settings.words().ends_with("if that is a mistake"));
    }
}
