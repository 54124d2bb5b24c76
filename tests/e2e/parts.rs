//! What large networks have, without the bridge: accounts, certificates, ident, gateways, bans, throttles.
//!
//! As in `harness`: when these fail, the stories that lean on them say nothing about the bridge. They also hold the
//! servers to the words that `support` says of them.

use std::path::Path;
use std::time::Instant;

use tokio::sync::Mutex as AsyncMutex;

use crate::support::answers::{Place, Situation, situations};
use crate::support::authority::{Authority, ServerCertificate};
use crate::support::door::Door;
use crate::support::identd::Identd;
use crate::support::irc::{IrcClient, IrcLine};
use crate::support::ircd::{GATEWAY_PASSWORD, Ident, Ircd, IrcdKind, Setup, Sts, Throttle};
use crate::support::process::{loopback_address, sub_dir, temp_dir};
use crate::support::proxy::{StallProxy, busiest_second};
use crate::support::services::NICKSERV_MASK;
use crate::support::{SOON, eventually, join_all};

const KINDS: [IrcdKind; 3] = [IrcdKind::InspIrcd, IrcdKind::NgIrcd, IrcdKind::Hybrid];

#[tokio::test]
async fn services_keep_accounts_and_nicks() {
    let dir = temp_dir();
    let ircd = Ircd::start(IrcdKind::Services, dir.path()).await;
    let mut ada = ircd.client("ada").await;
    ada.register_account("secret").await;
    assert_eq!(ada.account_of("ada").await.as_deref(), Some("ada"));

    let mut good = IrcClient::open(&Door::plain(ircd.port), "good").await;
    let mut bad = IrcClient::open(&Door::plain(ircd.port), "bad").await;
    let mut odd = IrcClient::open(&Door::plain(ircd.port), "odd").await;
    assert!(good.offered().await.contains(&"sasl=PLAIN,EXTERNAL".to_owned()));
    for client in [&mut good, &mut bad, &mut odd] {
        client.request("sasl").await;
        client.ask_in("test").await;
    }
    // 2 * 3 + 2 bytes go before the password: 300 bytes are 400 of base64, a full piece and an empty one.
    let long = "p".repeat(300 - 2 * "ada".len() - 2);
    assert_eq!(good.sasl_plain("ada", "secret").await.words(), "903 good :SASL authentication successful");
    assert_eq!(bad.sasl_plain("ada", "wrong").await.words(), "904 bad :SASL authentication failed");
    assert_eq!(odd.sasl_plain("ada", &long).await.command, "904", "of exactly 400 bytes");
    good.finish().await;
    assert_eq!(ada.account_of("good").await.as_deref(), Some("ada"));
    bad.finish().await;
    assert_eq!(ada.account_of("bad").await, None);

    nicks_are_kept(&ircd, &mut ada, &mut bad).await;
}

/// Services go away and come back with what they knew; so does the server, and they link again.
#[tokio::test]
async fn services_come_back() {
    let dir = temp_dir();
    let mut ircd = Ircd::start(IrcdKind::Services, dir.path()).await;
    let mut ada = ircd.client("ada").await;
    ada.register_account("secret").await;
    ada.nickserv("STATUS", "You are logged in as ada.").await;
    let notice = ada.lines().into_iter().rev().find(|l| l.command == "NOTICE").expect("NickServ said it");
    assert_eq!(format!("{}!{}", notice.source, notice.user_host), NICKSERV_MASK);

    ircd.services.as_mut().expect("the kind has them").stop();
    // The server can miss the end of the link until it has something to say on it.
    let answers = AsyncMutex::new(&mut ada);
    eventually("NickServ is gone", SOON, || async {
        let mut ada = answers.lock().await;
        ada.send("PRIVMSG NickServ :STATUS").await;
        let answer = ada.fence().await;
        answer.iter().any(|l| l.words() == "401 ada NickServ :No such nick").then_some(())
    })
    .await;
    let mut early = IrcClient::open(&Door::plain(ircd.port), "early").await;
    assert!(!early.offered().await.iter().any(|cap| cap.starts_with("sasl")), "nobody to ask");

    ircd.services.as_mut().expect("the kind has them").run().await;
    ircd.kill_server();
    ircd.run().await;
    let mut bea = IrcClient::open(&Door::plain(ircd.port), "bea").await;
    bea.request("sasl").await;
    bea.ask_in("test").await;
    assert_eq!(bea.sasl_plain("ada", "secret").await.command, "903");
}

