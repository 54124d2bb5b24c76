//! From the configuration's types to the machine's: one [`Policy`] for each network.
//!
//! The configuration has been checked, so nothing can fail here that a person could mend.

use super::startup;
use crate::bridge::policy::{
    Admission, Asides, Asks, BotMode, ConnectPace, Consent, Directory, DynamicPortals, Failures, Flood,
    Formatting, Forms, GateRule, HomeserverLimits, JoinFailure, Members, Mentions, Moderation, Neighbours,
    Notices, Operators, Own, Permission, Permissions, PingPace, Plumbing, PlumbingBy, Policy, Power,
    PresenceRules, QueryRules, QuitMessage, Ranks, Rooms, Services, Shown, StatusEvents, ToMatrix, Topics,
    Typing, Webirc,
};
use crate::config::{self, Config, Network, Registration};
use crate::ids::{NetworkId, UserId};
use crate::text::irc_codes::Codes;
use crate::text::realname::RealnameTemplate;
use crate::text::template::{AliasTemplate, GhostTemplate, NickTemplate};
use crate::text::whom::{Whom, folded};

/// The policies of all networks, in the order of their keys.
///
/// # Panics
/// When `config` did not come from [`crate::config::load`] or [`crate::config::parse`], whose checks refuse bad
/// keys and templates.
pub fn policies(config: &Config, registration: &Registration) -> Vec<Policy> {
    let networks = config.networks.iter();
    let mut policies: Vec<Policy> =
        networks.map(|(key, network)| policy(key, network, config, registration)).collect();
    let ghosts: Vec<_> =
        policies.iter().map(|policy| (policy.network.clone(), policy.ghosts.clone())).collect();
    let shared = startup::shared(config);
    for (policy, network) in policies.iter_mut().zip(config.networks.values()) {
        let networks = ghosts.iter().filter(|(other, _)| *other != policy.network).cloned().collect();
        let is_shared =
            |mapping: &&config::Channel| mapping.rooms.iter().any(|room| shared.contains_key(room));
        let channels =
            network.channels.iter().filter(is_shared).map(|mapping| mapping.channel.clone()).collect();
        policy.directory.neighbours = Neighbours { networks, channels };
    }
    policies
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
        realnames: RealnameTemplate::new(&network.realname).expect(checked),
        network: id,
        dynamic_portals: if network.portals.dynamic { DynamicPortals::On } else { DynamicPortals::Off },
        excluded_channels: network.portals.exclude.clone(),
        password: network.password.clone(),
        webirc: webirc(&network.webirc),
        services: services(&network.services),
        user_modes: network.user_modes.clone(),
        bot_mode: if network.bot_mode { BotMode::Shown } else { BotMode::Hidden },
        flood: flood(&network.flood),
        connect: ConnectPace {
            burst: network.connect.burst,
            interval_ms: network.connect.interval_ms,
            retry_ms_min: network.connect.retry_ms_min,
            retry_ms_max: network.connect.retry_ms_max,
            register_ms_max: network.connect.register_ms_max,
            at_once: network.connect.at_once,
            long_ms: network.connect.long_ms,
            outage_ms: network.connect.outage_ms,
            idle_ms_max: network.connect.idle_s_max * 1_000,
        },
        ping: PingPace { after_ms: network.ping.after_ms, timeout_ms: network.ping.timeout_ms },
        message_age_ms_max: network.messages.age_s_max * 1_000,
        message_lines_max: network.messages.lines_max,
        links: None,
        forms: forms(network),
        connections_max: network.connect.connections_max,
        failures: failures(&network.failures),
        mentions: mentions(&network.mentions),
        asides: if network.asides { Asides::Shown } else { Asides::Hidden },
        typing: Typing { to_irc: shown(network.typing.to_irc), to_matrix: shown(network.typing.to_matrix) },
        queries: queries(&network.queries),
        topics: Topics { to_matrix: rooms(network.topics.to_matrix), to_irc: rooms(network.topics.to_irc) },
        power: power(&network.power),
        members: members(&network.members),
        presence: presence(&network.presence),
        directory: directory(network),
        operators: operators(network),
        admission: admission(network, config),
        plumbing: plumbing(&network.plumbing),
        moderation: Moderation {
            to_irc: rooms(network.moderation.to_irc),
            to_matrix: rooms(network.moderation.to_matrix),
            ..Moderation::default()
        },
    }
}

fn admission(network: &Network, config: &Config) -> Admission {
    let homeservers = &network.homeservers;
    Admission {
        permissions: permissions(config),
        limits: HomeserverLimits {
            connections_max: homeservers.connections_max,
            contacts_per_minute: homeservers.contacts_per_minute,
            contacts_per_hour: homeservers.contacts_per_hour,
            joins_per_minute: homeservers.joins_per_minute,
            own: if homeservers.own { Own::Limited } else { Own::Unlimited },
            exempt: homeservers.exempt.iter().map(|name| folded(name)).collect(),
        },
        quit_message: QuitMessage(config.policy_lists.quit_message.clone()),
    }
}

