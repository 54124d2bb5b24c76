//! What people do with messages afterwards: they edit them, take them back, put signs on them.
//!
//! What still waits to be said is changed where it waits, or never said. What was said is corrected, taken back or
//! reacted to by the means that the network has; where it has none, in words if the settings ask for that, else not.
//! Every event ends in one settlement, whether something comes of it or not; and so does a message that is withdrawn.

use std::sync::Arc;

use super::super::effect::{Effect, Outcome};
use super::super::input::{Before, BodyKind};
use super::super::policy::Shown;
use super::super::relay::memory::{Author, Life, Said};
use super::super::relay::reactions::Tagged;
use super::super::relay::to_irc::answer::{Answer, Told, name_of};
use super::super::relay::to_irc::compose::{Rest, compose};
use super::super::relay::to_irc::correction::correction;
use super::super::relay::to_irc::{Corrects, Saying, deed};
use super::super::session::Session;
use super::super::session::places::Standing;
use super::super::session::tags::Sign;
use super::Network;
use super::say::Arrival;
use crate::ids::{EventId, InboxSeq, PuppetId, RoomId, Target, Time, UserId};
use crate::text::spans::Spans;

/// Reactions of somebody to their own message that stop what still waits of it.
const STOP_SIGNS: [&str; 5] = ["🛑", "⏹", "✋", "⛔", "STOP"];

/// An event that speaks of another.
pub(super) struct About {
    pub seq: InboxSeq,
    pub room: RoomId,
    pub event_id: EventId,
    pub sender: UserId,
    pub of: EventId,
    pub before: Before,
}

impl Network {
    /// Somebody changed what they said.
    pub(super) fn edit(&mut self, seq: InboxSeq, arrival: Arrival, of: EventId) {
        let Some(saying) = self.arrived(seq, &arrival) else { return self.settle(seq, Outcome::Delivered) };
        if arrival.before == Before::Written {
            return self.perhaps_lost(&saying, "the bridge was interrupted before the server answered");
        }
        let (text, now) = (saying.plain(None), self.now);
        let since = Time(now.0.saturating_sub(self.policy.forms.edit_age_ms_max));
        let original = self.originals.editable(&of, &saying.room, &saying.sender, since);
        let Some(old) = original.map(|original| original.text.clone()) else {
            return self.settle(seq, Outcome::Delivered);
        };
        self.memory.edited(&saying.room, &of, &text);
        self.originals.edited(&of, text.clone());
        if self.fold(&saying, &of, &text) || self.policy.forms.edits == Shown::Off {
            return self.settle(seq, Outcome::Delivered);
        }
        match correction(&old, &text) {
            None => self.settle(seq, Outcome::Delivered),
            Some(words) => {
                let corrects = Some(Corrects { of, from: old });
                let text = Spans::plain(&words);
                let kind = corrected(saying.kind);
                let saying = Saying { kind, text, media: None, corrects, ..saying };
                self.take_up(Arc::new(saying), arrival.before);
            }
        }
    }

    /// Puts an edit into what still waits to be said: the message itself, or an earlier correction of it. `false` where
    /// nothing of it waits.
    fn fold(&mut self, edit: &Saying, of: &EventId, text: &str) -> bool {
        let Some(id) = self.mouth_of(&edit.sender) else { return false };
        let Some(waiting) = self.puppets[id.0 as usize].waiting_whole(|saying| saying.is_of(of)) else {
            return false;
        };
        match &waiting.corrects {
            None => {
                let changed = Self::changed(&waiting, |saying| {
                    (saying.kind, saying.text, saying.media) =
                        (edit.kind, edit.text.clone(), edit.media.clone());
                });
                self.replace(id, changed)
            }
            Some(corrects) => match correction(&corrects.from, text) {
                Some(words) => {
                    let changed = Self::changed(&waiting, |saying| saying.text = Spans::plain(&words));
                    self.replace(id, changed)
                }
                // It reads again as it was said.
                None => {
                    self.withdraw(id, &waiting, Outcome::Delivered);
                    true
                }
            },
        }
    }

    /// Says a message that waits in other words. `false` where there is no room for them.
    fn replace(&mut self, id: PuppetId, changed: Arc<Saying>) -> bool {
        if self.puppet(id).change_waiting(&changed) {
            return true;
        }
        let spoken = self.spoken(&changed);
        let (limits, link) = (self.limits(id), self.text_link(&changed));
        let composed = compose(&changed, &spoken, &limits, link.as_deref());
        let count = composed.lines.len();
        if count == 0 {
            self.withdraw(id, &changed, Outcome::Delivered);
            return true;
        }
        // What has no place in this minute is a message of its own, and waits.
        let counted = self.under_way.get(&changed.seq).map_or(0, |progress| progress.lines_open);
        if !self.may_grow(&changed, count.saturating_sub(counted)) {
            return false;
        }
        self.publish_file(&changed);
        if composed.rest == Rest::Linked {
            self.publish_text(&changed, spoken);
        }
        let replaced = self.with_session(id, |session, _| session.requeue(changed.seq, composed.lines));
        if replaced != Some(true) {
            return false;
        }
        self.lines_open(changed.seq, count);
        self.tell_of_rest(&changed, composed.rest);
        true
    }

