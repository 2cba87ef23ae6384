-- Who is who by the rules of `identity`: one row an id, and one pointer from a weaker id to its owner. What is kept hangs on the
-- id that its event was filed under, for good, so that a merge or a split writes pointers alone.
--
-- A visitor of before is under its strongest id, an address, else a device, which has the visitor's number; a device claims the
-- address. What no claim can say, several addresses of one visitor, is held together by a decision.
ALTER TABLE identity RENAME TO identity_before;
CREATE TABLE identity (
    id         INTEGER PRIMARY KEY,
    -- user, email or device
    kind       TEXT    NOT NULL,
    value      TEXT    NOT NULL,
    -- Whom it belongs to; nothing where it stands for itself.
    into_id    INTEGER REFERENCES identity (id),
    -- The smallest id of all that lead to the same one: it stays when later ids join. What the pointers say, made quick to read.
    visitor_id INTEGER NOT NULL,
    -- The earliest time as of which an event was filed under it.
    first_at   INTEGER,
    -- attached, detached or blocked, by a person
    decision   TEXT,
    -- Of the entries filed under it; nothing where it only stood beside a stronger id.
    first_seen INTEGER,
    last_seen  INTEGER,
    UNIQUE (kind, value)
) STRICT;

-- Times in the future are of clocks that are wrong, or of somebody who means to stay on top.
UPDATE visitor SET first_seen = min(first_seen, unixepoch() * 1000), last_seen = min(last_seen, unixepoch() * 1000)
    WHERE last_seen > unixepoch() * 1000;

CREATE TEMP TABLE ranked AS
    SELECT visitor_id, CASE kind WHEN 'email' THEN 'email' ELSE 'device' END AS kind, value,
           row_number() OVER (PARTITION BY visitor_id ORDER BY kind = 'email' DESC, value) AS place
    FROM identity_before;
INSERT INTO identity (id, kind, value, visitor_id, first_at, first_seen, last_seen)
    SELECT visitor.id, kind, value, visitor.id, first_seen, first_seen, last_seen
    FROM ranked JOIN visitor ON visitor.id = visitor_id WHERE place = 1;
-- One without any id keeps its entries under a device of its own.
INSERT INTO identity (id, kind, value, visitor_id, first_at, first_seen, last_seen)
    SELECT id, 'device', 'visitor-' || id, id, first_seen, first_seen, last_seen
    FROM visitor WHERE id NOT IN (SELECT visitor_id FROM ranked);
INSERT INTO identity (kind, value, into_id, visitor_id, decision)
    SELECT ranked.kind, ranked.value, visitor_id, visitor_id, CASE ranked.kind WHEN strongest.kind THEN 'attached' END
    FROM ranked JOIN (SELECT id, kind FROM identity) AS strongest ON strongest.id = visitor_id
    WHERE place > 1 ORDER BY visitor_id, place;
DROP TABLE temp.ranked;
DROP TABLE identity_before;
CREATE INDEX identity_of_visitor ON identity (visitor_id);
CREATE INDEX identity_into ON identity (into_id) WHERE into_id IS NOT NULL;

-- Which id takes which for its owner: of each pair the smallest (rank, at).
CREATE TABLE claim (
    identity_id INTEGER NOT NULL REFERENCES identity (id),
    owner_id    INTEGER NOT NULL REFERENCES identity (id),
    -- The kind of the id that claims.
    kind        TEXT    NOT NULL,
    rank        INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (identity_id, owner_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX claim_of_owner ON claim (owner_id, kind, rank, at);
INSERT INTO claim (identity_id, owner_id, kind, rank, at)
    SELECT identity.id, into_id, identity.kind, 1, visitor.first_seen
    FROM identity JOIN visitor ON visitor.id = identity.visitor_id
    WHERE into_id IS NOT NULL AND decision IS NULL;

-- What people decided of ids, and when.
CREATE TABLE decision (
    id          INTEGER PRIMARY KEY,
    at          INTEGER NOT NULL,
    -- attach, split or block
    what        TEXT    NOT NULL,
    identity_id INTEGER NOT NULL REFERENCES identity (id),
    to_id       INTEGER REFERENCES identity (id)
) STRICT;
CREATE INDEX decision_of_identity ON decision (identity_id);
CREATE INDEX decision_of_owner ON decision (to_id) WHERE to_id IS NOT NULL;
INSERT INTO decision (at, what, identity_id, to_id)
    SELECT unixepoch() * 1000, 'attach', id, into_id FROM identity WHERE decision = 'attached';

ALTER TABLE trait RENAME TO trait_before;
CREATE TABLE trait (
    identity_id INTEGER NOT NULL REFERENCES identity (id),
    name        TEXT    NOT NULL,
    -- JSON; null takes the trait away.
    value       TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    PRIMARY KEY (identity_id, name)
) STRICT, WITHOUT ROWID;
INSERT INTO trait SELECT visitor_id, name, value, min(at, unixepoch() * 1000) FROM trait_before;
DROP TABLE trait_before;

ALTER TABLE intent RENAME TO intent_before;
CREATE TABLE intent (
    identity_id INTEGER NOT NULL REFERENCES identity (id),
    rule_id     INTEGER NOT NULL REFERENCES intent_rule (id),
    -- Days since 1970.
    day         INTEGER NOT NULL,
    PRIMARY KEY (identity_id, rule_id, day)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO intent SELECT visitor_id, rule_id, min(day, unixepoch() / 86400) FROM intent_before;
DROP TABLE intent_before;

-- A message id is an idempotency key among what is filed under one id: nobody can take another's.
DROP INDEX entry_of_visitor;
DROP INDEX entry_by_name;
ALTER TABLE entry RENAME TO entry_before;
CREATE TABLE entry (
    id          INTEGER PRIMARY KEY,
    identity_id INTEGER NOT NULL REFERENCES identity (id),
    kind        TEXT    NOT NULL,
    name        TEXT,
    message_id  TEXT,
    at          INTEGER NOT NULL,
    json        TEXT    NOT NULL,
    UNIQUE (identity_id, kind, message_id)
) STRICT;
INSERT INTO entry SELECT id, visitor_id, kind, name, message_id, min(at, unixepoch() * 1000), json FROM entry_before ORDER BY id;
DROP TABLE entry_before;
CREATE INDEX entry_of_identity ON entry (identity_id, at);
-- The search for an event's name, and for one at a time.
CREATE INDEX entry_by_name ON entry (name COLLATE NOCASE, identity_id, at);
