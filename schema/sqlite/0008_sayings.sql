-- What was said lately, and what lines from IRC have besides their text. The same is in ../postgres/0008_sayings.sql.

-- sayings.rs: messages that replies, edits, reactions and redactions may be about. side: matrix or irc, whose author it
-- is. seq is set for what came from IRC; msgids has a space between two.
CREATE TABLE sayings (
    network  TEXT   NOT NULL,
    id       BIGINT NOT NULL,
    seq      BIGINT,
    room     TEXT   NOT NULL,
    event    TEXT,
    msgids   TEXT   NOT NULL,
    side     TEXT   NOT NULL,
    author   TEXT   NOT NULL,
    excerpt  TEXT   NOT NULL,
    redacted BIGINT NOT NULL,
    PRIMARY KEY (network, id)
) WITHOUT ROWID;
CREATE INDEX sayings_unnamed ON sayings (seq) WHERE event IS NULL;

-- outbox.rs: formatting; who is mentioned, with a space between two; when it was said; of lines that are one event, the
-- first of them.
ALTER TABLE outbox ADD COLUMN html TEXT;
ALTER TABLE outbox ADD COLUMN mentions TEXT;
ALTER TABLE outbox ADD COLUMN said BIGINT;
ALTER TABLE outbox ADD COLUMN joined BIGINT;

-- outbox.rs
ALTER TABLE dead_letters ADD COLUMN html TEXT;
ALTER TABLE dead_letters ADD COLUMN mentions TEXT;
ALTER TABLE dead_letters ADD COLUMN said BIGINT;
