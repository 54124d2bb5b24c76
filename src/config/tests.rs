//! The sample, the types and the table of settings agree; every fault has its sentence; secrets stay values.

use std::path::Path;

use serde_yaml::Value;

use super::problem::{Place, place};
use super::shape::{CONFIG, Need, Shape};
use super::*;

const SAMPLE: &str = include_str!("../../config.sample.yaml");

const SMALL: &str = "\
homeserver:
  url: http://127.0.0.1:8008
  domain: example.org
networks:
  libera:
    servers: [{ host: irc.libera.chat }]
";

fn parse_here(text: &str) -> Result<Loaded, Problems> {
    let variable = |name: &str| match name {
        "PORT" => Some("7000".to_owned()),
        "YES" => Some(" true\n".to_owned()),
        "WORD" => Some("canary".to_owned()),
        "STRUCTURE" => Some("a: {b: [c\n- d\nport: 1\n".to_owned()),
        _ => None,
    };
    parse(text, Around { file: Path::new("config.yaml"), variable: &variable })
}

fn good(text: &str) -> Config {
    parse_here(text).unwrap_or_else(|problems| panic!("{problems}")).config
}

fn faults(text: &str) -> Vec<String> {
    let problems = match parse_here(text) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    problems.0.iter().map(ToString::to_string).collect()
}

/// [`SMALL`] with `lines` added to its one network gives exactly these faults.
fn network_faults(lines: &str, expected: &[&str]) {
    assert_eq!(faults(&format!("{SMALL}{lines}")), expected);
}

/// The sample with its commented example of a mapped channel put in.
fn sample_with_channel() -> String {
    let example = "    #   - channel: \"#example\"\n    #     rooms: [\"!opaque:example.org\", \"#room:example.org\"]\n";
    assert!(SAMPLE.contains(example));
    let mapped = example.replace("    #   ", "      ");
    let sample = SAMPLE.replace("    channels: []\n", &format!("    channels:\n{mapped}"));
    let token = "  tokens:\n    - { name: manager, token: 0123456789abcdef01234567, may: plain }\n";
    let sample = sample.replace("  tokens: []\n", token);
    let friends = "  homeservers:\n    - { domain: friends.example, url: \"http://10.0.0.7:8008\" }\n";
    sample.replace("  homeservers: []\n", friends)
}

#[test]
fn the_sample_is_good_and_gives_no_warning() {
    let loaded = parse_here(SAMPLE).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, Problems::default());
    good(&sample_with_channel());
}

/// Takes away every setting a file can do without.
fn strip(value: &mut Value, shape: &Shape) {
    match (shape, value) {
        (Shape::Table(settings), Value::Mapping(given)) => {
            for setting in *settings {
                match setting.need {
                    Need::Optional => drop(given.remove(setting.key)),
                    Need::Required => strip(given.get_mut(setting.key).expect("required"), &setting.shape),
                }
            }
        }
        (Shape::Named(block), Value::Mapping(given)) => {
            given.values_mut().for_each(|value| strip(value, block))
        }
        (Shape::List(element), Value::Sequence(values)) => {
            values.iter_mut().for_each(|value| strip(value, element));
        }
        (_, _) => {}
    }
}

#[test]
fn the_sample_shows_the_defaults() {
    let mut stripped: Value = serde_yaml::from_str(SAMPLE).expect("yaml");
    strip(&mut stripped, &CONFIG);
    let stripped = serde_yaml::to_string(&stripped).expect("yaml");
    assert!(!stripped.contains("burst") && !stripped.contains("listen"), "{stripped}");
    let mut bare = good(&stripped);
    assert_eq!(bare.networks["libera"].name, "libera", "the one setting whose sample is not the default");
    bare.networks.get_mut("libera").expect("there").name = "Libera Chat".into();
    assert_eq!(bare, good(SAMPLE));
}

