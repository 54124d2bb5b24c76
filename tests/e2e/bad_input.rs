//! What must be refused in one clear sentence, and what must be waited for.
//!
//! Exit codes: 2 for a configuration that cannot be meant, 1 for a bridge that cannot start.

use std::net::TcpListener;
use std::time::Duration;

use crate::support::bridge::{Bridge, BridgeConfig};
use crate::support::ircd::{Ircd, IrcdKind};
use crate::support::process::{free_port, sub_dir, temp_dir};
use crate::support::synapse::Synapse;
use crate::support::world::{alias, puppet};
use crate::support::{PATIENT, SOON};

const CANNOT_START: i32 = 1;
const HOMESERVER_REFUSES: i32 = 3;
const BAD_CONFIG: i32 = 2;

#[test]
fn an_unknown_key_is_named_with_its_path() {
    let dir = temp_dir();
    let bridge = offline_bridge(dir.path());
    let typo = bridge.config.yaml().replace("burst: 100, line_ms", "brust: 100, line_ms");
    bridge.write_raw_config(&typo);
    refused(&bridge, BAD_CONFIG, &["networks.local.flood", "brust"]);
}

#[test]
fn a_missing_config_file_is_named() {
    let dir = temp_dir();
    let bridge = offline_bridge(dir.path());
    std::fs::remove_file(dir.path().join("config.yaml")).expect("it was written");
    refused(&bridge, BAD_CONFIG, &["config.yaml"]);
}

#[test]
fn a_missing_registration_says_how_to_make_it() {
    let dir = temp_dir();
    let bridge = offline_bridge(dir.path());
    std::fs::remove_file(bridge.registration()).expect("it was written");
    refused(&bridge, BAD_CONFIG, &["registration.yaml", "bunraku registration"]);
}

#[test]
fn a_port_in_use_is_named() {
    let dir = temp_dir();
    let bridge = offline_bridge(dir.path());
    let address = format!("127.0.0.1:{}", bridge.config.listen_port);
    let _taken = TcpListener::bind(&address).expect("the port was free");
    refused(&bridge, CANNOT_START, &[&address]);
}

#[test]
fn a_database_that_cannot_be_written_is_named() {
    let dir = temp_dir();
    let mut bridge = offline_bridge(dir.path());
    // A file where a directory should be stops root too.
    std::fs::write(dir.path().join("file"), "").expect("a temporary directory takes files");
    bridge.config.database_url = format!("sqlite:{}/file/bunraku.db", dir.path().display());
    bridge.write_config();
    refused(&bridge, CANNOT_START, &["file/bunraku.db"]);
}

#[tokio::test]
async fn a_token_the_homeserver_does_not_know_is_said() {
    let dir = temp_dir();
    let mut synapse = Synapse::prepare(dir.path(), &[&dir.path().join("bunraku/registration.yaml")]);
    let bridge = bridge_with(dir.path(), &synapse.url(), free_port());
    synapse.run().await;
    // A registration made anew has new tokens, and the homeserver has read the old one.
    std::fs::remove_file(bridge.registration()).expect("it was written");
    bridge.make_registration();
    refused(&bridge, HOMESERVER_REFUSES, &[&synapse.url(), "token"]);
}

#[tokio::test]
async fn a_homeserver_and_an_irc_server_that_come_later_are_waited_for() {
    let dir = temp_dir();
    let mut synapse = Synapse::prepare(dir.path(), &[&dir.path().join("bunraku/registration.yaml")]);
    let mut ircd = Ircd::prepare(IrcdKind::InspIrcd, dir.path());
    let mut bridge = bridge_with(dir.path(), &synapse.url(), ircd.port);

    bridge.launch();
    let address = synapse.url().trim_start_matches("http://").to_owned();
    bridge.wait_log(&["warn", &address], SOON).await;
    bridge.assert_running();
    synapse.run().await;

    let user = synapse.user("ada").await;
    let room = user.join(&alias("#later")).await;
    bridge.wait_log(&["warn", &ircd.port.to_string()], PATIENT).await;
    bridge.assert_running();

    ircd.run().await;
    let mut irc = ircd.client("bea").await;
    irc.join("#later").await;
    irc.wait_member("#later", &puppet("ada")).await;
    user.text(&room, "here at last").await;
    assert_eq!(irc.wait_said(&puppet("ada"), "#later").await, "here at last");
    bridge.stop();
}

/// A bridge whose homeserver is not there; for faults that are found before it is asked.
fn offline_bridge(dir: &std::path::Path) -> Bridge {
    let config = BridgeConfig::new(dir, &format!("http://127.0.0.1:{}", free_port()), free_port());
    Bridge::prepare(dir, config)
}

fn bridge_with(dir: &std::path::Path, homeserver_url: &str, irc_port: u16) -> Bridge {
    let bridge_dir = sub_dir(dir, "bunraku");
    Bridge::prepare(&bridge_dir, BridgeConfig::new(&bridge_dir, homeserver_url, irc_port))
}

/// It ends with this code, and some line of what it prints holds all of `words`.
fn refused(bridge: &Bridge, code: i32, words: &[&str]) {
    let (got, printed) = bridge.run_refused(Duration::from_secs(20));
    assert_eq!(got, code, "it printed:\n{printed}");
    let said = printed.lines().any(|line| words.iter().all(|w| line.contains(w)));
    assert!(said, "no line names {words:?}:\n{printed}");
    assert!(!printed.contains("panicked"), "{printed}");
}
