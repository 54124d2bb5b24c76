//! A policy under which nothing happens of itself: no pace, no portals, nothing shown of members, topics and ranks. A test says
//! what it is about, with `..quiet::policy()` for the rest.

use bunraku::bridge::policy::*;
use bunraku::ids::*;
use bunraku::text::realname::RealnameTemplate;
use bunraku::text::template::*;

pub fn policy() -> Policy {
    let network = NetworkId::new("net").expect("an id");
    Policy {
        aliases: AliasTemplate::new("#irc_$CHANNEL", &network).expect("a template"),
        ghosts: GhostTemplate::new("@irc_$NICK", &network).expect("a template"),
        realnames: RealnameTemplate::new("$USERID").expect("a template"),
        nicks: NickTemplate::new("$LOCALPART").expect("a template"),
        network,
        network_name: "Net".into(),
        bot: UserId::new("@bot:hs").expect("a user id"),
        server_name: "hs".into(),
        dynamic_portals: DynamicPortals::Off,
        excluded_channels: Vec::new(),
        password: None,
        webirc: None,
        services: None,
        user_modes: String::new(),
        bot_mode: BotMode::Hidden,
        flood: Flood { burst: 100, line_ms: 0, line_bytes: 0 },
        connect: ConnectPace {
            burst: 100,
            interval_ms: 0,
            retry_ms_min: 500,
            retry_ms_max: 1_000,
            ..ConnectPace::default()
        },
        ping: PingPace { after_ms: 1_000_000_000, timeout_ms: 60_000 },
        message_age_ms_max: 600_000,
        message_lines_max: 4,
        links: None,
        forms: Forms::default(),
        connections_max: 100,
        failures: Failures::default(),
        mentions: Mentions::default(),
        asides: Asides::Hidden,
        typing: Typing::default(),
        queries: QueryRules::default(),
        topics: Topics { to_matrix: Rooms::None, ..Topics::default() },
        power: Power { to_matrix: Rooms::None, ..Power::default() },
        members: Members { to_matrix: ToMatrix::Off, ..Members::default() },
        presence: PresenceRules::default(),
        moderation: Moderation { to_matrix: Rooms::None, ..Moderation::default() },
        operators: Operators::off(),
        admission: Admission::default(),
        plumbing: Plumbing::default(),
        directory: Directory { plates: Shown::Off, ..Directory::default() },
    }
}
