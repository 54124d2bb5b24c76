//! Whatever happens in a channel, and in whatever order its streams show it: after quiet the ghosts in its room are the
//! people in the channel, where all are to be shown.
//!
//! The machine is real. The IRC server is a set of people and one queue of lines for each connection; the homeserver does
//! what it is asked after a while, refuses some of it once, and forgets nothing when the bridge is started anew.

mod quiet;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bunraku::bridge::effect::{Effect, RoomStep, Speaker};
use bunraku::bridge::input::*;
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::*;
use bunraku::ids::*;
use bunraku::text::line::Line;
use proptest::prelude::*;

const CHANNEL: &str = "#c";
/// Longer than any wait: a netsplit's, a room's rest and the comparison after it.
const QUIET_MS: u64 = 4_000_000;
/// How long the homeserver takes for a step.
const STEP_MS: u64 = 300;

fn policy(to_matrix: ToMatrix) -> Policy {
    Policy {
        connect: ConnectPace { burst: 10, interval_ms: 10, retry_ms_min: 100, ..ConnectPace::default() },
        ping: PingPace { after_ms: 3_600_000, timeout_ms: 3_600_000 },
        moderation: Moderation { to_irc: Rooms::None, to_matrix: Rooms::None, ..Moderation::default() },
        members: Members { to_matrix, ghosts_max: 100_000, ..Members::default() },
        ..quiet::policy()
    }
}

fn user(id: &str) -> UserId {
    UserId::new(id).expect("a user id")
}

fn room() -> RoomId {
    RoomId::new("!r").expect("a room id")
}

fn ghost(name: &str) -> UserId {
    user(&format!("@irc_{name}:hs"))
}

/// What may happen. Numbers name people; who is not where they would have to be does nothing.
#[derive(Clone, Debug)]
enum Op {
    Joins(u8),
    Parts(u8),
    Quits(u8),
    Kicked(u8),
    Renamed(u8, u8),
    /// This many split off at once.
    Splits(u8),
    /// All who were split off come back.
    Meets,
    Speaks(u8),
    /// The stream of one of ours shows what waits.
    Shows(u8),
    /// The connection of one of ours is lost.
    Cut(u8),
    Restart,
    /// A moderator of the room puts a ghost out.
    PutOut(u8),
    Passes(u16),
}

struct World {
    to_matrix: ToMatrix,
    machine: Network,
    now: u64,
    people: BTreeSet<String>,
    split: BTreeSet<String>,
    /// Those of ours who are in the channel, with what their streams have yet to show.
    ours: BTreeMap<ConnId, (String, VecDeque<String>)>,
    nicks: BTreeMap<ConnId, String>,
    /// The homeserver.
    ghosts: BTreeSet<UserId>,
    asked: VecDeque<(u64, RoomStep)>,
    /// Membership events since the start.
    events: usize,
    seq: i64,
}

impl World {
    fn new(to_matrix: ToMatrix) -> Self {
        let mut world = Self {
            to_matrix,
            machine: Self::machine(to_matrix),
            now: 1_000_000,
            people: BTreeSet::new(),
            split: BTreeSet::new(),
            ours: BTreeMap::new(),
            nicks: BTreeMap::new(),
            ghosts: BTreeSet::new(),
            asked: VecDeque::new(),
            events: 0,
            seq: 0,
        };
        world.begin();
        world
    }

    fn machine(to_matrix: ToMatrix) -> Network {
        Network::new(policy(to_matrix), None, RelaySeqs { next: RelaySeq(1), step: 1 }, 7)
    }

    fn begin(&mut self) {
        let portal = PortalRow { room: room(), channel: CHANNEL.into(), origin: PortalOrigin::Alias };
        self.give(Input::Portal(portal));
        self.give(Input::GhostsIn { room: room(), ghosts: self.ghosts.iter().cloned().collect() });
        let members =
            ["@ada:hs", "@bert:hs"].map(|id| Member { user: user(id), display_name: None }).to_vec();
        self.give(Input::Members { room: room(), members });
        self.give(Input::Started);
    }

    fn give(&mut self, input: Input) {
        self.machine.handle(Time(self.now), input);
        self.perform();
    }

