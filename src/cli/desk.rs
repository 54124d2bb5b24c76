//! What the commands on the database share: the configuration, the store, the vault, and how a fault is told.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use bunraku::config::Config;
use bunraku::ids::{NetworkId, UserId};
use bunraku::store::{Store, StoreError};
use bunraku::vault::Vault;
use clap::Args;

use super::{Exit, load, logging, runtime};

/// What is logged here: what somebody has to look at.
const LOG: &str = "warn,bunraku::vault=info";

/// Whose matter on which network.
#[derive(Debug, Args)]
pub(super) struct Who {
    /// The network, by its key in the configuration
    pub(super) network: String,
    /// The Matrix user, such as @alice:example.org
    #[arg(value_parser = user)]
    pub(super) user: UserId,
}

/// Where the commands on the database are done.
pub(super) struct Desk {
    file: PathBuf,
    config: Config,
}

impl Desk {
    pub(super) fn open(file: &Path) -> Result<Self, Exit> {
        let config = load(file)?.config;
        // The configuration's filter is for the bridge, whose news nobody has asked for here.
        let filter = std::env::var_os("RUST_LOG").is_none().then_some(LOG);
        logging::start(&config.logging, filter).map(drop).map_err(|sentence| told(Exit::Usage, sentence))?;
        Ok(Self { file: file.to_owned(), config })
    }

    /// A network of the configuration.
    pub(super) fn network(&self, name: &str) -> Result<NetworkId, Exit> {
        let known = self.config.networks.contains_key(name);
        NetworkId::new(name).filter(|_| known).ok_or_else(|| {
            let names: Vec<&str> = self.config.networks.keys().map(String::as_str).collect();
            let (file, names) = (self.file.display(), names.join(", "));
            told(Exit::Usage, format!("{name} is no network of {file}; take one of these: {names}"))
        })
    }

    pub(super) fn vault(&self) -> Result<Vault, Exit> {
        Vault::open_or_make(&self.config.secrets.key_file).map_err(|fault| told(Exit::Fault, fault))
    }

    /// Opens the database for one question and closes it.
    pub(super) fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&Store) -> Result<T, StoreError>,
    ) -> Result<T, Exit> {
        let asked = async {
            let store = Store::open(self.config.database.url.expose()).await?;
            let answer = question(&store).await?;
            store.close().await.map(|()| answer)
        };
        runtime()?.block_on(asked).map_err(|fault| told(Exit::Fault, fault))
    }
}

/// Tells a fault on standard error.
pub(super) fn told(exit: Exit, sentence: impl Display) -> Exit {
    eprintln!("{sentence}");
    exit
}

/// A Matrix user as people write one.
pub(super) fn user(text: &str) -> Result<UserId, String> {
    UserId::new(text).ok_or_else(|| "write a Matrix user in full, such as @alice:example.org".to_owned())
}
