-- Who a puppet is on IRC, and what it shows to a network. Times are milliseconds since the Unix epoch. The same
-- columns are in ../sqlite/0002_identity.sql. Sealed columns are opened by src/vault.rs only.

-- identities.rs: rows are never deleted, so that no ident and no address ever has a second owner.
CREATE TABLE identities (
    network      TEXT   NOT NULL,
    mxid         TEXT   NOT NULL,
    ident        TEXT   NOT NULL,
    ident_folded TEXT   NOT NULL,
    block        BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    created      BIGINT NOT NULL,
    PRIMARY KEY (network, mxid),
    UNIQUE (network, ident_folded),
    UNIQUE (block, number)
);

-- identities.rs: a homeserver's block of addresses, and how many of its numbers are given out.
CREATE TABLE homeserver_blocks (
    homeserver TEXT   PRIMARY KEY,
    block      BIGINT NOT NULL UNIQUE,
    numbers    BIGINT NOT NULL
);

-- logins.rs: password and certificate_key are sealed; certificate is PEM, its fingerprint SHA-256 in hexadecimal.
CREATE TABLE logins (
    network                 TEXT   NOT NULL,
    mxid                    TEXT   NOT NULL,
    account                 TEXT   NOT NULL,
    password                BYTEA,
    certificate             TEXT,
    certificate_key         BYTEA,
    certificate_fingerprint TEXT,
    created                 BIGINT NOT NULL,
    changed                 BIGINT NOT NULL,
    PRIMARY KEY (network, mxid)
);

-- channel_keys.rs: channel is folded; sealed is the key.
CREATE TABLE channel_keys (
    network TEXT  NOT NULL,
    mxid    TEXT  NOT NULL,
    channel TEXT  NOT NULL,
    sealed  BYTEA NOT NULL,
    PRIMARY KEY (network, mxid, channel)
);

-- sts.rs: hosts that are only dialled with TLS.
CREATE TABLE sts_policies (
    host    TEXT   PRIMARY KEY,
    port    BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
