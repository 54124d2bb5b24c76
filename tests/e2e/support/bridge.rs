//! The program under test, run as a user would run it: a configuration file, `bunraku registration`, `bunraku run`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::process::{Daemon, free_port, tail};
use super::synapse::DOMAIN;
use super::{PATIENT, eventually};

const PROGRAM: &str = env!("CARGO_BIN_EXE_bunraku");

/// The key of the one network in every configuration here.
pub const NETWORK: &str = "local";

/// What the test chooses of the configuration; the rest is fixed in [`BridgeConfig::yaml`].
#[derive(Clone, Debug)]
pub struct BridgeConfig {
    pub homeserver_url: String,
    pub listen_port: u16,
    pub irc_port: u16,
    pub irc_wire: Wire,
    /// The network's `connect`, as YAML.
    pub connect: String,
    /// The network's `ping`, as YAML.
    pub ping: String,
    pub database_url: String,
    /// Channels with the rooms that the configuration maps to them.
    pub channels: Vec<(String, Vec<String>)>,
    /// More settings of the network, each a line of YAML: `realname: "$USERID"`.
    pub network_lines: Vec<String>,
    /// Users with all power in portal rooms.
    pub admins: Vec<String>,
    /// More settings of the top level: `identd: { bind: "127.1.0.1", port: 113 }`.
    pub top_lines: Vec<String>,
}

/// How the bridge gets to the IRC server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    Plain,
    /// As `::1`.
    Ipv6,
    /// As `localhost`, trusting this authority alone (PEM).
    Tls {
        ca_file: PathBuf,
    },
    /// As `localhost`, trusting the certificate with this fingerprint alone.
    Pinned {
        fingerprint: String,
    },
    /// Plain; where the server asks for TLS, trusting this authority alone (PEM).
    Upgraded {
        ca_file: PathBuf,
    },
}

/// Pace of connections where none is asked for: no limit, and lost ones come back soon.
const CONNECT: &str = "{ burst: 100, interval_ms: 0, retry_ms_min: 200, retry_ms_max: 2000 }";

/// No sign of life is asked for within a story.
const PING: &str = "{ after_ms: 60000, timeout_ms: 60000 }";

/// The bridge and its files. `daemon` is `None` while it is stopped.
pub struct Bridge {
    pub config: BridgeConfig,
    dir: PathBuf,
    daemon: Option<Daemon>,
}

impl BridgeConfig {
    pub fn new(dir: &Path, homeserver_url: &str, irc_port: u16) -> BridgeConfig {
        BridgeConfig {
            homeserver_url: homeserver_url.to_owned(),
            listen_port: free_port(),
            irc_port,
            irc_wire: Wire::Plain,
            connect: CONNECT.to_owned(),
            ping: PING.to_owned(),
            database_url: format!("sqlite:{}", dir.join("bunraku.db").display()),
            channels: Vec::new(),
            network_lines: vec!["asides: true".to_owned(), "operators: { enabled: false }".to_owned()],
            admins: Vec::new(),
            top_lines: Vec::new(),
        }
    }

    /// The configuration file. Limits that protect a public network are off, so that a story takes no longer than
    /// its servers.
    pub fn yaml(&self) -> String {
        let BridgeConfig { homeserver_url, listen_port, irc_port, connect, ping, database_url, .. } = self;
        let mapping = |(channel, rooms): &(String, Vec<String>)| {
            format!("{{ channel: {}, rooms: {} }}", quoted(channel), serde_json::json!(rooms))
        };
        let channels = self.channels.iter().map(mapping).collect::<Vec<_>>().join(", ");
        let trusting = |ca_file: &Path| format!("{{ ca_file: {} }}", quoted(&ca_file.display().to_string()));
        let (host, is_tls, tls) = match &self.irc_wire {
            Wire::Plain => ("127.0.0.1", false, "{}".to_owned()),
            Wire::Ipv6 => ("::1", false, "{}".to_owned()),
            Wire::Tls { ca_file } => ("localhost", true, trusting(ca_file)),
            Wire::Pinned { fingerprint } => {
                ("localhost", true, format!("{{ fingerprints: [ {} ] }}", quoted(fingerprint)))
            }
            // By name: InspIRCd says for how long to stay only to who named it in the handshake.
            Wire::Upgraded { ca_file } => ("localhost", false, trusting(ca_file)),
        };
        let more: String = self.network_lines.iter().map(|line| format!("    {line}\n")).collect();
        let admins = self.admins.iter().map(|admin| format!("{admin:?}")).collect::<Vec<_>>().join(", ");
        let top: String = self.top_lines.iter().map(|line| format!("{line}\n")).collect();
        format!(
            r#"homeserver: {{ url: "{homeserver_url}", domain: {DOMAIN} }}
appservice: {{ listen: "127.0.0.1:{listen_port}", url: "http://127.0.0.1:{listen_port}", registration: registration.yaml, admins: [ {admins} ] }}
database: {{ url: "{database_url}" }}
logging: {{ filter: "info,bunraku=debug", format: text }}
networks:
  {NETWORK}:
    name: Local
    servers: [ {{ host: "{host}", port: {irc_port}, tls: {is_tls} }} ]
    tls: {tls}
    nick: "$DISPLAY[m]"
    channels: [ {channels} ]
    flood: {{ burst: 100, line_ms: 0 }}
    connect: {connect}
    ping: {ping}
{more}{top}"#
        )
    }
}

