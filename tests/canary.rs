//! Canaries: secrets that are known by their text go through everything that keeps, opens or shows logins, with
//! every log on, in good order and in bad; then whatever was printed or stored is searched for them.

use std::fmt::Debug;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bunraku::ids::{ChannelName, NetworkId, UserId};
use bunraku::secret::Secret;
use bunraku::store::{Store, StoredCertificate};
use bunraku::text::casemap::CaseMap;
use bunraku::vault::{Place, Vault};

const PASSWORD: &str = "canary-pa55word";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\ncanary-pr1vate\n-----END PRIVATE KEY-----\n";
const CHANNEL_KEY: &str = "canary-channe1";

/// Everything that was printed.
#[derive(Clone, Default)]
struct Printed(Arc<Mutex<Vec<u8>>>);

impl Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Printed {
    fn note(&mut self, value: &dyn Debug) {
        writeln!(self, "{value:?} {value:#?}").expect("memory");
    }

    fn fault<E: Debug + std::error::Error>(&mut self, fault: &E) {
        writeln!(self, "{fault} {fault:?}").expect("memory");
    }
}

/// Whether any canary, or part of a key, is in there, however it is written.
fn found(bytes: &[u8], keys: &[Vec<u8>]) -> Option<String> {
    let mut wanted: Vec<Vec<u8>> = vec![b"canary".to_vec(), b"PRIVATE KEY".to_vec()];
    for secret in [PASSWORD, PEM, CHANNEL_KEY] {
        wanted.extend(spellings(secret.as_bytes()));
    }
    for key in keys {
        wanted.extend(spellings(key));
        wanted.push(key.clone());
    }
    let hit = wanted.into_iter().find(|text| bytes.windows(text.len()).any(|part| part == text));
    hit.map(|text| String::from_utf8_lossy(&text).into_owned())
}

/// In hexadecimal, in base64, and as the list of numbers that `Debug` makes of bytes.
fn spellings(bytes: &[u8]) -> Vec<Vec<u8>> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // The end of base64 depends on what follows, so it is left off.
    let base64 = BASE64.encode(&bytes[..bytes.len() / 3 * 3]);
    let list = format!("{bytes:?}");
    [hex, base64, list.trim_matches(['[', ']']).to_owned()].map(String::into_bytes).to_vec()
}

fn keys(file: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(file).expect("a key file");
    let lines = text.lines().filter_map(|line| line.split_once(':').filter(|_| !line.starts_with('#')));
    lines.map(|(_, key)| BASE64.decode(key).expect("base64")).collect()
}

/// The store in use, in order and out of order.
async fn use_store(url: &str, key_file: &Path, printed: &mut Printed) {
    let vault = Vault::open_or_make(key_file).expect("a vault");
    let store = Store::open(url).await.expect("a store");
    let (network, alice) = (NetworkId::new("net").expect("legal"), UserId::new("@alice:hs").expect("legal"));
    let channel = ChannelName::new("#a", CaseMap::Rfc1459).expect("legal");
    let certificate =
        StoredCertificate { pem: "public".into(), key_pem: Secret::new(PEM), fingerprint: "f1".into() };
    let password = Secret::new(PASSWORD);
    store.login_save(&vault, &network, &alice, "alice", Some(&password)).await.expect("saved");
    store.login_certificate_save(&vault, &network, &alice, &certificate).await.expect("saved");
    let key = Secret::new(CHANNEL_KEY);
    store.channel_key_save(&vault, &network, &alice, &channel, &key).await.expect("saved");
    vault.rotate().expect("rotated");
    store.reseal(&vault).await.expect("sealed anew");

    let login = store.login(&vault, &network, &alice).await.expect("opened").expect("there");
    assert_eq!(login.password.as_ref().map(Secret::expose), Some(PASSWORD), "the canaries were there");
    assert_eq!(login.certificate.as_ref().map(|certificate| certificate.key_pem.expose()), Some(PEM));
    printed.note(&login);
    printed.note(&store.channel_keys(&vault, &network, &alice).await);
    printed.note(&store.logins_list(&network).await);
    printed.note(&vault);

    let other = Vault::open_or_make(&key_file.with_added_extension("other")).expect("another vault");
    printed.fault(&store.login(&other, &network, &alice).await.expect_err("unknown key"));
    printed.note(&store.channel_keys(&other, &network, &alice).await);
    printed.note(&store.reseal(&other).await);
    store.close().await.expect("closed");
    printed
        .fault(&store.login_save(&vault, &network, &alice, "a", Some(&password)).await.expect_err("closed"));
}

/// The vault alone: moved, damaged, and with files that are none.
fn use_vault(folder: &Path, printed: &mut Printed) {
    let vault = Vault::open_or_make(&folder.join("alone.key")).expect("a vault");
    let place = Place { table: "t", row: &["a"], column: "c" };
    let sealed = vault.seal(&place, &Secret::new(PASSWORD));
    printed.write_all(&sealed).expect("memory");
    printed.note(&sealed);
    printed.fault(&vault.open(&Place { column: "d", ..place }, &sealed).expect_err("moved"));
    for at in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 1;
        printed.fault(&vault.open(&place, &damaged).expect_err("damaged"));
    }
    for content in [format!("{PASSWORD}\n"), format!("{PASSWORD}:AAAA\n"), format!("a:{PASSWORD}\n")] {
        let file = folder.join("wrong.key");
        std::fs::write(&file, content).expect("written");
        let only_ours = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, only_ours).expect("changed");
        printed.fault(&Vault::open_or_make(&file).expect_err("no key file"));
    }
}

