//! Who may be on IRC: whatever order rules, permissions, limits, people and connections come in, nobody who is excluded
//! connects or is heard, no homeserver has more than it may, every message ends, and in the end all who may be there are.
//!
//! The machine is real. The IRC server lets everybody in and echoes joins; the homeserver removes whom it is asked to.

mod quiet;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bunraku::bridge::effect::{Effect, Presence};
use bunraku::bridge::input::*;
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::*;
use bunraku::ids::*;
use bunraku::text::line::Line;
use bunraku::text::whom::Whom;
use proptest::prelude::*;

const PEOPLE: [&str; 6] =
    ["@ada:hs", "@bob:big.org", "@carl:big.org", "@dora:big.org", "@eve:evil.org", "@op:evil.org"];
/// What lists and settings may say; each with whom it means.
const ENTITIES: [(About, &str); 4] = [
    (About::Person, "@eve:evil.org"),
    (About::Homeserver, "evil.*"),
    (About::Person, "@*:big.org"),
    (About::Homeserver, "hs"),
];
const BLOCKED: [&str; 3] = ["big.org", "@carl:big.org", "*"];
/// Of rooms that the bridge made, and that people had.
const ROOMS: [(&str, &str, PortalOrigin); 2] =
    [("!portal", "#p", PortalOrigin::Alias), ("!mapped", "#m", PortalOrigin::Config)];
const CONNECTIONS_MAX: usize = 2;

fn user(name: &str) -> UserId {
    UserId::new(name).expect("a user id")
}

fn room(name: &str) -> RoomId {
    RoomId::new(name).expect("a room id")
}

fn policy(admission: Admission) -> Policy {
    Policy {
        // Nobody is removed but who is excluded.
        presence: PresenceRules { grace_ms: 1 << 50, ..PresenceRules::default() },
        admission,
        ..quiet::policy()
    }
}

fn admission(blocked: &BTreeSet<usize>, is_limited: bool) -> Admission {
    let words =
        blocked.iter().map(|word| (Whom::read(BLOCKED[*word]).expect("somebody"), Permission::Blocked));
    let admin = (Whom::read("@op:evil.org").expect("somebody"), Permission::Admin);
    let connections_max = if is_limited { CONNECTIONS_MAX } else { 0 };
    Admission {
        permissions: Permissions::new(words.chain([admin])),
        limits: HomeserverLimits { connections_max, joins_per_minute: 2, ..HomeserverLimits::default() },
        ..Admission::default()
    }
}

/// What may happen. Numbers name people, rooms, entities.
#[derive(Clone, Copy, Debug)]
enum Op {
    Joins(usize, usize),
    Leaves(usize, usize),
    Says(usize, usize),
    /// A rule comes or goes.
    Rule(usize),
    /// A word of the settings comes or goes.
    Block(usize),
    /// Limits come or go.
    Limits,
    Lost(usize),
    Passes(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let (person, place) = (0..PEOPLE.len(), 0..ROOMS.len());
    let op = prop_oneof![
        3 => (person.clone(), place.clone()).prop_map(|(who, at)| Op::Joins(who, at)),
        1 => (person.clone(), place.clone()).prop_map(|(who, at)| Op::Leaves(who, at)),
        3 => (person.clone(), place).prop_map(|(who, at)| Op::Says(who, at)),
        3 => (0..ENTITIES.len()).prop_map(Op::Rule),
        1 => (0..BLOCKED.len()).prop_map(Op::Block),
        1 => Just(Op::Limits),
        1 => person.prop_map(Op::Lost),
        2 => (1..400_000u64).prop_map(Op::Passes),
    ];
    prop::collection::vec(op, 1..60)
}

struct World {
    machine: Network,
    now: u64,
    seq: i64,
    rules: BTreeSet<usize>,
    blocked: BTreeSet<usize>,
    limited: bool,
    /// Whose connection it is, and the channels it is in.
    conns: BTreeMap<ConnId, (UserId, BTreeSet<String>)>,
    members: BTreeSet<(String, UserId)>,
    kicks: Vec<(RoomId, UserId)>,
    /// Homeservers of people who made room for others.
    shed: BTreeSet<String>,
    open: BTreeSet<i64>,
}

impl World {
    fn new() -> Self {
        let machine = Network::new(
            policy(admission(&BTreeSet::new(), false)),
            None,
            RelaySeqs { next: RelaySeq(1), step: 1 },
            1,
        );
        let mut world = Self {
            machine,
            now: 1_000_000,
            seq: 0,
            rules: BTreeSet::new(),
            blocked: BTreeSet::new(),
            limited: false,
            conns: BTreeMap::new(),
            members: BTreeSet::new(),
            kicks: Vec::new(),
            shed: BTreeSet::new(),
            open: BTreeSet::new(),
        };
        for (name, channel, origin) in ROOMS {
            world.give(Input::Portal(PortalRow { room: room(name), channel: channel.into(), origin }));
        }
        world.give(Input::Started);
        world
    }

