//! A channel and its rooms agree: any order of changes on both sides ends with the channel's topic and ranks in the rooms;
//! and the tables of `docs/ROOMS.md` are made here from the code that does it.
//!
//! `BUNRAKU_BLESS=1 cargo test --test rooms` writes the page anew.

mod quiet;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use bunraku::bridge::effect::{Effect, JoinRule, Levels, Needs, RoomPower, RoomStep};
use bunraku::bridge::input::{
    BanRow, Before, CloseReason, Doorway, Input, MatrixEvent, Member, Membership, Opening, PortalOrigin,
    PortalRow, StepResult, Successor, Unfit,
};
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::*;
use bunraku::bridge::portal::modes::{Means, TABLE};
use bunraku::bridge::portal::topic::{one_line, read};
use bunraku::bridge::session::isupport::Prefixes;
use bunraku::ids::{ConnId, EventId, InboxSeq, RelaySeq, RoomId, Time, UserId};
use bunraku::text::line::Line;
use bunraku::text::numerics;
use proptest::prelude::*;

fn policy() -> Policy {
    Policy {
        dynamic_portals: DynamicPortals::On,
        connect: ConnectPace { burst: 100, interval_ms: 0, retry_ms_max: 10_000, ..ConnectPace::default() },
        topics: Topics::default(),
        power: Power::default(),
        moderation: Moderation::default(),
        members: Members::default(),
        ..quiet::policy()
    }
}

fn user(name: &str) -> UserId {
    UserId::new(&format!("@{name}:hs")).expect("a user id")
}

/// What a room is.
struct Room {
    id: RoomId,
    topic: String,
    levels: Levels,
    /// Whether who is not invited stays outside, and whether the bridge knows how it was before.
    is_shut: bool,
    is_marked: bool,
    /// Ghosts that are banned.
    banned: BTreeSet<UserId>,
}

/// The machine between a model of one channel and models of two of its rooms.
struct World {
    machine: Network,
    now: Time,
    conns: BTreeMap<ConnId, String>,
    /// Who is in the channel, with their modes.
    there: BTreeMap<String, BTreeSet<char>>,
    topic: String,
    /// Its own modes.
    modes: BTreeSet<char>,
    /// Its bans.
    masks: BTreeSet<String>,
    /// Who was split off, and comes back with the servers.
    split: BTreeSet<String>,
    /// What the bridge keeps of bans, and what it ever kept last for each.
    kept: BTreeMap<(RoomId, UserId), String>,
    set_once: BTreeMap<(RoomId, UserId), String>,
    rooms: Vec<Room>,
    /// Steps that nobody has done yet.
    steps: VecDeque<(RoomId, RoomStep)>,
    seq: i64,
}

const CHANNEL: &str = "#c";
const PEOPLE: [&str; 5] = ["ada", "bob", "eve", "carl", "dora"];
const MODES: [char; 5] = ['q', 'a', 'o', 'h', 'v'];
const OWN_MODES: [char; 6] = ['m', 'i', 'k', 's', 't', 'n'];
const TOPICS: [&str; 4] = ["", "Tea", "\u{2}Tea\u{2} at five", "Coffee"];

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Grant(usize, usize),
    Revoke(usize, usize),
    /// A mode of the channel itself is set, or taken back.
    Mode(usize, bool),
    /// Somebody on IRC sets the topic.
    Topic(usize),
    /// A person of Matrix does, where they may.
    RoomTopic(usize, usize, usize),
    /// A person of Matrix closes a room or opens it, where they may.
    RoomDoor(usize, usize, Doorway),
    /// The bridge's operator gives somebody a level in a room.
    Raise(usize, usize, i64),
    Lost(usize),
    Leaves(usize),
    Comes(usize),
    Quits(usize),
    Kicked(usize),
    /// Somebody takes another nick, with their rank.
    Renamed(usize, usize),
    /// All of IRC split off, or come back without their ranks.
    Splits,
    Meets,
    /// A person of Matrix bans somebody's ghost in a room or lets it in again, where they may.
    Bans(usize, usize, usize),
    Unbans(usize, usize, usize),
    /// An operator on IRC bans somebody.
    Mask(usize),
    /// An operator on IRC lifts one of the bans.
    Lifts(usize),
    Restart(StepFate),
    /// A step is done, is refused for want of a place, or has to wait.
    Step(StepFate),
    Passes(u64),
}

#[derive(Clone, Copy, Debug)]
enum StepFate {
    Done,
    NotTaken,
}

impl World {
    fn machine() -> Network {
        Network::new(policy(), None, RelaySeqs { next: RelaySeq(1), step: 1 }, 1)
    }

