//! Errands under any order of what can happen: answers, refusals and silence of servers and of the homeserver, connections
//! that are lost, closed or never come up, holds, people who quit, leave and talk, and the end of the bridge.
//!
//! Each errand is reported once, and after [`ERRAND_MS_MAX`] at the latest; no line holds another line, and no key is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bunraku::bridge::effect::{CommandAnswer, Effect, QueryStep, Verdict};
use bunraku::bridge::errand::{ERRAND_MS_MAX, Errand, Ignoring, Reaping, Report};
use bunraku::bridge::input::{
    AskId, BodyKind, CloseReason, Input, MatrixEvent, Member, Membership, MessageBody, Opening, PortalOrigin,
    PortalRow, QueryFault, QueryRoom, Relation,
};
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::Shown;
use bunraku::ids::{ConnId, EventId, InboxSeq, RelaySeq, RoomAlias, RoomId, Time, UserId};
use bunraku::secret::Secret;
use bunraku::text::line::Line;

use super::stage::{policy, user};

const SEEDS: u64 = 300;
const STEPS: usize = 150;
const PEOPLE: [&str; 3] = ["@ada", "@bob", "@mal:evil"];
const CHANNELS: [&str; 4] = ["#c", "#d", "#new", "#own"];
const HOSTILE: [&str; 5] = ["", "a\r\nQUIT", "#a,#b", "\0", "#secret"];

struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// A connection as its server has it.
#[derive(Default)]
struct Conn {
    is_open: bool,
    nick: String,
    is_welcome: bool,
    /// Lines that the server has not worked on.
    lines: VecDeque<String>,
    is_ending: bool,
}

struct World {
    network: Network,
    now: Time,
    chance: Chance,
    conns: BTreeMap<ConnId, Conn>,
    /// Errands without a report, and when they were given.
    open: BTreeMap<u64, Time>,
    asked: u64,
    seq: i64,
    rooms: Vec<RoomAlias>,
    made: usize,
    steps: Vec<QueryStep>,
    /// Whom the bridge removes, and whom it invites.
    moves: Vec<(RoomId, UserId, Membership)>,
    settled: BTreeSet<i64>,
    /// How errands ended.
    ends: BTreeMap<&'static str, usize>,
}

impl World {
    fn new(seed: u64) -> Self {
        let seqs = RelaySeqs { next: RelaySeq(1), step: 1 };
        let mut world = Self {
            network: Network::new(policy(), None, seqs, seed),
            now: Time(1_000_000),
            chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            conns: BTreeMap::new(),
            open: BTreeMap::new(),
            asked: 0,
            seq: 0,
            rooms: Vec::new(),
            made: 0,
            steps: Vec::new(),
            moves: Vec::new(),
            settled: BTreeSet::new(),
            ends: BTreeMap::new(),
        };
        for (id, channel, origin) in [("!r", "#c", PortalOrigin::Alias), ("!o", "#own", PortalOrigin::Config)]
        {
            let room = room(id);
            world.give(Input::Portal(PortalRow { room: room.clone(), channel: channel.into(), origin }));
            let ada = Member { user: user("@ada"), display_name: Some("Ada".into()) };
            world.give(Input::Members { room, members: vec![ada] });
        }
        world.give(Input::Started);
        world
    }

    fn give(&mut self, input: Input) {
        self.network.handle(self.now, input);
        self.look();
    }

