//! Plays a story: reads what happens, gives it to a machine, and writes down what the machine asks for.
//!
//! The kernel takes what is sent at once, unless the story says `kernel waits`; then `irc 0.1 written 3` says
//! when. Fences (`PING bunraku-N`) are answered at once and not shown, unless the story says `fences wait`. A
//! channel is asked for its modes in stories that have a policy for what follows them. `written @ada says
//! in !r: …` is an event that an earlier run gave to a socket. A Matrix id without a server is one of `hs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bunraku::bridge::effect::{Asked, Effect, QueryStep, RoomStep, Rule, StepKey};
use bunraku::bridge::errand::plumbing::Unplumbable;
use bunraku::bridge::errand::{Errand, NickRow};
use bunraku::bridge::input::{
    About, AbsenceTold, AskId, BanRow, BarRow, Before, BodyKind, Certificate, CloseReason, Concerns, Doorway,
    HoldRow, Input, Login, LookUp, MatrixEvent, Member, Membership, MessageBody, Opening, PolicyList,
    PolicyRule, PolicyRules, PortalOrigin, PortalRow, QueryFault, QueryRoom, QueryRow, QueryStanding,
    Relation, RuleKey, StepResult, Successor, TombstoneRow, Unfit, Wire,
};
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::news::Reach;
use bunraku::bridge::policy::{
    Admission, Asides, Asks, BotMode, ConnectPace, Consent, Directory, DynamicPortals, Failures, Flood,
    Forms, GateRule, JoinFailure, Members, Mentions, Moderation, Notices, Operators, Permission, Permissions,
    PingPace, Plumbing, PlumbingBy, Policy, Power, PresenceRules, QueryRules, QuitMessage, Rooms, Services,
    Shown, StatusEvents, ToMatrix, Topics, Typing, Webirc,
};
use bunraku::bridge::relay::memory::{Author, Life, Said, Saying};
use bunraku::ids::{
    ConnId, EventId, InboxSeq, NetworkId, Nick, PuppetId, RelaySeq, RoomAlias, RoomId, Time, UserId,
};
use bunraku::secret::Secret;
use bunraku::text::casemap::CaseMap;
use bunraku::text::ident;
use bunraku::text::irc_codes::Codes;
use bunraku::text::line::Line;
use bunraku::text::link::Links;
use bunraku::text::realname::RealnameTemplate;
use bunraku::text::template::{AliasTemplate, GhostTemplate, NickTemplate};
use bunraku::text::whom::Whom;

use super::{content, errands, show};

/// When every story begins.
const BEGIN: Time = Time(1_000_000);

pub(super) fn policy() -> Policy {
    let network = NetworkId::new("net").expect("an id");
    Policy {
        aliases: AliasTemplate::new("#irc_$CHANNEL", &network).expect("a template"),
        ghosts: GhostTemplate::new("@irc_$NICK", &network).expect("a template"),
        realnames: RealnameTemplate::new("$USERID").unwrap(),
        nicks: NickTemplate::new("$DISPLAY").expect("a template"),
        network,
        network_name: "Net".into(),
        bot: user("@bridge"),
        server_name: "hs".into(),
        dynamic_portals: DynamicPortals::On,
        excluded_channels: vec!["#secret".into()],
        password: None,
        webirc: None,
        services: None,
        user_modes: String::new(),
        bot_mode: BotMode::Hidden,
        flood: Flood { burst: 10, line_ms: 1_000, line_bytes: 0 },
        connect: ConnectPace {
            burst: 10,
            interval_ms: 1_000,
            retry_ms_min: 4_000,
            retry_ms_max: 300_000,
            register_ms_max: 60_000,
            ..ConnectPace::default()
        },
        ping: PingPace { after_ms: 120_000, timeout_ms: 60_000 },
        message_age_ms_max: 600_000,
        message_lines_max: 4,
        links: None,
        forms: Forms::default(),
        connections_max: 100,
        failures: Failures { reaction: None, ..Failures::default() },
        mentions: Mentions::default(),
        asides: Asides::Shown,
        typing: Typing::default(),
        queries: QueryRules::default(),
        topics: Topics::default(),
        power: Power::default(),
        // A question for modes more would be in each story; those about modes say so.
        // Ten years: in stories about something else nobody asks for modes.
        moderation: Moderation {
            to_irc: Rooms::Portals,
            to_matrix: Rooms::None,
            modes_after_ms: 315_360_000_000,
        },
        members: Members::default(),
        presence: PresenceRules::default(),
        directory: Directory::default(),
        operators: Operators::off(),
        admission: Admission::default(),
        plumbing: Plumbing::default(),
    }
}

/// The story with what the machine asked for put anew under each line.
pub fn play(story: &str) -> String {
    let mut stage = Stage::new();
    for line in story.lines().filter(|line| !line.starts_with(' ')) {
        stage.written.push(line.to_owned());
        let words = line.trim();
        if !words.is_empty() && !words.starts_with('#') {
            stage.happens(words);
        }
    }
    stage.written.join("\n") + "\n"
}

struct Stage {
    policy: Policy,
    permissions: Vec<(Whom, Permission)>,
    /// The rules of the one policy list there is.
    rules: PolicyList,
    network: Option<Network>,
    now: Time,
    written: Vec<String>,
    seq: i64,
    settled: BTreeSet<i64>,
    reported: BTreeSet<u64>,
    /// Whose connections were asked for.
    users: BTreeMap<ConnId, UserId>,
    /// What was asked for private chats, in order.
    steps: Vec<QueryStep>,
    kernel_waits: bool,
    /// Nothing is on the disk before a story says so.
    disk_waits: bool,
    fences_wait: bool,
    /// What is to be kept over a restart is shown.
    memory_shown: bool,
    /// What rooms say of their channel is shown.
    plates_shown: bool,
}