/// GHOST, enforcement, RELEASE, IDENTIFY, REGAIN.
async fn nicks_are_kept(ircd: &Ircd, ada: &mut IrcClient, bad: &mut IrcClient) {
    ada.nickserv("SET ENFORCE ON", "flag has been set").await;
    ada.nickserv("SET ENFORCETIME 1", "ENFORCETIME").await;
    bad.nickserv("GHOST ada secret", "has been ghosted").await;
    let last = ada.ended().await;
    assert_eq!(
        last.as_deref(),
        Some("Closing link: (test@127.0.0.1) [Killed (NickServ (GHOST command used by bad))]")
    );

    // Somebody else takes the nick and loses it; then services hold it.
    let mut thief = ircd.client("ada").await;
    thief.wait("the loss of the nick", SOON, |l| l.command == "NICK" && l.source == "ada").await;
    bad.send("NICK ada").await;
    let held = bad.wait("the refusal", SOON, |l| l.command == "432").await;
    assert_eq!(held.words(), "432 bad ada :Services reserved nickname: Registered nickname.");
    bad.nickserv("RELEASE ada secret", "has been released").await;
    bad.nickserv("IDENTIFY ada wrong", "Invalid password for ada.").await;
    bad.nickserv("IDENTIFY ada secret", "You are now identified for ada.").await;
    bad.send("PRIVMSG NickServ :REGAIN ada secret").await;
    bad.wait("the nick", SOON, |l| l.command == "NICK" && l.params == ["ada"]).await;
}

#[tokio::test]
async fn a_client_certificate_is_a_login() {
    let dir = temp_dir();
    let authority = Authority::new(dir.path());
    let setup = Setup { tls: Some(authority.server(ServerCertificate::Right)), ..Setup::default() };
    let ircd = Ircd::start_as(IrcdKind::Services, dir.path(), &setup).await;
    let certificate = authority.client("ada");
    let door = Door::tls(ircd.tls_port, &authority, Some(&certificate));

    let mut ada = IrcClient::open(&door, "ada").await;
    ada.register("test").await;
    let shown =
        ada.whois("ada").await.into_iter().find(|l| l.command == "276").expect("a fingerprint in WHOIS");
    assert_eq!(
        shown.words(),
        format!("276 ada ada :has TLS (SSL) client certificate fingerprint {}", certificate.fingerprint)
    );
    ada.register_account("secret").await;
    ada.nickserv("CERT ADD", &certificate.fingerprint).await;

    let stranger = Door::tls(ircd.tls_port, &authority, Some(&authority.client("eve")));
    let mut clients = Vec::new();
    for (door, nick) in [(&door, "same"), (&stranger, "other"), (&Door::plain(ircd.port), "none")] {
        let mut client = IrcClient::open(door, nick).await;
        client.request("sasl").await;
        client.ask_in("test").await;
        clients.push(client.sasl_external().await.command);
    }
    assert_eq!(clients, ["903", "904", "904"]);
}

#[tokio::test]
async fn certificates_are_right_or_wrong_in_their_own_way() {
    let dir = temp_dir();
    let authority = Authority::new(dir.path());
    let wrongs = [
        (ServerCertificate::WrongName, "NotValidForName"),
        (ServerCertificate::UnknownIssuer, "UnknownIssuer"),
        (ServerCertificate::Expired, "Expired"),
    ];
    for (certificate, why) in wrongs {
        let parent = sub_dir(dir.path(), &format!("{certificate:?}"));
        let ircd = with_certificate(IrcdKind::InspIrcd, &parent, &authority, certificate).await;
        let refused = Door::tls(ircd.tls_port, &authority, None).try_open().await.map(drop);
        let refused = refused.expect_err("such a certificate is no good");
        assert!(
            refused.to_lowercase().contains(&why.to_lowercase()) || refused.contains("not valid for name"),
            "{certificate:?}: {refused}"
        );
    }
    for kind in KINDS {
        let parent = sub_dir(dir.path(), &format!("{kind:?}"));
        let ircd = with_certificate(kind, &parent, &authority, ServerCertificate::Right).await;
        let certificate = authority.client("ada");
        let mut ada = IrcClient::open(&Door::tls(ircd.tls_port, &authority, Some(&certificate)), "ada").await;
        ada.register("test").await;
        let whois = ada.whois("ada").await;
        let print = whois.iter().find(|l| l.command == "276").and_then(|l| l.params.last());
        assert!(
            print.is_some_and(|p| p.to_lowercase().ends_with(&certificate.fingerprint)),
            "{kind:?}: {whois:#?}"
        );
    }
}

