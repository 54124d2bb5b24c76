//! What senders are told of messages that did not arrive, or not whole: a sign on the message, and words.
//!
//! Each message ends here in exactly one way, and is settled once its sender was told, or is to be told nothing: a crash
//! in between leaves it open, and nothing vanishes unseen. Which signs there are the network's settings say. Words are gathered by [`Gather`](super::super::tell::gather::Gather), so that an outage is no flood; no
//! message's own text is ever repeated in them.

use super::super::effect::{Effect, Fate, Outcome, Refusal, Sign};
use super::super::input::BodyKind;
use super::super::policy::{Notices, StatusEvents};
use super::super::relay::to_irc::Saying;
use super::super::relay::to_irc::compose::Rest;
use super::super::tell::gather::{Account, Marked, Miss, News, PEOPLE_MAX, Reason};
use super::super::timer::Timer;
use super::away::spelled;
use super::{Life, Network, Speaker};
use crate::ids::{InboxSeq, RoomId, Target, UserId};

/// People named in an account; more are counted.
const NAMED_MAX: usize = 3;

impl Network {
    /// A message is on the other side.
    pub(super) fn delivered(&mut self, saying: &Saying) {
        self.settle(saying.seq, Outcome::Delivered);
        self.report(saying, || Fate::Delivered);
    }

    /// A message did not arrive: settled, and its sender told why.
    pub(super) fn failed(&mut self, saying: &Saying, why: &str) {
        self.miss(saying, Outcome::Failed(why.to_owned()), Reason::NotSent(why.to_owned()));
    }

    pub(super) fn expired(&mut self, saying: &Saying) {
        let id = self.mouth_of(&saying.sender);
        let trouble = id.and_then(|id| self.puppet(id).last_trouble().map(str::to_owned));
        self.miss(saying, Outcome::Expired, Reason::TooOld(trouble));
    }

    /// The server did not take what we said.
    pub(super) fn line_refused(&mut self, saying: &Saying, refusal: &Refusal) {
        let words = self.explained(refusal);
        self.miss(saying, Outcome::Failed(words.clone()), Reason::Refused(words));
    }

    /// The server did not take some of what was said together with this.
    pub(super) fn line_in_doubt(&mut self, saying: &Saying, refusal: &Refusal) {
        let words = self.explained(refusal);
        let outcome = Outcome::Failed(format!("it may have been refused: {words}"));
        self.miss(saying, outcome, Reason::InDoubt(words));
    }

    /// Nobody knows whether a message arrived: it is settled as failed, and its sender told.
    pub(super) fn perhaps_lost(&mut self, saying: &Saying, why: &str) {
        let outcome = Outcome::Failed(format!("it may be lost: {why}"));
        self.miss(saying, outcome, Reason::PerhapsLost(why.to_owned()));
    }

    /// Where the end of a message is nowhere to be read on IRC, its sender is told.
    pub(super) fn tell_of_rest(&mut self, saying: &Saying, rest: Rest) {
        if let Rest::Cut(lines_cut) = rest {
            let last = if lines_cut == 1 { "line was".to_owned() } else { format!("{lines_cut} lines were") };
            let text = format!("This message is too long for IRC: its last {last} left out there.");
            self.tell(&saying.room, text, Some(saying.event_id.clone()));
        }
    }

    /// Marks a message that did not arrive; its sender hears why at the end of this step, or later with others. Where
    /// nothing but these words tells of it, it is settled with them.
    fn miss(&mut self, saying: &Saying, outcome: Outcome, reason: Reason) {
        self.ends(saying.seq);
        self.originals.forget(&saying.event_id);
        let (age_max, place) = (spelled(self.policy.message_age_ms_max), self.place(&saying.target));
        let marked = self.react(saying);
        self.report(saying, || {
            let words = one(&reason, &place, &age_max);
            match reason {
                Reason::TooOld(_) => Fate::Expired(words),
                Reason::NotSent(_) | Reason::Refused(_) | Reason::InDoubt(_) | Reason::PerhapsLost(_) => {
                    Fate::Failed(words)
                }
            }
        });
        let (notice, status_event) = (self.policy.failures.notice, self.policy.failures.status_event);
        let shows = marked == Marked::Yes || status_event == StatusEvents::On;
        let is_told_later = !shows && (notice == Notices::On || marked == Marked::LeftOut);
        let mut untold = vec![(saying.seq, outcome)];
        if !is_told_later {
            self.settle_told(std::mem::take(&mut untold));
        }
        let miss = Miss {
            room: saying.room.clone(),
            event: saying.event_id.clone(),
            sender: saying.sender.clone(),
            target: saying.target.clone(),
            reason,
            marked,
            untold,
        };
        let ends = match (notice, status_event, marked) {
            (Notices::On, _, _) => self.gather.add(self.now, miss),
            // Else nothing at all would tell of it.
            (Notices::Off, StatusEvents::Off, Marked::LeftOut) => self.gather.add_for_later(self.now, miss),
            (Notices::Off, _, _) => return,
        };
        self.timers.arm(Timer::Failures(saying.room.clone()), ends);
    }

