//! Table `operator_rules`: what operators of channels asked of the bridge, so that a restart brings nobody back to speak
//! whom they muted, and the bridge to no channel that dismissed it.

use super::change::Write;
use super::db::{Arg, Conn, Fault, Row};
use super::{Store, StoreError};
use crate::bridge::effect::{Asked, Rule};
use crate::ids::{NetworkId, Time, UserId};

const SAVE: &str = "INSERT INTO operator_rules (network, channel, kind, subject, number, by_nick, reason, since, asker) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (network, channel, kind, subject) DO UPDATE SET \
    number = excluded.number, by_nick = excluded.by_nick, reason = excluded.reason, since = excluded.since, \
    asker = excluded.asker";
const REMOVE: &str =
    "DELETE FROM operator_rules WHERE network = $1 AND channel = $2 AND kind = $3 AND subject = $4";
const OF_NETWORK: &str = "SELECT channel, kind, subject, number, by_nick, reason, since, asker FROM operator_rules \
    WHERE network = $1 ORDER BY since, channel, kind, subject";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("SAVE", SAVE), ("REMOVE", REMOVE), ("OF_NETWORK", OF_NETWORK)];

impl Store {
    /// Remembers a rule in place of the same one; awaited, for who is muted must stay so.
    pub async fn rule_save(&self, network: &NetworkId, rule: &Rule) -> Result<(), StoreError> {
        let write = Write::RuleSave { network: network.clone(), rule: rule.clone() };
        self.writer.write(write).await.map(|_| ())
    }

    /// Forgets a rule; awaited. Nothing happens when there is none.
    pub async fn rule_remove(
        &self,
        network: &NetworkId,
        channel: &str,
        asked: &Asked,
    ) -> Result<(), StoreError> {
        let (network, channel, asked) = (network.clone(), channel.to_owned(), asked.clone());
        self.writer.write(Write::RuleRemove { network, channel, asked }).await.map(|_| ())
    }

    /// The rules of a network, the oldest first.
    pub async fn rules(&self, network: &NetworkId) -> Result<Vec<Rule>, StoreError> {
        let rows = self.read(OF_NETWORK, &[Arg::Text(network.as_str())]).await?;
        rows.iter().filter_map(|row| rule(row).transpose()).map(|row| row.map_err(Into::into)).collect()
    }
}

pub(super) async fn save(conn: &mut Conn, network: &NetworkId, rule: &Rule) -> Result<(), Fault> {
    let args = [
        Arg::Text(network.as_str()),
        Arg::Text(&rule.channel),
        Arg::Text(rule.asked.kind()),
        Arg::Text(rule.asked.subject()),
        Arg::Int(i64::from(rule.asked.number())),
        Arg::Text(&rule.by),
        Arg::MaybeText(rule.reason.as_deref()),
        Arg::Int(i64::try_from(rule.since.0).unwrap_or(i64::MAX)),
        Arg::MaybeText(rule.asked.asker().map(UserId::as_str)),
    ];
    conn.execute(SAVE, &args).await.map(|_| ())
}

pub(super) async fn remove(
    conn: &mut Conn,
    network: &NetworkId,
    channel: &str,
    asked: &Asked,
) -> Result<(), Fault> {
    let args = [network.as_str(), channel, asked.kind(), asked.subject()].map(Arg::Text);
    conn.execute(REMOVE, &args).await.map(|_| ())
}

/// `None` for a row that no version of ours has written.
fn rule(row: &Row) -> Result<Option<Rule>, Fault> {
    let (channel, kind, subject, number) = (row.text(0)?, row.text(1)?, row.text(2)?, row.int(3)?);
    let (by, reason) = (row.text(4)?, row.maybe_text(5)?);
    let since = Time(u64::try_from(row.int(6)?).unwrap_or_default());
    let asker = row.maybe_text(7)?;
    let Some(asked) = Asked::read(&kind, &subject, number, asker.as_deref()) else {
        tracing::warn!(channel, kind, "a rule of a channel cannot be read, it is left alone");
        return Ok(None);
    };
    Ok(Some(Rule { channel, asked, by, reason, since }))
}
