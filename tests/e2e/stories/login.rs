//! Logins: by SASL, by certificate, by message, and refused.
//!
//! On InspIRCd with Atheme, by TLS: what a server or its services understand by a login is theirs, and the model of
//! an IRC server has what these do not.

use std::time::{Duration, Instant};

use crate::support::PATIENT;
use crate::support::authority::{Authority, ServerCertificate};
use crate::support::bridge::{NETWORK, Wire};
use crate::support::irc::IrcClient;
use crate::support::ircd::{IrcdKind, Sasl, Setup};
use crate::support::matrix::Message;
use crate::support::process::temp_dir;
use crate::support::proxy::StallProxy;
use crate::support::synapse::DOMAIN;
use crate::support::world::{PLUMBED_CHANNEL, World, alias, puppet};

/// The account in these stories, and the nick of who registered it.
const ACCOUNT: &str = "lovelace";
const PASSWORD: &str = "s3same-0pen";

/// Longer than `connect.retry_ms_max`: who would try again by itself has done so.
const RETRIES: Duration = Duration::from_secs(3);

/// A world by TLS. The bridge's connections, and nobody else's, go through `door`.
pub struct Lab {
    pub world: World,
    door: StallProxy,
    _dir: tempfile::TempDir,
}

impl Lab {
    pub async fn new(kind: IrcdKind, sasl: Sasl, settings: &[&str]) -> Lab {
        let dir = temp_dir();
        let authority = Authority::new(dir.path());
        let tls = Some(authority.server(ServerCertificate::Right));
        let mut door = None;
        let setup = Setup { tls, sasl, ..Setup::default() };
        let world = World::with(kind, &setup, |config, ircd| {
            config.irc_port = door.insert(StallProxy::start(ircd.tls_port)).port;
            config.irc_wire = Wire::Tls { ca_file: authority.ca_file.clone() };
            config.network_lines.extend(settings.iter().map(|line| line.to_string()));
        })
        .await;
        Lab { world, door: door.expect("the world was configured"), _dir: dir }
    }

    /// `bunraku login` for the Matrix user `name`, with that account.
    fn set(&self, name: &str, password: &str) -> String {
        self.world.bridge.login(&["set", NETWORK, &id(name), "--account", ACCOUNT], password)
    }

    /// Who owns the account, in a channel of theirs.
    async fn owner(&self, channel: &str) -> IrcClient {
        let mut owner = self.world.irc(ACCOUNT).await;
        owner.register_account(PASSWORD).await;
        owner.join(channel).await;
        owner
    }
}

fn id(name: &str) -> String {
    format!("@{name}:{DOMAIN}")
}

/// Only those with an account may join.
async fn close_to_strangers(owner: &mut IrcClient, channel: &str) {
    owner.send(&format!("MODE {channel} +R")).await;
    owner.wait("the mode", PATIENT, |l| l.command == "MODE" && l.params == [channel, "+R"]).await;
}

/// SASL PLAIN: logged in before the first channel is joined.
#[tokio::test]
async fn a_password_logs_in() {
    let lab = Lab::new(IrcdKind::Services, Sasl::On, &[]).await;
    let mut owner = lab.owner("#members").await;
    close_to_strangers(&mut owner, "#members").await;
    assert!(lab.set("ada", PASSWORD).contains(&format!("as {ACCOUNT} with a password")));

    let (user, room) = lab.world.joined("ada", "#members", &mut owner).await;
    assert_eq!(owner.account_of(&puppet("ada")).await.as_deref(), Some(ACCOUNT));
    user.text(&room, "members only").await;
    assert_eq!(owner.wait_said(&puppet("ada"), "#members").await, "members only");

    let mut stranger = lab.world.user("eve").await;
    let room = stranger.join(&alias("#members")).await;
    let bot = lab.world.bridge.bot();
    let told = stranger.wait_message(&room, "why", PATIENT, |m| m.sender == bot).await.body;
    assert!(told.starts_with(&format!("{}: #members", stranger.id)), "{told}");
    assert_eq!(lab.world.bridge.logged(&[PASSWORD]), 0, "no password in the log");
}

/// SASL EXTERNAL: the user's own certificate, and no password anywhere.
#[tokio::test]
async fn a_certificate_logs_in() {
    let mut lab = Lab::new(IrcdKind::Services, Sasl::On, &[]).await;
    let mut owner = lab.owner("#members").await;
    close_to_strangers(&mut owner, "#members").await;
    let bridge = &lab.world.bridge;
    bridge.login(&["set", NETWORK, &id("ada"), "--account", ACCOUNT, "--no-password"], "");
    let made = bridge.login(&["certificate", NETWORK, &id("ada")], "");
    let fingerprint = made.lines().next().expect("the fingerprint comes first").to_owned();
    assert_eq!(fingerprint.len(), 64, "{made}");
    owner.nickserv(&format!("CERT ADD {fingerprint}"), &fingerprint).await;

    let (_ada, _) = lab.world.joined("ada", "#members", &mut owner).await;
    assert_eq!(owner.account_of(&puppet("ada")).await.as_deref(), Some(ACCOUNT));
    let whois = owner.whois(&puppet("ada")).await;
    let shown = whois.iter().find(|l| l.command == "276").and_then(|l| l.params.last());
    assert!(shown.is_some_and(|words| words.ends_with(&fingerprint)), "{whois:#?}");

    // It is the same one after a restart.
    lab.world.bridge.stop();
    owner.wait_no_member("#members", &puppet("ada")).await;
    lab.world.bridge.run().await;
    owner.wait_member("#members", &puppet("ada")).await;
    assert_eq!(owner.account_of(&puppet("ada")).await.as_deref(), Some(ACCOUNT));
}

