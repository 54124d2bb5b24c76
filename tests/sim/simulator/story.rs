//! One run: people and faults by chance, then quiet, then the end.

use std::collections::{BTreeMap, BTreeSet};

use bunraku::bridge::channel::OBSERVERS_MAX;
use bunraku::bridge::effect::Outcome;
use bunraku::bridge::input::{Input, PortalOrigin};
use bunraku::bridge::policy::ToMatrix;
use bunraku::ids::{Nick, UserId};
use bunraku::text::casemap::CaseMap;

use super::flaw::Flaw;
use super::ircd::ClientId;
use super::random::Random;
use super::world::{Room, World, policy, user};

const CHANNELS: [&str; 3] = ["#a", "#b", "#c"];
/// Names of people on both sides: few, so that they meet.
const NAMES: [&str; 8] = ["ada", "bob", "carl", "dora", "Ada", "eve", "fay[m]", "ada_"];
/// How late a message may come from another homeserver: later than it may be said.
const LATE_MS: u64 = 90_000;
/// For so long after a connection was harmed it may not be known that it is lost.
const UNKNOWN_MS: u64 = 20_000;
/// Clients of the server that are not ours.
const SPEAKERS: ClientId = 100_000;

/// One run.
pub struct Story {
    world: World,
    chance: Random,
    users: Vec<UserId>,
    speakers: Vec<ClientId>,
    channels: usize,
    /// Faults in a hundred acts.
    faults: u64,
    /// When each connection was last harmed or left a channel.
    harmed: BTreeMap<usize, Vec<u64>>,
}

impl Drop for Story {
    fn drop(&mut self) {
        if std::thread::panicking() && super::is_told() {
            self.world.audit.steps.iter().for_each(|step| println!("{step}"));
        }
    }
}

impl Story {
    pub fn new(seed: u64, flaw: Option<Flaw>) -> Self {
        let mut chance = Random(seed.wrapping_mul(0x51_7c_c1_b7_27_22_0a_95));
        let channels = chance.between(1, 3) as usize;
        let origin = |chance: &mut Random| match chance.percent(60) {
            true => PortalOrigin::Alias,
            false => PortalOrigin::Config,
        };
        let mut portals: Vec<(String, PortalOrigin)> =
            CHANNELS[..channels].iter().map(|channel| (channel.to_string(), origin(&mut chance))).collect();
        if chance.percent(40) {
            portals.push((CHANNELS[0].to_owned(), PortalOrigin::Config));
        }
        let lag_ms_max = chance.pick(&[0, 60, 600, 4_000]).expect("not empty");
        let mut world = World::new(seed, lag_ms_max, &portals, flaw);
        let users: Vec<UserId> = (0..chance.between(2, 6)).map(|n| user(&format!("@u{n}:hs"))).collect();
        let speakers = (0..chance.between(1, 4) as ClientId).map(|n| SPEAKERS + n).collect();
        let faults = chance.pick(&[0, 4, 15]).expect("not empty");
        world.audit.one_server = world.ircd.servers.len() == 1;
        world.audit.all_observe = users.len() <= OBSERVERS_MAX;
        Self { world, chance, users, speakers, channels, faults, harmed: BTreeMap::new() }
    }

    /// Returns how many lines were said on IRC, and how many came twice where that is allowed to happen.
    pub fn run(&mut self) -> (u64, u64) {
        self.begin();
        for _ in 0..self.chance.between(60, 200) {
            let wait = self.chance.pick(&[0, 20, 200, 1_000, 4_000]).expect("not empty");
            let wait = self.chance.between(0, wait);
            self.world.pass(wait);
            if self.chance.percent(self.faults) { self.fault() } else { self.act() }
        }
        self.quiet();
        self.goodbye();
        (self.world.audit.lines_len() as u64, self.world.audit.doubled)
    }

    fn begin(&mut self) {
        for speaker in self.speakers.clone() {
            let server = self.chance.below(self.world.ircd.servers.len() as u64) as usize;
            self.world.ircd.connect(speaker, server);
            let nick = self.chance.pick(&NAMES).expect("not empty");
            self.world.speaker_does(speaker, &format!("NICK {nick}"));
            // Where the nick was taken there is one that is not.
            self.world.speaker_does(speaker, &format!("USER s{speaker} 0 * :{nick}"));
            if self.world.ircd.nick_of(speaker).is_none() {
                self.world.speaker_does(speaker, &format!("NICK speaker{speaker}"));
            }
        }
        self.world.spread();
        self.world.unreachable_percent = self.faults;
        self.world.lost_answers_percent = self.faults / 2;
        if self.faults > 0 && self.chance.percent(20) {
            self.world.slow_room = Some(self.world.rooms[0].id.clone());
        }
        for user in self.users.clone() {
            let (room, name) = (self.room(), self.name());
            self.world.member_joins(room, &user, &name);
        }
    }

