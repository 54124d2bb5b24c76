//! Which reactions were carried over lately, so that each can be taken back on the other side.
//!
//! One for each network, in this run only: a reaction of an earlier run stays. Above [`REACTIONS_MAX`] each way the oldest
//! is forgotten. They are few and short-lived, so they are looked through one by one, the newest first.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::effect::Ghost;
use crate::ids::{EventId, RelaySeq, RoomId, Target, UserId};

/// Reactions remembered, each way.
pub const REACTIONS_MAX: usize = 1_024;

/// A reaction of somebody of Matrix that went to a channel as a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    pub room: RoomId,
    /// Their reaction.
    pub event: EventId,
    pub by: UserId,
    pub target: Target,
    /// The name of the line it is on.
    pub msgid: Arc<str>,
    pub key: String,
}

/// A reaction of somebody of IRC as rooms have it: there is one like it at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    pub room: RoomId,
    /// The message it is on.
    pub about: EventId,
    pub ghost: Ghost,
    pub key: String,
}

impl Reaction {
    /// However its author's nick is written.
    fn is(&self, other: &Self) -> bool {
        self.room == other.room
            && self.about == other.about
            && self.ghost.user == other.ghost.user
            && self.key == other.key
    }
}

/// How far it has come.
#[derive(Debug)]
enum Progress {
    /// On its way, as this.
    Relayed(RelaySeq),
    /// The homeserver has it, as this event.
    Named(EventId),
    /// On its way, and to be taken back when it has arrived.
    Unwanted(RelaySeq),
}

/// What is to be done to take one back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakingBack {
    /// This event is to be redacted.
    Redact(EventId),
    /// Nothing, or nothing yet.
    Nothing,
}

/// The reactions of one network.
#[derive(Debug, Default)]
pub struct Reactions {
    from_matrix: VecDeque<Tagged>,
    from_irc: VecDeque<(Reaction, Progress)>,
}

impl Reactions {
    /// It went to its channel.
    pub fn tagged(&mut self, tagged: Tagged) {
        if self.from_matrix.len() >= REACTIONS_MAX {
            self.from_matrix.pop_front();
        }
        self.from_matrix.push_back(tagged);
    }

    /// Somebody of Matrix took back this event: what is to be taken back in a channel, if it was a reaction that went there.
    /// One of IRC that was removed there may be made again.
    pub fn redacted(&mut self, room: &RoomId, event: &EventId) -> Option<Tagged> {
        let is_event = |progress: &Progress| matches!(progress, Progress::Named(named) if named == event);
        self.from_irc.retain(|(reaction, progress)| reaction.room != *room || !is_event(progress));
        let at =
            self.from_matrix.iter().rposition(|tagged| tagged.event == *event && tagged.room == *room)?;
        self.from_matrix.remove(at)
    }

    /// Notes one of IRC that is to be relayed as `seq`. `false` where the room has it already, or is about to.
    pub fn relays(&mut self, reaction: Reaction, seq: RelaySeq) -> bool {
        match self.find(&reaction) {
            // It waits behind what takes it back: then it is there again.
            Some((_, Progress::Unwanted(_))) | None => {}
            Some((_, Progress::Relayed(_) | Progress::Named(_))) => return false,
        }
        if self.from_irc.len() >= REACTIONS_MAX {
            self.from_irc.pop_front();
        }
        self.from_irc.push_back((reaction, Progress::Relayed(seq)));
        true
    }

    /// Its author takes one back.
    pub fn take_back(&mut self, reaction: &Reaction) -> TakingBack {
        let Some((at, _)) = self.find(reaction) else { return TakingBack::Nothing };
        match self.from_irc.remove(at).expect("it was found there") {
            (_, Progress::Named(event)) => TakingBack::Redact(event),
            (reaction, Progress::Relayed(seq) | Progress::Unwanted(seq)) => {
                self.from_irc.insert(at, (reaction, Progress::Unwanted(seq)));
                TakingBack::Nothing
            }
        }
    }

    /// The homeserver has taken what was relayed as `seq`. Where that was a reaction that is not wanted any more: which
    /// one, and in whose name it is to be redacted.
    pub fn was_named(&mut self, seq: RelaySeq, event: &EventId) -> Option<Reaction> {
        let is_it = |(_, progress): &(Reaction, Progress)| match progress {
            Progress::Relayed(of) | Progress::Unwanted(of) => *of == seq,
            Progress::Named(_) => false,
        };
        let at = self.from_irc.iter().rposition(is_it)?;
        let (reaction, progress) = self.from_irc.remove(at).expect("it was found there");
        match progress {
            Progress::Relayed(_) | Progress::Named(_) => {
                self.from_irc.insert(at, (reaction, Progress::Named(event.clone())));
                None
            }
            Progress::Unwanted(_) => Some(reaction),
        }
    }