    fn new() -> Self {
        let rooms = ["!r", "!s"].map(|id| Room {
            id: RoomId::new(id).expect("a room id"),
            topic: "as it was".into(),
            levels: Levels {
                users: [(user("irc_gone"), 50), (user("ada"), 90)].into(),
                needed: 100,
                untouchable: [user("bot")].into(),
                needs: Needs { speak: Some(0), topic: Some(50) },
                ..Levels::default()
            },
            is_shut: false,
            is_marked: false,
            banned: BTreeSet::new(),
        });
        let mut world = Self {
            machine: Self::machine(),
            now: Time(1_000_000),
            conns: BTreeMap::new(),
            there: ["eve", "carl", "dora"].map(|nick| (nick.to_owned(), BTreeSet::new())).into(),
            topic: "Tea".into(),
            modes: ['n', 't'].into(),
            masks: BTreeSet::new(),
            split: BTreeSet::new(),
            kept: BTreeMap::new(),
            set_once: BTreeMap::new(),
            rooms: rooms.into(),
            steps: VecDeque::new(),
            seq: 0,
        };
        world.begin();
        world
    }

    /// A machine gets what was kept, and starts.
    fn begin(&mut self) {
        for id in ["!r", "!s"] {
            let room = RoomId::new(id).expect("a room id");
            let (channel, origin) = (CHANNEL.to_owned(), PortalOrigin::Alias);
            self.give(Input::Portal(PortalRow { room, channel, origin }));
        }
        for ((room, ghost), mask) in self.kept.clone() {
            self.give(Input::Banned(BanRow { room, ghost, mask }));
        }
        for id in ["!r", "!s"] {
            let room = RoomId::new(id).expect("a room id");
            let member = |name| Member { user: user(name), display_name: None };
            self.give(Input::Members { room, members: vec![member("ada"), member("bob")] });
        }
        self.give(Input::Started);
    }

    /// The process ends and another one begins: of what was asked of the homeserver the first was done, or all is lost.
    fn restart(&mut self, fate: StepFate) {
        if matches!(fate, StepFate::Done) {
            self.step(fate);
        }
        self.steps.clear();
        for nick in std::mem::take(&mut self.conns).into_values() {
            self.there.remove(&nick);
        }
        self.machine = Self::machine();
        self.begin();
    }

    fn give(&mut self, input: Input) {
        self.machine.handle(self.now, input);
        self.effects();
    }

    fn effects(&mut self) {
        loop {
            let mut effects = Vec::new();
            self.machine.take_effects(&mut effects);
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.perform(effect);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { conn, user } => {
                let nick = user.localpart().to_owned();
                self.conns.insert(conn, nick.clone());
                self.machine
                    .handle(self.now, Input::ConnOpened { conn, opening: Box::new(Opening::plain(&nick)) });
                self.line(conn, &format!(":srv 001 {nick} :hello"));
                self.line(conn, &format!(":srv 005 {nick} PREFIX=(qaohv)~&@%+ TOPICLEN=100 :are supported"));
                self.line(conn, &format!(":srv 376 {nick} :end"));
            }
            Effect::Send { conn, line } => {
                self.machine.handle(self.now, Input::ConnWritten { conn, lines: 1 });
                self.answer(conn, &Line::parse(&line).expect("a line of ours"));
            }
            Effect::Step { room, step } => {
                self.steps.retain(|(other, waits)| (other, waits.key()) != (&room, step.key()));
                self.steps.push_back((room, step));
            }
            Effect::Close { conn } | Effect::Abandon { conn } => self.closed(conn, CloseReason::Asked),
            Effect::SaveBan(BanRow { room, ghost, mask }) => {
                self.set_once.insert((room.clone(), ghost.clone()), mask.clone());
                self.kept.insert((room, ghost), mask);
            }
            Effect::DropBan { room, ghost } => {
                self.kept.remove(&(room, ghost));
            }
            _ => {}
        }
    }

    fn line(&mut self, conn: ConnId, text: &str) {
        let line = Line::parse(text).expect("a line");
        self.machine.handle(self.now, Input::ConnLine { conn, line });
    }

    /// All of ours in the channel see it.
    fn all(&mut self, text: &str) {
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in conns {
            if self.there.contains_key(&self.conns[&conn]) {
                self.line(conn, text);
            }
        }
    }

