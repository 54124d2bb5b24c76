//! The forms of messages, each side beside the other: every case of `tests/forms/to_irc.txt` goes through the machine and
//! becomes what stands below it, and `docs/MESSAGES.md` is made of these cases and of those of `tests/forms/to_matrix.txt`,
//! so that it cannot say anything else.
//!
//! `BUNRAKU_BLESS=1 cargo test --test forms` writes the cases and the page anew.

#[path = "forms/to_matrix.rs"]
mod to_matrix;

mod quiet;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bunraku::bridge::effect::Effect;
use bunraku::bridge::input::{Before, Input, Member, Opening, PortalOrigin, PortalRow};
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::{
    Asides, ConnectPace, Directory, Flood, Members, Moderation, PingPace, Policy, Power, Shown, Topics,
};
use bunraku::ids::{ConnId, InboxSeq, RelaySeq, RoomId, Time, UserId};
use bunraku::matrix::decode::decode;
use bunraku::text::irc_codes::Codes;
use bunraku::text::line::Line;
use bunraku::text::link::Links;
use bunraku::text::template::NickTemplate;
use serde_json::{Value, json};

const PAGE: &str = "docs/MESSAGES.md";
const NOW: Time = Time(1_000_000);

/// A section of a file of cases.
struct Case {
    name: String,
    /// Every line of it as it stands there, `key: value`.
    lines: Vec<(String, String)>,
}

impl Case {
    fn values(&self, key: &str) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(move |(found, _)| found == key).map(|(_, value)| value.as_str())
    }
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// What stands before the first case, and the cases.
fn cases(file: &str) -> (String, Vec<Case>) {
    let text = std::fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (head, rest) = text.split_once("\n## ").expect("a case");
    let case = |section: &str| {
        let (name, body) = section.split_once('\n').unwrap_or((section, ""));
        let line = |line: &str| {
            let (key, value) = line.split_once(':').unwrap_or_else(|| panic!("{file}, {name}: {line}"));
            (key.trim().to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned())
        };
        let lines = body.lines().filter(|line| !line.trim().is_empty()).map(line).collect();
        Case { name: name.trim().to_owned(), lines }
    };
    (head.to_owned(), rest.split("\n## ").map(case).collect())
}

fn is_blessed() -> bool {
    std::env::var_os("BUNRAKU_BLESS").is_some()
}

/// Holds a file to what it should say, or writes it.
fn hold(file: &str, expected: &str) {
    if is_blessed() {
        return std::fs::write(path(file), expected).expect("a file to write");
    }
    let found = std::fs::read_to_string(path(file)).unwrap_or_default();
    let different = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(
        found == expected,
        "{file} is not as it should be, first here: {different:?}; see tests/forms.rs"
    );
}

#[test]
fn every_form_of_matrix_becomes_what_stands_below_it() {
    let (head, cases) = cases("tests/forms/to_irc.txt");
    let mut text = head;
    for case in &cases {
        write!(text, "\n## {}\n", case.name).expect("a text grows");
        for (key, value) in case.lines.iter().filter(|(key, _)| key != "irc") {
            writeln!(text, "{key}: {value}").expect("a text grows");
        }
        for line in Stage::new(case).play() {
            writeln!(text, "irc: {line}").expect("a text grows");
        }
    }
    hold("tests/forms/to_irc.txt", &text);
}

