//! Follows the rooms with policy lists, and gives all networks what they say.
//!
//! ```text
//!   database ─▶ the rules of the last run, before anybody connects
//!   start, hourly, after an outage ─▶ join, read all ─┐
//!   an event in the room ─▶ read its one place ───────┴▶ compare ─▶ database, and Input::PolicyRules to each network
//! ```
//!
//! An event only says where to look: what counts is the room's state as the homeserver has it at that moment, whatever order
//! events come in, and however a rule was lifted. A list that cannot be read keeps the rules that were read last: a ban is
//! not lifted by an outage, nor by whoever puts the bot out. A rule that means everybody, or the bridge's own homeserver, is
//! told and does not count. [`PolicyRooms`] is what others see; one task does the work, so nothing comes between.

mod list;
mod register;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::list::{AGAIN_MIN, List, link};
use self::register::Look;
pub use self::register::{Figures, PolicyRooms, Wanted};
use super::shell::{Mailboxes, Shell};
use crate::bridge::input::{Concerns, Input, PolicyList, PolicyRules, RuleKey};
use crate::bridge::policy_lists::{Counts, RULES_MAX};
use crate::ids::{RoomId, UserId};
use crate::matrix::client::{Client, ClientError};
use crate::store::{RulesChange, Store, StoreError};

/// Everything is read again so often: nobody promises that each event comes.
const READ_EVERY: Duration = Duration::from_secs(3_600);
/// How long a start waits for lists that were never read before.
const FIRST_WAIT: Duration = Duration::from_secs(10);

/// What came of an attempt to join and read a list.
type Linked = (String, Result<(RoomId, PolicyList), ClientError>);

/// The task that follows the lists.
pub struct Follower {
    store: Store,
    client: Client,
    register: Arc<PolicyRooms>,
    /// In the order of the configuration.
    names: Vec<String>,
    lists: BTreeMap<String, List>,
    /// Who must never be meant, for the log.
    spared: Vec<UserId>,
    first: watch::Sender<bool>,
}

impl Follower {
    /// With the rules of the last run. What was kept of lists that are configured no more is forgotten.
    pub async fn load(shell: &Shell, wanted: Wanted) -> Result<Self, StoreError> {
        let Wanted { names, spared } = wanted;
        let (store, register) = (shell.store.clone(), Arc::clone(&shell.policy_rooms));
        let mut lists = BTreeMap::new();
        let mut strangers = BTreeSet::new();
        for kept in store.policy_rules().await? {
            if !names.contains(&kept.list) {
                strangers.insert(kept.list);
                continue;
            }
            let list: &mut List =
                lists.entry(kept.list).or_insert_with(|| List::new(Some(kept.room.clone())));
            list.rules.insert(kept.key, kept.rule);
        }
        for name in strangers {
            store.policy_list_forget(&name).await?;
        }
        let (first, _) = watch::channel(false);
        let client = shell.client.clone();
        let mut follower = Self { store, client, register, names: Vec::new(), lists, spared, first };
        follower.follow(names);
        follower.note_figures_of(follower.rules().counts());
        Ok(follower)
    }

    /// All rules that are known.
    pub fn rules(&self) -> Arc<PolicyRules> {
        let in_order = self.names.iter().filter_map(|name| {
            let list = self.lists.get(name)?;
            Some((list.room.as_ref()?, &list.rules))
        });
        Arc::new(PolicyRules::sparing(self.client.server_name(), in_order))
    }

    /// Begins to follow, beside. Waits for those lists that no earlier run has read, so that nobody gets in whom they mean;
    /// but not for long, for nobody else should wait.
    pub async fn begin(self, shell: &Shell, mailboxes: &Mailboxes, cancel: &CancellationToken) {
        let mut first = self.first.subscribe();
        shell.tasks.spawn(self.run(Arc::clone(mailboxes), cancel.clone()));
        if tokio::time::timeout(FIRST_WAIT, first.wait_for(|is_done| *is_done)).await.is_err() {
            tracing::warn!("a policy list is slow; people connect before it is read");
        }
    }

