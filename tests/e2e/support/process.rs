//! Child processes, free ports, and the user to run as.
//!
//! A [`Daemon`] is ended by its own pid when it goes out of scope. Nothing here looks for processes by name.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A server we started, with the file that takes what it prints.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`; what it prints is added to `log`.
    pub fn start(command: &mut Command, log: &Path) -> Daemon {
        let out = append(log);
        let err = out.try_clone().expect("a file handle can be cloned");
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {:?}: {e}", command.get_program()));
        Daemon { child, log: log.to_owned() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end and waits; `None` if it is still there after `limit`.
    pub fn terminate(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.signal("TERM");
        self.wait(limit)
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            sleep(Duration::from_millis(20));
        }
        None
    }

    /// Panics with the end of the log if the process is no more.
    pub fn assert_running(&mut self, name: &str) {
        if !self.is_running() {
            panic!("{name} ended early; its log:\n{}", tail(&self.log));
        }
    }

    /// Sends it a signal, by its name without SIG.
    pub fn signal(&self, name: &str) {
        // std offers only SIGKILL; the shell's own `kill` is on every system.
        let script = format!("kill -{name} {}", self.child.id());
        let _ = Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A file to add to, made if it is not there.
pub fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("a temporary directory takes files")
}

/// The last few kilobytes of a log, or nothing if there is none.
pub fn tail(path: &Path) -> String {
    const KEEP_BYTES: u64 = 12_000;
    let Ok(mut file) = File::open(path) else { return String::new() };
    let len = file.metadata().map(|m| m.len()).unwrap_or(0);
    let _ = file.seek(SeekFrom::Start(len.saturating_sub(KEEP_BYTES)));
    let mut bytes = Vec::new();
    let _ = file.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A loopback port nobody listens on, never given out twice by this process.
///
/// They lie below the range from which the kernel takes ports for outgoing connections, so that a client cannot
/// sit on one between the asking and the listening.
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const SPAN: u16 = 12_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % u32::from(SPAN)) as u16;
    for _ in 0..SPAN {
        let port = FIRST + (start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % SPAN);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on loopback");
}

/// A loopback address that nothing else of this run comes from, other than 127.0.0.1 itself.
pub fn loopback_address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    // Another run at the same time has another process id.
    Ipv4Addr::new(127, 1 + (std::process::id() % 250) as u8, high, low)
}

/// A temporary directory that servers which refuse to be root can enter too.
pub fn temp_dir() -> tempfile::TempDir {
    let is_kept = std::env::var_os("BUNRAKU_KEEP").is_some();
    let dir = tempfile::Builder::new()
        .prefix("bunraku-e2e-")
        .disable_cleanup(is_kept)
        .tempdir()
        .expect("a temporary directory");
    open_up(dir.path());
    dir
}

/// Makes a directory inside a temporary one, enterable by all.
pub fn sub_dir(parent: &Path, name: &str) -> PathBuf {
    let dir = parent.join(name);
    std::fs::create_dir_all(&dir).expect("a temporary directory takes directories");
    open_up(&dir);
    dir
}

fn open_up(dir: &Path) {
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("the directory is ours");
}

/// Whether this process is root, whom some servers refuse.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").map(|m| m.uid() == 0).unwrap_or(false)
}

/// Gives a directory and the files in it to Debian's user `irc`.
pub fn give_to_irc(dir: &Path) {
    let (uid, gid) = irc_ids();
    let files = std::fs::read_dir(dir).expect("the directory is ours").flatten().map(|f| f.path());
    for path in files.chain([dir.to_owned()]) {
        chown(&path, Some(uid), Some(gid)).expect("root may give files away");
    }
}

fn irc_ids() -> (u32, u32) {
    let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd is readable");
    let line = passwd.lines().find(|l| l.starts_with("irc:")).expect("Debian has a user irc");
    let mut ids = line.split(':').skip(2).map(|id| id.parse().expect("ids are numbers"));
    (ids.next().expect("a uid"), ids.next().expect("a gid"))
}