/// The places of all settings in a value, list elements as one.
fn places(value: &Value, here: &Place, out: &mut Vec<String>) {
    match value {
        Value::Mapping(given) => {
            for (key, value) in given {
                let place = here.with(key.as_str().expect("a name"));
                out.push(place.to_string());
                places(value, &place, out);
            }
        }
        Value::Sequence(values) => values.iter().for_each(|value| places(value, &here.with("*"), out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_) => {}
    }
}

fn sorted_places(value: &Value) -> Vec<String> {
    let mut out = Vec::new();
    places(value, &Place::default(), &mut out);
    out.sort();
    out.dedup();
    out
}

/// The places the table of settings knows, with `libera` for a name of choice.
fn shape_places(shape: &Shape, here: &Place, out: &mut Vec<String>) {
    match shape {
        Shape::Table(settings) => {
            for setting in *settings {
                let place = here.with(setting.key);
                out.push(place.to_string());
                shape_places(&setting.shape, &place, out);
            }
        }
        Shape::Named(block) => {
            let name = if matches!(block, Shape::OneOf(_)) { "*" } else { "libera" };
            let place = here.with(name);
            out.push(place.to_string());
            shape_places(block, &place, out);
        }
        Shape::List(element) => shape_places(element, &here.with("*"), out),
        Shape::Text | Shape::YesNo | Shape::Whole { .. } | Shape::OneOf(_) => {}
    }
}

#[test]
fn sample_types_and_table_have_the_same_settings() {
    let sample = sample_with_channel();
    let in_sample = sorted_places(&serde_yaml::from_str(&sample).expect("yaml"));
    let in_types = sorted_places(&serde_yaml::to_value(good(&sample)).expect("serialises"));
    assert_eq!(in_sample, in_types);
    let mut in_table = Vec::new();
    shape_places(&CONFIG, &Place::default(), &mut in_table);
    in_table.sort();
    assert_eq!(in_table, in_types);
}

/// Every number's bounds stand in the comment over it.
fn assert_bounds(shape: &Shape, here: &Place) {
    match shape {
        Shape::Whole { min, max } => {
            let line = find::line_of(SAMPLE, here).expect("in the sample");
            let above: Vec<&str> = SAMPLE.lines().take(line - 1).collect();
            let comment = above.iter().rev().take_while(|line| line.trim_start().starts_with('#'));
            let comment: Vec<&str> = comment.copied().collect();
            let bounds = format!("{min} to {max}");
            assert!(comment.iter().any(|line| line.contains(&bounds)), "{here}: {bounds}: {comment:?}");
        }
        Shape::Table(settings) => settings.iter().for_each(|s| assert_bounds(&s.shape, &here.with(s.key))),
        Shape::Named(block) => assert_bounds(block, &here.with("libera")),
        Shape::List(element) => assert_bounds(element, &here.with(0)),
        Shape::Text | Shape::YesNo | Shape::OneOf(_) => {}
    }
}

#[test]
fn the_sample_tells_the_bounds_of_every_number() {
    assert_bounds(&CONFIG, &place![]);
}

#[test]
fn defaults_follow_from_other_settings() {
    let text = format!(
        "{SMALL}  other:\n    servers: [{{ host: localhost, tls: false }}]\n    ghosts:\nappservice: {{ listen: \"127.0.0.1:7\" }}\n"
    );
    let config = good(&text);
    assert_eq!(config.appservice.url, "http://127.0.0.1:7");
    assert_eq!(config.networks["libera"].servers[0].port, 6697);
    assert_eq!(config.networks["other"].servers[0].port, 6667);
    assert_eq!(config.networks["other"].name, "other");
    assert_eq!(config.networks["other"].ghosts, Ghosts::default());
}

#[test]
fn failures_are_told_somehow() {
    let quiet = "    failures: { reaction: \"\", notice: false }\n";
    network_faults(
        quiet,
        &[
            "config.yaml:7: warning: networks.libera.failures: nobody learns that a message of theirs did not arrive; leave one of the three on",
        ],
    );
    network_faults("    failures: { reaction: \"\", notice: false, status_event: true }\n", &[]);
    let bad = "must be a sign of 64 bytes at most, such as \"❌\", or \"\" for none";
    for reaction in [" ".to_owned(), "a\\tb".into(), "x".repeat(65)] {
        let fault = format!("config.yaml:7: networks.libera.failures.reaction: {bad}");
        network_faults(&format!("    failures: {{ reaction: \"{reaction}\" }}\n"), &[&fault]);
    }
}

#[test]
fn permissions_and_lists_name_somebody() {
    let text = format!(
        "{SMALL}appservice: {{ admins: ['@op:example.org'] }}\npermissions:\n  '@op:example.org': user\n  evil.*: blocked\n  \
         alice: user\n  good.org: king\n  '*': admin\npolicy_lists:\n  rooms: ['!a:b', list, '!a:b']\n  quit_message: \"a\\nb\"\n"
    );
    let nobody = "is nobody: write a user id such as @alice:example.org, a homeserver such as example.org, or \"*\" for everybody";
    assert_eq!(
        faults(&text),
        [
            "config.yaml:9: warning: permissions.@op:example.org: @op:example.org is among appservice.admins, and with this has less than an admin's power here".to_owned(),
            format!("config.yaml:10: permissions.evil.*: \"evil.*\" {nobody}"),
            "config.yaml:12: permissions.good.org: one of blocked, user, plumber, admin is wanted here, not \"king\"".to_owned(),
            "config.yaml:13: warning: permissions.*: everybody may do everything with this bridge".to_owned(),
            "config.yaml:15: policy_lists.rooms[1]: \"list\" is neither a room id, such as !opaque:example.org, nor an alias, such as #room:example.org".to_owned(),
            "config.yaml:15: policy_lists.rooms[2]: !a:b stands here twice".to_owned(),
            "config.yaml:16: policy_lists.quit_message: must be one line of 250 bytes at most".to_owned(),
        ]
    );
    network_faults(
        "    homeservers: { exempt: ['a b'], contacts_per_minute: 30, contacts_per_hour: 20 }\n",
        &[
            "config.yaml:7: networks.libera.homeservers.exempt[0]: \"a b\" is no server name; write the part of users' ids after the colon, such as example.org",
            "config.yaml:7: warning: networks.libera.homeservers.contacts_per_minute: 30 is more than contacts_per_hour, 20, which is what counts then",
        ],
    );
}

#[test]
fn a_slash_at_the_end_of_a_url_does_not_matter() {
    let text = SMALL.replace("8008", "8008/base/");
    let config = good(&format!("{text}appservice: {{ url: 'http://bridge:1/' }}\n"));
    assert_eq!(config.homeserver.url, "http://127.0.0.1:8008/base");
    assert_eq!(config.appservice.url, "http://bridge:1");
}

#[test]
fn rooms_are_named_by_id_or_alias() {
    let config = good(&sample_with_channel());
    let rooms: Vec<RoomName> = config.networks["libera"].channels[0].room_names().collect();
    assert!(matches!(&rooms[..], [RoomName::Id(id), RoomName::Alias(alias)]
        if id.as_str() == "!opaque:example.org" && alias.as_str() == "#room:example.org"));
}

#[test]
fn paths_are_relative_to_the_file() {
    let around = Around { file: Path::new("/etc/bun raku%/config.yaml"), variable: &|_| None };
    let config = parse(SMALL, around).expect("good").config;
    assert_eq!(config.appservice.registration, Path::new("/etc/bun raku%/registration.yaml"));
    assert_eq!(config.database.url.expose(), "sqlite:/etc/bun raku%25/bunraku.db");
    for url in ["sqlite:/var/b.db", "sqlite:///var/b.db", "postgres://u:p@h/b"] {
        assert_eq!(settle_sqlite(url, Path::new("/etc/config.yaml")), url);
    }
    assert_eq!(
        settle_sqlite("sqlite://b.db?mode=rwc", Path::new("/etc/c.yaml")),
        "sqlite:/etc/b.db?mode=rwc"
    );
    assert_eq!(settle_sqlite("sqlite:b.db", Path::new("c.yaml")), "sqlite:b.db");
}

#[test]
fn every_fault_of_a_file_is_told_at_once_with_its_line() {
    let text = "\
homeserver:
  url: matrix.example.org
appservice:
  listen: 127.0.0.1
  admins: [alice, '@bob:elsewhere.org']
databse: { url: x }
logging: { format: xml }
networks:
  libera:
    servers:
      - { host: irc.libera.chat, port: 70000, tlss: true }
      - irc.example.org
    nick: guest
    flood: { burst: many, line_ms: 1.5 }
    portals:
      dynamic: yes
      alias: 5
    channels:
      - { channel: rust, rooms: ['!a:b', room] }
";
    let expected = [
        "config.yaml:1: homeserver.domain: missing, and the bridge cannot run without; see config.sample.yaml",
        "config.yaml:2: homeserver.url: \"matrix.example.org\" must begin with http:// or https://",
        "config.yaml:4: appservice.listen: \"127.0.0.1\" is no address with a port, such as 127.0.0.1:9898 or [::1]:9898",
        "config.yaml:5: appservice.admins[0]: \"alice\" is no Matrix user id, such as @alice:example.org",
        "config.yaml:6: databse: unknown setting; did you mean \"database\"?",
        "config.yaml:7: logging.format: one of text, json is wanted here, not \"xml\"",
        "config.yaml:11: networks.libera.servers[0].tlss: unknown setting; did you mean \"tls\"?",
        "config.yaml:11: networks.libera.servers[0].port: a whole number from 1 to 65535 is wanted here, not 70000",
        "config.yaml:12: networks.libera.servers[1]: a block of settings is wanted here, not text",
        "config.yaml:13: networks.libera.nick: \"guest\" must contain `$DISPLAY`",
        "config.yaml:14: networks.libera.flood.burst: a whole number from 1 to 1000 is wanted here, not \"many\"",
        "config.yaml:14: networks.libera.flood.line_ms: a whole number from 0 to 60000 is wanted here, not 1.5",
        "config.yaml:16: networks.libera.portals.dynamic: true or false is wanted here, not \"yes\"",
        "config.yaml:17: networks.libera.portals.alias: text is wanted here, not a number; put it in quotes",
        "config.yaml:19: networks.libera.channels[0].channel: \"rust\" is no channel name; it begins with #, &, + or ! and holds no space or comma, 200 bytes at most",
        "config.yaml:19: networks.libera.channels[0].rooms[1]: \"room\" is neither a room id, such as !opaque:example.org, nor an alias, such as #room:example.org",
    ];
    assert_eq!(faults(text), expected);
}

#[test]
fn a_file_that_is_no_configuration_is_told_so() {
    assert_eq!(
        faults("homeserver: [\n"),
        [
            "config.yaml:2: this is not YAML as the bridge reads it: did not find expected node content at line 2 column 1, while parsing a flow node"
        ]
    );
    assert_eq!(faults("just words"), ["config.yaml: a block of settings is wanted here, not text"]);
    let twice = faults(&format!("{SMALL}homeserver: {{}}\n"));
    assert_eq!(twice.len(), 1);
    assert!(twice[0].contains("duplicate entry with key \"homeserver\""), "{twice:?}");
}

#[test]
fn settings_that_do_not_fit_together_are_told() {
    network_faults(
        "    portals: { alias: '#irc', room_version: 'x y', exclude: ['#a', a] }\n",
        &[
            "config.yaml:7: networks.libera.portals.alias: \"#irc\" must contain `$CHANNEL`",
            "config.yaml:7: networks.libera.portals.exclude[1]: \"a\" is no channel name; it begins with #, &, + or ! and holds no space or comma, 200 bytes at most",
            "config.yaml:7: networks.libera.portals.room_version: \"x y\" is no room version, such as \"11\"",
        ],
    );
    network_faults(
        "    ghosts: { user: '@$NICK' }\n    portals: { alias: '#$CHANNEL:else.org' }\n",
        &[
            "config.yaml:7: networks.libera.ghosts.user: would take every user id of the homeserver; put something before $NICK, such as @irc_$NICK",
            "config.yaml:8: networks.libera.portals.alias: ends in :else.org, and the homeserver is example.org; leave the server name out",
            "config.yaml:8: networks.libera.portals.alias: would take every alias of the homeserver; put something before $CHANNEL, such as #irc_$CHANNEL",
        ],
    );
    network_faults(
        "    connect: { retry_ms_min: 9000, retry_ms_max: 8000 }\n    user_modes: i\n    encoding_fallback: klingon\n",
        &[
            "config.yaml:7: networks.libera.connect.retry_ms_min: 9000 is more than retry_ms_max, 8000",
            "config.yaml:8: networks.libera.user_modes: \"i\" is no list of modes, such as +i or +ix-w; leave it empty for none",
            "config.yaml:9: networks.libera.encoding_fallback: \"klingon\" is no encoding of the WHATWG standard, such as windows-1252 or iso-8859-15",
        ],
    );
    network_faults(
        "    tls: { ca_file: no/such.pem, server_name: 'a b' }\n    password: ''\n",
        &[
            "config.yaml:7: networks.libera.tls.ca_file: no/such.pem cannot be read: No such file or directory (os error 2)",
            "config.yaml:7: networks.libera.tls.server_name: \"a b\" is no host name",
            "config.yaml:8: networks.libera.password: must not be empty nor hold a line break",
        ],
    );
    network_faults(
        "database: { url: 'mysql://x' }\nlogging: { filter: '' }\n",
        &[
            "config.yaml:7: database.url: must begin with sqlite: and a file, or with postgres:// and a host",
            "config.yaml:8: logging.filter: must not be empty; \"info\" is a good start",
        ],
    );
    network_faults(
        "appservice: { listen: '0.0.0.0:9898' }\n",
        &[
            "config.yaml:7: appservice.url: needed when listen is 0.0.0.0: that is no address the homeserver can reach",
        ],
    );
    assert_eq!(
        faults(&SMALL.replace("[{ host: irc.libera.chat }]", "[]")),
        [
            "config.yaml:6: networks.libera.servers: no server; add at least one, such as { host: irc.example.org }",
        ]
    );
    assert_eq!(
        faults("homeserver: { url: 'http://h', domain: 'a b' }\nnetworks: {}\n"),
        [
            "config.yaml:1: homeserver.domain: \"a b\" is no server name; write the part of your users' ids after the colon, such as example.org",
            "config.yaml:2: networks: no network; add at least one, see config.sample.yaml",
        ]
    );
}

#[test]
fn the_nick_of_the_bridge_is_a_nick_and_is_there_to_ask() {
    network_faults("    operators: { nick: 'br-1[x]', contact: 'irc@example.org, #bridge' }\n", &[]);
    for bad in ["''", "'a b'", "'9lives'", "'#bridge'", "'brücke'", "'abcdefghijklmnopqrstuvwxyzabcde'"] {
        let sentence = "must be a nick of at most 30 letters, such as bunraku";
        let fault = format!("config.yaml:7: networks.libera.operators.nick: {sentence}");
        network_faults(&format!("    operators: {{ nick: {bad} }}\n"), &[&fault]);
    }
    network_faults(
        "    operators: { contact: \"a\\nQUIT\" }\n",
        &["config.yaml:7: networks.libera.operators.contact: must be one line of at most 100 characters"],
    );
    network_faults(
        "    portals: { consent: by_consent }\n    operators: { enabled: false }\n",
        &[
            "config.yaml:8: networks.libera.operators.enabled: must be true where portals.consent is by_consent: nobody else asks",
        ],
    );
}

#[test]
fn channels_and_rooms_are_mapped_once() {
    network_faults(
        "    portals: { exclude: ['#C'] }
    channels:
      - { channel: '#a', rooms: ['!r:s'] }
      - { channel: '#A', rooms: ['!r:s'] }
      - { channel: '#c', rooms: [] }
",
        &[
            "config.yaml:10: networks.libera.channels[1].channel: #A is listed before; put all its rooms into one entry",
            "config.yaml:10: networks.libera.channels[1].rooms[0]: !r:s is mapped to #a on libera already; a room can have one channel of a network",
            "config.yaml:11: networks.libera.channels[2].channel: #c is in portals.exclude too; take one away",
            "config.yaml:11: networks.libera.channels[2].rooms: no room for #c; name one, or take the entry away",
        ],
    );
}

#[test]
fn a_room_may_have_a_channel_of_each_network() {
    let shared = |first: &str, second: &str| {
        format!(
            "    channels: [{{ channel: '#a', rooms: ['!r:s', '!q:s'] }}]
{first}  oftc:
    servers: [{{ host: h }}]
    channels: [{{ channel: '#b', rooms: ['!r:s'] }}]
{second}"
        )
    };
    network_faults(&shared("", ""), &[]);
    network_faults(
        &shared("    operators: { enabled: false }\n", "    asides: true\n"),
        &[
            "config.yaml:8: networks.libera.operators.enabled: must be true where a room is shared with another network: the bot says what that says",
            "config.yaml:12: networks.oftc.asides: must be false where a room is shared with another network, which would say it to everybody",
        ],
    );
    let all = "    topics: { to_matrix: all }\n";
    network_faults(
        &shared(all, all),
        &[
            "config.yaml:12: networks.oftc.topics.to_matrix: !r:s follows libera already (networks.libera.topics.to_matrix); one of them can be all",
        ],
    );
    network_faults(&shared(all, "    power: { to_matrix: all }\n"), &[]);
}

#[test]
fn nothing_goes_round_in_a_circle() {
    network_faults(
        "    channels: [{ channel: '#a', rooms: ['!r:s', '!q:s'] }]
  oftc:
    servers: [{ host: h }]
    channels: [{ channel: '#b', rooms: ['!r:s', '!q:s'] }]
",
        &[
            "config.yaml:10: networks.oftc.channels[0].rooms[1]: #b and !q:s are connected already by other rooms; what is said would go round in a circle",
        ],
    );
    network_faults(
        "    channels: [{ channel: '#a', rooms: ['!r:s'] }, { channel: '#c', rooms: ['!q:s'] }]
  oftc:
    servers: [{ host: h }]
    channels: [{ channel: '#b', rooms: ['!r:s'] }, { channel: '#d', rooms: ['!q:s'] }]
",
        &[],
    );
}

#[test]
fn networks_that_would_share_names_are_told() {
    let other = |key: &str, more: &str| format!("  {key}:\n    servers: [{{ host: h }}]\n{more}");
    let overlap = "can name the same users as networks.libera.ghosts.user; begin them differently, with $NETWORK or a word";
    network_faults(
        &other("libera_x", ""),
        &[&format!("config.yaml:7: networks.libera_x.ghosts.user: {overlap}")],
    );
    network_faults(
        &other("oftc", "    portals: { alias: '#irc_libera_$CHANNEL' }\n"),
        &[
            "config.yaml:9: networks.oftc.portals.alias: can name the same rooms as networks.libera.portals.alias; begin them differently, with $NETWORK or a word",
        ],
    );
    network_faults(&other("oftc", ""), &[]);
    network_faults(
        &other("Libera", "    portals: { alias: '#o_$CHANNEL' }\n    ghosts: { user: '@o_$NICK' }\n"),
        &["config.yaml:5: networks.libera: differs from Libera in capitals only; rename one"],
    );
    network_faults(
        &other("a b", ""),
        &[
            "config.yaml:7: networks.a b: a network's key may hold letters, digits, \".\", \"-\" and \"_\", 64 at most",
        ],
    );
}

#[test]
fn what_is_unsafe_gives_a_warning_and_runs() {
    let text = SMALL.replace("irc.libera.chat", "irc.libera.chat, tls: false");
    assert_eq!(
        faults(&text),
        [
            "config.yaml:6: warning: networks.libera.servers[0].tls: anybody on the way to irc.libera.chat can read and change everything; use tls: true if the server can",
        ]
    );
    assert!(good(&text).networks["libera"].servers[0].port == 6667);
    assert_eq!(faults(&SMALL.replace("irc.libera.chat", "127.0.0.1, tls: false")), [""; 0]);
    network_faults(
        "    tls: { verify: false }\nappservice: { admins: ['@a:other.org'] }\n",
        &[
            "config.yaml:7: warning: networks.libera.tls.verify: certificates are not checked, so anybody on the way can pose as the server; put its authority into ca_file instead",
            "config.yaml:8: warning: appservice.admins[0]: @a:other.org is not on this homeserver, example.org; look whether homeserver.domain is right",
        ],
    );
}

#[test]
fn what_is_brought_in_is_a_value_whatever_it_holds() {
    let text = format!("{SMALL}    password: '${{WORD}}: {{}}'\n    flood: {{ burst: '${{YES}}' }}\n");
    assert_eq!(
        faults(&text),
        [
            "config.yaml:8: networks.libera.flood.burst: a whole number from 1 to 1000 is wanted here, and ${YES} gives something else",
        ]
    );
    let config =
        good(&format!("{SMALL}    password: '${{WORD}}: {{}}'\nlogging: {{ filter: '${{STRUCTURE}}' }}\n"));
    assert_eq!(config.networks["libera"].password, Some(Secret::new("canary: {}")));
    assert_eq!(config.logging.filter, "a: {b: [c\n- d\nport: 1\n");
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn numbers_and_choices_may_come_from_outside() {
    let text = SMALL.replace("irc.libera.chat", "h, port: '${PORT}', tls: '${YES}'");
    let server = &good(&text).networks["libera"].servers[0];
    assert_eq!((server.port, server.tls), (7000, true));
    let text = SMALL.replace("irc.libera.chat", "h, port: '7000', tls: '${WORD}'");
    assert_eq!(
        faults(&text),
        [
            "config.yaml:6: networks.libera.servers[0].port: a whole number from 1 to 65535 is wanted here, not \"7000\"",
            "config.yaml:6: networks.libera.servers[0].tls: true or false is wanted here, and ${WORD} gives something else",
        ]
    );
    network_faults(
        "    password: ${NOPE}\n",
        &[
            "config.yaml:7: networks.libera.password: the environment variable NOPE is not set; set it where bunraku is started",
        ],
    );
}

#[test]
fn files_are_brought_in_from_beside_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("password"), "hunter2: {}\nsecond\r\n").expect("written");
    std::fs::write(folder.path().join("long"), vec![b'x'; 65_537]).expect("written");
    let file = folder.path().join("config.yaml");
    let around = Around { file: &file, variable: &|_| None };
    let with = |name: &str| parse(&format!("{SMALL}logging: {{ filter: '${{file:{name}}}' }}\n"), around);
    assert_eq!(with("password").expect("good").config.logging.filter, "hunter2: {}\nsecond");
    let long = with("long").expect_err("too long").to_string();
    assert!(long.ends_with("/long cannot be read: it is longer than 65536 bytes"), "{long}");
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 9].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
    }
    assert_eq!(
        faults(&text),
        ["config.yaml: this is not YAML as the bridge reads it: repetition limit exceeded"]
    );
    let deep = format!("homeserver: {}", "[".repeat(1_000));
    assert_eq!(faults(&deep).len(), 1);
}

