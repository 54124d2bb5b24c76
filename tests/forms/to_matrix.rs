//! The cases of `tests/forms/to_matrix.txt`: lines of a server go through the machine, and what it relays is shown as the
//! homeserver is given it.

use std::fmt::Write as _;

use bunraku::bridge::effect::{Effect, Speaker};
use bunraku::bridge::input::{Input, Member, Opening, PortalOrigin, PortalRow};
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::ids::{ConnId, EventId, RelaySeq, RoomId, UserId};
use bunraku::matrix::content;
use bunraku::text::line::Line;
use serde_json::{Value, json};

use super::{Case, NOW, cases, hold, policy};

const FILE: &str = "tests/forms/to_matrix.txt";

#[test]
pub fn every_form_of_irc_becomes_what_stands_below_it() {
    let (head, cases) = cases(FILE);
    let mut text = head;
    for case in &cases {
        write!(text, "\n## {}\n", case.name).expect("a text grows");
        for line in case.values("irc") {
            writeln!(text, "irc: {line}").expect("a text grows");
        }
        for event in Stage::new().play(case) {
            writeln!(text, "matrix: {event}").expect("a text grows");
        }
    }
    hold(FILE, &text);
}

/// A network with ada and bob in a channel, eve being there already.
struct Stage {
    network: Network,
    first: Option<ConnId>,
    relayed: i64,
    events: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let seqs = RelaySeqs { next: RelaySeq(1), step: 1 };
        let network = Network::new(policy(), None, seqs, 1);
        Self { network, first: None, relayed: 0, events: Vec::new() }
    }

    fn play(mut self, case: &Case) -> Vec<String> {
        let room = RoomId::new("!r:hs").expect("a room");
        let origin = PortalOrigin::Alias;
        self.give(Input::Portal(PortalRow { room: room.clone(), channel: "#c".into(), origin }));
        let member = |name: &str| Member {
            user: UserId::new(&format!("@{name}:hs")).expect("a user"),
            display_name: Some(name.to_owned()),
        };
        self.give(Input::Members { room, members: vec![member("ada"), member("bob")] });
        self.give(Input::Started);
        let conn = self.first.expect("somebody is connected");
        for line in case.values("irc") {
            let line = line.chars().map(code).collect::<String>();
            self.give(Input::ConnLine { conn, line: Line::parse(&line).expect("a line") });
        }
        self.events
    }

    /// Gives an input, and answers as the kernel, the server and the homeserver do, until nothing more is asked.
    fn give(&mut self, input: Input) {
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.network.handle(NOW, input);
            let mut effects = Vec::new();
            self.network.take_effects(&mut effects);
            for effect in effects {
                inputs.extend(self.perform(effect));
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Vec<Input> {
        match effect {
            Effect::Connect { conn, user } => {
                self.first.get_or_insert(conn);
                vec![Input::ConnOpened { conn, opening: Box::new(Opening::plain(user.localpart())) }]
            }
            Effect::Send { conn, line } => {
                let line = Line::parse(&line).expect("a line");
                let heard = server(conn, &line).into_iter().map(|line| {
                    let line = Line::parse(&line).expect("a line");
                    Input::ConnLine { conn, line }
                });
                std::iter::once(Input::ConnWritten { conn, lines: 1 }).chain(heard).collect()
            }
            Effect::Relay(relay) => {
                self.relayed += 1;
                self.show(&relay.speaker, &content::of_relay(&relay));
                let event = EventId::new(&format!("${}", self.relayed)).expect("an event");
                vec![Input::Said { seq: relay.seq, event }]
            }
            Effect::Mark(mark) => {
                let content: Value = serde_json::from_str(&content::of_mark(&mark)).expect("JSON");
                let event = json!({ "type": content::mark_kind(&mark.sign), "content": content });
                self.show(&mark.speaker, &event.to_string());
                self.relayed += 1;
                let event = EventId::new(&format!("${}", self.relayed)).expect("an event");
                vec![Input::Said { seq: mark.seq, event }]
            }
            Effect::Typing { ghost, for_ms, .. } => {
                let content = match for_ms {
                    0 => json!({ "typing": false }),
                    timeout => json!({ "typing": true, "timeout": timeout }),
                };
                let event = json!({ "type": "m.typing", "content": content });
                self.events.push(format!("{} {event}", ghost.as_str().trim_end_matches(":hs")));
                Vec::new()
            }
            Effect::Redact(redact) => {
                let content: Value = serde_json::from_str(&content::of_redact(&redact)).expect("JSON");
                let redacts = redact.event.as_str();
                let event = json!({ "type": "m.room.redaction", "redacts": redacts, "content": content });
                self.show(&redact.speaker, &event.to_string());
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn show(&mut self, speaker: &Speaker, json: &str) {
        let who = match speaker {
            Speaker::Bot => "@bridge",
            Speaker::Ghost(ghost) => ghost.user.as_str().trim_end_matches(":hs"),
        };
        self.events.push(format!("{who} {json}"));
    }
}

/// What the server answers to one of ours; eve is in the channel.
fn server(conn: ConnId, line: &Line) -> Vec<String> {
    let nick = if conn.puppet.0 == 0 { "ada" } else { "bob" };
    let caps = "batch draft/message-redaction draft/multiline=max-bytes=4096 message-tags";
    match line.command.as_str() {
        "CAP" if line.param(0) == "LS" => vec![format!(":srv CAP * LS :{caps}")],
        "CAP" if line.param(0) == "REQ" => vec![format!(":srv CAP * ACK :{}", line.param(1))],
        "CAP" => vec![format!(":srv 001 {nick} :Welcome"), format!(":srv 376 {nick} :End of MOTD")],
        "JOIN" => vec![
            format!(":{nick}!u@h JOIN #c"),
            format!(":srv 353 {nick} = #c :{nick} eve"),
            format!(":srv 366 {nick} #c :End"),
        ],
        "PING" => vec![format!(":srv PONG srv :{}", line.param(0))],
        _ => Vec::new(),
    }
}

/// The code that a sign stands for.
fn code(c: char) -> char {
    match c {
        '\u{2400}'..='\u{241f}' => char::from_u32(c as u32 - 0x2400).expect("a control character"),
        c => c,
    }
}
