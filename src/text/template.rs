//! The name templates of the configuration: room aliases, ghosts, and the nicks of puppets.
//!
//! An alias or ghost template maps one way and back: what `localpart` makes, `parse` reads as the same
//! channel or nick, and no two of them share a Matrix id. A nick template maps one way only. Substitution
//! is done once: a `$` inside a name is never a variable.

use std::fmt;

use super::casemap::CaseMap;
use super::nick::{self, Alphabet, NICK_BYTES_MIN, Strictness};
use crate::ids::{ChannelName, MATRIX_ID_BYTES_MAX, NetworkId, Nick, RoomAlias, UserId};

/// Names of rooms, for example `#irc_$NETWORK_$CHANNEL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasTemplate(IdTemplate);

/// Names of ghosts, for example `@irc_$NETWORK_$NICK`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GhostTemplate(IdTemplate);

/// Nicks of puppets, for example `$DISPLAY[m]`.
#[derive(Clone, Debug)]
pub struct NickTemplate(Vec<NickPiece>);

/// Why a template is refused, in words for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// It does not start with this sign.
    Sigil(char),
    /// This variable must stand in it.
    Missing(&'static str),
    /// This variable may stand in it once only.
    Repeated(&'static str),
    /// No such variable here.
    Unknown(String),
    /// A character that these names cannot have (there).
    Character(char),
    /// The part after `:` is not a server name.
    Domain(String),
}

impl std::error::Error for TemplateError {}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sigil(sigil) => write!(f, "must start with `{sigil}`"),
            Self::Missing(name) => write!(f, "must contain `{name}`"),
            Self::Repeated(name) => write!(f, "contains `{name}` more than once"),
            Self::Unknown(name) => write!(f, "contains `{name}`, which means nothing here"),
            Self::Character(c) => write!(f, "contains {c:?} where it cannot be"),
            Self::Domain(domain) => write!(f, "ends in `:{domain}`, which is not a server name"),
        }
    }
}

impl AliasTemplate {
    /// Takes `#…$CHANNEL…` with `$CHANNEL` once; `$NETWORK` (or `$SERVER`) is the network's key. An own
    /// server name may follow after `:`; see [`domain`](Self::domain).
    pub fn new(template: &str, network: &NetworkId) -> Result<Self, TemplateError> {
        let legal = |c: char| c != ':' && !c.is_whitespace() && !c.is_control();
        IdTemplate::new(template, '#', "$CHANNEL", network.as_str(), legal).map(Self)
    }

    /// The server name written in the template, if one is: it has to be the homeserver's.
    pub fn domain(&self) -> Option<&str> {
        self.0.domain.as_deref()
    }

    /// The alias of a channel, without `#` and server name. The folded name stands in it as it is, but for
    /// `=`, `:`, white space and control characters: each byte of those is `=xx`.
    pub fn localpart(&self, channel: &ChannelName) -> String {
        self.0.fill(&escape_channel(channel.folded()))
    }

    /// The alias of a channel; `None` when it would be longer than 255 bytes.
    pub fn alias(&self, channel: &ChannelName, server_name: &str) -> Option<RoomAlias> {
        RoomAlias::new(&format!("#{}:{server_name}", self.localpart(channel)))
    }

    /// The alias of the network's space: where a channel's name stands in others it has a word that is no channel's.
    pub fn space(&self, server_name: &str) -> Option<RoomAlias> {
        RoomAlias::new(&format!("#{}:{server_name}", self.0.fill("space")))
    }

    /// The channel that an alias (without `#` and server name) stands for, in its one folded spelling,
    /// whatever the spelling asked for. `None` for a foreign alias and for a name that is no channel's.
    ///
    /// A sign before another sign (`+#x`, `&#x`) is refused: a server may take it for the members of `#x`
    /// with that rank (STATUSMSG), and two rooms would lead to one channel.
    pub fn parse(&self, localpart: &str, map: CaseMap) -> Option<ChannelName> {
        let name = nick::unescape(self.0.variable(localpart)?, Strictness::KeepOthers)?;
        let ranked = !name.starts_with('#') && name.get(1..).is_some_and(|rest| rest.starts_with(is_sign));
        if ranked {
            return None;
        }
        ChannelName::new(&map.fold(&name), map)
    }

