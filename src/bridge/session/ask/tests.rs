//! Stories of answers, and a model server with which every question gets its own answer under any timing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::bridge::effect::Extent;
use crate::bridge::input::{AskId, BodyKind};
use crate::bridge::relay::to_irc::Saying;
use crate::bridge::session::hear::Heard;
use crate::bridge::session::labels::Offer;
use crate::bridge::session::question::{ANSWER_LINES_MAX, Command, Giver};
use crate::bridge::session::replies;
use crate::bridge::session::send::Part;
use crate::ids::{ChannelName, EventId, Nick, RoomId, UserId};
use crate::text::casemap::CaseMap;
use crate::text::spans::Spans;

const MAP: CaseMap = CaseMap::Rfc1459;

fn channel(text: &str) -> ChannelName {
    ChannelName::new(text, MAP).unwrap()
}

fn nick(text: &str) -> Nick {
    Nick::new(text, MAP).unwrap()
}

fn part(seq: i64, to: &str, index: usize, count: usize) -> Asker {
    let saying = Saying {
        seq: InboxSeq(seq),
        room: RoomId::new("!r").unwrap(),
        event_id: EventId::new("$e").unwrap(),
        sender: UserId::new("@a:b").unwrap(),
        target: channel(to).into(),
        kind: BodyKind::Text,
        text: Spans::default(),
        media: None,
        answer: None,
        corrects: None,
        attribution: None,
        expires: Time(0),
    };
    Asker::Line(Part { saying: Arc::new(saying), index, count })
}

fn command(ask: u64, line: &str) -> (Asker, String) {
    let command = Command::new(Giver::Outside(AskId(ask)), &Line::parse(line).unwrap());
    (Asker::Command(Box::new(command)), line.to_owned())
}

/// Who asked, in short.
fn who(asker: &Asker) -> String {
    match asker {
        Asker::Line(part) => format!("m{}", part.saying.seq.0),
        Asker::Join(channels) => {
            let names: Vec<&str> = channels.iter().map(ChannelName::as_str).collect();
            format!("join {}", names.join(","))
        }
        Asker::Part(channel) => format!("part {channel}"),
        Asker::Nick(nick) => format!("nick {}", nick.as_str()),
        Asker::Names(channel) => format!("names {channel}"),
        Asker::Listing(channel) => format!("listing {channel}"),
        Asker::TopicRead(channel) => format!("topic? {channel}"),
        Asker::ModesRead(channel) => format!("modes? {channel}"),
        Asker::Deed(deed) => format!("{} {} {}", deed.command, deed.channel, deed.mask),
        Asker::Topic(channel) => format!("topic {channel}"),
        Asker::Modes(nick) => format!("modes {}", nick.as_str()),
        Asker::Invite(channel, nick) => format!("invite {} to {channel}", nick.as_str()),
        Asker::Notice(nick) => format!("notice {}", nick.as_str()),
        Asker::Command(command) => match &command.giver {
            Giver::Outside(ask) => format!("c{}", ask.0),
            Giver::Deed(number) => format!("deed {number}"),
            Giver::Reason(channel) => format!("why {channel}"),
            Giver::Rank(number) => format!("rank {number}"),
            Giver::Operators(channel) => format!("operators {channel}"),
            Giver::Asked(channel) => format!("asked {channel}"),
            Giver::Bans(channel) => format!("bans {channel}"),
            Giver::Plumb(ask) => format!("plumb {}", ask.0),
            Giver::AskedAbout(channel, room) => format!("asked {channel} about {room}"),
        },
    }
}

/// One connection's questions, and what became of them in short.
#[derive(Default)]
struct Table(Asks);

impl Table {
    fn ask(&mut self, asker: Asker) {
        self.0.ask(Time(0), asker, String::new());
    }

    fn command(&mut self, ask: u64, line: &str) {
        let (asker, line) = command(ask, line);
        self.0.ask(Time(0), asker, line);
    }

    /// A line comes in: what became known by it.
    fn hears(&mut self, line: &str) -> Vec<String> {
        self.0.hears(&Line::parse(line).unwrap(), MAP, Some(&nick("me")));
        self.answers()
    }

