//! A Matrix user's presence on one IRC network: who they are, where they want to be, what they still have to
//! say, and the connection they have at the moment, if any.

mod absence;
mod asked;
mod unsaid;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

pub use self::absence::{Asleep, Exclusion, Held, Told};
use self::asked::Asked;
use super::ending::{Closing, Comeback, End, Ending, LastWords, LoginRefusal};
use super::relay::to_irc::Saying;
use super::session::Session;
use super::session::send::{ChatLine, Part};
use super::session::sent::Sent;
use crate::ids::{ChannelName, ConnId, InboxSeq, Nick, PuppetId, Target, Time, UserId};
use crate::text::casemap::CaseMap;

/// Messages that wait for a connection or a channel, at most, for one puppet. Full: a further one is refused
/// and its sender is told.
pub const WAITING_MAX: usize = 32;
/// People remembered as told that private messages are not carried to somebody.
const EXPLAINED_MAX: usize = 32;
/// How long it may take until it is known whether what a lost connection was given arrived; as long as the ledger
/// holds a line.
const DOUBT_MS_MAX: u64 = 5_000;
/// How long a connection must have been good for its loss to count as a first failure again.
const GOOD_AFTER_MS: u64 = 60_000;

/// One puppet.
#[derive(Debug)]
pub struct Puppet {
    pub id: PuppetId,
    pub user: UserId,
    pub display_name: Option<String>,
    /// The channels of the rooms they are in.
    pub wanted: BTreeSet<ChannelName>,
    pub session: Option<Session>,
    generation: u32,
    failures: u32,
    ready_since: Option<Time>,
    waiting: VecDeque<Waiting>,
    /// Lines of which it is not known whether they arrived. While there are any, nothing else is said.
    pub doubts: Option<Box<Doubts>>,
    /// Not to dial before.
    pub not_before: Time,
    /// Channels that would not have them, and when they said so.
    refused: BTreeMap<ChannelName, Time>,
    /// When they last asked for another nick.
    pub nick_asked_at: Option<Time>,
    /// What the last connection ended with, in words.
    trouble: Option<String>,
    /// Who was told lately that private messages are not carried.
    explained: VecDeque<Nick>,
    /// What the server said last that may tell why it closes.
    pub last_words: LastWords,
    /// They stay away from IRC until a person says otherwise.
    pub held: Option<Held>,
    /// Whether their last connection was ended for its nick: whoever did that wants it.
    pub nick_disputed: bool,
    /// Why they have no account on IRC, as they were told last.
    pub login_told: Option<String>,
    /// They are away until their person says or joins something.
    pub asleep: Option<Asleep>,
    /// When their person was last seen to say or join something; `None`: not since the start.
    pub active_at: Option<Time>,
    /// The moment set aside for closing their idle connection.
    pub quit_at: Option<Time>,
    /// Since when they have no connection though they want one.
    pub down_since: Option<Time>,
    /// Since when they want to be in no channel.
    pub alone_since: Option<Time>,
    /// When they said or heard something in private; `None`: too long ago to stay connected for it.
    pub talked_at: Option<Time>,
    /// When they dialed last.
    pub dialed: Time,
    /// Why their person may not be on IRC through the bridge at all.
    pub excluded: Option<Box<Exclusion>>,
    pub asked: Asked,
    /// They came in this run, and were not on the network yet.
    pub is_new: bool,
}

/// A message that waits; with its lines where it was cut already.
#[derive(Debug)]
pub struct Waiting {
    pub saying: Arc<Saying>,
    pub lines: Option<Vec<ChatLine>>,
}

impl Waiting {
    fn parts(&self) -> impl DoubleEndedIterator<Item = &Part> {
        self.lines.iter().flatten().filter_map(|line| line.of.as_ref())
    }

    fn last_part(&self) -> Option<&Part> {
        self.parts().next_back()
    }

    /// True when some lines of it have been said already.
    pub fn is_begun(&self) -> bool {
        self.parts().next().is_some_and(|part| part.index > 0)
    }
}

/// What a connection that is over had been given, and nobody answered for.
#[derive(Debug)]
pub struct Doubts {
    pub conn: ConnId,
    /// Until when others may show what became of it.
    pub until: Time,
    pub sent: Sent,
}