    /// The pattern of all these aliases, for the registration; anchored at both ends.
    pub fn regex(&self, domain: &str) -> String {
        self.0.regex('#', domain)
    }
}

impl GhostTemplate {
    /// Takes `@…$NICK…` with `$NICK` once; `$NETWORK` (or `$SERVER`) is the network's key, encoded as a nick
    /// is where it has capitals. All else must be in the grammar of Matrix user ids, `a-z 0-9 . _ - / + =`.
    pub fn new(template: &str, network: &NetworkId) -> Result<Self, TemplateError> {
        let legal = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-' | '/' | '+' | '=');
        let network = nick::encode_nick(network.as_str());
        IdTemplate::new(template, '@', "$NICK", &network, legal).map(Self)
    }

    /// The server name written in the template, if one is: it has to be the homeserver's.
    pub fn domain(&self) -> Option<&str> {
        self.0.domain.as_deref()
    }

    /// The localpart of the ghost of a nick.
    pub fn localpart(&self, nick: &Nick) -> String {
        self.0.fill(&nick::encode_nick(nick.folded()))
    }

    /// The ghost of a nick; `None` when its id would be longer than 255 bytes.
    pub fn user(&self, nick: &Nick, server_name: &str) -> Option<UserId> {
        UserId::new(&format!("@{}:{server_name}", self.localpart(nick)))
    }

    /// The nick (folded) whose ghost has this localpart; `None` when there is none: foreign, badly encoded,
    /// no legal nick, or not the folded spelling.
    pub fn parse(&self, localpart: &str, map: CaseMap) -> Option<Nick> {
        let name = nick::decode_nick(self.0.variable(localpart)?)?;
        Nick::new(&name, map).filter(|nick| nick.folded() == name)
    }

    /// True for each user id in this namespace, also one that is no nick's ghost: nobody else can have it.
    pub fn owns(&self, user: &UserId, server_name: &str) -> bool {
        user.server() == server_name && self.0.variable(user.localpart()).is_some()
    }

    /// True when some user id could be a ghost of both templates: `@irc_a_$NICK` and `@irc_a_b_$NICK` share
    /// `@irc_a_b_x`. Such networks cannot run side by side.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (one, two) = (&self.0, &other.0);
        let fronts = one.front.starts_with(&two.front) || two.front.starts_with(&one.front);
        fronts && (one.back.ends_with(&two.back) || two.back.ends_with(&one.back))
    }

    /// The pattern of all these user ids, for the registration; anchored at both ends.
    pub fn regex(&self, domain: &str) -> String {
        self.0.regex('@', domain)
    }
}

/// A Matrix id with one variable in it; the network's name is already in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct IdTemplate {
    front: String,
    back: String,
    domain: Option<String>,
}

impl IdTemplate {
    fn new(
        template: &str,
        sigil: char,
        variable: &'static str,
        network: &str,
        legal: impl Fn(char) -> bool,
    ) -> Result<Self, TemplateError> {
        let text = template.strip_prefix(sigil).ok_or(TemplateError::Sigil(sigil))?;
        let (text, domain) = split_domain(text)?;
        let mut front = None;
        let mut here = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => match text.chars().find(|&c| !legal(c)) {
                    Some(c) => return Err(TemplateError::Character(c)),
                    None => here.push_str(text),
                },
                Piece::Variable("$NETWORK" | "$SERVER") => here.push_str(network),
                Piece::Variable(name) if name != variable => return Err(TemplateError::Unknown(name.into())),
                Piece::Variable(_) if front.is_some() => return Err(TemplateError::Repeated(variable)),
                Piece::Variable(_) => front = Some(std::mem::take(&mut here)),
            }
        }
        Ok(Self { front: front.ok_or(TemplateError::Missing(variable))?, back: here, domain })
    }

    fn fill(&self, value: &str) -> String {
        format!("{}{value}{}", self.front, self.back)
    }

    /// What stands for the variable; `None` when the fixed parts differ or nothing is between them.
    fn variable<'a>(&self, localpart: &'a str) -> Option<&'a str> {
        let value = localpart.strip_prefix(self.front.as_str())?.strip_suffix(self.back.as_str())?;
        (!value.is_empty()).then_some(value)
    }

    fn regex(&self, sigil: char, domain: &str) -> String {
        format!(
            "^{sigil}{}.+{}:{}$",
            escape_regex(&self.front),
            escape_regex(&self.back),
            escape_regex(domain)
        )
    }
}

