//! Private chats under any order of what can happen: lines of nicks, answers of the homeserver, people who come, leave,
//! invite, bring others, and nicks that change.
//!
//! Always one room for each two people; nothing is said in a room that is not theirs; and each line of IRC ends in one of:
//! said in a room once, or told to who wrote it as not delivered.

mod quiet;

use std::collections::{BTreeMap, BTreeSet};

use bunraku::bridge::effect::{Effect, QueryStep, Speaker};
use bunraku::bridge::input::*;
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::*;
use bunraku::ids::*;
use bunraku::text::line::Line;
use bunraku::text::template::*;

const SEEDS: u64 = 400;
const STEPS: usize = 120;
const NICKS: [&str; 4] = ["eve", "adam", "zed", "Yan"];

fn policy() -> Policy {
    Policy {
        nicks: NickTemplate::new("$DISPLAY").expect("a template"),
        dynamic_portals: DynamicPortals::On,
        connect: ConnectPace::default(),
        ping: PingPace { after_ms: 100_000_000, timeout_ms: 60_000 },
        failures: Failures { reaction: None, ..Failures::default() },
        members: Members::default(),
        directory: Directory::default(),
        topics: Topics::default(),
        power: Power::default(),
        moderation: Moderation::default(),
        queries: QueryRules { rooms_per_minute: 1_000, contacts_per_minute: 1_000, ..QueryRules::default() },
        ..quiet::policy()
    }
}

fn user(text: &str) -> UserId {
    UserId::new(text).unwrap()
}

struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// A machine with one puppet on IRC, and what the outside knows of it.
struct World {
    network: Network,
    now: Time,
    chance: Chance,
    conn: Option<ConnId>,
    seq: i64,
    rooms_made: usize,
    /// Asked of the homeserver and not answered.
    steps: Vec<QueryStep>,
    /// Rooms of private chats as they are kept, with the nick.
    rooms: BTreeMap<RoomId, String>,
    /// Rooms where the person is.
    inside: BTreeSet<RoomId>,
    /// Lines said by each nick, of which nothing is known yet.
    said: BTreeMap<String, String>,
    /// Who has which nick: its `user@host`.
    holders: BTreeMap<String, usize>,
    next_holder: usize,
    lines: usize,
    settled: BTreeSet<i64>,
}

impl World {
    fn new(seed: u64) -> Self {
        let seqs = RelaySeqs { next: RelaySeq(1), step: 1 };
        let mut world = Self {
            network: Network::new(policy(), None, seqs, seed),
            now: Time(1_000_000),
            chance: Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            conn: None,
            seq: 0,
            rooms_made: 0,
            steps: Vec::new(),
            rooms: BTreeMap::new(),
            inside: BTreeSet::new(),
            said: BTreeMap::new(),
            holders: NICKS.iter().enumerate().map(|(n, nick)| ((*nick).to_owned(), n)).collect(),
            next_holder: NICKS.len(),
            lines: 0,
            settled: BTreeSet::new(),
        };
        let room = RoomId::new("!c").unwrap();
        let row = PortalRow { room: room.clone(), channel: "#c".into(), origin: PortalOrigin::Alias };
        world.give(Input::Portal(row));
        let ada = Member { user: user("@ada:hs"), display_name: Some("Ada".into()) };
        world.give(Input::Members { room, members: vec![ada] });
        world.give(Input::Started);
        let conn = world.conn.expect("it dials");
        world.give(Input::ConnOpened { conn, opening: Box::new(Opening::plain("u")) });
        for line in [":srv 001 Ada :Welcome", ":srv 376 Ada :End", ":Ada!u@h JOIN #c"] {
            world.irc(line);
        }
        world
    }

    fn give(&mut self, input: Input) {
        self.network.handle(self.now, input);
        self.look();
    }

    fn irc(&mut self, line: &str) {
        let conn = self.conn.expect("it is connected");
        self.give(Input::ConnLine { conn, line: Line::parse(line).unwrap() });
    }