    fn answers(&mut self) -> Vec<String> {
        let told = |Answered { asker, verdict }: Answered| {
            let asked = who(&asker);
            let (verdict, lines) = match asker {
                Asker::Command(command) => {
                    let answer = command.into_answer(verdict);
                    (answer.verdict, format!(" [{}]", answer.lines.len()))
                }
                _ => (verdict, String::new()),
            };
            match verdict {
                Verdict::Accepted => format!("{asked} +{lines}"),
                Verdict::Refused(refusal) => format!("{asked} -{}{lines}", refusal.code),
                Verdict::Doubtful(refusal) => format!("{asked} ~{}{lines}", refusal.code),
                Verdict::Unknown => format!("{asked} ?{lines}"),
            }
        };
        self.0.take_answers().into_iter().map(told).collect()
    }

    fn fence(&mut self) -> Vec<String> {
        let line = self.0.fence_line();
        self.hears(&format!(":srv PONG srv :{}", line.trim_start_matches("PING ")))
    }
}

const NOTHING: [&str; 0] = [];

#[test]
fn each_family_of_numerics_finds_the_question_it_is_about() {
    let mut table = Table::default();
    table.ask(part(1, "#c", 0, 1));
    table.ask(part(2, "#d[]", 0, 1));
    table.ask(Asker::Join(vec![channel("#e"), channel("#f")]));
    table.ask(Asker::Nick(nick("Augusta")));
    table.ask(Asker::Part(channel("#c")));
    table.ask(Asker::Modes(nick("me")));
    table.ask(Asker::Notice(nick("bob")));
    table.ask(Asker::Names(channel("#c")));
    assert_eq!(table.hears(":srv 404 me #D{} :Cannot send to channel"), ["m2 -404"]);
    assert_eq!(table.hears(":srv 473 me #f :Cannot join channel (+i)"), ["join #f -473"]);
    assert_eq!(table.hears(":srv 433 me Augus :in use, and cut short"), ["nick Augusta -433"]);
    assert_eq!(table.hears(":srv 442 me #c :You're not on that channel"), ["m1 -442"], "it was the message");
    assert_eq!(table.hears(":srv 442 me #c :You're not on that channel"), ["part #c -442"]);
    assert_eq!(table.hears(":srv 501 me :Unknown MODE flag"), ["modes me -501"]);
    assert_eq!(table.hears(":srv 401 me BOB :No such nick"), ["notice bob -401"]);
    assert_eq!(table.hears(":srv 401 me eve :No such nick"), NOTHING);
    assert_eq!(table.hears(":srv 366 me #c :End of NAMES"), ["names #c +"]);
    assert_eq!(table.hears(":srv 461 me join :Not enough parameters"), ["join #e -461"]);
    assert!(table.0.open.is_empty());
}

#[test]
fn numbers_of_this_servers_own_count_where_they_name_something() {
    let mut table = Table::default();
    table.ask(Asker::Listing(channel("#c")));
    table.ask(part(1, "#c", 0, 1));
    assert_eq!(table.hears(":srv 599 me #x :No"), NOTHING);
    assert_eq!(table.hears(":srv 599 me #c :No"), ["m1 -599"]);
    table.command(2, "MAP");
    assert_eq!(table.hears(":srv 015 me :irc.example"), NOTHING);
    assert_eq!(table.hears(":srv 396 me host :is now your host"), NOTHING);
    assert_eq!(table.fence(), ["c2 + [1]"]);
}

#[test]
fn a_pong_counts_in_every_form_and_only_where_it_was_asked_for() {
    for pong in [
        ":srv PONG srv :bunraku-1",
        ":srv PONG srv bunraku-1",
        "PONG bunraku-1",
        ":srv PONG bunraku-1 srv",
        ":srv PONG :bunraku-1",
    ] {
        let mut table = Table::default();
        table.ask(part(1, "#c", 0, 1));
        assert_eq!(table.hears(pong), NOTHING, "no fence was sent");
        table.0.fence_line();
        for other in [
            "PONG",
            "PONG bunraku",
            "PONG bunraku-",
            "PONG bunraku-2",
            "PONG srv bunraku-99999999999999999999",
        ] {
            assert_eq!(table.hears(other), NOTHING, "{other}");
        }
        assert_eq!(table.hears(pong), ["m1 +"], "{pong}");
        assert_eq!(table.hears(pong), NOTHING);
    }
}

