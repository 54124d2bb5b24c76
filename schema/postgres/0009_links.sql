-- What is shown to people on IRC under links. Times are milliseconds since the Unix epoch. The same columns are in
-- ../sqlite/0009_links.sql.

-- links.rs: what a link leads to. seq and part make the link: the message's number in the inbox, and media or text.
-- Of media: kind, mxc, cipher (sealed; NULL where the file is not encrypted), name, mime (as its sender says). Of
-- text: page, JSON. dead: since when the message is redacted; nothing of what was shown is kept then.
CREATE TABLE links (
    seq     BIGINT NOT NULL,
    part    TEXT   NOT NULL,
    network TEXT   NOT NULL,
    room    TEXT   NOT NULL,
    event   TEXT   NOT NULL,
    kind    TEXT,
    mxc     TEXT,
    cipher  BYTEA,
    name    TEXT,
    mime    TEXT,
    page    TEXT,
    created BIGINT NOT NULL,
    expires BIGINT NOT NULL,
    dead    BIGINT,
    PRIMARY KEY (seq, part)
);
CREATE INDEX links_event ON links (event);
CREATE INDEX links_expires ON links (expires);

-- links.rs: the key that all links are made with, sealed; one row. It goes with the database, whose numbers begin
-- anew with a new one.
CREATE TABLE link_key (
    id      BIGINT NOT NULL PRIMARY KEY,
    sealed  BYTEA  NOT NULL,
    created BIGINT NOT NULL
);
