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
    /// The room has more rules than are kept of it: where one goes, another may come in.
    pub(super) is_cut: bool,
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
            is_cut: false,
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
            _ => {
                // Whoever put the bot out, the list says something by now that is not known here.
                self.is_read = false;
                tracing::error!(
                    list = name, %error, rules, wait_s,
                    "a policy list cannot be read, and the rules that were read last hold; is the bot invited, and the name right?"
                );
            }
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

    /// Whom it concerns. With rules left out in all lists together, what goes may make a place for any of them.
    pub(super) fn apply(&mut self, change: &RulesChange, left_out: u64) -> Concerns {
        if self.is_cut && !change.gone.is_empty() {
            self.due.get_or_insert_with(Instant::now);
        }
        let mut names = Vec::new();
        for key in &change.gone {
            names.extend(self.rules.remove(key));
        }
        for (key, rule) in &change.put {
            names.extend(self.rules.insert(key.clone(), rule.clone()));
            names.push(rule.clone());
        }
        if names.len() > NAMES_MAX || (left_out > 0 && !change.gone.is_empty()) {
            return Concerns::Everybody;
        }
        Concerns::Only(names.into_iter().map(|rule| (rule.about, rule.entity)).collect())
    }
}

/// Joins a list and reads all of it. Where nobody knows its alias at the moment, the room that it was does. Who may not be
/// in it reads nothing: a homeserver shows who was put out what the room was like then.
pub(super) async fn link(
    client: &Client,
    register: &PolicyRooms,
    name: &str,
    known: Option<RoomId>,
) -> Result<(RoomId, PolicyList), ClientError> {
    let room = match join(client, name).await {
        Ok(room) => room,
        Err(error) => match known {
            Some(known) => {
                client.join(client.bot(), &known).await?;
                known
            }
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
        list.apply(&change, 0);
        let change = list.replace([(key("b"), rule("@c:hs"))].into());
        assert_eq!(change, RulesChange { put: vec![(key("b"), rule("@c:hs"))], gone: vec![key("a")] });
        let Concerns::Only(names) = list.apply(&change, 0) else { panic!("three names") };
        let names: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["@a:hs", "@b:hs", "@c:hs"], "whom a lifted rule meant may come back");
        assert_eq!(list.replace(list.rules.clone()), RulesChange::default());
    }

    #[test]
    fn where_rules_are_left_out_one_that_goes_makes_a_place_for_another() {
        let mut list = List::new(None);
        list.due = None;
        let put =
            RulesChange { put: vec![(key("a"), rule("@a:hs")), (key("b"), rule("@b:hs"))], gone: vec![] };
        assert!(matches!(list.apply(&put, 1), Concerns::Only(_)), "nothing gave way");
        let gone = RulesChange { put: vec![], gone: vec![key("a")] };
        assert_eq!(list.apply(&gone, 1), Concerns::Everybody);
        assert_eq!(list.due, None, "all of this one is known");
        // It has more than are kept of it: which of them comes in is read.
        list.is_cut = true;
        list.apply(&RulesChange { put: vec![], gone: vec![key("b")] }, 0);
        assert!(list.due.is_some());
    }

    #[test]
    fn a_list_that_the_bot_was_put_out_of_is_not_read_and_its_rules_hold() {
        let mut list = List::new(None);
        list.apply(&RulesChange { put: vec![(key("a"), rule("@a:hs"))], gone: vec![] }, 0);
        list.is_read = true;
        list.failed("#list:hs", &ClientError::Unavailable("away".into()));
        assert!(list.is_read, "an outage passes");
        let words = "you have been banned".to_owned();
        list.failed("#list:hs", &ClientError::Forbidden { errcode: "M_FORBIDDEN".into(), words });
        assert!(!list.is_read && list.rules.len() == 1 && list.due.is_some());
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let rules: PolicyList =
            (0..RULES_MAX + 7).map(|n| (key(&format!("{n:09}")), rule("@a:hs"))).collect();
        assert_eq!(List::new(None).replace(rules).put.len(), RULES_MAX);
    }
}