#[test]
fn the_first_refused_part_refuses_the_message_once() {
    let mut table = Table::default();
    table.ask(part(1, "#c", 0, 3));
    table.ask(part(1, "#c", 1, 3));
    assert_eq!(table.hears(":srv 404 me #c :no"), ["m1 -404"]);
    table.ask(part(1, "#c", 2, 3));
    assert_eq!(table.hears(":srv 404 me #c :no"), NOTHING);
    table.ask(part(2, "#c", 0, 1));
    assert_eq!(table.hears(":srv 404 me #c :no"), NOTHING, "the third part's, or the next message's");
    assert_eq!(table.hears(":srv 404 me #c :no"), ["m2 -404"], "both were refused");
    assert!(table.0.open.is_empty());
}

#[test]
fn where_it_is_not_known_which_was_refused_each_is_in_doubt_and_the_next_are_told_apart() {
    let mut table = Table::default();
    table.ask(part(1, "#c", 0, 2));
    table.ask(part(1, "#c", 1, 2));
    table.ask(part(2, "#c", 0, 1));
    table.ask(part(3, "#d", 0, 1));
    assert_eq!(table.0.fence(Time(0)), Fence::NotNow);
    assert_eq!(table.hears(":srv 404 me #c :no"), NOTHING);
    assert_eq!(table.0.fence(Time(0)), Fence::First, "it has to be known");
    assert_eq!(table.fence(), ["m1 ~404", "m2 ~404", "m3 +"]);
    table.ask(part(4, "#c", 0, 2));
    assert!(table.0.blurs(&part(5, "#c", 0, 1)));
    assert!(!table.0.blurs(&part(4, "#c", 1, 2)) && !table.0.blurs(&part(5, "#d", 0, 1)));
    table.0.fence_line();
    assert!(!table.0.blurs(&part(5, "#c", 0, 1)));
    for seq in 5..5 + i64::from(CAREFUL_LINES) {
        table.ask(part(seq, "#c", 0, 1));
    }
    assert!(!table.0.blurs(&part(99, "#c", 0, 1)), "not for ever");
}

#[test]
fn what_follows_a_joins_echo_is_nobody_elses() {
    let mut table = Table::default();
    table.ask(Asker::Join(vec![channel("#c")]));
    table.command(1, "TOPIC #c");
    table.command(2, "NAMES #c");
    table.0.entered(&channel("#c"));
    assert_eq!(table.answers(), ["join #c +"]);
    for line in [":srv 332 me #c :words", ":srv 353 me = #c :me eve", ":srv 366 me #c :End"] {
        assert_eq!(table.hears(line), NOTHING);
    }
    table.hears(":srv 332 me #c :words");
    assert_eq!(table.hears(":srv 353 me = #c :me"), NOTHING);
    assert_eq!(table.hears(":srv 366 me #c :End"), ["c2 + [2]"]);
    assert_eq!(table.fence(), ["c1 + [1]"]);
}

#[test]
fn a_labelled_answer_is_that_of_its_label() {
    let mut table = Table::default();
    table.0.set_labels(Offer::On);
    assert_eq!(table.0.ask(Time(0), part(1, "#c", 0, 1), "PRIVMSG #c hi".into()), "@label=1 PRIVMSG #c hi");
    table.ask(part(2, "#c", 0, 1));
    table.ask(Asker::Join(vec![channel("#d"), channel("#e")]));
    table.command(3, "WHOIS bob");
    assert_eq!(table.hears("@label=2 :srv 404 me #c :no"), ["m2 -404"]);
    assert_eq!(table.hears(":srv 404 me #c :a stray one"), NOTHING);
    assert_eq!(table.hears("@label=1 :srv ACK"), ["m1 +"]);
    assert_eq!(table.hears("@label=4 :srv BATCH +w labeled-response"), NOTHING);
    assert_eq!(table.hears("@label=3 :srv BATCH +j labeled-response"), NOTHING);
    assert_eq!(table.hears("@batch=w :srv BATCH +inner x"), NOTHING);
    assert_eq!(table.hears("@batch=inner :srv 311 me bob b h * :Bob"), NOTHING);
    assert_eq!(table.hears("@batch=j :srv 471 me #e :full"), ["join #e -471"]);
    assert_eq!(table.hears("@batch=w :srv BATCH -inner"), NOTHING);
    assert_eq!(table.hears("@batch=w :srv 318 me bob :End"), NOTHING);
    assert_eq!(table.hears(":srv BATCH -w"), ["c3 + [2]"]);
    assert_eq!(table.hears(":srv BATCH -j"), ["join #d +"]);
    assert_eq!(table.hears("@label=1 :srv ACK"), NOTHING);
    assert_eq!((table.0.fence(Time(99_999)), table.0.open.len()), (Fence::NotNow, 0), "no fence is needed");
}