    fn answer(&mut self, conn: ConnId, line: &Line) {
        let Some(nick) = self.conns.get(&conn).cloned() else { return };
        match (line.command.as_str(), line.params.len()) {
            ("PING", _) => self.line(conn, &format!(":srv PONG srv :{}", line.param(0))),
            ("JOIN", _) => {
                self.there.insert(nick.clone(), BTreeSet::new());
                self.all(&format!(":{nick}!{nick}@h JOIN {CHANNEL}"));
                if !self.topic.is_empty() {
                    self.line(conn, &format!(":srv 332 {nick} {CHANNEL} :{}", self.topic));
                }
                self.names(conn, &nick);
            }
            ("NAMES", _) => self.names(conn, &nick),
            ("TOPIC", 1) if self.topic.is_empty() => {
                self.line(conn, &format!(":srv 331 {nick} {CHANNEL} :No topic is set"));
            }
            ("TOPIC", 1) => self.line(conn, &format!(":srv 332 {nick} {CHANNEL} :{}", self.topic)),
            ("MODE", 1) => self.modes_are(conn, &nick),
            ("MODE", 2) if line.param(1) == "+b" => {
                for mask in self.masks.clone() {
                    self.line(conn, &format!(":srv 367 {nick} {CHANNEL} {mask} eve 1700000000"));
                }
                self.line(conn, &format!(":srv 368 {nick} {CHANNEL} :End of Channel Ban List"));
            }
            ("MODE", 3) if self.is_operator(&nick) => self.mask(line.param(2), line.param(1) == "+b"),
            ("USERHOST", _) => {
                let who = line.param(0).to_owned();
                let known = self.there.contains_key(&who).then(|| format!("{who}=+{who}@h"));
                self.line(conn, &format!(":srv 302 {nick} :{}", known.unwrap_or_default()));
            }
            ("KICK", _) if !self.there.contains_key(line.param(1)) => {
                self.line(
                    conn,
                    &format!(":srv 441 {nick} {} {CHANNEL} :They aren't on that channel", line.param(1)),
                );
            }
            ("KICK", _) if self.is_operator(&nick) => self.kick(&nick, line.param(1)),
            ("KICK", _) => {
                self.line(conn, &format!(":srv 482 {nick} {CHANNEL} :You're not channel operator"))
            }
            ("MODE", _) if self.is_operator(&nick) => self.own_mode('i', line.param(1) == "+i"),
            ("MODE", _) => {
                self.line(conn, &format!(":srv 482 {nick} {CHANNEL} :You're not channel operator"))
            }
            ("TOPIC", _) if !self.modes.contains(&'t') || self.is_operator(&nick) => {
                self.topic = line.param(1).to_owned();
                self.all(&format!(":{nick}!{nick}@h TOPIC {CHANNEL} :{}", self.topic));
            }
            ("TOPIC", _) => {
                self.line(conn, &format!(":srv 482 {nick} {CHANNEL} :You're not channel operator"))
            }
            _ => {}
        }
    }

    fn is_operator(&self, nick: &str) -> bool {
        self.there.get(nick).is_some_and(|modes| modes.iter().any(|mode| "qaoh".contains(*mode)))
    }

    fn modes_are(&mut self, conn: ConnId, nick: &str) {
        let letters: String = self.modes.iter().collect();
        let key = if self.modes.contains(&'k') { " key" } else { "" };
        self.line(conn, &format!(":srv 324 {nick} {CHANNEL} +{letters}{key}"));
    }

    fn own_mode(&mut self, mode: char, is_set: bool) {
        let is_new = if is_set { self.modes.insert(mode) } else { self.modes.remove(&mode) };
        if is_new {
            let (sign, key) = (if is_set { '+' } else { '-' }, if mode == 'k' { " key" } else { "" });
            self.all(&format!(":eve!eve@h MODE {CHANNEL} {sign}{mode}{key}"));
        }
    }

    fn mask(&mut self, mask: &str, is_set: bool) {
        let is_new = if is_set { self.masks.insert(mask.to_owned()) } else { self.masks.remove(mask) };
        if is_new {
            let sign = if is_set { '+' } else { '-' };
            self.all(&format!(":eve!eve@h MODE {CHANNEL} {sign}b {mask}"));
        }
    }

    fn kick(&mut self, by: &str, who: &str) {
        if self.there.contains_key(who) {
            self.all(&format!(":{by}!{by}@h KICK {CHANNEL} {who} :no"));
            self.there.remove(who);
        }
    }

    fn names(&mut self, conn: ConnId, nick: &str) {
        let sign = |mode: &char| "~&@%+".chars().nth("qaohv".find(*mode).expect("a rank")).expect("its sign");
        let entry = |(who, modes): (&String, &BTreeSet<char>)| {
            let signs: String = MODES.iter().filter(|mode| modes.contains(mode)).map(sign).collect();
            format!("{signs}{who}")
        };
        let list: Vec<String> = self.there.iter().map(entry).collect();
        let seen = if self.modes.contains(&'s') { '@' } else { '=' };
        self.line(conn, &format!(":srv 353 {nick} {seen} {CHANNEL} :{}", list.join(" ")));
        self.line(conn, &format!(":srv 366 {nick} {CHANNEL} :End of NAMES"));
    }

    fn closed(&mut self, conn: ConnId, why: CloseReason) {
        let Some(nick) = self.conns.remove(&conn) else { return };
        if self.there.remove(&nick).is_some() {
            self.all(&format!(":{nick}!{nick}@h QUIT :gone"));
        }
        self.machine.handle(self.now, Input::ConnClosed { conn, why });
    }

