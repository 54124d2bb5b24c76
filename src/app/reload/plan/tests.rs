//! The table and what is done by it agree, setting by setting.

use std::path::Path;

use serde_yaml::Value as Yaml;

use super::*;
use crate::config::Around;

const SAMPLE: &str = include_str!("../../../../config.sample.yaml");

fn parse(text: &str) -> Config {
    let around = Around { file: Path::new("config.yaml"), variable: &|_| None };
    config::parse(text, around).unwrap_or_else(|problems| panic!("{problems}\n{text}")).config
}

/// The ways to all settings of the sample that are no blocks.
fn leaves(value: &Yaml, way: &[String], out: &mut Vec<Vec<String>>) {
    match value {
        Yaml::Mapping(block) => {
            for (key, value) in block {
                let key = key.as_str().expect("a name").to_owned();
                leaves(value, &[way, &[key]].concat(), out);
            }
        }
        _ => out.push(way.to_vec()),
    }
}

/// Another value that the place may have. By kind, and where that is not enough by name.
fn another(place: &str, value: &Yaml) -> Option<Yaml> {
    let text = |text: &str| Some(Yaml::from(text));
    match place {
        "permissions.*" => return text("plumber"),
        "policy_lists.rooms" => return serde_yaml::from_str("['!list:example.org']").ok(),
        "homeserver.url" | "appservice.url" => return text("http://127.0.0.1:1"),
        "homeserver.domain" => return text("other.org"),
        "database.url" => return text("sqlite:other.db"),
        "logging.format" => return text("json"),
        "api.admin_listen" => return text("127.0.0.1:8"),
        "api.tokens" => return serde_yaml::from_str("[{ name: x, token: 0123456789abcdef01234567 }]").ok(),
        "api.homeservers" => return serde_yaml::from_str("[{ domain: o.org, url: 'https://o.org' }]").ok(),
        "api.trusted_proxies" => return serde_yaml::from_str("['10.0.0.0/8']").ok(),
        "api.sign_in" => return text("any"),
        // Together only, or other files have to be there.
        _ if place.starts_with("media.") => return None,
        _ if place.ends_with("client_certificate") || place.ends_with("client_key") => return None,
        _ if place.ends_with("ca_file") => return None,
        _ if place.ends_with(".servers") => return serde_yaml::from_str("[{ host: irc.other.org }]").ok(),
        _ if place.ends_with(".listen") => return text("127.0.0.1:7"),
        _ if place.ends_with("fingerprints") => return Some(Yaml::Sequence(vec!["ab".repeat(32).into()])),
        _ if place.ends_with("webirc.password") => return None,
        _ if place.ends_with("source.addresses") => return serde_yaml::from_str("['192.0.2.7']").ok(),
        _ if place.ends_with("source.ipv6_prefix") => return text("2001:db8:1::/64"),
        _ if place.ends_with("encoding_fallback") => return text("koi8-r"),
        _ if place.ends_with("user_modes") => return text("+i"),
        _ if place.ends_with("realname") => return text("$REVERSEDID"),
        _ if place.ends_with(".libera.nick") => return text("$DISPLAY"),
        _ if place.ends_with("ghosts.user") => return text("@other_$NICK"),
        _ if place.ends_with("portals.alias") => return text("#other_$CHANNEL"),
        _ if place.ends_with("plumbing.by") => return text("nobody"),
        _ if place.ends_with("consent") => return text("by_consent"),
        _ if place.ends_with(".libera.channels") => {
            return serde_yaml::from_str("[{ channel: '#c', rooms: ['!r:example.org'] }]").ok();
        }
        _ if place.ends_with("services.mask") => return text("NickServ!*@services.example.org"),
        _ if place.ends_with("identify") => return text("AUTH $ACCOUNT $PASSWORD"),
        _ if place.ends_with("presence.gate") => return text("lenient"),
        _ if place.ends_with("join_failure") => return text("tell"),
        _ if place.ends_with("moderation.to_matrix") || place.ends_with("to_irc") && value.is_string() => {
            return text("none");
        }
        _ if place.ends_with("members.to_matrix") => return text("full"),
        _ if place.ends_with("directory.space") => return text("portals"),
        _ if place.ends_with("to_matrix") && value.is_string() => return text("none"),
        _ if place.ends_with("never") || place.ends_with("other_bridges") || place.ends_with("admins") => {
            return serde_yaml::from_str("['@other:example.org']").ok();
        }
        _ if place.ends_with("exempt") => return serde_yaml::from_str("['other.org']").ok(),
        _ if value.is_sequence() => return serde_yaml::from_str("['#other']").ok(),
        _ => {}
    }
    match value {
        Yaml::Bool(is_on) => Some(Yaml::Bool(!is_on)),
        Yaml::Number(number) => number.as_u64().map(|number| Yaml::from(number + 1)),
        Yaml::String(_) | Yaml::Null => text("other"),
        Yaml::Sequence(_) | Yaml::Mapping(_) | Yaml::Tagged(_) => None,
    }
}

