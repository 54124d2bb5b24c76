//! News of connections: what is told of them, and how often.
//!
//! ```text
//!   well ── lost ─▶ waits BLIP_MS ── back ─▶ well, and nobody heard of it
//!                        └─ told ── lost again: counted, told once in QUIET_MS, later more seldom
//!                             └──── back ─▶ told once ─▶ well
//!   held, asleep, without an account: told at once; the same again waits its time
//! ```
//!
//! Only the newest state is told, with the number of tries. What is told of a person is forgotten with their room.

use std::collections::BTreeMap;

use super::{Admin, words};
use crate::bridge::news::{First, News};
use crate::ids::{NetworkId, Time, UserId};

/// Who is back so soon is told nothing of the loss.
const BLIP_MS: u64 = 15_000;
/// In trouble something is told once in so many milliseconds, at most; twice as many after each time.
pub(super) const QUIET_MS: u64 = 300_000;
/// How often the wait is doubled: 80 minutes.
const DOUBLED_MAX: u32 = 4;
/// People and networks remembered, at most. Full: of one more nothing is told; `status` tells.
const STORIES_MAX: usize = 20_000;

/// What people know of their connections.
#[derive(Debug, Default)]
pub(super) struct Board {
    stories: BTreeMap<(UserId, NetworkId), Story>,
}

/// How it is with one connection, and what its person knows of it.
#[derive(Debug, Default)]
struct Story {
    /// Losses and holds since all was well.
    tries: u32,
    /// Since when they are off the network.
    down_since: Option<Time>,
    /// What was told last of the trouble, and when.
    told: Option<(Time, News)>,
    notices: u32,
    knows_trouble: bool,
    /// What is to be told, when its time has come.
    pending: Option<(Time, News)>,
    /// When they were told of another nick.
    renamed: Option<Time>,
    /// The nick they had when they were told last, and have now.
    nicks: Option<(String, String)>,
}

/// What is known of a trouble, beside its last news.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    pub tries: u32,
    pub since: Time,
}

impl Board {
    /// When something is to be told or forgotten.
    pub fn next(&self) -> Option<Time> {
        self.stories.values().filter_map(Story::next).min()
    }

    /// Somebody has no room any more.
    pub fn forget(&mut self, user: &UserId) {
        self.stories.retain(|(whose, _), _| whose != user);
    }

    fn story(&mut self, user: &UserId, network: &NetworkId) -> Option<&mut Story> {
        let key = (user.clone(), network.clone());
        if self.stories.len() >= STORIES_MAX && !self.stories.contains_key(&key) {
            return None;
        }
        Some(self.stories.entry(key).or_default())
    }
}

impl Story {
    fn next(&self) -> Option<Time> {
        let over = self.told.as_ref().map(|(at, _)| self.quiet_until(*at));
        let over = over.filter(|_| self.down_since.is_none());
        let renamed = self.renamed.map(|at| at.plus_ms(QUIET_MS));
        self.pending.as_ref().map(|(at, _)| *at).into_iter().chain(over).chain(renamed).min()
    }

    fn quiet_until(&self, told: Time) -> Time {
        told.plus_ms(QUIET_MS << self.notices.saturating_sub(1).min(DOUBLED_MAX))
    }

