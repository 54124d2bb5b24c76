//! Shows in rooms that ghosts are typing, as far as that costs nobody anything.
//!
//! One request at a time. [`WAITING_MAX`] may wait; what finds no place, or has waited for so long that it is no longer true,
//! is dropped. So is everything while the homeserver has trouble: it has better things to do then. Nothing is tried again
//! and nobody joins a room: what is not shown, or not ended, ends by itself on Matrix after some seconds. Where somebody may read
//! who must not, nobody is shown.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Client, ClientError};
use super::outbox::GhostBook;
use super::steps::Live;
use crate::ids::{RoomId, UserId};

/// Words that wait, over all rooms.
pub const WAITING_MAX: usize = 64;
/// What has waited longer is no longer true.
const FRESH: Duration = Duration::from_secs(3);
/// How long one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(5);
/// The rest after the homeserver had trouble, and the longest that it can ask for.
const REST: Duration = Duration::from_secs(3);
const REST_MAX: Duration = Duration::from_secs(60);

/// The part of the homeserver that is needed: the [`Client`], or a model of it in a test.
pub trait Shows: Send + Sync + 'static {
    /// See [`Client::typing`].
    fn typing(
        &self,
        user: &UserId,
        room: &RoomId,
        for_ms: u64,
    ) -> impl Future<Output = Result<(), ClientError>> + Send;
}

impl Shows for Client {
    async fn typing(&self, user: &UserId, room: &RoomId, for_ms: u64) -> Result<(), ClientError> {
        Client::typing(self, user, room, for_ms).await
    }
}

/// The side of those who know of somebody who types.
pub struct TypingHandle {
    words: mpsc::Sender<Word>,
    book: Arc<GhostBook>,
}

struct Word {
    room: RoomId,
    ghost: UserId,
    for_ms: u64,
    since: Instant,
}

impl TypingHandle {
    /// Shows a ghost typing for so long, or no longer (0). Never blocks. A ghost that is not known to be in the room is not
    /// shown there.
    pub fn show(&self, room: RoomId, ghost: UserId, for_ms: u64) {
        if self.book.is_joined(&room, &ghost) {
            // Full: the homeserver is slow, and this is the first thing to go.
            let _ = self.words.try_send(Word { room, ghost, for_ms, since: Instant::now() });
        }
    }
}

/// The handle, and the work to be done until it is gone.
pub fn channel<H: Shows>(
    homeserver: H,
    book: Arc<GhostBook>,
    live: Box<dyn Live>,
) -> (TypingHandle, impl Future<Output = ()> + Send) {
    let (words, waiting) = mpsc::channel(WAITING_MAX);
    (TypingHandle { words, book }, work(homeserver, live, waiting))
}

async fn work<H: Shows>(homeserver: H, live: Box<dyn Live>, mut waiting: mpsc::Receiver<Word>) {
    while let Some(Word { room, ghost, for_ms, since }) = waiting.recv().await {
        // That somebody types no longer may be known.
        if since.elapsed() >= FRESH || (for_ms > 0 && live.withholds(&room)) {
            continue;
        }
        let shown = timeout(REQUEST_MAX, homeserver.typing(&ghost, &room, for_ms)).await;
        let rest = match shown {
            Ok(Ok(())) => continue,
            Ok(Err(ClientError::Limited { retry_after })) => retry_after.min(REST_MAX),
            Ok(Err(ClientError::Unavailable(_) | ClientError::WrongToken)) | Err(_) => REST,
            // About this one alone.
            Ok(Err(error)) => {
                tracing::debug!(%room, %ghost, %error, "a ghost cannot be shown typing");
                continue;
            }
        };
        tracing::debug!(
            rest_ms = rest.as_millis() as u64,
            "the homeserver has trouble; nobody is shown typing"
        );
        sleep(rest).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::matrix::outbox::{GhostFact, GhostLog};

    struct NoLog;

    impl GhostLog for NoLog {
        fn learned(&self, _: &GhostFact) {}
    }

    /// Notes what it is asked, and answers as it is told.
    #[derive(Clone, Default)]
    struct Model(Arc<Mutex<(Vec<String>, Vec<ClientError>)>>);

    impl Model {
        fn asked(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().unwrap().0)
        }
    }

    impl Shows for Model {
        async fn typing(&self, user: &UserId, room: &RoomId, for_ms: u64) -> Result<(), ClientError> {
            let mut model = self.0.lock().unwrap();
            model.0.push(format!("{user} {room} {for_ms}"));
            model.1.pop().map_or(Ok(()), Err)
        }
    }

    /// Somebody is to be removed from `!barred`.
    struct Barred;

    impl Live for Barred {
        fn waiting(&self) -> usize {
            0
        }

        fn is_quiet(&self, _: &RoomId) -> bool {
            true
        }

        fn withholds(&self, at: &RoomId) -> bool {
            *at == room("!barred")
        }
    }

    fn room(name: &str) -> RoomId {
        RoomId::new(name).unwrap()
    }

    fn eve() -> UserId {
        UserId::new("@irc_eve:hs").unwrap()
    }

    /// Eve is in `!a` and in `!barred`.
    fn stage() -> (TypingHandle, Model) {
        let book = Arc::new(GhostBook::new(Arc::new(NoLog)));
        book.preload(["!a", "!barred"].map(|at| GhostFact::Joined { room: room(at), user: eve() }));
        let model = Model::default();
        let (handle, work) = channel(model.clone(), book, Box::new(Barred));
        tokio::spawn(work);
        (handle, model)
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_is_in_the_room_is_shown() {
        let (handle, model) = stage();
        handle.show(room("!a"), eve(), 6_000);
        handle.show(room("!b"), eve(), 6_000);
        handle.show(room("!a"), UserId::new("@irc_bob:hs").unwrap(), 6_000);
        handle.show(room("!a"), eve(), 0);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(model.asked(), ["@irc_eve:hs !a 6000", "@irc_eve:hs !a 0"]);
    }

    #[tokio::test(start_paused = true)]
    async fn where_somebody_is_to_be_removed_nobody_is_shown() {
        let (handle, model) = stage();
        handle.show(room("!barred"), eve(), 6_000);
        handle.show(room("!a"), eve(), 6_000);
        handle.show(room("!barred"), eve(), 0);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(model.asked(), ["@irc_eve:hs !a 6000", "@irc_eve:hs !barred 0"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_homeserver_in_trouble_is_left_alone_and_what_waited_is_dropped() {
        let (handle, model) = stage();
        model.0.lock().unwrap().1 = vec![ClientError::Unavailable("away".into())];
        for _ in 0..10 * WAITING_MAX {
            handle.show(room("!a"), eve(), 6_000);
        }
        sleep(REST + Duration::from_millis(500)).await;
        assert_eq!(model.asked().len(), 1, "what waited for so long is no longer true");
        handle.show(room("!a"), eve(), 6_000);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(model.asked().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_room_refuses_stops_no_other() {
        let (handle, model) = stage();
        let words = "not in the room".to_owned();
        model.0.lock().unwrap().1 = vec![ClientError::Forbidden { errcode: "M_FORBIDDEN".into(), words }];
        handle.show(room("!a"), eve(), 6_000);
        handle.show(room("!a"), eve(), 0);
        sleep(Duration::from_millis(1)).await;
        assert_eq!(model.asked().len(), 2);
    }
}
