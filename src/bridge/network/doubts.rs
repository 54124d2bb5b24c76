//! Lines that a connection took into its grave: whether they arrived.
//!
//! ```text
//!   connection over ─▶ in doubt ─┬─ another observer's stream shows the line ───────▶ it arrived
//!                                ├─ all of them show our QUIT and not the line ─────▶ said again, once (no KILL)
//!                                └─ 5 s, or nobody else of ours was there to see ───▶ its sender is told
//! ```
//!
//! Until that is known nothing else of that puppet is said, so that its order is kept.

use std::collections::BTreeSet;

use super::super::input::BodyKind;
use super::super::puppet::{Doubts, Waiting};
use super::super::session::places::Standing;
use super::super::session::send::ChatLine;
use super::super::session::sent::{SentLine, Sighting};
use super::super::timer::Timer;
use super::{Life, Network};
use crate::ids::{ChannelName, ConnId, InboxSeq, Nick, PuppetId, Target, Time};

/// What is known of a line in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finding {
    NotYet,
    DidNotArrive,
    Unknown,
}

impl Network {
    /// An observer's stream shows one of ours saying something.
    pub(super) fn witnessed(
        &mut self,
        by: ConnId,
        speaker: ConnId,
        target: &Target,
        kind: BodyKind,
        text: &str,
        msgid: Option<&str>,
    ) {
        let id = speaker.puppet;
        let shown = if self.puppet_of(speaker).is_some() {
            self.with_session(id, |session, _| session.line_shown(by, target, kind, text)).flatten()
        } else {
            let doubts = self.doubts_of(speaker);
            doubts.and_then(|doubts| doubts.sent.shown(by, target, kind, text))
        };
        if let Some(Sighting { part, is_news, is_stripped }) = shown {
            let saying = &part.saying;
            if let Some(msgid) = msgid.filter(|_| saying.corrects.is_none()) {
                self.memory.was_shown(&saying.event_id, msgid);
            }
            if is_stripped {
                self.learn_plain(&saying.target);
            }
            if is_news {
                self.line_arrived(&part);
            }
        }
        self.weigh(id);
    }

    /// An observer's stream shows one of ours quitting; it had been in the channel since then.
    pub(super) fn lines_missed(&mut self, by: ConnId, speaker: ConnId, channel: &ChannelName, since: Time) {
        if self.puppet_of(speaker).is_some() {
            self.with_session(speaker.puppet, |session, _| session.lines_missed(by, channel, since));
        } else if let Some(doubts) = self.doubts_of(speaker) {
            doubts.sent.missed(by, channel, since);
            self.weigh(speaker.puppet);
        }
    }

    fn doubts_of(&mut self, conn: ConnId) -> Option<&mut Doubts> {
        let puppet = self.puppets.get_mut(conn.puppet.0 as usize)?;
        puppet.doubts.as_deref_mut().filter(|doubts| doubts.conn == conn)
    }

    /// Ends a puppet's doubts, once enough is known of all of them.
    pub(super) fn weigh(&mut self, id: PuppetId) {
        let Some(doubts) = self.puppets[id.0 as usize].doubts.as_deref() else { return };
        let findings: Vec<Finding> = doubts.sent.open().map(|line| self.finding(doubts, line)).collect();
        if findings.contains(&Finding::NotYet) {
            return self.timers.arm(Timer::Doubts(id), doubts.until);
        }
        let Some(mut doubts) = self.puppet(id).doubts.take() else { return };
        let mut again: Vec<ChatLine> = Vec::new();
        for ((line, chat), finding) in doubts.sent.take_open().into_iter().zip(findings) {
            let seq = line.part.saying.seq;
            match finding {
                Finding::DidNotArrive if self.may_say_again(seq) => again.push(chat),
                Finding::DidNotArrive | Finding::Unknown | Finding::NotYet => {
                    self.lost(id, &line, "the connection was lost before the server answered");
                }
            }
        }
        again.retain(|chat| chat.of.as_ref().is_some_and(|part| self.is_under_way(part.saying.seq)));
        for part in again.iter().filter_map(|chat| chat.of.as_ref()) {
            if let Some(progress) = self.under_way.get_mut(&part.saying.seq) {
                progress.said_again();
            }
        }
        self.puppet(id).wait_first(again);
        self.resume(id);
    }

    fn finding(&self, doubts: &Doubts, line: &SentLine) -> Finding {
        let seq = line.part.saying.seq;
        // What was said to one person nobody else of ours can have seen.
        let channel = line.part.saying.target.channel().and_then(|name| self.channels.get(name));
        let mut witnesses = channel.into_iter().flat_map(|channel| channel.witnesses(doubts.conn, line.at));
        let is_time = self.now >= doubts.until || self.life == Life::Stopping;
        if !self.is_under_way(seq) {
            Finding::Unknown
        } else if !is_time && witnesses.any(|by| line.may_be_shown_by(by)) {
            Finding::NotYet
        } else if line.is_missed() && self.life != Life::Stopping {
            Finding::DidNotArrive
        } else {
            Finding::Unknown
        }
    }

    fn may_say_again(&self, seq: InboxSeq) -> bool {
        self.under_way.get(&seq).is_some_and(|progress| progress.may_be_said_again())
    }

    /// Nobody knows whether a line arrived: its message may be lost.
    fn lost(&mut self, id: PuppetId, line: &SentLine, why: &str) {
        let saying = &line.part.saying;
        if self.is_under_way(saying.seq) {
            self.puppet(id).drop_waiting(saying.seq);
            self.perhaps_lost(saying, why);
        }
    }

    /// Nothing is in doubt any more: what waited goes where it may.
    fn resume(&mut self, id: PuppetId) {
        if let Some(why) = self.held_words(id) {
            for Waiting { saying, .. } in self.puppet(id).take_all_waiting() {
                self.failed(&saying, &why);
            }
            return;
        }
        self.expire(id);
        let map = self.map();
        for target in self.puppet(id).targets_waited_for(map) {
            let Target::Channel(channel) = target else {
                self.flush_to(id, &target);
                continue;
            };
            let is_ready = self.puppet(id).session.as_ref().is_some_and(|session| session.is_ready());
            match self.standing(id, &channel) {
                _ if !self.puppet(id).wanted.contains(&channel) => {
                    self.fail_waiting(id, &channel, "you left the room before it could be sent");
                }
                Some(Standing::In) => self.flush_waiting(id, &channel),
                None if is_ready && !self.ask_again(id, &channel) => {
                    self.fail_waiting(id, &channel, &format!("{channel} does not let your IRC user in"));
                }
                Some(Standing::Asked(_) | Standing::Leaving(..)) | None => {}
            }
        }
        self.ask_to_dial(id);
    }

    /// An observer's stream shows somebody quitting: if it is one of ours, what that stream did not show of it did
    /// not arrive. Returns whom it was taken for: they have to show that they live, or all they say is taken for missed.
    pub(super) fn missed_by_quit(
        &mut self,
        conn: ConnId,
        nick: &Nick,
        mask: Option<&str>,
    ) -> BTreeSet<ConnId> {
        let mut quitters = BTreeSet::new();
        for name in self.channels_of(conn) {
            let channel = self.channels.get(&name);
            let shown = channel.and_then(|c| c.quits_and_shown_since(conn, nick, mask, &self.nicks));
            if let Some((speaker, since)) = shown.filter(|(speaker, _)| *speaker != conn) {
                self.lines_missed(conn, speaker, &name, since);
                quitters.insert(speaker);
            }
        }
        quitters
    }
}
