//! Real IRC servers on loopback: InspIRCd, plain and with services, ngIRCd, ircd-hybrid.
//!
//! Their settings let any number of clients in from one address, unthrottled, and know one operator; a [`Setup`]
//! asks for more. They differ in how they are started and under which user. What a test should notice beyond that
//! is in `answers` (refusals) and here:
//!
//! ```text
//! KILL   InspIRCd  :op!test@host KILL nick :Killed (op (reason))
//!                  ERROR :Closing link: (user@host) [Killed (op (reason))]
//!        ngIRCd    ERROR :KILLed by op: reason
//!        hybrid    :op!test@host KILL nick :reason
//!                  ERROR :Closing Link: host (Killed (op (reason)))
//! KLINE  InspIRCd  465 nick :You're banned!
//!                  ERROR :Closing link: (user@host) [K-lined: reason]     also [G-lined: reason], [Z-lined: reason]
//!        ngIRCd    ERROR :K-Line by "op": "reason"
//!                  a new one: ERROR :Access denied: "reason" (K-Line)
//!        hybrid    465 nick :You are banned from this server- Temporary K-line 1 min. - reason (time)
//!                  ERROR :Closing Link: host (Temporary K-line 1 min. - reason (time))
//!                  a new one: ERROR :Closing Link: host (Connection rejected - banned from server)
//! ```
//!
//! InspIRCd 3 welcomes at the next full second of its clock, not at once: a connection takes up to a second.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::authority::KeyFiles;
use super::irc::IrcClient;
use super::process::{Daemon, free_port, give_to_irc, is_root, sub_dir, tail};
use super::services::Services;
use super::{SOON, eventually, fill, part};

const OPER: &str = "oper";
const OPER_PASSWORD: &str = "operpass";

/// The password of WEBIRC gateways, from any address.
pub const GATEWAY_PASSWORD: &str = "gatewaypass";

/// The servers the stories run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrcdKind {
    InspIrcd,
    NgIrcd,
    Hybrid,
    /// InspIRCd as a large network has it: Atheme, accounts, SASL, and the capabilities of IRCv3.
    Services,
}

/// What a server is asked to be beyond what every test server is.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Listens on [`Ircd::tls_port`] too, with this certificate; asks clients for theirs.
    pub tls: Option<KeyFiles>,
    pub ident: Ident,
    pub throttle: Throttle,
    pub sts: Sts,
    pub sasl: Sasl,
    pub ipv6: Ipv6,
}

/// Whether the server asks port 113 of a client's address who it is (`~` stands before a user name it was not told).
/// Not for ngIRCd, which asks only together with DNS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ident {
    #[default]
    NotAsked,
    Asked,
}

/// How an InspIRCd keeps clients from coming too fast. The last words of who is refused:
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Throttle {
    #[default]
    None,
    /// So many may register in one second of the server's clock, all addresses together; then, until the next:
    /// `ERROR :Closing link: (user@host) [Throttled]`
    PerSecond(u32),
    /// So many connections from one address in all; the next bans it for three seconds:
    /// `465 * :You're banned!`, `ERROR :Closing link: (id@host) [Z-lined: Too many connections]`
    BanAfter(u32),
    /// So many at a time from one address:
    /// `ERROR :Closing link: (user@host) [No more connections allowed from your host via this connect class (local)]`
    AtATime(u32),
    /// So many at a time in all: `ERROR :Closing link: (id@host) [Access denied by configuration]`
    Full(u32),
}

/// Whether an InspIRCd with TLS tells plain clients to come by TLS (`sts` in `CAP LS 302`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sts {
    #[default]
    Off,
    /// With the port, and a policy of a minute once they have.
    On,
}

/// Whether [`IrcdKind::Services`] has SASL, or its accounts are for those only who write to NickServ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sasl {
    #[default]
    On,
    Off,
}

/// Whether the server listens on `::1` too, and lets gateways come from anywhere. Not for ngIRCd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv6 {
    #[default]
    Off,
    Too,
}

