//! What people on IRC find under the links they are given, fetched as they would: with curl, from nowhere special.
//!
//! On InspIRCd only: links know no IRC server.

use std::process::Command;

use aes::Aes256;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::irc::IrcClient;
use crate::support::ircd::{IrcdKind, Setup};
use crate::support::matrix::MatrixUser;
use crate::support::process::{free_port, temp_dir};
use crate::support::world::{World, puppet};
use crate::support::{PATIENT, eventually, part};

/// What curl got.
struct Got {
    /// curl's own end: 0, or a number when the transfer broke off.
    exit: i32,
    status: u16,
    /// In small letters.
    headers: String,
    body: Vec<u8>,
}

/// `curl` with these arguments.
fn curl(url: &str, arguments: &[&str]) -> Got {
    let dir = temp_dir();
    let (head, body) = (dir.path().join("head"), dir.path().join("body"));
    let mut command = Command::new("curl");
    command.args(["--silent", "--max-time", "30", "--dump-header"]).arg(&head).arg("--output").arg(&body);
    let ended = command.args(arguments).arg(url).status().expect("curl is installed");
    let headers = std::fs::read_to_string(&head).unwrap_or_default().to_lowercase();
    let status = headers.split_whitespace().nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    let body = std::fs::read(&body).unwrap_or_default();
    Got { exit: ended.code().unwrap_or(-1), status, headers, body }
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let mut values = self.headers.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values.next_back().unwrap_or_default().trim()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A world whose bridge shows files, and where.
async fn world() -> (World, String) {
    let port = free_port();
    let base = format!("http://127.0.0.1:{port}");
    let line = format!("media: {{ listen: \"127.0.0.1:{port}\", public_url: \"{base}/\" }}");
    let world =
        World::with(IrcdKind::InspIrcd, &Setup::default(), |config, _| config.top_lines.push(line)).await;
    (world, base)
}

/// Bytes that are an image for who looks at its beginning.
fn image(length: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend((0..length).map(|at| (at * at / 7) as u8));
    bytes
}

/// Sends it; the line that IRC sees, and the link in it.
async fn shown(
    user: &MatrixUser,
    irc: &mut IrcClient,
    room: &str,
    channel: &str,
    content: &Value,
) -> (String, String, String) {
    let event = user.send_content(room, "m.room.message", content).await;
    let nick = puppet(user.id.split(':').next().expect("a user id").trim_start_matches('@'));
    let wanted = |l: &crate::support::irc::IrcLine| {
        l.is_from("PRIVMSG", &nick, channel) && l.params[1].contains("http")
    };
    let line = irc.wait("a line with a link", PATIENT, wanted).await.params[1].clone();
    let url = line.split_whitespace().find(|word| word.starts_with("http")).expect("a link").to_owned();
    (line, url, event)
}

#[tokio::test]
async fn a_file_is_fetched_by_its_link() {
    let (mut world, base) = world().await;
    let mut irc = world.irc("curler").await;
    irc.join("#files").await;
    let (user, room) = world.joined("filer", "#files", &mut irc).await;
    let cat = image(300_000);
    let mxc = user.upload(cat.clone()).await;
    let content = json!({ "msgtype": "m.image", "body": "my cat.png", "url": mxc,
        "info": { "size": cat.len(), "mimetype": "image/svg+xml" } });
    let (line, url, event) = shown(&user, &mut irc, &room, "#files", &content).await;
    assert!(line.starts_with("[image] my cat.png (300"), "{line}");
    let token = url.strip_prefix(&format!("{base}/")).expect("below the base");
    assert!(token.len() <= 24 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{token}");

    let got = curl(&url, &[]);
    assert_eq!((got.exit, got.status), (0, 200), "{}", got.headers);
    assert!(got.body == cat, "byte for byte");
    assert_eq!(got.header("content-type"), "image/png", "what it is, not what was said of it");
    assert_eq!(got.header("content-disposition"), "inline; filename=\"my cat.png\"");
    assert_eq!(got.header("x-content-type-options"), "nosniff");
    assert!(got.header("content-security-policy").starts_with("sandbox; default-src 'none'"));

    let head = curl(&url, &["--head"]);
    assert_eq!((head.exit, head.status, head.header("content-length")), (0, 200, "300008"));
    let etag = format!("If-None-Match: \"{token}\"");
    assert_eq!(curl(&url, &["--header", &etag]).status, 304);

    for (range, first, last) in
        [("1000-1999", 1_000, 1_999), ("299000-", 299_000, 300_007), ("-8", 300_000, 300_007)]
    {
        let part = curl(&url, &["--range", range]);
        assert_eq!((part.exit, part.status), (0, 206), "{range}");
        assert_eq!(part.header("content-range"), format!("bytes {first}-{last}/300008"));
        assert!(part.body == cat[first..=last], "{range}");
    }
    assert_eq!(curl(&url, &["--range", "300008-"]).status, 416);

    // Only what was said on IRC, and only with our word for it.
    let forged = forged(token);
    let nothing = curl(&format!("{base}/{forged}"), &[]);
    assert_eq!(nothing.status, 404);
    let id = mxc.trim_start_matches("mxc://");
    for path in [format!("_matrix/client/v1/media/download/{id}"), format!("..%2f{id}"), String::new()] {
        let got = curl(&format!("{base}/{path}"), &["--path-as-is"]);
        assert_eq!((got.status, got.text()), (404, nothing.text()), "{path}");
    }

    world.bridge.stop();
    world.bridge.run().await;
    assert!(curl(&url, &[]).body == cat, "over a restart");

    user.redact(&room, &event).await;
    let gone = eventually("the link ends with its message", PATIENT, || async {
        Some(curl(&url, &["--header", &etag])).filter(|got| got.status == 404)
    })
    .await;
    assert_eq!(gone.text(), nothing.text(), "nobody learns that it was there");
}

/// Another sign in its middle.
fn forged(token: &str) -> String {
    let other = if token.as_bytes()[5] == b'x' { "y" } else { "x" };
    format!("{}{other}{}", &token[..5], &token[6..])
}

/// As Element and others encrypt (client-server API, "Sending encrypted attachments").
fn encrypted(clear: &[u8], sum_of: impl Fn(&[u8]) -> Vec<u8>) -> (Vec<u8>, Value) {
    let (key, iv) = ([7_u8; 32], [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0_u8]);
    let mut closed = clear.to_vec();
    Ctr128BE::<Aes256>::new(&key.into(), &iv.into()).apply_keystream(&mut closed);
    let sum = STANDARD_NO_PAD.encode(sum_of(&closed));
    let file = json!({ "v": "v2", "iv": STANDARD_NO_PAD.encode(iv), "hashes": { "sha256": sum },
        "key": { "kty": "oct", "alg": "A256CTR", "ext": true, "key_ops": ["encrypt", "decrypt"],
            "k": URL_SAFE_NO_PAD.encode(key) } });
    (closed, file)
}

#[tokio::test]
async fn an_encrypted_file_is_opened_on_its_way() {
    let (world, _) = world().await;
    let mut irc = world.irc("curler").await;
    irc.join("#sealed").await;
    let (user, room) = world.joined("sealer", "#sealed", &mut irc).await;
    let clear = image(200_000);
    let (closed, mut file) = encrypted(&clear, |closed| Sha256::digest(closed).to_vec());
    let mxc = user.upload(closed.clone()).await;
    file["url"] = json!(mxc);
    let content =
        json!({ "msgtype": "m.file", "body": "sealed.png", "file": file, "info": { "size": clear.len() } });
    let (_, url, _) = shown(&user, &mut irc, &room, "#sealed", &content).await;
    let got = curl(&url, &[]);
    assert_eq!((got.exit, got.status, got.header("content-type")), (0, 200, "image/png"));
    assert!(got.body == clear, "opened");
    let part = curl(&url, &["--range", "100001-100100"]);
    assert_eq!((part.exit, part.status), (0, 206));
    assert!(part.body == clear[100_001..=100_100], "a part of it");

    // What was changed on its way has another sum.
    let (_, mut other) = encrypted(&clear, |_| vec![0; 32]);
    other["url"] = json!(mxc);
    let content = json!({ "msgtype": "m.file", "body": "changed.png", "file": other });
    let (_, url, _) = shown(&user, &mut irc, &room, "#sealed", &content).await;
    for arguments in [&[][..], &["--range", "100001-100100"]] {
        let got = curl(&url, arguments);
        // Found out before anything was answered, or after.
        let is_refused = got.exit == 0 && got.status == 502;
        let is_broken_off = got.exit != 0 && (arguments.is_empty() || got.body.is_empty());
        assert!(is_refused || is_broken_off, "{arguments:?}: {} {}", got.exit, got.headers);
        assert!(got.body.len() < clear.len(), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_long_message_is_a_page_that_ends() {
    let (world, _) = world().await;
    let mut irc = world.irc("reader").await;
    irc.join("#long").await;
    let (user, room) = world.joined("writer", "#long", &mut irc).await;
    let lines: Vec<String> = (1..=60).map(|n| format!("line {n} <of> & many")).collect();
    let content = json!({ "msgtype": "m.text", "body": lines.join("\n") });
    let (_, url, _) = shown(&user, &mut irc, &room, "#long", &content).await;
    let page = curl(&url, &[]);
    assert_eq!((page.exit, page.status, page.header("content-type")), (0, 200, "text/html; charset=utf-8"));
    let text = page.text();
    assert!(text.contains("line 1 &lt;of&gt; &amp; many") && text.contains("line 60 "), "{text}");
    assert!(!text.contains("<script") && !text.contains("src="), "{text}");
    let raw = curl(&format!("{url}?raw"), &[]);
    assert_eq!((raw.header("content-type"), raw.text()), ("text/plain; charset=utf-8", lines.join("\n")));
    assert_eq!(curl(&url, &["--header", "Accept: text/plain"]).text(), lines.join("\n"));

    let html = format!(
        "<h1>Plan</h1><ul><li>one</li><li>two</li></ul><pre><code>if x {{\n    y();\n}}</code></pre>\
        <p>{}</p><p>A <span data-mx-spoiler>secret</span> <b>end</b></p>",
        lines.join("<br>")
    );
    let content = json!({ "msgtype": "m.text", "body": "Plan", "format": "org.matrix.custom.html", "formatted_body": html });
    let (_, formatted, _) = shown(&user, &mut irc, &room, "#long", &content).await;
    let text = curl(&formatted, &[]).text();
    for part in ["<h1>Plan</h1>", "<li>two</li>", "<pre><code>if x {\n    y();\n}</code></pre>", "<b>end</b>"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let raw = curl(&format!("{formatted}?raw"), &[]).text();
    assert!(raw.contains("\nif x {\n    y();\n}\n"), "{raw}");

    // A month later.
    const LATER: &str = "import sqlite3, sys\n\
        c = sqlite3.connect(sys.argv[1], timeout=20)\n\
        c.execute('UPDATE links SET expires = 1')\n\
        c.commit()";
    let database = world.bridge.dir().join("bunraku.db");
    let mut later = Command::new(part("BUNRAKU_SYNAPSE_PYTHON"));
    assert!(later.args(["-c", LATER]).arg(database).status().expect("Python runs").success());
    assert_eq!(curl(&url, &[]).status, 404);
}
