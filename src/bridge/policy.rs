//! The settings one network's machine needs, already checked. The configuration's own types never come here.

pub mod admission;
mod directory;
mod moderation;
mod pace;
pub mod permissions;
mod plumbing;
mod presence;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use self::admission::{Admission, HomeserverLimits, Own, QuitMessage};
pub use self::directory::{Directory, Neighbours};
pub use self::moderation::Moderation;
pub use self::pace::{ConnectPace, Flood, PingPace};
pub use self::permissions::{Permission, Permissions};
pub use self::plumbing::{Plumbing, PlumbingBy};
pub use self::presence::{GateRule, JoinFailure, PresenceRules};
pub use super::operators::settings::{Asks, Consent, Operators};
pub use super::portal::access::Ranks;
use crate::ids::{ChannelName, NetworkId, UserId};
use crate::secret::Secret;
use crate::text::casemap::CaseMap;
use crate::text::irc_codes::Codes;
use crate::text::link::Links;
use crate::text::realname::RealnameTemplate;
use crate::text::template::{AliasTemplate, GhostTemplate, NickTemplate};

/// Settings of one network. Durations are in milliseconds.
#[derive(Clone, Debug)]
pub struct Policy {
    pub network: NetworkId,
    /// What people call the network.
    pub network_name: String,
    /// The bridge's own Matrix user.
    pub bot: UserId,
    /// The homeserver's name: the server part of aliases and ghosts.
    pub server_name: String,
    pub aliases: AliasTemplate,
    pub ghosts: GhostTemplate,
    pub nicks: NickTemplate,
    pub realnames: RealnameTemplate,
    /// Whether anybody may make a portal by asking for its alias.
    pub dynamic_portals: DynamicPortals,
    /// Channels that are never bridged, as written.
    pub excluded_channels: Vec<String>,
    /// The server password (PASS), where the network wants one.
    pub password: Option<Secret>,
    /// How puppets say who they are, where the network trusts us to (WEBIRC).
    pub webirc: Option<Webirc>,
    /// Who takes logins by message where there is no SASL; `None`: nobody, and no password is said to anybody.
    pub services: Option<Services>,
    /// Modes to set on every puppet after it is connected, for example `+i`; empty for none.
    pub user_modes: String,
    /// Whether puppets are marked as bots (IRCv3 "bot-mode"), where the network has a mode for it.
    pub bot_mode: BotMode,
    pub flood: Flood,
    pub connect: ConnectPace,
    pub ping: PingPace,
    /// How long a message may wait before it is no longer sent.
    pub message_age_ms_max: u64,
    /// How many IRC lines one Matrix message may become.
    pub message_lines_max: usize,
    /// Makes the links under which files and long texts are served; `None`: nothing is.
    pub links: Option<Arc<Links>>,
    pub forms: Forms,
    /// Connections at most, over all puppets.
    pub connections_max: usize,
    pub failures: Failures,
    pub mentions: Mentions,
    /// Whether rooms are shown what is said in a channel to those of a rank only.
    pub asides: Asides,
    pub typing: Typing,
    pub queries: QueryRules,
    pub members: Members,
    pub topics: Topics,
    pub power: Power,
    pub presence: PresenceRules,
    pub directory: Directory,
    pub moderation: Moderation,
    pub operators: Operators,
    pub admission: Admission,
    pub plumbing: Plumbing,
}

/// Whether people are shown that somebody on the other side types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Typing {
    /// People of Matrix, to channels. It tells them what somebody does before they say anything.
    pub to_irc: Shown,
    /// People of IRC whose clients tell the channel, to its rooms.
    pub to_matrix: Shown,
}

impl Default for Typing {
    fn default() -> Self {
        Self { to_irc: Shown::Off, to_matrix: Shown::On }
    }
}

/// Who may begin private chats, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryRules {
    /// By people on IRC, who write to a puppet.
    pub to_matrix: Shown,
    /// By people of Matrix, who invite a ghost.
    pub from_matrix: Shown,
    /// With people of other homeservers.
    pub federate: Shown,
    /// Rooms that people on IRC may have made in a minute, for one puppet.
    pub rooms_per_minute: u32,
    /// Ghosts that one person may invite in a minute.
    pub contacts_per_minute: u32,
}

impl Default for QueryRules {
    fn default() -> Self {
        Self {
            to_matrix: Shown::On,
            from_matrix: Shown::On,
            federate: Shown::On,
            rooms_per_minute: 5,
            contacts_per_minute: 5,
        }
    }
}

/// Which rooms something is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rooms {
    None,
    /// Those that the bridge made.
    Portals,
    /// People's own as well.
    All,
}

/// Which rooms have the topic of their channel, and from which it is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topics {
    pub to_matrix: Rooms,
    pub to_irc: Rooms,
}

