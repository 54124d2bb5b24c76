//! A file, or a part of it, on its way from the homeserver to who asked for it; nothing is kept in between.
//!
//! Homeservers give whole files only, so what stands before a wanted part is fetched and dropped. Of an encrypted
//! file the rest behind it is fetched too, and the part's end is held back until all of it is known to be what its
//! sender encrypted.

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    ETAG, IF_RANGE, RANGE, RETRY_AFTER,
};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream::try_unfold;

use super::client::Client;
use super::limits::{BUSY_S, Ticket};
use super::range::{Wanted, wanted};
use super::{Desk, File, Served, Shelf, Trouble, is_known, kind, not_modified, nothing_there, page, set};
use crate::bridge::media::Media;

/// A file may be shown and played, and nothing in it acts (client-server API, "Content repository").
const POLICY: &str =
    "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'";

/// Answers with a file.
pub(super) async fn answer<S: Shelf>(
    desk: &Desk<S>,
    client: Client,
    media: &Media,
    token: &str,
    head: &Parts,
) -> Response {
    let etag = format!("\"{token}\"");
    if is_known(&head.headers, &etag) {
        return not_modified(&etag);
    }
    let Some(ticket) = desk.limits.begin(client) else {
        return unavailable(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many files are on their way; try again soon.",
        );
    };
    let file = match desk.shelf.fetch(&media.source).await {
        Ok(file) => file,
        Err(Trouble::Missing) => return nothing_there(),
        Err(Trouble::Busy) => {
            return unavailable(
                StatusCode::SERVICE_UNAVAILABLE,
                "The homeserver has much to do; try again soon.",
            );
        }
        Err(Trouble::Away(words)) => {
            tracing::debug!(words, "a file could not be fetched");
            let words = "The homeserver where this file lies cannot be reached now; try again later.";
            return unavailable(StatusCode::BAD_GATEWAY, words);
        }
    };
    let size = file.size_bytes();
    if size.is_some_and(|size| size > desk.settings.size_bytes_max) {
        let words = "This file is larger than what is given out here. On Matrix it can still be seen.";
        return (StatusCode::FORBIDDEN, page::problem("Too large", words)).into_response();
    }
    let given = Given {
        file,
        ticket,
        served: desk.served.clone(),
        size_bytes_max: desk.settings.size_bytes_max,
        total: 0,
    };
    match Opened::new(given).await {
        Ok(opened) => opened.answer(media, &etag, head, size),
        Err(words) => {
            tracing::debug!(words, "a file broke off");
            unavailable(StatusCode::BAD_GATEWAY, "This file could not be fetched whole; try again later.")
        }
    }
}

fn unavailable(status: StatusCode, words: &str) -> Response {
    (status, [(RETRY_AFTER, BUSY_S.to_string())], page::problem("Not now", words)).into_response()
}

/// A file that is counted as it comes.
struct Given<F> {
    file: F,
    ticket: Ticket,
    served: Served,
    size_bytes_max: u64,
    total: u64,
}

impl<F: File> Given<F> {
    async fn piece(&mut self) -> Result<Option<Bytes>, String> {
        let piece = self.file.piece().await?;
        if let Some(piece) = &piece {
            self.total = self.total.saturating_add(piece.len() as u64);
            self.ticket.charge(piece.len());
            self.served.bytes.inc_by(piece.len() as u64);
        }
        if self.total > self.size_bytes_max {
            return Err("it is larger than allowed".to_owned());
        }
        Ok(piece)
    }
}

/// A file of which the beginning was looked at.
struct Opened<F> {
    given: Given<F>,
    first: Bytes,
}

impl<F: File> Opened<F> {
    async fn new(mut given: Given<F>) -> Result<Self, String> {
        let mut first = BytesMut::new();
        while first.len() < kind::LOOKED_AT_BYTES {
            let Some(piece) = given.piece().await? else { break };
            first.extend_from_slice(&piece);
        }
        Ok(Self { given, first: first.freeze() })
    }

