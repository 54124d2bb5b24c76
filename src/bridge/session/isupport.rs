//! What a server says it supports (numeric 005), with safe answers where it says nothing or nonsense.

use crate::text::casemap::CaseMap;
use crate::text::modes::{Change, ChannelModes};
use crate::text::nick::Alphabet;

/// Case mappings by which a network folds letters of all scripts, and so has nicks in them. It says so with
/// UTF8ONLY as well; that alone is only about what people say.
const UNICODE_MAPS: [&str; 5] = ["precis", "rfc7613", "rfc7700", "rfc8265", "utf8"];

/// Modes that a network gives to members, with the signs that NAMES shows for them (ISUPPORT PREFIX), highest
/// first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefixes(Vec<(char, char)>);

impl Default for Prefixes {
    /// What a network without the token means: `(ov)@+`.
    fn default() -> Self {
        Self(vec![('o', '@'), ('v', '+')])
    }
}

impl Prefixes {
    /// Reads the value of PREFIX, for example `(qaohv)~&@%+`; empty for a network without any; `None` when
    /// modes and signs do not pair up.
    pub fn parse(value: &str) -> Option<Self> {
        if value.is_empty() {
            return Some(Self(Vec::new()));
        }
        let (modes, signs) = value.strip_prefix('(')?.split_once(')')?;
        let pairs: Vec<_> = modes.chars().zip(signs.chars()).collect();
        (pairs.len() == modes.chars().count() && pairs.len() == signs.chars().count()).then_some(Self(pairs))
    }

    /// The place of a mode in the order of ranks, 0 for the highest.
    pub fn rank(&self, mode: char) -> Option<usize> {
        self.0.iter().position(|(known, _)| *known == mode)
    }

    /// The signs of a mode and of those below it, the highest first; none for a mode that is no rank.
    pub fn signs_from(&self, mode: char) -> impl Iterator<Item = char> {
        self.0.iter().skip(self.rank(mode).unwrap_or(self.0.len())).map(|(_, sign)| *sign)
    }

    /// Cuts the leading signs off a NAMES entry (several with `multi-prefix`): their modes, and the rest.
    pub fn split<'a>(&self, entry: &'a str) -> (String, &'a str) {
        let mut modes = String::new();
        let mut rest = entry;
        while let Some(sign) = rest.chars().next()
            && let Some((mode, _)) = self.0.iter().find(|(_, known)| *known == sign)
        {
            if !modes.contains(*mode) {
                modes.push(*mode);
            }
            rest = &rest[sign.len_utf8()..];
        }
        (modes, rest)
    }
}

/// Which client-only tags a server stops (ISUPPORT CLIENTTAGDENY).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTags {
    /// Names, without their `+`; `*` for all, and `-name` for one that passes in spite of that.
    denied: Vec<String>,
}

impl ClientTags {
    fn parse(value: &str) -> Self {
        Self { denied: value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect() }
    }

    /// Whether a tag of this name, given without its `+`, is let through.
    pub fn passes(&self, name: &str) -> bool {
        let has = |wanted: &str| self.denied.iter().any(|denied| denied == wanted);
        if has("*") { has(&format!("-{name}")) } else { !has(name) }
    }
}

/// The tokens the bridge uses. One value for each network: its servers agree, and the latest word counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isupport {
    /// None until a server has said it.
    pub casemap: Option<CaseMap>,
    /// Longest nick, in bytes; 5 to 255.
    pub nick_bytes_max: usize,
    /// Signs a channel name may begin with.
    pub channel_signs: String,
    pub prefixes: Prefixes,
    /// Signs before a channel's name by which those of a rank alone are spoken to (STATUSMSG).
    pub status_signs: String,
    /// Which channel modes have a parameter.
    pub modes: ChannelModes,
    /// How many nicks the server tells of, when they come and go; `None`: of none.
    pub monitor: Option<usize>,
    /// The user mode of bots (IRCv3 "bot-mode"), a letter or digit.
    pub bot_mode: Option<char>,
    /// Longest realname, in bytes; 10 to 512. `None` until a server has said it.
    pub realname_bytes_max: Option<usize>,
    /// Whether nothing but UTF-8 is said here.
    pub utf8_only: bool,
    /// Whether the case mapping is one for all scripts.
    pub unicode_map: bool,
    /// Which tags of clients the server lets through.
    pub client_tags: ClientTags,
    /// Longest line with its ending, in bytes; 512 to 16,384.
    pub line_bytes_max: usize,
    /// Longest topic, in bytes; 20 to 8,192.
    pub topic_bytes_max: usize,
}