    fn happens(&mut self, what: Happens) {
        match what {
            Happens::Grant(who, mode) => self.mode(PEOPLE[who], '+', MODES[mode]),
            Happens::Mode(mode, is_set) => self.own_mode(OWN_MODES[mode], is_set),
            Happens::Revoke(who, mode) => self.mode(PEOPLE[who], '-', MODES[mode]),
            Happens::Topic(topic) => {
                self.topic = TOPICS[topic].to_owned();
                self.all(&format!(":eve!eve@h TOPIC {CHANNEL} :{}", self.topic));
            }
            Happens::RoomTopic(room, who, topic) => self.room_topic(room, who, TOPICS[topic]),
            Happens::RoomDoor(room, who, door) => self.room_door(room, who, door),
            Happens::Raise(room, who, level) => {
                let room = &mut self.rooms[room];
                room.levels.users.insert(user(PEOPLE[who]), level);
                let event = MatrixEvent::PowerLevels { room: room.id.clone(), sender: user("admin") };
                self.matrix(event);
            }
            Happens::Lost(nth) => {
                if let Some(conn) = self.conns.keys().nth(nth).copied() {
                    self.closed(conn, CloseReason::Lost("reset".into()));
                }
            }
            Happens::Leaves(who) => {
                if self.there.remove(PEOPLE[who]).is_some() {
                    self.all(&format!(":{0}!{0}@h PART {CHANNEL}", PEOPLE[who]));
                }
            }
            Happens::Comes(who) => self.comes(PEOPLE[who]),
            Happens::Quits(who) => self.quits(PEOPLE[who], "bye"),
            Happens::Kicked(who) => self.kick("op", PEOPLE[who]),
            Happens::Renamed(who, to) => {
                let (from, to) = (PEOPLE[who], PEOPLE[to]);
                if self.there.contains_key(from) && !self.there.contains_key(to) && !self.split.contains(to) {
                    self.all(&format!(":{from}!{from}@h NICK {to}"));
                    let modes = self.there.remove(from).unwrap_or_default();
                    self.there.insert(to.to_owned(), modes);
                }
            }
            Happens::Splits => {
                for nick in &PEOPLE[2..] {
                    if self.there.contains_key(*nick) {
                        self.split.insert((*nick).to_owned());
                        self.quits(nick, "a.net b.net");
                    }
                }
            }
            Happens::Meets => {
                for nick in std::mem::take(&mut self.split) {
                    self.comes(&nick);
                }
            }
            Happens::Bans(room, who, whom) => self.ban(room, who, whom, Membership::Ban),
            Happens::Unbans(room, who, whom) => self.ban(room, who, whom, Membership::Leave),
            Happens::Mask(who) => self.mask(&format!("*!{0}@h", PEOPLE[who]), true),
            Happens::Lifts(nth) => {
                if let Some(mask) = self.masks.iter().nth(nth).cloned() {
                    self.mask(&mask, false);
                }
            }
            Happens::Restart(fate) => self.restart(fate),
            Happens::Step(fate) => self.step(fate),
            Happens::Passes(ms) => self.passes(ms),
        }
        self.effects();
    }

    fn comes(&mut self, nick: &str) {
        self.split.remove(nick);
        if !self.there.contains_key(nick) {
            self.there.insert(nick.to_owned(), BTreeSet::new());
            self.all(&format!(":{nick}!{nick}@h JOIN {CHANNEL}"));
        }
    }

    fn quits(&mut self, nick: &str, why: &str) {
        if self.there.remove(nick).is_some() {
            self.all(&format!(":{nick}!{nick}@h QUIT :{why}"));
        }
    }

    /// The homeserver lets those with enough power.
    fn ban(&mut self, nth: usize, who: usize, whom: usize, membership: Membership) {
        let (room, sender) = (&mut self.rooms[nth], user(PEOPLE[who]));
        if room.levels.users.get(&sender).is_none_or(|level| *level < 50) {
            return;
        }
        let ghost = user(&format!("irc_{}", PEOPLE[whom]));
        let is_new = match membership {
            Membership::Ban => room.banned.insert(ghost.clone()),
            _ => room.banned.remove(&ghost),
        };
        if is_new {
            let room = room.id.clone();
            // What the channel says to it is to be seen.
            self.set_once.remove(&(room.clone(), ghost.clone()));
            self.member(room, sender, ghost, membership);
        }
    }

    fn member(&mut self, room: RoomId, sender: UserId, ghost: UserId, membership: Membership) {
        let target = Member { user: ghost, display_name: None };
        let (reason, is_direct) = (None, false);
        self.matrix(MatrixEvent::Member { room, sender, target, membership, reason, is_direct });
    }

    fn mode(&mut self, nick: &str, sign: char, mode: char) {
        let Some(modes) = self.there.get_mut(nick) else { return };
        let is_new = if sign == '+' { modes.insert(mode) } else { modes.remove(&mode) };
        if is_new {
            self.all(&format!(":srv MODE {CHANNEL} {sign}{mode} {nick}"));
        }
    }

