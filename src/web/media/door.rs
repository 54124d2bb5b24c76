//! The listener: so many connections at once, and an end for each on which nothing moves.
//!
//! A reader that stops reading would keep its place, and its file's, for ever. Time counts from the last byte that
//! moved in either direction.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// Connections at once. One more waits to be accepted.
pub const CONNECTIONS_MAX: usize = 512;
/// How long nothing may move. Longer than our homeserver takes to begin with a file.
const STILL_MAX: Duration = Duration::from_secs(90);
/// How long a connection may last. Longer than a file may take.
const AGE_MAX: Duration = Duration::from_secs(40 * 60);
/// After the kernel had no connection for us (too many files are open, say), this long a pause.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections within these bounds.
pub struct Door {
    listener: TcpListener,
    places: Arc<Semaphore>,
    still: Duration,
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub(in crate::web) SocketAddr);

impl Door {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(CONNECTIONS_MAX)), still: STILL_MAX }
    }

    /// With connections on which nothing may move for so long: where answers take their time.
    pub fn patient(self, still: Duration) -> Self {
        Self { still, ..self }
    }
}

impl Listener for Door {
    type Io = Watched<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    stream.set_nodelay(true).ok();
                    return (Watched::new(stream, Some(place), self.still), peer);
                }
                Err(error) => {
                    tracing::debug!(%error, "no connection could be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Door>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(*stream.remote_addr())
    }
}

/// A stream that fails when nothing moves for too long, or when it is too old.
pub struct Watched<T> {
    stream: T,
    moved: Instant,
    still: Duration,
    end: Instant,
    alarm: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl<T> Watched<T> {
    fn new(stream: T, place: Option<OwnedSemaphorePermit>, still: Duration) -> Self {
        let now = Instant::now();
        let alarm = Box::pin(sleep_until(now + still));
        Self { stream, moved: now, still, end: now + AGE_MAX, alarm, _place: place }
    }

    /// What becomes of a step: `Pending` for too long is an error.
    fn judged<R>(&mut self, step: Poll<io::Result<R>>, context: &mut Context<'_>) -> Poll<io::Result<R>> {
        let now = Instant::now();
        if step.is_ready() && now < self.end {
            self.moved = now;
            return step;
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            let until = self.end.min(self.moved + self.still);
            if until <= now {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(until);
        }
        step
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let step = Pin::new(&mut self.stream).poll_read(context, buf);
        self.judged(step, context)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write(context, buf);
        self.judged(step, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.stream).poll_write_vectored(context, bufs);
        self.judged(step, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_stops_reading_is_let_go() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = Watched::new(ours, None, STILL_MAX);
        let begun = Instant::now();
        let writing = async { ours.write_all(&[7; 64]).await };
        let reading = async {
            let mut some = [0; 16];
            for _ in 0..2 {
                sleep(STILL_MAX / 2).await;
                theirs.read_exact(&mut some).await.expect("some");
            }
            std::future::pending::<()>().await;
        };
        let failed = tokio::select! {
            done = writing => done.expect_err("nobody reads the rest"),
            () = reading => unreachable!(),
        };
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), 2 * STILL_MAX.as_secs(), "from the last byte on");
    }

    #[tokio::test(start_paused = true)]
    async fn a_drop_now_and_then_does_not_hold_a_place_for_ever() {
        let (ours, mut theirs) = duplex(1);
        let mut ours = Watched::new(ours, None, STILL_MAX);
        let begun = Instant::now();
        let dripping = async {
            while theirs.write_all(b"x").await.is_ok() {
                sleep(STILL_MAX / 2).await;
            }
        };
        let reading = async {
            let mut some = [0; 1];
            while ours.read_exact(&mut some).await.is_ok() {}
        };
        tokio::select! {
            () = reading => {}
            () = dripping => unreachable!("it drips for ever"),
        }
        assert!(begun.elapsed() <= AGE_MAX + STILL_MAX, "{:?}", begun.elapsed());
    }
}
