//! What must hold, checked at every step or at the end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bunraku::bridge::channel::Channel;
use bunraku::bridge::channel::ledger::QUEUE_LEN_MAX;
use bunraku::bridge::effect::{CommandAnswer, Mark, Outcome, Relay, Speaker, Verdict};
use bunraku::bridge::input::AskId;
use bunraku::ids::{ConnId, Epoch, RelaySeq, RoomId, UserId};

use super::ircd::ClientId;

/// Steps kept for the person who reads a failure.
const STEPS_KEPT: usize = 4000;
/// What a crash may take with it: what was to be committed within so many milliseconds.
const UNCOMMITTED_MS: u64 = 30;
/// How old a message may be when it is given to the kernel: the policy's minute, and the flood queue's share.
const AGE_MS_MAX: u64 = 60_000 + 20_000;
/// What an observer may hold, one after the other silent, when a crash takes it.
const HELD_MS: u64 = 60_000;

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
    /// Those of them that observed the channel when it came in.
    observed: BTreeMap<usize, u64>,
    last_relay: u64,
    /// How often it was relayed, and when last.
    relayed: BTreeMap<RoomId, (u32, u64)>,
}

/// A message from Matrix.
pub struct Message {
    pub user: UserId,
    room: RoomId,
    channel: String,
    /// When it was said.
    at: u64,
    on_irc: u32,
    /// When the kernel took it.
    written: Vec<u64>,
    elsewhere: BTreeMap<RoomId, u32>,
}

