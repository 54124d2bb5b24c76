//! Secrets at rest: text is sealed with a key that lies in a file, not in the database.
//!
//! Who has the database has no password, and who has the file has none either. What is sealed is bound to its
//! [`Place`]: a row that somebody copied over another one does not open there. The key file has one key a line,
//! `ID:BASE64`; the first seals, all of them open, so that a key can be replaced while old rows still need it.
//!
//! ```text
//!   version 1 | length of id, id | nonce 24 | XChaCha20-Poly1305 of the text, bound to the place | seal 16
//! ```
//!
//! The last 16 bytes vouch for all bytes before them, wherever they lie: they tell a row that was moved from
//! one that is damaged. The file is read again before sealing and when a key is not known, so a program that
//! runs follows a rotation. It never prints a key, keeps no text, and knows nothing of tables.

mod keys;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroize;

use crate::secret::Secret;
use keys::{Key, Keys};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Seals and opens. Cheap to clone; all clones have the same keys.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    path: PathBuf,
    keys: Mutex<Keys>,
}

/// Where a sealed text lies. Two places are the same only if every part of them is.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub table: &'a str,
    /// The values that name the row: network, user, and what else is needed.
    pub row: &'a [&'a str],
    pub column: &'a str,
}

/// Why something does not open. Every sentence says what to do next, and none holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// Mend or restore the key file.
    #[error("the key file {file} {why}")]
    KeyFile { file: String, why: String },
    /// Put the key back.
    #[error(
        "a secret is sealed with the key {key}, which is not in {file}; put that key back from a copy of the file, or set the secret anew"
    )]
    UnknownKey { key: String, file: String },
    /// Start the newer program again.
    #[error(
        "a secret is sealed in the format {0}, which only a newer version of bunraku knows; use that one"
    )]
    Newer(u8),
    /// Restore the database, or set the secret anew.
    #[error("a sealed secret is damaged; restore the database from a copy, or set the secret anew")]
    Damaged,
    /// Find out who changed the database; set the secret anew.
    #[error(
        "a sealed secret is in a place it was not sealed for, so somebody has moved rows in the database; set the secret anew"
    )]
    Moved,
}

impl Vault {
    /// Reads the key file; makes it, with one new key and for its owner only, where there is none.
    ///
    /// When two programs start at once, one makes it and both use it: the other waits up to a second.
    pub fn open_or_make(path: &Path) -> Result<Self, VaultError> {
        keys::make(path)?;
        let keys = Mutex::new(keys::read_when_filled(path)?);
        Ok(Self(Arc::new(Inner { path: path.to_owned(), keys })))
    }

    /// Seals a text for its place, with the first key of the file.
    pub fn seal(&self, place: &Place<'_>, text: &Secret) -> Vec<u8> {
        self.read_again();
        self.keys().current().seal(place, text)
    }

    /// Opens what was sealed for this place.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Secret, VaultError> {
        let parts = Parts::of(sealed)?;
        let known = self.keys().find(parts.id);
        let key = known.or_else(|| {
            self.read_again();
            self.keys().find(parts.id)
        });
        let unknown = || VaultError::UnknownKey { key: parts.id.to_owned(), file: self.file() };
        key.ok_or_else(unknown)?.open(place, &parts)
    }

    /// Whether this was sealed with the key that is used now.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        Parts::of(sealed).is_ok_and(|parts| parts.id == self.keys().current().id)
    }

    /// Puts a new key in front of the file's others, in one step; gives its id. From now on it seals.
    /// A second rotation at the same time is refused.
    pub fn rotate(&self) -> Result<String, VaultError> {
        let id = keys::add(&self.0.path)?;
        *self.keys() = keys::read(&self.0.path)?.0;
        Ok(id)
    }

    /// The path of the key file, for sentences.
    pub fn file(&self) -> String {
        self.0.path.display().to_string()
    }

    /// Takes over what a rotation has changed. A file that cannot be read now changes nothing.
    fn read_again(&self) {
        match keys::read(&self.0.path) {
            Ok((keys, _)) => *self.keys() = keys,
            Err(fault) => tracing::warn!(%fault, "the keys that were read before stay in use"),
        }
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, Keys> {
        // A panic elsewhere leaves whole keys behind: they are only ever replaced in one step.
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.file())
    }
}

impl Place<'_> {
    /// Every part behind its length, so that no two places are the same bytes.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [self.table, self.column].iter().chain(self.row) {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

