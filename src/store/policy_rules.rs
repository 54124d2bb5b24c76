//! Table `policy_rules`: whom policy lists want nowhere, as they were last read. So a restart lets nobody in for the moment
//! until the lists are read again, and a homeserver that is slow, or has lost a list, changes nothing.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::bridge::input::{About, PolicyRule, RuleKey};
use crate::ids::RoomId;

const SAVE: &str = "INSERT INTO policy_rules (list, room, kind, state_key, entity, reason) \
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (list, kind, state_key) DO UPDATE SET \
    room = excluded.room, entity = excluded.entity, reason = excluded.reason";
const REMOVE: &str = "DELETE FROM policy_rules WHERE list = $1 AND kind = $2 AND state_key = $3";
const FORGET: &str = "DELETE FROM policy_rules WHERE list = $1";
const ALL: &str =
    "SELECT list, room, kind, state_key, entity, reason FROM policy_rules ORDER BY list, kind, state_key";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("SAVE", SAVE), ("REMOVE", REMOVE), ("FORGET", FORGET), ("ALL", ALL)];

/// Rules of one list that are new or others, and those that are gone. Written in pieces: others write in between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RulesChange {
    pub put: Vec<(RuleKey, PolicyRule)>,
    pub gone: Vec<RuleKey>,
}

/// A rule as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRule {
    /// The list, as the configuration names it.
    pub list: String,
    pub room: RoomId,
    pub key: RuleKey,
    pub rule: PolicyRule,
}

/// Rules written in one piece.
const PIECE: usize = 500;

impl Store {
    /// Brings what is kept of a list up to date; awaited.
    pub async fn policy_rules_change(
        &self,
        list: &str,
        room: &RoomId,
        change: RulesChange,
    ) -> Result<(), StoreError> {
        let RulesChange { mut put, mut gone } = change;
        while !put.is_empty() || !gone.is_empty() {
            let put_now = put.split_off(put.len().saturating_sub(PIECE));
            let gone_now = gone.split_off(gone.len().saturating_sub(PIECE));
            let change = RulesChange { put: put_now, gone: gone_now };
            let write = Write::PolicyRules { list: list.to_owned(), room: room.clone(), change };
            self.writer.write(write).await?;
        }
        Ok(())
    }

    /// Forgets all that is kept of a list; awaited.
    pub async fn policy_list_forget(&self, list: &str) -> Result<(), StoreError> {
        self.writer.write(Write::PolicyListForget { list: list.to_owned() }).await.map(|_| ())
    }

    /// All rules of all lists. One of a kind that this version does not know is left alone.
    pub async fn policy_rules(&self) -> Result<Vec<KeptRule>, StoreError> {
        let mut kept = Vec::new();
        for row in self.read(ALL, &[]).await? {
            let key = RuleKey { kind: row.text(2)?, key: row.text(3)? };
            let (Some(room), Some(about)) = (RoomId::new(&row.text(1)?), About::of_kind(&key.kind)) else {
                continue;
            };
            let rule = PolicyRule { about, entity: row.text(4)?, reason: row.text(5)? };
            kept.push(KeptRule { list: row.text(0)?, room, key, rule });
        }
        Ok(kept)
    }
}

pub(super) async fn change(
    conn: &mut Conn,
    list: &str,
    room: &RoomId,
    change: &RulesChange,
) -> Result<(), Fault> {
    for key in &change.gone {
        conn.execute(REMOVE, &[list, &key.kind, &key.key].map(Arg::Text)).await?;
    }
    for (key, rule) in &change.put {
        let texts = [list, room.as_str(), &key.kind, &key.key, &rule.entity, &rule.reason];
        conn.execute(SAVE, &texts.map(Arg::Text)).await?;
    }
    Ok(())
}

pub(super) async fn forget(conn: &mut Conn, list: &str) -> Result<(), Fault> {
    conn.execute(FORGET, &[Arg::Text(list)]).await.map(|_| ())
}
