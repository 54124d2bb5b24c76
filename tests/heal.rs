//! The homeserver restarts and forgets what it had not pushed: the bridge finds it, between models, as a program.
//!
//! The model's rooms have a past; an event that is made and not pushed is one that a restart lost.

mod model;

use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use model::homeserver::{
    Echo, Event, Fault, FaultKind, History, Homeserver, JoinRule, Settings as HomeserverSettings,
};
use model::ircd::{Ircd, Settings as IrcdSettings};
use tempfile::TempDir;

const DOMAIN: &str = "model.test";
const AS_TOKEN: &str = "f3c1a0d59b7e42468a1cbb0f6ad2e7914c5586d0e97f4b2d8a30c61ef7b94d25";
const HS_TOKEN: &str = "0b8e6d1f47a95c238ef4d7016bca39525e9f70c83d1642a7b0d6f98e15c3a47d";
const PATIENT: Duration = Duration::from_secs(60);
/// Longer than anything takes that would be said twice.
const QUIET: Duration = Duration::from_secs(2);
/// How long a restart takes, at least.
const AWAY: Duration = Duration::from_millis(500);
const ADA: &str = "@ada:model.test";
const BEA: &str = "@bea:model.test";

/// Two rooms on two channels, with ada and bea in both.
struct Lab {
    homeserver: Homeserver,
    ircd: Ircd,
    bridge: Option<Child>,
    folder: TempDir,
}

impl Lab {
    async fn start() -> Lab {
        Lab::with(|_| {}).await
    }

    /// `before` comes when the rooms are there and the bridge is not.
    async fn with(before: impl FnOnce(&Homeserver)) -> Lab {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let listen =
            TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").to_string();
        let settings = HomeserverSettings {
            as_token: AS_TOKEN.into(),
            hs_token: HS_TOKEN.into(),
            echo: Echo::On,
            history: History::Kept,
            ..HomeserverSettings::new(DOMAIN, &format!("http://{listen}"))
        };
        let homeserver = Homeserver::start(settings).await.expect("a port");
        let ircd = Ircd::start(IrcdSettings::default()).await.expect("a port");
        for number in [1, 2] {
            let members = [ADA, BEA].map(|user| (user.to_owned(), String::new()));
            homeserver.add_room(&room(number), JoinRule::Public, &members);
        }
        before(&homeserver);
        let write = |name, text: String| fs::write(folder.path().join(name), text).expect("our folder");
        write("registration.yaml", registration(&listen));
        write("config.yaml", config(&homeserver.url(), &listen, ircd.port()));
        let mut lab = Lab { homeserver, ircd, bridge: None, folder };
        lab.run().await;
        lab
    }

    /// Starts the bridge (again) and waits until the puppets are where they belong.
    async fn run(&mut self) {
        let log =
            File::options().create(true).append(true).open(self.folder.path().join("log")).expect("ours");
        let child = Command::new(env!("CARGO_BIN_EXE_bunraku"))
            .args(["run", "--config", "config.yaml"])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a handle"))
            .stderr(log)
            .spawn();
        self.bridge = Some(child.expect("the program is built"));
        self.until("the puppets are in", |lab| {
            [1, 2].iter().all(|number| lab.ircd.members_len(&channel(*number)) == 2)
        })
        .await;
        self.until("the homeserver is watched", |lab| lab.logged("rooms are read back") > 0).await;
    }

    /// SIGKILL.
    fn kill(&mut self) {
        let mut child = self.bridge.take().expect("it runs");
        child.kill().and_then(|()| child.wait()).expect("it ran");
    }

