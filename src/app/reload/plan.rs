//! Which settings count at once and which need a restart: one table, and what it makes of two configurations.
//!
//! Nothing here reads, sends or changes anything. Values are compared and never shown.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::app::startup::Shared;
use crate::config::{self, Config};
use crate::secret::Secret;

/// From when on a changed setting counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    AtOnce,
    /// For connections that are made from then on.
    NextConnections,
    /// For rooms that are made from then on.
    NextRooms,
    /// Rooms that are added are linked at once; those taken away are let go at the next start.
    Added,
}

impl Counts {
    /// In words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::AtOnce => "at once",
            Self::NextConnections => "for connections made from then on",
            Self::NextRooms => "for rooms made from then on",
            Self::Added => "rooms that are added: at once; rooms that are taken away: at the next start",
        }
    }
}

/// The settings that count without a restart; `*` is any network. A block means all settings in it. All others need one.
pub const LIVE: &[(&str, Counts)] = &[
    ("permissions", Counts::AtOnce),
    ("policy_lists", Counts::AtOnce),
    ("logging.filter", Counts::AtOnce),
    ("networks.*.homeservers", Counts::AtOnce),
    ("networks.*.connect", Counts::AtOnce),
    ("networks.*.ping", Counts::AtOnce),
    ("networks.*.messages", Counts::AtOnce),
    ("networks.*.formatting", Counts::AtOnce),
    ("networks.*.failures", Counts::AtOnce),
    ("networks.*.mentions", Counts::AtOnce),
    ("networks.*.asides", Counts::AtOnce),
    ("networks.*.queries", Counts::AtOnce),
    ("networks.*.plumbing", Counts::NextRooms),
    ("networks.*.portals.dynamic", Counts::NextRooms),
    ("networks.*.portals.consent", Counts::NextRooms),
    ("networks.*.portals.exclude", Counts::NextRooms),
    ("networks.*.channels", Counts::Added),
    ("networks.*.flood", Counts::NextConnections),
    ("networks.*.user_modes", Counts::NextConnections),
    ("networks.*.nick", Counts::NextConnections),
    ("networks.*.realname", Counts::NextConnections),
];

/// What another configuration changes.
#[derive(Debug)]
pub struct Plan {
    /// The running configuration with all that can count now.
    pub effective: Config,
    /// Settings that count now, in the order of their names.
    pub changed: Vec<String>,
    /// Settings that would count after a restart.
    pub restart_needed: Vec<String>,
    /// Rooms to be linked, by network.
    pub added: BTreeMap<String, Vec<config::Channel>>,
}

impl Plan {
    /// Rooms that several networks have are linked at a start only: until then some of the old ones are linked too, and
    /// together they might lead in a circle.
    pub fn leave_shared(&mut self, shared: &Shared) {
        for (key, channels) in &mut self.added {
            let before: usize = channels.iter().map(|channel| channel.rooms.len()).sum();
            for channel in channels.iter_mut() {
                channel.rooms.retain(|room| !shared.contains_key(room));
            }
            channels.retain(|channel| !channel.rooms.is_empty());
            let after: usize = channels.iter().map(|channel| channel.rooms.len()).sum();
            if after < before {
                self.restart_needed.push(format!("networks.{key}.channels (rooms of several networks)"));
            }
        }
    }

    /// From what runs to what the file says now.
    pub fn new(running: &Config, wanted: &Config) -> Self {
        let (mut changed, mut restart_needed) = (Vec::new(), Vec::new());
        for way in differences(running, wanted) {
            match counts(&way) {
                Some(Counts::Added) => {}
                Some(Counts::AtOnce | Counts::NextConnections | Counts::NextRooms) => {
                    changed.push(way.join("."));
                }
                None => restart_needed.push(way.join(".")),
            }
        }
        let (mut effective, mut added) = (running.clone(), BTreeMap::new());
        take_live(&mut effective, wanted);
        for (key, network) in &mut effective.networks {
            let Some(wanted) = wanted.networks.get(key) else { continue };
            let links = Links::new(&network.channels, &wanted.channels);
            let place = format!("networks.{key}.channels");
            match links.added.iter().map(|channel| channel.rooms.len()).sum::<usize>() {
                0 => {}
                1 => changed.push(format!("{place} (one room more)")),
                count => changed.push(format!("{place} ({count} rooms more)")),
            }
            if links.is_any_gone {
                restart_needed.push(format!("{place} (rooms fewer)"));
            }
            network.channels = links.all;
            added.insert(key.clone(), links.added);
        }
        changed.sort();
        restart_needed.sort();
        Self { effective, changed, restart_needed, added }
    }

    /// True when this setting has changed, or one in this block.
    pub fn has_changed(&self, place: &str) -> bool {
        self.changed.iter().any(|changed| begins(changed, place))
    }
}

fn begins(place: &str, whole: &str) -> bool {
    place.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ' ']))
}

/// The way to a setting, name by name: keys of networks and of people hold dots.
type Way = Vec<String>;

