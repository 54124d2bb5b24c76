//! The machine of one network with real sockets and nothing else of the bridge: what only an admin room will reach,
//! commands and their answers, can be tried on real servers with it.
//!
//! The one part of the harness that leans on the library: what it shows is the library's own view of an answer.
//! It performs what concerns connections and drops what is for Matrix. It runs only while something of it is
//! awaited.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bunraku::bridge::effect::{Chat, CommandAnswer, Effect};
use bunraku::bridge::errand::{Errand, Report};
use bunraku::bridge::input::{AskId, Input, Member, Opening, PortalOrigin, PortalRow, QueryRoom, Salted};
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::{
    Admission, Asides, BotMode, ConnectPace, Directory, DynamicPortals, Failures, Flood, Forms, Members,
    Mentions, Moderation, Operators, PingPace, Plumbing, Policy, Power, PresenceRules, QueryRules, Topics,
    Typing,
};
use bunraku::ids::{ConnId, NetworkId, RelaySeq, RoomId, Time, UserId};
use bunraku::irc::connection::{self, ConnHandle, Start};
use bunraku::irc::dial::{DialFor, DialPlan, ServerAddr, Transport};
use bunraku::irc::framer::{Charset, Observe};
use bunraku::irc::tls::{TlsOptions, TlsSetup};
use bunraku::text::ident;
use bunraku::text::realname::RealnameTemplate;
use bunraku::text::scram;
use bunraku::text::template::{AliasTemplate, GhostTemplate, NickTemplate};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::PATIENT;

/// What people call the network.
pub const NETWORK_NAME: &str = "Lab";
/// The one person here, whose nick is [`NICK`].
const USER: &str = "@ada:lab.test";
pub const NICK: &str = "ada";

/// A network's machine, its connections, and what came of commands.
pub struct Driver {
    network: Network,
    conns: HashMap<ConnId, ConnHandle>,
    plan: Arc<DialPlan>,
    inputs: mpsc::Sender<Input>,
    mailbox: mpsc::Receiver<Input>,
    reports: HashMap<AskId, Report>,
    asked: u64,
    rooms: u32,
    /// Every line that was given to a socket.
    pub sent: Vec<String>,
}

impl Driver {
    /// A machine that knows nobody yet, on the IRC server at this port of loopback.
    pub fn new(port: u16) -> Driver {
        let server = ServerAddr { host: "127.0.0.1".to_owned(), port, transport: Transport::Plain };
        let tls = TlsSetup::new(TlsOptions::default()).expect("roots are not asked for here");
        let (inputs, mailbox) = mpsc::channel(4096);
        let seqs = RelaySeqs { next: RelaySeq(1), step: 1 };
        let mut driver = Driver {
            network: Network::new(policy(), None, seqs, 1),
            conns: HashMap::new(),
            plan: Arc::new(DialPlan::new(vec![server], tls)),
            inputs,
            mailbox,
            reports: HashMap::new(),
            asked: 0,
            rooms: 0,
            sent: Vec::new(),
        };
        driver.give(Input::Started);
        driver
    }

    /// The person joins a room of this channel, which their puppet then wants to be in.
    pub fn want(&mut self, channel: &str) {
        let room = self.new_room();
        let row = PortalRow { room: room.clone(), channel: channel.to_owned(), origin: PortalOrigin::Config };
        self.give(Input::Portal(row));
        let member = Member { user: user(), display_name: Some(NICK.to_owned()) };
        self.give(Input::Members { room, members: vec![member] });
    }

    /// The person lets their puppet say this line; what became of it.
    pub async fn command(&mut self, line: &str) -> CommandAnswer {
        match self.errand(Errand::Line(line.to_owned())).await {
            Report::Line(answer) => answer,
            other => panic!("{line} is no line: {other:?}"),
        }
    }

    /// The person asks for something; what became of it.
    pub async fn errand(&mut self, errand: Errand) -> Report {
        self.asked += 1;
        let (ask, shown) = (AskId(self.asked), format!("{errand:?}"));
        self.give(Input::Errand { ask, user: user(), errand });
        let reported = async {
            loop {
                if let Some(report) = self.reports.remove(&ask) {
                    return report;
                }
                self.step().await;
            }
        };
        timeout(2 * PATIENT, reported).await.unwrap_or_else(|_| panic!("{shown} has no report at all"))
    }

