//! What the nominee's stream shows of a channel itself: its topic, whether it is hidden, and who has which rank.

use std::collections::BTreeSet;

use super::Channel;
use crate::bridge::session::isupport::Prefixes;
use crate::bridge::session::seen::Visibility;
use crate::ids::{ConnId, Nick};
use crate::text::casemap::CaseMap;
use crate::text::modes::{Change, Sign, Takes};

/// Modes by which a channel keeps what it is from those who are not in it: secret and private.
const HIDING: [char; 2] = ['s', 'p'];
/// Modes by which a channel lets in who is invited or knows a word.
const CLOSING: [char; 2] = ['i', 'k'];

/// A channel's topic, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Topic {
    /// Empty for none; `None` until the server has said it.
    text: Option<String>,
    /// What hides the channel; `None` until a list of names has said it.
    hidden_by: Option<BTreeSet<char>>,
    /// The nominee has just come in: a server that says nothing of a topic has none.
    is_awaited: bool,
    /// Counts what may have changed it for those outside.
    changes: u64,
}

/// The modes of a channel itself, as far as they are known: neither lists, nor what its people are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modes {
    /// `None` until the server has told them all.
    set: Option<BTreeSet<char>>,
    changes: u64,
}

impl Modes {
    /// True once all of them are known.
    pub fn are_known(&self) -> bool {
        self.set.is_some()
    }

    /// Whether this one is set; `None` while that is not known.
    pub fn has(&self, mode: char) -> Option<bool> {
        self.set.as_ref().map(|set| set.contains(&mode))
    }

    /// Those that are set, as letters; empty while they are not known.
    pub fn letters(&self) -> String {
        self.set.iter().flatten().collect()
    }

    fn are(&mut self, set: BTreeSet<char>) {
        if self.set.as_ref() != Some(&set) {
            self.set = Some(set);
            self.changes += 1;
        }
    }

    fn change(&mut self, mode: char, sign: Sign) {
        let Some(set) = &mut self.set else { return };
        let is_new = match sign {
            Sign::Plus => set.insert(mode),
            Sign::Minus => set.remove(&mode),
        };
        self.changes += u64::from(is_new);
    }
}

/// Whether this is a mode that a channel itself has. There are 62 letters and digits: no server makes the set grow beyond.
fn is_own(change: &Change) -> bool {
    let is_own = matches!(change.takes, Takes::Always | Takes::WhenSet | Takes::Never);
    is_own && change.mode.is_ascii_alphanumeric()
}

/// How often what a channel's rooms are shown of it may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its topic.
    pub topic: u64,
    /// Who has which rank.
    pub ranks: u64,
    /// Its modes.
    pub modes: u64,
}

impl Channel {
    /// To be compared with what it was.
    pub fn profile(&self) -> Profile {
        Profile { topic: self.topic.changes, ranks: self.roster.ranks(), modes: self.modes.changes }
    }

    /// The topic for people who are in a room of the channel's, empty for none; `None` where it is not known. That of a
    /// hidden channel is not told: a room's topic can be read by those who are not in it. Nor is any before it is known
    /// whether the channel is.
    pub fn topic(&self) -> Option<&str> {
        let text = self.topic.text.as_deref()?;
        Some(if self.topic.hidden_by.as_ref()?.is_empty() { text } else { "" })
    }

    /// True unless it is known that the channel is not kept from those who are not in it.
    pub fn is_hidden(&self) -> bool {
        self.topic.hidden_by.as_ref().is_none_or(|modes| !modes.is_empty())
    }

    /// The channel's own modes.
    pub fn modes(&self) -> &Modes {
        &self.modes
    }

    /// True unless people outside may know of the channel: it is not known that it is no secret, or it is known to let
    /// nobody in without an invitation or a key.
    pub fn is_shut(&self) -> bool {
        self.is_hidden() || CLOSING.iter().any(|mode| self.modes.has(*mode) == Some(true))
    }

    /// All of the channel's modes, on this connection's stream.
    pub fn modes_told(&mut self, conn: ConnId, changes: &[Change]) {
        if !self.is_owner(conn) {
            return;
        }
        let set: BTreeSet<char> = changes
            .iter()
            .filter(|change| is_own(change) && change.sign == Sign::Plus)
            .map(|change| change.mode)
            .collect();
        // A list of names tells one of two only. What it told stands: a server may keep modes to itself here.
        for mode in set.iter().filter(|mode| HIDING.contains(mode)) {
            self.topic.hides(*mode, Sign::Plus);
        }
        self.modes.are(set);
    }

    /// The topic, on this connection's stream.
    pub fn topic_shown(&mut self, conn: ConnId, text: String) {
        if self.is_owner(conn) {
            self.topic.set(text);
        }
    }

    /// Modes changed, on this connection's stream.
    pub fn modes_changed(&mut self, conn: ConnId, changes: &[Change], prefixes: &Prefixes, map: CaseMap) {
        if !self.is_owner(conn) {
            return;
        }
        for change in changes {
            if is_own(change) {
                self.modes.change(change.mode, change.sign);
            }
            let nick = change.param.as_ref().and_then(|param| Nick::new(param, map));
            match (change.takes, change.sign, nick) {
                (Takes::Member, Sign::Plus, Some(nick)) => self.roster.grant(&nick, change.mode, prefixes),
                (Takes::Member, Sign::Minus, Some(nick)) => self.roster.revoke(&nick, change.mode),
                (Takes::Never, sign, _) if HIDING.contains(&change.mode) => {
                    self.topic.hides(change.mode, sign)
                }
                (Takes::Member | Takes::Entry | Takes::Always | Takes::WhenSet | Takes::Never, _, _) => {}
            }
        }
    }

    /// A list of names says how visible the channel is.
    pub(super) fn visibility_shown(&mut self, visibility: Visibility) {
        let hidden_by = match visibility {
            Visibility::Public => BTreeSet::new(),
            Visibility::Private => ['p'].into(),
            Visibility::Secret => ['s'].into(),
        };
        if self.topic.hidden_by.as_ref() != Some(&hidden_by) {
            self.topic.hidden_by = Some(hidden_by);
            self.topic.changes += 1;
        }
    }

    /// The nominee came in: its server shows the topic before the names, if there is one.
    pub(super) fn topic_awaited(&mut self) {
        self.topic.is_awaited = true;
    }

    /// The names are all there.
    pub(super) fn topic_not_shown(&mut self) {
        if std::mem::take(&mut self.topic.is_awaited) {
            self.topic.set(String::new());
        }
    }

    /// Nobody of ours is there any more.
    pub(super) fn topic_unknown(&mut self) {
        self.topic = Topic { changes: self.topic.changes, ..Topic::default() };
        self.modes.set = None;
    }
}

impl Topic {
    fn set(&mut self, text: String) {
        self.is_awaited = false;
        if self.text.as_ref() != Some(&text) {
            self.text = Some(text);
            self.changes += 1;
        }
    }

    fn hides(&mut self, mode: char, sign: Sign) {
        let Some(modes) = &mut self.hidden_by else { return };
        let is_new = match sign {
            Sign::Plus => modes.insert(mode),
            Sign::Minus => modes.remove(&mode),
        };
        self.changes += u64::from(is_new);
    }
}