/// One part of a nick template.
#[derive(Clone, Debug)]
enum NickPiece {
    Text(String),
    Display,
    Localpart,
    UserId,
}

impl NickTemplate {
    /// Takes text with at least one of `$DISPLAY`, `$LOCALPART`, `$USERID`; the text between them must be
    /// legal in a nick, also where it comes first.
    pub fn new(template: &str) -> Result<Self, TemplateError> {
        let mut out = Vec::new();
        for piece in pieces(template) {
            out.push(match piece {
                Piece::Text(text) => NickPiece::Text(legal_text(text, out.is_empty())?.to_owned()),
                Piece::Variable("$DISPLAY") => NickPiece::Display,
                Piece::Variable("$LOCALPART") => NickPiece::Localpart,
                Piece::Variable("$USERID") => NickPiece::UserId,
                Piece::Variable(name) => return Err(TemplateError::Unknown(name.to_owned())),
            });
        }
        if out.iter().all(|piece| matches!(piece, NickPiece::Text(_))) {
            return Err(TemplateError::Missing("$DISPLAY"));
        }
        Ok(Self(out))
    }

    /// The nick for a user: legal, and of at most `bytes_max` bytes (at least [`NICK_BYTES_MIN`]).
    ///
    /// Where it is too long the names in it are shortened, the longest first, and never the text around
    /// them. Only when that text leaves no byte for each name the first name stands alone. A missing display
    /// name, or one without a usable letter, is the localpart; that without one is `M` and a hash.
    pub fn fill(&self, display: Option<&str>, user: &UserId, bytes_max: usize) -> String {
        self.fill_in(Alphabet::Ascii, display, user, bytes_max)
    }

    /// As [`fill`](Self::fill), in the letters that the network allows.
    pub fn fill_in(
        &self,
        alphabet: Alphabet,
        display: Option<&str>,
        user: &UserId,
        bytes_max: usize,
    ) -> String {
        let bytes_max = bytes_max.max(NICK_BYTES_MIN);
        let value = |piece: &NickPiece| piece.value(alphabet, display, user);
        let mut parts: Vec<(String, bool)> = self.0.iter().map(value).collect();
        if parts[0].1 && !parts[0].0.starts_with(nick::is_start) {
            parts[0].0.insert(0, 'M');
        }
        let fixed: usize = parts.iter().filter(|part| !part.1).map(|part| part.0.len()).sum();
        let least: usize = parts.iter().filter(|part| part.1).map(|part| least_bytes(&part.0)).sum();
        if fixed + least > bytes_max {
            let first = parts.into_iter().find(|part| part.1).expect("new refuses a template without a name");
            return nick::legal_nick_in(alphabet, &first.0, bytes_max);
        }
        shorten(&mut parts, bytes_max - fixed);
        parts.into_iter().map(|part| part.0).collect()
    }
}

impl NickPiece {
    /// What stands in its place, never empty, and whether that may be shortened.
    fn value(&self, alphabet: Alphabet, display: Option<&str>, user: &UserId) -> (String, bool) {
        let legal = |name: &str| nick::legal_chars_in(alphabet, name);
        let name = match self {
            Self::Text(text) => return (text.clone(), false),
            Self::Display => legal(display.unwrap_or_default()),
            Self::Localpart => legal(user.localpart()),
            Self::UserId => legal(user.as_str()),
        };
        let or_else = |name: String, other: &dyn Fn() -> String| if name.is_empty() { other() } else { name };
        let name = or_else(name, &|| legal(user.localpart()));
        (or_else(name, &|| nick::hashed('M', user.as_str())), true)
    }
}