    fn place(&self, target: &Target) -> Place {
        let name = self.place_of(target);
        let to = if name == target.as_str() { String::new() } else { format!(" to {name}") };
        Place { name, to }
    }

    /// These were told to their senders.
    fn settle_told(&mut self, ends: Vec<(InboxSeq, Outcome)>) {
        self.out.extend(ends.into_iter().map(|(seq, outcome)| Effect::Settle { seq, outcome }));
    }

    fn react(&mut self, saying: &Saying) -> Marked {
        let Some(key) = self.policy.failures.reaction.clone() else { return Marked::Unwanted };
        let marked = self.gather.may_mark(self.now, &saying.room);
        if marked == Marked::Yes {
            self.mark(saying.room.clone(), saying.event_id.clone(), Sign::Reaction(key));
        }
        marked
    }

    fn report(&mut self, saying: &Saying, fate: impl FnOnce() -> Fate) {
        if self.policy.failures.status_event == StatusEvents::On {
            let sign = Sign::Status { network: self.policy.network.clone(), fate: fate() };
            self.mark(saying.room.clone(), saying.event_id.clone(), sign);
        }
    }

    /// Tells what failed in this step; and, once the last connection is gone, all that was gathered.
    pub(super) fn tell_failures(&mut self) {
        for account in self.gather.take(self.now) {
            self.give_account(account);
        }
        if self.is_stopped() {
            self.tell_gathered();
        }
    }

    /// Tells all that was gathered: nobody may be there to tell it later.
    pub(super) fn tell_gathered(&mut self) {
        debug_assert!(self.life == Life::Stopping, "what is gathered waits for its time");
        for account in self.gather.take_gathered() {
            self.give_account(account);
        }
    }

    pub(super) fn failures_due(&mut self, room: &RoomId) {
        if let Some(account) = self.gather.window_ended(self.now, room) {
            self.give_account(account);
        }
        self.timers.arm_if(Timer::Failures(room.clone()), self.gather.ends(room));
    }

    fn give_account(&mut self, account: Account) {
        let age_max = spelled(self.policy.message_age_ms_max);
        let place = self.place(&account.target);
        let text = told(&account, &place, &age_max, self.policy.failures.reaction.as_deref());
        let about = (account.messages == 1).then_some(account.event);
        self.say_in_room(account.room, Speaker::Bot, BodyKind::Notice, text, about);
        self.settle_told(account.untold);
    }
}

/// Where messages were to arrive.
struct Place {
    /// The channel; with its network where the room has channels of several.
    name: String,
    /// " to" that place, where it is not clear which is meant.
    to: String,
}

/// What is said of one message, as a reply to it.
fn one(reason: &Reason, Place { name: channel, to }: &Place, age_max: &str) -> String {
    match reason {
        Reason::NotSent(why) => format!("This message was not sent to {channel}: {why}."),
        Reason::TooOld(trouble) => format!(
            "This message was not sent to {channel}: it is older than {age_max} and could not be sent before{}. Say it \
             again if it still matters.",
            bracketed(trouble.as_deref())
        ),
        Reason::Refused(sentence) => format!("This message did not get through{to}. {sentence}."),
        Reason::InDoubt(sentence) => format!(
            "This message may not have got through{to}: only a part of what you said in quick succession did, and the \
             server does not say which. {sentence}."
        ),
        Reason::PerhapsLost(why) => format!("This message may not have reached {channel}: {why}."),
    }
}

