//! Whether settings make sense and fit together: everything a table of kinds and bounds cannot say.
//!
//! One function per block of the file. Nothing here stops at the first fault, and nothing here prints a
//! value that may hold a secret.

mod admission;
mod api;
mod identity;
mod listeners;
mod members;
mod messages;
mod operators;
mod sharing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::problem::{Findings, Place, place};
use super::syntax::{http_url, is_host, is_loopback, is_modes, is_server_name};
use super::types::{Appservice, Channel, Config, Connect, Database, Homeserver, Network, RoomName, Server};
use crate::ids::{ChannelName, NetworkId, UserId};
use crate::text::casemap::CaseMap;
use crate::text::template::{AliasTemplate, GhostTemplate, NickTemplate, TemplateError};

/// Notes every fault of `config` in `findings`.
pub(super) fn check(config: &Config, findings: &mut Findings) {
    homeserver(&config.homeserver, findings);
    appservice(&config.appservice, &config.homeserver, findings);
    database(&config.database, findings);
    listeners::identd(&config.identd, findings);
    listeners::metrics(&config.metrics, findings);
    listeners::media(&config.media, findings);
    api::api(&config.api, findings);
    if config.secrets.key_file.as_os_str().is_empty() {
        findings.error(place!["secrets", "key_file"], "must name a file");
    }
    if config.logging.filter.trim().is_empty() {
        findings.error(place!["logging", "filter"], "must not be empty; \"info\" is a good start");
    }
    admission::permissions(&config.permissions, &config.appservice, findings);
    admission::policy_lists(&config.policy_lists, findings);
    if config.networks.is_empty() {
        findings.error(place!["networks"], "no network; add at least one, see config.sample.yaml");
    }
    for (key, settings) in &config.networks {
        network(key, settings, &config.homeserver, findings);
    }
    network_names(config, findings);
    templates_overlap(config, findings);
    sharing::check(config, findings);
}

fn homeserver(homeserver: &Homeserver, findings: &mut Findings) {
    if let Err(why) = http_url(&homeserver.url) {
        findings.error(place!["homeserver", "url"], why);
    }
    if !is_server_name(&homeserver.domain) {
        findings.error(
            place!["homeserver", "domain"],
            format!("\"{}\" is no server name; write the part of your users' ids after the colon, such as example.org", homeserver.domain),
        );
    }
}

fn appservice(appservice: &Appservice, homeserver: &Homeserver, findings: &mut Findings) {
    let url = place!["appservice", "url"];
    match appservice.listen.parse::<SocketAddr>() {
        Err(_) => findings.error(
            place!["appservice", "listen"],
            format!(
                "\"{}\" is no address with a port, such as 127.0.0.1:9898 or [::1]:9898",
                appservice.listen
            ),
        ),
        Ok(address) if address.port() == 0 => {
            findings.error(
                place!["appservice", "listen"],
                "port 0 means any; name the one the homeserver shall use",
            );
        }
        Ok(address) if address.ip().is_unspecified() && appservice.url == format!("http://{address}") => {
            findings.error(
                url.clone(),
                format!(
                    "needed when listen is {}: that is no address the homeserver can reach",
                    address.ip()
                ),
            );
        }
        Ok(_) => {}
    }
    if let Err(why) = http_url(&appservice.url) {
        findings.error(url, why);
    }
    if appservice.registration.as_os_str().is_empty() {
        findings.error(place!["appservice", "registration"], "must name a file");
    }
    admins(appservice, homeserver, findings);
}

fn admins(appservice: &Appservice, homeserver: &Homeserver, findings: &mut Findings) {
    for (nth, admin) in appservice.admins.iter().enumerate() {
        let place = place!["appservice", "admins", nth];
        match UserId::new(admin) {
            None => {
                findings.error(place, format!("\"{admin}\" is no Matrix user id, such as @alice:example.org"))
            }
            Some(user) if is_server_name(&homeserver.domain) && user.server() != homeserver.domain => {
                findings.warning(
                    place,
                    format!(
                        "{user} is not on this homeserver, {}; look whether homeserver.domain is right",
                        homeserver.domain
                    ),
                )
            }
            Some(_) => {}
        }
    }
}

fn database(database: &Database, findings: &mut Findings) {
    let url = database.url.expose();
    let place = place!["database", "url"];
    match url.split_once(':') {
        Some(("sqlite", ":memory:" | "//:memory:")) => findings.warning(
            place,
            "everything is forgotten when the bridge stops: portals, and messages on their way; name a file outside of tests",
        ),
        Some(("sqlite", rest)) if !rest.trim_start_matches('/').is_empty() => {}
        Some(("postgres" | "postgresql", rest)) if rest.starts_with("//") && rest.len() > 2 => {}
        Some(_) | None => findings.error(place, "must begin with sqlite: and a file, or with postgres:// and a host"),
    }
}

