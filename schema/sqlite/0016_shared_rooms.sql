-- Rooms that several networks share. Times are milliseconds since the Unix epoch. The same columns are in
-- ../postgres/0016_shared_rooms.sql.

-- portals.rs: pairings of further networks with a room that was in a portal of another one already. Their rows of the
-- inbox are named by event and network; those of the network in portals by the event alone. So a pairing never changes
-- its table while it lasts.
CREATE TABLE shared_portals (
    room    TEXT   NOT NULL,
    network TEXT   NOT NULL,
    channel TEXT   NOT NULL,
    origin  TEXT   NOT NULL,
    since   BIGINT NOT NULL,
    PRIMARY KEY (room, network)
) WITHOUT ROWID;
CREATE INDEX shared_portals_network ON shared_portals (network);