    fn passes(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        while let Some(at) = self.network.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.network.handle_timeout(self.now);
            self.look();
        }
        self.now = until;
    }

    /// Everything the machine asks for, checked.
    fn look(&mut self) {
        let mut effects = Vec::new();
        self.network.take_effects(&mut effects);
        for effect in effects {
            match effect {
                Effect::Connect { conn, .. } => self.conn = Some(conn),
                Effect::Send { conn, line } => self.sent(conn, &line),
                Effect::Written { puppet, seq } => self.give(Input::Noted { puppet, seq }),
                Effect::Settle { seq, .. } => assert!(self.settled.insert(seq.0), "settled twice"),
                Effect::Query(step) => self.steps.push(step),
                Effect::SaveQuery(row) => {
                    self.rooms.insert(row.room, row.nick.to_lowercase());
                    let nicks: BTreeSet<&String> = self.rooms.values().collect();
                    assert_eq!(nicks.len(), self.rooms.len(), "two rooms for one pair: {:?}", self.rooms);
                }
                Effect::DropQuery { room } => drop(self.rooms.remove(&room)),
                Effect::Relay(relay) => {
                    let Speaker::Ghost(ghost) = &relay.speaker else { panic!("the bot speaks: {relay:?}") };
                    let nick =
                        self.rooms.get(&relay.room).unwrap_or_else(|| panic!("nobody's room: {relay:?}"));
                    assert_eq!(*nick, ghost.display_name.to_lowercase(), "in another's name");
                    if !relay.text.starts_with("(bridge) ") {
                        assert!(self.said.remove(&relay.text).is_some(), "said twice: {relay:?}");
                    }
                }
                _ => {}
            }
        }
    }

    fn sent(&mut self, conn: ConnId, line: &str) {
        if let Some(rest) = line.strip_prefix("NOTICE ") {
            let (nick, text) = rest.split_once(" :").expect("a notice");
            assert!(text.contains("did not reach them"), "{text}");
            let count = text.strip_prefix("The last ").map_or(1, |rest| {
                rest.split(' ').next().and_then(|count| count.parse().ok()).expect("a number")
            });
            let theirs = self.said.iter().filter(|(_, by)| by.eq_ignore_ascii_case(nick));
            let told: Vec<String> = theirs.map(|(text, _)| text.clone()).take(count).collect();
            assert_eq!(told.len(), count, "told of more than was said");
            told.iter().for_each(|text| drop(self.said.remove(text)));
        }
        if let Some(token) = line.strip_prefix("PING bunraku-") {
            let answer = Line::parse(&format!(":srv PONG srv :bunraku-{token}")).unwrap();
            self.give(Input::ConnLine { conn, line: answer });
        }
        self.give(Input::ConnWritten { conn, lines: 1 });
    }

    fn source(&self, nick: &str) -> String {
        format!("{nick}!u{}@h", self.holders[nick])
    }

    fn event(&mut self, event: MatrixEvent) {
        self.seq += 1;
        let (seq, before) = (InboxSeq(self.seq), Before::New);
        self.give(Input::Matrix { seq, event, before });
    }

    fn member(&mut self, room: RoomId, sender: &str, target: UserId, membership: Membership) {
        let target = Member { user: target, display_name: None };
        let (sender, reason, is_direct) = (user(sender), None, membership == Membership::Invite);
        self.event(MatrixEvent::Member { room, sender, target, membership, reason, is_direct });
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.chance.below(from.len())].clone()) }
    }

    fn step(&mut self) {
        let nicks: Vec<String> = self.holders.keys().cloned().collect();
        let rooms: Vec<RoomId> = self.rooms.keys().cloned().collect();
        let (nick, room) = (self.pick(&nicks).expect("some nick"), self.pick(&rooms));
        match (self.chance.below(20), room) {
            (0..=6, _) => self.speaks(&nick),
            (7..=10, _) => self.answers(),
            (11, _) => self.changes_nick(&nick),
            (12, _) => self.changes_hands(&nick),
            (13, _) => {
                self.rooms_made += 1;
                let (room, ghost) =
                    (format!("!own{}", self.rooms_made), format!("@irc_{}:hs", nick.to_lowercase()));
                self.member(RoomId::new(&room).unwrap(), "@ada:hs", user(&ghost), Membership::Invite);
            }
            (14, Some(room)) => {
                self.inside.remove(&room);
                self.member(room, "@ada:hs", user("@ada:hs"), Membership::Leave);
            }
            (15, Some(room)) => {
                self.inside.insert(room.clone());
                self.member(room, "@ada:hs", user("@ada:hs"), Membership::Join);
            }
            (16, Some(room)) => {
                let ghost = user(&format!("@irc_{}:hs", self.rooms[&room]));
                self.member(room, "@ada:hs", ghost, Membership::Leave);
            }
            (17, Some(room)) => self.member(room, "@ada:hs", user("@bob:hs"), Membership::Invite),
            (18, Some(room)) => self.event(MatrixEvent::Message {
                room,
                event_id: EventId::new(&format!("$e{}", self.seq)).unwrap(),
                sender: user("@ada:hs"),
                body: MessageBody::plain(BodyKind::Text, "hi"),
                relation: Relation::None,
                origin_ms: self.now.0,
            }),
            (_, _) => {
                let ms = [10, 1_000, 20_000][self.chance.below(3)];
                self.passes(ms);
            }
        }
    }

    fn speaks(&mut self, nick: &str) {
        self.lines += 1;
        let text = format!("line {:05}", self.lines);
        self.said.insert(text.clone(), nick.to_owned());
        self.irc(&format!(":{} PRIVMSG Ada :{text}", self.source(nick)));
    }

    /// The homeserver answers something, well or not.
    fn answers(&mut self) {
        if self.steps.is_empty() {
            return;
        }
        let at = self.chance.below(self.steps.len());
        let step = self.steps.remove(at);
        let fate = self.chance.below(6);
        self.answer(step, fate);
    }

    fn answer(&mut self, step: QueryStep, fate: usize) {
        let result = match fate {
            0 => Err(QueryFault::Later("busy".into())),
            1 => Err(QueryFault::Refused("no".into())),
            2 if matches!(step, QueryStep::Enter { .. }) => Err(QueryFault::Crowd),
            _ => {
                self.rooms_made += 1;
                let made = || RoomId::new(&format!("!made{}", self.rooms_made)).unwrap();
                Ok(QueryRoom { room: step.room().cloned().unwrap_or_else(made), display_name: None })
            }
        };
        self.give(Input::QueryDone { step, result });
    }

    /// To a nick that nobody has.
    fn changes_nick(&mut self, nick: &str) {
        let free: Vec<&str> =
            ["newt", "otto"].into_iter().filter(|nick| !self.holders.contains_key(*nick)).collect();
        let Some(to) = self.pick(&free) else { return };
        let line = format!(":{} NICK :{to}", self.source(nick));
        let holder = self.holders.remove(nick).expect("they have it");
        self.holders.insert(to.to_owned(), holder);
        self.irc(&line);
    }

    /// Somebody else has the nick now, and nobody here saw how.
    fn changes_hands(&mut self, nick: &str) {
        self.next_holder += 1;
        self.holders.insert(nick.to_owned(), self.next_holder);
    }
}

