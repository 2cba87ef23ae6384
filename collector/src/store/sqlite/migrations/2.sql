-- Each trait with the time that it was said at, so that an older identify never overwrites what a newer one said of the same.
CREATE TABLE trait (
    visitor_id INTEGER NOT NULL REFERENCES visitor (id),
    name       TEXT    NOT NULL,
    -- JSON; null takes the trait away.
    value      TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    PRIMARY KEY (visitor_id, name)
) STRICT, WITHOUT ROWID;
INSERT INTO trait
    SELECT visitor.id, one.key, visitor.traits -> one.fullkey, visitor.traits_at
    FROM visitor, json_each(visitor.traits) AS one;
ALTER TABLE visitor DROP COLUMN traits;
ALTER TABLE visitor DROP COLUMN traits_at;

-- Companies, by their domain, or by their name in lower case where no domain is known.
CREATE TABLE account (
    key    TEXT PRIMARY KEY,
    domain TEXT,
    name   TEXT,
    traits TEXT NOT NULL DEFAULT '{}'
) STRICT, WITHOUT ROWID;
ALTER TABLE visitor ADD COLUMN account TEXT;
CREATE INDEX visitor_of_account ON visitor (account, last_seen);
CREATE INDEX visitor_by_last_seen ON visitor (last_seen);

-- The search for an event's name.
CREATE INDEX entry_by_name ON entry (name COLLATE NOCASE, visitor_id);