    /// What the settings and lists mean, said without the machine. The operator of `evil.org` is an admin.
    fn is_excluded(&self, user: &UserId) -> bool {
        let (name, server) = (user.as_str(), user.server());
        let own = self.blocked.iter().any(|word| BLOCKED[*word] == name || BLOCKED[*word] == server);
        let is_named = name == "@op:evil.org";
        let is_blocked = !is_named && (own || self.blocked.contains(&2));
        let is_listed = self.rules.iter().any(|rule| match *rule {
            0 => name == "@eve:evil.org",
            1 => server == "evil.org",
            2 => server == "big.org",
            _ => server == "hs",
        });
        is_blocked || (is_listed && !is_named)
    }

    fn settings_changed(&mut self) {
        self.give(Input::PolicyChanged(Box::new(policy(admission(&self.blocked, self.limited)))));
    }

    fn rule_changed(&mut self, rule: usize) {
        let keyed = |rule: &usize| {
            let (about, entity) = ENTITIES[*rule];
            let key = RuleKey { kind: "m.policy.rule.user".into(), key: rule.to_string() };
            (key, PolicyRule { about, entity: entity.into(), reason: String::new() })
        };
        let list: PolicyList = self.rules.iter().map(keyed).collect();
        let rules = Arc::new(PolicyRules::new([(&room("!list"), &list)]));
        let (about, entity) = ENTITIES[rule];
        self.give(Input::PolicyRules { rules, concerns: Concerns::Only(vec![(about, entity.into())]) });
    }

    fn happens(&mut self, op: Op) {
        match op {
            Op::Joins(who, at) => {
                if self.members.insert((ROOMS[at].0.into(), user(PEOPLE[who]))) {
                    self.membership(ROOMS[at].0, PEOPLE[who], PEOPLE[who], Membership::Join);
                }
            }
            Op::Leaves(who, at) => {
                if self.members.remove(&(ROOMS[at].0.into(), user(PEOPLE[who]))) {
                    self.membership(ROOMS[at].0, PEOPLE[who], PEOPLE[who], Membership::Leave);
                }
            }
            Op::Says(who, at) => {
                if self.members.contains(&(ROOMS[at].0.to_owned(), user(PEOPLE[who]))) {
                    self.says(ROOMS[at].0, PEOPLE[who]);
                }
            }
            Op::Rule(rule) => {
                if !self.rules.remove(&rule) {
                    self.rules.insert(rule);
                }
                self.rule_changed(rule);
            }
            Op::Block(word) => {
                if !self.blocked.remove(&word) {
                    self.blocked.insert(word);
                }
                self.settings_changed();
            }
            Op::Limits => {
                self.limited = !self.limited;
                self.settings_changed();
            }
            Op::Lost(who) => {
                let of =
                    |(_, (user, _)): &(&ConnId, &(UserId, BTreeSet<String>))| user.as_str() == PEOPLE[who];
                if let Some(conn) = self.conns.iter().find(of).map(|(conn, _)| *conn) {
                    self.conns.remove(&conn);
                    self.give(Input::ConnClosed { conn, why: CloseReason::Lost("reset".into()) });
                }
            }
            Op::Passes(ms) => self.passes(ms),
        }
        self.removed();
        self.holds();
    }

