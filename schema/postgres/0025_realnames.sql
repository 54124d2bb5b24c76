-- Realnames that people chose. The same columns are in ../sqlite/0025_realnames.sql.

-- realnames.rs: what stands in front of somebody's Matrix id where people on IRC look them up.
CREATE TABLE realnames (
    network  TEXT NOT NULL,
    mxid     TEXT NOT NULL,
    realname TEXT NOT NULL,
    PRIMARY KEY (network, mxid)
);