/// What is said of an account. `reaction` is what its messages carry, but for those that are unmarked.
fn told(account: &Account, place: &Place, age_max: &str, reaction: Option<&str>) -> String {
    let channel = &place.name;
    match &account.reasons[..] {
        [(reason, _)] if account.messages == 1 => one(reason, place, age_max),
        [(reason, _)] => {
            let text = many(reason, &which(account), place, age_max);
            format!("{text}{}", unmarked(account, reaction))
        }
        several => {
            let lines =
                several.iter().map(|(reason, count)| format!("\n{count}: {}.", brief(reason, age_max)));
            let others = Some(account.others).filter(|others| *others > 0);
            let others = others.map(|others| format!("\n{others}: for other reasons.")).unwrap_or_default();
            let lines: String = lines.collect();
            let which = which(account);
            let unmarked = unmarked(account, reaction);
            format!("{which} did not arrive in {channel}, or not for sure.{unmarked}{lines}{others}")
        }
    }
}

/// As [`one`], of several messages.
fn many(reason: &Reason, which: &str, Place { name: channel, to }: &Place, age_max: &str) -> String {
    match reason {
        Reason::NotSent(why) => format!("{which} were not sent to {channel}: {why}."),
        Reason::TooOld(trouble) => format!(
            "{which} were not sent to {channel}: they are older than {age_max} and could not be sent before{}. Say them \
             again if they still matter.",
            bracketed(trouble.as_deref())
        ),
        Reason::Refused(sentence) => format!("{which} did not get through{to}. {sentence}."),
        Reason::InDoubt(sentence) => format!(
            "{which} may not have got through{to}: only a part of what was said in quick succession did, and the server \
             does not say which. {sentence}."
        ),
        Reason::PerhapsLost(why) => format!("{which} may not have reached {channel}: {why}."),
    }
}

/// One reason among several, behind the number of its messages and before a full stop.
fn brief(reason: &Reason, age_max: &str) -> String {
    match reason {
        Reason::NotSent(why) => why.clone(),
        Reason::TooOld(trouble) => {
            format!("older than {age_max}, no way to send it before{}", bracketed(trouble.as_deref()))
        }
        Reason::Refused(sentence) => sentence.clone(),
        Reason::InDoubt(sentence) => {
            format!("perhaps refused, with others said in quick succession. {sentence}")
        }
        Reason::PerhapsLost(why) => format!("perhaps lost, {why}"),
    }
}

/// "12 more messages of @ada:hs and @bob:hs".
fn which(account: &Account) -> String {
    let more = match account.news {
        News::First => "",
        News::More => "more ",
    };
    format!("{} {more}messages of {}", account.messages, people(account))
}

fn people(account: &Account) -> String {
    let names: Vec<&str> = account.people.iter().map(UserId::as_str).collect();
    match &names[..] {
        [all @ .., last] if names.len() <= NAMED_MAX => match all {
            [] => (*last).to_owned(),
            all => format!("{} and {last}", all.join(", ")),
        },
        many if many.len() > PEOPLE_MAX => format!("more than {PEOPLE_MAX} people"),
        many => format!("{} people", many.len()),
    }
}

fn unmarked(account: &Account, reaction: Option<&str>) -> String {
    match (account.unmarked, reaction) {
        (0, _) | (_, None) => String::new(),
        (1, Some(key)) => format!(" One of them carries no {key}: there were too many."),
        (count, Some(key)) if count == account.messages => {
            format!(" They carry no {key}: there were too many.")
        }
        (count, Some(key)) => format!(" {count} of them carry no {key}: there were too many."),
    }
}