    /// The homeserver lets those with enough power.
    fn room_topic(&mut self, nth: usize, who: usize, topic: &str) {
        let (room, sender) = (&mut self.rooms[nth], user(PEOPLE[who]));
        let level = room.levels.users.get(&sender).copied().unwrap_or_default();
        if room.levels.needs.topic.is_some_and(|needed| level >= needed) {
            room.topic = topic.to_owned();
            let (room, topic) = (room.id.clone(), topic.to_owned());
            let event_id = EventId::new(&format!("$e{}", self.seq)).expect("an event id");
            self.matrix(MatrixEvent::Topic { room, event_id, sender, topic });
        }
    }

    fn room_door(&mut self, nth: usize, who: usize, door: Doorway) {
        let (room, sender) = (&mut self.rooms[nth], user(PEOPLE[who]));
        if room.levels.users.get(&sender).is_some_and(|level| *level >= 50) {
            (room.is_shut, room.is_marked) = (door == Doorway::Shut, false);
            let event_id = EventId::new(&format!("$e{}", self.seq)).expect("an event id");
            self.matrix(MatrixEvent::JoinRules { room: self.rooms[nth].id.clone(), event_id, sender, door });
        }
    }

    fn matrix(&mut self, event: MatrixEvent) {
        self.seq += 1;
        self.give(Input::Matrix { seq: InboxSeq(self.seq), event, before: Before::New });
    }

    fn step(&mut self, fate: StepFate) {
        let Some((id, step)) = self.steps.pop_front() else { return };
        let room = self.rooms.iter_mut().find(|room| room.id == id).expect("a room of ours");
        let mut lifted = None;
        let result = match (fate, &step) {
            (StepFate::NotTaken, _) => StepResult::NotTaken,
            (StepFate::Done, RoomStep::Topic(topic)) => {
                if !topic.is_met_by(&room.topic) {
                    room.topic = topic.text.clone();
                }
                StepResult::Done
            }
            (StepFate::Done, RoomStep::Power(power)) => {
                set(power, &mut room.levels);
                StepResult::Done
            }
            (StepFate::Done, RoomStep::JoinRule(door)) => {
                room.set_join_rule(*door);
                StepResult::Done
            }
            (StepFate::Done, RoomStep::GhostPardoned(ghost)) => {
                lifted = room.banned.remove(ghost).then(|| (id.clone(), ghost.clone()));
                StepResult::Done
            }
            (StepFate::Done, RoomStep::GhostReturns(ghost)) => {
                lifted = room.banned.remove(&ghost.user).then(|| (id.clone(), ghost.user.clone()));
                StepResult::Done
            }
            // Who is banned is not let in.
            (StepFate::Done, RoomStep::GhostJoins(ghost)) if room.banned.contains(&ghost.user) => {
                StepResult::Refused("banned".into())
            }
            (
                StepFate::Done,
                RoomStep::GhostJoins(_)
                | RoomStep::GhostLeaves { .. }
                | RoomStep::Door(_)
                | RoomStep::Plate(_)
                | RoomStep::Place(_),
            ) => StepResult::Done,
        };
        // The bot does it.
        if let Some((room, ghost)) = lifted {
            self.member(room, user("bot"), ghost, Membership::Leave);
        }
        self.machine.handle(self.now, Input::StepDone { room: id, key: step.key(), result });
    }

