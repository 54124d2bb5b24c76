-- Who of a private chat was told that the other is not there. The same column is in ../postgres/0017_absence.sql.

-- queries.rs: 1 while the person knows that nobody has the nick, so that a restart tells nobody twice.
ALTER TABLE queries ADD COLUMN absence_told BIGINT NOT NULL DEFAULT 0;