/// Sealed bytes, taken apart.
struct Parts<'a> {
    id: &'a str,
    /// Version, id, nonce and ciphertext: all that the seal vouches for.
    body: &'a [u8],
    nonce: [u8; NONCE_BYTES],
    ciphertext: &'a [u8],
    seal: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(sealed: &'a [u8]) -> Result<Self, VaultError> {
        match sealed.first() {
            Some(&VERSION) => Self::of_version_1(sealed).ok_or(VaultError::Damaged),
            Some(&newer) if newer > VERSION => Err(VaultError::Newer(newer)),
            Some(_) | None => Err(VaultError::Damaged),
        }
    }

    fn of_version_1(sealed: &'a [u8]) -> Option<Self> {
        let (body, seal) = sealed.split_at_checked(sealed.len().checked_sub(TAG_BYTES)?)?;
        let (id, rest) = body.get(2..)?.split_at_checked(usize::from(*body.get(1)?))?;
        let id = std::str::from_utf8(id).ok().filter(|id| keys::is_id(id))?;
        let (nonce, ciphertext) = rest.split_first_chunk()?;
        Some(Self { id, body, nonce: *nonce, ciphertext, seal })
    }
}

impl Key {
    fn seal(&self, place: &Place<'_>, text: &Secret) -> Vec<u8> {
        let mut sealed = vec![VERSION, u8::try_from(self.id.len()).expect("an id is short")];
        sealed.extend_from_slice(self.id.as_bytes());
        let nonce: [u8; NONCE_BYTES] = rand::random();
        sealed.extend_from_slice(&nonce);
        let payload = Payload { msg: text.expose().as_bytes(), aad: &place.bytes() };
        let small = "a secret is shorter than the cipher's 256 GiB";
        sealed.extend(self.cipher().encrypt(&text_nonce(nonce), payload).expect(small));
        let seal = self.vouch(nonce, &sealed);
        sealed.extend(seal);
        sealed
    }

    fn open(&self, place: &Place<'_>, parts: &Parts<'_>) -> Result<Secret, VaultError> {
        let vouched = Payload { msg: parts.seal, aad: parts.body };
        let cipher = self.cipher();
        cipher.decrypt(&seal_nonce(parts.nonce), vouched).map_err(|_| VaultError::Damaged)?;
        let payload = Payload { msg: parts.ciphertext, aad: &place.bytes() };
        let text = cipher.decrypt(&text_nonce(parts.nonce), payload).map_err(|_| VaultError::Moved)?;
        String::from_utf8(text).map(Secret::from).map_err(|fault| {
            fault.into_bytes().zeroize();
            VaultError::Damaged
        })
    }

    /// 16 bytes that only this key makes for these.
    fn vouch(&self, nonce: [u8; NONCE_BYTES], body: &[u8]) -> Vec<u8> {
        let nothing = Payload { msg: &[], aad: body };
        self.cipher().encrypt(&seal_nonce(nonce), nothing).expect("nothing is short")
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&**self.bytes).into())
    }
}

/// The two uses of a random nonce differ in one bit: the same nonce for both would give the seal away.
fn text_nonce(mut nonce: [u8; NONCE_BYTES]) -> XNonce {
    nonce[NONCE_BYTES - 1] &= 0xfe;
    nonce.into()
}

