//! Bytes from a server to lines.
//!
//! Never holds more than one longest line, never ends because of what it was sent, never panics: bytes from
//! a server are hostile input. Only LF ends a line. A stray CR or NUL is removed and does not end one, since
//! some servers pass a CR inside chat text and whoever sent it could then write lines in the server's name.
//! What is left out is counted. Does no I/O: the caller gives it what was read. Between lines it holds no
//! memory, since thousands of connections are silent most of the time.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::{Encoding, WINDOWS_1252};
use memchr::{memchr, memchr2};

use crate::text::line::Line;

/// The longest line taken, with its ending: 8191 bytes of tags (IRCv3 message-tags, "Size limit") and 512
/// of message (RFC 2812 section 2.3). The rest of a longer one is skipped.
pub const LINE_BYTES_MAX: usize = 8191 + 512;

/// Cuts one connection's bytes into lines.
///
/// Use: [`push`](Self::push) at most [`room`](Self::room) bytes, then take [`next_line`](Self::next_line)
/// until `None`, again.
#[derive(Debug)]
pub struct Framer {
    buf: Vec<u8>,
    /// Bytes before this one are done with.
    start: usize,
    /// There is no LF from `start` up to here.
    scanned: usize,
    tail: Tail,
    charset: Charset,
    counts: Counts,
}

/// What to do with bytes up to the next LF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    Keep,
    /// They belong to a line that was too long and has been given already.
    Skip,
}

/// Whether a raw line is all that the server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    Whole,
    Truncated,
}

/// Whether a connection observes chat in channels (it does unless told otherwise).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Observe {
    #[default]
    Chat,
    /// Another connection speaks for the channels: their chat is dropped unparsed.
    NoChat,
}

/// What was left out, in lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Longer than [`LINE_BYTES_MAX`]: given up to there.
    pub truncated: u64,
    /// No IRC line.
    pub unparsed: u64,
    /// Channel chat while [`Observe::NoChat`].
    pub unobserved: u64,
}

/// The character encoding of a line that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(&'static Encoding);

impl Charset {
    /// By a label of the WHATWG encoding standard ("latin1", "koi8-r", "cp1251"). `None` for an unknown one
    /// and for those in which ASCII bytes do not mean ASCII (UTF-16, ISO-2022-JP): IRC cannot carry them.
    pub fn for_label(label: &str) -> Option<Self> {
        Encoding::for_label(label.as_bytes()).filter(|found| found.is_ascii_compatible()).map(Self)
    }

    /// Its name in the standard.
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl Default for Charset {
    /// windows-1252, what "latin-1" means in practice.
    fn default() -> Self {
        Self(WINDOWS_1252)
    }
}

impl Framer {
    /// An empty framer; `charset` is for lines that are not UTF-8.
    pub fn new(charset: Charset) -> Self {
        let counts = Counts::default();
        Self { buf: Vec::new(), start: 0, scanned: 0, tail: Tail::Keep, charset, counts }
    }

    /// How many bytes may be pushed: never 0 once [`next_line`](Self::next_line) has said `None`.
    pub fn room(&self) -> usize {
        LINE_BYTES_MAX - (self.buf.len() - self.start)
    }

    /// Takes what was read. Beyond [`room`](Self::room) it is a mistake of the caller's that costs memory.
    pub fn push(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.room(), "more was read than there is room for");
        self.forget();
        let needed = self.buf.len() + bytes.len();
        if needed > self.buf.capacity() {
            // In steps, for who sends a long line byte by byte; but never beyond the longest.
            let capacity = (self.buf.capacity() * 2).min(LINE_BYTES_MAX).max(needed);
            self.buf.reserve_exact(capacity - self.buf.len());
        }
        self.buf.extend_from_slice(bytes);
    }

    /// Lets go of what is done with; of the memory too when that is all.
    fn forget(&mut self) {
        if self.start == self.buf.len() {
            self.buf = Vec::new();
        } else {
            self.buf.drain(..self.start);
        }
        self.scanned -= self.start;
        self.start = 0;
    }

    /// The next line, or `None` when more bytes are needed. Skips what `observe` does not want, empty lines
    /// and what is no IRC line.
    pub fn next_line(&mut self, observe: Observe) -> Option<Line> {
        while let Some((range, extent)) = self.cut() {
            let raw = trim_end(&self.buf[range]);
            if raw.is_empty() {
                continue;
            }
            if observe == Observe::NoChat && is_channel_chat(raw) {
                self.counts.unobserved += 1;
                continue;
            }
            match Line::parse(&decode(raw, extent, self.charset)) {
                Some(line) => return Some(line),
                None => self.counts.unparsed += 1,
            }
        }
        self.forget();
        None
    }

