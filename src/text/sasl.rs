//! SASL on IRC (IRCv3 "sasl" 3.1 and 3.2): the payloads of the simple mechanisms, and how any payload travels in
//! AUTHENTICATE lines.
//!
//! Knows no state of a login and decides nothing. What SCRAM says is in `scram`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of base64 in one AUTHENTICATE line; a line with exactly this many says that more follows.
pub const CHUNK_BYTES: usize = 400;

/// Most base64 of one server message that is kept, in bytes. Real ones have some hundred.
pub const GATHER_BYTES_MAX: usize = 8 * 1024;

/// The payload of PLAIN (RFC 4616): nobody else's identity, the account, the password. `None` when one of them is
/// empty or holds a NUL, which would end it early.
pub fn plain(account: &str, password: &str) -> Option<Vec<u8>> {
    let usable = |text: &str| !text.is_empty() && !text.contains('\0');
    (usable(account) && usable(password)).then(|| format!("\0{account}\0{password}").into_bytes())
}

/// The payload of EXTERNAL (RFC 4422 appendix A): nothing, for the services know whose certificate it is. An account
/// may stand here, but Atheme 7.2 refuses whoever names one, be it the right one.
pub const EXTERNAL: &[u8] = b"";

/// The lines that carry a payload, without line ending. A last full line is followed by `AUTHENTICATE +`, and an
/// empty payload is that line alone.
pub fn lines(payload: &[u8]) -> Vec<String> {
    let encoded = STANDARD.encode(payload);
    let chunks = encoded.as_bytes().chunks(CHUNK_BYTES);
    let mut lines: Vec<String> = chunks
        .map(|chunk| format!("AUTHENTICATE {}", std::str::from_utf8(chunk).expect("base64 is ASCII")))
        .collect();
    if encoded.len().is_multiple_of(CHUNK_BYTES) {
        lines.push("AUTHENTICATE +".to_owned());
    }
    lines
}

/// Puts a server's message together from its AUTHENTICATE lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gather {
    encoded: String,
}

/// Why a server's message is given up. Whatever was gathered is forgotten with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatherFault {
    #[error("the server's login message has no end")]
    TooLong,
    #[error("the server's login message cannot be read")]
    Nonsense,
}

impl Gather {
    /// Takes the parameter of one AUTHENTICATE line. `None`: more is to come. Keeps at most
    /// [`GATHER_BYTES_MAX`]; what goes over that is a fault, and the next line begins a new message.
    pub fn push(&mut self, chunk: &str) -> Result<Option<String>, GatherFault> {
        let mut encoded = std::mem::take(&mut self.encoded);
        if chunk.len() > CHUNK_BYTES || encoded.len() + chunk.len() > GATHER_BYTES_MAX {
            return Err(GatherFault::TooLong);
        }
        if chunk != "+" {
            encoded.push_str(chunk);
            if chunk.len() == CHUNK_BYTES {
                self.encoded = encoded;
                return Ok(None);
            }
        }
        let bytes = STANDARD.decode(encoded).map_err(|_| GatherFault::Nonsense)?;
        String::from_utf8(bytes).map(Some).map_err(|_| GatherFault::Nonsense)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sends a payload through lines and puts it together again.
    fn echoed(payload: &[u8]) -> Result<Option<String>, GatherFault> {
        let mut gather = Gather::default();
        let mut last = Ok(None);
        for line in lines(payload) {
            assert_eq!(last, Ok(None), "nothing may follow the end");
            last = gather.push(line.strip_prefix("AUTHENTICATE ").unwrap());
        }
        last
    }

    #[test]
    fn payloads_are_as_the_mechanisms_have_them() {
        assert_eq!(plain("jilles", "sesame").unwrap(), b"\0jilles\0sesame");
        assert_eq!(lines(&plain("jilles", "sesame").unwrap()), ["AUTHENTICATE AGppbGxlcwBzZXNhbWU="]);
        for (account, password) in [("", "x"), ("x", ""), ("a\0b", "x"), ("a", "x\0")] {
            assert_eq!(plain(account, password), None);
        }
        assert_eq!(lines(EXTERNAL), ["AUTHENTICATE +"]);
    }

    #[test]
    fn a_full_last_line_is_followed_by_a_plus() {
        let lengths = |bytes: usize| lines(&vec![b'x'; bytes]).iter().map(String::len).collect::<Vec<_>>();
        let (full, plus) = ("AUTHENTICATE ".len() + CHUNK_BYTES, "AUTHENTICATE +".len());
        assert_eq!(lengths(297), [full - 4]);
        assert_eq!(lengths(300), [full, plus]);
        assert_eq!(lengths(301), [full, plus + 3]);
        assert_eq!(lengths(600), [full, full, plus]);
    }

    #[test]
    fn a_message_without_end_is_given_up_and_the_next_one_read() {
        let mut gather = Gather::default();
        let full = "QUFB".repeat(CHUNK_BYTES / 4);
        let faults = (0..100).filter(|_| gather.push(&full).is_err()).count();
        assert_eq!(faults, 100 / (GATHER_BYTES_MAX / CHUNK_BYTES + 1));
        let mut gather = Gather::default();
        assert_eq!(gather.push(&"Q".repeat(CHUNK_BYTES + 1)), Err(GatherFault::TooLong));
        assert_eq!(gather.push("*"), Err(GatherFault::Nonsense));
        assert_eq!(gather.push("/w=="), Err(GatherFault::Nonsense));
        assert_eq!(gather.push("+"), Ok(Some(String::new())));
        assert_eq!(gather.push("aGk="), Ok(Some("hi".to_owned())));
    }

    proptest! {
        #[test]
        fn what_is_cut_comes_together_again(text in "\\PC{0,900}") {
            prop_assert!(lines(text.as_bytes()).iter().all(|line| line.len() <= 13 + CHUNK_BYTES));
            prop_assert_eq!(echoed(text.as_bytes()), Ok(Some(text)));
        }

        #[test]
        fn no_chunk_breaks_it(chunks in prop::collection::vec("[A-Z+=*]{0,9}|\\PC{0,9}|A{400}|é{200}", 0..30)) {
            let mut gather = Gather::default();
            for chunk in chunks {
                let _ = gather.push(&chunk);
                prop_assert!(gather.encoded.len() <= GATHER_BYTES_MAX);
            }
        }
    }
}
