//! A password from standard input: typed unseen at a terminal, or piped. Never from the command line, where
//! every user of the computer could read it. No logic of logins here.

use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;

use bunraku::secret::Secret;
use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use zeroize::Zeroizing;

/// Longest password taken, in bytes. Services take less.
const BYTES_MAX: usize = 1_024;
/// What Ctrl-C sends.
const INTERRUPT: u8 = 3;

/// The password; the sentence says what is wrong with what came instead.
pub fn read(prompt: &str) -> Result<Secret, String> {
    let cannot = |fault: io::Error| format!("standard input cannot be read: {fault}");
    let input = io::stdin();
    let text = if input.is_terminal() { typed(prompt) } else { piped(&mut input.lock()) }.map_err(cannot)?;
    password(&text)
}

/// One line from the terminal, which does not show it.
fn typed(prompt: &str) -> io::Result<Zeroizing<Vec<u8>>> {
    let input = io::stdin();
    let before = termios::tcgetattr(&input)?;
    let mut unseen = before.clone();
    // Ctrl-C ends the line rather than the program: it would leave the terminal as it is now.
    unseen.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    unseen.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
    let _restored = Restored { input: &input, before };
    termios::tcsetattr(&input, OptionalActions::Flush, &unseen)?;
    eprint!("{prompt}");
    let mut line = Zeroizing::new(vec![0; 4 * BYTES_MAX]);
    let len = rustix::io::read(&input, line.as_mut_slice())?;
    line.truncate(len);
    Ok(line)
}

/// Gives the terminal its ways back.
struct Restored<'a, F: AsFd> {
    input: &'a F,
    before: Termios,
}

impl<F: AsFd> Drop for Restored<'_, F> {
    fn drop(&mut self) {
        // There is nobody to tell: the terminal is the one that failed.
        termios::tcsetattr(self.input, OptionalActions::Flush, &self.before).ok();
        eprintln!();
    }
}

fn piped(input: &mut impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all that is read: a buffer that grows leaves copies of itself behind.
    let mut text = Zeroizing::new(Vec::with_capacity(4 * BYTES_MAX));
    input.take(3 * BYTES_MAX as u64).read_to_end(&mut text)?;
    Ok(text)
}

fn password(text: &[u8]) -> Result<Secret, String> {
    if text.contains(&INTERRUPT) {
        return Err("nothing was changed".to_owned());
    }
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let text =
        std::str::from_utf8(text).map_err(|_| "the password is not UTF-8; write it in UTF-8".to_owned())?;
    if text.is_empty() {
        return Err(
            "there is no password on standard input; type one, or leave it out with --no-password".to_owned()
        );
    }
    if text.len() > BYTES_MAX {
        return Err(format!(
            "the password is longer than {BYTES_MAX} bytes, which no network takes; choose a shorter one"
        ));
    }
    if text.chars().any(char::is_control) {
        let sentence = "the password holds a line end or another control character, which no network takes; give one line";
        return Err(sentence.to_owned());
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_a_password() {
        for text in ["canary", "canary\n", "canary\r\n"] {
            assert_eq!(password(text.as_bytes()), Ok(Secret::new("canary")));
        }
        assert_eq!(password(b"  a \xc3\x9f \n"), Ok(Secret::new("  a ß ")));
    }

    #[test]
    fn what_no_network_takes_is_refused_and_not_shown() {
        let long = "canary".repeat(200);
        for text in ["", "\n", "canary\ncanary\n", "canary\0", "canary\r\r\n", "canary\u{3}", &long] {
            let told = password(text.as_bytes()).expect_err(text);
            assert!(!told.contains("canary"), "{told}");
        }
        assert!(password(b"canary\xff").is_err());
        let text = piped(&mut io::repeat(b'x')).expect("read");
        assert!(password(&text).is_err_and(|told| told.contains("longer than")), "a file without an end");
    }
}
