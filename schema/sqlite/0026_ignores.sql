-- Whom people ignore, and who wants no mentions. The same columns are in ../postgres/0026_ignores.sql.

-- ignores.rs: a mask of those whose private words do not reach somebody.
CREATE TABLE ignores (
    network TEXT NOT NULL,
    mxid    TEXT NOT NULL,
    mask    TEXT NOT NULL,
    PRIMARY KEY (network, mxid, mask)
) WITHOUT ROWID;

-- mentions.rs: somebody whose nick is not made a mention of them.
CREATE TABLE mentions_off (
    network TEXT NOT NULL,
    mxid    TEXT NOT NULL,
    PRIMARY KEY (network, mxid)
) WITHOUT ROWID;