#[test]
fn a_thousand_faults_are_not_told_one_by_one() {
    let text: String = (0..1_000).map(|n| format!("wrong{n}: 1\n")).collect();
    let told = faults(&text);
    assert_eq!(told.len(), PROBLEMS_MAX + 1);
    assert_eq!(told[PROBLEMS_MAX], "config.yaml: 902 more faults");
}

mod registration_file {
    use regex::Regex;

    use super::super::registration::{Draft, parse, write};
    use super::*;

    const EXAMPLE: &str = include_str!("../../registration.yaml");

    fn draft(bot: &str) -> Draft {
        let (as_token, hs_token) = (Secret::new(&"a".repeat(64)), Secret::new(&"h".repeat(64)));
        Draft { bot: bot.into(), as_token, hs_token }
    }

    fn written(config: &Config) -> String {
        write(config, &draft("ircbot"), Path::new("r.yaml")).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn faults(text: &str, config: &Config) -> Vec<String> {
        let problems = match parse(text, Path::new("r.yaml"), config) {
            Ok((_, warnings)) => warnings,
            Err(problems) => problems,
        };
        problems.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let config = good(SAMPLE);
        let (registration, warnings) =
            parse(&written(&config), Path::new("r.yaml"), &config).unwrap_or_else(|p| panic!("{p}"));
        assert_eq!(warnings, Problems::default());
        assert_eq!(registration.id, "bunraku");
        assert_eq!(registration.bot.as_str(), "@ircbot:example.org");
        assert_eq!(registration.as_token.expose(), "a".repeat(64));
        assert_eq!(registration.hs_token.expose(), "h".repeat(64));
        assert!(!format!("{registration:?}").contains("aaaa"));
    }

    #[test]
    fn the_example_is_what_is_written_and_refused_for_its_tokens() {
        let config = good(SAMPLE);
        let value = |text: &str| {
            let mut value: Value = serde_yaml::from_str(text).expect("yaml");
            let mapping = value.as_mapping_mut().expect("a mapping");
            mapping.remove("as_token").zip(mapping.remove("hs_token")).expect("both tokens");
            value
        };
        assert_eq!(value(EXAMPLE), value(&written(&config)));
        assert_eq!(
            faults(EXAMPLE, &config),
            [
                "r.yaml:6: as_token: is the example's, which everybody knows; make your own: bunraku registration --force",
                "r.yaml:7: hs_token: is the example's, which everybody knows; make your own: bunraku registration --force",
            ]
        );
    }

    #[test]
    fn the_patterns_hold_our_names_and_no_others() {
        let text = written(&good(SAMPLE));
        let value: Value = serde_yaml::from_str(&text).expect("yaml");
        let matches = |kind: &str, name: &str| {
            let listed = value["namespaces"][kind].as_sequence().expect("a list");
            listed.iter().any(|namespace| {
                assert_eq!(namespace["exclusive"], Value::Bool(true));
                Regex::new(namespace["regex"].as_str().expect("text")).expect("a regex").is_match(name)
            })
        };
        for user in ["@irc_libera_x:example.org", "@ircbot:example.org"] {
            assert!(matches("users", user), "{user}");
        }
        for user in [
            "@irc_libera_x:example.org.evil",
            "@irc_libera_x:exampleXorg",
            "@irc_oftc_x:example.org",
            "@ircbot2:example.org",
            "@ircbot:example.orgs",
            "x@irc_libera_x:example.org",
            "@alice:example.org",
        ] {
            assert!(!matches("users", user), "{user}");
        }
        assert!(matches("aliases", "#irc_libera_#rust:example.org"));
        assert!(!matches("aliases", "#irc_libera_#rust:example.org.evil"));
        assert!(!matches("aliases", "#rust:example.org"));
    }

    #[test]
    fn a_registration_that_does_not_fit_is_told() {
        let config = good(&SAMPLE.replace("9898\"", "7777\""));
        let stale = written(&good(SAMPLE))
            .replace("irc_libera", "irc_oftc")
            .replace("- exclusive: true", "- exclusive: false");
        assert_eq!(
            faults(&stale, &config),
            [
                "r.yaml:4: url: is http://127.0.0.1:9898, and appservice.url is http://127.0.0.1:7777; make the registration anew, or change one of the two, then restart the homeserver",
                "r.yaml:15: namespaces.users: the ghosts of libera are not in it, ^@irc_libera_.+:example\\.org$; make the registration anew, then restart the homeserver",
                "r.yaml:16: warning: namespaces.users[0].exclusive: should be true, or others can take these names",
                "r.yaml:18: warning: namespaces.users[1].exclusive: should be true, or others can take these names",
                "r.yaml:20: namespaces.aliases: the aliases of libera are not in it, ^#irc_libera_.+:example\\.org$; make the registration anew, then restart the homeserver",
                "r.yaml:21: warning: namespaces.aliases[0].exclusive: should be true, or others can take these names",
            ]
        );
    }

    #[test]
    fn a_registration_of_other_hands_may_say_less_and_more() {
        let config = good(SAMPLE);
        let text = "\
id: irc
url: http://127.0.0.1:9898/
as_token: 0123456789abcdef
hs_token: 0123456789abcdef
sender_localpart: irc_libera_bot
org.example.own: 1
namespaces: { users: [{ exclusive: true, regex: '@irc_.*' }], aliases: [{ exclusive: true, regex: '(' }] }
";
        assert_eq!(
            faults(text, &config),
            [
                "r.yaml: warning: rate_limited: must be false, or the homeserver lets ghosts say one message in five seconds; change it and restart the homeserver",
                "r.yaml: warning: io.element.msc4190: should be true, or messages on their way while the homeserver restarts may come twice",
                "r.yaml:4: hs_token: is the same as as_token; they must differ",
                "r.yaml:5: sender_localpart: @irc_libera_bot:example.org would be a ghost of libera; choose another name for the bot",
                "r.yaml:7: namespaces.aliases[0].regex: \"(\" is no regular expression",
                "r.yaml:7: namespaces.aliases: the aliases of libera are not in it, ^#irc_libera_.+:example\\.org$; make the registration anew, then restart the homeserver",
            ]
        );
        let short = faults("id: irc\n", &config);
        assert_eq!(short, ["r.yaml:1: this is no registration: missing field `as_token`"]);
    }

    #[test]
    fn a_registration_without_typing_is_told_where_it_is_wanted() {
        let old = |config| {
            let text = written(config).replace("receive_ephemeral: true\n", "");
            text.replace("de.sorunome.msc2409.push_ephemeral: true\n", "")
        };
        let (quiet, wanted) = (good(SAMPLE), good(&SAMPLE.replace("to_irc: false", "to_irc: true")));
        assert_eq!(faults(&old(&quiet), &quiet), [""; 0]);
        assert_eq!(faults(&written(&wanted), &wanted), [""; 0]);
        assert_eq!(
            faults(&old(&wanted), &wanted),
            [
                "r.yaml: warning: receive_ephemeral: must be true, or nobody on libera sees people of Matrix type (typing.to_irc); make the registration anew, then restart the homeserver"
            ]
        );
    }

    #[test]
    fn a_bot_that_is_a_ghost_or_no_user_cannot_be_written() {
        let config = good(SAMPLE);
        let refused =
            |bot: &str| write(&config, &draft(bot), Path::new("r.yaml")).expect_err("refused").to_string();
        assert_eq!(
            refused("irc_libera_bot"),
            "r.yaml: sender_localpart: @irc_libera_bot:example.org would be a ghost of libera; choose another name for the bot"
        );
        assert_eq!(refused("Bot!"), "r.yaml: sender_localpart: \"Bot!\" is no localpart of a Matrix user id");
    }
}

#[test]
fn who_puppets_are_has_to_make_sense() {
    network_faults(
        "    webirc: { password: secret }\n",
        &[
            "config.yaml:7: networks.libera.webirc.password: WEBIRC needs an address for each puppet; set source.ipv6_prefix, or leave the password out",
        ],
    );
    network_faults(
        "    services: { mask: \"NickServ!*@*\" }\n",
        &[
            "config.yaml:7: networks.libera.services.mask: fits any host, so anybody who takes the nick would get passwords; name the services' host",
        ],
    );
    network_faults(
        "    services: { mask: NickServ, nick: \"a b\" }\n",
        &[
            "config.yaml:7: networks.libera.services.nick: \"a b\" is no nick",
            "config.yaml:7: networks.libera.services.mask: \"NickServ\" is no mask, such as NickServ!*@services.example.org",
        ],
    );
    network_faults(
        "    source: { addresses: [here], ipv6_prefix: \"2001:db8::1/64\" }\n",
        &[
            "config.yaml:7: networks.libera.source.addresses[0]: \"here\" is no address, such as 192.0.2.7 or 2001:db8::7",
            "config.yaml:7: networks.libera.source.ipv6_prefix: \"2001:db8::1/64\" has bits behind the first 64; write zeros there",
        ],
    );
    network_faults(
        "    source: { ipv6_prefix: \"2001:db8::/120\" }\n",
        &[
            "config.yaml:7: networks.libera.source.ipv6_block_bits: blocks of 16 bits do not fit behind 2001:db8::/120; take a smaller number, or a larger prefix",
        ],
    );
    network_faults(
        "    realname: Matrix\n",
        &["config.yaml:7: networks.libera.realname: \"Matrix\" must contain `$USERID`"],
    );
}

#[test]
fn an_ident_server_listens_on_a_port() {
    let told = faults(&format!("{SMALL}identd: {{ listen: \"113\" }}\n"));
    assert_eq!(
        told,
        ["config.yaml:7: identd.listen: \"113\" is no address with a port, such as 0.0.0.0:113 or [::]:113"]
    );
}

#[test]
fn figures_are_for_those_who_may_reach_the_port() {
    let told = faults(&format!("{SMALL}metrics: {{ listen: \":9003\" }}\n"));
    assert_eq!(
        told,
        ["config.yaml:7: metrics.listen: \":9003\" is no address with a port, such as 127.0.0.1:9003"]
    );
    assert_eq!(faults(&format!("{SMALL}metrics: {{ listen: \"127.0.0.1:9003\" }}\n")), [""; 0]);
    let told = faults(&format!("{SMALL}metrics: {{ listen: \"0.0.0.0:9003\" }}\n"));
    assert!(told.len() == 1 && told[0].contains("nobody is asked for a password"), "{told:?}");
}

#[test]
fn links_need_a_listener_and_a_beginning() {
    let told = |media: &str| faults(&format!("{SMALL}media: {{ {media} }}\n"));
    assert_eq!(told("listen: \"127.0.0.1:9899\", public_url: \"https://m.example.org/x\""), [""; 0]);
    let needed = "config.yaml:7: media.public_url: needed with listen: what links on IRC begin with, such as \
        https://media.example.org";
    assert_eq!(told("listen: \"127.0.0.1:9899\""), [needed]);
    let wrong = told(
        "listen: \":1\", public_url: \"media.example.org\", trusted_proxies: [\"::1\", \"10.0.0.0/33\"]",
    );
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    let open = told("listen: \"0.0.0.0:9899\", public_url: \"https://m.example.org\"");
    assert!(open.len() == 1 && open[0].contains("no TLS of its own"), "{open:?}");
}
