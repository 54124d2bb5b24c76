-- What became of messages, added up. The same is in ../postgres/0007_tallies.sql.
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
) WITHOUT ROWID;

-- inbox.rs: the network that is to get it; NULL for what nobody has to relay, which is not counted.
ALTER TABLE inbox ADD COLUMN network TEXT;

CREATE TRIGGER inbox_accepted AFTER INSERT ON inbox WHEN NEW.network IS NOT NULL BEGIN
    INSERT INTO tallies (network, direction, outcome, count) VALUES (NEW.network, 'to_irc', 'accepted', 1)
    ON CONFLICT (network, direction, outcome) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER inbox_routed AFTER UPDATE OF network ON inbox WHEN OLD.network IS NULL AND NEW.network IS NOT NULL BEGIN
    INSERT INTO tallies (network, direction, outcome, count) VALUES (NEW.network, 'to_irc', 'accepted', 1)
    ON CONFLICT (network, direction, outcome) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER inbox_settled AFTER UPDATE OF state ON inbox
WHEN NEW.network IS NOT NULL AND OLD.state NOT IN (1, 2, 3) AND NEW.state IN (1, 2, 3) BEGIN
    INSERT INTO tallies (network, direction, outcome, count)
    VALUES (NEW.network, 'to_irc', CASE NEW.state WHEN 1 THEN 'delivered' WHEN 2 THEN 'failed' ELSE 'expired' END, 1)
    ON CONFLICT (network, direction, outcome) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER outbox_accepted AFTER INSERT ON outbox BEGIN
    INSERT INTO tallies (network, direction, outcome, count)
    VALUES (NEW.network, CASE WHEN NEW.speaker IS NULL THEN 'notices' ELSE 'to_matrix' END, 'accepted', 1)
    ON CONFLICT (network, direction, outcome) DO UPDATE SET count = count + 1;
END;

CREATE TRIGGER dead_letters_failed AFTER INSERT ON dead_letters BEGIN
    INSERT INTO tallies (network, direction, outcome, count)
    VALUES (NEW.network, CASE WHEN NEW.speaker IS NULL THEN 'notices' ELSE 'to_matrix' END, 'failed', 1)
    ON CONFLICT (network, direction, outcome) DO UPDATE SET count = count + 1;
END;

-- What an older version left behind. Its open events are counted when they are given to their network.
INSERT INTO tallies (network, direction, outcome, count)
SELECT network, CASE WHEN speaker IS NULL THEN 'notices' ELSE 'to_matrix' END, 'accepted', count(*)
FROM (SELECT network, speaker FROM outbox UNION ALL SELECT network, speaker FROM dead_letters) GROUP BY 1, 2;

INSERT INTO tallies (network, direction, outcome, count)
SELECT network, CASE WHEN speaker IS NULL THEN 'notices' ELSE 'to_matrix' END, 'failed', count(*)
FROM dead_letters GROUP BY 1, 2;