#[test]
fn standard_replies_refuse_by_their_command_and_context() {
    let mut table = Table::default();
    table.ask(part(1, "#c", 0, 1));
    table.ask(part(2, "#d", 0, 1));
    table.command(3, "FROB x");
    assert_eq!(table.hears("FAIL PRIVMSG NO #d :not there"), ["m2 -NO"]);
    assert_eq!(table.hears("FAIL REGISTER NO * :not asked"), NOTHING);
    table.hears("FAIL * NO_COMMAND :what?");
    assert_eq!(table.fence(), ["m1 +", "c3 -NO_COMMAND [1]"]);
}

#[test]
fn another_servers_answer_outlives_the_fence_and_a_late_one_is_given_up() {
    let mut table = Table::default();
    table.command(1, "WHOIS far far");
    table.command(2, "VERSION far.example");
    table.command(3, "MOTD nowhere.example");
    assert_eq!(table.fence(), NOTHING);
    assert_eq!(table.hears(":srv 402 me nowhere.example :No such server"), ["c3 -402 [1]"]);
    assert_eq!(table.hears(":far 311 me far f h * :Far"), NOTHING);
    assert_eq!(table.hears(":far 318 me far :End"), ["c1 + [2]"]);
    assert_eq!(table.0.poll_timeout(), Some(Time(ANSWER_MS_MAX)));
    table.0.check(Time(ANSWER_MS_MAX));
    assert_eq!(table.answers(), ["c2 ? [0]"]);
    table.0.check(Time(9 * ANSWER_MS_MAX));
    assert_eq!(table.answers(), NOTHING, "once");
    table.ask(part(1, "#c", 0, 1));
    assert_eq!(table.fence(), ["m1 +"]);
    assert!(table.0.open.is_empty(), "nothing is kept for ever");
}

#[test]
fn bounds_hold_and_nothing_goes_unanswered() {
    let mut table = Table::default();
    table.command(1, "LIST");
    for n in 0..2 * ANSWER_LINES_MAX {
        table.hears(&format!(":srv 322 me #{n} 1 :x"));
    }
    table.0.hears(&Line::parse(":srv 323 me :End").unwrap(), MAP, None);
    let answered = table.0.take_answers().remove(0);
    let Asker::Command(command) = answered.asker else { panic!("a command was asked") };
    let answer = command.into_answer(answered.verdict);
    assert_eq!((answer.lines.len(), answer.extent), (ANSWER_LINES_MAX, Extent::Cut));
    for seq in 0..QUESTIONS_MAX as i64 {
        table.ask(part(seq, "#c", 0, 1));
    }
    assert_eq!(table.answers(), NOTHING);
    table.command(2, "WHOIS bob");
    assert_eq!((table.answers(), table.0.unasked), (vec!["c2 ? [0]".to_owned()], 1));
    table.0.end();
    assert_eq!(table.answers().len(), QUESTIONS_MAX);
}