impl Default for Isupport {
    /// What RFC 1459 servers do, with a nick length that servers of today take.
    fn default() -> Self {
        Self {
            casemap: None,
            nick_bytes_max: 30,
            channel_signs: "#&+!".into(),
            prefixes: Prefixes::default(),
            status_signs: String::new(),
            modes: ChannelModes::default(),
            monitor: None,
            bot_mode: None,
            realname_bytes_max: None,
            utf8_only: false,
            unicode_map: false,
            client_tags: ClientTags::default(),
            line_bytes_max: 512,
            topic_bytes_max: 300,
        }
    }
}

impl Isupport {
    /// Takes the tokens of one 005 line: `params` without the nick in front and the words at the end.
    pub fn learn(&mut self, tokens: &[String]) {
        for token in tokens {
            let (key, value) = token.split_once('=').unwrap_or((token, ""));
            match key {
                "CASEMAPPING" => {
                    self.casemap = CaseMap::from_isupport(value).or(self.casemap);
                    self.unicode_map = UNICODE_MAPS.contains(&value.to_ascii_lowercase().as_str());
                }
                "NICKLEN" | "MAXNICKLEN" => bounded(value, 5, 255, &mut self.nick_bytes_max),
                "CHANTYPES" if !value.is_empty() => self.channel_signs = signs(value),
                "PREFIX" => {
                    if let Some(prefixes) = Prefixes::parse(value) {
                        self.prefixes = prefixes;
                    }
                }
                "CHANMODES" => {
                    if let Some(modes) = ChannelModes::parse(value) {
                        self.modes = modes;
                    }
                }
                // Without a number there is no limit.
                "MONITOR" => self.monitor = Some(value.parse().unwrap_or(usize::MAX)),
                "STATUSMSG" => self.status_signs = value.chars().filter(char::is_ascii_punctuation).collect(),
                "BOT" => self.bot_mode = only_letter(value),
                "NAMELEN" => {
                    let mut bytes_max = 0;
                    bounded(value, 10, 512, &mut bytes_max);
                    self.realname_bytes_max =
                        Some(bytes_max).filter(|max| *max > 0).or(self.realname_bytes_max);
                }
                "CLIENTTAGDENY" => self.client_tags = ClientTags::parse(value),
                "UTF8ONLY" => self.utf8_only = true,
                "TOPICLEN" => bounded(value, 20, 8_192, &mut self.topic_bytes_max),
                "LINELEN" => bounded(value, 512, 16_384, &mut self.line_bytes_max),
                _ => {}
            }
        }
    }

    /// The letters that nicks may have here.
    pub fn alphabet(&self) -> Alphabet {
        if self.utf8_only && self.unicode_map { Alphabet::Utf8 } else { Alphabet::Ascii }
    }

    /// What the words of a MODE line behind its channel change, or those of a 324 say is set.
    pub fn mode_changes(&self, words: &[String]) -> Vec<Change> {
        self.modes.changes(words, |mode| self.prefixes.rank(mode).is_some())
    }

    /// True when `text` begins like a channel here.
    pub fn is_channel(&self, text: &str) -> bool {
        text.chars().next().is_some_and(|sign| self.channel_signs.contains(sign))
    }

    /// Where those who have this rank in a channel, or a higher one, are spoken to without the others, if the server has
    /// that.
    pub fn target_of_rank(&self, mode: char, channel: &str) -> Option<String> {
        let sign = self.prefixes.signs_from(mode).next()?;
        self.status_signs.contains(sign).then(|| format!("{sign}{channel}"))
    }

    /// The channel behind a STATUSMSG target such as `@#chan`, or the target itself.
    pub fn channel_of_target<'a>(&self, target: &'a str) -> &'a str {
        let bare = self.prefixes.split(target).1;
        // `+chan` is a channel where `+` is a channel sign; `+#chan` is one of voiced people in #chan.
        if self.is_channel(bare) { bare } else { target }
    }
}

