-- Rules of policy lists, as they were last read. The same columns are in ../postgres/0018_policy_rules.sql.

-- policy_rules.rs: whom lists want nowhere, so that it holds from the first moment of a start, before the lists are read anew.
-- list is the room as the configuration names it, room the room that was.
CREATE TABLE policy_rules (
    list      TEXT NOT NULL,
    room      TEXT NOT NULL,
    kind      TEXT NOT NULL,
    state_key TEXT NOT NULL,
    entity    TEXT NOT NULL,
    reason    TEXT NOT NULL,
    PRIMARY KEY (list, kind, state_key)
) WITHOUT ROWID;
