//! A plain IRC client for tests. It answers PING and keeps every line, in order.
//!
//! A wait takes the first matching line after those an earlier wait has taken, so that a test reads like a
//! transcript.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::{PATIENT, SOON, eventually};

/// One connection to an IRC server under one nick.
pub struct IrcClient {
    pub nick: String,
    write: Arc<AsyncMutex<OwnedWriteHalf>>,
    inbox: Arc<Inbox>,
    taken: usize,
    fences: u32,
    reader: JoinHandle<()>,
}

/// One line as a server sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IrcLine {
    /// The nick or server before the command; empty if there was none.
    pub source: String,
    pub command: String,
    pub params: Vec<String>,
    /// Length on the wire with CR LF.
    pub len_bytes: usize,
}

#[derive(Default)]
struct Inbox {
    lines: Mutex<Vec<IrcLine>>,
    more: Notify,
    closed: AtomicBool,
}

impl IrcClient {
    /// Connects and registers; panics if the server does not welcome us.
    pub async fn connect(port: u16, nick: &str) -> IrcClient {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the IRC server listens");
        let (read, write) = stream.into_split();
        let (write, inbox) = (Arc::new(AsyncMutex::new(write)), Arc::new(Inbox::default()));
        let reader = tokio::spawn(read_lines(BufReader::new(read), inbox.clone(), write.clone()));
        let mut client = IrcClient { nick: nick.to_owned(), write, inbox, taken: 0, fences: 0, reader };
        client.send(&format!("NICK {nick}")).await;
        // ngIRCd closes the connection on a user name with a bracket, so the nick is not good enough.
        client.send(&format!("USER test 0 * :{nick}")).await;
        client.wait("the welcome", SOON, |l| l.command == "001").await;
        client.wait("the end of the greeting", SOON, |l| l.command == "376" || l.command == "422").await;
        client
    }

    pub async fn send(&self, line: &str) {
        let mut write = self.write.lock().await;
        write.write_all(format!("{line}\r\n").as_bytes()).await.expect("the IRC server takes a line");
    }

    pub async fn join(&mut self, channel: &str) {
        self.send(&format!("JOIN {channel}")).await;
        self.wait(&format!("the end of NAMES of {channel}"), SOON, |l| l.command == "366").await;
    }

    pub async fn say(&self, target: &str, text: &str) {
        self.send(&format!("PRIVMSG {target} :{text}")).await;
    }

    pub async fn action(&self, target: &str, text: &str) {
        self.send(&format!("PRIVMSG {target} :\u{1}ACTION {text}\u{1}")).await;
    }

    pub async fn notice(&self, target: &str, text: &str) {
        self.send(&format!("NOTICE {target} :{text}")).await;
    }

    /// Everything the server said before the answer to a PING of ours: it has then handled all we sent.
    pub async fn fence(&mut self) -> Vec<IrcLine> {
        self.fences += 1;
        let (token, from) = (format!("fence{}", self.fences), self.taken);
        self.send(&format!("PING :{token}")).await;
        self.wait("the PONG", SOON, |l| l.command == "PONG" && l.params.last() == Some(&token)).await;
        self.inbox.lines.lock().expect("no reader panics")[from..self.taken - 1].to_vec()
    }

    /// Takes the first line from here on that is what `wanted` says.
    pub async fn wait(&mut self, what: &str, limit: Duration, wanted: impl Fn(&IrcLine) -> bool) -> IrcLine {
        let end = Instant::now() + limit;
        loop {
            let closed = self.inbox.closed.load(Ordering::Acquire);
            let more = self.inbox.more.notified();
            let found = {
                let lines = self.inbox.lines.lock().expect("no reader panics");
                let at = lines.iter().skip(self.taken).position(&wanted);
                at.map(|at| (self.taken + at, lines[self.taken + at].clone()))
            };
            if let Some((at, line)) = found {
                self.taken = at + 1;
                return line;
            }
            if closed || timeout_at(end, more).await.is_err() {
                let limit = if closed {
                    "before the end of the connection".into()
                } else {
                    format!("within {limit:?}")
                };
                panic!("{} did not get {what} {limit}; {}", self.nick, self.recent());
            }
        }
    }

    /// Takes the next PRIVMSG from `nick` to `channel`, whatever it says; gives its text.
    pub async fn wait_said(&mut self, nick: &str, channel: &str) -> String {
        let what = format!("a line of {nick} in {channel}");
        let line = self.wait(&what, PATIENT, |l| l.is_from("PRIVMSG", nick, channel)).await;
        line.params[1].clone()
    }

