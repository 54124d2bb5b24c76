//! What the outbox is given to do, and what it reports of that.

use tokio::sync::{mpsc, oneshot};

use crate::bridge::effect::{Mark, Meanwhile, Post, Redact, Relay};
use crate::bridge::input::Input;
use crate::ids::{EventId, RelaySeq, RoomId, UserId};

/// One thing to do in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    Say(Relay),
    Mark(Mark),
    Redact(Redact),
    Kick(Removal),
    /// One of our own goes.
    Leave {
        room: RoomId,
        user: UserId,
        reason: String,
    },
}

/// Somebody is to go.
#[derive(Clone, Debug)]
pub struct Removal {
    pub room: RoomId,
    pub user: UserId,
    pub reason: String,
    pub meanwhile: Meanwhile,
    /// Who wants to know what the homeserver says to each attempt.
    pub asker: mpsc::Sender<Input>,
    /// Attempts that the homeserver refused.
    pub refusals: u32,
}

impl Removal {
    /// Tells who wants to know what the homeserver said. A network that has ended need not know.
    pub(super) async fn answer(&self, result: Result<(), String>) {
        let (room, user) = (self.room.clone(), self.user.clone());
        self.asker.send(Input::KickDone { room, user, result }).await.ok();
    }
}

impl PartialEq for Removal {
    fn eq(&self, other: &Self) -> bool {
        (&self.room, &self.user, &self.reason) == (&other.room, &other.user, &other.reason)
    }
}

impl Eq for Removal {}

/// Where it is written down what became of each line and mark. Its methods must not block: they are called from the
/// machine's own task.
pub trait OutboxLog: Send + Sync {
    /// This is to be sent. Called before it can be, and not waited for.
    fn put(&self, post: &Post);
    /// The homeserver has taken these lines, or this reaction of a ghost, as this event. Called before `done`.
    fn named(&self, room: &RoomId, seqs: &[RelaySeq], event: &EventId);
    /// The homeserver has them; all of them or none are to be forgotten.
    fn done(&self, seqs: &[RelaySeq]);
    /// These lines are one event from now on, whose transaction the first of them names. Answered once that is kept;
    /// where it cannot be, the answer never comes, and the other side goes.
    fn join(&self, seqs: &[RelaySeq]) -> oneshot::Receiver<()>;
    /// This line will never be said, in these words.
    fn failed(&self, seq: RelaySeq, why: &str);
    /// This mark will never be made, and need not be known any more.
    fn forgotten(&self, seq: RelaySeq);
}

impl From<Post> for Job {
    fn from(post: Post) -> Self {
        match post {
            Post::Line(relay) => Self::Say(relay),
            Post::Mark(mark) => Self::Mark(mark),
            Post::Redact(redact) => Self::Redact(redact),
        }
    }
}
