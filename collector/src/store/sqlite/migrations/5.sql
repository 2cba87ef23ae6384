-- People who are deleted: what is still to go of them, and what keeps them away. Times are milliseconds since 1970.
CREATE TABLE installation (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    -- Makes the hashes of the tombstones this file's own.
    tombstone_key BLOB    NOT NULL,
    -- Ids up to this one were given before, some to rows that are gone: a link to one of those leads to nobody else.
    highest_id    INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A hash for each id of those who were deleted.
CREATE TABLE tombstone (
    hash     BLOB    PRIMARY KEY,
    -- What was received by then does not come back.
    at       INTEGER NOT NULL,
    -- 1 for an address that was asked for by itself: whoever says that it is theirs is the same person.
    is_whole INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_by_time ON tombstone (at);

CREATE TABLE deletion (
    id           TEXT    PRIMARY KEY,
    requested_at INTEGER NOT NULL,
    -- When the queues had nothing of them any more, when the rows were gone, and when nothing was left of them in the file.
    forgotten_at INTEGER,
    purged_at    INTEGER,
    completed_at INTEGER,
    visitors     INTEGER NOT NULL,
    entries      INTEGER NOT NULL DEFAULT 0,
    messages     INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX deletion_by_time ON deletion (requested_at);
CREATE INDEX deletion_under_way ON deletion (id) WHERE completed_at IS NULL;

-- Their ids, until the queues have nothing of them.
CREATE TABLE departed (
    deletion_id TEXT    NOT NULL REFERENCES deletion (id),
    kind        TEXT    NOT NULL,
    value       TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    is_whole    INTEGER NOT NULL,
    PRIMARY KEY (deletion_id, kind, value)
) STRICT, WITHOUT ROWID;

-- Rows of `identity` that nothing leads to any more (their kind is `taken`), until all that hangs on them is deleted; without
-- a deletion those that are older than data is kept.
CREATE TABLE taken (
    identity_id INTEGER PRIMARY KEY REFERENCES identity (id),
    deletion_id TEXT    REFERENCES deletion (id)
) STRICT;
CREATE INDEX taken_of_deletion ON taken (deletion_id);
