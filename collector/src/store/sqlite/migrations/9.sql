-- What people did, without an id: kinds, and hashes under the key of the file.
CREATE TABLE history (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    -- deleted, split, joined or blocked
    what        TEXT    NOT NULL,
    -- The fingerprint of the token; nothing where none was asked for.
    token       TEXT,
    kind        TEXT,
    hash        TEXT,
    to_kind     TEXT,
    to_hash     TEXT,
    deletion_id TEXT,
    visitors    INTEGER
) STRICT;
CREATE INDEX history_by_time ON history (at);
