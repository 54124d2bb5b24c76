//! The machine between model IRC servers and a model homeserver, with a model of its shell and store, on a clock of
//! its own.
//!
//! Connections lag, each in its own way, and keep their order; they stall, are reset, killed, die in silence. The
//! process may crash at any effect and any commit; it starts again from what is committed. Whatever the machine asks
//! for is done as the shell would do it, and every step is given to the [`Audit`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bunraku::bridge::effect::{Chat, Effect, Presence, Relay, Speaker, StepKey};
use bunraku::bridge::errand::{Errand, Report};
use bunraku::bridge::input::{
    BodyKind, CloseReason, Input, MatrixEvent, Member, Membership, MessageBody, Opening, PortalOrigin,
    PortalRow, Relation, StepResult,
};
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::{
    Admission, Asides, BotMode, ConnectPace, Directory, DynamicPortals, Failures, Flood, Forms, Members,
    Mentions, Moderation, Operators, PingPace, Plumbing, Policy, Power, PresenceRules, QueryRules, Shown,
    ToMatrix, Topics, Typing,
};
use bunraku::bridge::session::send::WINDOW_LINES;
use bunraku::ids::{ChannelName, ConnId, EventId, InboxSeq, NetworkId, RelaySeq, RoomId, Time, UserId};
use bunraku::lanes::Lanes;
use bunraku::text::casemap::CaseMap;
use bunraku::text::line::Line;
use bunraku::text::realname::RealnameTemplate;
use bunraku::text::template::{AliasTemplate, GhostTemplate, NickTemplate};

use super::audit::Audit;
use super::flaw::Flaw;
use super::ghosts::{Begun, Ghosts};
use super::homeserver::{Device, Homeserver};
use super::ircd::{ClientId, Ircd, News, Offer};
use super::random::Random;
use super::store::{Change, Committed, Store};

const FOREVER: u64 = u64::MAX;
/// Requests to the homeserver at once.
const IN_FLIGHT_MAX: usize = 8;
/// How long either side waits for an answer, in milliseconds; a real homeserver waits 60 s.
const ANSWER_MS_MAX: u64 = 10_000;

const BOT: &str = "@bridge:hs";

pub fn policy(shown: ToMatrix) -> Policy {
    let network = NetworkId::new("net").expect("an id");
    Policy {
        aliases: AliasTemplate::new("#irc_$CHANNEL", &network).expect("a template"),
        ghosts: GhostTemplate::new("@irc_$NICK", &network).expect("a template"),
        realnames: RealnameTemplate::new("$USERID").unwrap(),
        nicks: NickTemplate::new("$DISPLAY").expect("a template"),
        network,
        network_name: "Net".into(),
        bot: user(BOT),
        server_name: "hs".into(),
        dynamic_portals: DynamicPortals::On,
        excluded_channels: vec![],
        password: None,
        webirc: None,
        services: None,
        user_modes: "+i".into(),
        bot_mode: BotMode::Hidden,
        flood: Flood { burst: 6, line_ms: 300, line_bytes: 0 },
        connect: ConnectPace {
            burst: 3,
            interval_ms: 300,
            retry_ms_min: 1_000,
            retry_ms_max: 10_000,
            register_ms_max: 20_000,
            ..ConnectPace::default()
        },
        ping: PingPace { after_ms: 30_000, timeout_ms: 20_000 },
        message_age_ms_max: 60_000,
        message_lines_max: 4,
        links: None,
        forms: Forms::default(),
        failures: Failures::default(),
        mentions: Mentions::default(),
        asides: Asides::Shown,
        typing: Typing::default(),
        queries: QueryRules::default(),
        topics: Topics::default(),
        power: Power::default(),
        members: Members { to_matrix: shown, grace_ms: 5_000, split_grace_ms: 40_000, ..Members::default() },
        presence: PresenceRules::default(),
        directory: Directory { plates: Shown::Off, ..Directory::default() },
        moderation: Moderation::default(),
        operators: Operators::off(),
        admission: Admission::default(),
        plumbing: Plumbing::default(),
        connections_max: 100,
    }
}

pub fn user(text: &str) -> UserId {
    UserId::new(text).expect("a user id")
}

/// One room and who is in it, as the homeserver knows.
pub struct Room {
    pub id: RoomId,
    pub channel: String,
    pub origin: PortalOrigin,
    pub members: BTreeSet<UserId>,
}

/// What goes down a connection.
enum Down {
    Line(String),
    Eof,
}

pub struct Conn {
    pub id: ConnId,
    /// Which run of the process made it.
    run: u32,
    pub user: UserId,
    pub client: ClientId,
    opened: bool,
    /// The machine has been told that it is over.
    pub over: bool,
    /// The machine has asked to close it.
    pub closing: bool,
    /// Nothing passes before this time.
    stalled_until: u64,
    skips_chat: bool,
    unwritten: VecDeque<String>,
    up: VecDeque<String>,
    down: VecDeque<Down>,
    last: [u64; 3],
    nick: String,
    /// Channels this stream shows itself in, and that its user has wanted ever since.
    pub entered: BTreeSet<String>,
    /// PARTs that the server has not answered: what comes in belongs to a stay that its person has ended.
    parting: BTreeMap<String, u32>,
    /// Channels asked for in a stay that its person has ended; the PART waits for its turn to be sent.
    ended: BTreeSet<String>,
}

impl Conn {
    /// True while the machine has reason to believe in it.
    pub fn lives(&self) -> bool {
        !self.over && !self.closing
    }

    /// Whether the stay that its person wants is the one that a JOIN now begins.
    fn is_wanted(&self, channel: &str) -> bool {
        self.parting.get(channel).is_none_or(|parts| *parts == 0) && !self.ended.contains(channel)
    }

