-- Which accepted events were given to a socket. Times are milliseconds since the Unix epoch. The same columns are in
-- ../postgres/0004_written.sql.

-- inbox.rs: when a socket had taken all of the row's message; NULL where none has, or nothing is to be said.
ALTER TABLE inbox ADD COLUMN written BIGINT;