impl Bridge {
    /// Writes the configuration into `dir` (there already) and makes the registration; nothing runs yet.
    pub fn prepare(dir: &Path, config: BridgeConfig) -> Bridge {
        let bridge = Bridge { config, dir: dir.to_owned(), daemon: None };
        bridge.write_config();
        bridge.make_registration();
        bridge
    }

    /// `bunraku registration`; panics if it fails.
    pub fn make_registration(&self) {
        let made = self.command("registration").output().expect("the program is built");
        assert!(made.status.success(), "bunraku registration: {}", words(&made));
    }

    pub fn write_config(&self) {
        self.write_raw_config(&self.config.yaml());
    }

    /// For configurations no [`BridgeConfig`] would write.
    pub fn write_raw_config(&self, yaml: &str) {
        std::fs::write(self.config_path(), yaml).expect("a temporary directory takes files");
    }

    /// The file that `bunraku registration` writes and the homeserver reads.
    pub fn registration(&self) -> PathBuf {
        self.dir.join("registration.yaml")
    }

    /// The Matrix id of the bridge's own user, from the registration.
    pub fn bot(&self) -> String {
        format!("@{}:{DOMAIN}", self.registered("sender_localpart"))
    }

    /// A value of the registration, such as `hs_token`.
    pub fn registered(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.registration()).expect("the registration was made");
        let value = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        let value = value.unwrap_or_else(|| panic!("the registration has {name}"));
        value.trim().trim_matches(['"', '\'']).to_owned()
    }

    /// `bunraku run`, until its listener answers.
    pub async fn run(&mut self) {
        self.launch();
        let port = self.config.listen_port;
        let http = super::matrix::http();
        let url = format!("http://127.0.0.1:{port}/");
        eventually("the bridge's listener answers", PATIENT, || {
            self.assert_running();
            let request = http.get(&url).send();
            async { request.await.ok() }
        })
        .await;
    }

    /// `bunraku run` without waiting for anything.
    pub fn launch(&mut self) {
        self.daemon = Some(Daemon::start(&mut self.command("run"), &self.log()));
    }

    pub fn assert_running(&mut self) {
        self.daemon.as_mut().expect("the bridge was started").assert_running("bunraku");
    }

    pub fn is_running(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(Daemon::is_running)
    }

    /// The process; panics while it is stopped.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("the bridge was started").pid()
    }

    /// Where its files are.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// SIGTERM; it must end with success within 10 s.
    pub fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("the bridge was started");
        let status = daemon.terminate(Duration::from_secs(10)).expect("bunraku ends within 10 s of SIGTERM");
        assert!(status.success(), "bunraku ended with {status} on SIGTERM; its log:\n{}", self.log_tail());
    }

    /// SIGSTOP: it stands still, and the kernel keeps its connections.
    pub fn pause(&self) {
        self.daemon.as_ref().expect("the bridge was started").signal("STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.daemon.as_ref().expect("the bridge was started").signal("CONT");
    }

    /// SIGHUP: it reads its configuration again.
    pub fn hang_up(&self) {
        self.daemon.as_ref().expect("the bridge was started").signal("HUP");
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.daemon = None;
    }

    /// `bunraku run` where it must not start: its exit code and all it printed.
    pub fn run_refused(&self, limit: Duration) -> (i32, String) {
        let mut daemon = Daemon::start(&mut self.command("run"), &self.dir.join("refused.log"));
        let ended = daemon.wait(limit);
        let printed = tail(&self.dir.join("refused.log"));
        let status =
            ended.unwrap_or_else(|| panic!("bunraku still runs after {limit:?}; it printed:\n{printed}"));
        (status.code().unwrap_or(-1), printed)
    }

    /// `bunraku login` with these arguments and this password on its standard input; panics if it fails, and
    /// gives what it printed. The bridge may run meanwhile.
    pub fn login(&self, arguments: &[&str], password: &str) -> String {
        let mut command = Command::new(PROGRAM);
        command.arg("login").args(arguments).arg("--config").arg(self.config_path()).current_dir(&self.dir);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program is built");
        let mut stdin = child.stdin.take().expect("it is piped");
        // Who asks for no password does not read one.
        let _ = writeln!(stdin, "{password}");
        drop(stdin);
        let done = child.wait_with_output().expect("it ends");
        assert!(done.status.success(), "bunraku login {arguments:?}: {}", words(&done));
        words(&done)
    }

    /// Waits for a line in the log that holds all of `words`, without regard to case.
    pub async fn wait_log(&self, words: &[&str], limit: Duration) {
        eventually(&format!("a log line with {words:?}"), limit, || {
            let found = self.logged(words) > 0;
            async move { found.then_some(()) }
        })
        .await;
    }

    /// How many lines of the log hold all of `words`, without regard to case.
    pub fn logged(&self, words: &[&str]) -> usize {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default().to_lowercase();
        log.lines().filter(|line| words.iter().all(|w| line.contains(&w.to_lowercase()))).count()
    }

    pub fn log_tail(&self) -> String {
        tail(&self.log())
    }

    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg(name).arg("--config").arg(self.config_path()).current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    fn config_path(&self) -> PathBuf {
        self.dir.join("config.yaml")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("bunraku.log")
    }
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