impl Stage {
    fn new() -> Self {
        let (settled, users) = (BTreeSet::new(), BTreeMap::new());
        let written = Vec::new();
        Self {
            policy: policy(),
            permissions: Vec::new(),
            rules: PolicyList::new(),
            network: None,
            now: BEGIN,
            written,
            seq: 0,
            settled,
            reported: BTreeSet::new(),
            users,
            steps: Vec::new(),
            kernel_waits: false,
            disk_waits: false,
            fences_wait: false,
            memory_shown: false,
            plates_shown: false,
        }
    }

    fn network(&mut self) -> &mut Network {
        let seqs = RelaySeqs { next: RelaySeq(1), step: 1 };
        let policy = &self.policy;
        self.network.get_or_insert_with(|| Network::new(policy.clone(), None, seqs, 1))
    }

    fn happens(&mut self, line: &str) {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "policy" => self.set(rest),
            "change" => {
                self.set(rest);
                self.give(Input::PolicyChanged(Box::new(self.policy.clone())));
            }
            "list" => self.lists(rest),
            "kernel" => self.kernel_waits = rest == "waits",
            "disk" => self.disk_waits = rest == "waits",
            "noted" => self.give(noted(rest)),
            "fences" => self.fences_wait = rest == "wait",
            "memory" => self.memory_shown = rest == "shown",
            "plates" => self.plates_shown = rest == "shown",
            "succeeded" => self.give(succeeded(rest)),
            "over" => self.give(Input::PairingOver(portal("mapped", rest))),
            "look" => self.give(looked_up(rest)),
            "named" => self.give(named(rest)),
            "typing" => self.give(typing(rest)),
            "remembered" => self.give(remembered(rest)),
            "command" => self.commands(rest),
            "portal" | "mapped" | "plumbed" => self.give(Input::Portal(portal(verb, rest))),
            "paired" => self.give(paired(rest)),
            "members" => self.give(members(rest)),
            "start" => self.give(Input::Started),
            "step" => self.give(stepped(rest)),
            "stop" => self.give(Input::Stopping),
            "ask" => self.asks(rest),
            "room" | "alias" => self.give(made(verb, rest)),
            "irc" => self.irc(rest),
            "welcome" => self.welcome(rest),
            "matrix" => self.matrix(rest, Before::New),
            "accepted" => self.matrix(rest, Before::Accepted),
            "written" => self.matrix(rest, Before::Written),
            "times" => self.times(rest),
            "held" => self.give(held(rest)),
            "kicked" => self.give(kicked(rest)),
            "banned" => self.give(banned(rest)),
            "barred" => self.give(barred(rest)),
            "tombstone" => self.give(tombstone(rest)),
            "query" => self.give(query(rest)),
            "space" => self.give(space(rest)),
            "rule" => self.give(rule(rest)),
            "done" => self.done(rest),
            "ghosts" => self.give(ghosts(rest)),
            "stepped" => self.give(stepped(rest)),
            "reconnect" => self.give(Input::Reconnect { user: user(rest) }),
            "errand" => self.give(errands::errand(rest)),
            "chose" => self.give(chosen(rest)),
            "key" => self.give(key(rest)),
            "real" => self.give(real(rest)),
            "ignored" => self.give(ignored(rest)),
            "unmentioned" => self.give(Input::MentionsOff { user: user(rest) }),
            "reach" => self.give(reached(rest)),
            "stopped?" => {
                let word = if self.network().is_stopped() { "yes" } else { "no" };
                self.written.push(format!("  {word}"));
            }
            _ => match verb.strip_prefix("t+") {
                Some(ms) => self.passes(milliseconds(ms)),
                None => panic!("a story cannot say {line:?}"),
            },
        }
    }

    fn set(&mut self, words: &str) {
        let (key, value) = words.split_once(' ').expect("policy KEY VALUE");
        let number = || value.parse::<u64>().expect("a number");
        match key {
            "password" => self.policy.password = Some(bunraku::secret::Secret::new(value)),
            "user_modes" => self.policy.user_modes = value.to_owned(),
            "bot_mode" => self.policy.bot_mode = BotMode::Shown,
            "flood_burst" => self.policy.flood.burst = number() as u32,
            "connections_max" => self.policy.connections_max = number() as usize,
            "dynamic" => self.policy.dynamic_portals = DynamicPortals::Off,
            "connect_burst" => self.policy.connect.burst = number() as u32,
            "at_once" => self.policy.connect.at_once = number() as usize,
            "ping_after_s" => self.policy.ping.after_ms = number() * 1_000,
            "idle_s_max" => self.policy.connect.idle_ms_max = number() * 1_000,
            "reaction" => self.policy.failures.reaction = Some(value.to_owned()),
            "notice" => self.policy.failures.notice = Notices::Off,
            "status_event" => self.policy.failures.status_event = StatusEvents::On,
            "to_matrix" => self.policy.queries.to_matrix = Shown::Off,
            "from_matrix" => self.policy.queries.from_matrix = Shown::Off,
            "federate" => self.policy.queries.federate = Shown::Off,
            "rooms_per_minute" => self.policy.queries.rooms_per_minute = number() as u32,
            "contacts_per_minute" => self.policy.queries.contacts_per_minute = number() as u32,
            "asides" => self.policy.asides = Asides::Hidden,
            "typing_to_irc" => self.policy.typing.to_irc = Shown::On,
            "typing_to_matrix" => self.policy.typing.to_matrix = Shown::Off,
            "topics_to_matrix" => self.policy.topics.to_matrix = rooms(value),
            "topics_to_irc" => self.policy.topics.to_irc = rooms(value),
            "gate" => {
                self.policy.presence.gate = match value {
                    "strict" => GateRule::Strict,
                    "lenient" => GateRule::Lenient,
                    _ => GateRule::Off,
                }
            }
            "grace_s" => self.policy.presence.grace_ms = number() * 1_000,
            "join_failure" => {
                self.policy.presence.join_failure = match value {
                    "tell" => JoinFailure::Tell,
                    "wait" => JoinFailure::Wait,
                    _ => JoinFailure::Remove,
                }
            }
            "moderation_to_irc" => self.policy.moderation.to_irc = rooms(value),
            "moderation_to_matrix" => {
                self.policy.moderation.to_matrix = rooms(value);
                self.policy.moderation.modes_after_ms = Moderation::default().modes_after_ms;
            }
            "power_to_matrix" => self.policy.power.to_matrix = rooms(value),
            "members" => {
                self.policy.members.to_matrix = match value {
                    "full" => ToMatrix::Full,
                    "off" => ToMatrix::Off,
                    _ => ToMatrix::Lazy,
                }
            }
            "off_channel" => self.policy.members.channels.push((value.to_owned(), ToMatrix::Off)),
            "ghosts_max" => self.policy.members.ghosts_max = number() as usize,
            "space" => self.policy.directory.space = rooms(value),
            "publish" => self.policy.directory.publish = Shown::On,
            "plates" => self.policy.directory.plates = Shown::Off,
            "invites" => self.policy.directory.invites = Shown::Off,
            "other_bridge" => self.policy.directory.others.push(value.to_owned()),
            "neighbour" => {
                let (key, template) = value.split_once(' ').expect("neighbour KEY TEMPLATE");
                let network = NetworkId::new(key).expect("a key");
                let ghosts = GhostTemplate::new(template, &network).expect("a template");
                self.policy.directory.neighbours.networks.push((network, ghosts));
            }
            "shared" => self.policy.directory.neighbours.channels.push(value.to_owned()),
            "never" => self.policy.mentions.never.extend([user(value)]),
            "bot" => self.policy.operators.nick = Some(value.to_owned()),
            "permission" => {
                let (whom, permission) = value.split_once(' ').expect("permission WHOM PERMISSION");
                let whom = Whom::read(whom).expect("somebody");
                self.permissions.push((whom, Permission::named(permission).expect("a permission")));
                self.policy.admission.permissions = Permissions::new(self.permissions.clone());
            }
            "quit_message" => self.policy.admission.quit_message = QuitMessage(value.to_owned()),
            "homeserver_connections" => self.policy.admission.limits.connections_max = number() as usize,
            "homeserver_contacts" => self.policy.admission.limits.contacts_per_minute = number() as u32,
            "homeserver_joins" => self.policy.admission.limits.joins_per_minute = number() as u32,
            "consent" => self.policy.operators.consent = Consent::ByConsent,
            "plumbing" => self.policy.plumbing.by = PlumbingBy::Nobody,
            "rooms_max" => self.policy.plumbing.rooms_max = number() as usize,
            "ask_in_channel" => self.policy.operators.asks = Asks::InChannel,
            "contact" => self.policy.operators.contact = value.to_owned(),
            "realname" => self.policy.realnames = RealnameTemplate::new(value).expect("a template"),
            "nicks" => self.policy.nicks = NickTemplate::new(value).expect("a template"),
            "services" => {
                let (nick, mask) = value.split_once(' ').expect("services NICK MASK");
                self.policy.services = Some(Services {
                    nick: nick.to_owned(),
                    mask: mask.to_owned(),
                    identify: "IDENTIFY $ACCOUNT $PASSWORD".into(),
                });
            }
            "links" => {
                let links = Links::new(value, &[7; 32], &self.policy.network);
                self.policy.links = Some(Arc::new(links));
            }
            "lines_max" => self.policy.message_lines_max = number() as usize,
            "codes" => self.policy.forms.formatting.codes = Codes::Off,
            "plain_channel" => self.policy.forms.formatting.plain_channels.push(value.to_owned()),
            "edits" => self.policy.forms.edits = Shown::Off,
            "edit_age_s_max" => self.policy.forms.edit_age_ms_max = number() * 1_000,
            "reply_quotes" => self.policy.forms.reply_quotes = Shown::Off,
            "reactions" => self.policy.forms.reactions = Shown::On,
            "redactions" => self.policy.forms.redactions = Shown::On,
            "webirc" => {
                let [password, gateway, host] = value.split(' ').collect::<Vec<_>>()[..] else {
                    panic!("webirc PASSWORD GATEWAY HOST")
                };
                let (gateway, host) = (gateway.to_owned(), host.to_owned());
                self.policy.webirc = Some(Webirc { password: Secret::new(password), gateway, host });
            }
            _ => panic!("no such setting in stories: {key}"),
        }
    }

    /// `times 3 LINE`: LINE happens that often, with `%` as the count.
    fn times(&mut self, words: &str) {
        let (count, line) = words.split_once(' ').expect("times N LINE");
        for n in 1..=count.parse::<u32>().expect("a number") {
            self.happens(&line.replace('%', &n.to_string()));
        }
    }

    /// `list user @eve:evil.org: spam`, `list server *.evil.org: bad`: one more rule; `list without @eve:evil.org`: it is gone.
    fn lists(&mut self, words: &str) {
        let (verb, rest) = words.split_once(' ').expect("list VERB ENTITY");
        let (entity, reason) = rest.split_once(": ").unwrap_or((rest, ""));
        let about = if verb == "server" { About::Homeserver } else { About::Person };
        let named = match verb {
            "without" => {
                let gone = self.rules.extract_if(.., |_, rule| rule.entity == entity);
                gone.map(|(_, rule)| (rule.about, rule.entity)).collect()
            }
            _ => {
                let key = RuleKey { kind: "m.policy.rule.user".into(), key: entity.to_owned() };
                let rule = PolicyRule::new(about, Some(entity), Some("m.ban"), Some(reason));
                self.rules.insert(key, rule.expect("a rule"));
                vec![(about, entity.to_owned())]
            }
        };
        let rules = Arc::new(PolicyRules::new([(&room("!list"), &self.rules)]));
        self.give(Input::PolicyRules { rules, concerns: Concerns::Only(named) });
    }

    fn give(&mut self, input: Input) {
        let now = self.now;
        self.network().handle(now, input);
        self.write(None);
        self.wake();
    }

    /// Wakes the machine for what is due by now.
    fn wake(&mut self) {
        let now = self.now;
        if self.network().poll_timeout().is_some_and(|at| at <= now) {
            self.network().handle_timeout(now);
            self.write(None);
        }
    }

    fn passes(&mut self, ms: u64) {
        let until = self.now.plus_ms(ms);
        while let Some(at) = self.network().poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            let now = self.now;
            self.network().handle_timeout(now);
            self.write(Some(now));
        }
        self.now = until;
    }

    /// Writes what the machine asks for, and answers for the kernel.
    fn write(&mut self, at: Option<Time>) {
        let mut lines = Vec::new();
        loop {
            let mut effects = Vec::new();
            self.network().take_effects(&mut effects);
            if effects.is_empty() {
                break;
            }
            let mut taken: BTreeMap<ConnId, u32> = BTreeMap::new();
            let mut fences: Vec<(ConnId, Line)> = Vec::new();
            let mut notes: Vec<Input> = Vec::new();
            let (memory_shown, plates_shown) = (self.memory_shown, self.plates_shown);
            let is_shown = |effect: &&Effect| match effect {
                Effect::Duty { .. } => false,
                Effect::Remember { .. } => memory_shown,
                Effect::Step { step: RoomStep::Plate(_), .. } => plates_shown,
                _ => true,
            };
            for effect in effects.iter().filter(is_shown) {
                match fence(effect).filter(|_| !self.fences_wait && !self.kernel_waits) {
                    Some(fence) => fences.push(fence),
                    None => lines.push(show::effect(effect)),
                }
                match effect {
                    Effect::Connect { conn, user } => {
                        self.users.insert(*conn, user.clone());
                    }
                    Effect::Query(step) => self.steps.push(step.clone()),
                    Effect::Send { conn, .. } => *taken.entry(*conn).or_default() += 1,
                    Effect::Written { puppet, seq } => {
                        notes.push(Input::Noted { puppet: *puppet, seq: *seq });
                    }
                    Effect::Settle { seq, .. } => assert!(self.settled.insert(seq.0), "settled twice"),
                    Effect::Reported { ask, .. } => assert!(self.reported.insert(ask.0), "reported twice"),
                    _ => {}
                }
            }
            let now = self.now;
            if self.kernel_waits {
                taken.clear();
            }
            for (conn, lines) in taken {
                self.network().handle(now, Input::ConnWritten { conn, lines });
            }
            if self.disk_waits {
                notes.clear();
            }
            for note in notes {
                self.network().handle(now, note);
            }
            for (conn, line) in fences {
                self.network().handle(now, Input::ConnLine { conn, line });
            }
        }
        if let Some(at) = at.filter(|_| !lines.is_empty()) {
            let ms = at.since_ms(BEGIN);
            self.written.push(format!("  at {}.{:03} s", ms / 1000, ms % 1000));
        }
        self.written.extend(show::gathered(lines).into_iter().map(|line| format!("  {line}")));
    }

    /// `1..100 ALIAS`: that many ask.
    fn asks(&mut self, words: &str) {
        let (numbers, alias) = words.split_once(' ').expect("ask N ALIAS");
        let (from, to) = numbers.split_once("..").unwrap_or((numbers, numbers));
        for ask in from.parse().expect("a number")..=to.parse().expect("a number") {
            self.give(Input::AliasAsked { ask: AskId(ask), alias: RoomAlias::new(alias).expect("an alias") });
        }
    }

    /// `3 !q as Ada`, `3 later`, `3 refused`, `3 crowd`: what came of the third thing that was asked for private chats.
    fn done(&mut self, words: &str) {
        let (number, result) = words.split_once(' ').expect("done N RESULT");
        let step = self.steps[number.parse::<usize>().expect("a number") - 1].clone();
        let result = match result {
            "later" => Err(QueryFault::Later("busy".into())),
            "refused" => Err(QueryFault::Refused("no".into())),
            "crowd" => Err(QueryFault::Crowd),
            made => {
                let (in_room, name) =
                    made.split_once(" as ").map_or((made, None), |(room, name)| (room, Some(name)));
                Ok(QueryRoom { room: room(in_room), display_name: name.map(str::to_owned) })
            }
        };
        self.give(Input::QueryDone { step, result });
    }

    /// `7 @ada WHOIS bob`: ada lets her puppet say so.
    fn commands(&mut self, words: &str) {
        let mut parts = words.splitn(3, ' ');
        let (ask, by, line) = (parts.next(), parts.next(), parts.next());
        let (Some(ask), Some(by), Some(line)) = (ask, by, line) else { panic!("command: {words:?}") };
        let ask = AskId(ask.parse().expect("a number"));
        self.give(Input::Errand { ask, user: user(by), errand: Errand::Line(unescaped(line)) });
    }

    fn irc(&mut self, words: &str) {
        let (conn, what) = words.split_once(' ').expect("irc CONN WHAT");
        let conn = conn_id(conn);
        let (verb, rest) = what.split_once(' ').unwrap_or((what, ""));
        self.give(match verb {
            "<" => {
                let text = unescaped(rest);
                Input::ConnLine { conn, line: Line::parse(&text).expect("an IRC line") }
            }
            "opens" => Input::ConnOpened { conn, opening: self.opening(conn, rest) },
            "written" => Input::ConnWritten { conn, lines: rest.parse().expect("a number") },
            "lost:" => Input::ConnClosed { conn, why: CloseReason::Lost(rest.to_owned()) },
            "unreachable:" => Input::ConnClosed { conn, why: CloseReason::DialFailed(rest.to_owned()) },
            "closed" => Input::ConnClosed { conn, why: CloseReason::Asked },
            _ => panic!("a connection cannot {verb:?}"),
        });
    }

    /// What the shell would give with `opens tls account=ada password=secret certificate nonce=abc`; every word
    /// may be missing.
    fn opening(&self, conn: ConnId, words: &str) -> Box<Opening> {
        let user = self.users.get(&conn).expect("a connection that was asked for");
        let ident = ident::candidates(user, 9).next().expect("they go on without end");
        let mut opening = Opening::plain(&ident);
        let mut login = Login { account: String::new(), password: None, certificate: Certificate::None };
        for word in words.split_whitespace() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("tls", "") => opening.wire = Wire::Tls,
                ("account", name) => login.account = name.to_owned(),
                ("password", text) => login.password = Some(Secret::new(text)),
                ("certificate", "") => login.certificate = Certificate::Shown,
                ("address", text) => opening.identity.address = Some(text.to_owned()),
                ("nonce", text) => opening.nonce = text.to_owned(),
                _ => panic!("a connection does not open with {word:?}"),
            }
        }
        opening.login = (!login.account.is_empty()).then_some(login);
        Box::new(opening)
    }

    /// `welcome 0.1 ada`: the socket opens and the greeting comes, in short.
    fn welcome(&mut self, words: &str) {
        let (conn, nick) = words.split_once(' ').expect("welcome CONN NICK");
        self.irc(&format!("{conn} opens"));
        self.irc(&format!("{conn} < :srv 001 {nick} :Welcome"));
        self.irc(&format!("{conn} < :srv 376 {nick} :End of MOTD"));
    }

    fn matrix(&mut self, words: &str, before: Before) {
        let mut parts = words.splitn(3, ' ');
        let (sender, verb, rest) = (parts.next(), parts.next(), parts.next());
        let (Some(sender), Some(verb), Some(rest)) = (sender, verb, rest) else {
            panic!("matrix: {words:?}")
        };
        self.seq += 1;
        let event = match verb {
            "says" => self.message(sender, BodyKind::Text, rest),
            "emotes" => self.message(sender, BodyKind::Emote, rest),
            "notices" => self.message(sender, BodyKind::Notice, rest),
            "joins" | "leaves" | "knocks" => membership(sender, verb, rest),
            "removes" => removal(sender, rest, Membership::Leave),
            "bans" => removal(sender, rest, Membership::Ban),
            "invites" => invitation(sender, rest),
            "topics" => self.topic(sender, rest),
            "shuts" => self.door(sender, rest, Doorway::Shut),
            "opens" => self.door(sender, rest, Doorway::Open),
            "empowers" => MatrixEvent::PowerLevels { room: room(rest), sender: user(sender) },
            "sends" | "replies" | "edits" | "threads" | "reacts" | "redacts" | "encrypts" => {
                content::event(sender, verb, rest, self.seq, self.now)
            }
            "closes" => closing(sender, rest),
            "does" => MatrixEvent::Other { room: room(rest), kind: "m.reaction".into() },
            _ => panic!("nobody can {verb:?}"),
        };
        self.give(Input::Matrix { seq: InboxSeq(self.seq), event, before });
    }

    fn door(&self, sender: &str, rest: &str, door: Doorway) -> MatrixEvent {
        let event_id = EventId::new(&format!("$e{}", self.seq)).expect("an event id");
        MatrixEvent::JoinRules { room: room(rest), event_id, sender: user(sender), door }
    }

    /// `in !r: text`.
    fn topic(&self, sender: &str, rest: &str) -> MatrixEvent {
        let (in_room, topic) = rest.trim_start_matches("in ").split_once(": ").expect("in ROOM: TEXT");
        let event_id = EventId::new(&format!("$e{}", self.seq)).expect("an event id");
        MatrixEvent::Topic { room: room(in_room), event_id, sender: user(sender), topic: unescaped(topic) }
    }

    /// `in !r: text` or `in !r 9m ago: text`.
    fn message(&self, sender: &str, kind: BodyKind, rest: &str) -> MatrixEvent {
        let (place, text) = rest.trim_start_matches("in ").split_once(": ").expect("in ROOM: TEXT");
        let (in_room, age) = match place.split_once(' ') {
            Some((in_room, age)) => (in_room, milliseconds(age.trim_end_matches(" ago"))),
            None => (place, 0),
        };
        MatrixEvent::Message {
            room: room(in_room),
            event_id: EventId::new(&format!("$e{}", self.seq)).expect("an event id"),
            sender: user(sender),
            body: MessageBody::plain(kind, unescaped(text)),
            relation: Relation::None,
            origin_ms: self.now.0 - age,
        }
    }
}

