-- admin_rooms.rs: in which room somebody gives the bridge commands.
CREATE TABLE admin_rooms (
    person TEXT PRIMARY KEY,
    room   TEXT NOT NULL
) WITHOUT ROWID;