pub struct Audit {
    rooms: Vec<(RoomId, String)>,
    lines: Vec<IrcLine>,
    /// By their number in the homeserver's timeline, as everything else here.
    messages: BTreeMap<usize, Message>,
    accepted: BTreeSet<usize>,
    settled: BTreeMap<(u32, usize), Outcome>,
    /// When the process crashed.
    crashes: Vec<u64>,
    /// Messages of a puppet that came again after the so manyeth crash.
    again: BTreeMap<(UserId, usize), usize>,
    /// What the machine wants to have said, and when; what the homeserver has.
    submitted: BTreeMap<RelaySeq, u64>,
    on_matrix: BTreeMap<RoomId, RelaySeq>,
    arrived: BTreeSet<RelaySeq>,
    /// Messages whose senders were told something.
    told_of: BTreeSet<String>,
    /// Rooms with notices that stand for several.
    counted: BTreeSet<RoomId>,
    /// How many messages without a mark rooms were told of in sums.
    unmarked: BTreeMap<RoomId, usize>,
    duties: BTreeMap<(u32, String), (Option<ConnId>, Epoch)>,
    /// Messages that a server did not take, and those whose senders were told so.
    refused: BTreeSet<String>,
    told_refused: BTreeSet<String>,
    /// What was asked, and whether it was answered.
    asked: BTreeMap<AskId, (String, bool)>,
    last_relay: RelaySeq,
    /// How often something was said to those of rank, and how often each room heard of it.
    pub asides_said: u64,
    asides: BTreeMap<RoomId, u64>,
    /// The newest line relayed, for each room and speaker.
    newest: BTreeMap<(RoomId, ClientId), usize>,
    /// The newest message on IRC, for each sender and channel.
    newest_on_irc: BTreeMap<(UserId, String), usize>,
    /// Whether all of ours in a channel observe it: three at most do.
    pub all_observe: bool,
    /// Whether the network has one server, and so one order.
    pub one_server: bool,
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
            crashes: Vec::new(),
            again: BTreeMap::new(),
            submitted: BTreeMap::new(),
            on_matrix: BTreeMap::new(),
            arrived: BTreeSet::new(),
            told_of: BTreeSet::new(),
            counted: BTreeSet::new(),
            unmarked: BTreeMap::new(),
            duties: BTreeMap::new(),
            refused: BTreeSet::new(),
            told_refused: BTreeSet::new(),
            asked: BTreeMap::new(),
            last_relay: RelaySeq(0),
            asides_said: 0,
            asides: BTreeMap::new(),
            newest: BTreeMap::new(),
            newest_on_irc: BTreeMap::new(),
            all_observe: true,
            one_server: true,
            doubled: 0,
            steps: VecDeque::new(),
        }
    }

    /// Remembers a step, when somebody is going to read it.
    pub fn note(&mut self, now: u64, step: impl FnOnce() -> String) {
        if super::is_told() {
            self.steps.push_back(format!("{now} {}", step()));
            if self.steps.len() > STEPS_KEPT && !super::is_told_all() {
                self.steps.pop_front();
            }
        }
    }

    // Settling: each accepted event exactly once.

    pub fn accepted(&mut self, number: usize) {
        assert!(self.accepted.insert(number), "accepted twice: event {number}");
    }

    pub fn settled(&mut self, run: u32, number: usize, outcome: &Outcome) {
        assert!(self.accepted.contains(&number), "settled what was never accepted: event {number}");
        let before = self.settled.insert((run, number), outcome.clone());
        assert_eq!(before, None, "settled twice: event {number}");
    }

    // Crashes: what they may take and double.

    pub fn crashed(&mut self, now: u64) {
        self.crashes.push(now);
        // Nobody waits for answers any more.
        self.asked.values_mut().for_each(|(_, is_answered)| *is_answered = true);
    }

    fn crashed_within(&self, from: u64, to: u64) -> bool {
        self.crashes.iter().any(|crash| (from..=to).contains(crash))
    }

    /// Who speaks for a channel is in it; a new speaker is a new epoch; queues keep their bounds.
    pub fn duty(&mut self, run: u32, channel: &Channel) {
        let ledger = channel.ledger();
        let (owner, epoch) = (ledger.owner(), ledger.epoch());
        if let Some(owner) = owner {
            assert!(channel.has_entered(owner), "{owner} speaks for {} and is not in it", channel.name());
        }
        let key = (run, channel.name().to_string());
        // A channel that none of ours was in begins anew.
        if let Some((before, old)) = self.duties.insert(key, (owner, epoch)).filter(|_| epoch > Epoch(1)) {
            assert!(epoch >= old, "the epoch of {} goes back", channel.name());
            assert!(epoch > old || owner == before, "{} has two owners in one epoch", channel.name());
        }
        let queues = 2 * ledger.parties().count() + 1;
        assert!(ledger.waiting() <= queues * QUEUE_LEN_MAX, "more waits in {} than may", channel.name());
    }

    // Matrix to IRC.

    pub fn message(&mut self, at: u64, number: usize, user: UserId, room: RoomId, channel: String) {
        let (written, elsewhere) = (Vec::new(), BTreeMap::new());
        self.messages.insert(number, Message { user, room, channel, at, on_irc: 0, written, elsewhere });
    }

    /// The number of a message by its text.
    fn number(text: &str) -> Option<usize> {
        text.strip_prefix('m')?.parse::<usize>().ok()?.checked_sub(1)
    }

    /// The kernel took a line.
    pub fn written(&mut self, now: u64, line: &str) {
        let text = line.contains("PRIVMSG ").then(|| line.rsplit([' ', ':']).next()).flatten();
        let Some(number) = text.and_then(Self::number) else { return };
        if let Some(message) = self.messages.get_mut(&number) {
            message.written.push(now);
            assert!(now <= message.at + AGE_MS_MAX, "said too late: m{} of {}", number + 1, message.at);
        }
    }

    /// A line that goes on the wire is one line.
    pub fn wire(&self, line: &str) {
        assert!(!line.is_empty() && !line.contains(['\r', '\n', '\0']), "not one line: {line:?}");
        let untagged =
            if line.starts_with('@') { line.split_once(' ').map_or("", |(_, rest)| rest) } else { line };
        assert!(!untagged.is_empty() && untagged.len() <= 510, "too long for the wire: {line:?}");
    }

    /// A server has given a line to a channel; `lives` tells of a connection of ours whether it is in use.
    pub fn on_irc(&mut self, text: &str, lives: Option<bool>) {
        let Some(number) = Self::number(text) else { return };
        let lives = lives.expect("only ours say such things");
        let crashes = self.crashes.clone();
        let message = self.messages.get_mut(&number).expect("something that was said on Matrix");
        message.on_irc += 1;
        // Written, and not known to be: once more for each crash just then.
        let is_cut =
            |crash: &&u64| message.written.iter().any(|at| (*at..=at + UNCOMMITTED_MS).contains(*crash));
        let may = 1 + crashes.iter().filter(is_cut).count() as u32;
        assert!(message.on_irc <= may, "said twice on IRC: {text}");
        if message.on_irc > 1 {
            let again = self.again.entry((message.user.clone(), crashes.len())).or_default();
            *again += 1;
            assert_eq!(*again, 1, "more than one message said twice for a crash: {text}");
        }
        // What a dead connection had with the network may come late; its sender has been told.
        if message.on_irc > 1 || !lives {
            return;
        }
        let key = (message.user.clone(), message.channel.clone());
        let before = self.newest_on_irc.insert(key, number);
        assert!(before.is_none_or(|before| before < number), "out of order on IRC: {text} after {before:?}");
    }

    // Answers: each to what it answers, once.

    pub fn refused(&mut self, text: &str) {
        self.refused.insert(text.to_owned());
    }

    /// A message that did not arrive is marked.
    pub fn marked(&mut self, mark: &Mark) {
        self.told_of.insert(mark.event.as_str().replace("$e", "m"));
    }

    /// A notice about a message that was not taken.
    fn told(&mut self, relay: &Relay) {
        self.told_of.extend(relay.about.as_ref().map(|about| about.as_str().replace("$e", "m")));
        if relay.text.contains("more notices like these") {
            self.counted.insert(relay.room.clone());
        }
        *self.unmarked.entry(relay.room.clone()).or_default() += unmarked(&relay.text).unwrap_or(0);
        let is_sure = relay.text.contains("did not take this message");
        if !is_sure && !relay.text.contains("may not have taken this message") {
            return;
        }
        let about = relay.about.as_ref().expect("it is about a message").as_str().replace("$e", "m");
        assert!(!is_sure || self.refused.contains(&about), "{about} was not refused: {}", relay.text);
        assert!(self.told_refused.insert(about) || !self.crashes.is_empty(), "told twice: {relay:?}");
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
        // What a crash left unanswered, and nonsense of a server, has to go somewhere.
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
        let (seen, observed, relayed) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        self.lines.push(IrcLine {
            at,
            by,
            nick,
            channel: channel.to_owned(),
            ours,
            seen,
            observed,
            last_relay: 0,
            relayed,
        });
        format!("s{}", self.lines.len() - 1)
    }

    /// The line has come in on this connection, which is in the channel.
    pub fn seen(&mut self, now: u64, text: &str, conn: usize, observes: bool) {
        if let Some(n) = text.strip_prefix('s').and_then(|n| n.parse::<usize>().ok()) {
            self.lines[n].seen.entry(conn).or_insert(now);
            if observes {
                self.lines[n].observed.entry(conn).or_insert(now);
            }
        }
    }

    /// The homeserver has a line of ours: in the order of their numbers in each room, and once.
    pub fn on_matrix(&mut self, relay: &Relay) {
        assert!(self.arrived.insert(relay.seq), "twice on Matrix: {relay:?}");
        let before = self.on_matrix.insert(relay.room.clone(), relay.seq);
        assert!(
            before.is_none_or(|before| before < relay.seq),
            "out of order on Matrix: {relay:?} after {before:?}"
        );
    }

    pub fn relayed(&mut self, now: u64, relay: &Relay) {
        assert!(relay.seq > self.last_relay, "outbox numbers grow");
        self.last_relay = relay.seq;
        self.submitted.insert(relay.seq, now);
        let Speaker::Ghost(ghost) = &relay.speaker else { return self.told(relay) };
        let crashes = self.crashes.clone();
        let crashed_since = |since: u64| crashes.iter().any(|crash| *crash >= since);
        if let Some(number) = Self::number(&relay.text) {
            let message = self.messages.get_mut(&number).expect("something that was said on Matrix");
            assert_ne!(message.room, relay.room, "a puppet's line came back: {}", relay.text);
            let count = message.elsewhere.entry(relay.room.clone()).or_default();
            *count += 1;
            let is_again = message.written.first().is_some_and(|at| crashed_since(*at));
            assert!(*count == 1 || is_again, "twice in another room of the channel: {}", relay.text);
            return;
        }
        if relay.text.strip_prefix("[operators only] ").is_some_and(|text| text.starts_with('x')) {
            let relayed = self.asides.entry(relay.room.clone()).or_default();
            *relayed += 1;
            assert!(*relayed <= self.asides_said, "said to those of rank, and relayed more often");
            return;
        }
        let n: usize =
            relay.text.strip_prefix('s').and_then(|n| n.parse().ok()).expect("a line of the story");
        let line = &mut self.lines[n];
        assert_eq!(ghost.display_name, line.nick, "in somebody else's name");
        let (count, last) = line.relayed.entry(relay.room.clone()).or_default();
        let before = std::mem::replace(last, now);
        *count += 1;
        if *count > 1 && (!self.all_observe || crashed_since(before)) {
            self.doubled += u64::from(!crashed_since(before));
            return;
        }
        assert_eq!(*count, 1, "relayed twice: {} in {}", relay.text, relay.room);
        line.last_relay = now;
        let newest = self.newest.entry((relay.room.clone(), line.by)).or_insert(n);
        // Only a stream that has shown both proves their order.
        let (older, newer) = (&self.lines[n], &self.lines[*newest]);
        let is_proven = |(conn, at): (&usize, &u64)| {
            *at <= newer.last_relay && newer.observed.get(conn).is_some_and(|at| *at < newer.last_relay)
        };
        // Between servers nothing is asked: each has an order of its own, and a netsplit delays one side.
        let is_late = self.one_server && *newest > n && older.observed.iter().any(is_proven);
        assert!(!is_late, "out of order: {} after s{newest}", relay.text);
        *newest = n.max(*newest);
    }

    // The end.

    /// Where only some of ours observe, a line that all of them saw and outlived has to be there. Those that observe may
    /// all have been lost a moment ago, and nobody knows it yet: then nobody listens to what the others are shown.
    pub fn is_complete(&self, died: impl Fn(usize, u64) -> bool, some_died: impl Fn(u64) -> bool) {
        for (n, line) in self.lines.iter().enumerate() {
            if !self.all_observe && line.observed.is_empty() && some_died(line.at) {
                continue;
            }
            let all_saw = !line.ours.is_empty()
                && line
                    .ours
                    .iter()
                    .all(|conn| line.seen.contains_key(conn) && !died(*conn, line.at + 20_000));
            let is_excused =
                line.seen.values().min().is_some_and(|at| self.crashed_within(*at, at + HELD_MS));
            if !is_excused && if self.all_observe { !line.seen.is_empty() } else { all_saw } {
                self.must_be_everywhere(n, line);
            }
        }
    }

    /// What the machine gave to be said is on Matrix, but for what a crash kept from the disk.
    pub fn outbox_is_empty(&self) {
        for (seq, at) in &self.submitted {
            let is_there = self.arrived.contains(seq) || self.crashed_within(*at, at + UNCOMMITTED_MS);
            assert!(is_there, "never on Matrix: {seq:?}");
        }
    }

    fn must_be_everywhere(&self, n: usize, line: &IrcLine) {
        for (room, _) in self.rooms.iter().filter(|(_, channel)| *channel == line.channel) {
            let is_there = line.relayed.contains_key(room);
            assert!(is_there, "lost: s{n} in {room}, seen by {:?} of {:?}", line.seen.keys(), line.ours);
        }
    }

    /// Everything that people did was accepted, and everything accepted is settled on the disk; `outcomes` tells how.
    /// Whose message failed or came too late was told so, by a mark, a notice, or in the sum of a room that has had
    /// its marks.
    pub fn all_settled(&self, events: usize, outcomes: &BTreeMap<usize, Option<Outcome>>) {
        let mut in_sum = self.unmarked.clone();
        for number in 0..events {
            assert!(self.accepted.contains(&number), "lost on the way to us: event {number}");
            let outcome = outcomes.get(&number).and_then(Option::as_ref);
            assert!(outcome.is_some(), "never settled: event {number}");
            let (Some(message), Some(outcome)) = (self.messages.get(&number), outcome) else { continue };
            let mut is_told =
                self.told_of.contains(&format!("m{}", number + 1)) || self.counted.contains(&message.room);
            match outcome {
                Outcome::Delivered => {}
                Outcome::Failed(_) | Outcome::Expired => {
                    if let Some(left) = in_sum.get_mut(&message.room).filter(|left| !is_told && **left > 0) {
                        *left -= 1;
                        is_told = true;
                    }
                    assert!(is_told || !self.crashes.is_empty(), "not told: m{} {outcome:?}", number + 1);
                }
            }
            let is_proven = message.on_irc > 0 || *outcome != Outcome::Delivered;
            assert!(is_proven, "delivered and not on IRC: m{}", number + 1);
        }
        for (line, is_answered) in self.asked.values() {
            assert!(is_answered, "never answered: {line}");
        }
    }

    /// Everything said from number `line` and from `seq` on arrived, once, everywhere.
    pub fn quiet_words_arrived(
        &self,
        line: usize,
        first: usize,
        outcomes: &BTreeMap<usize, Option<Outcome>>,
        is_heard: impl Fn(&str) -> bool,
    ) {
        for (n, line) in self.lines.iter().enumerate().skip(line).filter(|(_, line)| is_heard(&line.channel))
        {
            self.must_be_everywhere(n, line);
        }
        for (seq, message) in self.messages.range(first..) {
            let outcome = outcomes.get(seq).cloned().flatten();
            assert_eq!(outcome, Some(Outcome::Delivered), "said in quiet: {seq:?} {}", message.user);
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
}

/// How many messages without a mark an account tells of: "12 more messages of … 2 of them carry no …".
fn unmarked(text: &str) -> Option<usize> {
    let before = text.split_once(" carries no ").or_else(|| text.split_once(" carry no "))?.0;
    let count = |words: &str| words.split(' ').next().and_then(|count| count.parse().ok());
    match before.rsplit(". ").next()? {
        "One of them" => Some(1),
        "They" => count(text),
        some => count(some),
    }
}
