//! Nobody reads unseen: whatever happens to puppets, connections and the homeserver, no line is shown in a room of ours while
//! somebody is in it whose puppet has been out of the channel for longer than the grace; and nobody is removed without that.
//!
//! The machine is real. The IRC server is one channel with bans, kicks and kills; the homeserver is one room with a lane like
//! that of the outbox: in order, a removal that is refused at its head until it is taken or pardoned.

mod quiet;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bunraku::bridge::effect::{Effect, Meanwhile, Speaker};
use bunraku::bridge::input::*;
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::*;
use bunraku::ids::*;
use bunraku::text::line::Line;
use proptest::prelude::*;

const CHANNEL: &str = "#c";
const GRACE_MS: u64 = 60_000;
/// A turn to connect comes within a second or two, and those who wait are looked at once in a second.
const SLACK_MS: u64 = 8_000;
const PEOPLE: [&str; 3] = ["ada", "bob", "carl"];

fn policy(gate: GateRule) -> Policy {
    Policy {
        presence: PresenceRules { gate, grace_ms: GRACE_MS, join_failure: JoinFailure::Remove },
        moderation: Moderation::default(),
        ..quiet::policy()
    }
}

fn user(name: &str) -> UserId {
    UserId::new(&format!("@{name}:hs")).expect("a user id")
}

fn room() -> RoomId {
    RoomId::new("!r").expect("a room id")
}

/// What may happen. Numbers name people; what cannot happen to them does nothing.
#[derive(Clone, Copy, Debug)]
enum Op {
    Joins(usize),
    Leaves(usize),
    Kicked(usize),
    Banned(usize),
    Unbanned(usize),
    Killed(usize),
    Reconnect(usize),
    Lost(usize),
    /// Whether this puppet finds its server.
    Unreachable(usize, bool),
    /// Whether anybody does.
    Outage(bool),
    Speaks,
    /// Whether the bot may remove people.
    Power(bool),
    /// Whether the homeserver answers.
    Away(bool),
    Restart,
    Passes(u64),
}

/// One thing in the room's lane.
#[derive(Debug)]
enum Job {
    /// A line, with those who may not be in the room when it is shown.
    Line(String, BTreeSet<UserId>),
    Kick(UserId, Meanwhile),
}

struct World {
    gate: GateRule,
    machine: Network,
    now: u64,
    seq: i64,
    said: usize,
    conns: BTreeMap<ConnId, String>,
    channel: BTreeSet<String>,
    banned: BTreeSet<String>,
    /// How the channel refuses those whom it has banned.
    numeric: &'static str,
    joins: usize,
    notices: Vec<String>,
    kicks: Vec<String>,
    unreachable: BTreeSet<String>,
    outage: bool,
    held: BTreeMap<UserId, HoldRow>,
    /// Whose removal is kept over restarts.
    bars: BTreeMap<UserId, BarRow>,
    members: BTreeSet<UserId>,
    lane: VecDeque<Job>,
    power: bool,
    away: bool,
    shown: Vec<String>,
    /// For how long each has been in the room, not in the channel, while others of ours were there.
    unseen_ms: BTreeMap<UserId, u64>,
    /// Who was refused, held or kicked: they may be removed earlier.
    lasting: BTreeSet<UserId>,
    removals: usize,
}

impl World {
    fn new(gate: GateRule) -> Self {
        let mut world = Self {
            gate,
            machine: Self::machine(gate),
            now: 1_000_000,
            seq: 0,
            said: 0,
            conns: BTreeMap::new(),
            channel: BTreeSet::new(),
            banned: BTreeSet::new(),
            numeric: "474",
            joins: 0,
            notices: Vec::new(),
            kicks: Vec::new(),
            unreachable: BTreeSet::new(),
            outage: false,
            held: BTreeMap::new(),
            bars: BTreeMap::new(),
            members: PEOPLE.map(user).into(),
            lane: VecDeque::new(),
            power: true,
            away: false,
            shown: Vec::new(),
            unseen_ms: BTreeMap::new(),
            lasting: BTreeSet::new(),
            removals: 0,
        };
        world.begins();
        world
    }

    fn machine(gate: GateRule) -> Network {
        Network::new(policy(gate), None, RelaySeqs { next: RelaySeq(1), step: 1 }, 1)
    }