/// `#c mute @ada:hs 0 eve: reason`, with `-` for no subject or for nobody; an earlier run was asked so.
fn rule(words: &str) -> Input {
    let mut parts = words.splitn(5, ' ');
    let mut part = || parts.next().expect("CHANNEL KIND SUBJECT NUMBER NICK");
    let (channel, kind, subject, number, by) = (part().to_owned(), part(), part(), part(), part());
    // `room=@ada` is a room that she asked for.
    let (kind, asker) = kind.split_once('=').map_or((kind, None), |(kind, asker)| (kind, Some(user(asker))));
    let asker = asker.as_ref().map(UserId::as_str);
    let asked = Asked::read(kind, subject.trim_matches('-'), number.parse().expect("a number"), asker);
    let (by, reason) = by.split_once(": ").map_or((by, None), |(by, reason)| (by, Some(reason.to_owned())));
    let (asked, by) = (asked.expect("a rule"), by.trim_start_matches('-').to_owned());
    Input::Rule(Rule { channel, asked, by, reason, since: Time(0) })
}

/// `!r @irc_bob @irc_eve`: an earlier run left these in the room.
fn ghosts(words: &str) -> Input {
    let mut words = words.split(' ');
    let room = room(words.next().expect("a room"));
    Input::GhostsIn { room, ghosts: words.map(user).collect() }
}