    fn passes(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        while let Some(at) = self.network.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.network.handle_timeout(self.now);
            self.look();
        }
        self.now = until;
    }

    fn look(&mut self) {
        let mut effects = Vec::new();
        self.network.take_effects(&mut effects);
        for effect in effects {
            let is_line = matches!(effect, Effect::Send { .. });
            assert!(is_line || !format!("{effect:?}").contains("canary"), "{effect:?}");
            match effect {
                Effect::Reported { ask, report } => {
                    let since = self.open.remove(&ask.0);
                    let since = since.unwrap_or_else(|| panic!("{ask:?} is reported twice: {report:?}"));
                    assert!(self.now.since_ms(since) <= ERRAND_MS_MAX, "{ask:?} took too long: {report:?}");
                    *self.ends.entry(end(&report)).or_default() += 1;
                }
                Effect::Connect { conn, .. } => drop(self.conns.insert(conn, Conn::default())),
                Effect::Send { conn, line } => {
                    assert!(!line.contains(['\r', '\n', '\0']), "{line:?}");
                    let known = self.conns.get_mut(&conn).expect("a connection that is there");
                    known.lines.push_back(line);
                    self.network.handle(self.now, Input::ConnWritten { conn, lines: 1 });
                }
                Effect::Close { conn } => {
                    self.conns.get_mut(&conn).expect("a connection that is there").is_ending = true;
                }
                Effect::Abandon { conn } => drop(self.conns.remove(&conn)),
                Effect::Written { puppet, seq } => {
                    self.network.handle(self.now, Input::Noted { puppet, seq });
                }
                Effect::CreateRoom { alias, .. } => self.rooms.push(alias),
                Effect::Query(step) => self.steps.push(step),
                Effect::Kick { room, user, .. } => self.moves.push((room, user, Membership::Leave)),
                Effect::Invite { room, user, .. } => self.moves.push((room, user, Membership::Join)),
                Effect::Settle { seq, .. } => assert!(self.settled.insert(seq.0), "settled twice"),
                _ => {}
            }
        }
    }

    fn asks(&mut self) {
        self.asked += 1;
        self.open.insert(self.asked, self.now);
        let (ask, person) = (AskId(self.asked), user(self.chance.of(&PEOPLE)));
        let errand = self.errand();
        self.give(Input::Errand { ask, user: person, errand });
    }

    fn errand(&mut self) -> Errand {
        let hostile = self.chance.below(8) == 0;
        let channel = if hostile { self.chance.of(&HOSTILE) } else { self.chance.of(&CHANNELS) };
        let word = if hostile { self.chance.of(&HOSTILE) } else { "eve" };
        let reason = (self.chance.below(2) == 0).then(|| "bye\r\nnow".to_owned());
        let whom = user(self.chance.of(&PEOPLE));
        match self.chance.below(18) {
            0 => Errand::Line("WHOIS eve".into()),
            1 => Errand::Line(word.to_owned()),
            2..=4 => {
                let key = (self.chance.below(3) == 0).then(|| Secret::new("canary"));
                Errand::Join { channel: channel.to_owned(), key }
            }
            5 | 6 => Errand::Part { channel: channel.to_owned(), reason },
            7 => Errand::Query { nick: word.to_owned(), text: Some("hello".into()) },
            8 => Errand::Query { nick: word.to_owned(), text: None },
            9 => Errand::Nick(Some(if hostile { word.to_owned() } else { "other".into() })),
            10 => Errand::Nick(None),
            11 => Errand::Quit { reason },
            12 => Errand::Reconnect,
            13 => Errand::Stop,
            14 => Errand::Retry,
            15 => Errand::Status,
            16 => match self.chance.below(4) {
                0 => Errand::Kill { user: whom, reason },
                1 => Errand::Evict { server: "evil".into(), reason },
                2 => Errand::Reap { idle_ms: 60_000, how: Reaping::Done },
                _ => Errand::Users,
            },
            _ => match self.chance.below(5) {
                0 => Errand::Portals { search: None },
                2 => Errand::Ignore(Ignoring::Add(word.to_owned())),
                3 => Errand::Mentions(Some(Shown::Off)),
                1 => Errand::Realname(Some(word.to_owned())),
                _ => Errand::Channel(channel.to_owned()),
            },
        }
    }

    /// A server works on something, or a connection ends.
    fn server_acts(&mut self) {
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        if conns.is_empty() {
            return;
        }
        let conn = conns[self.chance.below(conns.len())];
        let dice = self.chance.below(40);
        let state = &self.conns[&conn];
        if state.is_ending || dice == 0 {
            let why = if state.is_ending { CloseReason::Asked } else { CloseReason::Lost("reset".into()) };
            self.closed(conn, why);
        } else if !state.is_open {
            match dice {
                1..=4 => self.closed(conn, CloseReason::DialFailed("no route".into())),
                _ => {
                    self.conns.get_mut(&conn).expect("known").is_open = true;
                    self.give(Input::ConnOpened { conn, opening: Box::new(Opening::plain("u")) });
                }
            }
        } else if dice == 1 {
            self.irc(conn, "ERROR :Closing link: (a@h) [K-lined: spam]");
        } else if !state.is_welcome {
            self.welcomes(conn);
        } else {
            self.answers(conn, dice);
        }
    }

    fn closed(&mut self, conn: ConnId, why: CloseReason) {
        self.conns.remove(&conn);
        self.give(Input::ConnClosed { conn, why });
    }

    fn irc(&mut self, conn: ConnId, line: &str) {
        if self.conns.contains_key(&conn) {
            self.give(Input::ConnLine { conn, line: Line::parse(line).expect("an IRC line") });
        }
    }

    fn welcomes(&mut self, conn: ConnId) {
        let state = self.conns.get_mut(&conn).expect("known");
        let mut nicks = state.lines.iter().filter_map(|line| line.strip_prefix("NICK "));
        state.nick = nicks.next_back().unwrap_or("u").to_owned();
        state.is_welcome = true;
        state.lines.clear();
        let nick = state.nick.clone();
        self.irc(conn, &format!(":srv 001 {nick} :Welcome"));
        self.irc(conn, &format!(":srv 376 {nick} :End"));
    }

    /// The oldest line gets an answer, a refusal, or nothing.
    fn answers(&mut self, conn: ConnId, dice: usize) {
        let state = self.conns.get_mut(&conn).expect("known");
        let nick = state.nick.clone();
        let Some(line) = state.lines.pop_front() else { return };
        let words: Vec<&str> = line.split(' ').collect();
        let (first, is_refused) =
            (words.get(1).copied().unwrap_or_default().to_owned(), dice.is_multiple_of(4));
        if dice % 10 == 9 {
            return;
        }
        match words[0] {
            "PING" => self.irc(conn, &format!(":srv PONG srv :{first}")),
            "JOIN" => {
                for channel in first.split(',') {
                    match is_refused {
                        true => self.irc(conn, &format!(":srv 475 {nick} {channel} :Cannot join (+k)")),
                        false => self.irc(conn, &format!(":{nick}!u@h JOIN {channel}")),
                    }
                }
            }
            "PART" => self.irc(conn, &format!(":{nick}!u@h PART {first}")),
            "NICK" if is_refused => self.irc(conn, &format!(":srv 433 {nick} {first} :In use")),
            "NICK" => {
                self.conns.get_mut(&conn).expect("known").nick.clone_from(&first);
                self.irc(conn, &format!(":{nick}!u@h NICK {first}"));
            }
            "PRIVMSG" if is_refused => self.irc(conn, &format!(":srv 401 {nick} {first} :No such nick")),
            "WHOIS" => self.irc(conn, &format!(":srv 318 {nick} {first} :End")),
            _ => {}
        }
    }

    fn homeserver_acts(&mut self) {
        match self.chance.below(3) {
            0 if !self.rooms.is_empty() => {
                let alias = self.rooms.remove(0);
                self.made += 1;
                let fails = self.chance.below(4) == 0;
                let result = if fails { Err("no".into()) } else { Ok(room(&format!("!new{}", self.made))) };
                self.give(Input::RoomCreated { alias, result });
            }
            1 if !self.steps.is_empty() => {
                let step = self.steps.remove(0);
                self.made += 1;
                let result = match self.chance.below(4) {
                    0 => Err(QueryFault::Refused("no".into())),
                    1 => Err(QueryFault::Later("busy".into())),
                    _ => Ok(QueryRoom { room: room(&format!("!q{}", self.made)), display_name: None }),
                };
                self.give(Input::QueryDone { step, result });
            }
            _ if !self.moves.is_empty() => {
                let (room, user, membership) = self.moves.remove(0);
                if membership == Membership::Leave {
                    let (room, user) = (room.clone(), user.clone());
                    self.give(Input::KickDone { room, user, result: Ok(()) });
                }
                self.member(room, user, membership);
            }
            _ => {}
        }
    }

    fn member(&mut self, room: RoomId, target: UserId, membership: Membership) {
        self.seq += 1;
        let sender = target.clone();
        let target = Member { user: target, display_name: None };
        let event = MatrixEvent::Member { room, sender, target, membership, reason: None, is_direct: false };
        self.event(event);
    }

    fn event(&mut self, event: MatrixEvent) {
        let before = bunraku::bridge::input::Before::New;
        self.give(Input::Matrix { seq: InboxSeq(self.seq), event, before });
    }

    fn person_acts(&mut self) {
        let person = user(self.chance.of(&PEOPLE));
        let in_room = room(self.chance.of(&["!r", "!o", "!new1"]));
        match self.chance.below(3) {
            0 => self.member(in_room, person, Membership::Leave),
            1 => self.member(in_room, person, Membership::Join),
            _ => {
                self.seq += 1;
                let event_id = EventId::new(&format!("$e{}", self.seq)).expect("an event id");
                let body = MessageBody::plain(BodyKind::Text, "words");
                let (relation, origin_ms) = (Relation::None, self.now.0);
                self.event(MatrixEvent::Message {
                    room: in_room,
                    event_id,
                    sender: person,
                    body,
                    relation,
                    origin_ms,
                });
            }
        }
    }

    fn step(&mut self) {
        match self.chance.below(20) {
            0..=4 => self.asks(),
            5..=12 => self.server_acts(),
            13..=14 => self.homeserver_acts(),
            15 => self.person_acts(),
            16 => {
                let user = user(self.chance.of(&PEOPLE));
                self.give(Input::Reconnect { user });
            }
            17 => self.passes(31_000),
            _ => self.passes(1_000),
        }
    }

    /// The bridge goes down, whatever is open; servers close what is to be closed, or do not.
    fn ends(&mut self) {
        self.give(Input::Stopping);
        let closes = self.chance.below(2) == 0;
        self.passes(4_000);
        let conns: Vec<ConnId> = self.conns.keys().copied().filter(|_| closes).collect();
        conns.into_iter().for_each(|conn| self.closed(conn, CloseReason::Asked));
        self.passes(30_000);
        assert!(self.network.is_stopped());
    }
}

