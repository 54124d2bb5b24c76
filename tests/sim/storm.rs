//! Many puppets against a server that fails, throttles, kills and bans: how fast they dial, how often, who stays
//! away and who is told what. The server here is small: it greets, lets join, and ends connections.

use std::collections::{BTreeMap, BTreeSet};

use bunraku::bridge::effect::{Effect, Relay, Speaker};
use bunraku::bridge::input::{
    Before, BodyKind, CloseReason, Input, MatrixEvent, Member, Membership, MessageBody, Opening,
    PortalOrigin, PortalRow, Relation,
};
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::{ConnectPace, PingPace, Policy, ToMatrix};
use bunraku::ids::{ConnId, EventId, InboxSeq, PuppetId, RelaySeq, RoomId, Time, UserId};
use bunraku::text::line::Line;
use proptest::prelude::*;

use crate::simulator::random::Random;
use crate::simulator::world::{policy, user};

/// What happens to a connection when its socket was open for a moment.
#[derive(Clone, Debug)]
enum Fate {
    LetIn,
    /// It never comes up.
    Unreachable(&'static str),
    /// The server says this as ERROR and closes.
    Refused(&'static str),
    /// It is let in, and ends so after a while.
    Ends(&'static str),
    /// Nothing comes: registration takes too long.
    Silence,
}

#[derive(Clone, Debug)]
enum Event {
    Opens(ConnId),
    Greets(ConnId),
    Ends(ConnId, &'static str),
    Unreachable(ConnId, &'static str),
}

struct Storm {
    now: u64,
    chance: Random,
    machine: Network,
    pace: ConnectPace,
    events: BTreeMap<(u64, u64), Event>,
    count: u64,
    seq: i64,
    rooms: Vec<RoomId>,
    fates: BTreeMap<ConnId, Fate>,
    /// When each dial was.
    dials: Vec<u64>,
    under_way: BTreeSet<ConnId>,
    up: BTreeMap<PuppetId, ConnId>,
    held: BTreeSet<UserId>,
    users: BTreeMap<PuppetId, UserId>,
    /// What the bot said, and in which room.
    notices: Vec<(RoomId, String)>,
    settled: BTreeSet<i64>,
}

impl Storm {
    /// So many puppets, spread over so many rooms, each with its channel. Nobody has dialed yet.
    fn new(seed: u64, puppets: usize, rooms: usize, policy: Policy) -> Self {
        let pace = policy.connect;
        let machine = Network::new(policy, None, RelaySeqs { next: RelaySeq(1), step: 1 }, seed);
        let ids = (0..rooms).map(|n| RoomId::new(&format!("!r{n}")).expect("a room id")).collect();
        let mut storm = Self {
            now: 1_000_000,
            chance: Random(seed),
            machine,
            pace,
            events: BTreeMap::new(),
            count: 0,
            seq: 0,
            rooms: ids,
            fates: BTreeMap::new(),
            dials: Vec::new(),
            under_way: BTreeSet::new(),
            up: BTreeMap::new(),
            held: BTreeSet::new(),
            users: BTreeMap::new(),
            notices: Vec::new(),
            settled: BTreeSet::new(),
        };
        for (n, room) in storm.rooms.clone().into_iter().enumerate() {
            let row =
                PortalRow { room: room.clone(), channel: format!("#c{n}"), origin: PortalOrigin::Config };
            storm.machine.handle(Time(storm.now), Input::Portal(row));
            let of_room = (0..puppets).filter(|puppet| puppet % rooms == n);
            let member = |n| Member { user: person(n), display_name: Some(format!("u{n}")) };
            let members = of_room.map(member).collect();
            storm.machine.handle(Time(storm.now), Input::Members { room, members });
        }
        storm
    }

    fn at(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.events.insert((at, self.count), event);
    }

    fn input(&mut self, fate: &mut impl FnMut(u64) -> Fate, input: Input) {
        self.machine.handle(Time(self.now), input);
        self.perform(fate);
    }

    /// Lets time pass; `fate` says at each dial what becomes of it.
    fn pass(&mut self, ms: u64, fate: &mut impl FnMut(u64) -> Fate) {
        let until = self.now + ms;
        for _ in 0..1_000_000 {
            let event = self.events.first_key_value().map_or(u64::MAX, |((at, _), _)| *at);
            let wake = self.machine.poll_timeout().map_or(u64::MAX, |at| at.0.max(self.now));
            if event.min(wake) > until {
                self.now = until;
                return;
            }
            if event <= wake {
                self.now = event.max(self.now);
                let (_, event) = self.events.pop_first().expect("there is one");
                self.happens(event, fate);
            } else {
                self.now = wake;
                self.machine.handle_timeout(Time(wake));
                self.perform(fate);
            }
        }
        panic!("the machine does not come to rest");
    }

    fn happens(&mut self, event: Event, fate: &mut impl FnMut(u64) -> Fate) {
        match event {
            Event::Unreachable(conn, words) => self.over(conn, CloseReason::DialFailed(words.into()), fate),
            Event::Opens(conn) => {
                self.input(fate, Input::ConnOpened { conn, opening: Box::new(Opening::plain("u")) });
                let at = self.now + self.chance.between(50, 400);
                match self.fates[&conn].clone() {
                    Fate::LetIn => self.at(at, Event::Greets(conn)),
                    Fate::Refused(words) => self.at(at, Event::Ends(conn, words)),
                    Fate::Ends(words) => {
                        self.at(at, Event::Greets(conn));
                        let later = at + self.chance.between(1, 90_000);
                        self.at(later, Event::Ends(conn, words));
                    }
                    Fate::Silence => {}
                    Fate::Unreachable(_) => unreachable!("such a socket does not open"),
                }
            }
            Event::Greets(conn) if self.fates.contains_key(&conn) => {
                self.under_way.remove(&conn);
                self.up.insert(conn.puppet, conn);
                let nick = format!("u{}", conn.puppet.0);
                for line in [format!(":srv 001 {nick} :Welcome"), format!(":srv 376 {nick} :End")] {
                    self.line(conn, &line, fate);
                }
            }
            Event::Ends(conn, words) if self.fates.contains_key(&conn) => {
                self.line(conn, &format!("ERROR :Closing Link: host ({words})"), fate);
                self.over(conn, CloseReason::Lost("end of stream".into()), fate);
            }
            Event::Greets(_) | Event::Ends(..) => {}
        }
    }

    fn line(&mut self, conn: ConnId, line: &str, fate: &mut impl FnMut(u64) -> Fate) {
        let line = Line::parse(line).expect("a line");
        self.input(fate, Input::ConnLine { conn, line });
    }

    fn over(&mut self, conn: ConnId, why: CloseReason, fate: &mut impl FnMut(u64) -> Fate) {
        if self.fates.remove(&conn).is_some() {
            self.under_way.remove(&conn);
            self.up.retain(|_, other| *other != conn);
            self.input(fate, Input::ConnClosed { conn, why });
        }
    }

    fn perform(&mut self, fate: &mut impl FnMut(u64) -> Fate) {
        let mut closed = Vec::new();
        let mut effects = std::collections::VecDeque::new();
        loop {
            let mut new = Vec::new();
            self.machine.take_effects(&mut new);
            effects.extend(new);
            let Some(effect) = effects.pop_front() else { break };
            match effect {
                Effect::Connect { conn, user } => self.dial(conn, user, fate(self.now)),
                Effect::Send { conn, line } => {
                    let (command, rest) = line.split_once(' ').expect("a command and more");
                    let answer = match command {
                        "JOIN" => Some(format!(":u{}!u@h JOIN {rest}", conn.puppet.0)),
                        "PING" => Some(format!(":srv PONG srv {rest}")),
                        _ => None,
                    };
                    if let Some(answer) = answer.filter(|_| self.fates.contains_key(&conn)) {
                        let line = Line::parse(&answer).expect("a line");
                        self.machine.handle(Time(self.now), Input::ConnLine { conn, line });
                    }
                    self.machine.handle(Time(self.now), Input::ConnWritten { conn, lines: 1 });
                }
                Effect::Close { conn } | Effect::Abandon { conn } => {
                    self.under_way.remove(&conn);
                    closed.push(conn);
                }
                Effect::Relay(Relay { room, speaker: Speaker::Bot, text, .. }) => {
                    self.notices.push((room, text));
                }
                Effect::SaveHold(row) => assert!(self.held.insert(row.user), "held twice"),
                Effect::DropHold { user } => assert!(self.held.remove(&user), "nobody held them"),
                Effect::Settle { seq, .. } => assert!(self.settled.insert(seq.0), "settled twice"),
                Effect::Written { puppet, seq } => {
                    self.machine.handle(Time(self.now), Input::Noted { puppet, seq });
                }
                Effect::Relay(_)
                | Effect::Mark(_)
                | Effect::Redact(_)
                | Effect::Remember { .. }
                | Effect::Observe { .. }
                | Effect::Derive { .. }
                | Effect::Upgrade { .. }
                | Effect::StayEncrypted { .. }
                | Effect::Kick { .. }
                | Effect::Publish(_)
                | Effect::Unpublish { .. }
                | Effect::CreateRoom { .. }
                | Effect::AddAlias { .. }
                | Effect::Answer { .. }
                | Effect::Reported { .. }
                | Effect::SavePortal(_)
                | Effect::SaveMember { .. }
                | Effect::SaveCaseMap { .. }
                | Effect::Query(_)
                | Effect::LeaveQuery { .. }
                | Effect::SaveQuery(_)
                | Effect::SaveBan(_)
                | Effect::DropBan { .. }
                | Effect::DropQuery { .. }
                | Effect::Pardon { .. }
                | Effect::Succeed(_)
                | Effect::Invite { .. }
                | Effect::Found { .. }
                | Effect::SaveRule(_)
                | Effect::DropRule { .. }
                | Effect::SaveBar(_)
                | Effect::DropBar { .. }
                | Effect::Hasten { .. }
                | Effect::Space(_)
                | Effect::Plumb { .. }
                | Effect::DropPortal { .. }
                | Effect::Duty { .. }
                | Effect::Step { .. }
                | Effect::Typing { .. }
                | Effect::SaveNick(_)
                | Effect::DropNick { .. }
                | Effect::News { .. }
                | Effect::Key { .. }
                | Effect::Realname { .. }
                | Effect::Ignores { .. }
                | Effect::Mentions { .. } => {}
            }
        }
        for conn in closed {
            self.over(conn, CloseReason::Asked, fate);
        }
    }

    fn dial(&mut self, conn: ConnId, user: UserId, fate: Fate) {
        assert!(!self.held.contains(&user), "a held puppet dials: {user}");
        self.dials.push(self.now);
        self.users.insert(conn.puppet, user);
        self.under_way.insert(conn);
        assert!(self.under_way.len() <= self.pace.at_once, "too many are under way");
        let at = self.now + self.chance.between(20, 600);
        match fate {
            Fate::Unreachable(words) => self.at(at, Event::Unreachable(conn, words)),
            Fate::LetIn | Fate::Refused(_) | Fate::Ends(_) | Fate::Silence => self.at(at, Event::Opens(conn)),
        }
        self.fates.insert(conn, fate);
    }

    /// Never more than the burst and one each interval, wherever one begins to count.
    fn kept_the_pace(&self) {
        let burst = self.pace.burst as usize;
        for from in 0..self.dials.len() {
            for (n, at) in self.dials[from..].iter().enumerate().skip(burst).take(2 * burst + 40) {
                let may = burst + ((at - self.dials[from]) / self.pace.interval_ms) as usize;
                assert!(n < may, "{} dials within {} ms", n + 1, at - self.dials[from]);
            }
        }
    }

    fn says(&mut self, n: usize, fate: &mut impl FnMut(u64) -> Fate) {
        self.seq += 1;
        let event = MatrixEvent::Message {
            room: self.rooms[n % self.rooms.len()].clone(),
            event_id: EventId::new(&format!("$e{}", self.seq)).expect("an event id"),
            sender: person(n),
            body: MessageBody::plain(BodyKind::Text, "hello"),
            relation: Relation::None,
            origin_ms: self.now,
        };
        self.input(fate, Input::Matrix { seq: InboxSeq(self.seq), event, before: Before::New });
    }

    fn member(&mut self, n: usize, membership: Membership, fate: &mut impl FnMut(u64) -> Fate) {
        self.seq += 1;
        let event = MatrixEvent::Member {
            room: self.rooms[n % self.rooms.len()].clone(),
            sender: person(n),
            target: Member { user: person(n), display_name: Some(format!("u{n}")) },
            membership,
            reason: None,
            is_direct: false,
        };
        self.input(fate, Input::Matrix { seq: InboxSeq(self.seq), event, before: Before::New });
    }

    /// The server is gone for all at once.
    fn cut_all(&mut self, fate: &mut impl FnMut(u64) -> Fate) {
        for conn in self.up.values().copied().collect::<Vec<_>>() {
            self.over(conn, CloseReason::Lost("end of stream".into()), fate);
        }
    }
}

fn person(n: usize) -> UserId {
    user(&format!("@u{n}:hs"))
}

fn twenty_a_second(at_once: usize) -> Policy {
    let connect = ConnectPace {
        burst: 20,
        interval_ms: 50,
        retry_ms_min: 5_000,
        retry_ms_max: 600_000,
        at_once,
        ..ConnectPace::default()
    };
    // Half a thousand that ping each other for hours would only take time.
    let ping = PingPace { after_ms: 100_000_000, timeout_ms: 60_000 };
    Policy { connect, ping, connections_max: 1_000, ..policy(ToMatrix::Lazy) }
}

#[test]
fn five_hundred_cut_at_once_are_back_soon_and_nobody_hears_of_it() {
    let mut storm = Storm::new(1, 500, 5, twenty_a_second(30));
    let fate = &mut |_| Fate::LetIn;
    storm.input(fate, Input::Started);
    storm.pass(60_000, fate);
    assert_eq!(storm.up.len(), 500);
    storm.cut_all(fate);
    storm.pass(40_000, fate);
    assert_eq!(storm.up.len(), 500, "all are back");
    assert_eq!(storm.dials.len(), 1_000, "with one dial each");
    storm.kept_the_pace();
    storm.pass(600_000, fate);
    assert_eq!(storm.notices, []);
}

#[test]
fn a_server_that_stays_down_is_told_once_in_each_room() {
    let mut storm = Storm::new(2, 500, 5, twenty_a_second(30));
    storm.input(&mut |_| Fate::LetIn, Input::Started);
    storm.pass(60_000, &mut |_| Fate::LetIn);
    let down = &mut |_| Fate::Unreachable("refused");
    storm.cut_all(down);
    storm.pass(1_800_000, down);
    assert_eq!(storm.up.len(), 0);
    assert_eq!(storm.notices.len(), 5, "{:?}", storm.notices);
    let tries = storm.dials.len() - 500;
    assert!(tries < 500 * 16, "{tries} tries in half an hour");
    storm.pass(1_300_000, &mut |_| Fate::LetIn);
    assert_eq!(storm.up.len(), 500, "all are back");
    assert_eq!(storm.notices.len(), 5);
    storm.kept_the_pace();
}

#[test]
fn a_server_that_throttles_is_not_run_into_by_each() {
    let mut storm = Storm::new(3, 500, 5, twenty_a_second(30));
    // It takes two a second, thirty at once; who is above it makes it worse.
    let (mut level, mut last, mut walls) = (0.0, 0u64, 0);
    let mut fate = |now: u64| {
        level = f64::max(0.0, level - now.saturating_sub(last) as f64 / 500.0);
        last = now;
        level += 1.0;
        if level <= 30.0 {
            return Fate::LetIn;
        }
        walls += 1;
        Fate::Refused("Throttled: Reconnecting too fast")
    };
    storm.input(&mut fate, Input::Started);
    storm.pass(3 * 3_600_000, &mut fate);
    assert_eq!(storm.up.len(), 500, "all are in, however long it took");
    assert!(walls < 250, "{walls} of 500 ran into the wall");
    assert!(storm.notices.len() <= 5, "{:?}", storm.notices);
    storm.kept_the_pace();
}

#[test]
fn a_bridge_that_is_banned_as_a_whole_does_not_hammer() {
    let mut storm = Storm::new(4, 500, 5, twenty_a_second(30));
    let banned = &mut |_| Fate::Refused("K-Lined");
    storm.input(banned, Input::Started);
    storm.pass(600_000, banned);
    assert!(storm.dials.len() <= 100, "{} dials after a ban", storm.dials.len());
    assert_eq!(storm.held.len(), storm.dials.len(), "each is held after one try");
    storm.kept_the_pace();
}

const ENDINGS: [&str; 14] = [
    "Ping timeout: 120 seconds",
    "Server shutting down",
    "Excess Flood",
    "Throttled: Reconnecting too fast",
    "Too many host connections (local)",
    "Sorry, server is full - try later",
    "K-Lined",
    "G-Lined: spam",
    "Killed (oper (spam))",
    "Killed (services. (GHOST command used by eve))",
    "Nick collision (new)",
    "SASL access only",
    "Bad Password",
    "You are not authorised to use this server.",
];

fn any_fate() -> impl Strategy<Value = Fate> {
    let said = || prop::sample::select(ENDINGS.to_vec());
    prop_oneof![
        3 => Just(Fate::LetIn),
        1 => prop::sample::select(vec!["x refuses connections", "no secure connection to x: bad certificate"])
            .prop_map(Fate::Unreachable),
        3 => said().prop_map(Fate::Refused),
        3 => said().prop_map(Fate::Ends),
        1 => Just(Fate::Silence),
    ]
}

/// What people do meanwhile.
#[derive(Clone, Copy, Debug)]
enum Act {
    Says,
    Leaves,
    Joins,
    Reconnects,
    Waits,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    /// Whatever ends connections and whatever people do: the pace is kept and whoever is held does not dial (both
    /// asserted at each dial), a hold is told once at most, and each message comes to an end.
    #[test]
    fn no_sequence_of_endings_breaks_the_pace_or_a_hold(
        seed in any::<u64>(),
        fates in prop::collection::vec(any_fate(), 1..60),
        acts in prop::collection::vec(
            (0usize..12, prop::sample::select(vec![Act::Says, Act::Says, Act::Leaves, Act::Joins, Act::Reconnects,
                Act::Waits]), 0u64..60_000),
            1..60,
        ),
        burst in 1u32..6,
        interval_ms in 100u64..3_000,
        at_once in 1usize..6,
        connections_max in 3usize..14,
        idle_ms_max in prop::sample::select(vec![0u64, 30_000, 600_000]),
    ) {
        let connect = ConnectPace { burst, interval_ms, at_once, idle_ms_max, ..ConnectPace::default() };
        let policy = Policy { connect, connections_max, ..policy(ToMatrix::Lazy) };
        let mut storm = Storm::new(seed, 12, 3, policy);
        let mut next = 0;
        let mut fate = |_| {
            next += 1;
            fates[next % fates.len()].clone()
        };
        storm.input(&mut fate, Input::Started);
        let mut lifted = 0;
        for (n, act, wait_ms) in acts {
            match act {
                Act::Says => storm.says(n, &mut fate),
                Act::Leaves => storm.member(n, Membership::Leave, &mut fate),
                Act::Joins => storm.member(n, Membership::Join, &mut fate),
                Act::Reconnects => {
                    lifted += 1;
                    storm.input(&mut fate, Input::Reconnect { user: person(n) });
                }
                Act::Waits => storm.pass(600_000, &mut fate),
            }
            storm.pass(wait_ms, &mut fate);
            prop_assert!(storm.up.len() + storm.under_way.len() <= connections_max);
        }
        storm.pass(900_000, &mut fate);
        storm.kept_the_pace();
        let holds = storm.notices.iter().filter(|(_, text)| text.contains("what you say here does not reach")).count();
        prop_assert!(holds <= 12 + lifted, "{holds} notices of holds");
        prop_assert_eq!(storm.settled.len() as i64, storm.seq, "all that was said came to an end");
    }
}