    fn passes(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        while let Some(at) = self.machine.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.machine.handle_timeout(self.now);
            self.effects();
        }
        self.now = until;
    }

    /// Everything is done that is to be done.
    fn quiet(&mut self) {
        for _ in 0..20 {
            self.passes(30_000);
            while !self.steps.is_empty() {
                self.step(StepFate::Done);
                self.effects();
            }
        }
    }

    fn level(&self, nick: &str) -> Option<i64> {
        let modes = self.there.get(nick)?;
        let levels = [('q', 90), ('a', 75), ('o', 50), ('h', 25), ('v', 1)];
        levels.into_iter().find(|(mode, _)| modes.contains(mode)).map(|(_, level)| level)
    }

    /// What each room should say, and says.
    fn assert_agreement(&self) {
        for room in &self.rooms {
            let is_set = |mode| self.modes.contains(&mode);
            let shown = if is_set('s') { String::new() } else { read(&self.topic) };
            assert_eq!(one_line(&room.topic, 100), shown, "topic of {}", room.id);
            let needs =
                Needs { speak: Some(i64::from(is_set('m'))), topic: Some(if is_set('t') { 25 } else { 0 }) };
            assert_eq!(room.levels.needs, needs, "what it takes in {}", room.id);
            let is_closed = is_set('i') || is_set('k');
            assert!(room.is_shut || !is_closed, "anybody comes into {}", room.id);
            // What people closed while nobody knew whether they may stays closed.
            assert!(is_closed || !(room.is_shut && room.is_marked), "nobody comes into {}", room.id);
            let ours = |nick: &str| nick == "ada" || nick == "bob";
            let id = |nick: &str| if ours(nick) { user(nick) } else { user(&format!("irc_{nick}")) };
            let wanted: BTreeMap<UserId, i64> =
                PEOPLE.iter().filter_map(|nick| Some((id(nick), self.level(nick)?))).collect();
            // What the bridge's operator has given beyond the table is theirs.
            let given = room.levels.users.iter().filter(|(_, level)| (1..=90).contains(*level));
            let given: BTreeMap<UserId, i64> = given.map(|(user, level)| (user.clone(), *level)).collect();
            let raised = |user: &UserId| room.levels.users.get(user).is_some_and(|level| *level > 90);
            let wanted: BTreeMap<UserId, i64> =
                wanted.into_iter().filter(|(user, _)| !raised(user)).collect();
            assert_eq!(given, wanted, "levels in {}", room.id);
        }
        // Whom both had banned is banned by neither once the channel lets them in.
        for ((id, ghost), mask) in &self.set_once {
            let room = self.rooms.iter().find(|room| room.id == *id).expect("a room of ours");
            let is_banned = self.masks.contains(mask);
            assert!(is_banned || !room.banned.contains(ghost), "{ghost} in {id}, {mask}: {:?}", self.masks);
            assert!(is_banned || !self.kept.contains_key(&(id.clone(), ghost.clone())), "{mask} is kept");
        }
    }
}

impl Room {
    fn set_join_rule(&mut self, door: JoinRule) {
        match door {
            JoinRule::Closed if self.is_shut => {}
            JoinRule::Closed | JoinRule::Shared => (self.is_shut, self.is_marked) = (true, true),
            JoinRule::AsBefore if !self.is_marked => {}
            JoinRule::AsBefore | JoinRule::Open => (self.is_shut, self.is_marked) = (false, false),
        }
    }
}

