//! The command-answer suite: what somebody lets their puppet say has one true answer, and the same sentence on every
//! server, whether it labels its answers (InspIRCd with services) or is asked by fences (all others).
//!
//! Situations and the servers' own words for them are in `support/answers.rs`, which `parts.rs` holds the servers to
//! by plain clients. Here the machine of a network asks by its commands; `stories/answers.rs` tells the same of
//! messages and joins through the whole bridge.

use std::collections::BTreeMap;

use bunraku::bridge::effect::{CommandAnswer, Extent, Refusal, Verdict};
use bunraku::text::numerics;

use crate::support::answers::{Act, Place, Scene, Situation, situations};
use crate::support::driver::{Driver, NETWORK_NAME, NICK};
use crate::support::irc::{IrcClient, IrcLine};
use crate::support::ircd::{Ircd, IrcdKind};
use crate::support::join_all;
use crate::support::process::temp_dir;

const KINDS: [IrcdKind; 4] = [IrcdKind::InspIrcd, IrcdKind::Services, IrcdKind::NgIrcd, IrcdKind::Hybrid];

/// Where the puppet is a member without rank, and `operator` has it.
const HALL: &str = "#hall";
/// Where the puppet is the operator.
const OWN: &str = "#own";

/// More commands, with what has to come of them everywhere: numerics that the answer holds, or a refusal.
const COMMANDS: &[(&str, Expected)] = &[
    ("MODE #hall +m", Expected::Refused),
    ("MODE #hall", Expected::Answer(&["324"])),
    ("MODE #hall +b", Expected::Answer(&["368"])),
    ("MODE #own +s", Expected::Answer(&[])),
    ("MODE #nowhere", Expected::Refused),
    ("KICK #hall ophall", Expected::Refused),
    ("KICK #own nosuchnick", Expected::Refused),
    ("TOPIC #hall :mine", Expected::Refused),
    ("TOPIC #own :mine", Expected::Answer(&[])),
    ("TOPIC #own", Expected::Answer(&["332"])),
    ("LIST", Expected::Answer(&["322", "323"])),
    ("NAMES #hall", Expected::Answer(&["353", "366"])),
    ("WHO #hall", Expected::Answer(&["352", "315"])),
    ("WHOIS ophall", Expected::Answer(&["311", "318"])),
    ("JOIN #free", Expected::Answer(&[])),
    ("PRIVMSG ophall :hello", Expected::Answer(&[])),
    ("PRIVMSG nosuchnick :hello", Expected::Refused),
    ("INVITE nosuchnick #own", Expected::Refused),
    ("KICK #own", Expected::Refused),
    ("VERSION", Expected::Answer(&["351"])),
    // What would break the bridge's own work is refused by itself.
    ("NICK other", Expected::Refused),
    ("QUIT", Expected::Refused),
    ("PING x", Expected::Refused),
];

#[derive(Clone, Copy)]
enum Expected {
    /// Accepted, with lines of these numerics in the answer.
    Answer(&'static [&'static str]),
    Refused,
}

/// What people were told, by what was asked.
type Told = BTreeMap<String, String>;

#[tokio::test]
async fn every_server_gives_the_same_answer() {
    let told = join_all(KINDS.map(|kind| async move {
        let dir = temp_dir();
        let ircd = Ircd::start(kind, dir.path()).await;
        (kind, suite(&ircd).await)
    }))
    .await;
    let (first, expected) = &told[0];
    for (kind, sentences) in &told {
        for (asked, sentence) in sentences {
            if let Some(other) = expected.get(asked) {
                assert_eq!(sentence, other, "{asked}: {kind:?} and {first:?} differ");
            }
        }
        assert!(sentences.len() + 1 >= expected.len(), "{kind:?} has all but a held nick: {sentences:#?}");
    }
}

async fn suite(ircd: &Ircd) -> Told {
    let mut driver = Driver::new(ircd.port);
    let mut told = Told::new();
    let mut operator = Situation::operator(ircd, HALL).await;
    operator.send(&format!("MODE {HALL} +t")).await;
    driver.want(HALL);
    driver.want(OWN);
    driver.during(operator.wait_member(HALL, NICK)).await;
    // Asked for in the same line, and to nobody else's knowledge: who is invisible is not shown to outsiders.

    let here: Vec<&Situation> = situations().iter().filter(|s| s.applies_to(ircd.kind)).collect();
    // All at once: an InspIRCd welcomes by the second.
    let operators = (0..here.len()).map(|number| async move {
        let channel = format!("#c{number}");
        (Situation::operator(ircd, &channel).await, channel)
    });
    let operators = driver.during(join_all(operators)).await;
    for (situation, (operator, channel)) in here.into_iter().zip(operators) {
        let sentence = in_situation(&mut driver, ircd, situation, operator, &channel).await;
        told.insert(situation.name.to_owned(), sentence);
    }
    for (line, expected) in COMMANDS {
        let answer = driver.command(line).await;
        let sentence = check(ircd.kind, line, &answer, *expected);
        told.insert((*line).to_owned(), sentence);
    }

    let labelled = driver.sent.iter().filter(|line| line.starts_with("@label=")).count();
    let fences = driver.sent.iter().filter(|line| line.starts_with("PING bunraku-")).count();
    match ircd.kind {
        IrcdKind::Services => assert!(labelled > COMMANDS.len() && fences == 0, "{labelled} {fences}"),
        IrcdKind::InspIrcd | IrcdKind::NgIrcd | IrcdKind::Hybrid => {
            assert!(labelled == 0 && fences > COMMANDS.len(), "{labelled} {fences}");
        }
    }
    told
}