/// Shortens the names, the longest first, until all have room in `names_bytes_max`.
fn shorten(parts: &mut [(String, bool)], names_bytes_max: usize) {
    let mut bytes = parts.iter().filter(|part| part.1).map(|part| part.0.len()).sum::<usize>();
    while bytes > names_bytes_max {
        let can_give = |part: &&mut (String, bool)| part.1 && part.0.len() > least_bytes(&part.0);
        let longest = parts.iter_mut().filter(can_give).max_by_key(|part| part.0.len());
        let last = longest.and_then(|part| part.0.pop()).expect("the first letters of all names have room");
        bytes -= last.len_utf8();
    }
}

/// The bytes of a name's first letter: less is no name.
fn least_bytes(name: &str) -> usize {
    name.chars().next().map_or(0, char::len_utf8)
}

/// Text between variables, when a nick may hold it.
fn legal_text(text: &str, is_first: bool) -> Result<&str, TemplateError> {
    let starts_badly = |c: &char| is_first && !nick::is_start(*c);
    match text.chars().find(|&c| !nick::is_nick_char(c)).or_else(|| text.chars().next().filter(starts_badly))
    {
        Some(c) => Err(TemplateError::Character(c)),
        None => Ok(text),
    }
}

/// A template taken apart.
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// `$` and the capitals behind it.
    Variable(&'a str),
}

pub(super) fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        let end = if let Some(name) = rest.strip_prefix('$') {
            1 + name.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(name.len())
        } else {
            rest.find('$').unwrap_or(rest.len())
        };
        let (piece, after) = rest.split_at(end);
        out.push(if piece.starts_with('$') { Piece::Variable(piece) } else { Piece::Text(piece) });
        rest = after;
    }
    out
}

/// Takes an own `:server` off the end.
fn split_domain(text: &str) -> Result<(&str, Option<String>), TemplateError> {
    let Some((text, domain)) = text.split_once(':') else { return Ok((text, None)) };
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if domain.is_empty() || domain.len() > MATRIX_ID_BYTES_MAX || !domain.chars().all(legal) {
        return Err(TemplateError::Domain(domain.to_owned()));
    }
    Ok((text, Some(domain.to_owned())))
}

