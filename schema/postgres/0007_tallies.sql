-- What became of messages, added up. The same is in ../sqlite/0007_tallies.sql.
--
-- What comes into a table, and a state that changes, is counted by the table itself, so that an accepted event stays
-- one statement from the disk. What leaves the outbox is counted by the statement that takes it out
-- (src/store/tallies.rs): a row that goes in any other way is missed in the sum.

-- tallies.rs: totals since the first start. direction: to_irc, to_matrix, or notices for what the bridge says itself
-- in rooms. outcome: accepted, delivered, failed, expired.
CREATE TABLE tallies (
    network   TEXT   NOT NULL,
    direction TEXT   NOT NULL,
    outcome   TEXT   NOT NULL,
    count     BIGINT NOT NULL,
    PRIMARY KEY (network, direction, outcome)
);

-- inbox.rs: the network that is to get it; NULL for what nobody has to relay, which is not counted.
ALTER TABLE inbox ADD COLUMN network TEXT;

CREATE FUNCTION tally_inbox_accepted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tallies AS t (network, direction, outcome, count)
    SELECT network, 'to_irc', 'accepted', count(*) FROM fresh WHERE network IS NOT NULL GROUP BY network
    ON CONFLICT (network, direction, outcome) DO UPDATE SET count = t.count + excluded.count;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_accepted AFTER INSERT ON inbox
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION tally_inbox_accepted();

-- A row that is routed and one that is settled: a statement may do either, or both.
CREATE FUNCTION tally_inbox_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tallies AS t (network, direction, outcome, count)
    SELECT fresh.network, 'to_irc', 'accepted', count(*) FROM fresh JOIN stale USING (seq)
    WHERE stale.network IS NULL AND fresh.network IS NOT NULL GROUP BY fresh.network
    ON CONFLICT (network, direction, outcome) DO UPDATE SET count = t.count + excluded.count;

    INSERT INTO tallies AS t (network, direction, outcome, count)
    SELECT fresh.network, 'to_irc', CASE fresh.state WHEN 1 THEN 'delivered' WHEN 2 THEN 'failed' ELSE 'expired' END,
        count(*)
    FROM fresh JOIN stale USING (seq)
    WHERE fresh.network IS NOT NULL AND stale.state NOT IN (1, 2, 3) AND fresh.state IN (1, 2, 3)
    GROUP BY fresh.network, fresh.state
    ON CONFLICT (network, direction, outcome) DO UPDATE SET count = t.count + excluded.count;
    RETURN NULL;
END $$;
CREATE TRIGGER inbox_changed AFTER UPDATE ON inbox
    REFERENCING OLD TABLE AS stale NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION tally_inbox_changed();

-- Its argument is the outcome.
CREATE FUNCTION tally_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tallies AS t (network, direction, outcome, count)
    SELECT network, CASE WHEN speaker IS NULL THEN 'notices' ELSE 'to_matrix' END, TG_ARGV[0], count(*)
    FROM fresh GROUP BY 1, 2
    ON CONFLICT (network, direction, outcome) DO UPDATE SET count = t.count + excluded.count;
    RETURN NULL;
END $$;
CREATE TRIGGER outbox_accepted AFTER INSERT ON outbox
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION tally_lines('accepted');
CREATE TRIGGER dead_letters_failed AFTER INSERT ON dead_letters
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION tally_lines('failed');

-- What an older version left behind. Its open events are counted when they are given to their network.
INSERT INTO tallies (network, direction, outcome, count)
SELECT network, CASE WHEN speaker IS NULL THEN 'notices' ELSE 'to_matrix' END, 'accepted', count(*)
FROM (SELECT network, speaker FROM outbox UNION ALL SELECT network, speaker FROM dead_letters) AS lines GROUP BY 1, 2;

INSERT INTO tallies (network, direction, outcome, count)
SELECT network, CASE WHEN speaker IS NULL THEN 'notices' ELSE 'to_matrix' END, 'failed', count(*)
FROM dead_letters GROUP BY 1, 2;