fn end(report: &Report) -> &'static str {
    match report {
        Report::Line(CommandAnswer { verdict: Verdict::Accepted, .. }) => "answered",
        Report::Line(_) => "not answered",
        Report::Done => "done",
        Report::Refused(_) => "refused",
        Report::Unknown => "unknown",
        Report::Joined(_) => "joined",
        Report::Talking { room: Some(_), .. } => "talking",
        Report::Talking { room: None, .. } => "no room yet",
        Report::Called(_) => "called",
        Report::Plumbing(_)
        | Report::Links(_)
        | Report::Operators(_)
        | Report::Ignored(_)
        | Report::Mentions(_) => "told",
        Report::Stopped(_) | Report::Retried(_) | Report::Ended(_) => "ended",
        Report::Status(_) | Report::Portals(_) | Report::Users(_) | Report::Channel(_) | Report::Here(_) => {
            "facts"
        }
    }
}

fn room(text: &str) -> RoomId {
    RoomId::new(text).expect("a room id")
}

#[test]
fn every_errand_is_reported_once_and_in_time() {
    let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        (0..STEPS).for_each(|_| world.step());
        if seed % 2 == 0 {
            world.passes(ERRAND_MS_MAX);
            assert!(world.open.is_empty(), "seed {seed}: {:?} are never reported", world.open);
        }
        world.ends();
        assert!(world.open.is_empty(), "seed {seed}: {:?} are forgotten at the end", world.open);
        world.ends.into_iter().for_each(|(end, count)| *ends.entry(end).or_default() += count);
    }
    assert!(ends.len() == 12 && ends.values().all(|count| *count > 10), "no proof: {ends:?}");
}
