//! Why the homeserver did not do it, told by what the caller can do about it.
//!
//! The homeserver's own words are kept for people: one line, bounded, without control characters. They are
//! never taken to decide anything; only the status and the error code are (client-server API, "Standard
//! error response").

use std::time::Duration;

use serde_json::Value;

use super::super::Secret;

/// Longest piece of the homeserver's words that is kept, in characters.
const WORDS_CHARS_MAX: usize = 200;

/// The longest wait a homeserver can make us promise; a wilder number is cut to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);

/// The wait after a 429 that names none.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Too fast: the same request may be made again after this time.
    #[error("the homeserver asks to wait {} ms", retry_after.as_millis())]
    Limited { retry_after: Duration },
    /// No answer, or one that says nothing about the request itself (connection, time-out, 5xx, something
    /// between us and the homeserver): try the same again later.
    #[error("the homeserver cannot be used now: {0}")]
    Unavailable(String),
    /// Not allowed (403). For things done in a room this may mean that the user is not in it: the homeserver
    /// uses one code for both, and its words are no interface.
    #[error("not allowed: {errcode}: {words}")]
    Forbidden { errcode: String, words: String },
    /// What was to be made is there already: a user, a room alias.
    #[error("it exists already")]
    Exists,
    /// There is no such thing.
    #[error("there is no such thing")]
    NotFound,
    /// The event or request is too large, and will be tomorrow.
    #[error("too large for the homeserver")]
    TooLarge,
    /// The homeserver does not know our token: its registration file is another one, or it was not restarted.
    #[error("the homeserver does not know our as_token")]
    WrongToken,
    /// The homeserver lets the bridge have no devices (Matrix 1.17, MSC4190): go on without.
    #[error("the homeserver gives application services no devices: {0}")]
    NoDevices(String),
    /// The device named in the request is not there (any more).
    #[error("the homeserver does not know the device")]
    UnknownDevice,
    /// The request was understood and refused for good.
    #[error("refused with {status} {errcode}: {words}")]
    Refused { status: u16, errcode: String, words: String },
}

impl ClientError {
    /// The error that an answer with this status (not 2xx) stands for. `retry_after` is the header's text.
    pub(super) fn from_answer(status: u16, retry_after: Option<&str>, body: &[u8], token: &Secret) -> Self {
        let answer: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let field = |name: &str| answer[name].as_str().map(|words| cleaned(words, token));
        let errcode = field("errcode").unwrap_or_default();
        let words = field("error").unwrap_or_default();
        match (status, errcode.as_str()) {
            (429, _) => Self::Limited { retry_after: wait(retry_after, &answer) },
            (413, _) | (_, "M_TOO_LARGE") => Self::TooLarge,
            (400..=499, "M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN") => Self::WrongToken,
            (400..=499, "M_USER_IN_USE" | "M_ROOM_IN_USE") | (409, _) => Self::Exists,
            (400..=499, "M_UNKNOWN_DEVICE") => Self::UnknownDevice,
            // Without an error code it is not the homeserver that speaks, but a proxy before it.
            (401..=408, "") => {
                Self::Unavailable(format!("status {status} from something that is no homeserver"))
            }
            (403, _) => Self::Forbidden { errcode, words },
            (404, "M_NOT_FOUND") => Self::NotFound,
            (400..=499, _) => Self::Refused { status, errcode, words },
            (_, "") => Self::Unavailable(format!("status {status}")),
            (_, _) => Self::Unavailable(format!("status {status} {errcode}: {words}")),
        }
    }

    /// The error for a request that got no (whole) answer.
    pub(super) fn from_transport(error: reqwest::Error, token: &Secret) -> Self {
        let error = error.without_url();
        let mut words = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            words = format!("{words}: {inner}");
            cause = inner.source();
        }
        Self::Unavailable(cleaned(&words, token))
    }
}

/// `words` as one bounded line that cannot hold our token.
fn cleaned(words: &str, token: &Secret) -> String {
    let words = match token.expose() {
        "" => words.to_owned(),
        token => words.replace(token, "[token]"),
    };
    let line =
        words.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c });
    line.take(WORDS_CHARS_MAX).collect::<String>().trim().to_owned()
}

/// How long a 429 asks to wait: the header in seconds, else the older field in milliseconds.
fn wait(header: Option<&str>, answer: &Value) -> Duration {
    let by_header = header.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let by_field = || answer["retry_after_ms"].as_u64().map(Duration::from_millis);
    by_header.or_else(by_field).unwrap_or(RETRY_AFTER_DEFAULT).min(RETRY_AFTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, header: Option<&str>, body: &str) -> ClientError {
        ClientError::from_answer(status, header, body.as_bytes(), &Secret::new("canary-token"))
    }

    #[test]
    fn the_wait_comes_from_the_header_then_the_field_and_is_bounded() {
        let check = |header, body: &str, ms| {
            let expected = ClientError::Limited { retry_after: Duration::from_millis(ms) };
            assert_eq!(read(429, header, body), expected);
        };
        check(Some("3"), r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":50}"#, 3000);
        check(None, r#"{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":50}"#, 50);
        check(Some("Wed, 21 Oct 2015 07:28:00 GMT"), "<html>", 1000);
        check(Some("99999999999"), "{}", 600_000);
    }

    #[test]
    fn each_answer_is_told_by_what_can_be_done() {
        let body = |code: &str| format!(r#"{{"errcode":"{code}","error":"words"}}"#);
        assert_eq!(read(400, None, &body("M_USER_IN_USE")), ClientError::Exists);
        assert_eq!(read(409, None, &body("M_UNKNOWN")), ClientError::Exists);
        assert_eq!(read(401, None, &body("M_UNKNOWN_TOKEN")), ClientError::WrongToken);
        assert_eq!(read(404, None, &body("M_NOT_FOUND")), ClientError::NotFound);
        assert_eq!(read(413, None, "nginx"), ClientError::TooLarge);
        assert_eq!(read(400, None, &body("M_UNKNOWN_DEVICE")), ClientError::UnknownDevice);
        let forbidden = ClientError::Forbidden { errcode: "M_FORBIDDEN".into(), words: "words".into() };
        assert_eq!(read(403, None, &body("M_FORBIDDEN")), forbidden);
        let refused =
            ClientError::Refused { status: 400, errcode: "M_BAD_JSON".into(), words: "words".into() };
        assert_eq!(read(400, None, &body("M_BAD_JSON")), refused);
        for (status, answer) in [(502, "<html>"), (500, "{}"), (302, ""), (404, "<html>"), (403, "no")] {
            assert!(matches!(read(status, None, answer), ClientError::Unavailable(_)), "{status}");
        }
    }

    #[test]
    fn words_are_one_bounded_line_without_our_token() {
        let long = format!(r#"{{"errcode":"M_X","error":"a\r\nb canary-token {}"}}"#, "x".repeat(5000));
        let shown = read(400, None, &long).to_string();
        assert!(!shown.contains(['\r', '\n']) && !shown.contains("canary"), "{shown}");
        assert!(shown.len() < 300, "{}", shown.len());
        assert!(read(400, None, "[1]").to_string().contains("400"));
    }
}
