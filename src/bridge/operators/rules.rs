//! What operators have asked for each channel, kept over restarts: who is silent, how much is said, whether the bridge is
//! there at all. Bounded for each channel; a further one is refused and its operator told.

pub mod wish;

use std::collections::BTreeMap;

use self::wish::{Reply, WISHES_MAX, Wish};
use crate::ids::{ChannelName, RoomId, Time, UserId};
use crate::text::casemap::CaseMap;

/// People of Matrix who are muted in one channel, at most.
pub const MUTES_MAX: usize = 100;
/// Homeservers whose people are muted in one channel, at most.
pub const BLOCKS_MAX: usize = 50;
/// Lines a minute that a limit may let through, at most.
pub const LIMIT_MAX: u32 = 1_000;

/// Channels of a network that have rules, at most: anybody is an operator of a channel that they make.
pub const CHANNELS_MAX: usize = 10_000;
/// Of these, channels that have no room: the others keep their places.
pub const ROOMLESS_MAX: usize = 5_000;

/// One thing that an operator asked for, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// As first written; the machine folds it.
    pub channel: String,
    pub asked: Asked,
    /// The nick of who asked.
    pub by: String,
    /// One line of plain text; at most 200 characters.
    pub reason: Option<String>,
    pub since: Time,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// This person says nothing in the channel.
    Mute(UserId),
    /// Nobody of this homeserver does; in lower case.
    Block(String),
    /// So many lines a minute, of all people of Matrix together.
    Limit(u32),
    /// The bridge is not in the channel.
    Dismissed,
    /// The bridge may be in the channel, where channels are bridged by consent only.
    Allowed,
    /// The bridge has asked whether it may, and nobody has answered. Asked by us.
    Requested,
    /// People want this room of theirs to be bridged with the channel. Asked by them; `by` is who answered, empty while
    /// nobody has.
    Room(Box<Wish>),
}

impl Asked {
    /// Its name for the store.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Mute(_) => "mute",
            Self::Block(_) => "block",
            Self::Limit(_) => "limit",
            Self::Dismissed => "dismissed",
            Self::Allowed => "allowed",
            Self::Requested => "requested",
            Self::Room(_) => "room",
        }
    }

    /// Whom it is about; empty where it is about the channel. With [`kind`](Self::kind) this tells two of one channel apart.
    pub fn subject(&self) -> &str {
        match self {
            Self::Mute(user) => user.as_str(),
            Self::Block(server) => server,
            Self::Room(wish) => wish.room.as_str(),
            Self::Limit(_) | Self::Dismissed | Self::Allowed | Self::Requested => "",
        }
    }

    /// How much; 0 where that says nothing.
    pub fn number(&self) -> u32 {
        match self {
            Self::Limit(lines) => *lines,
            Self::Room(wish) => wish.reply.number(),
            Self::Mute(_) | Self::Block(_) | Self::Dismissed | Self::Allowed | Self::Requested => 0,
        }
    }

    /// The person of Matrix who asked, where one did.
    pub fn asker(&self) -> Option<&UserId> {
        match self {
            Self::Room(wish) => Some(&wish.user),
            Self::Mute(_)
            | Self::Block(_)
            | Self::Limit(_)
            | Self::Dismissed
            | Self::Allowed
            | Self::Requested => None,
        }
    }

    /// Reads what the store has; `None` for what no version of ours has written.
    pub fn read(kind: &str, subject: &str, number: i64, asker: Option<&str>) -> Option<Self> {
        match kind {
            "mute" => UserId::new(subject).map(Self::Mute),
            "block" => Some(Self::Block(subject.to_owned())),
            "limit" => u32::try_from(number).ok().map(Self::Limit),
            "dismissed" => Some(Self::Dismissed),
            "allowed" => Some(Self::Allowed),
            "requested" => Some(Self::Requested),
            "room" => {
                let (room, user) = (RoomId::new(subject)?, UserId::new(asker?)?);
                Some(Self::Room(Box::new(Wish { room, user, reply: Reply::read(number)? })))
            }
            _ => None,
        }
    }

    /// True when one takes the place of the other.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.kind(), self.subject()) == (other.kind(), other.subject())
    }
}

