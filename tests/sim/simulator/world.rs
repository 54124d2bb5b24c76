//! The machine between a model IRC server and a model homeserver, on a clock of its own.
//!
//! Connections lag, each in its own way, and keep their order; they stall, are reset, killed, die in silence.
//! Whatever the machine asks for is done as the shell would do it, and every step is given to the [`Audit`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bunraku::bridge::effect::{Chat, Effect};
use bunraku::bridge::input::{
    BodyKind, CloseReason, Input, MatrixEvent, Member, Membership, MessageBody, Opening, PortalOrigin,
    PortalRow,
};
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::{ConnectPace, DynamicPortals, Flood, PingPace, Policy};
use bunraku::bridge::session::send::WINDOW_LINES;
use bunraku::ids::{ConnId, EventId, InboxSeq, NetworkId, RelaySeq, RoomId, Time, UserId};
use bunraku::text::line::Line;
use bunraku::text::realname::RealnameTemplate;
use bunraku::text::template::{AliasTemplate, GhostTemplate, NickTemplate};

use crate::audit::Audit;
use crate::ircd::{ClientId, Ircd};
use crate::random::Random;

const FOREVER: u64 = u64::MAX;

pub fn policy() -> Policy {
    let network = NetworkId::new("net").expect("an id");
    Policy {
        aliases: AliasTemplate::new("#irc_$CHANNEL", &network).expect("a template"),
        ghosts: GhostTemplate::new("@irc_$NICK", &network).expect("a template"),
        realnames: RealnameTemplate::new("$USERID").unwrap(),
        nicks: NickTemplate::new("$DISPLAY").expect("a template"),
        network,
        network_name: "Net".into(),
        bot: user("@bridge:hs"),
        server_name: "hs".into(),
        dynamic_portals: DynamicPortals::On,
        excluded_channels: vec![],
        password: None,
        webirc: None,
        services: None,
        user_modes: "+i".into(),
        flood: Flood { burst: 6, line_ms: 300 },
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
}

impl Conn {
    /// True while the machine has reason to believe in it.
    pub fn lives(&self) -> bool {
        !self.over && !self.closing
    }

    fn parts(&self, channel: &str) -> u32 {
        self.parting.get(channel).copied().unwrap_or_default()
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
}

pub struct World {
    pub now: u64,
    pub chance: Random,
    pub machine: Network,
    pub ircd: Ircd,
    pub conns: Vec<Conn>,
    pub rooms: Vec<Room>,
    pub audit: Audit,
    pub lag_ms_max: u64,
    pub unreachable_percent: u64,
    /// Whose puppets stay away until somebody says otherwise.
    pub held: BTreeSet<UserId>,
    events: BTreeMap<(u64, u64), Event>,
    count: u64,
    seq: i64,
}

impl World {
    pub fn new(seed: u64, lag_ms_max: u64, portals: &[(String, PortalOrigin)]) -> Self {
        let machine = Network::new(policy(), None, RelaySeqs { next: RelaySeq(1), step: 1 }, seed);
        let room = |(n, (channel, origin)): (usize, &(String, PortalOrigin))| Room {
            id: RoomId::new(&format!("!r{n}")).expect("a room id"),
            channel: channel.clone(),
            origin: *origin,
            members: BTreeSet::new(),
        };
        let rooms: Vec<Room> = portals.iter().enumerate().map(room).collect();
        let mut world = Self {
            now: 1_000_000,
            chance: Random(seed),
            machine,
            ircd: Ircd::default(),
            conns: Vec::new(),
            audit: Audit::new(rooms.iter().map(|room| (room.id.clone(), room.channel.clone())).collect()),
            rooms,
            lag_ms_max,
            unreachable_percent: 0,
            held: BTreeSet::new(),
            events: BTreeMap::new(),
            count: 0,
            seq: 0,
        };
        for n in 0..world.rooms.len() {
            let Room { id, channel, origin, .. } = &world.rooms[n];
            let row = PortalRow { room: id.clone(), channel: channel.clone(), origin: *origin };
            world.input(Input::Portal(row));
        }
        world.input(Input::Started);
        world
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
            let wake = self.machine.poll_timeout().map_or(FOREVER, |at| at.0.max(self.now));
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
            steps += 1;
            assert!(steps < 50_000, "the machine does not come to rest");
        }
        self.now = until;
    }

    pub fn input(&mut self, input: Input) {
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
            Effect::Close { conn } => self.close(conn),
            Effect::Observe { conn, chat } => {
                if let Some(n) = self.find(conn) {
                    self.conns[n].skips_chat = chat == Chat::Skip;
                }
            }
            Effect::Settle { seq, outcome } => self.audit.settled(seq, outcome),
            Effect::Relay(relay) => self.audit.relayed(self.now, &relay),
            Effect::Kick { room, user, .. } => {
                let n = self.rooms.iter().position(|other| other.id == room).expect("a room of ours");
                assert_eq!(self.rooms[n].origin, PortalOrigin::Alias, "put out of a room that is not ours");
                let at = self.now + self.chance.between(10, 500);
                self.at(at, Event::Removal(n, user));
            }
            Effect::CreateRoom { .. }
            | Effect::AddAlias { .. }
            | Effect::Answer { .. }
            | Effect::SavePortal(_) => {
                panic!("nobody asked for an alias")
            }
            Effect::CommandAnswered { ask, answer } => self.audit.answered(ask, &answer),
            Effect::Derive { .. }
            | Effect::Upgrade { .. }
            | Effect::StayEncrypted { .. }
            | Effect::SaveMember { .. }
            | Effect::SaveCaseMap { .. } => {}
            Effect::SaveHold(row) => assert!(self.held.insert(row.user), "held twice"),
            Effect::DropHold { user } => assert!(self.held.remove(&user), "nobody held them"),
        }
    }

    // Connections, as the shell has them.

    pub fn find(&self, conn: ConnId) -> Option<usize> {
        self.conns.iter().position(|other| other.id == conn)
    }

    fn dial(&mut self, id: ConnId, user: UserId) {
        assert!(!self.held.contains(&user), "a held puppet dials: {user}");
        let twice = self.conns.iter().any(|conn| conn.id.puppet == id.puppet && conn.lives());
        assert!(!twice && self.find(id).is_none(), "two connections of one puppet");
        let n = self.conns.len();
        self.conns.push(Conn {
            id,
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
        if let Some(channel) = line.strip_prefix("PART ") {
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
            let id = conn.id;
            self.input(Input::ConnClosed { conn: id, why });
        }
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Opened(n) if self.conns[n].over || self.conns[n].closing => {}
            Event::Opened(n) => {
                self.conns[n].opened = true;
                self.ircd.connect(self.conns[n].client);
                let conn = self.conns[n].id;
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
        }
    }

    fn later(&mut self, n: usize, event: Event) {
        if self.conns[n].stalled_until != FOREVER {
            self.at(self.conns[n].stalled_until, event);
        }
    }

    fn written(&mut self, n: usize) {
        let Some(line) = self.conns[n].unwritten.pop_front() else { return };
        self.conns[n].up.push_back(line);
        let at = self.after(n, 1, self.lag_ms_max / 4);
        self.at(at, Event::Up(n));
        let conn = self.conns[n].id;
        self.input(Input::ConnWritten { conn, lines: 1 });
    }

    /// Gives what the server tells to those it tells it to.
    pub fn spread(&mut self) {
        let ours = |world: &Self, client: ClientId| (client as usize) < world.conns.len();
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
            self.audit.on_irc(&said.text, ours(self, said.by));
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
            if self.conns[n].skips_chat {
                return;
            }
            if self.conns[n].lives() && self.conns[n].entered.contains(line.param(0)) {
                self.audit.seen(self.now, line.param(1), n);
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
            "JOIN" if is_me && wanted && conn.lives() && conn.parts(line.param(0)) == 0 => {
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
        self.ircd.quit(self.conns[n].client, why);
        self.spread();
        self.goes_down(n, Down::Line(format!("ERROR :Closing Link: host ({why})")));
        self.goes_down(n, Down::Eof);
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

    /// Nothing passes for a while, or ever again.
    pub fn stall(&mut self, n: usize, for_ms: Option<u64>) {
        self.conns[n].stalled_until = for_ms.map_or(FOREVER, |ms| self.now + ms);
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
        if !self.ircd.is_in(client, channel) || self.ircd.channels[channel].moderated {
            return;
        }
        let ours: BTreeSet<usize> =
            (0..self.conns.len()).filter(|n| self.ircd.is_in(self.conns[*n].client, channel)).collect();
        let nick = self.ircd.clients[&client].nick.clone().expect("speakers have nicks");
        let text = self.audit.says(self.now, client, nick, channel, ours);
        self.speaker_does(client, &format!("PRIVMSG {channel} :{text}"));
    }

    // Matrix people.

    pub fn wants(&self, user: &UserId, channel: &str) -> bool {
        self.rooms.iter().any(|room| room.channel == channel && room.members.contains(user))
    }

    fn event(&mut self, event: MatrixEvent) {
        self.audit.accepted(InboxSeq(self.seq));
        self.input(Input::Matrix { seq: InboxSeq(self.seq), event });
    }

    pub fn member_joins(&mut self, n: usize, user: &UserId, name: &str) {
        self.rooms[n].members.insert(user.clone());
        self.seq += 1;
        let room = self.rooms[n].id.clone();
        let target = Member { user: user.clone(), display_name: Some(name.to_owned()) };
        let (sender, membership) = (user.clone(), Membership::Join);
        self.event(MatrixEvent::Member { room, sender, target, membership, reason: None });
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
        self.seq += 1;
        let room = self.rooms[n].id.clone();
        let target = Member { user: user.clone(), display_name: None };
        let sender = if by_bot { policy().bot } else { user.clone() };
        self.event(MatrixEvent::Member { room, sender, target, membership: Membership::Leave, reason: None });
    }

    /// Lets a user's puppet ask something, or say what no server understands.
    pub fn member_commands(&mut self, from: &UserId, line: &str) {
        let ask = self.audit.asks(line);
        self.input(Input::Command { ask, user: from.clone(), line: line.to_owned() });
    }

    pub fn member_says(&mut self, n: usize, from: &UserId) {
        self.seq += 1;
        let (room, channel) = (self.rooms[n].id.clone(), self.rooms[n].channel.clone());
        let text = format!("m{}", self.seq);
        self.audit.message(InboxSeq(self.seq), from.clone(), room.clone(), channel, text.clone());
        let event_id = EventId::new(&format!("$e{}", self.seq)).expect("an event id");
        let body = MessageBody { kind: BodyKind::Text, text };
        let (sender, origin_ms) = (from.clone(), self.now);
        self.event(MatrixEvent::Message { room, event_id, sender, body, origin_ms });
    }
}
