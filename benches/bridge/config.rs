//! The files that the bridge under measurement is started with: no limits but the pace that is asked for.

use super::lab::{DOMAIN, IRC_HOST, Pace, Plan, Rooms, Wire, channel_name, room};

pub const AS_TOKEN: &str = "f3c1a0d59b7e42468a1cbb0f6ad2e7914c5586d0e97f4b2d8a30c61ef7b94d25";
pub const HS_TOKEN: &str = "0b8e6d1f47a95c238ef4d7016bca39525e9f70c83d1642a7b0d6f98e15c3a47d";

/// Connections at once, where they are limited; as by default. With fewer than two, a timer that is late by a
/// millisecond each time makes the rate lower than it may be.
pub const BURST: usize = 5;

/// The registration of a bridge that listens at `appservice`.
pub fn registration(appservice: &str) -> String {
    format!(
        "id: bunraku\nurl: \"http://{appservice}\"\nas_token: {AS_TOKEN}\nhs_token: {HS_TOKEN}\n\
         sender_localpart: ircbot\nrate_limited: false\nreceive_ephemeral: true\nprotocols: [irc]\n\
         io.element.msc4190: true\nnamespaces:\n\
         \x20 users: [ {{ exclusive: true, regex: '^@irc_.*:bench\\.test$' }} ]\n\
         \x20 aliases: [ {{ exclusive: true, regex: '^#irc_.*:bench\\.test$' }} ]\n\
         \x20 rooms: []\n"
    )
}

/// The configuration of one network, `local`.
pub fn config(plan: &Plan, homeserver: &str, appservice: &str, irc_port: u16) -> String {
    let (tls, trust) = match plan.wire {
        Wire::Plain => (false, ""),
        Wire::Tls => (true, "    tls: { ca_file: ircd.pem }\n"),
    };
    let (burst, interval_ms) = match plan.pace {
        Pace::Off => (1000, 0),
        Pace::PerSecond(rate) => (BURST, 1000 / rate.clamp(1, 1000)),
    };
    let plumbed = plumbed(plan);
    format!(
        "homeserver: {{ url: \"{homeserver}\", domain: {DOMAIN} }}\n\
         appservice: {{ listen: \"{appservice}\", url: \"http://{appservice}\", registration: registration.yaml, admins: [] }}\n\
         database: {{ url: \"sqlite:bunraku.db\" }}\n\
         logging: {{ filter: \"warn\", format: text }}\n\
         networks:\n\
         \x20 local:\n\
         \x20   name: Local\n\
         \x20   servers: [ {{ host: {IRC_HOST}, port: {irc_port}, tls: {tls} }} ]\n{trust}\
         \x20   nick: \"$LOCALPART\"\n\
         \x20   channels:{plumbed}\n\
         \x20   flood: {{ burst: 100, line_ms: 0 }}\n\
         \x20   connect: {{ burst: {burst}, interval_ms: {interval_ms}, retry_ms_min: 200, retry_ms_max: 2000, connections_max: 50000, at_once: 1000 }}\n"
    )
}

fn plumbed(plan: &Plan) -> String {
    if plan.rooms == Rooms::Remembered || plan.layout.channels == 0 {
        return " []".to_owned();
    }
    let line = |n| format!("\n      - {{ channel: \"{}\", rooms: [\"{}\"] }}", channel_name(n), room(n));
    (0..plan.layout.channels).map(line).collect()
}
