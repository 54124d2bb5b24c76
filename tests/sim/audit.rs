//! What must hold, checked at every step or at the end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bunraku::bridge::effect::{CommandAnswer, Outcome, Relay, Speaker, Verdict};
use bunraku::bridge::input::AskId;
use bunraku::ids::{InboxSeq, RelaySeq, RoomId, UserId};

use crate::ircd::ClientId;

/// Steps kept for the person who reads a failure.
const STEPS_KEPT: usize = 400;

/// A line said on IRC by one of IRC's own.
pub struct IrcLine {
    at: u64,
    by: ClientId,
    nick: String,
    channel: String,
    /// Which of ours were in the channel when the server took it.
    ours: BTreeSet<usize>,
    /// Which of ours it came in on, while they were in the channel.
    pub seen: BTreeMap<usize, u64>,
    last_relay: u64,
    relayed: BTreeMap<RoomId, u32>,
}

/// A message from Matrix.
pub struct Message {
    pub user: UserId,
    room: RoomId,
    channel: String,
    on_irc: u32,
    elsewhere: BTreeMap<RoomId, u32>,
}

pub struct Audit {
    rooms: Vec<(RoomId, String)>,
    lines: Vec<IrcLine>,
    messages: BTreeMap<InboxSeq, Message>,
    accepted: BTreeSet<InboxSeq>,
    settled: BTreeMap<InboxSeq, Outcome>,
    /// Messages that a server did not take, and those whose senders were told so.
    refused: BTreeSet<String>,
    told_refused: BTreeSet<String>,
    /// What was asked, and whether it was answered.
    asked: BTreeMap<AskId, (String, bool)>,
    last_relay: RelaySeq,
    /// The newest line relayed, for each room and speaker.
    newest: BTreeMap<(RoomId, ClientId), usize>,
    /// The newest message on IRC, for each sender and channel.
    newest_on_irc: BTreeMap<(UserId, String), InboxSeq>,
    /// Whether all of ours in a channel observe it: three at most do.
    pub all_observe: bool,
    /// Lines relayed twice where a standby has taken the seat of another.
    pub doubled: u64,
    pub steps: VecDeque<String>,
}

impl Audit {
    pub fn new(rooms: Vec<(RoomId, String)>) -> Self {
        Self {
            rooms,
            lines: Vec::new(),
            messages: BTreeMap::new(),
            accepted: BTreeSet::new(),
            settled: BTreeMap::new(),
            refused: BTreeSet::new(),
            told_refused: BTreeSet::new(),
            asked: BTreeMap::new(),
            last_relay: RelaySeq(0),
            newest: BTreeMap::new(),
            newest_on_irc: BTreeMap::new(),
            all_observe: true,
            doubled: 0,
            steps: VecDeque::new(),
        }
    }

    /// Remembers a step, when somebody is going to read it.
    pub fn note(&mut self, now: u64, step: impl FnOnce() -> String) {
        if crate::is_told() {
            self.steps.push_back(format!("{now} {}", step()));
            if self.steps.len() > STEPS_KEPT && !crate::is_told_all() {
                self.steps.pop_front();
            }
        }
    }

    // Settling: each accepted event exactly once.

    pub fn accepted(&mut self, seq: InboxSeq) {
        assert!(self.accepted.insert(seq), "the world numbers its events");
    }

    pub fn settled(&mut self, seq: InboxSeq, outcome: Outcome) {
        assert!(self.accepted.contains(&seq), "settled what was never accepted: {seq:?}");
        assert_eq!(self.settled.insert(seq, outcome), None, "settled twice: {seq:?}");
    }

    // Matrix to IRC.

    pub fn message(&mut self, seq: InboxSeq, user: UserId, room: RoomId, channel: String, _text: String) {
        self.messages.insert(seq, Message { user, room, channel, on_irc: 0, elsewhere: BTreeMap::new() });
    }

    /// A line that goes on the wire is one line.
    pub fn wire(&self, line: &str) {
        assert!(!line.is_empty() && !line.contains(['\r', '\n', '\0']), "not one line: {line:?}");
        assert!(line.len() <= 510, "too long for the wire: {line:?}");
    }