    /// What was left out so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Where the next raw line is, without its LF. Steps over it.
    fn cut(&mut self) -> Option<(Range<usize>, Extent)> {
        while let Some(at) = memchr(b'\n', &self.buf[self.scanned..]) {
            let line = self.start..self.scanned + at;
            self.step_to(line.end + 1);
            match std::mem::replace(&mut self.tail, Tail::Keep) {
                Tail::Keep => return Some((line, Extent::Whole)),
                Tail::Skip => {}
            }
        }
        self.cut_unended()
    }

    /// The same when no LF is in sight: a line at its limit is given as far as it goes.
    fn cut_unended(&mut self) -> Option<(Range<usize>, Extent)> {
        let rest = self.start..self.buf.len();
        self.scanned = rest.end;
        match self.tail {
            Tail::Skip => self.step_to(rest.end),
            Tail::Keep if rest.len() < LINE_BYTES_MAX => {}
            Tail::Keep => {
                self.step_to(rest.end);
                self.tail = Tail::Skip;
                self.counts.truncated += 1;
                return Some((rest, Extent::Truncated));
            }
        }
        None
    }

    fn step_to(&mut self, place: usize) {
        self.start = place;
        self.scanned = place;
    }
}

/// True for a PRIVMSG, NOTICE or TAGMSG to a channel, by its bytes alone.
///
/// False for one to those of a rank in it (`@#chan`): it may be shown to this connection alone of all of ours.
/// False when the server's `label` tag is on it: that is an answer to something this very connection said
/// (IRCv3 labeled-response) and nobody else gets it.
pub fn is_channel_chat(raw: &[u8]) -> bool {
    const CHAT: [&[u8]; 3] = [b"PRIVMSG", b"NOTICE", b"TAGMSG"];
    let mut rest = raw.trim_ascii_start();
    if rest.first() == Some(&b'@') {
        let (tags, after) = split_word(rest);
        if has_label(&tags[1..]) {
            return false;
        }
        rest = after;
    }
    if rest.first() == Some(&b':') {
        rest = split_word(rest).1;
    }
    let (command, target) = split_word(rest);
    CHAT.iter().any(|chat| command.eq_ignore_ascii_case(chat))
        && match target.strip_prefix(b":").unwrap_or(target) {
            [b'#', ..] => true,
            // No nick starts with one of these (RFC 2812 section 2.3.1), but ranks have these signs too.
            [b'&' | b'+' | b'!', next, ..] => *next != b'#',
            [b'&' | b'+' | b'!'] => true,
            _ => false,
        }
}

/// Up to the first space, and what follows the spaces.
fn split_word(raw: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b' ', raw) {
        Some(at) => (&raw[..at], raw[at..].trim_ascii_start()),
        None => (raw, &[]),
    }
}

fn has_label(tags: &[u8]) -> bool {
    tags.split(|&b| b == b';').any(|tag| tag.starts_with(b"label="))
}

fn trim_end(raw: &[u8]) -> &[u8] {
    let junk = raw.iter().rev().take_while(|&&b| b == b'\r' || b == 0).count();
    &raw[..raw.len() - junk]
}

/// The text of a line, without CR and NUL.
fn decode(raw: &[u8], extent: Extent, charset: Charset) -> Cow<'_, str> {
    if memchr2(b'\r', 0, raw).is_none() {
        return decode_clean(raw, extent, charset);
    }
    let clean: Vec<u8> = raw.iter().copied().filter(|&b| b != b'\r' && b != 0).collect();
    Cow::Owned(decode_clean(&clean, extent, charset).into_owned())
}

