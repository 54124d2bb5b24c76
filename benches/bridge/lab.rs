//! The models and a real bridge between them: written configuration, started program, puppets in place.
//!
//! Ends the program it started, and no other, when dropped.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::model::homeserver::{Echo, Homeserver, JoinRule, Settings as HomeserverSettings};
use crate::model::ircd::{Ircd, Settings as IrcdSettings};

pub const DOMAIN: &str = "bench.test";
const AS_TOKEN: &str = "f3c1a0d59b7e42468a1cbb0f6ad2e7914c5586d0e97f4b2d8a30c61ef7b94d25";
const HS_TOKEN: &str = "0b8e6d1f47a95c238ef4d7016bca39525e9f70c83d1642a7b0d6f98e15c3a47d";
/// Names another program to measure than the one of this build, for a comparison.
const PROGRAM: &str = "BUNRAKU_BENCH_PROGRAM";
/// How long the bridge may take to come up with its first thousand puppets.
const START_TIME_MAX: Duration = Duration::from_secs(120);
/// Lines of the bridge's log shown with a failure.
const LOG_LINES_SHOWN: usize = 20;

/// How many channels, and who is in them.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub channels: usize,
    pub puppets_per_channel: usize,
    pub puppets: Puppets,
}

/// Whether a puppet is in all channels or in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Puppets {
    Shared,
    OwnPerChannel,
}

impl Layout {
    /// The Matrix users of one channel's room.
    pub fn users(&self, channel: usize) -> impl Iterator<Item = String> + use<> {
        let first = match self.puppets {
            Puppets::Shared => 0,
            Puppets::OwnPerChannel => channel * self.puppets_per_channel,
        };
        (first..first + self.puppets_per_channel).map(|n| format!("@user{n}:{DOMAIN}"))
    }
}

pub fn room(channel: usize) -> String {
    format!("!chan{channel}:{DOMAIN}")
}

pub fn channel_name(channel: usize) -> String {
    format!("#chan{channel}")
}

/// A running bridge between its models.
pub struct Lab {
    pub homeserver: Homeserver,
    pub ircd: Ircd,
    pub layout: Layout,
    /// From the start of the program until the last puppet was in its last channel.
    pub started_in: Duration,
    child: Child,
    folder: TempDir,
}