    fn begins(&mut self) {
        let origin = PortalOrigin::Alias;
        self.give(Input::Portal(PortalRow { room: room(), channel: CHANNEL.into(), origin }));
        let members = self.members.iter().map(|user| Member { user: user.clone(), display_name: None });
        let members = members.collect();
        self.give(Input::Members { room: room(), members });
        for row in self.held.clone().into_values() {
            self.give(Input::Held(row));
        }
        for row in self.bars.clone().into_values() {
            self.give(Input::Barred(row));
        }
        self.give(Input::Started);
    }

    fn give(&mut self, input: Input) {
        self.machine.handle(Time(self.now), input);
        self.effects();
    }

    fn effects(&mut self) {
        loop {
            let mut effects = Vec::new();
            self.machine.take_effects(&mut effects);
            if effects.is_empty() {
                return self.work();
            }
            for effect in effects {
                self.perform(effect);
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Connect { conn, user } => self.connect(conn, user.localpart()),
            Effect::Send { conn, line } => {
                self.machine.handle(Time(self.now), Input::ConnWritten { conn, lines: 1 });
                self.answer(conn, &Line::parse(&line).expect("a line of ours"));
            }
            Effect::Close { conn } | Effect::Abandon { conn } => self.closed(conn, CloseReason::Asked),
            Effect::Relay(relay) if matches!(relay.speaker, Speaker::Ghost(_)) => {
                let late = |(user, ms): (&UserId, &u64)| (*ms > GRACE_MS + SLACK_MS).then(|| user.clone());
                let late = self.unseen_ms.iter().filter_map(late).collect();
                self.lane.push_back(Job::Line(relay.text, late));
            }
            Effect::Relay(relay) => self.notices.push(relay.text),
            Effect::Kick { user, reason, meanwhile, .. } => {
                self.kicks.push(reason);
                self.kick_asked(user, meanwhile);
            }
            Effect::Pardon { user, .. } => {
                self.lane.retain(|job| !matches!(job, Job::Kick(other, _) if *other == user));
            }
            Effect::SaveBar(row) => drop(self.bars.insert(row.user.clone(), row)),
            Effect::DropBar { user, .. } => drop(self.bars.remove(&user)),
            Effect::Hasten { .. } => self.work(),
            Effect::SaveHold(row) => drop(self.held.insert(row.user.clone(), row)),
            Effect::DropHold { user } => drop(self.held.remove(&user)),
            _ => {}
        }
    }

    /// Nobody is removed who is in the channel, or has been out of it for less than the grace for a reason that passes.
    fn kick_asked(&mut self, user: UserId, meanwhile: Meanwhile) {
        let unseen_ms = self.unseen_ms.get(&user).copied().unwrap_or_default();
        assert!(!self.channel.contains(user.localpart()), "{user} is in the channel");
        assert!(
            unseen_ms + SLACK_MS >= GRACE_MS || self.lasting.contains(&user),
            "{user} is removed after {unseen_ms} ms"
        );
        self.lane.push_back(Job::Kick(user, meanwhile));
    }

    /// The lane: in order, and no further than a removal that is refused.
    fn work(&mut self) {
        while !self.away
            && let Some(job) = self.lane.pop_front()
        {
            match job {
                Job::Line(text, late) => {
                    // Who is seen in the channel by now may have what was kept back for them.
                    let is_unseen = |user: &&UserId| !self.channel.contains(user.localpart());
                    let readers: Vec<&UserId> = late.intersection(&self.members).filter(is_unseen).collect();
                    assert!(
                        readers.is_empty() || self.gate != GateRule::Strict,
                        "{readers:?} read {text:?} unseen"
                    );
                    self.shown.push(text);
                }
                Job::Kick(user, meanwhile) if self.power || !self.members.contains(&user) => {
                    self.removals += usize::from(self.members.contains(&user));
                    self.kick_answered(user.clone(), Ok(()));
                    if self.members.contains(&user) {
                        self.out_of_room(&user, "bot");
                    }
                    let _ = meanwhile;
                }
                Job::Kick(user, meanwhile) => {
                    if meanwhile == Meanwhile::Withheld {
                        self.lane.push_front(Job::Kick(user.clone(), meanwhile));
                    }
                    self.kick_answered(user, Err("no".into()));
                    if meanwhile == Meanwhile::Withheld {
                        return;
                    }
                }
            }
        }
    }

    fn kick_answered(&mut self, user: UserId, result: Result<(), String>) {
        self.machine.handle(Time(self.now), Input::KickDone { room: room(), user, result });
    }

    fn membership(&mut self, user: &UserId, sender: &str, membership: Membership) {
        self.seq += 1;
        let target = Member { user: user.clone(), display_name: None };
        let sender = self::user(sender);
        let (reason, is_direct) = (None, false);
        let event = MatrixEvent::Member { room: room(), sender, target, membership, reason, is_direct };
        let seq = InboxSeq(self.seq);
        self.machine.handle(Time(self.now), Input::Matrix { seq, event, before: Before::New });
    }

    fn out_of_room(&mut self, user: &UserId, sender: &str) {
        self.members.remove(user);
        self.unseen_ms.remove(user);
        self.absence_over(user);
        self.membership(user, sender, Membership::Leave);
    }

    /// Somebody is in the channel, or out of the room. Another absence of theirs is judged by itself.
    fn absence_over(&mut self, user: &UserId) {
        for job in &mut self.lane {
            if let Job::Line(_, late) = job {
                late.remove(user);
            }
        }
    }

    fn connect(&mut self, conn: ConnId, nick: &str) {
        if self.outage || self.unreachable.contains(nick) {
            let why = CloseReason::DialFailed("connection refused".into());
            return self.machine.handle(Time(self.now), Input::ConnClosed { conn, why });
        }
        self.conns.insert(conn, nick.to_owned());
        let opening = Box::new(Opening::plain(nick));
        self.machine.handle(Time(self.now), Input::ConnOpened { conn, opening });
        self.line(conn, &format!(":srv 001 {nick} :hello"));
        self.line(conn, &format!(":srv 376 {nick} :end"));
    }

    fn line(&mut self, conn: ConnId, text: &str) {
        let line = Line::parse(text).expect("a line");
        self.machine.handle(Time(self.now), Input::ConnLine { conn, line });
    }

    /// All of ours in the channel see it.
    fn all(&mut self, text: &str) {
        for (conn, nick) in self.conns.clone() {
            if self.channel.contains(&nick) {
                self.line(conn, text);
            }
        }
    }

    fn answer(&mut self, conn: ConnId, line: &Line) {
        let Some(nick) = self.conns.get(&conn).cloned() else { return };
        match line.command.as_str() {
            "PING" => self.line(conn, &format!(":srv PONG srv :{}", line.param(0))),
            "JOIN" if self.banned.contains(&nick) => {
                self.lasting.insert(user(&nick));
                self.joins += 1;
                let (numeric, words) = (self.numeric, "Cannot join channel");
                self.line(conn, &format!(":srv {numeric} {nick} {CHANNEL} :{words}"));
            }
            "JOIN" => {
                self.channel.insert(nick.clone());
                self.unseen_ms.remove(&user(&nick));
                self.absence_over(&user(&nick));
                self.lasting.remove(&user(&nick));
                self.all(&format!(":{nick}!{nick}@h JOIN {CHANNEL}"));
                self.names(conn, &nick);
            }
            "NAMES" => self.names(conn, &nick),
            "PART" if self.channel.contains(&nick) => {
                self.all(&format!(":{nick}!{nick}@h PART {CHANNEL}"));
                self.channel.remove(&nick);
            }
            _ => {}
        }
    }

    fn names(&mut self, conn: ConnId, nick: &str) {
        let list: Vec<&str> = self.channel.iter().map(String::as_str).chain(["eve"]).collect();
        self.line(conn, &format!(":srv 353 {nick} = {CHANNEL} :{}", list.join(" ")));
        self.line(conn, &format!(":srv 366 {nick} {CHANNEL} :End of NAMES"));
    }

    fn closed(&mut self, conn: ConnId, why: CloseReason) {
        if let Some(nick) = self.conns.remove(&conn)
            && self.channel.remove(&nick)
        {
            self.all(&format!(":{nick}!{nick}@h QUIT :gone"));
        }
        self.machine.handle(Time(self.now), Input::ConnClosed { conn, why });
    }

    fn conn_of(&self, nick: &str) -> Option<ConnId> {
        self.conns.iter().find(|(_, of)| *of == nick).map(|(conn, _)| *conn)
    }

    fn happens(&mut self, op: Op) {
        match op {
            Op::Joins(n) => {
                if self.members.insert(user(PEOPLE[n])) {
                    self.membership(&user(PEOPLE[n]), PEOPLE[n], Membership::Join);
                }
            }
            Op::Leaves(n) => {
                if self.members.contains(&user(PEOPLE[n])) {
                    self.out_of_room(&user(PEOPLE[n]), PEOPLE[n]);
                }
            }
            Op::Kicked(n) => {
                if self.channel.contains(PEOPLE[n]) {
                    self.lasting.insert(user(PEOPLE[n]));
                    self.all_and_out(PEOPLE[n]);
                }
            }
            Op::Banned(n) => drop(self.banned.insert(PEOPLE[n].to_owned())),
            Op::Unbanned(n) => drop(self.banned.remove(PEOPLE[n])),
            Op::Killed(n) => {
                if let Some(conn) = self.conn_of(PEOPLE[n]) {
                    self.lasting.insert(user(PEOPLE[n]));
                    self.line(conn, "ERROR :Closing Link: 192.0.2.7 (Killed (oper (enough)))");
                    self.closed(conn, CloseReason::Lost("end of stream".into()));
                }
            }
            Op::Reconnect(n) => self.give(Input::Reconnect { user: user(PEOPLE[n]) }),
            Op::Lost(n) => {
                if let Some(conn) = self.conn_of(PEOPLE[n]) {
                    self.closed(conn, CloseReason::Lost("reset".into()));
                }
            }
            Op::Unreachable(n, true) => drop(self.unreachable.insert(PEOPLE[n].to_owned())),
            Op::Unreachable(n, false) => drop(self.unreachable.remove(PEOPLE[n])),
            Op::Outage(is_out) => {
                self.outage = is_out;
                if is_out {
                    for conn in self.conns.keys().copied().collect::<Vec<_>>() {
                        self.closed(conn, CloseReason::Lost("reset".into()));
                    }
                }
            }
            Op::Speaks => {
                self.said += 1;
                self.all(&format!(":eve!e@h PRIVMSG {CHANNEL} :line {}", self.said));
            }
            Op::Power(may) => self.power = may,
            Op::Away(is_away) => self.away = is_away,
            Op::Restart => self.restart(),
            Op::Passes(ms) => self.passes(ms),
        }
        self.effects();
    }

    fn all_and_out(&mut self, nick: &str) {
        let text = format!(":op!o@h KICK {CHANNEL} {nick} :no");
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        self.channel.remove(nick);
        for conn in conns {
            let of = self.conns.get(&conn).cloned().unwrap_or_default();
            if of == nick || self.channel.contains(&of) {
                self.line(conn, &text);
            }
        }
    }

    /// The process ends and begins anew. Who was to be removed still is, before all that waits; everybody else has the grace
    /// again.
    fn restart(&mut self) {
        self.conns.clear();
        self.channel.clear();
        let bars: BTreeSet<UserId> = self.bars.keys().cloned().collect();
        self.unseen_ms.retain(|user, _| bars.contains(user));
        self.lane.retain(|job| matches!(job, Job::Line(..)));
        for job in &mut self.lane {
            if let Job::Line(_, late) = job {
                late.retain(|user| bars.contains(user));
            }
        }
        for user in &bars {
            self.lane.push_front(Job::Kick(user.clone(), Meanwhile::Withheld));
        }
        self.lasting = self.held.keys().cloned().chain(bars).collect();
        self.machine = Self::machine(self.gate);
        self.begins();
    }

    /// Counts the time, in which there is something to read for those who are out.
    fn count(&mut self, ms: u64) {
        if self.channel.is_empty() {
            return;
        }
        for user in &self.members {
            if !self.channel.contains(user.localpart()) {
                *self.unseen_ms.entry(user.clone()).or_default() += ms;
            }
        }
    }

    fn passes(&mut self, ms: u64) {
        let until = self.now + ms;
        loop {
            let next = self.machine.poll_timeout().map_or(until, |at| at.0.max(self.now));
            let at = next.min(until);
            self.count(at - self.now);
            self.now = at;
            // As the outbox does after a wait.
            self.work();
            if next > until || self.machine.poll_timeout().is_none() {
                return self.effects();
            }
            self.machine.handle_timeout(Time(self.now));
            self.effects();
        }
    }

    /// All is well again: what was said is shown, and nothing waits.
    fn quiet(&mut self) {
        self.happens(Op::Outage(false));
        self.happens(Op::Power(true));
        self.happens(Op::Away(false));
        for _ in 0..10 {
            self.passes(10_000);
        }
        assert!(self.lane.is_empty(), "{:?}", self.lane);
        let unseen = self.members.iter().find(|user| !self.channel.contains(user.localpart()));
        let is_read = !self.channel.is_empty();
        assert!(self.gate != GateRule::Strict || !is_read || unseen.is_none(), "{unseen:?} reads on");
    }
}

fn op() -> impl Strategy<Value = Op> {
    let person = 0..3usize;
    prop_oneof![
        4 => person.clone().prop_map(Op::Joins),
        2 => person.clone().prop_map(Op::Leaves),
        1 => person.clone().prop_map(Op::Kicked),
        2 => person.clone().prop_map(Op::Banned),
        2 => person.clone().prop_map(Op::Unbanned),
        2 => person.clone().prop_map(Op::Killed),
        2 => person.clone().prop_map(Op::Reconnect),
        4 => person.clone().prop_map(Op::Lost),
        3 => (person, any::<bool>()).prop_map(|(n, is)| Op::Unreachable(n, is)),
        1 => any::<bool>().prop_map(Op::Outage),
        10 => Just(Op::Speaks),
        2 => any::<bool>().prop_map(Op::Power),
        2 => any::<bool>().prop_map(Op::Away),
        1 => Just(Op::Restart),
        8 => prop::sample::select(vec![100u64, 2_000, 20_000, 40_000, 90_000]).prop_map(Op::Passes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nobody_reads_unseen(story in prop::collection::vec(op(), 0..80)) {
        let mut world = World::new(GateRule::Strict);
        for op in story {
            world.happens(op);
        }
        world.quiet();
    }
}

#[test]
fn who_is_killed_reads_for_the_grace_and_no_longer() {
    let mut world = World::new(GateRule::Strict);
    world.happens(Op::Killed(1));
    world.happens(Op::Passes(GRACE_MS - 1_000));
    world.happens(Op::Speaks);
    assert!(world.members.contains(&user("bob")));
    world.happens(Op::Passes(2_000));
    world.happens(Op::Speaks);
    assert!(!world.members.contains(&user("bob")) && world.members.len() == 2);
    assert_eq!((world.shown.len(), world.removals), (2, 1));
}

#[test]
fn what_is_said_while_somebody_cannot_be_removed_waits_for_them_alone() {
    let mut world = World::new(GateRule::Strict);
    world.happens(Op::Power(false));
    world.happens(Op::Unreachable(1, true));
    world.happens(Op::Lost(1));
    world.happens(Op::Passes(2 * GRACE_MS));
    for _ in 0..5 {
        world.happens(Op::Speaks);
    }
    assert!(world.shown.is_empty());
    world.happens(Op::Unreachable(1, false));
    world.happens(Op::Passes(5_000));
    assert_eq!(world.shown, ["line 1", "line 2", "line 3", "line 4", "line 5"], "he is there now");
    assert_eq!((world.members.len(), world.removals), (3, 0));
}

#[test]
fn a_restart_gives_nothing_free_that_a_refused_removal_kept_back() {
    let mut world = World::new(GateRule::Strict);
    world.happens(Op::Power(false));
    world.happens(Op::Unreachable(1, true));
    world.happens(Op::Lost(1));
    world.happens(Op::Passes(2 * GRACE_MS));
    world.happens(Op::Speaks);
    world.happens(Op::Restart);
    world.happens(Op::Passes(1_000));
    world.happens(Op::Speaks);
    world.happens(Op::Passes(GRACE_MS / 2));
    assert!(world.shown.is_empty(), "there is no new grace: {:?}", world.shown);
    world.happens(Op::Power(true));
    world.happens(Op::Passes(1_000));
    assert_eq!((world.shown.len(), world.members.len(), world.removals), (2, 2, 1));
    assert!(world.bars.is_empty(), "it is over");
}

#[test]
fn an_outage_removes_nobody() {
    let mut world = World::new(GateRule::Strict);
    world.happens(Op::Outage(true));
    world.happens(Op::Passes(100 * GRACE_MS));
    world.happens(Op::Outage(false));
    world.happens(Op::Passes(10_000));
    assert_eq!((world.members.len(), world.channel.len(), world.removals), (3, 3, 0));
}

/// The test would find it: without a gate somebody reads on.
#[test]
fn without_a_gate_somebody_reads_unseen() {
    let mut world = World::new(GateRule::Off);
    world.happens(Op::Killed(1));
    world.happens(Op::Passes(10 * GRACE_MS));
    world.happens(Op::Speaks);
    assert_eq!((world.shown.len(), world.removals), (1, 0));
    assert!(world.unseen_ms[&user("bob")] > GRACE_MS + SLACK_MS);
}

/// Hostile input 66: whatever a join is refused with, its person is told once, removed once, and nothing goes in circles.
#[test]
fn hostile_66_a_refusal_is_told_once_and_asked_about_seldom() {
    for numeric in ["403", "405", "437", "471", "473", "474", "475", "476", "477", "489", "520"] {
        let mut world = World::new(GateRule::Strict);
        world.numeric = numeric;
        world.happens(Op::Banned(1));
        world.happens(Op::Lost(1));
        world.happens(Op::Passes(30 * GRACE_MS));
        let limit = if numeric == "471" { 3 } else { 1 };
        assert!((1..=limit).contains(&world.joins), "{numeric}: {} joins", world.joins);
        assert_eq!((world.notices.len(), world.removals), (1, 1), "{numeric}: {:?}", world.notices);
        assert!(world.notices[0].starts_with("@bob:hs: ") && world.kicks.len() == 1, "{numeric}");
    }
}

/// Hostile input 66, again and again: who comes back fifty times is refused and removed each time, and reads nothing.
#[test]
fn hostile_66_coming_back_is_no_way_round_it() {
    let mut world = World::new(GateRule::Strict);
    world.happens(Op::Banned(1));
    world.happens(Op::Lost(1));
    world.happens(Op::Passes(GRACE_MS + SLACK_MS));
    for _ in 0..50 {
        world.happens(Op::Joins(1));
        assert!(!world.members.contains(&user("bob")));
        world.happens(Op::Speaks);
    }
    assert_eq!((world.removals, world.shown.len()), (51, 50));
    assert_eq!(world.notices.len(), 1, "{:?}", world.notices);
}

/// Hostile inputs 1, 5 and 58 for what a server says when it throws somebody out: one clean, bounded line.
#[test]
fn hostile_5_the_words_of_a_removal_are_bounded_and_clean() {
    let mut world = World::new(GateRule::Strict);
    let conn = world.conn_of("bob").expect("he is there");
    let words = "\u{2}\u{3}04,99<b>@room\u{1}\u{0}\u{2028}".repeat(60);
    world.line(conn, &format!("ERROR :Closing Link: 192.0.2.7 (Killed (oper ({words})))"));
    world.closed(conn, CloseReason::Lost("end of stream".into()));
    world.effects();
    world.happens(Op::Passes(GRACE_MS + SLACK_MS));
    assert_eq!(world.kicks.len(), 1);
    for text in world.kicks.iter().chain(&world.notices) {
        assert!(text.len() < 1_000 && !text.contains(char::is_control), "{text:?}");
    }
    assert!(!world.kicks[0].contains("192.0.2.7"), "no address of ours");
}

/// Hostile input 39: two rooms of one channel have gates of their own, and what is done in one is not done in the other.
#[test]
fn hostile_39_rooms_of_one_channel_are_judged_apart() {
    let mut world = World::new(GateRule::Strict);
    let mapped = RoomId::new("!m").expect("a room id");
    let (channel, origin) = (CHANNEL.to_owned(), PortalOrigin::Config);
    world.give(Input::Portal(PortalRow { room: mapped.clone(), channel, origin }));
    let bob = Member { user: user("bob"), display_name: None };
    world.give(Input::Members { room: mapped, members: vec![bob] });
    world.happens(Op::Killed(1));
    world.happens(Op::Passes(2 * GRACE_MS));
    assert_eq!((world.removals, world.kicks.len()), (1, 1), "from the portal alone");
}