impl Rule {
    /// Why somebody's message is not said, to follow a "because"; `None` for a rule that silences nobody.
    pub fn why_silent(&self) -> Option<String> {
        let channel = &self.channel;
        let what = match &self.asked {
            Asked::Mute(_) => format!("an operator of {channel} has muted you"),
            Asked::Block(server) => format!("an operator of {channel} has muted all people of {server}"),
            Asked::Dismissed => format!("the operators of {channel} have dismissed the bridge"),
            Asked::Limit(_) | Asked::Allowed | Asked::Requested | Asked::Room(_) => return None,
        };
        Some(match &self.reason {
            Some(reason) => format!("{what} ({reason})"),
            None => what,
        })
    }
}

/// There are as many in the channel as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The rules of a network's channels.
#[derive(Debug, Default)]
pub struct Rules(BTreeMap<ChannelName, Vec<Rule>>);

impl Rules {
    /// Puts a rule in the place of one that is the same. `channel` is that of the rule.
    pub fn set(&mut self, channel: &ChannelName, rule: Rule) -> Result<(), Full> {
        if self.0.len() >= CHANNELS_MAX && !self.0.contains_key(channel) {
            return Err(Full);
        }
        let rules = self.0.entry(channel.clone()).or_default();
        if let Some(old) = rules.iter_mut().find(|old| old.asked.is_same(&rule.asked)) {
            *old = rule;
            return Ok(());
        }
        let max = match rule.asked {
            Asked::Mute(_) => MUTES_MAX,
            Asked::Block(_) => BLOCKS_MAX,
            Asked::Room(_) => WISHES_MAX,
            Asked::Limit(_) | Asked::Dismissed | Asked::Allowed | Asked::Requested => 1,
        };
        if rules.iter().filter(|old| old.asked.kind() == rule.asked.kind()).count() >= max {
            return Err(Full);
        }
        rules.push(rule);
        Ok(())
    }

    /// Takes a rule away; gives it back where there was one.
    pub fn lift(&mut self, channel: &ChannelName, asked: &Asked) -> Option<Rule> {
        let rules = self.0.get_mut(channel)?;
        let at = rules.iter().position(|rule| rule.asked.is_same(asked))?;
        let rule = rules.remove(at);
        if rules.is_empty() {
            self.0.remove(channel);
        }
        Some(rule)
    }

    /// All of a channel, in the order in which they came.
    pub fn of(&self, channel: &ChannelName) -> &[Rule] {
        self.0.get(channel).map_or(&[], Vec::as_slice)
    }

    /// Channels that have rules.
    pub fn channels(&self) -> impl Iterator<Item = &ChannelName> {
        self.0.keys()
    }

    /// The rule by which the bridge is not in the channel.
    pub fn dismissed(&self, channel: &ChannelName) -> Option<&Rule> {
        self.of(channel).iter().find(|rule| rule.asked == Asked::Dismissed)
    }

    /// The rule by which this person says nothing in the channel: the one that reaches furthest.
    pub fn silences(&self, channel: &ChannelName, user: &UserId) -> Option<&Rule> {
        let is_muted = |rule: &&Rule| matches!(&rule.asked, Asked::Mute(muted) if muted == user);
        let is_blocked =
            |rule: &&Rule| matches!(&rule.asked, Asked::Block(server) if *server == server_of(user));
        let rules = self.of(channel);
        let blocked = || rules.iter().find(is_blocked);
        self.dismissed(channel).or_else(blocked).or_else(|| rules.iter().find(is_muted))
    }

