//! The command-answer suite: what somebody lets their puppet say has one true answer, and the same sentence on every
//! server, whether it labels its answers (InspIRCd with services) or is asked by fences (all others).
//!
//! Situations and the servers' own words for them are in `support/answers.rs`, which `parts.rs` holds the servers to
//! by plain clients. Here the machine of a network asks by its commands; `stories/answers.rs` tells the same of
//! messages and joins through the whole bridge.

use std::collections::BTreeMap;

use bunraku::bridge::effect::{CommandAnswer, Extent, Refusal, Verdict};
use bunraku::bridge::errand::{Connection, Errand, InChannel, Report, RoomDoor};
use bunraku::secret::Secret;
use bunraku::text::numerics;

use crate::support::answers::{Act, Place, Scene, Situation, situations};
use crate::support::driver::{Driver, NETWORK_NAME, NICK};
use crate::support::irc::{IrcClient, IrcLine};
use crate::support::ircd::{Ircd, IrcdKind};
use crate::support::process::temp_dir;
use crate::support::{PATIENT, join_all};

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
    ("JOIN #free", Expected::Refused),
    ("PART #own", Expected::Refused),
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

#[tokio::test]
async fn people_come_and_go_and_are_called_as_they_wish() {
    let kinds = [IrcdKind::InspIrcd, IrcdKind::NgIrcd, IrcdKind::Hybrid];
    join_all(kinds.map(|kind| async move {
        let dir = temp_dir();
        let ircd = Ircd::start(kind, dir.path()).await;
        evening(&ircd).await;
    }))
    .await;
}

/// From nothing into a channel, another nick, a private chat, out, off the network, and back.
async fn evening(ircd: &Ircd) {
    const PLACE: &str = "#evening";
    let (mut driver, kind) = (Driver::new(ircd.port), ircd.kind);
    let mut friend = Situation::operator(ircd, PLACE).await;
    let report = driver.errand(Errand::Join { channel: PLACE.to_owned(), key: None }).await;
    let Report::Joined(joined) = report else { panic!("{kind:?}: {report:?}") };
    assert_eq!((joined.channel.as_str(), joined.door), (PLACE, RoomDoor::Invited), "{kind:?}");
    driver.during(friend.wait_member(PLACE, NICK)).await;
    let secret = Errand::Join { channel: "#keyed".to_owned(), key: Some(Secret::new("canary")) };
    let mut locked = Situation::operator(ircd, "#keyed").await;
    locked.send("MODE #keyed +k canary").await;
    locked.fence().await;
    let report = driver.errand(Errand::Join { channel: "#keyed".to_owned(), key: None }).await;
    assert!(matches!(&report, Report::Refused(refusal) if refusal.code == "475"), "{kind:?}: {report:?}");
    let report = driver.errand(secret).await;
    assert!(matches!(report, Report::Joined(_)), "{kind:?}: {report:?}");

    // Its fence is what the time is taken of.
    driver.command("VERSION").await;
    let Report::Status(status) = driver.errand(Errand::Status).await else { panic!("{kind:?}") };
    assert!(matches!(status.connection, Connection::Ready { .. }), "{kind:?}: {status:?}");
    assert_eq!(status.nick.as_deref(), Some(NICK), "{kind:?}");
    assert!(status.server.is_some() && status.lag_ms.is_some(), "{kind:?}: {status:?}");
    let standing =
        |place: &str| status.channels.iter().find(|known| known.channel == place).map(|p| p.standing);
    assert_eq!(standing(PLACE), Some(InChannel::In), "{kind:?}: {status:?}");

    let report = driver.errand(Errand::Nick(Some("countess".to_owned()))).await;
    assert_eq!(report, Report::Called("countess".to_owned()), "{kind:?}");
    driver.during(friend.wait_member(PLACE, "countess")).await;
    let report = driver.errand(Errand::Nick(Some(friend.nick.clone()))).await;
    assert!(matches!(&report, Report::Refused(refusal) if refusal.code == "433"), "{kind:?}: {report:?}");

    let text = Some("good evening".to_owned());
    let report = driver.errand(Errand::Query { nick: friend.nick.clone(), text }).await;
    assert!(matches!(report, Report::Talking { room: Some(_), .. }), "{kind:?}: {report:?}");
    let me = friend.nick.clone();
    let said = |line: &IrcLine| line.is_from("PRIVMSG", "countess", &me) && line.params[1] == "good evening";
    driver.during(friend.wait("what was said in private", PATIENT, said)).await;
    let text = Some("anybody?".to_owned());
    let report = driver.errand(Errand::Query { nick: "nosuchnick".to_owned(), text }).await;
    assert!(matches!(&report, Report::Refused(refusal) if refusal.code == "401"), "{kind:?}: {report:?}");

    let reason = Some("going home".to_owned());
    let report = driver.errand(Errand::Part { channel: PLACE.to_owned(), reason }).await;
    assert_eq!(report, Report::Done, "{kind:?}");
    driver.during(friend.wait_no_member(PLACE, "countess")).await;

    assert_eq!(driver.errand(Errand::Quit { reason: None }).await, Report::Done, "{kind:?}");
    driver.during(locked.wait_no_member("#keyed", "countess")).await;
    let Report::Status(status) = driver.errand(Errand::Status).await else { panic!("{kind:?}") };
    assert!(matches!(status.connection, Connection::Held(_)), "{kind:?}: {status:?}");
    assert_eq!(driver.errand(Errand::Reconnect).await, Report::Done, "{kind:?}");
    let Report::Status(status) = driver.errand(Errand::Status).await else { panic!("{kind:?}") };
    assert_eq!(status.nick.as_deref(), Some("countess"), "{kind:?}");
    let answer = driver.command("WHOIS countess").await;
    assert!(answer.verdict == Verdict::Accepted, "{kind:?}: {answer:?}");
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
        Act::Join { channel } => {
            return refused(driver, Errand::Join { channel, key: None }, ircd.kind, situation, &scene).await;
        }
        Act::Say { channel, text } => format!("PRIVMSG {channel} :{text}"),
        Act::Whois { nick } => format!("WHOIS {nick}"),
        Act::Raw { line } => line,
        // Of somebody else, who is banned nowhere: that would be the answer instead.
        Act::Nick { nick } => {
            let mut other = Driver::new(ircd.port);
            other.command("VERSION").await;
            return refused(&mut other, Errand::Nick(Some(nick)), ircd.kind, situation, &scene).await;
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

/// What comes of an errand that the server refuses: its numeric, and one sentence.
async fn refused(
    driver: &mut Driver,
    errand: Errand,
    kind: IrcdKind,
    situation: &Situation,
    scene: &Scene,
) -> String {
    let code = situation.words(kind, scene)[..3].to_owned();
    match driver.errand(errand.clone()).await {
        Report::Refused(refusal) => {
            assert_eq!(refusal.code, code, "{errand:?} on {kind:?}: {refusal:?}");
            let sentence = sentence(&refusal.code, &refusal.params);
            assert!(refusal.words.starts_with(&sentence), "{refusal:?} is not {sentence:?}");
            sentence.replace(NICK, "(me)")
        }
        other => panic!("{errand:?} on {kind:?}: {other:?}"),
    }
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

/// One sentence, without what the server says in its own words behind it.
fn sentence(code: &str, params: &[String]) -> String {
    let sentence = numerics::sentence(code, params, NETWORK_NAME);
    let end = sentence.find(" (it says: ").unwrap_or(sentence.len());
    assert!(sentence.ends_with('.') && !sentence.starts_with("The server answered"), "{sentence}");
    sentence[..end].trim_end_matches('.').to_owned()
}