#[test]
fn what_is_known_to_be_taken_is_asked_about_no_more() {
    let line = |asker: &Asker| asker.line().cloned().unwrap();
    let mut table = Table::default();
    let (first, second) = (part(1, "#c", 0, 1), part(2, "#c", 0, 1));
    table.ask(first.clone());
    table.ask(second.clone());
    table.0.known(&line(&second));
    assert_eq!(table.hears(":srv 404 me #c :no"), ["m1 -404"], "only one is left to be refused");
    table.0.known(&line(&first));
    table.0.check(Time(FENCE_WAIT_MS));
    assert_eq!((table.0.fence(Time(FENCE_WAIT_MS)), table.0.last_fence()), (Fence::NotNow, None));
    table.ask(first.clone());
    table.ask(second.clone());
    assert_eq!(table.hears(":srv 404 me #c :no"), NOTHING, "it is one of the two");
    table.0.known(&line(&first));
    assert_eq!(table.answers(), ["m2 -404"], "and not the one that was taken");
}

#[test]
fn messages_wait_while_a_server_has_too_much_to_answer() {
    let mut table = Table::default();
    for seq in 0..QUESTIONS_MAX as i64 {
        assert!(!table.0.are_full());
        table.ask(part(seq, "#c", 0, 1));
    }
    assert!(table.0.are_full() && table.0.owe_fence());
    table.0.check(Time(ANSWER_MS_MAX));
    assert_eq!(table.answers().len(), QUESTIONS_MAX, "nobody waits for ever");
    assert!(!table.0.are_full(), "those that nobody waits for make room");
    table.ask(part(1000, "#c", 0, 1));
    assert_eq!((table.0.open.len(), table.0.unasked), (QUESTIONS_MAX, 0));
    assert_eq!(table.fence(), ["m1000 +"]);
}

#[test]
fn a_fence_waits_for_company_then_for_its_turn_and_then_goes() {
    let mut asks = Asks::default();
    asks.ask(Time(0), part(1, "#c", 0, 1), String::new());
    assert_eq!((asks.fence(Time(249)), asks.poll_timeout()), (Fence::NotNow, Some(Time(FENCE_WAIT_MS))));
    asks.check(Time(FENCE_WAIT_MS));
    assert_eq!(
        (asks.fence(Time(FENCE_WAIT_MS)), asks.poll_timeout()),
        (Fence::Last, Some(Time(ANSWER_MS_MAX)))
    );
    assert_eq!(asks.fence(Time(FENCE_WAIT_MS + FENCE_LATE_MS)), Fence::First);
    for seq in 2..=UNCOVERED_MAX as i64 {
        asks.ask(Time(FENCE_WAIT_MS), part(seq, "#c", 0, 1), String::new());
    }
    assert_eq!(asks.fence(Time(FENCE_WAIT_MS)), Fence::First);
    assert_eq!(asks.fence_line(), "PING bunraku-16");
    assert_eq!(asks.fence(Time(FENCE_WAIT_MS)), Fence::NotNow);
    let (asker, line) = command(1, "MAP");
    asks.ask(Time(300), asker, line);
    assert_eq!(asks.fence(Time(300)), Fence::First, "somebody waits for it");
}

/// A server that works on lines in order and says to each what it has to say, with the line's own last word where
/// it says anything.
#[derive(Default)]
struct Server {
    up: VecDeque<String>,
    down: VecDeque<String>,
    inside: BTreeSet<String>,
    batches: u64,
    /// How labelled answers come.
    nests: bool,
}

impl Server {
    fn works(&mut self) {
        let Some(line) = self.up.pop_front().and_then(|text| Line::parse(&text)) else { return };
        let target = line.param(0).to_owned();
        let id = line.params.last().cloned().unwrap_or_default();
        let answer: Vec<String> = match line.command.as_str() {
            "PING" => vec![format!("PONG srv :{target}")],
            "PRIVMSG" if id.contains("404") => vec![format!("404 me {target} :{id}")],
            "JOIN" => target.split(',').flat_map(|name| self.joins(name)).collect(),
            "PART" if self.inside.remove(&target) => vec![format!("PART {target}")],
            "PART" => vec![format!("442 me {target} :no")],
            "NICK" if id.starts_with("taken") => vec![format!("433 me {id} :no")],
            "NICK" => vec![format!("NICK {id}")],
            "NAMES" => vec![format!("353 me = {target} :me"), format!("366 me {target} :End")],
            "WHOIS" if id.starts_with('u') => {
                vec![format!("401 me {id} :{id}"), format!("318 me {id} :{id}")]
            }
            "WHOIS" => vec![format!("311 me {id} u h * :{id}"), format!("318 me {id} :{id}")],
            "MAP" => vec![format!("015 me :{id}"), format!("017 me :{id}")],
            "XYZZY" => vec![format!("421 me XYZZY :{id}")],
            _ => Vec::new(),
        };
        self.says(answer, line.tag("label"));
    }