    fn find(&self, reaction: &Reaction) -> Option<(usize, &Progress)> {
        let at = self.from_irc.iter().rposition(|(known, _)| known.is(reaction))?;
        Some((at, &self.from_irc[at].1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::casemap::CaseMap;

    fn room() -> RoomId {
        RoomId::new("!r:hs").unwrap()
    }

    fn event(name: &str) -> EventId {
        EventId::new(name).unwrap()
    }

    fn thumb(about: &str) -> Reaction {
        let ghost = Ghost { user: UserId::new("@irc_eve:hs").unwrap(), display_name: "eve".into() };
        Reaction { room: room(), about: event(about), ghost, key: "👍".into() }
    }

    fn tagged(number: usize) -> Tagged {
        Tagged {
            room: room(),
            event: event(&format!("${number}")),
            by: UserId::new("@ada:hs").unwrap(),
            target: Target::Channel(crate::ids::ChannelName::new("#c", CaseMap::Ascii).unwrap()),
            msgid: "m1".into(),
            key: "👍".into(),
        }
    }

    #[test]
    fn a_reaction_of_irc_is_taken_back_by_its_event() {
        let mut reactions = Reactions::default();
        assert!(reactions.relays(thumb("$1"), RelaySeq(1)));
        assert!(!reactions.relays(thumb("$1"), RelaySeq(2)), "it is on its way");
        assert_eq!(reactions.was_named(RelaySeq(1), &event("$r")), None);
        assert!(!reactions.relays(thumb("$1"), RelaySeq(3)), "it is there");
        assert_eq!(reactions.take_back(&thumb("$2")), TakingBack::Nothing);
        assert_eq!(reactions.take_back(&thumb("$1")), TakingBack::Redact(event("$r")));
        assert_eq!(reactions.take_back(&thumb("$1")), TakingBack::Nothing, "once");
        assert!(reactions.relays(thumb("$1"), RelaySeq(4)), "and it may be made again");
    }

    #[test]
    fn what_is_taken_back_on_its_way_goes_when_it_has_arrived_and_what_comes_after_stays() {
        let mut reactions = Reactions::default();
        reactions.relays(thumb("$1"), RelaySeq(1));
        assert_eq!(reactions.take_back(&thumb("$1")), TakingBack::Nothing);
        assert!(reactions.relays(thumb("$1"), RelaySeq(2)));
        assert_eq!(reactions.was_named(RelaySeq(1), &event("$a")), Some(thumb("$1")));
        assert_eq!(reactions.was_named(RelaySeq(2), &event("$b")), None);
        assert_eq!(reactions.take_back(&thumb("$1")), TakingBack::Redact(event("$b")));
    }

    #[test]
    fn what_was_removed_on_matrix_may_be_made_again() {
        let mut reactions = Reactions::default();
        reactions.relays(thumb("$1"), RelaySeq(1));
        reactions.was_named(RelaySeq(1), &event("$r"));
        assert_eq!(reactions.redacted(&room(), &event("$r")), None);
        assert!(reactions.relays(thumb("$1"), RelaySeq(2)));
    }

    #[test]
    fn a_reaction_of_matrix_is_taken_back_once_and_in_its_own_room() {
        let mut reactions = Reactions::default();
        reactions.tagged(tagged(1));
        assert_eq!(reactions.redacted(&RoomId::new("!other:hs").unwrap(), &event("$1")), None);
        assert_eq!(reactions.redacted(&room(), &event("$1")), Some(tagged(1)));
        assert_eq!(reactions.redacted(&room(), &event("$1")), None);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut reactions = Reactions::default();
        for number in 0..=REACTIONS_MAX {
            reactions.tagged(tagged(number));
            assert!(reactions.relays(thumb(&format!("${number}")), RelaySeq(number as i64)));
        }
        assert_eq!((reactions.from_matrix.len(), reactions.from_irc.len()), (REACTIONS_MAX, REACTIONS_MAX));
        assert_eq!(reactions.redacted(&room(), &event("$0")), None);
        assert!(reactions.redacted(&room(), &event("$1")).is_some());
        assert_eq!(reactions.was_named(RelaySeq(0), &event("$r")), None);
    }
}
