//! `bunraku registration`: writes the registration file and says what to do with it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bunraku::config::registration::{Draft, write};
use bunraku::secret::Secret;

use super::{Exit, Registration, load, refuse};

/// Writes the file.
pub fn main(arguments: &Registration) -> Exit {
    draft_and_write(arguments).unwrap_or_else(|exit| exit)
}

fn draft_and_write(arguments: &Registration) -> Result<Exit, Exit> {
    let loaded = load(&arguments.config.path)?;
    if !loaded.warnings.is_empty() {
        eprintln!("{}", loaded.warnings);
    }
    let path = arguments.output.clone().unwrap_or_else(|| loaded.config.appservice.registration.clone());
    let draft = Draft { bot: arguments.bot.clone(), as_token: token(), hs_token: token() };
    let text = write(&loaded.config, &draft, &path).map_err(|problems| refuse(&problems))?;
    let written = if arguments.force { replace(&path, &text) } else { create(&path, &text) };
    match written {
        Ok(()) => {
            println!("{}", next_steps(&path, arguments));
            Ok(Exit::Good)
        }
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {
            eprintln!(
                "{}: there is a registration already, and nothing was changed; --force replaces it, its tokens are lost then",
                path.display()
            );
            Err(Exit::Usage)
        }
        Err(fault) => {
            eprintln!("{}: cannot be written: {fault}", path.display());
            Err(Exit::Fault)
        }
    }
}

/// 256 random bits in hexadecimal.
fn token() -> Secret {
    let bytes: [u8; 32] = rand::random();
    Secret::new(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// Writes a new file that only its owner can read.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Puts a new file in the place of an old one, if there is one, in one step: a reader finds the old or the new.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    match fs::remove_file(&beside) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
        Ok(()) | Err(_) => {}
    }
    create(&beside, text)?;
    fs::rename(&beside, path)
}

fn next_steps(path: &Path, arguments: &Registration) -> String {
    let config = arguments.config.path.display();
    let full = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    format!(
        "Wrote {}; only you can read it.

Next, with Synapse:
  1. Let it read the file, for example:
       install -o matrix-synapse -m 600 {} /etc/matrix-synapse/bunraku.yaml
  2. Name the file in homeserver.yaml:
       app_service_config_files:
         - /etc/matrix-synapse/bunraku.yaml
  3. Restart Synapse.
Then:
  4. bunraku check --config {config}
  5. bunraku run --config {config}",
        path.display(),
        full.display(),
    )
}