fn seal_nonce(mut nonce: [u8; NONCE_BYTES]) -> XNonce {
    nonce[NONCE_BYTES - 1] |= 1;
    nonce.into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD as BASE64;

    use super::keys::{HEADER, KEY_BYTES, is_note, new_file};
    use super::*;

    const CANARY: &str = "canary-7f3e-ß";

    fn place<'a>(row: &'a [&'a str]) -> Place<'a> {
        Place { table: "logins", row, column: "password" }
    }

    const ALICE: &[&str] = &["libera", "@alice:hs"];

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bunraku.key");
        (folder, path)
    }

    fn refusal(path: &Path) -> String {
        Vault::open_or_make(path).expect_err("refused").to_string()
    }

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    /// What `text` is after a rotation's new first key: the keys only, without notes.
    fn key_lines(text: &str) -> Vec<&str> {
        text.lines().filter(|line| !is_note(line)).collect()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let (_folder, path) = folder();
        let vault = Vault::open_or_make(&path).unwrap();
        for text in [CANARY, "", "a\0b", &"long ".repeat(10_000)] {
            let secret = Secret::new(text);
            let sealed = vault.seal(&place(ALICE), &secret);
            assert!(!sealed.windows(CANARY.len()).any(|part| part == CANARY.as_bytes()));
            assert_ne!(sealed, vault.seal(&place(ALICE), &secret), "no two seals are alike");
            assert!(vault.open(&place(ALICE), &sealed).unwrap() == secret);
            let again = Vault::open_or_make(&path).unwrap();
            assert!(again.open(&place(ALICE), &sealed).unwrap() == secret, "a restart opens it, too");
        }
        let sealed = vault.seal(&place(ALICE), &Secret::new(CANARY));
        let elsewhere = [
            Place { table: "channel_keys", ..place(ALICE) },
            Place { column: "certificate_key", ..place(ALICE) },
            place(&["oftc", "@alice:hs"]),
            place(&["libera", "@mallory:hs"]),
            place(&["libera@alice:hs"]),
            place(&["libera@", "alice:hs"]),
            place(&["libera", "@alice:hs", ""]),
        ];
        for place in elsewhere {
            assert_eq!(vault.open(&place, &sealed), Err(VaultError::Moved), "{place:?}");
        }
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let (_folder, path) = folder();
        let vault = Vault::open_or_make(&path).unwrap();
        let sealed = vault.seal(&place(ALICE), &Secret::new(CANARY));
        for at in 0..sealed.len() {
            for flip in [1, 0x80] {
                let mut changed = sealed.clone();
                changed[at] ^= flip;
                let told = vault.open(&place(ALICE), &changed).expect_err("changed");
                assert_ne!(told, VaultError::Moved, "byte {at}");
            }
            let told = vault.open(&place(ALICE), &sealed[..at]).expect_err("cut");
            assert!(told == VaultError::Damaged || matches!(told, VaultError::UnknownKey { .. }), "{told}");
        }
        assert_eq!(vault.open(&place(ALICE), &[9, 0, 0]), Err(VaultError::Newer(9)));
        let longer = [sealed.as_slice(), b"x"].concat();
        assert_eq!(vault.open(&place(ALICE), &longer), Err(VaultError::Damaged));
    }

    #[test]
    fn starts_at_the_same_time_make_one_key() {
        let (_folder, path) = folder();
        let begin = std::sync::Barrier::new(16);
        let vaults: Vec<Vault> = std::thread::scope(|scope| {
            let start = || {
                begin.wait();
                Vault::open_or_make(&path).unwrap()
            };
            let starts: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let sealed = vaults[0].seal(&place(ALICE), &Secret::new(CANARY));
        for vault in &vaults {
            assert_eq!(vault.open(&place(ALICE), &sealed).unwrap().expose(), CANARY);
        }
        assert_eq!(key_lines(&text(&path)).len(), 1);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_another_start_is_filling_is_waited_for() {
        let (_folder, path) = folder();
        let mut file = new_file(&path).unwrap();
        let line = Key::fresh(|_| true).line();
        let (begin, end) = line.split_at(20);
        file.write_all(begin.as_bytes()).unwrap();
        std::thread::scope(|scope| {
            let start = scope.spawn(|| Vault::open_or_make(&path));
            file.write_all(end.as_bytes()).unwrap();
            start.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_rotation_is_followed_by_programs_that_run() {
        let (folder, path) = folder();
        let (running, by_hand) = (Vault::open_or_make(&path).unwrap(), Vault::open_or_make(&path).unwrap());
        let old = running.seal(&place(ALICE), &Secret::new(CANARY));
        let before = text(&path);
        let id = by_hand.rotate().unwrap();
        let after = text(&path);
        assert!(after.starts_with(HEADER), "notes stay where they are: {after}");
        assert!(key_lines(&after)[0].starts_with(&id));
        assert_eq!(key_lines(&after)[1..], key_lines(&before), "the old key still opens");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");

        assert!(!by_hand.is_current(&old));
        let new = by_hand.seal(&place(ALICE), &by_hand.open(&place(ALICE), &old).unwrap());
        assert!(by_hand.is_current(&new));
        assert_eq!(running.open(&place(ALICE), &new).unwrap().expose(), CANARY);
        by_hand.rotate().unwrap();
        assert!(!by_hand.is_current(&new));
        let newest = running.seal(&place(ALICE), &Secret::new(CANARY));
        assert!(by_hand.is_current(&newest), "who runs seals with the key that came meanwhile");
    }

    #[test]
    fn rotations_at_the_same_time_lose_no_key() {
        let (_folder, path) = folder();
        let vault = Vault::open_or_make(&path).unwrap();
        let made: Vec<String> = std::thread::scope(|scope| {
            let rotations: Vec<_> = (0..8).map(|_| scope.spawn(|| vault.rotate())).collect();
            let ended = rotations.into_iter().map(|rotation| rotation.join().unwrap());
            ended.filter_map(Result::ok).collect()
        });
        assert!(!made.is_empty(), "one of them comes first");
        for id in &made {
            assert!(vault.keys().find(id).is_some() && text(&path).contains(id.as_str()), "{id}");
        }
        assert_eq!(key_lines(&text(&path)).len(), made.len() + 1);
    }

    #[test]
    fn a_rotation_that_was_cut_off_is_told() {
        let (_folder, path) = folder();
        let vault = Vault::open_or_make(&path).unwrap();
        let before = text(&path);
        std::fs::write(path.with_added_extension("new"), "half").unwrap();
        let told = vault.rotate().unwrap_err().to_string();
        assert!(told.contains("if none is under way, one was cut off: delete"), "{told}");
        assert_eq!(text(&path), before);
        std::fs::remove_file(path.with_added_extension("new")).unwrap();
        vault.rotate().unwrap();
    }

    #[test]
    fn a_key_that_is_gone_is_named() {
        let (_folder, path) = folder();
        let vault = Vault::open_or_make(&path).unwrap();
        let sealed = vault.seal(&place(ALICE), &Secret::new(CANARY));
        let id = vault.keys().current().id.clone();
        std::fs::remove_file(&path).unwrap();
        let told = Vault::open_or_make(&path).unwrap().open(&place(ALICE), &sealed).unwrap_err();
        assert_eq!(told, VaultError::UnknownKey { key: id, file: path.display().to_string() });
    }

    #[test]
    fn a_key_file_of_others_is_refused() {
        let (_folder, path) = folder();
        Vault::open_or_make(&path).unwrap();
        for mode in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let file = path.display();
            let sentence = format!(
                "the key file {file} can be read by other users; take that from them: chmod 600 {file}"
            );
            assert_eq!(refusal(&path), sentence);
        }
    }

    #[test]
    fn what_is_no_key_file_is_refused_and_not_shown() {
        let (folder, path) = folder();
        let good = Key::fresh(|_| true).line();
        let key = BASE64.encode([7; KEY_BYTES]);
        let cases = [
            (format!("{}{CANARY}\n", *good), "has no key on line 2"),
            (format!("\n# note\na:{}\n", BASE64.encode(CANARY)), "has no key on line 3"),
            (format!("{CANARY}:{key}\n"), "has no key on line 1"),
            (format!(":{key}\n"), "has no key on line 1"),
            (format!("a:{key}\nb:{key}\na:{key}\n"), "has two keys with the id a"),
            ("# only notes\n".to_owned(), "holds no key"),
            ("x".repeat(300_000), "is no key file"),
        ];
        for (content, words) in cases {
            std::fs::remove_file(&path).ok();
            new_file(&path).unwrap().write_all(content.as_bytes()).unwrap();
            let told = refusal(&path);
            assert!(told.contains(words) && !told.contains("canary"), "{told}");
            assert!(!told.contains(&key) && !told.contains(&BASE64.encode(CANARY)), "{told}");
            assert_eq!(text(&path), content, "it is left alone");
        }
        assert!(refusal(folder.path()).contains("is no key file"));
        let told = refusal(&folder.path().join("no/such/file"));
        assert!(told.contains("its folder must be there"), "{told}");
    }

    #[test]
    fn a_file_with_windows_line_ends_and_without_a_last_one_is_read() {
        let (_folder, path) = folder();
        let key = BASE64.encode([7; KEY_BYTES]);
        new_file(&path).unwrap().write_all(format!("a:{key}\r\nb:{key}").as_bytes()).unwrap();
        let vault = Vault::open_or_make(&path).unwrap();
        assert_eq!(vault.keys().0.len(), 2);
        vault.rotate().unwrap();
        assert_eq!(vault.keys().0.len(), 3);
    }

    #[test]
    fn debug_shows_no_key() {
        let (_folder, path) = folder();
        let vault = Vault::open_or_make(&path).unwrap();
        let shown = format!("{vault:?} {:#?} {:?}", vault.clone(), Vault::open_or_make(&path));
        let content = text(&path);
        let (id, key) = key_lines(&content)[0].split_once(':').unwrap();
        assert!(shown.contains("bunraku.key") && !shown.contains(key) && !shown.contains(id), "{shown}");
        fn wiped(_: &impl zeroize::ZeroizeOnDrop) {}
        wiped(&*vault.keys().current().bytes);
        wiped(&vault.keys().current().cipher());
    }
}
