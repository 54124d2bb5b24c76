-- What operators of channels asked of the bridge. The same is in ../postgres/0012_operators.sql.

-- operators.rs: one rule of one channel. kind: mute (subject: a user), block (a homeserver), limit (number: lines a
-- minute), dismissed, allowed, requested (asked by us, by_nick empty). by_nick: the operator's nick. since: milliseconds since the Unix epoch.
CREATE TABLE operator_rules (
    network TEXT   NOT NULL,
    channel TEXT   NOT NULL,
    kind    TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    number  BIGINT NOT NULL,
    by_nick TEXT   NOT NULL,
    reason  TEXT,
    since   BIGINT NOT NULL,
    PRIMARY KEY (network, channel, kind, subject)
) WITHOUT ROWID;