    /// Somebody took back an event.
    pub(super) fn taken_back(&mut self, about: About, reason: Option<&str>) {
        let Some(target) = self.target_for(&about) else {
            return self.settle(about.seq, Outcome::Delivered);
        };
        if let Some(tagged) = self.reactions.redacted(&about.room, &about.of) {
            self.take_back_sign(&tagged);
            return self.settle(about.seq, Outcome::Delivered);
        }
        // Also where no links are made now: some may have been, and be followed again.
        self.out.push(Effect::Unpublish { room: about.room.clone(), event: about.of.clone() });
        self.originals.forget(&about.of);
        self.unquote(&about.of);
        let stands = |(_, said): (_, &Said)| said.life == Life::Stands;
        let is_news = self.memory.by_event(&about.room, &about.of).is_some_and(stands);
        let Some(said) = self.memory.redact(&about.room, &about.of).filter(|_| is_news) else {
            return self.settle(about.seq, Outcome::Delivered);
        };
        let (author, msgids) = (said.author.clone(), said.msgids.clone());
        let withdrawn = match &author {
            Author::Matrix(user) => {
                self.withdraw_all(user, &about.of, "it was taken back before it was sent")
            }
            Author::Irc(_) => Withdrawn::Nothing,
        };
        let Some(id) = self.mouth_of(&about.sender) else {
            return self.settle(about.seq, Outcome::Delivered);
        };
        let is_taken_back = withdrawn == Withdrawn::Whole
            || self.in_session(id, &target, |session, out| session.redact(&target, &msgids, reason, out));
        if is_taken_back || self.policy.forms.redactions == Shown::Off {
            return self.settle(about.seq, Outcome::Delivered);
        }
        let name = self.author_name(&author);
        let words =
            deed::took_back(Some(name.as_str()).filter(|_| author != Author::Matrix(about.sender.clone())));
        self.say_deed(about, target, &words);
    }

    /// A reaction is gone, whoever removed it: its author's puppet takes it back, where tags for that pass.
    fn take_back_sign(&mut self, tagged: &Tagged) {
        let Some(id) = self.puppet_ids.get(&tagged.by).copied() else { return };
        let Tagged { target, msgid, key, .. } = tagged;
        if self.isupport.client_tags.passes(Sign::TakenBack.tag()) {
            let sign = (Sign::TakenBack, key.as_str());
            self.in_session(id, target, |session, out| session.react(target, msgid, sign, out));
        }
    }

    /// A message was taken back: what still waits does not quote it.
    fn unquote(&mut self, event: &EventId) {
        let quotes = |saying: &Saying| {
            saying.answer.as_ref().is_some_and(|answer| answer.of == *event && answer.is_quote())
        };
        let waiting = self.puppets.iter().flat_map(|puppet| {
            let unsaid = puppet.unsaid(quotes).into_iter().filter(|(_, is_whole)| *is_whole);
            unsaid.map(|(saying, _)| (puppet.id, saying))
        });
        for (id, saying) in waiting.collect::<Vec<_>>() {
            let changed = Self::changed(&saying, |saying| saying.answer.iter_mut().for_each(Answer::unquote));
            self.replace(id, changed);
        }
    }

    /// Somebody put a sign on a message.
    pub(super) fn reaction(&mut self, about: About, key: &str) {
        let Some(target) = self.target_for(&about) else {
            return self.settle(about.seq, Outcome::Delivered);
        };
        let is_stop = STOP_SIGNS.contains(&key.trim_end_matches('\u{fe0f}'));
        if is_stop
            && self.withdraw_all(&about.sender.clone(), &about.of, "its sender stopped it")
                != Withdrawn::Nothing
        {
            return self.settle(about.seq, Outcome::Delivered);
        }
        let (Some((order, said)), Some(id)) =
            (self.memory.by_event(&about.room, &about.of), self.puppet_ids.get(&about.sender).copied())
        else {
            return self.settle(about.seq, Outcome::Delivered);
        };
        let may_quote = self.saw(&about.room, &about.sender, order) && !said.excerpt.is_empty();
        let told = if may_quote { Told::Quote(said.excerpt.clone()) } else { Told::Author };
        let answer = Answer {
            of: about.of.clone(),
            to: said.author.clone(),
            told,
            msgid: said.msgids.first().cloned(),
        };
        if self.sign(id, &about, &target, answer.msgid.as_ref(), key)
            || self.policy.forms.reactions == Shown::Off
        {
            return self.settle(about.seq, Outcome::Delivered);
        }
        let words = answer.words(&about.sender, &|user| self.nick_of(user));
        self.say_deed(about, target, &deed::reacted(key, &words));
    }

