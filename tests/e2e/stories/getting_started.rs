//! docs/GETTING_STARTED.md, done line by line by somebody who has nothing but a homeserver: its configuration, its commands, its
//! alias, its words to the bot. Only names and ports are changed to those of this world.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::admin::Desk;
use crate::support::ircd::{Ircd, IrcdKind};
use crate::support::process::{Daemon, free_port, sub_dir, temp_dir};
use crate::support::synapse::{DOMAIN, Synapse};
use crate::support::{PATIENT, eventually};

const PAGE: &str = include_str!("../../../docs/GETTING_STARTED.md");
const PROGRAM: &str = env!("CARGO_BIN_EXE_bunraku");

/// The lines of the page's block in this language.
fn block(language: &str) -> String {
    let fence = format!("```{language}\n");
    let (_, rest) = PAGE.split_once(&fence).unwrap_or_else(|| panic!("the page has a block of {language}"));
    rest.split_once("```").expect("the block has an end").0.to_owned()
}

/// All lines of the page's shell blocks that call the program.
fn steps() -> Vec<&'static str> {
    PAGE.lines().filter(|line| line.starts_with("bunraku ")).collect()
}

fn bunraku(dir: &Path, line: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(line.split(' ').skip(1)).current_dir(dir).stdin(Stdio::null());
    command
}

fn done(dir: &Path, line: &str) -> String {
    let Output { status, stdout, stderr } = bunraku(dir, line).output().expect("the program is built");
    let printed = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{line}: {printed}");
    printed
}

#[tokio::test]
async fn a_newcomer_gets_a_bridged_channel() {
    let dir = temp_dir();
    let ircd = Ircd::start(IrcdKind::NgIrcd, dir.path()).await;
    let home = sub_dir(dir.path(), "bunraku");
    let mut synapse = Synapse::prepare(dir.path(), &[&home.join("registration.yaml")]);
    let here = |text: &str| text.replace("example.org", DOMAIN);
    let port = free_port();

    let config = here(&block("yaml")).replace("http://127.0.0.1:8008", &synapse.url());
    let config = config.replace("127.0.0.1:9898", &format!("127.0.0.1:{port}"));
    let config = config.replace(
        "{ host: irc.libera.chat, port: 6697, tls: true }",
        &format!("{{ host: 127.0.0.1, port: {}, tls: false }}", ircd.port),
    );
    assert!(config.contains(&port.to_string()) && config.contains(&ircd.port.to_string()), "{config}");
    std::fs::write(home.join("config.yaml"), &config).expect("a folder of its own");

    assert_eq!(steps(), ["bunraku registration", "bunraku check", "bunraku run"]);
    done(&home, steps()[0]);
    synapse.run().await;
    assert!(done(&home, steps()[1]).trim_end().ends_with("All is good."));
    let log = home.join("bunraku.log");
    let _running = Daemon::start(&mut bunraku(&home, steps()[2]), &log);
    eventually("the bridge is ready", PATIENT, || {
        let printed = std::fs::read_to_string(&log).unwrap_or_default();
        async move { printed.contains("ready").then_some(()) }
    })
    .await;

    let alias = here(block("alias").trim());
    let channel =
        alias.strip_prefix("#irc_libera_").and_then(|rest| rest.split(':').next()).expect("a channel");
    let mut eve = ircd.client("eve").await;
    eve.join(channel).await;
    let mut user = synapse.user("yourname").await;
    let room = user.join(&alias).await;
    eve.wait_member(channel, "yourname[m]").await;
    user.text(&room, "hello from Matrix").await;
    assert_eq!(eve.wait_said("yourname[m]", channel).await, "hello from Matrix");
    eve.say(channel, "hello from IRC").await;
    user.wait_body(&room, "hello from IRC", PATIENT).await;

    let bot = here(block("bot").trim());
    let mut desk = Desk::with(user, &bot).await;
    for line in block("commands").lines() {
        let told = desk.says(line).await;
        assert!(!told.contains("is no command") && !told.contains("It is `"), "{line}: {told}");
        assert!(!told.contains("nobody knows"), "{line}: {told}");
    }
    eve.wait_member(channel, "yourname").await;
}

#[test]
fn the_setting_for_a_room_of_ones_own_is_one() {
    let whole = format!("{}{}", block("yaml"), block("yaml more"));
    let config: serde_json::Value = serde_yaml::from_str(&whole).expect("YAML");
    assert_eq!(config["networks"]["libera"]["channels"][0]["channel"], "#bunraku-room");
    let dir = temp_dir();
    std::fs::write(dir.path().join("config.yaml"), whole).expect("a folder");
    done(dir.path(), "bunraku registration");
    done(dir.path(), "bunraku check --offline");
}
