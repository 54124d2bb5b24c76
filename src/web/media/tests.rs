//! The proxy over a socket, with a shelf of the test's own.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::bridge::media::{MediaCipher, MediaKind};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// What a file is and how it ends.
#[derive(Clone)]
struct Stored {
    pieces: Vec<Bytes>,
    size: Option<u64>,
    /// Instead of the end.
    breaks: bool,
}

#[derive(Default)]
struct Fixed {
    items: Mutex<HashMap<String, Item>>,
    files: HashMap<String, Stored>,
    trouble: Option<Trouble>,
    fetched: AtomicUsize,
    is_broken: bool,
}

struct Given(std::vec::IntoIter<Bytes>, Option<u64>, bool);

impl File for Given {
    fn size_bytes(&self) -> Option<u64> {
        self.1
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, String> {
        match self.0.next() {
            Some(piece) => Ok(Some(piece)),
            None if self.2 => Err("it broke".into()),
            None => Ok(None),
        }
    }
}

impl Shelf for Fixed {
    type File = Given;

    async fn find(&self, token: &str) -> Result<Option<(Item, Time)>, String> {
        if self.is_broken {
            return Err("the disk is full".into());
        }
        let item = self.items.lock().unwrap().get(token).cloned();
        Ok(item.map(|item| (item, Time(1_795_392_000_000))))
    }

    async fn fetch(&self, source: &MediaSource) -> Result<Given, Trouble> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        if let Some(trouble) = &self.trouble {
            return Err(trouble.clone());
        }
        let Some(stored) = self.files.get(&source.mxc).cloned() else { return Err(Trouble::Missing) };
        Ok(Given(stored.pieces.into_iter(), stored.size, stored.breaks))
    }
}

const MXC: &str = "mxc://hs/file";

fn media(kind: MediaKind, name: &str, mime: &str) -> Item {
    let source = MediaSource::new(MXC, None).unwrap();
    let (name, mime) = (name.to_owned(), Some(mime.to_owned()));
    Item::Media(Media { kind, source, name, mime, size_bytes: None, duration_ms: None })
}

/// Under `f` this file, which comes in these pieces.
fn shelf(item: Item, pieces: &[&[u8]]) -> Fixed {
    let pieces: Vec<Bytes> = pieces.iter().map(|piece| Bytes::copy_from_slice(piece)).collect();
    let size = Some(pieces.iter().map(|piece| piece.len() as u64).sum());
    let stored = Stored { pieces, size, breaks: false };
    Fixed {
        items: Mutex::new(HashMap::from([("f".to_owned(), item)])),
        files: HashMap::from([(MXC.to_owned(), stored)]),
        ..Fixed::default()
    }
}

fn page() -> Item {
    let (title, author) = ("Long <words>".to_owned(), "ada".to_owned());
    let html = "<pre><code>fn main() {}</code></pre>".to_owned();
    Item::Text(PageText { title, author, html, plain: "fn main() {}".into() })
}

fn settings() -> Settings {
    Settings {
        trusted_proxies: vec!["127.0.0.1".parse().unwrap()],
        size_bytes_max: 1_000,
        requests_per_minute: 100,
        bytes_per_hour: 1_000_000,
        transfers_max: 8,
    }
}

/// A proxy that serves.
struct Proxy {
    url: String,
    shelf: Arc<Fixed>,
    served: Served,
    http: reqwest::Client,
}

impl Proxy {
    async fn new(shelf: Fixed) -> Self {
        Self::with(shelf, settings()).await
    }

