//! Rooms that several networks share: what each of them needs for that, and that nothing can go round in a circle.
//!
//! What is said in a room goes to its channels, and what is said in a channel to its rooms. So rooms and channels are a
//! net of ways, and where a way leads back into it, everything would be said twice, or for ever.

use std::collections::{BTreeMap, BTreeSet};

use super::super::problem::{Findings, Place, place};
use super::super::types::{Config, Network, Rooms};
use super::channel_name;
use crate::ids::ChannelName;

/// One mapping of a room, and where it stands.
struct Mapped<'a> {
    network: &'a str,
    channel: &'a str,
    room: &'a str,
    place: Place,
}

/// Notes rooms that are mapped twice by one network, or may not be mapped by several.
pub(super) fn check(config: &Config, findings: &mut Findings) {
    let mapped = mapped(config);
    let mut owners: BTreeMap<&str, Vec<&Mapped<'_>>> = BTreeMap::new();
    let mut ways = Ways::default();
    for one in &mapped {
        let others = owners.entry(one.room).or_default();
        let twice = others.iter().find(|other| other.network == one.network);
        if let Some(other) = twice {
            let Mapped { network, channel, .. } = other;
            let sentence = format!(
                "{} is mapped to {channel} on {network} already; a room can have one channel of a network",
                one.room
            );
            findings.error(one.place.clone(), sentence);
        } else if !ways.join(one) {
            let sentence = format!(
                "{} and {} are connected already by other rooms; what is said would go round in a circle",
                one.channel, one.room
            );
            findings.error(one.place.clone(), sentence);
        }
        others.push(one);
    }
    let sharing: BTreeSet<&str> = owners
        .values()
        .filter(|all| all.iter().any(|one| one.network != all[0].network))
        .flat_map(|all| all.iter().map(|one| one.network))
        .collect();
    for key in sharing {
        needs(key, &config.networks[key], findings);
    }
    for all in owners.values() {
        followed_once(config, all, "topics", |network| network.topics.to_matrix, findings);
        followed_once(config, all, "power", |network| network.power.to_matrix, findings);
    }
}

fn mapped(config: &Config) -> Vec<Mapped<'_>> {
    let mut mapped = Vec::new();
    for (key, network) in &config.networks {
        for (nth, mapping) in network.channels.iter().enumerate() {
            for (room_nth, room) in mapping.rooms.iter().enumerate() {
                let place = place!["networks", key.as_str(), "channels", nth, "rooms", room_nth];
                mapped.push(Mapped { network: key, channel: &mapping.channel, room, place });
            }
        }
    }
    mapped
}

/// What a network needs that shares a room.
fn needs(key: &str, network: &Network, findings: &mut Findings) {
    if !network.operators.enabled {
        let sentence =
            "must be true where a room is shared with another network: the bot says what that says";
        findings.error(place!["networks", key, "operators", "enabled"], sentence);
    }
    if network.asides {
        let sentence =
            "must be false where a room is shared with another network, which would say it to everybody";
        findings.error(place!["networks", key, "asides"], sentence);
    }
}

/// A room follows one channel: two would change it back and forth. `name` is of the setting that says which rooms do.
fn followed_once(
    config: &Config,
    all: &[&Mapped<'_>],
    name: &str,
    setting: fn(&Network) -> Rooms,
    findings: &mut Findings,
) {
    let following: BTreeSet<&str> = all.iter().map(|one| one.network).collect();
    let mut following = following.into_iter().filter(|key| setting(&config.networks[*key]) == Rooms::All);
    let first = following.next();
    for (key, first) in following.filter_map(|key| Some((key, first?))) {
        let room = all[0].room;
        let sentence = format!(
            "{room} follows {first} already (networks.{first}.{name}.to_matrix); one of them can be all"
        );
        findings.error(place!["networks", key, name, "to_matrix"], sentence);
    }
}

/// Which rooms and channels are connected: each group of them is a tree.
#[derive(Default)]
struct Ways<'a> {
    numbers: BTreeMap<Node<'a>, usize>,
    /// By number: the next on the way to the root of the group, or itself.
    parents: Vec<usize>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Node<'a> {
    Room(&'a str),
    Channel(&'a str, ChannelName),
}

impl<'a> Ways<'a> {
    /// Connects a room with its channel. `false` where they are connected already.
    fn join(&mut self, one: &Mapped<'a>) -> bool {
        // What is no channel's name is told elsewhere.
        let Some(channel) = channel_name(one.channel) else { return true };
        let room = self.root(Node::Room(one.room));
        let channel = self.root(Node::Channel(one.network, channel));
        self.parents[channel] = room;
        room != channel
    }

    fn root(&mut self, node: Node<'a>) -> usize {
        let fresh = self.parents.len();
        let mut number = *self.numbers.entry(node).or_insert(fresh);
        if number == fresh {
            self.parents.push(fresh);
        }
        while self.parents[number] != number {
            self.parents[number] = self.parents[self.parents[number]];
            number = self.parents[number];
        }
        number
    }
}
