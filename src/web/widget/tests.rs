//! The files as a browser gets them, and what they may not hold. The page itself is tried in a browser: `tests/e2e`.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use reqwest::{Client, Method, Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // No TLS here; the client wants a provider all the same.
    rustls::crypto::ring::default_provider().install_default().ok();
    tokio::spawn(axum::serve(listener, router()).into_future());
    address
}

async fn ask(method: Method, address: SocketAddr, path: &str) -> Response {
    Client::new().request(method, format!("http://{address}{path}")).send().await.unwrap()
}

/// The status of a path that is sent as it is: a client would tidy it up.
async fn written_so(address: SocketAddr, path: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer)[9..12].parse().unwrap()
}

/// All files that the page names, from the page on.
fn reached() -> BTreeSet<String> {
    let mut found: BTreeSet<String> = BTreeSet::from(["index.html".to_owned()]);
    loop {
        let named: BTreeSet<String> =
            found.iter().flat_map(|name| named_in(file(name).unwrap().body)).collect();
        let before = found.len();
        found.extend(named);
        if found.len() == before {
            return found;
        }
    }
}

/// `widget/NAME` in attributes of the page, `./NAME` in imports of scripts.
fn named_in(body: &str) -> Vec<String> {
    let starts = ["\"widget/", "\"./"];
    let names = starts.iter().flat_map(|start| body.split(start).skip(1));
    names.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()).collect()
}

#[tokio::test]
async fn every_file_that_the_page_names_is_served_with_its_type() {
    let address = serve().await;
    let names = reached();
    assert_eq!(names.len(), 11, "{names:?}");
    for name in names {
        let answer = ask(Method::GET, address, &format!("/widget/{name}")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{name}");
        let wanted = match name.rsplit_once('.').unwrap().1 {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(answer.headers()["content-type"], wanted, "{name}");
        assert_eq!(answer.text().await.unwrap(), file(&name).unwrap().body);
    }
    let page = ask(Method::GET, address, "/widget?roomId=!r:h&widgetId=w").await;
    assert_eq!(page.text().await.unwrap(), include_str!("index.html"));
}

#[tokio::test]
async fn the_headers_are_with_every_answer() {
    let address = serve().await;
    for path in ["/widget", "/widget/page.js", "/widget/nothing.js"] {
        let answer = ask(Method::GET, address, path).await;
        for (name, value) in SECURITY_HEADERS {
            assert_eq!(answer.headers().get_all(name).iter().collect::<Vec<_>>(), [value], "{path}");
        }
    }
    let policy = SECURITY_HEADERS[0].1;
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    assert!(!policy.contains('\n') && !policy.contains("  "), "one line, one space: {policy}");
}

#[tokio::test]
async fn nothing_else_is_given_out() {
    let address = serve().await;
    let tricks = [
        "/widget/",
        "/widget/mod.rs",
        "/widget/tests.rs",
        "/widget/../widget/mod.rs",
        "/widget/..%2fmod.rs",
        "/widget/%2e%2e%2f%2e%2e%2fCargo.toml",
        "/widget/page.js%00",
        "/widget/page.js/",
        "/widget/PAGE.JS",
        "/widget/a/page.js",
        "/widget/%ff",
        "/widgets",
    ];
    for path in tricks {
        let status = written_so(address, path).await;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert_eq!(ask(Method::POST, address, "/widget").await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let head = ask(Method::HEAD, address, "/widget").await;
    assert_eq!((head.status(), head.text().await.unwrap()), (StatusCode::OK, String::new()));
}

/// What the policy would have a browser refuse, and what it cannot see.
#[test]
fn no_file_has_what_the_policy_forbids() {
    for name in reached() {
        let body = file(&name).unwrap().body;
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacent",
            "document.write",
            "eval(",
            "localStorage",
            "sessionStorage",
            "document.cookie",
            "console.",
        ] {
            assert!(!body.contains(forbidden), "{name} has {forbidden}");
        }
        let foreign = body.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !foreign.contains("http://") && !foreign.contains("https://") && !foreign.contains("url("),
            "{name} names another site"
        );
    }
    let page = file("index.html").unwrap().body;
    let handler = regex::Regex::new(r"\son[a-z]+\s*=").unwrap();
    assert!(
        !page.contains("style=") && !page.contains("<style") && !handler.is_match(page),
        "nothing inline"
    );
    assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=").count());
}
