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

use super::config::{AS_TOKEN, HS_TOKEN, config, registration};
use super::machine::{open_files_max, resident_kb};
use crate::model::homeserver::{Echo, Homeserver, JoinRule, Settings as HomeserverSettings};
use crate::model::ircd::{Ircd, Settings as IrcdSettings, TlsIdentity};

pub const DOMAIN: &str = "bench.test";
/// Names another program to measure than the one of this build, for a comparison.
const PROGRAM: &str = "BUNRAKU_BENCH_PROGRAM";
/// How long the bridge may take to come up with all its puppets, or to get them back.
pub const START_TIME_MAX: Duration = Duration::from_secs(300);
/// How long it may take to stop.
const STOP_TIME_MAX: Duration = Duration::from_secs(30);
/// Files that a bridge and the bench need beside the puppets' connections.
const OPEN_FILES_SPARE: u64 = 500;
/// The IRC server's address; its certificate is for it.
pub const IRC_HOST: &str = "127.0.0.1";
/// Lines of the bridge's log shown with a failure.
const LOG_LINES_SHOWN: usize = 20;

/// What is started.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub layout: Layout,
    pub echo: Echo,
    pub wire: Wire,
    pub pace: Pace,
    pub rooms: Rooms,
}

impl Plan {
    /// Mapped rooms, no echo, plain text, no limit on anything.
    pub fn new(layout: Layout) -> Self {
        Self { layout, echo: Echo::Off, wire: Wire::Plain, pace: Pace::Off, rooms: Rooms::Mapped }
    }
}

/// How many channels, and who is in them.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    pub channels: usize,
    pub puppets_per_channel: usize,
    pub puppets: Puppets,
}

/// Which puppets are in which channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Puppets {
    /// All are in each.
    Shared,
    OwnPerChannel,
    /// So many in all; each channel has the next of them, in turn.
    InTurn(usize),
}

/// What the connections to IRC speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Plain,
    Tls,
}

/// How fast puppets may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    Off,
    PerSecond(u64),
}

/// How rooms belong to channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rooms {
    /// By the configuration.
    Mapped,
    /// By the database alone, as the bridge left it.
    Remembered,
}

impl Layout {
    /// The Matrix users of one channel's room.
    pub fn users(&self, channel: usize) -> impl Iterator<Item = String> + use<> {
        let first = match self.puppets {
            Puppets::Shared => 0,
            Puppets::OwnPerChannel => channel * self.puppets_per_channel,
            Puppets::InTurn(count) => channel % count,
        };
        (first..first + self.puppets_per_channel).map(user)
    }

    /// How many puppets there are in all.
    pub fn puppets_len(&self) -> usize {
        match self.puppets {
            Puppets::Shared => self.puppets_per_channel,
            Puppets::OwnPerChannel => self.channels * self.puppets_per_channel,
            Puppets::InTurn(count) => count,
        }
    }
}

pub fn user(number: usize) -> String {
    format!("@user{number}:{DOMAIN}")
}

pub fn room(channel: usize) -> String {
    format!("!chan{channel}:{DOMAIN}")
}

pub fn channel_name(channel: usize) -> String {
    format!("#chan{channel}")
}

/// The models, and a bridge between them while it runs.
pub struct Lab {
    pub homeserver: Homeserver,
    pub ircd: Ircd,
    pub layout: Layout,
    /// From the start of the program until the last puppet was in its last channel.
    pub started_in: Duration,
    appservice: String,
    child: Option<Child>,
    folder: TempDir,
}

impl Lab {
    /// Starts everything and waits until all puppets are in their channels.
    ///
    /// # Errors
    /// With the end of the bridge's log when it ended or did not get there in time.
    pub async fn start(plan: Plan) -> Result<Self> {
        let mut lab = Self::prepare(plan).await?;
        lab.run().await?;
        Ok(lab)
    }

