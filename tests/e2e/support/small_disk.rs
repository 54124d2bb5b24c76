//! A file system that is small enough to be filled, and somebody who fills it.
//!
//! A tmpfs, which only root may mount. `scripts/test` sees to it where the user is not root; by hand the test does it
//! itself if it is.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{is_root, sub_dir};

/// Enough for a bridge at rest, its write-ahead log of 4 MB included, and little more.
const SIZE_MB: u32 = 16;

/// Where it is; it goes when this does, if this made it.
pub struct SmallDisk {
    dir: PathBuf,
    is_ours: bool,
}

impl SmallDisk {
    /// The one that `BUNRAKU_SMALL_DISK` names, else one of this test's own below `parent`.
    pub fn mount(parent: &Path) -> SmallDisk {
        if let Some(dir) = std::env::var_os("BUNRAKU_SMALL_DISK") {
            let dir = PathBuf::from(dir);
            for file in std::fs::read_dir(&dir).expect("BUNRAKU_SMALL_DISK is a folder").flatten() {
                std::fs::remove_file(file.path()).expect("the small disk is ours");
            }
            return SmallDisk { dir, is_ours: false };
        }
        assert!(
            is_root(),
            "only root may mount a small disk: run as root, or name a tmpfs of {SIZE_MB} MB in BUNRAKU_SMALL_DISK, as \
             scripts/test does"
        );
        let dir = sub_dir(parent, "small");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={SIZE_MB}m"), "tmpfs"]).arg(&dir);
        assert!(mount.status().is_ok_and(|status| status.success()), "a tmpfs cannot be mounted");
        SmallDisk { dir, is_ours: true }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Takes all that is left.
    pub fn fill(&self) {
        let mut file = File::create(self.ballast()).expect("a file can be made");
        // By pages, so that not even one is left.
        let page = [0_u8; 4096];
        loop {
            match file.write_all(&page) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => return,
                Err(error) => panic!("the small disk cannot be filled: {error}"),
            }
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub fn relieve(&self) {
        std::fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.dir.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = Command::new("umount").arg(&self.dir).status();
        }
    }
}
