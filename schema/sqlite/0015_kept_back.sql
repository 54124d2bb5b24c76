-- What a removal keeps back, and rooms whose successor could not be followed. Times are milliseconds since the Unix epoch.
-- The same columns are in ../postgres/0015_kept_back.sql.

-- bars.rs: who is to be removed from a room and is not yet, so that what was kept back from them is kept back after a
-- restart.
CREATE TABLE bars (
    network TEXT   NOT NULL,
    room    TEXT   NOT NULL,
    member  TEXT   NOT NULL,
    reason  TEXT   NOT NULL,
    since   BIGINT NOT NULL,
    PRIMARY KEY (network, room, member)
) WITHOUT ROWID;

-- tombstones.rs: the room that a room says replaces it, who has said so, and why it is not followed.
CREATE TABLE tombstones (
    network   TEXT NOT NULL,
    room      TEXT NOT NULL,
    successor TEXT NOT NULL,
    sender    TEXT NOT NULL,
    why       TEXT NOT NULL,
    PRIMARY KEY (network, room)
) WITHOUT ROWID;