fn network(key: &str, network: &Network, homeserver: &Homeserver, findings: &mut Findings) {
    let here = place!["networks", key];
    if NetworkId::new(key).is_none() {
        findings.error(
            here.clone(),
            "a network's key may hold letters, digits, \".\", \"-\" and \"_\", 64 at most",
        );
    }
    if network.name.trim().is_empty() || network.name.chars().any(char::is_control) {
        findings.error(here.with("name"), "must be a name people can read, on one line");
    }
    servers(network, &here, findings);
    if let Some(password) = network.password.as_ref().map(|password| password.expose())
        && (password.is_empty() || password.contains(['\r', '\n', '\0']))
    {
        findings.error(here.with("password"), "must not be empty nor hold a line break");
    }
    if encoding_rs::Encoding::for_label(network.encoding_fallback.as_bytes()).is_none() {
        findings.error(
            here.with("encoding_fallback"),
            format!(
                "\"{}\" is no encoding of the WHATWG standard, such as windows-1252 or iso-8859-15",
                network.encoding_fallback
            ),
        );
    }
    if !is_modes(&network.user_modes) {
        findings.error(
            here.with("user_modes"),
            format!(
                "\"{}\" is no list of modes, such as +i or +ix-w; leave it empty for none",
                network.user_modes
            ),
        );
    }
    identity::check(network, &here, findings);
    templates(key, network, homeserver, findings);
    portals(network, &here.with("portals"), findings);
    channels(network, &here.with("channels"), findings);
    connect(&network.connect, &here.with("connect"), findings);
    messages::failures(&network.failures, &here.with("failures"), findings);
    members::check(&network.members, &here.with("members"), findings);
    operators::check(network, &here.with("operators"), findings);
    admission::homeservers(&network.homeservers, &here, findings);
    messages::mentions(&network.mentions, &here.with("mentions"), findings);
}

fn servers(network: &Network, here: &Place, findings: &mut Findings) {
    if network.servers.is_empty() {
        findings
            .error(here.with("servers"), "no server; add at least one, such as { host: irc.example.org }");
    }
    for (nth, server) in network.servers.iter().enumerate() {
        let here = here.with("servers").with(nth);
        if !is_host(&server.host) {
            findings.error(
                here.with("host"),
                format!("\"{}\" is no host name or address; the port goes into \"port\"", server.host),
            );
        } else if !server.tls && !is_loopback(&server.host) {
            findings.warning(here.with("tls"), unsafe_line(server, network));
        }
    }
}

fn unsafe_line(server: &Server, network: &Network) -> String {
    let also = if network.password.is_some() { ", the network's password included" } else { "" };
    format!(
        "anybody on the way to {} can read and change everything{also}; use tls: true if the server can",
        server.host
    )
}

