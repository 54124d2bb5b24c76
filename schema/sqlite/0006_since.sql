-- Since when a portal is one. Times are milliseconds since the Unix epoch. The same column is in
-- ../postgres/0006_since.sql.

-- portals.rs: what was said in the room before is nobody's business. Portals that are there already count from now.
ALTER TABLE portals ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
UPDATE portals SET since = CAST(strftime('%s', 'now') AS INTEGER) * 1000;
