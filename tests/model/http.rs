//! Just enough HTTP/1.1 for a model homeserver: keep-alive, `Content-Length` bodies, small replies.
//!
//! Written by hand because the model shares the processor with what it measures: a request is parsed in
//! place, without an allocation. It does not speak chunked bodies, `Expect` or upgrades; a request that
//! needs one of them is refused with words, so that a test never hangs on it.

use std::borrow::Cow;
use std::io;
use std::time::Instant;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest request head taken, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Largest body taken, in bytes; a homeserver takes 64 KiB events, a bridge 16 MiB transactions.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// One request, borrowed from the connection's buffer.
#[derive(Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Still percent-encoded: see [`decode`].
    pub path: &'a str,
    pub query: &'a str,
    /// The token of `Authorization: Bearer`.
    pub bearer: Option<&'a str>,
    pub body: &'a [u8],
    pub after: After,
}

/// What becomes of the connection after the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Keep,
    Close,
}

/// What a buffer holds at its start.
#[derive(Debug)]
pub enum Parsed<'a> {
    /// Not yet a whole request.
    Partial,
    /// A request, and how many bytes it took.
    Whole(Request<'a>, usize),
    /// Something this server does not speak.
    Bad(&'static str),
}

impl<'a> Request<'a> {
    /// Parses the request at the start of `buffer`.
    pub fn parse(buffer: &'a [u8]) -> Parsed<'a> {
        let Some(head_len) = memmem::find(buffer, b"\r\n\r\n") else {
            return if buffer.len() > HEAD_BYTES_MAX {
                Parsed::Bad("head too long")
            } else {
                Parsed::Partial
            };
        };
        let Ok(head) = std::str::from_utf8(&buffer[..head_len]) else {
            return Parsed::Bad("head is not text");
        };
        let mut lines = head.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Parsed::Bad("no request line");
        };
        let headers = match Headers::parse(lines) {
            Ok(headers) => headers,
            Err(why) => return Parsed::Bad(why),
        };
        let body_start = head_len + 4;
        let end = body_start + headers.content_length.unwrap_or(0);
        let Some(body) = buffer.get(body_start..end) else { return Parsed::Partial };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request { method, path, query, bearer: headers.bearer, body, after: headers.after };
        Parsed::Whole(request, end)
    }

    /// The decoded value of one query parameter.
    pub fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let pair = |part: &'a str| part.split_once('=').filter(|(key, _)| *key == name);
        self.query.split('&').find_map(pair).map(|(_, value)| decode_form(value))
    }
}

struct Headers<'a> {
    content_length: Option<usize>,
    bearer: Option<&'a str>,
    after: After,
}

impl<'a> Headers<'a> {
    fn parse(lines: impl Iterator<Item = &'a str>) -> Result<Self, &'static str> {
        let mut headers = Headers { content_length: None, bearer: None, after: After::Keep };
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { return Err("a header without a colon") };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                let length: usize = value.parse().map_err(|_| "content-length is not a number")?;
                if length > BODY_BYTES_MAX {
                    return Err("body too long");
                }
                headers.content_length = Some(length);
            } else if name.eq_ignore_ascii_case("authorization") {
                headers.bearer = value.strip_prefix("Bearer ");
            } else if name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close") {
                headers.after = After::Close;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err("transfer-encoding is not spoken here");
            }
        }
        Ok(headers)
    }
}

/// One answer: a status and a JSON body.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Cow<'static, str>,
}

impl Reply {
    /// 200 with a body known beforehand.
    pub const fn fixed(body: &'static str) -> Self {
        Self { status: 200, body: Cow::Borrowed(body) }
    }

    /// 200 with a body made for this request.
    pub fn made(body: String) -> Self {
        Self { status: 200, body: Cow::Owned(body) }
    }

    /// A standard Matrix error.
    pub fn error(status: u16, errcode: &str, words: &str) -> Self {
        Self { status, body: serde_json::json!({"errcode": errcode, "error": words}).to_string().into() }
    }

    /// Appends the reply as it goes over the wire.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        use std::io::Write;
        let head = "Content-Type: application/json\r\nContent-Length";
        let (status, length) = (self.status, self.body.len());
        write!(out, "HTTP/1.1 {status} Model\r\n{head}: {length}\r\n\r\n").expect("a Vec takes every write");
        out.extend_from_slice(self.body.as_bytes());
    }
}

/// Undoes percent-encoding of a path segment; what is not valid stays as it is.
pub fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| bytes[at] == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// Percent-encodes what may not stand in a path segment as it is (RFC 3986 section 2.3).
pub fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte as char);
        } else {
            write!(out, "%{byte:02X}").expect("a String takes every write");
        }
    }
    out
}

/// As [`decode`], for a query value, where `+` is a space.
fn decode_form(text: &str) -> Cow<'_, str> {
    if text.contains('+') { Cow::Owned(decode(&text.replace('+', " ")).into_owned()) } else { decode(text) }
}

/// A client with one connection, kept between calls.
pub struct Client {
    address: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// What came back, and when.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// Taken just before the request was written.
    pub written: Instant,
    /// Taken when the whole answer was here.
    pub answered: Instant,
}

impl Client {
    /// A client for `http://host:port`; it connects at the first call.
    pub fn new(url: &str) -> Self {
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { address, stream: None, buffer: Vec::new() }
    }

    /// One request. After an error the next call uses a new connection.
    ///
    /// # Errors
    /// What the socket said; `InvalidData` for an answer this client does not speak.
    pub async fn call(&mut self, method: &str, path: &str, token: &str, body: &[u8]) -> io::Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(&self.address).await?,
        };
        self.buffer.clear();
        write_request(&mut self.buffer, &self.address, method, path, token, body);
        let written = Instant::now();
        stream.write_all(&self.buffer).await?;
        self.buffer.clear();
        loop {
            if let Some((status, body_range)) = parse_answer(&self.buffer)? {
                let body = self.buffer[body_range].to_vec();
                self.stream = Some(stream);
                return Ok(Answer { status, body, written, answered: Instant::now() });
            }
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "closed before an answer"));
            }
        }
    }
}

async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn write_request(out: &mut Vec<u8>, host: &str, method: &str, path: &str, token: &str, body: &[u8]) {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body);
}

/// The status and the place of the body, once all of it is here.
fn parse_answer(buffer: &[u8]) -> io::Result<Option<(u16, std::ops::Range<usize>)>> {
    let bad = |why| io::Error::new(io::ErrorKind::InvalidData, why);
    let Some(head_len) = memmem::find(buffer, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&buffer[..head_len]).map_err(|_| bad("answer head is not text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| bad("no status in the answer"))?;
    let headers = Headers::parse(lines).map_err(bad)?;
    let length = headers.content_length.ok_or_else(|| bad("answer without content-length"))?;
    let body = head_len + 4..head_len + 4 + length;
    Ok((buffer.len() >= body.end).then_some((status, body)))
}
