//! A TCP proxy on loopback that can fall silent.
//!
//! The bridge connects through it. It learns which connection carries which nick from the server's welcome, and can
//! then stop that one connection in both directions without closing it (what a lost route looks like), let it go
//! on, or cut it. Lives on a thread of its own, so that it outlasts the test that started it.

use std::net::TcpListener as StdListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};

use super::process::free_port;

/// The proxy; it and all its connections end with it.
pub struct StallProxy {
    pub port: u16,
    links: Links,
    arrivals: Arrivals,
    is_shut: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

type Links = Arc<Mutex<Vec<Arc<Link>>>>;

/// When each connection came, oldest first; refused ones too.
type Arrivals = Arc<Mutex<Vec<Instant>>>;

/// One proxied connection.
struct Link {
    nick: Mutex<Option<String>>,
    state: watch::Sender<Flow>,
}

/// A connection that was stalled.
pub struct Stalled(Arc<Link>);

impl Stalled {
    /// Closes both sides.
    pub fn cut(self) {
        self.0.state.send_replace(Flow::Cut);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Open,
    Stalled,
    Cut,
}

impl StallProxy {
    /// Listens on a free port and forwards to `target_port`.
    pub fn start(target_port: u16) -> StallProxy {
        let port = free_port();
        let listener = StdListener::bind(("127.0.0.1", port)).expect("the port was free");
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        let (links, arrivals, is_shut) = (Links::default(), Arrivals::default(), Arc::default());
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn({
            let state = (links.clone(), arrivals.clone(), Arc::clone(&is_shut));
            move || serve(listener, target_port, state, stopped)
        });
        StallProxy { port, links, arrivals, is_shut, stop: Some(stop), thread: Some(thread) }
    }

    /// From now on nothing goes through the connection of `nick`, and it stays open.
    pub fn stall(&self, nick: &str) {
        self.link(nick).state.send_replace(Flow::Stalled);
    }

    /// As [`StallProxy::stall`] for whoever's nick begins so; gives the connection, to cut it when its nick is another's.
    pub fn stall_newest(&self, nick: &str) -> Stalled {
        let links = self.links.lock().expect("no holder panics");
        let carries = |l: &&Arc<Link>| {
            l.nick.lock().expect("no holder panics").as_deref().is_some_and(|n| n.starts_with(nick))
        };
        let link = links.iter().rev().find(carries).unwrap_or_else(|| panic!("no connection carries {nick}"));
        link.state.send_replace(Flow::Stalled);
        Stalled(Arc::clone(link))
    }

    /// What waited goes through, late.
    pub fn resume(&self, nick: &str) {
        self.link(nick).state.send_replace(Flow::Open);
    }

    /// Closes both sides.
    pub fn cut(&self, nick: &str) {
        self.link(nick).state.send_replace(Flow::Cut);
    }

    /// Closes both sides of every connection there is, all at once; gives how many were open.
    pub fn cut_all(&self) -> usize {
        let links = self.links.lock().expect("no holder panics");
        links.iter().filter(|l| l.state.send_replace(Flow::Cut) != Flow::Cut).count()
    }

    /// Cuts every connection, and from now on closes each new one at once: the server behind is away.
    pub fn shut(&self) {
        self.is_shut.store(true, Ordering::Release);
        self.cut_all();
    }

    /// Lets connections through again.
    pub fn open(&self) {
        self.is_shut.store(false, Ordering::Release);
    }

    /// When connections came since `from`, oldest first: also those that the server then refused.
    pub fn arrivals(&self, from: Instant) -> Vec<Instant> {
        let arrivals = self.arrivals.lock().expect("no holder panics");
        arrivals.iter().copied().filter(|at| *at >= from).collect()
    }

    /// The newest connection that was welcomed as `nick`.
    fn link(&self, nick: &str) -> Arc<Link> {
        let links = self.links.lock().expect("no holder panics");
        let carries = |l: &&Arc<Link>| l.nick.lock().expect("no holder panics").as_deref() == Some(nick);
        links.iter().rev().find(carries).unwrap_or_else(|| panic!("no connection carries {nick}")).clone()
    }
}

impl Drop for StallProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The most of these that lie within any one second.
pub fn busiest_second(times: &[Instant]) -> usize {
    let within =
        |from: &Instant| times.iter().filter(|at| *at >= from).take_while(|at| **at - *from < SECOND).count();
    times.iter().map(within).max().unwrap_or(0)
}

const SECOND: Duration = Duration::from_secs(1);

type State = (Links, Arrivals, Arc<AtomicBool>);

fn serve(listener: StdListener, target_port: u16, state: State, stopped: oneshot::Receiver<()>) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener).expect("inside a runtime");
        tokio::select! {
            () = accept(listener, target_port, state) => {}
            _ = stopped => {}
        }
    });
}

async fn accept(listener: TcpListener, target_port: u16, (links, arrivals, is_shut): State) {
    while let Ok((client, _)) = listener.accept().await {
        arrivals.lock().expect("no holder panics").push(Instant::now());
        if is_shut.load(Ordering::Acquire) {
            continue;
        }
        // A refused target shows the client a closed connection, as a dead server behind a balancer does.
        let Ok(server) = TcpStream::connect(("127.0.0.1", target_port)).await else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let link = Arc::new(Link { nick: Mutex::new(None), state: watch::Sender::new(Flow::Open) });
        links.lock().expect("no holder panics").push(link.clone());
        tokio::spawn(forward(client, server, link, links.clone()));
    }
}

async fn forward(client: TcpStream, server: TcpStream, link: Arc<Link>, links: Links) {
    let (client_read, client_write) = client.into_split();
    let (server_read, server_write) = server.into_split();
    let up = pump(client_read, server_write, link.state.subscribe(), None);
    let down = pump(server_read, client_write, link.state.subscribe(), Some(&link));
    // Each side's end is passed on by its pump; the connection is over when both are.
    tokio::join!(up, down);
    links.lock().expect("no holder panics").retain(|other| !Arc::ptr_eq(other, &link));
}

/// Copies until the end of the stream or a cut. `learn` is told the nick of the server's welcome.
async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut state: watch::Receiver<Flow>,
    learn: Option<&Arc<Link>>,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut head = Vec::new();
    loop {
        let read = tokio::select! {
            biased;
            _ = state.wait_for(|s| *s == Flow::Cut) => return,
            read = from.read(&mut buffer) => read,
        };
        let Ok(count @ 1..) = read else { break };
        if let Some(link) = learn {
            learn_nick(link, &mut head, &buffer[..count]);
        }
        // What was read during a stall waits here; the rest waits in the kernel.
        match state.wait_for(|s| *s != Flow::Stalled).await.map(|s| *s) {
            Ok(Flow::Open) => {}
            Ok(Flow::Stalled | Flow::Cut) | Err(_) => return,
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    // An end seen during a stall stays unseen on the other side until the stall is over.
    let _ = state.wait_for(|s| *s != Flow::Stalled).await;
    let _ = to.shutdown().await;
}

/// Looks for `:server 001 nick` in the first kilobytes of what the server says.
fn learn_nick(link: &Link, head: &mut Vec<u8>, bytes: &[u8]) {
    const HEAD_BYTES_MAX: usize = 8 * 1024;
    let mut nick = link.nick.lock().expect("no holder panics");
    if nick.is_some() || head.len() > HEAD_BYTES_MAX {
        return;
    }
    head.extend_from_slice(bytes);
    let text = String::from_utf8_lossy(head);
    let whole_lines = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    *nick = whole_lines.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        (words.next() == Some("001")).then(|| words.next().unwrap_or_default().to_owned())
    });
}