/// UTF-8, else all of it in the fallback charset.
///
/// A line that ends inside a character is still UTF-8 when we cut it, or when it has whole characters
/// beyond ASCII before that: servers cut at 512 bytes without looking. The broken end goes.
fn decode_clean(raw: &[u8], extent: Extent, charset: Charset) -> Cow<'_, str> {
    let error = match std::str::from_utf8(raw) {
        Ok(text) => return Cow::Borrowed(text),
        Err(error) => error,
    };
    let good = &raw[..error.valid_up_to()];
    if error.error_len().is_none() && (extent == Extent::Truncated || !good.is_ascii()) {
        return String::from_utf8_lossy(good);
    }
    charset.0.decode_without_bom_handling(raw).0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything a framer says about `bytes` that come in pieces of these sizes, over and over.
    fn framed(bytes: &[u8], pieces: &[usize], observe: Observe) -> (Vec<Line>, Counts) {
        let mut framer = Framer::new(Charset::default());
        let mut lines = Vec::new();
        let mut rest = bytes;
        let mut sizes = pieces.iter().cycle();
        while !rest.is_empty() {
            let taken = rest.len().min(framer.room()).min(*sizes.next().unwrap());
            framer.push(&rest[..taken]);
            rest = &rest[taken..];
            lines.extend(std::iter::from_fn(|| framer.next_line(observe)));
            assert!(framer.buf.capacity() <= LINE_BYTES_MAX, "buffer of {}", framer.buf.capacity());
        }
        (lines, framer.counts())
    }

    fn check(bytes: &[u8], expected: &[&str]) {
        let expected: Vec<Line> = expected.iter().map(|text| Line::parse(text).unwrap()).collect();
        for piece in [1, 2, 7, usize::MAX] {
            assert_eq!(framed(bytes, &[piece], Observe::Chat).0, expected, "in pieces of {piece}");
        }
    }

    #[test]
    fn lines_end_with_lf_however_it_is_dressed() {
        check(
            b"PING a\nPING b\r\nPING c\r\r\n\r\n\n\nPING d\n\rPING e\r\n",
            &["PING a", "PING b", "PING c", "PING d", "PING e"],
        );
        check(b"PING a\r\nPING unended", &["PING a"]);
    }

    #[test]
    fn a_stray_cr_or_nul_goes_and_starts_no_forged_line() {
        check(b":m!u@h PRIVMSG #c :hi\rERROR :forged\r\n", &[":m!u@h PRIVMSG #c :hiERROR :forged"]);
        check(b"PI\0NG\0 a\0\r\0\n", &["PING a"]);
        check(b"\0\r\0\n\0\n", &[]);
    }

    #[test]
    fn a_line_that_is_not_utf8_is_read_in_the_fallback_charset_whole() {
        check(b"PRIVMSG #c :caf\xe9\r\nPING a\r\n", &["PRIVMSG #c :café", "PING a"]);
        check(b"PRIVMSG #c :\xc3\xa9 and \xe9t\xe9\n", &["PRIVMSG #c :Ã© and été"]);
        check("PRIVMSG #c :naïve 🦀\n".as_bytes(), &["PRIVMSG #c :naïve 🦀"]);
        check(b"PRIVMSG #c :\x81\xff\xfe\n", &["PRIVMSG #c :\u{81}ÿþ"]);
    }

    #[test]
    fn a_utf8_line_that_a_server_cut_inside_a_character_stays_utf8() {
        check(b"PRIVMSG #c :\xc3\xa9t\xc3\n", &["PRIVMSG #c :ét"]);
    }

    #[test]
    fn charsets_come_by_label_unless_irc_cannot_carry_them() {
        assert_eq!(Charset::for_label("latin1").unwrap().name(), "windows-1252");
        assert_eq!(Charset::for_label("KOI8-R").unwrap().name(), "KOI8-R");
        assert_eq!(Charset::for_label("utf-16le"), None);
        assert_eq!(Charset::for_label("iso-2022-jp"), None);
        assert_eq!(Charset::for_label("no such"), None);
    }

    #[test]
    fn a_line_at_the_limit_is_whole_and_a_longer_one_is_cut_there() {
        let head = "PRIVMSG #c :";
        let fits = format!("{head}{}", "x".repeat(LINE_BYTES_MAX - head.len() - 2));
        let (lines, counts) = framed(format!("{fits}\r\nPING a\r\n").as_bytes(), &[1000], Observe::Chat);
        assert_eq!(lines, [Line::parse(&fits).unwrap(), Line::parse("PING a").unwrap()]);
        assert_eq!(counts, Counts::default());

        let long = format!("{fits}yyéz and much more\r\nPING a\r\n");
        let (lines, counts) = framed(long.as_bytes(), &[1000], Observe::Chat);
        assert_eq!(lines, [Line::parse(&format!("{fits}yy")).unwrap(), Line::parse("PING a").unwrap()]);
        assert_eq!(counts, Counts { truncated: 1, ..Counts::default() });
    }

    #[test]
    fn twenty_megabytes_without_an_end_cost_one_line_of_memory() {
        let mut bytes = vec![b'x'; 20_000_000];
        bytes.extend_from_slice(b"\r\nPING a\r\n");
        // `framed` asserts the bound on the buffer after each piece.
        let (lines, counts) = framed(&bytes, &[65_536], Observe::Chat);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1], Line::parse("PING a").unwrap());
        assert_eq!(counts.truncated, 1);
    }

    #[test]
    fn nothing_is_held_between_lines() {
        let mut framer = Framer::new(Charset::default());
        let mut feed = |mut bytes: &[u8]| {
            while !bytes.is_empty() {
                let taken = bytes.len().min(512).min(framer.room());
                framer.push(&bytes[..taken]);
                bytes = &bytes[taken..];
                while framer.next_line(Observe::Chat).is_some() {}
            }
            framer.buf.capacity()
        };
        assert_eq!(feed(b"PING a\r\nPING b\r\n"), 0);
        assert!(feed(&[b'x'; 5000]) >= 5000);
        assert_eq!(feed(b"\r\n"), 0);
        assert_eq!(feed(b"PING a\r\nPING").next_power_of_two(), 16);
        assert_eq!(feed(&[b'x'; 3 * LINE_BYTES_MAX]), 0);
    }

    #[test]
    fn channel_chat_is_told_by_its_bytes() {
        let chat = [
            ":a!b@c PRIVMSG #c :hi",
            "@time=1;+label=x :a!b@c  notice  &local :hi",
            "TAGMSG +c",
            "PRIVMSG !ABC :hi",
            ":a PRIVMSG :#c",
            "PRIVMSG ##c :hi",
        ];
        let other = [
            "",
            "@",
            ":",
            "@a",
            ":a",
            "PRIVMSG",
            "PRIVMSG ",
            ":a PRIVMSG me :#c",
            ":s NOTICE * :hi",
            ":s NOTICE $$* :hi",
            ":a JOIN #c",
            ":a TOPIC #c :x",
            "PRIVMSGS #c :x",
            "@label=1;a=b :me PRIVMSG #c :hi",
            "@a=b;label=1 NOTICE #c :x",
            ":a NOTICE @#c :to operators",
            ":a NOTICE +#c :to the voiced",
        ];
        for line in chat {
            assert!(is_channel_chat(line.as_bytes()), "{line}");
        }
        for line in other {
            assert!(!is_channel_chat(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn chat_that_is_not_observed_is_dropped_and_counted() {
        let bytes =
            b":a!b@c PRIVMSG #c :hi\r\n:a!b@c JOIN #c\r\n:a!b@c PRIVMSG me :hi\r\n:a!b@c TAGMSG #c\r\n";
        let (lines, counts) = framed(bytes, &[9], Observe::NoChat);
        let commands: Vec<&str> = lines.iter().map(|line| line.command.as_str()).collect();
        assert_eq!(commands, ["JOIN", "PRIVMSG"]);
        assert_eq!(counts, Counts { unobserved: 2, ..Counts::default() });
    }

    /// Streams with every ending, encoding and length mixed, ended or not.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            4 => "(@a=b;c )?(:n!u@h )?[A-Z]{1,8}( [#a-z]{1,9}){0,3}( :[a-zé ]{0,30})?".prop_map(String::into_bytes),
            4 => prop::sample::select(vec![&b"\r\n"[..], b"\n", b"\r", b"\0", b"\n\r", b"\n\n"]).prop_map(<[u8]>::to_vec),
            2 => prop::collection::vec(any::<u8>(), 0..40),
            1 => (0usize..20_000).prop_map(|len| vec![b'x'; len]),
            1 => (8_000usize..9_000).prop_map(|len| "é".repeat(len / 2).into_bytes()),
        ];
        prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_lines(
            bytes in stream(),
            pieces in prop::collection::vec(1usize..3000, 1..8),
            chat in any::<bool>(),
        ) {
            let observe = if chat { Observe::Chat } else { Observe::NoChat };
            prop_assert_eq!(framed(&bytes, &pieces, observe), framed(&bytes, &[usize::MAX], observe));
        }

        #[test]
        fn the_byte_scan_agrees_with_the_parser(text in "(@[a-z=;]{0,9} )?(:[a-z!@#]{0,5} )?(PRIVMSG|notice|TAGMSG|JOIN) +:?[#&a-z@*]{0,5}( :.{0,9})?") {
            let label = |line: &Line| line.tags.iter().any(|tag| tag.key == "label" && tag.value.is_some());
            let channel = |line: &Line| line.params.first().is_some_and(|to| {
                to.starts_with('#') || to.starts_with(['&', '+', '!']) && !to[1..].starts_with('#')
            });
            if let Some(line) = Line::parse(&text) && !label(&line) {
                let chat = ["PRIVMSG", "NOTICE", "TAGMSG"].contains(&line.command.to_ascii_uppercase().as_str());
                prop_assert_eq!(is_channel_chat(text.as_bytes()), chat && channel(&line));
            }
        }
    }
}
