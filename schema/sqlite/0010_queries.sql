-- Private chats. The same is in ../postgres/0010_queries.sql.

-- queries.rs: the room of a person (mxid) and a nick. standing: open or left, by the person. account and mask (user@host)
-- are of who had the nick.
CREATE TABLE queries (
    room         TEXT   PRIMARY KEY,
    network      TEXT   NOT NULL,
    mxid         TEXT   NOT NULL,
    nick         TEXT   NOT NULL,
    standing     TEXT   NOT NULL,
    account      TEXT,
    mask         TEXT,
    display_name TEXT,
    since        BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX queries_network ON queries (network);