    fn joins(&mut self, name: &str) -> Vec<String> {
        if name.starts_with("#no") || name == "#a" || name == "#b" {
            return vec![format!("477 me {name} :no")];
        }
        if !self.inside.insert(name.to_owned()) {
            return Vec::new();
        }
        vec![format!("JOIN {name}"), format!("353 me = {name} :me"), format!("366 me {name} :End")]
    }

    fn says(&mut self, answer: Vec<String>, label: Option<&str>) {
        let is_ours =
            |line: &String| ["JOIN", "PART", "NICK"].iter().any(|command| line.starts_with(command));
        let source = |line: &String| if is_ours(line) { "me!u@h" } else { "srv" };
        let Some(label) = label else {
            self.down.extend(answer.iter().map(|line| format!(":{} {line}", source(line))));
            return;
        };
        match answer.as_slice() {
            [] => self.down.push_back(format!("@label={label} :srv ACK")),
            [line] if !self.nests => self.down.push_back(format!("@label={label} :{} {line}", source(line))),
            lines => {
                self.batches += 2;
                let (outer, inner) = (self.batches, self.batches + 1);
                self.down.push_back(format!("@label={label} :srv BATCH +{outer} labeled-response"));
                let within = if self.nests { inner } else { outer };
                if self.nests {
                    self.down.push_back(format!("@batch={outer} :srv BATCH +{inner} x"));
                }
                self.down
                    .extend(lines.iter().map(|line| format!("@batch={within} :{} {line}", source(line))));
                if self.nests {
                    self.down.push_back(format!(":srv BATCH -{inner}"));
                }
                self.down.push_back(format!(":srv BATCH -{outer}"));
            }
        }
    }
}

/// What a question has to come to.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    Accepted,
    Refused,
}

#[derive(Default)]
struct World {
    now: u64,
    count: u64,
    asks: Asks,
    server: Server,
    /// By short name: what has to become of it, and what did, with the words.
    fates: BTreeMap<String, Fate>,
    came: BTreeMap<String, Vec<(Verdict, Vec<String>)>>,
    /// Where each message went.
    places: BTreeMap<String, String>,
}

impl World {
    /// Sends as the flood queue does.
    fn send(&mut self, asker: Asker, line: String) {
        let now = Time(self.now);
        self.asks.check(now);
        if self.asks.fence(now) == Fence::First || self.asks.blurs(&asker) {
            self.server.up.push_back(self.asks.fence_line());
        }
        let line = self.asks.ask(now, asker, line);
        self.server.up.push_back(line);
        if self.asks.fence(now) == Fence::First {
            self.server.up.push_back(self.asks.fence_line());
        }
    }

