//! Faults that a review found in the machine, each as the shortest story that showed it.
//!
//! Stories that people read are in `tests/scenarios`; these go against one rule each, and several of them step
//! through states that a transcript would only hide.

use bunraku::bridge::effect::*;
use bunraku::bridge::input::*;
use bunraku::bridge::network::*;
use bunraku::bridge::policy::*;
use bunraku::ids::*;
use bunraku::text::line::Line;
use bunraku::text::realname::RealnameTemplate;
use bunraku::text::template::*;

fn opening() -> Box<Opening> {
    Box::new(Opening::plain("u"))
}

fn policy() -> Policy {
    let id = NetworkId::new("net").unwrap();
    Policy {
        network: id.clone(),
        network_name: "Net".into(),
        bot: UserId::new("@bot:hs").unwrap(),
        server_name: "hs".into(),
        aliases: AliasTemplate::new("#irc_$NETWORK_$CHANNEL", &id).unwrap(),
        ghosts: GhostTemplate::new("@irc_$NETWORK_$NICK", &id).unwrap(),
        realnames: RealnameTemplate::new("$USERID").unwrap(),
        nicks: NickTemplate::new("$DISPLAY").unwrap(),
        dynamic_portals: DynamicPortals::On,
        excluded_channels: vec![],
        password: None,
        webirc: None,
        services: None,
        user_modes: String::new(),
        bot_mode: BotMode::Hidden,
        flood: Flood { burst: 5, line_ms: 2000, line_bytes: 0 },
        connect: ConnectPace {
            burst: 100,
            interval_ms: 0,
            retry_ms_min: 5000,
            retry_ms_max: 600000,
            register_ms_max: 60000,
            ..ConnectPace::default()
        },
        ping: PingPace { after_ms: 60000, timeout_ms: 60000 },
        message_age_ms_max: 900_000,
        message_lines_max: 8,
        links: None,
        forms: Forms::default(),
        connections_max: 500,
        failures: Failures::default(),
        mentions: Mentions::default(),
        asides: Asides::Shown,
        typing: Typing::default(),
        queries: QueryRules::default(),
        topics: Topics::default(),
        power: Power::default(),
        moderation: Moderation {
            to_matrix: Rooms::None,
            modes_after_ms: 315_360_000_000,
            ..Moderation::default()
        },
        members: Members::default(),
        presence: PresenceRules::default(),
        directory: Directory::default(),
        operators: Operators::off(),
        admission: Admission::default(),
        plumbing: bunraku::bridge::policy::Plumbing::default(),
    }
}
struct W {
    n: Network,
    now: u64,
    out: Vec<Effect>,
}
impl W {
    fn new() -> Self {
        W {
            n: Network::new(policy(), None, RelaySeqs { next: RelaySeq(1), step: 1 }, 1),
            now: 1_000_000,
            out: vec![],
        }
    }
    fn h(&mut self, i: Input) -> Vec<Effect> {
        self.n.handle(Time(self.now), i);
        self.n.handle_timeout(Time(self.now));
        self.fx()
    }
    fn fx(&mut self) -> Vec<Effect> {
        let mut v = vec![];
        self.n.take_effects(&mut v);
        let mut noted = 0;
        while let Some(effect) = v.get(noted).cloned() {
            noted += 1;
            if let Effect::Written { puppet, seq } = effect {
                self.n.handle(Time(self.now), Input::Noted { puppet, seq });
                self.n.take_effects(&mut v);
            }
        }
        self.out.extend(v.clone());
        v
    }
    fn at(&mut self, t: u64) -> Vec<Effect> {
        self.now = t;
        self.n.handle_timeout(Time(t));
        self.fx()
    }
    fn portal(&mut self, room: &str, ch: &str) {
        self.h(Input::Portal(PortalRow {
            room: RoomId::new(room).unwrap(),
            channel: ch.into(),
            origin: PortalOrigin::Alias,
        }));
    }
    fn join(&mut self, room: &str, user: &str, name: &str) -> Vec<Effect> {
        let u = UserId::new(user).unwrap();
        self.h(Input::Matrix {
            seq: InboxSeq(0),
            event: MatrixEvent::Member {
                room: RoomId::new(room).unwrap(),
                sender: u.clone(),
                target: Member { user: u, display_name: Some(name.into()) },
                membership: Membership::Join,
                reason: None,
                is_direct: false,
            },
            before: Before::New,
        })
    }
    fn leave(&mut self, room: &str, user: &str) -> Vec<Effect> {
        let u = UserId::new(user).unwrap();
        self.h(Input::Matrix {
            seq: InboxSeq(0),
            event: MatrixEvent::Member {
                room: RoomId::new(room).unwrap(),
                sender: u.clone(),
                target: Member { user: u, display_name: None },
                membership: Membership::Leave,
                reason: None,
                is_direct: false,
            },
            before: Before::New,
        })
    }
    fn say(&mut self, room: &str, user: &str, seq: i64, text: &str) -> Vec<Effect> {
        let now = self.now;
        self.h(Input::Matrix {
            seq: InboxSeq(seq),
            event: MatrixEvent::Message {
                room: RoomId::new(room).unwrap(),
                event_id: EventId::new(&format!("$e{seq}")).unwrap(),
                sender: UserId::new(user).unwrap(),
                body: MessageBody::plain(BodyKind::Text, text),
                relation: Relation::None,
                origin_ms: now,
            },
            before: Before::New,
        })
    }
    fn l(&mut self, c: ConnId, line: &str) -> Vec<Effect> {
        self.h(Input::ConnLine { conn: c, line: Line::parse(line).unwrap() })
    }
    fn up(&mut self, c: ConnId, nick: &str) -> Vec<Effect> {
        self.up_on("irc", c, nick)
    }
    fn up_on(&mut self, server: &str, c: ConnId, nick: &str) -> Vec<Effect> {
        self.h(Input::ConnOpened { conn: c, opening: opening() });
        self.l(c, &format!(":{server} 001 {nick} :hi"));
        let v = self.l(c, &format!(":irc 376 {nick} :end"));
        self.h(Input::ConnWritten { conn: c, lines: 50 });
        v
    }
}
fn c(p: u32) -> ConnId {
    ConnId { puppet: PuppetId(p), generation: 1 }
}
fn relays(v: &[Effect]) -> Vec<String> {
    v.iter()
        .filter_map(|e| match e {
            Effect::Relay(r) => Some(format!("{:?}: {}", r.speaker, r.text)),
            _ => None,
        })
        .collect()
}

