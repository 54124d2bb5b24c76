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

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::TryRng;
use zeroize::{Zeroize, Zeroizing};

use crate::secret::Secret;

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// Longest name of a key, in bytes.
const ID_BYTES_MAX: usize = 32;
/// Longest key file read, in bytes: some thousand rotations.
const FILE_BYTES_MAX: u64 = 262_144;
/// How long another process may take from making the file to filling it.
const FILLING_MS_MAX: u64 = 1_000;
const FILLING_MS_STEP: u64 = 10;

/// What stands at the top of a key file.
const HEADER: &str =
    "# Keys of bunraku: the first one seals, all of them open. Keep a copy, apart from the database's.\n";

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
        match make(path) {
            Ok(()) => tracing::info!(file = %path.display(), "a key file was made; keep a copy of it"),
            Err(fault) if fault.kind() == ErrorKind::AlreadyExists => {}
            Err(fault) => {
                return Err(key_file(
                    path,
                    format!(
                        "is not there and cannot be made ({fault}); its folder must be there and ours to write in"
                    ),
                ));
            }
        }
        let keys = Mutex::new(read_when_filled(path)?);
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
    ///
    /// The new file is written beside the old one, as `FILE.new`, which also keeps a second rotation out.
    pub fn rotate(&self) -> Result<String, VaultError> {
        let path = &self.0.path;
        let beside = path.with_added_extension("new");
        let mut file = new_file(&beside).map_err(|fault| self.not_rotated(&beside, &fault))?;
        let replaced = read(path).and_then(|(old, text)| {
            let key = Key::fresh(|id| old.find(id).is_none());
            // The other lines stay as they are: notes that somebody wrote there are theirs.
            let (notes, keys) = text.split_at(first_key(&text));
            let text = Zeroizing::new(format!("{notes}{}{keys}", *key.line()));
            let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
            let placed =
                written.and_then(|()| std::fs::rename(&beside, path)).and_then(|()| sync_folder(path));
            placed.map(|()| key.id.clone()).map_err(|fault| self.not_rotated(&beside, &fault))
        });
        if replaced.is_err() {
            std::fs::remove_file(&beside).ok();
        }
        let id = replaced?;
        *self.keys() = read(path)?.0;
        Ok(id)
    }

    /// The path of the key file, for sentences.
    pub fn file(&self) -> String {
        self.0.path.display().to_string()
    }

    fn not_rotated(&self, beside: &Path, fault: &io::Error) -> VaultError {
        let beside = beside.display();
        let why = match fault.kind() {
            ErrorKind::AlreadyExists => format!(
                "is being replaced by another rotation; if none is under way, one was cut off: delete {beside} and try again"
            ),
            _ => format!("cannot be replaced by {beside}: {fault}; mend that and try again"),
        };
        key_file(&self.0.path, why)
    }

    /// Takes over what a rotation has changed. A file that cannot be read now changes nothing.
    fn read_again(&self) {
        match read(&self.0.path) {
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
        let id = std::str::from_utf8(id).ok().filter(|id| is_id(id))?;
        let (nonce, ciphertext) = rest.split_first_chunk()?;
        Some(Self { id, body, nonce: *nonce, ciphertext, seal })
    }
}

/// The keys of a file, in its order; at least one.
struct Keys(Vec<Key>);

impl Keys {
    fn current(&self) -> &Key {
        self.0.first().expect("a key file without a key is not taken")
    }

    fn find(&self, id: &str) -> Option<Key> {
        self.0.iter().find(|key| key.id == id).cloned()
    }
}

/// One key; its clones are the same memory, wiped with the last of them.
#[derive(Clone)]
struct Key {
    id: String,
    bytes: Arc<Zeroizing<[u8; KEY_BYTES]>>,
}