    /// Runs the machine for as long as something else takes.
    pub async fn during<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        loop {
            tokio::select! {
                biased;
                done = &mut other => return done,
                () = self.step() => {}
            }
        }
    }

    /// One input, or one wake-up; nothing is lost where this is dropped.
    async fn step(&mut self) {
        let wake = self.network.poll_timeout();
        let due = async {
            match wake {
                Some(at) => sleep(std::time::Duration::from_millis(at.since_ms(now()))).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            input = self.mailbox.recv() => self.give(input.expect("we hold a sender ourselves")),
            () = due => {
                self.network.handle_timeout(now());
                self.perform();
            }
        }
    }

    fn give(&mut self, input: Input) {
        if let Input::ConnClosed { conn, .. } = &input {
            self.conns.remove(conn);
        }
        self.network.handle(now(), input);
        self.perform();
    }

    fn perform(&mut self) {
        let mut effects = Vec::new();
        self.network.take_effects(&mut effects);
        for effect in effects {
            match effect {
                Effect::Connect { conn, user } => self.connect(conn, &user),
                Effect::Send { conn, line } => {
                    self.sent.push(line.clone());
                    if let Some(handle) = self.conns.get(&conn) {
                        handle.send(line).expect("the machine knows how much the queue holds");
                    }
                }
                Effect::Close { conn } => {
                    if let Some(handle) = self.conns.get(&conn) {
                        handle.close();
                    }
                }
                Effect::Abandon { conn } => {
                    if let Some(handle) = self.conns.get(&conn) {
                        handle.abandon();
                    }
                }
                Effect::Observe { conn, chat } => {
                    if let Some(handle) = self.conns.get(&conn) {
                        handle.observe(if chat == Chat::Read { Observe::Chat } else { Observe::NoChat });
                    }
                }
                Effect::Derive { conn, password, salt, iterations } => {
                    let inputs = self.inputs.clone();
                    tokio::task::spawn_blocking(move || {
                        let salted = Salted(scram::salted(password.expose(), &salt, iterations));
                        inputs.blocking_send(Input::Derived { conn, salted }).ok();
                    });
                }
                Effect::Reported { ask, report } => {
                    assert!(self.reports.insert(ask, report).is_none(), "one report of each");
                }
                Effect::CreateRoom { alias, .. } => {
                    let result = Ok(self.new_room());
                    self.comes(Input::RoomCreated { alias, result });
                }
                Effect::Query(step) => {
                    let result = Ok(QueryRoom { room: self.new_room(), display_name: None });
                    self.comes(Input::QueryDone { step, result });
                }
                // For Matrix, or for later runs.
                _ => {}
            }
        }
    }

    /// A room that the homeserver makes at once.
    fn new_room(&mut self) -> RoomId {
        self.rooms += 1;
        RoomId::new(&format!("!r{}:lab.test", self.rooms)).expect("a room id")
    }

    /// Comes next, behind what is in the mailbox.
    fn comes(&self, input: Input) {
        self.inputs.try_send(input).expect("the mailbox is never full here");
    }

    fn connect(&mut self, conn: ConnId, user: &UserId) {
        let (handle, commands) = connection::channel();
        self.conns.insert(conn, handle);
        let ident = ident::candidates(user, 9).next().expect("they go on without end");
        let start = Start {
            conn,
            plan: Arc::clone(&self.plan),
            attempt: 0,
            who: DialFor::default(),
            opening: Box::new(Opening::plain(&ident)),
            charset: Charset::default(),
        };
        tokio::spawn(connection::run(start, self.inputs.clone(), commands));
    }
}

fn user() -> UserId {
    UserId::new(USER).expect("a user id")
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Time(since.as_millis() as u64)
}

/// No limit of our own: what a server does is looked at, not how fast.
fn policy() -> Policy {
    let network = NetworkId::new("lab").expect("an id");
    Policy {
        aliases: AliasTemplate::new("#irc_$CHANNEL", &network).expect("a template"),
        ghosts: GhostTemplate::new("@irc_$NICK", &network).expect("a template"),
        realnames: RealnameTemplate::new("$USERID").expect("a template"),
        nicks: NickTemplate::new("$DISPLAY").expect("a template"),
        network,
        network_name: NETWORK_NAME.to_owned(),
        bot: UserId::new("@bot:lab.test").expect("a user id"),
        server_name: "lab.test".to_owned(),
        dynamic_portals: DynamicPortals::On,
        excluded_channels: Vec::new(),
        password: None,
        webirc: None,
        services: None,
        user_modes: String::new(),
        bot_mode: BotMode::Hidden,
        flood: Flood { burst: 100, line_ms: 0, line_bytes: 0 },
        connect: ConnectPace { burst: 100, interval_ms: 0, ..ConnectPace::default() },
        ping: PingPace { after_ms: 60_000, timeout_ms: 60_000 },
        message_age_ms_max: 900_000,
        message_lines_max: 8,
        links: None,
        forms: Forms::default(),
        failures: Failures::default(),
        mentions: Mentions::default(),
        asides: Asides::Shown,
        typing: Typing::default(),
        queries: QueryRules::default(),
        topics: Topics::default(),
        power: Power::default(),
        moderation: Moderation::default(),
        members: Members::default(),
        presence: PresenceRules::default(),
        directory: Directory::default(),
        operators: Operators::off(),
        admission: Admission::default(),
        plumbing: Plumbing::default(),
        connections_max: 100,
    }
}