fn portals(network: &Network, here: &Place, findings: &mut Findings) {
    let excluded = network.portals.exclude.iter().enumerate();
    for (nth, channel) in excluded.filter(|(_, channel)| channel_name(channel).is_none()) {
        findings.error(here.with("exclude").with(nth), not_a_channel(channel));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if let Some(version) = &network.portals.room_version
        && (version.is_empty() || version.len() > 32 || !version.chars().all(legal))
    {
        findings
            .error(here.with("room_version"), format!("\"{version}\" is no room version, such as \"11\""));
    }
}

fn templates(key: &str, network: &Network, homeserver: &Homeserver, findings: &mut Findings) {
    let here = place!["networks", key];
    let Some(id) = NetworkId::new(key) else { return };
    let mut refused = |place: Place, template: &str, why: TemplateError| {
        findings.error(place, format!("\"{template}\" {why}"));
    };
    if let Err(why) = NickTemplate::new(&network.nick) {
        refused(here.with("nick"), &network.nick, why);
    }
    let ghost = GhostTemplate::new(&network.ghosts.user, &id);
    if let Err(why) = &ghost {
        refused(here.with("ghosts").with("user"), &network.ghosts.user, why.clone());
    }
    let alias = AliasTemplate::new(&network.portals.alias, &id);
    if let Err(why) = &alias {
        refused(here.with("portals").with("alias"), &network.portals.alias, why.clone());
    }
    if let Ok(ghost) = ghost {
        let place = here.with("ghosts").with("user");
        foreign_domain(ghost.domain(), homeserver, &place, findings);
        if ghost.regex("") == "^@.+:$" {
            findings.error(
                place,
                "would take every user id of the homeserver; put something before $NICK, such as @irc_$NICK",
            );
        }
    }
    if let Ok(alias) = alias {
        let place = here.with("portals").with("alias");
        foreign_domain(alias.domain(), homeserver, &place, findings);
        if alias.regex("") == "^#.+:$" {
            findings.error(place, "would take every alias of the homeserver; put something before $CHANNEL, such as #irc_$CHANNEL");
        }
    }
}

fn foreign_domain(domain: Option<&str>, homeserver: &Homeserver, place: &Place, findings: &mut Findings) {
    if let Some(domain) = domain.filter(|domain| *domain != homeserver.domain) {
        let ours = &homeserver.domain;
        findings.error(
            place.clone(),
            format!("ends in :{domain}, and the homeserver is {ours}; leave the server name out"),
        );
    }
}

/// Two networks whose templates can make the same Matrix id would mix their people or their channels.
fn templates_overlap(config: &Config, findings: &mut Findings) {
    let networks: Vec<_> = config
        .networks
        .iter()
        .filter_map(|(key, network)| Some((key.as_str(), network, NetworkId::new(key)?)))
        .collect();
    for (nth, (key, network, id)) in networks.iter().enumerate() {
        for (other_key, other, other_id) in &networks[..nth] {
            let ghosts = |network: &Network, id| GhostTemplate::new(&network.ghosts.user, id);
            if let (Ok(one), Ok(two)) = (ghosts(network, id), ghosts(other, other_id))
                && one.overlaps(&two)
            {
                let sentence = format!(
                    "can name the same users as networks.{other_key}.ghosts.user; begin them differently, with $NETWORK or a word"
                );
                findings.error(place!["networks", *key, "ghosts", "user"], sentence);
            }
            let aliases = |network: &Network, id| AliasTemplate::new(&network.portals.alias, id);
            if let (Ok(one), Ok(two)) = (aliases(network, id), aliases(other, other_id))
                && aliases_overlap(&one, &two)
            {
                let sentence = format!(
                    "can name the same rooms as networks.{other_key}.portals.alias; begin them differently, with $NETWORK or a word"
                );
                findings.error(place!["networks", *key, "portals", "alias"], sentence);
            }
        }
    }
}

/// Whether one template reads as a channel what the other made of one.
fn aliases_overlap(one: &AliasTemplate, two: &AliasTemplate) -> bool {
    let reads = |reader: &AliasTemplate, writer: &AliasTemplate| {
        let channel = channel_name("#x").expect("a channel's name");
        reader.parse(&writer.localpart(&channel), CaseMap::Rfc1459).is_some()
    };
    reads(one, two) || reads(two, one)
}

fn channels(network: &Network, here: &Place, findings: &mut Findings) {
    let excluded: Vec<_> = network.portals.exclude.iter().filter_map(|name| channel_name(name)).collect();
    let mut seen = BTreeSet::new();
    for (nth, mapping) in network.channels.iter().enumerate() {
        let here = here.with(nth);
        let channel = &mapping.channel;
        match channel_name(channel) {
            None => findings.error(here.with("channel"), not_a_channel(channel)),
            Some(name) if excluded.contains(&name) => {
                let sentence = format!("{channel} is in portals.exclude too; take one away");
                findings.error(here.with("channel"), sentence);
            }
            Some(name) if !seen.insert(name.clone()) => {
                let sentence = format!("{channel} is listed before; put all its rooms into one entry");
                findings.error(here.with("channel"), sentence);
            }
            Some(_) => {}
        }
        rooms(mapping, &here.with("rooms"), findings);
    }
}

fn rooms(mapping: &Channel, here: &Place, findings: &mut Findings) {
    if mapping.rooms.is_empty() {
        let sentence = format!("no room for {}; name one, or take the entry away", mapping.channel);
        findings.error(here.clone(), sentence);
    }
    for (nth, room) in mapping.rooms.iter().enumerate() {
        if RoomName::new(room).is_none() {
            let sentence = format!(
                "\"{room}\" is neither a room id, such as !opaque:example.org, nor an alias, such as #room:example.org"
            );
            findings.error(here.with(nth), sentence);
        }
    }
}

fn connect(connect: &Connect, here: &Place, findings: &mut Findings) {
    if connect.retry_ms_min > connect.retry_ms_max {
        findings.error(
            here.with("retry_ms_min"),
            format!("{} is more than retry_ms_max, {}", connect.retry_ms_min, connect.retry_ms_max),
        );
    }
}

/// Aliases and ghosts are told apart by the network's key, and Matrix ids know no capitals.
fn network_names(config: &Config, findings: &mut Findings) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for key in config.networks.keys() {
        if let Some(other) = seen.insert(key.to_ascii_lowercase(), key) {
            findings.error(
                place!["networks", key.as_str()],
                format!("differs from {other} in capitals only; rename one"),
            );
        }
    }
}

fn channel_name(text: &str) -> Option<ChannelName> {
    ChannelName::new(text, CaseMap::Rfc1459)
}

fn not_a_channel(text: &str) -> String {
    format!(
        "\"{text}\" is no channel name; it begins with #, &, + or ! and holds no space or comma, 200 bytes at most"
    )
}