#[test]
fn the_page_shows_the_cases() {
    if is_blessed() {
        // The page is made of them.
        every_form_of_matrix_becomes_what_stands_below_it();
        to_matrix::every_form_of_irc_becomes_what_stands_below_it();
    }
    let mut page = String::from(include_str!("forms/page.md"));
    for (title, file) in [
        ("From Matrix to IRC", "tests/forms/to_irc.txt"),
        ("From IRC to Matrix", "tests/forms/to_matrix.txt"),
    ] {
        if !path(file).exists() {
            continue;
        }
        write!(page, "\n## {title}\n\n| | {} | {} |\n|---|---|---|\n", sides(file).0, sides(file).1)
            .expect("a text grows");
        for case in cases(file).1 {
            let (first, second) = keys(file);
            let given: Vec<&str> = case.values("given").collect();
            let given =
                if given.is_empty() { String::new() } else { format!("<br>*given: {}*", given.join(", ")) };
            let cell = |key: &str| {
                let cells: Vec<String> = case.values(key).map(|value| shown(key, value)).collect();
                if cells.is_empty() { "*nothing*".to_owned() } else { cells.join("<br>") }
            };
            writeln!(page, "| {}{given} | {} | {} |", case.name, cell(first), cell(second))
                .expect("a text grows");
        }
    }
    hold(PAGE, &page);
}

fn keys(file: &str) -> (&'static str, &'static str) {
    if file.ends_with("to_irc.txt") { ("matrix", "irc") } else { ("irc", "matrix") }
}

fn sides(file: &str) -> (&'static str, &'static str) {
    if file.ends_with("to_irc.txt") { ("on Matrix", "on IRC") } else { ("on IRC", "on Matrix") }
}

/// A line of a case in a table: events as clients show them where that is simple, else as they are.
fn shown(key: &str, value: &str) -> String {
    let (who, json) = value.split_once(" {").map_or(("", value), |(who, _)| (who, &value[who.len() + 1..]));
    let content = serde_json::from_str::<Value>(json).ok().filter(|_| key == "matrix");
    let text = content.as_ref().and_then(said);
    match text {
        Some(text) => format!("**{}** {text}", in_table(who)),
        None => format!("`` {} ``", in_table(value)),
    }
}

/// What a client shows of a message; `None` for an event that says nothing.
fn said(content: &Value) -> Option<String> {
    let edited = content.get("m.new_content");
    if let Some(kind) = content["type"].as_str() {
        return Some(done(kind, &content["content"]));
    }
    let (content, prefix) = match edited {
        Some(new) => (new, "*(edited)* "),
        None if content["m.relates_to"]["rel_type"] == "m.thread" => (content, "*(in the thread)* "),
        None if content["m.relates_to"]["m.in_reply_to"].is_object() => (content, "*(in reply)* "),
        None => (content, ""),
    };
    let body = content.get("formatted_body").or_else(|| content.get("body"))?.as_str()?;
    let body = match content.get("formatted_body") {
        // Nobody is shown this, here neither.
        Some(_) if body.contains("<script") => format!("`` {} ``", in_table(body)),
        Some(_) => body.replace('|', "\\|").replace('\n', "<br>"),
        None => in_table(&body.replace('<', "&lt;")).replace('\n', "<br>"),
    };
    let kind = content["msgtype"].as_str().filter(|kind| *kind != "m.text");
    let kind = kind.map(|kind| format!("`{kind}` ")).unwrap_or_default();
    Some(format!("{prefix}{kind}{body}"))
}

/// What a client shows of an event that is no message.
fn done(kind: &str, content: &Value) -> String {
    let word = |value: &Value| in_table(value.as_str().unwrap_or_default());
    match kind {
        "m.reaction" => format!(
            "*(reacts to {} with)* {}",
            word(&content["m.relates_to"]["event_id"]),
            word(&content["m.relates_to"]["key"])
        ),
        "m.typing" if content["typing"] == false => "*(types no longer)*".to_owned(),
        "m.typing" => "*(types)*".to_owned(),
        "m.room.redaction" => {
            format!("*(takes back {})* {}", word(&content["redacts"]), word(&content["reason"]))
        }
        "m.poll.start" => format!("`{kind}` {}", word(&content["m.poll"]["question"]["m.text"][0]["body"])),
        kind => format!("`{kind}` {}", word(&content["body"])),
    }
}

fn in_table(text: &str) -> String {
    text.replace('|', "\\|").replace("\n", if text.contains("``") { " " } else { "⏎" })
}