    /// The one rule of this kind, of those that a channel has one of.
    pub fn get(&self, channel: &ChannelName, asked: &Asked) -> Option<&Rule> {
        self.of(channel).iter().find(|rule| rule.asked.is_same(asked))
    }

    /// Channels whose operators were asked and have not answered.
    pub fn requested(&self) -> usize {
        let waits = |rule: &Rule| rule.asked == Asked::Requested && rule.by.is_empty();
        let is_open = |rules: &&Vec<Rule>| rules.iter().any(waits);
        self.0.values().filter(is_open).count()
    }

    /// The channel that has waited longest for an answer.
    pub fn oldest_request(&self) -> Option<ChannelName> {
        let waits = |rule: &&Rule| rule.asked == Asked::Requested && rule.by.is_empty();
        let open =
            self.0.iter().filter_map(|(channel, rules)| Some((rules.iter().find(waits)?.since, channel)));
        open.min().map(|(_, channel)| channel.clone())
    }

    /// How many lines a minute the people of Matrix may say in the channel, all together.
    pub fn limit(&self, channel: &ChannelName) -> Option<u32> {
        self.of(channel).iter().find_map(|rule| match rule.asked {
            Asked::Limit(lines) => Some(lines),
            Asked::Mute(_)
            | Asked::Block(_)
            | Asked::Dismissed
            | Asked::Allowed
            | Asked::Requested
            | Asked::Room(_) => None,
        })
    }

    /// What is known of people's wish to bridge this room with the channel.
    pub fn wish(&self, channel: &ChannelName, room: &RoomId) -> Option<&Rule> {
        self.of(channel).iter().find(|rule| matches!(&rule.asked, Asked::Room(wish) if wish.room == *room))
    }

    /// All rooms that were asked for, with their channels.
    pub fn wishes(&self) -> impl Iterator<Item = (&ChannelName, &Rule, &Wish)> {
        let rules = self.0.iter().flat_map(|(channel, rules)| rules.iter().map(move |rule| (channel, rule)));
        rules.filter_map(|(channel, rule)| match &rule.asked {
            Asked::Room(wish) => Some((channel, rule, &**wish)),
            Asked::Mute(_)
            | Asked::Block(_)
            | Asked::Limit(_)
            | Asked::Dismissed
            | Asked::Allowed
            | Asked::Requested => None,
        })
    }

    /// The network's case mapping is another.
    pub fn refold(&mut self, map: CaseMap) {
        let rules = std::mem::take(&mut self.0).into_iter();
        for (channel, mut of_channel) in rules {
            self.0.entry(channel.refolded(map)).or_default().append(&mut of_channel);
        }
    }
}