/// `!r @irc_bob done`, or `refused: you are banned`; `!r topic not taken`, `!r power done`, `!r ban=@irc_eve done`,
/// `!space room=!r done`.
fn stepped(words: &str) -> Input {
    let mut words = words.splitn(3, ' ');
    let mut word = || words.next().expect("ROOM WHAT RESULT");
    let (room, key) = (room(word()), word());
    let key = match key {
        "topic" => StepKey::Topic,
        "power" => StepKey::Power,
        "door" => StepKey::Door,
        "plate" => StepKey::Plate(NetworkId::new("net").unwrap()),
        "join_rule" => StepKey::JoinRule,
        key => match key.split_once('=') {
            Some(("ban", ghost)) => StepKey::Ban(user(ghost)),
            Some((_, child)) => StepKey::Place(self::room(child)),
            None => StepKey::Ghost(user(key)),
        },
    };
    let result = word();
    let result = match result.split_once(": ") {
        Some((_, words)) => StepResult::Refused(words.to_owned()),
        None if result == "done" => StepResult::Done,
        None => StepResult::NotTaken,
    };
    Input::StepDone { room, key, result }
}

/// `!s known`, of an earlier run; `!s found`; `- refused: why`.
fn space(words: &str) -> Input {
    let (place, what) = words.split_once(' ').expect("ROOM WHAT");
    match what.split_once(": ") {
        Some((_, why)) => Input::SpaceFound(Err(why.to_owned())),
        None if what == "known" => Input::Space(room(place)),
        None => Input::SpaceFound(Ok(room(place))),
    }
}