/// Services lock accounts that are guessed at: a wrong password is said once, whoever starts what how often.
#[tokio::test]
async fn a_wrong_password_is_said_once() {
    let mut lab = Lab::new(IrcdKind::Services, Sasl::On, &[]).await;
    let mut owner = lab.owner("#open").await;
    lab.world.settled(&mut owner).await;
    lab.set("ada", "not-the-one");
    let from = Instant::now();

    let mut user = lab.world.user("ada").await;
    let (room, bot) = (user.join(&alias("#open")).await, lab.world.bridge.bot());
    let held = |m: &Message| m.sender == bot && m.body.contains(". It does not come back by itself");
    let told = user.wait_message(&room, "the refusal", PATIENT, held).await;
    let start = format!("{}: your IRC user could not log in to Local (", user.id);
    assert!(told.body.starts_with(&start), "{told:?}");
    assert!(
        told.body.contains("write `login` to me in a private chat to set your account and password right"),
        "the next step: {told:?}"
    );
    let unsent = |m: &Message| {
        m.sender == bot
            && m.body.starts_with("This message was not sent to #open: your IRC user could not log in")
    };
    user.text(&room, "does anybody hear me?").await;
    user.wait_messages(&room, "why it is not sent", PATIENT, 1, unsent).await;
    // Longer than the longest wait between two tries, and others come in meanwhile.
    user.drain(RETRIES).await;
    let (_bea, _) = lab.world.joined("bea", "#open", &mut owner).await;
    assert_eq!(lab.door.arrivals(from).len(), 2, "one connection each");

    lab.world.bridge.stop();
    owner.wait_no_member("#open", &puppet("bea")).await;
    lab.world.bridge.run().await;
    owner.wait_member("#open", &puppet("bea")).await;
    owner.wait_member(PLUMBED_CHANNEL, &puppet("plumber")).await;
    user.text(&room, "and now?").await;
    user.wait_messages(&room, "why it is not sent", PATIENT, 2, unsent).await;
    user.drain(RETRIES).await;
    assert_eq!(lab.door.arrivals(from).len(), 2 + 2, "nobody dials for a login that was refused");
    assert_eq!(
        user.messages(&room).iter().filter(|m| held(m)).count(),
        1,
        "told once: {:#?}",
        user.messages(&room)
    );

    let said = lab.set("ada", PASSWORD);
    assert!(said.contains("may connect again"), "{said}");
    // The bridge runs on and notices by itself.
    owner.wait_member("#open", &puppet("ada")).await;
    assert_eq!(owner.account_of(&puppet("ada")).await.as_deref(), Some(ACCOUNT));
    user.text(&room, "here I am").await;
    assert_eq!(owner.wait_said(&puppet("ada"), "#open").await, "here I am");
}

/// Where there is no SASL, NickServ is written to, by TLS.
#[tokio::test]
async fn services_are_told_the_password_where_there_is_no_sasl() {
    let mask = r#"services: { mask: "NickServ!*@services.test" }"#;
    let lab = Lab::new(IrcdKind::Services, Sasl::Off, &[mask]).await;
    let mut owner = lab.owner("#members").await;
    close_to_strangers(&mut owner, "#members").await;
    lab.set("ada", PASSWORD);

    // Logged in before it asks to join: the channel lets nobody else in.
    let (user, room) = lab.world.joined("ada", "#members", &mut owner).await;
    assert_eq!(owner.account_of(&puppet("ada")).await.as_deref(), Some(ACCOUNT));
    user.text(&room, "members only").await;
    assert_eq!(owner.wait_said(&puppet("ada"), "#members").await, "members only");
    assert_eq!(lab.world.bridge.logged(&[PASSWORD]), 0, "no password in the log");
}

/// Somebody else has the nick of the services. They hear nothing, and the puppet goes on without its account.
#[tokio::test]
async fn nobody_but_services_is_told_the_password() {
    let mask = r#"services: { mask: "NickServ!*@services.test" }"#;
    let lab = Lab::new(IrcdKind::InspIrcd, Sasl::Off, &[mask]).await;
    let mut squatter = lab.world.irc("NickServ").await;
    lab.set("ada", PASSWORD);

    let mut irc = lab.world.irc("bea").await;
    irc.join("#open").await;
    // Channels are joined when the login is over, one way or another.
    lab.world.joined("ada", "#open", &mut irc).await;
    squatter.fence().await;
    let heard: Vec<_> = squatter.lines().into_iter().filter(|l| l.source == puppet("ada")).collect();
    assert!(heard.is_empty(), "{heard:?}");
}