    /// Starts the models and writes the configuration; the bridge does not run yet.
    ///
    /// # Errors
    /// When a file or a port cannot be had, or the system allows too few connections.
    pub async fn prepare(plan: Plan) -> Result<Self> {
        let Plan { layout, echo, wire, .. } = plan;
        let wanted = layout.puppets_len() as u64 + OPEN_FILES_SPARE;
        let max = open_files_max().unwrap_or(wanted);
        ensure!(max >= wanted, "this needs {wanted} open files and may have {max} (ulimit -H -n)");
        let folder = tempfile::Builder::new().prefix("bench").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let appservice = free_address()?;
        let settings = HomeserverSettings {
            as_token: AS_TOKEN.to_owned(),
            hs_token: HS_TOKEN.to_owned(),
            echo,
            ..HomeserverSettings::new(DOMAIN, &format!("http://{appservice}"))
        };
        let homeserver = Homeserver::start(settings).await?;
        let tls = (wire == Wire::Tls).then(|| TlsIdentity::make(IRC_HOST));
        if let Some(identity) = &tls {
            fs::write(folder.path().join("ircd.pem"), &identity.certificate_pem)?;
        }
        let ircd = Ircd::start(IrcdSettings { tls, ..IrcdSettings::default() }).await?;
        for channel in 0..layout.channels {
            let members: Vec<_> = layout.users(channel).map(|user| (user, String::new())).collect();
            homeserver.add_room(&room(channel), JoinRule::Public, &members);
        }
        fs::write(folder.path().join("registration.yaml"), registration(&appservice))?;
        let config = config(&plan, &homeserver.url(), &appservice, ircd.port());
        fs::write(folder.path().join("config.yaml"), config)?;
        Ok(Self { homeserver, ircd, layout, started_in: Duration::ZERO, appservice, child: None, folder })
    }

    /// Starts the bridge and waits until all puppets are in their channels.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn run(&mut self) -> Result<()> {
        let started = self.spawn()?;
        self.wait_until_complete(started + START_TIME_MAX).await?;
        self.started_in = started.elapsed();
        Ok(())
    }

    /// Starts the bridge; returns the moment before.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn spawn(&mut self) -> Result<Instant> {
        let started = Instant::now();
        self.child = Some(spawn(self.folder.path())?);
        Ok(started)
    }

    /// Lets the bridge end as an operator does, and waits for it.
    ///
    /// # Errors
    /// When it does not end in time, or not well.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
        ensure!(asked.success(), "the bridge cannot be asked to stop");
        let deadline = Instant::now() + STOP_TIME_MAX;
        while Instant::now() < deadline {
            if let Some(status) = child.try_wait()? {
                ensure!(status.success(), "the bridge ended: {status}");
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.child = Some(child);
        Err(self.explain("the bridge does not stop"))
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process of the bridge, which was started.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Adds what the bridge logged last to an error.
    pub fn explain(&mut self, error: impl std::fmt::Display) -> anyhow::Error {
        let state = match self.child.as_mut().map(Child::try_wait) {
            None => "the bridge does not run".to_owned(),
            Some(Ok(Some(status))) => format!("the bridge ended: {status}"),
            Some(Ok(None)) => "the bridge runs".to_owned(),
            Some(Err(error)) => error.to_string(),
        };
        let log = fs::read_to_string(self.folder.path().join("bridge.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n  ");
        anyhow::anyhow!("{error}; {state}; the end of its log:\n  {end}")
    }

    /// True when the bridge takes transactions.
    pub async fn is_listening(&self) -> bool {
        tokio::net::TcpStream::connect(&self.appservice).await.is_ok()
    }

    /// Waits until all puppets are in their channels and the bridge takes transactions.
    ///
    /// # Errors
    /// With the end of the bridge's log when it ended or did not get there in time.
    pub async fn wait_until_complete(&mut self, deadline: Instant) -> Result<()> {
        let Layout { channels, puppets_per_channel: wanted, .. } = self.layout;
        let mut complete = 0;
        loop {
            while complete < channels && self.ircd.members_len(&channel_name(complete)) >= wanted {
                complete += 1;
            }
            if complete == channels && self.is_listening().await {
                return Ok(());
            }
            let has_ended = self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if has_ended || Instant::now() > deadline {
                let have = self.ircd.members_len(&channel_name(complete));
                let channel = channel_name(complete);
                return Err(self.explain(format!("{have} of {wanted} puppets came to {channel}")));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Either may fail only because it has ended already.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
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

/// Waits until a process's memory has been still for two seconds, and returns it in KB.
///
/// # Errors
/// When it is not still within a minute.
pub async fn still_resident_kb(pid: u32) -> Result<u64> {
    /// Change, in KB and as a part of all, that does not count.
    const NOISE_KB: u64 = 64;
    const NOISE_PART: u64 = 1_000;
    let mut last = 0;
    let mut still = 0;
    for _ in 0..120 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = resident_kb(pid)?;
        still = if now.abs_diff(last) <= NOISE_KB.max(now / NOISE_PART) { still + 1 } else { 0 };
        if still == 4 {
            return Ok(now);
        }
        last = now;
    }
    bail!("the bridge's memory did not come to rest in a minute")
}
