-- Rooms that were replaced (room upgrades). Times are milliseconds since the Unix epoch. The same columns are in
-- ../sqlite/0013_successions.sql.

-- successions.rs: the room, and the one that took its place on this network.
CREATE TABLE successions (
    room      TEXT   NOT NULL PRIMARY KEY,
    network   TEXT   NOT NULL,
    successor TEXT   NOT NULL,
    since     BIGINT NOT NULL
);
CREATE INDEX successions_network ON successions (network);