    fn has_parted(&mut self, channel: &str) {
        self.entered.remove(channel);
        if let Some(parts) = self.parting.get_mut(channel) {
            *parts = parts.saturating_sub(1);
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Opened(usize),
    Unreachable(usize),
    Written(usize),
    Up(usize),
    Down(usize),
    Closed(usize),
    ServerGone(usize),
    Removal(usize, UserId),
    /// Something is through a link between two servers; the number says which life of the link it belongs to.
    Link(usize, usize, u32),
    /// What the store has waiting is committed.
    Commit(u32),
    /// The homeserver may send a transaction.
    Push,
    Transaction(u64, Vec<usize>),
    TransactionAnswered(u64, Answer),
    RetryTransaction(u64),
    HomeserverBack,
    /// A line or a removal is with the homeserver.
    Asked(u32, Job, String),
    AskAnswered(u32, Job, Answer),
    Wake(u32, RoomId),
    Restart,
    Healed(u32),
    /// A step in a room has its turn.
    Step(u32, RoomId, StepKey),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Ok,
    NotNow,
}

/// One thing to do in a room.
#[derive(Clone, Debug)]
pub enum Job {
    Say(Relay),
    Kick(RoomId, UserId),
}

impl Job {
    fn room(&self) -> &RoomId {
        match self {
            Self::Say(relay) => &relay.room,
            Self::Kick(room, _) => room,
        }
    }
}

pub struct World {
    pub now: u64,
    pub chance: Random,
    pub flaw: Option<Flaw>,
    pub machine: Network,
    pub ircd: Ircd,
    pub conns: Vec<Conn>,
    pub rooms: Vec<Room>,
    pub audit: Audit,
    pub homeserver: Homeserver,
    pub ghosts: Ghosts,
    /// Whose ghosts are in rooms.
    pub shown: ToMatrix,
    pub store: Store,
    pub lag_ms_max: u64,
    pub unreachable_percent: u64,
    /// Answers of the homeserver that are lost, in a hundred.
    pub lost_answers_percent: u64,
    pub slow_room: Option<RoomId>,
    /// Whose puppets stay away until somebody says otherwise.
    pub held: BTreeSet<UserId>,
    /// The process is there.
    pub is_alive: bool,
    /// It ends after so many more effects and commits.
    pub crash_in: Option<u64>,
    /// Transactions are answered with 503: what a restarted homeserver lost is asked for.
    heals: bool,
    /// The homeserver was restarted while the process was away, or before it had asked.
    owes_healing: bool,
    run: u32,
    lanes: Lanes<RoomId, Job>,
    in_flight: usize,
    tries: u64,
    links: BTreeMap<(usize, usize), (u32, VecDeque<News>, u64)>,
    events: BTreeMap<(u64, u64), Event>,
    count: u64,
}

impl World {
    pub fn new(seed: u64, lag_ms_max: u64, portals: &[(String, PortalOrigin)], flaw: Option<Flaw>) -> Self {
        let room = |(n, (channel, origin)): (usize, &(String, PortalOrigin))| Room {
            id: RoomId::new(&format!("!r{n}")).expect("a room id"),
            channel: channel.clone(),
            origin: *origin,
            members: BTreeSet::new(),
        };
        let rooms: Vec<Room> = portals.iter().enumerate().map(room).collect();
        let mut chance = Random(seed);
        let servers = chance.pick(&[1, 1, 2, 3]).expect("not empty");
        let offer = Offer {
            cap: chance.percent(60),
            labels: chance.percent(50),
            echoes: chance.percent(50),
            tags: chance.percent(50),
        };
        let shown = chance.pick(&[ToMatrix::Full, ToMatrix::Lazy, ToMatrix::Off]).expect("not empty");
        let mut world = Self {
            now: 1_000_000,
            machine: Network::new(policy(shown), None, RelaySeqs { next: RelaySeq(1), step: 1 }, seed),
            chance,
            flaw,
            ircd: Ircd::new(servers, offer),
            conns: Vec::new(),
            audit: Audit::new(rooms.iter().map(|room| (room.id.clone(), room.channel.clone())).collect()),
            rooms,
            homeserver: Homeserver::default(),
            ghosts: Ghosts::default(),
            shown,
            store: Store::new(flaw),
            lag_ms_max,
            unreachable_percent: 0,
            lost_answers_percent: 0,
            slow_room: None,
            held: BTreeSet::new(),
            is_alive: false,
            crash_in: None,
            heals: false,
            owes_healing: false,
            run: 0,
            lanes: Lanes::new(10_000, 100_000),
            in_flight: 0,
            tries: 0,
            links: BTreeMap::new(),
            events: BTreeMap::new(),
            count: 0,
        };
        world.starts();
        world
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    // The process: its start, its end.

    /// It begins with what is committed, as `src/app/run.rs` does.
    fn starts(&mut self) {
        self.run += 1;
        self.is_alive = true;
        self.in_flight = 0;
        self.lanes = Lanes::new(10_000, 100_000);
        self.ghosts.forget_steps();
        let next = if self.has(Flaw::SeqsReused) { RelaySeq(1) } else { self.store.begin_seqs() };
        let seed = u64::from(self.run) << 32 | self.chance.below(1 << 30);
        self.machine =
            Network::new(policy(self.shown), Some(CaseMap::Ascii), RelaySeqs { next, step: 1 }, seed);
        for relay in self.store.outbox.values().cloned().collect::<Vec<_>>() {
            if !self.has(Flaw::OutboxNotRestored) {
                self.push_job(Job::Say(relay));
            }
        }
        for n in 0..self.rooms.len() {
            let Room { id, channel, origin, .. } = &self.rooms[n];
            let row = PortalRow { room: id.clone(), channel: channel.clone(), origin: *origin };
            self.input(Input::Portal(row));
            let room = self.rooms[n].id.clone();
            let known = self.store.members.get(&room).cloned().unwrap_or_default();
            let members =
                known.into_iter().map(|(user, display_name)| Member { user, display_name }).collect();
            self.input(Input::Members { room: room.clone(), members });
            let mut ghosts = self.ghosts.inside(&room);
            if !self.has(Flaw::LateSpeakersUnknown) {
                ghosts.extend(self.store.speakers(&room));
            }
            let ghosts = ghosts.into_iter().collect();
            self.input(Input::GhostsIn { room, ghosts });
        }
        self.held = BTreeSet::new();
        if !self.has(Flaw::HoldsForgotten) {
            for row in self.store.holds.values().cloned().collect::<Vec<_>>() {
                self.held.insert(row.user.clone());
                self.input(Input::Held(row));
            }
        }
        self.input(Input::Started);
        if !self.has(Flaw::InboxNotRestored) {
            let open = self.store.open();
            self.move_rows(open);
        }
        self.homeserver.wakes();
        // As the bridge does at every start; which would cover up an answer before the commit.
        if std::mem::take(&mut self.owes_healing) || !self.has(Flaw::AckBeforeCommit) {
            self.heal();
        }
    }

    /// It is gone between two instants: what was not committed is lost, and all sockets with it.
    pub fn crash(&mut self) {
        if !self.is_alive {
            return;
        }
        self.audit.crashed(self.now);
        self.audit.note(self.now, || "CRASH".to_owned());
        // What was not asked for to the end is asked for at the next start.
        self.owes_healing |= self.heals;
        (self.is_alive, self.heals, self.crash_in) = (false, false, None);
        // A commit under way ends either way.
        if self.chance.percent(30) {
            self.store_commits();
        }
        self.store.crash();
        for n in 0..self.conns.len() {
            if self.conns[n].run == self.run && self.conns[n].over && self.conns[n].stalled_until > self.now {
                // As with those that were open: what stood still in the network dies with the process.
                self.conns[n].up.clear();
            }
            if self.conns[n].run == self.run && !self.conns[n].over {
                let conn = &mut self.conns[n];
                (conn.over, conn.closing) = (true, true);
                conn.entered.clear();
                conn.unwritten.clear();
                if self.chance.percent(50) || self.conns[n].stalled_until > self.now {
                    self.conns[n].up.clear();
                }
                let at =
                    self.conns[n].last[1].max(self.now) + self.chance.pick(&[20, 500, 15_000]).expect("some");
                self.gone_by(n, at);
            }
        }
        // Not before what its sockets had is with the servers.
        let at = self.now + 2_000 + 2 * self.lag_ms_max + self.chance.below(20_000);
        self.at(at, Event::Restart);
    }

    /// One more effect or commit: the end may come with it.
    fn survives(&mut self) -> bool {
        match &mut self.crash_in {
            Some(0) => self.crash(),
            Some(left) => *left -= 1,
            None => {}
        }
        self.is_alive
    }

    /// Asks for what a homeserver may have lost; until it is there, transactions are answered with 503.
    fn heal(&mut self) {
        if !self.has(Flaw::NoHealing) {
            self.heals = true;
            let at = self.now + self.chance.between(50, 900);
            self.at(at, Event::Healed(self.run));
        }
    }

    fn healed(&mut self) {
        if self.homeserver.is_away || self.homeserver.fails_until > self.now {
            return self.at(self.now + 500, Event::Healed(self.run));
        }
        let events = (0..self.homeserver.timeline.len()).collect();
        self.write(Change::Accept { events, waits: None });
        self.homeserver.wakes();
        self.heals = false;
        self.at(self.now, Event::Push);
    }

    fn write(&mut self, change: Change) {
        let due = self.store.write(self.now, change);
        let due = self.now + self.chance.between(0, due - self.now);
        self.at(due, Event::Commit(self.run));
    }

    fn commit(&mut self) {
        if self.store.is_idle() || !self.survives() {
            return;
        }
        let committed = self.store_commits();
        if !self.survives() {
            return;
        }
        for attempt in committed.answers {
            self.answer_transaction(attempt, Answer::Ok);
        }
        self.move_rows(committed.rows);
        let run = self.run;
        for (puppet, seq) in committed.noted {
            if self.is_alive && self.run == run {
                self.input(Input::Noted { puppet, seq });
            }
        }
    }

    fn store_commits(&mut self) -> Committed {
        let committed = self.store.commit();
        for seq in &committed.rows {
            self.audit.accepted(self.store.inbox[seq].event);
        }
        committed
    }

    /// Gives rows to the machine, in their order.
    fn move_rows(&mut self, rows: Vec<InboxSeq>) {
        let run = self.run;
        for seq in rows {
            if !self.is_alive || self.run != run {
                return;
            }
            let event = self.homeserver.timeline[self.store.inbox[&seq].event].clone();
            if let MatrixEvent::Member { room, target, membership: Membership::Leave, .. } = &event {
                // Known to the homeserver for long, perhaps, but the machine ends a stay now.
                let channel =
                    self.rooms.iter().find(|other| other.id == *room).map(|room| room.channel.clone());
                let is_only =
                    self.rooms.iter().filter(|room| Some(&room.channel) == channel.as_ref()).count() == 1;
                for conn in self.conns.iter_mut().filter(|conn| conn.user == target.user) {
                    channel.iter().for_each(|channel| {
                        conn.entered.remove(channel);
                        conn.ended.extend(is_only.then(|| channel.clone()));
                    });
                }
            }
            let before = self.store.inbox[&seq].before;
            self.input(Input::Matrix { seq, event, before });
        }
    }

    // The homeserver's transactions.

    fn push_transaction(&mut self) {
        if let Some((attempt, events)) = self.homeserver.next() {
            let at = self.now + self.chance.between(1, 60);
            self.at(at, Event::Transaction(attempt, events));
            self.at(self.now + ANSWER_MS_MAX, Event::TransactionAnswered(attempt, Answer::NotNow));
        }
    }

    fn transaction(&mut self, attempt: u64, events: Vec<usize>) {
        if !self.is_alive || self.heals {
            return self.answer_transaction(attempt, Answer::NotNow);
        }
        if self.has(Flaw::AckBeforeCommit) {
            self.answer_transaction(attempt, Answer::Ok);
        }
        self.write(Change::Accept { events, waits: Some(attempt) });
    }

    fn answer_transaction(&mut self, attempt: u64, answer: Answer) {
        if !self.chance.percent(self.lost_answers_percent) {
            let at = self.now + self.chance.between(1, 60);
            self.at(at, Event::TransactionAnswered(attempt, answer));
        }
    }

    fn transaction_answered(&mut self, attempt: u64, answer: Answer) {
        match answer {
            Answer::Ok => {
                self.homeserver.taken(attempt);
                self.at(self.now, Event::Push);
            }
            Answer::NotNow => {
                if let Some(wait) = self.homeserver.not_taken(attempt) {
                    self.at(self.now + wait, Event::RetryTransaction(attempt));
                }
            }
        }
    }

    /// It goes away for a while, and forgets.
    pub fn restart_homeserver(&mut self, for_ms: u64) {
        if !self.homeserver.is_away {
            self.homeserver.stops();
            self.at(self.now + for_ms, Event::HomeserverBack);
        }
    }

    // The outbox.

    fn push_job(&mut self, job: Job) {
        if self.has(Flaw::NoLanes) {
            self.ask(job);
        } else {
            self.lanes.push(job.room().clone(), job).expect("less than the lanes hold");
            self.work();
        }
    }

    fn work(&mut self) {
        while self.in_flight < IN_FLIGHT_MAX {
            let Some((_, job)) = self.lanes.next() else { return };
            self.ask(job);
        }
    }

    fn ask(&mut self, job: Job) {
        self.in_flight += 1;
        self.tries += 1;
        let txn = match &job {
            Job::Say(Relay { seq, .. }) if self.has(Flaw::NewTxnIdOnRetry) => {
                format!("{}.{}", seq.0, self.tries)
            }
            Job::Say(Relay { seq, .. }) if self.has(Flaw::TxnIdNotUnique) => format!("{}", seq.0 / 2),
            Job::Say(relay) => format!("bunraku.{}", relay.seq.0),
            Job::Kick(..) => String::new(),
        };
        if let (Job::Say(relay), true) = (&job, self.has(Flaw::DoneBeforeAnswer)) {
            self.write(Change::Done(relay.seq));
        }
        let slow_ms = if self.slow_room.as_ref() == Some(job.room()) { 3_000 } else { 40 };
        let at = self.now + self.chance.between(1, slow_ms);
        self.at(at, Event::Asked(self.run, job, txn));
    }

    /// The homeserver has the request; what it answers is lost at times.
    fn asked(&mut self, run: u32, job: Job, txn: &str) {
        let takes = !self.homeserver.is_away && self.homeserver.fails_until <= self.now;
        if takes {
            match &job {
                Job::Say(relay) => self.homeserver_hears(relay, txn),
                Job::Kick(room, user) => {
                    let n = self.rooms.iter().position(|other| other.id == *room).expect("a room of ours");
                    self.at(self.now, Event::Removal(n, user.clone()));
                }
            }
        }
        let is_lost = self.chance.percent(self.lost_answers_percent);
        let answer = if takes && !is_lost { Answer::Ok } else { Answer::NotNow };
        let wait = if is_lost { ANSWER_MS_MAX / 2 } else { self.chance.between(1, 40) };
        self.at(self.now + wait, Event::AskAnswered(run, job, answer));
        self.at(self.now, Event::Push);
    }

    fn homeserver_hears(&mut self, relay: &Relay, txn: &str) {
        let device = if self.has(Flaw::NoDevices) { Device::No } else { Device::Yes };
        let user = match &relay.speaker {
            Speaker::Ghost(ghost) => ghost.user.clone(),
            Speaker::Bot => user(BOT),
        };
        let before = self.homeserver.rooms.get(&relay.room).map_or(0, Vec::len);
        self.homeserver.says(&user, device, txn, relay);
        if self.homeserver.rooms.get(&relay.room).map_or(0, Vec::len) > before {
            self.audit.on_matrix(relay);
            if let Speaker::Ghost(ghost) = &relay.speaker {
                self.ghosts.joins(&relay.room, ghost.user.clone());
            }
        }
    }

    /// A step has its turn, where nothing is to be said in the room and the homeserver answers.
    fn step(&mut self, room: RoomId, key: StepKey) {
        let takes = !self.homeserver.is_away && self.homeserver.fails_until <= self.now;
        let is_quiet = self.lanes.lane_len(&room) == 0 || self.has(Flaw::StepsOvertakeWords);
        if !takes || !is_quiet {
            let at = self.now + self.chance.between(100, 1_000);
            return self.at(at, Event::Step(self.run, room, key));
        }
        let result = if self.chance.percent(self.lost_answers_percent) {
            self.ghosts.left_undone(&room, &key);
            StepResult::NotTaken
        } else {
            self.ghosts.done(&room, &key);
            StepResult::Done
        };
        self.input(Input::StepDone { room, key, result });
    }

    fn ask_answered(&mut self, job: Job, answer: Answer) {
        self.in_flight -= 1;
        match answer {
            Answer::NotNow if self.has(Flaw::NoLanes) => {
                self.in_flight += 1;
                let again = Event::Asked(self.run, job.clone(), String::new());
                if let Job::Say(relay) = job {
                    let txn = format!("bunraku.{}", relay.seq.0);
                    self.at(self.now + 500, Event::Asked(self.run, Job::Say(relay), txn));
                } else {
                    self.at(self.now + 500, again);
                }
            }
            Answer::NotNow if !self.has(Flaw::GivesUpOn5xx) => {
                let room = job.room().clone();
                self.lanes.retry(&room, job).expect("it is in hand");
                let at = self.now + self.chance.between(500, 4_000);
                self.at(at, Event::Wake(self.run, room));
            }
            Answer::Ok | Answer::NotNow => {
                self.lanes.done(job.room());
                if let Job::Say(relay) = job {
                    self.write(Change::Done(relay.seq));
                }
            }
        }
        self.work();
    }

    // Time.

    fn at(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    /// Lets time pass; what comes in at a moment is handled before what is due at it.
    pub fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        let mut steps = 0u64;
        loop {
            let event = self.events.first_key_value().map_or(FOREVER, |((at, _), _)| *at);
            let wake = self.machine.poll_timeout().filter(|_| self.is_alive);
            let wake = wake.map_or(FOREVER, |at| at.0.max(self.now));
            if event.min(wake) > until {
                break;
            }
            if event <= wake {
                self.now = event.max(self.now);
                let (_, event) = self.events.pop_first().expect("there is one");
                self.happens(event);
            } else {
                self.now = wake;
                self.machine.handle_timeout(Time(wake));
                self.effects();
            }
            self.duties();
            steps += 1;
            assert!(steps < 100_000, "the machine does not come to rest");
        }
        self.now = until;
    }

    /// Who speaks for a channel is in it and ready, and the duty's number only grows; queues keep their bounds.
    fn duties(&mut self) {
        if !self.is_alive {
            return;
        }
        for room in &self.rooms {
            let name = ChannelName::new(&room.channel, CaseMap::Ascii).expect("a channel name");
            let Some(channel) = self.machine.channel_of(&name) else { continue };
            self.audit.duty(self.run, channel);
        }
    }

    pub fn input(&mut self, input: Input) {
        if !self.is_alive {
            return;
        }
        self.audit.note(self.now, || match &input {
            Input::ConnLine { conn, line } => format!("{conn} < {}", line.build()),
            other => format!("{other:?}"),
        });
        self.machine.handle(Time(self.now), input);
        self.effects();
    }

    fn effects(&mut self) {
        let mut effects = Vec::new();
        self.machine.take_effects(&mut effects);
        for effect in effects {
            if !self.survives() {
                return;
            }
            self.audit.note(self.now, || match &effect {
                Effect::Send { conn, line } => format!("    {conn} > {line}"),
                Effect::Relay(relay) => {
                    format!("    relay {} {} {:?}", relay.room, relay.text, relay.speaker)
                }
                other => format!("    {other:?}"),
            });
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { conn, user } => self.dial(conn, user),
            Effect::Send { conn, line } => self.send(conn, line),
            Effect::Close { conn } | Effect::Abandon { conn } => self.close(conn),
            Effect::Observe { conn, chat } => {
                if let Some(n) = self.find(conn) {
                    self.conns[n].skips_chat = chat == Chat::Skip;
                }
            }
            Effect::Settle { seq, outcome } => {
                self.audit.settled(self.run, self.store.inbox[&seq].event, &outcome);
                if !self.has(Flaw::SettleForgotten) {
                    self.write(Change::Settle(seq, outcome));
                }
            }
            Effect::Written { puppet, seq } => self.write(Change::Written(puppet, seq)),
            Effect::Mark(mark) => self.audit.marked(&mark),
            Effect::Redact(redact) => panic!("nothing was taken back: {redact:?}"),
            Effect::Remember { .. } => {}
            Effect::Relay(relay) => {
                self.audit.relayed(self.now, &relay);
                self.write(Change::Put(relay.clone()));
                self.push_job(Job::Say(relay));
            }
            Effect::Kick { room, user, .. } => {
                let n = self.rooms.iter().position(|other| other.id == room).expect("a room of ours");
                assert_eq!(self.rooms[n].origin, PortalOrigin::Alias, "put out of a room that is not ours");
                self.push_job(Job::Kick(room, user));
            }
            Effect::CreateRoom { .. }
            | Effect::AddAlias { .. }
            | Effect::Answer { .. }
            | Effect::SavePortal(_) => {
                panic!("nobody asked for an alias")
            }
            Effect::Reported { ask, report: Report::Line(answer) } => self.audit.answered(ask, &answer),
            Effect::Reported { report, .. } => panic!("nobody asked for {report:?}"),
            Effect::Query(_)
            | Effect::LeaveQuery { .. }
            | Effect::SaveQuery(_)
            | Effect::DropQuery { .. } => panic!("nobody talks in private"),
            Effect::Succeed(_) | Effect::Invite { .. } | Effect::Found { .. } => {
                panic!("no room is replaced, and nobody is invited or looked up")
            }
            Effect::SaveRule(_) | Effect::DropRule { .. } => panic!("no operator asks for anything"),
            Effect::SaveBar(_) | Effect::DropBar { .. } | Effect::Hasten { .. } => {}
            Effect::Space(_) => panic!("there are no spaces here"),
            Effect::Plumb { .. } | Effect::DropPortal { .. } => panic!("nobody asks to bridge a room"),
            Effect::News { .. } => panic!("nobody has an admin room"),
            Effect::Key { .. }
            | Effect::Realname { .. }
            | Effect::Ignores { .. }
            | Effect::Mentions { .. } => panic!("nobody asked for such a thing"),
            Effect::Derive { .. }
            | Effect::Upgrade { .. }
            | Effect::StayEncrypted { .. }
            | Effect::Pardon { .. }
            | Effect::Publish(_)
            | Effect::Unpublish { .. }
            | Effect::Duty { .. }
            | Effect::Typing { .. }
            | Effect::SaveCaseMap { .. } => {}
            Effect::Step { room, step } => {
                let key = step.key();
                if self.ghosts.asked(&room, step) == Begun::Now {
                    let at = self.now + self.chance.between(1, 200);
                    self.at(at, Event::Step(self.run, room, key));
                }
            }
            Effect::SaveMember { room, user, display_name, presence } => {
                self.write(match presence {
                    Presence::In => Change::Enter(room, user, display_name),
                    Presence::Out => Change::Leave(room, user),
                });
            }
            // Nobody bans anybody here, and nobody chooses a nick.
            Effect::SaveBan(_) | Effect::DropBan { .. } | Effect::SaveNick(_) | Effect::DropNick { .. } => {}
            Effect::SaveHold(row) => {
                assert!(self.held.insert(row.user.clone()), "held twice");
                self.write(Change::Hold(row));
            }
            Effect::DropHold { user } => {
                assert!(self.held.remove(&user), "nobody held them");
                self.write(Change::Release(user));
            }
        }
    }

    // Connections, as the shell has them.

    pub fn find(&self, conn: ConnId) -> Option<usize> {
        self.conns.iter().position(|other| other.id == conn && other.run == self.run)
    }

    fn dial(&mut self, id: ConnId, user: UserId) {
        let is_held = self.held.contains(&user) || self.store.holds(&user);
        assert!(!is_held, "a held puppet dials: {user}");
        let twice =
            self.conns.iter().any(|conn| conn.run == self.run && conn.id.puppet == id.puppet && conn.lives());
        assert!(!twice && self.find(id).is_none(), "two connections of one puppet");
        let n = self.conns.len();
        self.conns.push(Conn {
            id,
            run: self.run,
            user,
            client: n as ClientId,
            opened: false,
            over: false,
            closing: false,
            stalled_until: 0,
            skips_chat: false,
            unwritten: VecDeque::new(),
            up: VecDeque::new(),
            down: VecDeque::new(),
            last: [0; 3],
            nick: String::new(),
            entered: BTreeSet::new(),
            parting: BTreeMap::new(),
            ended: BTreeSet::new(),
        });
        let at = self.now + self.chance.between(5, 300);
        let fails = self.chance.percent(self.unreachable_percent);
        self.at(at, if fails { Event::Unreachable(n) } else { Event::Opened(n) });
    }

    fn send(&mut self, id: ConnId, line: String) {
        self.audit.wire(&line);
        let n = self.find(id).expect("a connection that was dialed");
        assert!(!self.conns[n].over, "a line for a connection that is over");
        assert!(
            self.conns[n].opened || line.starts_with("QUIT"),
            "a line before the connection is open: {line}"
        );
        if !self.conns[n].opened {
            return;
        }
        if self.has(Flaw::SettleOnWrite)
            && let Some(event) = line.rsplit(['m', ':', ' ']).next().and_then(|n| n.parse::<usize>().ok())
            && line.contains("PRIVMSG")
        {
            let seq = self.store.inbox.iter().find(|(_, row)| row.event == event - 1).map(|(seq, _)| *seq);
            seq.into_iter()
                .for_each(|seq| self.write(Change::Settle(seq, bunraku::bridge::effect::Outcome::Delivered)));
        }
        let unlabelled =
            line.strip_prefix('@').and_then(|rest| rest.split_once(' ')).map_or(line.as_str(), |l| l.1);
        if let Some(channels) = unlabelled.strip_prefix("JOIN ") {
            self.conns[n].ended.retain(|channel| !channels.split(',').any(|asked| asked == channel));
        }
        if let Some(channel) = unlabelled.strip_prefix("PART ") {
            self.conns[n].ended.remove(channel);
            self.conns[n].entered.remove(channel);
            *self.conns[n].parting.entry(channel.to_owned()).or_default() += 1;
        }
        self.conns[n].unwritten.push_back(line);
        assert!(self.conns[n].unwritten.len() <= WINDOW_LINES, "more lines than the window holds");
        let at = self.after(n, 0, 40);
        self.at(at, Event::Written(n));
    }

    /// When the next thing of this kind (0 written, 1 up, 2 down) is through, in order.
    fn after(&mut self, n: usize, kind: usize, lag_ms_max: u64) -> u64 {
        let at = (self.now + self.chance.between(0, lag_ms_max)).max(self.conns[n].last[kind]);
        self.conns[n].last[kind] = at;
        at
    }

    fn close(&mut self, id: ConnId) {
        let Some(n) = self.find(id) else { return };
        self.conns[n].closing = true;
        self.conns[n].entered.clear();
        let at = self.conns[n].last[0].max(self.now) + 20;
        self.at(at, Event::Closed(n));
    }

    /// The socket is gone for both sides; the server may notice later.
    fn gone_by(&mut self, n: usize, server_notices: u64) {
        self.at(server_notices, Event::ServerGone(n));
    }

    fn over(&mut self, n: usize, why: CloseReason) {
        if !std::mem::replace(&mut self.conns[n].over, true) {
            let conn = &mut self.conns[n];
            conn.entered.clear();
            conn.unwritten.clear();
            let (id, run) = (conn.id, conn.run);
            if run == self.run {
                self.input(Input::ConnClosed { conn: id, why });
            }
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Opened(n) if self.conns[n].over || self.conns[n].closing => {}
            Event::Opened(n) => {
                self.conns[n].opened = true;
                let server = self.chance.below(self.ircd.servers.len() as u64) as usize;
                self.ircd.connect(self.conns[n].client, server);
                let conn = self.conns[n].id;
                self.audit.note(self.now, || format!("{conn} is client {n} on s{server}.net"));
                let opening = Box::new(Opening::plain(self.conns[n].user.localpart()));
                self.input(Input::ConnOpened { conn, opening });
            }
            Event::Unreachable(n) => self.over(n, CloseReason::DialFailed("refused".into())),
            Event::Written(n) => self.written(n),
            Event::Up(n) if self.conns[n].stalled_until > self.now => self.later(n, Event::Up(n)),
            Event::Up(n) => {
                if let Some(line) = self.conns[n].up.pop_front() {
                    let quits = self.ircd.take(self.conns[n].client, &line);
                    self.spread();
                    if quits {
                        self.gone_by(n, self.now);
                    }
                }
            }
            Event::Down(n) if self.conns[n].stalled_until > self.now => self.later(n, Event::Down(n)),
            Event::Down(n) => self.comes_in(n),
            Event::Closed(n) => {
                let stalled = self.conns[n].stalled_until > self.now;
                let at = if stalled { self.now + 30_000 } else { self.conns[n].last[1].max(self.now) + 20 };
                self.gone_by(n, at);
                self.over(n, CloseReason::Asked);
            }
            Event::ServerGone(n) => {
                self.ircd.quit(self.conns[n].client, "gone");
                self.spread();
            }
            Event::Removal(n, user) => self.member_leaves(n, &user, true),
            Event::Link(from, to, life) => self.through_link(from, to, life),
            Event::Commit(run) => self.of_run(run, Self::commit),
            Event::Push => self.push_transaction(),
            Event::Transaction(attempt, events) => self.transaction(attempt, events),
            Event::TransactionAnswered(attempt, answer) => self.transaction_answered(attempt, answer),
            Event::RetryTransaction(attempt) => {
                self.homeserver.may_retry(attempt);
                self.push_transaction();
            }
            Event::HomeserverBack => {
                self.homeserver.is_back();
                match self.is_alive {
                    true => self.heal(),
                    false => self.owes_healing = true,
                }
            }
            Event::Asked(run, job, txn) => self.asked(run, job, &txn),
            Event::AskAnswered(run, job, answer) => self.of_run(run, |world| world.ask_answered(job, answer)),
            Event::Wake(run, room) => self.of_run(run, |world| {
                world.lanes.wake(&room);
                world.work();
            }),
            Event::Restart => self.starts(),
            Event::Healed(run) => self.of_run(run, Self::healed),
            Event::Step(run, room, key) => self.of_run(run, |world| world.step(room, key)),
        }
    }

    /// What belongs to a process that is no more does not happen.
    fn of_run(&mut self, run: u32, act: impl FnOnce(&mut Self)) {
        if self.is_alive && self.run == run {
            act(self);
        }
    }

    fn through_link(&mut self, from: usize, to: usize, life: u32) {
        let link = self.links.entry((from, to)).or_default();
        if link.0 == life
            && let Some(news) = link.1.pop_front()
        {
            self.ircd.arrives(from, to, &news);
            self.spread();
        }
    }

    /// A netsplit: what is on the link is gone.
    pub fn split(&mut self, leaf: usize) {
        self.audit.note(self.now, || format!("SPLIT s{leaf}.net"));
        for ends in [(0, leaf), (leaf, 0)] {
            let link = self.links.entry(ends).or_default();
            link.0 += 1;
            link.1.clear();
        }
        self.ircd.split(leaf);
        self.spread();
    }

    pub fn rejoin(&mut self, leaf: usize) {
        self.audit.note(self.now, || format!("REJOIN s{leaf}.net"));
        self.ircd.rejoin(leaf);
        self.spread();
    }

    fn later(&mut self, n: usize, event: Event) {
        if self.conns[n].stalled_until != FOREVER {
            self.at(self.conns[n].stalled_until, event);
        }
    }

    fn written(&mut self, n: usize) {
        let Some(line) = self.conns[n].unwritten.pop_front() else { return };
        self.audit.written(self.now, &line);
        self.conns[n].up.push_back(line);
        let at = self.after(n, 1, self.lag_ms_max / 4);
        self.at(at, Event::Up(n));
        let conn = self.conns[n].id;
        self.input(Input::ConnWritten { conn, lines: 1 });
    }

    /// Gives what the server tells to those it tells it to.
    pub fn spread(&mut self) {
        let ours = |world: &Self, client: ClientId| (client as usize) < world.conns.len();
        for (from, to, news) in std::mem::take(&mut self.ircd.passed) {
            let lag = self.chance.below(self.lag_ms_max.min(300) + 1);
            let link = self.links.entry((from, to)).or_default();
            link.2 = link.2.max(self.now + lag);
            link.1.push_back(news);
            let (life, at) = (link.0, link.2);
            self.at(at, Event::Link(from, to, life));
        }
        for (client, line) in std::mem::take(&mut self.ircd.told) {
            if ours(self, client) {
                self.goes_down(client as usize, Down::Line(line));
            }
        }
        for (client, text) in std::mem::take(&mut self.ircd.refused) {
            if ours(self, client) {
                self.audit.refused(&text);
            }
        }
        for said in std::mem::take(&mut self.ircd.said) {
            let (home, now) = (self.ircd.homes[&said.by], self.now);
            self.audit.note(now, || format!("s{home}.net takes {} of client {}", said.text, said.by));
            let by = ours(self, said.by).then(|| &self.conns[said.by as usize]);
            self.audit.on_irc(&said.text, by.map(Conn::lives));
        }
        for (client, why) in std::mem::take(&mut self.ircd.closed) {
            if ours(self, client) {
                self.goes_down(client as usize, Down::Line(format!("ERROR :Closing Link: host ({why})")));
                self.goes_down(client as usize, Down::Eof);
            }
        }
    }

    fn goes_down(&mut self, n: usize, what: Down) {
        self.conns[n].down.push_back(what);
        let at = self.after(n, 2, self.lag_ms_max);
        self.at(at, Event::Down(n));
    }

    fn comes_in(&mut self, n: usize) {
        let Some(what) = self.conns[n].down.pop_front() else { return };
        if self.conns[n].over {
            return;
        }
        let text = match what {
            Down::Eof => return self.over(n, CloseReason::Lost("end of stream".into())),
            Down::Line(text) => text,
        };
        let line = Line::parse(&text).expect("the server's lines are lines");
        if matches!(line.command.as_str(), "PRIVMSG" | "NOTICE") && line.param(0).starts_with('#') {
            // As `irc::framer` has it: what answers us is no chat.
            let answers = line.tags.iter().any(|tag| tag.key == "label");
            if self.conns[n].skips_chat && !answers {
                return;
            }
            if self.conns[n].lives() && self.conns[n].entered.contains(line.param(0)) {
                let name = ChannelName::new(line.param(0), CaseMap::Ascii).expect("a channel name");
                let channel = self.machine.channel_of(&name);
                let observes = channel.is_some_and(|channel| channel.is_observer(self.conns[n].id));
                self.audit.seen(self.now, line.param(1), n, observes);
            }
        }
        self.follow(n, &line);
        let conn = self.conns[n].id;
        self.input(Input::ConnLine { conn, line });
    }

    /// Keeps account of where this stream shows itself.
    fn follow(&mut self, n: usize, line: &Line) {
        let is_me = line.source.as_ref().is_some_and(|s| s.name == self.conns[n].nick);
        let wanted = self.wants(&self.conns[n].user, line.param(0));
        let conn = &mut self.conns[n];
        match line.command.as_str() {
            "001" => conn.nick = line.param(0).to_owned(),
            "NICK" if is_me => conn.nick = line.param(0).to_owned(),
            "JOIN" if is_me && wanted && conn.lives() && conn.is_wanted(line.param(0)) => {
                conn.entered.insert(line.param(0).to_owned());
            }
            "PART" if is_me => conn.has_parted(line.param(0)),
            "442" => conn.has_parted(line.param(1)),
            "KICK" if line.param(1) == conn.nick => {
                conn.entered.remove(line.param(0));
            }
            _ => {}
        }
    }

    // What can go wrong.

    /// The server throws it off and says why.
    pub fn throw_off(&mut self, n: usize, why: &str) {
        self.ircd.close(self.conns[n].client, why);
        self.spread();
    }

    /// Somebody lets all connect again that are held.
    pub fn reconnect_all(&mut self) {
        for user in self.held.clone() {
            self.input(Input::Reconnect { user });
        }
    }

    /// The socket fails for us; the server notices after a while.
    pub fn reset(&mut self, n: usize, server_notices_ms: u64) {
        self.conns[n].up.clear();
        self.conns[n].down.clear();
        self.gone_by(n, self.now + server_notices_ms);
        self.over(n, CloseReason::Lost("reset".into()));
    }

    /// Nothing passes for a while, or ever again; a stall within another does not shorten it, for what the first has
    /// put off waits for its end.
    pub fn stall(&mut self, n: usize, for_ms: Option<u64>) {
        let until = for_ms.map_or(FOREVER, |ms| self.now + ms);
        let conn = &mut self.conns[n];
        conn.stalled_until = conn.stalled_until.max(until);
    }

    /// As [`Self::stall`] for ever; the server throws it off and can tell everybody but it.
    pub fn dies_silently(&mut self, n: usize, server_notices_ms: u64) {
        self.stall(n, None);
        self.gone_by(n, self.now + server_notices_ms);
    }

    pub fn is_stalled(&self, n: usize) -> bool {
        self.conns[n].stalled_until > self.now
    }

    pub fn is_open(&self, n: usize) -> bool {
        self.conns[n].opened && !self.conns[n].over
    }

    /// A line from the server that says nothing of note.
    pub fn noise(&mut self, n: usize, line: &str) {
        self.goes_down(n, Down::Line(line.to_owned()));
    }

    // IRC people.

    pub fn speaker_does(&mut self, client: ClientId, line: &str) {
        self.ircd.take(client, line);
        self.spread();
    }

    pub fn speaker_says(&mut self, client: ClientId, channel: &str) {
        let is_moderated = self.ircd.rules.get(channel).is_some_and(|rules| rules.moderated);
        if !self.ircd.is_in(client, channel) || is_moderated {
            return;
        }
        let ours: BTreeSet<usize> =
            (0..self.conns.len()).filter(|n| self.ircd.is_in(self.conns[*n].client, channel)).collect();
        let nick = self.ircd.nick_of(client).expect("speakers have nicks");
        let text = self.audit.says(self.now, client, nick, channel, ours);
        self.speaker_does(client, &format!("PRIVMSG {channel} :{text}"));
    }

    // Matrix people.

    pub fn wants(&self, user: &UserId, channel: &str) -> bool {
        self.rooms.iter().any(|room| room.channel == channel && room.members.contains(user))
    }

    fn event(&mut self, event: MatrixEvent) {
        self.homeserver.happens(event);
        self.at(self.now, Event::Push);
    }

    pub fn member_joins(&mut self, n: usize, user: &UserId, name: &str) {
        self.rooms[n].members.insert(user.clone());
        let room = self.rooms[n].id.clone();
        let target = Member { user: user.clone(), display_name: Some(name.to_owned()) };
        let (sender, membership) = (user.clone(), Membership::Join);
        self.event(MatrixEvent::Member { room, sender, target, membership, reason: None, is_direct: false });
    }

    pub fn member_leaves(&mut self, n: usize, user: &UserId, by_bot: bool) {
        if !self.rooms[n].members.remove(user) {
            return;
        }
        let channel = self.rooms[n].channel.clone();
        if !self.wants(user, &channel) {
            for conn in self.conns.iter_mut().filter(|conn| conn.user == *user) {
                conn.entered.remove(&channel);
            }
        }
        let room = self.rooms[n].id.clone();
        let target = Member { user: user.clone(), display_name: None };
        let sender = if by_bot { self::user(BOT) } else { user.clone() };
        self.event(MatrixEvent::Member {
            room,
            sender,
            target,
            membership: Membership::Leave,
            reason: None,
            is_direct: false,
        });
    }

    /// Lets a user's puppet ask something, or say what no server understands.
    pub fn member_commands(&mut self, from: &UserId, line: &str) {
        if !self.is_alive {
            return;
        }
        let ask = self.audit.asks(line);
        let errand = Errand::Line(line.to_owned());
        self.input(Input::Errand { ask, user: from.clone(), errand });
    }

    pub fn member_says(&mut self, n: usize, from: &UserId) {
        self.member_said(n, from, 0);
    }

    /// A message comes that was said so long ago.
    pub fn member_said(&mut self, n: usize, from: &UserId, ms_ago: u64) {
        let said_at = self.now.saturating_sub(ms_ago);
        let number = self.homeserver.timeline.len();
        let (room, channel) = (self.rooms[n].id.clone(), self.rooms[n].channel.clone());
        let text = format!("m{}", number + 1);
        self.audit.message(said_at, number, from.clone(), room.clone(), channel);
        let event_id = EventId::new(&format!("$e{}", number + 1)).expect("an event id");
        let body = MessageBody::plain(BodyKind::Text, text);
        let (sender, origin_ms) = (from.clone(), said_at);
        self.event(MatrixEvent::Message {
            room,
            event_id,
            sender,
            body,
            relation: Relation::None,
            origin_ms,
        });
    }
}
