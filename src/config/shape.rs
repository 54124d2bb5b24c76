//! What the configuration file may hold: every setting's name, kind and bounds, in one table.
//!
//! The table is what lets all faults of a file be told at once, with the setting that was probably meant:
//! serde alone would stop at the first. Tests hold it equal to [`super::types`] and to `config.sample.yaml`.
//! Says nothing about how settings fit together; that is [`super::check`].

/// What one place of the file may hold.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    YesNo,
    /// A whole number within these bounds, both included.
    Whole {
        min: u64,
        max: u64,
    },
    OneOf(&'static [&'static str]),
    List(&'static Shape),
    /// Settings with fixed names.
    Table(&'static [Setting]),
    /// Blocks under names of the operator's choice.
    Named(&'static Shape),
}

/// One named setting of a table.
#[derive(Debug)]
pub(super) struct Setting {
    pub key: &'static str,
    pub need: Need,
    pub shape: Shape,
}

/// Whether a file without this setting is a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

const fn must(key: &'static str, shape: Shape) -> Setting {
    Setting { key, need: Need::Required, shape }
}

const fn may(key: &'static str, shape: Shape) -> Setting {
    Setting { key, need: Need::Optional, shape }
}

const fn whole(min: u64, max: u64) -> Shape {
    Shape::Whole { min, max }
}

const HOUR_MS: u64 = 3_600_000;
const ROOMS: Shape = Shape::OneOf(&["none", "portals", "all"]);
const TEXTS: Shape = Shape::List(&Shape::Text);

/// The whole file.
pub(super) static CONFIG: Shape = Shape::Table(&[
    must("homeserver", Shape::Table(&[must("url", Shape::Text), must("domain", Shape::Text)])),
    may(
        "appservice",
        Shape::Table(&[
            may("listen", Shape::Text),
            may("url", Shape::Text),
            may("registration", Shape::Text),
            may("admins", TEXTS),
        ]),
    ),
    may("database", Shape::Table(&[may("url", Shape::Text)])),
    may(
        "logging",
        Shape::Table(&[may("filter", Shape::Text), may("format", Shape::OneOf(&["text", "json"]))]),
    ),
    may("secrets", Shape::Table(&[may("key_file", Shape::Text)])),
    may("identd", Shape::Table(&[may("listen", Shape::Text)])),
    may("metrics", Shape::Table(&[may("listen", Shape::Text)])),
    may(
        "media",
        Shape::Table(&[
            may("listen", Shape::Text),
            may("public_url", Shape::Text),
            may("trusted_proxies", TEXTS),
            may("expires_days", whole(1, 3_650)),
            may("size_bytes_max", whole(1_024, 1 << 40)),
            may("requests_per_minute", whole(1, 1_000_000)),
            may("bytes_per_hour", whole(1_024, 1 << 50)),
            may("transfers_max", whole(1, 10_000)),
        ]),
    ),
    may(
        "api",
        Shape::Table(&[
            may("listen", Shape::Text),
            may("admin_listen", Shape::Text),
            may("tokens", Shape::List(&API_TOKEN)),
            may("sign_in", Shape::OneOf(&["own", "any"])),
            may("homeservers", Shape::List(&API_HOMESERVER)),
            may("widget", Shape::YesNo),
            may("requests_per_minute", whole(1, 1_000_000)),
            may("trusted_proxies", TEXTS),
        ]),
    ),
    may("permissions", Shape::Named(&PERMISSION)),
    may("policy_lists", Shape::Table(&[may("rooms", TEXTS), may("quit_message", Shape::Text)])),
    must("networks", Shape::Named(&NETWORK)),
]);

static PERMISSION: Shape = Shape::OneOf(&["blocked", "user", "plumber", "admin"]);

static NETWORK: Shape = Shape::Table(&[
    may("name", Shape::Text),
    must("servers", Shape::List(&SERVER)),
    may(
        "tls",
        Shape::Table(&[
            may("ca_file", Shape::Text),
            may("verify", Shape::YesNo),
            may("server_name", Shape::Text),
            may("fingerprints", TEXTS),
            may("client_certificate", Shape::Text),
            may("client_key", Shape::Text),
        ]),
    ),
    may("password", Shape::Text),
    may(
        "webirc",
        Shape::Table(&[may("password", Shape::Text), may("gateway", Shape::Text), may("host", Shape::Text)]),
    ),
    may(
        "services",
        Shape::Table(&[may("nick", Shape::Text), may("mask", Shape::Text), may("identify", Shape::Text)]),
    ),
    may(
        "source",
        Shape::Table(&[
            may("addresses", TEXTS),
            may("ipv6_prefix", Shape::Text),
            may("ipv6_block_bits", whole(1, 63)),
        ]),
    ),
    may("encoding_fallback", Shape::Text),
    may("user_modes", Shape::Text),
    may("bot_mode", Shape::YesNo),
    may("ident_bytes_max", whole(4, 32)),
    may("realname", Shape::Text),
    may("nick", Shape::Text),
    may("ghosts", Shape::Table(&[may("user", Shape::Text)])),
    may(
        "portals",
        Shape::Table(&[
            may("dynamic", Shape::YesNo),
            may("alias", Shape::Text),
            may("consent", Shape::OneOf(&["open", "by_consent"])),
            may("exclude", TEXTS),
            may("federate", Shape::YesNo),
            may("room_version", Shape::Text),
        ]),
    ),
    may("channels", Shape::List(&CHANNEL)),
    may("flood", Shape::Table(FLOOD)),
    may(
        "connect",
        Shape::Table(&[
            may("burst", whole(1, 1_000)),
            may("interval_ms", whole(0, HOUR_MS)),
            may("retry_ms_min", whole(100, HOUR_MS)),
            may("retry_ms_max", whole(100, 24 * HOUR_MS)),
            may("register_ms_max", whole(1_000, HOUR_MS)),
            may("connections_max", whole(1, 50_000)),
            may("at_once", whole(1, 10_000)),
            may("long_ms", whole(1_000, 24 * HOUR_MS)),
            may("outage_ms", whole(1_000, 24 * HOUR_MS)),
            may("idle_s_max", whole(0, 31_536_000)),
        ]),
    ),
    may(
        "ping",
        Shape::Table(&[may("after_ms", whole(1_000, HOUR_MS)), may("timeout_ms", whole(1_000, HOUR_MS))]),
    ),
    may(
        "messages",
        Shape::Table(&[
            may("age_s_max", whole(10, 604_800)),
            may("lines_max", whole(1, 100)),
            may("edits", Shape::YesNo),
            may("edit_age_s_max", whole(10, 604_800)),
            may("reply_quotes", Shape::YesNo),
            may("reactions", Shape::YesNo),
            may("redactions", Shape::YesNo),
        ]),
    ),
    may("formatting", Shape::Table(&[may("codes", Shape::YesNo), may("plain_channels", TEXTS)])),
    may(
        "failures",
        Shape::Table(&[
            may("reaction", Shape::Text),
            may("notice", Shape::YesNo),
            may("status_event", Shape::YesNo),
        ]),
    ),
    may("asides", Shape::YesNo),
    may("typing", Shape::Table(&[may("to_irc", Shape::YesNo), may("to_matrix", Shape::YesNo)])),
    may("topics", Shape::Table(&[may("to_matrix", ROOMS), may("to_irc", ROOMS)])),
    may(
        "power",
        Shape::Table(&[
            may("to_matrix", ROOMS),
            may("owner", whole(0, 99)),
            may("admin", whole(0, 99)),
            may("operator", whole(0, 99)),
            may("halfop", whole(0, 99)),
            may("voice", whole(0, 99)),
        ]),
    ),
    may(
        "presence",
        Shape::Table(&[
            may("gate", Shape::OneOf(&["strict", "lenient", "off"])),
            may("grace_s", whole(10, 86_400)),
            may("join_failure", Shape::OneOf(&["tell", "wait", "remove"])),
        ]),
    ),
    may(
        "moderation",
        Shape::Table(&[may("to_irc", ROOMS), may("to_matrix", Shape::OneOf(&["none", "portals"]))]),
    ),
    may(
        "members",
        Shape::Table(&[
            may("to_matrix", Shape::OneOf(&["full", "lazy", "off"])),
            may("full_channels", TEXTS),
            may("lazy_channels", TEXTS),
            may("off_channels", TEXTS),
            may("grace_s", whole(0, 86_400)),
            may("split_grace_s", whole(0, 604_800)),
            may("ghosts_max", whole(1, 100_000)),
        ]),
    ),
    may(
        "directory",
        Shape::Table(&[
            may("bridge_info", Shape::YesNo),
            may("publish", Shape::YesNo),
            may("invites", Shape::YesNo),
            may("invites_per_minute", whole(1, 1_000)),
            may("other_bridges", TEXTS),
            may("space", ROOMS),
        ]),
    ),
    may(
        "mentions",
        Shape::Table(&[may("max", whole(0, 100)), may("letters_min", whole(1, 64)), may("never", TEXTS)]),
    ),
    may(
        "queries",
        Shape::Table(&[
            may("to_matrix", Shape::YesNo),
            may("from_matrix", Shape::YesNo),
            may("federate", Shape::YesNo),
            may("rooms_per_minute", whole(1, 1_000)),
            may("contacts_per_minute", whole(1, 1_000)),
        ]),
    ),
    may(
        "operators",
        Shape::Table(&[
            may("enabled", Shape::YesNo),
            may("nick", Shape::Text),
            may("contact", Shape::Text),
            may("ask_in_channel", Shape::YesNo),
        ]),
    ),
    may(
        "plumbing",
        Shape::Table(&[may("by", Shape::OneOf(&["consent", "nobody"])), may("rooms_max", whole(0, 10_000))]),
    ),
    may(
        "homeservers",
        Shape::Table(&[
            may("connections_max", whole(0, 50_000)),
            may("contacts_per_minute", whole(0, 10_000)),
            may("contacts_per_hour", whole(0, 100_000)),
            may("joins_per_minute", whole(0, 10_000)),
            may("own", Shape::YesNo),
            may("exempt", TEXTS),
        ]),
    ),
]);

static FLOOD: &[Setting] =
    &[may("burst", whole(1, 1_000)), may("line_ms", whole(0, 60_000)), may("line_bytes", whole(0, 512))];

static SERVER: Shape =
    Shape::Table(&[must("host", Shape::Text), may("port", whole(1, 65_535)), may("tls", Shape::YesNo)]);

static API_TOKEN: Shape = Shape::Table(&[
    must("name", Shape::Text),
    must("token", Shape::Text),
    may("may", Shape::OneOf(&["plain", "admin"])),
]);

static API_HOMESERVER: Shape = Shape::Table(&[must("domain", Shape::Text), must("url", Shape::Text)]);

static CHANNEL: Shape = Shape::Table(&[must("channel", Shape::Text), must("rooms", TEXTS)]);
