//! The setup widget: a small page by which people link their room to a channel, in a Matrix client or alone.
//!
//! ```text
//!   index.html ─▶ page.js ─┬─▶ entry.js ─▶ matrix.js   who is there, by the client around the page
//!                          ├─▶ links.js ─▶ watch.js    what the room is linked with, and answers that come
//!                          ├─▶ ask.js                  the form
//!                          └─▶ api.js                  requests to the bridge;  dom.js: all that is shown, as text
//! ```
//!
//! The files are in the program. It gives them out to whoever asks, and nothing else: no path leads to a disk, no answer
//! depends on the person, nothing is logged. The page has no right of its own: it does what its person may do by the
//! API, and keeps their session in its memory. No other site is asked for anything ([`SECURITY_HEADERS`]).

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::get;

/// What goes with every answer, that of a missing file too.
///
/// Any Matrix client may show the page, those of desktops by schemes of their own. That is no harm: there is no cookie, so a
/// site that shows it to somebody has no session of theirs, and the client around the page asks them before it says who
/// they are. Scripts and styles are files of ours alone, no text can become markup (Trusted Types), no form goes anywhere.
pub const SECURITY_HEADERS: [(&str, &str); 6] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors https: http: vector: element: tauri:; require-trusted-types-for 'script'; \
         trusted-types 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    // The address has the room's id, which is nobody else's business.
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "camera=(), display-capture=(), geolocation=(), microphone=()"),
    ("x-robots-tag", "noindex"),
    // After an upgrade the page and its scripts have to be of one version.
    ("cache-control", "no-cache"),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// One file of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File {
    pub content_type: &'static str,
    pub body: &'static str,
}

/// `/widget`, and its files below `/widget/`.
pub fn router() -> Router {
    Router::new()
        .route("/widget", get(async || answer(file("index.html"))))
        .route("/widget/{file}", get(async |Path(name): Path<String>| answer(file(&name))))
}

/// The file of that name. Names are compared with a list, not looked for.
pub fn file(name: &str) -> Option<File> {
    let (content_type, body) = match name {
        "index.html" => ("text/html; charset=utf-8", include_str!("index.html")),
        "style.css" => ("text/css; charset=utf-8", include_str!("style.css")),
        "icon.svg" => ("image/svg+xml", include_str!("icon.svg")),
        "page.js" => (SCRIPT, include_str!("page.js")),
        "entry.js" => (SCRIPT, include_str!("entry.js")),
        "matrix.js" => (SCRIPT, include_str!("matrix.js")),
        "api.js" => (SCRIPT, include_str!("api.js")),
        "links.js" => (SCRIPT, include_str!("links.js")),
        "watch.js" => (SCRIPT, include_str!("watch.js")),
        "ask.js" => (SCRIPT, include_str!("ask.js")),
        "dom.js" => (SCRIPT, include_str!("dom.js")),
        _ => return None,
    };
    Some(File { content_type, body })
}

fn answer(file: Option<File>) -> Response {
    let headers = AppendHeaders(SECURITY_HEADERS);
    match file {
        Some(File { content_type, body }) => (headers, [(CONTENT_TYPE, content_type)], body).into_response(),
        None => (StatusCode::NOT_FOUND, headers, "there is no such file\n").into_response(),
    }
}

#[cfg(test)]
mod tests;
