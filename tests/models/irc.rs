//! The model IRC server behaves.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::SOON;
use super::model::ircd::{CapAnswer, Ircd, Pings, Settings as IrcdSettings, TlsIdentity};

/// An IRC client, plain where nothing else is said.
struct Puppet<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
}

impl Puppet {
    async fn connect(server: &Ircd) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).await.expect("the model listens");
        Self { stream, buffer: Vec::new() }
    }

    async fn join(server: &Ircd, nick: &str, channel: &str) -> Self {
        let mut puppet = Self::connect(server).await;
        puppet.send(&format!("NICK {nick}\r\nUSER {nick} 0 * :{nick}\r\nJOIN {channel}")).await;
        puppet.until(" 366 ").await;
        puppet
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Puppet<S> {
    async fn send(&mut self, lines: &str) {
        self.stream.write_all(format!("{lines}\r\n").as_bytes()).await.expect("the model reads");
    }

    /// The next line, or `None` at the end of the stream.
    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = memchr::memmem::find(&self.buffer, b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Some(line);
            }
            let read = tokio::time::timeout(SOON, self.stream.read_buf(&mut self.buffer)).await;
            match read.expect("a line in time") {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// The lines up to one that contains this text.
    async fn until(&mut self, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await.unwrap_or_else(|| panic!("no {text:?} in {lines:#?}"));
            lines.push(line);
            if lines.last().is_some_and(|line| line.contains(text)) {
                return lines;
            }
        }
    }

    /// All lines up to the answer of a PING sent now.
    async fn fence(&mut self) -> Vec<String> {
        self.send("PING fence").await;
        let mut lines = self.until("PONG irc.model :fence").await;
        lines.pop();
        lines
    }
}

#[tokio::test]
async fn registration_ends_with_cap_end_and_without_cap() {
    for (cap, answer) in [
        (CapAnswer::EmptyList, ":irc.model CAP * LS :"),
        (CapAnswer::InvalidSubcommand, ":irc.model 410 * LS :Invalid CAP subcommand"),
        (CapAnswer::UnknownCommand, ":irc.model 421 * CAP :Unknown command"),
    ] {
        let server = Ircd::start(IrcdSettings { cap, ..IrcdSettings::default() }).await.expect("a port");
        let mut puppet = Puppet::connect(&server).await;
        puppet.send("CAP LS 302").await;
        assert_eq!(puppet.line().await.as_deref(), Some(answer));
        puppet.send("NICK a\r\nUSER a 0 * :A").await;
        if cap == CapAnswer::EmptyList {
            assert_eq!(puppet.fence().await, [""; 0], "registration waits");
            puppet.send("CAP END").await;
        }
        let codes: Vec<String> =
            puppet.until(" 422 ").await.iter().map(|line| line[11..14].to_owned()).collect();
        assert_eq!(codes, ["001", "002", "003", "004", "005", "422"]);
    }
}

#[tokio::test]
async fn a_line_reaches_every_other_member_once_and_is_recorded() {
    let server = Ircd::start(IrcdSettings::default()).await.expect("a port");
    let mut a = Puppet::join(&server, "a", "#c").await;
    let mut b = Puppet::join(&server, "b", "#c").await;
    a.until("JOIN #c").await;
    a.send("PRIVMSG #C :hello there").await;
    b.until(":a!a@127.0.0.1 PRIVMSG #C :hello there").await;
    assert_eq!(a.fence().await, [""; 0], "not to the sender");
    assert_eq!(b.fence().await, [""; 0], "once");
    server.wait_for(1, SOON).await.expect("recorded");
    let said = server.take_said();
    assert_eq!((said[0].nick.as_ref(), said[0].text.as_str()), ("a", "hello there"));

    server.join_virtual("#c", "zoe");
    server.say("#c", "zoe", "hi");
    for puppet in [&mut a, &mut b] {
        let lines = puppet.fence().await;
        assert_eq!(lines, [":zoe!zoe@virtual JOIN #c", ":zoe!zoe@virtual PRIVMSG #c :hi"]);
    }
    let mut late = Puppet::connect(&server).await;
    late.send("NICK zoe\r\nNICK A\r\nNICK late\r\nUSER l 0 * :L\r\nJOIN #c").await;
    let lines = late.until(" 366 ").await;
    assert!(lines[0].contains(" 433 * zoe ") && lines[1].contains(" 433 * A "), "{lines:#?}");
    assert!(lines.contains(&":irc.model 353 late = #c :a b late zoe".to_owned()), "{lines:#?}");
}

#[tokio::test]
async fn connections_can_be_kicked_killed_cut_and_quit() {
    let server = Ircd::start(IrcdSettings::default()).await.expect("a port");
    let mut watcher = Puppet::join(&server, "watcher", "#c").await;
    let mut victims = Vec::new();
    for nick in ["kicked", "killed", "dropped", "bored"] {
        victims.push(Puppet::join(&server, nick, "#c").await);
    }
    watcher.until("bored!bored@127.0.0.1 JOIN").await;
    server.kick("#c", "kicked", "out");
    server.kill("killed", "bye");
    server.cut("dropped");
    victims[3].send("QUIT :done").await;
    victims[0].until("KICK #c kicked :out").await;
    victims[1].until("ERROR :").await;
    assert_eq!(victims[1].line().await, None);
    while let Some(line) = victims[2].line().await {
        assert!(!line.starts_with("ERROR"), "no word to the one that is cut");
    }
    victims[3].until("ERROR :").await;
    server.wait_for_members("#c", 1, SOON).await.expect("only the watcher stays");
    let seen = watcher.fence().await;
    assert_eq!(seen.iter().filter(|line| line.contains(" QUIT ")).count(), 3);
}

#[tokio::test]
async fn a_silenced_connection_stays_open_and_hears_nothing() {
    let server = Ircd::start(IrcdSettings::default()).await.expect("a port");
    let mut a = Puppet::join(&server, "a", "#c").await;
    let mut b = Puppet::join(&server, "b", "#c").await;
    server.silence("a");
    server.say("#c", "zoe", "anybody?");
    b.until("anybody?").await;
    a.send("PING x").await;
    let waited = tokio::time::timeout(Duration::from_millis(50), a.until("x")).await;
    assert!(waited.is_err(), "nothing comes");
    assert_eq!(server.members_len("#c"), 2, "the server still takes it for a member");
    server.cut("a");
    while let Some(line) = a.line().await {
        assert!(!line.contains("anybody"), "what was said meanwhile is lost");
    }
}

#[tokio::test]
async fn a_delayed_connection_hears_later_and_in_order() {
    let server = Ircd::start(IrcdSettings::default()).await.expect("a port");
    let mut a = Puppet::join(&server, "a", "#c").await;
    server.delay("a", Duration::from_millis(30));
    let said = server.say("#c", "zoe", "one");
    server.say("#c", "zoe", "two");
    let lines = a.until("two").await;
    assert!(said.elapsed() >= Duration::from_millis(30));
    assert_eq!(lines.len(), 2);
}

#[tokio::test]
async fn pings_go_both_ways_or_are_ignored() {
    let server = Ircd::start(IrcdSettings::default()).await.expect("a port");
    let mut a = Puppet::join(&server, "a", "#c").await;
    server.ping_everyone("you");
    a.until("PING :you").await;
    a.send("PONG :you").await;
    a.fence().await;
    assert_eq!(server.pongs(), 1);
    server.set_pings(Pings::Ignored);
    a.send("PING x\r\nTOPIC #c").await;
    let lines = a.until(" 331 ").await;
    assert_eq!(lines.len(), 1, "{lines:#?}");
}

#[tokio::test]
async fn a_restart_cuts_everybody_without_a_word_and_listens_again_where_it_was() {
    let server = Ircd::start(IrcdSettings::default()).await.expect("a port");
    let mut a = Puppet::join(&server, "a", "#c").await;
    server.restart(Duration::ZERO).await.expect("the port is free again");
    assert_eq!(a.line().await, None, "not even a QUIT of the others");
    assert_eq!((server.registered(), server.members_len("#c")), (0, 0));
    let _again = Puppet::join(&server, "a", "#c").await;
    assert_eq!((server.take_dialed().len(), server.take_welcomed().len()), (2, 2));
    assert!(server.take_dialed().is_empty(), "the record starts anew");
}

/// A copy much longer than the kernel's buffers takes the way of a socket that is full for a while.
#[tokio::test]
async fn tls_carries_the_same_lines_for_those_who_trust_the_certificate() {
    let identity = TlsIdentity::make("127.0.0.1");
    let settings = IrcdSettings { tls: Some(identity.clone()), ..IrcdSettings::default() };
    let server = Ircd::start(settings).await.expect("a port");
    let mut roots = rustls::RootCertStore::empty();
    let pem = CertificateDer::from_pem_slice(identity.certificate_pem.as_bytes()).expect("a certificate");
    roots.add(pem).expect("an authority");
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
    let plain = TcpStream::connect(("127.0.0.1", server.port())).await.expect("the model listens");
    let name = "127.0.0.1".try_into().expect("an address");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, plain).await;
    let mut puppet = Puppet { stream: stream.expect("a handshake"), buffer: Vec::new() };
    puppet.send("NICK a\r\nUSER a 0 * :A\r\nJOIN #c").await;
    puppet.until(" 366 ").await;
    let long = "x".repeat(100_000);
    for _ in 0..100 {
        server.say("#c", "zoe", &long);
    }
    for line in 0..100 {
        let text = puppet.line().await.expect("all of them");
        assert!(text.ends_with(&long), "line {line} has {} bytes", text.len());
    }
    puppet.send("PRIVMSG #c :done").await;
    server.wait_for(1, SOON).await.expect("it is read");
}

#[tokio::test]
async fn everybody_is_asked_in_turn() {
    let server = Ircd::start(IrcdSettings::default()).await.expect("a port");
    let mut puppets = [Puppet::join(&server, "a", "#c").await, Puppet::join(&server, "b", "#c").await];
    server.ping_each(Duration::from_millis(200));
    for puppet in &mut puppets {
        puppet.until("PING :turn").await;
        puppet.until("PING :turn").await;
    }
}
