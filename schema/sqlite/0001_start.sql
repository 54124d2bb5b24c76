-- The first schema. Times are milliseconds since the Unix epoch. Which file of src/store owns a table is
-- named above it; the same columns are in ../postgres/0001_start.sql.

-- inbox.rs: one row per accepted Matrix event. state: 0 open, 1 delivered, 2 failed, 3 expired.
CREATE TABLE inbox (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT    NOT NULL UNIQUE,
    room_id  TEXT    NOT NULL,
    json     TEXT,
    state    BIGINT  NOT NULL DEFAULT 0,
    reason   TEXT,
    accepted BIGINT  NOT NULL,
    settled  BIGINT
);
CREATE INDEX inbox_open ON inbox (seq) WHERE state = 0;
CREATE INDEX inbox_settled ON inbox (settled) WHERE settled IS NOT NULL;

-- outbox.rs: what is to be said in rooms. speaker NULL is the bridge itself.
CREATE TABLE outbox (
    seq          INTEGER PRIMARY KEY,
    network      TEXT   NOT NULL,
    room         TEXT   NOT NULL,
    speaker      TEXT,
    display_name TEXT,
    kind         TEXT   NOT NULL,
    text         TEXT   NOT NULL,
    about        TEXT,
    created      BIGINT NOT NULL
);

-- outbox.rs: the highest outbox number that may have been used (one row).
CREATE TABLE outbox_mark (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    reserved BIGINT NOT NULL
);

-- outbox.rs: what the homeserver would not take, for the operator.
CREATE TABLE dead_letters (
    seq          INTEGER PRIMARY KEY,
    network      TEXT   NOT NULL,
    room         TEXT   NOT NULL,
    speaker      TEXT,
    display_name TEXT,
    kind         TEXT   NOT NULL,
    text         TEXT   NOT NULL,
    about        TEXT,
    created      BIGINT NOT NULL,
    reason       TEXT   NOT NULL,
    failed       BIGINT NOT NULL
);

-- portals.rs
CREATE TABLE portals (
    room    TEXT PRIMARY KEY,
    network TEXT NOT NULL,
    channel TEXT NOT NULL,
    origin  TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX portals_network ON portals (network);

-- members.rs: the Matrix people in portal rooms.
CREATE TABLE members (
    room         TEXT NOT NULL,
    member       TEXT NOT NULL,
    display_name TEXT,
    PRIMARY KEY (room, member)
) WITHOUT ROWID;

-- ghosts.rs
CREATE TABLE ghosts (
    ghost        TEXT PRIMARY KEY,
    display_name TEXT NOT NULL
) WITHOUT ROWID;

-- ghosts.rs
CREATE TABLE ghost_rooms (
    room  TEXT NOT NULL,
    ghost TEXT NOT NULL,
    PRIMARY KEY (room, ghost)
) WITHOUT ROWID;

-- networks.rs
CREATE TABLE networks (
    network TEXT PRIMARY KEY,
    casemap TEXT NOT NULL
) WITHOUT ROWID;

-- meta.rs
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