    fn answer(self, media: &Media, etag: &str, head: &Parts, size: Option<u64>) -> Response {
        let content_type =
            kind::content_type(&self.first[..self.first.len().min(kind::LOOKED_AT_BYTES)], media);
        let mut answer = self.part(media, etag, head, size);
        let headers = answer.headers_mut();
        set(headers, ETAG, etag);
        if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return answer;
        }
        let headers = answer.headers_mut();
        set(headers, CONTENT_TYPE, content_type);
        set(headers, CONTENT_DISPOSITION, &kind::disposition(content_type, &media.name));
        set(headers, CONTENT_SECURITY_POLICY, POLICY);
        // Other pages may show it, as they may show what any homeserver gives out.
        set(headers, HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
        set(headers, ACCEPT_RANGES, if size.is_some() { "bytes" } else { "none" });
        answer
    }

    fn part(self, media: &Media, etag: &str, head: &Parts, size: Option<u64>) -> Response {
        let range = head.headers.get(RANGE).and_then(|value| value.to_str().ok());
        let is_ours = head.headers.get(IF_RANGE).is_none_or(|value| value == etag);
        let asked = range.filter(|_| is_ours && head.method == Method::GET);
        let Some(size) = size else { return self.body(media, 0, None).into_response() };
        match wanted(asked, size) {
            Wanted::All => {
                let mut answer = self.body(media, 0, Some(size)).into_response();
                set(answer.headers_mut(), CONTENT_LENGTH, &size.to_string());
                answer
            }
            Wanted::Part { first, last } => {
                let length = last - first + 1;
                let body = self.body(media, first, Some(length));
                let mut answer = (StatusCode::PARTIAL_CONTENT, body).into_response();
                set(answer.headers_mut(), CONTENT_LENGTH, &length.to_string());
                set(answer.headers_mut(), CONTENT_RANGE, &format!("bytes {first}-{last}/{size}"));
                answer
            }
            Wanted::Impossible => {
                let page = page::problem("Not that part", "The file is shorter than what was asked for.");
                let mut answer = (StatusCode::RANGE_NOT_SATISFIABLE, page).into_response();
                set(answer.headers_mut(), CONTENT_RANGE, &format!("bytes */{size}"));
                answer
            }
        }
    }

    fn body(self, media: &Media, skip: u64, left: Option<u64>) -> Body {
        let rest = if media.source.cipher.is_some() { Rest::Read } else { Rest::Left };
        let transfer = Transfer { given: self.given, first: Some(self.first), skip, left, rest };
        Body::from_stream(try_unfold(transfer, |mut transfer| async move {
            let piece = transfer.next().await.inspect_err(|error| {
                // The connection is closed before the end that was announced: nobody takes it for whole.
                tracing::debug!(%error, "a file broke off");
            })?;
            Ok::<_, std::io::Error>(piece.map(|piece| (piece, transfer)))
        }))
    }
}

/// Whether what stands behind a wanted part is fetched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rest {
    Read,
    Left,
}

/// A part on its way.
struct Transfer<F> {
    given: Given<F>,
    /// What was looked at already.
    first: Option<Bytes>,
    /// Bytes before the part.
    skip: u64,
    /// Bytes of the part that are still to be given; `None`: until the end, wherever that is.
    left: Option<u64>,
    rest: Rest,
}

impl<F: File> Transfer<F> {
    async fn next(&mut self) -> std::io::Result<Option<Bytes>> {
        while self.left != Some(0) {
            let piece = match self.first.take() {
                Some(first) => Some(first),
                None => self.given.piece().await.map_err(std::io::Error::other)?,
            };
            let Some(mut piece) = piece else {
                return match self.left {
                    Some(_) => Err(std::io::ErrorKind::UnexpectedEof.into()),
                    None => Ok(None),
                };
            };
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
            self.skip -= skipped as u64;
            drop(piece.split_to(skipped));
            if let Some(left) = &mut self.left {
                piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= piece.len() as u64;
            }
            if piece.is_empty() {
                continue;
            }
            if self.left == Some(0) && self.rest == Rest::Read {
                while self.given.piece().await.map_err(std::io::Error::other)?.is_some() {}
            }
            return Ok(Some(piece));
        }
        Ok(None)
    }
}
