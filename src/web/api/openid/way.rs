//! The way to another homeserver by its name (server-server API, "Resolving server names"): an address, a port in the name,
//! `/.well-known/matrix/server`, SRV records, port 8448, in this order.
//!
//! Names are resolved first and addresses looked at before anything is sent: what is not of the world is refused, and what was
//! looked at is what is connected to.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};
use serde::Deserialize;
use tokio::net::lookup_host;
use tokio::time::timeout;

use super::address::is_public;
use super::http::Http;
use super::name::ServerName;

/// Where homeservers listen for each other.
const PORT: u16 = 8448;
/// Targets of SRV records that are tried, at most.
const TARGETS_MAX: usize = 4;
/// Addresses of one name that are tried, at most.
const ADDRESSES_MAX: usize = 8;
const LOOK_UP_WAIT: Duration = Duration::from_secs(5);

/// Where to ask: the host of the URL and of the certificate, the port, and the addresses.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) host: ServerName,
    pub(super) port: u16,
    pub(super) addresses: Vec<SocketAddr>,
}

/// Why there is no way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoWay {
    #[error("its name leads nowhere")]
    Nowhere,
    #[error("its name leads to an address that is not of the world")]
    Near,
}

/// What the world knows of names. The real one asks; tests have their own.
pub(super) trait World: Sync {
    /// All addresses of a name.
    fn addresses(&self, host: &str) -> impl Future<Output = Vec<IpAddr>> + Send;
    /// Targets and ports of a service, the best first.
    fn service(&self, name: &str) -> impl Future<Output = Vec<(String, u16)>> + Send;
    /// The server that a host names in its well-known file; these are its addresses.
    fn well_known(
        &self,
        host: &ServerName,
        addresses: &[SocketAddr],
    ) -> impl Future<Output = Option<String>> + Send;
}

/// The way to a server.
pub(super) async fn find(world: &impl World, name: &ServerName) -> Result<Way, NoWay> {
    if name.address().is_some() || name.port.is_some() {
        return direct(world, name, name.port.unwrap_or(PORT)).await;
    }
    // A host whose addresses are near is not asked for anything; nor is one that has none.
    if let Ok(addresses) = resolved(world, &name.host, 443).await
        && let Some(named) = world.well_known(name, &addresses).await
        && let Some(delegated) = ServerName::read(&named)
    {
        if delegated.address().is_some() || delegated.port.is_some() {
            return direct(world, &delegated, delegated.port.unwrap_or(PORT)).await;
        }
        return by_records(world, &delegated).await;
    }
    by_records(world, name).await
}

async fn by_records(world: &impl World, name: &ServerName) -> Result<Way, NoWay> {
    let mut found: Option<NoWay> = None;
    // `_matrix` alone is the older name, which servers may still use.
    for service in ["_matrix-fed._tcp", "_matrix._tcp"] {
        let targets = world.service(&format!("{service}.{}.", name.host)).await;
        for (target, port) in targets.into_iter().take(TARGETS_MAX) {
            match resolved(world, target.trim_end_matches('.'), port).await {
                // The certificate is of the name, not of the target.
                Ok(addresses) => return Ok(Way { host: name.clone(), port, addresses }),
                Err(why) => found = Some(why),
            }
        }
        if let Some(why) = found {
            return Err(why);
        }
    }
    direct(world, name, PORT).await
}

async fn direct(world: &impl World, name: &ServerName, port: u16) -> Result<Way, NoWay> {
    let addresses = resolved(world, &name.host, port).await?;
    Ok(Way { host: name.clone(), port, addresses })
}

/// The addresses of a host that may be asked.
async fn resolved(world: &impl World, host: &str, port: u16) -> Result<Vec<SocketAddr>, NoWay> {
    let all = match host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => world.addresses(host).await,
    };
    if all.is_empty() {
        return Err(NoWay::Nowhere);
    }
    let public = all.into_iter().filter(|address| is_public(*address)).take(ADDRESSES_MAX);
    let public: Vec<SocketAddr> = public.map(|address| SocketAddr::new(address, port)).collect();
    if public.is_empty() { Err(NoWay::Near) } else { Ok(public) }
}

/// The internet.
pub(super) struct Internet {
    http: Http,
    /// `None` where the system's configuration of DNS cannot be read: there are no SRV records then.
    records: Option<TokioResolver>,
}

impl Internet {
    pub(super) fn new(http: Http) -> Self {
        let records = TokioResolver::builder_tokio().and_then(|builder| builder.build());
        let records = records.map_err(|error| tracing::warn!(%error, "SRV records cannot be looked up")).ok();
        Self { http, records }
    }
}

#[derive(Deserialize)]
struct WellKnown {
    #[serde(rename = "m.server")]
    server: String,
}