    /// What is to be said of it now.
    fn hear(&mut self, now: Time, news: News) -> Option<News> {
        match news {
            News::Connected { first, .. } => {
                self.pending = None;
                self.down_since = None;
                let is_told = std::mem::take(&mut self.knows_trouble) || first == First::Yes;
                is_told.then_some(news)
            }
            News::Lost { .. } => {
                self.tries = self.tries.saturating_add(1);
                self.down_since.get_or_insert(now);
                let quiet = self.told.as_ref().map(|(at, _)| self.quiet_until(*at));
                let due = self.pending.as_ref().map(|(due, _)| *due);
                let due = due.unwrap_or(now.plus_ms(BLIP_MS).max(quiet.unwrap_or_default()));
                self.pending = Some((due, news));
                None
            }
            News::Held { .. } => {
                self.tries = self.tries.saturating_add(1);
                self.down_since.get_or_insert(now);
                let known = self.told.as_ref().filter(|(_, told)| *told == news);
                match known.map(|(at, _)| self.quiet_until(*at)).filter(|until| *until > now) {
                    Some(until) => self.pending = Some((until, news)),
                    None => return self.tell(now, news),
                }
                None
            }
            News::Asleep { .. } => {
                *self = Self { renamed: self.renamed, nicks: self.nicks.take(), ..Self::default() };
                Some(news)
            }
            News::NoAccount { .. } => Some(news),
            News::Renamed { from, to } => {
                let before = self.nicks.take().map_or(from, |(before, _)| before);
                self.nicks = Some((before, to));
                if self.renamed.is_some() { None } else { self.tell_nick(now) }
            }
        }
    }

    fn tell(&mut self, now: Time, news: News) -> Option<News> {
        self.pending = None;
        self.knows_trouble = true;
        self.notices = self.notices.saturating_add(1);
        self.told = Some((now, news.clone()));
        Some(news)
    }

    fn tell_nick(&mut self, now: Time) -> Option<News> {
        let (from, to) = self.nicks.take()?;
        self.renamed = Some(now);
        (from != to).then_some(News::Renamed { from, to })
    }

    /// What is to be said by now.
    fn due(&mut self, now: Time) -> Vec<News> {
        let mut said = Vec::new();
        if let Some((_, news)) = self.pending.take_if(|(due, _)| *due <= now) {
            said.extend(self.tell(now, news));
        }
        if self.renamed.take_if(|at| at.plus_ms(QUIET_MS) <= now).is_some() {
            said.extend(self.tell_nick(now));
        }
        let is_over = self.told.as_ref().is_some_and(|(at, _)| self.quiet_until(*at) <= now);
        if is_over && self.down_since.is_none() {
            (self.told, self.notices, self.tries) = (None, 0, 0);
        }
        said
    }

    /// True when there is nothing left to know.
    fn is_over(&self) -> bool {
        let is_well = self.down_since.is_none() && self.pending.is_none() && !self.knows_trouble;
        is_well && self.told.is_none() && self.renamed.is_none()
    }

    fn trouble(&self, now: Time) -> Trouble {
        Trouble { tries: self.tries, since: self.down_since.unwrap_or(now) }
    }
}

impl Admin {
    /// Something happened to somebody's connection.
    pub(super) fn news(&mut self, network: &NetworkId, user: &UserId, news: News) {
        let now = self.now;
        if self.rooms.of(user).is_none() {
            return;
        }
        let Some(story) = self.board.story(user, network) else { return };
        let said = story.hear(now, news);
        let trouble = story.trouble(now);
        if story.is_over() {
            self.board.stories.remove(&(user.clone(), network.clone()));
        }
        if let Some(news) = said {
            self.say_news(network, user, &news, trouble);
        }
    }

    /// Tells what waited for its time.
    pub(super) fn news_due(&mut self) {
        let now = self.now;
        let mut said = Vec::new();
        self.board.stories.retain(|(user, network), story| {
            if story.next().is_some_and(|at| at <= now) {
                let trouble = story.trouble(now);
                let news = story.due(now).into_iter();
                said.extend(news.map(|news| (network.clone(), user.clone(), news, trouble)));
            }
            !story.is_over()
        });
        for (network, user, news, trouble) in said {
            self.say_news(&network, &user, &news, trouble);
        }
    }

    fn say_news(&mut self, network: &NetworkId, user: &UserId, news: &News, trouble: Trouble) {
        let Some(room) = self.rooms.of(user).cloned() else { return };
        let reply = words::news(self.settings.name(network), news, trouble, self.now);
        self.say(&room, None, &reply);
    }
}