/// Who may what. Those whom `appservice.admins` names are admins, unless `permissions` names them too.
pub fn permissions(config: &Config) -> Permissions {
    let admins = config.appservice.admin_ids().map(|admin| (Whom::Person(admin), Permission::Admin));
    let given = config.permissions.iter().filter_map(|(whom, permission)| {
        let permission = match permission {
            config::PermissionName::Blocked => Permission::Blocked,
            config::PermissionName::User => Permission::User,
            config::PermissionName::Plumber => Permission::Plumber,
            config::PermissionName::Admin => Permission::Admin,
        };
        Some((Whom::read(whom)?, permission))
    });
    Permissions::new(admins.chain(given))
}

fn presence(presence: &config::Presence) -> PresenceRules {
    PresenceRules {
        gate: match presence.gate {
            config::Gate::Strict => GateRule::Strict,
            config::Gate::Lenient => GateRule::Lenient,
            config::Gate::Off => GateRule::Off,
        },
        grace_ms: presence.grace_s * 1_000,
        join_failure: match presence.join_failure {
            config::JoinFailure::Tell => JoinFailure::Tell,
            config::JoinFailure::Wait => JoinFailure::Wait,
            config::JoinFailure::Remove => JoinFailure::Remove,
        },
    }
}

fn directory(network: &Network) -> Directory {
    let (servers, directory) = (&network.servers, &network.directory);
    Directory {
        domains: servers.iter().map(|server| server.host.clone()).collect(),
        plates: shown(directory.bridge_info),
        publish: shown(directory.publish),
        invites: shown(directory.invites),
        invites_per_minute: directory.invites_per_minute,
        others: directory.other_bridges.clone(),
        neighbours: Neighbours::default(),
        space: rooms(directory.space),
    }
}

fn plumbing(plumbing: &config::Plumbing) -> Plumbing {
    let by = match plumbing.by {
        config::PlumbingBy::Consent => PlumbingBy::Consent,
        config::PlumbingBy::Nobody => PlumbingBy::Nobody,
    };
    Plumbing { by, rooms_max: plumbing.rooms_max }
}

fn operators(network: &Network) -> Operators {
    let operators = &network.operators;
    Operators {
        nick: Some(operators.nick.clone()).filter(|_| operators.enabled),
        contact: operators.contact.clone(),
        consent: match network.portals.consent {
            config::Consent::Open => Consent::Open,
            config::Consent::ByConsent => Consent::ByConsent,
        },
        asks: if operators.ask_in_channel { Asks::InChannel } else { Asks::Alone },
    }
}

fn queries(queries: &config::Queries) -> QueryRules {
    QueryRules {
        to_matrix: shown(queries.to_matrix),
        from_matrix: shown(queries.from_matrix),
        federate: shown(queries.federate),
        rooms_per_minute: queries.rooms_per_minute,
        contacts_per_minute: queries.contacts_per_minute,
    }
}

fn members(members: &config::Members) -> Members {
    let lists = [
        (&members.full_channels, ToMatrix::Full),
        (&members.lazy_channels, ToMatrix::Lazy),
        (&members.off_channels, ToMatrix::Off),
    ];
    let named = |(list, shown): (&Vec<String>, ToMatrix)| {
        list.iter().map(|channel| (channel.clone(), shown)).collect::<Vec<_>>()
    };
    Members {
        to_matrix: match members.to_matrix {
            config::ToMatrix::Full => ToMatrix::Full,
            config::ToMatrix::Lazy => ToMatrix::Lazy,
            config::ToMatrix::Off => ToMatrix::Off,
        },
        channels: lists.into_iter().flat_map(named).collect(),
        grace_ms: members.grace_s * 1_000,
        split_grace_ms: members.split_grace_s * 1_000,
        ghosts_max: members.ghosts_max,
    }
}

fn rooms(meant: config::Rooms) -> Rooms {
    match meant {
        config::Rooms::None => Rooms::None,
        config::Rooms::Portals => Rooms::Portals,
        config::Rooms::All => Rooms::All,
    }
}

fn power(power: &config::Power) -> Power {
    let config::Power { to_matrix, owner, admin, operator, halfop, voice } = power;
    let signs = [('~', owner), ('&', admin), ('@', operator), ('%', halfop), ('+', voice)];
    let ranks = Ranks::new(signs.map(|(sign, level)| (sign, i64::from(*level))));
    Power { to_matrix: rooms(*to_matrix), ranks }
}

fn mentions(mentions: &config::Mentions) -> Mentions {
    Mentions {
        max: mentions.max,
        letters_min: mentions.letters_min,
        never: mentions.never.iter().filter_map(|user| UserId::new(user)).collect(),
    }
}

fn forms(network: &Network) -> Forms {
    let (messages, formatting) = (&network.messages, &network.formatting);
    Forms {
        formatting: Formatting {
            codes: if formatting.codes { Codes::On } else { Codes::Off },
            plain_channels: formatting.plain_channels.clone(),
        },
        edits: shown(messages.edits),
        edit_age_ms_max: messages.edit_age_s_max * 1_000,
        reply_quotes: shown(messages.reply_quotes),
        reactions: shown(messages.reactions),
        redactions: shown(messages.redactions),
    }
}

