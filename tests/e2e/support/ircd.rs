//! Real IRC servers on loopback: InspIRCd, ngIRCd, ircd-hybrid.
//!
//! Their settings let any number of clients in from one address, unthrottled, and know one operator. They differ
//! in how they are started and under which user, and that is all a test should notice.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::irc::IrcClient;
use super::process::{Daemon, free_port, give_to_irc, is_root, sub_dir, tail};
use super::{SOON, eventually, fill, part};

const OPER: &str = "oper";
const OPER_PASSWORD: &str = "operpass";

/// The servers the stories run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrcdKind {
    InspIrcd,
    NgIrcd,
    Hybrid,
}

/// A running IRC server.
pub struct Ircd {
    pub kind: IrcdKind,
    pub port: u16,
    dir: PathBuf,
    daemon: Option<Daemon>,
}

impl Ircd {
    /// Starts a server in a directory under `parent` and waits until it listens.
    pub async fn start(kind: IrcdKind, parent: &Path) -> Ircd {
        let mut ircd = Ircd::prepare(kind, parent);
        ircd.run().await;
        ircd
    }

    /// Chooses a port and writes the configuration; nothing listens yet.
    pub fn prepare(kind: IrcdKind, parent: &Path) -> Ircd {
        let (dir, port) = (sub_dir(parent, "ircd"), free_port());
        let template = match kind {
            IrcdKind::InspIrcd => include_str!("../conf/inspircd.conf"),
            IrcdKind::NgIrcd => include_str!("../conf/ngircd.conf"),
            IrcdKind::Hybrid => include_str!("../conf/hybrid.conf"),
        };
        let run_as = if is_root() { "ServerUID = irc\nServerGID = irc" } else { "" };
        let (dir_text, port_text) = (dir.display().to_string(), port.to_string());
        let values = [
            ("DIR", dir_text.as_str()),
            ("PORT", &port_text),
            ("OPER", OPER),
            ("OPERPASS", OPER_PASSWORD),
            ("RUNAS", run_as),
        ];
        std::fs::write(dir.join("ircd.conf"), fill(template, &values))
            .expect("a temporary directory takes files");
        Ircd { kind, port, dir, daemon: None }
    }

    /// Starts it (again) on its port.
    pub async fn run(&mut self) {
        let mut command = match self.kind {
            IrcdKind::InspIrcd => self.inspircd(),
            IrcdKind::NgIrcd => self.ngircd(),
            IrcdKind::Hybrid => self.hybrid(),
        };
        let mut daemon = Daemon::start(command.current_dir(&self.dir), &self.log());
        let port = self.port;
        eventually("the IRC server listens", SOON, || {
            daemon.assert_running("the IRC server");
            let open = TcpStream::connect(("127.0.0.1", port)).is_ok();
            async move { open.then_some(()) }
        })
        .await;
        self.daemon = Some(daemon);
    }

    /// SIGKILL: every connection breaks at once.
    pub fn kill_server(&mut self) {
        self.daemon = None;
    }

    pub async fn client(&self, nick: &str) -> IrcClient {
        IrcClient::connect(self.port, nick).await
    }

    /// A client with an operator's powers.
    pub async fn operator(&self, nick: &str) -> Operator {
        let mut client = self.client(nick).await;
        client.send(&format!("OPER {OPER} {OPER_PASSWORD}")).await;
        client.wait("the operator's powers", SOON, |l| l.command == "381").await;
        Operator { client }
    }

    pub fn log_tail(&self) -> String {
        tail(&self.log())
    }

    fn log(&self) -> PathBuf {
        self.dir.join("stdout.log")
    }

    fn inspircd(&self) -> Command {
        let mut command = Command::new("/usr/sbin/inspircd");
        if is_root() {
            command.arg("--runasroot");
        }
        command.arg("--nofork").arg("--config").arg(self.dir.join("ircd.conf"));
        command
    }

    fn ngircd(&self) -> Command {
        let mut command = Command::new("/usr/sbin/ngircd");
        command.arg("--nodaemon").arg("--config").arg(self.dir.join("ircd.conf"));
        command
    }

    fn hybrid(&self) -> Command {
        let binary = part("BUNRAKU_HYBRID_ROOT").join("usr/sbin/ircd-hybrid");
        let mut command = Command::new(&binary);
        if is_root() {
            // It refuses to be root.
            give_to_irc(&self.dir);
            command = Command::new("setpriv");
            command.args(["--reuid=irc", "--regid=irc", "--clear-groups"]).arg(&binary);
        }
        command.arg("-foreground");
        let files = [
            ("-configfile", "ircd.conf"),
            ("-logfile", "ircd.log"),
            ("-pidfile", "self.pid"),
            ("-klinefile", "klines"),
            ("-dlinefile", "dlines"),
            ("-xlinefile", "xlines"),
            ("-resvfile", "resvs"),
        ];
        for (flag, name) in files {
            command.arg(flag).arg(self.dir.join(name));
        }
        command
    }
}

/// An IRC operator.
pub struct Operator {
    pub client: IrcClient,
}

impl Operator {
    /// Ends the connection of `nick` as a server-side KILL; returns when the server has done it.
    pub async fn kill(&mut self, nick: &str) {
        self.client.send(&format!("KILL {nick} :test")).await;
        let answer = self.client.fence().await;
        let refused = answer.iter().find(|l| ["401", "461", "481", "723"].contains(&l.command.as_str()));
        assert_eq!(refused, None, "KILL {nick} was refused");
    }
}
