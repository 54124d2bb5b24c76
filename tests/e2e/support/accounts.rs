//! Accounts by hand: capabilities, SASL and NickServ, spoken by a plain client.

use super::SOON;
use super::irc::{IrcClient, IrcLine};

/// Longest piece of a SASL answer, base64 (IRCv3 sasl-3.1).
const CHUNK_BYTES_MAX: usize = 400;

impl IrcClient {
    /// `CAP LS 302`: every capability with its value, from all lines of the list.
    pub async fn offered(&mut self) -> Vec<String> {
        self.send("CAP LS 302").await;
        let mut offered = Vec::new();
        loop {
            let line = self.wait("the list of capabilities", SOON, |l| is_cap(l, "LS")).await;
            let list = line.params.last().expect("a list has a last parameter");
            offered.extend(list.split_whitespace().map(str::to_owned));
            if line.params.get(2).is_none_or(|p| p != "*") {
                return offered;
            }
        }
    }

    /// Asks for capabilities, which must be granted. Holds the registration open, if it is not done yet.
    pub async fn request(&mut self, caps: &str) {
        self.send(&format!("CAP REQ :{caps}")).await;
        let answer = self.wait("ACK or NAK", SOON, |l| is_cap(l, "ACK") || is_cap(l, "NAK")).await;
        assert_eq!(answer.params[1], "ACK", "{caps}: {answer:?}");
    }

    /// Ends the negotiation of capabilities and waits for the welcome.
    pub async fn finish(&mut self) {
        self.send("CAP END").await;
        self.welcomed().await;
    }

    /// SASL PLAIN (RFC 4616); gives the line that ends it: 903, 904, 905 or 908 with 904.
    pub async fn sasl_plain(&mut self, account: &str, password: &str) -> IrcLine {
        self.sasl("PLAIN", &base64(format!("{account}\0{account}\0{password}").as_bytes())).await
    }

    /// SASL EXTERNAL (RFC 4422 A) as the account that has the certificate of this connection.
    pub async fn sasl_external(&mut self) -> IrcLine {
        self.sasl("EXTERNAL", "").await
    }

    /// Says `command` to NickServ and waits for a notice of his that has `answer` in it; gives its text, without
    /// the bold (^B) that he prints names in.
    pub async fn nickserv(&mut self, command: &str, answer: &str) -> String {
        self.send(&format!("PRIVMSG NickServ :{command}")).await;
        let what = format!("{answer:?} from NickServ");
        let line = self.wait(&what, SOON, |l| is_from_nickserv(l) && unformatted(l).contains(answer)).await;
        unformatted(&line)
    }

    /// Registers our nick as an account and is logged in by that (900).
    pub async fn register_account(&mut self, password: &str) {
        let nick = self.nick.clone();
        self.nickserv(&format!("REGISTER {password} {nick}@irc.test"), "is now registered").await;
    }

    /// The account that WHOIS shows for `nick` (330).
    pub async fn account_of(&mut self, nick: &str) -> Option<String> {
        let answer = self.whois(nick).await;
        answer.into_iter().find(|l| l.command == "330").map(|l| l.params[2].clone())
    }

    async fn sasl(&mut self, mechanism: &str, answer: &str) -> IrcLine {
        self.send(&format!("AUTHENTICATE {mechanism}")).await;
        let ends = |l: &IrcLine| ["902", "903", "904", "905", "906", "907"].contains(&l.command.as_str());
        let asked = self.wait("AUTHENTICATE +", SOON, |l| l.command == "AUTHENTICATE" || ends(l)).await;
        if ends(&asked) {
            return asked;
        }
        for chunk in answer.as_bytes().chunks(CHUNK_BYTES_MAX) {
            self.send(&format!("AUTHENTICATE {}", String::from_utf8_lossy(chunk))).await;
        }
        if answer.len().is_multiple_of(CHUNK_BYTES_MAX) {
            self.send("AUTHENTICATE +").await;
        }
        self.wait("the end of SASL", SOON, ends).await
    }
}

fn is_cap(line: &IrcLine, subcommand: &str) -> bool {
    line.command == "CAP" && line.params.get(1).is_some_and(|p| p == subcommand)
}

fn is_from_nickserv(line: &IrcLine) -> bool {
    line.command == "NOTICE" && line.source == "NickServ" && line.params.len() == 2
}

fn unformatted(notice: &IrcLine) -> String {
    notice.params[1].replace('\u{2}', "")
}

/// RFC 4648 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, i| bits << 8 | u32::from(*group.get(i).unwrap_or(&0)));
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { letter as char } else { '=' });
        }
    }
    text
}