fn bounded(value: &str, min: usize, max: usize, into: &mut usize) {
    if let Ok(number) = value.parse::<usize>()
        && (min..=max).contains(&number)
    {
        *into = number;
    }
}

fn only_letter(value: &str) -> Option<char> {
    let mut letters = value.chars();
    letters.next().filter(|c| c.is_ascii_alphanumeric() && letters.next().is_none())
}

fn signs(value: &str) -> String {
    value.chars().filter(|c| "#&+!".contains(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learned(line: &str) -> Isupport {
        let mut isupport = Isupport::default();
        isupport.learn(&line.split(' ').map(String::from).collect::<Vec<_>>());
        isupport
    }

    #[test]
    fn the_usual_tokens_are_taken() {
        let isupport = learned("CASEMAPPING=ascii NICKLEN=16 CHANTYPES=#& PREFIX=(qaohv)~&@%+ LINELEN=2048");
        assert_eq!(isupport.casemap, Some(CaseMap::Ascii));
        assert_eq!(isupport.nick_bytes_max, 16);
        assert!(isupport.is_channel("&here") && !isupport.is_channel("+there"));
        assert_eq!(isupport.prefixes.split("~@nick"), ("qo".to_owned(), "nick"));
        assert_eq!(isupport.line_bytes_max, 2048);
    }

    #[test]
    fn a_prefix_token_pairs_up_or_is_refused() {
        assert_eq!(Prefixes::parse("(ov)@+"), Some(Prefixes::default()));
        assert_eq!(Prefixes::parse(""), Some(Prefixes(Vec::new())));
        for bad in ["ov@+", "(ov)@", "(o)@+", "(ov"] {
            assert_eq!(Prefixes::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn lies_leave_the_safe_answers() {
        for lie in [
            "NICKLEN=0",
            "NICKLEN=-1",
            "NICKLEN=9999999",
            "CASEMAPPING=klingon",
            "PREFIX=(ov",
            "PREFIX=(ov)@",
            "CHANMODES=b",
            "CHANMODES",
            "BOT=",
            "BOT=+B",
            "NAMELEN=0",
            "NAMELEN=x",
            "TOPICLEN=",
            "TOPICLEN=0",
        ] {
            assert_eq!(learned(lie), Isupport::default(), "{lie}");
        }
        assert_eq!(learned("PREFIX=").prefixes.split("@nick"), (String::new(), "@nick"), "there may be none");
    }

    #[test]
    fn modes_are_read_by_the_network_s_own_lists() {
        let isupport = learned("CHANMODES=b,k,l,imnpst PREFIX=(yo)!@ BOT=B NAMELEN=128");
        let words = ["+yk-l", "ada", "key"].map(str::to_owned);
        let params: Vec<Option<String>> =
            isupport.mode_changes(&words).into_iter().map(|change| change.param).collect();
        assert_eq!(params, [Some("ada".into()), Some("key".into()), None]);
        assert_eq!((isupport.bot_mode, isupport.realname_bytes_max), (Some('B'), Some(128)));
    }

    #[test]
    fn nicks_in_all_scripts_need_both_words_of_the_server() {
        assert_eq!(learned("UTF8ONLY CASEMAPPING=ascii").alphabet(), Alphabet::Ascii);
        assert_eq!(learned("CASEMAPPING=rfc8265").alphabet(), Alphabet::Ascii);
        assert_eq!(learned("CASEMAPPING=RFC8265 UTF8ONLY").alphabet(), Alphabet::Utf8);
    }

    #[test]
    fn a_server_says_which_tags_of_clients_it_stops() {
        assert!(learned("X").client_tags.passes("draft/react"));
        assert!(!learned("CLIENTTAGDENY=typing,draft/react").client_tags.passes("draft/react"));
        let most = learned("CLIENTTAGDENY=*,-draft/react,-reply").client_tags;
        assert!(most.passes("draft/react") && most.passes("reply") && !most.passes("typing"));
    }

    #[test]
    fn a_status_message_belongs_to_its_channel() {
        let isupport = learned("CHANTYPES=#&+ PREFIX=(ov)@+");
        assert_eq!(isupport.channel_of_target("@#ops"), "#ops");
        assert_eq!(isupport.channel_of_target("+modeless"), "+modeless");
        assert_eq!(isupport.channel_of_target("+#voiced"), "#voiced");
    }
}