impl World for Internet {
    async fn addresses(&self, host: &str) -> Vec<IpAddr> {
        match timeout(LOOK_UP_WAIT, lookup_host((host, 0))).await {
            Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    async fn service(&self, name: &str) -> Vec<(String, u16)> {
        let Some(records) = &self.records else { return Vec::new() };
        let Ok(Ok(found)) = timeout(LOOK_UP_WAIT, records.lookup(name, RecordType::SRV)).await else {
            return Vec::new();
        };
        let mut targets: Vec<_> = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some((srv.priority, srv.target.to_utf8(), srv.port)),
                _ => None,
            })
            .collect();
        // Weights spread load; one question has none to spread.
        targets.sort();
        targets.into_iter().map(|(_, target, port)| (target, port)).collect()
    }

    async fn well_known(&self, host: &ServerName, addresses: &[SocketAddr]) -> Option<String> {
        let url = format!("https://{}/.well-known/matrix/server", host.in_url());
        let pinned = Some((host.host.as_str(), addresses));
        self.http.get::<WellKnown>(&url, pinned).await.ok().map(|found| found.server)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Says what it was told to.
    #[derive(Default)]
    struct Told {
        addresses: HashMap<&'static str, &'static str>,
        services: HashMap<&'static str, (&'static str, u16)>,
        well_known: HashMap<&'static str, &'static str>,
    }

    impl World for Told {
        async fn addresses(&self, host: &str) -> Vec<IpAddr> {
            self.addresses.get(host).map(|text| text.parse().expect("an address")).into_iter().collect()
        }

        async fn service(&self, name: &str) -> Vec<(String, u16)> {
            self.services.get(name).map(|(target, port)| ((*target).to_owned(), *port)).into_iter().collect()
        }

        async fn well_known(&self, host: &ServerName, addresses: &[SocketAddr]) -> Option<String> {
            assert!(addresses.iter().all(|address| is_public(address.ip()) && address.port() == 443));
            self.well_known.get(host.host.as_str()).map(|text| (*text).to_owned())
        }
    }

    async fn way(world: &Told, name: &str) -> Result<String, NoWay> {
        let found = find(world, &ServerName::read(name).expect("a name")).await?;
        Ok(format!("{}:{} at {}", found.host.in_url(), found.port, found.addresses[0]))
    }

    #[tokio::test]
    async fn each_step_of_the_specification_is_taken_in_its_order() {
        let mut world = Told::default();
        world.addresses.extend([("a.org", "1.1.1.1"), ("hs.a.org", "1.1.1.2"), ("srv.a.org", "1.1.1.3")]);
        assert_eq!(way(&world, "1.2.3.4").await.unwrap(), "1.2.3.4:8448 at 1.2.3.4:8448");
        assert_eq!(way(&world, "[2606::1]:7").await.unwrap(), "[2606::1]:7 at [2606::1]:7");
        assert_eq!(way(&world, "a.org:99").await.unwrap(), "a.org:99 at 1.1.1.1:99");
        assert_eq!(way(&world, "a.org").await.unwrap(), "a.org:8448 at 1.1.1.1:8448");
        world.services.insert("_matrix._tcp.a.org.", ("srv.a.org.", 5));
        assert_eq!(way(&world, "a.org").await.unwrap(), "a.org:5 at 1.1.1.3:5");
        world.services.insert("_matrix-fed._tcp.a.org.", ("srv.a.org.", 6));
        assert_eq!(way(&world, "a.org").await.unwrap(), "a.org:6 at 1.1.1.3:6");
        world.well_known.insert("a.org", "hs.a.org:443");
        assert_eq!(way(&world, "a.org").await.unwrap(), "hs.a.org:443 at 1.1.1.2:443");
        world.well_known.insert("a.org", "hs.a.org");
        assert_eq!(way(&world, "a.org").await.unwrap(), "hs.a.org:8448 at 1.1.1.2:8448");
        world.services.insert("_matrix-fed._tcp.hs.a.org.", ("srv.a.org", 7));
        assert_eq!(way(&world, "a.org").await.unwrap(), "hs.a.org:7 at 1.1.1.3:7");
        world.well_known.insert("a.org", "not a server/name");
        assert_eq!(way(&world, "a.org").await.unwrap(), "a.org:6 at 1.1.1.3:6", "as if there were none");
    }

    #[tokio::test]
    async fn no_step_leads_to_a_machine_beside_us() {
        let mut world = Told::default();
        world.addresses.extend([("near.org", "127.0.0.1"), ("a.org", "1.1.1.1"), ("lan.org", "192.168.0.1")]);
        for name in ["127.0.0.1", "[::1]:8448", "169.254.169.254:80", "near.org", "near.org:8448"] {
            assert_eq!(way(&world, name).await, Err(NoWay::Near), "{name}");
        }
        assert_eq!(way(&world, "nowhere.org").await, Err(NoWay::Nowhere));
        for named in ["near.org:80", "10.0.0.1", "[::ffff:10.0.0.1]:443", "lan.org"] {
            world.well_known.insert("a.org", named);
            assert_eq!(way(&world, "a.org").await, Err(NoWay::Near), "{named}");
        }
        world.well_known.clear();
        world.services.insert("_matrix-fed._tcp.a.org.", ("lan.org", 8448));
        assert_eq!(way(&world, "a.org").await, Err(NoWay::Near));
    }
}
