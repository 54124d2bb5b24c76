-- Nicks that people chose. The same columns are in ../sqlite/0020_nicks.sql.

-- nicks.rs: which nick somebody has on a network, whatever their display name is.
CREATE TABLE nicks (
    network TEXT NOT NULL,
    mxid    TEXT NOT NULL,
    nick    TEXT NOT NULL,
    PRIMARY KEY (network, mxid)
);
