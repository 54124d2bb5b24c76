//! The bridge between models of both its partners, for what real ones are too slow or too orderly for.
//!
//! ```text
//! model homeserver --transactions--> bunraku ---- model IRC server
//!         ^--- StallProxy <------------/
//! ```
//!
//! All puppets are in all channels. The models run on the test's own runtime.

use std::path::PathBuf;
use std::time::Duration;

use super::bridge::{Bridge, BridgeConfig};
use super::judge::Mark;
use super::process::{sub_dir, temp_dir};
use super::proxy::StallProxy;
use super::synapse::DOMAIN;
use super::world::ghost;
use super::{PATIENT, SOON};
use crate::model::homeserver::{Homeserver, JoinRule, Settings as HomeserverSettings};
use crate::model::ircd::{Ircd, Settings as IrcdSettings};

/// How many there are of everything, and where the database is.
pub struct Plan {
    pub channels: usize,
    pub puppets: usize,
    /// A folder for the database; the bridge's own where there is none.
    pub database_dir: Option<PathBuf>,
    /// More settings of the network.
    pub network_lines: Vec<String>,
}

impl Plan {
    pub fn of(channels: usize, puppets: usize) -> Plan {
        Plan { channels, puppets, database_dir: None, network_lines: Vec::new() }
    }
}

/// The running parts. Fields end in this order.
pub struct Lab {
    pub bridge: Bridge,
    /// Between the bridge and the homeserver.
    pub proxy: StallProxy,
    pub homeserver: Homeserver,
    pub ircd: Ircd,
    /// What the homeserver proves itself with.
    pub hs_token: String,
    channels: usize,
    _dir: tempfile::TempDir,
}

impl Lab {
    /// Starts everything, and waits until all puppets are in all channels.
    pub async fn start(plan: Plan) -> Lab {
        let dir = temp_dir();
        let ircd = Ircd::start(IrcdSettings::default()).await.expect("a free port");
        let bridge_dir = sub_dir(dir.path(), "bunraku");
        // The registration's tokens are needed for the homeserver, and its port for the configuration.
        let mut config = BridgeConfig::new(&bridge_dir, "http://127.0.0.1:1", ircd.port());
        config.network_lines = plan.network_lines;
        if let Some(place) = &plan.database_dir {
            config.database_url = format!("sqlite:{}", place.join("bunraku.db").display());
        }
        let mut bridge = Bridge::prepare(&bridge_dir, config);
        let settings = HomeserverSettings {
            as_token: bridge.registered("as_token"),
            hs_token: bridge.registered("hs_token"),
            sender_localpart: bridge.registered("sender_localpart"),
            ..HomeserverSettings::new(DOMAIN, &format!("http://127.0.0.1:{}", bridge.config.listen_port))
        };
        let hs_token = settings.hs_token.clone();
        let homeserver = Homeserver::start(settings).await.expect("a free port");
        let port = homeserver.url().rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        let proxy = StallProxy::start(port);
        bridge.config.homeserver_url = format!("http://127.0.0.1:{}", proxy.port);
        bridge.config.channels = (0..plan.channels).map(|n| (channel(n), vec![room(n)])).collect();
        bridge.write_config();
        let members: Vec<_> = (0..plan.puppets).map(|n| (user(n), name(n))).collect();
        for number in 0..plan.channels {
            homeserver.add_room(&room(number), JoinRule::Public, &members);
        }
        bridge.run().await;
        let mut lab = Lab { bridge, proxy, homeserver, ircd, hs_token, channels: plan.channels, _dir: dir };
        lab.wait_puppets(plan.puppets).await;
        lab
    }

    /// Waits until so many puppets are in every channel.
    pub async fn wait_puppets(&mut self, count: usize) {
        for number in 0..self.channels {
            let came = self.ircd.wait_for_members(&channel(number), count, PATIENT).await;
            came.unwrap_or_else(|short| {
                panic!("puppets in {}: {short}\n{}", channel(number), self.bridge.log_tail())
            });
        }
    }

    /// Lets people on IRC come into a channel and each say something, so that their ghosts are in its room; then
    /// forgets what was said.
    pub async fn greet(&self, people: &[String], places: impl Iterator<Item = usize>) {
        let mut said = 0;
        for place in places {
            for nick in people {
                self.ircd.join_virtual(&channel(place), nick);
                self.ircd.say(&channel(place), nick, "hello");
                said += 1;
            }
        }
        let arrived = self.homeserver.wait_for(said, PATIENT).await;
        arrived.unwrap_or_else(|short| panic!("greetings: {short}\n{}", self.bridge.log_tail()));
        self.homeserver.take_sent();
    }

    /// Waits until the bridge has read everything that the IRC server has written so far.
    pub async fn wait_read(&self, token: &str) {
        let (before, connections) = (self.ircd.pongs(), self.ircd.registered());
        self.ircd.ping_everyone(token);
        super::eventually("the bridge answers PING", SOON, || async {
            (self.ircd.pongs() >= before + connections).then_some(())
        })
        .await;
    }

    /// The marks of what arrived at the homeserver from ghosts, in its order.
    pub fn arrived_on_matrix(&self) -> Vec<Mark> {
        let marked = |sent: &crate::model::homeserver::Sent| {
            let mark = Mark::read(&sent.text()).filter(|_| sent.kind == "m.room.message")?;
            assert_eq!((&sent.sender, &sent.room), (&ghost(&mark.from), &room(mark.place)), "{mark:?}");
            Some(mark)
        };
        self.homeserver.sent().iter().filter_map(marked).collect()
    }

    /// The marks of what puppets said on IRC, in its order.
    pub fn arrived_on_irc(&self) -> Vec<Mark> {
        let marked = |said: &crate::model::ircd::Said| {
            let mark = Mark::read(&said.text)?;
            assert!(said.nick.starts_with(&mark.from) && said.target == channel(mark.place), "{said:?}");
            Some(mark)
        };
        self.ircd.said().iter().filter_map(marked).collect()
    }

    /// Waits until so many marked messages are at the homeserver, or for `limit`.
    pub async fn wait_on_matrix(&self, count: usize, limit: Duration) {
        // Who is short of some is told which by the judge.
        let _short = self.homeserver.wait_for(count, limit).await;
    }
}

pub fn channel(number: usize) -> String {
    format!("#f{number}")
}

pub fn room(number: usize) -> String {
    format!("!f{number}:{DOMAIN}")
}

/// The display name of a Matrix user, and their localpart.
pub fn name(number: usize) -> String {
    format!("fm{number}")
}

pub fn user(number: usize) -> String {
    format!("@{}:{DOMAIN}", name(number))
}