/// A running IRC server.
pub struct Ircd {
    pub kind: IrcdKind,
    pub port: u16,
    /// Set by [`Setup::tls`]; nothing listens there otherwise.
    pub tls_port: u16,
    /// Of [`IrcdKind::Services`].
    pub services: Option<Services>,
    dir: PathBuf,
    daemon: Option<Daemon>,
}

impl Ircd {
    /// Starts a server in a directory under `parent` and waits until it listens.
    pub async fn start(kind: IrcdKind, parent: &Path) -> Ircd {
        Ircd::start_as(kind, parent, &Setup::default()).await
    }

    /// The same with more asked of it.
    pub async fn start_as(kind: IrcdKind, parent: &Path, setup: &Setup) -> Ircd {
        let mut ircd = Ircd::prepare_as(kind, parent, setup);
        ircd.run().await;
        ircd
    }

    /// Chooses ports and writes the configuration; nothing listens yet.
    pub fn prepare(kind: IrcdKind, parent: &Path) -> Ircd {
        Ircd::prepare_as(kind, parent, &Setup::default())
    }

    pub fn prepare_as(kind: IrcdKind, parent: &Path, setup: &Setup) -> Ircd {
        let (dir, port, tls_port) = (sub_dir(parent, "ircd"), free_port(), free_port());
        let link_port = free_port();
        let values = [
            ("DIR", dir.display().to_string()),
            ("PORT", port.to_string()),
            ("TLSPORT", tls_port.to_string()),
            ("LINKPORT", link_port.to_string()),
            ("OPER", OPER.to_owned()),
            ("OPERPASS", OPER_PASSWORD.to_owned()),
            ("GATEWAYPASS", GATEWAY_PASSWORD.to_owned()),
            ("RUNAS", if is_root() { "ServerUID = irc\nServerGID = irc" } else { "" }.to_owned()),
            ("CERT", setup.tls.as_ref().map_or(String::new(), |f| f.certificate.display().to_string())),
            ("KEY", setup.tls.as_ref().map_or(String::new(), |f| f.key.display().to_string())),
        ];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        std::fs::write(dir.join("ircd.conf"), fill(&template(kind, setup), &values))
            .expect("a temporary directory takes files");
        let services = (kind == IrcdKind::Services).then(|| Services::prepare(parent, link_port));
        Ircd { kind, port, tls_port, services, dir, daemon: None }
    }

    /// Starts it (again) on its ports, with its services.
    pub async fn run(&mut self) {
        let mut command = match self.kind {
            IrcdKind::InspIrcd | IrcdKind::Services => self.inspircd(),
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
        if let Some(services) = &mut self.services {
            services.run().await;
        }
    }

    /// SIGKILL: every connection breaks at once. Services stay, and link again when it is back.
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
        Operator { kind: self.kind, client }
    }

