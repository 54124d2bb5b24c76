//! The key file: made once, read often, given a new first line by a rotation.
//!
//! ```text
//!   # notes
//!   ID:BASE64 of 32 bytes      the first seals
//!   ID:BASE64                  the others only open
//! ```
//!
//! It is for its owner only, and refused where it is not. It changes in one step: who reads it finds the old
//! text or the new one. Nothing here seals, and no sentence quotes a line.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::TryRng;
use zeroize::Zeroizing;

use super::VaultError;

pub(super) const KEY_BYTES: usize = 32;
/// Longest name of a key, in bytes.
pub(super) const ID_BYTES_MAX: usize = 32;
/// Longest key file read, in bytes: some thousand rotations.
const FILE_BYTES_MAX: u64 = 262_144;
/// How long another process may take from making the file to filling it.
const FILLING_MS_MAX: u64 = 1_000;
const FILLING_MS_STEP: u64 = 10;

/// What stands at the top of a key file.
pub(super) const HEADER: &str =
    "# Keys of bunraku: the first one seals, all of them open. Keep a copy, apart from the database's.\n";

/// The keys of a file, in its order; at least one.
pub(super) struct Keys(pub(super) Vec<Key>);

impl Keys {
    pub(super) fn current(&self) -> &Key {
        self.0.first().expect("a key file without a key is not taken")
    }

    pub(super) fn find(&self, id: &str) -> Option<Key> {
        self.0.iter().find(|key| key.id == id).cloned()
    }
}

/// One key; its clones are the same memory, wiped with the last of them.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) bytes: Arc<Zeroizing<[u8; KEY_BYTES]>>,
}

impl Key {
    /// A new key with an id that is free.
    pub(super) fn fresh(is_free: impl Fn(&str) -> bool) -> Self {
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

    pub(super) fn line(&self) -> Zeroizing<String> {
        let text = Zeroizing::new(BASE64.encode(self.bytes.as_slice()));
        Zeroizing::new(format!("{}:{}\n", self.id, *text))
    }
}

pub(super) fn is_id(id: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(legal)
}

fn key_file(path: &Path, why: impl Into<String>) -> VaultError {
    VaultError::KeyFile { file: path.display().to_string(), why: why.into() }
}

/// Makes a key file with one key, on disk when this returns. Where there is a file it stays.
pub(super) fn make(path: &Path) -> Result<(), VaultError> {
    let made = new_file(path).and_then(|file| fill(path, file));
    match made {
        Ok(()) => tracing::info!(file = %path.display(), "a key file was made; keep a copy of it"),
        Err(fault) if fault.kind() == ErrorKind::AlreadyExists => {}
        Err(fault) => {
            let next = "its folder must be there and ours to write in";
            return Err(key_file(path, format!("is not there and cannot be made ({fault}); {next}")));
        }
    }
    Ok(())
}

fn fill(path: &Path, mut file: File) -> io::Result<()> {
    let text = Zeroizing::new(format!("{HEADER}{}", *Key::fresh(|_| true).line()));
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        std::fs::remove_file(path).ok();
    }
    written.and_then(|()| sync_folder(path))
}

/// Puts a new key in front of the file's others, in one step; gives its id.
///
/// The new file is written beside the old one, as `FILE.new`, which also keeps a second rotation out. It is the
/// old one's owner's, whoever runs this.
pub(super) fn add(path: &Path) -> Result<String, VaultError> {
    let beside = path.with_added_extension("new");
    let file = new_file(&beside).map_err(|fault| not_replaced(path, &beside, &fault))?;
    // From here on the old file is nobody else's to replace: it is read only now.
    let replaced = read(path).and_then(|(old, text)| {
        let key = Key::fresh(|id| old.find(id).is_none());
        // The other lines stay as they are: notes that somebody wrote there are theirs.
        let (notes, keys) = text.split_at(first_key(&text));
        let text = Zeroizing::new(format!("{notes}{}{keys}", *key.line()));
        let placed = replace(path, &beside, file, &text);
        placed.map(|()| key.id).map_err(|fault| not_replaced(path, &beside, &fault))
    });
    if replaced.is_err() {
        std::fs::remove_file(&beside).ok();
    }
    replaced
}

fn replace(path: &Path, beside: &Path, mut file: File, text: &str) -> io::Result<()> {
    let old = std::fs::metadata(path)?;
    fchown(&file, Some(old.uid()), None)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(beside, path)?;
    sync_folder(path)
}

fn not_replaced(path: &Path, beside: &Path, fault: &io::Error) -> VaultError {
    let beside = beside.display();
    let why = match fault.kind() {
        ErrorKind::AlreadyExists => format!(
            "is being replaced by another rotation; if none is under way, one was cut off: delete {beside} and try again"
        ),
        _ => format!("cannot be replaced by {beside}: {fault}; mend that and try again"),
    };
    key_file(path, why)
}

pub(super) fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// The file's name is in its folder: that has to be on disk, too.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads the file; where its last line has no end yet, somebody may be writing it.
pub(super) fn read_when_filled(path: &Path) -> Result<Keys, VaultError> {
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
pub(super) fn read(path: &Path) -> Result<(Keys, Zeroizing<String>), VaultError> {
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

pub(super) fn is_note(line: &str) -> bool {
    line.trim().is_empty() || line.trim().starts_with('#')
}

/// Where the first line with a key begins.
fn first_key(text: &str) -> usize {
    text.split_inclusive('\n').take_while(|line| is_note(line)).map(str::len).sum()
}