/// The program, with every log on.
fn use_program(folder: &Path, printed: &mut Printed) {
    let config = "homeserver: { url: 'http://127.0.0.1:1', domain: hs }\nnetworks:\n  net:\n    servers: [{ host: 127.0.0.1, tls: false }]\n";
    std::fs::write(folder.join("config.yaml"), config).expect("written");
    let who = ["net", "@alice:hs"];
    let mut run = |arguments: &[&str], input: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bunraku"));
        command.arg("login").args(arguments).current_dir(folder).env("RUST_LOG", "trace");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).ok();
        let output = child.wait_with_output().expect("it ends");
        printed.write_all(&output.stdout).and_then(|()| printed.write_all(&output.stderr)).expect("memory");
        output.status.code()
    };
    let set = [["set"].as_slice(), &who, &["--account", "alice"]].concat();
    assert_eq!(run(&set, PASSWORD), Some(0));
    assert_eq!(run(&set, &PASSWORD.repeat(500)), Some(2));
    assert_eq!(run(&set, &format!("{PASSWORD}\n{PASSWORD}")), Some(2));
    for command in [["show"].as_slice(), &["remove"]] {
        assert_eq!(run(&[command, &who].concat(), PASSWORD), Some(0));
    }
    assert_eq!(run(&set, PASSWORD), Some(0));
    for command in [["list", "net"].as_slice(), &["rotate"]] {
        assert_eq!(run(command, PASSWORD), Some(0));
    }
    std::fs::remove_file(folder.join("bunraku.key")).expect("removed");
    assert_eq!(run(&["rotate"], PASSWORD), Some(1), "its key is gone");
}

#[cfg(feature = "real-parts")]
async fn postgres() -> Option<String> {
    use sqlx::{AssertSqlSafe, Connection, Executor, SqlSafeStr};
    let server = std::env::var("BUNRAKU_TEST_POSTGRES").expect("BUNRAKU_TEST_POSTGRES names a server");
    let name = format!("bunraku_sealed_{}", std::process::id());
    let mut conn = sqlx::PgConnection::connect(&server).await.expect("a server");
    let make = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
    conn.execute(AssertSqlSafe(make).into_sql_str()).await.expect("made");
    let (base, query) = server.split_once('?').map_or((server.as_str(), ""), |parts| parts);
    let authority = base.split('/').nth(2).expect("an authority");
    Some(format!("postgres://{authority}/{name}?{query}"))
}

#[cfg(not(feature = "real-parts"))]
async fn postgres() -> Option<String> {
    None
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_printed_or_stored_in_clear() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut printed = Printed::default();
    let log = printed.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || log.clone())
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .init();

    let sqlite = format!("sqlite:{}", folder.path().join("bunraku.db").display());
    for (url, key_file) in [(Some(sqlite), "sqlite.key"), (postgres().await, "postgres.key")] {
        if let Some(url) = url {
            use_store(&url, &folder.path().join(key_file), &mut printed).await;
        }
    }
    let stored: Vec<u8> = ["bunraku.db", "bunraku.db-wal"]
        .iter()
        .flat_map(|name| std::fs::read(folder.path().join(name)).unwrap_or_default())
        .collect();
    let used = folder.path().join("program");
    std::fs::create_dir(&used).expect("made");
    use_vault(folder.path(), &mut printed);
    use_program(&used, &mut printed);

    let mut all_keys = keys(&folder.path().join("sqlite.key"));
    for file in ["sqlite.key.other", "alone.key", "program/bunraku.key"] {
        all_keys.extend(keys(&folder.path().join(file)));
    }
    let printed = printed.0.lock().expect("whole").clone();
    let text = String::from_utf8_lossy(&printed);
    for part in ["a key file was made", "a secret cannot be sealed anew", "[secret]", "@alice:hs"] {
        assert!(text.contains(part), "{part} was printed, so the search sees what there is");
    }
    assert_eq!(found(&printed, &all_keys), None, "printed");
    assert!(stored.windows(9).any(|part| part == b"@alice:hs"), "the right file was read");
    assert_eq!(found(&stored, &all_keys), None, "stored");
    let database = std::fs::read(used.join("bunraku.db")).expect("there");
    assert_eq!(found(&database, &all_keys), None, "stored by the program");
}

#[test]
fn a_canary_is_found_however_it_is_written() {
    let key = vec![7_u8; 32];
    for text in [
        PASSWORD.to_owned(),
        format!("{:?}", PASSWORD.as_bytes()),
        BASE64.encode(CHANNEL_KEY),
        BASE64.encode(&key),
        format!("{key:?}"),
    ] {
        assert!(found(format!("x {text} y").as_bytes(), std::slice::from_ref(&key)).is_some(), "{text}");
    }
    assert_eq!(found(b"nothing of the kind", &[key]), None);
}
