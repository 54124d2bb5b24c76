//! A plain IRC client for tests. It answers PING and keeps every line, in order.
//!
//! A wait takes the first matching line after those an earlier wait has taken, so that a test reads like a
//! transcript.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, split};
use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::door::Door;
use super::{PATIENT, SOON, eventually};

/// One connection to an IRC server under one nick.
pub struct IrcClient {
    pub nick: String,
    write: Writer,
    inbox: Arc<Inbox>,
    taken: usize,
    fences: u32,
    reader: JoinHandle<()>,
}

/// A connection's way out; TLS and plain are alike from here on.
type Writer = Arc<AsyncMutex<Box<dyn AsyncWrite + Send + Unpin>>>;

/// One line as a server sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IrcLine {
    /// Message tags as they came, values still escaped; a tag without a value has an empty one.
    pub tags: Vec<(String, String)>,
    /// The nick or server before the command; empty if there was none.
    pub source: String,
    /// `user@host` of the source; empty if there was none.
    pub user_host: String,
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
        let mut client = IrcClient::open(&Door::plain(port), nick).await;
        client.register("test").await;
        client
    }

    /// Connects and says nothing.
    pub async fn open(door: &Door, nick: &str) -> IrcClient {
        let (read, write) = split(door.open().await);
        let write: Writer = Arc::new(AsyncMutex::new(Box::new(write)));
        let inbox = Arc::new(Inbox::default());
        let reader = tokio::spawn(read_lines(BufReader::new(read), inbox.clone(), write.clone()));
        IrcClient { nick: nick.to_owned(), write, inbox, taken: 0, fences: 0, reader }
    }

    /// Registers by our nick and this user name; panics if the server does not welcome us.
    ///
    /// ngIRCd closes the connection on a user name with a bracket, so the nick is not good enough.
    pub async fn register(&mut self, user: &str) {
        self.ask_in(user).await;
        self.welcomed().await;
    }

    /// NICK and USER, without waiting for what comes of them.
    pub async fn ask_in(&self, user: &str) {
        self.send(&format!("NICK {}", self.nick)).await;
        self.send(&format!("USER {user} 0 * :{}", self.nick)).await;
    }

    /// Waits for the welcome and the end of the greeting.
    pub async fn welcomed(&mut self) {
        self.wait("the welcome", SOON, |l| l.command == "001").await;
        self.wait("the end of the greeting", SOON, |l| l.command == "376" || l.command == "422").await;
    }

    /// Waits until the server has closed the connection; gives what it said last of all: its ERROR, as it came.
    pub async fn ended(&mut self) -> Option<String> {
        let inbox = self.inbox.clone();
        eventually("the server closes the connection", SOON, || {
            let closed = inbox.closed.load(Ordering::Acquire);
            async move { closed.then_some(()) }
        })
        .await;
        let lines = self.lines();
        lines.iter().rev().find(|l| l.command == "ERROR").and_then(|l| l.params.last().cloned())
    }

    pub async fn send(&self, line: &str) {
        let mut write = self.write.lock().await;
        // A server that has closed the connection has said why; that is in the lines, and `wait` shows them.
        let _ = write.write_all(format!("{line}\r\n").as_bytes()).await;
        let _ = write.flush().await;
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

    /// The user name that WHOIS shows for `nick`, with its `~`.
    pub async fn user_of(&mut self, nick: &str) -> String {
        let answer = self.whois(nick).await;
        let line = answer.iter().find(|l| l.command == "311");
        line.unwrap_or_else(|| panic!("{nick} is not there: {answer:?}")).params[2].clone()
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

    /// How many lines came so far.
    pub fn lines_len(&self) -> usize {
        self.inbox.lines.lock().expect("no reader panics").len()
    }

    /// The lines from the `from`th on, taken or not.
    pub fn lines_from(&self, from: usize) -> Vec<IrcLine> {
        let lines = self.inbox.lines.lock().expect("no reader panics");
        lines.get(from..).map(<[IrcLine]>::to_vec).unwrap_or_default()
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

    /// The value of a message tag; empty for a tag without one.
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Command and parameters as a server writes them, with the client's own nick or `*` as it was: for comparing
    /// with what is known of a server.
    pub fn words(&self) -> String {
        let mut words = vec![self.command.clone()];
        for (at, param) in self.params.iter().enumerate() {
            let is_trailing = at + 1 == self.params.len() && (param.is_empty() || param.contains(' '));
            words.push(if is_trailing { format!(":{param}") } else { param.clone() });
        }
        words.join(" ")
    }

    fn parse(raw: &str) -> IrcLine {
        let len_bytes = raw.len() + 2;
        let (mut rest, mut tags) = (raw, Vec::new());
        if let Some(after) = rest.strip_prefix('@') {
            let (all, after) = after.split_once(' ').unwrap_or((after, ""));
            let pairs = all.split(';').map(|tag| tag.split_once('=').unwrap_or((tag, "")));
            tags = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            rest = after;
        }
        let (mut source, mut user_host) = (String::new(), String::new());
        if let Some(after) = rest.strip_prefix(':') {
            let (prefix, after) = after.split_once(' ').unwrap_or((after, ""));
            let (name, user) = prefix.split_once('!').unwrap_or((prefix, ""));
            (source, user_host) = (name.to_owned(), user.to_owned());
            rest = after;
        }
        let (middle, trailing) = match rest.split_once(" :") {
            Some((middle, trailing)) => (middle, Some(trailing.to_owned())),
            None => (rest, None),
        };
        let mut words = middle.split(' ').filter(|w| !w.is_empty()).map(str::to_owned);
        let command = words.next().unwrap_or_default();
        let params = words.chain(trailing).collect();
        IrcLine { tags, source, user_host, command, params, len_bytes }
    }
}

async fn read_lines(mut read: BufReader<impl AsyncRead + Unpin>, inbox: Arc<Inbox>, write: Writer) {
    let mut bytes = Vec::new();
    while matches!(read.read_until(b'\n', &mut bytes).await, Ok(n) if n > 0) {
        let raw = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
        bytes.clear();
        let line = IrcLine::parse(&raw);
        if line.command == "PING" {
            let pong = format!("PONG :{}\r\n", line.params.last().map_or("", String::as_str));
            let mut write = write.lock().await;
            let _ = write.write_all(pong.as_bytes()).await;
            let _ = write.flush().await;
        }
        inbox.lines.lock().expect("no other holder panics").push(line);
        inbox.more.notify_one();
    }
    inbox.closed.store(true, Ordering::Release);
    inbox.more.notify_one();
}