    /// Waits until `nick` is in `channel`, by asking the server.
    pub async fn wait_member(&mut self, channel: &str, nick: &str) {
        self.wait_names(channel, &format!("{nick} to be there"), |names| names.iter().any(|n| n == nick))
            .await;
    }

    /// Waits until `nick` is no longer in `channel`.
    pub async fn wait_no_member(&mut self, channel: &str, nick: &str) {
        self.wait_names(channel, &format!("{nick} to be gone"), |names| names.iter().all(|n| n != nick))
            .await;
    }

    /// Who is in `channel`, without the signs before a nick.
    pub async fn names(&mut self, channel: &str) -> Vec<String> {
        self.send(&format!("NAMES {channel}")).await;
        let answer = self.fence().await;
        let lists = answer.iter().filter(|l| l.command == "353").filter_map(|l| l.params.last());
        lists
            .flat_map(|l| l.split_whitespace())
            .map(|n| n.trim_start_matches(['~', '&', '@', '%', '+']).into())
            .collect()
    }

    /// The answer of WHOIS, up to its end.
    pub async fn whois(&mut self, nick: &str) -> Vec<IrcLine> {
        self.send(&format!("WHOIS {nick}")).await;
        self.fence().await
    }

    /// The value of a token of the server's ISUPPORT (005), for example `CHANTYPES`.
    pub fn isupport(&self, token: &str) -> Option<String> {
        let lines = self.inbox.lines.lock().expect("no reader panics");
        let mut tokens = lines.iter().filter(|l| l.command == "005").flat_map(|l| l.params.iter());
        tokens.find_map(|t| t.strip_prefix(token)?.strip_prefix('=').map(str::to_owned))
    }

    /// Every line so far, taken or not.
    pub fn lines(&self) -> Vec<IrcLine> {
        self.inbox.lines.lock().expect("no reader panics").clone()
    }

    async fn wait_names(&mut self, channel: &str, what: &str, good: impl Fn(&[String]) -> bool) {
        let client = AsyncMutex::new(self);
        eventually(&format!("{what} in {channel}"), PATIENT, || async {
            let names = client.lock().await.names(channel).await;
            good(&names).then_some(())
        })
        .await;
    }

    fn recent(&self) -> String {
        let lines = self.inbox.lines.lock().expect("no reader panics");
        let from = lines.len().saturating_sub(20);
        let shown: Vec<_> =
            lines[from..].iter().map(|l| format!("{} {} {:?}", l.source, l.command, l.params)).collect();
        format!("its last lines:\n{}", shown.join("\n"))
    }
}

impl Drop for IrcClient {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl IrcLine {
    /// Whether it is `command` said by `nick` to `target`.
    pub fn is_from(&self, command: &str, nick: &str, target: &str) -> bool {
        self.command == command && self.source == nick && self.params.first().is_some_and(|p| p == target)
    }

    fn parse(raw: &str) -> IrcLine {
        let len_bytes = raw.len() + 2;
        let mut rest = raw;
        if rest.starts_with('@') {
            rest = rest.split_once(' ').map_or("", |(_, after)| after);
        }
        let mut source = String::new();
        if let Some(after) = rest.strip_prefix(':') {
            let (prefix, after) = after.split_once(' ').unwrap_or((after, ""));
            source = prefix.split('!').next().unwrap_or_default().to_owned();
            rest = after;
        }
        let (middle, trailing) = match rest.split_once(" :") {
            Some((middle, trailing)) => (middle, Some(trailing.to_owned())),
            None => (rest, None),
        };
        let mut words = middle.split(' ').filter(|w| !w.is_empty()).map(str::to_owned);
        let command = words.next().unwrap_or_default();
        IrcLine { source, command, params: words.chain(trailing).collect(), len_bytes }
    }
}

async fn read_lines<R>(mut read: R, inbox: Arc<Inbox>, write: Arc<AsyncMutex<OwnedWriteHalf>>)
where
    R: AsyncBufReadExt + Unpin,
{
    let mut bytes = Vec::new();
    while matches!(read.read_until(b'\n', &mut bytes).await, Ok(n) if n > 0) {
        let raw = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
        bytes.clear();
        let line = IrcLine::parse(&raw);
        if line.command == "PING" {
            let pong = format!("PONG :{}\r\n", line.params.last().map_or("", String::as_str));
            let _ = write.lock().await.write_all(pong.as_bytes()).await;
        }
        inbox.lines.lock().expect("no other holder panics").push(line);
        inbox.more.notify_one();
    }
    inbox.closed.store(true, Ordering::Release);
    inbox.more.notify_one();
}