    async fn with(shelf: Fixed, settings: Settings) -> Self {
        let (shelf, served) = (Arc::new(shelf), Served::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = router(Arc::clone(&shelf), settings, served.clone());
        let service = router.into_make_service_with_connect_info::<Peer>();
        tokio::spawn(async move { axum::serve(Door::new(listener), service).await });
        // No TLS here; the client wants a provider all the same.
        rustls::crypto::ring::default_provider().install_default().ok();
        Self { url, shelf, served, http: reqwest::Client::new() }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match request.send().await {
            Ok(answer) => answer,
            // Broken off before the beginning was on its way.
            Err(error) => {
                return Answer { status: 0, headers: HeaderMap::new(), body: Err(error.to_string()) };
            }
        };
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Answer {
            status,
            headers,
            body: answer.bytes().await.map(Vec::from).map_err(|error| error.to_string()),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[]).await
    }
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Result<Vec<u8>, String>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn an_image_is_shown_and_nothing_in_it_acts() {
    let proxy = Proxy::new(shelf(media(MediaKind::Image, "ä.png", "image/svg+xml"), &[PNG, b"rest"])).await;
    let answer = proxy.get("/below/any/path/f").await;
    assert_eq!((answer.status, answer.body.clone().unwrap()), (200, [PNG, b"rest"].concat()));
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-length", "12"),
        ("content-disposition", "inline; filename=\"_.png\"; filename*=UTF-8''%C3%A4.png"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "private, no-cache"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("accept-ranges", "bytes"),
        ("etag", "\"f\""),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("content-security-policy").starts_with("sandbox; default-src 'none'"));
    assert!(answer.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn what_a_browser_would_run_is_bytes_to_keep() {
    let item = media(MediaKind::File, "page.html", "text/html");
    let proxy = Proxy::new(shelf(item, &[b"<script>alert(1)</script>"])).await;
    let answer = proxy.get("/f").await;
    assert_eq!(answer.header("content-type"), "application/octet-stream");
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"page.html\"");
}

#[tokio::test]
async fn head_tells_the_same_without_the_file() {
    let proxy = Proxy::new(shelf(media(MediaKind::Image, "a.png", "image/png"), &[PNG, b"rest"])).await;
    let answer = proxy.ask(Method::HEAD, "/f", &[("range", "bytes=0-1")]).await;
    assert_eq!((answer.status, answer.body.clone().unwrap().len()), (200, 0));
    assert_eq!((answer.header("content-length"), answer.header("content-type")), ("12", "image/png"));
    let answer = proxy.ask(Method::POST, "/f", &[]).await;
    assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn a_part_is_a_part_however_the_file_comes() {
    let whole: Vec<u8> = (0..=255).collect();
    for length in [1, 3, 100, 256] {
        let pieces: Vec<&[u8]> = whole.chunks(length).collect();
        let proxy = Proxy::new(shelf(media(MediaKind::File, "b", "x/y"), &pieces)).await;
        for (range, first, last) in [("0-0", 0, 0), ("10-19", 10, 19), ("250-", 250, 255), ("-6", 250, 255)] {
            let answer = proxy.ask(Method::GET, "/f", &[("range", &format!("bytes={range}"))]).await;
            assert_eq!(answer.status, 206, "{range}");
            assert_eq!(answer.header("content-range"), format!("bytes {first}-{last}/256"));
            assert_eq!(answer.body.unwrap(), whole[first..=last], "{range} in pieces of {length}");
        }
        let answer = proxy.ask(Method::GET, "/f", &[("range", "bytes=256-")]).await;
        assert_eq!((answer.status, answer.header("content-range")), (416, "bytes */256"));
        let stale = [("range", "bytes=1-2"), ("if-range", "\"other\"")];
        assert_eq!(proxy.ask(Method::GET, "/f", &stale).await.status, 200);
        let fresh = [("range", "bytes=1-2"), ("if-range", "\"f\"")];
        assert_eq!(proxy.ask(Method::GET, "/f", &fresh).await.status, 206);
    }
}

#[tokio::test]
async fn who_has_it_already_is_told_so_while_it_is_there() {
    let proxy = Proxy::new(shelf(media(MediaKind::Image, "a", "image/png"), &[PNG])).await;
    let known = [("if-none-match", "W/\"x\", \"f\"")];
    let answer = proxy.ask(Method::GET, "/f", &known).await;
    assert_eq!((answer.status, answer.header("etag")), (304, "\"f\""));
    assert_eq!(proxy.shelf.fetched.load(Ordering::Relaxed), 0, "and nobody else is asked");
    proxy.shelf.items.lock().unwrap().clear();
    assert_eq!(proxy.ask(Method::GET, "/f", &known).await.status, 404);
}

#[tokio::test]
async fn all_that_is_not_there_looks_alike() {
    let proxy = Proxy::new(Fixed::default()).await;
    let first = proxy.get("/f").await;
    assert_eq!((first.status, first.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(first.text().contains("There is nothing here"));
    for path in ["/", "/x/y", "/_matrix/media/v3/download/hs/x", "/..%2f", "/?raw"] {
        let other = proxy.get(path).await;
        assert_eq!((other.status, other.text()), (404, first.text()), "{path}");
    }
    let robots = proxy.get("/robots.txt").await;
    assert_eq!((robots.status, robots.text().as_str()), (200, "User-agent: *\nDisallow: /\n"));
}

#[tokio::test]
async fn a_file_that_cannot_be_had_has_a_page_that_says_so() {
    let check = async |trouble: Option<Trouble>, is_broken, status, words: &str| {
        let shelf = shelf(media(MediaKind::Image, "a", "image/png"), &[PNG]);
        let proxy = Proxy::new(Fixed { trouble, is_broken, ..shelf }).await;
        let answer = proxy.get("/f").await;
        assert_eq!(answer.status, status);
        assert!(answer.text().contains(words), "{}", answer.text());
        assert!(!answer.text().contains("canary"), "strangers learn nothing of what is behind");
    };
    check(Some(Trouble::Missing), false, 404, "There is nothing here").await;
    check(Some(Trouble::Busy), false, 503, "try again soon").await;
    check(Some(Trouble::Away("canary".into())), false, 502, "cannot be reached now").await;
    check(None, true, 503, "try again later").await;
}

#[tokio::test]
async fn a_file_is_too_large_before_or_when_it_is_seen() {
    let large = vec![7; 600];
    let item = || media(MediaKind::File, "a", "x/y");
    let proxy = Proxy::new(shelf(item(), &[&large, &large])).await;
    let answer = proxy.get("/f").await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("larger than what is given out here"));

    let mut untold = shelf(item(), &[&large, &large]);
    untold.files.get_mut(MXC).unwrap().size = None;
    let answer = Proxy::new(untold).await.get("/f").await;
    assert!(answer.body.is_err(), "broken off");

    let mut untold = shelf(item(), &[b"little"]);
    untold.files.get_mut(MXC).unwrap().size = None;
    let answer = Proxy::new(untold).await.ask(Method::GET, "/f", &[("range", "bytes=0-1")]).await;
    assert_eq!(
        (answer.status, answer.header("accept-ranges")),
        (200, "none"),
        "no parts of what has no size"
    );
    assert_eq!(answer.text(), "little");
}

#[tokio::test]
async fn a_file_that_breaks_off_is_not_taken_for_whole() {
    for range in ["", "bytes=0-700"] {
        let (begin, rest) = (vec![7; 600], vec![8; 200]);
        let mut broken = shelf(media(MediaKind::File, "a", "x/y"), &[&begin, &rest]);
        let stored = broken.files.get_mut(MXC).unwrap();
        stored.breaks = true;
        stored.size = Some(900);
        let mut item = media(MediaKind::File, "a", "x/y");
        if !range.is_empty() {
            // What is encrypted is read to its end before a part's end is given.
            let cipher = MediaCipher { key: [0; 32], iv: [0; 16], sha256: [0; 32] };
            let Item::Media(media) = &mut item else { unreachable!() };
            media.source = MediaSource::new(MXC, Some(cipher)).unwrap();
        }
        broken.items.lock().unwrap().insert("f".into(), item);
        let proxy = Proxy::new(broken).await;
        let answer = proxy.ask(Method::GET, "/f", &[("range", range)]).await;
        assert!(answer.body.is_err(), "{range}");
    }
    let mut broken = shelf(media(MediaKind::File, "a", "x/y"), &[]);
    broken.files.get_mut(MXC).unwrap().breaks = true;
    let answer = Proxy::new(broken).await.get("/f").await;
    assert_eq!(answer.status, 502, "before its beginning there are words");
}

#[tokio::test]
async fn one_address_cannot_have_everything() {
    let item = || media(MediaKind::File, "a", "x/y");
    let limited = Settings { requests_per_minute: 2, ..settings() };
    let proxy = Proxy::with(shelf(item(), &[b"x"]), limited).await;
    let from = |address| [("x-forwarded-for", address)];
    for expected in [200, 200, 429] {
        assert_eq!(proxy.ask(Method::GET, "/f", &from("192.0.2.1")).await.status, expected);
    }
    let refused = proxy.ask(Method::GET, "/f", &from("192.0.2.1")).await;
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert!(refused.text().contains("has to wait"));
    assert_eq!(proxy.ask(Method::GET, "/f", &from("192.0.2.2")).await.status, 200, "others can");

    let limited = Settings { bytes_per_hour: 10, ..settings() };
    let proxy = Proxy::with(shelf(item(), &[&[1; 100]]), limited).await;
    assert_eq!(proxy.get("/f").await.body.unwrap().len(), 100, "what was begun is given whole");
    assert_eq!(proxy.get("/f").await.status, 429);

    let untrusting = Settings { trusted_proxies: Vec::new(), requests_per_minute: 1, ..settings() };
    let proxy = Proxy::with(shelf(item(), &[b"x"]), untrusting).await;
    assert_eq!(proxy.ask(Method::GET, "/f", &from("192.0.2.1")).await.status, 200);
    assert_eq!(proxy.ask(Method::GET, "/f", &from("192.0.2.2")).await.status, 429, "names are not believed");
}

#[tokio::test]
async fn a_message_is_a_page_or_plain_text() {
    let proxy = Proxy::new(shelf(page(), &[])).await;
    let answer = proxy.get("/f").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    let text = answer.text();
    for part in [
        "<title>Long &lt;words&gt;</title>",
        "<h1 dir=\"auto\">Long &lt;words&gt;</h1>",
        "ada",
        "<pre><code>fn main() {}</code></pre>",
        "2026-11-23",
        "href=\"?raw\"",
        "prefers-color-scheme:dark",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("<script") && !text.contains("http"), "no script, and nothing from elsewhere");
    let policy = answer.header("content-security-policy").to_owned();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");

    let raw = proxy.get("/f?raw").await;
    assert_eq!(
        (raw.header("content-type"), raw.text().as_str()),
        ("text/plain; charset=utf-8", "fn main() {}")
    );
    let accept = |accept| [("accept", accept)];
    let plain = proxy.ask(Method::GET, "/f", &accept("text/plain, */*;q=0.1")).await;
    assert_eq!(plain.text(), "fn main() {}");
    let browser = proxy.ask(Method::GET, "/f", &accept("text/html,application/xhtml+xml,text/plain")).await;
    assert!(browser.text().starts_with("<!DOCTYPE html>"));
    assert_ne!(raw.header("etag"), answer.header("etag"), "two forms, two names");
    let known = [("if-none-match", "\"f\"")];
    assert_eq!(proxy.ask(Method::GET, "/f", &known).await.status, 304);
    assert_eq!(proxy.ask(Method::GET, "/f?raw", &known).await.status, 200);
    assert_eq!(proxy.ask(Method::HEAD, "/f", &[]).await.header("content-length"), text.len().to_string());
    let given = vec![("answer", "given".to_owned())];
    assert_eq!(proxy.served.answers.get_or_create(&given).get(), 7);
}