    fn asks(&mut self, kind: u8, refused: bool, more: u8) {
        self.count += 1;
        let (n, to) = (self.count, if more.is_multiple_of(3) { "#a" } else { "#b" });
        let fate = if refused { Fate::Refused } else { Fate::Accepted };
        let id = format!("{}{n}", if refused { "404x" } else { "ok" });
        match kind {
            0..4 => {
                let count = usize::from(more % 3) + 1;
                for index in 0..count {
                    // Any part may be the refused one.
                    let is_it = refused && (index == usize::from(more) % count || more > 200);
                    let line = format!("PRIVMSG {to} :{}", if is_it { id.clone() } else { format!("ok{n}") });
                    self.send(part(n as i64, to, index, count), line);
                }
                self.fates.insert(format!("m{n}"), fate);
                self.places.insert(format!("m{n}"), to.to_owned());
            }
            4 => {
                let names: Vec<ChannelName> = [(refused, n), (more.is_multiple_of(2), n + 1_000)]
                    .iter()
                    .map(|(refused, n)| channel(&format!("#{}{n}", if *refused { "no" } else { "yes" })))
                    .collect();
                for name in &names {
                    let is_no = name.as_str().starts_with("#no");
                    let fate = if is_no { Fate::Refused } else { Fate::Accepted };
                    self.fates.insert(format!("join {name}"), fate);
                }
                let line = format!("JOIN {},{}", names[0], names[1]);
                self.send(Asker::Join(names), line);
            }
            5 => {
                let name = format!("{}{n}", if refused { "taken" } else { "free" });
                self.fates.insert(format!("nick {name}"), fate);
                self.send(Asker::Nick(nick(&name)), format!("NICK {name}"));
            }
            6 => {
                self.fates.insert(format!("names #x{n}"), Fate::Accepted);
                self.send(Asker::Names(channel(&format!("#x{n}"))), format!("NAMES #x{n}"));
            }
            // Into and out of where messages go, with numbers that refuse both.
            _ if more.is_multiple_of(5) && refused && !self.fates.contains_key(&format!("part {to}")) => {
                self.fates.insert(format!("part {to}"), Fate::Refused);
                self.send(Asker::Part(channel(to)), format!("PART {to}"));
            }
            _ if more.is_multiple_of(5) && !self.fates.contains_key(&format!("join {to}")) => {
                self.fates.insert(format!("join {to}"), Fate::Refused);
                self.send(Asker::Join(vec![channel(to)]), format!("JOIN {to}"));
            }
            _ => {
                let line = match (more % 4, refused) {
                    (0, true) => format!("XYZZY {n}"),
                    (0, false) => format!("MAP {n}"),
                    (1, _) => format!("PRIVMSG {to} {id}"),
                    (_, true) => format!("WHOIS u{n}"),
                    (_, false) => format!("WHOIS k{n}"),
                };
                self.fates.insert(format!("c{n}"), fate);
                let (asker, line) = command(n, &line);
                self.send(asker, line);
            }
        }
    }

    fn comes_in(&mut self) {
        let Some(text) = self.server.down.pop_front() else { return };
        let line = Line::parse(&text).unwrap();
        let heard = self.asks.hears(&line, MAP, Some(&nick("me")));
        let is_trouble = replies::is_trouble(&line.command);
        assert!(heard == Heard::Answer || !is_trouble, "nobody took {text}");
        match line.command.as_str() {
            "JOIN" => self.asks.entered(&channel(line.param(0))),
            "NICK" => self.asks.renamed(&nick(line.param(0))),
            _ => {}
        }
        self.note();
    }

    fn note(&mut self) {
        for Answered { asker, verdict } in self.asks.take_answers() {
            let mut names = vec![who(&asker)];
            if let Asker::Join(channels) = &asker {
                names = channels.iter().map(|name| format!("join {name}")).collect();
            }
            let (verdict, lines) = match asker {
                Asker::Command(command) => {
                    let answer = command.into_answer(verdict);
                    (answer.verdict, answer.lines)
                }
                _ => (verdict, Vec::new()),
            };
            let words: Vec<String> = lines.iter().filter_map(|line| line.params.last().cloned()).collect();
            for name in names {
                self.came.entry(name).or_default().push((verdict.clone(), words.clone()));
            }
        }
    }

    /// Everything comes to its end.
    fn ends(&mut self) {
        for _ in 0..3 {
            while !self.server.up.is_empty() {
                self.server.works();
            }
            while !self.server.down.is_empty() {
                self.comes_in();
            }
            self.now += 1_000;
            self.asks.check(Time(self.now));
            if self.asks.fence(Time(self.now)) != Fence::NotNow {
                self.server.up.push_back(self.asks.fence_line());
            }
        }
        self.note();
    }

