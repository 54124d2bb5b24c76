//! Atheme, the services of a network: NickServ, and SASL through the IRC server.
//!
//! It links to an InspIRCd as a server of its own and links again by itself when that one has been away. Its
//! accounts are on disk from the moment it is asked to end, not before: a SIGKILL loses them.
//!
//! Mechanisms of Atheme 7.2: PLAIN and EXTERNAL, no SCRAM. `REGAIN` and `RELEASE` come with nick enforcement; an
//! account has it after `SET ENFORCE ON`, and after `SET ENFORCETIME 1` the nick of somebody who does not identify
//! is taken away within seconds and held (432).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{Daemon, give_to_irc, is_root, sub_dir, tail};
use super::{SOON, eventually, fill};

/// Where services speak from, as `nick!user@host`.
pub const NICKSERV_MASK: &str = "NickServ!NickServ@services.test";

/// Running services. `daemon` is `None` while they are away.
pub struct Services {
    dir: PathBuf,
    daemon: Option<Daemon>,
    links: usize,
}

impl Services {
    /// Writes the configuration in a directory under `parent`; nothing runs yet.
    pub fn prepare(parent: &Path, link_port: u16) -> Services {
        let dir = sub_dir(parent, "services");
        let values = [("DIR", dir.display().to_string()), ("LINKPORT", link_port.to_string())];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        let write = |name: &str, text: &str| {
            std::fs::write(dir.join(name), text).expect("a temporary directory takes files");
        };
        write("atheme.conf", &fill(include_str!("../conf/atheme.conf"), &values));
        // It does not start without one, and does not make it.
        write("services.db", "");
        if is_root() {
            give_to_irc(&dir);
        }
        Services { dir, daemon: None, links: 0 }
    }

    /// Starts them if they are away; returns when they are linked once more than before.
    pub async fn run(&mut self) {
        if self.daemon.is_none() {
            self.daemon = Some(Daemon::start(self.command().current_dir(&self.dir), &self.log()));
        }
        let daemon = self.daemon.as_mut().expect("just started");
        let (log, links) = (self.dir.join("stdout.log"), self.links);
        self.links = eventually("services are linked", SOON, || {
            daemon.assert_running("Atheme");
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let count = text.matches("finished synching").count();
            async move { (count > links).then_some(count) }
        })
        .await;
    }

    /// SIGTERM: the network goes on without services, and they keep what they know.
    pub fn stop(&mut self) {
        let ended = self.daemon.take().and_then(|mut d| d.terminate(Duration::from_secs(10)));
        assert!(ended.is_some(), "Atheme did not end on SIGTERM");
    }

    pub fn log_tail(&self) -> String {
        tail(&self.log())
    }

    fn log(&self) -> PathBuf {
        self.dir.join("stdout.log")
    }

    fn command(&self) -> Command {
        let mut command = Command::new("/usr/bin/atheme-services");
        if is_root() {
            // It refuses to be root.
            command = Command::new("setpriv");
            command.args(["--reuid=irc", "--regid=irc", "--clear-groups", "/usr/bin/atheme-services"]);
        }
        command.arg("-n").arg("-D").arg(&self.dir);
        for (flag, name) in [("-c", "atheme.conf"), ("-l", "atheme.log"), ("-p", "self.pid")] {
            command.arg(flag).arg(self.dir.join(name));
        }
        command
    }
}
