//! One request: its URL built in one string, its body already JSON, its answer bounded.

use reqwest::Method;
use reqwest::header::RETRY_AFTER;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Client, ClientError};
use crate::ids::UserId;
use crate::text::percent;

/// The longest answer read, in bytes. The members of a room of 100,000 are about 15 MB.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A URL in the making. Segments and values are escaped as they are added.
pub(super) struct Url {
    text: String,
    separator: char,
    /// A segment is `.` or `..`, which no URL can hold: the request would go to another path.
    unspeakable: bool,
}

impl Url {
    /// Adds `/` and one path segment, whatever it holds.
    pub(super) fn segment(mut self, segment: &str) -> Self {
        self.unspeakable |= matches!(segment, "." | "..");
        self.text.push('/');
        percent::push(&mut self.text, segment);
        self
    }

    /// Adds fixed path text, as it is.
    pub(super) fn path(mut self, path: &'static str) -> Self {
        self.text.push_str(path);
        self
    }

    /// Adds one query parameter; no path may follow.
    pub(super) fn query(mut self, name: &'static str, value: &str) -> Self {
        self.text.push(self.separator);
        self.text.push_str(name);
        self.text.push('=');
        percent::push(&mut self.text, value);
        self.separator = '&';
        self
    }

    /// The URL; `None` for one that no URL can be.
    pub(super) fn into_text(self) -> Option<String> {
        (!self.unspeakable).then_some(self.text)
    }

    /// Acts as this user (application service API, "Identity assertion").
    pub(super) fn acting_as(self, user: &UserId) -> Self {
        self.query("user_id", user.as_str())
    }
}

impl Client {
    /// The URL of `/_matrix/client` with `path` after it.
    pub(super) fn url(&self, path: &'static str) -> Url {
        let mut text = String::with_capacity(self.inner.base.len() + 256);
        text.push_str(&self.inner.base);
        text.push_str("/_matrix/client");
        text.push_str(path);
        Url { text, separator: '?', unspeakable: false }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, url: Url) -> Result<T, ClientError> {
        understood(&self.call(Method::GET, url, None).await?)
    }

    pub(super) async fn put(&self, url: Url, body: impl Into<reqwest::Body>) -> Result<Vec<u8>, ClientError> {
        self.call(Method::PUT, url, Some(body.into())).await
    }

    pub(super) async fn delete(&self, url: Url) -> Result<Vec<u8>, ClientError> {
        self.call(Method::DELETE, url, None).await
    }

    pub(super) async fn post(&self, url: Url, body: &Value) -> Result<Vec<u8>, ClientError> {
        self.call(Method::POST, url, Some(body.to_string().into())).await
    }

    pub(super) async fn call(
        &self,
        method: Method,
        url: Url,
        body: Option<reqwest::Body>,
    ) -> Result<Vec<u8>, ClientError> {
        let result = self.ask(method, url, body).await;
        result.inspect_err(|error| self.note_miss(error))
    }

    async fn ask(
        &self,
        method: Method,
        url: Url,
        body: Option<reqwest::Body>,
    ) -> Result<Vec<u8>, ClientError> {
        if url.unspeakable {
            let words = "an id that no URL can hold".to_owned();
            return Err(ClientError::Refused { status: 400, errcode: "M_INVALID_PARAM".to_owned(), words });
        }
        let token = &self.inner.config.as_token;
        let mut request = self.inner.http.request(method, url.text);
        if let Some(body) = body {
            request = request.body(body);
        }
        let mut answer = request.send().await.map_err(|error| ClientError::from_transport(error, token))?;
        let mut bytes = Vec::new();
        while let Some(chunk) =
            answer.chunk().await.map_err(|error| ClientError::from_transport(error, token))?
        {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(ClientError::Unavailable("the answer has no end".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        if answer.status().is_success() {
            return Ok(bytes);
        }
        let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Err(ClientError::from_answer(answer.status().as_u16(), wait, &bytes, token))
    }
}

/// A good answer's content. One that is not what the specification says counts as no answer.
pub(super) fn understood<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T, ClientError> {
    serde_json::from_slice(answer)
        .map_err(|_| ClientError::Unavailable("the answer was not understood".to_owned()))
}

/// As [`understood`], for an id that must be well formed.
pub(super) fn well_formed<T>(id: Option<T>) -> Result<T, ClientError> {
    id.ok_or_else(|| ClientError::Unavailable("the answer holds a malformed id".to_owned()))
}