    /// Follows until cancelled.
    async fn run(mut self, mailboxes: Mailboxes, cancel: CancellationToken) {
        let mut links: JoinSet<Linked> = JoinSet::new();
        let mut reread = Instant::now() + READ_EVERY;
        loop {
            self.note_first();
            self.begin_links(&mut links);
            let free = self.lists.values().filter(|list| !list.is_busy);
            let due = free.filter_map(|list| list.due).chain([reread]).min();
            let register = Arc::clone(&self.register);
            tokio::select! {
                () = cancel.cancelled() => return,
                Some(linked) = links.join_next() => {
                    if let Ok((name, result)) = linked {
                        self.linked(&mailboxes, &name, result).await;
                    }
                }
                () = register.work() => {
                    self.follow_wanted(&mailboxes).await;
                    self.look(&mailboxes).await;
                }
                () = tokio::time::sleep_until(due.unwrap_or(reread)) => {
                    if Instant::now() >= reread {
                        reread = Instant::now() + READ_EVERY;
                        register.read_anew();
                    }
                }
            }
        }
    }

    fn note_first(&self) {
        let is_open = |list: &List| list.rules.is_empty() && !list.is_read && list.failures == 0;
        if !*self.first.borrow() && !self.lists.values().any(is_open) {
            self.first.send_replace(true);
        }
    }

    /// Other lists are configured.
    fn follow(&mut self, names: Vec<String>) {
        let now = Instant::now();
        for name in &names {
            let room = RoomId::new(name);
            let list = self.lists.entry(name.clone()).or_insert_with(|| List::new(room));
            // Before the bot is in it: its owners may invite it.
            if let Some(room) = &list.room {
                self.register.add(room);
            }
            if !list.is_read {
                list.due = Some(now);
            }
        }
        self.names = names;
        self.note_figures();
    }

    async fn follow_wanted(&mut self, mailboxes: &Mailboxes) {
        let Some(Wanted { names, spared }) = self.register.take_wanted() else { return };
        self.spared = spared;
        let gone: Vec<String> = self.lists.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in &gone {
            let Some(list) = self.lists.remove(name) else { continue };
            if let Some(room) = &list.room {
                self.register.remove(room);
            }
            if let Err(error) = self.store.policy_list_forget(name).await {
                tracing::error!(list = name, %error, "a policy list could not be forgotten; it is at the next start");
            }
        }
        self.follow(names);
        if !gone.is_empty() {
            self.publish(mailboxes, Concerns::Everybody).await;
        }
    }

    /// Joins and reads those whose turn it is, beside: a homeserver far away may take its time.
    fn begin_links(&mut self, links: &mut JoinSet<Linked>) {
        let now = Instant::now();
        for (name, list) in &mut self.lists {
            if !list.is_busy && list.due.take_if(|due| *due <= now).is_some() {
                list.is_busy = true;
                let (client, register) = (self.client.clone(), Arc::clone(&self.register));
                let (name, known) = (name.clone(), list.room.clone());
                links.spawn(async move {
                    let result = link(&client, &register, &name, known).await;
                    (name, result)
                });
            }
        }
    }

    async fn linked(
        &mut self,
        mailboxes: &Mailboxes,
        name: &str,
        result: Result<(RoomId, PolicyList), ClientError>,
    ) {
        let Some(list) = self.lists.get_mut(name) else { return };
        list.is_busy = false;
        let (room, rules) = match result {
            Ok(linked) => linked,
            Err(error) => {
                list.failed(name, &error);
                return self.note_figures();
            }
        };
        list.is_cut = rules.len() > RULES_MAX;
        list.failures = 0;
        let (is_first, before) = (!list.is_read, list.room.replace(room.clone()));
        list.is_read = true;
        if let Some(before) = before.filter(|before| *before != room) {
            self.register.remove(&before);
        }
        if is_first {
            tracing::info!(list = name, %room, rules = rules.len(), "a policy list is followed");
        }
        let change = list.replace(rules);
        self.changed(mailboxes, name, change).await;
    }