    /// The server has given a line to a channel.
    pub fn on_irc(&mut self, text: &str, is_ours: bool) {
        let Some(seq) = text.strip_prefix('m').and_then(|n| n.parse().ok()).map(InboxSeq) else { return };
        assert!(is_ours, "only ours say such things");
        let message = self.messages.get_mut(&seq).expect("something that was said on Matrix");
        message.on_irc += 1;
        assert_eq!(message.on_irc, 1, "said twice on IRC: {text}");
        if matches!(self.settled.get(&seq), Some(Outcome::Failed(_))) {
            // It hung in a connection that was given up; its sender knows that it may come late or never.
            return;
        }
        let key = (message.user.clone(), message.channel.clone());
        let before = self.newest_on_irc.insert(key, seq);
        assert!(before.is_none_or(|before| before < seq), "out of order on IRC: {text} after {before:?}");
    }

    // Answers: each to what it answers, once.

    pub fn refused(&mut self, text: &str) {
        self.refused.insert(text.to_owned());
    }

    /// A notice about a message that was not taken.
    fn told(&mut self, relay: &Relay) {
        let is_sure = relay.text.contains("did not take this message");
        if !is_sure && !relay.text.contains("may not have taken this message") {
            return;
        }
        let about = relay.about.as_ref().expect("it is about a message").as_str().replace("$e", "m");
        assert!(!is_sure || self.refused.contains(&about), "{about} was not refused: {}", relay.text);
        assert!(self.told_refused.insert(about), "told twice: {relay:?}");
    }

    /// A new question: its number.
    pub fn asks(&mut self, line: &str) -> AskId {
        let ask = AskId(self.asked.len() as u64);
        self.asked.insert(ask, (line.to_owned(), false));
        ask
    }

    pub fn answered(&mut self, ask: AskId, answer: &CommandAnswer) {
        let (line, is_answered) = self.asked.get_mut(&ask).expect("somebody asked");
        assert!(!std::mem::replace(is_answered, true), "answered twice: {line}");
        let about = line.split(' ').nth(1).unwrap_or(line.as_str());
        // Nonsense of a server has to go somewhere.
        for given in answer.lines.iter().filter(|given| !["999", "376"].contains(&given.command.as_str())) {
            assert_eq!(given.param(1), about, "the answer to another question than {line}: {answer:?}");
        }
        match &answer.verdict {
            Verdict::Accepted => {
                assert!(line.starts_with("WHOIS") && answer.lines.len() == 2, "{line} {answer:?}")
            }
            Verdict::Refused(refusal) => {
                let is_fit = match refusal.code.as_str() {
                    // The end of it may be lost with the connection.
                    "401" => line.starts_with("WHOIS") && (1..=2).contains(&answer.lines.len()),
                    "421" => !line.contains(' ') && !answer.lines.is_empty(),
                    _ => refusal.params.is_empty() && answer.lines.is_empty(),
                };
                assert!(is_fit, "{line} {answer:?}");
            }
            Verdict::Doubtful(_) => panic!("a command is told apart from others: {line}"),
            Verdict::Unknown => {}
        }
    }

    // IRC to Matrix.

    /// A new line of an IRC person; returns its text.
    pub fn says(
        &mut self,
        at: u64,
        by: ClientId,
        nick: String,
        channel: &str,
        ours: BTreeSet<usize>,
    ) -> String {
        let (seen, relayed) = (BTreeMap::new(), BTreeMap::new());
        self.lines.push(IrcLine {
            at,
            by,
            nick,
            channel: channel.to_owned(),
            ours,
            seen,
            last_relay: 0,
            relayed,
        });
        format!("s{}", self.lines.len() - 1)
    }

    /// The line has come in on this connection, which is in the channel.
    pub fn seen(&mut self, now: u64, text: &str, conn: usize) {
        if let Some(n) = text.strip_prefix('s').and_then(|n| n.parse::<usize>().ok()) {
            self.lines[n].seen.entry(conn).or_insert(now);
        }
    }