    fn says(&mut self, at: &str, who: &str) {
        self.seq += 1;
        self.open.insert(self.seq);
        let event = MatrixEvent::Message {
            room: room(at),
            event_id: EventId::new(&format!("$e{}", self.seq)).expect("an id"),
            sender: user(who),
            body: MessageBody::plain(BodyKind::Text, format!("{who} {}", self.seq)),
            relation: Relation::None,
            origin_ms: self.now,
        };
        self.give(Input::Matrix { seq: InboxSeq(self.seq), event, before: Before::New });
    }

    fn membership(&mut self, at: &str, who: &str, by: &str, membership: Membership) {
        self.seq += 1;
        self.open.insert(self.seq);
        let event = MatrixEvent::Member {
            room: room(at),
            sender: user(by),
            target: Member { user: user(who), display_name: None },
            membership,
            reason: None,
            is_direct: false,
        };
        self.give(Input::Matrix { seq: InboxSeq(self.seq), event, before: Before::New });
    }

    /// The homeserver removes whom it was asked to.
    fn removed(&mut self) {
        while let Some((at, who)) = self.kicks.pop() {
            self.give(Input::KickDone { room: at.clone(), user: who.clone(), result: Ok(()) });
            if self.members.remove(&(at.as_str().to_owned(), who.clone())) {
                self.membership(at.as_str(), who.as_str(), "@bot:hs", Membership::Leave);
            }
        }
    }

    fn give(&mut self, input: Input) {
        self.machine.handle(Time(self.now), input);
        self.perform();
    }

    fn passes(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(at) = self.machine.poll_timeout().filter(|at| at.0 <= until) {
            self.now = self.now.max(at.0);
            self.machine.handle_timeout(Time(self.now));
            self.perform();
            self.removed();
        }
        self.now = until;
    }

    fn perform(&mut self) {
        loop {
            let mut effects = Vec::new();
            self.machine.take_effects(&mut effects);
            if effects.is_empty() {
                return;
            }
            effects.into_iter().for_each(|effect| self.effect(effect));
        }
    }

    fn effect(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { conn, user } => {
                assert!(!self.is_excluded(&user), "{user} connects");
                let of_server =
                    self.conns.values().filter(|(other, _)| other.server() == user.server()).count();
                let is_bound = self.limited && user.server() != "hs";
                assert!(!is_bound || of_server < CONNECTIONS_MAX, "{user} is one too many");
                let ident = user.localpart().to_owned();
                self.conns.insert(conn, (user, BTreeSet::new()));
                self.machine.handle(
                    Time(self.now),
                    Input::ConnOpened { conn, opening: Box::new(Opening::plain(&ident)) },
                );
                self.line(conn, &format!(":srv 001 {ident} :hello"));
                self.line(conn, &format!(":srv 376 {ident} :end"));
            }
            Effect::Send { conn, line } => {
                self.machine.handle(Time(self.now), Input::ConnWritten { conn, lines: 1 });
                self.answer(conn, &Line::parse(&line).expect("a line of ours"));
            }
            Effect::Close { conn } | Effect::Abandon { conn } => {
                let closed =
                    self.conns.remove(&conn).map(|_| Input::ConnClosed { conn, why: CloseReason::Asked });
                closed.into_iter().for_each(|closed| self.machine.handle(Time(self.now), closed));
            }
            Effect::Kick { room, user, .. } => {
                assert!(
                    self.is_excluded(&user) && room.as_str() == "!portal",
                    "{user} is removed from {room}"
                );
                self.kicks.push((room, user));
            }
            Effect::Pardon { room, user } => self.kicks.retain(|kick| *kick != (room.clone(), user.clone())),
            Effect::Settle { seq, .. } => assert!(self.open.remove(&seq.0), "{seq:?} ends twice"),
            Effect::Written { puppet, seq } => {
                self.machine.handle(Time(self.now), Input::Noted { puppet, seq });
            }
            Effect::SaveMember { presence: Presence::In | Presence::Out, .. } => {}
            _ => {}
        }
    }