async fn with_certificate(
    kind: IrcdKind,
    parent: &Path,
    authority: &Authority,
    certificate: ServerCertificate,
) -> Ircd {
    let setup = Setup { tls: Some(authority.server(certificate)), ..Setup::default() };
    Ircd::start_as(kind, parent, &setup).await
}

#[tokio::test]
async fn sts_is_offered_where_it_is_on() {
    let dir = temp_dir();
    let authority = Authority::new(dir.path());
    let tls = Some(authority.server(ServerCertificate::Right));
    let ircd =
        Ircd::start_as(IrcdKind::Services, dir.path(), &Setup { tls, sts: Sts::On, ..Setup::default() })
            .await;
    let mut plain = IrcClient::open(&Door::plain(ircd.port), "ada").await;
    assert!(plain.offered().await.contains(&format!("sts=port={}", ircd.tls_port)));
    let mut safe = IrcClient::open(&Door::tls(ircd.tls_port, &authority, None), "bea").await;
    let policy = safe.offered().await.into_iter().find(|c| c.starts_with("sts="));
    assert_eq!(policy.as_deref(), Some("sts=duration=60"));
}

#[tokio::test]
async fn ident_is_asked_and_taken() {
    let asked = [IrcdKind::InspIrcd, IrcdKind::Hybrid].map(|kind| async move {
        let dir = temp_dir();
        let ircd = Ircd::start_as(kind, dir.path(), &Setup { ident: Ident::Asked, ..Setup::default() }).await;
        let identd = Identd::start("mx7f3").await;
        let mut known = IrcClient::open(&Door::plain(ircd.port).from(identd.address), "ada").await;
        known.register("other").await;
        let mut unknown = IrcClient::open(&Door::plain(ircd.port).from(loopback_address()), "bea").await;
        unknown.register("other").await;

        assert_eq!(known.user_of("ada").await, "mx7f3", "{kind:?}");
        assert_eq!(known.user_of("bea").await, "~other", "{kind:?}");
        let questions = identd.asked();
        assert_eq!(questions.len(), 1, "{kind:?}: {questions:?}");
        assert!(
            questions[0].replace(' ', "").ends_with(&format!(",{}", ircd.port)),
            "{kind:?}: {questions:?}"
        );
    });
    join_all(asked).await;
}

#[tokio::test]
async fn a_gateway_names_the_host_of_its_user() {
    let named = [IrcdKind::Services, IrcdKind::NgIrcd, IrcdKind::Hybrid].map(|kind| async move {
        let dir = temp_dir();
        let ircd = Ircd::start(kind, dir.path()).await;
        let mut client = IrcClient::open(&Door::plain(ircd.port), "ada").await;
        // An address that begins with a colon would lose it: it is the last parameter.
        client.send(&format!("WEBIRC {GATEWAY_PASSWORD} bunraku ada.matrix.test 0::5")).await;
        client.register("mx7f3").await;
        let who = client.whois("ada").await.into_iter().find(|l| l.command == "311").expect("she is there");
        // Only ircd-hybrid takes the name of the host; ngIRCd takes the gateway's name for the user's.
        let expected = match kind {
            IrcdKind::InspIrcd | IrcdKind::Services => ["mx7f3", "0::5"],
            IrcdKind::NgIrcd => ["bunraku", "0::5"],
            IrcdKind::Hybrid => ["mx7f3", "ada.matrix.test"],
        };
        assert_eq!([who.params[2].as_str(), who.params[3].as_str()], expected, "{kind:?}");

        let mut forger = IrcClient::open(&Door::plain(ircd.port), "eve").await;
        forger.send("WEBIRC wrong bunraku ada.matrix.test 0::5").await;
        let last = match kind {
            // It stays, as whoever connects from there.
            IrcdKind::NgIrcd => forger.wait("the refusal", SOON, |l| l.command == "464").await.words(),
            IrcdKind::InspIrcd | IrcdKind::Services | IrcdKind::Hybrid => {
                forger.ended().await.expect("an ERROR")
            }
        };
        let words = match kind {
            IrcdKind::InspIrcd | IrcdKind::Services => {
                "[WEBIRC: you don't match any configured WebIRC hosts.]"
            }
            IrcdKind::NgIrcd => "464 * :Invalid password",
            IrcdKind::Hybrid => "Closing Link: 127.0.0.1 (Not a WebIRC auth block)",
        };
        assert!(last.ends_with(words), "{kind:?}: {last}");
    });
    join_all(named).await;
}