impl Lab {
    /// Starts everything and waits until all puppets are in their channels.
    ///
    /// # Errors
    /// With the end of the bridge's log when it ended or did not get there in time.
    pub async fn start(layout: Layout, echo: Echo) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("bench").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let appservice = free_address()?;
        let settings = HomeserverSettings {
            as_token: AS_TOKEN.to_owned(),
            hs_token: HS_TOKEN.to_owned(),
            echo,
            ..HomeserverSettings::new(DOMAIN, &format!("http://{appservice}"))
        };
        let homeserver = Homeserver::start(settings).await?;
        let ircd = Ircd::start(IrcdSettings::default()).await?;
        for channel in 0..layout.channels {
            let members: Vec<_> = layout.users(channel).map(|user| (user, String::new())).collect();
            homeserver.add_room(&room(channel), JoinRule::Public, &members);
        }
        fs::write(folder.path().join("registration.yaml"), registration(&appservice))?;
        let config = config(&homeserver.url(), &appservice, ircd.port(), layout.channels);
        fs::write(folder.path().join("config.yaml"), config)?;
        let started = Instant::now();
        let child = spawn(folder.path())?;
        let mut lab = Self { homeserver, ircd, layout, started_in: Duration::ZERO, child, folder };
        lab.wait_for_puppets(started, &appservice).await?;
        lab.started_in = started.elapsed();
        Ok(lab)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Adds what the bridge logged last to an error.
    pub fn explain(&mut self, error: impl std::fmt::Display) -> anyhow::Error {
        let state = match self.child.try_wait() {
            Ok(Some(status)) => format!("the bridge ended: {status}"),
            Ok(None) => "the bridge runs".to_owned(),
            Err(error) => error.to_string(),
        };
        let log = fs::read_to_string(self.folder.path().join("bridge.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n  ");
        anyhow::anyhow!("{error}; {state}; the end of its log:\n  {end}")
    }

    async fn wait_for_puppets(&mut self, started: Instant, appservice: &str) -> Result<()> {
        let Layout { channels, puppets_per_channel: wanted, .. } = self.layout;
        loop {
            let listening = tokio::net::TcpStream::connect(appservice).await.is_ok();
            let missing =
                (0..channels).find(|channel| self.ircd.members_len(&channel_name(*channel)) < wanted);
            if listening && missing.is_none() {
                return Ok(());
            }
            if self.child.try_wait()?.is_some() || started.elapsed() > START_TIME_MAX {
                let have = missing.map_or(wanted, |channel| self.ircd.members_len(&channel_name(channel)));
                let channel = channel_name(missing.unwrap_or(0));
                return Err(self.explain(format!("{have} of {wanted} puppets came to {channel}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Either may fail only because it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn spawn(folder: &Path) -> Result<Child> {
    let log = File::create(folder.join("bridge.log"))?;
    let program = std::env::var_os(PROGRAM).unwrap_or_else(|| env!("CARGO_BIN_EXE_bunraku").into());
    Command::new(program)
        .args(["run", "--config", "config.yaml"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("the bridge does not start")
}

/// A loopback address nobody listened on a moment ago.
fn free_address() -> Result<String> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    ensure!(address.port() != 0, "no free port");
    Ok(address.to_string())
}

fn registration(appservice: &str) -> String {
    format!(
        "id: bunraku\nurl: \"http://{appservice}\"\nas_token: {AS_TOKEN}\nhs_token: {HS_TOKEN}\n\
         sender_localpart: ircbot\nrate_limited: false\nreceive_ephemeral: true\nprotocols: [irc]\n\
         io.element.msc4190: true\nnamespaces:\n\
         \x20 users: [ {{ exclusive: true, regex: '^@irc_.*:bench\\.test$' }} ]\n\
         \x20 aliases: [ {{ exclusive: true, regex: '^#irc_.*:bench\\.test$' }} ]\n\
         \x20 rooms: []\n"
    )
}

fn config(homeserver: &str, appservice: &str, irc_port: u16, channels: usize) -> String {
    let plumbed: String = (0..channels)
        .map(|n| format!("      - {{ channel: \"{}\", rooms: [\"{}\"] }}\n", channel_name(n), room(n)))
        .collect();
    format!(
        "homeserver: {{ url: \"{homeserver}\", domain: {DOMAIN} }}\n\
         appservice: {{ listen: \"{appservice}\", url: \"http://{appservice}\", registration: registration.yaml, admins: [] }}\n\
         database: {{ url: \"sqlite:bunraku.db\" }}\n\
         logging: {{ filter: \"warn\", format: text }}\n\
         networks:\n\
         \x20 local:\n\
         \x20   name: Local\n\
         \x20   servers: [ {{ host: 127.0.0.1, port: {irc_port}, tls: false }} ]\n\
         \x20   nick: \"$LOCALPART\"\n\
         \x20   channels:{}\n{plumbed}\
         \x20   flood: {{ burst: 100, line_ms: 0 }}\n\
         \x20   connect: {{ burst: 1000, interval_ms: 0, retry_ms_min: 200, retry_ms_max: 2000, connections_max: 5000, at_once: 1000 }}\n",
        if channels == 0 { " []" } else { "" },
    )
}

/// Waits until a process's memory has been still for two seconds, and returns it in KB.
///
/// # Errors
/// When it is not still within a minute.
pub async fn still_resident_kb(pid: u32) -> Result<u64> {
    /// Change, in KB, that does not count.
    const NOISE_KB: u64 = 64;
    let mut last = 0;
    let mut still = 0;
    for _ in 0..120 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = super::machine::resident_kb(pid)?;
        still = if now.abs_diff(last) <= NOISE_KB { still + 1 } else { 0 };
        if still == 4 {
            return Ok(now);
        }
        last = now;
    }
    bail!("the bridge's memory did not come to rest in a minute")
}