/// A network with ada and bob in a channel.
struct Stage {
    network: Network,
    nicks: BTreeMap<ConnId, String>,
    takes_tags: bool,
    events: Vec<String>,
    seq: i64,
    msgids: u32,
    said: Vec<String>,
}

impl Stage {
    fn new(case: &Case) -> Self {
        let mut policy = policy();
        let mut takes_tags = false;
        for word in case.values("given").flat_map(|words| words.split(", ")) {
            match word {
                "links" => {
                    policy.links = Some(Arc::new(Links::new("https://b.example", &[7; 32], &policy.network)));
                }
                "no-codes" => policy.forms.formatting.codes = Codes::Off,
                "reactions" => policy.forms.reactions = Shown::On,
                "redactions" => policy.forms.redactions = Shown::On,
                "typing" => policy.typing.to_irc = Shown::On,
                "tags" => takes_tags = true,
                word => {
                    let lines = word.strip_prefix("lines_max ").unwrap_or_else(|| panic!("given {word}"));
                    policy.message_lines_max = lines.parse().expect("a number");
                }
            }
        }
        let seqs = RelaySeqs { next: RelaySeq(1), step: 1 };
        let network = Network::new(policy, None, seqs, 1);
        let events = case.values("matrix").map(str::to_owned).collect();
        let (nicks, said) = (BTreeMap::new(), Vec::new());
        Self { network, nicks, takes_tags, events, seq: 0, msgids: 0, said }
    }

    fn play(mut self) -> Vec<String> {
        let room = RoomId::new("!r:hs").expect("a room");
        let origin = PortalOrigin::Config;
        self.give(Input::Portal(PortalRow { room: room.clone(), channel: "#c".into(), origin }));
        let member = |(id, name): (&str, &str)| Member {
            user: UserId::new(id).expect("a user"),
            display_name: Some(name.to_owned()),
        };
        let members = [("@ada:hs", "ada"), ("@bob:hs", "bob_b")].map(member).to_vec();
        self.give(Input::Members { room, members });
        self.give(Input::Started);
        self.said.clear();
        for event in std::mem::take(&mut self.events) {
            self.event(&event);
        }
        self.said
    }

    fn event(&mut self, words: &str) {
        self.seq += 1;
        let (who, json) = words.split_once(' ').expect("@who JSON");
        let content: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        let (kind, content) = match content.get("type") {
            Some(kind) => (kind.clone(), content["content"].clone()),
            None => (json!("m.room.message"), content),
        };
        if kind == "m.typing" {
            let room = RoomId::new("!r:hs").expect("a room");
            let ids = content["user_ids"].as_array().expect("a list").iter();
            let users = ids.map(|id| UserId::new(id.as_str().expect("text")).expect("a user")).collect();
            self.give(Input::Typing { room, users });
            return self.wait();
        }
        let event = json!({ "type": kind, "room_id": "!r:hs", "event_id": format!("${}", self.seq), "content": content,
            "sender": format!("{who}:hs"), "origin_server_ts": NOW.0 });
        let event = decode(&event.to_string()).expect("an event");
        self.give(Input::Matrix { seq: InboxSeq(self.seq), event, before: Before::New });
    }