fn rooms(text: &str) -> Rooms {
    match text {
        "none" => Rooms::None,
        "portals" => Rooms::Portals,
        _ => Rooms::All,
    }
}

/// `3 $e`: the homeserver has taken the third line, as this event.
fn named(words: &str) -> Input {
    let (seq, event) = words.split_once(' ').expect("named SEQ EVENT");
    let seq = RelaySeq(seq.parse().expect("a number"));
    Input::Said { seq, event: EventId::new(event).expect("an event id") }
}

/// `7 !r $e [m1] <eve> text`, with `-` for no event.
fn remembered(words: &str) -> Input {
    let mut parts = words.splitn(5, ' ');
    let mut part = || parts.next().expect("ID ROOM EVENT [MSGID] <NICK> TEXT");
    let (id, in_room, event, msgid, said) = (part(), part(), part(), part(), part());
    let (nick, excerpt) = said.trim_start_matches('<').split_once("> ").expect("<NICK> TEXT");
    let author = Author::Irc(Nick::new(nick, CaseMap::default()).expect("a nick"));
    let msgids = vec![msgid.trim_matches(['[', ']']).into()];
    let (room, event) = (room(in_room), EventId::new(event));
    let said = Said { room, event, msgids, author, excerpt: excerpt.to_owned(), life: Life::Stands };
    Input::Remembered(Saying { id: id.parse().expect("a number"), seq: None, said })
}

