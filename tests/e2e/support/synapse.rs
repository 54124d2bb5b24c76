//! A real Synapse on loopback, with SQLite.
//!
//! It can be stopped, killed and started again on the same data; users come in through its open registration.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::matrix::{MatrixUser, http};
use super::process::{Daemon, free_port, sub_dir, tail};
use super::{PATIENT, eventually, fill, part};

/// The server name of every homeserver in these tests.
pub const DOMAIN: &str = "lab.test";

// Any seed will do: the homeserver signs only for itself.
const SIGNING_KEY: &str = "ed25519 a_test QlVOUkFLVS1URVNULUtFWS1OT1QtQS1TRUNSRVQtISE\n";

/// A homeserver and its data. `daemon` is `None` while it is stopped.
pub struct Synapse {
    dir: PathBuf,
    port: u16,
    recovery: Recovery,
    daemon: Option<Daemon>,
}

/// How soon it notes that an application service is up again, once it has nothing more to hand over.
#[derive(Clone, Copy)]
pub enum Recovery {
    /// In a moment, of which a test can't make use.
    Usual,
    /// In a second.
    Slow,
}

impl Synapse {
    /// Writes the configuration under `parent`, with the registrations (absolute paths) of application services,
    /// without starting it.
    pub fn prepare(parent: &Path, registrations: &[&Path]) -> Synapse {
        let synapse = Synapse {
            dir: sub_dir(parent, "synapse"),
            port: free_port(),
            recovery: Recovery::Usual,
            daemon: None,
        };
        synapse.write_config(registrations);
        synapse
    }

    /// The same, started and answering.
    pub async fn start(parent: &Path, registrations: &[&Path]) -> Synapse {
        let mut synapse = Synapse::prepare(parent, registrations);
        synapse.run().await;
        synapse
    }

    /// Starts it (again) on its data and waits until clients are answered.
    pub async fn run(&mut self) {
        let mut command = Command::new(part("BUNRAKU_SYNAPSE_PYTHON"));
        match self.recovery {
            Recovery::Usual => command.args(["-m", "synapse.app.homeserver"]),
            Recovery::Slow => command.args(["-c", include_str!("../conf/synapse-slow-recovery.py")]),
        };
        command.arg("--config-path").arg(self.dir.join("homeserver.yaml"));
        let mut daemon = Daemon::start(command.current_dir(&self.dir), &self.dir.join("stdout.log"));
        let (http, url) = (http(), format!("{}/_matrix/client/versions", self.url()));
        eventually("Synapse answers", PATIENT, || {
            daemon.assert_running("Synapse");
            let request = http.get(&url).send();
            async { request.await.ok().filter(|r| r.status().is_success()) }
        })
        .await;
        self.daemon = Some(daemon);
    }

    /// How it will be from its next start on.
    pub fn set_recovery(&mut self, recovery: Recovery) {
        self.recovery = recovery;
    }

    /// SIGTERM, and up to 20 s to end.
    pub fn stop(&mut self) {
        let ended = self.daemon.take().and_then(|mut d| d.terminate(Duration::from_secs(20)));
        assert!(ended.is_some(), "Synapse did not end on SIGTERM");
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.daemon = None;
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes an account and logs in. The display name is `name`, as Synapse does it.
    pub async fn user(&self, name: &str) -> MatrixUser {
        MatrixUser::register(&self.url(), name).await
    }

    /// The events that it has written down for application services and not delivered, as text that holds their ids.
    pub fn kept_events(&self) -> String {
        const KEPT: &str = "import sqlite3, sys\n\
            c = sqlite3.connect(sys.argv[1], timeout=20)\n\
            print(c.execute('SELECT event_ids FROM application_services_txns').fetchall())";
        let mut command = Command::new(part("BUNRAKU_SYNAPSE_PYTHON"));
        let output =
            command.args(["-c", KEPT]).arg(self.dir.join("homeserver.db")).output().expect("Python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn log_tail(&self) -> String {
        format!("{}\n{}", tail(&self.dir.join("homeserver.log")), tail(&self.dir.join("stdout.log")))
    }

    fn write_config(&self, registrations: &[&Path]) {
        let paths = serde_json::to_string(registrations).expect("paths are text");
        let dir = self.dir.display().to_string();
        let port = self.port.to_string();
        let values = [("DIR", dir.as_str()), ("PORT", &port), ("REGISTRATIONS", &paths)];
        self.write("homeserver.yaml", &fill(include_str!("../conf/homeserver.yaml"), &values));
        self.write("log.yaml", &fill(include_str!("../conf/synapse-log.yaml"), &values));
        self.write("signing.key", SIGNING_KEY);
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.join(name), text).expect("a temporary directory takes files");
    }
}