fn set(power: &RoomPower, levels: &mut Levels) {
    let needs = power.new_needs(levels).expect("the bot made the room");
    levels.needs =
        Needs { speak: needs.speak.or(levels.needs.speak), topic: needs.topic.or(levels.needs.topic) };
    for (user, level) in power.changes(levels).expect("the bot made the room") {
        match level {
            Some(level) => levels.users.insert(user, level),
            None => levels.users.remove(&user),
        };
    }
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        6 => (0..5usize, 0..5usize).prop_map(|(who, mode)| Happens::Grant(who, mode)),
        4 => (0..5usize, 0..5usize).prop_map(|(who, mode)| Happens::Revoke(who, mode)),
        3 => (0..6usize, any::<bool>()).prop_map(|(mode, is_set)| Happens::Mode(mode, is_set)),
        2 => (0..4usize).prop_map(Happens::Topic),
        3 => (0..2usize, 0..2usize, 0..4usize).prop_map(|(room, who, topic)| Happens::RoomTopic(room, who, topic)),
        2 => (0..2usize, 0..2usize, prop::sample::select(vec![Doorway::Open, Doorway::Shut]))
            .prop_map(|(room, who, door)| Happens::RoomDoor(room, who, door)),
        1 => (0..2usize, 0..2usize, prop::sample::select(vec![0i64, 1, 50, 90, 100]))
            .prop_map(|(room, who, level)| Happens::Raise(room, who, level)),
        1 => (0..2usize).prop_map(Happens::Lost),
        1 => (2..5usize).prop_map(Happens::Leaves),
        1 => (2..5usize).prop_map(Happens::Comes),
        1 => (2..5usize).prop_map(Happens::Quits),
        1 => (2..5usize).prop_map(Happens::Kicked),
        1 => (2..5usize, 2..5usize).prop_map(|(who, to)| Happens::Renamed(who, to)),
        1 => Just(Happens::Splits),
        1 => Just(Happens::Meets),
        3 => (0..2usize, 0..2usize, 2..5usize).prop_map(|(room, who, whom)| Happens::Bans(room, who, whom)),
        1 => (0..2usize, 0..2usize, 2..5usize).prop_map(|(room, who, whom)| Happens::Unbans(room, who, whom)),
        1 => (2..5usize).prop_map(Happens::Mask),
        2 => (0..2usize).prop_map(Happens::Lifts),
        1 => prop::sample::select(vec![StepFate::Done, StepFate::NotTaken]).prop_map(Happens::Restart),
        5 => Just(Happens::Step(StepFate::Done)),
        1 => Just(Happens::Step(StepFate::NotTaken)),
        4 => prop::sample::select(vec![10u64, 700, 3_000, 60_000]).prop_map(Happens::Passes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_changes_ends_in_agreement(story in prop::collection::vec(happens(), 0..60)) {
        let mut world = World::new();
        world.passes(5_000);
        for what in story {
            world.happens(what);
        }
        world.quiet();
        world.assert_agreement();
    }
}

/// Stories that ended in disagreement once.
#[test]
fn what_was_found_stays_found() {
    use Happens::*;
    let done = || Step(StepFate::Done);
    let stories = [
        // Lifted before the answer to it came.
        vec![Grant(0, 0), Bans(0, 0, 2), Lifts(0)],
        // Lifted in the channel, and the process ended before it was in the room.
        vec![Grant(0, 0), Bans(0, 0, 2), Passes(700), Lifts(0), Restart(StepFate::NotTaken)],
        // Lifted while nobody looked.
        vec![Grant(0, 0), Bans(0, 0, 2), Passes(3_000), Lost(0), Lost(0), Lifts(0)],
        // The topic that a hidden channel has is set in a room, by somebody who does not speak for the channel.
        vec![
            Lost(0),
            Topic(2),
            Passes(3_000),
            Grant(0, 0),
            Mode(3, true),
            Passes(3_000),
            done(),
            done(),
            done(),
            RoomTopic(0, 0, 2),
        ],
    ];
    for story in stories {
        let mut world = World::new();
        world.passes(5_000);
        story.into_iter().for_each(|what| world.happens(what));
        world.quiet();
        world.assert_agreement();
    }
}

#[test]
fn a_room_of_a_quiet_channel_agrees_from_the_start() {
    let mut world = World::new();
    world.quiet();
    world.assert_agreement();
}

/// The signs, as the settings name them and what they give.
fn ranks() -> String {
    let prefixes = Prefixes::parse("(Yqaohv)!~&@%+").expect("pairs");
    let names = [
        ('Y', '!', "", "staff of the network, or any other rank"),
        ('q', '~', "owner", "owner"),
        ('a', '&', "admin", "admin"),
        ('o', '@', "operator", "operator"),
        ('h', '%', "halfop", "half-operator"),
        ('v', '+', "voice", "voice"),
    ];
    let mut table = String::from("| rank on IRC | sign | setting | power level |\n|---|---|---|---|\n");
    for (mode, sign, setting, name) in names {
        let level = Power::default().ranks.level(&mode.to_string(), &prefixes);
        let setting =
            if setting.is_empty() { "as the next below".to_owned() } else { format!("`power.{setting}`") };
        table.push_str(&format!("| {name} | `{sign}` | {setting} | {level} |\n"));
    }
    table
}

/// What each mode means, as the code has it.
fn modes() -> String {
    let shown = |means| match means {
        Means::Voice => "to say something takes the level of a voice",
        Means::JoinRule => "only who is invited comes in",
        Means::Hidden => "its topic is not shown, and nobody finds it by alias or directory",
        Means::Topic => {
            "to set the topic takes the level of a half-operator, or of an operator where the network has none; without the mode, none"
        }
        Means::Refusal => "nothing: whom the channel refuses is told why",
    };
    let mut table = String::from("| mode | on IRC | in the room |\n|---|---|---|\n");
    for (mode, meaning, means) in TABLE.map(|(mode, means, meaning)| (mode, meaning, means)) {
        table.push_str(&format!("| `+{mode}` | {meaning} | {} |\n", shown(means)));
    }
    table
}

fn topics() -> String {
    let shown = |text: &str| text.replace('\n', "⏎").replace('\u{2}', "␂").replace('\u{3}', "␃");
    let mut table = String::from("| on Matrix | on IRC |\n|---|---|\n");
    for topic in ["Tea at five", "Tea\nat five", "\n"] {
        table.push_str(&format!("| {} | `` {} `` |\n", shown(topic), shown(&one_line(topic, 300))));
    }
    table.push_str("\n| on IRC | on Matrix |\n|---|---|\n");
    for topic in ["Tea at five", "\u{2}Tea\u{2} at \u{3}04five", ""] {
        table.push_str(&format!("| `` {} `` | {} |\n", shown(topic), shown(&read(topic))));
    }
    table
}

/// Why a puppet may not be in its channel, with what its person is told first.
fn absences() -> String {
    let refused = |numeric: &str, words: &str| {
        let params = ["", "#c", words].map(str::to_owned);
        numerics::sentence(numeric, &params, "Net")
    };
    let refusals = [
        ("471", "Cannot join channel (+l)", "`+l`, asked again by and by"),
        ("473", "Cannot join channel (+i)", "`+i`"),
        ("474", "Cannot join channel (+b)", "`+b`"),
        ("475", "Cannot join channel (+k)", "`+k`"),
        ("476", "Bad Channel Mask", "a name that is none"),
        ("477", "You need a registered nick", "`+r`, `+R`"),
        ("489", "Cannot join channel (+z)", "`+z`, `+S`"),
        ("403", "No such channel", "a channel that is not there"),
        ("405", "You have joined too many channels", "a limit of the network"),
    ];
    let mut table =
        String::from("| the puppet is out because of | numeric | its person is told |\n|---|---|---|\n");
    for (numeric, words, what) in refusals {
        table.push_str(&format!("| {what} | {numeric} | {} |\n", refused(numeric, words)));
    }
    for (what, told) in [
        ("KILL, K-line and the like", "what the server said, and that it does not come back by itself"),
        ("a login that is refused", "the same, and whom to ask"),
        (
            "no connection: lost, refused, no nick to be had, no place among the bridge's",
            "after half of the grace, with the last trouble",
        ),
        ("sleep (`connect.idle_s_max`), or making room for others", "that a word of theirs brings it back"),
    ] {
        table.push_str(&format!("| {what} | | {told} |\n"));
    }
    table
}

#[test]
fn what_is_said_in_a_successor_waits_up_to_a_bound_and_is_settled_once() {
    let mut world = World::new();
    let (room, to) = (world.rooms[0].id.clone(), RoomId::new("!new:hs").expect("a room id"));
    world.matrix(MatrixEvent::Tombstone { room: room.clone(), sender: user("admin"), to: to.clone() });
    let mut effects = Vec::new();
    for _ in 0..1_000 {
        world.seq += 1;
        let event = MatrixEvent::Member {
            room: to.clone(),
            sender: user("ada"),
            target: Member { user: user("ada"), display_name: None },
            membership: Membership::Join,
            reason: None,
            is_direct: false,
        };
        let input = Input::Matrix { seq: InboxSeq(world.seq), event, before: Before::New };
        world.machine.handle(world.now, input);
    }
    world.machine.take_effects(&mut effects);
    let settled = |effects: &[Effect]| -> Vec<InboxSeq> {
        let seq = |effect: &Effect| if let Effect::Settle { seq, .. } = effect { Some(*seq) } else { None };
        effects.iter().filter_map(seq).collect()
    };
    assert_eq!(settled(&effects).len(), 1_000 - 256, "those for which there was no place");
    let member = Member { user: user("ada"), display_name: None };
    let result = Ok(Successor { members: vec![member], next: None });
    world.machine.handle(world.now, Input::Succeeded { room, to, result });
    world.machine.take_effects(&mut effects);
    let all: BTreeSet<InboxSeq> = settled(&effects).into_iter().collect();
    assert_eq!((all.len(), settled(&effects).len()), (1_001, 1_001), "the tombstone with them");
}

/// What the old room hears, for each way an upgrade can end.
fn upgrades() -> String {
    let member = |id: &str| Member { user: user(id), display_name: None };
    let good = Successor { members: vec![member("ada")], next: None };
    let ends = [
        ("both rooms say so", Ok(good)),
        ("it is invite-only", Err(Unfit::Closed)),
        ("nobody knows of it", Err(Unfit::Missing)),
        ("it does not name this room as its predecessor", Err(Unfit::Stranger)),
        ("it is bridged already, or was replaced itself", Err(Unfit::Taken)),
        ("the homeserver could not find out in some minutes", Err(Unfit::Unknown)),
        ("the bot may not remove people there", Err(Unfit::Powerless)),
        ("who is not there can read its history", Err(Unfit::Readable)),
    ];
    let mut table = String::from("| the new room | what the old one hears |\n|---|---|\n");
    for (what, result) in ends {
        table.push_str(&format!("| {what} | {} |\n", heard_of_upgrade(result)));
    }
    table
}

fn heard_of_upgrade(result: Result<Successor, Unfit>) -> String {
    let mut world = World::new();
    let (room, to) = (world.rooms[0].id.clone(), RoomId::new("!new:hs").expect("a room id"));
    world.matrix(MatrixEvent::Tombstone { room: room.clone(), sender: user("admin"), to: to.clone() });
    world.machine.handle(world.now, Input::Succeeded { room: room.clone(), to, result });
    let mut effects = Vec::new();
    world.machine.take_effects(&mut effects);
    let told = effects.into_iter().find_map(|effect| match effect {
        Effect::Relay(relay) if relay.room == room => Some(relay.text),
        _ => None,
    });
    told.expect("the room is told")
}

#[test]
fn the_page_for_room_owners_says_what_the_code_does() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let frame = include_str!("rooms/page.md");
    let made = frame.replace("{ranks}\n", &ranks()).replace("{topics}\n", &topics());
    let made = made.replace("{absences}\n", &absences());
    let made = made.replace("{upgrades}\n", &upgrades());
    let made = made.replace("{modes}\n", &modes());
    let page = root.join("docs/ROOMS.md");
    if std::env::var_os("BUNRAKU_BLESS").is_some() {
        std::fs::write(&page, &made).expect("a writable page");
    }
    let there = std::fs::read_to_string(&page).expect("the page");
    assert!(
        there == made,
        "docs/ROOMS.md is not what the code does: BUNRAKU_BLESS=1 cargo test --test rooms"
    );
}
