-- What the companies' rank is made of: the UTC days on which a visitor did what an intent rule looks for.
CREATE TABLE intent_rule (
    id           INTEGER PRIMARY KEY,
    name         TEXT    NOT NULL UNIQUE,
    -- What was looked for; another trigger of the same name is another rule.
    looked_for   TEXT    NOT NULL,
    -- Entries that were there before the rule are looked at from the newest down: those below this one are yet to be.
    unseen_below INTEGER NOT NULL
) STRICT;
CREATE TABLE intent (
    visitor_id INTEGER NOT NULL REFERENCES visitor (id),
    rule_id    INTEGER NOT NULL REFERENCES intent_rule (id),
    -- Days since 1970.
    day        INTEGER NOT NULL,
    PRIMARY KEY (visitor_id, rule_id, day)
) STRICT, WITHOUT ROWID;

-- How many messages of a mapping came to what, and (under no mapping) how many events of requests.
CREATE TABLE tally (
    mapping TEXT    NOT NULL,
    outcome TEXT    NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (mapping, outcome)
) STRICT, WITHOUT ROWID;
ALTER TABLE message ADD COLUMN mapping TEXT;
UPDATE message SET mapping = body ->> 'mapping' WHERE json_valid(body);

-- The search for an event's name, and for one at a time.
DROP INDEX entry_by_name;
CREATE INDEX entry_by_name ON entry (name COLLATE NOCASE, visitor_id, at);