/// The sample with another value at one place, if there can be one.
fn sample_with(way: &[String]) -> Option<String> {
    let mut tree: Yaml = serde_yaml::from_str(SAMPLE).expect("yaml");
    let mut value = &mut tree;
    for key in way {
        value = value.get_mut(key.as_str()).expect("there");
    }
    *value = another(&way.join("."), value)?;
    serde_yaml::to_string(&tree).ok()
}

/// One by one, each setting of the sample is changed: what the table has as live is in force afterwards, and reported so;
/// all else stays as it was, and is reported so.
#[test]
fn every_setting_counts_as_the_table_says() {
    let sample = parse(SAMPLE);
    let (mut ways, mut tried, mut unknown) = (Vec::new(), 0, Vec::new());
    leaves(&serde_yaml::from_str(SAMPLE).expect("yaml"), &[], &mut ways);
    for way in ways {
        let place = way.join(".");
        let Some(text) = sample_with(&way) else { continue };
        let around = Around { file: Path::new("config.yaml"), variable: &|_| None };
        let Ok(wanted) = config::parse(&text, around) else {
            unknown.push(place);
            continue;
        };
        let wanted = wanted.config;
        let plan = Plan::new(&sample, &wanted);
        tried += 1;
        match counts(&way) {
            Some(_) => {
                assert_eq!(plan.effective, wanted, "{place} is live");
                assert!(plan.has_changed(&place), "{place}: {:?}", plan.changed);
                assert_eq!(plan.restart_needed, Vec::<String>::new(), "{place}");
            }
            None => {
                assert_eq!(plan.effective, sample, "{place} needs a restart");
                assert_eq!(plan.changed, Vec::<String>::new(), "{place}");
                assert!(plan.restart_needed.iter().any(|told| begins(told, &place)), "{place}: {plan:?}");
            }
        }
    }
    assert_eq!(unknown, Vec::<String>::new(), "no other value is known for these");
    assert!(tried > 100, "{tried}");
}

/// A row that means nothing would promise something.
#[test]
fn every_row_of_the_table_means_a_setting() {
    let mut ways = Vec::new();
    leaves(&serde_yaml::from_str(SAMPLE).expect("yaml"), &[], &mut ways);
    for (pattern, _) in LIVE {
        let pattern = pattern.replace('*', "libera");
        assert!(ways.iter().any(|way| begins(&way.join("."), &pattern)), "{pattern}");
    }
}

#[test]
fn secrets_are_compared_and_not_shown() {
    let before = SAMPLE.replace(
        "    password: null\n    # Networks that trust",
        "    password: canary\n    # Networks that trust",
    );
    let after = before.replace("canary", "another");
    let plan = Plan::new(&parse(&before), &parse(&after));
    assert_eq!(plan.restart_needed, ["networks.libera.password"]);
    assert!(!format!("{plan:?}").contains("canary"));
}

#[test]
fn networks_come_and_go_with_a_restart() {
    let before = parse(SAMPLE);
    let mut after = before.clone();
    let libera = after.networks["libera"].clone();
    after.networks.insert("o.f.t.c".into(), libera);
    let plan = Plan::new(&before, &after);
    assert_eq!((plan.restart_needed, plan.effective == before), (vec!["networks.o.f.t.c".into()], true));
    let mut changed = after.clone();
    changed.networks.get_mut("o.f.t.c").expect("there").messages.lines_max += 1;
    assert_eq!(Plan::new(&after, &changed).changed, ["networks.o.f.t.c.messages.lines_max"]);
}

#[test]
fn mapped_rooms_are_added_at_once_and_let_go_at_a_restart() {
    let channel = |channel: &str, rooms: &[&str]| config::Channel {
        channel: channel.into(),
        rooms: rooms.iter().map(|room| (*room).to_owned()).collect(),
    };
    let mut before = parse(SAMPLE);
    before.networks.get_mut("libera").expect("there").channels =
        vec![channel("#a", &["!a", "!b"]), channel("#b", &["!c"])];
    let mut after = before.clone();
    after.networks.get_mut("libera").expect("there").channels =
        vec![channel("#a", &["!a", "!d", "!e"]), channel("#c", &["!c"])];
    let plan = Plan::new(&before, &after);
    assert_eq!(plan.changed, ["networks.libera.channels (3 rooms more)"]);
    assert_eq!(plan.restart_needed, ["networks.libera.channels (rooms fewer)"]);
    assert_eq!(plan.added["libera"], [channel("#a", &["!d", "!e"]), channel("#c", &["!c"])]);
    let all = &plan.effective.networks["libera"].channels;
    assert_eq!(all[2..], [channel("#a", &["!b"])], "until a restart");
    let again = Plan::new(&plan.effective, &after);
    assert!(again.changed.is_empty() && again.added["libera"].is_empty(), "a second time changes nothing");
}
