-- What stands in the queues: a row is a message, until it is delivered or dead. Times are milliseconds since 1970.
CREATE TABLE IF NOT EXISTS message (
    id            INTEGER PRIMARY KEY,
    queue         TEXT    NOT NULL,
    body          TEXT    NOT NULL,
    visible_at    INTEGER NOT NULL,
    -- 1 while a consumer of this process has it; what a killed process had is visible again at the next start.
    in_flight     INTEGER NOT NULL DEFAULT 0,
    receive_count INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX IF NOT EXISTS message_in_turn ON message (queue, visible_at);

-- What can never be delivered as it is, with the reason; and what intake rejected (queue `rejected`).
CREATE TABLE IF NOT EXISTS dead_letter (
    id           INTEGER PRIMARY KEY,
    queue        TEXT    NOT NULL,
    body         TEXT    NOT NULL,
    reason       TEXT    NOT NULL,
    mapping      TEXT    NOT NULL,
    koala_answer TEXT,
    died_at      INTEGER NOT NULL
) STRICT;

-- What the collector has: a visitor is known by any number of profile ids and email addresses.
CREATE TABLE IF NOT EXISTS visitor (
    id         INTEGER PRIMARY KEY,
    traits     TEXT    NOT NULL DEFAULT '{}',
    traits_at  INTEGER NOT NULL DEFAULT 0,
    first_seen INTEGER NOT NULL,
    last_seen  INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS identity (
    kind       TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    visitor_id INTEGER NOT NULL REFERENCES visitor (id),
    PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS identity_of_visitor ON identity (visitor_id);

-- The entries of batch requests; a message id is an idempotency key.
CREATE TABLE IF NOT EXISTS entry (
    id         INTEGER PRIMARY KEY,
    visitor_id INTEGER NOT NULL REFERENCES visitor (id),
    kind       TEXT    NOT NULL,
    name       TEXT,
    message_id TEXT,
    at         INTEGER NOT NULL,
    json       TEXT    NOT NULL,
    UNIQUE (kind, message_id)
) STRICT;
CREATE INDEX IF NOT EXISTS entry_of_visitor ON entry (visitor_id, at);
