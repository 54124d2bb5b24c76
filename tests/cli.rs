//! The program as people meet it: what it says, and its exit codes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use bunraku::bridge::effect::Outcome;
use bunraku::bridge::input::HoldRow;
use bunraku::ids::NetworkId;
use bunraku::store::{NewEvent, Store};
use serde_json::json;
use sqlx::Connection;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

/// What a run of the program gave.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs `bunraku` in `folder`.
fn bunraku(folder: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bunraku"));
    let output =
        command.args(arguments).current_dir(folder).env_remove("RUST_LOG").output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// A folder with a configuration for this homeserver.
fn folder(homeserver: &str, listen: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "homeserver: {{ url: '{homeserver}', domain: example.org }}\nappservice: {{ listen: '{listen}' }}\nnetworks:\n  test:\n    servers: [{{ host: 127.0.0.1, tls: false }}]\n"
    );
    std::fs::write(folder.path().join("config.yaml"), text).expect("written");
    folder
}

/// The same, and with its registration.
fn registered_folder(homeserver: &str, listen: &str) -> tempfile::TempDir {
    let folder = folder(homeserver, listen);
    assert_eq!(bunraku(folder.path(), &["registration"]).code, Some(0));
    folder
}

/// An address nobody listens on.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

fn registration_value(folder: &Path, key: &str) -> String {
    let text = std::fs::read_to_string(folder.join("registration.yaml")).expect("there");
    let value: serde_yaml::Value = serde_yaml::from_str(&text).expect("yaml");
    value[key].as_str().expect("text").to_owned()
}

#[test]
fn the_help_says_where_to_begin_and_what_exit_codes_mean() {
    let here = tempfile::tempdir().expect("a folder");
    let help = bunraku(here.path(), &["--help"]);
    assert_eq!(help.code, Some(0));
    for part in
        ["Where to begin", "config.sample.yaml", "Exit codes", "4  the audit", "registration", "check"]
    {
        assert!(help.out.contains(part), "{part}: {}", help.out);
    }
    let version = bunraku(here.path(), &["--version"]);
    assert_eq!(
        (version.code, version.out.as_str()),
        (Some(0), concat!("bunraku ", env!("CARGO_PKG_VERSION"), "\n"))
    );
    assert_eq!(bunraku(here.path(), &[]).code, Some(2));
    assert_eq!(bunraku(here.path(), &["run", "--nonsense"]).code, Some(2));
    for command in ["run", "check", "registration", "audit"] {
        let help = bunraku(here.path(), &[command, "--help"]);
        assert!(help.code == Some(0) && help.out.contains("Examples:"), "{command}: {}", help.out);
    }
}

#[test]
fn without_a_configuration_each_command_says_how_to_begin() {
    let here = tempfile::tempdir().expect("a folder");
    let sentence =
        "config.yaml: there is no such file; copy config.sample.yaml to begin, or name yours with --config\n";
    assert_eq!(bunraku(here.path(), &["run"]).err, sentence);
    assert_eq!(bunraku(here.path(), &["registration"]).err, sentence);
    let check = bunraku(here.path(), &["check", "--offline"]);
    assert_eq!((check.code, check.out.as_str()), (Some(2), sentence));
    assert_eq!(bunraku(here.path(), &["run"]).code, Some(2));
}

#[test]
fn check_tells_every_fault_of_a_file() {
    let here = tempfile::tempdir().expect("a folder");
    let text = "homeserver: { url: x, domain: example.org }\nnetworks:\n  a:\n    servers: [{ hots: h }]\n";
    std::fs::write(here.path().join("mine.yaml"), text).expect("written");
    let check = bunraku(here.path(), &["check", "--config", "mine.yaml"]);
    assert_eq!(check.code, Some(2));
    assert_eq!(
        check.out,
        "\
mine.yaml:1: homeserver.url: \"x\" must begin with http:// or https://
mine.yaml:4: networks.a.servers[0].hots: unknown setting; did you mean \"host\"?
mine.yaml:4: networks.a.servers[0].host: missing, and the bridge cannot run without; see config.sample.yaml
"
    );
}

