//! The task of one IRC connection: a socket's life as inputs of the machine.
//!
//! Dials, reads lines, writes lines, and always ends with exactly one `ConnClosed`, after which nothing
//! comes with its id. Reading and writing go on side by side in one task: a peer that reads nothing does not
//! stop our reading, and a full mailbox stops our reading only until the machine has caught up (TCP then
//! slows the server down). Knows nothing of what the lines say.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use memchr::{memchr_iter, memchr3};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::dial::{DialPlan, Stream, dial};
use super::framer::{Charset, Framer, Observe};
use crate::bridge::input::{CloseReason, Input};
use crate::ids::ConnId;

/// Lines that may wait to be written. When full, [`ConnHandle::send`] gives the line back.
pub const QUEUE_LINES_MAX: usize = 64;

/// How long a connection that was asked to close may take to flush and to say goodbye.
pub const CLOSE_MS_MAX: u64 = 5_000;

/// One write takes queued lines until it has this many bytes.
const BATCH_BYTES: usize = 4096;

/// The wiring's end of a connection. Dropping it closes the connection, as [`close`](Self::close) does.
#[derive(Debug)]
pub struct ConnHandle {
    lines: mpsc::Sender<String>,
    closing: CancellationToken,
    observe: Arc<AtomicBool>,
}

/// The task's end: goes into [`run`].
#[derive(Debug)]
pub struct Commands {
    lines: mpsc::Receiver<String>,
    closing: CancellationToken,
    observe: Arc<AtomicBool>,
}

/// The queue holds [`QUEUE_LINES_MAX`] lines already; here is the one that was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection's queue is full")]
pub struct Full(pub String);

/// The two ends of one connection's commands.
pub fn channel() -> (ConnHandle, Commands) {
    let (sender, receiver) = mpsc::channel(QUEUE_LINES_MAX);
    let closing = CancellationToken::new();
    let observe = Arc::new(AtomicBool::new(true));
    let handle = ConnHandle { lines: sender, closing: closing.clone(), observe: observe.clone() };
    (handle, Commands { lines: receiver, closing, observe })
}

impl ConnHandle {
    /// Queues one line, without its ending. CR, LF and NUL in it are left out; an empty line is not written
    /// but still counted in `ConnWritten`, so that lines and counts stay in step.
    ///
    /// Never waits. A connection that is closed or closing takes the line and does nothing with it: its
    /// `ConnClosed` is on the way, and `ConnWritten` never speaks of the line.
    pub fn send(&self, line: String) -> Result<(), Full> {
        match self.lines.try_send(line) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Full(line)) => Err(Full(line)),
        }
    }

    /// Writes what is queued, then ends the connection, within [`CLOSE_MS_MAX`]. Also ends one that is being
    /// dialled. Works at any time and any number of times.
    pub fn close(&self) {
        self.closing.cancel();
    }

    /// Whether channel chat is wanted from this connection, from the next line on.
    pub fn observe(&self, observe: Observe) {
        self.observe.store(observe == Observe::Chat, Ordering::Relaxed);
    }
}

impl Drop for ConnHandle {
    fn drop(&mut self) {
        self.close();
    }
}

/// The whole life of one connection. The last input is `ConnClosed`, whatever happens.
///
/// `attempt` chooses among the plan's servers; `charset` reads lines that are not UTF-8.
pub async fn run(
    conn: ConnId,
    plan: Arc<DialPlan>,
    attempt: u32,
    charset: Charset,
    mailbox: mpsc::Sender<Input>,
    commands: Commands,
) {
    // Dialling is rare and its future is large: it is boxed, and gone when the connection stands.
    let opened = Box::pin(open(plan, attempt, commands.closing.clone())).await;
    let why = match opened {
        Ok(stream) => Link { conn, mailbox: &mailbox }.serve(stream, charset, commands).await,
        Err(why) => why,
    };
    tracing::debug!(%conn, ?why, "irc connection closed");
    // Without a mailbox there is nobody left to tell.
    mailbox.send(Input::ConnClosed { conn, why }).await.ok();
}

async fn open(plan: Arc<DialPlan>, attempt: u32, closing: CancellationToken) -> Result<Stream, CloseReason> {
    tokio::select! {
        () = closing.cancelled() => Err(CloseReason::Asked),
        dialled = dial(&plan, attempt) => dialled.map_err(|error| CloseReason::DialFailed(error.to_string())),
    }
}

/// An open connection's way to the machine.
#[derive(Clone, Copy)]
struct Link<'a> {
    conn: ConnId,
    mailbox: &'a mpsc::Sender<Input>,
}