    /// Gives an input, and answers as the kernel and the server do, until nothing more is asked.
    fn give(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.network.handle(NOW, input);
            self.perform_all(&mut inputs);
        }
    }

    /// Lets some seconds pass, for what does not go at once.
    fn wait(&mut self) {
        let mut inputs = VecDeque::new();
        while let Some(at) = self.network.poll_timeout().filter(|at| *at <= NOW.plus_ms(3_500)) {
            self.network.handle_timeout(at);
            self.perform_all(&mut inputs);
            inputs.drain(..).for_each(|input| self.give(input));
        }
    }

    fn perform_all(&mut self, inputs: &mut VecDeque<Input>) {
        let mut effects = Vec::new();
        self.network.take_effects(&mut effects);
        for effect in effects {
            self.perform(&effect, inputs);
        }
    }

    fn perform(&mut self, effect: &Effect, inputs: &mut VecDeque<Input>) {
        match effect {
            Effect::Connect { conn, user } => {
                let opening = Box::new(Opening::plain(user.localpart()));
                inputs.push_back(Input::ConnOpened { conn: *conn, opening });
            }
            Effect::Send { conn, line } => {
                inputs.push_back(Input::ConnWritten { conn: *conn, lines: 1 });
                let heard: Vec<String> = self.server(*conn, &Line::parse(line).expect("a line"));
                inputs.extend(heard.iter().map(|line| {
                    let line = Line::parse(line).expect("a line");
                    Input::ConnLine { conn: *conn, line }
                }));
            }
            Effect::Written { puppet, seq } => {
                inputs.push_back(Input::Noted { puppet: *puppet, seq: *seq });
            }
            _ => {}
        }
    }

    /// What the server answers; what is said is written down as others see it.
    fn server(&mut self, conn: ConnId, line: &Line) -> Vec<String> {
        let nick = self.nicks.get(&conn).cloned().unwrap_or_default();
        let caps = "message-tags echo-message draft/message-redaction";
        match line.command.as_str() {
            "CAP" if line.param(0) == "LS" && self.takes_tags => vec![format!(":srv CAP * LS :{caps}")],
            "CAP" if line.param(0) == "REQ" => vec![format!(":srv CAP * ACK :{}", line.param(1))],
            "NICK" => {
                self.nicks.insert(conn, line.param(0).to_owned());
                Vec::new()
            }
            "USER" if !self.takes_tags => welcome(&nick),
            "CAP" if line.param(0) == "END" && self.takes_tags => welcome(&nick),
            "JOIN" => vec![format!(":{nick}!u@h JOIN #c"), format!(":srv 366 {nick} #c :End")],
            "PING" => vec![format!(":srv PONG srv :{}", line.param(0))],
            "PRIVMSG" | "NOTICE" => {
                self.said.push(seen(&nick, line));
                self.msgids += 1;
                let echo =
                    format!("@msgid=m{} :{nick}!u@h {} #c :{}", self.msgids, line.command, line.param(1));
                if self.takes_tags { vec![echo] } else { Vec::new() }
            }
            "TAGMSG" | "REDACT" => {
                self.said.push(line.build().replace('\u{1}', "␁"));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }
}

fn welcome(nick: &str) -> Vec<String> {
    vec![format!(":srv 001 {nick} :Welcome"), format!(":srv 376 {nick} :End of MOTD")]
}

/// A line as IRC clients show it, its codes as signs.
fn seen(nick: &str, line: &Line) -> String {
    let tags: Vec<String> = line
        .tags
        .iter()
        .map(|tag| format!("{}={}", tag.key, tag.value.as_deref().unwrap_or_default()))
        .collect();
    let tags = if tags.is_empty() { String::new() } else { format!("@{} ", tags.join(";")) };
    let text = line.param(1);
    let said = match (text.strip_prefix("\u{1}ACTION "), line.command.as_str()) {
        (Some(deed), _) => format!("* {nick} {}", deed.trim_end_matches('\u{1}')),
        (None, "NOTICE") => format!("-{nick}- {text}"),
        (None, _) => format!("<{nick}> {text}"),
    };
    let sign = |c: char| if c.is_control() { char::from_u32(0x2400 + c as u32).unwrap_or('?') } else { c };
    format!("{tags}{}", said.chars().map(sign).collect::<String>())
}

fn policy() -> Policy {
    Policy {
        nicks: NickTemplate::new("$DISPLAY").expect("a template"),
        flood: Flood { burst: 1_000, line_ms: 0, line_bytes: 0 },
        connect: ConnectPace { interval_ms: 0, ..ConnectPace::default() },
        ping: PingPace { after_ms: 120_000, timeout_ms: 60_000 },
        message_lines_max: 8,
        asides: Asides::Shown,
        topics: Topics::default(),
        power: Power::default(),
        moderation: Moderation::default(),
        members: Members::default(),
        directory: Directory::default(),
        ..quiet::policy()
    }
}
