-- Who stays away from a network. Times are milliseconds since the Unix epoch. The same columns are in
-- ../sqlite/0003_holds.sql.

-- holds.rs: puppets that were killed, banned or not let in; they stay away until somebody calls them back.
CREATE TABLE holds (
    network TEXT   NOT NULL,
    mxid    TEXT   NOT NULL,
    ending  TEXT   NOT NULL,
    words   TEXT   NOT NULL,
    since   BIGINT NOT NULL,
    PRIMARY KEY (network, mxid)
);