fn bracketed(words: Option<&str>) -> String {
    words.map(|words| format!(" ({words})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ids::{ChannelName, EventId};
    use crate::text::casemap::CaseMap;

    fn account(messages: u32, people: usize, reasons: Vec<(Reason, u32)>) -> Account {
        let names = ["@ada:hs".to_owned(), "@bob:hs".into(), "@carl:hs".into()];
        let names = names.into_iter().chain((3..).map(|n| format!("@u{n}:hs")));
        let people: BTreeSet<UserId> = names.take(people).map(|name| UserId::new(&name).unwrap()).collect();
        Account {
            room: RoomId::new("!r").unwrap(),
            target: ChannelName::new("#c", CaseMap::Ascii).unwrap().into(),
            event: EventId::new("$e").unwrap(),
            messages,
            people,
            reasons,
            others: 0,
            unmarked: 0,
            news: News::First,
            untold: Vec::new(),
        }
    }

    fn here() -> Place {
        Place { name: "#c".into(), to: String::new() }
    }

    #[test]
    fn where_a_room_has_several_channels_it_is_told_which() {
        let place = Place { name: "#c on Net".into(), to: " to #c on Net".into() };
        assert_eq!(
            told(&account(1, 1, vec![(refused(), 1)]), &place, "15 minutes", None),
            "This message did not get through to #c on Net. #c is moderated: ask its operators for voice."
        );
        let lost = Reason::NotSent("you left".into());
        assert_eq!(
            told(&account(2, 1, vec![(lost, 2)]), &place, "15 minutes", None),
            "2 messages of @ada:hs were not sent to #c on Net: you left."
        );
    }

    fn said(account: &Account) -> String {
        told(account, &here(), "15 minutes", Some("❌"))
    }

    fn refused() -> Reason {
        Reason::Refused("#c is moderated: ask its operators for voice".into())
    }

    fn old() -> Reason {
        Reason::TooOld(Some("connection refused".into()))
    }

    #[test]
    fn one_message_is_told_of_as_this_one() {
        let single = |reason| said(&account(1, 1, vec![(reason, 1)]));
        assert_eq!(
            single(refused()),
            "This message did not get through. #c is moderated: ask its operators for voice."
        );
        assert_eq!(
            single(old()),
            "This message was not sent to #c: it is older than 15 minutes and could not be sent before (connection \
             refused). Say it again if it still matters."
        );
        assert_eq!(
            single(Reason::NotSent("you left the room".into())),
            "This message was not sent to #c: you left the room."
        );
        assert!(
            single(Reason::InDoubt("Not here".into())).starts_with("This message may not have got through")
        );
    }

    #[test]
    fn many_are_told_with_their_number_and_their_senders() {
        assert_eq!(
            said(&account(12, 4, vec![(old(), 12)])),
            "12 messages of 4 people were not sent to #c: they are older than 15 minutes and could not be sent before \
             (connection refused). Say them again if they still matter."
        );
        let more = Account { news: News::More, ..account(2, 1, vec![(refused(), 2)]) };
        assert_eq!(
            said(&more),
            "2 more messages of @ada:hs did not get through. #c is moderated: ask its operators for voice."
        );
        assert_eq!(
            said(&account(2, 2, vec![(Reason::PerhapsLost("the connection broke".into()), 2)])),
            "2 messages of @ada:hs and @bob:hs may not have reached #c: the connection broke."
        );
        let named = |count| people(&account(200, count, vec![(old(), 200)]));
        assert_eq!(named(2), "@ada:hs and @bob:hs");
        assert_eq!(named(3), "@ada:hs, @bob:hs and @carl:hs");
        assert_eq!(named(PEOPLE_MAX), "100 people");
        assert_eq!(named(PEOPLE_MAX + 1), "more than 100 people");
    }

    #[test]
    fn several_reasons_are_a_list() {
        let reasons = vec![(old(), 5), (Reason::NotSent("you left the room".into()), 3), (refused(), 1)];
        assert_eq!(
            said(&Account { others: 2, unmarked: 4, ..account(11, 3, reasons) }),
            "11 messages of @ada:hs, @bob:hs and @carl:hs did not arrive in #c, or not for sure. 4 of them carry no ❌: \
             there were too many.\n\
             5: older than 15 minutes, no way to send it before (connection refused).\n\
             3: you left the room.\n\
             1: #c is moderated: ask its operators for voice.\n\
             2: for other reasons."
        );
    }

    #[test]
    fn messages_without_their_sign_are_counted() {
        let with = |unmarked| Account { unmarked, ..account(60, 1, vec![(refused(), 60)]) };
        assert!(said(&with(0)).ends_with("for voice."));
        assert!(said(&with(1)).ends_with(" One of them carries no ❌: there were too many."));
        assert!(said(&with(10)).ends_with(" 10 of them carry no ❌: there were too many."));
        assert!(said(&with(60)).ends_with(" They carry no ❌: there were too many."));
        assert!(told(&with(10), &here(), "15 minutes", None).ends_with("for voice."));
    }
}
