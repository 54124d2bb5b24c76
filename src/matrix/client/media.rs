//! Files: fetched piece by piece, opened where they are encrypted, kept nowhere.
//!
//! ```text
//!   homeserver ──▶ piece ──▶ SHA-256 ──▶ AES-256-CTR ──▶ held back until the next is here ──▶ caller
//!                                                        or the sum at the end is right
//! ```
//!
//! The last piece of an encrypted file is given out when all of it was what its sender encrypted: a file that
//! somebody changed on the way never arrives whole. Nothing is read ahead, so that a slow reader costs one piece.

use std::time::Duration;

use aes::Aes256;
use bytes::Bytes;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use super::{Client, ClientError};
use crate::bridge::media::{MediaCipher, MediaSource};

/// How long our homeserver may ask another one for a file before it answers, in milliseconds.
const FEDERATION_MS: &str = "20000";
/// How long the beginning of an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);
/// How long one piece may take.
const PIECE_MAX: Duration = Duration::from_secs(30);
/// How long a file may take, however slow its reader is.
const TRANSFER_MAX: Duration = Duration::from_secs(30 * 60);
/// The longest refusal read, in bytes.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// A file on its way.
#[derive(Debug)]
pub struct Download {
    answer: Response,
    opener: Option<Opener>,
    /// Opened, and not given out yet.
    held: Option<Bytes>,
}

/// Why the rest of a file does not come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// The connection broke or was too slow: try again later.
    #[error("the file broke off: {0}")]
    Cut(String),
    /// What the homeserver has is not what the sender encrypted: nothing of it is to be trusted.
    #[error("the file is not what its sender encrypted")]
    Forged,
}

impl Client {
    /// Begins to fetch a file (`GET /_matrix/client/v1/media/download/{serverName}/{mediaId}`), in the bot's name.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] where there is no such file, [`ClientError::Unavailable`] where it is on another
    /// homeserver that cannot be reached. Redirects are not followed: they count as that.
    pub async fn download(&self, source: &MediaSource) -> Result<Download, ClientError> {
        let (server, id) = source.parts().ok_or(ClientError::NotFound)?;
        let url = self.url("/v1/media/download").segment(server).segment(id);
        let url = url.query("timeout_ms", FEDERATION_MS).into_text().ok_or(ClientError::NotFound)?;
        let token = &self.inner.config.as_token;
        let sent = self.inner.http.get(url).timeout(TRANSFER_MAX).send();
        let late = || ClientError::Unavailable("no answer in time".to_owned());
        let answer = timeout(ANSWER_MAX, sent).await.map_err(|_| late())?;
        let mut answer = answer.map_err(|error| ClientError::from_transport(error, token))?;
        if answer.status() != StatusCode::OK {
            let body = timeout(PIECE_MAX, refusal(&mut answer)).await.unwrap_or_default();
            let wait = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            return Err(ClientError::from_answer(answer.status().as_u16(), wait, &body, token));
        }
        Ok(Download { answer, opener: source.cipher.as_ref().map(Opener::new), held: None })
    }
}

impl Download {
    /// How long the file is, where the homeserver says so.
    pub fn size_bytes(&self) -> Option<u64> {
        self.answer.content_length()
    }

    /// The next piece; `None` at the end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, DownloadError> {
        loop {
            let next = timeout(PIECE_MAX, self.answer.chunk()).await;
            let next = next.map_err(|_| DownloadError::Cut("nothing came for too long".to_owned()))?;
            let next = next.map_err(|error| DownloadError::Cut(words(error)))?;
            let Some(opener) = &mut self.opener else { return Ok(next) };
            let Some(piece) = next else {
                return if opener.is_whole() { Ok(self.held.take()) } else { Err(DownloadError::Forged) };
            };
            if let Some(ready) = self.held.replace(opener.open(piece)) {
                return Ok(Some(ready));
            }
        }
    }
}

/// Decrypts, and looks whether it was the right thing.
struct Opener {
    cipher: Ctr128BE<Aes256>,
    sum: Sha256,
    sha256: [u8; 32],
}

impl Opener {
    fn new(cipher: &MediaCipher) -> Self {
        let MediaCipher { key, iv, sha256 } = cipher;
        let cipher = Ctr128BE::<Aes256>::new(key.into(), iv.into());
        Self { cipher, sum: Sha256::new(), sha256: *sha256 }
    }

    fn open(&mut self, piece: Bytes) -> Bytes {
        self.sum.update(&piece);
        let mut piece = Vec::from(piece);
        self.cipher.apply_keystream(&mut piece);
        piece.into()
    }