#[tokio::test]
async fn labels_echoes_and_tags_are_seen() {
    let dir = temp_dir();
    let ircd = Ircd::start(IrcdKind::Services, dir.path()).await;
    let mut ada = IrcClient::open(&Door::plain(ircd.port), "ada").await;
    let wanted = "account-notify account-tag away-notify batch cap-notify chghost echo-message extended-join \
                  invite-notify labeled-response message-tags multi-prefix server-time setname userhost-in-names";
    let offered = ada.offered().await;
    let missing: Vec<_> = wanted.split(' ').filter(|cap| !offered.iter().any(|o| o == cap)).collect();
    assert!(missing.is_empty(), "{missing:?} of {offered:?}");
    ada.request(wanted).await;
    ada.ask_in("test").await;
    ada.finish().await;
    ada.join("#here").await;

    ada.send("@label=one PRIVMSG #here :hello").await;
    let echo = ada.wait("the echo", SOON, |l| l.is_from("PRIVMSG", "ada", "#here")).await;
    assert_eq!(echo.tag("label"), Some("one"));
    assert!(echo.tag("time").is_some() && echo.tag("msgid").is_some(), "{echo:?}");

    ada.send("@label=two WHOIS ada").await;
    let opened = ada.wait("the batch", SOON, |l| l.tag("label") == Some("two")).await;
    assert_eq!((opened.command.as_str(), opened.params[1].as_str()), ("BATCH", "labeled-response"));
    let batch = opened.params[0].trim_start_matches('+').to_owned();
    ada.wait("the answer in it", SOON, |l| l.command == "311" && l.tag("batch") == Some(&batch)).await;
    ada.wait("its end", SOON, |l| l.command == "BATCH" && l.params == [format!("-{batch}")]).await;
    ada.send("@label=three NOSUCH").await;
    let refused = ada.wait("the refusal", SOON, |l| l.tag("label") == Some("three")).await;
    assert_eq!(refused.words(), "421 ada NOSUCH :Unknown command");
}

#[tokio::test]
async fn kill_and_kline_end_a_connection_in_known_words() {
    let ended = KINDS.map(|kind| async move {
        let dir = temp_dir();
        let ircd = Ircd::start(kind, dir.path()).await;
        let mut oper = ircd.operator("oper").await;
        let mut killed = ircd.client("killed").await;
        let mut banned = user(&ircd, "banned", "mx7f3").await;
        oper.kill("killed").await;
        let killed = killed.ended().await.expect("an ERROR");
        oper.kline("mx7f3").await;
        let last = banned.ended().await.expect("an ERROR");
        assert!(last.contains("no bridges"), "{kind:?}: {last}");
        let has_numeric = banned.lines().iter().any(|l| l.command == "465");
        assert_eq!(has_numeric, kind != IrcdKind::NgIrcd, "{kind:?}");
        let mut again = IrcClient::open(&Door::plain(ircd.port), "again").await;
        again.ask_in("mx7f3").await;
        let refused = again.ended().await.expect("an ERROR");
        // Others come in.
        user(&ircd, "other", "mx7f4").await;
        (killed, refused)
    });
    let [inspircd, ngircd, hybrid] = <[_; 3]>::try_from(join_all(ended).await).expect("three kinds");
    assert_eq!(inspircd.0, "Closing link: (test@127.0.0.1) [Killed (oper (test))]");
    assert_eq!(inspircd.1, "Closing link: (mx7f3@127.0.0.1) [K-lined: no bridges]");
    assert_eq!(ngircd.0, "KILLed by oper: test");
    assert_eq!(ngircd.1, "Access denied: \"no bridges\" (K-Line)");
    assert_eq!(hybrid.0, "Closing Link: 127.0.0.1 (Killed (oper (test)))");
    assert_eq!(hybrid.1, "Closing Link: 127.0.0.1 (Connection rejected - banned from server)");
}

async fn user(ircd: &Ircd, nick: &str, user: &str) -> IrcClient {
    let mut client = IrcClient::open(&Door::plain(ircd.port), nick).await;
    client.register(user).await;
    client
}