/// A homeserver's name as it is compared: host names are the same in capitals.
pub fn server_of(user: &UserId) -> String {
    user.server().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(text: &str) -> ChannelName {
        ChannelName::new(text, CaseMap::Rfc1459).unwrap()
    }

    fn user(text: &str) -> UserId {
        UserId::new(text).unwrap()
    }

    fn rule(asked: Asked, reason: Option<&str>) -> Rule {
        let reason = reason.map(str::to_owned);
        Rule { channel: "#c".into(), asked, by: "op".into(), reason, since: Time(1) }
    }

    #[test]
    fn who_is_muted_is_silent_there_and_nowhere_else() {
        let (c, ada, bob) = (channel("#c"), user("@ada:hs"), user("@bob:Evil.Example"));
        let mut rules = Rules::default();
        rules.set(&c, rule(Asked::Mute(ada.clone()), Some("spam"))).unwrap();
        rules.set(&c, rule(Asked::Block("evil.example".into()), None)).unwrap();
        let why = |rules: &Rules, user: &UserId| rules.silences(&c, user).and_then(Rule::why_silent);
        assert_eq!(why(&rules, &ada).as_deref(), Some("an operator of #c has muted you (spam)"));
        assert_eq!(
            why(&rules, &bob).as_deref(),
            Some("an operator of #c has muted all people of evil.example")
        );
        assert_eq!(why(&rules, &user("@carl:hs")), None);
        assert_eq!(rules.silences(&channel("#d"), &ada), None);
        assert!(rules.lift(&channel("#C"), &Asked::Mute(ada.clone())).is_some());
        assert!(rules.lift(&c, &Asked::Mute(ada.clone())).is_none());
        assert_eq!(why(&rules, &ada), None);
    }

    #[test]
    fn the_same_again_takes_the_place_of_the_one_before_and_too_many_are_refused() {
        let (c, mut rules) = (channel("#c"), Rules::default());
        rules.set(&c, rule(Asked::Limit(5), None)).unwrap();
        rules.set(&c, rule(Asked::Limit(7), None)).unwrap();
        assert_eq!((rules.limit(&c), rules.of(&c).len()), (Some(7), 1));
        for n in 0..MUTES_MAX {
            rules.set(&c, rule(Asked::Mute(user(&format!("@u{n}:hs"))), None)).unwrap();
        }
        assert_eq!(rules.set(&c, rule(Asked::Mute(user("@more:hs")), None)), Err(Full));
        assert_eq!(rules.set(&c, rule(Asked::Mute(user("@u1:hs")), Some("again"))), Ok(()));
        rules.refold(CaseMap::Ascii);
        let more = (1..CHANNELS_MAX + 5).filter(|n| {
            let rule = Rule { channel: format!("#c{n}"), ..rule(Asked::Dismissed, None) };
            rules.set(&channel(&rule.channel), rule.clone()).is_ok()
        });
        assert_eq!(more.count(), CHANNELS_MAX - 1, "anybody can make channels");
        assert_eq!(rules.of(&ChannelName::new("#C", CaseMap::Ascii).unwrap()).len(), MUTES_MAX + 1);
    }

    #[test]
    fn the_channel_that_has_waited_longest_is_known_and_who_was_answered_waits_no_more() {
        let mut rules = Rules::default();
        let mut asks = |name: &str, since: u64, by: &str| {
            let rule = Rule { by: by.into(), since: Time(since), ..rule(Asked::Requested, None) };
            rules.set(&channel(name), Rule { channel: name.into(), ..rule }).unwrap();
        };
        asks("#answered", 1, "op");
        asks("#later", 9, "");
        asks("#first", 5, "");
        assert_eq!((rules.requested(), rules.oldest_request()), (2, Some(channel("#first"))));
        rules.lift(&channel("#first"), &Asked::Requested);
        assert_eq!(rules.oldest_request(), Some(channel("#later")));
        rules.lift(&channel("#later"), &Asked::Requested);
        assert_eq!((rules.requested(), rules.oldest_request()), (0, None));
    }

    #[test]
    fn the_store_gives_back_what_it_got() {
        let all =
            [Asked::Mute(user("@ada:hs")), Asked::Block("hs".into()), Asked::Limit(9), Asked::Dismissed];
        let wish = |reply| {
            let room = RoomId::new("!r:hs").unwrap();
            Asked::Room(Box::new(Wish { room, user: user("@ada:hs"), reply }))
        };
        let wishes = [Reply::None, Reply::Allowed, Reply::Refused].map(wish);
        for asked in all.into_iter().chain(wishes) {
            let (number, asker) = (i64::from(asked.number()), asked.asker().map(UserId::as_str));
            assert_eq!(Asked::read(asked.kind(), asked.subject(), number, asker), Some(asked));
        }
        assert_eq!(Asked::read("mute", "nobody", 0, None), None);
        assert_eq!(Asked::read("limit", "", -1, None), None);
        assert_eq!(Asked::read("room", "!r:hs", 0, None), None, "nobody asked for it");
        assert_eq!(Asked::read("room", "!r:hs", 3, Some("@ada:hs")), None);
        assert_eq!(Asked::read("what", "", 0, None), None);
    }
}