    fn room(&mut self) -> usize {
        self.chance.below(self.world.rooms.len() as u64) as usize
    }

    fn name(&mut self) -> String {
        self.chance.pick(&NAMES).expect("not empty").to_owned()
    }

    fn channel(&mut self) -> &'static str {
        CHANNELS[self.chance.below(self.channels as u64) as usize]
    }

    /// Something that people do.
    fn act(&mut self) {
        let (room, channel) = (self.room(), self.channel());
        let user = self.chance.pick(&self.users).expect("there are some");
        let speaker = self.chance.pick(&self.speakers).expect("there are some");
        let is_in = self.world.rooms[room].members.contains(&user);
        match self.chance.below(100) {
            0..45 => {
                self.world.speaker_does(speaker, &format!("JOIN {channel}"));
                self.world.speaker_says(speaker, channel);
            }
            45..48 => self.world.speaker_does(speaker, &format!("PART {channel}")),
            48..51 => {
                let nick = self.name();
                self.world.speaker_does(speaker, &format!("NICK {nick}"));
            }
            51..79 if is_in => self.world.member_says(room, &user),
            79 if is_in => self.world.member_said(room, &user, LATE_MS),
            80..85 if is_in => {
                self.world.member_leaves(room, &user, false);
            }
            85..88 => {
                let name = self.name();
                self.world.member_joins(room, &user, &name);
            }
            _ if !is_in => {
                let name = self.name();
                self.world.member_joins(room, &user, &name);
            }
            88..92 => {
                let name = self.name();
                self.world.member_commands(&user, &format!("WHOIS {name}"));
            }
            92..94 => self.world.member_commands(&user, "XYZZY"),
            94..96 => {
                self.world.audit.asides_said += 1;
                self.world.speaker_does(speaker, &format!("PRIVMSG @{channel} :x for those of rank"));
            }
            _ => {}
        }
    }

    /// One of our connections that is open.
    fn one_of_ours(&mut self) -> Option<usize> {
        let open: Vec<usize> = (0..self.world.conns.len()).filter(|n| self.world.is_open(*n)).collect();
        let n = self.chance.pick(&open)?;
        self.harmed.entry(n).or_default().push(self.world.now);
        Some(n)
    }

    /// Something that goes wrong.
    fn fault(&mut self) {
        if self.chance.percent(30) {
            return self.fault_elsewhere();
        }
        let channel = self.channel();
        let Some(n) = self.one_of_ours() else { return };
        let notices_ms = self.chance.pick(&[0, 500, 20_000]).expect("not empty");
        match self.chance.below(11) {
            0 => {
                let said = [
                    "Killed (oper (spam))",
                    "K-Lined",
                    "Ping timeout: 120 seconds",
                    "Killed (services. (GHOST command used by eve))",
                    "Excess Flood",
                    "Throttled: Reconnecting too fast",
                ];
                let why = self.chance.pick(&said).expect("not empty");
                self.world.throw_off(n, why);
            }
            1 => self.world.reset(n, notices_ms),
            2 => {
                let ms = self.chance.pick(&[500, 7_000, 15_000, 45_000]).expect("not empty");
                self.world.stall(n, Some(ms));
            }
            3 | 4 => self.world.dies_silently(n, notices_ms),
            5 => {
                // A split takes several at once.
                for _ in 0..self.chance.between(1, 4) {
                    if let Some(n) = self.one_of_ours() {
                        self.world.throw_off(n, "Server shutting down");
                    }
                }
            }
            6 => {
                self.world.ircd.kick(self.world.conns[n].client, channel);
                self.world.spread();
            }
            7 => {
                let room = self.world.ircd.rules.entry(channel.to_owned()).or_default();
                let numeric = self.chance.pick(&[403, 405, 471, 473, 474, 475, 477]).expect("not empty");
                room.refuses = if room.refuses.is_none() { Some(numeric) } else { None };
            }
            8 => {
                let room = self.world.ircd.rules.entry(channel.to_owned()).or_default();
                room.moderated = !room.moderated;
            }
            9 => {
                let noise = [
                    "999 x :y",
                    ":srv 376 x :again",
                    "PING :t",
                    ":x!y@z FOO",
                    ":srv NOTICE * :*** hi",
                    "001",
                ];
                let noise = self.chance.pick(&noise).expect("not empty");
                self.world.noise(n, noise);
            }
            10 if self.chance.percent(50) => self.world.reconnect_all(),
            _ => {
                let room = self.room();
                let user = self.chance.pick(&self.users).expect("there are some");
                if self.world.rooms[room].members.contains(&user) {
                    let name = self.name();
                    match self.chance.percent(50) {
                        true => self.returns(room, &user, &name),
                        false => self.returns_and_is_lost(room, &user, &name, notices_ms),
                    }
                }
            }
        }
    }

    /// Somebody leaves a room and comes back before their puppet is out of the channel.
    fn returns(&mut self, room: usize, user: &UserId, name: &str) {
        self.world.member_leaves(room, user, false);
        self.world.pass(self.chance.below(300));
        self.world.member_joins(room, user, name);
    }

    /// The same with much to say before and after, and on the way their connection is lost.
    fn returns_and_is_lost(&mut self, room: usize, user: &UserId, name: &str, notices_ms: u64) {
        for _ in 0..6 {
            self.world.member_says(room, user);
        }
        self.returns(room, user, name);
        self.world.member_says(room, user);
        let open = (0..self.world.conns.len()).filter(|n| self.world.is_open(*n));
        let theirs = open.filter(|n| self.world.conns[*n].user == *user).collect::<Vec<_>>();
        for n in theirs {
            self.harmed.entry(n).or_default().push(self.world.now);
            self.world.reset(n, notices_ms);
        }
    }

    /// Something that goes wrong with a process, a homeserver, or between servers.
    fn fault_elsewhere(&mut self) {
        let ms = self.chance.pick(&[300, 3_000, 20_000]).expect("not empty");
        match self.chance.below(8) {
            0 => {
                self.harm_all();
                self.world.crash();
            }
            // At one of the next effects or commits.
            1 | 2 => {
                self.harm_all();
                self.world.crash_in = Some(self.chance.below(40));
            }
            3 => self.world.restart_homeserver(ms),
            4 => self.world.homeserver.fails_until = self.world.now + ms,
            _ if self.world.ircd.servers.len() < 2 => {}
            _ => {
                let leaf = self.chance.between(1, self.world.ircd.servers.len() as u64 - 1) as usize;
                match self.world.ircd.apart.contains(&leaf) {
                    true => self.world.rejoin(leaf),
                    false => self.world.split(leaf),
                }
            }
        }
    }

    fn harm_all(&mut self) {
        for n in 0..self.world.conns.len() {
            self.harmed.entry(n).or_default().push(self.world.now);
        }
    }

    /// Nothing goes wrong any more: soon everything is in its place, and stays there.
    fn quiet(&mut self) {
        self.world.unreachable_percent = 0;
        (self.world.lost_answers_percent, self.world.slow_room, self.world.crash_in) = (0, None, None);
        for leaf in self.world.ircd.apart.clone() {
            self.world.rejoin(leaf);
        }
        for n in 0..self.world.conns.len() {
            if self.world.is_open(n) && self.world.is_stalled(n) {
                self.world.dies_silently(n, 0);
            }
        }
        for room in self.world.ircd.rules.values_mut() {
            (room.refuses, room.moderated) = (None, false);
        }
        // Those that were thrown off lately are held in a moment.
        self.world.pass(60_000);
        self.world.reconnect_all();
        self.world.pass(120_000);
        // Whom a mapped room's channel refused asks again by speaking.
        self.everybody_speaks();
        self.world.pass(150_000);
        let (line, seq) = (self.world.audit.lines_len(), self.world.homeserver.timeline.len());
        self.everybody_speaks();
        self.world.pass(150_000);
        self.check(line, seq);
    }

    fn everybody_speaks(&mut self) {
        for room in 0..self.world.rooms.len() {
            for user in self.world.rooms[room].members.clone() {
                self.world.member_says(room, &user);
            }
        }
        for speaker in self.speakers.clone() {
            for channel in &CHANNELS[..self.channels] {
                self.world.speaker_does(speaker, &format!("JOIN {channel}"));
                self.world.speaker_says(speaker, channel);
            }
        }
    }

    fn check(&self, line: usize, first: usize) {
        let world = &self.world;
        for channel in &CHANNELS[..self.channels] {
            let inside: BTreeSet<&UserId> = world
                .conns
                .iter()
                .filter(|conn| world.ircd.is_in(conn.client, channel))
                .map(|conn| &conn.user)
                .collect();
            let wanted: BTreeSet<&UserId> =
                self.users.iter().filter(|user| world.wants(user, channel)).collect();
            assert_eq!(inside, wanted, "who is in {channel}, and who should be");
        }
        world.rooms.iter().for_each(|room| self.shows_its_channel(room));
        assert!(world.ghosts.is_idle(), "a step waits after quiet");
        let rows = world.store.inbox.values();
        let outcomes: BTreeMap<usize, Option<Outcome>> =
            rows.map(|row| (row.event, row.outcome.clone())).collect();
        world.audit.all_settled(world.homeserver.timeline.len(), &outcomes);
        world.audit.outbox_is_empty();
        assert!(world.store.outbox.is_empty() && world.homeserver.is_idle(), "something is left after quiet");
        let died =
            |conn: usize, by: u64| self.harmed.get(&conn).is_some_and(|at| at.iter().any(|at| *at <= by));
        let some_died = |at: u64| {
            let lately = at.saturating_sub(UNKNOWN_MS)..=at;
            self.harmed.values().flatten().any(|harmed| lately.contains(harmed))
        };
        world.audit.is_complete(died, some_died);
        world.audit.quiet_words_arrived(line, first, &outcomes, |channel| {
            self.users.iter().any(|user| world.wants(user, channel))
        });
        let state = format!("{:?}", world.machine);
        for waits in [
            "Held {",
            "Unseen {",
            "Recent {",
            "Waiting {",
            "ChatLine {",
            "Progress {",
            "Doubts {",
            "SentLine {",
            "Question {",
        ] {
            assert!(!state.contains(waits), "something still waits after quiet: {waits}");
        }
    }

    /// The ghosts of a room are the people of its channel, as far as the settings want them.
    fn shows_its_channel(&self, room: &Room) {
        let (ghosts, ircd) = (self.world.ghosts.inside(&room.id), &self.world.ircd);
        let is_in = |client: &ClientId| ircd.is_in(*client, &room.channel);
        let people: BTreeSet<UserId> =
            self.speakers.iter().filter(|client| is_in(client)).filter_map(|id| self.ghost(*id)).collect();
        let ours = self.world.conns.iter().map(|conn| conn.client).filter(is_in);
        let puppets: BTreeSet<UserId> = ours.clone().filter_map(|client| self.ghost(client)).collect();
        let is_known = ours.count() > 0;
        let may = |ghost: &&UserId| people.contains(*ghost) || puppets.contains(*ghost);
        let left: Vec<&UserId> = ghosts.iter().filter(|ghost| !may(ghost)).collect();
        let lacks: Vec<&UserId> = people.difference(&ghosts).collect();
        match self.world.shown {
            _ if !is_known => {}
            ToMatrix::Full => {
                assert!(left.is_empty() && lacks.is_empty(), "{}: {left:?} left, lacks {lacks:?}", room.id);
            }
            ToMatrix::Lazy => assert!(left.is_empty(), "{}: {left:?} left the channel", room.id),
            ToMatrix::Off => {}
        }
    }

    /// The ghost of a client's nick.
    fn ghost(&self, client: ClientId) -> Option<UserId> {
        let nick = Nick::new(&self.world.ircd.nick_of(client)?, CaseMap::Ascii)?;
        let policy = policy(self.world.shown);
        policy.ghosts.user(&nick, &policy.server_name)
    }

    /// A stop says goodbye everywhere and comes to an end.
    fn goodbye(&mut self) {
        self.world.input(Input::Stopping);
        self.world.pass(15_000);
        assert!(self.world.machine.is_stopped(), "stopping comes to an end");
        let left = self.world.conns.iter().filter(|conn| self.world.ircd.knows(conn.client));
        assert_eq!(left.count(), 0, "nobody of ours is left on the server");
    }
}