#[test]
fn who_owns_one_channel_reads_chat_whatever_the_others_ask() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!big", "#big");
    w.portal("!a", "#a");
    for i in 0..3 {
        w.join("!big", &format!("@u{i}:hs"), &format!("u{i}"));
        w.up(c(i), &format!("u{i}"));
        w.l(c(i), &format!(":u{i}!u@h JOIN #big"));
    }
    w.join("!big", "@x:hs", "x");
    w.join("!a", "@x:hs", "x");
    w.up(c(3), "x");

    w.l(c(3), ":x!u@h JOIN #a");
    let obs: Vec<_> =
        w.out.iter().filter(|e| matches!(e, Effect::Observe { conn, .. } if *conn == c(3))).collect();

    assert!(
        matches!(obs.last(), None | Some(Effect::Observe { chat: Chat::Read, .. })),
        "owner of #a told to skip"
    );
}
#[test]
fn two_users_of_one_display_name_do_not_echo_each_other() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    w.join("!r", "@ada1:hs", "ada");
    w.up(c(0), "ada");
    w.l(c(0), ":ada!u@h JOIN #c");
    w.join("!r", "@ada2:hs", "ada");
    w.h(Input::ConnOpened { conn: c(1), opening: opening() });
    w.l(c(1), ":irc 433 * ada :in use");
    w.l(c(1), ":irc 001 ada_ :hi");
    w.l(c(1), ":irc 376 ada_ :end");
    w.h(Input::ConnWritten { conn: c(1), lines: 50 });
    w.l(c(0), ":ada_!u@h JOIN #c");
    w.l(c(1), ":ada_!u@h JOIN #c");
    w.l(c(1), ":irc 353 ada_ = #c :ada_ @ada bob");
    w.l(c(1), ":irc 366 ada_ #c :end");
    w.say("!r", "@ada1:hs", 7, "my own words");
    w.h(Input::ConnWritten { conn: c(0), lines: 5 });
    w.l(c(1), ":ada!u@h PRIVMSG #c :my own words");
    let t = w.now + 6000;
    let v = w.at(t);
    assert!(relays(&v).is_empty(), "echo");
}
#[test]
fn what_is_said_to_operators_only_is_marked_so() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    w.join("!r", "@a:hs", "ada");
    w.up(c(0), "ada");
    w.l(c(0), ":ada!u@h JOIN #c");
    let v = w.l(c(0), ":op!u@h PRIVMSG @#c :who is on duty");
    let relayed = relays(&v);
    assert!(relayed.len() == 1 && relayed[0].ends_with(": [operators only] who is on duty"), "{relayed:?}");
}
#[test]
fn a_message_cut_off_in_its_midst_is_settled_once() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    w.join("!r", "@a:hs", "ada");
    w.up(c(0), "ada");
    w.l(c(0), ":ada!u@h JOIN #c");
    w.now += 100_000;
    w.h(Input::ConnWritten { conn: c(0), lines: 50 });
    w.say("!r", "@a:hs", 7, "1\n2\n3\n4\n5\n6\n7\n8");
    w.l(c(0), ":op!u@h KICK #c ada :out");
    w.h(Input::ConnClosed { conn: c(0), why: CloseReason::Lost("x".into()) });
    let t = w.now + 2_000_000;
    w.at(t);
    let s: Vec<_> = w.out.iter().filter(|e| matches!(e, Effect::Settle { seq: InboxSeq(7), .. })).collect();
    assert_eq!(s.len(), 1);
}
#[test]
fn a_channel_is_left_before_it_is_joined_again() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    w.join("!r", "@a:hs", "ada");
    w.up(c(0), "ada");
    w.l(c(0), ":ada!u@h JOIN #c");
    w.now += 100_000;
    w.say("!r", "@a:hs", 7, "1\n2\n3\n4\n5\n6\n7\n8");
    w.out.clear();
    w.leave("!r", "@a:hs");
    w.join("!r", "@a:hs", "ada");
    for _ in 0..20 {
        w.h(Input::ConnWritten { conn: c(0), lines: 1 });
        let t = w.now + 2000;
        let parted = w.at(t).iter().any(|e| matches!(e, Effect::Send { line, .. } if line == "PART #c"));
        if parted {
            w.l(c(0), ":ada!u@h PART #c");
        }
    }
    let s: Vec<_> = w
        .out
        .iter()
        .filter_map(|e| match e {
            Effect::Send { line, .. } => Some(line.clone()),
            _ => None,
        })
        .collect();
    let p = s.iter().position(|l| l.starts_with("PART"));
    let j = s.iter().position(|l| l.starts_with("JOIN"));
    assert!(p.is_some() && p < j, "{s:?}");
}
#[test]
fn a_full_queue_does_not_keep_a_puppet_in_the_channel() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    w.join("!r", "@a:hs", "ada");
    w.up(c(0), "ada");
    w.l(c(0), ":ada!u@h JOIN #c");
    for i in 0..40 {
        w.say("!r", "@a:hs", 10 + i, "1\n2\n3\n4\n5\n6\n7\n8");
    }
    // fill to exactly 256
    for i in 0..10 {
        w.say("!r", "@a:hs", 100 + i, "x");
    }
    w.out.clear();
    w.leave("!r", "@a:hs");
    for _ in 0..400 {
        w.h(Input::ConnWritten { conn: c(0), lines: 1 });
        let t = w.now + 2000;
        w.l(c(0), ":irc PONG x");
        w.at(t);
    }
    let s = w.out.iter().filter(|e| matches!(e, Effect::Send { line, .. } if line.starts_with("PART") || line.starts_with("QUIT"))).count();
    assert_eq!(s, 1, "it never left");
}
#[test]
fn who_never_gets_in_does_not_hold_the_seat_of_those_who_do() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    for i in 0..4 {
        w.join("!r", &format!("@u{i}:hs"), &format!("u{i}"));
        w.up(c(i), &format!("u{i}"));
    }
    w.l(c(3), ":u3!u@h JOIN #c");
    let v = w.l(c(3), ":bob!u@h PRIVMSG #c :hello");

    assert_eq!(relays(&v).len(), 1);
}
#[test]
fn stopping_asks_for_nothing() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    for i in 0..100 {
        w.join("!r", &format!("@u{i}:hs"), &format!("u{i}"));
        w.up(c(i), &format!("u{i}"));
        w.l(c(i), &format!(":u{i}!u@h JOIN #c"));
    }
    w.now += 100_000;
    for i in 0..100 {
        w.h(Input::ConnWritten { conn: c(i), lines: 50 });
    }
    w.out.clear();
    w.h(Input::Stopping);
    let s =
        w.out.iter().filter(|e| matches!(e, Effect::Send { line, .. } if line.starts_with("NAMES"))).count();
    assert_eq!(s, 0);
}
#[test]
fn each_refused_message_is_told() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    w.join("!r", "@a:hs", "ada");
    w.up(c(0), "ada");
    w.l(c(0), ":ada!u@h JOIN #c");
    w.now += 100_000;
    for i in 1..=3 {
        w.say("!r", "@a:hs", i, &format!("m{i}"));
    }
    w.h(Input::ConnWritten { conn: c(0), lines: 50 });
    w.out.clear();
    for _ in 0..3 {
        w.l(c(0), ":irc 404 ada #c :Cannot send to channel (+m)");
    }
    let s: Vec<_> = w
        .out
        .iter()
        .filter_map(|e| match e {
            Effect::Mark(mark) => Some(mark.event.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(s, ["$e1", "$e2", "$e3"]);
    assert_eq!(relays(&w.out).len(), 1, "one reason is said once");
}
#[test]
fn a_nick_that_was_refused_is_anybodys() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    w.join("!r", "@a:hs", "ada");
    w.up(c(0), "ada");
    w.l(c(0), ":ada!u@h JOIN #c");
    w.join("!r", "@b:hs", "bea");
    w.up(c(1), "bea");
    w.l(c(1), ":bea!u@h JOIN #c");
    w.l(c(0), ":bea!u@h JOIN #c");
    w.now += 100_000;
    w.join("!r", "@b:hs", "eve"); // display name -> NICK eve
    w.l(c(1), ":irc 447 bea :Can not change nickname while on #c (+N is set)");
    w.l(c(0), ":eve!e@elsewhere JOIN #c");
    w.out.clear();
    let v = w.l(c(0), ":eve!e@elsewhere PRIVMSG #c :hello");
    let r = relays(&v);
    w.l(c(0), ":eve!e@elsewhere QUIT :bye");
    assert_eq!(r.len(), 1);
}
#[test]
fn a_message_waits_over_a_change_of_case_mapping() {
    let mut w = W::new();
    w.portal("!r", "#x[y]");
    w.h(Input::Started);
    w.join("!r", "@a:hs", "ada");
    w.say("!r", "@a:hs", 5, "hi");
    w.h(Input::ConnOpened { conn: c(0), opening: opening() });
    w.l(c(0), ":irc 001 ada :hi");
    w.l(c(0), ":irc 005 ada CASEMAPPING=ascii :are supported");
    w.l(c(0), ":irc 376 ada :end");
    w.h(Input::ConnWritten { conn: c(0), lines: 50 });
    let v = w.l(c(0), ":ada!u@h JOIN #x[y]");
    assert!(v.iter().any(|e| matches!(e, Effect::Send { line, .. } if line.starts_with("PRIVMSG"))));
}
#[test]
fn a_banned_puppet_does_not_dial_when_it_wants_another_channel() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    w.portal("!s", "#d");
    w.join("!r", "@a:hs", "ada");
    w.up(c(0), "ada");
    w.l(c(0), ":irc ERROR :Closing Link (K-lined)");
    w.l(c(0), "ERROR :Closing Link (K-lined)");
    w.h(Input::ConnClosed { conn: c(0), why: CloseReason::Asked });
    w.out.clear();
    w.join("!s", "@a:hs", "ada");
    assert!(!w.out.iter().any(|e| matches!(e, Effect::Connect { .. })), "dials at once after a K-line");
}
#[test]
fn a_line_that_crosses_a_join_between_servers_is_relayed_once() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    w.join("!r", "@a:hs", "ada");
    w.up(c(0), "ada");
    w.l(c(0), ":ada!u@h JOIN #c");
    w.join("!r", "@b:hs", "bea");
    w.up_on("irc.two", c(1), "bea");
    w.out.clear();
    w.l(c(1), ":bea!u@h JOIN #c"); // s2
    w.l(c(0), ":bob!u@h PRIVMSG #c :cross"); // s1: before bea's JOIN arrives
    w.l(c(0), ":bea!u@h JOIN #c");
    w.l(c(1), ":bob!u@h PRIVMSG #c :cross");
    let t = w.now + 6000;
    w.at(t);
    assert_eq!(relays(&w.out).len(), 1);
}
#[test]
fn coming_back_before_the_echo_of_the_part_doubles_nothing() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    w.join("!r", "@a:hs", "ada");
    w.up(c(0), "ada");
    w.l(c(0), ":ada!u@h JOIN #c");
    w.join("!r", "@b:hs", "bea");
    w.up(c(1), "bea");
    w.l(c(1), ":bea!u@h JOIN #c");
    w.l(c(0), ":bea!u@h JOIN #c");
    w.now += 100_000;
    w.at(w.now);
    w.out.clear();
    w.l(c(0), ":bob!u@h PRIVMSG #c :hello"); // relayed by a; b's stream lags
    w.leave("!r", "@b:hs");
    w.join("!r", "@b:hs", "bea");
    w.l(c(1), ":bob!u@h PRIVMSG #c :hello");
    w.l(c(0), ":bea!u@h PART #c");
    w.l(c(1), ":bea!u@h PART #c");
    w.l(c(0), ":bea!u@h JOIN #c");
    w.l(c(1), ":bea!u@h JOIN #c");
    let t = w.now + 6000;
    w.at(t);
    assert_eq!(relays(&w.out).len(), 1);
}
#[test]
fn a_message_said_in_part_is_not_said_again_after_a_restart() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    w.join("!r", "@a:hs", "ada");
    w.up(c(0), "ada");
    w.l(c(0), ":ada!u@h JOIN #c");
    w.now += 100_000;
    w.out.clear();
    w.say("!r", "@a:hs", 7, "1\n2\n3\n4\n5\n6\n7\n8");
    w.h(Input::ConnWritten { conn: c(0), lines: 5 });
    w.h(Input::Stopping);
    w.h(Input::ConnWritten { conn: c(0), lines: 1 });
    w.h(Input::ConnClosed { conn: c(0), why: CloseReason::Asked });
    let sent = w
        .out
        .iter()
        .filter(|e| matches!(e, Effect::Send { line, .. } if line.starts_with("PRIVMSG")))
        .count();
    let settled = w.out.iter().filter(|e| matches!(e, Effect::Settle { seq: InboxSeq(7), .. })).count();
    assert!(sent == 0 || settled == 1);
}
#[test]
fn a_netsplit_closes_no_healthy_connection() {
    let mut w = W::new();
    w.h(Input::Started);
    w.portal("!r", "#c");
    for i in 0..2 {
        w.join("!r", &format!("@u{i}:hs"), &format!("u{i}"));
        w.up(c(i), &format!("u{i}"));
        w.l(c(i), &format!(":u{i}!u@h JOIN #c"));
    }
    w.l(c(0), ":u1!u@h JOIN #c");
    w.out.clear();
    w.l(c(0), ":u1!u@h QUIT :s1.net s2.net");
    assert!(!w.out.iter().any(|e| matches!(e, Effect::Close { .. } | Effect::Abandon { .. })));
}
#[test]
fn a_room_that_moves_to_another_channel_takes_its_people_along() {
    let mut w = W::new();
    w.portal("!r", "#a");
    w.h(Input::Members {
        room: RoomId::new("!r").unwrap(),
        members: vec![Member { user: UserId::new("@a:hs").unwrap(), display_name: Some("ada".into()) }],
    });
    w.h(Input::Started);
    w.portal("!r", "#b");
    w.h(Input::Members {
        room: RoomId::new("!r").unwrap(),
        members: vec![Member { user: UserId::new("@a:hs").unwrap(), display_name: Some("ada".into()) }],
    });
    let v = w.up(c(0), "ada");
    assert!(v.iter().any(|e| matches!(e, Effect::Send { line, .. } if line == "JOIN #b")));
}
