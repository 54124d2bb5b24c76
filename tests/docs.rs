//! What docs/NETWORKS.md shows is tried here: its YAML passes the checks, its commands are understood, its SQL runs on
//! the tables as they are. A page that operators copy from must not be older than the program.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use bunraku::bridge::input::HoldRow;
use bunraku::ids::{NetworkId, Time, UserId};
use bunraku::store::Store;
use serde_yaml::{Mapping, Value};
use sqlx::{AssertSqlSafe, ConnectOptions};

const PAGE: &str = include_str!("../docs/NETWORKS.md");
const PASSWORD: &str = "canary-5ecret";
const FILES: &[&str] = &["our-authority.pem", "webirc-password.txt", "bridge.crt", "bridge.key"];

/// The fenced blocks of the page in this language, with the line each begins at.
fn blocks(language: &str) -> Vec<(usize, String)> {
    let (mut found, mut open) = (Vec::new(), None::<(usize, &str, String)>);
    for (number, line) in (1..).zip(PAGE.lines()) {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((number, language, String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, _, text))) => text.extend([line, "\n"]),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block has no end");
    let mine = found.into_iter().filter(|(_, found, _)| *found == language);
    mine.map(|(number, _, text)| (number, text)).collect()
}

/// All lines of the page's plain blocks that call this program.
fn commands(program: &str) -> Vec<&'static str> {
    let found: Vec<&str> = PAGE.lines().filter(|line| line.split(' ').next() == Some(program)).collect();
    assert!(!found.is_empty(), "{program} is named");
    found
}

/// A piece of a configuration, with what a whole one needs besides.
fn completed(piece: &str) -> String {
    let mut config: Value = serde_yaml::from_str(piece).expect("YAML");
    let top = config.as_mapping_mut().expect("settings");
    let server: Value = serde_yaml::from_str("[{ host: irc.example.org }]").expect("YAML");
    let homeserver = "{ url: 'http://127.0.0.1:1', domain: example.org }";
    top.insert("homeserver".into(), serde_yaml::from_str(homeserver).expect("YAML"));
    let networks = top.entry("networks".into()).or_insert_with(|| Value::Mapping(Mapping::new()));
    let networks = networks.as_mapping_mut().expect("networks");
    if networks.is_empty() {
        networks.insert("example".into(), Value::Mapping(Mapping::new()));
    }
    for network in networks.values_mut() {
        let network = network.as_mapping_mut().expect("settings");
        network.entry("servers".into()).or_insert_with(|| server.clone());
    }
    serde_yaml::to_string(&config).expect("YAML")
}

/// A folder with this configuration and the files that the page names.
fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("config.yaml", config);
    let made = bunraku::irc::certificate::generate("bunraku").expect("a certificate");
    for name in FILES {
        write(
            name,
            match name.rsplit_once('.') {
                Some((_, "key")) => made.key_pem.expose(),
                Some((_, "txt")) => PASSWORD,
                Some(_) | None => &made.pem,
            },
        );
    }
    folder
}

/// Runs `bunraku` with these words and a password to read.
fn bunraku(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bunraku"));
    command.args(words).current_dir(folder).env_remove("RUST_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // It may have no use for one.
    child.stdin.take().expect("piped").write_all(PASSWORD.as_bytes()).ok();
    child.wait_with_output().expect("it ends")
}

#[test]
fn every_piece_of_configuration_is_good() {
    let pieces = blocks("yaml");
    assert!(pieces.len() > 10, "they were found");
    for (line, piece) in pieces {
        let folder = folder(&completed(&piece));
        assert!(bunraku(folder.path(), &["registration"]).status.success(), "line {line}");
        let check = bunraku(folder.path(), &["check", "--offline"]);
        let told = String::from_utf8_lossy(&check.stdout);
        assert_eq!(told, "The files are good. The homeserver was not asked.\n", "line {line}:\n{piece}");

        // What only the start looks at: certificates, pins, addresses.
        let config = bunraku::config::load(&folder.path().join("config.yaml")).expect("good").config;
        for network in config.networks.values() {
            if let Err(fault) = bunraku::app::dial_plan::dial_plan(network, None) {
                panic!("line {line}: {fault:#}\n{piece}");
            }
        }
    }
}

/// A folder where all logins of the page were set as it says.
fn folder_with_logins() -> tempfile::TempDir {
    let folder = folder(&completed("networks: { libera: {}, oftc: {} }"));
    let needs_more = |line: &str| line.contains(" remove ") || line.contains(" release ");
    for line in commands("bunraku").into_iter().filter(|line| !needs_more(line)) {
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        let ran = bunraku(folder.path(), &words);
        assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    folder
}

#[test]
fn every_login_command_does_what_it_says() {
    let folder = folder_with_logins();
    for line in commands("bunraku").into_iter().filter(|line| line.contains(" remove ")) {
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        assert!(bunraku(folder.path(), &words).status.success(), "{line}");
    }
}

#[tokio::test]
async fn who_is_held_is_released_as_it_says() {
    let folder = folder_with_logins();
    let lines: Vec<&str> =
        commands("bunraku").into_iter().filter(|line| line.contains(" release ")).collect();
    assert!(!lines.is_empty(), "it is told");
    for line in lines {
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        let [network, user] = words[2..] else { panic!("{line}") };
        let url = format!("sqlite:{}", folder.path().join("bunraku.db").display());
        let store = Store::open(&url).await.expect("opened");
        let user = UserId::new(user).expect("a user");
        let row = HoldRow { user, ending: "killed".into(), words: "enough".into(), since: Time(1) };
        store.hold_save(&NetworkId::new(network).expect("a network"), &row).await.expect("saved");
        store.close().await.expect("closed");
        assert!(bunraku(folder.path(), &words).status.success(), "{line}");
        assert!(!bunraku(folder.path(), &words).status.success(), "only once");
    }
}

#[tokio::test]
async fn every_statement_runs_on_the_tables_as_they_are() {
    let folder = folder_with_logins();
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("bunraku.db"));
    let mut database = file.connect().await.expect("opened");
    let statements = commands("sqlite3");
    for line in &statements {
        let sql = line.split('"').nth(1).expect("quoted").to_owned();
        let ran = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database).await;
        assert!(ran.is_ok(), "{line}: {ran:?}");
    }
    for part in ["FROM identities", "FROM homeserver_blocks", "FROM sts_policies"] {
        assert!(statements.iter().any(|line| line.contains(part)), "{part}");
    }
}
