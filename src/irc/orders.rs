//! What the machine wants of a connection: lines to be written, chat to be left out, an end.
//!
//! A channel for thousands that are idle: both ends share one small piece of memory, and lines have some of their own
//! only while there are any. Its bound is [`QUEUE_LINES_MAX`]; when full, [`ConnHandle::send`] gives the line back.
//! The connection's end belongs to one task, and only that task's waker is kept.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::framer::Observe;

/// Lines that may wait to be written. When full, [`ConnHandle::send`] gives the line back.
pub const QUEUE_LINES_MAX: usize = 80;

/// The wiring's end of a connection. Dropping it closes the connection, as [`close`](Self::close) does.
#[derive(Debug)]
pub struct ConnHandle(Arc<Orders>);

/// The task's end: goes into [`run`](super::connection::run). Polled by one task at a time.
#[derive(Debug)]
pub struct Commands(Arc<Orders>);

/// The queue holds [`QUEUE_LINES_MAX`] lines already; here is the one that was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection's queue is full")]
pub struct Full(pub String);

/// What both ends share.
#[derive(Debug)]
struct Orders {
    queue: Mutex<Queue>,
    observe: AtomicBool,
}

/// Under one lock, which is never held for longer than it takes to add or remove a line.
#[derive(Debug, Default)]
struct Queue {
    lines: VecDeque<String>,
    life: Life,
    task: Option<Waker>,
    /// When the last line was taken out to be written.
    spoke: Option<Instant>,
}

/// Whether the connection is to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Life {
    #[default]
    Open,
    /// Asked to close, or gone: takes no more lines.
    Closing,
    /// To end at once, with what it has not written.
    Abandoned,
}

/// The two ends of one connection's commands.
pub fn channel() -> (ConnHandle, Commands) {
    let orders = Arc::new(Orders { queue: Mutex::default(), observe: AtomicBool::new(true) });
    (ConnHandle(orders.clone()), Commands(orders))
}

impl ConnHandle {
    /// Queues one line, without its ending. CR, LF and NUL in it are left out; an empty line is not written
    /// but still counted in `ConnWritten`, so that lines and counts stay in step.
    ///
    /// Never waits. A connection that is closed or closing takes the line and does nothing with it: its
    /// `ConnClosed` is on the way, and `ConnWritten` never speaks of the line.
    pub fn send(&self, line: String) -> Result<(), Full> {
        let mut queue = self.0.queue();
        match queue.life {
            Life::Closing | Life::Abandoned => return Ok(()),
            Life::Open if queue.lines.len() >= QUEUE_LINES_MAX => return Err(Full(line)),
            Life::Open => queue.lines.push_back(line),
        }
        wake(queue);
        Ok(())
    }

    /// Writes what is queued, then ends the connection, within
    /// [`CLOSE_MS_MAX`](super::connection::CLOSE_MS_MAX). Also ends one that is being dialled. Works at any time and
    /// any number of times.
    pub fn close(&self) {
        self.0.close();
    }

    /// Ends the connection at once, dialled or not: what is queued is not written, and what the kernel has and the server
    /// has not is thrown away. Works at any time and any number of times.
    pub fn abandon(&self) {
        self.0.abandon();
    }

    /// Whether channel chat is wanted from this connection, from the next line on.
    pub fn observe(&self, observe: Observe) {
        self.0.observe.store(observe == Observe::Chat, Ordering::Relaxed);
    }
}

impl Drop for ConnHandle {
    fn drop(&mut self) {
        self.close();
    }
}

impl Commands {
    /// Waits for a line; `None` when asked to close and nothing is left.
    pub(super) async fn next(&self) -> Option<String> {
        poll_fn(|cx| self.0.queue().poll_next(cx)).await
    }

    /// A line that is there already.
    pub(super) fn next_at_once(&self) -> Option<String> {
        self.0.queue().pop()
    }

    /// Waits until asked to close.
    pub(super) async fn closing(&self) {
        poll_fn(|cx| self.0.queue().poll_closing(cx)).await;
    }

    /// Waits until it is to end at once.
    pub(super) async fn abandoned(&self) {
        poll_fn(|cx| self.0.queue().poll_abandoned(cx)).await;
    }

    /// Whether it was asked to close, politely or at once.
    pub(super) fn is_closing(&self) -> bool {
        self.0.queue().life != Life::Open
    }