/// The server's answer to a fence.
fn fence(effect: &Effect) -> Option<(ConnId, Line)> {
    let Effect::Send { conn, line } = effect else { return None };
    let token = line.strip_prefix("PING ").filter(|token| token.starts_with("bunraku-"))?;
    Some((*conn, Line::parse(&format!(":srv PONG srv :{token}")).expect("an IRC line")))
}

/// `!r` or `!r as Ada Lovelace`.
fn membership(sender: &str, verb: &str, rest: &str) -> MatrixEvent {
    let (in_room, name) = match rest.split_once(" as ") {
        Some((in_room, name)) => (in_room, Some(name.to_owned())),
        None => (rest, None),
    };
    let membership = match verb {
        "joins" => Membership::Join,
        "knocks" => Membership::Knock,
        _ => Membership::Leave,
    };
    let target = Member { user: user(sender), display_name: name };
    MatrixEvent::Member {
        room: room(in_room),
        sender: user(sender),
        target,
        membership,
        reason: None,
        is_direct: false,
    }
}

/// `@ada from !r: reason`.
fn removal(sender: &str, rest: &str, membership: Membership) -> MatrixEvent {
    let (target, rest) = rest.split_once(" from ").expect("USER from ROOM");
    let (in_room, reason) = match rest.split_once(": ") {
        Some((in_room, reason)) => (in_room, Some(unescaped(reason))),
        None => (rest, None),
    };
    MatrixEvent::Member {
        room: room(in_room),
        sender: user(sender),
        target: Member { user: user(target), display_name: None },
        membership,
        reason,
        is_direct: false,
    }
}