    pub fn relayed(&mut self, now: u64, relay: &Relay) {
        assert!(relay.seq > self.last_relay, "outbox numbers grow");
        self.last_relay = relay.seq;
        let Speaker::Ghost(ghost) = &relay.speaker else { return self.told(relay) };
        if let Some(seq) = relay.text.strip_prefix('m') {
            let seq = InboxSeq(seq.parse().expect("a number"));
            let message = self.messages.get_mut(&seq).expect("something that was said on Matrix");
            assert_ne!(message.room, relay.room, "a puppet's line came back: {}", relay.text);
            let count = message.elsewhere.entry(relay.room.clone()).or_default();
            *count += 1;
            assert_eq!(*count, 1, "twice in another room of the channel: {}", relay.text);
            return;
        }
        let n: usize =
            relay.text.strip_prefix('s').and_then(|n| n.parse().ok()).expect("a line of the story");
        let line = &mut self.lines[n];
        assert_eq!(ghost.display_name, line.nick, "in somebody else's name");
        let count = line.relayed.entry(relay.room.clone()).or_default();
        *count += 1;
        if *count > 1 && !self.all_observe {
            self.doubled += 1;
            return;
        }
        assert_eq!(*count, 1, "relayed twice: {} in {}", relay.text, relay.room);
        line.last_relay = now;
        let newest = self.newest.entry((relay.room.clone(), line.by)).or_insert(n);
        // Only a stream that has shown both proves their order.
        let (older, newer) = (&self.lines[n], &self.lines[*newest]);
        let is_proven = |(conn, at): (&usize, &u64)| {
            *at <= newer.last_relay && newer.seen.get(conn).is_some_and(|at| *at < newer.last_relay)
        };
        let is_late = *newest > n && older.seen.iter().any(is_proven);
        assert!(!is_late, "out of order: {} after s{newest}", relay.text);
        *newest = n.max(*newest);
    }

    // The end.

    /// Where only some of ours observe, a line that all of them saw and outlived has to be there.
    pub fn is_complete(&self, died: impl Fn(usize, u64) -> bool) {
        for (n, line) in self.lines.iter().enumerate() {
            let all_saw = !line.ours.is_empty()
                && line
                    .ours
                    .iter()
                    .all(|conn| line.seen.contains_key(conn) && !died(*conn, line.at + 20_000));
            if if self.all_observe { !line.seen.is_empty() } else { all_saw } {
                self.must_be_everywhere(n, line);
            }
        }
    }

    fn must_be_everywhere(&self, n: usize, line: &IrcLine) {
        for (room, _) in self.rooms.iter().filter(|(_, channel)| *channel == line.channel) {
            let is_there = line.relayed.contains_key(room);
            assert!(is_there, "lost: s{n} in {room}, seen by {:?} of {:?}", line.seen.keys(), line.ours);
        }
    }

    pub fn all_settled(&self) {
        for seq in &self.accepted {
            assert!(self.settled.contains_key(seq), "never settled: {seq:?}");
        }
        for (seq, message) in &self.messages {
            let is_delivered = self.settled.get(seq) == Some(&Outcome::Delivered);
            assert!(!is_delivered || message.on_irc == 1, "delivered and not on IRC: {seq:?}");
        }
        for (line, is_answered) in self.asked.values() {
            assert!(is_answered, "never answered: {line}");
        }
    }

    /// Everything said from number `line` and from `seq` on arrived, once, everywhere.
    pub fn quiet_words_arrived(&self, line: usize, seq: InboxSeq, is_heard: impl Fn(&str) -> bool) {
        for (n, line) in self.lines.iter().enumerate().skip(line).filter(|(_, line)| is_heard(&line.channel))
        {
            self.must_be_everywhere(n, line);
        }
        for (seq, message) in self.messages.range(seq..) {
            assert_eq!(
                self.settled.get(seq),
                Some(&Outcome::Delivered),
                "said in quiet: {seq:?} {}",
                message.user
            );
            assert_eq!(message.on_irc, 1, "said in quiet, not on IRC: {seq:?} {}", message.user);
            let others = self
                .rooms
                .iter()
                .filter(|(room, channel)| *channel == message.channel && *room != message.room);
            for (room, _) in others {
                assert!(message.elsewhere.contains_key(room), "said in quiet, not in {room}: {seq:?}");
            }
        }
    }

    pub fn lines_len(&self) -> usize {
        self.lines.len()
    }

    pub fn last_seq(&self) -> InboxSeq {
        self.accepted.last().copied().unwrap_or(InboxSeq(0))
    }
}
