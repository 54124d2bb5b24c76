-- Rooms that people want to bridge. The same columns are in ../postgres/0021_plumbing.sql.

-- operators.rs: which person of Matrix asked for a rule of the kind "room"; nobody for all others.
ALTER TABLE operator_rules ADD COLUMN asker TEXT;