/// `@irc_eve to !q`, or `@irc_eve to !q directly`.
fn invitation(sender: &str, rest: &str) -> MatrixEvent {
    let (target, rest) = rest.split_once(" to ").expect("USER to ROOM");
    let (in_room, is_direct) = rest.strip_suffix(" directly").map_or((rest, false), |room| (room, true));
    MatrixEvent::Member {
        room: room(in_room),
        sender: user(sender),
        target: Member { user: user(target), display_name: None },
        membership: Membership::Invite,
        reason: None,
        is_direct,
    }
}

/// `!q @ada eve`, and `left`, `gone`, `account=eve`, `mask=e@h`, `name=Ada`, each of which may be missing.
fn query(words: &str) -> Input {
    let mut words = words.split(' ');
    let (in_room, person) = (words.next().expect("a room"), words.next().expect("a user"));
    let nick = words.next().expect("a nick").to_owned();
    let (mut standing, mut account, mut mask, mut display_name) = (QueryStanding::Open, None, None, None);
    let mut absence = AbsenceTold::No;
    for word in words {
        match word.split_once('=') {
            None if word == "gone" => absence = AbsenceTold::Yes,
            None => standing = QueryStanding::Left,
            Some(("account", text)) => account = Some(text.to_owned()),
            Some(("mask", text)) => mask = Some(text.to_owned()),
            Some((_, text)) => display_name = Some(text.to_owned()),
        }
    }
    let (user, room) = (user(person), room(in_room));
    Input::Query(QueryRow { user, nick, room, standing, account, mask, display_name, absence })
}

fn portal(verb: &str, words: &str) -> PortalRow {
    let (in_room, channel) = words.split_once(' ').expect("ROOM CHANNEL");
    let origin = match verb {
        "mapped" => PortalOrigin::Config,
        "plumbed" => PortalOrigin::Plumbed,
        _ => PortalOrigin::Alias,
    };
    PortalRow { room: room(in_room), channel: channel.to_owned(), origin }
}

/// `!r #c`, or `!r #c not: words`: what became of it that a room was to be paired with a channel.
fn paired(words: &str) -> Input {
    let (pair, words) = words.split_once(" not: ").map_or((words, None), |(pair, words)| (pair, Some(words)));
    let (in_room, channel) = pair.split_once(' ').expect("ROOM CHANNEL");
    let result = words.map_or(Ok(()), |words| Err(Unplumbable::Unfit { words: words.to_owned() }));
    Input::Plumbed { room: room(in_room), channel: channel.to_owned(), result }
}

/// `!r for !new`.
fn closing(sender: &str, rest: &str) -> MatrixEvent {
    let (old, to) = rest.split_once(" for ").expect("ROOM for ROOM");
    MatrixEvent::Tombstone { room: room(old), sender: user(sender), to: room(to) }
}

/// `!r !new has @ada @bob`, with `!next by @eve` behind it where that one is replaced already, or `!r !new stranger`.
fn succeeded(words: &str) -> Input {
    let words: Vec<&str> = words.split(' ').collect();
    let result = match words[2] {
        "closed" => Err(Unfit::Closed),
        "missing" => Err(Unfit::Missing),
        "stranger" => Err(Unfit::Stranger),
        "taken" => Err(Unfit::Taken),
        "overtaken" => Err(Unfit::Overtaken),
        "unknown" => Err(Unfit::Unknown),
        "powerless" => Err(Unfit::Powerless),
        "readable" => Err(Unfit::Readable),
        _ => {
            let next = words.iter().position(|word| *word == "by");
            let people = &words[3..next.map_or(words.len(), |by| by - 1)];
            let member = |id: &&str| Member { user: user(id), display_name: None };
            let next = next.map(|by| (room(words[by - 1]), user(words[by + 1])));
            Ok(Successor { members: people.iter().map(member).collect(), next })
        }
    };
    Input::Succeeded { room: room(words[0]), to: room(words[1]), result }
}

/// `7 channel #c`, `7 alias #irc_#c:hs`, `7 nick eve`, `7 ghost @irc_eve`.
fn looked_up(words: &str) -> Input {
    let mut words = words.splitn(3, ' ');
    let (ask, kind, name) = (words.next(), words.next(), words.next().expect("ASK KIND NAME"));
    let ask = AskId(ask.expect("a number").parse().expect("a number"));
    let what = match kind.expect("a kind") {
        "channel" => LookUp::Channel(unescaped(name)),
        "alias" => LookUp::Alias(RoomAlias::new(name).expect("an alias")),
        "nick" => LookUp::Nick(unescaped(name)),
        _ => LookUp::Ghost(user(name)),
    };
    Input::LookUp { ask, what }
}

/// `!r @ada @bob`: all who type in a room.
fn typing(words: &str) -> Input {
    let mut words = words.split(' ');
    let room = room(words.next().expect("a room"));
    Input::Typing { room, users: words.map(user).collect() }
}

/// `p0 1`: it is on the disk that this puppet's message was said.
fn noted(words: &str) -> Input {
    let (puppet, seq) = words.split_once(' ').expect("noted PUPPET SEQ");
    let puppet = PuppetId(puppet.trim_start_matches('p').parse().expect("a number"));
    Input::Noted { puppet, seq: InboxSeq(seq.parse().expect("a number")) }
}

/// `@ada countess`: an earlier run gave her this nick.
fn chosen(words: &str) -> Input {
    let (who, nick) = words.split_once(' ').expect("WHO NICK");
    Input::NickKept(NickRow { user: user(who), nick: nick.to_owned() })
}

/// `@ada #c secret`: what an earlier run kept.
fn key(words: &str) -> Input {
    let [who, channel, key] = words.splitn(3, ' ').collect::<Vec<_>>()[..] else { panic!("WHO CHANNEL KEY") };
    Input::KeyKept { user: user(who), channel: channel.to_owned(), key: Secret::new(key) }
}