    fn line(&mut self, conn: ConnId, text: &str) {
        let line = Line::parse(text).expect("a line");
        self.machine.handle(Time(self.now), Input::ConnLine { conn, line });
    }

    fn answer(&mut self, conn: ConnId, line: &Line) {
        let Some((user, channels)) = self.conns.get_mut(&conn) else { return };
        let (user, nick) = (user.clone(), user.localpart().to_owned());
        match line.command.as_str() {
            "PING" => self.line(conn, &format!(":srv PONG srv :{}", line.param(0))),
            "JOIN" => {
                for channel in line.param(0).split(',') {
                    channels.insert(channel.to_owned());
                }
                for channel in line.param(0).split(',').map(str::to_owned).collect::<Vec<_>>() {
                    self.line(conn, &format!(":{nick}!{nick}@h JOIN {channel}"));
                    self.line(conn, &format!(":srv 353 {nick} = {channel} :{nick}"));
                    self.line(conn, &format!(":srv 366 {nick} {channel} :End"));
                }
            }
            "PART" => {
                channels.remove(line.param(0));
                self.line(conn, &format!(":{nick}!{nick}@h PART {}", line.param(0)));
            }
            "QUIT" if line.param(0).contains("Making room") => {
                self.shed.insert(user.server().to_owned());
            }
            "PRIVMSG" => assert!(!self.is_excluded(&user), "{user} is heard: {line:?}"),
            _ => {}
        }
    }

    /// What holds at every moment.
    fn holds(&self) {
        for (user, _) in self.conns.values() {
            assert!(!self.is_excluded(user), "{user} is still there");
        }
        for (at, who) in self.members.iter().filter(|(at, _)| at == "!portal") {
            assert!(!self.is_excluded(who), "{who} is still in {at}");
        }
    }

    /// Where people wait for a connection of their homeserver's, none is free.
    fn no_connection_is_wasted(&self) {
        for server in
            ["big.org", "evil.org"].into_iter().filter(|server| self.limited && !self.shed.contains(*server))
        {
            let of = |user: &&UserId| user.server() == server;
            let there = self.conns.values().filter(|(user, _)| of(&user)).count();
            let wanted: BTreeSet<&UserId> = self.members.iter().map(|(_, user)| user).filter(of).collect();
            assert!(there >= wanted.len().min(CONNECTIONS_MAX), "{there} of {wanted:?} are there");
        }
    }

    /// Everything is allowed again: after a while all are where their rooms are, and nothing is open.
    fn ends_well(&mut self) {
        for rule in std::mem::take(&mut self.rules) {
            self.rule_changed(rule);
        }
        self.blocked = BTreeSet::new();
        self.settings_changed();
        self.passes(3_600_000);
        self.no_connection_is_wasted();
        let first = self.conns.values().map(|(user, _)| user.clone()).find(|user| user.server() == "big.org");
        for at in ROOMS.map(|(name, ..)| name) {
            if let Some(first) = first.clone()
                && self.members.remove(&(at.to_owned(), first.clone()))
            {
                self.membership(at, first.as_str(), first.as_str(), Membership::Leave);
            }
        }
        self.passes(3_600_000);
        self.no_connection_is_wasted();
        self.limited = false;
        self.settings_changed();
        self.passes(3_600_000);
        // Who made room comes back with a word.
        for (at, who) in self.members.clone() {
            self.says(&at, who.as_str());
        }
        self.passes(600_000);
        for (at, who) in &self.members {
            let channel = ROOMS.iter().find(|(name, ..)| name == at).map(|(_, channel, _)| *channel);
            let is_there = self.conns.values().any(|(user, channels)| {
                user == who && channel.is_some_and(|channel| channels.contains(channel))
            });
            assert!(is_there, "{who} is in {at} and not on IRC");
        }
        assert_eq!(self.open, BTreeSet::new(), "all ends");
    }
}

proptest! {
    #[test]
    fn nobody_who_is_excluded_is_there_and_everybody_else_is(ops in ops()) {
        let mut world = World::new();
        ops.into_iter().for_each(|op| world.happens(op));
        world.ends_well();
    }
}