/// When a setting counts; `None`: after a restart.
pub fn counts(way: &[String]) -> Option<Counts> {
    let is_meant = |pattern: &str| {
        let names: Vec<&str> = pattern.split('.').collect();
        way.len() >= names.len() && names.iter().zip(way).all(|(name, step)| *name == "*" || name == step)
    };
    LIVE.iter().find(|(pattern, _)| is_meant(pattern)).map(|(_, counts)| *counts)
}

/// The settings in which two configurations differ. Lists are one setting; so is a network that only one of them has.
fn differences(running: &Config, wanted: &Config) -> BTreeSet<Way> {
    let mut found = BTreeSet::new();
    let json = |config: &Config| serde_json::to_value(config).unwrap_or_default();
    compare(&[], &json(running), &json(wanted), &mut found);
    let (before, after) = (secrets(running), secrets(wanted));
    let both = before.iter().filter_map(|(way, secret)| Some((way, secret, after.get(way)?)));
    found.extend(both.filter(|(_, before, after)| before != after).map(|(way, ..)| way.clone()));
    found
}

fn compare(way: &[String], running: &Value, wanted: &Value, found: &mut BTreeSet<Way>) {
    match (running, wanted) {
        (Value::Object(before), Value::Object(after)) => {
            for key in before.keys().chain(after.keys()) {
                let inner = [way, std::slice::from_ref(key)].concat();
                match (before.get(key), after.get(key)) {
                    (Some(before), Some(after)) => compare(&inner, before, after, found),
                    (_, _) => drop(found.insert(inner)),
                }
            }
        }
        (before, after) if before == after => {}
        (_, _) => drop(found.insert(way.to_vec())),
    }
}

/// Secrets all look alike once they are written down.
fn secrets(config: &Config) -> BTreeMap<Way, Option<&Secret>> {
    let way = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Way>();
    let mut secrets: BTreeMap<Way, Option<&Secret>> = BTreeMap::new();
    secrets.insert(way(&["database", "url"]), Some(&config.database.url));
    for token in &config.api.tokens {
        secrets.insert(way(&["api", "tokens", &token.name]), Some(&token.token));
    }
    for (key, network) in &config.networks {
        secrets.insert(way(&["networks", key, "password"]), network.password.as_ref());
        secrets.insert(way(&["networks", key, "webirc", "password"]), network.webirc.password.as_ref());
    }
    secrets
}

/// Takes over every setting that counts without a restart; a test holds it equal to the table.
fn take_live(running: &mut Config, wanted: &Config) {
    running.permissions = wanted.permissions.clone();
    running.policy_lists = wanted.policy_lists.clone();
    running.logging.filter = wanted.logging.filter.clone();
    for (key, network) in &mut running.networks {
        let Some(wanted) = wanted.networks.get(key) else { continue };
        network.homeservers = wanted.homeservers.clone();
        network.connect = wanted.connect.clone();
        network.ping = wanted.ping.clone();
        network.messages = wanted.messages.clone();
        network.formatting = wanted.formatting.clone();
        network.failures = wanted.failures.clone();
        network.mentions = wanted.mentions.clone();
        network.asides = wanted.asides;
        network.queries = wanted.queries.clone();
        network.plumbing = wanted.plumbing.clone();
        network.portals.dynamic = wanted.portals.dynamic;
        network.portals.consent = wanted.portals.consent;
        network.portals.exclude = wanted.portals.exclude.clone();
        network.flood = wanted.flood.clone();
        network.user_modes = wanted.user_modes.clone();
        network.nick = wanted.nick.clone();
        network.realname = wanted.realname.clone();
    }
}

/// Mapped rooms, from what runs to what is wanted.
struct Links {
    added: Vec<config::Channel>,
    is_any_gone: bool,
    /// What is linked then: all that is wanted, and what is there until a restart.
    all: Vec<config::Channel>,
}

impl Links {
    fn new(running: &[config::Channel], wanted: &[config::Channel]) -> Self {
        let without = |these: &[config::Channel], is_out: &dyn Fn(&str, &str) -> bool| {
            let rest = these.iter().map(|config::Channel { channel, rooms }| config::Channel {
                channel: channel.clone(),
                rooms: rooms.iter().filter(|room| !is_out(channel, room)).cloned().collect(),
            });
            rest.filter(|channel| !channel.rooms.is_empty()).collect::<Vec<_>>()
        };
        let has = |these: &[config::Channel], channel: &str, room: &str| {
            these
                .iter()
                .any(|mapped| mapped.channel == channel && mapped.rooms.iter().any(|other| other == room))
        };
        let names = |room: &str| wanted.iter().any(|mapped| mapped.rooms.iter().any(|other| other == room));
        let added = without(wanted, &|channel, room| has(running, channel, room));
        // A room that has another channel now is linked anew, and moves.
        let gone = without(running, &|_, room| names(room));
        let is_any_gone = !gone.is_empty();
        Self { added, is_any_gone, all: wanted.iter().cloned().chain(gone).collect() }
    }
}

#[cfg(test)]
mod tests;