#[test]
fn a_registration_is_written_once_and_only_replaced_by_force() {
    let folder = folder("http://127.0.0.1:1", "127.0.0.1:9898");
    let file = folder.path().join("registration.yaml");
    let first = bunraku(folder.path(), &["registration"]);
    assert_eq!((first.code, first.err.as_str()), (Some(0), ""));
    assert!(
        first.out.contains("app_service_config_files")
            && first.out.contains("bunraku check --config config.yaml")
    );
    let written = std::fs::read_to_string(&file).expect("written");
    let token = registration_value(folder.path(), "as_token");
    assert!(token.len() == 64 && token.bytes().all(|b| b.is_ascii_hexdigit()), "{token}");
    assert!(!first.out.contains(&token));
    assert_ne!(token, registration_value(folder.path(), "hs_token"));

    let again = bunraku(folder.path(), &["registration"]);
    assert_eq!(again.code, Some(2));
    assert_eq!(
        again.err,
        "registration.yaml: there is a registration already, and nothing was changed; --force replaces it, its tokens are lost then\n"
    );
    assert_eq!(std::fs::read_to_string(&file).expect("there"), written);

    let forced = bunraku(folder.path(), &["registration", "--force", "--bot", "gate"]);
    assert_eq!(forced.code, Some(0));
    assert!(!std::fs::read_to_string(&file).expect("there").contains(&token));
    assert_eq!(registration_value(folder.path(), "sender_localpart"), "gate");
    assert_eq!(bunraku(folder.path(), &["check", "--offline"]).code, Some(0));
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_a_registration() {
    use std::os::unix::fs::PermissionsExt;
    let folder = registered_folder("http://127.0.0.1:1", "127.0.0.1:9898");
    let file = folder.path().join("registration.yaml");
    let mode = || std::fs::metadata(&file).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("changed");
    let check = bunraku(folder.path(), &["check", "--offline"]);
    let warning = "registration.yaml: warning: every user of this computer can read the tokens in it; try: chmod o= on the file\n";
    assert!(check.code == Some(0) && check.out.contains(warning), "{}", check.out);
    assert_eq!(bunraku(folder.path(), &["registration", "--force"]).code, Some(0));
    assert_eq!(mode(), 0o600);
}

#[test]
fn what_keeps_the_bridge_from_running_is_told() {
    let folder = folder("http://127.0.0.1:1", "127.0.0.1:9898");
    let run = bunraku(folder.path(), &["run"]);
    let sentence =
        "registration.yaml: there is no such file; make it with: bunraku registration --config FILE\n";
    assert_eq!((run.code, run.err.as_str()), (Some(2), sentence));
    assert_eq!(bunraku(folder.path(), &["registration"]).code, Some(0));
    let run = bunraku(folder.path(), &["run", "--log", "a=b=c"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.err.starts_with("--log: \"a=b=c\" is no filter, such as info,bunraku=debug: "),
        "{}",
        run.err
    );
}

#[test]
fn a_homeserver_that_is_not_there_is_told() {
    let nobody = free_address();
    let folder = registered_folder(&format!("http://{nobody}"), &free_address());
    let check = bunraku(folder.path(), &["check"]);
    assert_eq!(check.code, Some(3));
    assert!(check.out.starts_with(&format!("http://{nobody} cannot be reached (")), "{}", check.out);
    assert!(
        check.out.ends_with("; does the homeserver run, and is homeserver.url right?\n"),
        "{}",
        check.out
    );
}

async fn answering(homeserver: &MockServer, verb: &str, at: &str, answer: ResponseTemplate) {
    Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(homeserver).await;
}

async fn with_versions() -> MockServer {
    let homeserver = MockServer::start().await;
    let versions = ResponseTemplate::new(200).set_body_json(json!({ "versions": ["v1.1", "v1.15"] }));
    answering(&homeserver, "GET", "/_matrix/client/versions", versions).await;
    homeserver
}

fn refusing(status: u16, errcode: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "errcode": errcode, "error": "words" }))
}