impl Key {
    /// A new key with an id that is free.
    fn fresh(is_free: impl Fn(&str) -> bool) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        let system = "the system gives random bytes";
        rand::rngs::SysRng.try_fill_bytes(bytes.as_mut_slice()).expect(system);
        let id = loop {
            let id = format!("{:08x}", rand::random::<u32>());
            if is_free(&id) {
                break id;
            }
        };
        Self { id, bytes: Arc::new(bytes) }
    }

    /// `None` for what is no `ID:BASE64` of 32 bytes.
    fn of_line(line: &str) -> Option<Self> {
        let (id, text) = line.split_once(':')?;
        let bytes = Zeroizing::new(BASE64.decode(text.trim()).ok()?);
        let bytes = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(bytes.as_slice()).ok()?);
        is_id(id).then(|| Self { id: id.to_owned(), bytes: Arc::new(bytes) })
    }

    fn line(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(BASE64.encode(self.bytes.as_slice()));
        Zeroizing::new(format!("{}:{}\n", self.id, *text))
    }

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

fn is_id(id: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(legal)
}

fn key_file(path: &Path, why: impl Into<String>) -> VaultError {
    VaultError::KeyFile { file: path.display().to_string(), why: why.into() }
}

/// Makes a key file with one key, on disk when this returns; fails where there is a file.
fn make(path: &Path) -> io::Result<()> {
    let mut file = new_file(path)?;
    let text = Zeroizing::new(format!("{HEADER}{}", *Key::fresh(|_| true).line()));
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        std::fs::remove_file(path).ok();
    }
    written.and_then(|()| sync_folder(path))
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// The file's name is in its folder: that has to be on disk, too.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads the file; where its last line has no end yet, somebody may be writing it.
fn read_when_filled(path: &Path) -> Result<Keys, VaultError> {
    let until = Instant::now() + Duration::from_millis(FILLING_MS_MAX);
    loop {
        // In this order: what was whole before it was read is no reason to wait.
        let is_whole = std::fs::read(path).is_ok_and(|bytes| Zeroizing::new(bytes).ends_with(b"\n"));
        let result = read(path);
        if result.is_ok() || is_whole || Instant::now() > until {
            return result.map(|(keys, _)| keys);
        }
        std::thread::sleep(Duration::from_millis(FILLING_MS_STEP));
    }
}

/// The keys, and the text they stand in.
fn read(path: &Path) -> Result<(Keys, Zeroizing<String>), VaultError> {
    let cannot = |fault: io::Error| key_file(path, format!("cannot be read: {fault}"));
    let mut file = OpenOptions::new().read(true).open(path).map_err(cannot)?;
    let about = file.metadata().map_err(cannot)?;
    if !about.is_file() || about.len() > FILE_BYTES_MAX {
        return Err(key_file(path, "is no key file; name another, or move it away to have one made"));
    }
    if about.mode() & 0o077 != 0 {
        let why = format!("can be read by other users; take that from them: chmod 600 {}", path.display());
        return Err(key_file(path, why));
    }
    // Room for all of it: a text that grows leaves copies of itself behind.
    let room = usize::try_from(about.len()).map_or(0, |len| len + 1);
    let mut text = Zeroizing::new(String::with_capacity(room));
    Read::by_ref(&mut file).take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(cannot)?;
    keys_of(path, &text).map(|keys| (keys, text))
}

fn keys_of(path: &Path, text: &str) -> Result<Keys, VaultError> {
    let mut keys = Keys(Vec::new());
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    for (number, line) in lines.filter(|(_, line)| !is_note(line)) {
        let wrong =
            format!("has no key on line {number}: a key is ID:BASE64 of 32 bytes; restore it from a copy");
        let key = Key::of_line(line).ok_or_else(|| key_file(path, wrong))?;
        if keys.find(&key.id).is_some() {
            let why = format!("has two keys with the id {}; restore it from a copy", key.id);
            return Err(key_file(path, why));
        }
        keys.0.push(key);
    }
    if keys.0.is_empty() {
        let why = "holds no key; restore it from a copy, or delete it if nothing was ever sealed";
        return Err(key_file(path, why));
    }
    Ok(keys)
}

fn is_note(line: &str) -> bool {
    line.trim().is_empty() || line.trim().starts_with('#')
}

/// Where the first line with a key begins.
fn first_key(text: &str) -> usize {
    text.split_inclusive('\n').take_while(|line| is_note(line)).map(str::len).sum()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
