//! One policy list: the room, the rules that were read last, and when it is read again.

use std::time::Duration;

use tokio::time::Instant;

use super::register::PolicyRooms;
use crate::bridge::input::{Concerns, PolicyList, RuleKey};
use crate::bridge::policy_lists::RULES_MAX;
use crate::ids::{RoomAlias, RoomId};
use crate::matrix::client::{Client, ClientError};
use crate::store::RulesChange;

/// A change that concerns more names than this is one for everybody.
const NAMES_MAX: usize = 200;
/// The first wait after a list could not be read; doubled up to [`AGAIN_MAX`].
pub(super) const AGAIN_MIN: Duration = Duration::from_millis(500);
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// The wait where the homeserver lets the bot in no list: a person has to do something.
const REFUSED_AGAIN: Duration = Duration::from_secs(600);

/// One list.
#[derive(Debug)]
pub(super) struct List {
    pub(super) room: Option<RoomId>,
    pub(super) rules: PolicyList,
    pub(super) is_read: bool,
    pub(super) failures: u32,
    /// When it is to be joined and read; `None` when that is done.
    pub(super) due: Option<Instant>,
    /// It is being joined and read: nothing else is read of it meanwhile, so that the older never comes last.
    pub(super) is_busy: bool,
}

impl List {
    pub(super) fn new(room: Option<RoomId>) -> Self {
        Self {
            room,
            rules: PolicyList::new(),
            is_read: false,
            failures: 0,
            due: Some(Instant::now()),
            is_busy: false,
        }
    }

    pub(super) fn failed(&mut self, name: &str, error: &ClientError) {
        let wait = match error {
            ClientError::Unavailable(_) => {
                AGAIN_MIN.saturating_mul(1 << self.failures.min(10)).min(AGAIN_MAX)
            }
            ClientError::Limited { retry_after } => *retry_after,
            _ => REFUSED_AGAIN,
        };
        self.failures = self.failures.saturating_add(1);
        self.due = Some(Instant::now() + wait);
        let (rules, wait_s) = (self.rules.len(), wait.as_secs());
        match error {
            ClientError::Unavailable(_) | ClientError::Limited { .. } => {
                tracing::warn!(list = name, %error, rules, wait_s, "a policy list cannot be read yet; the rules that were read last hold");
            }
            _ => tracing::error!(
                list = name, %error, rules, wait_s,
                "a policy list cannot be read, and the rules that were read last hold; is the bot invited, and the name right?"
            ),
        }
    }

    /// What another reading of the whole changes.
    pub(super) fn replace(&self, mut rules: PolicyList) -> RulesChange {
        let excess: Vec<RuleKey> = rules.keys().skip(RULES_MAX).cloned().collect();
        excess.iter().for_each(|key| drop(rules.remove(key)));
        let gone = self.rules.keys().filter(|key| !rules.contains_key(key)).cloned().collect();
        let put = rules.into_iter().filter(|(key, rule)| self.rules.get(key) != Some(rule)).collect();
        RulesChange { put, gone }
    }

    /// Whom it concerns.
    pub(super) fn apply(&mut self, change: &RulesChange) -> Concerns {
        let mut names = Vec::new();
        for key in &change.gone {
            names.extend(self.rules.remove(key));
        }
        for (key, rule) in &change.put {
            names.extend(self.rules.insert(key.clone(), rule.clone()));
            names.push(rule.clone());
        }
        if names.len() > NAMES_MAX {
            return Concerns::Everybody;
        }
        Concerns::Only(names.into_iter().map(|rule| (rule.about, rule.entity)).collect())
    }
}

/// Joins a list and reads all of it. Where nobody knows its alias at the moment, the room that it was does.
pub(super) async fn link(
    client: &Client,
    register: &PolicyRooms,
    name: &str,
    known: Option<RoomId>,
) -> Result<(RoomId, PolicyList), ClientError> {
    let room = match join(client, name).await {
        Ok(room) => room,
        Err(error) => match known {
            Some(known) => known,
            None => return Err(error),
        },
    };
    // Before it is read: what happens from here on is looked at afterwards.
    register.add(&room);
    let rules = client.policy_list(&room).await?;
    Ok((room, rules))
}

async fn join(client: &Client, name: &str) -> Result<RoomId, ClientError> {
    if let Some(alias) = RoomAlias::new(name) {
        return client.join_alias(client.bot(), &alias).await;
    }
    let room = RoomId::new(name).ok_or(ClientError::NotFound)?;
    // Whoever made it knows it; the ids of newer rooms do not say who that is.
    let servers: Vec<&str> = name.split_once(':').map(|(_, server)| server).into_iter().collect();
    client.join_through(client.bot(), &room, &servers).await?;
    Ok(room)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::input::{About, PolicyRule};

    fn key(key: &str) -> RuleKey {
        RuleKey { kind: "m.policy.rule.user".into(), key: key.into() }
    }

    fn rule(entity: &str) -> PolicyRule {
        PolicyRule { about: About::Person, entity: entity.into(), reason: String::new() }
    }

    #[test]
    fn reading_anew_finds_what_is_new_and_what_is_gone() {
        let mut list = List::new(None);
        let first = [(key("a"), rule("@a:hs")), (key("b"), rule("@b:hs"))];
        let change = list.replace(first.into());
        assert_eq!((change.put.len(), change.gone.len()), (2, 0));
        list.apply(&change);
        let change = list.replace([(key("b"), rule("@c:hs"))].into());
        assert_eq!(change, RulesChange { put: vec![(key("b"), rule("@c:hs"))], gone: vec![key("a")] });
        let Concerns::Only(names) = list.apply(&change) else { panic!("three names") };
        let names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["@a:hs", "@b:hs", "@c:hs"], "whom a lifted rule meant may come back");
        assert_eq!(list.replace(list.rules.clone()), RulesChange::default());
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let rules: PolicyList =
            (0..RULES_MAX + 7).map(|n| (key(&format!("{n:09}")), rule("@a:hs"))).collect();
        assert_eq!(List::new(None).replace(rules).put.len(), RULES_MAX);
    }
}