/// Brings the server into the situation and lets the puppet run into it.
async fn in_situation(
    driver: &mut Driver,
    ircd: &Ircd,
    situation: &Situation,
    operator: IrcClient,
    channel: &str,
) -> String {
    if situation.place() == Place::Inside {
        driver.want(channel);
    }
    let scene = driver.during(situation.prepare(operator, ircd.kind, channel, NICK)).await;
    let line = match situation.act(&scene) {
        Act::Join { channel } => format!("JOIN {channel}"),
        Act::Say { channel, text } => format!("PRIVMSG {channel} :{text}"),
        Act::Whois { nick } => format!("WHOIS {nick}"),
        Act::Raw { line } => line,
        // A puppet's nick is not its person's to change; what they are told is made of the server's answer alone.
        act @ Act::Nick { .. } => {
            let mut client = driver.during(ircd.client(&channel.replace('#', "x"))).await;
            let lines = act.by(&mut client).await;
            let words = situation.words(ircd.kind, &Scene { nick: client.nick.clone(), ..scene });
            return refused_nick(&lines, &words, &client.nick);
        }
    };
    let answer = driver.command(&line).await;
    let code = &situation.words(ircd.kind, &scene)[..3];
    let is_refusal = ["401", "404", "421", "471", "473", "474", "475", "477"].contains(&code);
    match &answer.verdict {
        Verdict::Refused(refusal) => {
            assert!(is_refusal && refusal.code == code, "{line} on {:?}: {answer:?}", ircd.kind);
            let words = situation.sentence(ircd.kind);
            assert!(refusal.words == words, "{line} on {:?}: {refusal:?} is not {words:?}", ircd.kind);
        }
        Verdict::Accepted => {
            let has = answer.lines.iter().any(|line| line.command == code);
            assert!(!is_refusal && has, "{line} on {:?}: {answer:?}", ircd.kind);
        }
        Verdict::Doubtful(_) | Verdict::Unknown => panic!("{line} on {:?}: {answer:?}", ircd.kind),
    }
    told(&answer)
}

/// What comes of a command of the table.
fn check(kind: IrcdKind, line: &str, answer: &CommandAnswer, expected: Expected) -> String {
    let shown = || format!("{line} on {kind:?}: {answer:#?}");
    assert_eq!(answer.extent, Extent::Whole, "{}", shown());
    match (expected, &answer.verdict) {
        (Expected::Answer(codes), Verdict::Accepted) => {
            let has = |code: &&&str| answer.lines.iter().any(|line| line.command == **code);
            assert_eq!(codes.iter().find(|code| !has(code)), None, "{}", shown());
        }
        (Expected::Refused, Verdict::Refused(_)) => {}
        (
            Expected::Answer(_) | Expected::Refused,
            Verdict::Accepted | Verdict::Refused(_) | Verdict::Doubtful(_) | Verdict::Unknown,
        ) => panic!("{}", shown()),
    }
    told(answer)
}

/// What a person is told of it: the sentence of a refusal, made of the server's answer or our own words.
fn told(answer: &CommandAnswer) -> String {
    match &answer.verdict {
        Verdict::Accepted => "accepted".to_owned(),
        Verdict::Refused(Refusal { words, params, .. }) if params.is_empty() => words.clone(),
        Verdict::Refused(refusal) => sentence(&refusal.code, &refusal.params),
        Verdict::Doubtful(_) | Verdict::Unknown => panic!("no answer that a server gave: {answer:?}"),
    }
}

fn refused_nick(lines: &[IrcLine], words: &str, nick: &str) -> String {
    let line = lines.iter().find(|line| line.words() == words);
    let line = line.unwrap_or_else(|| panic!("{words:?} is not in {lines:#?}"));
    sentence(&line.command, &line.params).replace(nick, "(me)")
}

/// One sentence, without what the server says in its own words behind it.
fn sentence(code: &str, params: &[String]) -> String {
    let sentence = numerics::sentence(code, params, NETWORK_NAME);
    let end = sentence.find(" (it says: ").unwrap_or(sentence.len());
    assert!(sentence.ends_with('.') && !sentence.starts_with("The server answered"), "{sentence}");
    sentence[..end].trim_end_matches('.').to_owned()
}