/// Escapes what an alias cannot hold, and the sign of escapes itself.
fn escape_channel(folded: &str) -> String {
    let mut out = String::with_capacity(folded.len());
    for c in folded.chars() {
        if matches!(c, '=' | ':') || c.is_whitespace() || c.is_control() {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                out.push_str(&format!("={byte:02x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

fn is_sign(c: char) -> bool {
    matches!(c, '#' | '&' | '+' | '!')
}

/// Makes every sign of regular expressions stand for itself, in Python's syntax and Rust's.
fn escape_regex(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAP: CaseMap = CaseMap::Rfc1459;

    fn network(name: &str) -> NetworkId {
        NetworkId::new(name).unwrap()
    }

    fn aliases() -> AliasTemplate {
        AliasTemplate::new("#irc_$NETWORK_$CHANNEL", &network("net")).unwrap()
    }

    fn ghosts() -> GhostTemplate {
        GhostTemplate::new("@irc_$NETWORK_$NICK", &network("net")).unwrap()
    }

    fn channel(name: &str) -> ChannelName {
        ChannelName::new(name, MAP).unwrap()
    }

    fn nick_for(template: &str, display: Option<&str>, user: &str, bytes_max: usize) -> String {
        NickTemplate::new(template).unwrap().fill(display, &UserId::new(user).unwrap(), bytes_max)
    }

    #[test]
    fn every_spelling_of_an_alias_leads_to_the_one_channel() {
        let space = aliases().space("hs.org").unwrap();
        assert_eq!(aliases().parse(space.localpart("hs.org").unwrap(), CaseMap::Ascii), None, "no channel's");
        let alias = aliases().alias(&channel("#Rust[x]"), "hs.org").unwrap();
        assert_eq!(alias.as_str(), "#irc_net_#rust{x}:hs.org");
        for spelling in ["irc_net_#rust{x}", "irc_net_#RUST[x}", "irc_net_#=52ust=7bx=7D"] {
            let found = aliases().parse(spelling, MAP).unwrap();
            assert_eq!((found.as_str(), found.folded()), ("#rust{x}", "#rust{x}"));
        }
        assert_eq!(aliases().localpart(&channel("#a:b=c")), "irc_net_#a=3ab=3dc");
        assert_eq!(aliases().parse("irc_net_#c=", MAP).unwrap().as_str(), "#c=");
        assert_eq!(aliases().parse("irc_net_##a/%2f", MAP).unwrap().as_str(), "##a/%2f");
    }

    #[test]
    fn hostile_aliases_are_nobodys() {
        let long = format!("irc_net_#{}", "a".repeat(300));
        for refused in [
            "irc_net_",
            "irc_net_#",
            "irc_net_a",
            "irc_net_#a,#b",
            "irc_net_#a=2c#b",
            "irc_net_#a b",
            "irc_net_#a=20b",
            "irc_net_#a\0",
            "irc_net_#a=00",
            "irc_net_#\u{7}",
            "irc_net_#a=0d=0aQUIT",
            "irc_net_#=ff",
            "irc_net_@#a",
            "irc_net_+#a",
            "irc_net_&#a",
            "irc_net_!&a",
            "irc_other_#a",
            "IRC_NET_#a",
            "",
            &long,
        ] {
            assert_eq!(aliases().parse(refused, MAP), None, "{refused:?}");
        }
        let long = ChannelName::new(&format!("#{}", ":".repeat(150)), MAP).unwrap();
        assert_eq!(aliases().alias(&long, "hs.org"), None);
    }

    #[test]
    fn templates_say_what_is_wrong_with_them() {
        let alias = |template| AliasTemplate::new(template, &network("n")).map(|_| ());
        assert_eq!(alias("irc_$CHANNEL"), Err(TemplateError::Sigil('#')));
        assert_eq!(alias("#irc_$NETWORK"), Err(TemplateError::Missing("$CHANNEL")));
        assert_eq!(alias("#$CHANNEL$CHANNEL"), Err(TemplateError::Repeated("$CHANNEL")));
        assert_eq!(alias("#$CHANNEL_$NICK"), Err(TemplateError::Unknown("$NICK".into())));
        assert_eq!(alias("#a b$CHANNEL"), Err(TemplateError::Character(' ')));
        assert_eq!(alias("#$CHANNEL:hs/x"), Err(TemplateError::Domain("hs/x".into())));
        let own = AliasTemplate::new("#$SERVER.$CHANNEL:hs.org:8448", &network("n")).unwrap();
        assert_eq!((own.domain(), own.localpart(&channel("#a"))), (Some("hs.org:8448"), "n.#a".into()));

        let ghost = |template| GhostTemplate::new(template, &network("n")).map(|_| ());
        assert_eq!(ghost("@IRC_$NICK"), Err(TemplateError::Character('I')));
        assert_eq!(ghost("@irc_$NICK_$CHANNEL"), Err(TemplateError::Unknown("$CHANNEL".into())));

        let nick = |template| NickTemplate::new(template).map(|_| ());
        assert_eq!(nick("bridged"), Err(TemplateError::Missing("$DISPLAY")));
        assert_eq!(nick("1$DISPLAY"), Err(TemplateError::Character('1')));
        assert_eq!(nick("$DISPLAY m"), Err(TemplateError::Character(' ')));
        assert_eq!(nick("$NAME"), Err(TemplateError::Unknown("$NAME".into())));
    }

    #[test]
    fn ghosts_are_known_by_their_nick_and_nobody_elses() {
        let alice = Nick::new("Alice[x]", MAP).unwrap();
        let user = ghosts().user(&alice, "hs.org").unwrap();
        assert_eq!(user.as_str(), "@irc_net_alice=7bx=7d:hs.org");
        assert_eq!(ghosts().parse(user.localpart(), MAP), Some(alice));
        assert!(ghosts().owns(&user, "hs.org") && !ghosts().owns(&user, "evil.org"));
        for refused in ["irc_net_", "irc_net_Alice", "irc_net_=41", "irc_net_a=5b", "irc_net_=23a", "alice"] {
            assert_eq!(ghosts().parse(refused, MAP), None, "{refused:?}");
        }
        assert!(ghosts().owns(&UserId::new("@irc_net_a=5b:hs.org").unwrap(), "hs.org"));
        let long = Nick::new(&"É".repeat(60), MAP).unwrap();
        assert_eq!(ghosts().user(&long, "hs.org"), None);
    }

    #[test]
    fn networks_that_would_share_ghosts_are_noticed() {
        let of = |name| GhostTemplate::new("@irc_$NETWORK_$NICK", &network(name)).unwrap();
        assert!(of("a").overlaps(&of("a_b")) && of("a_b").overlaps(&of("a")));
        assert!(!of("a").overlaps(&of("ab")) && !of("Net").overlaps(&of("net")));
    }

    #[test]
    fn registration_patterns_fit_all_and_only_these_ids() {
        let ours = regex::Regex::new(&aliases().regex("hs.org")).unwrap();
        assert!(ours.is_match("#irc_net_#a[]:hs.org"));
        assert!(!ours.is_match("#irc_net_#a:hsxorg") && !ours.is_match("x#irc_net_#a:hs.org.evil"));
        let odd = AliasTemplate::new("#(a.b)*$CHANNEL+", &network("n")).unwrap();
        assert_eq!(odd.regex("hs.org"), r"^#\(a\.b\)\*.+\+:hs\.org$");
        assert_eq!(ghosts().regex("hs.org"), r"^@irc_net_.+:hs\.org$");
    }

    #[test]
    fn the_name_is_shortened_and_never_the_text_around_it() {
        assert_eq!(nick_for("$DISPLAY[m]", Some("Alice"), "@a:h", 30), "Alice[m]");
        assert_eq!(nick_for("$DISPLAY[m]", Some("Abcdefghijkl"), "@a:h", 9), "Abcdef[m]");
        assert_eq!(nick_for("$DISPLAY-$LOCALPART", Some("Abcdefgh"), "@xyz:h", 9), "Abcde-xyz");
        assert_eq!(nick_for("m_$USERID", None, "@a:h.org", 30), "m_a_h_org");
        assert_eq!(nick_for("$DISPLAY_on_matrix", Some("Abc"), "@a:h", 9), "Abc");
    }

    #[test]
    fn a_network_with_more_letters_keeps_them() {
        let fill = |template: &str, display: &str, bytes_max| {
            let user = UserId::new("@ken:h").unwrap();
            NickTemplate::new(template).unwrap().fill_in(Alphabet::Utf8, Some(display), &user, bytes_max)
        };
        assert_eq!(fill("$DISPLAY[m]", "Zoë Иван", 30), "Zoë_Иван[m]");
        assert_eq!(fill("$DISPLAY[m]", "日本", 30), "日本[m]");
        assert_eq!(fill("$DISPLAY[m]", "日本", 8), "日[m]");
        assert_eq!(fill("$DISPLAY[m]", "日本", 5), "日");
        assert_eq!(fill("$DISPLAY-$LOCALPART", "日本", 7), "日-ken");
        assert_eq!(fill("$DISPLAY", "٣a", 30), "M٣a");
        assert_eq!(fill("$DISPLAY", "\u{202e}🦀", 30), "ken");
    }

    #[test]
    fn a_name_is_never_a_template_and_always_something() {
        assert_eq!(nick_for("$DISPLAY[m]", Some("$USERID"), "@a:h", 30), "USERID[m]");
        assert_eq!(nick_for("$DISPLAY[m]", Some("日本"), "@ken:h", 30), "ken[m]");
        assert_eq!(nick_for("$DISPLAY[m]", None, "@1:h", 30), "M1[m]");
        let nameless = nick_for("$DISPLAY[m]", Some(""), "@日:h", 30);
        assert!(nameless.starts_with('M') && nameless.ends_with("[m]") && nameless.len() == 12);
    }

    proptest! {
        #[test]
        fn a_channel_comes_back_from_its_alias(
            name in "[#&+!]([a-zA-Z0-9\\[~=:_-]|=[0-9a-f]{2}|[ =\u{a0}\u{85}]|\\PC){1,20}",
        ) {
            let Some(channel) = ChannelName::new(&name, MAP) else { return Ok(()) };
            let localpart = aliases().localpart(&channel);
            prop_assert!(!localpart.chars().any(|c| c == ':' || c.is_whitespace() || c.is_control()));
            let ranked = !name.starts_with('#') && name[1..].starts_with(['#', '&', '+', '!']);
            prop_assert_eq!(aliases().parse(&localpart, MAP), (!ranked).then_some(channel.clone()));
            let alias = aliases().alias(&channel, "hs.org").unwrap();
            prop_assert_eq!(alias.localpart("hs.org"), Some(localpart.as_str()));
        }

        #[test]
        fn any_alias_is_refused_or_settles_on_one_channel(
            text in "[#&+!@]?([a-cA-C,=:]|=[0-9a-fA-F]{2}|\\PC|[\u{0}-\u{20}]){0,12}",
        ) {
            if let Some(found) = aliases().parse(&format!("irc_net_{text}"), MAP) {
                prop_assert_eq!(found.as_str(), found.folded());
                prop_assert_eq!(aliases().parse(&aliases().localpart(&found), MAP), Some(found));
            }
        }

        #[test]
        fn a_nick_comes_back_from_its_ghost(name in "[a-zA-Z0-9=_\\[{~.é-]{1,20}") {
            for map in [CaseMap::Ascii, CaseMap::Rfc1459, CaseMap::StrictRfc1459] {
                let nick = Nick::new(&name, map).unwrap();
                let user = ghosts().user(&nick, "hs.org").unwrap();
                prop_assert!(ghosts().owns(&user, "hs.org"));
                prop_assert_eq!(ghosts().parse(user.localpart(), map), Some(nick));
            }
        }

        #[test]
        fn any_user_gets_a_legal_nick(
            display in prop::option::of("([a-z0-9$ -]|\\PC){0,30}"),
            local in "[a-z0-9=._日-]{1,12}",
            bytes_max in 0_usize..40,
        ) {
            let user = UserId::new(&format!("@{local}:hs.org")).unwrap();
            let templates = ["$DISPLAY[m]", "$DISPLAY", "m-$LOCALPART-$DISPLAY", "$USERID$LOCALPART_"];
            for template in templates {
                let nick = NickTemplate::new(template).unwrap().fill(display.as_deref(), &user, bytes_max);
                prop_assert!(nick.len() <= bytes_max.max(NICK_BYTES_MIN));
                prop_assert_eq!(nick::legal_nick(&nick, bytes_max), nick.clone());
                prop_assert!(template != "$DISPLAY[m]" || nick.ends_with("[m]"));
                let template = NickTemplate::new(template).unwrap();
                let nick = template.fill_in(Alphabet::Utf8, display.as_deref(), &user, bytes_max);
                prop_assert!(nick.len() <= bytes_max.max(NICK_BYTES_MIN));
                prop_assert_eq!(nick::legal_nick_in(Alphabet::Utf8, &nick, bytes_max), nick.clone());
                prop_assert!(Nick::new(&nick, MAP).is_some());
            }
        }
    }
}
