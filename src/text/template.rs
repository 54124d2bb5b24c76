//! The name templates of the configuration: room aliases, ghosts, and the nicks of puppets.
//!
//! An alias or ghost template maps one way and back: what `localpart` makes, `parse` reads as the same
//! channel or nick, and no two of them share a Matrix id. A nick template maps one way only. Substitution
//! is done once: a `$` inside a name is never a variable.

use std::fmt;

use super::casemap::CaseMap;
use super::nick::{self, NICK_BYTES_MIN, Strictness};
use crate::ids::{ChannelName, MATRIX_ID_BYTES_MAX, NetworkId, Nick, RoomAlias, UserId};

/// Names of rooms, for example `#irc_$NETWORK_$CHANNEL`.
#[derive(Clone, Debug)]
pub struct AliasTemplate(IdTemplate);

/// Names of ghosts, for example `@irc_$NETWORK_$NICK`.
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug)]
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
        let bytes_max = bytes_max.max(NICK_BYTES_MIN);
        let mut parts: Vec<(String, bool)> = self.0.iter().map(|piece| piece.value(display, user)).collect();
        if parts[0].1 && !nick::is_nick_start(parts[0].0.as_bytes()[0]) {
            parts[0].0.insert(0, 'M');
        }
        let fixed: usize = parts.iter().filter(|part| !part.1).map(|part| part.0.len()).sum();
        let names = parts.iter().filter(|part| part.1).count();
        if fixed + names > bytes_max {
            let first = parts.into_iter().find(|part| part.1).expect("new refuses a template without a name");
            return nick::legal_nick(&first.0, bytes_max);
        }
        shorten(&mut parts, bytes_max - fixed);
        parts.into_iter().map(|part| part.0).collect()
    }
}

impl NickPiece {
    /// What stands in its place, never empty, and whether that may be shortened.
    fn value(&self, display: Option<&str>, user: &UserId) -> (String, bool) {
        let name = match self {
            Self::Text(text) => return (text.clone(), false),
            Self::Display => nick::legal_chars(display.unwrap_or_default()),
            Self::Localpart => nick::legal_chars(user.localpart()),
            Self::UserId => nick::legal_chars(user.as_str()),
        };
        let or_else = |name: String, other: &dyn Fn() -> String| if name.is_empty() { other() } else { name };
        let name = or_else(name, &|| nick::legal_chars(user.localpart()));
        (or_else(name, &|| nick::hashed('M', user.as_str())), true)
    }
}

/// Shortens the names, the longest first, until all have room in `names_bytes_max`.
fn shorten(parts: &mut [(String, bool)], names_bytes_max: usize) {
    let mut over = parts.iter().filter(|part| part.1).map(|part| part.0.len()).sum::<usize>();
    while over > names_bytes_max {
        let longest = parts.iter_mut().filter(|part| part.1).max_by_key(|part| part.0.len());
        longest.expect("over is the length of at least one name").0.pop();
        over -= 1;
    }
}

/// Text between variables, when a nick may hold it.
fn legal_text(text: &str, is_first: bool) -> Result<&str, TemplateError> {
    let starts_badly = |c: &char| is_first && !u8::try_from(*c).is_ok_and(nick::is_nick_start);
    match text.chars().find(|&c| !nick::is_nick_char(c)).or_else(|| text.chars().next().filter(starts_badly))
    {
        Some(c) => Err(TemplateError::Character(c)),
        None => Ok(text),
    }
}

/// A template taken apart.
enum Piece<'a> {
    Text(&'a str),
    /// `$` and the capitals behind it.
    Variable(&'a str),
}

fn pieces(template: &str) -> Vec<Piece<'_>> {
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
