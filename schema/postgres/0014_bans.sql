-- Bans in channels that follow bans in rooms. The same columns are in ../sqlite/0014_bans.sql.

-- bans.rs: whom a person of Matrix banned in a room, and by which mask that was done in its channel, so that it can be
-- lifted there.
CREATE TABLE bans (
    network TEXT NOT NULL,
    room    TEXT NOT NULL,
    ghost   TEXT NOT NULL,
    mask    TEXT NOT NULL,
    PRIMARY KEY (room, ghost)
);