impl Puppet {
    pub fn new(id: PuppetId, user: UserId, display_name: Option<String>) -> Self {
        Self {
            id,
            user,
            display_name,
            wanted: BTreeSet::new(),
            session: None,
            generation: 0,
            failures: 0,
            ready_since: None,
            waiting: VecDeque::new(),
            doubts: None,
            not_before: Time::default(),
            refused: BTreeMap::new(),
            nick_asked_at: None,
            trouble: None,
            explained: VecDeque::new(),
            last_words: LastWords::default(),
            held: None,
            nick_disputed: false,
            login_told: None,
            asleep: None,
            active_at: None,
            quit_at: None,
            down_since: None,
            alone_since: None,
            talked_at: None,
            dialed: Time::default(),
            excluded: None,
            asked: Asked::default(),
            is_new: false,
        }
    }

    /// The id of the next connection.
    pub fn next_conn(&mut self) -> ConnId {
        self.generation += 1;
        ConnId { puppet: self.id, generation: self.generation }
    }

    /// Whether a connection is to be made for them at all.
    pub fn may_dial(&self) -> bool {
        let wants = !self.wanted.is_empty() || self.talked_at.is_some() || self.is_needed();
        let is_free = self.held.is_none() && self.asleep.is_none() && self.excluded.is_none();
        self.session.is_none() && wants && is_free
    }

    /// True when messages wait.
    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// True when messages or errands wait for a connection.
    pub fn is_needed(&self) -> bool {
        self.has_waiting() || self.asked.errands > 0
    }

    /// The session, if `conn` is still its connection.
    pub fn session_of(&mut self, conn: ConnId) -> Option<&mut Session> {
        self.session.as_mut().filter(|session| session.conn == conn)
    }

    /// Lets a message wait. `Err` gives it back: too many wait.
    pub fn wait(&mut self, saying: Arc<Saying>) -> Result<(), Arc<Saying>> {
        if self.waiting.len() >= WAITING_MAX {
            return Err(saying);
        }
        self.waiting.push_back(Waiting { saying, lines: None });
        Ok(())
    }

    /// Takes the messages that wait for `target`, in order.
    pub fn take_waiting(&mut self, target: &Target) -> Vec<Waiting> {
        self.take_if(|saying| saying.target == *target)
    }

    /// Takes all messages that wait, in order.
    pub fn take_all_waiting(&mut self) -> Vec<Waiting> {
        Vec::from(std::mem::take(&mut self.waiting))
    }

    /// Lets lines wait before everything else: they were said, and did not arrive.
    pub fn wait_first(&mut self, lines: Vec<ChatLine>) {
        let rest = std::mem::take(&mut self.waiting);
        self.waiting = gathered(lines);
        for waiting in rest {
            match (self.waiting.back_mut(), waiting) {
                (
                    Some(Waiting { saying, lines: Some(lines) }),
                    Waiting { saying: next, lines: Some(more) },
                ) if saying.seq == next.seq => lines.extend(more),
                (_, waiting) => self.waiting.push_back(waiting),
            }
        }
    }

    /// A message will not be said.
    pub fn drop_waiting(&mut self, seq: InboxSeq) {
        self.waiting.retain(|waiting| waiting.saying.seq != seq);
    }

    /// The channels and people that messages wait for, as this case mapping folds them.
    pub fn targets_waited_for(&mut self, map: CaseMap) -> BTreeSet<Target> {
        let refolded = |waiting: &mut Waiting| {
            let target = waiting.saying.target.refolded(map);
            if target.folded() != waiting.saying.target.folded() {
                Arc::make_mut(&mut waiting.saying).target = target.clone();
            }
            target
        };
        self.waiting.iter_mut().map(refolded).collect()
    }

    /// Takes the messages of which a part was said already.
    pub fn take_begun(&mut self) -> Vec<Waiting> {
        let (begun, rest) = std::mem::take(&mut self.waiting).into_iter().partition(Waiting::is_begun);
        self.waiting = rest;
        Vec::from_iter::<VecDeque<Waiting>>(begun)
    }

    /// Takes the messages that are too old.
    pub fn take_expired(&mut self, now: Time) -> Vec<Waiting> {
        self.take_if(|saying| saying.expires <= now)
    }