    fn perform(&mut self) {
        loop {
            let mut effects = Vec::new();
            self.machine.take_effects(&mut effects);
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.do_one(effect);
            }
        }
    }

    fn do_one(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { conn, user } => {
                self.nicks.insert(conn, user.localpart().to_owned());
                let opening = Box::new(Opening::plain(user.localpart()));
                self.machine.handle(Time(self.now), Input::ConnOpened { conn, opening });
            }
            Effect::Send { conn, line } => {
                self.machine.handle(Time(self.now), Input::ConnWritten { conn, lines: 1 });
                self.answer(conn, &line);
            }
            Effect::Close { conn } | Effect::Abandon { conn } => self.over(conn, CloseReason::Asked),
            Effect::Step { room: at, step } => {
                assert_eq!(at, room());
                let is_new = self.asked.iter().all(|(_, other)| other.key() != step.key());
                assert!(is_new, "one step at a time for each ghost: {step:?}");
                self.asked.push_back((self.now + STEP_MS, step));
            }
            // Whoever speaks is let in before.
            Effect::Relay(relay) => {
                if let Speaker::Ghost(ghost) = relay.speaker {
                    self.enters(&ghost.user);
                }
            }
            _ => {}
        }
    }

    fn enters(&mut self, user: &UserId) {
        if self.ghosts.insert(user.clone()) {
            self.events += 1;
        }
    }

    fn answer(&mut self, conn: ConnId, line: &str) {
        let Some(nick) = self.nicks.get(&conn).cloned() else { return };
        match line.split(' ').next().unwrap_or_default() {
            "USER" => {
                self.hears(conn, format!(":srv 001 {nick} :Welcome"));
                self.hears(conn, format!(":srv 376 {nick} :End of MOTD"));
            }
            "JOIN" => {
                self.all_see(format!(":{nick}!{nick}@h JOIN {CHANNEL}"));
                self.ours.insert(conn, (nick.clone(), VecDeque::new()));
                self.see(conn, format!(":{nick}!{nick}@h JOIN {CHANNEL}"));
                self.names(conn, &nick);
            }
            "NAMES" => self.names(conn, &nick),
            "PING" => {
                let token = line.trim_start_matches("PING ").to_owned();
                self.see(conn, format!(":srv PONG srv :{token}"));
            }
            _ => {}
        }
    }

    fn names(&mut self, conn: ConnId, nick: &str) {
        let ours: Vec<String> = self.ours.values().map(|(nick, _)| nick.clone()).collect();
        let all: Vec<&str> = self.people.iter().chain(&ours).map(String::as_str).collect();
        let lines: Vec<String> =
            all.chunks(20).map(|some| format!(":srv 353 {nick} = {CHANNEL} :{}", some.join(" "))).collect();
        lines.into_iter().for_each(|line| self.see(conn, line));
        self.see(conn, format!(":srv 366 {nick} {CHANNEL} :End"));
    }

    /// In its turn, where it is in the channel; else at once.
    fn see(&mut self, conn: ConnId, line: String) {
        match self.ours.get_mut(&conn) {
            Some((_, queue)) => queue.push_back(line),
            None => self.hears(conn, line),
        }
    }

    fn all_see(&mut self, line: String) {
        self.ours.values_mut().for_each(|(_, queue)| queue.push_back(line.clone()));
    }

    fn hears(&mut self, conn: ConnId, line: String) {
        let line = Line::parse(&line).expect("a line");
        self.machine.handle(Time(self.now), Input::ConnLine { conn, line });
    }

    fn show(&mut self, conn: ConnId, lines: usize) {
        for _ in 0..lines {
            let Some(line) = self.ours.get_mut(&conn).and_then(|(_, queue)| queue.pop_front()) else {
                return;
            };
            self.hears(conn, line);
            self.perform();
        }
    }

    fn show_all(&mut self) {
        while let Some(conn) =
            self.ours.iter().find(|(_, (_, queue))| !queue.is_empty()).map(|(conn, _)| *conn)
        {
            self.show(conn, usize::MAX);
        }
    }

    fn over(&mut self, conn: ConnId, why: CloseReason) {
        self.nicks.remove(&conn);
        if let Some((nick, _)) = self.ours.remove(&conn) {
            self.all_see(format!(":{nick}!{nick}@h QUIT :gone"));
        }
        self.machine.handle(Time(self.now), Input::ConnClosed { conn, why });
    }

    /// Time passes; what is due is done.
    fn passes(&mut self, ms: u64) {
        let until = self.now + ms;
        loop {
            let wake = self.machine.poll_timeout().map(|at| at.0);
            let step = self.asked.front().map(|(at, _)| *at);
            let Some(next) = wake.into_iter().chain(step).min().filter(|at| *at <= until) else { break };
            self.now = self.now.max(next);
            if step.is_some_and(|at| at <= self.now) {
                let (_, step) = self.asked.pop_front().expect("there is one");
                self.step(step);
            }
            self.machine.handle_timeout(Time(self.now));
            self.perform();
        }
        self.now = until;
    }

    fn step(&mut self, step: RoomStep) {
        let key = step.key();
        match step {
            RoomStep::GhostJoins(ghost) => self.enters(&ghost.user),
            RoomStep::GhostLeaves { ghost, .. } => {
                self.events += usize::from(self.ghosts.remove(&ghost));
            }
            RoomStep::Topic(_)
            | RoomStep::Power(_)
            | RoomStep::Door(_)
            | RoomStep::Plate(_)
            | RoomStep::GhostReturns(_)
            | RoomStep::JoinRule(_)
            | RoomStep::GhostPardoned(_)
            | RoomStep::Place(_) => {
                panic!("switched off here: {key:?}")
            }
        }
        self.give(Input::StepDone { room: room(), key, result: StepResult::Done });
    }

    fn happens(&mut self, op: &Op) {
        let name = |n: &u8| format!("p{n}");
        match op {
            Op::Joins(n) => self.joins(&name(n)),
            Op::Parts(n) => self.leaves(&name(n), |nick| format!(":{nick}!u@h PART {CHANNEL}")),
            Op::Quits(n) => self.leaves(&name(n), |nick| format!(":{nick}!u@h QUIT :bye")),
            Op::Kicked(n) => self.leaves(&name(n), |nick| format!(":op!o@h KICK {CHANNEL} {nick} :no")),
            Op::Renamed(n, to) => {
                let (from, to) = (name(n), name(to));
                if self.people.contains(&from) && !self.people.contains(&to) && !self.split.contains(&to) {
                    self.people.remove(&from);
                    self.all_see(format!(":{from}!u@h NICK {to}"));
                    self.people.insert(to);
                }
            }
            Op::Splits(n) => {
                let some: Vec<String> = self.people.iter().take(usize::from(*n)).cloned().collect();
                for nick in some {
                    self.leaves(&nick, |nick| format!(":{nick}!u@h QUIT :a.net b.net"));
                    self.split.insert(nick);
                }
            }
            Op::Meets => std::mem::take(&mut self.split).iter().for_each(|nick| self.joins(nick)),
            Op::Speaks(n) => {
                if self.people.contains(&name(n)) {
                    self.seq += 1;
                    self.all_see(format!(":{}!u@h PRIVMSG {CHANNEL} :{}", name(n), self.seq));
                }
            }
            Op::Shows(n) => {
                let conn = self.ours.keys().nth(usize::from(*n) % 2).copied();
                conn.into_iter().for_each(|conn| self.show(conn, usize::from(*n)));
            }
            Op::Cut(n) => {
                if let Some(conn) = self.nicks.keys().nth(usize::from(*n) % 2).copied() {
                    self.over(conn, CloseReason::Lost("cut".into()));
                }
            }
            Op::Restart => self.restart(),
            Op::PutOut(n) => self.put_out(&ghost(&name(n))),
            Op::Passes(ms) => self.passes(u64::from(*ms) * 10),
        }
        self.perform();
    }

    fn joins(&mut self, nick: &str) {
        self.split.remove(nick);
        if self.people.insert(nick.to_owned()) {
            self.all_see(format!(":{nick}!u@h JOIN {CHANNEL}"));
        }
    }

    fn leaves(&mut self, nick: &str, line: impl Fn(&str) -> String) {
        if self.people.remove(nick) {
            self.all_see(line(nick));
        }
    }

    /// What was asked of the homeserver is lost, or was done without our knowing.
    fn restart(&mut self) {
        if let Some((_, RoomStep::GhostLeaves { ghost, .. })) = self.asked.pop_front() {
            self.ghosts.remove(&ghost);
        }
        self.asked.clear();
        for (nick, _) in std::mem::take(&mut self.ours).into_values() {
            self.all_see(format!(":{nick}!{nick}@h QUIT :gone"));
        }
        self.nicks.clear();
        self.machine = Self::machine(self.to_matrix);
        self.begin();
    }

    /// It is let in again when its person comes anew, or speaks.
    fn put_out(&mut self, ghost: &UserId) {
        if !self.ghosts.remove(ghost) {
            return;
        }
        self.seq += 1;
        let target = Member { user: ghost.clone(), display_name: None };
        let membership = Membership::Leave;
        let event = MatrixEvent::Member {
            room: room(),
            sender: user("@mod:hs"),
            target,
            membership,
            is_direct: false,
            reason: None,
        };
        self.give(Input::Matrix { seq: InboxSeq(self.seq), event, before: Before::New });
    }

    fn quiet(&mut self) {
        for _ in 0..3 {
            self.show_all();
            self.passes(QUIET_MS);
        }
    }

    fn wanted(&self) -> BTreeSet<UserId> {
        self.people.iter().map(|name| ghost(name)).collect()
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    let person = 0u8..30;
    prop_oneof![
        6 => person.clone().prop_map(Op::Joins),
        2 => person.clone().prop_map(Op::Parts),
        2 => person.clone().prop_map(Op::Quits),
        1 => person.clone().prop_map(Op::Kicked),
        2 => (person.clone(), person.clone()).prop_map(|(from, to)| Op::Renamed(from, to)),
        1 => (1u8..30).prop_map(Op::Splits),
        1 => Just(Op::Meets),
        2 => person.clone().prop_map(Op::Speaks),
        6 => any::<u8>().prop_map(Op::Shows),
        1 => any::<u8>().prop_map(Op::Cut),
        1 => Just(Op::Restart),
        1 => person.prop_map(Op::PutOut),
        4 => any::<u16>().prop_map(Op::Passes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn after_quiet_the_room_shows_who_is_in_the_channel(
        ops in prop::collection::vec(any_op(), 1..120),
    ) {
        let mut world = World::new(ToMatrix::Full);
        // Whom a moderator put out stays out.
        let ops = ops.iter().filter(|op| !matches!(op, Op::PutOut(_)));
        ops.for_each(|op| world.happens(op));
        world.quiet();
        prop_assert_eq!(&world.ghosts, &world.wanted());
        prop_assert!(world.asked.is_empty());
        let events = world.events;
        world.quiet();
        prop_assert_eq!(world.events, events, "quiet is quiet");
    }

    #[test]
    fn where_only_speakers_are_shown_nobody_stays_who_left(
        ops in prop::collection::vec(any_op(), 1..120),
    ) {
        let mut world = World::new(ToMatrix::Lazy);
        ops.iter().for_each(|op| world.happens(op));
        world.quiet();
        let wanted = world.wanted();
        prop_assert!(world.ghosts.is_subset(&wanted), "{:?} of {:?}", world.ghosts, wanted);
        let everybody: Vec<u8> = (0..30).collect();
        everybody.iter().for_each(|n| world.happens(&Op::Speaks(*n)));
        world.quiet();
        prop_assert_eq!(&world.ghosts, &wanted);
    }
}

#[test]
fn of_a_netsplit_only_those_who_never_return_are_an_event() {
    let mut world = World::new(ToMatrix::Full);
    for n in 0..5_000 {
        world.joins(&format!("p{n}"));
    }
    world.show_all();
    // The homeserver does one after the other.
    world.passes(5_000 * STEP_MS);
    world.quiet();
    assert_eq!((world.ghosts.len(), world.events), (5_000, 5_000));
    let (before, names): (usize, Vec<String>) = (world.events, world.people.iter().cloned().collect());
    for nick in &names {
        world.leaves(nick, |nick| format!(":{nick}!u@h QUIT :*.net *.split"));
    }
    world.show_all();
    world.passes(300_000);
    for nick in names.iter().skip(names.len() / 20) {
        world.joins(nick);
    }
    world.show_all();
    world.passes(300_000);
    assert_eq!(world.events, before, "nothing before the time is over");
    world.quiet();
    let events = world.events - before;
    assert!(events <= names.len() / 20, "{events} events");
    assert!(world.ghosts.is_subset(&world.wanted()));
}