#[tokio::test]
async fn servers_answer_in_known_words() {
    let kinds = [IrcdKind::InspIrcd, IrcdKind::NgIrcd, IrcdKind::Hybrid, IrcdKind::Services];
    join_all(kinds.map(|kind| async move {
        let dir = temp_dir();
        let ircd = Ircd::start(kind, dir.path()).await;
        let here = situations().iter().enumerate().filter(|(_, s)| s.applies_to(kind));
        join_all(here.map(|(number, situation)| answers(&ircd, situation, number))).await;
    }))
    .await;
}

async fn answers(ircd: &Ircd, situation: &Situation, number: usize) {
    let (channel, nick) = (format!("#c{number}"), format!("client{number}"));
    let operator = Situation::operator(ircd, &channel).await;
    let mut client = ircd.client(&nick).await;
    if situation.place() == Place::Inside {
        client.join(&channel).await;
    }
    let scene = situation.prepare(operator, ircd.kind, &channel, &nick).await;
    let got: Vec<String> = situation.act(&scene).by(&mut client).await.iter().map(IrcLine::words).collect();
    let words = situation.words(ircd.kind, &scene);
    assert!(got.contains(&words), "{:?}, {}: {words:?} is not in {got:#?}", ircd.kind, situation.name);
}

/// Sixty at once where twenty may come in a second: each second twenty, the others are told why not.
#[tokio::test]
async fn a_storm_is_throttled() {
    const COUNT: usize = 60;
    let dir = temp_dir();
    let setup = Setup { throttle: Throttle::PerSecond(20), ..Setup::default() };
    let ircd = Ircd::start_as(IrcdKind::InspIrcd, dir.path(), &setup).await;
    let proxy = StallProxy::start(ircd.port);
    let from = Instant::now();
    let mut inside = Vec::new();
    let mut rounds = 0;
    while inside.len() < COUNT {
        rounds += 1;
        let missing = inside.len()..COUNT;
        let outcome = join_all(missing.map(|number| try_in(proxy.port, format!("r{rounds}c{number}")))).await;
        let before = inside.len();
        inside.extend(outcome.into_iter().flatten());
        assert!(inside.len() - before <= 2 * 20, "a round lasts two seconds of the server's clock at most");
    }
    assert!(rounds > 1, "nobody was refused");
    let arrivals = proxy.arrivals(from);
    assert!(arrivals.len() > COUNT && busiest_second(&arrivals) > 20, "{arrivals:?}");
    assert_eq!(proxy.cut_all(), COUNT);
    assert_eq!(proxy.cut_all(), 0);
}

/// A client, unless the server is too busy for it.
async fn try_in(port: u16, nick: String) -> Option<IrcClient> {
    let mut client = IrcClient::open(&Door::plain(port), &nick).await;
    client.ask_in("test").await;
    let first = client.wait("welcome or refusal", SOON, |l| l.command == "001" || l.command == "ERROR").await;
    if first.command == "001" {
        return Some(client);
    }
    assert_eq!(first.words(), "ERROR :Closing link: (test@127.0.0.1) [Throttled]");
    None
}

#[tokio::test]
async fn limits_refuse_in_known_words() {
    const BANNED: &str = "[Z-lined: Too many connections]";
    let limits = [
        (Throttle::BanAfter(3), BANNED),
        (Throttle::AtATime(2), "[No more connections allowed from your host via this connect class (local)]"),
        (Throttle::Full(2), "[Access denied by configuration]"),
    ];
    join_all(limits.map(|(throttle, words)| async move {
        let dir = temp_dir();
        let ircd =
            Ircd::start_as(IrcdKind::InspIrcd, dir.path(), &Setup { throttle, ..Setup::default() }).await;
        let mut clients = Vec::new();
        loop {
            assert!(clients.len() < 6, "{throttle:?} refuses nobody");
            let mut client = IrcClient::open(&Door::plain(ircd.port), &format!("c{}", clients.len())).await;
            client.ask_in("test").await;
            let first =
                client.wait("welcome or refusal", SOON, |l| l.command == "001" || l.command == "ERROR").await;
            if first.command == "ERROR" {
                assert!(first.params[0].ends_with(words), "{throttle:?}: {first:?}");
                break;
            }
            clients.push(client);
        }
    }))
    .await;
}