impl Default for Topics {
    fn default() -> Self {
        Self { to_matrix: Rooms::Portals, to_irc: Rooms::Portals }
    }
}

/// In which rooms ranks of the channel give power, and how much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Power {
    pub to_matrix: Rooms,
    pub ranks: Ranks,
}

impl Default for Power {
    fn default() -> Self {
        Self { to_matrix: Rooms::Portals, ranks: Ranks::default() }
    }
}

/// Whether the people of a channel are shown as members of its rooms, and how patiently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    pub to_matrix: ToMatrix,
    /// Channels for which it is another, as written.
    pub channels: Vec<(String, ToMatrix)>,
    /// How long a ghost stays after its person left.
    pub grace_ms: u64,
    /// How long after a netsplit, and after whatever may have been one.
    pub split_grace_ms: u64,
    /// Ghosts in one room at most, as far as it is not they who speak.
    pub ghosts_max: usize,
}

/// Whose ghosts are in a channel's rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToMatrix {
    /// All who are in the channel.
    Full,
    /// Those who have spoken, for as long as they are in the channel.
    Lazy,
    /// Those who have ever spoken.
    Off,
}

impl Default for Members {
    fn default() -> Self {
        Self {
            to_matrix: ToMatrix::Lazy,
            channels: Vec::new(),
            grace_ms: 60_000,
            split_grace_ms: 600_000,
            ghosts_max: 2_000,
        }
    }
}

impl Members {
    /// What counts for this channel.
    pub fn shown(&self, channel: &ChannelName, map: CaseMap) -> ToMatrix {
        let own = self.channels.iter().find(|(name, _)| map.eq(name, channel.as_str()));
        own.map_or(self.to_matrix, |(_, shown)| *shown)
    }
}

/// What becomes of words for those of a rank only (STATUSMSG).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asides {
    /// The channel's rooms are shown them, marked.
    Shown,
    Hidden,
}

/// Whom words of a line from IRC may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mentions {
    /// People and ghosts that one line names at most; 0: nobody is named.
    pub max: usize,
    /// Shorter words name nobody.
    pub letters_min: usize,
    /// Who wants to be named by no line.
    pub never: BTreeSet<UserId>,
}

impl Default for Mentions {
    fn default() -> Self {
        Self { max: 10, letters_min: 3, never: BTreeSet::new() }
    }
}

/// In which forms what is done on Matrix is shown on IRC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forms {
    pub formatting: Formatting,
    /// Corrections of what was said.
    pub edits: Shown,
    /// What is older is corrected on Matrix only.
    pub edit_age_ms_max: u64,
    /// Whether a reply to what was said a while ago quotes it.
    pub reply_quotes: Shown,
    /// Reactions in words, where the network has no other way.
    pub reactions: Shown,
    /// That something was taken back, in words, where the network has no other way.
    pub redactions: Shown,
}

/// Whether formatting codes are used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formatting {
    pub codes: Codes,
    /// Channels that never get any, as written.
    pub plain_channels: Vec<String>,
}

/// Whether something of one side is shown on the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shown {
    #[default]
    On,
    Off,
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            formatting: Formatting { codes: Codes::On, plain_channels: Vec::new() },
            edits: Shown::On,
            edit_age_ms_max: 3_600_000,
            reply_quotes: Shown::On,
            reactions: Shown::Off,
            redactions: Shown::Off,
        }
    }
}

/// A network's trust in a gateway (IRCv3 "webirc").
#[derive(Clone, Debug)]
pub struct Webirc {
    pub password: Secret,
    pub gateway: String,
    /// The host name shown for a puppet, with `$IDENT` and `$ADDRESS`.
    pub host: String,
}

/// The services of a network.
#[derive(Clone, Debug)]
pub struct Services {
    /// The nick to write to, `NickServ` nearly everywhere.
    pub nick: String,
    /// Who that has to be, `nick!user@host` with `*` and `?`.
    pub mask: String,
    /// What is said to it, with `$ACCOUNT` and `$PASSWORD`.
    pub identify: String,
}

/// Whether puppets are marked as bots. They are persons, so a network has to ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BotMode {
    Shown,
    Hidden,
}

/// How senders learn of messages that did not arrive, or not for sure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failures {
    /// What the bridge reacts with to the message; `None`: it does not.
    pub reaction: Option<String>,
    pub notice: Notices,
    pub status_event: StatusEvents,
}

impl Default for Failures {
    fn default() -> Self {
        Self { reaction: Some("❌".into()), notice: Notices::On, status_event: StatusEvents::Off }
    }
}

/// Whether failures are told in words, in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notices {
    On,
    Off,
}

/// Whether an event tells clients what became of each message, also of those that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusEvents {
    On,
    Off,
}

/// Whether portals are made on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynamicPortals {
    On,
    Off,
}