    fn is_whole(&self) -> bool {
        bool::from(self.sum.clone().finalize().as_slice().ct_eq(&self.sha256))
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// As much of a refusal as is needed to understand it.
async fn refusal(answer: &mut Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        if body.len() + piece.len() > REFUSAL_BYTES_MAX {
            break;
        }
        body.extend_from_slice(&piece);
    }
    body
}

/// A transport's words, without the URL.
fn words(error: reqwest::Error) -> String {
    error.without_url().to_string()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::response::IntoResponse;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::{ClientConfig, Secret};
    use super::*;
    use crate::ids::UserId;

    /// A homeserver that gives its file in pieces, and notes what it was asked.
    async fn homeserver(
        answer: impl Fn(&str) -> axum::response::Response + Clone + Send + Sync + 'static,
    ) -> Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let homeserver_url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(move |request: Request<Body>| {
            assert_eq!(request.headers()["authorization"], "Bearer canary-token");
            let answer = answer(&request.uri().to_string());
            async move { answer }
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        client(&homeserver_url)
    }

    fn client(url: &str) -> Client {
        Client::new(ClientConfig {
            homeserver_url: url.to_owned(),
            as_token: Secret::new("canary-token"),
            appservice_id: "a".into(),
            server_name: "hs".into(),
            bot: UserId::new("@bot:hs").unwrap(),
            device: "D".into(),
        })
        .unwrap()
    }

    fn pieces(pieces: &[Vec<u8>]) -> axum::response::Response {
        let pieces: Vec<_> = pieces.iter().cloned().map(Ok::<_, std::io::Error>).collect();
        Body::from_stream(stream::iter(pieces)).into_response()
    }

    fn source(cipher: Option<MediaCipher>) -> MediaSource {
        MediaSource::new("mxc://other.example:8448/Ab-_9", cipher).unwrap()
    }

    async fn all(mut download: Download) -> (Vec<u8>, Result<(), DownloadError>) {
        let mut all = Vec::new();
        loop {
            match download.piece().await {
                Ok(Some(piece)) => all.extend_from_slice(&piece),
                Ok(None) => return (all, Ok(())),
                Err(error) => return (all, Err(error)),
            }
        }
    }

    /// NIST SP 800-38A, F.5.5: CTR-AES256.Encrypt, with its sum.
    fn known() -> (MediaCipher, Vec<u8>, Vec<u8>) {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let key = hex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
        let iv = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
        let clear = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
            30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710");
        let closed = hex("601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5\
            2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6");
        let sha256 = Sha256::digest(&closed).into();
        let cipher = MediaCipher { key: key.try_into().unwrap(), iv: iv.try_into().unwrap(), sha256 };
        (cipher, clear, closed)
    }

    #[tokio::test]
    async fn a_file_comes_as_it_is() {
        let client = homeserver(|uri| {
            let path = "/_matrix/client/v1/media/download/other.example%3A8448/Ab-_9?timeout_ms=20000";
            assert_eq!(uri, path);
            ([("content-length", "5")], Body::from("hello")).into_response()
        })
        .await;
        let download = client.download(&source(None)).await.unwrap();
        assert_eq!(download.size_bytes(), Some(5));
        assert_eq!(all(download).await, (b"hello".to_vec(), Ok(())));
    }

    #[tokio::test]
    async fn an_encrypted_file_is_opened_however_it_is_cut() {
        let (cipher, clear, closed) = known();
        for length in [1, 7, 16, 63, 64] {
            let cut: Vec<Vec<u8>> = closed.chunks(length).map(<[u8]>::to_vec).collect();
            let client = homeserver(move |_| pieces(&cut)).await;
            let download = client.download(&source(Some(cipher.clone()))).await.unwrap();
            assert_eq!(all(download).await, (clear.clone(), Ok(())), "in pieces of {length}");
        }
    }

    #[tokio::test]
    async fn what_was_changed_on_the_way_never_arrives_whole() {
        let (cipher, clear, mut closed) = known();
        closed[3] ^= 1;
        let cut: Vec<Vec<u8>> = closed.chunks(16).map(<[u8]>::to_vec).collect();
        let client = homeserver(move |_| pieces(&cut)).await;
        let (got, end) = all(client.download(&source(Some(cipher.clone()))).await.unwrap()).await;
        assert_eq!(end, Err(DownloadError::Forged));
        assert!(got.len() < clear.len(), "the end is held back");
        let client = homeserver(move |_| pieces(&[closed.clone()])).await;
        let (got, end) = all(client.download(&source(Some(cipher))).await.unwrap()).await;
        assert_eq!((got, end), (Vec::new(), Err(DownloadError::Forged)));
    }

    #[tokio::test]
    async fn a_homeserver_that_has_no_file_says_why() {
        let answer = |status: u16, body: &'static str| {
            move |_: &str| {
                let status = StatusCode::from_u16(status).unwrap();
                (status, [("location", "http://127.0.0.1:1/elsewhere")], body).into_response()
            }
        };
        let ask = async |status, body| {
            homeserver(answer(status, body)).await.download(&source(None)).await.expect_err("refused")
        };
        assert_eq!(ask(404, r#"{"errcode":"M_NOT_FOUND"}"#).await, ClientError::NotFound);
        let told = ask(502, r#"{"errcode":"M_UNKNOWN","error":"Failed to connect to other.example"}"#).await;
        assert!(told.to_string().contains("Failed to connect to other.example"), "{told}");
        assert!(matches!(ask(307, "").await, ClientError::Unavailable(_)), "redirects are not followed");
        assert!(matches!(ask(206, "part").await, ClientError::Unavailable(_)));
    }

    #[tokio::test]
    async fn a_connection_that_breaks_off_is_told_from_an_end() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client(&format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0, "it asks");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbegin").await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let (_, end) = all(client.download(&source(None)).await.unwrap()).await;
        assert!(matches!(end, Err(DownloadError::Cut(_))), "{end:?}");
    }
}
