//! One stream that a task reads and writes side by side, and leaves alone for a while.
//!
//! Both ways are polled by one task, so the lock between them is never waited for. Knows nothing of lines or of when to
//! rest.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use super::framer::Framer;
use super::socket;
use super::stream::Stream;

/// One read takes at most this much.
const READ_BYTES: usize = 4096;

/// A stream for a reader and a writer in one task.
#[derive(Debug)]
pub(super) struct Halves(Mutex<Stream>);

impl Halves {
    pub(super) fn new(stream: Stream) -> Self {
        Self(Mutex::new(stream))
    }

    /// Reads what is there, but no more than the framer has room for; 0 at the end of the stream.
    ///
    /// Waits without a buffer: an idle connection has none.
    pub(super) async fn receive(&self, framer: &mut Framer) -> io::Result<usize> {
        poll_fn(|cx| {
            let mut bytes = [MaybeUninit::uninit(); READ_BYTES];
            let mut read = ReadBuf::uninit(&mut bytes[..framer.room().min(READ_BYTES)]);
            ready!(self.poll(|stream| stream.poll_read(cx, &mut read)))?;
            framer.push(read.filled());
            Poll::Ready(Ok(read.filled().len()))
        })
        .await
    }

    /// Lets what comes lie for so long. Bytes that come meanwhile wake nobody, for waking is most of what a short line
    /// costs: as far as the kernel goes along, which is not asked.
    pub(super) async fn rest(&self, time: Duration) {
        socket::readable_from(self.stream().tcp(), READ_BYTES).ok();
        // Boxed: few need it at a time, and all would carry it.
        Box::pin(sleep(time)).await;
        socket::readable_from(self.stream().tcp(), 1).ok();
    }

    /// Writes some of the bytes, until the kernel has them; says how many.
    pub(super) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let taken = poll_fn(|cx| self.poll(|stream| stream.poll_write(cx, bytes))).await?;
        if taken == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        // Under TLS a write may end in a buffer of ours; only then has the kernel taken it.
        poll_fn(|cx| self.poll(|stream| stream.poll_flush(cx))).await?;
        Ok(taken)
    }

    /// Says goodbye: nothing is written any more.
    pub(super) async fn shutdown(&self) -> io::Result<()> {
        poll_fn(|cx: &mut Context<'_>| self.poll(|stream| stream.poll_shutdown(cx))).await
    }

    /// What the kernel has not brought to the other side is not brought any more once this is dropped; the other side sees a
    /// reset (RFC 9293 section 3.10.5).
    pub(super) fn throw_away(&self) {
        SockRef::from(self.stream().tcp()).set_linger(Some(Duration::ZERO)).ok();
    }

    fn poll<T>(&self, poll: impl FnOnce(Pin<&mut Stream>) -> Poll<T>) -> Poll<T> {
        poll(Pin::new(&mut *self.stream()))
    }

    /// A panic while it was polled ended the task that it belongs to.
    fn stream(&self) -> MutexGuard<'_, Stream> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