    /// Each question has exactly its own verdict.
    fn check(&self) {
        for (name, fate) in &self.fates {
            let came = self.came.get(name).unwrap_or_else(|| panic!("{name} was never answered"));
            let against: Vec<&Verdict> = came
                .iter()
                .map(|(verdict, _)| verdict)
                .filter(|verdict| **verdict != Verdict::Accepted)
                .collect();
            match (fate, against.as_slice()) {
                (Fate::Accepted, []) => {}
                (Fate::Refused, [Verdict::Refused(refusal)]) => self.is_own(name, refusal),
                (_, [Verdict::Doubtful(_)]) => {
                    let shared = |other: &&String| self.places.get(*other) == self.places.get(name);
                    assert!(self.places.keys().filter(shared).count() > 1, "{name} stood alone");
                }
                _ => panic!("{name} should be {fate:?}: {came:?}"),
            }
            assert!(name.starts_with('m') || came.len() == 1, "{name} twice: {came:?}");
            let number = name.trim_start_matches('c');
            for word in came.iter().flat_map(|(_, words)| words) {
                let is_own = word.trim_start_matches(|c: char| !c.is_ascii_digit()).ends_with(number);
                assert!(is_own, "{name} got {word}");
            }
        }
        assert!(self.came.keys().all(|name| self.fates.contains_key(name)));
    }

    fn is_own(&self, name: &str, refusal: &Refusal) {
        if let Some(number) = name.strip_prefix('m') {
            assert_eq!(refusal.words, format!("404x{number}"), "the refusal of another than {name}");
        }
    }
}

fn noise() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "me",
        "#a",
        "#b",
        "#no1",
        "bunraku-1",
        "bunraku-3",
        "+x",
        "-x",
        "labeled-response",
        "PRIVMSG",
        "JOIN",
        "*",
        "bob",
        "",
        "",
    ]);
    let command = prop_oneof![
        prop::sample::select(vec![
            "PONG", "BATCH", "FAIL", "ACK", "NOTICE", "404", "473", "433", "366", "318", "421", "401", "461"
        ])
        .prop_map(str::to_owned),
        (0u16..1000).prop_map(|n| format!("{n:03}")),
        "\\PC{1,6}",
    ];
    let tags = prop::sample::select(vec![
        "",
        "",
        "@label=1 ",
        "@label=2 ",
        "@label=x ",
        "@batch=x ",
        "@batch=x;label=3 ",
    ]);
    (tags, command, prop::collection::vec(word, 0..4))
        .prop_map(|(tags, command, words)| format!("{tags}:srv {command} {}", words.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn every_question_gets_its_own_answer(
        steps in prop::collection::vec((0u8..14, any::<bool>(), any::<u8>()), 1..70),
        labels in 0u8..4,
        nests in any::<bool>(),
    ) {
        let mut world = World::default();
        world.server.nests = nests;
        if labels == 0 {
            world.asks.set_labels(Offer::On);
        }
        for (kind, refused, more) in steps {
            match kind {
                8 | 9 => (0..more % 8).for_each(|_| world.server.works()),
                10 | 11 => (0..more % 8).for_each(|_| world.comes_in()),
                12 => world.now += u64::from(more),
                13 if labels == 1 => {
                    world.asks.set_labels(if refused { Offer::On } else { Offer::Off });
                }
                _ => world.asks(kind, refused, more),
            }
        }
        world.ends();
        world.check();
        prop_assert!(world.asks.open.is_empty(), "{:?}", world.asks.open);
    }

    #[test]
    fn whatever_a_server_says_each_question_is_answered_once(
        kinds in prop::collection::vec((0u8..8, any::<bool>(), any::<u8>()), 1..20),
        lines in prop::collection::vec((noise(), 0u64..20_000), 0..60),
        labels in any::<bool>(),
    ) {
        let mut world = World::default();
        world.asks.set_labels(if labels { Offer::On } else { Offer::Off });
        for (kind, refused, more) in kinds {
            world.asks(kind, refused, more);
        }
        for (line, ms) in lines {
            world.now += ms;
            world.asks.check(Time(world.now));
            if let Some(line) = Line::parse(&line) {
                world.asks.hears(&line, MAP, Some(&nick("me")));
            }
            world.note();
        }
        world.asks.end();
        world.note();
        for name in world.fates.keys() {
            let came = world.came.get(name).map_or(0, Vec::len);
            prop_assert!(came == 1 || name.starts_with('m') && came <= 3, "{}: {:?}", name, world.came.get(name));
        }
    }
}