#[test]
fn any_order_keeps_one_room_for_two_and_loses_nothing_silently() {
    for seed in 0..SEEDS {
        let world = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            (0..STEPS).for_each(|_| world.step());
            // The homeserver does all it was asked for.
            while let Some(step) = world.steps.pop() {
                world.answer(step, 5);
                world.passes(0);
            }
            (0..20).for_each(|_| {
                world.passes(120_000);
                while let Some(step) = world.steps.pop() {
                    world.answer(step, 5);
                }
            });
            assert_eq!(world.said, BTreeMap::new(), "nobody knows what became of these");
            assert_eq!(world.settled.len() as i64, world.seq, "events without an end");
        });
        assert!(world.is_ok(), "seed {seed}");
    }
}

#[test]
fn a_thousand_strangers_make_few_rooms() {
    let mut world = World::new(1);
    let conn = world.conn.expect("connected");
    for stranger in 0..1_000 {
        let line = Line::parse(&format!(":bot{stranger}!b@h PRIVMSG Ada :buy")).unwrap();
        world.network.handle(world.now, Input::ConnLine { conn, line });
    }
    let mut effects = Vec::new();
    world.network.take_effects(&mut effects);
    let asked = effects.iter().filter(|effect| matches!(effect, Effect::Query(_))).count();
    let notices = effects
        .iter()
        .filter(|e| matches!(e, Effect::Send { line, .. } if line.starts_with("NOTICE")))
        .count();
    assert_eq!((asked, notices), (60, 3), "the bound of all puppets together, and few answers");
}
