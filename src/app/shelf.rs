//! What people on IRC find under links: the listener for it, where the links lead, and where files come from.
//!
//! Where the key of the links cannot be read there are none, and chat goes on without them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::shell::Shell;
use crate::bridge::media::MediaSource;
use crate::bridge::policy::Policy;
use crate::config::{Config, Media};
use crate::ids::{NetworkId, Time};
use crate::matrix::client::{ClientError, Download};
use crate::store::{LinkId, Linked, Store};
use crate::text::link::Links;
use crate::vault::Vault;
use crate::web::media::{self, Block, Door, File, Item, Peer, Served, Settings, Trouble};

/// Set up, and not yet open.
pub(super) struct Shown {
    listener: TcpListener,
    links: Vec<(NetworkId, Arc<Links>)>,
    settings: Settings,
    pub(super) served: Served,
}

impl Shown {
    /// `None` where nothing is to be shown, or where the links' key cannot be read.
    pub(super) async fn new(config: &Config, store: &Store, vault: &Vault) -> anyhow::Result<Option<Self>> {
        let Some((address, url)) = config.media.shown() else { return Ok(None) };
        let listener = TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("cannot listen on {address} (media.listen)"))?;
        let key = match store.link_key(vault).await {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(%error, "the key of links cannot be read; people on IRC get no links");
                return Ok(None);
            }
        };
        let networks = config.networks.keys().filter_map(|network| NetworkId::new(network));
        let links = networks.map(|network| {
            let links = Arc::new(Links::new(url, &key, &network));
            (network, links)
        });
        let (links, settings) = (links.collect(), settings(&config.media));
        Ok(Some(Self { listener, links, settings, served: Served::default() }))
    }

    /// Gives a network's machine its links.
    pub(super) fn equip(&self, policy: &mut Policy) {
        let own = self.links.iter().find(|(network, _)| *network == policy.network);
        policy.links = own.map(|(_, links)| Arc::clone(links));
    }

    /// Serves until cancelled.
    pub(super) async fn serve(self, shell: Arc<Shell>, cancel: CancellationToken) {
        let shelf = Arc::new(Shelf { shell, links: self.links });
        let router: Router = media::router(shelf, self.settings, self.served);
        let service = router.into_make_service_with_connect_info::<Peer>();
        let served = axum::serve(Door::new(self.listener), service);
        if let Err(error) = served.with_graceful_shutdown(cancel.cancelled_owned()).await {
            tracing::error!(%error, "the listener for files failed");
        }
    }
}

/// How long a link is good, in milliseconds; `None` where nothing is shown.
pub(super) fn link_ms(config: &Config) -> Option<u64> {
    let days = config.media.listen.as_ref().map(|_| config.media.expires_days)?;
    u64::try_from(Duration::from_hours(24 * days).as_millis()).ok()
}

fn settings(media: &Media) -> Settings {
    let blocks = media.trusted_proxies.iter().filter_map(|block| block.parse::<Block>().ok());
    Settings {
        trusted_proxies: blocks.collect(),
        size_bytes_max: media.size_bytes_max,
        requests_per_minute: media.requests_per_minute,
        bytes_per_hour: media.bytes_per_hour,
        transfers_max: media.transfers_max,
    }
}

struct Shelf {
    shell: Arc<Shell>,
    links: Vec<(NetworkId, Arc<Links>)>,
}

impl media::Shelf for Shelf {
    type File = Fetched;

    async fn find(&self, token: &str) -> Result<Option<(Item, Time)>, String> {
        let mut known = self.links.iter();
        let found = known.find_map(|(network, links)| Some((network, links.verify(token)?)));
        // The database is asked for links of ours only.
        let Some((network, (seq, part))) = found else { return Ok(None) };
        let id = LinkId { network: network.clone(), seq, part };
        let linked =
            self.shell.store.link(&self.shell.vault, &id).await.map_err(|error| error.to_string())?;
        Ok(linked.map(|(linked, until)| match linked {
            Linked::Media(media) => (Item::Media(media), until),
            Linked::Text(page) => (Item::Text(page), until),
        }))
    }

    async fn fetch(&self, source: &MediaSource) -> Result<Fetched, Trouble> {
        self.shell.client.download(source).await.map(Fetched).map_err(|error| match error {
            ClientError::NotFound => Trouble::Missing,
            ClientError::Limited { .. } => Trouble::Busy,
            ClientError::Unavailable(_)
            | ClientError::Forbidden { .. }
            | ClientError::Exists
            | ClientError::TooLarge
            | ClientError::WrongToken
            | ClientError::NoDevices(_)
            | ClientError::UnknownDevice
            | ClientError::Refused { .. } => Trouble::Away(error.to_string()),
        })
    }
}

struct Fetched(Download);

impl File for Fetched {
    fn size_bytes(&self) -> Option<u64> {
        self.0.size_bytes()
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, String> {
        self.0.piece().await.map_err(|error| error.to_string())
    }
}
