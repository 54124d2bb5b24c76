//! From the configuration's types to the machine's: one [`Policy`] for each network.
//!
//! The configuration has been checked, so nothing can fail here that a person could mend.

use crate::bridge::policy::{ConnectPace, DynamicPortals, Flood, PingPace, Policy};
use crate::config::{Config, Network, Registration};
use crate::ids::NetworkId;
use crate::text::template::{AliasTemplate, GhostTemplate, NickTemplate};

/// The policies of all networks, in the order of their keys.
///
/// # Panics
/// When `config` did not come from [`crate::config::load`] or [`crate::config::parse`], whose checks refuse bad
/// keys and templates.
pub fn policies(config: &Config, registration: &Registration) -> Vec<Policy> {
    let networks = config.networks.iter();
    networks.map(|(key, network)| policy(key, network, config, registration)).collect()
}

fn policy(key: &str, network: &Network, config: &Config, registration: &Registration) -> Policy {
    let id = NetworkId::new(key).expect("config::check refuses other keys");
    let checked = "config::check refuses other templates";
    Policy {
        network_name: network.name.clone(),
        bot: registration.bot.clone(),
        server_name: config.homeserver.domain.clone(),
        aliases: AliasTemplate::new(&network.portals.alias, &id).expect(checked),
        ghosts: GhostTemplate::new(&network.ghosts.user, &id).expect(checked),
        nicks: NickTemplate::new(&network.nick).expect(checked),
        network: id,
        dynamic_portals: if network.portals.dynamic { DynamicPortals::On } else { DynamicPortals::Off },
        excluded_channels: network.portals.exclude.clone(),
        password: network.password.clone(),
        user_modes: network.user_modes.clone(),
        flood: Flood { burst: network.flood.burst, line_ms: network.flood.line_ms },
        connect: ConnectPace {
            burst: network.connect.burst,
            interval_ms: network.connect.interval_ms,
            retry_ms_min: network.connect.retry_ms_min,
            retry_ms_max: network.connect.retry_ms_max,
            register_ms_max: network.connect.register_ms_max,
        },
        ping: PingPace { after_ms: network.ping.after_ms, timeout_ms: network.ping.timeout_ms },
        message_age_ms_max: network.messages.age_s_max * 1_000,
        message_lines_max: network.messages.lines_max,
        connections_max: network.connect.connections_max,
    }
}