    pub fn log_tail(&self) -> String {
        let services = self.services.as_ref().map(|s| format!("\n--- services\n{}", s.log_tail()));
        format!("{}{}", tail(&self.log()), services.unwrap_or_default())
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

/// The configuration file of a kind, still with its `@NAME@`s.
fn template(kind: IrcdKind, setup: &Setup) -> String {
    match kind {
        IrcdKind::InspIrcd => inspircd_template(setup),
        IrcdKind::Services => inspircd_template(setup) + &services_template(setup),
        IrcdKind::NgIrcd => ngircd_template(setup),
        IrcdKind::Hybrid => hybrid_template(setup),
    }
}

fn services_template(setup: &Setup) -> String {
    let mut text = include_str!("../conf/inspircd-services.conf").to_owned();
    if setup.sasl == Sasl::Off {
        text = text.replace("<module name=\"sasl\">\n", "");
    }
    if setup.ipv6 == Ipv6::Too {
        text += "<cgihost type=\"webirc\" password=\"@GATEWAYPASS@\" mask=\"*\">\n";
    }
    text
}

fn inspircd_template(setup: &Setup) -> String {
    let mut text = include_str!("../conf/inspircd.conf").to_owned();
    if setup.ipv6 == Ipv6::Too {
        text += "<bind address=\"::1\" port=\"@PORT@\" type=\"clients\">\n";
    }
    if setup.tls.is_some() {
        text += include_str!("../conf/inspircd-tls.conf");
    }
    if setup.sts == Sts::On {
        text += "<module name=\"ircv3_sts\">\n<sts host=\"*\" duration=\"1m\" port=\"@TLSPORT@\" preload=\"no\">\n";
    }
    if setup.ident == Ident::Asked {
        text += "<module name=\"ident\">\n<ident timeout=\"5s\">\n";
    }
    match setup.throttle {
        Throttle::None => text,
        // With a period of 0 it counts by the second of its clock, and refuses the one that reaches `maxconns`.
        Throttle::PerSecond(count) => format!(
            "{text}<module name=\"connflood\">\n<connflood period=\"0\" maxconns=\"{}\" timeout=\"0\" bootwait=\"0\" \
             quitmsg=\"Throttled\">\n",
            count + 1
        ),
        Throttle::BanAfter(count) => format!(
            "{text}<module name=\"connectban\">\n<connectban threshold=\"{count}\" banduration=\"3s\" bootwait=\"0\" \
             banmessage=\"Too many connections\">\n"
        ),
        Throttle::AtATime(count) => text.replace("localmax=\"20000\"", &format!("localmax=\"{count}\"")),
        Throttle::Full(count) => text.replace(" limit=\"20000\"", &format!(" limit=\"{count}\"")),
    }
}

fn ngircd_template(setup: &Setup) -> String {
    assert_eq!(setup.ident, Ident::NotAsked, "ngIRCd asks only together with DNS, which is off");
    assert_eq!(setup.throttle, Throttle::None, "only InspIRCd is throttled here");
    assert_eq!(setup.ipv6, Ipv6::Off, "not for ngIRCd");
    let mut text = include_str!("../conf/ngircd.conf").to_owned();
    if setup.tls.is_some() {
        text += "\n[SSL]\nCertFile = @CERT@\nKeyFile = @KEY@\nPorts = @TLSPORT@\n";
    }
    text
}

fn hybrid_template(setup: &Setup) -> String {
    assert_eq!(setup.throttle, Throttle::None, "only InspIRCd is throttled here");
    let (no_ident, tilde) = match setup.ident {
        Ident::NotAsked => ("yes", ", no_tilde"),
        Ident::Asked => ("no", ""),
    };
    let (files, listen) = match &setup.tls {
        None => ("", ""),
        Some(_) => (
            "rsa_private_key_file = \"@KEY@\"; tls_certificate_file = \"@CERT@\";",
            "flags = tls; port = @TLSPORT@;",
        ),
    };
    let values = [("NOIDENT", no_ident), ("TILDE", tilde), ("TLSFILES", files), ("TLSLISTEN", listen)];
    let mut text = fill(include_str!("../conf/hybrid.conf"), &values);
    if setup.ipv6 == Ipv6::Too {
        text += "listen { host = \"::1\"; port = @PORT@; };\n";
    }
    text
}

/// An IRC operator.
pub struct Operator {
    pub kind: IrcdKind,
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

    /// Bans the user name `user` from the server for a minute, with the reason `no bridges`; returns when it is
    /// banned. Who has it and is there is thrown out.
    pub async fn kline(&mut self, user: &str) {
        // The star is for the `~` of a user name that no ident server has confirmed.
        let line = match self.kind {
            IrcdKind::InspIrcd | IrcdKind::Services => format!("KLINE *{user}@* 60 :no bridges"),
            // It compares with nick!user@host.
            IrcdKind::NgIrcd => format!("KLINE *!*{user}@* 60 :no bridges"),
            IrcdKind::Hybrid => format!("KLINE 1 *{user}@* :no bridges"),
        };
        self.client.send(&line).await;
        let answer = self.client.fence().await;
        let refused = answer.iter().find(|l| ["461", "481", "723"].contains(&l.command.as_str()));
        assert_eq!(refused, None, "{line} was refused");
    }
}