/// `@ada Countess of Lovelace`: the realname that an earlier run kept.
fn real(words: &str) -> Input {
    let (who, realname) = words.split_once(' ').expect("WHO REALNAME");
    Input::RealnameKept { user: user(who), realname: realname.to_owned() }
}

/// `@ada eve!*@* *!*@host`: whom an earlier run kept as ignored.
fn ignored(words: &str) -> Input {
    let (who, masks) = words.split_once(' ').expect("WHO MASKS");
    Input::IgnoresKept { user: user(who), masks: masks.split(' ').map(str::to_owned).collect() }
}

/// `@ada admin room`, or `@ada rooms`: where somebody is told what concerns only them.
fn reached(words: &str) -> Input {
    let (who, place) = words.split_once(' ').expect("WHO PLACE");
    let reach = if place == "admin room" { Reach::AdminRoom } else { Reach::Rooms };
    Input::Reach { user: user(who), reach }
}

/// `@ada in !r done`, or `@ada in !r refused: words`: what the homeserver said to a removal.
fn kicked(words: &str) -> Input {
    let (who, rest) = words.split_once(" in ").expect("WHO in ROOM RESULT");
    let (in_room, result) = rest.split_once(' ').expect("ROOM RESULT");
    let result = result.split_once(": ").map_or(Ok(()), |(_, words)| Err(words.to_owned()));
    Input::KickDone { room: room(in_room), user: user(who), result }
}

/// `!r @ada not on IRC`: an earlier run was about to remove them.
fn barred(words: &str) -> Input {
    let [in_room, who, reason] = words.splitn(3, ' ').collect::<Vec<_>>()[..] else {
        panic!("ROOM WHO REASON")
    };
    Input::Barred(BarRow { room: room(in_room), user: user(who), reason: reason.to_owned() })
}

/// `!r !new @ada closed`: an earlier run could not follow it.
fn tombstone(words: &str) -> Input {
    let [of, to, sender, why] = words.split(' ').collect::<Vec<_>>()[..] else { panic!("ROOM TO WHO WHY") };
    let why = Unfit::read(why).expect("a reason");
    Input::Tombstoned(TombstoneRow { room: room(of), to: room(to), sender: user(sender), why })
}

/// `!r @irc_eve *!eve@h`: an earlier run has banned them.
fn banned(words: &str) -> Input {
    let [in_room, ghost, mask] = words.split(' ').collect::<Vec<_>>()[..] else { panic!("ROOM GHOST MASK") };
    Input::Banned(BanRow { room: room(in_room), ghost: user(ghost), mask: mask.to_owned() })
}

/// `@ada banned: words`.
fn held(words: &str) -> Input {
    let (who, words) = words.split_once(": ").expect("WHO ENDING: WORDS");
    let (who, ending) = who.split_once(' ').expect("WHO ENDING");
    let (ending, words) = (ending.to_owned(), words.to_owned());
    Input::Held(HoldRow { user: user(who), ending, words, since: Time(0) })
}

/// `!r @ada=Ada @bob`.
fn members(words: &str) -> Input {
    let mut words = words.split(' ');
    let room = room(words.next().expect("a room"));
    let member = |word: &str| {
        let (id, name) = word.split_once('=').map_or((word, None), |(id, name)| (id, Some(name.to_owned())));
        Member { user: user(id), display_name: name }
    };
    Input::Members { room, members: words.map(member).collect() }
}

/// `room made ALIAS !r`, `room failed ALIAS`, `alias added ALIAS`, `alias failed ALIAS`.
fn made(verb: &str, words: &str) -> Input {
    let words: Vec<&str> = words.split(' ').collect();
    let alias = RoomAlias::new(words[1]).expect("an alias");
    match (verb, words[0]) {
        ("room", "made") => Input::RoomCreated { alias, result: Ok(room(words[2])) },
        ("room", _) => Input::RoomCreated { alias, result: Err("no".into()) },
        (_, "added") => Input::AliasAdded { alias, result: Ok(()) },
        (_, _) => Input::AliasAdded { alias, result: Err("no".into()) },
    }
}

pub(super) fn user(text: &str) -> UserId {
    let full = if text.contains(':') { text.to_owned() } else { format!("{text}:hs") };
    UserId::new(&full).expect("a user id")
}

fn room(text: &str) -> RoomId {
    RoomId::new(text).expect("a room id")
}

fn conn_id(text: &str) -> ConnId {
    let (puppet, generation) = text.split_once('.').expect("PUPPET.GENERATION");
    let puppet = PuppetId(puppet.parse().expect("a number"));
    ConnId { puppet, generation: generation.parse().expect("a number") }
}

pub(super) fn milliseconds(text: &str) -> u64 {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().expect("a number");
    match unit {
        "ms" => number,
        "s" => number * 1_000,
        "m" => number * 60_000,
        _ => panic!("a time is 5ms, 5s or 5m, not {text:?}"),
    }
}

/// `\n`, `\r`, `\0`, `\1`, `\2` and `\3` for bold and colour, `\s` for a space; `{word*900}` is the word that often.
pub(super) fn unescaped(text: &str) -> String {
    let mut out = text
        .replace("\\n", "\n")
        .replace("\\r", "\r")
        .replace("\\0", "\0")
        .replace("\\s", " ")
        .replace("\\1", "\u{1}")
        .replace("\\2", "\u{2}")
        .replace("\\3", "\u{3}")
        .replace("\\x11", "\u{11}");
    while let Some((before, rest)) = out.split_once('{')
        && let Some((inner, after)) = rest.split_once('}')
        && let Some((word, count)) = inner.split_once('*')
    {
        out = format!("{before}{}{after}", word.repeat(count.parse().expect("a number")));
    }
    out
}