    /// Looks where something happened.
    async fn look(&mut self, mailboxes: &Mailboxes) {
        for (room, look) in self.register.take_looks() {
            let is_it = |(_, list): &(&String, &List)| list.room.as_ref() == Some(&room);
            let Some(name) = self.lists.iter().find(is_it).map(|(name, _)| name.clone()) else { continue };
            let Some(list) = self.lists.get_mut(&name) else { continue };
            let places = match look {
                Look::At(places) if !list.is_busy => places,
                Look::At(_) | Look::Everywhere | Look::Nowhere => {
                    list.due = Some(Instant::now());
                    continue;
                }
            };
            let change = self.read_places(&name, &room, places).await;
            self.changed(mailboxes, &name, change).await;
        }
    }

    /// Reads single places. Where that fails, the whole room is read later.
    async fn read_places(&mut self, name: &str, room: &RoomId, places: BTreeSet<RuleKey>) -> RulesChange {
        let mut change = RulesChange::default();
        for key in places {
            let read = self.client.policy_rule(room, &key).await;
            let Some(list) = self.lists.get_mut(name) else { return change };
            match read {
                Ok(Some(rule)) if list.rules.get(&key) != Some(&rule) => {
                    if list.rules.len() < RULES_MAX || list.rules.contains_key(&key) {
                        change.put.push((key, rule));
                    } else {
                        list.is_cut = true;
                    }
                }
                Ok(Some(_)) => {}
                Ok(None) if list.rules.contains_key(&key) => change.gone.push(key),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(list = name, %error, "a change of a policy list cannot be read; it is tried again");
                    list.due = Some(Instant::now() + AGAIN_MIN);
                }
            }
        }
        change
    }

    /// Makes a change count, and remembers it.
    async fn changed(&mut self, mailboxes: &Mailboxes, name: &str, change: RulesChange) {
        let Some(list) = self.lists.get_mut(name) else { return };
        if change == RulesChange::default() {
            return self.note_figures();
        }
        let concerns = list.apply(&change, self.register.figures().left_out);
        let (put, gone) = (change.put.len(), change.gone.len());
        tracing::info!(list = name, put, gone, "a policy list has changed");
        let room = list.room.clone();
        self.publish(mailboxes, concerns).await;
        let Some(room) = room else { return };
        if let Err(error) = self.store.policy_rules_change(name, &room, change).await {
            tracing::error!(list = name, %error, "a policy list could not be remembered; a restart begins with what was before");
        }
    }

    /// Gives all networks the rules as they are.
    async fn publish(&self, mailboxes: &Mailboxes, concerns: Concerns) {
        let rules = self.rules();
        self.note_figures_of(rules.counts());
        for cause in rules.too_wide() {
            tracing::error!(
                list = %cause.list,
                entity = cause.entity,
                "a rule of a policy list means everybody, or all of this homeserver, and does not count; `permissions` can say so"
            );
        }
        for user in &self.spared {
            if let Some(cause) = rules.against(user) {
                tracing::warn!(%user, list = %cause.list, entity = cause.entity, "a policy list means one of ours or an admin; that rule does not count for them");
            }
        }
        for mailbox in mailboxes.iter() {
            let (rules, concerns) = (Arc::clone(&rules), concerns.clone());
            mailbox.inputs.send(Input::PolicyRules { rules, concerns }).await.ok();
        }
    }

    fn note_figures(&self) {
        let figures = self.register.figures();
        let Figures { in_force, left_out, too_wide, .. } = figures;
        self.note_figures_of(Counts { in_force, left_out, too_wide });
    }

    fn note_figures_of(&self, counts: Counts) {
        let Counts { in_force, left_out, too_wide } = counts;
        let unread = self.lists.values().filter(|list| !list.is_read).count() as u64;
        let before = self.register.note(Figures { in_force, left_out, too_wide, unread });
        if left_out > before.left_out {
            tracing::warn!(left_out, "rules of policy lists are left out: too long, or too many");
        }
    }
}