    fn take_if(&mut self, wanted: impl Fn(&Saying) -> bool) -> Vec<Waiting> {
        let (taken, rest) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiting| wanted(&waiting.saying));
        self.waiting = rest;
        Vec::from_iter::<VecDeque<Waiting>>(taken)
    }

    /// True when something waits to be said in this channel.
    pub fn waits_for(&self, channel: &ChannelName) -> bool {
        self.waiting.iter().any(|waiting| waiting.saying.target.is_channel(channel))
    }

    /// When the first waiting message becomes too old.
    pub fn next_expiry(&self) -> Option<Time> {
        self.waiting.iter().map(|waiting| waiting.saying.expires).min()
    }

    /// Why the connection is over. Who has a login is kept out for the lack of one only while services are away.
    pub fn why_over(&self, now: Time, closing: Closing) -> End {
        let end = self.last_words.end(now, closing);
        let has_login = self.session.as_ref().is_some_and(Session::is_to_log_in);
        if has_login && end.ending == Ending::LoginRefused(LoginRefusal::Wanted) {
            return End { ending: Ending::NotServed, ..end };
        }
        end
    }

    /// The connection is over: what the kernel has not taken waits again, before what waited already; what it has, and
    /// nobody answered for, is in doubt. `is_under_way`: whether it is not known yet what became of a message.
    pub fn connection_over(&mut self, now: Time, ending: Ending, is_under_way: impl Fn(InboxSeq) -> bool) {
        let Some(session) = self.session.take() else { return };
        (self.quit_at, self.asked.reaped) = (None, None);
        self.nick_disputed = ending == Ending::NickTrouble;
        let good = self.ready_since.take().is_some_and(|since| now.since_ms(since) >= GOOD_AFTER_MS);
        self.failures = match ending.comeback() {
            Comeback::AtOnce => 0,
            Comeback::Soon | Comeback::Backoff | Comeback::Long | Comeback::Never if good => 1,
            Comeback::Soon | Comeback::Backoff | Comeback::Long | Comeback::Never => {
                self.failures.saturating_add(1)
            }
        };
        let conn = session.conn;
        let (mut unsent, sent) = session.end();
        unsent.retain(|line| line.of.as_ref().is_some_and(|part| is_under_way(part.saying.seq)));
        let mut unsent = by_message(unsent);
        unsent.append(&mut self.waiting);
        self.waiting = unsent;
        if sent.open().next().is_some() {
            self.doubts = Some(Box::new(Doubts { conn, until: now.plus_ms(DOUBT_MS_MAX), sent }));
        }
    }

    /// The network's case mapping is another than it was thought to be.
    pub fn refold(&mut self, map: CaseMap) {
        if let Some(session) = &mut self.session {
            session.refold(map);
        }
        for waiting in &mut self.waiting {
            let saying = Arc::make_mut(&mut waiting.saying);
            saying.target = saying.target.refolded(map);
        }
        self.refused = std::mem::take(&mut self.refused)
            .into_iter()
            .map(|(channel, at)| (channel.refolded(map), at))
            .collect();
        self.explained.iter_mut().for_each(|nick| *nick = nick.refolded(map));
        self.asked.refold(map);
    }

    /// The connection may talk now.
    pub fn ready(&mut self, now: Time) {
        self.ready_since = Some(now);
        self.trouble = None;
        self.down_since = None;
        self.active_at.get_or_insert(now);
    }

    /// A person wants them to try again now.
    pub fn forget_failures(&mut self) {
        self.failures = 0;
        self.not_before = Time::default();
        self.held = None;
        self.asleep = None;
        self.trouble = None;
    }

    /// Notes what a connection ended with; the first words of an outage are the telling ones.
    pub fn trouble(&mut self, words: String) {
        self.trouble.get_or_insert(words);
    }

    /// What the last connection ended with, while there is no better one.
    pub fn last_trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// True the first time for each of the last [`EXPLAINED_MAX`] people.
    pub fn may_explain(&mut self, nick: &Nick) -> bool {
        if self.explained.contains(nick) {
            return false;
        }
        if self.explained.len() >= EXPLAINED_MAX {
            self.explained.pop_front();
        }
        self.explained.push_back(nick.clone());
        true
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

/// Gathers lines into the messages they are parts of. Lines of no message are forgotten: a PART needs no saying
/// when the connection is gone. So are lines whose message has no end here: the rest was withdrawn, and its
/// sender told.
fn by_message(lines: Vec<ChatLine>) -> VecDeque<Waiting> {
    let mut messages = gathered(lines);
    messages.retain(|message| message.last_part().is_some_and(Part::is_last));
    messages
}

fn gathered(lines: Vec<ChatLine>) -> VecDeque<Waiting> {
    let mut messages: VecDeque<Waiting> = VecDeque::new();
    for line in lines {
        let Some(Part { saying, .. }) = line.of.clone() else { continue };
        match messages.back_mut() {
            Some(Waiting { saying: last, lines: Some(lines) }) if last.seq == saying.seq => lines.push(line),
            _ => messages.push_back(Waiting { saying, lines: Some(vec![line]) }),
        }
    }
    messages
}