    /// Puts a sign on the line of that name, as the network's clients do. `false` where that is not possible.
    fn sign(
        &mut self,
        id: PuppetId,
        about: &About,
        target: &Target,
        msgid: Option<&Arc<str>>,
        key: &str,
    ) -> bool {
        let Some(msgid) = msgid.filter(|_| self.isupport.client_tags.passes(Sign::Set.tag())) else {
            return false;
        };
        let act = |session: &mut Session, out: &mut Vec<Effect>| {
            session.react(target, msgid, (Sign::Set, key), out)
        };
        if !self.in_session(id, target, act) {
            return false;
        }
        let (room, event, by) = (about.room.clone(), about.event_id.clone(), about.sender.clone());
        let (target, msgid, key) = (target.clone(), Arc::clone(msgid), key.to_owned());
        self.reactions.tagged(Tagged { room, event, by, target, msgid, key });
        true
    }

    /// Something came that only its room's members can read: they are told once that IRC cannot.
    pub(super) fn encrypted(&mut self, seq: InboxSeq, room: &RoomId, sender: &UserId) {
        let Some(target) = self.target_of(room).filter(|_| !self.is_ours(sender)) else {
            return self.settle(seq, Outcome::Delivered);
        };
        self.settle(seq, Outcome::Failed("it is encrypted".to_owned()));
        if self.encrypted_told.insert(room.clone()) {
            let text = format!(
                "This room is encrypted, and the bridge cannot read what is said in it: nothing of it reaches {target}. \
                 Encryption cannot be switched off again. To talk to {target}, use a room without encryption and have \
                 that bridged instead."
            );
            self.tell(room, text, None);
        }
    }

    /// Where to the room leads in which somebody did something, unless it was one of ours.
    fn target_for(&self, about: &About) -> Option<Target> {
        self.target_of(&about.room).filter(|_| self.is_heard(&about.sender))
    }

    /// Lets a puppet that may speak there do something, at once. `false` where it may not, or cannot.
    pub(super) fn in_session(
        &mut self,
        id: PuppetId,
        target: &Target,
        act: impl FnOnce(&mut Session, &mut Vec<Effect>) -> bool,
    ) -> bool {
        let may = match target {
            Target::Channel(channel) => self.standing(id, channel) == Some(Standing::In),
            Target::Nick(_) => self.puppets[id.0 as usize].session.as_ref().is_some_and(Session::is_ready),
        };
        let is_silent = self.silenced(&self.puppets[id.0 as usize].user, target).is_some();
        may && !is_silent && self.with_session(id, act) == Some(true)
    }

    fn author_name(&self, author: &Author) -> String {
        match author {
            Author::Irc(nick) => nick.as_str().to_owned(),
            Author::Matrix(user) => self.nick_of(user).unwrap_or_else(|| name_of(user)),
        }
    }

    /// Says in the third person what somebody did.
    fn say_deed(&mut self, about: About, target: Target, words: &str) {
        let About { seq, room, event_id, sender, before, .. } = about;
        if before == Before::Written {
            // An earlier run has said so, perhaps; nobody waits for it.
            return self.settle(
                seq,
                Outcome::Failed("the bridge was interrupted before the server answered".into()),
            );
        }
        let expires = self.now.plus_ms(self.policy.message_age_ms_max);
        let mut saying = Saying {
            seq,
            room,
            event_id,
            sender,
            target,
            kind: BodyKind::Emote,
            text: Spans::plain(words),
            media: None,
            answer: None,
            corrects: None,
            attribution: None,
            expires,
        };
        self.attribute(&mut saying);
        self.take_up(Arc::new(saying), before);
    }

    /// What waits of somebody's message, and of corrections of it, is not said. Its sender knows why.
    fn withdraw_all(&mut self, sender: &UserId, event: &EventId, why: &str) -> Withdrawn {
        let Some(id) = self.mouth_of(sender) else { return Withdrawn::Nothing };
        let sayings = self.puppets[id.0 as usize].unsaid(|saying| saying.is_of(event));
        let mut withdrawn = Withdrawn::Nothing;
        for (saying, is_whole) in sayings {
            let is_first = saying.event_id == *event;
            withdrawn = if is_first && is_whole { Withdrawn::Whole } else { withdrawn.max(Withdrawn::Part) };
            self.withdraw(id, &saying, Outcome::Failed(why.to_owned()));
        }
        withdrawn
    }

    /// A message, or what waits of it, is not said, and nobody is told.
    fn withdraw(&mut self, id: PuppetId, saying: &Saying, outcome: Outcome) {
        self.puppet(id).drop_waiting(saying.seq);
        self.with_session(id, |session, _| session.drop_message(saying.seq));
        self.settle(saying.seq, outcome);
    }
}

/// How much of a message was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Withdrawn {
    Nothing,
    /// Some of it was said already.
    Part,
    Whole,
}

/// A correction of an emote speaks as people do.
fn corrected(kind: BodyKind) -> BodyKind {
    match kind {
        BodyKind::Text | BodyKind::Emote => BodyKind::Text,
        BodyKind::Notice => BodyKind::Notice,
    }
}