fn shown(is_on: bool) -> Shown {
    if is_on { Shown::On } else { Shown::Off }
}

fn flood(flood: &config::Flood) -> Flood {
    Flood { burst: flood.burst, line_ms: flood.line_ms, line_bytes: flood.line_bytes }
}

fn failures(failures: &config::Failures) -> Failures {
    Failures {
        reaction: Some(failures.reaction.clone()).filter(|key| !key.is_empty()),
        notice: if failures.notice { Notices::On } else { Notices::Off },
        status_event: if failures.status_event { StatusEvents::On } else { StatusEvents::Off },
    }
}

fn webirc(webirc: &config::Webirc) -> Option<Webirc> {
    let password = webirc.password.clone()?;
    Some(Webirc { password, gateway: webirc.gateway.clone(), host: webirc.host.clone() })
}

fn services(services: &config::Services) -> Option<Services> {
    let mask = services.mask.clone()?;
    Some(Services { nick: services.nick.clone(), mask, identify: services.identify.clone() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::registration::{self, Draft};
    use crate::config::{Around, parse};
    use crate::ids::{ChannelName, Nick};
    use crate::secret::Secret;
    use crate::text::casemap::CaseMap;

    #[test]
    fn the_sample_becomes_a_policy() {
        let around = Around { file: Path::new("config.yaml"), variable: &|_| None };
        let config = parse(include_str!("../../config.sample.yaml"), around).expect("good").config;
        let (as_token, hs_token) = (Secret::new(&"a".repeat(64)), Secret::new(&"h".repeat(64)));
        let draft = Draft { bot: "ircbot".into(), as_token, hs_token };
        let file = Path::new("registration.yaml");
        let text = registration::write(&config, &draft, file).expect("good");
        let (registration, _) = registration::parse(&text, file, &config).expect("good");

        let policies = policies(&config, &registration);
        let [policy] = &policies[..] else { panic!("one network: {policies:?}") };
        assert_eq!((policy.network.as_str(), policy.network_name.as_str()), ("libera", "Libera Chat"));
        assert_eq!(policy.bot.as_str(), "@ircbot:example.org");
        assert_eq!(policy.dynamic_portals, DynamicPortals::On);
        assert_eq!((policy.flood.burst, policy.flood.line_ms), (5, 2_000));
        assert_eq!((policy.connect.retry_ms_min, policy.connect.retry_ms_max), (5_000, 600_000));
        assert_eq!((policy.connect.interval_ms, policy.connect.register_ms_max), (2_000, 60_000));
        assert_eq!((policy.ping.after_ms, policy.ping.timeout_ms), (60_000, 60_000));
        assert_eq!((policy.message_age_ms_max, policy.message_lines_max), (900_000, 8));
        assert_eq!(policy.connections_max, 500);
        assert_eq!(policy.failures, Failures::default());
        assert_eq!((&policy.mentions, policy.asides), (&Mentions::default(), Asides::Hidden));
        assert_eq!((&policy.forms, policy.typing), (&Forms::default(), Typing::default()));
        assert_eq!(policy.queries, QueryRules::default());
        assert_eq!((&policy.power, policy.topics), (&Power::default(), Topics::default()));
        assert_eq!(policy.members, Members::default());
        assert_eq!(policy.presence, PresenceRules::default());
        let domains = vec!["irc.libera.chat".to_owned()];
        assert_eq!(policy.directory, Directory { domains, ..Directory::default() });
        assert_eq!(policy.moderation, Moderation::default());
        assert_eq!(policy.operators, Operators::default());
        assert_eq!(policy.admission, Admission::default());

        let channel = ChannelName::new("#Rust", CaseMap::Ascii).expect("a channel");
        let alias = policy.aliases.alias(&channel, &policy.server_name).expect("short");
        assert_eq!(alias.as_str(), "#irc_libera_#rust:example.org");
        let nick = Nick::new("alice", CaseMap::Ascii).expect("a nick");
        let ghost = policy.ghosts.user(&nick, &policy.server_name).expect("short");
        assert_eq!(ghost.as_str(), "@irc_libera_alice:example.org");
    }

    #[test]
    fn admins_of_the_homeserver_are_admins_here_unless_it_is_said_otherwise() {
        let text = "\
homeserver: { url: 'http://127.0.0.1:8008', domain: example.org }
appservice: { admins: ['@op:example.org', '@old:example.org'] }
permissions: { '@old:example.org': user, evil.org: blocked, '@ada:evil.org': plumber }
networks: { libera: { servers: [{ host: irc.libera.chat }] } }
";
        let around = Around { file: Path::new("config.yaml"), variable: &|_| None };
        let permissions = permissions(&parse(text, around).expect("good").config);
        let of = |user: &str| permissions.of(&UserId::new(user).expect("an id")).name();
        assert_eq!(of("@op:example.org"), "admin");
        assert_eq!(of("@old:example.org"), "user");
        assert_eq!((of("@eve:evil.org"), of("@ada:evil.org"), of("@bob:hs")), ("blocked", "plumber", "user"));
    }
}