const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

/// Checks against this homeserver; gives code, the last line said, and the folder.
async fn check(homeserver: &MockServer) -> (Option<i32>, String) {
    let folder = registered_folder(&homeserver.uri(), &free_address());
    check_in(&folder).await
}

async fn check_in(folder: &tempfile::TempDir) -> (Option<i32>, String) {
    let path = folder.path().to_owned();
    let ran = tokio::task::spawn_blocking(move || bunraku(&path, &["check"])).await.expect("it ran");
    (ran.code, ran.out.lines().last().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_but_is_no_homeserver_is_told() {
    let page = MockServer::start().await;
    answering(&page, "GET", "/_matrix/client/versions", ResponseTemplate::new(200).set_body_string("<html>"))
        .await;
    let (code, last) = check(&page).await;
    let uri = page.uri();
    let next = "set homeserver.url to the base of its client API, without /_matrix";
    assert_eq!(code, Some(3));
    assert_eq!(
        last,
        format!("{uri} answers, but not as a homeserver (the answer was not understood); {next}")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_accepted_is_told() {
    let homeserver = with_versions().await;
    answering(&homeserver, "GET", WHOAMI, refusing(401, "M_UNKNOWN_TOKEN")).await;
    let (code, last) = check(&homeserver).await;
    let uri = homeserver.uri();
    assert_eq!(code, Some(3));
    assert_eq!(
        last,
        format!(
            "{uri} does not accept our token; give it the file registration.yaml (Synapse: app_service_config_files) and restart it"
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_homeserver_that_limits_us_is_told() {
    let homeserver = with_versions().await;
    answering(&homeserver, "GET", WHOAMI, refusing(429, "M_LIMIT_EXCEEDED")).await;
    let (code, last) = check(&homeserver).await;
    let uri = homeserver.uri();
    assert_eq!(code, Some(3));
    assert_eq!(
        last,
        format!(
            "{uri} limits how fast we may ask; put rate_limited: false into the registration and restart the homeserver"
        )
    );
}

/// Calls the bridge as a homeserver does when asked for a ping.
struct CallsBack {
    bridge: String,
    hs_token: String,
}

impl Respond for CallsBack {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let called = TcpStream::connect(&self.bridge).and_then(|mut stream| {
            write!(
                stream,
                "POST /_matrix/app/v1/ping HTTP/1.1\r\nHost: bridge\r\nAuthorization: Bearer {}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}",
                self.hs_token
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        });
        match called {
            Ok(answer) if answer.starts_with("HTTP/1.1 200") => {
                ResponseTemplate::new(200).set_body_json(json!({ "duration_ms": 7 }))
            }
            Ok(_) => refusing(502, "M_BAD_STATUS"),
            Err(_) => refusing(502, "M_CONNECTION_FAILED"),
        }
    }
}

/// A homeserver that knows the bridge of `folder`, and calls it at `bridge` with `hs_token`.
async fn knows(homeserver: &MockServer, folder: &tempfile::TempDir, bridge: &str, hs_token: String) {
    let bearer = format!("Bearer {}", registration_value(folder.path(), "as_token"));
    let user = ResponseTemplate::new(200).set_body_json(json!({ "user_id": "@ircbot:example.org" }));
    Mock::given(method("GET"))
        .and(path(WHOAMI))
        .and(header("Authorization", bearer.as_str()))
        .respond_with(user)
        .mount(homeserver)
        .await;
    Mock::given(method("POST"))
        .and(path("/_matrix/client/v1/appservice/bunraku/ping"))
        .respond_with(CallsBack { bridge: bridge.into(), hs_token })
        .mount(homeserver)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_way_there_and_back_is_good() {
    let homeserver = with_versions().await;
    let address = free_address();
    let folder = registered_folder(&homeserver.uri(), &address);
    let hs_token = registration_value(folder.path(), "hs_token");
    knows(&homeserver, &folder, &address, hs_token).await;
    assert_eq!(check_in(&folder).await, (Some(0), "All is good.".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_homeserver_with_another_registration_is_told() {
    let homeserver = with_versions().await;
    let address = free_address();
    let folder = registered_folder(&homeserver.uri(), &address);
    knows(&homeserver, &folder, &address, "another".into()).await;
    let uri = homeserver.uri();
    let sentence = format!(
        "{uri} called us with another hs_token; it has another registration file than ours: give it registration.yaml and restart it"
    );
    assert_eq!(check_in(&folder).await, (Some(3), sentence));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_homeserver_that_cannot_reach_us_is_told() {
    let homeserver = with_versions().await;
    let address = free_address();
    let folder = registered_folder(&homeserver.uri(), &address);
    knows(&homeserver, &folder, &free_address(), "any".into()).await;
    let (code, last) = check_in(&folder).await;
    assert_eq!(code, Some(3));
    let uri = homeserver.uri();
    assert!(last.starts_with(&format!("{uri} cannot call us at http://{address}: ")), "{last}");
    assert!(
        last.contains("M_CONNECTION_FAILED") && last.contains("this command listened for the call"),
        "{last}"
    );
}

// ---------------------------------------------------------------------------------------------------------
// bunraku login

const CANARY: &str = "canary-5ecret";

/// Runs `bunraku` in `folder` with this on its standard input.
fn bunraku_reading(folder: &Path, arguments: &[&str], input: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bunraku"));
    command.args(arguments).current_dir(folder).env_remove("RUST_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    // It may refuse without reading.
    child.stdin.take().expect("piped").write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

const SET: &[&str] = &["login", "set", "test", "@alice:example.org", "--account", "alice"];

/// A folder where alice has a login with the canary for a password.
fn folder_with_login() -> tempfile::TempDir {
    let folder = folder("http://127.0.0.1:1", "127.0.0.1:9898");
    assert_eq!(bunraku_reading(folder.path(), SET, CANARY).code, Some(0));
    folder
}

/// Every byte of every file of a folder.
fn all_bytes(folder: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(folder).expect("a folder");
    files.flat_map(|file| std::fs::read(file.expect("a file").path()).expect("read")).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

#[test]
fn every_login_command_explains_itself() {
    let here = tempfile::tempdir().expect("a folder");
    let help = bunraku(here.path(), &["login", "--help"]);
    for part in
        ["Examples:", "bunraku.key", "set", "show", "remove", "certificate", "list", "whois", "rotate"]
    {
        assert!(help.code == Some(0) && help.out.contains(part), "{part}: {}", help.out);
    }
    for command in ["set", "show", "remove", "certificate", "list", "whois", "rotate"] {
        let help = bunraku(here.path(), &["login", command, "--help"]);
        assert!(help.code == Some(0) && help.out.contains("Examples:"), "{command}: {}", help.out);
    }
    assert_eq!(bunraku(here.path(), &["login"]).code, Some(2));
}

#[test]
fn a_login_is_set_shown_listed_and_forgotten() {
    let folder = folder("http://127.0.0.1:1", "127.0.0.1:9898");
    let here = folder.path();
    let set = bunraku_reading(here, SET, &format!("{CANARY}\n"));
    assert_eq!(
        (set.code, set.out.as_str()),
        (
            Some(0),
            "@alice:example.org logs in to test as alice with a password, from the next connection on\n"
        )
    );
    assert!(set.err.contains("a key file was made; keep a copy of it"), "{}", set.err);
    let bob = ["login", "set", "test", "@bob:example.org", "--account", "bobby", "--no-password"];
    assert_eq!(bunraku(here, &bob).code, Some(0));

    let show = bunraku(here, &["login", "show", "test", "@alice:example.org"]);
    assert_eq!(show.out, "account      alice\npassword     stored\ncertificate  none\n");
    let list = bunraku(here, &["login", "list", "test", "--config", "config.yaml"]);
    assert_eq!(list.out, "@alice:example.org  alice  password\n@bob:example.org    bobby  nothing\n");
    for ran in [&set, &show, &list] {
        assert!(!ran.out.contains(CANARY) && !ran.err.contains(CANARY));
    }
    assert!(!holds(&all_bytes(here), CANARY), "no file holds the password in clear");
    assert!(holds(&all_bytes(here), "@alice:example.org"), "the files were looked through");

    let remove = bunraku(here, &["login", "remove", "test", "@alice:example.org"]);
    assert_eq!(
        (remove.code, remove.out.as_str()),
        (Some(0), "the login of @alice:example.org on test is forgotten\n")
    );
    let sentence = "@alice:example.org has no login on test; make one with: bunraku login set test @alice:example.org --account NAME\n";
    for command in ["remove", "show"] {
        let ran = bunraku(here, &["login", command, "test", "@alice:example.org"]);
        assert_eq!((ran.code, ran.err.as_str()), (Some(1), sentence));
    }
}

/// A refused login is forgotten with the login; a ban is not.
#[tokio::test]
async fn a_new_login_lets_its_puppet_try_again() {
    let folder = folder_with_login();
    let url = format!("sqlite:{}", folder.path().join("bunraku.db").display());
    let store = bunraku::store::Store::open(&url).await.expect("opened");
    let network = bunraku::ids::NetworkId::new("test").expect("legal");
    for (ending, is_lifted) in [("login", true), ("banned", false)] {
        let user = bunraku::ids::UserId::new("@alice:example.org").expect("legal");
        let (ending, words) = (ending.to_owned(), String::new());
        let hold = HoldRow { user, ending, words, since: bunraku::ids::Time(0) };
        store.hold_save(&network, &hold).await.expect("saved");
        let set = bunraku_reading(folder.path(), SET, CANARY);
        assert_eq!((set.code, set.out.contains("may connect again")), (Some(0), is_lifted), "{}", set.err);
        assert_eq!(store.holds(&network).await.expect("read").is_empty(), is_lifted, "{hold:?}");
    }
}

#[tokio::test]
async fn a_certificate_is_made_once_and_its_key_never_shown() {
    let folder = folder_with_login();
    let make = || bunraku(folder.path(), &["login", "certificate", "test", "@alice:example.org"]);
    let made = make();
    let fingerprint = made.out.lines().next().expect("a line").to_owned();
    assert!(made.code == Some(0) && fingerprint.len() == 64, "{} {}", made.out, made.err);
    assert!(made.out.contains(&format!("as alice: /msg NickServ CERT ADD {fingerprint}\n")), "{}", made.out);
    assert_eq!(make().out, made.out, "the same again");
    let show = bunraku(folder.path(), &["login", "show", "test", "@alice:example.org"]);
    assert_eq!(show.out, format!("account      alice\npassword     stored\ncertificate  {fingerprint}\n"));

    let url = format!("sqlite:{}", folder.path().join("bunraku.db").display());
    let store = bunraku::store::Store::open(&url).await.expect("opened");
    let vault = bunraku::vault::Vault::open_or_make(&folder.path().join("bunraku.key")).expect("there");
    let network = bunraku::ids::NetworkId::new("test").expect("legal");
    let alice = bunraku::ids::UserId::new("@alice:example.org").expect("legal");
    let login = store.login(&vault, &network, &alice).await.expect("opened").expect("there");
    let certificate = login.certificate.expect("made");
    assert_eq!(bunraku::irc::certificate::fingerprint(&certificate.pem).expect("read"), fingerprint);
    assert_eq!(login.password.expect("kept").expose(), CANARY);
    let key = certificate.key_pem.expose().lines().nth(1).expect("PEM").to_owned();
    assert!(!holds(&all_bytes(folder.path()), &key) && !made.out.contains(&key));

    let nobody = bunraku(folder.path(), &["login", "certificate", "test", "@bob:example.org"]);
    assert!(nobody.code == Some(1) && nobody.err.contains("has no login on test"), "{}", nobody.err);
}

#[test]
fn what_is_wrong_with_a_login_is_told_in_one_sentence() {
    let folder = folder("http://127.0.0.1:1", "127.0.0.1:9898");
    let told = |arguments: &[&str], input: &str, code: i32, sentence: &str| {
        let ran = bunraku_reading(folder.path(), arguments, input);
        assert!(
            ran.code == Some(code) && ran.err.contains(sentence),
            "{arguments:?}: {:?} {}",
            ran.code,
            ran.err
        );
        assert!(!ran.err.contains(CANARY) && ran.out.is_empty());
    };
    told(&["login", "list", "libra"], "", 2, "libra is no network of config.yaml; take one of these: test\n");
    told(
        &["login", "show", "test", "alice"],
        "",
        2,
        "write a Matrix user in full, such as @alice:example.org",
    );
    told(
        SET,
        "",
        2,
        "there is no password on standard input; type one, or leave it out with --no-password\n",
    );
    told(
        SET,
        &format!("{CANARY}\n{CANARY}\n"),
        2,
        "control character, which no network takes; give one line\n",
    );
    told(SET, &CANARY.repeat(1_000), 2, "longer than 1024 bytes");
    let words = ["login", "set", "test", "@alice:example.org", "--account", "two words"];
    told(&words, CANARY, 2, "an account is one word");
    assert!(!folder.path().join("bunraku.db").exists(), "nothing was made for what was refused");

    std::fs::write(folder.path().join("bunraku.key"), CANARY).expect("written");
    told(
        SET,
        CANARY,
        1,
        "the key file bunraku.key can be read by other users; take that from them: chmod 600 bunraku.key\n",
    );
    std::fs::remove_file(folder.path().join("bunraku.key")).expect("removed");
    std::fs::create_dir(folder.path().join("bunraku.db")).expect("made");
    told(SET, CANARY, 1, "bunraku.db cannot be written: it is a folder\n");
}

#[test]
fn a_rotation_seals_everything_with_a_new_key() {
    let folder = folder_with_login();
    let key_file = folder.path().join("bunraku.key");
    let keys = || {
        let text = std::fs::read_to_string(&key_file).expect("there");
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = keys();
    let rotate = bunraku(folder.path(), &["login", "rotate"]);
    let after = keys();
    let (id, _) = after[0].split_once(':').expect("id:key");
    let words = format!(
        "the new key is {id}; secrets sealed with it: 1\nThe older keys in bunraku.key are for older copies of the database.\n"
    );
    assert_eq!((rotate.code, rotate.out, rotate.err.as_str()), (Some(0), words, ""));
    assert_eq!(after[1..], before);

    // Without the new key there is nothing to open it with: both the sentence and the log say which.
    let old = format!("{}\n", before[0]);
    std::fs::write(&key_file, &old).expect("written");
    let rotate = bunraku(folder.path(), &["login", "rotate"]);
    assert_eq!(rotate.code, Some(1));
    assert!(rotate.err.contains("secrets that do not open and were left as they are: 1"), "{}", rotate.err);
    assert!(rotate.err.contains("@alice:example.org") && rotate.err.contains(id), "{}", rotate.err);
    for key in after.iter().map(|line| line.split_once(':').expect("id:key").1) {
        assert!(!rotate.err.contains(key) && !rotate.out.contains(key));
    }
}

#[tokio::test]
async fn an_operator_is_told_whose_an_ident_is() {
    let folder = folder("http://127.0.0.1:1", "127.0.0.1:9898");
    let url = format!("sqlite:{}", folder.path().join("bunraku.db").display());
    let store = bunraku::store::Store::open(&url).await.expect("opened");
    let network = bunraku::ids::NetworkId::new("test").expect("legal");
    let alice = bunraku::ids::UserId::new("@alice:example.org").expect("legal");
    store.identity(&network, &alice, ["Alice1".to_owned()]).await.expect("free");
    // Beside a store that is open, as the bridge has it.
    for ident in ["alice1", "~Alice1", "nick!~alice1@2001:db8::1"] {
        let whois = bunraku(folder.path(), &["login", "whois", "test", ident]);
        assert_eq!(
            (whois.code, whois.out.as_str()),
            (Some(0), "@alice:example.org has the ident Alice1 on test\n")
        );
    }
    let nobody = bunraku(folder.path(), &["login", "whois", "test", "bob"]);
    let sentence =
        "nobody has the ident bob on test; look whether it is written right, or ask for another network\n";
    assert_eq!((nobody.code, nobody.err.as_str()), (Some(1), sentence));
}

/// What a terminal shows while somebody types `keys` for the password; the exit code.
fn at_a_terminal(folder: &Path, keys: &[u8]) -> (Option<i32>, String) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("ours");
    let name = ptsname(&terminal, Vec::new()).expect("it has a name").into_string().expect("UTF-8");
    let end = || std::fs::OpenOptions::new().read(true).write(true).open(&name).expect("its other end");
    let shows_typing = |terminal: &std::fs::File| {
        let modes = rustix::termios::tcgetattr(terminal).expect("a terminal").local_modes;
        modes.contains(rustix::termios::LocalModes::ECHO | rustix::termios::LocalModes::ISIG)
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_bunraku"));
    command.args(SET).current_dir(folder).env_remove("RUST_LOG").stdin(end()).stdout(end()).stderr(end());
    let mut child = command.spawn().expect("it starts");
    // From now on the terminal hangs up when the program ends.
    drop(command);
    let mut terminal = std::fs::File::from(terminal);
    let mut shown = Vec::new();
    let mut part = [0; 4096];
    while !String::from_utf8_lossy(&shown).contains("it is not shown: ") {
        let len = terminal.read(&mut part).expect("it shows something");
        shown.extend_from_slice(&part[..len]);
    }
    assert!(!shows_typing(&terminal), "it is blind before it asks");
    terminal.write_all(keys).expect("typed");
    while let Ok(len @ 1..) = terminal.read(&mut part) {
        shown.extend_from_slice(&part[..len]);
    }
    assert!(shows_typing(&terminal), "the terminal is as it was");
    (child.wait().expect("it ends").code(), String::from_utf8_lossy(&shown).into_owned())
}

#[test]
fn a_password_that_is_typed_is_not_shown() {
    let folder = folder("http://127.0.0.1:1", "127.0.0.1:9898");
    let (code, shown) = at_a_terminal(folder.path(), format!("{CANARY}\n").as_bytes());
    assert!(code == Some(0) && !shown.contains(CANARY), "{code:?} {shown}");
    assert!(shown.contains("logs in to test as alice with a password"), "{shown}");
    let (code, shown) = at_a_terminal(folder.path(), &[b"canary".as_slice(), &[3]].concat());
    assert!(
        code == Some(2) && shown.contains("nothing was changed") && !shown.contains("canary"),
        "{code:?} {shown}"
    );
}

#[tokio::test]
async fn who_was_refused_for_a_login_may_try_another_one_or_none() {
    let folder = folder_with_login();
    let url = format!("sqlite:{}", folder.path().join("bunraku.db").display());
    let network = bunraku::ids::NetworkId::new("test").expect("legal");
    for command in ["certificate", "remove"] {
        let store = bunraku::store::Store::open(&url).await.expect("opened");
        let user = bunraku::ids::UserId::new("@alice:example.org").expect("legal");
        let since = bunraku::ids::Time(1);
        let row =
            bunraku::bridge::input::HoldRow { user, ending: "login".into(), words: String::new(), since };
        store.hold_save(&network, &row).await.expect("saved");
        store.close().await.expect("closed");
        let ran = bunraku(folder.path(), &["login", command, "test", "@alice:example.org"]);
        assert!(ran.out.contains("may connect again"), "{command}: {} {}", ran.out, ran.err);
        let listed = bunraku(folder.path(), &["held", "list", "test"]);
        assert_eq!(listed.out, "nobody is kept away from test\n");
    }
}

#[test]
fn who_is_not_held_cannot_be_released() {
    let folder = folder("http://127.0.0.1:9", "127.0.0.1:9");
    let listed = bunraku(folder.path(), &["held", "list", "test"]);
    assert_eq!(
        (listed.code, listed.out.as_str()),
        (Some(0), "nobody is kept away from test\n"),
        "{}",
        listed.err
    );
    let released = bunraku(folder.path(), &["held", "release", "test", "@ada:example.org"]);
    let sentence = "@ada:example.org is not kept away from test; see: bunraku held list test\n";
    assert_eq!((released.code, released.err.as_str()), (Some(1), sentence));
}

#[tokio::test]
async fn all_of_a_network_can_be_released_at_once() {
    let folder = folder("http://127.0.0.1:9", "127.0.0.1:9");
    let url = format!("sqlite:{}", folder.path().join("bunraku.db").display());
    let network = bunraku::ids::NetworkId::new("test").expect("legal");
    let store = bunraku::store::Store::open(&url).await.expect("opened");
    for user in ["@ada:example.org", "@bob:example.org"] {
        let user = bunraku::ids::UserId::new(user).expect("legal");
        let (ending, since) = ("banned".into(), bunraku::ids::Time(1));
        let row = bunraku::bridge::input::HoldRow { user, ending, words: String::new(), since };
        store.hold_save(&network, &row).await.expect("saved");
    }
    store.close().await.expect("closed");

    let both = bunraku(folder.path(), &["held", "release", "test", "@ada:example.org", "--all"]);
    assert_eq!(both.code, Some(2), "one or all: {}", both.err);
    let released = bunraku(folder.path(), &["held", "release", "test", "--all"]);
    let told = |user| released.out.contains(&format!("{user}:example.org may connect to test again"));
    assert!(released.code == Some(0) && told("@ada") && told("@bob"), "{} {}", released.out, released.err);
    let again = bunraku(folder.path(), &["held", "release", "test", "--all"]);
    assert_eq!((again.code, again.err.as_str()), (Some(1), "nobody is kept away from test\n"));
}

/// A message of `!room:hs` on the network `test`.
fn message(id: &str) -> NewEvent {
    let network = NetworkId::new("test");
    NewEvent {
        event_id: id.into(),
        room_id: "!room:hs".into(),
        json: "{\"body\":\"private words\"}".into(),
        network,
    }
}

#[tokio::test]
async fn the_audit_says_what_became_of_messages_also_while_the_store_is_open() {
    let folder = folder("http://127.0.0.1:1", "127.0.0.1:9898");
    let empty = bunraku(folder.path(), &["audit"]);
    assert_eq!((empty.code, empty.err.as_str()), (Some(0), ""));
    assert!(empty.out.ends_with("no message was ever accepted\n"), "{}", empty.out);

    let url = format!("sqlite:{}", folder.path().join("bunraku.db").display());
    let store = Store::open(&url).await.expect("a database");
    let rows = store.accept(vec![message("$a"), message("$b")]).await.expect("stored");
    store.settle(rows[0].seq, &Outcome::Delivered).await.expect("stored");
    store.flush().await.expect("stored");
    let good = bunraku(folder.path(), &["audit"]);
    assert_eq!((good.code, good.err.as_str()), (Some(0), ""));
    let figures = "test     Matrix to IRC         2          1       0        0          1  balanced";
    assert_eq!(good.out.lines().nth(1), Some(figures), "{}", good.out);
    assert!(good.out.contains("Matrix to IRC 2 in !room:hs on test: 0 s old, open"), "{}", good.out);
    assert!(!good.out.contains("private words"), "{}", good.out);

    let mut conn = sqlx::SqliteConnection::connect(&url).await.expect("a connection");
    sqlx::query("DELETE FROM inbox WHERE event_id = '$b'").execute(&mut conn).await.expect("gone");
    let bad = bunraku(folder.path(), &["audit", "--json"]);
    assert_eq!(bad.code, Some(4));
    assert!(bad.err.starts_with("the figures do not balance."), "{}", bad.err);
    let value: serde_json::Value = serde_json::from_str(&bad.out).expect("json");
    assert_eq!((&value["balanced"], &value["messages"][0]["missing"]), (&json!(false), &json!(1)));
}