    fn logged(&self, words: &str) -> usize {
        self.log().lines().filter(|line| line.contains(words)).count()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn until(&self, what: &str, ready: impl Fn(&Lab) -> bool) {
        let end = Instant::now() + PATIENT;
        while !ready(self) {
            assert!(Instant::now() < end, "not in time: {what}; the log:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The homeserver's process ends and another one begins.
    async fn restart_homeserver(&self) {
        self.homeserver.go_away();
        tokio::time::sleep(AWAY).await;
        self.homeserver.come_back();
    }

    /// Messages `from..to` of ada, in turns in both rooms; the homeserver has them, and nobody is told yet.
    fn burst(&self, from: usize, to: usize) -> Vec<Event> {
        (from..to).map(|n| self.homeserver.message(&room(1 + n % 2), ADA, &format!("line {n}"))).collect()
    }

    /// Waits until this is the last thing said on IRC, and for what would come twice. Gives what was said in a
    /// channel.
    async fn said(&self, last: &str) -> [Vec<String>; 2] {
        self.until(last, |lab| lab.ircd.said().iter().any(|said| said.text == last)).await;
        tokio::time::sleep(QUIET).await;
        [1, 2].map(|number| {
            let said = self.ircd.said().into_iter().filter(|said| said.target == channel(number));
            said.map(|said| said.text).collect()
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(mut child) = self.bridge.take() {
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

fn room(number: usize) -> String {
    format!("!room{number}:{DOMAIN}")
}

fn channel(number: usize) -> String {
    format!("#chan{number}")
}

/// What [`Lab::burst`] says in both channels.
fn lines(numbers: std::ops::Range<usize>) -> [Vec<String>; 2] {
    [0, 1].map(|rest| numbers.clone().filter(|n| n % 2 == rest).map(|n| format!("line {n}")).collect())
}

fn registration(listen: &str) -> String {
    format!(
        "id: bunraku\nurl: \"http://{listen}\"\nas_token: {AS_TOKEN}\nhs_token: {HS_TOKEN}\n\
         sender_localpart: ircbot\nrate_limited: false\nreceive_ephemeral: true\nprotocols: [irc]\n\
         io.element.msc4190: true\nnamespaces:\n\
         \x20 users: [ {{ exclusive: true, regex: '^@irc_.*:model\\.test$' }} ]\n\
         \x20 aliases: [ {{ exclusive: true, regex: '^#irc_.*:model\\.test$' }} ]\n\
         \x20 rooms: []\n"
    )
}

fn config(homeserver: &str, listen: &str, irc_port: u16) -> String {
    let mapped = [1, 2]
        .map(|number| format!("{{ channel: \"{}\", rooms: [\"{}\"] }}", channel(number), room(number)))
        .join(", ");
    format!(
        "homeserver: {{ url: \"{homeserver}\", domain: {DOMAIN} }}\n\
         appservice: {{ listen: \"{listen}\", url: \"http://{listen}\", registration: registration.yaml, admins: [] }}\n\
         database: {{ url: \"sqlite:bunraku.db\" }}\n\
         logging: {{ filter: \"info,bunraku=debug\", format: text }}\n\
         networks:\n\
         \x20 local:\n\
         \x20   name: Local\n\
         \x20   servers: [ {{ host: 127.0.0.1, port: {irc_port}, tls: false }} ]\n\
         \x20   nick: \"$LOCALPART\"\n\
         \x20   channels: [ {mapped} ]\n\
         \x20   flood: {{ burst: 100, line_ms: 0 }}\n\
         \x20   connect: {{ burst: 100, interval_ms: 0, retry_ms_min: 200, retry_ms_max: 2000 }}\n",
    )
}

/// Most of a burst was never pushed. What is pushed after the restart is newer and comes after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restart_lost_is_said_once_and_in_order() {
    let lab = Lab::start().await;
    let told = lab.burst(0, 6);
    lab.homeserver.push(&told).await.expect("taken");
    lab.burst(6, 30);
    lab.homeserver.go_away();
    tokio::time::sleep(AWAY).await;
    let after = lab.burst(30, 32);
    let (pushed, ()) = tokio::join!(lab.homeserver.push(&after), async {
        tokio::time::sleep(AWAY).await;
        lab.homeserver.come_back();
    });
    assert!(pushed.expect("taken in the end").attempts > 1, "what is newer has to wait");
    assert_eq!(lab.said("line 31").await, lines(0..32));
    // The homeserver may find what it had put away after all.
    lab.homeserver.push(&told).await.expect("taken");
    assert_eq!(lab.said("line 31").await, lines(0..32));
}

/// Nobody pushes anything after the restart: what was lost comes all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_lost_does_not_wait_for_the_next_event() {
    let lab = Lab::start().await;
    lab.burst(0, 4);
    lab.restart_homeserver().await;
    assert_eq!(lab.said("line 3").await, lines(0..4));
}

/// A power cut: both end, and the homeserver had told less than it knew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_end_at_once() {
    let mut lab = Lab::start().await;
    let told = lab.burst(0, 2);
    lab.homeserver.push(&told).await.expect("taken");
    lab.said("line 1").await;
    lab.burst(2, 8);
    lab.kill();
    lab.restart_homeserver().await;
    lab.until("the puppets are gone", |lab| lab.ircd.registered() == 0).await;
    lab.run().await;
    assert_eq!(lab.said("line 7").await, lines(0..8));
}

/// What was said before a room was bridged stays there, however often it is read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_of_a_room_is_not_said() {
    let lab = Lab::with(|homeserver| {
        for number in [1, 2] {
            homeserver.message(&room(number), ADA, "among ourselves");
        }
    })
    .await;
    lab.burst(0, 2);
    lab.restart_homeserver().await;
    assert_eq!(lab.said("line 1").await, lines(0..2));
}

/// Somebody left, and the homeserver told nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_left_meanwhile_leaves() {
    let lab = Lab::start().await;
    lab.homeserver.member(&room(1), BEA, BEA, "leave", "");
    lab.restart_homeserver().await;
    lab.until("bea's puppet is out", |lab| lab.ircd.members_len(&channel(1)) == 1).await;
    assert_eq!(lab.ircd.members_len(&channel(2)), 2);
}

/// A room that cannot be read is told of once, and nobody waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_cannot_be_read_holds_up_nobody() {
    let lab = Lab::start().await;
    lab.homeserver.fault(Fault {
        path_contains: format!("room1{}/messages", model::http::encode(&format!(":{DOMAIN}"))),
        times: 100,
        kind: FaultKind::Status(403),
    });
    lab.burst(0, 2);
    lab.restart_homeserver().await;
    let after = lab.burst(2, 4);
    lab.homeserver.push(&after).await.expect("taken in the end");
    let [even, odd] = lab.said("line 3").await;
    assert_eq!((even, odd), (vec!["line 2".to_owned()], vec!["line 1".to_owned(), "line 3".to_owned()]));
    assert_eq!(lab.logged("a room cannot be read back"), 1, "{}", lab.log());
}

/// What the homeserver left lying was said before what it sends now, also in a room of which it sends nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stranded_is_said_before_what_comes_now() {
    let lab = Lab::start().await;
    let told = lab.burst(0, 4);
    lab.homeserver.push(&told).await.expect("taken");
    let stranded = lab.homeserver.strand(lab.burst(4, 8)).await;
    let [even, odd]: [Event; 2] = lab.burst(8, 10).try_into().expect("two");
    assert_eq!(lab.homeserver.push(&[even]).await.expect("taken").attempts, 1, "held, not refused");
    lab.homeserver.push(&[odd]).await.expect("taken");
    assert_eq!(lab.said("line 9").await, lines(0..10));
    // The next outage brings it.
    lab.homeserver.push_stranded(&stranded).await.expect("taken");
    assert_eq!(lab.said("line 9").await, lines(0..10));
}

/// Nobody says anything after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stranded_does_not_wait_for_the_next_event() {
    let lab = Lab::start().await;
    lab.restart_homeserver().await;
    let told = lab.burst(0, 2);
    lab.homeserver.push(&told).await.expect("taken");
    lab.homeserver.strand(lab.burst(2, 4)).await;
    assert_eq!(lab.said("line 3").await, lines(0..4));
}

/// The homeserver pushes, and cannot be asked: nobody is held up for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_holds_up_nobody_for_ever() {
    let lab = Lab::start().await;
    lab.homeserver.push(&lab.burst(0, 2)).await.expect("taken");
    lab.homeserver.fault(Fault {
        path_contains: format!("room1{}/messages", model::http::encode(&format!(":{DOMAIN}"))),
        times: 10_000,
        kind: FaultKind::Status(500),
    });
    lab.homeserver.strand(lab.burst(2, 3)).await;
    let pushed = lab.homeserver.push(&lab.burst(3, 5)).await.expect("taken in the end");
    assert!(pushed.attempts > 1, "it was refused for a while");
    let [even, odd] = lab.said("line 4").await;
    assert_eq!((even, odd), (vec!["line 0".to_owned(), "line 4".to_owned()], lines(0..4)[1].clone()));
}
