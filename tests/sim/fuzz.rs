//! Whatever a server says, the machine does not panic and says nothing that is not one legal line.

use bunraku::bridge::effect::Effect;
use bunraku::bridge::input::{Input, Member, Opening, PortalOrigin, PortalRow};
use bunraku::bridge::network::{Network, RelaySeqs};
use bunraku::bridge::policy::ToMatrix;
use bunraku::ids::{ConnId, PuppetId, RelaySeq, RoomId, Time};
use bunraku::text::line::{Line, Source};
use proptest::prelude::*;

use crate::simulator::world::{policy, user};

/// A machine with one person in two rooms of one channel and a room of another; the socket is open.
fn machine() -> (Network, ConnId) {
    let mut machine = Network::new(policy(ToMatrix::Lazy), None, RelaySeqs { next: RelaySeq(1), step: 1 }, 1);
    for (room, channel) in [("!r", "#a"), ("!s", "#a"), ("!t", "#b[]")] {
        let room = RoomId::new(room).expect("a room id");
        let row = PortalRow { room: room.clone(), channel: channel.into(), origin: PortalOrigin::Config };
        machine.handle(Time(1), Input::Portal(row));
        let members = vec![Member { user: user("@ada:hs"), display_name: Some("ada".into()) }];
        machine.handle(Time(1), Input::Members { room, members });
    }
    machine.handle(Time(1), Input::Started);
    let conn = ConnId { puppet: PuppetId(0), generation: 1 };
    machine.handle(Time(2), Input::ConnOpened { conn, opening: Box::new(Opening::plain("ada")) });
    (machine, conn)
}

/// A word such as servers use, or anything.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "ada", "Ada", "ada_", "#a", "#A", "#b[]", "#b{}", "@#a", "bob", "*", "=", "", "@ada +bob", "ada,bob",
            "#a,#b[]", "CASEMAPPING=ascii", "CASEMAPPING=rfc1459", "NICKLEN=5", "PREFIX=(ov)@+", "CHANTYPES=#",
            "\u{1}ACTION x\u{1}", "\u{1}VERSION\u{1}", "a\r\nQUIT", "\0", ":x", " ",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,40}",
        1 => any::<String>(),
    ]
}

fn command() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "PRIVMSG", "NOTICE", "JOIN", "PART", "KICK", "QUIT", "NICK", "MODE", "TOPIC", "ERROR", "PING", "PONG",
        ]).prop_map(str::to_owned),
        3 => prop::sample::select(vec![
            "001", "005", "353", "366", "376", "422", "432", "433", "436", "437", "403", "404", "405", "465", "471",
            "473", "474", "475", "477",
        ]).prop_map(str::to_owned),
        1 => (0u16..1000).prop_map(|n| format!("{n:03}")),
        1 => any::<String>(),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let source = (word(), prop::option::of(word()), prop::option::of(word()));
    let source = prop::option::of(source.prop_map(|(name, user, host)| Source { name, user, host }));
    (source, command(), prop::collection::vec(word(), 0..6)).prop_map(|(source, command, params)| Line {
        tags: vec![],
        source,
        command,
        params,
    })
}

fn is_one_legal_line(line: &str) -> bool {
    const SAYS: [&str; 12] =
        ["CAP", "PASS", "NICK", "USER", "PONG", "PING", "JOIN", "PART", "NAMES", "MODE", "NOTICE", "QUIT"];
    let command = line.split(' ').next().unwrap_or_default();
    !line.contains(['\r', '\n', '\0']) && SAYS.contains(&command)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_line_makes_the_machine_panic_or_say_two_lines(
        lines in prop::collection::vec((line(), 0u64..40_000), 1..60),
        greeted in any::<bool>(),
    ) {
        let (mut machine, conn) = machine();
        let greeting = [":s 001 ada :hi", ":s 376 ada :end", ":ada!a@h JOIN #a", ":ada!a@h JOIN #b[]"];
        let greeting = greeting.iter().filter(|_| greeted).filter_map(|text| Line::parse(text)).map(|l| (l, 1));
        let mut now = 10;
        let mut effects = Vec::new();
        for (line, wait) in greeting.chain(lines) {
            now += wait;
            machine.handle(Time(now), Input::ConnLine { conn, line });
            machine.handle_timeout(Time(now));
            machine.take_effects(&mut effects);
            for effect in effects.drain(..) {
                if let Effect::Send { line, .. } = effect {
                    prop_assert!(is_one_legal_line(&line), "{:?}", line);
                }
            }
        }
    }

    #[test]
    fn no_bytes_make_the_machine_panic(texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 1..40)) {
        let (mut machine, conn) = machine();
        for bytes in texts {
            if let Some(line) = Line::parse(&String::from_utf8_lossy(&bytes)) {
                machine.handle(Time(20), Input::ConnLine { conn, line });
            }
        }
    }
}