impl Link<'_> {
    /// From `ConnOpened` up to, not including, `ConnClosed`.
    async fn serve(self, stream: Stream, charset: Charset, commands: Commands) -> CloseReason {
        let Commands { lines, closing, observe } = commands;
        self.mailbox.send(Input::ConnOpened { conn: self.conn }).await.ok();
        let (reader, writer) = tokio::io::split(stream);
        let mut reading = pin!(self.read(reader, Framer::new(charset), &observe));
        let mut writing = pin!(self.write(writer, lines, &closing));
        let mut overtime = pin!(overtime(&closing));
        let mut talking = Talking::Yes;
        let mut broken = None;
        loop {
            tokio::select! {
                words = &mut reading => break self.reason(broken, &closing, words),
                () = &mut overtime => break self.reason(broken, &closing, String::new()),
                written = &mut writing, if talking == Talking::Yes => {
                    talking = Talking::No;
                    // What the server said before the socket broke (its ERROR, say) is still to be read;
                    // that too gets only so much time.
                    if let Err(error) = written && !closing.is_cancelled() {
                        broken = Some(break_words(&error));
                        closing.cancel();
                    }
                }
            }
        }
    }

    fn reason(self, broken: Option<String>, closing: &CancellationToken, words: String) -> CloseReason {
        match broken {
            Some(words) => CloseReason::Lost(words),
            None if closing.is_cancelled() => CloseReason::Asked,
            None => CloseReason::Lost(words),
        }
    }

    /// Gives lines to the machine until the stream ends; says how it ended.
    async fn read(self, mut reader: ReadHalf<Stream>, mut framer: Framer, observe: &AtomicBool) -> String {
        let words = loop {
            while let Some(line) = framer.next_line(observed(observe)) {
                if self.mailbox.send(Input::ConnLine { conn: self.conn, line }).await.is_err() {
                    return "nobody listens".to_owned();
                }
            }
            match reader.read_buf(&mut framer.space()).await {
                Ok(0) => break "the server closed the connection".to_owned(),
                Ok(_) => {}
                Err(error) => break break_words(&error),
            }
        };
        let counts = framer.counts();
        if counts.truncated + counts.unparsed > 0 {
            tracing::info!(conn = %self.conn, ?counts, "irc server sent lines that could not be taken whole");
        }
        words
    }

    /// Writes lines until asked to close; then says goodbye. What is queued by then is written first.
    async fn write(
        self,
        mut writer: WriteHalf<Stream>,
        mut lines: mpsc::Receiver<String>,
        closing: &CancellationToken,
    ) -> io::Result<()> {
        while let Some(batch) = next_batch(&mut lines, closing).await {
            self.write_batch(&mut writer, batch).await?;
        }
        writer.shutdown().await
    }

    /// Writes one batch, telling the machine of lines as the kernel takes them.
    async fn write_batch(self, writer: &mut WriteHalf<Stream>, batch: Batch) -> io::Result<()> {
        let mut rest = batch.bytes.as_slice();
        while !rest.is_empty() {
            let taken = writer.write(rest).await?;
            if taken == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            // Under TLS a write may end in a buffer of ours; only then has the kernel taken it.
            writer.flush().await?;
            let lines = memchr_iter(b'\n', &rest[..taken]).count();
            self.tell_written(lines).await;
            rest = &rest[taken..];
        }
        self.tell_written(batch.empty_lines).await;
        Ok(())
    }

    async fn tell_written(self, lines: usize) {
        if lines > 0 {
            let lines = lines as u32;
            // With the mailbox gone, reading or the dropped handle ends this connection.
            self.mailbox.send(Input::ConnWritten { conn: self.conn, lines }).await.ok();
        }
    }
}

/// Whether the write half is in use.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Talking {
    Yes,
    No,
}

/// Lines to be written together.
#[derive(Debug, Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Lines of which nothing was left to write.
    empty_lines: usize,
}

impl Batch {
    fn push(&mut self, line: &str) {
        let before = self.bytes.len();
        match memchr3(b'\r', b'\n', 0, line.as_bytes()) {
            None => self.bytes.extend_from_slice(line.as_bytes()),
            Some(_) => self.bytes.extend(line.bytes().filter(|b| !matches!(b, b'\r' | b'\n' | 0))),
        }
        if self.bytes.len() == before {
            self.empty_lines += 1;
        } else {
            self.bytes.extend_from_slice(b"\r\n");
        }
    }
}

/// Waits for a line and takes those that follow it; `None` when asked to close and nothing is left.
async fn next_batch(lines: &mut mpsc::Receiver<String>, closing: &CancellationToken) -> Option<Batch> {
    let first = tokio::select! {
        biased;
        line = lines.recv() => line,
        () = closing.cancelled() => {
            lines.close();
            lines.recv().await
        }
    };
    let mut batch = Batch::default();
    batch.push(&first?);
    while batch.bytes.len() < BATCH_BYTES {
        match lines.try_recv() {
            Ok(line) => batch.push(&line),
            Err(_) => break,
        }
    }
    Some(batch)
}

/// Ends when a close that was asked for has taken too long.
async fn overtime(closing: &CancellationToken) {
    closing.cancelled().await;
    sleep(Duration::from_millis(CLOSE_MS_MAX)).await;
}

fn observed(switch: &AtomicBool) -> Observe {
    if switch.load(Ordering::Relaxed) { Observe::Chat } else { Observe::NoChat }
}

fn break_words(error: &io::Error) -> String {
    match error.kind() {
        // TLS: the connection ended without the goodbye of RFC 8446 section 6.1, as most IRC servers do.
        io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        _ => format!("the connection broke: {error}"),
    }
}