    /// The connection is to close, for reasons of its own.
    pub(super) fn close(&self) {
        self.0.close();
    }

    /// Whether a line was written within the last `time`, so that answers may be on their way.
    pub(super) fn spoke_within(&self, time: Duration) -> bool {
        self.0.queue().spoke.is_some_and(|spoke| spoke.elapsed() < time)
    }

    /// Whether channel chat is wanted.
    pub(super) fn observe(&self) -> Observe {
        if self.0.observe.load(Ordering::Relaxed) { Observe::Chat } else { Observe::NoChat }
    }
}

impl Drop for Commands {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        *queue = Queue { life: Life::Closing, ..Queue::default() };
    }
}

impl Orders {
    /// A panic elsewhere leaves the queue whole: each change is one call.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let mut queue = self.queue();
        if queue.life == Life::Open {
            queue.life = Life::Closing;
        }
        wake(queue);
    }

    fn abandon(&self) {
        let mut queue = self.queue();
        queue.life = Life::Abandoned;
        queue.lines = VecDeque::new();
        wake(queue);
    }
}

impl Queue {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<String>> {
        match (self.pop(), self.life) {
            (Some(line), _) => Poll::Ready(Some(line)),
            (None, Life::Closing | Life::Abandoned) => Poll::Ready(None),
            (None, Life::Open) => self.wait(cx),
        }
    }

    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.life {
            Life::Closing | Life::Abandoned => Poll::Ready(()),
            Life::Open => self.wait(cx),
        }
    }

    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.life {
            Life::Abandoned => Poll::Ready(()),
            Life::Closing | Life::Open => self.wait(cx),
        }
    }

    fn pop(&mut self) -> Option<String> {
        let line = self.lines.pop_front()?;
        self.spoke = Some(Instant::now());
        if self.lines.is_empty() {
            self.lines = VecDeque::new();
        }
        Some(line)
    }

    fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        match &mut self.task {
            Some(task) if task.will_wake(cx.waker()) => {}
            task => *task = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}

/// Wakes the task after the lock is free, or it would run into it.
fn wake(mut queue: MutexGuard<'_, Queue>) {
    let task = queue.task.take();
    drop(queue);
    if let Some(task) = task {
        task.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_that_waits_is_woken_for_a_line_and_for_the_end() {
        let (handle, commands) = channel();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        let mut next = pin!(commands.next());
        let mut closing = pin!(commands.closing());
        assert_eq!(next.as_mut().poll(&mut cx), Poll::Pending);
        assert_eq!(closing.as_mut().poll(&mut cx), Poll::Pending);
        handle.send("PING a".to_owned()).unwrap();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(next.as_mut().poll(&mut cx), Poll::Ready(Some("PING a".to_owned())));
        assert_eq!(closing.as_mut().poll(&mut cx), Poll::Pending);
        handle.close();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert_eq!(closing.as_mut().poll(&mut cx), Poll::Ready(()));
    }

    #[test]
    fn what_was_queued_comes_before_the_end_and_nothing_after_it() {
        let (handle, commands) = channel();
        let mut cx = Context::from_waker(Waker::noop());
        handle.send("QUIT".to_owned()).unwrap();
        handle.close();
        handle.send("too late".to_owned()).unwrap();
        assert_eq!(pin!(commands.next()).poll(&mut cx), Poll::Ready(Some("QUIT".to_owned())));
        assert_eq!(pin!(commands.next()).poll(&mut cx), Poll::Ready(None));
    }

    #[test]
    fn a_full_queue_gives_the_line_back_and_an_empty_one_holds_no_memory() {
        let (handle, commands) = channel();
        for number in 0..QUEUE_LINES_MAX {
            handle.send(number.to_string()).unwrap();
        }
        assert_eq!(handle.send("one more".to_owned()), Err(Full("one more".to_owned())));
        let lines = std::iter::from_fn(|| commands.next_at_once());
        assert!(lines.eq((0..QUEUE_LINES_MAX).map(|number| number.to_string())));
        assert_eq!(commands.0.queue().lines.capacity(), 0);
    }

    #[test]
    fn without_its_task_a_connection_swallows_lines() {
        let (handle, commands) = channel();
        handle.send("a".to_owned()).unwrap();
        drop(commands);
        assert_eq!(handle.send("b".to_owned()), Ok(()));
        assert!(handle.0.queue().lines.is_empty());
    }
}
